"""The page that goes through forward and backward, one step at a time: one file, which needs nothing beside it.

`page` puts five things into ``steps.html``: the style and the script that stand beside it, the drawing, which Graphviz has laid out
and in which nodes and edges can be found by their ids, the numbers as JSON, and a policy under which the page can load nothing and
run nothing but that script.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.viz.drawing import UNWRITABLE
from tinygrad_edu.viz.layout import lay_out
from tinygrad_edu.viz.mathml import mathml
from tinygrad_edu.viz.options import Options
from tinygrad_edu.viz.receipt_text import as_text
from tinygrad_edu.viz.values import written

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array
    from tinygrad_edu.viz.graph import Graph
    from tinygrad_edu.viz.receipt import Receipt, Step
    from tinygrad_edu.viz.structure import GraphNode

MOST = 200  # nodes, beyond which nobody finds the one that is meant
LONGEST = 24  # characters of a name that a drawing has room for; the tables have the whole
MOST_ELEMENTS = 32  # of a matrix that is written out
PHONE = 32  # digits that have room beside each other on a phone
GUTTER = 1.6  # digits that would have room between two columns
SVG = "http://www.w3.org/2000/svg"
SECONDS = 10.0  # the longest that Graphviz may take
HERE = Path(__file__).parent


def page(receipt: Receipt, seconds: float = SECONDS) -> str:
    """The page as one HTML document. Graphviz may take ``seconds`` to lay the graph out."""
    graph = receipt.graph
    if graph is None:
        raise ArgumentError("html: the receipt was read from JSON and has no graph to draw; write the page where the graph is")
    if len(graph.nodes) > MOST:
        raise ArgumentError(
            f"a page can be followed up to {MOST} nodes, and the graph has {len(graph.nodes)}: take a smaller batch of steps, "
            "such as the loss of one layer or one time step, or print(graph.steps()), which has no limit"
        )
    style, script = [(HERE / f"steps.{suffix}").read_text("utf-8") for suffix in ("css", "js")]
    title = f"Backpropagation from {_clean(receipt.called(receipt.root))}"
    texts = {
        "policy": f"default-src 'none'; img-src data:; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'",
        "title": html.escape(title),
        "style": style,
        "script": script,
        "svg": drawing(receipt, graph, seconds),
        # No < can end the script or begin a comment in it.
        "trace": as_text(json.dumps(trace(receipt, graph), ensure_ascii=False)).replace("<", "\\u003c"),
    }
    # In one pass, so that nothing in a text is taken for a place.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: texts[place[1]], (HERE / "steps.html").read_text("utf-8"))


def _clean(text: str) -> str:
    """Text without what neither HTML nor XML has a place for."""
    return UNWRITABLE.sub("\ufffd", text)


def page_of(graph: Graph, seconds: float) -> str:
    """The page of a graph, for ``render``."""
    return page(graph.steps(), seconds)


def in_a_frame(receipt: Receipt, height: int = 720) -> str:
    """The page within another one: a frame that may run its own script, and neither reach the page around it nor the network."""
    inside = html.escape(page(receipt))
    about = f"Backpropagation from {html.escape(_clean(receipt.called(receipt.root)))}, step by step"
    return (
        f'<iframe sandbox="allow-scripts" title="{about}" srcdoc="{inside}" '
        f'style="width: 100%; height: {height}px; border: 1px solid #c3c7d0;"></iframe>'
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# ----------------------------------------------------------------------------------------------------------------- the numbers


def trace(receipt: Receipt, graph: Graph) -> dict[str, Any]:
    """What the script reads: the tensors, and a state for each step."""
    nodes = {node.id: node for node in graph.nodes}
    into: dict[str, list[tuple[str, str]]] = defaultdict(list)
    made: dict[str, str] = {}
    for edge in graph.edges:
        if edge.position is None:
            made[edge.source] = edge.target
        else:
            into[edge.target].append((edge.operand or "", edge.source))
    steps = {step.node: step for step in receipt.steps}
    forward = [
        _forward(node, into[node.id], made[node.id], steps.get(node.id), receipt) for node in graph.nodes if node.kind == "op"
    ]
    states = [
        {
            "kind": "start",
            "heading": "Before anything is computed",
            "note": "Only the inputs have values. The next steps compute forward, in the order of the program; then the gradients "
            "flow backward, against the arrows.",
            "say": "Only the inputs have values.",
        },
        *forward,
        {
            "kind": "seed",
            "node": receipt.root,
            "heading": "The seed of backward",
            "formula": mathml(f"∂L/∂y = {written(receipt.seed)}") if receipt.seed.size == 1 else None,
            "cotangent": value(receipt.seed),
            "note": f"L is {receipt.called(receipt.root)} itself: its derivative with respect to itself is what backward starts "
            "with.",
            "say": f"The seed: {receipt.called(receipt.root)} gets {written(receipt.seed)}.",
        },
        *_backward(receipt, graph),
    ]
    tensors = {
        node.id: {
            "name": node.name,
            "role": node.role,
            "shape": str(node.shape),
            "dtype": "" if node.dtype is None else str(node.dtype),
            "value": None if (known := receipt.tensors[node.id].value) is None else value(known),
        }
        for node in nodes.values()
        if node.kind == "tensor"
    }
    inputs = [node.id for node in graph.nodes if node.kind == "tensor" and node.id not in made.values()]
    return {"root": receipt.root, "inputs": inputs, "tensors": tensors, "states": states}


def _forward(node: GraphNode, operands: list[tuple[str, str]], result: str, step: Step | None, receipt: Receipt) -> dict[str, Any]:
    formula = (node.formula or "").split("    ")[0]
    known = receipt.tensors[result].value
    said = "" if known is None else f" {receipt.called(result)} is {written(known)}."
    return {
        "kind": "forward",
        "node": node.id,
        "result": result,
        "operands": operands,
        "params": step.params if step else {},
        "heading": f"Forward: {node.op} ({node.id})",
        "formula": mathml(formula, [name for name, _ in operands]) if formula else None,
        "say": f"Forward through {node.op}.{said}",
    }


def _backward(receipt: Receipt, graph: Graph) -> Iterator[dict[str, Any]]:
    totals: dict[str, Array] = {}
    for number, step in enumerate(receipt.steps, 1):
        names = [name for name, _ in step.operands]
        parts = []
        for part in step.contributions:
            # Which use of the tensor it is, where an operation uses one twice.
            position = names.index(part.operand)
            rule = mathml(part.rule, names) if part.rule else None
            facts = {
                "operand": part.operand,
                "target": part.target,
                "position": str(position),
                "rule": rule,
                "earlier": part.earlier,
            }
            before = {"before": value(totals[part.target])} if part.earlier else {}
            parts.append(facts | before | {"value": value(part.value), "total": value(part.total)})
            totals[part.target] = part.total
        said = [
            f"{receipt.called(part.target)} gets {written(part.value)}"
            + (f", in all {written(part.total)}" if part.earlier else "")
            for part in step.contributions
        ]
        yield {
            "kind": "backward",
            "node": step.node,
            "result": step.result,
            "operands": step.operands,
            "params": step.params,
            "heading": f"Backward {number} of {len(receipt)}: {step.op} ({step.node})",
            "formula": mathml(step.formula, names) if step.formula else None,
            "cotangent": value(step.cotangent),
            "parts": parts,
            "say": f"Backward through {step.op}: {'; '.join(said)}.",
        }


def value(array: Array) -> dict[str, Any]:
    """An array for the page: in a line, in few characters, and, where it is small, in rows."""
    rows = None
    if array.ndim <= 2 and 1 < array.size <= MOST_ELEMENTS:
        rows = [[written(element) for element in row] for row in np.atleast_2d(array)]
        if sum(GUTTER + max(map(len, column)) for column in zip(*rows, strict=True)) > PHONE:
            rows = None
    return {"text": written(array), "short": short(array), "rows": rows}


def short(array: Array) -> str:
    """An array in so few characters that a node of a drawing has room for them."""
    if array.size == 1 or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        return written(array) if array.size == 1 else f"{array.size} numbers"
    if array.ndim == 1 and array.size <= 3:
        return f"[{', '.join(f'{x:.3g}' for x in array.tolist())}]"
    low, high = (f"{x:.3g}" for x in (array.min(), array.max())) if array.size else ("", "")
    return f"all {low}" if low == high else f"{low} … {high}"


# ----------------------------------------------------------------------------------------------------------------- the drawing


def drawing(receipt: Receipt, graph: Graph, seconds: float) -> str:
    """The graph as SVG, whose nodes and edges say which ones they are."""
    longest = _longest(receipt)
    nodes = tuple([replace(node, formula=None, label=_label(node, receipt, longest)) for node in graph.nodes])
    drawn = graph._with(nodes=nodes, show=(), options=Options(detail="full", max_nodes=None))
    picture = lay_out(drawn.dot().source, "svg", seconds).decode()
    return _marked(picture, {node.id: node for node in graph.nodes}, graph, longest, receipt)


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


def _marked(picture: str, nodes: Mapping[str, GraphNode], graph: Graph, longest: Mapping[str, str], receipt: Receipt) -> str:
    """The SVG that Graphviz made, with the ids of the graph on its groups; and without what a page has no use for: sizes, which the
    script sets, a white background, and titles, which would cover the numbers."""
    ET.register_namespace("", SVG)
    svg = ET.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", picture))
    positions: dict[tuple[str, str], list[int | None]] = defaultdict(list)
    for edge in graph.edges:
        positions[edge.source, edge.target].append(edge.position)
    for name in ("width", "height"):
        svg.attrib.pop(name, None)
    svg.set("role", "group")
    svg.set("aria-label", f"The graph of {_clean(receipt.called(receipt.root))}")
    groups = list(svg.iter(f"{{{SVG}}}g"))
    for group in groups:
        kind = group.get("class")
        group.attrib.pop("id", None)
        title = group.find(f"{{{SVG}}}title")
        drawn = "" if title is None else title.text or ""
        if title is not None:
            group.remove(title)
        if kind == "graph":
            for polygon in group.findall(f"{{{SVG}}}polygon"):
                group.remove(polygon)
        elif kind == "node":
            # In a large graph an input is drawn several times: i3, i3_1, i3_2.
            node = nodes[drawn if drawn in nodes else drawn.rpartition("_")[0]]
            group.set("id", f"node-{drawn}")
            group.set("data-id", node.id)
            group.set("class", f"node {node.role or 'op'}")
            group.set("role", "img")
            group.set("aria-label", f"operation {node.op}" if node.kind == "op" else _clean(receipt.called(node.id)))
            # A copy says last which use it is for.
            lines = group.findall(f"{{{SVG}}}text")
            _mark_lines(lines if drawn in nodes else lines[:-1], node, receipt, longest)
        elif kind == "edge":
            source, _, target = drawn.partition("->")
            source = source if source in nodes else source.rpartition("_")[0]
            several = positions[source, target]
            position = several.pop(0) if len(several) > 1 else several[0]
            group.set("id", f"edge-{drawn.replace('->', '-')}-{'y' if position is None else position}")
            group.set("data-source", source)
            group.set("data-target", target)
            group.set("data-position", "" if position is None else str(position))
            group.set("aria-hidden", "true")
    return ET.tostring(svg, encoding="unicode")


def _mark_lines(lines: list[Any], node: GraphNode, receipt: Receipt, longest: Mapping[str, str]) -> None:
    """Tell the lines with the value and the gradient, which are the last ones: a name may say anything."""
    if node.kind == "op":
        return
    ends = [*(["value"] if receipt.tensors[node.id].value is not None else []), *(["grad"] if node.id in longest else [])]
    for line, kind in zip(lines[len(lines) - len(ends) :], ends, strict=True):
        line.set("class", kind)
