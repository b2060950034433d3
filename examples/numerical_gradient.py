"""The numerical gradient checks the analytic one, and shows why nobody trains with it.

A central difference needs two evaluations of the function for every parameter; backpropagation gets all derivatives from one pass
forward and one backward. Right when both agree: one is a definition, the other a chain of rules.

    python examples/numerical_gradient.py          prints derivatives, numerical and analytic, and what they cost
    python examples/numerical_gradient.py DIR      draws the curve with two of its tangents, too
"""

import sys
import time
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.nn.functional import cross_entropy, sigmoid


def sum_of_squares(x):
    return (x**2).sum()


class TwoLayerNet:
    """Sigmoid units between inputs and classes, with weights 0.01 N(0, 1)."""

    def __init__(self, inputs: int, hidden: int, classes: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        arrays = {
            "W1": 0.01 * rng.standard_normal((inputs, hidden)),
            "b1": np.zeros(hidden),
            "W2": 0.01 * rng.standard_normal((hidden, classes)),
            "b2": np.zeros(classes),
        }
        self.params = {name: tg.Tensor(array, requires_grad=True, name=name) for name, array in arrays.items()}

    def loss(self, x, t, **changed):
        p = {**self.params, **changed}
        return cross_entropy(sigmoid(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"], t)

    def size(self) -> int:
        return sum(parameter.size for parameter in self.params.values())


def seconds(function) -> float:
    """How long a call takes: the shortest of ten, which is the least disturbed one."""
    times = []
    for _ in range(10):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def curve(x):
    return 0.01 * x**2 + 0.1 * x


def partial_derivatives():
    """One number moves, the other is held: a partial derivative is an ordinary one."""
    by_x0 = tg.testing.numerical_diff(lambda x0: x0 * x0 + 4.0**2.0, 3.0)
    by_x1 = tg.testing.numerical_diff(lambda x1: 3.0**2.0 + x1 * x1, 4.0)
    return by_x0, by_x1


def tangent(f, x):
    """The line through (x, f(x)) with the numerical slope of f there."""
    slope = tg.testing.numerical_diff(f, x)
    return lambda t: slope * (t - x) + f(x)


def draw(file: Path) -> None:
    """The curve, and its tangents at 5 and at 10."""
    from matplotlib.figure import Figure

    x = np.linspace(0, 20, 200)
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(x, curve(x), color="black", label="0.01 x² + 0.1 x")
    for point in (5, 10):
        slope = tg.testing.numerical_diff(curve, point)
        axes.plot(x, tangent(curve, point)(x), "--", label=f"tangent at {point}, slope {slope:.1f}")
        axes.plot(point, curve(point), "ko")
    axes.set(xlabel="x", ylabel="f(x)")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(file)


def main(directory: str | None = None) -> None:
    print("derivative of 0.01 x**2 + 0.1 x at 5:", tg.testing.numerical_diff(curve, 5))
    print("its tangent at 5 passes 0, 5 and 10 at", *[f"{tangent(curve, 5)(t):.2f}" for t in (0, 5, 10)])
    print("partial derivatives of x0**2 + x1**2 at (3, 4):", *partial_derivatives())
    for point in ([3.0, 4.0], [0.0, 2.0], [3.0, 0.0]):
        numerical = tg.testing.numerical_gradient(sum_of_squares, np.array(point))
        analytic = tg.grad(sum_of_squares)(point)
        print(f"gradient of the sum of squares at {point}: numerical {numerical.round(6)}, analytic {analytic.data}")

    rng = np.random.default_rng(0)
    net, x, t = TwoLayerNet(8, 5, 3), rng.random((10, 8)), rng.integers(0, 3, 10)
    net.loss(x, t).backward()
    for name, parameter in net.params.items():
        numerical = tg.testing.numerical_gradient(lambda array, name=name: net.loss(x, t, **{name: array}), parameter.numpy())
        error = np.abs(numerical - parameter.grad.data).max()
        assert error < 1e-9, f"{name}: {error}"
        print(f"{name} of an 8-5-3 net, {parameter.size} derivatives: numerical and analytic agree to 1e-9")

    net, x, t = TwoLayerNet(784, 50, 10), rng.random((100, 784)), rng.integers(0, 10, 100)
    evaluations = 2 * net.size()
    with tg.no_grad():
        one_evaluation = seconds(lambda: net.loss(x, t))
    backpropagation = seconds(lambda: net.loss(x, t).backward())
    print(f"one numerical gradient of a 784-50-10 net takes {evaluations:,} evaluations of the loss")
    print(f"  here about {evaluations * one_evaluation:.0f} s; backpropagation takes {backpropagation * 1000:.1f} ms")

    if directory is not None:
        file = Path(directory) / "numerical_gradient.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        draw(file)
        print(f"the tangents: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
