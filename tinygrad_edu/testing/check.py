"""`check_gradients` and `assert_gradients`: analytic derivatives against numerical ones, to any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, GradientMismatchError, NumericalError, TinygradError
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.testing.differences import eps_of
from tinygrad_edu.testing.functions import calls_again, check_reads_arguments, check_same, check_same_again, ignoring, written_to
from tinygrad_edu.testing.inputs import as_input, differentiable, fresh, kinds_of, tensors_of
from tinygrad_edu.testing.levels import Level, evaluate, result_of, widened
from tinygrad_edu.testing.report import GradientReport
from tinygrad_edu.testing.reproduction import reproduction
from tinygrad_edu.testing.rounding import Found, Rounding
from tinygrad_edu.testing.verdicts import (
    INCONCLUSIVE,
    MATCH,
    MISMATCH,
    UNDEFINED,
    Judgement,
    Tolerance,
    direction,
)
from tinygrad_edu.transforms import jvp, name_of

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

MODES = ("vjp", "jvp")
MANY = 2_000  # elements of all inputs together, from which on derivatives are compared along random directions


def check_gradients(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 2,
    modes: Sequence[str] = MODES,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
    elementwise: bool | None = None,
    directions: int = 8,
    progress: bool = False,
) -> GradientReport:
    """Compare the derivatives of ``f`` that backward() computes with numerical ones, and report a verdict on each.

    A derivative is a **match**, a **mismatch**, a **kink** (the one-sided derivatives differ, and it lies between them) or
    **inconclusive** (what rounding leaves of the numerical derivative is less than the difference; the reason is said).

    Parameters
    ----------
    f: takes tensors and returns a tensor. Where that has several elements, their sum with fixed random weights is checked.
    inputs: arrays, numbers or tensors. The floating and complex ones are differentiated, others are passed on.
    order: how many times to differentiate. From the second on, ``f`` is replaced by its gradient's sum with random weights,
        which is a function of the same inputs.
    modes: "vjp" compares the gradient, and those of higher orders; "jvp" compares derivatives along random directions by `jvp`, of
        the first order, and the two modes with each other: ⟨w, Jv⟩ = ⟨Jᵀw, v⟩.
    rtol, atol: what counts as agreement beyond the numerical derivative's own error bar: by default 1e-6 of the derivative and
        1e-7 of the largest one of the input, widened to what float32 and float16 inputs can show. Below 1e-15 all is as good as 0.
    seed: of the random weights and directions.
    elementwise: whether every element is compared on its own, or random directions of each input. By default elements up to
        2,000 in all. ``directions`` is the number of directions.
    progress: show a progress bar.

    Returns a `GradientReport`; `assert_gradients` raises instead where there is a mismatch. The numerical derivative is that of
    float64 numbers, whatever the inputs' precision is. Raises `ArgumentError` for options that mean nothing, and `NumericalError`
    where there is nothing to compare: no input of floats, an argument that ``f`` never reads, a function or a derivative that is
    random.

    >>> import tinygrad_edu as tg
    >>> report = tg.testing.check_gradients(lambda x, w: tg.tanh(x @ w), [[0.5, -1.0]], [[2.0], [0.3]], modes=("vjp",))
    >>> report.ok, report.compared, report.worst_error < 1e-8
    (True, 8, True)
    """
    _check_options(order, modes, rtol, atol, seed, directions)
    check = _Check(f, inputs, order, rtol, atol, seed)
    report = GradientReport(check.name, tuple(check.arrays), sizes=check.sizes, notes=check.notes)
    changed = {"modes": tuple(modes) if tuple(modes) != MODES else None, "elementwise": elementwise, "rtol": rtol, "atol": atol}
    changed["directions"] = directions if directions != 8 else None
    options: dict[str, Any] = {"order": order, "seed": seed, **{k: v for k, v in changed.items() if v is not None}}
    report.reproduce = lambda: reproduction(
        "assert_gradients",
        {"f": f},
        check.arrays,
        options,
        lambda similar: not check_gradients(f, *similar, **{**options, "order": check.wrong_order}).ok,
    )
    report.blame = check.blame
    if elementwise is None:
        elementwise = sum(check.arrays[i].size for i in check.chosen) <= MANY
    orders = order if "vjp" in modes else 1
    if orders < order:
        report.notes.append("only order 1 is looked at: higher orders compare gradients, and modes has no 'vjp'")
    with _bar(check.work(modes, elementwise, directions) * orders, progress) as step:
        for k in range(1, orders + 1):
            check.order(k, report, modes, elementwise, directions, step)
            if again := calls_again(report):
                check.same_again(again)
            if not report.ok:
                check.wrong_order = k
                break  # what is built on a wrong derivative is wrong
    for watcher in WATCHERS:
        watcher(f, report)
    return report


# Told of every check: what reports the coverage of a test run.
WATCHERS: list[Callable[[Any, GradientReport], None]] = []


def assert_gradients(f: Callable[..., Any], *inputs: Any, **options: Any) -> GradientReport:
    """`check_gradients`, which raises `GradientMismatchError` where a derivative is wrong. The message is one screen: which
    derivative, by how much, the likely mistake, the operation to blame, and a program that shows it again.

    >>> import tinygrad_edu as tg
    >>> tg.testing.assert_gradients(tg.sin, [0.5, 1.0]).ok
    True
    """
    report = check_gradients(f, *inputs, **options)
    if not report.ok:
        raise GradientMismatchError(str(report))
    return report


def _check_options(order: Any, modes: Sequence[str], rtol: float | None, atol: float | None, seed: Any, directions: Any) -> None:
    """Refuse options with which nothing would be compared, or with no meaning."""
    unknown = [mode for mode in modes if mode not in MODES]
    if isinstance(modes, str) or unknown or not modes:
        given = repr(modes) if isinstance(modes, str) else ", ".join(map(repr, unknown)) or "none"
        raise ArgumentError(f"check_gradients: modes are {' and '.join(MODES)}, in a tuple, not {given}")
    for name, number, least in (("order", order, 1), ("directions", directions, 1), ("seed", seed, 0)):
        if not isinstance(number, int | np.integer) or number < least:
            raise ArgumentError(f"check_gradients: {name} is an integer, {least} or more, not {number!r}")
    for name, size in (("rtol", rtol), ("atol", atol)):
        if size is not None and not (isinstance(size, int | float | np.number) and size >= 0):
            raise ArgumentError(f"check_gradients: {name} is a number, 0 or more, or None, not {size!r}")


def _bar(total: int, show: bool) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def bar() -> Iterator[Callable[[], Any]]:
        if not show:
            yield lambda: None
            return
        from tqdm import tqdm

        with tqdm(total=total, unit="derivative") as shown:
            yield shown.update

    return bar()


class _Check:
    """One call of `check_gradients`: the inputs, the random weights, and what agrees."""

    def __init__(self, f: Any, inputs: Sequence[Any], order: int, rtol: float | None, atol: float | None, seed: int) -> None:
        self.f = f
        self.name = name_of(f)
        self.given = inputs
        self.found: Any = None  # whom to blame
        self.wrong_order = 1
        self.arrays = list(map(as_input, inputs))
        self.chosen = differentiable(self.arrays)
        if not self.chosen:
            raise NumericalError(
                f"check_gradients: nothing to differentiate: the inputs of {self.name} are {kinds_of(self.arrays)}; write the "
                "numbers with a decimal point"
            )
        check_reads_arguments(f, self.chosen, "check_gradients")
        self.rtol, self.atol = rtol, atol
        self.rng = np.random.default_rng(seed)
        tensors = tensors_of(self.arrays, self.chosen)
        y = result_of(f, tensors)
        self.notes = written_to(self.arrays, [t._data if isinstance(t, Tensor) else t for t in tensors], self.name)
        self.same_again(1)
        self.sizes = tuple(y.shape)
        self.projection = self.weights(y) if y.shape or y.dtype.kind == "c" else np.ones(())
        self.along = [[self.weights(self.arrays[i]) for i in self.chosen] for _ in range(order)]
        self.wide = widened(self.arrays, self.chosen)

    def same_again(self, times: int) -> None:
        """Refuse a function that is random."""
        check_same_again(lambda: evaluate(self.f, self.arrays, self.chosen)[0]._data, self.name, "check_gradients", times)

    def weights(self, like: Any) -> Array:
        """Random weights away from 0, so that no part of a result goes unseen."""

        def numbers() -> Array:
            return np.asarray(self.rng.uniform(0.5, 1.5, like.shape) * self.rng.choice([-1, 1], like.shape))

        return numbers() + 1j * numbers() if like.dtype.kind == "c" else numbers()

    def work(self, modes: Sequence[str], elementwise: bool, directions: int) -> int:
        """How many derivatives one order compares, but for the one by forward mode."""
        if "vjp" not in modes:
            return 0
        parts = {i: self.arrays[i].size * (2 if self.arrays[i].dtype.kind == "c" else 1) for i in self.chosen}
        return sum(parts.values()) if elementwise else directions * len(parts)

    def order(self, k: int, report: GradientReport, modes: Sequence[str], elementwise: bool, count: int, step: Any) -> None:
        level = Level(self.f, self.chosen, k, self.projection, self.along)
        gradient = level.gradient(self.arrays)
        for position, first, again in zip(self.chosen, gradient, level.gradient(self.arrays), strict=True):
            check_same(first, again, f"backward() to input {position} of {self.name}", "check_gradients")
        rounding = Rounding(level, self.chosen, self.arrays, self.wide, gradient, self.rtol, self.atol)
        compared: list[Judgement] = []
        if "vjp" in modes:
            for position, analytic in zip(self.chosen, gradient, strict=True):
                found = rounding.elements(position, step) if elementwise else self.lines(rounding, position, count, step)
                report.add(k, "vjp", position, found, analytic if elementwise else None)
                compared += [judgement for judgement, _, _ in found]
                if k == 1 and analytic.size and not any(j.numerical for j, _, _ in found) and rounding.ignores(position):
                    report.notes.append(ignoring(self.name, position))
        if "jvp" in modes:
            try:
                found = list(self.forward(rounding))
                report.add(k, "jvp", -1, found)
                compared = compared or [judgement for judgement, _, _ in found]
            except TinygradError:  # of a rule that is known to be wrong already
                if report.ok:
                    raise
        sizes = [float(abs(j.numerical)) for j in compared if j.verdict != INCONCLUSIVE and np.isfinite(j.numerical)]
        report.largest = (*report.largest, max(sizes, default=0.0))
        if k == 1 and not report.ok:
            report.slope = self.slope(level, gradient)

    def lines(self, rounding: Rounding, position: int, count: int, step: Any) -> list[Found]:
        """Judgements along random directions of one input."""
        found: list[Found] = []
        tolerance = rounding.tolerance(position)
        for n in range(count):
            v = self.weights(self.arrays[position])
            vectors = [v if i == position else None for i in range(len(self.wide))]
            line = direction(self.wide, vectors, f"random direction {n}", position)

            def along(gradient: Array, v: Array = v) -> float:
                return float(np.sum(np.real(gradient * np.conj(v))))

            found.append((rounding.judge(line, along, tolerance), line.label, None))
            step()
        return found

    def forward(self, rounding: Rounding) -> Iterator[Found]:
        """The derivative along one random direction of all inputs, by forward mode: against the gradient. In double precision, for
        only there they must agree closely."""
        if rounding.level.order > 1:
            return  # the transposed map of order 1 is what order 2 is made of
        vectors = [self.weights(self.wide[i]) for i in self.chosen]

        def push(arrays: Sequence[Array], projection: Array) -> tuple[float, float]:
            def of_chosen(*values: Any) -> Any:
                rest = iter(values)
                return self.f(*[next(rest) if i in self.chosen else fresh(a) for i, a in enumerate(arrays)])

            tangent = jvp(of_chosen, [Tensor(arrays[i]) for i in self.chosen], vectors)[1]
            return float(np.sum(np.real(tangent._data * np.conj(projection)))), eps_of(tangent._data)

        def pull(gradient: list[Array]) -> float:
            return float(sum(np.sum(np.real(g * np.conj(v))) for g, v in zip(gradient, vectors, strict=True)))

        gradient = rounding.gradient_in_double
        pulled = pull(gradient)
        pushed, precision = push(self.wide, self.projection)
        scale = float(sum(np.sum(np.abs(g * v)) for g, v in zip(gradient, vectors, strict=True)))
        eps = max(precision, *map(eps_of, gradient))
        exact = max(1e-6, 50 * eps)
        # A derivative that is 0, but for what is left of numbers that cancel, differs by that.
        tolerance = Tolerance(exact, max(exact * scale, 50 * eps), np.inf)
        agree = tolerance.covers(pushed, pulled, 0.0) or not np.isfinite(pulled)
        if not agree:
            near = [(pull(f.gradient(moved)), push(moved, f.projection)[0]) for f, moved in rounding.shaken(self.wide, eps)]
            agree = tolerance.covers(pushed, pulled, 2 * float(np.sum(np.ptp(near, axis=0))))
        verdict, reason = MATCH, ""
        if not (agree and np.isfinite(pulled)) and not np.isfinite(rounding.base).all():
            verdict, reason = INCONCLUSIVE, UNDEFINED
        elif not agree:
            verdict, reason = MISMATCH, "⟨w, Jv⟩ and ⟨Jᵀw, v⟩ differ: the rule is not linear in the cotangent"
        yield Judgement(verdict, pushed, pulled, 0.0, reason), "a random direction", None

    def slope(self, level: Level, gradient: list[Array]) -> float | None:
        """The power with which the Taylor remainder falls, from the steps where it is seen."""
        vectors = [None if i not in self.chosen else self.along[0][self.chosen.index(i)] for i in range(len(self.wide))]
        line = direction(self.wide, vectors, "all inputs")
        slope = sum(np.sum(np.real(g * np.conj(v))) for g, v in zip(gradient, self.along[0], strict=True))
        steps = line.size * 0.1 * 0.5 ** np.arange(12)
        with np.errstate(all="ignore"):
            start = level.value(line.moved(0.0))
            rest = np.array([abs(float(np.sum(level.value(line.moved(h)) - start)) - h * float(slope)) for h in steps])
        seen = np.isfinite(rest) & (rest > 1e3 * np.finfo(float).eps * (1 + float(np.sum(np.abs(start)))))
        if seen.sum() < 3:
            return None
        return float(np.polyfit(np.log(steps[seen][-6:]), np.log(rest[seen][-6:]), 1)[0])

    def blame(self) -> Any:
        """Which operations are wrong; looked for when somebody asks, and once."""
        if self.found is None:
            from tinygrad_edu.testing.blame import blame

            self.found = blame(self.f, *self.given, order=self.wrong_order, seconds=10)
        return self.found
