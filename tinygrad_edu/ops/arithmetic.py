"""Arithmetic, powers and roots. Operands broadcast; a broadcast operand is recorded as entering through a Repeat."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.comparison import sign
from tinygrad_edu.ops.constant import floor_divide, rint
from tinygrad_edu.ops.exponential import log
from tinygrad_edu.ops.select import where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(forward=np.add, elementwise=True, bounded=True, label="+", cases=[Case(a=reals(), b=reals())])
def add(a: Array, b: Array, /) -> Array:
    """y = a + b        ∂L/∂a = g        ∂L/∂b = g

    Shapes broadcast, dtypes promote as in NumPy; ``a + b`` is the same. Counterpart: ``numpy.add``.

    >>> import tinygrad_edu as tg
    >>> tg.add(tg.Tensor([1.0, 2.0]), 10)
    Tensor([11., 12.])
    """


add.vjp(a=lambda g: g, b=lambda g: g)


@primitive(
    forward=np.subtract,
    elementwise=True,
    bounded=True,
    label="−",
    aliases=("sub",),
    cases=[Case(a=reals(), b=reals()), Case(a=complexes(), b=reals())],
)
def subtract(a: Array, b: Array, /) -> Array:
    """y = a − b        ∂L/∂a = g        ∂L/∂b = −g

    Shapes broadcast; ``a - b`` is the same. Counterpart: ``numpy.subtract``.

    >>> import tinygrad_edu as tg
    >>> tg.subtract(tg.Tensor([1.0, 2.0]), 10)
    Tensor([-9., -8.])
    """


subtract.vjp(a=lambda g: g, b=lambda g: -g)


@primitive(
    forward=np.multiply,
    elementwise=True,
    bounded=True,
    label="×",
    aliases=("mul",),
    cases=[Case(a=reals(), b=reals()), Case(a=complexes(), b=complexes()), Case(a=complexes(), b=reals())],
)
def multiply(a: Array, b: Array, /) -> Array:
    """y = a b        ∂L/∂a = g b        ∂L/∂b = g a

    Shapes broadcast; ``a * b`` is the same. Counterpart: ``numpy.multiply``.

    >>> import tinygrad_edu as tg
    >>> tg.multiply(tg.Tensor([1.0, 2.0]), 10)
    Tensor([10., 20.])
    """


multiply.vjp(a=lambda g, b: g * b, b=lambda g, a: g * a)


@primitive(
    forward=np.divide,
    elementwise=True,
    label="÷",
    aliases=("true_divide", "div"),
    cases=[
        Case(a=reals(), b=reals(0.5, 3)),
        Case(a=reals(), b=reals(-3, -0.5)),
        Case(a=complexes(), b=complexes(avoid=(0,), gap=0.5)),
        Case(a=reals(), b=complexes(0.5, 2)),
    ],
)
def divide(a: Array, b: Array, /) -> Array:
    """y = a / b        ∂L/∂a = g / b        ∂L/∂b = −g y / b

    Shapes broadcast; ``a / b`` is the same. Division by zero warns and gives inf or nan. Counterpart: ``numpy.divide``.

    >>> import tinygrad_edu as tg
    >>> tg.divide(tg.Tensor([1.0, 2.0]), 10)
    Tensor([0.1, 0.2])
    """


divide.vjp(a=lambda g, b: g / b, b=lambda g, y, b: -g * y / b)


@primitive(forward=np.positive, elementwise=True, bounded=True, label="+x", cases=[Case(a=reals())])
def positive(a: Array, /) -> Array:
    """y = a        ∂L/∂a = g

    A copy. Counterpart: ``numpy.positive``, ``torch.positive``.

    >>> import tinygrad_edu as tg
    >>> tg.positive(tg.Tensor([1.0, -2.0]))
    Tensor([ 1., -2.])
    """


positive.vjp(a=lambda g: g)


@primitive(label="=", cases=[Case(a=reals()), Case(a=complexes())], reference=np.positive)
def _alias(a: Array, /) -> Array:
    """y = a        ∂L/∂a = g

    A vertex of its own for the same numbers: the variable of a derivative that is taken inside another one.
    """
    return a.view()


_alias.vjp(a=lambda g: g)


@primitive(
    forward=np.reciprocal,
    elementwise=True,
    label="1/x",
    cases=[Case(a=reals(avoid=(0,), gap=0.5)), Case(a=complexes(avoid=(0,), gap=0.5))],
)
def reciprocal(a: Array, /) -> Array:
    """y = 1 / a        ∂L/∂a = −g y²

    inf at 0, with a warning; of integers an integer, as in NumPy. Counterpart: ``numpy.reciprocal``, ``torch.reciprocal``.

    >>> import tinygrad_edu as tg
    >>> tg.reciprocal(tg.Tensor([1.0, -2.0]))
    Tensor([ 1. , -0.5])
    """


reciprocal.vjp(a=lambda g, y: -g * y * y)


# -------------------------------------------------------------------------------------------------------------- powers


def _slope(a: Any, b: Any) -> Any:
    """b aᵇ⁻¹, but 0 and not 0 · ∞ where b = 0 and a is 0, infinite or nan: there aᵇ is the constant 1."""
    if isinstance(b, (int, float, complex)):
        return b * a ** (b - 1) if b else where(True, 0, a)
    if b.dtype.kind in "biu":  # a constant; and b - 1 would wrap around in an unsigned dtype
        b = np.asarray(b, float)
    constant = (b == 0) & ((a == 0) | (abs(a) == math.inf) | (a != a))
    return b * where(constant, 0, a) ** where(constant, 1, b - 1)


def _log_of_base(a: Any, b: Any, y: Any) -> Any:
    """ln a, and something finite where a = 0 and y = 0 or 1 does not change with b. A complex power of a negative number has the
    complex logarithm."""
    a = where((a == 0) & (b.real >= 0), 1, a)
    return log(a + 0j if y.dtype.kind == "c" else a)


@primitive(
    numpy=np.power,
    elementwise=True,
    label="xʸ",
    aliases=("pow",),
    cases=[
        Case(a=reals(0.3, 3), b=reals(-2, 2)),
        Case(a=reals(), b=2.0),
        Case(a=reals(), b=3),
        Case(a=2.0, b=reals()),
        Case(a=reals(-3, -0.3), b=np.array([-1, 2, 3], np.int8)),
        Case(a=complexes(0.3, 2), b=complexes(-1, 1)),
        Case(a=complexes(0.3, 2), b=1 - 2j),
        Case(a=reals(-3, -0.3), b=complexes(-1, 1)),
    ],
)
def power(a: Array, b: Array, /) -> Array:
    """y = aᵇ        ∂L/∂a = g b aᵇ⁻¹        ∂L/∂b = g y ln a  (0 at a = 0 ≤ b)

    Shapes broadcast; ``a ** b`` is the same. A negative base with a non-integer exponent warns and gives nan, and so does the
    derivative with respect to the exponent of any negative base; an integer array with a negative exponent is an error, as in
    NumPy. Counterpart: ``numpy.power``, ``torch.pow``.

    >>> import tinygrad_edu as tg
    >>> tg.power(tg.Tensor([1.0, 2.0]), 3)
    Tensor([1., 8.])
    """
    return a**b


power.vjp(a=lambda g, a, b: g * _slope(a, b), b=lambda g, y, a, b: g * y * _log_of_base(a, b, y))


@primitive(forward=np.sqrt, elementwise=True, label="√", cases=[Case(a=reals(0.3, 4)), Case(a=complexes(0.3, 2))])
def sqrt(a: Array, /) -> Array:
    """y = √a        ∂L/∂a = g / 2y

    nan below 0; the derivative at 0 is inf, with a warning. Counterpart: ``numpy.sqrt``, ``torch.sqrt``.

    >>> import tinygrad_edu as tg
    >>> tg.sqrt(tg.Tensor([1.0, 9.0]))
    Tensor([1., 3.])
    """


sqrt.vjp(a=lambda g, y: g / (2 * y))


# ----------------------------------------------------------------------------------------------- remainders and signs


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


@primitive(
    forward=np.fmod,
    elementwise=True,
    cases=[Case(a=reals(0.1, 0.9), b=reals(1, 2)), Case(a=reals(-2.9, -2.1), b=1.0), Case(a=-7.3, b=reals(-3.4, -2.6))],
)
def fmod(a: Array, b: Array, /) -> Array:
    """y = a − b trunc(a / b)        ∂L/∂a = g        ∂L/∂b = −g trunc(a / b)

    It has the sign of a and jumps where a / b is an integer other than 0. Counterpart: ``numpy.fmod``, ``torch.fmod``.

    >>> import tinygrad_edu as tg
    >>> tg.fmod(tg.Tensor([5.0, -5.0]), 3)
    Tensor([ 2., -2.])
    """


# From the remainder, which is exact: a / b may have been rounded up to an integer.
fmod.vjp(a=lambda g: g, b=lambda g, a, y, b: -g * rint((a - y) / b))


@primitive(
    forward=np.negative, elementwise=True, bounded=True, label="−x", aliases=("neg",), cases=[Case(a=reals()), Case(a=complexes())]
)
def negative(a: Array, /) -> Array:
    """y = −a        ∂L/∂a = −g

    ``-a`` is the same. Counterpart: ``numpy.negative``.

    >>> import tinygrad_edu as tg
    >>> tg.negative(tg.Tensor([1.0, -2.0]))
    Tensor([-1.,  2.])
    """


negative.vjp(a=lambda g: -g)


def _direction(a: Any, y: Any) -> Any:
    """sign(a), or ā / |a| for complex numbers, each 0 at 0."""
    return sign(a) if a.dtype.kind != "c" else a.conj() / where(y == 0, 1, y)


@primitive(
    forward=np.abs,
    numpy=np.abs,
    elementwise=True,
    bounded=True,
    label="|x|",
    aliases=("absolute",),
    cases=[Case(a=reals(avoid=(0,))), Case(a=complexes(avoid=(0,)))],
    kinks=[
        Kink("a = 0", "0", at={"a": 0.0}, gradient={"a": 0.0}),
        Kink("a = 0, complex", "0", at={"a": 0j}, gradient={"a": 0j}),
    ],
)
def abs(a: Array, /) -> Array:
    """y = |a|        ∂L/∂a = g sign(a)  (0 at a = 0)

    ``abs(x)`` is the same. Of complex numbers the derivative is g ā / |a|. Counterpart: ``numpy.abs``, ``torch.abs``.

    >>> import tinygrad_edu as tg
    >>> tg.abs(tg.Tensor([1.0, -2.0]))
    Tensor([1., 2.])
    """


abs.vjp(a=lambda g, a, y: g * _direction(a, y))


@primitive(
    forward=np.fabs,
    elementwise=True,
    bounded=True,
    label="|x|",
    cases=[Case(a=reals(avoid=(0,)))],
    kinks=[Kink("a = 0", "0", at={"a": 0.0}, gradient={"a": 0.0})],
)
def fabs(a: Array, /) -> Array:
    """y = |a|        ∂L/∂a = g sign(a)  (0 at a = 0)

    As ``abs``, but always floats, and not of complex numbers. Counterpart: ``numpy.fabs``.

    >>> import tinygrad_edu as tg
    >>> tg.fabs(tg.Tensor([1, -2]))
    Tensor([1., 2.])
    """


fabs.vjp(a=lambda g, a: g * sign(a))


@primitive(
    forward=np.copysign,
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(avoid=(0,)), b=np.array([-2, 3], np.int8)), Case(a=reals(avoid=(0,)), b=-1.0)],
    kinks=[Kink("a = 0", "0", at={"a": [0.0, 0.0], "b": [2.0, -3.0]}, gradient={"a": [0.0, 0.0]})],
)
def copysign(a: Array, b: Array, /) -> Array:
    """y = |a| with the sign of b        ∂L/∂a = g sign(a) sign(y)  (0 at a = 0)

    It jumps with b, where its derivative is 0. Counterpart: ``numpy.copysign``, ``torch.copysign``.

    >>> import tinygrad_edu as tg
    >>> tg.copysign(tg.Tensor([1.0, -2.0]), [-1.0, 3.0])
    Tensor([-1.,  2.])
    """


copysign.vjp(a=lambda g, a, y: g * sign(a) * sign(y), b=None)
