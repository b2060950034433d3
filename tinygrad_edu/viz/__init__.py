"""Pictures of recorded graphs. ``tensor.graph()`` makes a `Graph`; it needs Graphviz only when it is drawn."""

from tinygrad_edu.viz.comparison import diff
from tinygrad_edu.viz.graph import Graph
from tinygrad_edu.viz.structure import GraphEdge, GraphNode

__all__ = ["Graph", "GraphEdge", "GraphNode", "diff"]
