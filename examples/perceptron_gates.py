"""Logic gates as perceptrons: weights set by hand, and weights learned from the truth table.

A perceptron fires where w·x + b > 0, on one side of a straight line. That is enough for AND, NAND and OR, but not for XOR,
which takes two layers: by hand as AND(NAND, OR), and learned with a hidden layer.

    python examples/perceptron_gates.py          prints the truth tables
    python examples/perceptron_gates.py DIR      draws what the learned gates answer between the corners, too
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn.functional import cross_entropy

INPUTS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
BY_HAND = {"AND": ([0.5, 0.5], -0.7), "NAND": ([-0.5, -0.5], 0.7), "OR": ([0.5, 0.5], -0.2)}
TRUTH = {"AND": [0, 0, 0, 1], "NAND": [1, 1, 1, 0], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}


def step(x):
    """1 where x > 0, else 0. Its derivative is 0 wherever it has one, which is why learning uses a smooth function instead."""
    return np.where(np.asarray(x) > 0, 1, 0)


def by_hand(gate: str, x):
    """A gate with the weights of the book, for inputs of shape (..., 2)."""
    if gate == "XOR":
        return by_hand("AND", np.stack([by_hand("NAND", x), by_hand("OR", x)], axis=-1))
    w, b = BY_HAND[gate]
    return step(x @ np.array(w) + b)


def train(gate: str, seed: int = 0):
    """A net trained on a gate's truth table: a single layer, with a hidden layer before it for XOR."""
    rng = np.random.default_rng(seed)
    layers = [nn.Linear(2, 2, rng=rng)]
    if gate == "XOR":
        layers = [nn.Linear(2, 4, rng=rng), nn.Sigmoid(), nn.Linear(4, 2, rng=rng)]
    net = nn.Sequential(*layers)
    optimiser = tg.optim.SGD(net.parameters(), lr=1.0)
    for _ in range(1000):
        optimiser.zero_grad()
        cross_entropy(net(INPUTS), TRUTH[gate]).backward()
        optimiser.step()
    return net


def learned(gate: str, seed: int = 0):
    """What a gate answers that was trained on its truth table."""
    return train(gate, seed)(INPUTS).argmax(axis=1).data


def draw(file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.4), layout="constrained")
    for axes, gate in zip(figure.subplots(1, 4), TRUTH, strict=True):
        tg.training.plot_decision_boundary(train(gate), INPUTS, np.array(TRUTH[gate]), axes=axes)
        axes.set_title(gate)
    figure.savefig(file)


def main(directory: str | None = None) -> None:
    print("inputs        ", *[f"({a:.0f},{b:.0f})" for a, b in INPUTS])
    for gate in TRUTH:
        print(f"{gate:4}  by hand  ", *[f"  {y}  " for y in by_hand(gate, INPUTS)])
        print(f"{gate:4}  learned  ", *[f"  {y}  " for y in learned(gate)])

    if directory is not None:
        file = Path(directory) / "perceptron_gates.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        draw(file)
        print(f"the gates: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
