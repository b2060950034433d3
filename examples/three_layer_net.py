"""A forward pass through three layers, with the weights of *Deep Learning from Scratch*, section 3.4.

Each layer is a matrix product, a bias and an activation. Weights have shape (inputs, outputs), so that a batch of rows goes through
as it stands.

    python examples/three_layer_net.py
"""

import numpy as np

import tinygrad_edu as tg

LAYERS = [
    ([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]], [0.1, 0.2, 0.3]),
    ([[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]], [0.1, 0.2]),
    ([[0.1, 0.3], [0.2, 0.4]], [0.1, 0.2]),
]


def forward(x):
    """The outputs of all three layers: sigmoid, sigmoid, identity."""
    outputs = []
    for position, (w, b) in enumerate(LAYERS):
        x = x @ tg.Tensor(w) + tg.Tensor(b)
        if position < len(LAYERS) - 1:
            x = tg.sigmoid(x)
        outputs.append(x)
    return outputs


def main() -> None:
    z1, z2, y = forward(np.array([1.0, 0.5]))
    print("Z1", z1.data)
    print("Z2", z2.data)
    print("Y ", y.data)
    print("softmax(Y)", tg.softmax(y).data)
    batch = forward(np.array([[1.0, 0.5], [0.0, 0.0]]))[-1]
    print("a batch of two: Y has shape", batch.shape)


if __name__ == "__main__":
    main()
