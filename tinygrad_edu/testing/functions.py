"""Whether something is a function of its arguments at all: it reads them, and gives the same numbers when it is called again."""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import NumericalError
from tinygrad_edu.testing.differences import eps_of, largest

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array
    from tinygrad_edu.testing.report import GradientReport

WHOLE_SCOPE = {"locals", "vars", "eval", "exec"}  # these read variables that the code does not name


def check_reads_arguments(f: Callable[..., Any], positions: Collection[int], checker: str) -> None:
    """Refuse ``lambda W: loss(x, t)``: its code never loads W. (It would work only if W were changed in place.) An argument whose
    name starts with an underscore is ignored on purpose."""
    code = getattr(f, "__code__", None)
    if code is None:
        return
    loaded = _names_in(code)
    if not WHOLE_SCOPE.isdisjoint(loaded):
        return
    skipped = int(getattr(f, "__self__", None) is not None)  # self
    names = code.co_varnames[skipped : code.co_argcount]
    for position in positions:
        if position < len(names) and names[position] not in loaded and not names[position].startswith("_"):
            raise NumericalError(
                f"{checker}: {getattr(f, '__name__', 'f')} never uses its argument {names[position]!r}, so its gradient with "
                f"respect to it is 0: make the function compute with {names[position]!r}"
            )


def _names_in(code: types.CodeType) -> set[str]:
    """The variables that a function's code looks at."""
    loads = [i.argval for i in dis.get_instructions(code) if not i.opname.startswith("STORE") or isinstance(i.argval, tuple)]
    return {name for value in loads for name in (value if isinstance(value, tuple) else (value,)) if isinstance(name, str)}


def calls_again(report: GradientReport) -> int:
    """How many more calls show whether a function is random: none where every derivative matches, and many where one is wrong."""
    return 0 if report.counts["match"] == report.compared else 8 if report.ok else 40


def check_same_again(evaluate: Callable[[], Any], name: str, checker: str, times: int = 1) -> Array:
    """Refuse a function that is random or keeps a state: it has no derivative. Returns its value."""
    first = np.asarray(evaluate())
    for _ in range(times):
        check_same(first, evaluate(), name, checker)
    return first


def check_same(first: Any, again: Any, name: str, checker: str) -> None:
    """Refuse what gave two results for the same inputs."""
    if not same_but_for_rounding(np.asarray(first), np.asarray(again)):
        raise NumericalError(
            f"{checker}: {name} gives other numbers when it is called again with the same inputs, so there is no derivative to "
            "compare: it is random, as dropout is in training, or it keeps a state. Draw its random numbers outside of it, "
            "seed them inside, or call eval() on the model"
        )


def same_but_for_rounding(a: Array, b: Array) -> bool:
    """Whether two arrays are the same but for rounding, which is not always the same where several threads add up."""
    if a.shape != b.shape:
        return False
    rtol = float(np.sqrt(max(eps_of(a), eps_of(b))))
    return bool(np.allclose(a, b, rtol=rtol, atol=rtol * largest(a), equal_nan=True))


def same_far_away(evaluate: Callable[[Array], Any], x: Array) -> bool:
    """Whether a function has its value at x at points far from x, too: a step function would not, one that ignores x does."""
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        try:
            here = np.asarray(evaluate(x))
            scales = 10.0 ** np.arange(-4, 5).repeat(2)
            far = (evaluate(x + scale * (1 + np.abs(x)) * rng.standard_normal(x.shape)) for scale in scales)
            return all(np.array_equal(np.asarray(y), here, equal_nan=True) for y in far)
        except Exception:
            return False  # it looked at the point, and did not like it


def ignoring(name: str, position: int) -> str:
    """What is said of an input on which nothing depends."""
    return (
        f"{name} returned the same numbers wherever it was asked, so the gradient of input {position} is 0; if it should depend on "
        "that input, it ignores its argument"
    )


def written_to(before: Sequence[Any], after: Sequence[Any], name: str) -> list[str]:
    """What is said of inputs that a function changes."""
    return [
        f"{name} writes into input {position}, which belongs to the caller: compute with a copy"
        for position, (a, b) in enumerate(zip(before, after, strict=True))
        if isinstance(a, np.ndarray) and not np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    ]
