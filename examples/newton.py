"""Newton's method: a step to the bottom of the parabola that fits best, with second derivatives.

A descent step uses the gradient only, and creeps along a narrow valley. Newton's divides by the curvature: x <- x - H⁻¹ gradient.
Near the minimum, each step doubles the number of right digits.

    python examples/newton.py          prints both paths
    python examples/newton.py DIR      draws them on the contours
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as tg


def rosenbrock(x):
    """A curved valley with its lowest point at (1, 1)."""
    return (1 - x[0]) ** 2 + 5 * (x[1] - x[0] ** 2) ** 2


def newton(f, start, steps):
    path = [np.array(start, float)]
    for _ in range(steps):
        x = path[-1]
        path.append(x - np.linalg.solve(tg.hessian(f)(x).data, tg.grad(f)(x).data))
    return np.array(path)


def descend(f, start, lr, steps):
    path = [np.array(start, float)]
    for _ in range(steps):
        path.append(path[-1] - lr * tg.grad(f)(path[-1]).data)
    return np.array(path)


def square_root(a: float, x: float, steps: int) -> list[float]:
    """Roots of x**2 - a, where Newton's method is x <- x - f / f': the first method for square roots there was."""
    found = [x]
    for _ in range(steps):
        value, slope = tg.value_and_grad(lambda x: x**2 - a)(found[-1])
        found.append(found[-1] - (value / slope).item())
    return found


def main(directory: str | None = None) -> None:
    start = [-1.5, 2.0]
    newtons, descents = newton(rosenbrock, start, 8), descend(rosenbrock, start, 0.01, 200)
    for step in (0, 2, 4, 6, 8):
        print(f"Newton after {step} steps: {np.abs(newtons[step] - 1).max():.1e} from the minimum")
    print(f"descent after 200 steps: {np.abs(descents[-1] - 1).max():.1e} from the minimum")
    print("the square root of 2:", *[f"{x:.12f}" for x in square_root(2.0, 1.0, 4)])

    if directory is not None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 4.5), layout="constrained")
        axes = figure.subplots()
        x0, x1 = np.meshgrid(np.linspace(-2, 2, 200), np.linspace(-1.5, 3, 200))
        axes.contour(x0, x1, rosenbrock([x0, x1]), levels=np.geomspace(0.1, 200, 14), cmap="viridis", linewidths=0.8)
        axes.plot(*descents.T, ".-", color="tab:orange", markersize=3, linewidth=0.8, label="descent, 200 steps")
        axes.plot(*newtons.T, "o-", color="tab:red", markersize=4, label="Newton, 8 steps")
        axes.plot(1, 1, "k*", markersize=12)
        axes.set(xlabel="x0", ylabel="x1", xlim=(-2, 2), ylim=(-1.5, 3))
        axes.legend()
        file = Path(directory) / "newton.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)
        print(f"the paths: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
