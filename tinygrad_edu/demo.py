"""The demo of the command line: train a small net, check its gradients, and leave a graph, a table and a curve in a directory."""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_edu.data import DataLoader, load_digits
from tinygrad_edu.errors import GradientMismatchError, MissingError
from tinygrad_edu.graph import no_grad
from tinygrad_edu.nn import Linear, Module
from tinygrad_edu.nn.functional import cross_entropy, sigmoid
from tinygrad_edu.optim import SGD
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.testing import numerical_gradient

if TYPE_CHECKING:
    from tinygrad_edu.data.digits import Split
    from tinygrad_edu.graph import Array

BATCH_SIZE = 10
LEARNING_RATE = 0.5
CHECKED = 5  # examples in the batch on which gradients are checked
TOLERANCE = 1e-6


class TwoLayerNet(Module):
    """64 pixels, 50 hidden units, 10 digits: the net of *Deep Learning from Scratch*, section 4.5, for smaller images."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.hidden = Linear(64, 50, rng=rng)
        self.output = Linear(50, 10, rng=rng)

    def forward(self, x: Any) -> Any:
        return self.output(sigmoid(self.hidden(x)))


class Epoch(NamedTuple):
    """One line of the history. ``loss`` is the mean over the epoch's batches, the accuracies are those after it."""

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float


def run(epochs: int, out: Path, seed: int) -> None:
    """The whole demo. The same seed gives the same numbers.

    Raises OSError when ``out`` cannot be written to, before anything is computed.
    """
    _make_writable(out)
    split = load_digits(seed=seed)
    (x_train, _), (x_test, t_test) = split
    net = TwoLayerNet(np.random.default_rng(seed))
    print(f"handwritten digits: {len(x_train)} images to train on, {len(x_test)} to test, seed {seed}")
    print(net)
    print("epoch    loss   train    test", flush=True)
    history = list(train(net, split, epochs, seed))

    worst = gradient_error(net, x_test[:CHECKED], t_test[:CHECKED])
    count = sum(parameter.size for parameter in net.parameters())
    if not worst <= TOLERANCE:
        raise GradientMismatchError(f"the gradients differ from numerical ones by {worst:.1e} of the largest")
    print(f"gradients: all {count:,} agree with numerical ones; worst error {worst:.1e} of the largest", flush=True)

    print(write_history(history, out / "history.csv"))
    print(draw_graph(net, x_test[:CHECKED], t_test[:CHECKED], out))
    print(draw_curve(history, out / "loss.svg"))


def _make_writable(out: Path) -> None:
    """Make the directory, and find out now whether files can be made in it."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from error  # it names the file that it tried to make


def train(net: Module, split: Split, epochs: int, seed: int) -> Iterator[Epoch]:
    """Mini-batch gradient descent: yields what each epoch came to and prints it, under a progress bar on a terminal."""
    from tqdm import tqdm

    (x_train, t_train), (x_test, t_test) = split
    batches = DataLoader((x_train, t_train), BATCH_SIZE, shuffle=True, seed=seed)
    optimiser = SGD(net.parameters(), LEARNING_RATE)
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    with tqdm(total=epochs * len(batches), unit="step", leave=False, disable=not on_terminal) as bar:
        for epoch in range(1, epochs + 1):
            losses = []
            for x, t in batches:
                optimiser.zero_grad()
                loss = cross_entropy(net(x), t)
                loss.backward()
                optimiser.step()
                losses.append(loss.item())
                bar.update()
            line = Epoch(epoch, float(np.mean(losses)), accuracy(net, x_train, t_train), accuracy(net, x_test, t_test))
            with bar.external_write_mode():
                print("{:5d}  {:.4f}  {:.4f}  {:.4f}".format(*line), flush=True)
            yield line


def accuracy(net: Module, x: Array, t: Array) -> float:
    """The share of images whose largest output is that of their label."""
    with no_grad():
        return float(np.mean(net(x).data.argmax(axis=1) == t))


def gradient_error(net: Module, x: Array, t: Array) -> float:
    """The largest difference between a derivative that backward() computes and the numerical one, over all parameters,
    relative to the largest derivative."""
    # Where a net has learned well, its gradient is lost in rounding. With the labels of other digits it is large.
    t = (t + 1) % 10
    net.zero_grad()
    cross_entropy(net(x), t).backward()
    analytic, numerical = [], []
    for parameter in net.parameters():
        assert parameter.grad is not None
        analytic.append(parameter.grad.data.ravel())
        numerical.append(_numerical(parameter, net, x, t).ravel())
    expected = np.concatenate(numerical)
    return float(np.abs(np.concatenate(analytic) - expected).max() / np.abs(expected).max())


def _numerical(parameter: Tensor, net: Module, x: Array, t: Array) -> Array:
    before = parameter.numpy()

    def loss(value: Array) -> Any:
        parameter.data = value
        return cross_entropy(net(x), t)

    try:
        gradient: Array = numerical_gradient(loss, before)
        return gradient
    finally:
        parameter.data = before


# ------------------------------------------------------------------------------------------------- what is left in the directory


def write_history(history: list[Epoch], path: Path) -> str:
    """The numbers of all epochs, to the last digit."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Epoch._fields)
        writer.writerows(history)
    return f"{path}: loss and accuracies of every epoch"


def draw_graph(net: Module, x: Array, t: Array, out: Path) -> str:
    """The recorded graph of one loss, as a picture if Graphviz is there and as its source if not."""
    loss = cross_entropy(net(Tensor(x, name="x")), Tensor(t, name="t"))
    loss.name = "loss"
    graph = loss.graph(show=("shape",))
    try:
        graph.render(out / "graph.svg")
    except MissingError:
        graph.render(out / "graph.dot")
        return f"{out / 'graph.dot'}: the graph of one loss; for a picture, pip install 'tinygrad-edu[render]'"
    return f"{out / 'graph.svg'}: the graph of one loss"


def draw_curve(history: list[Epoch], path: Path) -> str:
    """Loss and accuracies against the epoch. The same history gives the same file."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        return f"{path} was not drawn: that needs Matplotlib, pip install 'tinygrad-edu[plot]'"
    epochs, losses, train, test = zip(*history, strict=True)
    with rc_context({"svg.hashsalt": "tinygrad_edu"}):  # otherwise the file's ids are random
        figure = Figure(figsize=(9, 3.5), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(epochs, losses, marker=".")
        left.set(title="Loss", xlabel="epoch", ylabel="mean cross-entropy", ylim=(0, None))
        right.plot(epochs, train, marker=".", label="train")
        right.plot(epochs, test, marker=".", linestyle="--", label="test")
        right.set(title="Accuracy", xlabel="epoch", ylabel="share of images")
        right.legend()
        for axes in (left, right):
            axes.grid(alpha=0.3)
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.savefig(path, metadata={"Date": None})
    return f"{path}: the loss curve"
