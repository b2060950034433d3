"""Trigonometric functions and their inverses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(forward=np.sin, elementwise=True, bounded=True, cases=[Case(a=reals())])
def sin(a: Array, /) -> Array:
    """y = sin a        ∂L/∂a = g cos a

    Radians. Counterpart: ``numpy.sin``.

    >>> import tinygrad_edu as tg
    >>> tg.sin(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.84147098])
    """


sin.vjp(a=lambda g, a: g * cos(a))


@primitive(forward=np.cos, elementwise=True, bounded=True, cases=[Case(a=reals())])
def cos(a: Array, /) -> Array:
    """y = cos a        ∂L/∂a = −g sin a

    Radians. Counterpart: ``numpy.cos``.

    >>> import tinygrad_edu as tg
    >>> tg.cos(tg.Tensor([0.0, 1.0]))
    Tensor([1.        , 0.54030231])
    """


cos.vjp(a=lambda g, a: -g * sin(a))
