"""Large graphs made small: repeated blocks, modules and runs of operations, each drawn as one.

What is folded is a run of operations that stand together in the program. A program's order is topological, so whatever is folded,
data still flows one way, but for what a repeated block hands to its own next round.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tinygrad_edu.viz.structure import GraphNode, Scope

PERIOD = 256  # the most operations that a repeated block is looked for with
SAVED = 4  # the fewest boxes that a repeated block must save


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """A box around a block that is drawn once and stands for ``times`` rounds of it."""

    times: int


@dataclass(slots=True, eq=False)
class Item:
    """What is drawn as one: an operation, the same operation of every round of a block, or (``title`` is not None) a closed box."""

    members: list[int]  # positions in the program's operations, the one that is drawn first
    scope: Scope
    title: str | None = None
    times: int = 1
    around: list[tuple[int, Repeated]] = field(default_factory=list)  # boxes, each with the depth of the scope that it stands in


@dataclass(frozen=True, slots=True)
class Program:
    """The operations of a graph in their order, as numbers: all that folding needs to know."""

    ops: Sequence[GraphNode]
    sources: Sequence[tuple[int, ...]]  # of every operation, the operations that made its operands; -1 for an input
    shapes: Sequence[Any]  # of the results


def fold(program: Program, depth: int | None, fits: Callable[[list[Item]], bool], at_most: int) -> list[Item]:
    """The graph in as much detail as fits: modules are closed below ``depth``; if that is too much, repeated blocks are folded,
    then modules are closed from the innermost out, and at last runs of operations."""
    items = [Item([number], op.scope) for number, op in enumerate(program.ops)]
    if depth is not None:
        items = close(program, items, depth)
    if fits(items):
        return items
    items = fold_repeats(program, items)
    for level in range(max((len(item.scope) for item in items), default=0), 0, -1):
        if fits(items):
            return items
        items = fold_repeats(program, close(program, items, level))
    while not fits(items) and len(items) > 1:
        at_most = min(at_most, len(items)) * 2 // 3
        items = close_runs(program, items, max(at_most, 1))
    return items


def close(program: Program, items: list[Item], depth: int) -> list[Item]:
    """Every module ``depth`` levels down as one box for each time that it ran. At depth 0 that is the whole graph."""
    closed: list[Item] = []

    def module(item: Item) -> Any:
        # A closed box stands in a repeated block or outside, and not across its border.
        blocks = tuple([id(block) for _, block in item.around])
        return (item.scope[:depth], blocks) if len(item.scope) >= depth else id(item)

    for key, run in groupby(items, module):
        group = list(run)
        if isinstance(key, int):
            closed += group
        else:
            closed.append(merged(group, key[0][-1] if depth else most_common(program, group), key[0][:-1]))
    alone = Counter(id(block) for item in closed for _, block in item.around)
    for item in closed:  # a box around one box says nothing that its own label cannot
        item.around = [(level, block) for level, block in item.around if alone[id(block)] > 1]
    return closed


def merged(group: list[Item], title: str, scope: Scope) -> Item:
    """Items that stand together, as one closed box."""
    first = group[0]
    times = min(item.times for item in group)
    around = [(min(depth, len(scope)), block) for depth, block in first.around]
    return Item([member for item in group for member in item.members], scope, title, times, around)


def close_runs(program: Program, items: list[Item], count: int) -> list[Item]:
    """At most ``count`` boxes, each for a run of about as many operations, named after those that it has most of."""
    size = -(-len(items) // count)
    runs = [items[start : start + size] for start in range(0, len(items), size)]
    return [run[0] if len(run) == 1 else merged(run, most_common(program, run), run[0].scope[:0]) for run in runs]


def most_common(program: Program, run: list[Item]) -> str:
    """The operations of a run, the three most frequent by name."""
    counts = Counter(str(program.ops[member].op) for item in run for member in item.members)
    named = [f"{count:,} {name}" for name, count in counts.most_common(3)]
    return ", ".join([*named, *(["…"] if len(counts) > 3 else [])])


# -------------------------------------------------------------------------------------------------------- repeated blocks


def fold_repeats(program: Program, items: list[Item]) -> list[Item]:
    """Blocks that follow themselves, drawn once. Those that save most come first; then blocks that are made of them."""
    while True:
        found = repeats(program, items)
        if not found:
            return items
        result, done = [], 0
        for start, period, times in found:
            result += items[done:start]
            done = start + period * times
            result += folded(items[start:done], period, times)
        items = result + items[done:]


def folded(run: list[Item], period: int, times: int) -> list[Item]:
    """The first round of a block, standing for all."""
    rounds = [run[k * period : (k + 1) * period] for k in range(times)]
    outside = common_scope([item.scope for item in run])
    block = Repeated(times)
    result = []
    for same in zip(*rounds, strict=True):
        first = same[0]
        around = [(min(len(outside), len(first.scope)), block)] if period > 1 else []
        members = [member for item in same for member in item.members]
        scope = (*outside, *[spanning(names) for names in zip(*[item.scope[len(outside) :] for item in same], strict=True)])
        title = None if first.title is None else spanning([item.title for item in same])
        result.append(Item(members, scope, title, first.times * times, around + first.around))
    return result


def common_scope(scopes: list[Scope]) -> Scope:
    """The modules that hold all of them."""
    low, high = min(scopes), max(scopes)
    length = next((k for k, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:length]


NAMED = re.compile(r"(.*?): (.*)", re.DOTALL)  # how `nn.Module` calls what runs in it: name and class


def spanning(names: Sequence[Any]) -> Any:
    """The name of several modules at once: "0 … 29: Block" for "0: Block" to "29: Block"."""
    first, last = names[0], names[-1]
    a, b = NAMED.fullmatch(first), NAMED.fullmatch(last)
    return first if first == last or not a or not b else f"{a[1]} … {b[1].rpartition(' … ')[2]}: {a[2]}"


def kind_of(program: Program, item: Item) -> tuple[Any, ...]:
    """What two items have in common that may be rounds of one block; how they are connected is looked at later."""
    op = program.ops[item.members[0]]
    inputs = [source < 0 for source in program.sources[item.members[0]]] if item.title is None else []
    classes = tuple([entry.rpartition(": ")[2] for entry in item.scope])
    title = None if item.title is None else item.title.rpartition(": ")[2]
    shape = program.shapes[item.members[-1]]
    return op.op, op.metadata, op.highlight, op.change, len(inputs), shape, classes, title, item.times, len(item.around)


def repeats(program: Program, items: list[Item]) -> list[tuple[int, int, int]]:
    """Blocks that follow themselves, as (start, period, times), from left to right and apart from each other."""
    numbers: dict[Any, int] = {}
    kinds = np.array([numbers.setdefault(kind_of(program, item), len(numbers)) for item in items])
    home = {member: place for place, item in enumerate(items) for member in item.members}
    candidates = []
    for period in range(1, min(PERIOD, len(items) // 2) + 1):
        same = np.concatenate([[0], kinds[period:] == kinds[:-period], [0]])
        edges = np.flatnonzero(np.diff(same))
        starts, ends = edges[::2], edges[1::2]
        saved = (ends - starts) // period * period
        enough = saved >= SAVED
        for start, end, gain in zip(starts[enough].tolist(), ends[enough].tolist(), saved[enough].tolist(), strict=True):
            candidates.append((-gain, period, start, end))
    candidates.sort()
    taken = np.zeros(len(items), bool)
    found = []
    for _, period, start, end in candidates[:1000]:
        for offset in range(min(period, end - start - period + 1)):
            first, times = start + offset, (end - start - offset) // period + 1
            if period * (times - 1) < SAVED or taken[first : first + period * times].any():
                continue
            if wired_alike(program, items, home, first, period, times):
                found.append((first, period, times))
                taken[first : first + period * times] = True
                break
    return sorted(found)


def wired_alike(program: Program, items: list[Item], home: dict[int, int], start: int, period: int, times: int) -> bool:
    """Whether every round from the second on takes its operands from the same places of the round before, from itself, or from
    outside of the block."""
    for place in range(start, start + period):
        expected = None
        for k in range(1, times):
            here = place + k * period
            ways = set()
            for position, source in enumerate(operands(program, items[here])):
                at = home.get(source, -1)
                ways.add((position if items[here].title is None else 0, here - at if at >= start else -1))
            if expected is None:
                expected = ways
            elif ways != expected or any(distance > 2 * period for _, distance in ways):
                return False
        # The first round has nothing before it; inside, it is like the others.
        first = set()
        for position, source in enumerate(operands(program, items[place])):
            at = home.get(source, -1)
            if at >= start:
                first.add((position if items[place].title is None else 0, place - at))
        if first != {way for way in expected or () if 0 <= way[1] <= place - start}:
            return False
    return True


def operands(program: Program, item: Item) -> list[int]:
    """The operations that an item's operands come from; of a closed box, those outside of it."""
    if item.title is None:
        return list(program.sources[item.members[0]])
    inside = set(item.members)
    return [source for member in item.members for source in program.sources[member] if source not in inside]
