"""Losses of scores against classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, LabelError, ShapeError
from tinygrad_edu.ops.indexing import take_along_axis
from tinygrad_edu.ops.loss import log_softmax, softmax_cross_entropy
from tinygrad_edu.ops.reduction import mean, sum
from tinygrad_edu.ops.select import maximum, where
from tinygrad_edu.ops.shape import moveaxis, squeeze
from tinygrad_edu.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def as_numbers(x: Any) -> Any:
    """The array of a tensor, or what was given as an array."""
    return x.data if isinstance(x, Tensor) else np.asarray(x)


def check_reduction(name: str, reduction: str, allowed: tuple[str, ...] = REDUCTIONS) -> None:
    if reduction not in allowed:
        raise ArgumentError(f"{name}: reduction is {', '.join(allowed[:-1])} or {allowed[-1]}, not {reduction!r}")


def reduced(name: str, y: Any, reduction: str, allowed: tuple[str, ...] = REDUCTIONS) -> Any:
    """The mean of a loss, its sum, or all of it."""
    check_reduction(name, reduction, allowed)
    if reduction == "mean" and not np.size(y):
        raise ShapeError(f"{name}: inputs of shape {np.shape(y)} are empty: a mean of nothing has no value")
    return mean(y) if reduction == "mean" else sum(y) if reduction == "sum" else y


def _classes_last(name: str, scores: Any) -> Any:
    """PyTorch's (N, C, …), with the classes moved to the end; (C,) as it is."""
    if not np.ndim(scores):
        raise LabelError(f"{name}: the scores are (classes,), (batch, classes) or (batch, classes, ...), got a single number")
    return scores if np.ndim(scores) < 3 else moveaxis(scores, 1, -1)


def _checked_classes(name: str, shape: tuple[int, ...], target: Any, ignore_index: int) -> tuple[Any, Any]:
    """Class numbers that can be looked up, and where they count."""
    target = as_numbers(target)
    rows, classes = shape[:-1], shape[-1]
    if target.shape != rows or target.dtype.kind not in "iu":
        why = "; a column of class numbers becomes a vector with target.reshape(-1)" if target.shape == (*rows, 1) else ""
        why = why or ("; class numbers are integers: convert them with target.astype(int)" if target.shape == rows else "")
        raise LabelError(
            f"{name}: scores for {classes} classes and {rows} examples go with class numbers of that shape, got shape "
            f"{target.shape} and dtype {target.dtype}{why}"
        )
    counts = target != ignore_index
    wrong = counts & ((target < 0) | (target >= classes))
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        raise LabelError(f"{name}: label {target[place]} at {place} is outside 0..{classes - 1}: there are {classes} classes")
    return np.where(counts, target, 0), counts


def _checked_weight(name: str, weight: Any, classes: int) -> Any:
    if weight is not None and np.shape(weight) != (classes,):
        raise ShapeError(f"{name}: weight has one number for each of the {classes} classes, got shape {np.shape(weight)}")
    return None if weight is None else as_numbers(weight)


def _picked(x: Any, target: Any) -> Any:
    return squeeze(take_along_axis(x, target[..., None], -1), -1)


def _mean_of_weighted(name: str, y: Any, weights: Any, reduction: str) -> Any:
    check_reduction(name, reduction)
    if reduction == "none":
        return y
    total = sum(y)
    if reduction == "sum":
        return total
    size = weights.sum()
    if size == 0:
        raise LabelError(f"{name}: every target is ignored or weighs 0: a mean of nothing has no value")
    return total / size


def nll_loss(input: Any, target: Any, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """y = mean of −w[t] x[t]        ∂L/∂x = −g w[t] / Σ w[t] at t

    ``input`` x are logarithms of probabilities, (N, C), (C,) or (N, C, …), and ``target`` class numbers, (N,), () or (N, …). Those
    that are ``ignore_index`` do not count. ``weight`` has a number for each class; the mean is a weighted one. Counterpart:
    ``torch.nn.functional.nll_loss``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.nll_loss(tg.Tensor(np.log([[0.5, 0.5], [0.25, 0.75]])), [0, 0])
    Tensor(1.03972077)
    """
    x = _classes_last("nll_loss", input)
    classes, counts = _checked_classes("nll_loss", np.shape(x), target, ignore_index)
    weight = _checked_weight("nll_loss", weight, np.shape(x)[-1])
    dtype = as_numbers(x).dtype
    weights = (counts if weight is None else counts * weight[classes]).astype(dtype)
    y = where(counts, -_picked(x, classes) * weights, 0)
    return _mean_of_weighted("nll_loss", y, weights, reduction)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """y = mean of −Σ w t ln softmax(z)        ∂L/∂z = g (softmax(z) − t) / N  (w = 1)

    ``input`` z are logits before any softmax, (N, C), (C,) or (N, C, …): classes stand on the second axis. ``target`` holds class
    numbers, (N,), () or (N, …), or distributions t of the logits' shape.

    Parameters
    ----------
    weight: a number for each class; the mean over class numbers is then a weighted one.
    ignore_index: a class number that does not count.
    reduction: "mean", "sum" or "none".
    label_smoothing: how much of each target is spread over all classes, from 0 to 1.

    Raises `LabelError` for labels that do not fit, with what to do. Counterpart: ``torch.nn.functional.cross_entropy``; the
    SoftmaxWithLoss of *Deep Learning from Scratch*, section 5.6.3.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.cross_entropy(tg.Tensor([[0.0, 0.0]]), [1])
    Tensor(0.69314718)
    """
    z = _classes_last("cross_entropy", input)
    shape = np.shape(z)
    soft = np.shape(target) == np.shape(input)
    labels = moveaxis(target, 1, -1) if soft and len(shape) > 2 else target
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"cross_entropy: label_smoothing is a number from 0 to 1, got {label_smoothing!r}")
    numbers = as_numbers(labels)
    if weight is None and not label_smoothing and (soft or not (numbers == ignore_index).any()):
        return softmax_cross_entropy(z, labels, reduction)
    weight = _checked_weight("cross_entropy", weight, shape[-1])
    log_p = log_softmax(z)
    weighted = log_p if weight is None else log_p * weight.astype(as_numbers(log_p).dtype)
    if soft:
        spread = labels * (1 - label_smoothing) + label_smoothing / shape[-1]
        return reduced("cross_entropy", -sum(spread * weighted, axis=-1), reduction)
    classes, counts = _checked_classes("cross_entropy", shape, labels, ignore_index)
    dtype = as_numbers(log_p).dtype
    weights = (counts if weight is None else counts * weight[classes]).astype(dtype)
    y = -_picked(weighted, classes)
    if label_smoothing:
        y = (1 - label_smoothing) * y - (label_smoothing / shape[-1]) * sum(weighted, axis=-1)
    return _mean_of_weighted("cross_entropy", where(counts, y, 0), weights, reduction)


def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, *, reduction: str = "mean"
) -> Any:
    """y = mean of Σ w[t] max(0, margin − x[t] + x[i])ᵖ / C, over the classes i that are not t

    The hinge loss for several classes. ``input`` x are scores (N, C) or (C,), ``target`` class numbers, ``p`` 1 or 2. Counterpart:
    ``torch.nn.functional.multi_margin_loss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.multi_margin_loss(tg.Tensor([[0.1, 0.2, 0.4, 0.8]]), [3])
    Tensor(0.325)
    """
    shape = np.shape(input)
    if len(shape) not in (1, 2):
        raise ShapeError(f"multi_margin_loss: scores are (N, C) or (C,), got shape {shape}")
    if p not in (1, 2):
        raise ArgumentError(f"multi_margin_loss: p is 1 or 2, not {p!r}")
    classes, _ = _checked_classes("multi_margin_loss", shape, target, -1)
    weight = _checked_weight("multi_margin_loss", weight, shape[-1])
    right = take_along_axis(input, classes[..., None], -1)
    lack = maximum(margin - right + input, 0) ** p
    lack = where(np.arange(shape[-1]) == classes[..., None], 0, lack)
    if weight is not None:
        lack = lack * weight[classes][..., None]
    return reduced("multi_margin_loss", sum(lack, axis=-1) / shape[-1], reduction)
