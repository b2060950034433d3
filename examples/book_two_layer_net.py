"""The notes' own way: layers with ``params`` and ``grads``, a hand-written ``backward``, and ``optimizer.update(params, grads)``.

The layers are those of *Deep Learning from Scratch 2*, section 1.3, in `book_layers.py` beside this file. They are plain NumPy;
only the optimiser is the library's, which updates plain arrays as well as tensors. At the end the same net in the library gets the
same gradients by itself.

    python examples/book_two_layer_net.py          prints how the loss falls with several optimisers
    python examples/book_two_layer_net.py DIR      draws it, too
"""

import sys
from pathlib import Path

import numpy as np
from book_layers import Affine, Sigmoid, SoftmaxWithLoss

import tinygrad_edu as tg

OPTIMIZERS = {
    "SGD": lambda: tg.optim.SGD(lr=1.0),
    "Momentum": lambda: tg.optim.SGD(lr=0.3, momentum=0.9),
    "AdaGrad": lambda: tg.optim.AdaGrad(lr=0.1),
    "Adam": lambda: tg.optim.Adam(lr=0.03),
}


class TwoLayerNet:
    def __init__(self, inputs: int, hidden: int, classes: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.layers = [
            Affine(0.1 * rng.standard_normal((inputs, hidden)), np.zeros(hidden)),
            Sigmoid(),
            Affine(0.1 * rng.standard_normal((hidden, classes)), np.zeros(classes)),
        ]
        self.loss_layer = SoftmaxWithLoss()
        self.params = [param for layer in self.layers for param in layer.params]

    def predict(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.loss_layer.forward(self.predict(x), t)

    def gradients(self):
        """Of the loss that was computed last, in the order of params."""
        dout = self.loss_layer.backward()
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        return [grad for layer in self.layers for grad in layer.grads]


def train(optimizer, epochs: int = 60) -> tuple[TwoLayerNet, list[float]]:
    """The net, and the loss of every step, on a spiral."""
    x, t = tg.data.spiral(300)
    net, losses, rng = TwoLayerNet(2, 20, 3), [], np.random.default_rng(0)
    for _ in range(epochs):
        for batch in np.split(rng.permutation(len(x)), 10):
            losses.append(net.loss(x[batch], t[batch]))
            optimizer.update(net.params, net.gradients())
    return net, losses


def worst_difference(net: TwoLayerNet) -> float:
    """Between the gradients by hand and those of the library."""
    x, t = tg.data.spiral(30)
    net.loss(x, t)
    w1, b1, w2, b2 = (tg.Tensor(param, requires_grad=True) for param in net.params)
    tg.softmax_cross_entropy(tg.sigmoid(x @ w1 + b1) @ w2 + b2, t).backward()
    return max(np.abs(p.grad.data - g).max() for p, g in zip((w1, b1, w2, b2), net.gradients(), strict=True))


def main(directory: str | None = None) -> None:
    curves = {}
    for name, make in OPTIMIZERS.items():
        net, curves[name] = train(make())
        print(
            f"{name:9} mean loss {np.mean(curves[name][:10]):.2f} in the first epoch, {np.mean(curves[name][-10:]):.2f} in the last"
        )
    print("gradients by hand and by the library agree:", worst_difference(net) < 1e-14)

    if directory is not None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for name, losses in curves.items():
            axes.plot(np.reshape(losses, (-1, 10)).mean(axis=1), label=name)
        axes.set(xlabel="epoch", ylabel="loss", title="spiral, 2-20-3", ylim=(0, None))
        axes.legend()
        axes.grid(alpha=0.3)
        file = Path(directory) / "book_two_layer_net.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)
        print(f"the curves: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
