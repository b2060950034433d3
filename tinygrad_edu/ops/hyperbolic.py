"""Hyperbolic functions and their inverses. None overflows where its value is finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.arithmetic import divide, sqrt
from tinygrad_edu.ops.powers import hypot
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(forward=np.sinh, elementwise=True, cases=[Case(a=reals()), Case(a=complexes())])
def sinh(a: Array, /) -> Array:
    """y = sinh a        ∂L/∂a = g cosh a

    Counterpart: ``numpy.sinh``, ``torch.sinh``.

    >>> import tinygrad_edu as tg
    >>> tg.sinh(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 1.17520119])
    """


sinh.vjp(a=lambda g, a: g * cosh(a))


@primitive(forward=np.cosh, elementwise=True, cases=[Case(a=reals()), Case(a=complexes())])
def cosh(a: Array, /) -> Array:
    """y = cosh a        ∂L/∂a = g sinh a

    Counterpart: ``numpy.cosh``, ``torch.cosh``.

    >>> import tinygrad_edu as tg
    >>> tg.cosh(tg.Tensor([0.0, 1.0]))
    Tensor([1.        , 1.54308063])
    """


cosh.vjp(a=lambda g, a: g * sinh(a))


@primitive(forward=np.tanh, elementwise=True, bounded=True, cases=[Case(a=reals()), Case(a=complexes(-1, 1))])
def tanh(a: Array, /) -> Array:
    """y = tanh a        ∂L/∂a = g (1 − y²)

    Counterpart: ``numpy.tanh``, ``torch.tanh``.

    >>> import tinygrad_edu as tg
    >>> tg.tanh(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.76159416])
    """


tanh.vjp(a=lambda g, y: g * (1 - y * y))


@primitive(elementwise=True, bounded=True, reference=lambda a: np.log(np.cosh(a)), cases=[Case(a=reals())])
def log_cosh(a: Array, /) -> Any:
    """y = log cosh a        ∂L/∂a = g tanh a

    Close to a²/2 near 0 and to |a| − log 2 far from it: as a loss, a smooth absolute value. It does not overflow where cosh does.
    Counterpart: ``log_cosh`` in Keras' losses.

    >>> import tinygrad_edu as tg
    >>> tg.log_cosh(tg.Tensor([0.0, 1.0, 1000.0]))
    Tensor([0.00000000e+00, 4.33780830e-01, 9.99306853e+02])
    """
    size = np.abs(a)
    near = np.log1p(np.sinh(np.minimum(size, 1)) ** 2) / 2  # log √(1 + sinh²), which keeps the digits of a small one
    return np.where(size < 1, near, size + np.log1p(np.expm1(-2 * size) / 2))


log_cosh.vjp(a=lambda g, a: g * tanh(a))


def _decaying(a: Any) -> tuple[Any, Any]:
    """±a, whichever does not grow to the right, and the sign that was taken: its exponential cannot overflow."""
    a = np.asarray(a)
    sign = np.where(a.real > 0, -1, 1).astype(a.dtype if a.dtype.kind in "fc" else float)
    return sign * a, sign


@primitive(elementwise=True, reference=lambda a: 1 / np.cosh(a), cases=[Case(a=reals()), Case(a=complexes(-1, 1))])
def sech(a: Array, /) -> Any:
    """y = 1 / cosh a        ∂L/∂a = −g y tanh a

    0 for large a, where cosh a overflows.

    >>> import tinygrad_edu as tg
    >>> tg.sech(tg.Tensor([0.0, 1.0, 1000.0]))
    Tensor([1.        , 0.64805427, 0.        ])
    """
    e = np.exp(_decaying(a)[0])
    return 2 * e / (1 + e * e)


sech.vjp(a=lambda g, a, y: -g * y * tanh(a))


@primitive(
    elementwise=True, reference=lambda a: 1 / np.sinh(a), cases=[Case(a=reals(avoid=(0,), gap=0.3)), Case(a=complexes(0.3, 1.5))]
)
def csch(a: Array, /) -> Any:
    """y = 1 / sinh a        ∂L/∂a = −g y coth a

    0 for large a, where sinh a overflows; inf at 0, with a warning.

    >>> import tinygrad_edu as tg
    >>> tg.csch(tg.Tensor([1.0, -1000.0]))
    Tensor([ 0.85091813, -0.        ])
    """
    decaying, sign = _decaying(a)
    less = np.expm1(decaying)
    return 2 * sign * np.exp(decaying) / (less * (less + 2))  # e²ᵈ − 1, without 2d, which may overflow


csch.vjp(a=lambda g, a, y: -g * y * coth(a))


@primitive(
    elementwise=True, reference=lambda a: 1 / np.tanh(a), cases=[Case(a=reals(avoid=(0,), gap=0.3)), Case(a=complexes(0.3, 1.5))]
)
def coth(a: Array, /) -> Array:
    """y = 1 / tanh a        ∂L/∂a = g (1 − y²)

    inf at 0, with a warning.

    >>> import tinygrad_edu as tg
    >>> tg.coth(tg.Tensor([1.0, -1000.0]))
    Tensor([ 1.31303529, -1.        ])
    """
    return 1 / np.tanh(a)


coth.vjp(a=lambda g, y: g * (1 - y * y))


# ------------------------------------------------------------------------------------------------------------ inverses


def _root(a: Any) -> Any:
    """√(1 + a²)"""
    return hypot(1, a) if a.dtype.kind != "c" else sqrt(1 + a * a)


@primitive(forward=np.arcsinh, elementwise=True, aliases=("asinh",), cases=[Case(a=reals()), Case(a=complexes(0.3, 2))])
def arcsinh(a: Array, /) -> Array:
    """y = arcsinh a        ∂L/∂a = g / √(1 + a²)

    Counterpart: ``numpy.arcsinh``, ``torch.asinh``.

    >>> import tinygrad_edu as tg
    >>> tg.arcsinh(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.88137359])
    """


arcsinh.vjp(a=lambda g, a: g / _root(a))


@primitive(forward=np.arccosh, elementwise=True, aliases=("acosh",), cases=[Case(a=reals(1.3, 4)), Case(a=complexes(0.3, 2))])
def arccosh(a: Array, /) -> Array:
    """y = arccosh a        ∂L/∂a = g / (√(a − 1) √(a + 1))

    nan below 1; the derivative at 1 is inf. Counterpart: ``numpy.arccosh``, ``torch.acosh``.

    >>> import tinygrad_edu as tg
    >>> tg.arccosh(tg.Tensor([1.0, 2.0]))
    Tensor([0.       , 1.3169579])
    """


arccosh.vjp(a=lambda g, a: g / (sqrt(a - 1) * sqrt(a + 1)))


@primitive(forward=np.arctanh, elementwise=True, aliases=("atanh",), cases=[Case(a=reals(-0.8, 0.8)), Case(a=complexes(0.3, 2))])
def arctanh(a: Array, /) -> Array:
    """y = arctanh a        ∂L/∂a = g / (1 − a²)

    ±inf at ±1 and nan beyond, with a warning. Counterpart: ``numpy.arctanh``, ``torch.atanh``.

    >>> import tinygrad_edu as tg
    >>> tg.arctanh(tg.Tensor([0.0, 0.5]))
    Tensor([0.        , 0.54930614])
    """


arctanh.vjp(a=lambda g, a: g / ((1 - a) * (1 + a)))


@primitive(
    elementwise=True,
    aliases=("asech",),
    reference=lambda a: np.log(1 / a + np.sqrt(1 / a - 1) * np.sqrt(1 / a + 1)),
    cases=[Case(a=reals(0.2, 0.8)), Case(a=complexes(0.3, 2))],
)
def arcsech(a: Array, /) -> Array:
    """y = arccosh(1 / a)        ∂L/∂a = −g / (a √(1 − a) √(1 + a))

    nan outside (0, 1].

    >>> import tinygrad_edu as tg
    >>> tg.arcsech(tg.Tensor([0.5, 1.0]))
    Tensor([1.3169579, 0.       ])
    """
    return np.arccosh(np.divide(1, a))


arcsech.vjp(a=lambda g, a: -g / a / a / (sqrt((1 - a) / a) * sqrt((1 + a) / a)))


@composite(
    elementwise=True,
    aliases=("acsch",),
    reference=lambda a: np.log(1 / a + np.sqrt(1 + 1 / a**2)),
    cases=[Case(a=reals(avoid=(0,), gap=0.3)), Case(a=complexes(0.3, 2))],
)
def arccsch(a: Any, /) -> Any:
    """y = arcsinh(1 / a)        ∂L/∂a = −g / (|a| √(1 + a²))

    inf at 0, with a warning. Built from ``arcsinh`` and ``divide``.

    >>> import tinygrad_edu as tg
    >>> tg.arccsch(tg.Tensor([0.5, 1.0]))
    Tensor([1.44363548, 0.88137359])
    """
    return arcsinh(divide(1, a))


@primitive(
    elementwise=True,
    aliases=("acoth",),
    reference=lambda a: (np.log(1 + 1 / a) - np.log(1 - 1 / a)) / 2,
    cases=[Case(a=reals(1.3, 4)), Case(a=reals(-4, -1.3)), Case(a=complexes(0.3, 2))],
)
def arccoth(a: Array, /) -> Array:
    """y = arctanh(1 / a)        ∂L/∂a = g / (1 − a²)

    ±inf at ±1 and nan between, with a warning.

    >>> import tinygrad_edu as tg
    >>> tg.arccoth(tg.Tensor([-2.0, 2.0]))
    Tensor([-0.54930614,  0.54930614])
    """
    return np.arctanh(np.divide(1, a))


arccoth.vjp(a=lambda g, a: g / ((1 - a) * (1 + a)))
