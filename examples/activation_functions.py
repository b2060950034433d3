"""Step, sigmoid and ReLU: why nets learn with the last two.

The step function's derivative is 0 wherever it has one, so descent would never move. The sigmoid is a step made smooth; ReLU is a
ramp whose derivative is 1 on its whole right half.

    python examples/activation_functions.py          prints values and derivatives
    python examples/activation_functions.py DIR      draws the three in one plot
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as tg


def step(x):
    """1 where x > 0, else 0."""
    return np.where(np.asarray(x) > 0, 1, 0)


def derivative(function, x):
    return tg.grad(lambda x: function(x).sum())(x).data


def draw(file: Path) -> None:
    from matplotlib.figure import Figure

    x = np.linspace(-5, 5, 401)
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(x, step(x), "--", label="step")
    axes.plot(x, tg.sigmoid(x), label="sigmoid")
    axes.plot(x, tg.relu(x), ":", label="ReLU")
    axes.set(xlabel="x", ylim=(-0.1, 2))
    axes.legend()
    figure.savefig(file)


def main(directory: str | None = None) -> None:
    x = np.array([-1.0, 2.0, 3.0])
    print("x           ", x)
    print("step(x)     ", step(x))
    print("sigmoid(x)  ", tg.sigmoid(x))
    print("sigmoid'(x) ", derivative(tg.sigmoid, x))
    print("relu(x)     ", tg.relu(x))
    print("relu'(x)    ", derivative(tg.relu, x))

    if directory is not None:
        file = Path(directory) / "activation_functions.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        draw(file)
        print(f"the plot: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
