"""A graph for other programs: JSON, and networkx."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import MissingError

if TYPE_CHECKING:
    from tinygrad_edu.viz.structure import GraphEdge, GraphNode


def as_json(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge], indent: int | None) -> str:
    """The graph in JSON. What is None or empty is left out."""
    content = {"nodes": [facts(node) for node in nodes], "edges": [facts(edge) for edge in edges]}
    plain = {kind: [{name: simple(value) for name, value in entry.items()} for entry in many] for kind, many in content.items()}
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=indent).encode(errors="backslashreplace").decode() + "\n"


def as_networkx(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> Any:
    """The graph in networkx."""
    try:
        import networkx as nx
    except ImportError as error:
        raise MissingError("Graph.networkx() needs the package networkx: pip install 'tinygrad-edu[networkx]'") from error
    graph: Any = nx.MultiDiGraph()
    graph.add_nodes_from((node.id, facts(node)) for node in nodes)
    graph.add_edges_from((edge.source, edge.target, facts(edge)) for edge in edges)
    return graph


def facts(entry: GraphNode | GraphEdge) -> dict[str, Any]:
    """What is known of a node or an edge, by name; but not the number that a process happened to give it."""
    found = {slot.name: getattr(entry, slot.name) for slot in fields(entry) if slot.name != "serial"}
    return {
        name: value
        for name, value in found.items()
        if value is not None and value is not False and (name == "shape" or not is_empty(value))
    }


def is_empty(value: Any) -> bool:
    return isinstance(value, tuple) and not value


def simple(value: Any) -> Any:
    """A value as JSON can write it."""
    if isinstance(value, np.ndarray):
        return simple(value.tolist())
    if isinstance(value, list | tuple):
        return [simple(part) for part in value]
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, complex):
        return [simple(value.real), simple(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
