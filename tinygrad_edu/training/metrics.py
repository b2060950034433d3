"""What a model is measured by, besides the loss that it learns from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu.data import DataLoader
from tinygrad_edu.errors import ArgumentError, DTypeError, LabelError, ShapeError
from tinygrad_edu.graph import no_grad
from tinygrad_edu.nn import Module
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

    Metric: TypeAlias = Callable[[Any, Any], Any]
    Metrics: TypeAlias = Mapping[str, Metric] | Iterable[Metric | str] | str


def accuracy(output: Any, target: Any) -> float:
    """The share of examples whose largest output is that of their class

    ``output`` has shape (..., classes), ``target`` holds class numbers of shape (...), or a one-hot row for each example.

    >>> import tinygrad_edu as tg
    >>> tg.training.accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    """
    y, t = as_array(output), as_array(target)
    if t.shape == y.shape and y.ndim > 1:
        t = t.argmax(axis=-1)
    if t.shape != y.shape[:-1]:
        raise ShapeError(f"accuracy: outputs of shape {y.shape} go with classes of shape {y.shape[:-1]}, got {t.shape}")
    return float(np.mean(y.argmax(axis=-1) == t))


def confusion_matrix(target: Any, predicted: Any, classes: int | None = None) -> Array:
    """How many examples of class i (rows) were taken for class j (columns)

    ``predicted`` holds class numbers, or outputs with one more axis, whose largest is taken. Counterpart:
    ``sklearn.metrics.confusion_matrix``.

    >>> import tinygrad_edu as tg
    >>> tg.training.confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2])
    array([[1, 1, 0],
           [0, 1, 0],
           [0, 0, 1]])
    """
    t, y = as_array(target), as_array(predicted)
    if y.ndim == t.ndim + 1:
        classes = classes or y.shape[-1]
        y = y.argmax(axis=-1)
    if t.shape != y.shape or t.dtype.kind not in "iu" or y.dtype.kind not in "iu":
        raise ShapeError(
            f"confusion_matrix: targets are integers and predictions match them, got {t.dtype} of shape {t.shape} and {y.dtype} "
            f"of shape {y.shape}"
        )
    if t.size == 0 and classes is None:
        raise ArgumentError("confusion_matrix: of no examples, say how many classes there are")
    count = classes if classes is not None else int(max(t.max(), y.max())) + 1
    if t.size and (min(t.min(), y.min()) < 0 or max(t.max(), y.max()) >= count):
        raise LabelError(f"confusion_matrix: classes are 0 to {count - 1}, and {t.min()} to {max(t.max(), y.max())} are there")
    return np.bincount(t.ravel() * count + y.ravel(), minlength=count * count).reshape(count, count)


def evaluate(model: Module, loader: Any, loss: Metric | None = None, metrics: Metrics = ()) -> dict[str, float]:
    """The means over all examples of ``loss`` and of each metric, in evaluation mode and without recording

    ``loader`` gives batches whose last part is the target, or is a tuple of arrays. The model's mode is put back afterwards.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> (x, t), _ = tg.data.load_digits()
    >>> model = tg.nn.Linear(64, 10, rng=np.random.default_rng(0))
    >>> found = tg.training.evaluate(model, (x, t), tg.nn.functional.cross_entropy, "accuracy")
    >>> sorted(found), 0 < found["accuracy"] < 0.3
    (['accuracy', 'loss'], True)
    """
    measured = {**({"loss": loss} if loss is not None else {}), **named_metrics(metrics)}
    totals, count = dict.fromkeys(measured, 0.0), 0
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            for batch in as_loader(loader):
                *inputs, target = batch
                output, size = model(*inputs), len(target)
                for name, metric in measured.items():
                    totals[name] += number(metric(output, target)) * size
                count += size
    finally:
        for module, mode in modes:
            module.training = mode
    return {name: total / count for name, total in totals.items()}


def named_metrics(metrics: Metrics) -> dict[str, Metric]:
    """Metrics by their names: a function's own, unless a dictionary gives another."""
    if isinstance(metrics, Mapping):
        return dict(metrics)
    named: dict[str, Metric] = {}
    for metric in [metrics] if isinstance(metrics, str) or callable(metrics) else metrics:
        if isinstance(metric, str):
            if metric not in KNOWN:
                raise ArgumentError(f"the metric {metric!r} is not known; there are {', '.join(KNOWN)}, or pass a function")
            named[metric] = KNOWN[metric]
        else:
            named[metric.__name__] = metric
    return named


KNOWN: dict[str, Metric] = {"accuracy": accuracy}


def as_loader(value: Any) -> Any:
    """A loader as it is; a tuple of arrays in batches that fit into memory with ease."""
    if isinstance(value, tuple):
        return DataLoader(value, batch_size=500)
    if not hasattr(value, "__iter__"):
        raise DTypeError(f"a loader gives batches when it is iterated over, such as a DataLoader; got a {type(value).__name__}")
    return value


def as_array(value: Any) -> Array:
    """The numbers of an array, a list or a tensor."""
    return value.data if isinstance(value, Tensor) else np.asarray(value)


def number(value: Any) -> float:
    """A Python number."""
    return float(value.item() if hasattr(value, "item") else value)
