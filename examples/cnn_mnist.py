"""A convolutional net reads MNIST better than one that does not know that pixels have neighbours.

python examples/cnn_mnist.py FOLDER          FOLDER holds t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz
python examples/cnn_mnist.py FOLDER DIR      draws the curves and the confusion matrix, too
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.training import fit, plot_accuracy, plot_confusion


def cnn(rng: np.random.Generator) -> nn.Module:
    options = {"rng": rng, "dtype": np.float32}
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, **options),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, **options),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 10, **options),
    )


def train(folder, epochs: int = 6, on_epoch=None):
    """The net, the history of its training, and the test images with their labels."""
    x, t = tg.data.load_mnist(folder, "test", flatten=False, dtype=np.float32)
    learn, test = tg.data.random_split((x, t), [8000, 2000], seed=0)
    net = cnn(np.random.default_rng(0))
    optimizer = tg.optim.Adam(net.parameters(), lr=4e-3)
    loader = tg.data.DataLoader(learn, batch_size=64, shuffle=True, seed=0)
    history = fit(
        net,
        loader,
        nn.functional.cross_entropy,
        optimizer,
        epochs=epochs,
        validation=tg.data.DataLoader(test, batch_size=500),
        metrics="accuracy",
        schedule=tg.optim.CosineAnnealingLR(optimizer, epochs * len(loader), every="step"),
        on_epoch=on_epoch,
    )
    return net, history, test[:]


def report(row) -> None:
    print(f"epoch {row['epoch']}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f} train, {row['val_accuracy']:.4f} test")


def main(folder: str | None = None, directory: str | None = None) -> None:
    if folder is None:
        print("say where the images are: python examples/cnn_mnist.py FOLDER")
        return
    net, history, (x, t) = train(folder, on_epoch=report)
    if directory is not None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 5), layout="constrained")
        left, right = figure.subplots(1, 2)
        plot_accuracy(history, left)
        with tg.no_grad():
            plot_confusion(t, net(x), axes=right)
        file = Path(directory) / "cnn_mnist.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)
        print(f"the curves: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
