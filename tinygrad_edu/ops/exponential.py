"""Exponentials and logarithms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.floating import quietly
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Lazy, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

LN2, LN10 = math.log(2), math.log(10)


@primitive(forward=np.exp, elementwise=True, cases=[Case(a=reals()), Case(a=complexes())])
def exp(a: Array, /) -> Array:
    """y = eᵃ        ∂L/∂a = g y

    Overflows to inf with a warning above 709 (float64) or 88 (float32). Counterpart: ``numpy.exp``, ``torch.exp``.

    >>> import tinygrad_edu as tg
    >>> tg.exp(tg.Tensor([0.0, 1.0]))
    Tensor([1.        , 2.71828183])
    """


exp.vjp(a=lambda g, y: g * y)


@primitive(
    forward=np.exp2,
    numpy=(np.exp2, Lazy("scipy.special", "exp2")),
    elementwise=True,
    label="2ˣ",
    cases=[Case(a=reals()), Case(a=complexes())],
)
def exp2(a: Array, /) -> Array:
    """y = 2ᵃ        ∂L/∂a = g y ln 2

    Counterpart: ``numpy.exp2``, ``torch.exp2``.

    >>> import tinygrad_edu as tg
    >>> tg.exp2(tg.Tensor([0.0, 3.0]))
    Tensor([1., 8.])
    """


exp2.vjp(a=lambda g, y: g * (y * LN2))


@primitive(
    forward=np.expm1,
    numpy=(np.expm1, Lazy("scipy.special", "expm1")),
    elementwise=True,
    label="eˣ − 1",
    cases=[Case(a=reals()), Case(a=complexes())],
)
def expm1(a: Array, /) -> Array:
    """y = eᵃ − 1        ∂L/∂a = g eᵃ

    Exact for small a, where ``exp(a) - 1`` loses digits. Counterpart: ``numpy.expm1``, ``torch.expm1``.

    >>> import tinygrad_edu as tg
    >>> tg.expm1(tg.Tensor([0.0, 1e-10]))
    Tensor([0.e+00, 1.e-10])
    """


expm1.vjp(a=lambda g, a: g * exp(a))


@primitive(forward=np.log, elementwise=True, label="ln", cases=[Case(a=reals(0.3, 4)), Case(a=complexes(0.3, 2))])
def log(a: Array, /) -> Array:
    """y = ln a        ∂L/∂a = g / a

    −inf at 0 and nan below, with a warning; of a complex number, the value whose imaginary part is in (−π, π]. Counterpart:
    ``numpy.log``, ``torch.log``.

    >>> import tinygrad_edu as tg
    >>> tg.log(tg.Tensor([1.0, 10.0]))
    Tensor([0.        , 2.30258509])
    """


log.vjp(a=lambda g, a: g / a)


@primitive(forward=np.log2, elementwise=True, label="log₂", cases=[Case(a=reals(0.3, 4)), Case(a=complexes(0.3, 2))])
def log2(a: Array, /) -> Array:
    """y = log₂ a        ∂L/∂a = g / (a ln 2)

    Outside its domain as ``log``. Counterpart: ``numpy.log2``, ``torch.log2``.

    >>> import tinygrad_edu as tg
    >>> tg.log2(tg.Tensor([1.0, 8.0]))
    Tensor([0., 3.])
    """


log2.vjp(a=lambda g, a: g / a / LN2)


@primitive(forward=np.log10, elementwise=True, label="log₁₀", cases=[Case(a=reals(0.3, 4)), Case(a=complexes(0.3, 2))])
def log10(a: Array, /) -> Array:
    """y = log₁₀ a        ∂L/∂a = g / (a ln 10)

    Outside its domain as ``log``. Counterpart: ``numpy.log10``, ``torch.log10``.

    >>> import tinygrad_edu as tg
    >>> tg.log10(tg.Tensor([1.0, 1000.0]))
    Tensor([0., 3.])
    """


log10.vjp(a=lambda g, a: g / a / LN10)


@primitive(
    forward=np.log1p,
    numpy=(np.log1p, Lazy("scipy.special", "log1p")),
    elementwise=True,
    label="ln(1 + x)",
    cases=[Case(a=reals(-0.7, 3)), Case(a=complexes(-0.7, 2))],
)
def log1p(a: Array, /) -> Array:
    """y = ln(1 + a)        ∂L/∂a = g / (1 + a)

    Exact for small a, where ``log(1 + a)`` loses digits. Counterpart: ``numpy.log1p``, ``torch.log1p``.

    >>> import tinygrad_edu as tg
    >>> tg.log1p(tg.Tensor([0.0, 1e-10]))
    Tensor([0.e+00, 1.e-10])
    """


log1p.vjp(a=lambda g, a: g / (1 + a))


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(), b=reals(), rate=[1.0, LN2])],
    reference=lambda a, b, rate: 1 / (1 + np.exp(rate * (b - a))),
)
def _share(a: Array, b: Array, /, rate: float = 1.0) -> Array:
    """y = eᵃ / (eᵃ + eᵇ)        ∂L/∂a = g y (1 − y)        ∂L/∂b = −g y (1 − y)

    From a − b and not from eᵃ⁻ʸ: the sum y of large numbers is rounded, and the shares would not add up to 1. ``rate=ln 2`` makes
    it powers of 2. −inf is no summand, so two of them have no share; of two +inf each has half.
    """
    return quietly(_plain_share, a, b, rate)  # type: ignore[no-any-return]


def _plain_share(a: Any, b: Any, rate: float) -> Any:
    return 1 / (1 + np.exp(rate * np.where((a == b) & np.isinf(a), np.maximum(np.negative(a), 0), np.subtract(b, a))))


_share.vjp(a=lambda g, y, rate: g * (y * (1 - y)) * rate, b=lambda g, y, rate: g * (y * (1 - y)) * -rate)


@primitive(forward=np.logaddexp, elementwise=True, bounded=True, cases=[Case(a=reals(), b=reals())])
def logaddexp(a: Array, b: Array, /) -> Array:
    """y = ln(eᵃ + eᵇ)        ∂L/∂a = g eᵃ / (eᵃ + eᵇ)        ∂L/∂b = g eᵇ / (eᵃ + eᵇ)

    Nothing overflows, and −inf counts as a zero summand. Of many numbers it is ``logsumexp``. Counterpart: ``numpy.logaddexp``,
    ``torch.logaddexp``.

    >>> import tinygrad_edu as tg
    >>> tg.logaddexp(tg.Tensor([1000.0, -1000.0]), 1000)
    Tensor([1000.69314718, 1000.        ])
    """


logaddexp.vjp(a=lambda g, a, b: g * _share(a, b), b=lambda g, a, b: g * _share(b, a))


@primitive(forward=np.logaddexp2, elementwise=True, bounded=True, cases=[Case(a=reals(), b=reals())])
def logaddexp2(a: Array, b: Array, /) -> Array:
    """y = log₂(2ᵃ + 2ᵇ)        ∂L/∂a = g 2ᵃ / (2ᵃ + 2ᵇ)        ∂L/∂b = g 2ᵇ / (2ᵃ + 2ᵇ)

    Nothing overflows, and −inf counts as a zero summand. Counterpart: ``numpy.logaddexp2``, ``torch.logaddexp2``.

    >>> import tinygrad_edu as tg
    >>> tg.logaddexp2(tg.Tensor([2000.0, 1000.0]), [2000.0, 0.0])
    Tensor([2001., 1000.])
    """


logaddexp2.vjp(a=lambda g, a, b: g * _share(a, b, LN2), b=lambda g, a, b: g * _share(b, a, LN2))
