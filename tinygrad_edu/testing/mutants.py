"""Wrong derivative rules, made systematically of right ones: what a good test has to notice."""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_edu.errors import PrimitiveError
from tinygrad_edu.graph import Variable
from tinygrad_edu.ops import astype, conj, reshape, roll, transpose
from tinygrad_edu.primitive import Primitive
from tinygrad_edu.registry import Case, Reals
from tinygrad_edu.testing.source import changes_of

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

    Values = Mapping[str, Any]  # what a rule is handed, by name

PLANTING = threading.RLock()  # a rule belongs to its primitive, so one wrong rule at a time
ANOTHER_WAY = "the same derivatives, in another way"


@dataclass(frozen=True, eq=False)
class Mutant:
    """One wrong rule: of which primitive and operand, and what is wrong with it.

    ``name`` is the kind of mistake, ``description`` says it in a line. ``harmless`` says why the mutant changes no derivative,
    if it does not.
    """

    primitive: Primitive
    operand: str
    name: str
    description: str
    make: Callable[[], Callable[..., Any]] = field(repr=False)
    harmless: str = field(default=ANOTHER_WAY, repr=False)

    @functools.cached_property
    def rule(self) -> Callable[..., Any]:
        """The wrong rule."""
        return self.make()

    @contextmanager
    def planted(self) -> Iterator[Mutant]:
        """Inside, the primitive has the wrong rule, in every thread; afterwards the right one, whatever happens. Another thread
        that plants a mutant waits."""
        with PLANTING:
            right = self.primitive.rules or {}
            try:
                self.primitive.vjp(**{**right, self.operand: self.rule})
                yield self
            finally:
                self.primitive.vjp(**right)

    def __str__(self) -> str:
        return f"{self.primitive.name}.{self.operand}: {self.name}: {self.description}"


def mutants(primitive: Any) -> list[Mutant]:
    """Wrong rules of a primitive, each a `Mutant` to be planted with ``with mutant.planted():``.

    Most are wrong in what the rule returns or is handed: a sign, a factor, zero, elements in the wrong place, a mean for a sum,
    operands swapped, metadata ignored, an axis next to the right one, a conjugate; numbers without a history, so that only the
    second order is wrong; the cotangent's memory, or a buffer, written; or wrong only in one element, at a declared kink, in
    float32, without elements, or for an array that is not contiguous. The others are small changes of the rule's source, where that
    can be read: a term or factor dropped, an operator or comparison replaced, a call left out, a constant changed.

    Raises `PrimitiveError` when the primitive has no rules. Source: mutation analysis, DeMillo, Lipton and Sayward, *Hints on
    Test Data Selection*, 1978.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing.mutants import mutants
    >>> wrong = mutants(tg.sin)
    >>> print(wrong[0])
    sin.a: sign: −1 times the gradient
    >>> with wrong[0].planted():
    ...     tg.grad(tg.sin)(0.0)
    Tensor(-1.)
    >>> tg.grad(tg.sin)(0.0)
    Tensor(1.)
    """
    op = getattr(primitive, "op", primitive)
    if not isinstance(op, Primitive) or not op.rules:
        raise PrimitiveError(
            f"mutants: {getattr(primitive, '__name__', None) or repr(primitive)} has no rules that could be wrong: pass a function "
            "that @primitive made, and whose rules were set with its .vjp(...)"
        )
    with PLANTING:  # so that no other thread's wrong rule is taken for the right one
        rules = dict(op.rules)
    return [mutant for operand, rule in rules.items() if callable(rule) for mutant in _of_rule(Rule(op, operand, rule))]


class Rule:
    """The right rule of one operand, to be called with its arguments by name."""

    def __init__(self, op: Primitive, operand: str, function: Callable[..., Any]) -> None:
        self.op, self.operand, self.function = op, operand, function
        self.wanted = tuple(inspect.signature(function).parameters)

    def __call__(self, values: Values) -> Any:
        return self.function(*[values[name] for name in self.wanted])

    def mutant(
        self,
        name: str,
        description: str,
        body: Callable[[Values], Any],
        harmless: str = ANOTHER_WAY,
        asks: Sequence[str] | None = None,
    ) -> Mutant:
        """The mutant whose rule is a function of its arguments by name: of those that the right rule asks for, or those in
        ``asks``."""
        names = tuple(dict.fromkeys(self.wanted if asks is None else asks))

        def wrong(*arguments: Any) -> Any:
            return body(dict(zip(names, arguments, strict=True)))

        parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names]
        wrong.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return Mutant(self.op, self.operand, name, description, lambda: wrong, harmless)


def _of_rule(rule: Rule) -> Iterator[Mutant]:
    for of in (_wrong_results, _wrong_somewhere, _without_history, _wrong_memory, _wrong_arguments, _wrong_at_kinks, _wrong_source):
        yield from of(rule)


def number(x: Any) -> Any:
    """What a rule is handed or returns, without its history."""
    return x._data if isinstance(x, Variable) else x


# ------------------------------------------------------------------------------------------------- what the rule returns


def _last_doubled(part: Any) -> Any:
    factors = np.ones(np.shape(part))
    factors[(-1,) * factors.ndim if factors.size else ...] = 2
    return part * factors


def _transposed(part: Any) -> Any:
    return reshape(transpose(part), np.shape(part)) if np.ndim(part) > 1 else part


def _moved(part: Any) -> Any:
    return roll(part, 1, -1) if np.ndim(part) else part


def _averaged(part: Any, g: Any) -> Any:
    """As if the primitive, or its derivative, took a mean where it sums."""
    few, many = sorted([np.size(number(part)), np.size(number(g))])
    return part * (max(few, 1) / max(many, 1))


class Result(NamedTuple):
    """A mistake in what a rule returns."""

    name: str
    description: str
    change: Callable[[Any], Any]
    harmless: str = "it is 0"


RESULTS = [
    Result("sign", "−1 times the gradient", lambda part: -part),
    Result("double", "twice the gradient", lambda part: part * 2),
    Result("half", "half the gradient", lambda part: part * 0.5),
    Result("a thousandth", "1.001 times the gradient", lambda part: part * 1.001),
    Result("zero", "0 in the place of the gradient", lambda part: part * 0),
    Result("last element", "the last element of the gradient doubled", _last_doubled),
    Result("transposed", "the elements in the order of the transpose", _transposed, "scalars and vectors only, or symmetric"),
    Result("off by one", "moved by one place along the last axis", _moved, "scalars only, or all elements alike"),
]


def _wrong_results(rule: Rule) -> Iterator[Mutant]:
    def changed(values: Values, change: Callable[[Any], Any]) -> Any:
        return change(rule(values))

    for name, description, change, harmless in RESULTS:
        yield rule.mutant(name, description, functools.partial(changed, change=change), harmless)
    if not rule.op.elementwise and "g" in rule.wanted:
        text = "divided by the number of elements that were summed or repeated"
        yield rule.mutant("mean for sum", text, lambda values: _averaged(rule(values), values["g"]), "as many as the result has")
    if not rule.op.cases or any(domain.complex for case in rule.op.cases for domain in _domains(case)):
        yield rule.mutant("conjugate", "the conjugate of the gradient", lambda values: conj(rule(values)), "it is real")


def _domains(case: Case) -> list[Reals]:
    given = [domain for one in case.domains.values() for domain in (one if isinstance(one, list) else [one])]
    return [domain for domain in given if isinstance(domain, Reals)]


# ----------------------------------------------------------------------------------------------- wrong in some cases only


class Somewhere(NamedTuple):
    """A gradient that is doubled where something holds of it, or of the arrays that the rule is handed."""

    name: str
    description: str
    holds: Callable[[Array, Sequence[Array]], bool]
    harmless: str = "no declared case has one"


SOMEWHERE = [
    Somewhere("scalar", "doubled for a scalar", lambda part, _: part.ndim == 0),
    Somewhere("one element", "doubled for an array of one element", lambda part, _: part.ndim > 0 and part.size == 1),
    Somewhere("length 1", "doubled where an axis has length 1", lambda part, _: 1 in part.shape and part.size > 1),
    Somewhere(
        "not contiguous",
        "doubled where an array is not contiguous in memory",
        lambda _, arrays: any(a.ndim and not a.flags.c_contiguous for a in arrays),
        "it is handed no array",
    ),
    Somewhere(
        "float32",
        "doubled in float32",
        lambda part, arrays: any(a.dtype in ("f4", "c8") for a in (part, *arrays)),
        "it is 0, or handed none",
    ),
]


def _wrong_somewhere(rule: Rule) -> Iterator[Mutant]:
    def doubled(values: Values, holds: Callable[[Array, Sequence[Array]], bool]) -> Any:
        part = rule(values)
        arrays = [a for a in map(number, values.values()) if isinstance(a, np.ndarray)]
        return part * 2 if holds(np.asarray(number(part)), arrays) else part

    for name, description, holds, harmless in SOMEWHERE:
        yield rule.mutant(name, description, functools.partial(doubled, holds=holds), harmless)

    def fails(values: Values) -> Any:
        part = rule(values)
        if 0 in (np.size(number(part)), np.size(number(values.get("g", 1)))):
            raise ValueError("zero-size array to reduction operation maximum which has no identity")
        return part

    yield rule.mutant("empty", "an error for an array without elements", fails, "no declared case has one")

    def wide(values: Values) -> Any:
        part = rule(values)
        return astype(part, np.result_type(part.dtype, np.float64)) if hasattr(part, "dtype") else part

    yield rule.mutant("upcast", "float64 in the place of float32", wide, "the engine gives a gradient the dtype of its operand")


def _wrong_at_kinks(rule: Rule) -> Iterator[Mutant]:
    def changed(values: Values, at: dict[str, Array]) -> Any:
        part = rule(values)
        if any(where.ndim and np.shape(number(values[name])) != where.shape for name, where in at.items()):
            return part
        here = np.logical_and.reduce([np.equal(number(values[name]), where) for name, where in at.items()])
        return part + (here if rule.op.elementwise else here.all()) * 1.0

    for kink in rule.op.kinks:
        at = {name: np.asarray(kink.at[name]) for name in rule.op.operands if name in kink.at}
        if rule.operand in kink.gradient and not rule.op.variadic:
            body = functools.partial(changed, at=at)
            yield rule.mutant("kink", f"1 is added at {kink.where}", body, asks=(*rule.wanted, *at))


# -------------------------------------------------------------------------------------------- right at order 1, wrong at 2


def _without_history(rule: Rule) -> Iterator[Mutant]:
    text = "as numbers without a history, which only the second order sees"
    yield rule.mutant("detached", f"the gradient {text}", lambda values: np.asarray(number(rule(values))), "it is constant")

    def forgets(values: Values, name: str) -> Any:
        x = values[name]
        return rule({**values, name: tuple(map(number, x)) if isinstance(x, tuple) else number(x)})

    for name in rule.wanted:
        if name in ("g", "y", *rule.op.operands, *rule.op.residuals):
            why = f"{name} is not differentiated, or what it does with {name} is constant"
            yield rule.mutant("detached", f"{name} {text}", functools.partial(forgets, name=name), why)


# ------------------------------------------------------------------------------------------------- somebody else's memory


def _wrong_memory(rule: Rule) -> Iterator[Mutant]:
    def in_place(values: Values) -> Any:
        part, g = rule(values), values["g"]
        if type(g) is type(part) is np.ndarray and g.shape == part.shape and g.dtype == part.dtype and g.flags.writeable:
            g[...] = part
            return g
        return part

    if "g" in rule.wanted:
        text = "computed in the memory of the cotangent"
        yield rule.mutant("in place", text, in_place, "it is the cotangent, or does not fit there")
    kept: dict[Any, Any] = {}

    def buffered(values: Values) -> Any:
        part = rule(values)
        if type(part) is not np.ndarray:
            return part
        buffer = kept.setdefault((part.shape, part.dtype), np.empty_like(part))
        buffer[...] = part
        return buffer

    yield rule.mutant("buffer", "returned in the same memory each time", buffered, "it does not depend on the call")

    def spoils(values: Values, name: str) -> Any:
        part, x = rule(values), values[name]
        if type(x) is np.ndarray and x.flags.writeable and x.dtype.kind in "fc":
            part = np.array(part)
            x *= 2
        return part

    for name in rule.wanted:
        if name in rule.op.operands and not rule.op.variadic:
            why = "it is handed no array that can be written to"
            yield rule.mutant("operand written", f"{name} doubled in place", functools.partial(spoils, name=name), why)


# ---------------------------------------------------------------------------------------------- what the rule is handed


def _wrong_arguments(rule: Rule) -> Iterator[Mutant]:
    op = rule.op

    def handed(values: Values, names: dict[str, str]) -> Any:
        return rule({n: values[names.get(n, n)] for n in rule.wanted})

    def renamed(name: str, description: str, names: dict[str, str], harmless: str) -> Mutant:
        body = functools.partial(handed, names=names)
        return rule.mutant(name, description, body, harmless, [names.get(n, n) for n in rule.wanted])

    for a, b in itertools.combinations(op.operands, 2):
        if a in rule.wanted or b in rule.wanted:
            yield renamed("swapped", f"{a} and {b} swapped", {a: b, b: a}, f"the rule is symmetric in {a} and {b}")
    for other in op.operands:
        function = (op.rules or {})[other]
        if other != rule.operand and callable(function) and function is not rule.function:
            make = functools.partial(_constant, function)
            yield Mutant(op, rule.operand, "other rule", f"the rule of {other}", make, "the primitive is symmetric in them")
    if op.elementwise and (rule.operand in rule.wanted) != ("y" in rule.wanted):
        names = {rule.operand: "y"} if rule.operand in rule.wanted else {"y": rule.operand}
        ((asked, instead),) = names.items()
        yield renamed("result or operand", f"{instead} for {asked}", names, "only what they share is looked at")

    def with_one(values: Values, name: str, value: Callable[[Values], Any]) -> Any:
        return rule({**values, name: value(values)})

    for name in rule.wanted:
        default = op.metadata.get(name, inspect.Parameter.empty)
        if default is not inspect.Parameter.empty:
            body = functools.partial(with_one, name=name, value=functools.partial(_constant, default))
            yield rule.mutant("metadata ignored", f"{name}={default!r}, whatever was given", body, f"{name} changes nothing in it")
        if name in AXES and not op.variadic:
            shape = f"{rule.operand}_shape"
            body = functools.partial(with_one, name=name, value=functools.partial(_next_axis, name, shape))
            yield rule.mutant("wrong axis", f"the axis after {name}", body, "one axis, or all alike", (*rule.wanted, shape))


AXES = ("axis", "axes", "axis1", "axis2")


def _constant(value: Any, *_: Values) -> Any:
    return value


def _next_axis(name: str, shape: str, values: Values) -> Any:
    return _beside(values[name], len(values[shape]))


def _beside(axis: Any, ndim: int) -> Any:
    if axis is None:
        return 0 if ndim > 1 else None
    if isinstance(axis, tuple | list):
        return type(axis)([_beside(one, ndim) for one in axis])
    return (axis + 1) % ndim if ndim else axis


# ----------------------------------------------------------------------------------------------------------- its source


def _wrong_source(rule: Rule) -> Iterator[Mutant]:
    for description, make in changes_of(rule.function):
        yield Mutant(rule.op, rule.operand, "source", description, make)
