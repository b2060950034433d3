"""The graph of the steps page: an SVG in which every box and every arrow says which nodes and which uses it stands for.

In a small graph each stands for one. A large one is folded, as every picture is: a box then stands for the same operation of each
round of a block, or for all of a module.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tinygrad_edu.viz.drawing import UNWRITABLE, draw
from tinygrad_edu.viz.layout import lay_out
from tinygrad_edu.viz.options import Options
from tinygrad_edu.viz.values import short

if TYPE_CHECKING:
    from tinygrad_edu.viz.graph import Graph
    from tinygrad_edu.viz.picture import Arrow, Box, Picture
    from tinygrad_edu.viz.receipt import Receipt
    from tinygrad_edu.viz.structure import GraphEdge, GraphNode

WHOLE = 200  # nodes, beyond which nobody finds the one that is meant: a larger graph is folded
BOXES = 150  # of a folded graph
LONGEST = 24  # characters of a name that a drawing has room for; the tables have the whole
SVG = "http://www.w3.org/2000/svg"


def is_folded(graph: Graph) -> bool:
    return len(graph.nodes) > WHOLE


def clean(text: str) -> str:
    """Text without what neither HTML nor XML has a place for."""
    return UNWRITABLE.sub("\ufffd", text)


def drawing(receipt: Receipt, graph: Graph, seconds: float) -> str:
    """The graph as SVG."""
    longest = _longest(receipt)
    nodes = tuple([replace(node, formula=None, label=_label(node, receipt, longest)) for node in graph.nodes])
    drawn = graph._with(nodes=nodes, show=(), options=Options(detail="full", max_nodes=BOXES if is_folded(graph) else None))
    picture = drawn._composed()
    for arrow in picture.arrows:
        if arrow.lines and picture.boxes[arrow.source].kind == "closed":  # its numbers would be there before they are computed
            shape = None if arrow.edge is None else graph[arrow.edge.source].shape
            arrow.lines = [str(shape)] if shape else []
    svg = lay_out(draw(picture, drawn.options).source, "svg", seconds).decode()
    return _marked(svg, picture, graph, longest, receipt)


def _longest(receipt: Receipt) -> dict[str, str]:
    """The longest gradient that a tensor ever shows: the drawing leaves room for it."""
    texts: dict[str, list[str]] = defaultdict(list, {receipt.root: [short(receipt.seed)]})
    for step in receipt.steps:
        for part in step.contributions:
            texts[part.target].append(short(part.total))
    return {id: max(reversed(found), key=len) for id, found in texts.items()}


def _label(node: GraphNode, receipt: Receipt, longest: Mapping[str, str]) -> str:
    if node.kind == "op":
        return node.label
    known = receipt.tensors[node.id].value
    name = node.name if not node.name or len(node.name) <= LONGEST else f"{node.name[: LONGEST - 1]}…"
    title = f"{name}  {node.shape}" if name and node.shape else name or (str(node.shape) if node.shape else "")
    lines = [*([title] if title else []), *([] if known is None else [f"value {short(known)}"])]
    return "\n".join([*lines, *([f"grad {longest[node.id]}"] if node.id in longest else [])])


# --------------------------------------------------------------------------------------------------- which box is whose


def homes(graph: Graph, picture: Picture) -> dict[str, str]:
    """For every node, the box that stands for it, as the id of the node that this looks like. What is not drawn, as a tensor
    inside of a closed box, is where the operation is that makes it or uses it."""
    found: dict[str, str] = {}
    for box in picture.boxes.values():
        for member in box.members or (box.node,):
            found.setdefault(member.id, box.node.id)
    result: dict[str, str] = {}  # of an operation's box
    for edge in graph.edges:
        if edge.position is not None:
            found.setdefault(edge.source, found[edge.target])
            continue
        box_id = found[edge.source]
        if edge.source == box_id and edge.target in found:
            result[box_id] = found[edge.target]
        found.setdefault(edge.target, result.get(box_id, box_id))
    return found


def uses(graph: Graph, picture: Picture, home: Mapping[str, str]) -> dict[int, list[GraphEdge]]:
    """For every arrow, by its number, the edges of the graph that it stands for."""
    between: dict[tuple[str, str], list[tuple[int, Arrow]]] = defaultdict(list)
    for number, arrow in enumerate(picture.arrows, 1):
        ends = [picture.boxes[id].node.id for id in (arrow.source, arrow.target)]
        between[ends[0], ends[1]].append((number, arrow))
    found: dict[int, list[GraphEdge]] = defaultdict(list)
    for edge in graph.edges:
        candidates = between.get((home[edge.source], home[edge.target]), [])
        exact = [number for number, arrow in candidates if arrow.edge is not None and arrow.edge == edge]
        alike = [number for number, arrow in candidates if arrow.edge is not None and arrow.edge.position == edge.position]
        for number in exact or alike or [number for number, _ in candidates]:
            found[number].append(edge)
    return found


def _marked(svg: str, picture: Picture, graph: Graph, longest: Mapping[str, str], receipt: Receipt) -> str:
    """The SVG that Graphviz made, with what its groups stand for; and without what a page has no use for: sizes, which the script
    sets, a white background, and titles, which would cover the numbers."""
    ET.register_namespace("", SVG)
    root = ET.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", svg))
    home = homes(graph, picture)
    inside: dict[str, list[str]] = defaultdict(list)
    for node in graph.nodes:
        inside[home[node.id]].append(node.id)
    edges = uses(graph, picture, home)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "group")
    root.set("aria-label", f"The graph of {clean(receipt.called(receipt.root))}")
    for group in list(root.iter(f"{{{SVG}}}g")):
        kind, id = group.get("class"), group.attrib.pop("id", "")
        title = group.find(f"{{{SVG}}}title")
        if title is not None:
            group.remove(title)
        if kind == "graph":
            for polygon in group.findall(f"{{{SVG}}}polygon"):
                group.remove(polygon)
        elif kind == "node":
            _mark_box(group, picture.boxes[id], inside, longest, receipt)
        elif kind == "edge":
            arrow = picture.arrows[int(id[1:]) - 1]
            found = edges[int(id[1:])]
            group.set("id", id)
            group.set("data-uses", ";".join(map(_written, found)))
            group.set("data-source", picture.boxes[arrow.source].node.id)
            group.set("data-target", picture.boxes[arrow.target].node.id)
            group.set("aria-hidden", "true")
    return ET.tostring(root, encoding="unicode")


def _written(edge: GraphEdge) -> str:
    return f"{edge.source} {edge.target} {'y' if edge.position is None else edge.position}"


def _mark_box(group: ET.Element, box: Box, inside: Mapping[str, list[str]], longest: Mapping[str, str], receipt: Receipt) -> None:
    node = box.node
    nodes = inside[node.id]
    group.set("id", f"node-{box.id}")
    group.set("data-id", node.id)
    group.set("data-nodes", " ".join(nodes))
    group.set("class", f"node {node.role or 'op'}")
    group.set("role", "img")
    if len(nodes) > 1:
        group.set("aria-label", clean(", ".join(box.lines) or f"{len(nodes)} tensors"))
    elif node.kind == "op":
        group.set("aria-label", f"operation {node.op}")
    else:
        group.set("aria-label", clean(receipt.called(node.id)))
        lines = group.findall(f"{{{SVG}}}text")
        # A copy says last which use it is for.
        for line, kind in zip(reversed(lines[:-1] if box.copied else lines), _numbers(node, longest, receipt), strict=False):
            line.set("class", kind)


def _numbers(node: GraphNode, longest: Mapping[str, str], receipt: Receipt) -> Iterator[str]:
    """What the last lines of a tensor are, from the last one up: a name may say anything."""
    if node.id in longest:
        yield "grad"
    if receipt.tensors[node.id].value is not None:
        yield "value"
