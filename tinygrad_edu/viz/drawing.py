"""A graph as DOT text: how its nodes look, in which order and boxes they stand, and how text gets into them unharmed."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_edu.errors import MissingError

if TYPE_CHECKING:
    import graphviz  # type: ignore[import-untyped]

    from tinygrad_edu.viz.structure import GraphEdge, GraphNode, Scope

FONT = "Helvetica,Arial,sans-serif"
GRAPH = {"bgcolor": "white", "nodesep": "0.3", "ranksep": "0.28"}
NODE = {"fontname": FONT, "fontsize": "14", "height": "0.3", "margin": "0.12,0.06"}
EDGE = {"fontname": FONT, "fontsize": "12", "fontcolor": "#444444", "color": "#555555", "arrowsize": "0.7"}
MODULE = {
    "fontname": FONT,
    "fontsize": "13",
    "fontcolor": "#444455",
    "labeljust": "l",
    "style": "rounded,filled",
    "color": "#B8B8C4",
    "fillcolor": "#F6F6FA",
}

# Shape tells the role, and so does colour: blue and orange, which every kind of colour vision tells apart.
OPERATION = {
    "shape": "box",
    "style": "rounded,filled",
    "color": "#222222",
    "fillcolor": "white",
    "penwidth": "1.6",
    "fontsize": "16",
}
ROUND = {"shape": "ellipse", "style": "filled", "penwidth": "1.6", "margin": "0.03"}
TENSOR = {
    "leaf": ROUND | {"color": "#0072B2", "fillcolor": "#CFE8F7"},
    "constant": {"shape": "box", "style": "filled", "color": "#777777", "fillcolor": "#EBEBEB"},
    "intermediate": {"shape": "plain", "margin": "0.05"},
    "result": ROUND | {"color": "#B35A00", "fillcolor": "#FDE3B8", "peripheries": "2"},
}

HIGHLIGHT = {"color": "#C00000", "fillcolor": "#FFD9D9", "fontcolor": "#900000", "penwidth": "3"}

# Operations whose operands may change places, so that the picture need not name them.
COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum"})

# In a graph of more operations than LARGE, an input is drawn again for a use that is more than NEAR operations away from its last
# drawing. Long arrows are hard to follow, and many of them, as from a recurrent network's weights to each of its steps, keep
# Graphviz busy for minutes.
LARGE = 60
NEAR = 12

ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\t": " ", "\r": " "})
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def text(label: str) -> str:
    """A label in DOT's notation, so that it is shown as it was written: Graphviz decodes backslashes and entities, and takes what
    stands in angle brackets for HTML. It and SVG have no place for control characters and halves of surrogate pairs, which become
    U+FFFD; tabs and carriage returns become spaces."""
    return UNWRITABLE.sub("\ufffd", label.translate(ESCAPES))


def draw(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> graphviz.Digraph:
    """The picture of a graph, with a box around what belongs to a module. A DOT id is never made of a user's text, in which a colon
    would name a port."""
    graphviz = _package()
    picture = graphviz.Digraph(name="graph", graph_attr=GRAPH, node_attr=NODE, edge_attr=EDGE)
    boxes: dict[Scope, Any] = {(): picture}
    drawn, arrows = place(nodes, edges)
    # The operations to which it matters which operand is which.
    named = {edge.target for edge in edges if edge.position and drawn[edge.target].op not in COMMUTATIVE}
    for id, node in drawn.items():
        for depth in range(1, len(node.scope) + 1):
            scope = node.scope[:depth]
            if scope not in boxes:
                attributes = MODULE | {"label": text(scope[-1])}
                boxes[scope] = graphviz.Digraph(name=f"cluster_{len(boxes)}", graph_attr=attributes)
        style = dict(TENSOR[node.role] if node.role else OPERATION)
        if node.role == "intermediate" and not node.label:
            style = {"shape": "point", "width": "0.08"}  # arrows to and from an empty text would disappear
        if node.formula:
            style["tooltip"] = text(node.formula)
        if node.highlight:
            style |= HIGHLIGHT
        if id in named:
            style["ordering"] = "in"
        boxes[node.scope].node(id, label=text(node.label), **style)
    for scope in sorted(boxes, key=len, reverse=True)[:-1]:  # a box is complete before it is put into the one around it
        boxes[scope[:-1]].subgraph(boxes[scope])
    for id, edge in arrows:
        style = tension(edge, drawn[id], drawn[edge.target])
        if edge.operand and edge.target in named:
            style["label"] = text(f" {edge.operand} ")
        picture.edge(id, edge.target, **style)
    return picture


def place(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> tuple[dict[str, GraphNode], list[tuple[str, GraphEdge]]]:
    """What is drawn under which DOT id, and every edge with the DOT id that it starts from. All is in the order of the program, of
    which Graphviz mostly makes an order from left to right; in a large graph, an input comes again where it is far away."""
    into: dict[str, list[GraphEdge]] = defaultdict(list)
    for edge in edges:
        into[edge.target].append(edge)
    drawn: dict[str, GraphNode] = {}
    arrows: list[tuple[str, GraphEdge]] = []
    latest: dict[str, tuple[str, int]] = {}  # an input's latest drawing, and the number of the operation that it was made for
    copies: Counter[str] = Counter()
    number = 1
    near = NEAR if sum(node.kind == "op" for node in nodes) > LARGE else math.inf
    for node in nodes:
        for edge in into[node.id]:
            id, since = latest.get(edge.source, (edge.source, number))
            if number - since > near:
                copies[edge.source] += 1
                id = f"{edge.source}_{copies[edge.source]}"
                latest[edge.source] = id, number
                drawn[id] = drawn[edge.source]
            arrows.append((id, edge))
        drawn[node.id] = node
        if node.kind == "op":
            number += 1
        elif not into[node.id]:
            latest[node.id] = node.id, number
    return drawn, arrows


def tension(edge: GraphEdge, source: GraphNode, target: GraphNode) -> dict[str, str]:
    """How hard an arrow pulls: the main line of a computation stands straight, and inputs come to it from the side."""
    if edge.position is None:
        return {"weight": "4"}
    if source.role in ("leaf", "constant"):
        return {}
    # A module begins below what it is given; its parameters would otherwise stand beside that, and the box too.
    return {"weight": "2"} if source.scope == target.scope else {"weight": "2", "minlen": "2"}


def _package() -> Any:
    try:
        import graphviz
    except ImportError as error:
        raise MissingError("a picture needs the Python package graphviz: pip install graphviz") from error
    return graphviz
