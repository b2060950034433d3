"""Two losses of one answer: half the sum of squares, and cross-entropy: *Deep Learning from Scratch*, section 4.2.

The net gives probabilities y for ten digits, and the digit was a 2. Cross-entropy looks only at what the right one was given; the
small number that the book adds inside the logarithm keeps it finite, and moves the loss a little.

    python examples/losses.py          prints the losses of a good answer and of a bad one
    python examples/losses.py DIR      draws both losses against the probability of the right digit
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as tg

GOOD = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
BAD = np.array([0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0])
T = np.eye(10)[2]


def half_sum_of_squares(y, t):
    return 0.5 * ((y - t) ** 2).sum()


def sum_of_squares(y, t):
    return ((y - t) ** 2).sum()


def book_cross_entropy(y, t):
    """With 1e-7 in the logarithm, so that it is finite for y = 0."""
    return -(t * tg.log(y + 1e-7)).sum()


def exact_cross_entropy(y, t):
    """Only the right one's probability is looked at, so a 0 elsewhere does no harm."""
    return -tg.log(y[t.argmax()])


def draw(file: Path) -> None:
    from matplotlib.figure import Figure

    p = np.linspace(0.01, 1, 200)
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(p, -np.log(p), label="cross-entropy, −ln y")
    axes.plot(p, 0.5 * (1 - p) ** 2, "--", label="half the square, ½ (y − 1)²")
    axes.set(xlabel="probability y of the right digit", ylabel="loss", ylim=(0, 4.7))
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(file)


def main(directory: str | None = None) -> None:
    for name, y in (("good", GOOD), ("bad", BAD)):
        print(f"{name} answer, y of the 2 is {y[2]}")
        for loss in (half_sum_of_squares, sum_of_squares, book_cross_entropy, exact_cross_entropy):
            print(f"  {loss.__name__:20}{loss(tg.Tensor(y), T).item()!r}")
    rng = np.random.default_rng(0)
    logits, labels = tg.Tensor(rng.standard_normal((5, 10))), np.array([2, 0, 9, 2, 5])
    singly = [tg.nn.functional.cross_entropy(logits[i], labels[i]).item() for i in range(5)]
    one_hot = tg.nn.functional.cross_entropy(logits, np.eye(10)[labels]).item()
    batch = tg.nn.functional.cross_entropy(logits, labels).item()
    print(f"a batch's loss is the mean of its examples': {np.allclose(batch, np.mean(singly))}")
    print(f"labels as numbers or one-hot, it is the same: {np.allclose(batch, one_hot)}")

    if directory is not None:
        file = Path(directory) / "losses.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        draw(file)
        print(f"the plot: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
