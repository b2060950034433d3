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
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.viz.mathml import mathml
from tinygrad_edu.viz.page_drawing import clean, drawing, is_folded
from tinygrad_edu.viz.receipt_text import as_text
from tinygrad_edu.viz.values import short, written

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array
    from tinygrad_edu.viz.graph import Graph
    from tinygrad_edu.viz.receipt import Receipt, Step
    from tinygrad_edu.viz.structure import GraphNode

MOST = 2000  # nodes, beyond which nobody goes through the steps
MOST_ELEMENTS = 32  # of a matrix that is written out
PHONE = 32  # digits that have room beside each other on a phone
GUTTER = 1.6  # digits that would have room between two columns
SECONDS = 10.0  # the longest that Graphviz may take
HERE = Path(__file__).parent


def page(receipt: Receipt, seconds: float = SECONDS) -> str:
    """The page as one HTML document. Graphviz may take ``seconds`` to lay the graph out."""
    graph = receipt.graph
    if graph is None:
        raise ArgumentError("html: the receipt was read from JSON and has no graph to draw; write the page where the graph is")
    if len(graph.nodes) > MOST:
        raise ArgumentError(
            f"a page can be followed up to {MOST:,} nodes, and the graph has {len(graph.nodes):,}: take less of it, such as one "
            "layer or a few time steps, or print(graph.steps()), which has no limit"
        )
    style, script = [(HERE / f"steps.{suffix}").read_text("utf-8") for suffix in ("css", "js")]
    title = f"Backpropagation from {clean(receipt.called(receipt.root))}"
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


def page_of(graph: Graph, seconds: float) -> str:
    """The page of a graph, for ``render``."""
    return page(graph.steps(), seconds)


def in_a_frame(receipt: Receipt, height: int = 720) -> str:
    """The page within another one: a frame that may run its own script, and neither reach the page around it nor the network."""
    inside = html.escape(page(receipt))
    about = f"Backpropagation from {html.escape(clean(receipt.called(receipt.root)))}, step by step"
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
            "flow backward, against the arrows."
            + (" The graph is folded: a box stands for several operations, and lights up for each." if is_folded(graph) else ""),
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
