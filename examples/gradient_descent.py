"""Gradient descent on a bowl: x <- x - lr * gradient, again and again, and what the learning rate does.

The gradient points uphill, so a step goes against it. On x**2 a step multiplies x by 1 - 2 lr: it shrinks for 0 < lr < 1, bounces
between two points at 1, and grows beyond.

    python examples/gradient_descent.py          prints the path's ends
    python examples/gradient_descent.py DIR      draws the path, too
"""

import functools
import sys
import warnings
from pathlib import Path

import numpy as np

import tinygrad_edu as tg


def bowl(x):
    return (x**2).sum()


def backpropagation(f):
    """The function that computes the gradient of f, as arrays."""
    return lambda x: tg.grad(f)(x).data


def numerical(f):
    return functools.partial(tg.testing.numerical_gradient, f)


def descend(f, start, lr, steps, gradient=backpropagation):
    """The points that descent visits, the start included: shape (steps + 1, ...). ``start`` is left alone."""
    gradient_at = gradient(f)
    path = [np.array(start, dtype=float)]
    for _ in range(steps):
        path.append(path[-1] - lr * gradient_at(path[-1]))
    before, after = f(path[0]), f(path[-1])
    if not after <= before:
        warnings.warn(f"diverged: f rose from {before:g} to {after:g}, so lr={lr:g} is too large", RuntimeWarning, stacklevel=2)
    return np.array(path)


def descend_aloud(*args, **options):
    """The last point, after printing the warning if there is one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = descend(*args, **options)
    for warning in caught:
        print("warning:", warning.message)
    return path[-1]


def field(f, points):
    """The gradient of f at each of many points: shape (..., 2) for points of shape (..., 2)."""
    flat = [backpropagation(f)(point) for point in points.reshape(-1, 2)]
    return np.array(flat).reshape(points.shape)


def draw(path, file: Path) -> None:
    """The bowl as a surface, the path on the field of the direction of descent, which is minus the gradient, and on x**2 what good
    and bad learning rates do."""
    from matplotlib.figure import Figure

    axis = np.linspace(-3, 3, 25)
    points = np.stack(np.meshgrid(axis, axis), axis=-1)
    downhill = -field(bowl, points)
    figure = Figure(figsize=(14, 4.6), layout="constrained")
    surface = figure.add_subplot(1, 3, 1, projection="3d")
    surface.plot_surface(points[..., 0], points[..., 1], (points**2).sum(axis=-1), cmap="viridis")
    surface.set_title("f = x0**2 + x1**2")
    plane = figure.add_subplot(1, 3, 2, aspect="equal")
    plane.quiver(points[..., 0], points[..., 1], downhill[..., 0], downhill[..., 1], color="0.6", angles="xy")
    plane.plot(*path.T, "o-", markersize=4)
    plane.set(title="descent from (-3, 4)", xlabel="x0", ylabel="x1")
    rates = figure.add_subplot(1, 3, 3)
    for lr, style in ((0.01, "-"), (0.1, "-"), (0.9, "--"), (1.0, ":"), (1.1, ":")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the last one diverges, as the picture shows
            rates.plot(descend(bowl, 3.0, lr, steps=10), style, marker=".", label=f"lr {lr}")
    rates.set(title="descent on x**2 from 3", xlabel="step", ylabel="x")
    rates.legend()
    figure.savefig(file)


def main(directory: str | None = None) -> None:
    path = descend(bowl, [-3.0, 4.0], lr=0.1, steps=100)
    print("lr 0.1 from (-3, 4):", path[1], path[2], "... after 100 steps", path[-1])
    for lr in (0.1, 0.5, 0.9, 1.0, 1.1):
        print(f"lr {lr} on x**2 from 3: after 10 steps {descend_aloud(bowl, 3.0, lr, steps=10):.10g}")
    # So far out that x + h == x, the numerical gradient is 0 and descent stops: where, is an accident of rounding.
    print("lr 10 by the numerical gradient:", descend_aloud(bowl, [-3.0, 4.0], 10, 100, numerical))
    print("lr 1e-10 by the numerical gradient:", descend_aloud(bowl, [-3.0, 4.0], 1e-10, 100, numerical))

    if directory is not None:
        file = Path(directory) / "gradient_descent.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        draw(path, file)
        print(f"the path: {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
