"""Comparisons and the sign: piecewise constant, so their results are constants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.primitive import primitive

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(forward=np.sign, elementwise=True)
def sign(a: Array, /) -> Array:
    """y = −1, 0 or 1: the sign of a. A constant: its derivative is 0 almost everywhere.

    Counterpart: ``numpy.sign``.

    >>> import tinygrad_edu as tg
    >>> tg.sign(tg.Tensor([-2.0, 0.0, 5.0]))
    Tensor([-1.,  0.,  1.])
    """


sign.vjp(a=None)


@primitive(forward=np.equal, elementwise=True)
def equal(a: Array, b: Array, /) -> Array:
    """y = [a = b], a constant of dtype bool. ``a == b`` is the same. Counterpart: ``numpy.equal``."""


@primitive(forward=np.not_equal, elementwise=True)
def not_equal(a: Array, b: Array, /) -> Array:
    """y = [a ≠ b], a constant of dtype bool. ``a != b`` is the same. Counterpart: ``numpy.not_equal``."""


@primitive(forward=np.less, elementwise=True)
def less(a: Array, b: Array, /) -> Array:
    """y = [a < b], a constant of dtype bool. ``a < b`` is the same. Counterpart: ``numpy.less``."""


@primitive(forward=np.less_equal, elementwise=True)
def less_equal(a: Array, b: Array, /) -> Array:
    """y = [a ≤ b], a constant of dtype bool. ``a <= b`` is the same. Counterpart: ``numpy.less_equal``."""


@primitive(forward=np.greater, elementwise=True)
def greater(a: Array, b: Array, /) -> Array:
    """y = [a > b], a constant of dtype bool. ``a > b`` is the same. Counterpart: ``numpy.greater``."""


@primitive(forward=np.greater_equal, elementwise=True)
def greater_equal(a: Array, b: Array, /) -> Array:
    """y = [a ≥ b], a constant of dtype bool. ``a >= b`` is the same. Counterpart: ``numpy.greater_equal``."""


for _comparison in (equal, not_equal, less, less_equal, greater, greater_equal):
    _comparison.vjp(a=None, b=None)
