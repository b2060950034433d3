"""Standardization, the base of the normalization layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.activation import floating
from tinygrad_edu.ops.powers import square
from tinygrad_edu.ops.reduction import any_axes, mean
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def _plain_standardize(a: Array, axis: Any, eps: float = 1e-5) -> Array:
    y: Array = (a - a.mean(axis=axis, keepdims=True)) / np.sqrt(a.var(axis=axis, keepdims=True) + eps)
    return y


def _plain_rms(a: Array, axis: Any, eps: float = 1e-5) -> Array:
    y: Array = a / np.sqrt((a * a).mean(axis=axis, keepdims=True) + eps)
    return y


def _scale(a: Any, /, *, axis: Any, eps: float) -> Any:
    """1 / σ of what is already centred."""
    return (mean(square(a), axis=axis, keepdims=True) + eps) ** -0.5


def _scale_centred(a: Any, /, *, axis: Any, eps: float) -> Any:
    return _scale(a - mean(a, axis=axis, keepdims=True), axis=axis, eps=eps)


@primitive(
    label="Standardize",
    residuals={"r": _scale_centred},
    cases=[Case(a=reals(nonempty=True), axis=any_axes, eps=[0.1]), Case(a=reals(shape=(2, 3)), axis=[(0, 1)], eps=[0.5])],
    reference=_plain_standardize,
)
def standardize(a: Array, /, axis: Any = -1, eps: float = 1e-5) -> tuple[Array, Array]:
    """y = (a − μ) / √(σ² + ε)        ∂L/∂a = (g − mean g − y mean(g y)) / √(σ² + ε)

    Mean 0 and variance 1 along the axes: ``axis`` is an integer, a tuple or None for all. Batch, layer and group normalization
    are made with it. Counterpart: ``torch.nn.functional.layer_norm`` without weights.

    >>> import tinygrad_edu as tg
    >>> tg.standardize(tg.Tensor([1.0, 2.0, 3.0]), eps=0.0)
    Tensor([-1.22474487,  0.        ,  1.22474487])
    """
    a = floating("standardize", np.asarray(a))
    y = a - np.mean(a, axis=axis, keepdims=True)
    r = _scale(y, axis=axis, eps=eps)
    y *= r
    return y, r


standardize.vjp(a=lambda g, y, r, axis: (g - mean(g, axis=axis, keepdims=True) - y * mean(g * y, axis=axis, keepdims=True)) * r)


@primitive(
    residuals={"r": _scale},
    cases=[Case(a=reals(nonempty=True), axis=any_axes, eps=[0.1])],
    reference=_plain_rms,
)
def rms_normalize(a: Array, /, axis: Any = -1, eps: float = 1e-5) -> tuple[Array, Array]:
    """y = a / √(mean a² + ε)        ∂L/∂a = (g − y mean(g y)) / √(mean a² + ε)

    `standardize` without the mean. Counterpart: ``torch.nn.functional.rms_norm`` without weights.

    >>> import tinygrad_edu as tg
    >>> tg.rms_normalize(tg.Tensor([3.0, 4.0]), eps=0.0)
    Tensor([0.84852814, 1.13137085])
    """
    a = floating("rms_normalize", np.asarray(a))
    r = _scale(a, axis=axis, eps=eps)
    return a * r, r


rms_normalize.vjp(a=lambda g, y, r, axis: (g - y * mean(g * y, axis=axis, keepdims=True)) * r)
