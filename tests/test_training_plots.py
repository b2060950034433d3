"""Plots: what they show is what they were given, and what they refuse."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, training
from tinygrad_edu.errors import ArgumentError, MissingError, ShapeError

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")

HISTORY = {
    "epoch": [1, 2, 3],
    "lr": [0.1] * 3,
    "loss": [2.0, 1.5, 1.2],
    "val_loss": [2.1, 1.7, 1.6],
    "accuracy": [0.3, 0.6, 0.7],
    "val_accuracy": [0.2, 0.5, 0.6],
    "step_loss": [2.2, 1.8, 1.6, 1.4, 1.3, 1.1],
}


def drawn(figure, tmp_path) -> None:
    """A figure can be written, and is not empty."""
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 2000


def net():
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(2, 16, rng=rng), nn.ReLU(), nn.Linear(16, 3, rng=rng))


def test_curves(tmp_path):
    figure = training.plot_history(HISTORY)
    loss, accuracy = figure.axes
    lines = {line.get_label(): line for line in loss.get_lines()}
    assert lines["step"].get_ydata().tolist() == HISTORY["step_loss"]
    assert lines["epoch"].get_xdata().tolist() == [2, 4, 6]  # at the last of their steps
    assert lines["validation"].get_ydata().tolist() == HISTORY["val_loss"]
    assert [line.get_label() for line in accuracy.get_lines()] == ["training", "validation"]
    assert accuracy.get_lines()[0].get_ydata().tolist() == HISTORY["accuracy"]
    drawn(figure, tmp_path)
    assert len(training.plot_history({"epoch": [1], "loss": [1.0]}).axes) == 1
    assert training.plot_loss(HISTORY, loss) is figure
    with pytest.raises(ArgumentError, match="plot_accuracy: 'f1' is no column of the history, which has epoch, lr"):
        training.plot_accuracy(HISTORY, metric="f1")


def test_histograms(tmp_path):
    model = net()
    with pytest.raises(ArgumentError, match=r"no parameter has a gradient: call loss.backward\(\) first"):
        training.plot_gradients(model)
    x, t = tg.data.spiral(60)
    nn.functional.cross_entropy(model(x), t).backward()
    for plot, arrays in (
        (training.plot_weights, [p.data for p in model.parameters()]),
        (training.plot_gradients, [p.grad.data for p in model.parameters()]),
    ):
        figure = plot(model)
        panels = [axes for axes in figure.axes if axes.get_visible()]
        assert [sum(bar.get_height() for bar in axes.patches) for axes in panels] == [array.size for array in arrays]
        assert panels[0].get_title().startswith("0.weight (")
        drawn(figure, tmp_path)
    next(model.parameters()).data[0, 0] = np.inf
    assert training.plot_weights(model).axes[0].get_title().endswith("1 not finite")
    with pytest.raises(ArgumentError, match="plot_weights: the model has no parameters"):
        training.plot_weights(nn.ReLU())


def test_confusion(tmp_path):
    figure = training.plot_confusion([0, 0, 1, 2], [0, 1, 1, 2], labels="abc")
    (axes,) = figure.axes
    assert sorted(text.get_text() for text in axes.texts) == ["1"] * 4
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert axes.get_title() == "75.0% right"
    drawn(figure, tmp_path)
    with pytest.raises(ShapeError, match="2 labels for 3 classes"):
        training.plot_confusion([0, 1, 2], [0, 1, 2], labels="ab")


def test_decision_boundary(tmp_path):
    x, t = tg.data.spiral(60)
    seen = []

    def quadrants(points):
        seen.append(points.shape)
        return np.stack([points.data[:, 0], -points.data[:, 0]], axis=1)

    figure = training.plot_decision_boundary(quadrants, x, t, points=20)
    assert seen == [(400, 2)]
    axes = figure.axes[0]
    assert len(axes.collections[-1].get_offsets()) == 60
    regions = axes.get_images()[0]
    left, right, bottom, top = regions.get_extent()
    assert left < x[:, 0].min() < x[:, 0].max() < right
    assert bottom < x[:, 1].min() < x[:, 1].max() < top
    columns = np.linspace(left, right, 20)
    np.testing.assert_array_equal(regions.get_array(), np.broadcast_to(columns < 0, (20, 20)))  # class 1 on the left
    drawn(figure, tmp_path)
    drawn(training.plot_decision_boundary(net(), x, t), tmp_path)
    with pytest.raises(ShapeError, match=r"examples are points of the plane, of shape \(N, 2\), got \(60, 3\)"):
        training.plot_decision_boundary(quadrants, np.zeros((60, 3)), t)


def test_surface_with_a_path(tmp_path):
    f = lambda x: (x**2).sum()
    path = np.array([[-3.0, 4.0], [-2.4, 3.2], [-1.92, 2.56]])
    figure = training.plot_surface(f, path, points=15)
    surface, plane = figure.axes
    np.testing.assert_array_equal(plane.get_lines()[0].get_xydata(), path)
    assert plane.get_xlim()[1] >= 4
    np.testing.assert_allclose(surface.get_lines()[0].get_data_3d()[2], [25, 16, 10.24])
    drawn(figure, tmp_path)
    assert not training.plot_surface(f, points=5).axes[1].get_lines()
    with pytest.raises(ShapeError, match=r"a path has shape \(steps, 2\), got \(3,\)"):
        training.plot_surface(f, [1, 2, 3])


def test_gradient_field(tmp_path):
    gradient = tg.grad(lambda x: (x**2).sum())
    for descent, sign in ((True, -2), (False, 2)):
        figure = training.plot_gradient_field(gradient, points=5, descent=descent)
        (arrows,) = figure.axes[0].collections
        x, y = arrows.XY.T
        np.testing.assert_allclose(arrows.U, sign * x)
        np.testing.assert_allclose(arrows.V, sign * y)
    drawn(figure, tmp_path)
    with pytest.raises(ShapeError, match=r"the gradient at a point has shape \(2,\), got \(3,\)"):
        training.plot_gradient_field(lambda x: np.zeros(3), points=3)


def test_without_matplotlib_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingError, match=r"plots need Matplotlib, which is not installed: pip install 'tinygrad-edu\[plot\]'"):
        training.plot_history(HISTORY)
