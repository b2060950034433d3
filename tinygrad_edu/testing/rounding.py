"""How much of a difference between an analytic and a numerical derivative may be rounding: what one asks before a mismatch is
called one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu.testing.differences import eps_of, irregularity, largest, shaken, step_for
from tinygrad_edu.testing.functions import same_far_away
from tinygrad_edu.testing.verdicts import (
    ENOUGH,
    INCONCLUSIVE,
    KINK,
    MATCH,
    MISMATCH,
    Judgement,
    Line,
    Tolerance,
    complex_judgement,
    direction,
    elements_of,
    judge,
)

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

Found: TypeAlias = tuple[Judgement, str, tuple[int, ...] | None]  # with the name of the line, and its element

NEIGHBOURS = 8
NOTHING = 1e-15  # a derivative below it is as good as none: that rounding hides it is not worth a word


@dataclass
class Rounding:
    """A function of one order, its inputs as they were given and in double precision, its gradient at the given ones, and what
    counts as agreement (by default as much as the inputs' precision can show). The function is a dataclass that has
    ``value(arrays)``, the terms of its value, ``gradient(arrays)``, ``order``, and ``projection``, an array in the first two."""

    level: Any
    chosen: list[int]  # the numbers of the inputs that are differentiated
    given: list[Array]
    wide: list[Array]
    gradient: list[Array]
    rtol: float | None = None
    atol: float | None = None

    def tolerance(self, position: int) -> Tolerance:
        """What counts as agreement on one input. The absolute part is of the size of the gradient, so that one of 1e-12 is still
        compared, if the dtype has that."""
        rtol = max(1e-6, 50 * self.eps) if self.rtol is None else self.rtol
        atol = max(1e-7, 50 * self.eps) if self.atol is None else self.atol
        size = largest(self.gradient[self.chosen.index(position)])
        step = 2 * float(np.finfo(self.given[position].dtype).smallest_subnormal)
        return Tolerance(rtol, atol * min(1.0, size) + step, max(NOTHING, atol * min(1.0, size or 1.0)))

    def elements(self, position: int, step: Callable[[], Any] = lambda: None) -> list[Found]:
        """A judgement on every element of one input. ``step`` is told of each."""
        tolerance = self.tolerance(position)
        parts: dict[tuple[int, ...], list[tuple[Judgement, complex]]] = {}
        wrong_ones = 0
        for line, unit in elements_of(self.wide, position):
            assert line.index is not None

            def along(gradient: Array, index: tuple[int, ...] = line.index, unit: complex = unit) -> float:
                return float(gradient[index].imag if unit == 1j else gradient[index].real)

            judgement = self.judge(line, along, tolerance, closely=wrong_ones < ENOUGH)
            wrong_ones += judgement.verdict == MISMATCH
            parts.setdefault(line.index, []).append((judgement, unit))
            step()
        found = [complex_judgement(parts) for parts in parts.values()]
        wrong = np.array([j.verdict == MISMATCH and not j.reason for j in found], bool).reshape(self.wide[position].shape)
        numerical = np.array([j.numerical for j in found]).reshape(wrong.shape)
        if wrong.sum() > 1 and not self.differentiable(position, numerical, wrong, tolerance):
            reason = "f is not differentiable here: its slopes along single elements do not add up to that along all of them"
            found = [replace(j, verdict=INCONCLUSIVE, reason=reason) if w else j for j, w in zip(found, wrong.flat, strict=True)]
        return [(judgement, f"element {index}", index) for index, judgement in zip(parts, found, strict=True)]

    @cached_property
    def base(self) -> Array:
        """The terms of the value where we are."""
        return np.asarray(self.level.value(self.wide))

    @cached_property
    def function(self) -> Any:
        """The function that is differentiated once or more to make the one of this order."""
        return replace(self.level, order=1)

    @cached_property
    def result(self) -> Array:
        """The terms of its value where we are."""
        return np.asarray(self.function.value(self.wide))

    @cached_property
    def noise(self) -> float:
        """What rounding can do to the value."""
        eps = eps_of(self.base)
        with np.errstate(all="ignore"):
            changes = [abs(float(np.sum(f.value(moved) - self.base))) for f, moved in self.shaken(self.wide, eps)]
        return float(np.max(changes))

    @cached_property
    def eps(self) -> float:
        """The precision of the least precise input."""
        return max(eps_of(self.given[i]) for i in self.chosen)

    @cached_property
    def neighbours(self) -> list[list[Array]]:
        """Gradients at inputs that differ in their last digits, of the given and of double precision."""
        beside = list(self.shaken(self.given, self.eps))
        if self.precision:
            beside += self.shaken(self.wide, float(np.finfo(float).eps))
        with np.errstate(all="ignore"):
            return [f.gradient(moved) for f, moved in beside]

    @cached_property
    def trails(self) -> list[list[list[Array]]]:
        """Gradients in double precision at equally spaced points, over several lengths on which the function itself is smooth. They
        tell of rounding that other last digits do not change, as where all of these are rounded alike."""
        rng = np.random.default_rng(0)
        way = [rng.uniform(0.5, 1.5, a.shape) if i in self.chosen else None for i, a in enumerate(self.wide)]
        function, base, found = self.function, self.result, []
        digits = 16 * eps_of(base) * float(np.sum(np.abs(base)))
        for part in (1e-12, 1e-10, 1e-8, 1e-6):
            trail = [
                [a if v is None else np.asarray(a + k * part * a * v) for a, v in zip(self.wide, way, strict=True)]
                for k in range(-8, 9)
            ]
            with np.errstate(all="ignore"):
                if irregularity(np.array([float(np.sum(function.value(x) - base)) for x in trail])) <= digits:
                    found.append([self.level.gradient(x) for x in trail])
        return found

    @cached_property
    def gradient_in_double(self) -> list[Array]:
        """The gradient at the same inputs in double precision."""
        if not self.precision:
            return self.gradient
        with np.errstate(all="ignore"):
            return list(self.level.gradient(self.wide))

    def ignores(self, position: int) -> bool:
        """Whether nothing depends on an input, with other numbers for the rest, too: in x y, a y of 0 hides x."""
        rng = np.random.default_rng(1)
        elsewhere = [x + (1 + np.abs(x)) * rng.random(x.shape) if i in self.chosen else x for i, x in enumerate(self.wide)]

        def alone(rest: list[Array], x: Array) -> Any:
            return self.level.value([*rest[:position], x, *rest[position + 1 :]])

        return all(same_far_away(partial(alone, rest), self.wide[position]) for rest in (self.wide, elsewhere))

    @cached_property
    def precision(self) -> str | None:
        """The dtype of the inputs, where that is not double precision."""
        low = {str(self.given[i].dtype) for i in self.chosen if self.given[i].dtype != self.wide[i].dtype}
        return " and ".join(sorted(low)) or None

    def shaken(self, arrays: list[Array], eps: float) -> Iterator[tuple[Any, list[Array]]]:
        """The function and its inputs with other last digits. What that changes in a result is what rounding can do to it (the
        stochastic arithmetic of Vignes, 1978)."""
        rng = np.random.default_rng(0)
        for _ in range(NEIGHBOURS):
            moved = [shaken(a, eps, rng) if i in self.chosen else a for i, a in enumerate(arrays)]
            yield replace(self.level, projection=shaken(self.level.projection, eps, rng)), moved

    def judge(self, line: Line, along: Callable[[Array], float], tolerance: Tolerance, closely: bool = True) -> Judgement:
        """The verdict on the gradient's slope along a line, which ``along`` computes from the gradient of an input."""
        position = self.chosen.index(line.input)
        analytic = along(self.gradient[position])
        if not closely:
            return judge(self.level.value, line, analytic, tolerance, self.base, closely=False)
        judgement = judge(self.level.value, line, analytic, tolerance, self.base)
        if judgement.verdict == MISMATCH:
            judgement = judge(self.level.value, line, analytic, tolerance, self.base, self.noise)
        if judgement.verdict != MISMATCH:
            return judgement
        if self.precision:
            exact = along(self.gradient_in_double[position])
            in_double = partial(judge, self.level.value, line, exact, tolerance, self.base)
            # The noise is that of all inputs together. Along a line on which most of them do not move there may be much less.
            if in_double().verdict == MATCH or in_double(self.noise).verdict != MISMATCH:
                reason = (
                    f"{self.precision} is not precise enough, or too narrow: in double precision it is {exact:.4g}, as it should be"
                )
                return replace(judgement, verdict=INCONCLUSIVE, reason=reason)
        if judgement.reason:
            return self._at_kink(line, judgement, tolerance)
        near = [along(found[position]) for found in self.neighbours]
        numerical = judgement.numerical.real
        irregular = max((irregularity(np.array([along(found[position]) for found in trail])) for trail in self.trails), default=0.0)
        error = judgement.error + 2 * float(np.ptp(near)) + 4 * irregular
        if tolerance.settles(analytic, numerical, error):
            return replace(judgement, verdict=MATCH, error=error)
        if tolerance.covers(analytic, numerical, error):
            reason = f"rounding in backward() hides it: other digits of the inputs change the analytic derivative by {error:.2g}"
            return replace(judgement, verdict=INCONCLUSIVE, error=error, reason=reason)
        if self.level.order > 1 and self.negligible(line, max(abs(analytic), abs(numerical))):
            return replace(judgement, verdict=INCONCLUSIVE, reason=f"too small to show in any digit of {self.precision or 'f'}")
        return self._at_kink(line, judgement, tolerance, radius=1e-6) if self.tied else judgement

    def negligible(self, line: Line, derivative: float) -> bool:
        """Whether a derivative of a higher order is so small that it would change no digit of the function if the input changed by
        all of its size. Numbers as small as that are lost in sums such as 1 − p, in every precision."""
        return bool(derivative * step_for(line.size) ** self.level.order <= self.eps * largest(self.result))

    @cached_property
    def numbers(self) -> Array:
        """All numbers that are differentiated."""
        return np.concatenate([np.ravel(self.wide[i]) for i in self.chosen])

    @cached_property
    def tied(self) -> bool:
        """Whether two of them are equal."""
        return len(np.unique(self.numbers)) < self.numbers.size

    def _at_kink(self, line: Line, judgement: Judgement, tolerance: Tolerance, radius: float = 1e-3) -> Judgement:
        """Where several elements are tied, moving one of them does not show all slopes that f has around the point, as among equal
        numbers that are sorted: each may become any of the results. At points beside it, where no two are tied, it does."""
        rng = np.random.default_rng(0)
        sizes = np.abs(self.numbers)
        unit = float(np.min(sizes, initial=np.inf, where=sizes > 0))
        unit = unit if np.isfinite(unit) else 1.0
        slopes = []

        def ramp(x: Array) -> Array:  # the first of equal numbers is the smallest
            return np.linspace(-1, 1, x.size).reshape(x.shape)

        def anywhere(x: Array) -> Array:
            return rng.uniform(-1, 1, x.shape)

        moves: list[tuple[int, Callable[[Array], Array]]] = [(1, ramp), (-1, ramp), *[(1, anywhere)] * (4 * NEIGHBOURS)]
        for sign, move in moves:
            beside = list(self.wide)
            for i in self.chosen:
                step = radius * np.where(beside[i] == 0, unit, np.abs(beside[i]))
                beside[i] = np.asarray(beside[i] + step * sign * move(beside[i]))
            there = line.starting(beside)
            h = 1e-3 * radius * (line.size or unit)
            change = np.sum(np.asarray(self.level.value(there.moved(h))) - np.asarray(self.level.value(there.moved(-h))))
            slopes.append(float(change) / ((there.at + h) - (there.at - h)))
        analytic = judgement.analytic.real
        if max(slopes) - min(slopes) < 0.1 * max(map(abs, slopes)):
            return judgement  # f is smooth here
        if min(slopes) <= analytic <= max(slopes) or any(tolerance.covers(analytic, slope, 0.0) for slope in slopes):
            reason = f"a kink: the derivative is between {min(slopes):.6g} and {max(slopes):.6g} around it"
            return replace(judgement, verdict=KINK, reason=reason)
        return judgement

    def differentiable(self, position: int, numerical: Array, moved: Array, tolerance: Tolerance) -> bool:
        """Whether the slopes along single elements of an input, those in the mask ``moved``, add up to the slope along a direction
        of these elements. The median of equal numbers does not change with any of them, and yet it does with all of them."""
        v = np.where(moved, np.random.default_rng(1).uniform(0.5, 1.5, moved.shape), 0.0)
        vectors = [v if i == position else None for i in range(len(self.wide))]
        line = direction(self.wide, vectors, "the elements together", position)
        together = float(np.sum(numerical.real * v, where=moved))
        return judge(self.level.value, line, together, tolerance, self.base, self.noise).verdict in (MATCH, INCONCLUSIVE)
