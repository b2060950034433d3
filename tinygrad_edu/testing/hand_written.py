"""Checks of derivatives that somebody wrote by hand, in NumPy: pairs of functions, and what these share with layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu.errors import ArgumentError, NumericalError, ShapeError
from tinygrad_edu.testing.functions import (
    calls_again,
    check_reads_arguments,
    check_same_again,
    ignoring,
    same_but_for_rounding,
    written_to,
)
from tinygrad_edu.testing.inputs import as_input, differentiable, fresh_copies, kinds_of
from tinygrad_edu.testing.levels import wide_of, widened
from tinygrad_edu.testing.pullbacks import weights
from tinygrad_edu.testing.report import GradientReport
from tinygrad_edu.testing.reproduction import reproduction
from tinygrad_edu.testing.rounding import Rounding
from tinygrad_edu.testing.verdicts import weighted

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

    # From all that is differentiated, and labels: to all results; and, with what these are projected on, to all gradients.
    Forward: TypeAlias = Callable[[Sequence[Any]], list[Array]]
    Backward: TypeAlias = Callable[[Sequence[Any], Array], list[Any]]


def check_function(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *inputs: Any,
    cache: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> GradientReport:
    """Compare a hand-written derivative with the numerical one. No tensors take part.

    Parameters
    ----------
    forward: a function of arrays that returns an array, or a tuple of several. With ``cache``, it returns (array, what backward
        needs).
    backward: called as ``backward(g, *inputs)``, or with ``cache`` as ``backward(g, cache)``, where g is the cotangent of the
        result (a tuple for several results): random numbers, also where the result is a single number. It returns one gradient for
        each floating input (a tuple or list; for a single input, the array itself will do). None stands for an input that is not
        differentiated. The gradient of a complex x + iy is ∂L/∂x + i ∂L/∂y, as PyTorch's.
    inputs: arrays, tensors, floats and lists of numbers arrive as arrays, and the floating ones are differentiated. Anything else
        is passed on as it is: integers, None, tuples of integers, dictionaries.
    rtol, atol: as for `check_gradients`. Where float32 or float16 inputs do not give the numerical derivative, and the same inputs
        in double precision do, the verdict is inconclusive.

    Returns a `GradientReport`; ``report.ok`` says whether all is right, and ``print(report)`` what is not. Its ``notes`` say where
    a function writes into its inputs, or backward ignores g. Raises `NumericalError` when there is nothing to differentiate,
    backward returns no gradient, one of the two gives other numbers when it is called again, or forward never looks at an input;
    `ArgumentError` and `ShapeError` when the gradients are not those of the inputs, or something is no array of numbers;
    `ArgumentError` when backward writes into g.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> report = tg.testing.check_function(np.sin, lambda g, x: g * np.cos(x), np.array([0.3, 2.0]))
    >>> report.ok, report.compared
    (True, 2)
    """
    given = [as_input(x) for x in inputs]
    chosen = differentiable(given)
    name = getattr(forward, "__name__", "forward")
    who = f"check_function: backward of {name}"
    overwritten: set[str] = set()
    if not chosen:
        raise nothing("check_function", name, given)
    check_reads_arguments(forward, chosen, "check_function")

    def call(points: Sequence[Any]) -> tuple[list[Array], Any, bool]:
        y = forward(*points)
        if cache and not (isinstance(y, tuple) and len(y) == 2):
            raise ArgumentError(f"check_function: with cache=True, {name} returns a pair (result, cache), not {type(y).__name__}")
        y, kept = y if cache else (y, None)
        return results_of(y, f"check_function: {name}"), kept, isinstance(y, tuple | list)

    def results(points: Sequence[Any]) -> list[Array]:
        return call(fresh_copies(points))[0]

    def gradients(points: Sequence[Any], projection: Array) -> list[Any]:
        seen = fresh_copies(points)
        y, kept, several = call(seen)
        g = cotangents(projection, y)
        seeds: Any = tuple(g) if several else g[0]
        handed = seen if cache else fresh_copies(points)  # a cache may hold what forward was called with
        before = fresh_copies(handed)
        found = backward(seeds, kept) if cache else backward(seeds, *handed)
        check_not_written(g, cotangents(projection, y), "check_function", getattr(backward, "__name__", "backward"), "g")
        overwritten.update(written_to(before, handed, f"backward of {name}"))
        parts = for_inputs(found, given, chosen, who)
        return [as_gradient(part, given[i], f"input {i} of {name}") for i, part in zip(chosen, parts, strict=True)]

    seen = fresh_copies(given)
    y = call(seen)[0]
    report = GradientReport(name, tuple(given), sizes=np.shape(y[0]), notes=written_to(given, seen, name))
    written = HandWritten(results, gradients, projection_of(y, seed))
    once = Repeated(written, given, lambda: gradients(given, written.projection), "check_function", name)
    once.check()
    found = gradients(given, written.projection)
    options = {"seed": seed, "cache": cache or None, "rtol": rtol, "atol": atol}
    options = {key: value for key, value in options.items() if value is not None}
    report.reproduce = lambda: reproduction(
        "check_function",
        {"forward": forward, "backward": backward},
        given,
        options,
        lambda similar: not check_function(forward, backward, *similar, cache=cache, rtol=rtol, atol=atol, seed=seed).ok,
    )
    judge(report, written, given, [(i, part, "") for i, part in zip(chosen, found, strict=True)], who, rtol, atol)
    once.check(calls_again(report))
    report.notes += sorted(overwritten)
    if alike(found, gradients(given, elsewhere(written.projection))) and any(map(_nonzero, found)):
        report.notes.append(f"backward of {name} ignores g, the cotangent of the result: its gradient is to be multiplied by it")
    return report


# ------------------------------------------------------------------------------------------------------- inputs and results


def nothing(checker: str, name: str, inputs: Sequence[Any]) -> NumericalError:
    return NumericalError(
        f"{checker}: nothing to differentiate: {name} gets {kinds_of(inputs)}; write the numbers with a decimal point"
    )


def several_of(y: Any) -> Sequence[Any]:
    return y if isinstance(y, tuple | list) else [y]


def is_number(x: Any) -> bool:
    """Whether it is a number or an array of numbers, or a list that can be one."""
    try:
        return np.asarray(x).dtype.kind in "fciub"
    except (TypeError, ValueError):  # rows of different lengths
        return False


def _instead(x: Any) -> str:
    """What there is in the place of numbers."""
    if x is None:
        return "None: was `return` forgotten?"
    kind = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else f"an object of type {type(x).__name__}"
    return f"{kind}, where there should be an array of numbers"


def results_of(y: Any, who: str) -> list[Array]:
    parts = several_of(y)
    for part in parts or [None]:
        if not is_number(part):
            raise ArgumentError(f"{who} returned {_instead(part)}")
    return [np.asarray(part) for part in parts]


def projection_of(results: Sequence[Array], seed: int) -> Array:
    """Random cotangents, away from 0, of all results. They are numbers that the results' dtype has."""
    rng = np.random.default_rng(seed)
    projection = np.concatenate([np.ravel(weights(rng, y)) for y in results])
    return projection.astype(wide_of(projection))


def elsewhere(projection: Array) -> Array:
    """Other cotangents."""
    return -2 * projection[::-1]


def cotangents(projection: Array, results: Sequence[Array]) -> list[Array]:
    """A projection cut into cotangents of the results, as precise as these."""
    pieces = np.split(projection, np.cumsum([y.size for y in results[:-1]]))
    shaped = [piece.reshape(y.shape) for piece, y in zip(pieces, results, strict=True)]
    return [
        w.astype(y.dtype) if y.dtype.kind == "c" else w.real.astype(y.dtype if y.dtype.kind == "f" else float)
        for w, y in zip(shaped, results, strict=True)
    ]


def check_not_written(now: Sequence[Array], before: Sequence[Array], checker: str, name: str, what: str) -> None:
    if not all(map(np.array_equal, now, before)):
        raise ArgumentError(
            f"{checker}: {name} writes into the {what} that it is given, which belongs to the next layer: copy it first"
        )


def for_inputs(gradients: Any, inputs: Sequence[Any], chosen: Sequence[int], who: str) -> list[Any]:
    """The gradients of the inputs that are differentiated, whether the others have a place among them or not."""
    found = list(several_of(gradients))
    if len(found) == len(inputs):
        return [found[i] for i in chosen]
    if len(found) != len(chosen) and any(part is not None for part in found):
        raise ArgumentError(
            f"{who} returned {len(found)} gradients for {len(chosen)} floating inputs: return one for each, None where there "
            "is none"
        )
    return found if len(found) == len(chosen) else [None] * len(chosen)


def as_gradient(gradient: Any, like: Array, what: str) -> Array | None:
    """The gradient for an array, as one; None where there is none."""
    if gradient is None:
        return None
    if not is_number(gradient):
        raise ArgumentError(f"the gradient for {what} is {_instead(gradient)}")
    found: Array = np.asarray(gradient)
    if found.shape != like.shape:
        if found.shape == like.shape[::-1]:
            hint = "it is transposed"
        elif found.size > like.size:
            hint = "what was repeated in forward is summed over in backward"
        elif found.size < like.size:
            hint = "it lacks elements: only what was repeated in forward is summed over in backward"
        else:
            hint = "it is as the input was after some reshaping: give it the shape that was before"
        raise ShapeError(f"the gradient for {what} has shape {found.shape}, and it is an array of shape {like.shape}: {hint}")
    if found.dtype.kind == "c" and like.dtype.kind != "c":
        raise ShapeError(f"the gradient for {what} is complex, and it is an array of {like.dtype}: take the real part")
    return found


# ------------------------------------------------------------------------------------------------------------------ verdicts


@dataclass
class HandWritten:
    """Functions that somebody wrote, in the form in which `Rounding` judges one: projected on a cotangent."""

    forward: Forward
    backward: Backward
    projection: Array
    order: int = 1

    def value(self, arrays: Sequence[Any]) -> Array:
        """The terms of the projection."""
        y = self.forward(arrays)
        return np.concatenate([weighted(part, w) for part, w in zip(y, cotangents(self.projection, y), strict=True)])

    def gradient(self, arrays: Sequence[Any]) -> list[Array]:
        """Those of the inputs that have one."""
        return [np.asarray(g) for g in self.backward(arrays, self.projection) if g is not None]


def alike(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Whether two lists of gradients are the same but for rounding; None stands for one that there is not."""
    pairs = zip(first, second, strict=True)
    return all(a is b if a is None or b is None else same_but_for_rounding(a, b) for a, b in pairs)


def _nonzero(gradient: Array | None) -> bool:
    return gradient is not None and bool(np.any(np.isfinite(gradient) & (gradient != 0)))


@dataclass
class Repeated:
    """A function and its derivative, which are to give the same numbers when they are called again."""

    written: HandWritten
    points: Sequence[Any]
    backward: Callable[[], list[Any]]
    checker: str
    name: str

    def check(self, times: int = 2) -> None:
        """Call them again, a number of times."""
        if not times:
            return
        check_same_again(lambda: self.written.value(self.points), self.name, self.checker, times)
        first = self.backward()
        if not all(alike(first, self.backward()) for _ in range(times)):
            raise random_backward(self.checker, self.name)


def random_backward(checker: str, name: str) -> NumericalError:
    return NumericalError(
        f"{checker}: backward of {name} gives other numbers when it is called again with the same inputs: it is random or keeps a "
        "state. What forward has drawn is kept for backward, not drawn again"
    )


def judge(
    report: GradientReport,
    written: HandWritten,
    given: Sequence[Any],
    gradients: Sequence[tuple[int, Array | None, str]],
    who: str,
    rtol: float | None,
    atol: float | None,
) -> None:
    """Enter the verdicts on every gradient that there is, each with the number of its input and, where it has one, a name."""
    found = {i: gradient for i, gradient, _ in gradients if gradient is not None}
    labels = {i: f"{label}, " for i, _, label in gradients if label}
    if not found:
        raise NumericalError(f"{who} returned no gradient: was `return` forgotten?")
    rounding = Rounding(written, list(found), list(given), widened(given, found), list(found.values()), rtol, atol)
    sizes = [0.0]
    for position, analytic in found.items():
        elements = [(judgement, labels.get(position, "") + text, index) for judgement, text, index in rounding.elements(position)]
        report.add(1, "backward", position, elements, analytic)
        here = [float(abs(judgement.numerical)) for judgement, _, _ in elements]
        if here and not any(here) and rounding.ignores(position):
            report.notes.append(ignoring(report.name, position))
        sizes += [size for size in here if np.isfinite(size)]
    report.largest = (max(sizes),)
