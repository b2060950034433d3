"""Judging analytic derivatives of a scalar function of arrays against numerical ones: match, mismatch, kink or inconclusive.

No tensors are needed here: the function may be anything that takes arrays and returns a number. A derivative is first compared
with two central differences, which is enough nearly always. Only where they disagree the judge looks closer: with extrapolated
differences over several lengths, and from each side alone.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_edu.testing.differences import eps_of, estimate, irregularity

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

    Value = Callable[[list[Array]], Any]

MATCH, KINK, INCONCLUSIVE, MISMATCH = VERDICTS = ("match", "kink", "inconclusive", "mismatch")

FAST = "f changes faster than difference quotients can follow: they depend on the step"
UNDEFINED = "f is not finite at this point"
LOST = "f does not change at all, and would by less than the last digit of 1: that is lost in sums such as 1 + exp(-x)"
TINY = float(np.sqrt(np.finfo(float).tiny))
HASTY = "not looked at closely, after so many that are wrong"
ENOUGH = 16  # mismatches of one input, after which the others are not looked at closely
STEP = 1e-3  # of the wider of two central differences, for inputs of size 1 or more


@dataclass(frozen=True)
class Tolerance:
    """What counts as agreement: |analytic − numerical| ≤ absolute + relative · |numerical| + the error bar. An error bar above
    ``noise`` and above a tenth of the derivative proves nothing."""

    relative: float
    absolute: float
    noise: float

    def covers(self, analytic: float, numerical: float, error: float) -> bool:
        # A nan is covered by nothing.
        return abs(analytic - numerical) <= self.absolute + self.relative * abs(numerical) + error

    def settles(self, analytic: float, numerical: float, error: float) -> bool:
        """Whether they agree, and that says something."""
        return self.covers(analytic, numerical, error) and error <= max(self.noise, 0.1 * abs(numerical))


@dataclass(frozen=True)
class Judgement:
    """One derivative and what was found of it. ``reason`` says why it is a kink, or inconclusive."""

    verdict: str
    analytic: complex
    numerical: complex
    error: float
    reason: str = ""


@dataclass(frozen=True)
class Line:
    """A straight way through the inputs along which a derivative is judged: an element of one input, or a direction of all."""

    label: str  # "element (0, 3)" or "direction 2"
    input: int
    index: tuple[int, ...] | None
    at: float  # where on it we are
    size: float  # how large the numbers are that move
    starting: Callable[[Sequence[Array]], Line]  # the same line from other inputs
    moved: Callable[[float], list[Array]]  # the inputs after a step


def elements_of(
    inputs: Sequence[Array], position: int, only: Iterable[tuple[int, ...]] | None = None
) -> Iterable[tuple[Line, complex]]:
    """The lines along every element of one input (or those listed), each with its unit: 1, and i for complex numbers."""
    x = inputs[position]
    for index in np.ndindex(x.shape) if only is None else only:
        for unit in (1, 1j) if x.dtype.kind == "c" else (1,):
            yield element(inputs, position, index, unit), unit


def element(inputs: Sequence[Array], position: int, index: tuple[int, ...], unit: complex = 1) -> Line:
    """The line along one element of one input."""
    x = inputs[position]

    def moved(step: float) -> list[Array]:
        there = x.copy()
        there[index] += unit * step
        return [*inputs[:position], there, *inputs[position + 1 :]]

    here = x[index].imag if unit == 1j else x[index].real
    starting = functools.partial(element, position=position, index=index, unit=unit)
    return Line(f"element {index}", position, index, float(here), float(np.abs(x[index])), starting, moved)


def direction(inputs: Sequence[Array], vectors: Sequence[Array | None], label: str, position: int = -1) -> Line:
    """The line along a direction: one vector for each input, None where it does not move."""

    def moved(step: float) -> list[Array]:
        return [x if v is None else x + step * v for x, v in zip(inputs, vectors, strict=True)]

    # The step is a part of the smallest number that moves, so that none is carried over a pole or kink at 0; but not of a tiny one.
    sizes = [np.abs(x[v != 0] / v[v != 0]) for x, v in zip(inputs, vectors, strict=True) if v is not None and v.any()]
    size = float(np.clip(np.min(np.concatenate(sizes)), 1e-2, None)) if sizes else 1.0
    starting = functools.partial(direction, vectors=vectors, label=label, position=position)
    return Line(label, position, None, 0.0, size, starting, moved)


def weighted(y: Any, weights: Any) -> Array:
    """The terms of a projection, in the precision of the values. They are added up only after differences have been taken, so that
    a term that does not change brings no rounding in; real and imaginary parts are terms of their own."""
    y, weights = np.asarray(y), np.asarray(weights)
    terms = np.ravel(y.real * weights.real)
    if y.dtype.kind == weights.dtype.kind == "c":
        terms = np.concatenate([terms, np.ravel(y.imag * weights.imag)])
    return terms.astype(y.real.dtype) if y.dtype.kind in "fc" else terms


def judge(
    value: Value, line: Line, analytic: float, tolerance: Tolerance, base: Array, noise: float = 0.0, closely: bool = True
) -> Judgement:
    """The verdict on one directional derivative along a line. ``value`` gives the terms of a sum at some inputs, and ``base`` those
    where we are; their dtype says how precise they are, and ``noise`` is what they have of rounding besides. ``closely`` says
    whether to look closer where two differences disagree, which takes a hundred times as long."""
    eps = eps_of(base)

    def terms(step: float) -> Array:
        return np.asarray(value(line.moved(step)), float)

    numerical, rounding, size = _quick(terms, line, base, eps, noise / eps)
    if tolerance.settles(analytic, numerical, rounding):
        return Judgement(MATCH, analytic, numerical, rounding)

    def change(step: float) -> float:
        return float(np.sum(terms(step) - base)) if step else 0.0

    if not np.isfinite(base).all():
        return Judgement(INCONCLUSIVE, analytic, np.nan, np.inf, UNDEFINED)
    if not closely:
        return Judgement(MISMATCH if np.isfinite(numerical) else INCONCLUSIVE, analytic, numerical, rounding, HASTY)
    depending, hidden = _depending(terms, line, base, eps)
    judgement = _closely(_Curve(change, line.at, eps, max(size, depending), hidden), line.size or 1.0, analytic, tolerance)
    if judgement.reason == FAST or (judgement.verdict == MISMATCH and not judgement.reason):
        found = _noise(change, line.size or 1.0)
        if found > max(noise, eps * size):  # rounding inside of f, which its values do not tell of
            return judge(value, line, analytic, tolerance, base, found)
    if judgement.verdict != MISMATCH:
        return judgement
    if np.isfinite(analytic) and _grows(change, line.size or 1.0, analytic):
        return replace(judgement, verdict=INCONCLUSIVE, reason=FAST)  # within steps that are too short to be seen
    longest = 0.01 * max(1.0, line.size)
    if judgement.numerical == 0 and longest * abs(analytic) <= eps * (1 + size):
        return replace(judgement, verdict=INCONCLUSIVE, reason=LOST)
    if max(abs(analytic), abs(judgement.numerical)) < TINY:
        return replace(judgement, verdict=INCONCLUSIVE, reason="so small that products with it underflow")
    return judgement


def _noise(change: Callable[[float], float], size: float) -> float:
    """What of the change of a function along a line is noise: some of it shows only over lengths in which the function itself
    changes, too."""
    with np.errstate(all="ignore"):
        try:
            return max(
                irregularity(np.array([change(k * part * size) for k in range(-8, 9)]))
                for part in (1e-8, 1e-6, 1e-4, 1e-3, 3e-3, 1e-2)
            )
        except (ArithmeticError, ValueError):
            return 0.0


def _depending(terms: Callable[[float], Array], line: Line, base: Array, eps: float) -> tuple[float, float]:
    """The size of the terms that depend on the line at all, and the derivative that the others may still have. In a short step a
    small change may be lost in a large term, and then nothing changes; in a step this long it shows, if it is not too small."""
    far = 1e3 + 1e6 * line.size
    try:
        with np.errstate(all="ignore"):
            same = terms(far) == base
    except (ArithmeticError, ValueError):
        same = np.zeros(base.shape, bool)
    return float(np.sum(np.abs(base), where=~same)), eps * float(np.sum(np.abs(base), where=same)) / far


def _quick(terms: Callable[[float], Array], line: Line, base: Array, eps: float, size: float) -> tuple[float, float, float]:
    """Central differences at two steps, combined so that the error of order h² cancels (Richardson, 1911): what is left is of
    order h⁴, and the steps can be long enough for rounding to matter little. Returns how much it may matter, too, and the size of
    what changes."""
    # Short beside a small input, and never lost beside a large one.
    h = max(STEP * min(1.0, line.size or 1.0), 1e-7, 1e-6 * line.size)
    up, down, near_up, near_down = [terms(step) for step in (h, -h, h / 2, -h / 2)]
    wide = float(np.sum(up - down)) / ((line.at + h) - (line.at - h))
    narrow = float(np.sum(near_up - near_down)) / ((line.at + h / 2) - (line.at - h / 2))
    changing = (up != down) | (up != base)
    size = max(size, float(np.sum(np.maximum(np.abs(up), np.abs(base)), where=changing)))
    return (4 * narrow - wide) / 3, (8 * eps * size + float(np.finfo(float).tiny)) / h, size


class _Curve(NamedTuple):
    """The function along a line, as its change from where we are."""

    change: Callable[[float], float]
    at: float
    eps: float
    size: float  # of the terms that the change is a difference of
    hidden: float  # a derivative so small that no step shows it

    def slope(self, length: float, method: str) -> Side:
        """A numerical derivative over some length."""
        try:
            value, error = estimate(self.change, length, method, self.eps, self.at, self.size)
            return Side(float(value), float(error) + self.hidden)
        except (ArithmeticError, ValueError):  # f does not like a point so far away
            return Side(np.nan, np.inf)

    def nearest(self, method: str, size: float, error: float) -> Side | None:
        """The numerical derivative over the shortest length that gives one with an error below ``error``."""
        lengths = sorted({length * 10.0**-k for length in (size, 1.0) for k in range(4, 15, 2)})
        with np.errstate(all="ignore"):
            return next((side for length in lengths if (side := self.slope(length, method)).error <= error), None)


def _closely(curve: _Curve, size: float, analytic: float, tolerance: Tolerance) -> Judgement:
    """The ladder for what two differences do not settle."""
    if not np.isfinite(analytic) and any(_grows(curve.change, length, analytic) for length in (size, 1.0)):
        reason = "the derivative is infinite, or overflows: difference quotients grow as their steps fall"
        return Judgement(INCONCLUSIVE, analytic, analytic, np.inf, reason)
    with np.errstate(all="ignore"):
        lengths = list(dict.fromkeys([size, 1.0, 1e-2 * size, 1e-4 * size]))
        slopes = [curve.slope(length, "ridders") for length in lengths]
        own, found = slopes[0], sorted(slopes, key=lambda e: e.error)
        sharp = _sharpness(found, analytic, tolerance)
        for value, error in found:
            if error <= sharp and tolerance.settles(analytic, value, error):
                return Judgement(MATCH, analytic, value, error)
        sides = [sorted([curve.slope(n, method) for n in lengths], key=lambda e: e.error) for method in ("backward", "forward")]
        left, right = (side[0] for side in sides)
    value, error = found[0]
    turning = _differ(left, right, tolerance)
    if turning:  # perhaps only beside this point
        gap = 0.01 * abs(left.value - right.value)
        left, right = curve.nearest("backward", size, gap) or left, curve.nearest("forward", size, gap) or right
    fits = [side for side in (left, right) if tolerance.covers(analytic, *side)]
    kink = _differ(left, right, tolerance)
    reason = f"a kink: the derivative is {left.value:.6g} on the left and {right.value:.6g} on the right" if kink else ""
    if kink and (fits or min(left.value, right.value) <= analytic <= max(left.value, right.value)):
        return Judgement(KINK, analytic, value, error, reason)
    agree = [side.error <= sharp and tolerance.settles(analytic, *side) for side in (left, right)]
    if all(agree):
        return Judgement(MATCH, analytic, left.value, left.error, "a kink is near")
    if any(agree):
        which = "left" if agree[0] else "right"
        return Judgement(INCONCLUSIVE, analytic, value, error, f"f jumps here, or nearly: the derivative on the {which} agrees")
    # A function that turns within a step much shorter than its input has a slope that only such steps see.
    with np.errstate(all="ignore"):
        finer = [curve.slope(length * 10.0**-k, "ridders") for length in dict.fromkeys([size, 1.0]) for k in range(6, 15, 2)]
    for side in finer:
        if tolerance.covers(analytic, *side) and abs(side.value - value) > 3 * (side.error + error):
            settled = tolerance.settles(analytic, *side)
            return Judgement(MATCH if settled else INCONCLUSIVE, analytic, *side, "" if settled else FAST)
    if not np.isfinite(analytic) and not (_steady(found, tolerance) or all(_steady(side, tolerance) for side in sides)):
        return Judgement(INCONCLUSIVE, analytic, value, error, FAST)  # there is no slope, and no kink, as of z^i at 0
    if kink or max(left.error, right.error) < min(0.01 * abs(left.value - analytic), 0.1 * abs(left.value)):  # both are known
        return Judgement(MISMATCH, analytic, *(found[0] if kink else left), reason)
    if turning and not kink:  # f turns beside this point, not at it: what longer steps say is of no account
        found = []
    elif size < STEP and error > 0.1 * abs(value) and tolerance.covers(analytic, *own):  # as of z^p at a small z, for a tiny p
        reason = f"rounding hides it over steps of x's size: {own.value:.2g} ± {own.error:.2g}, and longer ones may pass by a pole"
        return Judgement(INCONCLUSIVE, analytic, value, error, reason)
    return _unsettled(sorted([*found, *finer], key=lambda side: side.error), analytic, tolerance)


def _sharpness(found: Sequence[Side], analytic: float, tolerance: Tolerance) -> float:
    """The widest error bar that still says something for the analytic derivative. Where two numerical ones, over different lengths,
    agree with each other and not with it, that is less than its distance from them: a vaguer one covers both."""
    against = [side for side in found if abs(side.value - analytic) > 4 * side.error and not tolerance.covers(analytic, *side)]
    for first, second in itertools.combinations(against, 2):
        if abs(first.value - second.value) <= first.error + second.error:
            return 0.5 * abs(first.value - analytic)
    return np.inf


def _grows(change: Callable[[float], float], size: float, analytic: float) -> bool:
    """Whether the difference quotients of one side go to plus or minus infinity, as that of √a does at 0; or, where the derivative
    is finite, towards it."""
    with np.errstate(all="ignore"):
        sides = [[change(sign * h * size) / (sign * h * size) for h in (1e-3, 1e-6, 1e-9)] for sign in (1, -1)]
        growing = [c for a, b, c in sides if a and b and 2 < abs(b / a) < np.inf and 2 < abs(c / b) < np.inf]
        overflow = np.isinf(analytic) and any(c == analytic for _, _, c in sides)  # the quotients are too large for a number, too
        jump = len(growing) == 2 and np.isfinite(analytic)  # to both sides, as far as steps show
        towards = any(np.isnan(analytic) or (c * analytic > 0 and abs(c) <= abs(analytic)) for c in growing)
        return bool(overflow or jump or towards)


def _unsettled(found: list[Side], analytic: float, tolerance: Tolerance) -> Judgement:
    """A mismatch, if the numerical derivative is known well enough to say so."""
    value, error = found[0]
    verdict, reason = MISMATCH, ""
    if not np.isfinite(error):
        verdict, reason = INCONCLUSIVE, "no difference quotient is finite: f is not defined, or jumps, near this point"
    elif error > 0.2 * abs(analytic - value):
        verdict, reason = INCONCLUSIVE, f"rounding or a jump hides it: the numerical derivative is known to ± {error:.2g} only"
    elif _contradictory(found, analytic, tolerance):
        verdict, reason = INCONCLUSIVE, FAST
    return Judgement(verdict, analytic, value, error, reason)


def _contradictory(found: list[Side], analytic: float, tolerance: Tolerance) -> bool:
    """Whether the best numerical derivative is contradicted by one over another length, and not just by a little."""
    (value, error), *others = found
    factor, known = 10.0, [other for other in others if other.error < 0.1 * max(abs(other.value), abs(value))]
    if error > 0.1 * abs(value):  # not even its first digit is known
        factor, known = 1.5, [other for other in others if abs(other.value - value) > 0.1 * abs(analytic - value)]
    return any(abs(other.value - value) > factor * (other.error + error) + tolerance.absolute for other in known)


def _steady(found: Sequence[Side], tolerance: Tolerance) -> bool:
    """Whether the best two numerical derivatives, over different lengths, agree and are known."""
    first, second = found[:2]
    error = first.error + second.error
    return abs(first.value - second.value) <= 3 * error <= 0.01 * max(abs(first.value), abs(second.value)) + tolerance.noise


class Side(NamedTuple):
    """A numerical derivative with its error bar, as plain numbers."""

    value: float
    error: float


def _differ(left: Side, right: Side, tolerance: Tolerance) -> bool:
    """Whether two one-sided derivatives are surely different."""
    size = max(abs(left.value), abs(right.value))
    noise = 3 * (left.error + right.error) + min(10 * (tolerance.absolute + tolerance.relative * size), 1e-3 * size)
    return bool(np.isfinite(noise) and abs(left.value - right.value) > noise)


def complex_judgement(parts: list[tuple[Judgement, complex]]) -> Judgement:
    """The verdict on a complex element from those on its real and its imaginary part: the worse of the two."""
    if len(parts) == 1:
        return parts[0][0]
    worst = max((j for j, _ in parts), key=lambda j: VERDICTS.index(j.verdict))
    total = functools.partial(sum, start=0j)
    analytic, numerical = total(j.analytic * unit for j, unit in parts), total(j.numerical * unit for j, unit in parts)
    return Judgement(worst.verdict, analytic, numerical, max(j.error for j, _ in parts), worst.reason)
