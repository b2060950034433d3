"""Exponentials and logarithms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(forward=np.exp, elementwise=True, cases=[Case(a=reals())])
def exp(a: Array, /) -> Array:
    """y = eᵃ        ∂L/∂a = g y

    Overflows to inf with a warning above 709 (float64) or 88 (float32). Counterpart: ``numpy.exp``.

    >>> import tinygrad_edu as tg
    >>> tg.exp(tg.Tensor([0.0, 1.0]))
    Tensor([1.        , 2.71828183])
    """


exp.vjp(a=lambda g, y: g * y)


@primitive(forward=np.log, elementwise=True, label="ln", cases=[Case(a=reals(0.3, 4))])
def log(a: Array, /) -> Array:
    """y = ln a        ∂L/∂a = g / a

    −inf at 0 and nan below, with a warning. Counterpart: ``numpy.log``.

    >>> import tinygrad_edu as tg
    >>> tg.log(tg.Tensor([1.0, 10.0]))
    Tensor([0.        , 2.30258509])
    """


log.vjp(a=lambda g, a: g / a)
