"""Difference quotients with an error bar: the arithmetic under every numerical derivative here.

A difference quotient errs in two ways. A long step errs by the curvature of the function (truncation), a short one by the
rounding of its values, which is divided by the step. `estimate` takes several steps, extrapolates the truncation away, and
reports what remains of both.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_edu.errors import ArgumentError, NumericalError

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

# Each step is an irrational part of the one before. Otherwise the quotients of a function that jumps at every whole number can be
# the same by chance, and what is the same twice is taken for certain.
LARGE = 10.0  # a number over whose size a function need not change
METHODS = ("central", "ridders", "forward", "backward", "complex")


class Estimate(NamedTuple):
    """A numerical derivative and by how much it may be wrong, in the shape of the function's values."""

    value: Array
    error: Array


def estimate(
    phi: Callable[[Any], Any],
    scale: float = 1.0,
    method: str = "ridders",
    eps: float | None = None,
    at: float = 0.0,
    size: float = 0.0,
    reach: float = 0.0,
) -> Estimate:
    """dφ/dt at t = 0, for a function of one number with real values of any shape.

    Parameters
    ----------
    phi: the function. It is called with steps t; for the method "complex", with an imaginary one.
    scale: the length over which φ changes: steps are a part of it.
    method: "central" is one central difference, "ridders" extrapolates central differences (C. Ridders, 1982), "forward" and
        "backward" extrapolate one-sided ones, for kinks; "complex" is Im φ(ih) / h, which has no rounding error at all but needs a
        φ that is analytic and computes with complex numbers (Squire and Trapp, 1998). Raises `NumericalError` where φ does not.
    eps: the precision of φ's values, by default that of their dtype.
    at: the number that φ adds its steps to: a step is then what is left of it after that sum is rounded.
    size: how large the numbers are that φ's values were computed from, if larger than the values.
    reach: how large the number is to which φ adds its steps, and which it may round, as ``x.astype(np.float32)`` does.

    >>> from tinygrad_edu.testing.differences import estimate
    >>> import numpy as np
    >>> value, error = estimate(lambda t: np.exp(1 + t))
    >>> bool(abs(value - np.e) < error < 1e-9)
    True
    """
    if method == "complex":
        return _complex_step(phi, scale)
    if method not in METHODS:
        raise ArgumentError(f"method is one of {', '.join(METHODS)}, not {method!r}")
    rounding = _Rounding(phi, eps, at, size, reach)
    if method == "central":
        h = scale * rounding.eps ** (1 / 3)
        wide, narrow = rounding.central(h), rounding.central(h / 2)
        return Estimate(narrow, np.abs(wide - narrow) + rounding.of(h / 2))
    if method == "ridders":
        # Start with long steps: a fifth-order extrapolation of them beats a short one.
        steps = [scale * rounding.eps ** (1 / 8) * 3 ** (-k / 2) for k in range(10)]
        return _extrapolated([(rounding.central(h), rounding.of(h)) for h in steps], steps, order=2)
    sign = 1 if method == "forward" else -1
    steps = [scale * rounding.eps ** (1 / 6) * 5 ** (-k / 2) for k in range(10)]
    return _extrapolated([(rounding.one_sided(sign * h), 2 * rounding.of(h)) for h in steps], steps, order=1)


def _complex_step(phi: Callable[[Any], Any], scale: float) -> Estimate:
    """Im φ(ih) / h. A φ that computes with real numbers somewhere drops the imaginary part without a word, and then the quotient is
    0 or a part of the derivative: what φ says at a complex point is believed only if it is complex, and agrees with real steps."""
    here = np.asarray(phi(0.0))
    h = 1e-20 * scale
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            there = np.asarray(phi(1j * h))
    except (TypeError, np.exceptions.ComplexWarning) as error:
        raise _not_analytic(f"f does not take complex numbers ({error})") from error
    if here.dtype.kind == "c":
        raise _not_analytic("f returns complex numbers for real ones, whose imaginary part hides that of the step")
    if here.size and there.dtype.kind != "c":
        raise _not_analytic("f returns real numbers for complex ones, as np.abs, np.linalg.norm and float do")
    value = np.imag(there) / h
    same = np.isclose(np.real(there), here, rtol=math.sqrt(eps_of(there)), atol=h, equal_nan=True)
    if not np.all(same) or all(_contradicts(estimate(phi, part * scale, "central"), value) for part in (0.1, 1e-4)):
        raise _not_analytic("at complex numbers f is another function than at real ones, as np.conj, x.real and sorting make it")
    return Estimate(value, 4 * np.finfo(float).eps * np.abs(value))


def _contradicts(rough: Estimate, value: Array) -> bool:
    """Whether a difference along real numbers, roughly as it is known, excludes a derivative."""
    with np.errstate(invalid="ignore"):  # inf - inf
        near = 0.1 * np.maximum(np.abs(value), np.abs(rough.value)) + 10 * rough.error
        return bool(np.any(np.abs(value - rough.value) > near))


def _not_analytic(why: str) -> NumericalError:
    return NumericalError(
        f'method="complex" needs an f that is analytic and computes with complex numbers, and {why}; use method="ridders"'
    )


def mixed(
    phi: Callable[[float, float], Any], scales: tuple[float, float] = (1.0, 1.0), at: tuple[float, float] = (0.0, 0.0)
) -> Estimate:
    """∂²φ/∂s∂t at s = t = 0, for a function of two numbers with real values of any shape.

    (φ(h, k) − φ(h, −k) − φ(−h, k) + φ(−h, −k)) / 4hk for several steps, extrapolated as in "ridders". Rounding is divided by
    h k, which costs about 4 of 16 digits even where the steps are long. ``scales`` and ``at`` are as in `estimate`, for s and t.

    >>> import numpy as np
    >>> from tinygrad_edu.testing.differences import mixed
    >>> value, error = mixed(lambda s, t: np.exp((1 + s) * (2 + t)), (1.0, 2.0), (1.0, 2.0))
    >>> bool(abs(value - 3 * np.exp(2)) < error < 1e-7)
    True
    """
    here = np.asarray(phi(0.0, 0.0))
    facts = np.finfo(here.dtype if here.dtype.kind == "f" else float)
    eps, tiny = float(facts.eps), float(facts.tiny)
    steps = [eps ** (1 / 8) * 3 ** (-k / 2) for k in range(10)]
    quotients = []
    for step in steps:
        h, k = step * scales[0], step * scales[1]
        corners = np.stack([np.asarray(phi(s, t), float) for s, t in ((h, k), (h, -k), (-h, k), (-h, -k))])
        area = ((at[0] + h) - (at[0] - h)) * ((at[1] + k) - (at[1] - k))
        # φ's values are rounded, and so are the numbers x that it computes with: a change of x by eps x changes φ by eps x / h of
        # what a step h does.
        spread = np.max(corners, axis=0) - np.min(corners, axis=0)
        noise = 4 * eps * (np.max(np.abs(corners), axis=0) + spread * max(abs(at[0] / h), abs(at[1] / k))) + tiny
        quotient = (corners[0] - corners[1] - corners[2] + corners[3]) / area if area else np.full(here.shape, np.nan)
        quotients.append((quotient, noise / (h * k)))
    return _extrapolated(quotients, steps, order=2)


def slope(phi: Callable[[Any], Any], scale: float, method: str = "ridders", at: float = 0.0) -> Estimate:
    """dφ/dt at t = 0, where the length over which φ changes is not known: a function of a large number may change over that
    number's size, as a logarithm does, or over a length of 1, as a sine does. Both are tried.

    >>> import numpy as np
    >>> from tinygrad_edu.testing.differences import slope
    >>> value, error = slope(lambda t: np.sin(1e4 + t), 1e4, at=1e4)
    >>> bool(abs(value - np.cos(1e4)) < error < 1e-8)
    True
    """
    long = estimate(phi, scale, method, at=at, reach=scale)
    if method == "complex" or scale < LARGE:
        return long
    return surer(long, estimate(phi, 1.0, method, at=at, reach=scale))


def surer(long: Estimate, short: Estimate) -> Estimate:
    """Of two estimates, for each element, the one with the smaller error bar; where they contradict each other the one with shorter
    steps, for long ones may have stepped over whole periods of φ."""
    with np.errstate(invalid="ignore"):
        contradiction = np.abs(long.value - short.value) > long.error + short.error
    better = contradiction | (short.error < long.error)
    return Estimate(np.where(better, short.value, long.value), np.where(better, short.error, long.error))


class _Rounding:
    """φ, with a look at how large its values are: rounding is a part of that."""

    def __init__(self, phi: Callable[[Any], Any], eps: float | None, origin: float, size: float, reach: float) -> None:
        self.phi = phi
        self.reach = reach
        self.origin = origin
        self.here = np.asarray(phi(0.0))
        kind = self.here.dtype.kind
        facts = np.finfo(self.here.dtype if kind == "f" else float)
        self.eps = eps or float(facts.eps)
        self.tiny = float(facts.tiny)  # what is smaller loses digits, and then all of itself
        self.largest = np.maximum(np.abs(self.here.astype(float)), size)
        self.slope = np.zeros(self.here.shape)

    def at(self, t: float) -> Array:
        y = np.asarray(self.phi(t), float)
        self.largest = np.maximum(self.largest, np.abs(y))
        return y

    def central(self, h: float) -> Array:
        return self.quotient(self.at(h) - self.at(-h), (self.origin + h) - (self.origin - h))

    def one_sided(self, h: float) -> Array:
        return self.quotient(self.at(h) - self.here, (self.origin + h) - self.origin)

    def quotient(self, difference: Array, length: float) -> Array:
        self.slope = np.asarray(difference / length) if length else np.full(self.here.shape, np.nan)
        return self.slope

    def of(self, h: float) -> Array:
        """What rounding can do to the difference just taken, with this step."""
        moved = self.reach * np.abs(self.slope) if self.reach else 0.0
        return np.asarray((4 * self.eps * (self.largest + moved) + self.tiny) / h)


def _extrapolated(quotients: Sequence[tuple[Array, Array]], steps: Sequence[float], order: int) -> Estimate:
    """Neville's scheme: the value at step 0 of the polynomial through the quotients, taken where its error bar is smallest, for
    each element on its own. ``order`` is the power of the step by which the error starts (and goes on: 2 for h², h⁴, …). Quotients
    that move away from a value as their steps fall, by more than rounding, widen its error bar: f turns within shorter steps."""
    best = np.array(quotients[0][0], float)
    all_quotients, all_rounding = map(np.array, zip(*quotients, strict=True))
    bar = np.full(best.shape, np.inf)
    row: list[tuple[Array, Array]] = []
    with np.errstate(all="ignore"):
        for i, (quotient, rounding) in enumerate(quotients):
            new = [(quotient, rounding)]
            for j in range(1, min(i, 6) + 1):
                ratio = (steps[i - j] / steps[i]) ** order
                before, noise_before = row[j - 1]
                here, noise = new[-1]
                value = here + (here - before) / (ratio - 1)
                amplified = (ratio * noise + noise_before) / (ratio - 1)
                truncation = np.maximum(np.abs(value - here), np.abs(value - before))
                error = truncation + amplified
                away = np.abs(all_quotients[i:] - value)
                moved = np.max(away[1:] - all_rounding[i + 1 :], axis=0, initial=0.0, where=away[1:] > away[0])
                error = np.maximum(error, moved)
                better = np.isfinite(value) & (error < bar)
                best = np.where(better, value, best)
                bar = np.where(better, error, bar)
                new.append((value, amplified))
            row = new
    return Estimate(best, bar)


def irregularity(values: Array) -> float:
    """How much of the values of a function at equally spaced points is noise, such as that of numbers that nearly cancel inside
    of it; 0 where they look smooth. High differences of a smooth function vanish, and those of noise do not (R. Hamming, 1973;
    J. Moré and S. Wild, 2011). A kink between two of the points changes few of the differences, noise changes most.

    >>> import numpy as np
    >>> from tinygrad_edu.testing.differences import irregularity
    >>> t = 3.14e-3 * np.arange(17)
    >>> irregularity(np.exp(t)) < 1e-14, irregularity(abs(t - 0.01)), 1e-4 < irregularity(np.round(np.exp(t), 3)) < 1e-3
    (True, 0.0, True)
    """
    unit = largest(values)
    if not np.isfinite(values).all() or not unit:
        return 0.0
    fourth, sixth = np.diff(values / unit, 4), np.diff(values / unit, 6)  # squares of tiny numbers would be 0
    sizes = [float(np.sqrt(np.mean(d**2) / math.comb(2 * k, k))) for d, k in ((fourth, 4), (sixth, 6))]
    spread = np.count_nonzero(np.abs(fourth) > 0.1 * np.max(np.abs(fourth)))
    noise = 0 < max(sizes) <= 4 * min(sizes) and 2 * spread > fourth.size
    return max(sizes) * unit if noise else 0.0


def eps_of(array: Array) -> float:
    """The precision of an array's numbers; of numbers that are not floating, double."""
    return float(np.finfo(array.dtype if array.dtype.kind in "fc" else float).eps)


def shaken(array: Array, eps: float, rng: np.random.Generator) -> Array:
    """The same numbers with other last digits, of a precision of ``eps``."""
    return np.asarray(array * (1 + eps * rng.integers(-4, 5, array.shape)), array.dtype)


def largest(array: Array) -> float:
    """The size of the largest finite number of an array, or 0."""
    return float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))


def step_for(x: float) -> float:
    """The length over which a function of ``x`` may be thought to change: x's own size, or 1 at 0."""
    return math.fabs(x) or 1.0
