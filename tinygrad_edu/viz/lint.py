"""`lint`: what in a graph is known to go wrong, with the reason and what to write instead.

The checks stand in `tinygrad_edu.viz.checks`. Those of numbers look at the values that were recorded, and are silent where these
are gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinygrad_edu.graph import Constant, Cut, Leaf, Node, Variable
from tinygrad_edu.viz.checks import CHECKS, MOVING
from tinygrad_edu.viz.vertices import Vertices

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array
    from tinygrad_edu.viz.graph import Graph


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is known to go wrong: the ``node`` that it is about (an operation or a tensor; None for what is not in the
    graph), the name of the ``check``, ``why`` it goes wrong, and what to ``write`` instead.

    >>> print(Finding("o2", "log-of-softmax", "softmax(x) is 0 where x is far below the maximum.", "tg.log_softmax(x)"))
    o2 log-of-softmax: softmax(x) is 0 where x is far below the maximum.
      write: tg.log_softmax(x)
    """

    node: str | None
    check: str
    why: str
    write: str

    def __str__(self) -> str:
        return f"{self.node or '-'} {self.check}: {self.why}\n  write: {self.write}"


class Findings(tuple[Finding, ...]):
    """What `Graph.lint` found: first of the inputs, then of the operations, in the order of the program. A tuple of `Finding`,
    which prints one after the other."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "nothing found"

    __repr__ = __str__  # the last line of a notebook's cell

    @property
    def checks(self) -> list[str]:
        """The names of the checks that found something, sorted."""
        return sorted({finding.check for finding in self})


class Look(Vertices):
    """What checks can ask of a graph."""

    def __init__(self, graph: Graph, root: Variable) -> None:
        super().__init__(graph, root)
        self.values = self.computed()
        self.users: dict[Any, list[Node]] = defaultdict(list)
        for node in self.order:
            for vertex in self.operands[node]:
                self.users[vertex].append(node)

    def source(self, vertex: Any) -> Any:
        """Where the numbers of a tensor come from, if they were only moved, repeated or cast since."""
        while isinstance(vertex, Node) and vertex.op.name in MOVING:
            vertex = self.operands[vertex][0]
        return vertex

    def is_op(self, vertex: Any, *names: str) -> bool:
        """Whether a tensor is the result of one of these operations."""
        return isinstance(vertex, Node) and vertex.op.name in names

    def operand(self, node: Any, position: int) -> Any:
        """See `source`, of an operand."""
        return self.source(self.operands[node][position])

    def constant(self, vertex: Any) -> Array | None:
        """The numbers of a constant or a number in the expression."""
        return None if isinstance(vertex, Node | Leaf) else self.values.get(vertex)

    def name(self, vertex: Any) -> str:
        """What a message calls a tensor."""
        tensor = self.tensors[vertex]
        return str(tensor.name or tensor.id)

    def softmax(self, vertex: Any) -> tuple[Any, Any, bool] | None:
        """If a tensor is a softmax, by the operation or by hand: of what, over which axes, and whether it was shifted."""
        if self.is_op(vertex, "softmax", "_shares"):
            return self.operand(vertex, 0), vertex.params["axis"], True
        if self.is_op(vertex, "divide"):
            e, total = self.operand(vertex, 0), self.operand(vertex, 1)
            if self.is_op(e, "exp") and self.is_op(total, "sum") and self.operand(total, 0) is e:
                x, shifted = self.operand(e, 0), False
                if self.is_op(x, "subtract"):
                    x, shifted = self.operand(x, 0), True
                return x, total.params["axis"], shifted
        return None


def lint(graph: Graph, root: Variable, parameters: Any = ()) -> Findings:
    """See `Graph.lint`."""
    look = Look(graph, root)
    found = [
        Finding(look.operations[node].id, name, why, write)
        for node in look.order
        for name, one in CHECKS.items()
        for why, write in one(node, look)
    ]
    return Findings([*_of_inputs(look), *found, *_unused(look, parameters)])


ON_PURPOSE = frozenset({"no_grad", "detach", "stop_gradient"})
ARITHMETIC = frozenset(["add", "subtract", "multiply", "divide", "matmul", "power", "tensordot", "_einsum"])


def _of_inputs(look: Look) -> Iterator[Finding]:
    """What is wrong with the inputs."""
    for vertex, tensor in look.tensors.items():
        whole = type(vertex) is Constant and vertex.dtype.kind in "iu" and vertex.shape
        if whole and any(user.op.name in ARITHMETIC for user in look.users[vertex]):
            yield Finding(
                tensor.id,
                "integer-leaf",
                f"{look.name(vertex)} is {vertex.dtype}: integers have no gradient, and a step that is added to them is cut off",
                "the numbers with a decimal point, or dtype=float, and requires_grad=True if it is to be learnt",
            )
        if isinstance(vertex, Cut) and vertex.dtype.kind in "fc" and vertex.why not in ON_PURPOSE:
            yield Finding(
                tensor.id,
                "unused-parameter",
                f"{look.name(vertex)} was computed from something that requires grad by {vertex.why}, which has no derivative: "
                f"what was before it, at {vertex.place}, gets no gradient",
                "a function with a slope, as tg.sigmoid for a step; or compute it under no_grad(), if that is meant",
            )
        if isinstance(vertex, Leaf) and not _differentiated(look, vertex):
            yield Finding(
                tensor.id,
                "unused-parameter",
                f"{look.name(vertex)} requires grad, and no gradient reaches it: it is used only where the operation has no "
                "derivative",
                "requires_grad=False, if that is meant; else see tg.explain_grad",
            )


def _differentiated(look: Look, leaf: Any) -> bool:
    return leaf is look.start or any(leaf is node.inputs[position] for node in look.users[leaf] for position, _ in node.active)


def _unused(look: Look, parameters: Any) -> Iterator[Finding]:
    """The parameters that are not in the graph."""
    named: Iterable[tuple[str, Any]]
    if hasattr(parameters, "named_parameters"):
        named = parameters.named_parameters()
    else:
        named = ((getattr(p, "name", None) or f"parameter {i}", p) for i, p in enumerate(parameters))
    for name, parameter in named:
        if getattr(parameter, "_node", None) not in look.tensors:
            yield Finding(
                None,
                "unused-parameter",
                f"{name} of shape {parameter.shape} is not in the graph: its gradient stays None, and an optimiser will not move "
                "it",
                "use it in forward, or remove it; if it should have been used, look for a layer that is called on the wrong tensor",
            )
