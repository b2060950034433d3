"""What is asked of a graph: a node by its name, its neighbours, the part between two tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.graph import Variable

if TYPE_CHECKING:
    from tinygrad_edu.viz.structure import GraphEdge, GraphNode


class Index:
    """A graph's nodes by id, and the edges into and out of each. Every walk is a loop over a list."""

    def __init__(self, nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> None:
        self.nodes = nodes
        self.edges = edges
        self.by_id = {node.id: node for node in nodes}
        self.into: dict[str, list[GraphEdge]] = {node.id: [] for node in nodes}
        self.out: dict[str, list[GraphEdge]] = {node.id: [] for node in nodes}
        for edge in edges:
            self.into[edge.target].append(edge)
            self.out[edge.source].append(edge)

    def node(self, key: str | GraphNode | Variable) -> GraphNode:
        """The node that is meant by an id, a name, a tensor or a node."""
        if isinstance(key, Variable):
            serial = None if key._node is None else key._node.serial
            found = [node for node in self.nodes if node.kind == "tensor" and node.serial == serial is not None]
            what = f"the tensor {key.name or ''!r} of shape {key.shape}"  # type: ignore[attr-defined]
        else:
            id = key if isinstance(key, str) else key.id
            if id in self.by_id:
                return self.by_id[id]
            found = [node for node in self.nodes if node.name == id]
            what = f"{id!r}"
        if len(found) != 1:
            how = (
                f"the name of {len(found)} tensors; use an id: {', '.join(node.id for node in found)}"
                if found
                else ("not in the graph. Nodes are called i1 (inputs), o1 (operations) and t1 (results), or by a tensor's name")
            )
            raise ArgumentError(f"graph: {what} is {how}")
        return found[0]

    def before(self, key: str | GraphNode | Variable) -> tuple[GraphNode, ...]:
        return tuple(self.by_id[edge.source] for edge in self.into[self.node(key).id])

    def after(self, key: str | GraphNode | Variable) -> tuple[GraphNode, ...]:
        return tuple(self.by_id[edge.target] for edge in self.out[self.node(key).id])

    def between(self, source: Any, target: Any) -> tuple[list[GraphNode], list[GraphEdge]]:
        """The nodes on a path from one to the other, those with the operands of operations among them that come from elsewhere."""
        first, last = self.node(source).id, self.node(target).id
        onward = self._reached([first], self.out, "target")
        path = onward & self._reached([last], self.into, "source")
        if not path:
            raise ArgumentError(f"between({first!r}, {last!r}): no path leads from the first to the second")
        edges = [edge for edge in self.edges if edge.target in path and edge.target != first]
        kept = path.union(edge.source for edge in edges)
        return [node for node in self.nodes if node.id in kept], edges

    @staticmethod
    def _reached(start: Iterable[str], edges: Mapping[str, Sequence[GraphEdge]], end: str) -> set[str]:
        order = list(start)
        seen = set(order)
        for id in order:
            for edge in edges[id]:
                other = getattr(edge, end)
                if other not in seen:
                    seen.add(other)
                    order.append(other)
        return seen
