"""The recorded vertices behind a `Graph`: what they compute is asked of them, and what they are called of the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_edu.graph import Constant, Variable
from tinygrad_edu.viz.structure import operands_of, recorded, scopes_of
from tinygrad_edu.viz.values import recompute

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Node
    from tinygrad_edu.viz.graph import Graph
    from tinygrad_edu.viz.structure import GraphNode


class Vertices:
    """The vertices of a tensor's graph, and the graph's node for each.

    ``start`` is the tensor's own vertex, ``order`` are the operations in the order of the program, ``operands`` those of each of
    them, ``tensors`` the node of every vertex as a tensor, ``operations`` the node that made it.
    """

    def __init__(self, graph: Graph, root: Variable) -> None:
        self.root = root
        self.start: Any = root._node or Constant(root._data, root._data.shape, root._data.dtype)
        self.order: list[Node] = recorded(self.start)
        self.operands = operands_of(self.order)
        program = scopes_of(self.order, self.operands) or {self.start: ()}
        # The graph has its tensors in the same order.
        self.tensors: dict[Any, GraphNode] = dict(zip(program, [n for n in graph.nodes if n.kind == "tensor"], strict=True))
        nodes = {node.id: node for node in graph.nodes}
        made_by = {edge.target: nodes[edge.source] for edge in graph.edges if edge.position is None}
        self.operations: dict[Any, GraphNode] = {
            vertex: made_by[tensor.id] for vertex, tensor in self.tensors.items() if tensor.id in made_by
        }

    def computed(self) -> dict[Any, Array]:
        """The value of every vertex, as far as it can be known."""
        return recompute(self.root, self.tensors, self.operands)
