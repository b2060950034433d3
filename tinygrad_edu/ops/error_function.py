"""The error function and the normal distribution, computed by SciPy: see `tinygrad_edu.ops.special`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.exponential import exp
from tinygrad_edu.ops.indexing import numbers_of
from tinygrad_edu.ops.select import clip, where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Lazy, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(
    elementwise=True, bounded=True, cases=[Case(a=reals()), Case(a=complexes(-1.5, 1.5))], reference=lambda a: np.exp(-np.square(a))
)
def _bell(a: Array, /) -> Array:
    """y = e^(−a²)        ∂L/∂a = −2 g a y

    For real a of any size without a warning: beyond 30 it is 0 in every precision, and a² might overflow.
    """
    a = np.asarray(a)
    x = a if a.dtype.kind == "c" else np.minimum(np.abs(a), 30.0)
    y: Array = np.exp(-x * x)
    return y


_bell.vjp(a=lambda g, a, y: g * ((a if a.dtype.kind == "c" else clip(a, -30, 30)) * y * -2))

SLOPE_AT_0 = 2 / math.sqrt(math.pi)  # of erf


@primitive(
    forward=Lazy("scipy.special", "erf"), elementwise=True, bounded=True, cases=[Case(a=reals()), Case(a=complexes(-1.5, 1.5))]
)
def erf(a: Array, /) -> Array:
    """y = 2/√π ∫₀ᵃ e^(−t²) dt        ∂L/∂a = g 2/√π e^(−a²)

    The error function, from −1 to 1. Needs SciPy. Counterpart: ``scipy.special.erf``, ``torch.special.erf``.

    >>> import tinygrad_edu as tg
    >>> tg.erf(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.84270079])
    """


erf.vjp(a=lambda g, a: g * (SLOPE_AT_0 * _bell(a)))


@primitive(
    forward=Lazy("scipy.special", "erfc"), elementwise=True, bounded=True, cases=[Case(a=reals()), Case(a=complexes(-1.5, 1.5))]
)
def erfc(a: Array, /) -> Array:
    """y = 1 − erf a        ∂L/∂a = −g 2/√π e^(−a²)

    Without the cancellation: erfc(10) is 2e-45. Needs SciPy. Counterpart: ``scipy.special.erfc``, ``torch.special.erfc``.

    >>> import tinygrad_edu as tg
    >>> tg.erfc(tg.Tensor([0.0, 1.0]))
    Tensor([1.        , 0.15729921])
    """


erfc.vjp(a=lambda g, a: g * (-SLOPE_AT_0 * _bell(a)))


@primitive(
    forward=Lazy("scipy.special", "erfcx"),
    elementwise=True,
    cases=[
        Case(a=reals(-1.5, 3)),
        Case(a=reals(24, 40)),
        Case(a=complexes(-1, 1)),
        Case(a=complexes(20, 40)),
        Case(a=complexes(-20, -18)),
    ],
)
def erfcx(a: Array, /) -> Array:
    """y = e^(a²) erfc a        ∂L/∂a = g (2 a y − 2/√π)

    About 1 / a√π for large a, and inf below −26.7. Needs SciPy. Counterpart: ``scipy.special.erfcx``, ``torch.special.erfcx``.

    >>> import tinygrad_edu as tg
    >>> tg.erfcx(tg.Tensor([0.0, 100.0]))
    Tensor([1.        , 0.00564161])
    """


def _erfcx_slope(a: Any, y: Any) -> Any:
    """2 a y − 2/√π; where the two would cancel, by the first terms of its asymptotic series in 1 / 2a²."""
    numbers = numbers_of(a)
    far = (np.abs(numbers) if numbers.dtype.kind == "c" else numbers) > (25 if numbers.dtype in (np.float64, np.complex128) else 8)
    x = where(far, a, 8)
    t = 0.5 / x / x
    series = 1.0
    for k in range(11, 1, -2):
        series = 1 - k * t * series  # 1 − 3 t (1 − 5 t (…))
    slope = where(far, -SLOPE_AT_0 * t * series, 2 * (a * y) - SLOPE_AT_0)
    if numbers.dtype.kind == "c":  # erfcx a = 2 e^(a²) − erfcx(−a)
        left = where(far & (numbers.real < 0), a, 0)
        slope = slope + 4 * left * exp(left * left)
    return slope


erfcx.vjp(a=lambda g, a, y: g * _erfcx_slope(a, y))


@primitive(forward=Lazy("scipy.special", "erfinv"), elementwise=True, cases=[Case(a=reals(-0.9, 0.9))])
def erfinv(a: Array, /) -> Array:
    """y with erf y = a        ∂L/∂a = g √π/2 e^(y²)

    ±inf at ±1, nan beyond. Needs SciPy. Counterpart: ``scipy.special.erfinv``, ``torch.special.erfinv``.

    >>> import tinygrad_edu as tg
    >>> tg.erfinv(tg.Tensor([0.0, 0.5, 1.0]))
    Tensor([0.        , 0.47693628,        inf])
    """


erfinv.vjp(a=lambda g, y: g * (exp(y * y) / SLOPE_AT_0))


@primitive(forward=Lazy("scipy.special", "erfcinv"), elementwise=True, cases=[Case(a=reals(0.1, 1.9))])
def erfcinv(a: Array, /) -> Array:
    """y with erfc y = a        ∂L/∂a = −g √π/2 e^(y²)

    ±inf at 0 and 2, nan outside. Needs SciPy. Counterpart: ``scipy.special.erfcinv``.

    >>> import tinygrad_edu as tg
    >>> tg.erfcinv(tg.Tensor([0.5, 0.0]))
    Tensor([0.47693628,        inf])
    """


erfcinv.vjp(a=lambda g, y: g * (exp(y * y) / -SLOPE_AT_0))


def density(a: Any) -> Any:
    """e^(−a²/2) / √2π, the density of the normal distribution."""
    return _bell(a * math.sqrt(0.5)) * (1 / math.sqrt(2 * math.pi))


@primitive(
    forward=Lazy("scipy.special", "ndtr"),
    elementwise=True,
    bounded=True,
    label="Φ",
    cases=[Case(a=reals()), Case(a=complexes(-1.5, 1.5))],
)
def ndtr(a: Array, /) -> Array:
    """y = Φ(a) = ∫ φ(t) dt up to a        ∂L/∂a = g φ(a)        (φ(t) = e^(−t²/2) / √2π)

    The distribution function of the normal distribution. Needs SciPy. Counterpart: ``scipy.special.ndtr``,
    ``torch.special.ndtr``.

    >>> import tinygrad_edu as tg
    >>> tg.ndtr(tg.Tensor([0.0, 1.96]))
    Tensor([0.5      , 0.9750021])
    """


ndtr.vjp(a=lambda g, a: g * density(a))


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals()), Case(a=complexes(-1, 1))],
    reference=lambda a: np.exp(-np.square(a) / 2) / math.sqrt(2 * math.pi) / Lazy("scipy.special", "ndtr")(a),
)
def _ratio(a: Array, /) -> Array:
    """y = φ(a) / Φ(a)        ∂L/∂a = −g y (a + y)

    The slope of ln Φ: 0 far to the right, −a far to the left.
    """
    if np.iscomplexobj(a):  # where erfcx is too large for a number, so is its inverse, in some directions
        z = np.asarray(a, np.complex128)  # the difference of two large numbers
        far = _far_left(a)
        x = np.where(far, -z, 8)
        y = np.exp(-z * z / 2 - Lazy("scipy.special", "log_ndtr")(z)) / math.sqrt(2 * math.pi)
        return np.asarray(np.where(far, x + _beyond(x), y), a.dtype)
    slope: Array = math.sqrt(2 / math.pi) / Lazy("scipy.special", "erfcx")(a * -math.sqrt(0.5))
    return slope


# The first terms of y = x (1 + t − 2 t² + 10 t³ − …) with x = −a and t = 1 / x²: the reciprocal of the series of Mills' ratio.
_RATIO = (1, -2, 10, -74, 706, -8162, 110410, -1708394, 29752066)


def _beyond(x: Any) -> Any:
    """y − x, by the series."""
    t = 1 / x / x
    series: Any = 0.0
    for c in reversed(_RATIO):
        series = c + series * t
    return series / x


def _far_left(a: Any) -> Any:
    """Where the series holds: far to the left of 0 or, among complex numbers, where φ is much larger than 1."""
    size = 25 if a.dtype.itemsize == 8 * (1 + np.iscomplexobj(a)) else 8
    if not np.iscomplexobj(a):
        return a < -size
    return (np.abs(a) > size) & ((a.real < 0) | (a.imag**2 - a.real**2 > 100))


def _excess(a: Any, y: Any) -> Any:
    """a + y, by its asymptotic series where the two would cancel."""
    far = _far_left(numbers_of(a))
    return where(far, _beyond(where(far, -a, 8)), a + y)


_ratio.vjp(a=lambda g, a, y: -g * (y * _excess(a, y)))


@primitive(
    forward=Lazy("scipy.special", "log_ndtr"),
    elementwise=True,
    bounded=True,
    label="ln Φ",
    cases=[Case(a=reals()), Case(a=reals(-30, -20)), Case(a=complexes(-1, 1))],
)
def log_ndtr(a: Array, /) -> Array:
    """y = ln Φ(a)        ∂L/∂a = g φ(a) / Φ(a)

    The logarithm of `ndtr`, also where that is too small for a number. Needs SciPy. Counterpart: ``scipy.special.log_ndtr``,
    ``torch.special.log_ndtr``.

    >>> import tinygrad_edu as tg
    >>> tg.log_ndtr(tg.Tensor([0.0, -100.0]))
    Tensor([-6.93147181e-01, -5.00552421e+03])
    """


log_ndtr.vjp(a=lambda g, a: g * _ratio(a))


@primitive(forward=Lazy("scipy.special", "ndtri"), elementwise=True, label="Φ⁻¹", cases=[Case(a=reals(0.05, 0.95))])
def ndtri(a: Array, /) -> Array:
    """y with Φ(y) = a        ∂L/∂a = g √2π e^(y²/2)

    The quantiles of the normal distribution: ∓inf at 0 and 1, nan outside. Needs SciPy. Counterpart: ``scipy.special.ndtri``,
    ``torch.special.ndtri``.

    >>> import tinygrad_edu as tg
    >>> tg.ndtri(tg.Tensor([0.5, 0.975]))
    Tensor([0.        , 1.95996398])
    """


ndtri.vjp(a=lambda g, y: g * (exp(0.5 * (y * y)) * math.sqrt(2 * math.pi)))
