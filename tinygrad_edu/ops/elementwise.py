"""Elementwise operations. Operands broadcast; a broadcast operand is recorded as entering through a Repeat.

Comparisons and `sign` are here too: they are piecewise constant, so their results are constants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


# ------------------------------------------------------------------------------------------------------------ arithmetic


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


@primitive(forward=np.multiply, elementwise=True, label="×", cases=[Case(a=reals(), b=reals())])
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


@primitive(forward=np.negative, elementwise=True, label="−x", cases=[Case(a=reals())])
def negative(a: Array, /) -> Array:
    """y = −a        ∂L/∂a = −g

    ``-a`` is the same. Counterpart: ``numpy.negative``.

    >>> import tinygrad_edu as tg
    >>> tg.negative(tg.Tensor([1.0, -2.0]))
    Tensor([-1.,  2.])
    """


negative.vjp(a=lambda g: -g)


# ------------------------------------------------------------------------------------------------------------- functions


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


@primitive(forward=np.sqrt, elementwise=True, label="√", cases=[Case(a=reals(0.3, 4))])
def sqrt(a: Array, /) -> Array:
    """y = √a        ∂L/∂a = g / 2y

    nan below 0; the derivative at 0 is inf, with a warning. Counterpart: ``numpy.sqrt``.

    >>> import tinygrad_edu as tg
    >>> tg.sqrt(tg.Tensor([1.0, 9.0]))
    Tensor([1., 3.])
    """


sqrt.vjp(a=lambda g, y: g / (2 * y))


@primitive(forward=np.abs, elementwise=True, label="|x|", cases=[Case(a=reals(avoid=(0,)))])
def abs(a: Array, /) -> Array:
    """y = |a|        ∂L/∂a = g sign(a)  (0 at a = 0)

    ``abs(x)`` is the same. Counterpart: ``numpy.abs``.

    >>> import tinygrad_edu as tg
    >>> tg.abs(tg.Tensor([1.0, -2.0]))
    Tensor([1., 2.])
    """


abs.vjp(a=lambda g, a: g * sign(a))


@primitive(forward=np.sin, elementwise=True, cases=[Case(a=reals())])
def sin(a: Array, /) -> Array:
    """y = sin a        ∂L/∂a = g cos a

    Radians. Counterpart: ``numpy.sin``.

    >>> import tinygrad_edu as tg
    >>> tg.sin(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.84147098])
    """


sin.vjp(a=lambda g, a: g * cos(a))


@primitive(forward=np.cos, elementwise=True, cases=[Case(a=reals())])
def cos(a: Array, /) -> Array:
    """y = cos a        ∂L/∂a = −g sin a

    Radians. Counterpart: ``numpy.cos``.

    >>> import tinygrad_edu as tg
    >>> tg.cos(tg.Tensor([0.0, 1.0]))
    Tensor([1.        , 0.54030231])
    """


cos.vjp(a=lambda g, a: -g * sin(a))


@primitive(forward=np.tanh, elementwise=True, cases=[Case(a=reals())])
def tanh(a: Array, /) -> Array:
    """y = tanh a        ∂L/∂a = g (1 − y²)

    Counterpart: ``numpy.tanh``.

    >>> import tinygrad_edu as tg
    >>> tg.tanh(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.76159416])
    """


tanh.vjp(a=lambda g, y: g * (1 - y * y))


# --------------------------------------------------------------------------------------------------------------- select


@primitive(forward=np.maximum, elementwise=True, label="max", cases=[Case(a=reals(grid=(0, 0.2)), b=reals(grid=(0.1, 0.2)))])
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


@primitive(forward=np.minimum, elementwise=True, label="min", cases=[Case(a=reals(grid=(0, 0.2)), b=reals(grid=(0.1, 0.2)))])
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


@primitive(forward=np.where, elementwise=True, cases=[Case(condition=np.array([True, False, True]), a=reals(), b=reals())])
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
    numpy=np.clip,
    elementwise=True,
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


# --------------------------------------------------------------------------------------------------- piecewise constant


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
