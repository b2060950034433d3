"""Plots of a training and of a model, with Matplotlib.

Each function draws into ``axes`` if they are given, and else into a new figure, which it returns: a notebook shows it, and
``figure.savefig("curve.svg")`` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, MissingError, ShapeError
from tinygrad_edu.graph import no_grad
from tinygrad_edu.nn import Module
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.training.metrics import as_array, confusion_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tinygrad_edu.graph import Array

History = Mapping[str, Sequence[Any]]


def plot_loss(history: History, axes: Axes | None = None) -> Figure:
    """The loss of every step, and the mean of each epoch, of training and validation, on one axis of steps

    >>> import tinygrad_edu as tg
    >>> history = {"epoch": [1, 2], "loss": [2.0, 1.0], "val_loss": [1.8, 1.2], "step_loss": [2.5, 1.5, 1.1, 0.9]}
    >>> figure = tg.training.plot_loss(history)
    >>> [line.get_label() for line in figure.axes[0].get_lines()]
    ['step', 'epoch', 'validation']
    """
    figure, axes = _canvas(axes)
    steps, ends = list(history.get("step_loss", [])), _epoch_ends(history)
    if steps:
        axes.plot(range(1, len(steps) + 1), steps, color="0.75", linewidth=0.8, label="step")
    axes.plot(ends, history["loss"], marker=".", label="epoch")
    if "val_loss" in history:
        axes.plot(ends, history["val_loss"], marker=".", linestyle="--", label="validation")
    axes.set(title="Loss", xlabel="step" if steps else "epoch", ylabel="loss")
    if min(history["loss"]) >= 0:
        axes.set_ylim(bottom=0)
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def plot_accuracy(history: History, axes: Axes | None = None, metric: str = "accuracy") -> Figure:
    """A metric of training and validation against the epoch

    >>> import tinygrad_edu as tg
    >>> figure = tg.training.plot_accuracy({"epoch": [1, 2], "accuracy": [0.5, 0.75]})
    >>> figure.axes[0].get_lines()[0].get_ydata().tolist()
    [0.5, 0.75]
    """
    if metric not in history and f"val_{metric}" not in history:
        raise ArgumentError(f"plot_accuracy: {metric!r} is no column of the history, which has {', '.join(history)}")
    figure, axes = _canvas(axes)
    for name, label, style in ((metric, "training", "-"), (f"val_{metric}", "validation", "--")):
        if name in history:
            axes.plot(history["epoch"], history[name], marker=".", linestyle=style, label=label)
    share = metric == "accuracy"
    axes.set(title=metric.capitalize(), xlabel="epoch", ylabel="share of examples" if share else metric)
    axes.locator_params(axis="x", integer=True)
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def plot_history(history: History) -> Figure:
    """Loss and, if it was measured, accuracy, side by side

    >>> import tinygrad_edu as tg
    >>> figure = tg.training.plot_history({"epoch": [1, 2], "loss": [2.0, 1.0], "accuracy": [0.5, 0.75]})
    >>> [axes.get_title() for axes in figure.axes]
    ['Loss', 'Accuracy']
    """
    measured = "accuracy" in history or "val_accuracy" in history
    figure = _new_figure((9, 3.5) if measured else (5, 3.5))
    panels = np.atleast_1d(figure.subplots(1, 1 + measured))
    plot_loss(history, panels[0])
    if measured:
        plot_accuracy(history, panels[1])
    return figure


def plot_weights(model: Module) -> Figure:
    """A histogram of the numbers of every parameter

    >>> import tinygrad_edu as tg
    >>> figure = tg.training.plot_weights(tg.nn.Linear(3, 2))
    >>> [axes.get_title() for axes in figure.axes]
    ['weight (2, 3)', 'bias (2,)']
    """
    return _histograms("weights", {name: parameter.data for name, parameter in model.named_parameters()})


def plot_gradients(model: Module) -> Figure:
    """A histogram of the gradient of every parameter that has one: where all are near 0, nothing is learned

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> model = tg.nn.Linear(3, 2)
    >>> model(np.ones((4, 3))).sum().backward()
    >>> figure = tg.training.plot_gradients(model)
    >>> len(figure.axes)
    2
    """
    gradients = {name: p.grad.data for name, p in model.named_parameters() if p.grad is not None}
    if not gradients:
        raise ArgumentError("plot_gradients: no parameter has a gradient: call loss.backward() first, and zero_grad() afterwards")
    return _histograms("gradients", gradients)


def plot_confusion(target: Any, predicted: Any, labels: Iterable[Any] | None = None, axes: Axes | None = None) -> Figure:
    """`confusion_matrix` as a picture: rows are what it was, columns what it was taken for

    The colour is the share of the row, the number is the count. ``labels`` are the names of the classes.

    >>> import tinygrad_edu as tg
    >>> tg.training.plot_confusion([0, 0, 1, 1], [0, 1, 1, 1]).axes[0].get_title()
    '75.0% right'
    """
    counts = confusion_matrix(target, predicted)
    names = [str(label) for label in (range(len(counts)) if labels is None else labels)]
    if len(names) != len(counts):
        raise ShapeError(f"plot_confusion: {len(names)} labels for {len(counts)} classes")
    figure, axes = _canvas(axes, (5.5, 5))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        if counts[row, column]:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=colour, fontsize=8)
    axes.set(xlabel="taken for", ylabel="was", title=f"{np.trace(counts) / max(counts.sum(), 1):.1%} right")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    return figure


def plot_decision_boundary(
    predict: Callable[[Any], Any], x: Any, target: Any, axes: Axes | None = None, points: int = 150
) -> Figure:
    """Which class a classifier of points in the plane gives to each of them, and the examples

    ``predict`` is a model or a function from points of shape (N, 2) to outputs of shape (N, classes); ``x`` and ``target`` are
    examples, of shape (N, 2) and (N,).

    >>> import tinygrad_edu as tg
    >>> x, t = tg.data.moons(50)
    >>> figure = tg.training.plot_decision_boundary(tg.nn.Linear(2, 2), x, t, points=20)
    >>> figure.axes[0].get_title()
    'Decision regions'
    """
    inputs, t = as_array(x), as_array(target)
    if inputs.ndim != 2 or inputs.shape[1] != 2:
        raise ShapeError(f"plot_decision_boundary: examples are points of the plane, of shape (N, 2), got {inputs.shape}")
    figure, axes = _canvas(axes, (5, 5))
    margin = 0.1 * np.ptp(inputs, axis=0)
    low, high = inputs.min(axis=0) - margin, inputs.max(axis=0) + margin
    grid = np.stack(np.meshgrid(*[np.linspace(low[i], high[i], points) for i in (0, 1)]), axis=-1)
    with no_grad():
        output = as_array(predict(Tensor(grid.reshape(-1, 2).astype(inputs.dtype))))
    classes = output.argmax(axis=-1).reshape(points, points)
    # An image, and no contours: between regions 0 and 2, these would draw a line of region 1.
    sides = (low[0], high[0], low[1], high[1])
    axes.imshow(
        classes, origin="lower", extent=sides, aspect="auto", interpolation="nearest", cmap="tab10", vmin=0, vmax=9, alpha=0.25
    )
    axes.scatter(inputs[:, 0], inputs[:, 1], c=t, cmap="tab10", vmin=0, vmax=9, s=14, edgecolors="white", linewidths=0.4)
    axes.set(xlabel="x0", ylabel="x1", title="Decision regions")
    return figure


def plot_surface(
    function: Callable[[Any], Any], path: Any = None, limits: tuple[float, float] = (-3.0, 3.0), points: int = 61
) -> Figure:
    """A function of two numbers as a surface and as contours, with the path that a descent has taken

    ``function`` takes an array of shape (2,) and gives a number; ``path`` has shape (steps, 2). Both axes go over ``limits``, or as
    far as the path does.

    >>> import tinygrad_edu as tg
    >>> figure = tg.training.plot_surface(lambda x: (x**2).sum(), path=[[-3.0, 4.0], [-2.4, 3.2]], points=9)
    >>> figure.axes[1].get_lines()[0].get_xydata().tolist()
    [[-3.0, 4.0], [-2.4, 3.2]]
    """
    if path is not None:
        path = as_array(path)
        if path.ndim != 2 or path.shape[1] != 2:
            raise ShapeError(f"plot_surface: a path has shape (steps, 2), got {path.shape}")
        reach = 1.05 * np.abs(path).max() if len(path) else 0.0
        limits = (min(limits[0], -reach), max(limits[1], reach))
    grid = _grid(limits, points)
    heights = np.apply_along_axis(lambda point: _number(function(point)), -1, grid)
    figure = _new_figure((10, 4.6))
    surface: Any = figure.add_subplot(1, 2, 1, projection="3d", computed_zorder=False)
    surface.plot_surface(grid[..., 0], grid[..., 1], heights, cmap="viridis", alpha=0.9, zorder=1)
    surface.set(xlabel="x0", ylabel="x1", zlabel="f")
    plane = figure.add_subplot(1, 2, 2, aspect="equal")
    lines = plane.contour(grid[..., 0], grid[..., 1], heights, levels=15, cmap="viridis")
    plane.clabel(lines, fontsize=7)
    plane.set(xlabel="x0", ylabel="x1")
    if path is not None:
        values = [_number(function(point)) for point in path]
        surface.plot(path[:, 0], path[:, 1], values, "o-", color="tab:red", markersize=3, linewidth=1, zorder=2)
        plane.plot(path[:, 0], path[:, 1], "o-", color="tab:red", markersize=3, linewidth=1)
    return figure


def plot_gradient_field(
    gradient: Callable[[Any], Any],
    limits: tuple[float, float] = (-3.0, 3.0),
    points: int = 25,
    axes: Axes | None = None,
    descent: bool = True,
) -> Figure:
    """The gradient of a function of two numbers as arrows; those of descent, against the gradient, unless ``descent`` is False

    ``gradient`` takes an array of shape (2,) and gives one, such as ``tg.grad(f)``.

    >>> import tinygrad_edu as tg
    >>> figure = tg.training.plot_gradient_field(tg.grad(lambda x: (x**2).sum()), points=2)
    >>> figure.axes[0].collections[0].U.tolist()  # -2 x0
    [6.0, -6.0, 6.0, -6.0]
    """
    grid = _grid(limits, points)
    field = np.apply_along_axis(lambda point: as_array(gradient(point)), -1, grid)
    if field.shape != grid.shape:
        raise ShapeError(f"plot_gradient_field: the gradient at a point has shape (2,), got {field.shape[2:]}")
    arrows = -field if descent else field
    figure, axes = _canvas(axes, (5, 5))
    axes.quiver(grid[..., 0], grid[..., 1], arrows[..., 0], arrows[..., 1], np.hypot(*np.moveaxis(field, -1, 0)), angles="xy")
    axes.set(xlabel="x0", ylabel="x1", title="Direction of descent" if descent else "Gradient")
    axes.set_aspect("equal")
    return figure


# --------------------------------------------------------------------------------------------------------------- helpers


def _new_figure(size: tuple[float, float]) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingError("plots need Matplotlib, which is not installed: pip install 'tinygrad-edu[plot]'") from error
    return Figure(figsize=size, layout="constrained")


def _canvas(axes: Axes | None, size: tuple[float, float] = (5, 3.5)) -> tuple[Figure, Axes]:
    if axes is None:
        figure = _new_figure(size)
        return figure, figure.subplots()
    found: Any = axes.figure
    return found, axes


def _epoch_ends(history: History) -> list[float]:
    """Where on the axis of steps each epoch ends; without steps, its number."""
    steps, epochs = len(history.get("step_loss", [])), len(history["loss"])
    per_epoch = steps / epochs if steps and epochs else 1
    return [per_epoch * (i + 1) for i in range(epochs)]


def _histograms(what: str, arrays: Mapping[str, Array]) -> Figure:
    if not arrays:
        raise ArgumentError(f"plot_{what}: the model has no parameters")
    columns = min(len(arrays), 4)
    rows = -(-len(arrays) // columns)
    figure = _new_figure((2.6 * columns, 2.2 * rows))
    panels = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for panel, (name, array) in zip(panels, arrays.items(), strict=False):
        values = np.concatenate([array.real.ravel(), array.imag.ravel()]) if array.dtype.kind == "c" else array.ravel()
        panel.hist(values[np.isfinite(values)], bins=30, color="tab:blue")
        lost = values.size - int(np.isfinite(values).sum())
        panel.set_title(f"{name} {array.shape}" + f", {lost} not finite" * (lost > 0), fontsize=8)
        panel.tick_params(labelsize=7)
        panel.locator_params(axis="x", nbins=4)
    for panel in panels[len(arrays) :]:
        panel.set_visible(False)
    figure.suptitle(f"{what.capitalize()} of each parameter", fontsize=10)
    return figure


def _grid(limits: tuple[float, float], points: int) -> Array:
    axis = np.linspace(*limits, points)
    return np.stack(np.meshgrid(axis, axis), axis=-1)


def _number(value: Any) -> float:
    return float(as_array(value))
