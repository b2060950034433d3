"""Activation functions of straight pieces, and glu. Names, arguments and conventions at the kinks are PyTorch's. A nan gets a
gradient: it is beyond no bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.graph import Variable
from tinygrad_edu.ops.activation import floating, sigmoid
from tinygrad_edu.ops.select import where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(avoid=(0,)), negative_slope=[0.01, 0.5])],
    kinks=[Kink("a = 0", "negative_slope", at={"a": 0.0}, gradient={"a": 0.01})],
    reference=lambda a, negative_slope: np.maximum(a, 0) + negative_slope * np.minimum(a, 0),
)
def leaky_relu(a: Array, /, negative_slope: float = 0.01) -> Array:
    """y = a where a > 0, else slope · a        ∂L/∂a = g where a > 0, else slope · g

    Counterpart: ``torch.nn.functional.leaky_relu``.

    >>> import tinygrad_edu as tg
    >>> tg.leaky_relu(tg.Tensor([-1.0, 0.0, 2.0]))
    Tensor([-0.01,  0.  ,  2.  ])
    """
    a = floating("leaky_relu", a)
    return np.where(a > 0, a, a * negative_slope)


leaky_relu.vjp(a=lambda g, a, negative_slope: where(a > 0, g, g * negative_slope))


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(avoid=(0,)), weight=reals())],
    kinks=[Kink("a = 0", "weight", at={"a": 0.0, "weight": 0.25}, gradient={"a": 0.25, "weight": 0.0})],
    reference=lambda a, weight: np.maximum(a, 0) + weight * np.minimum(a, 0),
)
def prelu(a: Array, weight: Array, /) -> Array:
    """y = a where a > 0, else w a        ∂L/∂a = g where a > 0, else g w        ∂L/∂w = 0 where a > 0, else g a

    `leaky_relu` with a slope that is learned. It broadcasts as in NumPy; to give each channel along axis 1 of an image its own,
    as PyTorch does, pass ``weight.reshape(-1, 1, 1)``. Counterpart: ``torch.nn.functional.prelu``.

    >>> import tinygrad_edu as tg
    >>> tg.prelu(tg.Tensor([-1.0, 0.0, 2.0]), 0.25)
    Tensor([-0.25,  0.  ,  2.  ])
    """
    a, weight = floating("prelu", a), floating("prelu", weight)
    return np.where(a > 0, a, a * weight)


prelu.vjp(a=lambda g, a, weight: where(a > 0, g, g * weight), weight=lambda g, a: where(a > 0, 0, g * a))


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(avoid=(-1, 1))), Case(a=reals(avoid=(-0.5, 2)), min_val=[-0.5], max_val=[2.0])],
    kinks=[Kink("a = min_val or max_val", "0", at={"a": [-1.0, 1.0]}, gradient={"a": [0.0, 0.0]})],
    reference=lambda a, min_val=-1, max_val=1: np.clip(a, min_val, max_val),
)
def hardtanh(a: Array, /, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """y = min(max(a, low), high)        ∂L/∂a = g [low < a < high]

    As `clip`, but no gradient passes at the bounds themselves. Counterpart: ``torch.nn.functional.hardtanh``.

    >>> import tinygrad_edu as tg
    >>> tg.hardtanh(tg.Tensor([-2.0, 0.5, 2.0]))
    Tensor([-1. ,  0.5,  1. ])
    """
    if not min_val < max_val:
        raise ArgumentError(f"hardtanh: min_val must be less than max_val, got {min_val!r} and {max_val!r}")
    y: Array = np.clip(floating("hardtanh", a), min_val, max_val)
    return y


hardtanh.vjp(a=lambda g, y, min_val, max_val: where((y <= min_val) | (y >= max_val), 0, g))


@composite(
    elementwise=True,
    cases=[Case(a=reals(-2, 8, avoid=(0, 6)))],
    kinks=[Kink("a = 0 or 6", "0", at={"a": [0.0, 6.0]}, gradient={"a": [0.0, 0.0]})],
    reference=lambda a: np.clip(a, 0, 6),
)
def relu6(a: Any, /) -> Any:
    """y = min(max(a, 0), 6)        ∂L/∂a = g [0 < a < 6]

    Counterpart: ``torch.nn.functional.relu6``.

    >>> import tinygrad_edu as tg
    >>> tg.relu6(tg.Tensor([-1.0, 5.0, 7.0]))
    Tensor([0., 5., 6.])
    """
    return hardtanh(a, 0.0, 6.0)


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(-5, 5, avoid=(-3, 3)))],
    kinks=[Kink("a = ±3", "0", at={"a": [-3.0, 3.0]}, gradient={"a": [0.0, 0.0]})],
    reference=lambda a: np.clip(a / 6 + 0.5, 0, 1),
)
def hardsigmoid(a: Array, /) -> Array:
    """y = min(max(a + 3, 0), 6) / 6        ∂L/∂a = g / 6 where −3 < a < 3, else 0

    Counterpart: ``torch.nn.functional.hardsigmoid``.

    >>> import tinygrad_edu as tg
    >>> tg.hardsigmoid(tg.Tensor([-4.0, 0.0, 1.5]))
    Tensor([0.  , 0.5 , 0.75])
    """
    y: Array = np.clip(floating("hardsigmoid", a) + 3, 0, 6) / 6
    return y


hardsigmoid.vjp(a=lambda g, y: where((y <= 0) | (y >= 1), 0, g / 6))


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(-5, 5, avoid=(-3, 3)))],
    kinks=[Kink("a = ±3", "0 and 1", at={"a": [-3.0, 3.0]}, gradient={"a": [0.0, 1.0]})],
    reference=lambda a: a * np.clip(a / 6 + 0.5, 0, 1),
)
def hardswish(a: Array, /) -> Array:
    """y = a hardsigmoid(a)        ∂L/∂a = 0 where a ≤ −3, g where a ≥ 3, else g (a / 3 + ½)

    Counterpart: ``torch.nn.functional.hardswish``.

    >>> import tinygrad_edu as tg
    >>> tg.hardswish(tg.Tensor([-4.0, 1.5, 4.0]))
    Tensor([-0.   ,  1.125,  4.   ])
    """
    a = floating("hardswish", a)
    y: Array = np.maximum(a, -3) * (np.clip(a + 3, 0, 6) / 6)
    return y


hardswish.vjp(a=lambda g, a: where(a <= -3, 0, where(a >= 3, g, g * (a / 3 + 0.5))))


@composite(
    cases=[Case(a=reals(shape=("m", 4)), axis=[-1, 1]), Case(a=reals(shape=(2, "n")), axis=[0, -2])],
    reference=lambda a, axis: np.split(a, 2, axis)[0] / (1 + np.exp(-np.split(a, 2, axis)[1])),
)
def glu(a: Any, /, axis: int = -1) -> Any:
    """y = a₁ σ(a₂), of the halves a₁ and a₂ of a        ∂L/∂a₁ = g σ(a₂)        ∂L/∂a₂ = g y (1 − σ(a₂))

    The halves lie along ``axis``, whose length is even. Counterpart: ``torch.nn.functional.glu``.

    >>> import tinygrad_edu as tg
    >>> tg.glu(tg.Tensor([1.0, 2.0, 0.0, 1000.0]))
    Tensor([0.5, 2. ])
    """
    if not isinstance(a, Variable):
        a = np.asarray(a)
    if not -a.ndim <= axis < a.ndim or a.shape[axis] % 2:
        raise ShapeError(f"glu: axis {axis} of an operand of shape {a.shape} has no two halves")
    before, half = (slice(None),) * (axis % a.ndim), a.shape[axis] // 2
    return a[(*before, slice(None, half))] * sigmoid(a[(*before, slice(half, None))])
