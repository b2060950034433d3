"""Differentiating a derivative: a net that is trained to have a given slope, by a penalty on its gradient.

The data are noisy values of a sine. The penalty is the squared derivative of the net by its input, so its gradient needs
backpropagation through backpropagation: ``create_graph=True`` records the first backward pass, for the second to go through. The
larger the penalty, the smoother the curve.

    python examples/gradient_penalty.py          prints the mean squared slope, with and without the penalty
    python examples/gradient_penalty.py DIR      draws the curves
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn


def slope(net, x, record: bool = False):
    """The derivative of the net's output by its input, at each x; recorded if it is to be differentiated itself."""
    x = tg.Tensor(x, requires_grad=True)
    net(x).sum().backward(create_graph=record)
    return x.grad


def train(penalty: float, steps: int = 800):
    x, y = tg.data.sine(24, noise=0.25, seed=2)
    everywhere = np.linspace(0, 1, 60)[:, None]  # between the data, too, or the net would be steep there
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(1, 32, rng=rng), nn.Tanh(), nn.Linear(32, 32, rng=rng), nn.Tanh(), nn.Linear(32, 1, rng=rng))
    optimizer = tg.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(steps):
        loss = nn.functional.mse_loss(net(x), y)
        if penalty:
            loss = loss + penalty * (slope(net, everywhere, record=True) ** 2).mean()
        optimizer.zero_grad()  # the slope's backward pass has left gradients in the parameters, too
        loss.backward()
        optimizer.step()
    return net


def main(directory: str | None = None) -> None:
    grid = np.linspace(0, 1, 200)[:, None]
    nets = {penalty: train(penalty) for penalty in (0.0, 0.001, 0.01)}
    for penalty, net in nets.items():
        print(f"penalty {penalty}: mean squared slope {(slope(net, grid).data ** 2).mean():.1f}")

    if directory is not None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot(*tg.data.sine(24, noise=0.25, seed=2), "k.", label="data")
        axes.plot(grid, np.sin(2 * np.pi * grid), color="0.7", label="the sine")
        with tg.no_grad():
            for penalty, net in nets.items():
                axes.plot(grid, net(grid).data, label=f"penalty {penalty}")
        axes.legend()
        file = Path(directory) / "gradient_penalty.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)
        print(f"the curves: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
