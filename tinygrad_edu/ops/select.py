"""Choosing between operands, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(
    forward=np.where, elementwise=True, bounded=True, cases=[Case(condition=np.array([True, False, True]), a=reals(), b=reals())]
)
def where(condition: Array, a: Array, b: Array, /) -> Array:
    """y = a where condition, else b        ∂L/∂a = g [condition]        ∂L/∂b = g [not condition]

    All three broadcast. The branch that is not taken gets a zero gradient. Counterpart: ``numpy.where``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, -2.0])
    >>> tg.where(x > 0, x, 0.1 * x)
    Tensor([ 1. , -0.2])
    """


where.vjp(
    condition=None,
    a=lambda g, condition: where(condition, g, 0),
    b=lambda g, condition: where(condition, 0, g),
)


@primitive(
    forward=np.maximum, elementwise=True, bounded=True, label="max", cases=[Case(a=reals(grid=(0, 0.2)), b=reals(grid=(0.1, 0.2)))]
)
def maximum(a: Array, b: Array, /) -> Array:
    """y = max(a, b)        ∂L/∂a = g [a > b] + ½ g [a = b]        ∂L/∂b = g [b > a] + ½ g [a = b]

    A tie is shared equally. Counterpart: ``numpy.maximum``, ``torch.maximum``.

    >>> import tinygrad_edu as tg
    >>> tg.maximum(tg.Tensor([1.0, -2.0]), 0)
    Tensor([1., 0.])
    """


maximum.vjp(
    a=lambda g, a, b: where(a > b, g, where(a == b, g / 2, 0)),
    b=lambda g, a, b: where(b > a, g, where(a == b, g / 2, 0)),
)


@primitive(
    forward=np.minimum, elementwise=True, bounded=True, label="min", cases=[Case(a=reals(grid=(0, 0.2)), b=reals(grid=(0.1, 0.2)))]
)
def minimum(a: Array, b: Array, /) -> Array:
    """y = min(a, b)        ∂L/∂a = g [a < b] + ½ g [a = b]        ∂L/∂b = g [b < a] + ½ g [a = b]

    A tie is shared equally. Counterpart: ``numpy.minimum``, ``torch.minimum``.

    >>> import tinygrad_edu as tg
    >>> tg.minimum(tg.Tensor([1.0, -2.0]), 0)
    Tensor([ 0., -2.])
    """


minimum.vjp(
    a=lambda g, a, b: where(a < b, g, where(a == b, g / 2, 0)),
    b=lambda g, a, b: where(b < a, g, where(a == b, g / 2, 0)),
)


@primitive(
    numpy=np.clip,
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(avoid=(-1, 1.5)), min=[-1, None], max=[1.5]), Case(a=reals(avoid=(-1,)), min=[-1], max=[None])],
)
def clip(a: Array, /, min: Any = None, max: Any = None) -> Array:
    """y = min(max(a, low), high)        ∂L/∂a = g [low ≤ a ≤ high]

    ``min`` and ``max`` are constants: numbers, arrays, or None for no bound. The gradient passes at the bounds themselves.
    For bounds that are differentiated use ``maximum`` and ``minimum``. Counterpart: ``numpy.clip``.

    >>> import tinygrad_edu as tg
    >>> tg.clip(tg.Tensor([-2.0, 0.5, 2.0]), -1, 1)
    Tensor([-1. ,  0.5,  1. ])
    """
    return np.clip(a, min, max)


clip.vjp(a=lambda g, a, y: where(a == y, g, 0))
