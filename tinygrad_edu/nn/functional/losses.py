"""Losses of numbers against numbers. A prediction and its target have one shape: they are never broadcast."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, LabelError, ShapeError
from tinygrad_edu.nn.functional.classification import as_numbers, reduced
from tinygrad_edu.ops.activation import log_sigmoid
from tinygrad_edu.ops.arithmetic import abs
from tinygrad_edu.ops.entropy import binary_entropy
from tinygrad_edu.ops.exponential import exp
from tinygrad_edu.ops.powers import square
from tinygrad_edu.ops.reduction import sum
from tinygrad_edu.ops.select import maximum, where
from tinygrad_edu.ops.special import xlogy


def matched(name: str, input: Any, target: Any) -> Any:
    """The target, in the prediction's dtype where it is a list or integers. Refuses what would broadcast: a column against a row
    gives a table of all pairs, and a loss that learns nothing."""
    ours, theirs = np.shape(input), np.shape(target)
    if ours == theirs:
        if getattr(target, "dtype", np.dtype(bool)).kind in "fc":
            return target
        return as_numbers(target).astype(getattr(input, "dtype", np.dtype(float)))
    words = f"{name}: the prediction has shape {ours} and the target {theirs}"
    with contextlib.suppress(ValueError):
        words += f", which would broadcast to {np.broadcast_shapes(ours, theirs)} without a word"
    fix = f"target.reshape({', '.join(map(str, ours))})" if math.prod(ours) == math.prod(theirs) else "targets of the same shape"
    raise ShapeError(f"{words}; they must be equal: pass {fix}")


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """y = mean of (x − t)²        ∂L/∂x = 2 g (x − t) / n

    ``reduction`` is "mean", "sum" or "none", as for every loss here. Raises `ShapeError` unless the shapes are equal. Counterpart:
    ``torch.nn.functional.mse_loss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.mse_loss(tg.Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(2.)
    """
    target = matched("mse_loss", input, target)
    return reduced("mse_loss", square(input - target), reduction)


def sum_of_squares_loss(input: Any, target: Any) -> Any:
    """y = Σ (x − t)²        ∂L/∂x = 2 g (x − t)

    The plain sum; `half_sum_of_squares_loss` is the one with ½.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.sum_of_squares_loss(tg.Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(4.)
    """
    target = matched("sum_of_squares_loss", input, target)
    return sum(square(input - target))


def half_sum_of_squares_loss(input: Any, target: Any) -> Any:
    """y = ½ Σ (x − t)²        ∂L/∂x = g (x − t)

    The ``sum_squared_error`` of *Deep Learning from Scratch*, section 4.2.1; without ½ it is `sum_of_squares_loss`.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.half_sum_of_squares_loss(tg.Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(2.)
    """
    target = matched("half_sum_of_squares_loss", input, target)
    return 0.5 * sum(square(input - target))


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """y = mean of |x − t|        ∂L/∂x = g sign(x − t) / n

    Counterpart: ``torch.nn.functional.l1_loss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.l1_loss(tg.Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(1.)
    """
    target = matched("l1_loss", input, target)
    return reduced("l1_loss", abs(input - target), reduction)


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """y = mean of ½ d² where |d| ≤ δ, else δ (|d| − ½ δ)        (d = x − t)

    A parabola that goes on as straight lines. Counterpart: ``torch.nn.functional.huber_loss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.huber_loss(tg.Tensor([0.5, 3.0]), [0.0, 0.0], reduction="none")
    Tensor([0.125, 2.5  ])
    """
    target = matched("huber_loss", input, target)
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta is a positive number, got {delta!r}")
    d = input - target
    size = abs(d)
    return reduced("huber_loss", where(size <= delta, 0.5 * square(d), delta * (size - 0.5 * delta)), reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """y = mean of ½ d² / β where |d| < β, else |d| − ½ β        (d = x − t)

    `huber_loss` divided by β; with β = 0 it is `l1_loss`. Counterpart: ``torch.nn.functional.smooth_l1_loss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.smooth_l1_loss(tg.Tensor([0.5, 3.0]), [0.0, 0.0], reduction="none")
    Tensor([0.125, 2.5  ])
    """
    target = matched("smooth_l1_loss", input, target)
    if not beta >= 0:
        raise ArgumentError(f"smooth_l1_loss: beta is not negative, got {beta!r}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    d = input - target
    size = abs(d)
    return reduced("smooth_l1_loss", where(size < beta, square(d) * (0.5 / beta), size - 0.5 * beta), reduction)


# ------------------------------------------------------------------------------------------------------------ probability


def _check_probabilities(name: str, what: str, p: Any) -> None:
    numbers = as_numbers(p)
    if numbers.size and not (numbers.min() >= 0 and numbers.max() <= 1):
        raise LabelError(
            f"{name}: the {what} are probabilities from 0 to 1, and here they reach from {numbers.min()} to {numbers.max()}"
            + ("; for logits there is binary_cross_entropy_with_logits" if what == "predictions" else "")
        )


def binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    """y = mean of −w (t ln p + (1 − t) ln(1 − p))        ∂L/∂p = g w (p − t) / (p (1 − p)) / n

    ``input`` p are probabilities, ``target`` t probabilities or classes 0 and 1, ``weight`` w broadcasts. Logarithms are not below
    −100. From logits, `binary_cross_entropy_with_logits` is more precise. Counterpart:
    ``torch.nn.functional.binary_cross_entropy``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.binary_cross_entropy(tg.Tensor([0.5, 0.5]), [1.0, 0.0])
    Tensor(0.69314718)
    """
    target = matched("binary_cross_entropy", input, target)
    _check_probabilities("binary_cross_entropy", "predictions", input)
    _check_probabilities("binary_cross_entropy", "targets", target)
    y = binary_entropy(input, target)
    return reduced("binary_cross_entropy", y if weight is None else y * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """y = mean of −w (q t ln σ(x) + (1 − t) ln σ(−x))        ∂L/∂x = g w (σ(x) − t) / n  (q = 1)

    ``input`` x are logits: it never overflows. ``weight`` w and ``pos_weight`` q, which weighs the positive examples, broadcast.
    Counterpart: ``torch.nn.functional.binary_cross_entropy_with_logits``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.binary_cross_entropy_with_logits(tg.Tensor([0.0, 1000.0]), [1.0, 1.0], reduction="none")
    Tensor([0.69314718, 0.        ])
    """
    target = matched("binary_cross_entropy_with_logits", input, target)
    positive = target if pos_weight is None else target * pos_weight
    y = -positive * log_sigmoid(input) - (1 - target) * log_sigmoid(-input)
    return reduced("binary_cross_entropy_with_logits", y if weight is None else y * weight, reduction)


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """y = mean of t (ln t − x)        ∂L/∂x = −g t / n

    The Kullback-Leibler divergence of logarithms of probabilities x from probabilities t (or, with ``log_target``, their
    logarithms). ``reduction`` may also be "batchmean", the sum divided by the length of the first axis, which is the divergence as
    mathematics has it. Counterpart: ``torch.nn.functional.kl_div``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.kl_div(tg.Tensor(np.log([[0.5, 0.5]])), [[1.0, 0.0]], reduction="batchmean")
    Tensor(0.69314718)
    """
    target = matched("kl_div", input, target)
    y = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction == "batchmean":
        return sum(y) / np.shape(input)[0]
    return reduced("kl_div", y, reduction, ("mean", "batchmean", "sum", "none"))


# ---------------------------------------------------------------------------------------------------------------- margins


def _check_signs(name: str, target: Any) -> Any:
    numbers = as_numbers(target)
    if not np.isin(numbers, (-1, 1)).all():
        found = ", ".join(f"{t:g}" for t in np.unique(numbers)[:5])
        raise LabelError(f"{name}: the target holds 1 and -1, got {found}; classes 0 and 1 are 2 * t - 1")
    return numbers


def hinge_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """y = mean of max(0, 1 − t x)        ∂L/∂x = −g t / n where t x < 1, else 0

    Of a support vector machine: ``target`` holds 1 and −1. For several classes there is `multi_margin_loss`. Counterpart:
    ``sklearn.metrics.hinge_loss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.hinge_loss(tg.Tensor([2.0, 0.5, 0.5]), [1, 1, -1], reduction="none")
    Tensor([0. , 0.5, 1.5])
    """
    signs = _check_signs("hinge_loss", matched("hinge_loss", input, target))
    return reduced("hinge_loss", maximum(1 - input * signs, 0), reduction)


def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Any:
    """y = mean of x where t = 1, and max(0, margin − x) where t = −1

    ``input`` are distances. Counterpart: ``torch.nn.functional.hinge_embedding_loss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.hinge_embedding_loss(tg.Tensor([0.2, 0.2]), [1, -1], reduction="none")
    Tensor([0.2, 0.8])
    """
    target = matched("hinge_embedding_loss", input, target)
    alike = _check_signs("hinge_embedding_loss", target) == 1
    return reduced("hinge_embedding_loss", where(alike, input, maximum(margin - input, 0)), reduction)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """y = x₁ · x₂ / (max(‖x₁‖, ε) max(‖x₂‖, ε)), along an axis

    Shapes broadcast. Counterpart: ``torch.nn.functional.cosine_similarity``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.cosine_similarity(tg.Tensor([[1.0, 0.0]]), [[1.0, 1.0]])
    Tensor([0.70710678])
    """
    x1, x2 = [x if hasattr(x, "dtype") else np.asarray(x, float) for x in (x1, x2)]
    lengths = [maximum(sum(square(x), axis=dim), eps * eps) ** 0.5 for x in (x1, x2)]
    return sum(x1 * x2, axis=dim) / (lengths[0] * lengths[1])


def cosine_embedding_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Any:
    """y = mean of 1 − cos(x₁, x₂) where t = 1, and max(0, cos(x₁, x₂) − margin) where t = −1

    Shapes (N, D), (N, D) and (N,), or (D,), (D,) and (). Counterpart: ``torch.nn.functional.cosine_embedding_loss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.cosine_embedding_loss(tg.Tensor([[1.0, 0.0]]), [[0.0, 1.0]], [1])
    Tensor(1.)
    """
    input2 = matched("cosine_embedding_loss", input1, input2)
    if np.ndim(input1) not in (1, 2) or np.shape(target) != np.shape(input1)[:-1]:
        raise ShapeError(
            f"cosine_embedding_loss: inputs of shape (N, D) go with a target of shape (N,), got {np.shape(input1)} and "
            f"{np.shape(target)}"
        )
    alike = _check_signs("cosine_embedding_loss", target) == 1
    sizes = [sum(square(x), axis=-1) + 1e-12 for x in (input1, input2)]
    cosine = sum(input1 * input2, axis=-1) / (sizes[0] * sizes[1]) ** 0.5
    return reduced("cosine_embedding_loss", where(alike, 1 - cosine, maximum(cosine - margin, 0)), reduction)
