"""Pictures of recorded graphs. ``tensor.graph()`` makes a `Graph`; it needs Graphviz only when it is drawn."""

from tinygrad_edu.viz.comparison import diff
from tinygrad_edu.viz.graph import Graph
from tinygrad_edu.viz.lint import Finding, Findings
from tinygrad_edu.viz.receipt import Contribution, Receipt, Step, Value
from tinygrad_edu.viz.structure import GraphEdge, GraphNode

__all__ = ["Contribution", "Finding", "Findings", "Graph", "GraphEdge", "GraphNode", "Receipt", "Step", "Value", "diff"]
