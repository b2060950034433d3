"""Squares, roots and lengths, and other spellings of a power. ``power`` and ``sqrt`` stand with the arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.arithmetic import power
from tinygrad_edu.ops.select import where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, Lazy, complexes, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(forward=np.square, elementwise=True, bounded=True, label="x²", cases=[Case(a=reals()), Case(a=complexes())])
def square(a: Array, /) -> Array:
    """y = a²        ∂L/∂a = 2 g a

    Of complex numbers it is a², not |a|². Counterpart: ``numpy.square``, ``torch.square``.

    >>> import tinygrad_edu as tg
    >>> tg.square(tg.Tensor([1.0, -2.0]))
    Tensor([1., 4.])
    """


square.vjp(a=lambda g, a: 2 * g * a)


@primitive(
    forward=np.cbrt,
    numpy=(np.cbrt, Lazy("scipy.special", "cbrt")),
    elementwise=True,
    label="∛",
    cases=[Case(a=reals(0.3, 4)), Case(a=reals(-4, -0.3))],
)
def cbrt(a: Array, /) -> Array:
    """y = ∛a        ∂L/∂a = g / 3y²

    Negative below 0; the derivative at 0 is inf, with a warning. Counterpart: ``numpy.cbrt``.

    >>> import tinygrad_edu as tg
    >>> tg.cbrt(tg.Tensor([8.0, -27.0]))
    Tensor([ 2., -3.])
    """


cbrt.vjp(a=lambda g, y: g / (3 * y * y))


def _leg(a: Any, y: Any) -> Any:
    """a / y, and 0 at (0, 0)."""
    return a / where(y == 0, 1, y)


@primitive(
    forward=np.hypot,
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(0.5, 3), b=reals()), Case(a=reals(), b=reals(-3, -0.5))],
    kinks=[Kink("a = b = 0", "0", at={"a": 0.0, "b": 0.0}, gradient={"a": 0.0, "b": 0.0})],
)
def hypot(a: Array, b: Array, /) -> Array:
    """y = √(a² + b²)        ∂L/∂a = g a / y        ∂L/∂b = g b / y  (0 at a = b = 0)

    No square overflows. Counterpart: ``numpy.hypot``, ``torch.hypot``.

    >>> import tinygrad_edu as tg
    >>> tg.hypot(tg.Tensor([3.0, 3e200]), [4.0, 4e200])
    Tensor([5.e+000, 5.e+200])
    """


hypot.vjp(a=lambda g, a, y: g * _leg(a, y), b=lambda g, b, y: g * _leg(b, y))


@primitive(forward=np.ldexp, elementwise=True, bounded=True, cases=[Case(a=reals(), b=np.array([-1, 0, 2]))])
def ldexp(a: Array, b: Array, /) -> Array:
    """y = a 2ᵇ        ∂L/∂a = g 2ᵇ

    ``b`` are integers. Counterpart: ``numpy.ldexp``.

    >>> import tinygrad_edu as tg
    >>> tg.ldexp(tg.Tensor([1.0, 3.0]), 2)
    Tensor([ 4., 12.])
    """


ldexp.vjp(a=lambda g, b: ldexp(g, b), b=None)


@spelling(np.float_power)
def float_power(a: Any, b: Any, /) -> Any:
    """y = aᵇ, computed in float64 or complex128. ``power`` of operands in that dtype; gradients come back in the operands' own.

    So integers may have negative exponents. Counterpart: ``numpy.float_power``, ``torch.float_power``.

    >>> import tinygrad_edu as tg
    >>> tg.float_power(tg.Tensor([1, 2]), -1)
    Tensor([1. , 0.5])
    """
    return power(_widened(a), _widened(b))


def _widened(a: Any) -> Any:
    a = a if hasattr(a, "dtype") else np.asarray(a)
    return a.astype(np.result_type(a.dtype, np.float64))
