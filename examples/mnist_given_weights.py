"""MNIST read by a net whose weights somebody else has learned: *Deep Learning from Scratch*, section 3.6.

The weights are pickled arrays. A pickle can run any program, so this one is read by a reader that admits arrays and nothing else.
The answers are the same one by one and in batches; batches are faster, because each matrix product does more.

    python examples/mnist_given_weights.py FOLDER          FOLDER holds sample_weight.pkl and MNIST's test images and labels
    python examples/mnist_given_weights.py FOLDER DIR      draws some of the images that are read wrongly
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as tg


def load(folder):
    """The images, their labels, and the weights."""
    x, t = tg.data.load_mnist(folder, "test", dtype=np.float32)
    return x, t, tg.load(Path(folder) / "sample_weight.pkl")


def predict(p, x):
    """784-50-100-10: sigmoid, sigmoid, softmax; for one image or for a batch."""
    z1 = tg.sigmoid(x @ p["W1"] + p["b1"])
    z2 = tg.sigmoid(z1 @ p["W2"] + p["b2"])
    return tg.softmax(z2 @ p["W3"] + p["b3"])


def one_by_one(p, x, t) -> float:
    return sum(int(predict(p, image).argmax()) == label for image, label in zip(x, t, strict=True)) / len(x)


def in_batches(p, x, t, size: int = 100) -> float:
    right = 0
    for start in range(0, len(x), size):
        y = predict(p, x[start : start + size])
        right += int((y.argmax(axis=1) == t[start : start + size]).sum())
    return right / len(x)


def draw(p, x, t, file: Path) -> None:
    """The first images that are read wrongly, with what they were taken for."""
    from matplotlib.figure import Figure

    answers = predict(p, x).argmax(axis=1)
    wrong = np.flatnonzero(answers != t)[:18]
    figure = Figure(figsize=(9, 5), layout="constrained")
    for axes, number in zip(figure.subplots(3, 6).ravel(), wrong, strict=True):
        axes.imshow(x[number].reshape(28, 28), cmap="gray_r")
        axes.set_title(f"{t[number]}, taken for {answers[number]}", fontsize=9)
        axes.axis("off")
    figure.savefig(file)


def main(folder: str | None = None, directory: str | None = None) -> None:
    if folder is None:
        print("say where weights and images are: python examples/mnist_given_weights.py FOLDER")
        return
    x, t, p = load(folder)
    print("accuracy one by one:", one_by_one(p, x, t))
    print("accuracy in batches of 100:", in_batches(p, x, t))
    if directory is not None:
        file = Path(directory) / "mnist_given_weights.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        draw(p, x, t, file)
        print(f"images that are read wrongly: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
