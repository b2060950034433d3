"""What a picture consists of: nodes and edges, numbered in the order in which the user wrote the program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tinygrad_edu.graph import Backward, Constant, Leaf, Node, Variable
from tinygrad_edu.viz.cost import bytes_kept, in_bytes, in_seconds
from tinygrad_edu.viz.flops import flops
from tinygrad_edu.viz.values import flags_of, gradients, magnitude, recompute, written

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape

Kind: TypeAlias = Literal["op", "tensor"]
Role: TypeAlias = Literal["leaf", "constant", "intermediate", "result"]
Change: TypeAlias = Literal["added", "removed", "changed"]
Scope: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One operation or one tensor of a `Graph`. What does not apply, or is not known, is None.

    ``id`` is ``o3`` for the third operation, ``t3`` for its result, and ``i2`` for the second input: a leaf, a constant, or a
    number or array that stood in the expression. It depends on the program alone, so that pictures can be compared.

    ``flags`` say what is wrong with a tensor's numbers, as far as these were asked for: "nan value", "inf value", "nan gradient",
    "inf gradient", "zero gradient" (it is 0 in every element), "exploding gradient" (an element is more than 10,000 times as
    large as any of the result's own gradient, which is 1 for a scalar). ``change`` says how two graphs differ; see `viz.diff`.
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
    symbol: str | None = None  # of an operation: what pictures call it, with its metadata
    metadata: str | None = None  # of an operation: arguments that are not operands and not what they are by default
    order: int = 0  # 1 for what a recorded backward pass made, 2 for what a backward pass through that made, and so on
    time: float | None = field(default=None, compare=False)  # of an operation: seconds that its forward takes
    memory: int | None = field(default=None, compare=False)  # of an operation: bytes that it alone keeps for backward
    flops: int | None = None  # of an operation: floating-point operations that its forward takes
    flags: tuple[str, ...] = field(default=(), compare=False)
    change: Change | None = None
    serial: int | None = field(default=None, compare=False, repr=False)  # of the vertex in the recorded graph
    size: int | None = None  # of a tensor: how many elements it has


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """Data flowing from ``source`` to ``target``: into an operation, as operand number ``position`` called ``operand``, or (both
    None) from it to its result. ``grad`` is what flows back: of an operand, what this one use adds to its gradient."""

    source: str
    target: str
    position: int | None = None
    operand: str | None = None
    grad: Array | None = field(default=None, compare=False)
    change: Change | None = None
    repeated: bool = False  # whether a constant operand is broadcast; one that requires grad goes through Repeat, an operation


class Number:
    """A number or raw array among the operands, as a vertex of its own for each use: nothing tells that two are the same."""

    __slots__ = ("data", "dtype", "shape")
    name = serial = None

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
    times: dict[Any, float] | None = {} if "time" in show else None
    values = recompute(root, scopes, operands, times) if show & {"value", "time"} else {}
    grads, parts = gradients(root, scopes, order) if show & {"grad", "grad_norm"} else ({}, {})
    kept = bytes_kept(order)
    unit = magnitude(grads[start]) if start in grads else 1.0
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
                repeated = op.elementwise and operand.shape not in ((), vertex.shape)
                edges.append(GraphEdge(ids[operand], id, position, name, parts.get((vertex, position)), None, repeated))
            edges.append(GraphEdge(id, result, grad=grads.get(vertex)))
            why = highlight.get(vertex)
            metadata = arguments_of(vertex)
            time, memory = times.get(vertex) if times is not None else None, kept.get(vertex)
            symbol = f"{op.label} {metadata}" if metadata else op.label
            facts = [symbol]
            facts += [in_seconds(time)] if time is not None else []
            facts += [in_bytes(memory)] if memory and "memory" in show else []
            facts += [why] if why else []
            nodes.append(
                GraphNode(
                    id,
                    "op",
                    "\n".join(facts),
                    scope,
                    op=op.name,
                    formula=op.formula,
                    highlight=why,
                    symbol=symbol,
                    metadata=metadata,
                    order=order_of(scope),
                    time=time,
                    memory=memory,
                    flops=flops(vertex, operands[vertex]),
                    serial=vertex.serial,
                )
            )
        else:
            result = f"i{len(ids) - number + 1}"
            role = "leaf" if isinstance(vertex, Leaf) else "constant"
        ids[vertex] = result
        value, grad = values.get(vertex) if "value" in show else None, grads.get(vertex)
        flags = flags_of(value, grad, unit)
        why = None if isinstance(vertex, Node) else highlight.get(vertex)
        label = "\n".join([*lines(vertex, show, value, grad), *[f"⚠ {flag}" for flag in flags], *([why] if why else [])])
        nodes.append(
            GraphNode(
                result,
                "tensor",
                label,
                scope,
                name=vertex.name,
                shape=vertex.shape,
                dtype=vertex.dtype,
                role=role,
                value=value,
                grad=grad,
                highlight=why,
                order=order_of(scope),
                flags=flags,
                serial=vertex.serial,
                size=int(np.prod(vertex.shape)) if vertex.shape else 1,
            )
        )
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


def order_of(scope: Scope) -> int:
    """How many derivatives deep the operations of a module are."""
    return max((entry.order for entry in scope if isinstance(entry, Backward)), default=0) if scope else 0


def common(a: Scope, b: Scope) -> Scope:
    """The longest common beginning."""
    return a if a == b else tuple([x for x, _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))])


LONG = 32  # characters of metadata that a picture shows


def arguments_of(node: Node) -> str | None:
    """An operation's arguments that are not operands, where they are not those by default. The shape of the result is written
    beside the result."""
    defaults = node.op.metadata
    words = []
    for name, value in node.params.items():
        default = defaults.get(name)
        if value is default or value is None or callable(value) or name == "shape":
            continue
        if isinstance(value, int | float | bool | str | tuple | slice):
            if type(value) is type(default) and value == default:
                continue
            text = repr(value)
        elif isinstance(value, np.ndarray):
            text = written(value) if value.size <= 4 else f"array {value.shape}"
        else:
            text = type(value).__name__
        words.append(f"{name}={text}")
    text = ", ".join(words)
    return (f"{text[: LONG - 1]}…" if len(text) > LONG else text) or None


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
        yield rows(f"value {written(value)}")
    if grad is not None and "grad" in show:
        yield rows(f"grad {written(grad)}")
    if grad is not None and "grad_norm" in show:
        yield f"‖grad‖ {np.linalg.norm(grad):.3g}"


def rows(line: str) -> str:
    """A matrix that would make a wide line, with a line for each row."""
    return line.replace("], [", "],\n[") if len(line) > 24 else line
