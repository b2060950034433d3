"""Trigonometric functions and their inverses. Angles are in radians."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.floating import quietly
from tinygrad_edu.ops.arithmetic import sqrt
from tinygrad_edu.ops.powers import hypot
from tinygrad_edu.ops.select import where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(forward=np.sin, elementwise=True, bounded=True, cases=[Case(a=reals()), Case(a=complexes())])
def sin(a: Array, /) -> Array:
    """y = sin a        ∂L/∂a = g cos a

    Counterpart: ``numpy.sin``, ``torch.sin``.

    >>> import tinygrad_edu as tg
    >>> tg.sin(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.84147098])
    """


sin.vjp(a=lambda g, a: g * cos(a))


@primitive(forward=np.cos, elementwise=True, bounded=True, cases=[Case(a=reals()), Case(a=complexes())])
def cos(a: Array, /) -> Array:
    """y = cos a        ∂L/∂a = −g sin a

    Counterpart: ``numpy.cos``, ``torch.cos``.

    >>> import tinygrad_edu as tg
    >>> tg.cos(tg.Tensor([0.0, 1.0]))
    Tensor([1.        , 0.54030231])
    """


cos.vjp(a=lambda g, a: -g * sin(a))


@primitive(forward=np.tan, elementwise=True, cases=[Case(a=reals(-1.2, 1.2)), Case(a=complexes(-1, 1))])
def tan(a: Array, /) -> Array:
    """y = tan a        ∂L/∂a = g (1 + y²)

    Counterpart: ``numpy.tan``, ``torch.tan``.

    >>> import tinygrad_edu as tg
    >>> tg.tan(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 1.55740772])
    """


tan.vjp(a=lambda g, y: g * (1 + y * y))


@primitive(elementwise=True, reference=lambda a: 1 / np.cos(a), cases=[Case(a=reals(-1.2, 1.2)), Case(a=complexes(-1, 1))])
def sec(a: Array, /) -> Array:
    """y = 1 / cos a        ∂L/∂a = g y tan a

    >>> import tinygrad_edu as tg
    >>> tg.sec(tg.Tensor([0.0, 1.0]))
    Tensor([1.        , 1.85081572])
    """
    return 1 / np.cos(a)


sec.vjp(a=lambda g, a, y: g * y * tan(a))


@primitive(elementwise=True, reference=lambda a: 1 / np.sin(a), cases=[Case(a=reals(0.4, 2.7)), Case(a=complexes(0.4, 1.5))])
def csc(a: Array, /) -> Array:
    """y = 1 / sin a        ∂L/∂a = −g y cot a

    inf at 0, with a warning.

    >>> import tinygrad_edu as tg
    >>> tg.csc(tg.Tensor([0.5, 1.0]))
    Tensor([2.08582964, 1.18839511])
    """
    return 1 / np.sin(a)


csc.vjp(a=lambda g, a, y: -g * y * cot(a))


@primitive(elementwise=True, reference=lambda a: 1 / np.tan(a), cases=[Case(a=reals(0.4, 2.7)), Case(a=complexes(0.4, 1.5))])
def cot(a: Array, /) -> Array:
    """y = 1 / tan a        ∂L/∂a = −g (1 + y²)

    inf at 0, with a warning.

    >>> import tinygrad_edu as tg
    >>> tg.cot(tg.Tensor([0.5, 1.0]))
    Tensor([1.83048772, 0.64209262])
    """
    return 1 / np.tan(a)


cot.vjp(a=lambda g, y: -g * (1 + y * y))


@primitive(forward=np.deg2rad, numpy=(np.deg2rad, np.radians), elementwise=True, aliases=("radians",), cases=[Case(a=reals(-9, 9))])
def deg2rad(a: Array, /) -> Array:
    """y = a π / 180        ∂L/∂a = g π / 180

    Degrees as radians. Counterpart: ``numpy.deg2rad``, ``torch.deg2rad``.

    >>> import tinygrad_edu as tg
    >>> tg.deg2rad(tg.Tensor([0.0, 180.0]))
    Tensor([0.        , 3.14159265])
    """


deg2rad.vjp(a=lambda g: g * (math.pi / 180))


@primitive(forward=np.rad2deg, numpy=(np.rad2deg, np.degrees), elementwise=True, aliases=("degrees",), cases=[Case(a=reals())])
def rad2deg(a: Array, /) -> Array:
    """y = a 180 / π        ∂L/∂a = g 180 / π

    Radians as degrees. Counterpart: ``numpy.rad2deg``, ``torch.rad2deg``.

    >>> import tinygrad_edu as tg
    >>> tg.rad2deg(tg.Tensor([0.0, 1.0]))
    Tensor([ 0.        , 57.29577951])
    """


rad2deg.vjp(a=lambda g: g * (180 / math.pi))


# ------------------------------------------------------------------------------------------------------------ inverses


@primitive(forward=np.arcsin, elementwise=True, aliases=("asin",), cases=[Case(a=reals(-0.8, 0.8)), Case(a=complexes(0.3, 2))])
def arcsin(a: Array, /) -> Array:
    """y = arcsin a        ∂L/∂a = g / √(1 − a²)

    nan outside [−1, 1]; the derivative at ±1 is inf. Counterpart: ``numpy.arcsin``, ``torch.asin``.

    >>> import tinygrad_edu as tg
    >>> tg.arcsin(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 1.57079633])
    """


arcsin.vjp(a=lambda g, a: g / sqrt((1 - a) * (1 + a)))


@primitive(forward=np.arccos, elementwise=True, aliases=("acos",), cases=[Case(a=reals(-0.8, 0.8)), Case(a=complexes(0.3, 2))])
def arccos(a: Array, /) -> Array:
    """y = arccos a        ∂L/∂a = −g / √(1 − a²)

    nan outside [−1, 1]; the derivative at ±1 is −inf. Counterpart: ``numpy.arccos``, ``torch.acos``.

    >>> import tinygrad_edu as tg
    >>> tg.arccos(tg.Tensor([0.0, 1.0]))
    Tensor([1.57079633, 0.        ])
    """


arccos.vjp(a=lambda g, a: -g / sqrt((1 - a) * (1 + a)))


@primitive(forward=np.arctan, elementwise=True, aliases=("atan",), cases=[Case(a=reals()), Case(a=complexes(0.3, 2))])
def arctan(a: Array, /) -> Array:
    """y = arctan a        ∂L/∂a = g / (1 + a²)

    Counterpart: ``numpy.arctan``, ``torch.atan``.

    >>> import tinygrad_edu as tg
    >>> tg.arctan(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.78539816])
    """


arctan.vjp(a=lambda g, a: g / (1 + a * a))


def _steepness(a: Any) -> Any:
    """a² √(1 − 1/a²), of real numbers |a| √(a² − 1), without loss of digits near ±1."""
    return a * sqrt((a - 1) / a * ((a + 1) / a)) * a


@primitive(
    elementwise=True,
    aliases=("asec",),
    reference=lambda a: np.pi / 2 + 1j * np.log(np.sqrt(1 - 1 / a**2) + 1j / a) if np.iscomplexobj(a) else np.arccos(1 / a),
    cases=[Case(a=reals(1.3, 4)), Case(a=reals(-4, -1.3)), Case(a=complexes(0.3, 2))],
)
def arcsec(a: Array, /) -> Array:
    """y = arccos(1 / a)        ∂L/∂a = g / (|a| √(a² − 1))

    nan in (−1, 1); the derivative at ±1 is inf.

    >>> import tinygrad_edu as tg
    >>> tg.arcsec(tg.Tensor([1.0, 2.0]))
    Tensor([0.        , 1.04719755])
    """
    return np.arccos(np.divide(1, a))


arcsec.vjp(a=lambda g, a: g / _steepness(a))


@primitive(
    elementwise=True,
    aliases=("acsc",),
    reference=lambda a: -1j * np.log(np.sqrt(1 - 1 / a**2) + 1j / a) if np.iscomplexobj(a) else np.arcsin(1 / a),
    cases=[Case(a=reals(1.3, 4)), Case(a=reals(-4, -1.3)), Case(a=complexes(0.3, 2))],
)
def arccsc(a: Array, /) -> Array:
    """y = arcsin(1 / a)        ∂L/∂a = −g / (|a| √(a² − 1))

    nan in (−1, 1); the derivative at ±1 is −inf.

    >>> import tinygrad_edu as tg
    >>> tg.arccsc(tg.Tensor([1.0, 2.0]))
    Tensor([1.57079633, 0.52359878])
    """
    return np.arcsin(np.divide(1, a))


arccsc.vjp(a=lambda g, a: -g / _steepness(a))


@primitive(
    elementwise=True,
    aliases=("acot",),
    reference=lambda a: np.arctan(1 / a),
    cases=[Case(a=reals(avoid=(0,))), Case(a=complexes(0.3, 2))],
)
def arccot(a: Array, /) -> Array:
    """y = arctan(1 / a)        ∂L/∂a = −g / (1 + a²)

    In (−π/2, π/2]: it jumps at 0, where it is π/2. ``arctan2(1, a)`` is the branch in (0, π), which does not.

    >>> import tinygrad_edu as tg
    >>> tg.arccot(tg.Tensor([-1.0, 0.0, 1.0]))
    Tensor([-0.78539816,  1.57079633,  0.78539816])
    """
    zero = np.equal(a, 0)
    return np.where(zero, math.pi / 2, np.arctan(quietly(np.divide, 1, np.where(zero, 1, a))))


arccot.vjp(a=lambda g, a: -g / (1 + a * a))


def _pull(g: Any, leg: Any, other: Any) -> Any:
    """g leg / (leg² + other²), without overflow or underflow on the way; 0 at (0, 0)."""
    r = hypot(leg, other)
    r = where(r == 0, 1, r)
    return g * (leg / r / r)


@primitive(
    forward=np.arctan2,
    elementwise=True,
    aliases=("atan2",),
    cases=[Case(a=reals(), b=reals(0.5, 3)), Case(a=reals(0.5, 3), b=reals()), Case(a=reals(-3, -0.5), b=reals(-3, -0.5))],
)
def arctan2(a: Array, b: Array, /) -> Array:
    """y = the angle of (b, a), in [−π, π]        ∂L/∂a = g b / (a² + b²)        ∂L/∂b = −g a / (a² + b²)

    arctan(a / b), where b > 0. At the origin, where the angle has no limit, the derivatives are taken to be 0. Counterpart:
    ``numpy.arctan2``, ``torch.atan2``.

    >>> import tinygrad_edu as tg
    >>> tg.arctan2(tg.Tensor([1.0, 0.0]), [1.0, -1.0])
    Tensor([0.78539816, 3.14159265])
    """


arctan2.vjp(a=lambda g, a, b: _pull(g, b, a), b=lambda g, a, b: _pull(-g, a, b))


# ---------------------------------------------------------------------------------------------------------------- sinc


def _series(u: Any, n: int) -> Any:
    """The n-th derivative of sin u / u = Σ (−1)ᵏ u²ᵏ / (2k + 1)!, term by term, for small u."""
    powers = range(n + n % 2, n + 26 + 2 * n, 2)  # the rest of the terms is below rounding for |u| ≤ 1 + n/2
    y: Any = 0
    for j in reversed(powers):
        y = y * (u * u) + (-1) ** (j // 2) / ((j + 1) * math.factorial(j - n))
    return y * u if n % 2 else y


def _quadrature(a: Any, n: int) -> Any:
    """The n-th derivative of sinc as πⁿ ∫₀¹ tⁿ cos(π a t + n π/2) dt."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    t = (nodes + 1) / 2
    y = (weights / 2 * t**n * np.cos(np.pi * np.multiply.outer(a, t) + n * np.pi / 2)).sum(axis=-1)
    return np.pi**n * y


@primitive(
    elementwise=True,
    bounded=True,
    label="sinc′",
    reference=_quadrature,
    cases=[Case(a=reals(), n=[1, 2, 3]), Case(a=reals(-0.1, 0.1), n=[1, 2])],
)
def _sinc_derivative(a: Array, /, n: int) -> Array:
    """y = dⁿ sinc(a) / daⁿ        ∂L/∂a = g dⁿ⁺¹ sinc(a) / daⁿ⁺¹

    With u = π a and s = sin u / u, n derivatives of u s = sin u give u s⁽ⁿ⁾ + n s⁽ⁿ⁻¹⁾ = sin⁽ⁿ⁾ u. Divided by u that finds each
    derivative from the one before, but amplifies rounding for small u: there the series is summed.
    """
    u = math.pi * np.asarray(a)
    near = np.abs(u) <= 1 + n / 2
    far = np.where(near, 4, u)
    sine, cosine = np.sin(far), np.cos(far)
    y = sine / far
    for k, right in zip(range(1, n + 1), [cosine, -sine, -cosine, sine] * n, strict=False):
        y = (right - k * y) / far
    y = np.asarray(y)
    y[near] = _series(u[near], n)
    return y * math.pi**n


_sinc_derivative.vjp(a=lambda g, a, n: g * _sinc_derivative(a, n + 1))


@primitive(forward=np.sinc, elementwise=True, bounded=True, cases=[Case(a=reals()), Case(a=complexes(-1, 1))])
def sinc(a: Array, /) -> Array:
    """y = sin(π a) / (π a)        ∂L/∂a = g (cos(π a) − y) / a

    1 at 0, where every derivative is right as well. Counterpart: ``numpy.sinc``, ``torch.sinc``.

    >>> import tinygrad_edu as tg
    >>> tg.sinc(tg.Tensor([0.0, 0.5]))
    Tensor([1.        , 0.63661977])
    """


sinc.vjp(a=lambda g, a: g * _sinc_derivative(a, 1))
