"""Clipping: gradients that are too large are made smaller before a step. Counterpart: ``torch.nn.utils``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import AnomalyError, ArgumentError
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> float:
    """Scale all gradients by one factor, so that the norm of all of them taken as one vector is at most ``max_norm``; in place.
    Returns the norm before.

    ``norm_type`` is p of the p-norm, and may be ``inf`` for the largest absolute value. Parameters without a gradient count as 0.
    Raises ValueError for a norm that is not positive, and `AnomalyError`, if ``error_if_nonfinite``, for one that came out as nan
    or infinity. R. Pascanu and others, *On the difficulty of training recurrent neural networks* (2013); *Deep Learning from
    Scratch 2*, section 6.1.4; counterpart: ``torch.nn.utils.clip_grad_norm_``.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 1.0], requires_grad=True)
    >>> w.grad = [30.0, 40.0]
    >>> tg.optim.clip_grad_norm_([w], max_norm=5.0)
    50.0
    >>> w.grad.numpy().round(3).tolist()
    [3.0, 4.0]
    """
    if not max_norm > 0 or not norm_type > 0:
        raise ArgumentError(f"clip_grad_norm_: max_norm and norm_type are positive, got {max_norm} and {norm_type}")
    owners = _with_gradients(parameters)
    total = _norm([_norm_of(owner.grad.data, norm_type) for owner in owners], norm_type)  # type: ignore[union-attr]
    if error_if_nonfinite and not math.isfinite(total):
        raise AnomalyError(
            f"clip_grad_norm_: the {norm_type:g}-norm of the gradients is {total}, and cannot be scaled to {max_norm:g}; "
            "tg.detect_anomaly() names the operation that made it"
        )
    factor = float(max_norm) / (total + 1e-6)
    if factor < 1 or math.isnan(factor):
        for owner in owners:
            _change(owner, lambda gradient, out: np.multiply(gradient, factor, out=out))
    return total


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """Bring every number of every gradient into [−clip_value, clip_value], in place.

    Raises ValueError for a value that is not positive. Counterpart: ``torch.nn.utils.clip_grad_value_``.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 1.0], requires_grad=True)
    >>> w.grad = [30.0, -0.5]
    >>> tg.optim.clip_grad_value_([w], 1.0)
    >>> w.grad
    Tensor([ 1. , -0.5])
    """
    bound = float(clip_value)
    if not bound > 0:
        raise ArgumentError(f"clip_grad_value_: clip_value is positive, got {clip_value}")
    for owner in _with_gradients(parameters):
        _change(owner, lambda gradient, out: np.clip(gradient, -bound, bound, out=out))


def _with_gradients(parameters: Iterable[Tensor] | Tensor) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else parameters
    return [parameter for parameter in listed if parameter.grad is not None]


def _change(owner: Tensor, change: Any) -> None:
    """Change a gradient in place, or, where it is the result of an operation and read-only, replace it."""
    gradient = owner.grad
    assert gradient is not None
    if gradient.is_leaf and gradient.data.flags.writeable:
        change(gradient.data, gradient.data)
        gradient.data = gradient.data  # tells the engine
    else:
        owner.grad = Tensor(change(gradient.data, None))


def _norm_of(array: Array, p: float) -> float:
    """The p-norm of an array taken as a vector. The usual one needs no array of the same size."""
    flat = array.ravel(order="K")
    if p == 2:
        norm = math.sqrt(float(np.vdot(flat, flat).real))
        if math.isfinite(norm) and norm > 1e-15:
            return norm
    largest = float(np.abs(flat).max(initial=0))
    if p == math.inf or not 0 < largest < math.inf:
        return largest
    # Squares of what is very large or very small would leave the floating-point numbers: scaled, they do not.
    return float(largest * float(np.sum(np.abs(flat / largest) ** p, dtype=float)) ** (1 / p))


def _norm(norms: list[float], p: float) -> float:
    """The p-norm of a vector whose pieces have these p-norms."""
    largest = max(norms, default=0.0)
    if any(math.isnan(norm) for norm in norms):
        return math.nan
    if p == math.inf or not 0 < largest < math.inf:
        return largest
    return float(largest * math.fsum((norm / largest) ** p for norm in norms) ** (1 / p))
