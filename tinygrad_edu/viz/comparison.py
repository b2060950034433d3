"""Two graphs in one: what a change of a program, or of a backward pass, has added, removed and changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.viz.structure import GraphEdge, GraphNode, rows

if TYPE_CHECKING:
    from tinygrad_edu.viz.graph import Graph
    from tinygrad_edu.viz.structure import Change

CLOSE = 1e-7  # relative difference from which two arrays are not the same, for float64; 1e-3 for float32


def diff(a: Graph, b: Graph) -> Graph:
    """One graph of two: what is only in ``b`` is "added", what is only in ``a`` is "removed", and what is in both and differs is
    "changed", as ``change`` of nodes and edges says. Pictures show it by colour, by lines, and in words.

    Operations are matched in the order of the programs, as lines are in a comparison of two texts. A matched operation has changed
    if its arguments or the shape of its result have; an edge, if an operand comes from elsewhere; a tensor, if its shape, dtype,
    name or number has, or its value or gradient, where both graphs were made to show them. Names of nodes are those of the new
    graph, and not of ``a`` or ``b``. Raises `ArgumentError` for what is not a graph.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.viz import diff
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> graph = diff(tg.log(x).sum().graph(), tg.log(x + 1).mean().graph())
    >>> [(node.op or node.label.split("\\n")[0], node.change) for node in graph.nodes if node.change]
    [('1', 'added'), ('add', 'added'), ('(2,)', 'added'), ('sum', 'removed'), ('()', 'removed'), ('mean', 'added'), ('()', 'added')]
    """
    for given in (a, b):
        if not hasattr(given, "nodes") or not hasattr(given, "options"):
            raise ArgumentError(f"diff: it compares two graphs, as tensor.graph() gives them, not a {type(given).__name__}")
    return Comparison(a, b).graph()


class Side:
    """One of the two graphs, by what it is asked for."""

    def __init__(self, graph: Graph) -> None:
        self.nodes = {node.id: node for node in graph.nodes}
        self.ops = [node for node in graph.nodes if node.kind == "op"]
        self.into: dict[str, list[GraphEdge]] = {op.id: [] for op in self.ops}
        self.result: dict[str, GraphEdge] = {}
        for edge in graph.edges:
            if edge.position is None:
                self.result[edge.source] = edge
            else:
                self.into[edge.target].append(edge)
        self.single = [] if self.ops else list(graph.nodes)

    def signature(self, op: GraphNode) -> tuple[Any, ...]:
        made = self.result.get(op.id)
        return op.op, op.metadata, None if made is None else self.nodes[made.target].shape, len(self.into[op.id])


class Comparison:
    """A comparison being made. ``names`` gives the new name of every node of either side."""

    partners: tuple[dict[str, str], dict[str, str]]

    def __init__(self, a: Graph, b: Graph) -> None:
        self.a, self.b, self.like = Side(a), Side(b), b
        self.names: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.nodes: list[GraphNode] = []
        self.edges: list[GraphEdge] = []
        self.count = {"i": 0, "o": 0, "t": 0}

    def graph(self) -> Graph:
        operations = list(matched(self.a, self.b))
        self.partners = self.paired_inputs(operations)
        for old, new in operations:
            self.add(old, new)
        for side, single in enumerate((self.a.single, self.b.single)):
            for node in single:
                self.input(side, node.id)
        return self.like._with(nodes=tuple(self.nodes), edges=tuple(self.edges), root=None)

    def paired_inputs(
        self, operations: Sequence[tuple[GraphNode | None, GraphNode | None]]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Which inputs stand for each other: the same tensor, or the only ones of a role and name, or operands at the same place of
        operations that stand for each other."""
        pairs: tuple[dict[str, str], dict[str, str]] = ({}, {})

        def pair(old: GraphNode, new: GraphNode) -> None:
            if old.id not in pairs[0] and new.id not in pairs[1] and (old.role, old.name) == (new.role, new.name):
                pairs[0][old.id], pairs[1][new.id] = new.id, old.id

        inputs = [[node for node in side.nodes.values() if node.role in ("leaf", "constant")] for side in (self.a, self.b)]
        for key in (attrgetter("serial"), attrgetter("role", "name")):
            known = [Counter(map(key, some)) for some in inputs]
            first = {key(node): node for node in inputs[0]}
            for node in inputs[1]:
                means = key(node)
                if None not in (means, *(means if isinstance(means, tuple) else ())) and known[0][means] == known[1][means] == 1:
                    pair(first[means], node)
        for old, new in operations:
            if old and new:
                for one, other in zip(self.a.into[old.id], self.b.into[new.id], strict=False):
                    before, after = self.a.nodes[one.source], self.b.nodes[other.source]
                    if before.role in ("leaf", "constant"):
                        pair(before, after)
        for before, after in zip(self.a.single, self.b.single, strict=False):
            pair(before, after)
        return pairs

    def add(self, old: GraphNode | None, new: GraphNode | None) -> None:
        """An operation that is in one or in both, its inputs, and its result."""
        before = self.a.into[old.id] if old else []
        after = self.b.into[new.id] if new else []
        for side, edges in enumerate((before, after)):
            for edge in edges:
                self.input(side, edge.source)
        change = changed(old, new, old is not None and new is not None and self.a.signature(old) != self.b.signature(new))
        id = self.enter("o", old, new, change)
        sources = [self.names[0][edge.source] for edge in before], [self.names[1][edge.source] for edge in after]
        for edge, source in zip(after, sources[1], strict=True):
            same = old is not None and edge.position is not None and sources[0][edge.position : edge.position + 1] == [source]
            added: Change | None = None if same else "added"
            self.edges.append(replace(edge, source=source, target=id, change=added))
        for edge, source in zip(before, sources[0], strict=True):
            if new is None or edge.position is None or sources[1][edge.position : edge.position + 1] != [source]:
                self.edges.append(replace(edge, source=source, target=id, change="removed"))
        one, other = self.a.result.get(old.id) if old else None, self.b.result.get(new.id) if new else None
        made = self.a.nodes[one.target] if one else None, self.b.nodes[other.target] if other else None
        if any(made):
            result = self.enter("t", *made, changed(*made, differ(*made)))
            flow = other or one
            assert flow is not None
            self.edges.append(replace(flow, source=id, target=result, change=None if old and new else change))

    def input(self, side: int, id: str) -> None:
        """An input of one side, and with it the one that it stands for in the other."""
        if id not in self.names[side]:
            ids = [id, self.partners[0].get(id)] if side == 0 else [self.partners[1].get(id), id]
            old, new = ids[0] and self.a.nodes[ids[0]], ids[1] and self.b.nodes[ids[1]]
            self.enter("i", old or None, new or None, changed(old, new, differ(old or None, new or None)))

    def enter(self, letter: str, old: GraphNode | None, new: GraphNode | None, change: Change | None) -> str:
        self.count[letter] += 1
        id = f"{letter}{self.count[letter]}"
        node = new or old
        assert node is not None
        label = node.label
        if old and new and old.label != new.label:
            label = "\n".join(merged_lines(facts_of(old.label), facts_of(new.label)))
        if change and node.kind == "tensor":
            label = f"{label}\n{change}"
        symbol = new.symbol if new else node.symbol
        if old and new and old.symbol != new.symbol:
            symbol = f"{old.symbol} → {new.symbol}"
        self.nodes.append(replace(node, id=id, label=label, symbol=symbol, change=change))
        for names, entry in zip(self.names, (old, new), strict=True):
            if entry:
                names[entry.id] = id
        return id


def changed(old: Any, new: Any, differs: bool) -> Change | None:
    return "added" if old is None else "removed" if new is None else "changed" if differs else None


def differ(old: GraphNode | None, new: GraphNode | None) -> bool:
    """Whether two tensors that stand for each other are not the same."""
    if old is None or new is None:
        return True
    facts = [(node.shape, node.dtype, node.name) for node in (old, new)]
    if facts[0] != facts[1] or (old.value is None and old.grad is None and old.label != new.label):
        return True
    pairs = ((old.value, new.value), (old.grad, new.grad))
    return any(one is not None and other is not None and not close(one, other) for one, other in pairs)


def close(one: Any, other: Any) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind not in "fc":
        return bool(np.array_equal(one, other))
    tolerance = CLOSE if np.finfo(one.dtype).eps < 1e-10 else 1e-3
    scale = max((float(np.abs(array[np.isfinite(array)]).max(initial=0.0)) for array in (one, other)), default=0.0)
    return bool(np.allclose(one, other, rtol=tolerance, atol=tolerance * scale, equal_nan=True))


MATRIX = ("value [", "grad [")


def facts_of(label: str) -> list[str]:
    """The lines of a label, a matrix whose rows stand below each other as one."""
    found: list[str] = []
    for line in label.split("\n"):
        if found and found[-1].startswith(MATRIX) and found[-1].endswith("],") and line.startswith("["):
            found[-1] += f" {line}"
        else:
            found.append(line)
    return found


def merged_lines(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """The lines of the new label, each that is another than before with what it was."""
    for one, other in zip_longest_pairs(old, new):
        if one == other or not one:
            yield rows(other) if (other or "").startswith(MATRIX) else other or ""
        elif one.startswith(MATRIX):
            word = one.partition("[")[0]
            before, after = rows(one), rows((other or "nothing").removeprefix(word))
            yield f"{before}\n→ {after}" if "\n" in before + after else f"{before} → {after}"
        else:
            words = [word for word in ("value ", "grad ", "‖grad‖ ") if one.startswith(word) and (other or "").startswith(word)]
            yield f"{one} → {(other or 'nothing').removeprefix(*words or [''])}"


def zip_longest_pairs(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    for k in range(max(len(old), len(new))):
        yield old[k] if k < len(old) else None, new[k] if k < len(new) else None


def matched(a: Side, b: Side) -> Iterator[tuple[GraphNode | None, GraphNode | None]]:
    """The operations of both in an order that is the program's for either, those that stand for each other in pairs."""
    left, right = [a.signature(op) for op in a.ops], [b.signature(op) for op in b.ops]
    head = next((k for k, (x, y) in enumerate(zip(left, right, strict=False)) if x != y), min(len(left), len(right)))
    tail = 0
    while tail < min(len(left), len(right)) - head and left[-1 - tail] == right[-1 - tail]:
        tail += 1
    yield from zip(a.ops[:head], b.ops[:head], strict=True)
    ends = len(left) - tail, len(right) - tail
    matcher = SequenceMatcher(None, left[head : ends[0]], right[head : ends[1]], autojunk=max(ends) - head > 2000)
    for kind, start, stop, first, last in matcher.get_opcodes():
        olds, news = a.ops[head + start : head + stop], b.ops[head + first : head + last]
        if kind == "equal" or [op.op for op in olds] == [op.op for op in news]:
            yield from zip(olds, news, strict=True)
        else:
            yield from ((old, None) for old in olds)
            yield from ((None, new) for new in news)
    yield from zip(a.ops[ends[0] :], b.ops[ends[1] :], strict=True)
