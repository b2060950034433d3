"""Special functions, computed by SciPy: the error function, the normal distribution, logarithms of probabilities.

SciPy is imported when the first of them is called, so that everything else works without it. What SciPy refuses, such as complex
numbers in many of them, is refused here; float16, which SciPy does not have, widens as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.exponential import exp, log
from tinygrad_edu.ops.indexing import numbers_of
from tinygrad_edu.ops.select import clip, where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Lazy, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def pair(name: str) -> Callable[..., Any]:
    """SciPy's function of two operands, for which a Python number takes the other's dtype, as in NumPy's own."""
    function = Lazy("scipy.special", name)

    def forward(a: Any, b: Any) -> Any:
        dtype = np.result_type(a, b)
        return function(np.asarray(a, dtype), np.asarray(b, dtype))

    return forward


# ------------------------------------------------------------------------ the error function and the normal distribution


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


# ------------------------------------------------------------------------------------------- probabilities and entropies


@primitive(forward=Lazy("scipy.special", "logit"), elementwise=True, cases=[Case(a=reals(0.05, 0.95))])
def logit(a: Array, /) -> Array:
    """y = ln(a / (1 − a))        ∂L/∂a = g / (a (1 − a))

    The inverse of `sigmoid`: ∓inf at 0 and 1, nan outside. Needs SciPy. Counterpart: ``scipy.special.logit``, ``torch.logit``.

    >>> import tinygrad_edu as tg
    >>> tg.logit(tg.Tensor([0.5, 0.73105858]))
    Tensor([0.        , 1.00000001])
    """


logit.vjp(a=lambda g, a: g / (a * (1 - a)))


def _outside(a: Any, b: Any) -> Any:
    """Whether a = 0 and ln b does not exist: a ln b is 0 there, and its derivatives are declared to be 0."""
    return (a == 0) & (b == 0 if np.iscomplexobj(b) else b <= 0)


def _inside(a: Any, b: Any) -> Any:
    """b, and 1 where it is outside."""
    return where(_outside(a, b), 1, b)


@primitive(
    forward=pair("xlogy"),
    numpy=Lazy("scipy.special", "xlogy"),
    elementwise=True,
    label="x ln y",
    cases=[Case(a=reals(), b=reals(0.3, 3)), Case(a=0.0, b=reals(0, 0)), Case(a=complexes(), b=complexes(0.3, 2))],
)
def xlogy(a: Array, b: Array, /) -> Array:
    """y = a ln b, and 0 where a = 0        ∂L/∂a = g ln b  (0 at a = 0 ≥ b)        ∂L/∂b = g a / b  (0 at a = b = 0)

    Also where b is 0 or negative, 0 ln b is 0. Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.xlogy``,
    ``torch.special.xlogy``.

    >>> import tinygrad_edu as tg
    >>> tg.xlogy(tg.Tensor([0.0, 2.0]), [0.0, 3.0])
    Tensor([0.        , 2.19722458])
    """


xlogy.vjp(a=lambda g, a, b: g * log(_inside(a, b)), b=lambda g, a, b: g * (a / _inside(a, b)))


@primitive(
    forward=pair("xlog1py"),
    numpy=Lazy("scipy.special", "xlog1py"),
    elementwise=True,
    label="x ln(1 + y)",
    cases=[
        Case(a=reals(), b=reals(-0.7, 2)),
        Case(a=reals(0, 0), b=reals(-0.7, 2)),
        Case(a=complexes(), b=complexes(-0.7, 2)),
        Case(a=complexes(0, 0), b=complexes(-0.7, 2)),
    ],
)
def xlog1py(a: Array, b: Array, /) -> Array:
    """y = a ln(1 + b), and 0 where a = 0        ∂L/∂a = g ln(1 + b)  (0 at a = 0, b ≤ −1)        ∂L/∂b = g a / (1 + b)

    Exact for small b too. Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.xlog1py``, ``torch.special.xlog1py``.

    >>> import tinygrad_edu as tg
    >>> tg.xlog1py(tg.Tensor([0.0, 2.0]), [-1.0, 1e-20])
    Tensor([0.e+00, 2.e-20])
    """


xlog1py.vjp(
    a=lambda g, a, b: g * xlog1py(1, where(_outside(a, 1 + b), 0, b)),
    b=lambda g, a, b: g * (a / _inside(a, 1 + b)),
)


@primitive(forward=Lazy("scipy.special", "entr"), elementwise=True, cases=[Case(a=reals(0.2, 3))])
def entr(a: Array, /) -> Array:
    """y = −a ln a        ∂L/∂a = −g (1 + ln a)

    What a probability contributes to an entropy: 0 at 0, where the derivative is inf; −inf below. Needs SciPy. Counterpart:
    ``scipy.special.entr``, ``torch.special.entr``.

    >>> import tinygrad_edu as tg
    >>> tg.entr(tg.Tensor([0.0, 0.5, 0.5])).sum()
    Tensor(0.69314718)
    """


entr.vjp(a=lambda g, a: g * (-1 - log(a)))


@primitive(forward=Lazy("scipy.special", "rel_entr"), elementwise=True, cases=[Case(a=reals(0.2, 3), b=reals(0.2, 3))])
def rel_entr(a: Array, b: Array, /) -> Array:
    """y = a ln(a / b)        ∂L/∂a = g (1 + ln(a / b))        ∂L/∂b = −g a / b

    What a pair of probabilities contributes to a Kullback-Leibler divergence: 0 where a = 0 ≤ b, inf where it is not defined.
    Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.rel_entr``.

    >>> import tinygrad_edu as tg
    >>> tg.rel_entr(tg.Tensor([0.0, 1.0]), [0.5, 0.5])
    Tensor([0.        , 0.69314718])
    """


rel_entr.vjp(a=lambda g, a, b: g * (1 + log(a / b)), b=lambda g, a, b: -g * (a / b))


@primitive(
    forward=Lazy("scipy.special", "kl_div"),
    elementwise=True,
    cases=[Case(a=reals(0.2, 1), b=reals(1.2, 3)), Case(a=reals(1.2, 3), b=reals(0.2, 1))],
)
def kl_div(a: Array, b: Array, /) -> Array:
    """y = a ln(a / b) − a + b        ∂L/∂a = g ln(a / b)        ∂L/∂b = g (1 − a / b)

    As `rel_entr`, but no term is negative; the sums over probabilities agree. (``torch.nn.functional.kl_div`` is another
    function, of logarithms.) Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.kl_div``.

    >>> import tinygrad_edu as tg
    >>> tg.kl_div(tg.Tensor([0.0, 1.0]), [0.5, 0.5])
    Tensor([0.5       , 0.19314718])
    """


kl_div.vjp(a=lambda g, a, b: g * log(a / b), b=lambda g, a, b: g * (1 - a / b))
