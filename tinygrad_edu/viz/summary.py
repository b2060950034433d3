"""A graph as a table of what its operations cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinygrad_edu.viz.cost import in_bytes, in_seconds
from tinygrad_edu.viz.text import frame

if TYPE_CHECKING:
    from tinygrad_edu.viz.picture import Picture
    from tinygrad_edu.viz.structure import GraphEdge, GraphNode

HEAD = ("", "operation", "module", "result", "parameters", "FLOPs", "saved", "time")
NUMBERS = HEAD[4:]  # what stands at the right of its column


def table(picture: Picture, nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> str:
    """One line for each box of a picture that is an operation or many, and the totals."""
    parameters = first_uses(nodes, edges)
    made = {edge.source: edge.target for edge in edges if edge.position is None}
    shapes = {node.id: node.shape for node in nodes}
    rows: list[tuple[str, ...]] = [HEAD]
    for box in picture.boxes.values():
        if box.kind != "tensor":
            shape = shapes.get(made.get(box.members[-1].id, ""))
            scope = " / ".join(map(frame, box.path))
            title = box.lines[0] + (f" × {box.times:,}" if box.times > 1 and "×" not in box.lines[0] else "")
            rows.append((box.id, title, scope, "" if shape is None else str(shape), *numbers(box.members, parameters)))
    operations = [node for node in nodes if node.kind == "op"]
    rows.append(("total", f"{len(operations):,} operations", "", "", *numbers(operations, parameters)))
    columns = [k for k in range(len(HEAD)) if any(row[k] for row in rows[1:])]  # without time where nobody measured it
    widths = {k: max(len(row[k].replace("\n", " ")) for row in rows) for k in columns}
    return "\n".join("  ".join(placed(row[k], widths[k], k) for k in columns).rstrip() for row in rows)


def placed(text: str, width: int, column: int) -> str:
    text = text.replace("\n", " ")
    return f"{text:>{width}}" if HEAD[column] in NUMBERS else f"{text:<{width}}"


def first_uses(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> dict[str, int]:
    """For every operation, the elements of the leaves that it is the first to use."""
    sizes = {node.id: node.size or 0 for node in nodes if node.role == "leaf"}
    found: dict[str, int] = {}
    for edge in edges:
        if edge.source in sizes:
            found[edge.target] = found.get(edge.target, 0) + sizes.pop(edge.source)
    return found


def numbers(operations: Sequence[GraphNode], parameters: dict[str, int]) -> tuple[str, ...]:
    """Parameters, FLOPs, bytes and seconds of some operations together."""
    mine = sum(parameters.get(op.id, 0) for op in operations)
    known = [op.flops for op in operations if op.flops is not None]
    saved = [op.memory for op in operations if op.memory is not None]
    times = [op.time for op in operations if op.time is not None]
    return (
        f"{mine:,}" if mine else "",
        f"{sum(known):,}" if known else "?",
        in_bytes(sum(saved)) if saved else "",
        in_seconds(sum(times)) if times else "",
    )
