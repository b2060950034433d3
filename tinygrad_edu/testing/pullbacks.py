"""Comparing a pullback with the function that it belongs to, along random directions: a few evaluations, however many elements.

For a function y of several variables, L = Re Σ g y is real. A pullback turns the cotangent g into the gradients of L, and what they
say of a change v of the variables, Re Σ gradient · v, has to be the slope of L along v. Where the function has a kink, it need only
lie between the slopes from both sides. Cotangents are those that travel between nodes: see `engine`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.testing.differences import Estimate, estimate
from tinygrad_edu.testing.suspects import likely_mistake
from tinygrad_edu.testing.verdicts import INCONCLUSIVE, KINK, MATCH, MISMATCH

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

LENGTHS = (1.0, 1e-2, 1e-4, 1e-6)  # of steps: the first one will do, but where a kink or a pole is near
MOST_PARTS = 4096  # of L, whose slopes are taken one by one; those of a larger result are added up in blocks
MOST_KINKS = 64  # that are looked at, of one operation
MOST_GROUPS = 256  # of elements that are moved by themselves, to see whether their slopes add up
MOST_ELEMENTS = 512  # of a wrong gradient that is compared element by element; in a larger one, the worst is searched by halving


@dataclass
class Pullback:
    """A function of arrays at a point, with an analytic pullback that may be wrong.

    ``forward`` computes y from the variables, ``pull`` their gradients from a cotangent; ``at`` are the variables. ``rtol`` and
    ``atol`` are what the slopes are exact to. ``cotangent`` is the one to take, where not every one will do;
    the matrices among the variables that ``hermitian`` lists move so that they stay Hermitian.
    """

    forward: Callable[[list[Any]], Any]
    pull: Callable[[Any], Sequence[Any]]
    at: list[Array]
    rtol: float = 1e-7
    atol: float = 1e-14
    cotangent: Array | None = None
    hermitian: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Comparison:
    """What came out for some of the variables: a verdict, the two slopes, and what is needed to look closer."""

    verdict: str
    analytic: float
    numerical: float
    g: Array


def weights(rng: np.random.Generator, like: Any) -> Array:
    """Random numbers that are not near 0, so that no part of the result goes unseen; complex ones for what is complex."""
    like = np.asarray(like)

    def numbers() -> Array:
        return np.asarray(rng.uniform(0.5, 1.5, like.shape) * rng.choice([-1, 1], like.shape))

    wide = numbers() + 1j * numbers() if like.dtype.kind == "c" else numbers()
    return wide.astype(like.dtype) if like.dtype.kind in "fc" else wide


def compare(it: Pullback, variables: Sequence[int], rng: np.random.Generator) -> Comparison:
    """Whether the gradients of these variables are right along a random direction of all of them. What looks wrong is looked at a
    second time, with other random numbers."""
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        found = _Line(it, variables, rng).judged()
        if found.verdict == MISMATCH:
            found = _Line(it, variables, rng).judged()
        if found.verdict == MISMATCH and not it.hermitian:
            triangular = hermitian_variables(it, rng)
            if triangular.intersection(variables):
                found = _Line(replace(it, hermitian=triangular), variables, rng).judged()
    return found


class _Line:
    """A direction of the variables, a cotangent, and L along it."""

    def __init__(self, it: Pullback, variables: Sequence[int], rng: np.random.Generator) -> None:
        self.it, self.variables, self.rng = it, variables, rng
        y = np.asarray(it.forward(it.at))
        self.g = weights(rng, y) if it.cotangent is None else it.cotangent
        self.v = {i: _direction(rng, it.at[i], i in it.hermitian) for i in variables}
        # What does not depend on which of several results is the case, as signs of eigenvectors, is the sum only.
        self.size = 1 + y.size // MOST_PARTS if it.cotangent is None else max(1, y.size)
        self.whole = bool(np.isfinite(y).all() and all(np.isfinite(x).all() for x in it.at))
        eps = float(np.finfo(y.dtype).eps) if y.dtype.kind in "fc" else float(np.finfo(float).eps)
        self.eps = eps * np.sqrt(self.size)

    def parts(self, t: float, only: dict[int, Array] | None = None) -> Array:
        """The summands of L at a point of the line, or of one that some of the elements move along; nan where the function is not
        defined there."""
        v = self.v if only is None else only
        values = [x + t * v[i] if t and i in v else x for i, x in enumerate(self.it.at)]
        try:
            y = np.asarray(self.it.forward(values))
        except Exception:
            if not t:
                raise
            return np.full(-(-self.g.size // self.size), np.nan)
        return self.blocks(np.real(np.multiply(self.g, y, dtype=np.result_type(self.g, y, float))))

    def blocks(self, products: Array) -> Array:
        flat = np.ravel(products)
        return flat if self.size == 1 else np.add.reduceat(flat, np.arange(0, flat.size, self.size))

    def analytic(self, chosen: Array | None = None) -> tuple[float, float]:
        """The slope by the pullback, of those summands that are chosen, and the sum of the absolute values that it is made of."""
        g = np.array(self.g) if chosen is None else self.only(chosen)
        gradients = self.it.pull(g)
        products = [np.ravel(np.real(np.where(self.v[i] == 0, 0, gradients[i]) * self.v[i])) for i in self.variables]
        return float(sum(map(np.sum, products))), float(sum(np.sum(np.abs(p)) for p in products))

    def judged(self) -> Comparison:
        """The verdict. A slope that settles it is enough; otherwise kinks, jumps and noise are looked for."""
        analytic, size = self.analytic()
        found: list[Estimate] = []
        for length in LENGTHS:
            found.append(estimate(self.parts, length, "ridders", self.eps))
            best = _best(found)
            if self.within(analytic, size, best) and self.settled(analytic, size, best):
                return self.said(MATCH, analytic, best)
        left, right = ([estimate(self.parts, length, side, self.eps) for length in LENGTHS] for side in ("backward", "forward"))
        size_of = np.maximum(np.abs(best.value), np.abs(self.parts(0.0)))
        known = best.error <= 1e-4 * size_of + 1e-12
        for side in (left, right):  # beside a jump there is no slope
            known &= _best(side).error <= 1e-3 * size_of + 1e-9
        return self.beside_kinks(best, known & self.additive(best), *_range([*found, *left, *right]))

    def additive(self, whole: Estimate) -> Array:
        """For which summands the slope along v is the sum of those along its elements. Where it is not, there is no derivative,
        though those from both sides may agree: the median of three equal numbers, for instance, moves with the median of v."""
        total, noise = np.zeros_like(whole.value), np.array(whole.error)
        for i, v in self.v.items():
            for places in np.array_split(self.rng.permutation(v.size), max(1, min(v.size, MOST_GROUPS))):
                slopes = functools.partial(self.parts, only={i: _unit(v, places, v.ravel()[places])})
                found = _best([estimate(slopes, length, "central", self.eps) for length in LENGTHS[1::2]])
                total += found.value
                noise += found.error
        return np.asarray(np.abs(total - whole.value) <= 10 * noise + 1e-5 * np.abs(whole.value) + 1e-9)

    def beside_kinks(self, best: Estimate, known: Array, low: Estimate, high: Estimate) -> Comparison:
        """The smooth summands are compared by themselves. Those with a kink at the point or near it, where quotients of different
        lengths or sides differ, have to lie between the quotients."""
        noise = low.error + high.error
        kinked = high.value - low.value > 10 * noise + 1e-5 * np.abs(high.value) + 1e-9
        smooth = known & ~kinked
        analytic, size = self.analytic(smooth)
        rest = Estimate(best.value[smooth], best.error[smooth])
        if not self.within(analytic, size, rest):
            undefined = not self.whole and not np.isfinite(analytic)  # nan from nan
            return self.said(INCONCLUSIVE if undefined else MISMATCH, analytic, rest, smooth)
        if not kinked.any():
            sure = (smooth | ~np.isfinite(self.parts(0.0))).all() and self.settled(analytic, size, rest)
            return self.said(MATCH if sure else INCONCLUSIVE, analytic, rest)
        for place in self.rng.permutation(np.flatnonzero(kinked))[:MOST_KINKS]:  # one by one, for in a sum they would hide
            one = np.zeros_like(kinked)
            one[place] = True
            analytic, size = self.analytic(one)
            bottom, top = float(low.value[place]), float(high.value[place])
            slack = 1e-5 * (size + abs(bottom) + abs(top)) + float(noise[place])
            if not bottom - slack <= analytic <= top + slack:
                return self.said(MISMATCH, analytic, Estimate((low.value + high.value)[one] / 2, noise[one]), one)
        return self.said(KINK, analytic, best)

    def within(self, analytic: float, size: float, slopes: Estimate) -> bool:
        """Whether the two slopes are the same, as far as is known."""
        numerical, bar = float(np.sum(slopes.value)), float(np.sum(slopes.error))
        tolerance = self.it.rtol * (max(abs(analytic), abs(numerical)) + 1e-2 * size) + 3 * bar + self.it.atol
        return abs(analytic - numerical) <= tolerance

    def settled(self, analytic: float, size: float, slopes: Estimate) -> bool:
        """Whether that says something: an error bar of the size of the slope would agree with everything."""
        bar = float(np.sum(slopes.error))
        return bar <= 1e-4 * max(abs(analytic), abs(float(np.sum(slopes.value)))) or bar <= 1e-8 * (1 + size)

    def said(self, verdict: str, analytic: float, slopes: Estimate, chosen: Array | None = None) -> Comparison:
        g = self.g if chosen is None else self.only(chosen)
        return Comparison(verdict, analytic, float(np.sum(slopes.value)), g)

    def only(self, chosen: Array) -> Array:
        """The cotangent for some of the summands."""
        return np.where(np.repeat(chosen, self.size)[: self.g.size].reshape(self.g.shape), self.g, 0).astype(self.g.dtype)


def _best(estimates: Sequence[Estimate]) -> Estimate:
    """Of several, for each summand, the estimate with the smallest error bar."""
    values, errors = np.array([e.value for e in estimates]), np.array([e.error for e in estimates])
    first = np.argmin(errors, axis=0)[None]
    return Estimate(np.take_along_axis(values, first, 0)[0], np.take_along_axis(errors, first, 0)[0])


def _range(estimates: Sequence[Estimate]) -> tuple[Estimate, Estimate]:
    """For each summand, the smallest and the largest of the estimates that say something."""
    values, errors = np.array([e.value for e in estimates]), np.array([e.error for e in estimates])
    vague = ~(errors <= 1e-3 * np.max(np.abs(values), axis=0, where=np.isfinite(errors), initial=1e-6))
    ends = []
    for sign in (1, -1):
        place = np.argmin(np.where(vague, np.inf, sign * values), axis=0)[None]
        found = [np.take_along_axis(a, place, 0)[0] for a in (values, errors)]
        ends.append(Estimate(*[np.where(vague.all(axis=0), 0, a) for a in found]))
    return ends[0], ends[1]


def _direction(rng: np.random.Generator, x: Array, hermitian: bool) -> Array:
    """A direction in which every finite element moves by a part of its own size."""
    v = weights(rng, np.asarray(x)) * np.where(np.isfinite(x), np.maximum(np.abs(x), 0.1), 0)
    return np.asarray((v + _adjoint(v)) / 2 if hermitian else v)


def _adjoint(x: Array) -> Array:
    return np.conj(np.swapaxes(x, -1, -2))


def _is_hermitian(x: Any) -> bool:
    x = np.asarray(x)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2] or x.shape[-1] < 2:
        return False
    return bool(np.allclose(x, _adjoint(x), rtol=1e3 * np.finfo(x.dtype).eps, atol=1e-6 * float(np.max(np.abs(x), initial=0))))


def hermitian_variables(it: Pullback, rng: np.random.Generator) -> frozenset[int]:
    """The matrices that the function takes to be Hermitian: those which are, and of which it reads one triangle. Its gradients are
    right for changes that leave them Hermitian."""
    return frozenset(i for i, x in enumerate(it.at) if _is_hermitian(x) and _reads_one_triangle(it, i, rng))


def _reads_one_triangle(it: Pullback, variable: int, rng: np.random.Generator) -> bool:
    x, y = it.at[variable], it.forward(it.at)
    for other in (np.triu(weights(rng, x), 1), np.tril(weights(rng, x), -1)):
        try:
            if np.array_equal(it.forward([*it.at[:variable], x + other, *it.at[variable + 1 :]]), y, equal_nan=True):
                return True
        except Exception:
            continue  # it wants to see both
    return False


@dataclass(frozen=True)
class Worst:
    """The element of a wrong gradient that is furthest off, and what mistake the whole of it looks like."""

    index: tuple[int, ...]
    analytic: complex
    numerical: complex
    mistake: str | None


def worst_element(it: Pullback, variable: int, g: Array) -> Worst:
    """Look closer at the gradient of one variable, for a cotangent with which it is wrong."""
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        analytic = np.asarray(it.pull(np.array(g))[variable])
        x = np.asarray(it.at[variable])
        index = np.arange(x.size)
        units = (1, 1j) if x.dtype.kind == "c" else (1,)
        while index.size > MOST_ELEMENTS:
            halves = np.array_split(index, 2)
            off = [abs(_slope(it, variable, g, _unit(x, half, 1)) - np.sum(np.real(np.ravel(analytic)[half]))) for half in halves]
            index = halves[int(np.argmax(np.nan_to_num(off, nan=np.inf)))]
        numerical = np.zeros(index.size, np.result_type(analytic, *units))
        for k, i in enumerate(index):
            for unit in units:  # the travelling gradient of a complex x + iy is ∂L/∂x − i ∂L/∂y
                numerical[k] += np.conj(unit) * _slope(it, variable, g, _unit(x, np.array([i]), unit))
        mine = np.ravel(analytic)[index]
        if mine.dtype.kind == "c" and x.dtype.kind != "c":
            mine, numerical = mine.real, numerical.real
        difference = np.abs(mine - numerical)
        worst = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
        place = tuple(int(i) for i in np.unravel_index(int(index[worst]), x.shape)) if x.shape else ()
        whole = index.size == x.size
        mistake = _mistake(mine.reshape(x.shape), numerical.reshape(x.shape), g) if whole else None
        return Worst(place, mine[worst].item(), numerical[worst].item(), mistake)


def _mistake(analytic: Array, numerical: Array, g: Array) -> str | None:
    if analytic.shape == g.shape and g.size > 1 and np.allclose(analytic * g, numerical, rtol=1e-4, atol=1e-9):
        return "a forgotten cotangent: the rule does not multiply by g"
    lengths = () if analytic.shape == g.shape else (*g.shape, *analytic.shape, g.size, analytic.size)
    return likely_mistake(analytic, numerical, tuple(dict.fromkeys(lengths)))


def _unit(x: Array, places: Array, unit: Any) -> Array:
    """An array like x with a value at some places, and 0 elsewhere."""
    v = np.zeros(x.size, np.result_type(x, np.asarray(unit)))
    v[places] = unit
    return v.reshape(x.shape)


def _slope(it: Pullback, variable: int, g: Array, v: Array) -> float:
    """The slope of L when one variable moves along v, by central differences."""
    moved = np.abs(it.at[variable])[v != 0]
    length = max(1e-2, float(np.min(moved, initial=1.0)))

    def value(t: float) -> Any:
        values = [x + t * v if i == variable else x for i, x in enumerate(it.at)]
        return np.sum(np.real(g * np.asarray(it.forward(values))))

    return float(estimate(value, length, "central").value)
