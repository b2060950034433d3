"""The gamma function, which continues the factorials, and its relatives. Computed by SciPy: see `tinygrad_edu.ops.special`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.cuts import mark_cut
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.graph import Variable, as_variable
from tinygrad_edu.ops.indexing import numbers_of
from tinygrad_edu.ops.reduction import as_operand
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.special import pair
from tinygrad_edu.ops.trigonometric import cos, sin
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Lazy, composite, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

_PSI, _GAMMA, _ZETA = Lazy("scipy.special", "psi"), Lazy("scipy.special", "gamma"), Lazy("scipy.special", "zeta")


@primitive(
    forward=Lazy("scipy.special", "gammaln"),
    elementwise=True,
    label="ln Γ",
    aliases=("lgamma",),
    cases=[Case(a=reals(0.3, 5)), Case(a=reals(-0.7, -0.3))],
)
def gammaln(a: Array, /) -> Array:
    """y = ln |Γ(a)|        ∂L/∂a = g ψ(a)        (ψ: digamma)

    inf at 0, −1, −2, …. Real numbers only. Needs SciPy. Counterpart: ``scipy.special.gammaln``, ``torch.lgamma``.

    >>> import tinygrad_edu as tg
    >>> tg.gammaln(tg.Tensor([1.0, 11.0]))
    Tensor([ 0.        , 15.10441257])
    """


gammaln.vjp(a=lambda g, a: g * digamma(a))


@primitive(forward=_GAMMA, elementwise=True, label="Γ", cases=[Case(a=reals(0.5, 4)), Case(a=reals(-0.7, -0.3))])
def gamma(a: Array, /) -> Array:
    """y = Γ(a) = ∫ tᵃ⁻¹ e⁻ᵗ dt        ∂L/∂a = g y ψ(a)        (ψ: digamma)

    Γ(n) = (n − 1)!; inf above 171.6. Complex numbers have a first derivative only, because `polygamma` does not take them.
    Needs SciPy. Counterpart: ``scipy.special.gamma``.

    >>> import tinygrad_edu as tg
    >>> tg.gamma(tg.Tensor([0.5, 5.0]))
    Tensor([ 1.77245385, 24.        ])
    """


gamma.vjp(a=lambda g, a, y: g * (y * digamma(a)))


@primitive(
    forward=Lazy("scipy.special", "rgamma"),
    elementwise=True,
    label="1/Γ",
    cases=[Case(a=reals(0.6, 4)), Case(a=reals(-1.4, 0.4)), Case(a=reals(0, 0)), Case(a=reals(-2, -2))],
)
def rgamma(a: Array, /) -> Array:
    """y = 1 / Γ(a)        ∂L/∂a = −g y ψ(a)  ((−1)ⁿ n! g at a = −n)        (ψ: digamma)

    0 at 0, −1, −2, …, where Γ is infinite; smooth everywhere. Real numbers only. Needs SciPy. Counterpart:
    ``scipy.special.rgamma``.

    >>> import tinygrad_edu as tg
    >>> tg.rgamma(tg.Tensor([-1.0, 0.5, 5.0]))
    Tensor([0.        , 0.56418958, 0.04166667])
    """


def _rgamma_slope(a: Any) -> Any:
    """−ψ(a) / Γ(a); to the left, where the two are infinite, of y = sin(πa) Γ(1 − a) / π."""
    left = a < 0.5
    b, c = where(left, 1 - a, 1), where(left, 1, a)
    return where(left, gamma(b) * (cos(math.pi * a) - sin(math.pi * a) * digamma(b) / math.pi), -rgamma(c) * digamma(c))


rgamma.vjp(a=lambda g, a: g * _rgamma_slope(a))


@spelling(Lazy("scipy.special", "gammasgn"))
def gammasgn(a: Any, /) -> Any:
    """The sign of Γ(a), so that Γ(a) = gammasgn(a) e^gammaln(a): a constant.

    Needs SciPy. Counterpart: ``scipy.special.gammasgn``.

    >>> import tinygrad_edu as tg
    >>> tg.gammasgn(tg.Tensor([-0.5, 0.5]))
    Tensor([-1.,  1.])
    """
    signs = Lazy("scipy.special", "gammasgn")(numbers_of(a))
    return mark_cut(as_variable(type(a), signs), "gammasgn", a) if isinstance(a, Variable) else signs


@composite(
    cases=[Case(a=reals(1.2, 4), d=[1, 3])],
    reference=lambda a, d: np.asarray([Lazy("scipy.special", "multigammaln")(x, d) for x in np.ravel(a)]).reshape(np.shape(a)),
)
def multigammaln(a: Any, /, d: int) -> Any:
    """y = ¼ d (d − 1) ln π + Σᵢ ln Γ(a − ½ i), i from 0 to d − 1        ∂L/∂a = g Σᵢ ψ(a − ½ i)

    The logarithm of the gamma function of d by d matrices, for a > ½ (d − 1), as in the densities of Wishart distributions. Needs
    SciPy. Counterpart: ``scipy.special.multigammaln``, ``torch.special.multigammaln``.

    >>> import tinygrad_edu as tg
    >>> tg.multigammaln(tg.Tensor(2.0), 2)
    Tensor(0.45158271)
    """
    if d < 1 or d != int(d):
        raise ArgumentError(f"multigammaln: d is the size of a matrix, so it is an integer from 1 on, not {d!r}")
    a = as_operand(a)
    if numbers_of(a).size and numbers_of(a).min() <= (d - 1) / 2:
        raise ArgumentError(
            f"multigammaln: it exists for a > (d − 1) / 2 = {(d - 1) / 2}, and the smallest a is {numbers_of(a).min()}"
        )
    total: Any = d * (d - 1) / 4 * math.log(math.pi)
    for i in range(d):
        total = total + gammaln(a - i / 2)
    return total


@primitive(forward=_PSI, elementwise=True, label="ψ", aliases=("psi",), cases=[Case(a=reals(0.4, 4)), Case(a=reals(-0.7, -0.3))])
def digamma(a: Array, /) -> Array:
    """y = ψ(a) = Γ′(a) / Γ(a)        ∂L/∂a = g ψ⁽¹⁾(a)        (polygamma)

    Needs SciPy. Counterpart: ``scipy.special.digamma``, ``torch.special.digamma``.

    >>> import tinygrad_edu as tg
    >>> tg.digamma(tg.Tensor([1.0, 2.0]))
    Tensor([-0.57721566,  0.42278434])
    """


digamma.vjp(a=lambda g, a: g * polygamma(1, a))


def _hurwitz(s: Array, q: Array) -> Array:
    """ζ(s, q) = Σ (q + k)⁻ˢ over k = 0, 1, 2, …, for integers s. SciPy adds the terms of negative numbers one by one; where there
    are many of them, here they are the difference of two such sums over positive ones."""
    left = q < -100
    y = _ZETA(s, np.where(left, 1, q))
    if left.any():
        rest = -q - np.floor(-q)  # of the last negative number
        negative = _ZETA(s, rest) - _ZETA(s, np.where(left, 1 - q, 1))
        far = np.where(rest == 0, np.inf, _ZETA(s, 1 - rest) + np.where(s % 2, -negative, negative))
        y = np.where(left, far, y).astype(y.dtype)
    return y  # type: ignore[no-any-return]


@primitive(
    elementwise=True,
    label="ψ⁽ⁿ⁾",
    method=False,
    cases=[
        Case(n=0, a=reals(0.6, 4)),
        Case(n=1, a=reals(0.6, 4)),
        Case(n=2, a=reals(-0.7, -0.3)),
        Case(n=np.array([0, 1, 3]), a=reals(1, 4)),
    ],
    reference=Lazy("scipy.special", "polygamma"),
)
def polygamma(n: Array, a: Array, /) -> Array:
    """y = ψ⁽ⁿ⁾(a), the n-th derivative of ψ        ∂L/∂a = g ψ⁽ⁿ⁺¹⁾(a)

    ``n`` is an integer, or several; it has no derivative. ψ⁽⁰⁾ is `digamma`. Real numbers only. Needs SciPy. Counterpart:
    ``scipy.special.polygamma``, ``torch.special.polygamma``.

    >>> import tinygrad_edu as tg
    >>> tg.polygamma(1, tg.Tensor([1.0, 2.0]))
    Tensor([1.64493407, 0.64493407])
    """
    a = np.asarray(a)
    orders = np.asarray(n, a.dtype if a.dtype.kind == "f" else float)
    if (orders < 0).any() or (orders != np.trunc(orders)).any():
        raise ArgumentError(f"polygamma: n counts derivatives, so it is an integer from 0 on, not {n!r}")
    if not orders.any():
        y: Array = _PSI(a + orders)  # adding nothing but a shape
        return y
    y = (2 * (orders % 2) - 1) * _GAMMA(orders + 1) * _hurwitz(orders + 1, a)
    return y if orders.all() else np.where(orders == 0, _PSI(a), y)


polygamma.vjp(n=NotImplemented, a=lambda g, n, a: g * polygamma(n + 1, a))


_NEAR = 1e-2  # from where on, relative to b, the difference of two polygammas keeps too few digits


@primitive(
    elementwise=True,
    method=False,
    cases=[
        Case(a=reals(0.5, 3), b=reals(0.5, 3), n=[0, 1]),
        Case(a=reals(-2e-3, 2e-3), b=reals(0.5, 3), n=[0, 2]),
        Case(a=reals(0.1, 0.2), b=reals(-0.7, -0.3)),
    ],
    reference=lambda a, b, n=0: polygamma(n, a + b) - polygamma(n, b),
)
def _polygamma_rise(a: Array, b: Array, /, n: int = 0) -> Array:
    """y = ψ⁽ⁿ⁾(a + b) − ψ⁽ⁿ⁾(b)        ∂L/∂a = g ψ⁽ⁿ⁺¹⁾(a + b)        ∂L/∂b = g (ψ⁽ⁿ⁺¹⁾(a + b) − ψ⁽ⁿ⁺¹⁾(b))

    Also where a is so small beside b that the two are nearly alike: by the odd terms of the Taylor series around the middle.
    """
    a, b = np.asarray(a), np.asarray(b)
    with np.errstate(invalid="ignore"):  # at a pole, both are infinite
        y: Array = polygamma(n, a + b) - polygamma(n, b)
    near = np.abs(a) < _NEAR * b
    if near.any():
        half = a / 2
        series = 2 * sum(half**k / math.factorial(k) * polygamma(n + k, half + b) for k in (1, 3, 5, 7))
        y = np.where(near, series, y)
    return y


_polygamma_rise.vjp(
    a=lambda g, a, b, n: g * polygamma(n + 1, a + b),
    b=lambda g, a, b, n: g * _polygamma_rise(a, b, n + 1),
)


@primitive(
    forward=pair("beta"),
    numpy=Lazy("scipy.special", "beta"),
    elementwise=True,
    label="B",
    cases=[Case(a=reals(0.5, 3), b=reals(0.5, 3))],
)
def beta(a: Array, b: Array, /) -> Array:
    """y = Γ(a) Γ(b) / Γ(a + b)        ∂L/∂a = g y (ψ(a) − ψ(a + b))        ∂L/∂b = g y (ψ(b) − ψ(a + b))

    Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.beta``.

    >>> import tinygrad_edu as tg
    >>> tg.beta(tg.Tensor([1.0, 2.0]), 3)
    Tensor([0.33333333, 0.08333333])
    """


beta.vjp(
    a=lambda g, y, a, b: -(g * (y * _polygamma_rise(b, a))),
    b=lambda g, y, a, b: -(g * (y * _polygamma_rise(a, b))),
)


@primitive(
    forward=pair("betaln"),
    numpy=Lazy("scipy.special", "betaln"),
    elementwise=True,
    label="ln B",
    cases=[Case(a=reals(0.5, 3), b=reals(0.5, 3))],
)
def betaln(a: Array, b: Array, /) -> Array:
    """y = ln |B(a, b)|        ∂L/∂a = g (ψ(a) − ψ(a + b))        ∂L/∂b = g (ψ(b) − ψ(a + b))

    The logarithm of `beta`, also where that is too small for a number. Shapes broadcast. Needs SciPy. Counterpart:
    ``scipy.special.betaln``.

    >>> import tinygrad_edu as tg
    >>> tg.betaln(tg.Tensor([1.0, 1000.0]), 1000)
    Tensor([   -6.90775528, -1388.48260164])
    """


betaln.vjp(
    a=lambda g, a, b: -(g * _polygamma_rise(b, a)),
    b=lambda g, a, b: -(g * _polygamma_rise(a, b)),
)
