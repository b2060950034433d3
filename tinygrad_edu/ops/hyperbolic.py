"""Hyperbolic functions and their inverses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(forward=np.tanh, elementwise=True, bounded=True, cases=[Case(a=reals())])
def tanh(a: Array, /) -> Array:
    """y = tanh a        ∂L/∂a = g (1 − y²)

    Counterpart: ``numpy.tanh``.

    >>> import tinygrad_edu as tg
    >>> tg.tanh(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.76159416])
    """


tanh.vjp(a=lambda g, y: g * (1 - y * y))
