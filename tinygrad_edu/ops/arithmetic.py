"""Arithmetic, powers and roots. Operands broadcast; a broadcast operand is recorded as entering through a Repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.comparison import sign
from tinygrad_edu.ops.constant import floor_divide
from tinygrad_edu.ops.exponential import log
from tinygrad_edu.ops.select import where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(forward=np.add, elementwise=True, label="+", cases=[Case(a=reals(), b=reals())])
def add(a: Array, b: Array, /) -> Array:
    """y = a + b        ∂L/∂a = g        ∂L/∂b = g

    Shapes broadcast, dtypes promote as in NumPy; ``a + b`` is the same. Counterpart: ``numpy.add``.

    >>> import tinygrad_edu as tg
    >>> tg.add(tg.Tensor([1.0, 2.0]), 10)
    Tensor([11., 12.])
    """


add.vjp(a=lambda g: g, b=lambda g: g)


@primitive(forward=np.subtract, elementwise=True, label="−", cases=[Case(a=reals(), b=reals())])
def subtract(a: Array, b: Array, /) -> Array:
    """y = a − b        ∂L/∂a = g        ∂L/∂b = −g

    Shapes broadcast; ``a - b`` is the same. Counterpart: ``numpy.subtract``.

    >>> import tinygrad_edu as tg
    >>> tg.subtract(tg.Tensor([1.0, 2.0]), 10)
    Tensor([-9., -8.])
    """


subtract.vjp(a=lambda g: g, b=lambda g: -g)


@primitive(forward=np.multiply, elementwise=True, bounded=True, label="×", cases=[Case(a=reals(), b=reals())])
def multiply(a: Array, b: Array, /) -> Array:
    """y = a b        ∂L/∂a = g b        ∂L/∂b = g a

    Shapes broadcast; ``a * b`` is the same. Counterpart: ``numpy.multiply``.

    >>> import tinygrad_edu as tg
    >>> tg.multiply(tg.Tensor([1.0, 2.0]), 10)
    Tensor([10., 20.])
    """


multiply.vjp(a=lambda g, b: g * b, b=lambda g, a: g * a)


@primitive(
    forward=np.divide, elementwise=True, label="÷", cases=[Case(a=reals(), b=reals(0.5, 3)), Case(a=reals(), b=reals(-3, -0.5))]
)
def divide(a: Array, b: Array, /) -> Array:
    """y = a / b        ∂L/∂a = g / b        ∂L/∂b = −g y / b

    Shapes broadcast; ``a / b`` is the same. Division by zero warns and gives inf or nan. Counterpart: ``numpy.divide``.

    >>> import tinygrad_edu as tg
    >>> tg.divide(tg.Tensor([1.0, 2.0]), 10)
    Tensor([0.1, 0.2])
    """


divide.vjp(a=lambda g, b: g / b, b=lambda g, y, b: -g * y / b)


def _slope(a: Any, b: Any) -> Any:
    """b aᵇ⁻¹, but 0 and not 0 · ∞ at a = b = 0: there aᵇ is the constant 1."""
    if isinstance(b, (int, float)):
        return b * a ** (b - 1 if b else 1)
    if b.dtype.kind in "biu":  # a constant; and b - 1 would wrap around in an unsigned dtype
        b = np.asarray(b, float)
        return b * a ** where(b == 0, 1, b - 1)
    return b * a ** where(a == 0, where(b == 0, 1, b - 1), b - 1)


@primitive(
    numpy=np.power,
    elementwise=True,
    label="xʸ",
    cases=[Case(a=reals(0.3, 3), b=reals(-2, 2)), Case(a=reals(), b=2.0), Case(a=reals(), b=3), Case(a=2.0, b=reals())],
)
def power(a: Array, b: Array, /) -> Array:
    """y = aᵇ        ∂L/∂a = g b aᵇ⁻¹        ∂L/∂b = g y ln a  (0 at a = 0)

    Shapes broadcast; ``a ** b`` is the same. A negative base with a non-integer exponent warns and gives nan; an integer array
    with a negative exponent is an error, as in NumPy. Counterpart: ``numpy.power``.

    >>> import tinygrad_edu as tg
    >>> tg.power(tg.Tensor([1.0, 2.0]), 3)
    Tensor([1., 8.])
    """
    return a**b


power.vjp(
    a=lambda g, a, b: g * _slope(a, b),
    b=lambda g, y, a: g * y * log(where(a == 0, 1, a)),
)


@primitive(
    forward=np.remainder,
    numpy=(np.remainder, np.mod),
    elementwise=True,
    label="mod",
    aliases=("mod",),
    cases=[Case(a=reals(0.1, 0.9), b=reals(1, 2)), Case(a=reals(2.1, 2.9), b=1.0), Case(a=7.3, b=reals(-3.4, -2.6))],
)
def remainder(a: Array, b: Array, /) -> Array:
    """y = a − b ⌊a / b⌋        ∂L/∂a = g        ∂L/∂b = −g ⌊a / b⌋

    It has the sign of b and jumps where a / b is an integer; ``a % b`` is the same. Counterpart: ``numpy.remainder``.

    >>> import tinygrad_edu as tg
    >>> tg.remainder(tg.Tensor([5.0, -5.0]), 3)
    Tensor([2., 1.])
    """


remainder.vjp(a=lambda g: g, b=lambda g, a, b: -g * floor_divide(a, b))


@primitive(forward=np.negative, elementwise=True, label="−x", cases=[Case(a=reals())])
def negative(a: Array, /) -> Array:
    """y = −a        ∂L/∂a = −g

    ``-a`` is the same. Counterpart: ``numpy.negative``.

    >>> import tinygrad_edu as tg
    >>> tg.negative(tg.Tensor([1.0, -2.0]))
    Tensor([-1.,  2.])
    """


negative.vjp(a=lambda g: -g)


@primitive(forward=np.sqrt, elementwise=True, label="√", cases=[Case(a=reals(0.3, 4))])
def sqrt(a: Array, /) -> Array:
    """y = √a        ∂L/∂a = g / 2y

    nan below 0; the derivative at 0 is inf, with a warning. Counterpart: ``numpy.sqrt``.

    >>> import tinygrad_edu as tg
    >>> tg.sqrt(tg.Tensor([1.0, 9.0]))
    Tensor([1., 3.])
    """


sqrt.vjp(a=lambda g, y: g / (2 * y))


def _direction(a: Any, y: Any) -> Any:
    """sign(a), or ā / |a| for complex numbers, each 0 at 0."""
    return sign(a) if a.dtype.kind != "c" else a.conj() / where(y == 0, 1, y)


@primitive(
    forward=np.abs,
    numpy=(np.abs, np.fabs),
    elementwise=True,
    bounded=True,
    label="|x|",
    aliases=("absolute", "fabs"),
    cases=[Case(a=reals(avoid=(0,))), Case(a=complexes(avoid=(0,)))],
    kinks=[Kink("a = 0", "0", at={"a": 0.0}, gradient={"a": 0.0})],
)
def abs(a: Array, /) -> Array:
    """y = |a|        ∂L/∂a = g sign(a)  (0 at a = 0)

    ``abs(x)`` is the same. Counterpart: ``numpy.abs``.

    >>> import tinygrad_edu as tg
    >>> tg.abs(tg.Tensor([1.0, -2.0]))
    Tensor([1., 2.])
    """


abs.vjp(a=lambda g, a, y: g * _direction(a, y))
