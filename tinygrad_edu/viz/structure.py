"""What a picture consists of: nodes and edges, numbered in the order in which the user wrote the program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tinygrad_edu.graph import Constant, Leaf, Node, Variable
from tinygrad_edu.viz.values import gradients, recompute, written

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape

Kind: TypeAlias = Literal["op", "tensor"]
Role: TypeAlias = Literal["leaf", "constant", "intermediate", "result"]
Scope: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One operation or one tensor of a `Graph`. What does not apply, or is not known, is None.

    ``id`` is ``o3`` for the third operation, ``t3`` for its result, and ``i2`` for the second input: a leaf, a constant, or a
    number or array that stood in the expression. It depends on the program alone, so that pictures can be compared.
    """

    id: str
    kind: Kind
    label: str  # all that the picture writes into it
    scope: Scope = ()  # names of the modules around it, outermost first
    op: str | None = None  # of an operation: the primitive's name
    formula: str | None = None  # of an operation: what it computes, and its derivatives
    name: str | None = None  # of a tensor: the name that the user gave it
    shape: Shape | None = None
    dtype: np.dtype[Any] | None = None  # None also for a Python number: it takes that of the other operand
    role: Role | None = None
    value: Array | None = field(default=None, compare=False)
    grad: Array | None = field(default=None, compare=False)
    highlight: str | None = None  # why it is drawn in red


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """Data flowing from ``source`` to ``target``: into an operation, as operand number ``position`` called ``operand``, or (both
    None) from it to its result."""

    source: str
    target: str
    position: int | None = None
    operand: str | None = None


class Number:
    """A number or raw array among the operands, as a vertex of its own for each use: nothing tells that two are the same."""

    __slots__ = ("data", "dtype", "shape")
    name = None

    def __init__(self, value: Any) -> None:
        self.data = value
        self.shape = np.shape(value)
        self.dtype = getattr(value, "dtype", None)


def structure(
    root: Variable, show: frozenset[str], highlight: Mapping[Any, str]
) -> tuple[tuple[GraphNode, ...], tuple[GraphEdge, ...]]:
    """The picture's nodes and edges, in the order of the program."""
    # A result that was not recorded has no vertex yet.
    start = root._node or Constant(root._data, root._data.shape, root._data.dtype)
    order = recorded(start)
    operands = operands_of(order)
    scopes = scopes_of(order, operands) or {start: ()}
    values = recompute(root, scopes, operands) if "value" in show else {}
    grads = gradients(root, scopes) if "grad" in show else {}
    ids: dict[Any, str] = {}
    nodes: list[GraphNode] = []
    edges: list[GraphEdge] = []
    number = 0
    for vertex, scope in scopes.items():
        if isinstance(vertex, Node):
            number += 1
            id, result, op = f"o{number}", f"t{number}", vertex.op
            role: Role = "result" if vertex is start else "intermediate"
            for position, operand in enumerate(operands[vertex]):
                name = f"{op.operands[0]}[{position}]" if op.variadic else op.operands[position]
                edges.append(GraphEdge(ids[operand], id, position, name))
            edges.append(GraphEdge(id, result))
            why = highlight.get(vertex)
            label = op.label if why is None else f"{op.label}\n{why}"
            nodes.append(GraphNode(id, "op", label, scope, op=op.name, formula=op.formula, highlight=why))
        else:
            result = f"i{len(ids) - number + 1}"
            role = "leaf" if isinstance(vertex, Leaf) else "constant"
        ids[vertex] = result
        value, grad = values.get(vertex), grads.get(vertex)
        why = None if isinstance(vertex, Node) else highlight.get(vertex)
        label = "\n".join([*lines(vertex, show, value, grad), *([why] if why else [])])
        facts = {"name": vertex.name, "shape": vertex.shape, "dtype": vertex.dtype}
        nodes.append(GraphNode(result, "tensor", label, scope, **facts, role=role, value=value, grad=grad, highlight=why))
    return tuple(nodes), tuple(edges)


def recorded(start: Any) -> list[Node]:
    """The operations that ``start`` is the result of, oldest first: the order of the program. The list grows while it is walked,
    so nothing recurses however deep the graph is."""
    order = [start] if isinstance(start, Node) else []
    seen = set(order)
    for node in order:
        for vertex in node.inputs:
            if isinstance(vertex, Node) and vertex not in seen:
                seen.add(vertex)
                order.append(vertex)
    order.sort(key=attrgetter("serial"))
    return order


def operands_of(order: list[Node]) -> dict[Node, list[Any]]:
    """The operands of every operation as vertices."""
    # Where one operation was released and another was not, they know the same constant without and with its array.
    whole = {v._outline: v for node in order for v in node.inputs if isinstance(v, Constant) and v._outline}

    def vertex(value: Any) -> Any:
        if isinstance(value, Node):
            return value
        return whole.get(value, value) if isinstance(value, Constant) else Number(value)

    return {node: [vertex(value) for value in node.inputs] for node in order}


def scopes_of(order: list[Node], operands: dict[Node, list[Any]]) -> dict[Any, Scope]:
    """Every vertex in the order of the program, an input where it is used first, and the module that it belongs to: an operation to
    the one whose forward ran, an input to the innermost one that holds all its uses."""
    scopes: dict[Any, Scope] = {}
    for node in order:
        for vertex in operands[node]:
            if not isinstance(vertex, Node):
                scopes[vertex] = common(scopes.get(vertex, node.scope), node.scope)
        scopes[node] = node.scope
    return scopes


def common(a: Scope, b: Scope) -> Scope:
    """The longest common beginning."""
    return a if a == b else tuple([x for x, _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))])


def lines(vertex: Any, show: frozenset[str], value: Array | None, grad: Array | None) -> Iterator[str]:
    """What the picture writes into a tensor."""
    plain = isinstance(vertex, Number) and not vertex.shape
    if plain:
        yield written(np.asarray(vertex.data))
    if vertex.name:
        yield vertex.name
    facts = [str(vertex.shape)] if "shape" in show and not plain else []
    if "dtype" in show and vertex.dtype is not None:
        facts.append(str(vertex.dtype))
    if facts:
        yield " ".join(facts)
    if value is not None and not plain:
        yield f"value {written(value)}"
    if grad is not None:
        yield f"grad {written(grad)}"
