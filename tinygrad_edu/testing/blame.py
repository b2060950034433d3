"""`blame`: which operation of a composite function has a wrong derivative rule.

A wrong gradient of a function of fifty operations does not say which of them is wrong. But every operation can be looked at alone:
with the operands that it had, its rules are compared with its own forward, and what comes out does not depend on the others.
"""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, TinygradError
from tinygrad_edu.graph import Node
from tinygrad_edu.places import place_of
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.testing.backward import Run, engine_fault, unexplained
from tinygrad_edu.testing.inputs import as_input, differentiable, kinds_of
from tinygrad_edu.testing.pullbacks import Comparison, Pullback, compare, worst_element
from tinygrad_edu.testing.records import Record, chain_rule
from tinygrad_edu.testing.verdicts import INCONCLUSIVE, MISMATCH
from tinygrad_edu.transforms import name_of
from tinygrad_edu.viz import Graph

MANY = 4  # operands of a variadic operation, from which on they are compared together first
SHOWN = 4  # culprits, and calls of each, that a report writes out


@dataclass(frozen=True)
class Culprit:
    """One operand of one recorded operation, by which its derivative is wrong.

    ``rule`` and ``call`` are places, a file and a line: of the text of the rule, and of the call in the function that is checked.
    ``call`` is None where none of the user's code calls it: the operation is itself that function, or in one of this library's.
    ``shape`` is the result's, ``shapes`` are the operands'. The numbers are those of the element ``index`` that differs most, in
    the gradient of the result's sum with random weights. At order 2 it is the rule itself whose derivative is wrong, and they are
    slopes along a random direction. ``inside`` says where an operation is that the graph does not show: in an opaque call, or in
    another's rule; ``node`` is what is red in the picture.
    """

    op: str
    operand: str
    formula: str
    rule: str
    call: str | None
    shape: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    order: int = 1
    index: tuple[int, ...] | None = None
    analytic: complex = np.nan
    numerical: complex = np.nan
    mistake: str | None = None
    inside: str | None = None
    node: Node | None = field(default=None, repr=False, compare=False)

    def same_as(self, other: Culprit) -> bool:
        """Whether it is about the same rule at the same place."""
        mine, theirs = ((c.op, c.operand, c.rule, c.call, c.order, c.node) for c in (self, other))
        return mine == theirs

    @property
    def reason(self) -> str:
        """A few words, for the picture."""
        what = "wrong" if self.operand == "forward" else f"wrong ∂/∂{self.operand}"
        return f"{what} of {self.op}, {self.inside}" if self.inside else what


@dataclass
class BlameReport:
    """What `blame` found. ``operations`` are how many were recorded on the way to the result, ``checked`` how many of them were
    looked at; ``engine`` says whether the backward pass itself is wrong, ``whole`` whether the gradient of the whole is right where
    all of these are; ``notes`` say what could not be judged, and what else is strange."""

    name: str
    order: int
    culprits: list[Culprit] = field(default_factory=list)
    engine: bool = False
    whole: bool = True
    operations: int = 0
    checked: int = 0
    notes: list[str] = field(default_factory=list)
    results: tuple[Tensor, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether all was looked at, and nothing wrong was found."""
        return self.complete and self.whole and not self.culprits and not self.engine

    @property
    def complete(self) -> bool:
        """Whether all operations were looked at: there was time enough."""
        return self.checked == self.operations

    def graph(self) -> Graph:
        """The recorded graph with the culprits in red; see `Graph`, which draws it. Raises `ArgumentError` where ``f`` returned no
        tensor of floats."""
        if not self.results:
            raise ArgumentError(f"{self.name} returned nothing that has a derivative, so there is no graph to draw")
        reasons: dict[Any, str] = {}
        for culprit in self.culprits:
            known = reasons.get(culprit.node, "").splitlines()
            reasons[culprit.node] = "\n".join(dict.fromkeys([*known, culprit.reason]))

        def shown(y: Tensor) -> int:
            return sum(node.highlight is not None for node in Graph(y, highlight=reasons).nodes)

        return Graph(max(self.results, key=shown), highlight=reasons)

    def __str__(self) -> str:
        looked = f"{self.checked} of {self.operations}" if self.checked < self.operations else f"{self.operations}"
        rules = len({(c.op, c.operand, c.order) for c in self.culprits})
        engine = ["the backward pass itself is wrong"] * self.engine
        right = "every rule is right by itself" if self.complete else "no wrong rule was found yet"
        found = [f"{rules} wrong rule{'s' * (rules > 1)}"] * bool(self.culprits) + engine + [right] * (not self.culprits)
        lines = [f"{self.name}: {', and '.join(found)} ({looked} operations, order {self.order})"]
        groups: dict[Any, list[Culprit]] = defaultdict(list)
        for culprit in self.culprits:
            groups[culprit.op, culprit.operand, culprit.rule, culprit.order].append(culprit)
        for group in list(groups.values())[:SHOWN]:
            lines += ["  " + line for line in _described(group)]
        if len(groups) > SHOWN:
            lines.append(f"  and {len(groups) - SHOWN} more rules")
        return "\n".join([*lines, *[f"  {note}" for note in self.notes[:6]]])


def _described(group: list[Culprit]) -> Iterator[str]:
    """One wrong rule and its calls."""
    first = group[0]
    where = f", {first.inside}" if first.inside else ""
    what = "its forward" if first.operand == "forward" else f"the rule of {first.operand}"
    yield f"{first.op}: {what} is wrong{' at order 2' if first.order > 1 else ''}{where}"
    if first.formula:
        yield f"  {first.formula}"
    yield f"  rule at   {first.rule}"
    for culprit in group[:SHOWN]:
        shapes = ", ".join(map(str, culprit.shapes))
        yield f"  called {f'at {culprit.call},' if culprit.call else 'with'} {shapes} → {culprit.shape}"
    if len(group) > SHOWN:
        yield f"  and {len(group) - SHOWN} more calls"
    if np.isfinite(first.numerical):
        where = "along a random direction" if first.index is None else f"worst at {first.index}"
        ratio = f", ratio {_number(first.analytic / first.numerical)}" if first.numerical else ""
        yield f"  {where}: analytic {_number(first.analytic)}, numerical {_number(first.numerical)}{ratio}"
    if first.mistake:
        yield f"  likely {first.mistake}" if first.index is not None else f"  {first.mistake}"


def _number(value: complex) -> str:
    return f"{value:.8g}"


def blame(f: Callable[..., Any], *inputs: Any, order: int = 1, seed: int = 0, seconds: float = 60.0) -> BlameReport:
    """Find the operations of ``f`` whose derivative rules are wrong, by looking at each alone.

    Parameters
    ----------
    f: takes tensors and returns a tensor, or several, nested in any way.
    inputs: arrays, numbers or tensors. The floating ones are differentiated, others are passed on.
    order: 2 also differentiates the rules: one may be right as a number and lose its own derivative. Above, what the rules use is
        looked at in its turn.
    seed: of the random directions.
    seconds: after which no further operation is looked at. The first call of each operation comes first, then the second, …

    ``f`` runs once and is recorded. Then each operation's slope along a random direction of each operand, computed from its forward
    alone in double precision, is compared with what its rule says. The rule of a kink need only lie between the slopes from both
    sides. Where all rules are right, the backward pass is compared with a plain one of a few lines: if they differ, the engine is
    wrong. What f calls inside a `checkpoint` or a `custom_vjp` is looked at, too, and so is the derivative written for that.

    Returns a `BlameReport`. Raises `ArgumentError` when there is nothing to differentiate. Random forwards are named, not blamed.

    >>> import tinygrad_edu as tg
    >>> @tg.primitive
    ... def square(a):
    ...     '''y = a²        ∂L/∂a = 2 g a'''
    ...     return a * a
    >>> square.vjp(a=lambda g, a: g * a)
    >>> report = tg.testing.blame(lambda x: tg.sin(square(tg.exp(x))), [0.5, 1.0])
    >>> [(culprit.op, culprit.operand, culprit.mistake) for culprit in report.culprits]
    [('square', 'a', 'a factor, or a path that is not accumulated: the analytic gradient is 1/2 times the numerical one')]
    """
    if order < 1:
        raise ArgumentError(f"blame(order={order}): the order is 1 or more")
    return _Search(f, inputs, order, seed, seconds).report


class _Search:
    """The work of `blame`."""

    def __init__(self, f: Callable[..., Any], inputs: Sequence[Any], order: int, seed: int, seconds: float) -> None:
        self.f, self.order = f, order
        self.until = time.monotonic() + seconds
        self.rng = np.random.default_rng(seed)
        self.arrays = list(map(as_input, inputs))
        self.chosen = differentiable(self.arrays)
        if not self.chosen:
            kinds = kinds_of(self.arrays)
            raise ArgumentError(f"blame: {name_of(f)} has no input to differentiate by: their dtypes are {kinds}; pass floats")
        self.report = BlameReport(name_of(f), order)
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            self.run = Run(f, self.arrays, self.chosen)
            self.report.results = tuple(self.run.outputs)
            self.report.operations = len(self.run.way)
            self.cotangents = self.actual()
            self.operations()
            fault = engine_fault(self.run, self.rng, order)
            if fault:
                self.report.engine = True
                self.note(fault)
            if self.report.ok:
                for note, wrong in unexplained(self.f, self.run, self.arrays, self.chosen, self.rng):
                    self.report.whole &= not wrong
                    self.note(note)

    def actual(self) -> dict[Any, Any]:
        """The cotangents that arrive at the nodes in a backward pass; none, if a rule fails."""
        try:
            return chain_rule(self.run.way, self.run.seeds(self.rng))
        except Exception:
            return {}

    # --------------------------------------------------------------------------------------------- the operations

    def operations(self) -> None:
        """Look at all operations: of each kind the first, then the second, and so on. Opaque calls come after what is inside of
        them, and last those for which only the actual cotangents will do, for these are wrong if another rule is."""
        tasks = [(record, None) for record in self.run.way] + list(self.run.insides())
        kinds: dict[Any, list[Any]] = defaultdict(list)
        for task in tasks:
            kinds[task[0].kind].append(task)
        rounds = [task for round in zip_longest(*kinds.values()) for task in round if task is not None]
        rounds.sort(key=lambda task: (not task[0].determined, task[0].source is not None))
        twice: dict[Any, int] = defaultdict(int)  # of each kind, how many rules were differentiated
        for record, around in rounds:
            if time.monotonic() > self.until:
                self.note("time is up: pass a larger `seconds` to look at the rest")
                break
            self.report.checked += around is None
            if not record.determined and self.report.culprits:
                self.note(f"{record.op.name} is not judged while another rule is wrong: its result is determined up to a factor")
                continue
            if any(culprit.node is record.node for culprit in self.report.culprits):
                continue  # something inside is wrong already
            twice[record.kind] += 1
            self.look_at(record, around or record, self.order if twice[record.kind] <= 3 else 1)

    def look_at(self, record: Record, around: Record, order: int) -> bool:
        """Compare an operation's rules with its forward; True if one is wrong. ``around`` is the node in the picture."""
        complaint = record.complaint(self.rng)
        if complaint is not None:
            if complaint.wrong:
                self.accuse(record, around, complaint.position, mistake=complaint.reason)
            else:
                self.note(f"{record.label} is not judged: {complaint.reason}")
            return complaint.wrong
        cotangent = None if record.determined else self.cotangents.get(record.node)
        if not record.determined and cotangent is None:
            return False
        try:
            it = record.pullback(cotangent)
            wrong = self.mismatches(record, it)
            for variable, found in wrong:
                worst = worst_element(it, variable, found.g)
                facts = (worst.analytic, worst.numerical, worst.mistake)
                self.accuse(record, around, record.positions[variable], 1, worst.index, *facts)
            if not wrong and order > 1 and record.determined and record.op.orders > 1:
                return self.look_at_rules(record, around, order)
        except TinygradError as error:
            self.note(f"{record.label} is not judged: {type(error).__name__}: {str(error).splitlines()[0]}")
            return False
        return bool(wrong)

    def mismatches(self, record: Record, it: Pullback) -> list[tuple[int, Comparison]]:
        """The operands whose rules are wrong, by their places among those that are differentiated."""
        everything = range(len(it.at))
        if len(it.at) > MANY and compare(it, everything, self.rng).verdict != MISMATCH:
            return []
        found = [(variable, compare(it, [variable], self.rng)) for variable in everything]
        for variable, comparison in found:
            if comparison.verdict == INCONCLUSIVE:
                operand = record.operand(record.positions[variable])
                self.note(f"∂/∂{operand} of {record.label} is not judged: no difference quotient settles it there")
        return [(variable, comparison) for variable, comparison in found if comparison.verdict == MISMATCH]

    def look_at_rules(self, record: Record, around: Record, order: int) -> bool:
        """Differentiate the rules; a wrong derivative is that of a rule, or of an operation that it is written with."""
        wrong = False
        for position in record.positions:
            it, inner = record.of_rule(position, self.rng)
            found = compare(it, range(len(it.at)), self.rng)
            lost = found.verdict == MISMATCH
            if not lost and order == 2:
                continue
            deeper = [other for other in inner.found.values() if self.look_at(other, around, order - 1)]
            if lost and not deeper:
                names = ["the cotangent", *[record.operand(p) for p in record.positions]]
                by = [name for i, name in enumerate(names) if compare(it, [i], self.rng).verdict == MISMATCH]
                what = f"a leak: the rule is right as a number and wrong as a function of {' and '.join(by) or 'its arguments'}; "
                what += "does it compute with .data, .numpy() or a constant in the place of what it is handed?"
                self.accuse(record, around, position, 2, None, found.analytic, found.numerical, what)
            wrong = wrong or lost or bool(deeper)
        return wrong

    def accuse(
        self,
        record: Record,
        around: Record,
        position: int | None,
        order: int = 1,
        index: tuple[int, ...] | None = None,
        analytic: complex = np.nan,
        numerical: complex = np.nan,
        mistake: str | None = None,
    ) -> None:
        op, inside = record.op, record.node in self.run.records.found
        function: Any = op.forward
        if position is not None:
            function = record.source or (op.rules or {}).get(op.operands[0 if op.variadic else position])
        culprit = Culprit(
            op.name,
            "forward" if position is None else record.operand(position),
            "" if record.source else op.formula,
            place_of(function),
            str(call) if (call := record.place if inside else around.place) else None,
            record.node.shape,
            tuple(np.shape(a) for a in record.arrays[: len(record.node.inputs)]),
            order,
            index,
            analytic,
            numerical,
            mistake,
            None if around is record else f"{'inside' if inside else 'used by the rules'} of {around.op.name}",
            around.node,
        )
        if not any(culprit.same_as(other) for other in self.report.culprits):
            self.report.culprits.append(culprit)

    def note(self, text: str) -> None:
        if text not in self.report.notes:
            self.report.notes.append(text)
