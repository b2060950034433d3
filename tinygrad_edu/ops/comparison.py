"""Comparisons and the sign. Of real numbers they are piecewise constant, so their results are constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.select import where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(forward=np.sign, numpy=(), elementwise=True, label="sign")
def _sign(a: Array, /) -> Array:
    """y = −1, 0 or 1: the sign of a real number. A constant: its derivative is 0 almost everywhere."""


_sign.vjp(a=None)


def _turned(g: Any, a: Any, y: Any) -> Any:
    """Only the part of a change that is perpendicular to a turns it."""
    return 1j * (g * y).imag * y.conj() / where(y == 0, 1, abs(a))


@primitive(forward=np.sign, numpy=(), reference=np.sign, elementwise=True, label="sign", cases=[Case(a=complexes(avoid=(0,)))])
def _unit(a: Array, /) -> Array:
    """y = a / |a| of complex numbers, 0 at 0        ∂L/∂a = i Im(g y) ȳ / |a|  (0 at a = 0)"""


_unit.vjp(a=_turned)


@composite(numpy=np.sign, aliases=("sgn",), elementwise=True, cases=[Case(a=complexes(avoid=(0,)))])
def sign(a: Any, /) -> Any:
    """y = −1, 0 or 1; of complex numbers a / |a|        ∂L/∂a = 0; of complex numbers i Im(g y) ȳ / |a|  (0 at a = 0)

    Of real numbers it is a constant: its derivative is 0 almost everywhere. Counterpart: ``numpy.sign``, ``torch.sgn``.

    >>> import tinygrad_edu as tg
    >>> tg.sign(tg.Tensor([-2.0, 0.0, 5.0]))
    Tensor([-1.,  0.,  1.])
    """
    return _unit(a) if np.result_type(getattr(a, "dtype", a)).kind == "c" else _sign(a)


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
