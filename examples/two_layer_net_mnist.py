"""The two-layer net of *Deep Learning from Scratch*, section 4.5, reads MNIST: mini-batch, gradient, update, repeat.

784 pixels, 50 hidden units, 10 digits; weights start as 0.01 N(0, 1), so the first loss is near ln 10: every digit is as likely.
The 10,000 test images of MNIST are enough: 8,000 to learn from, 2,000 to test on.

    python examples/two_layer_net_mnist.py FOLDER          FOLDER holds t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz
    python examples/two_layer_net_mnist.py FOLDER DIR      draws the loss and the accuracies, too
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.training import fit, plot_history


class TwoLayerNet(nn.Module):
    def __init__(self, inputs: int, hidden: int, classes: int, rng: np.random.Generator, scale: float = 0.01) -> None:
        def parameter(array):
            return tg.Tensor(array, requires_grad=True, dtype=np.float32)

        self.W1, self.b1 = parameter(scale * rng.standard_normal((inputs, hidden))), parameter(np.zeros(hidden))
        self.W2, self.b2 = parameter(scale * rng.standard_normal((hidden, classes))), parameter(np.zeros(classes))

    def forward(self, x):
        return tg.sigmoid(x @ self.W1 + self.b1) @ self.W2 + self.b2


def load(folder, seed: int = 0):
    """8,000 images to learn from and 2,000 to test on, with their labels."""
    x, t = tg.data.load_mnist(folder, "test", dtype=np.float32)
    return tg.data.random_split((x, t), [8000, 2000], seed=seed)


def train(folder, epochs: int = 20, lr: float = 1.0, on_epoch=None):
    """The net and the history of its training."""
    learn, test = load(folder)
    net = TwoLayerNet(784, 50, 10, np.random.default_rng(0))
    history = fit(
        net,
        tg.data.DataLoader(learn, batch_size=100, shuffle=True, seed=0),
        nn.functional.cross_entropy,
        tg.optim.SGD(net.parameters(), lr),
        epochs=epochs,
        validation=tg.data.DataLoader(test, batch_size=500),
        metrics="accuracy",
        on_epoch=on_epoch,
    )
    return net, history


def report(row) -> None:
    print(f"epoch {row['epoch']:2d}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f} train, {row['val_accuracy']:.4f} test")


def main(folder: str | None = None, directory: str | None = None) -> None:
    if folder is None:
        print("say where the images are: python examples/two_layer_net_mnist.py FOLDER")
        return
    _, history = train(folder, on_epoch=report)
    print(f"first loss {history['step_loss'][0]:.3f}, ln 10 = {np.log(10):.3f}")
    if directory is not None:
        file = Path(directory) / "two_layer_net_mnist.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        plot_history(history).savefig(file)
        print(f"the curves: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
