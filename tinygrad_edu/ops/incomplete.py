"""Incomplete gamma and beta functions: the distribution functions of the gamma, χ², Poisson, beta, binomial and Student's
distributions. Computed by SciPy: see `tinygrad_edu.ops.special`. They are differentiated by the limit of the integral; the
parameters a and b have no derivative here, and a tensor there must not require grad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.arithmetic import sqrt
from tinygrad_edu.ops.exponential import exp, log1p
from tinygrad_edu.ops.factorials import betaln, gammaln
from tinygrad_edu.ops.special import pair, xlog1py, xlogy
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Lazy, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def _gamma_density(a: Any, x: Any) -> Any:
    return exp(xlogy(a - 1, x) - x - gammaln(a))


@primitive(
    forward=pair("gammainc"),
    numpy=Lazy("scipy.special", "gammainc"),
    elementwise=True,
    label="P",
    method=False,
    cases=[
        Case(a=2.5, x=reals(0.3, 4)),
        Case(a=1, x=reals(0, 0)),
        Case(a=np.array([0.5, 3.0], np.float32), x=reals(0.3, 4, shape=("n", 2))),
    ],
)
def gammainc(a: Array, x: Array, /) -> Array:
    """y = ∫₀ˣ tᵃ⁻¹ e⁻ᵗ dt / Γ(a)        ∂L/∂x = g xᵃ⁻¹ e⁻ˣ / Γ(a)

    The regularised lower incomplete gamma function, from 0 to 1, for a ≥ 0 and x ≥ 0; nan elsewhere. ``a`` is a number, or
    several; it has no derivative. Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.gammainc``,
    ``torch.special.gammainc``.

    >>> import tinygrad_edu as tg
    >>> tg.gammainc(1, tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.63212056])
    """


gammainc.vjp(a=NotImplemented, x=lambda g, a, x: g * _gamma_density(a, x))


@primitive(
    forward=pair("gammaincc"),
    numpy=Lazy("scipy.special", "gammaincc"),
    elementwise=True,
    label="Q",
    method=False,
    cases=[
        Case(a=2.5, x=reals(0.3, 4)),
        Case(a=1, x=reals(0, 0)),
        Case(a=np.array([0.5, 3.0], np.float32), x=reals(0.3, 4, shape=("n", 2))),
    ],
)
def gammaincc(a: Array, x: Array, /) -> Array:
    """y = 1 − gammainc(a, x)        ∂L/∂x = −g xᵃ⁻¹ e⁻ˣ / Γ(a)

    Without the cancellation, where it is small. Needs SciPy. Counterpart: ``scipy.special.gammaincc``,
    ``torch.special.gammaincc``.

    >>> import tinygrad_edu as tg
    >>> tg.gammaincc(1, tg.Tensor([0.0, 50.0]))
    Tensor([1.00000000e+00, 1.92874985e-22])
    """


gammaincc.vjp(a=NotImplemented, x=lambda g, a, x: -g * _gamma_density(a, x))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    return exp(xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b))


@primitive(
    forward=Lazy("scipy.special", "betainc"),
    elementwise=True,
    label="I",
    method=False,
    cases=[Case(a=2.5, b=1.5, x=reals(0.1, 0.9)), Case(a=np.array([0.5, 3.0], np.float32), b=2, x=reals(0.1, 0.9, shape=("n", 2)))],
)
def betainc(a: Array, b: Array, x: Array, /) -> Array:
    """y = ∫₀ˣ tᵃ⁻¹ (1 − t)ᵇ⁻¹ dt / B(a, b)        ∂L/∂x = g xᵃ⁻¹ (1 − x)ᵇ⁻¹ / B(a, b)

    The regularised incomplete beta function, from 0 at 0 to 1 at 1, for positive a and b; nan outside. They are numbers, or
    several, and have no derivative. Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.betainc``.

    >>> import tinygrad_edu as tg
    >>> tg.betainc(1, 2, tg.Tensor([0.5, 1.0]))
    Tensor([0.75, 1.  ])
    """


betainc.vjp(a=NotImplemented, b=NotImplemented, x=lambda g, a, b, x: g * _beta_density(a, b, x))


@primitive(
    forward=Lazy("scipy.special", "betaincc"),
    elementwise=True,
    method=False,
    cases=[Case(a=2.5, b=1.5, x=reals(0.1, 0.9)), Case(a=np.array([0.5, 3.0], np.float32), b=2, x=reals(0.1, 0.9, shape=("n", 2)))],
)
def betaincc(a: Array, b: Array, x: Array, /) -> Array:
    """y = 1 − betainc(a, b, x)        ∂L/∂x = −g xᵃ⁻¹ (1 − x)ᵇ⁻¹ / B(a, b)

    Without the cancellation, where it is small. Needs SciPy. Counterpart: ``scipy.special.betaincc``.

    >>> import tinygrad_edu as tg
    >>> tg.betaincc(1, 2, tg.Tensor([0.5, 1.0]))
    Tensor([0.25, 0.  ])
    """


betaincc.vjp(a=NotImplemented, b=NotImplemented, x=lambda g, a, b, x: -g * _beta_density(a, b, x))


@primitive(
    forward=pair("stdtr"),
    numpy=Lazy("scipy.special", "stdtr"),
    elementwise=True,
    bounded=True,
    method=False,
    cases=[Case(df=2.5, t=reals()), Case(df=np.array([1.0, 7.0], np.float32), t=reals(shape=("n", 2)))],
)
def stdtr(df: Array, t: Array, /) -> Array:
    """y = ∫ f(s) ds up to t        ∂L/∂t = g f(t)        (f(t) = (1 + t² / ν)^(−(ν + 1) / 2) / (√ν B(½, ν / 2)), ν = df)

    The distribution function of Student's distribution with ``df`` degrees of freedom: a number, or several, without a derivative.
    Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.stdtr``.

    >>> import tinygrad_edu as tg
    >>> tg.stdtr(1, tg.Tensor([-1.0, 0.0]))
    Tensor([0.25, 0.5 ])
    """


def _student_density(df: Any, t: Any) -> Any:
    return exp(-0.5 * (df + 1) * log1p(t * t / df) - betaln(0.5, 0.5 * df)) / sqrt(df)


stdtr.vjp(df=NotImplemented, t=lambda g, df, t: g * _student_density(df, t))
