"""`mutation_report`: do tests notice a wrong derivative rule? Which do they miss, and which could nobody notice?"""

from __future__ import annotations

import functools
import inspect
import itertools
import random
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.ops import flip
from tinygrad_edu.primitive import Primitive
from tinygrad_edu.registry import REGISTRY, Case, Kink
from tinygrad_edu.tensor import Tensor, from_numpy
from tinygrad_edu.testing.arguments import NONE, whole
from tinygrad_edu.testing.examples import examples
from tinygrad_edu.testing.lazy import hypothesis
from tinygrad_edu.testing.mutants import Mutant, mutants
from tinygrad_edu.testing.properties import calls_together
from tinygrad_edu.testing.strategies import Layout

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

KILLED, SURVIVED, EQUIVALENT = VERDICTS = ("killed", "survived", "equivalent")
Test: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class Fate:
    """What became of a mutant: "killed", "survived" or "equivalent", and why."""

    mutant: Mutant
    verdict: str
    reason: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.mutant}" + (f" ({self.reason})" if self.verdict == EQUIVALENT else "")


@dataclass(frozen=True)
class MutationReport:
    """What `mutation_report` found: a `Fate` for each mutant, and how long it took. ``total`` counts the mutants that the sample
    was taken from."""

    fates: tuple[Fate, ...]
    total: int
    seconds: float

    def of(self, verdict: str) -> list[Fate]:
        """The fates with this verdict."""
        return [fate for fate in self.fates if fate.verdict == verdict]

    @property
    def killed(self) -> int:
        """How many mutants were noticed."""
        return len(self.of(KILLED))

    @property
    def survivors(self) -> list[Mutant]:
        """The mutants that change a derivative and that no test noticed."""
        return [fate.mutant for fate in self.of(SURVIVED)]

    @property
    def equivalent(self) -> list[Mutant]:
        """The mutants that nobody could notice: they change no derivative."""
        return [fate.mutant for fate in self.of(EQUIVALENT)]

    @property
    def ok(self) -> bool:
        """Whether every mutant that changes a derivative was noticed."""
        return not self.survivors

    def __str__(self) -> str:
        wrong = self.killed + len(self.survivors)
        lines = [
            f"{self.killed} of {wrong} wrong rules were noticed, in {self.seconds:.1f} s"
            + (f"; {len(self.equivalent)} mutants change no derivative" if self.equivalent else "")
            + (f" (a sample of {len(self.fates)} of {self.total} mutants)" if len(self.fates) < self.total else ""),
            "",
            f"{'mutants':20}" + "".join(f"{verdict:>12}" for verdict in VERDICTS),
        ]
        for name in dict.fromkeys(fate.mutant.name for fate in self.fates):
            counts = [sum(fate.mutant.name == name for fate in self.of(verdict)) for verdict in VERDICTS]
            lines.append(f"{name:20}" + "".join(f"{count:12}" for count in counts))
        for verdict in (SURVIVED, EQUIVALENT):
            if found := self.of(verdict):
                lines += ["", f"{verdict}:", *[f"  {fate}" for fate in found]]
        return "\n".join(lines)


def mutation_report(
    tests: Test | Sequence[Test],
    primitives: Any = None,
    sample: int | None = None,
    seed: int = 0,
    *,
    baseline: bool = True,
) -> MutationReport:
    """Plant every wrong rule (see `mutants`) in turn, run tests, and report which wrong rules they notice.

    Parameters
    ----------
    tests: a function or several that raise an exception when something is wrong. Each takes no argument, or the primitive whose
        rule is wrong.
    primitives: one or several whose rules to spoil (or single mutants of them); by default all of the library's operations.
    sample: how many mutants to try, chosen with the random ``seed``; by default all.
    baseline: run the tests once with the right rules before: a test that fails anyway notices nothing.

    First a mutant is compared with the right rule on examples of the primitive's cases, and at its kinks: to order 2, in float64
    and float32, contiguous or not, beside other calls. One that changes nothing is **equivalent**, and is not tried. (Without cases
    there is nothing to compare.) Of the others, those that no test notices have **survived**: the tests are too weak, and the
    descriptions say for what. Drawing examples needs Hypothesis.

    Raises `ArgumentError` for a test that fails with the right rules, or skips itself, and where there is nothing to try.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing.mutation import mutation_report
    >>> @tg.primitive(elementwise=True, cases=[tg.Case(x=tg.reals())])
    ... def cube(x):
    ...     '''y = x³        ∂L/∂x = 3 g x²'''
    ...     return x**3
    >>> cube.vjp(x=lambda g, x: 3 * g * x**2)
    >>> def weak():
    ...     assert tg.grad(cube)(1.0).item() == 3
    >>> report = mutation_report(weak, [cube])
    >>> report.ok
    False
    >>> print(next(mutant for mutant in report.survivors if mutant.name == "source"))
    cube.x: source: 3 * g * x ** 2 → 3 * g / x ** 2
    >>> def strong():
    ...     tg.testing.assert_gradients(cube, [[-1.5], [0.5]])
    >>> len(report.survivors) > len(mutation_report(strong, [cube]).survivors)
    True
    """
    tests = _several(tests)
    if not tests or not all(map(callable, tests)):
        raise ArgumentError(
            f"mutation_report: {'no tests' if not tests else f'{tests!r} are no tests'}: pass a function that raises an exception "
            "when a gradient is wrong, or several"
        )
    if primitives is None:
        primitives = [op for op in REGISTRY.values() if op.ours and isinstance(op, Primitive) and op.rules]
    (whole(1) | NONE).check("mutation_report", "sample", sample)
    chosen = [m for one in _several(primitives) for m in ([one] if isinstance(one, Mutant) else mutants(one))]
    total = len(chosen)
    if not total:
        raise ArgumentError(
            "mutation_report: no primitives: pass one or several whose rules to spoil, or leave primitives out for all"
        )
    if sample is not None and sample < total:
        chosen = random.Random(seed).sample(chosen, sample)
    start = time.perf_counter()
    if baseline:
        for op in {mutant.primitive for mutant in chosen}:
            for test in tests:
                error = _noticed(test, op)
                if error is not None:
                    raise ArgumentError(
                        f"mutation_report: {_name(test)} fails with the right rules of {op.name}, so that it says nothing of wrong "
                        f"ones: {type(error).__name__}: {error}"
                    ) from error
    return MutationReport(tuple(_fate(mutant, tests) for mutant in chosen), total, time.perf_counter() - start)


def _several(one_or_more: Any) -> list[Any]:
    return list(one_or_more) if isinstance(one_or_more, Iterable) else [one_or_more]


def _name(test: Test) -> str:
    return getattr(test, "__name__", repr(test))


NOT_OF_A_TEST = (KeyboardInterrupt, SystemExit, GeneratorExit)
SKIPS = {"Skipped", "SkipTest"}  # of pytest and unittest, by name: neither need be installed or loaded


def _noticed(test: Test, op: Primitive) -> BaseException | None:
    """What a test raises. (What ``pytest.raises`` and ``pytest.fail`` raise is no Exception.)"""
    arguments = [op.function] if _takes_one(test) else []
    try:
        test(*arguments)
    except NOT_OF_A_TEST:
        raise
    except BaseException as error:
        if SKIPS.intersection(kind.__name__ for kind in type(error).__mro__):
            raise ArgumentError(
                f"mutation_report: {_name(test)} skips itself, so that it notices nothing: {error}. Leave it out, or provide what "
                "it needs"
            ) from error
        return error
    return None


def _takes_one(test: Test) -> bool:
    parameters = inspect.signature(test).parameters.values()
    return any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _fate(mutant: Mutant, tests: Sequence[Test]) -> Fate:
    start = time.perf_counter()
    verdict, reason = SURVIVED, mutant.description
    if is_equivalent(mutant):
        verdict, reason = EQUIVALENT, mutant.harmless
    else:
        with mutant.planted():
            for test in tests:
                if error := _noticed(test, mutant.primitive):
                    verdict, reason = KILLED, f"{_name(test)}: {type(error).__name__}"
                    break
    return Fate(mutant, verdict, reason, time.perf_counter() - start)


# ----------------------------------------------------------------------------------------------------- equivalent mutants

CALLS = 60  # of an operation that are compared, and at least 8 of each case


def is_equivalent(mutant: Mutant) -> bool:
    """Whether a mutant changes no derivative of its primitive anywhere in the declared cases. (Decided on examples.)"""
    if not mutant.primitive.cases:
        return False
    for place in _places(mutant.primitive):
        right = place.right
        with mutant.planted():
            wrong = place.behaviour()
        if not _same(right, wrong):
            return False
    return True


@functools.lru_cache(maxsize=64)
def calls_of(op: Primitive) -> list[Any]:
    """Calls of an operation, as many in each of its cases: always the same ones. The first calls of all cases come first."""
    columns = [_drawn(op, case, max(8, CALLS // len(op.cases))) for case in op.cases]
    return [example for row in itertools.zip_longest(*columns) for example in row if example is not None]


def _drawn(op: Primitive, case: Case, count: int) -> list[Any]:
    h = hypothesis()
    found: list[Any] = []
    quick = h.settings(
        max_examples=count,
        phases=[h.Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(h.HealthCheck),
    )
    quick(h.given(examples(op, case))(lambda example: found.append(example)))()
    return found


class Place:
    """Where derivatives are compared: a call or a kink, and what can be observed there."""

    def __init__(self, observations: list[Callable[[], list[Any]]]) -> None:
        self.observations = observations

    @functools.cached_property
    def right(self) -> list[Any]:
        """What the right rules do."""
        return self.behaviour()

    def behaviour(self) -> list[Any]:
        """Everything that is observed, or the kind of error."""
        found: list[Any] = []
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for observe in self.observations:
                try:
                    found += observe()
                except Exception as error:
                    found.append(type(error))
        return found


@functools.lru_cache(maxsize=64)
def _places(op: Primitive) -> list[Place]:
    at_kinks = [Place([functools.partial(_at_kink, op, kink)]) for kink in op.kinks]
    return [*map(_at_call, calls_of(op)), *at_kinks]


def _at_call(example: Any) -> Place:
    """All that the rules decide in a call: gradients to order 2 in every precision and layout, and what is left of the operands."""
    ways = ((np.float64, "contiguous"), (np.float64, "strided"), (np.float32, "contiguous"))
    observations = [functools.partial(_three_calls, example, precision, Layout(layout)) for precision, layout in ways]
    return Place([*observations, functools.partial(_second_order, example)])


def _operands(example: Any, precision: Any, layout: Callable[[Array], Array]) -> list[Any]:
    return [
        from_numpy(layout(a.astype(example.dtype_of(a, precision))), requires_grad=True) if real else a
        for a, real in zip(example.arrays, example.real, strict=True)
    ]


def _weights(y: Any) -> Array:
    return np.asarray(np.cos(np.arange(y.size) + 0.3).reshape(y.shape)).astype(y.dtype)


def _three_calls(example: Any, precision: Any, layout: Callable[[Array], Array]) -> list[Any]:
    """Gradients where two calls share a cotangent and a third has another."""
    calls = [_operands(example, precision, layout) for _ in range(3)]
    y, z, w = calls_together(example, calls)
    flip(y + z + 2 * w).backward(layout(_weights(y)))  # the cotangent of flip's operand is a view
    tensors = [t for operands in calls for t in operands if isinstance(t, Tensor)]
    return [*map(_grad, tensors), *[t._data for t in tensors]]


def _second_order(example: Any) -> list[Any]:
    """First and second derivatives, recorded, of a function in which the cotangent depends on the operands."""
    tensors = _operands(example, np.float64, Layout("contiguous"))
    y = example.call(tensors)
    vertices = [t._node for t in tensors if isinstance(t, Tensor)]
    first = engine.cotangents([(y * y + y, _weights(y))], wanted=vertices, create_graph=True)
    roots = [(g, _weights(g)) for g in first.values() if g.requires_grad]
    second = engine.cotangents(roots, wanted=vertices) if roots else {}
    return [first[v]._data for v in vertices if v in first] + [second.get(v) for v in vertices]


def _at_kink(op: Primitive, kink: Kink) -> list[Any]:
    given = dict(kink.at) | {name: Tensor(np.asarray(kink.at[name], float), requires_grad=True) for name in kink.gradient}
    tensors = [given[name] for name in kink.gradient]
    y = op.function(*[given.pop(name) for name in op.operands], **given)
    y.backward(_weights(y))
    return [_grad(t) for t in tensors]


def _grad(tensor: Tensor) -> Any:
    return tensor.grad if tensor.grad is None else tensor.grad._data


def _same(right: list[Any], wrong: list[Any]) -> bool:
    return len(right) == len(wrong) and all(map(_close, right, wrong))


def _close(a: Any, b: Any) -> bool:
    """Whether two observations agree, to a few digits less than their precision."""
    if any(x is None or isinstance(x, type) for x in (a, b)):
        return a is b
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    relative = 1e-7 if a.dtype in ("f8", "c16") else 2e-4
    scale = float(np.max(np.abs(a[np.isfinite(a)]), initial=1e-12))
    return bool(np.allclose(a, b, rtol=relative, atol=relative * scale, equal_nan=True))
