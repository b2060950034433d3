"""A picture as DOT text: how boxes look, in which order they stand, and how text gets into them unharmed."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import MissingError
from tinygrad_edu.graph import Backward
from tinygrad_edu.viz.folding import Repeated
from tinygrad_edu.viz.options import DIRECTIONS
from tinygrad_edu.viz.themes import CLUSTER, EDGE, GRAPH, NODE, SHAPES, THEMES, Theme

if TYPE_CHECKING:
    import graphviz  # type: ignore[import-untyped]

    from tinygrad_edu.viz.options import Options
    from tinygrad_edu.viz.picture import Arrow, Box, Path, Picture

# In a picture of more boxes, Graphviz puts less effort into straight lines, keeps no room for what stands beside arrows, and these
# do not name operands: each of their labels would cost as much time as a box.
LARGE = 300
EFFORT = "0.1"  # iterations for each node; more are hardly seen

ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\t": " ", "\r": " "})
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def text(label: str) -> str:
    """A label in DOT's notation, so that it is shown as it was written: Graphviz decodes backslashes and entities, and takes what
    stands in angle brackets for HTML. It and SVG have no place for control characters and halves of surrogate pairs, which become
    U+FFFD; tabs and carriage returns become spaces."""
    return UNWRITABLE.sub("\ufffd", label.translate(ESCAPES))


def draw(picture: Picture, options: Options) -> graphviz.Digraph:
    """The picture in DOT, with a box around what belongs to a module. A DOT id is never made of a user's text, in which a colon
    would name a port."""
    graphviz = _package()
    theme = THEMES[options.theme]
    drawing = graphviz.Digraph(
        name="graph",
        graph_attr={**GRAPH, "bgcolor": theme.background, "rankdir": DIRECTIONS[options.direction]},
        node_attr={**NODE, "fontcolor": theme.text, "color": theme.line},
        edge_attr={**EDGE, "fontcolor": theme.quiet, "color": theme.line},
    )
    large = len(picture.boxes) > LARGE
    if large:
        drawing.attr(nslimit=EFFORT, nslimit1=EFFORT)
    frames: dict[Path, Any] = {(): drawing}
    warmth = warmth_of(picture)
    ranks = depths(picture.arrows)
    narrow = columns(picture.boxes.values(), ranks) if options.direction in ("down", "up") else {}
    named = {arrow.target for arrow in picture.arrows if arrow.operand}  # where it matters which operand is which
    for id, box in picture.boxes.items():
        for depth in range(1, len(box.path) + 1):
            path = box.path[:depth]
            if path not in frames:
                frames[path] = graphviz.Digraph(name=f"cluster_{len(frames)}", graph_attr=frame(path[-1], theme))
        style = look(box, theme, warmth.get(id))
        if id in named and options.direction in ("down", "up"):
            style["ordering"] = "in"
        frames[box.path].node(id, label=text("\n".join(box.lines)), id=id, **style)
    for path in sorted(frames, key=len, reverse=True)[:-1]:  # a box is complete before it is put into the one around it
        frames[path[:-1]].subgraph(frames[path])
    heat = heat_of(picture.arrows)
    for number, arrow in enumerate(picture.arrows):
        spine = ranks[arrow.source] + 1 == ranks[arrow.target]
        style = line(arrow, picture, theme, heat.get(number), spine)
        label = "\n".join(words(arrow) if not large else arrow.lines)
        if label:
            style["xlabel" if large else "label"] = text(f" {label} ".replace("\n", " \n "))
        end = entered(picture.boxes[arrow.source], picture.boxes[arrow.target], narrow)
        if end:
            style["lhead"] = frames[end].name
        drawing.edge(arrow.source, arrow.target, id=f"e{number + 1}", **style)
    return drawing


def columns(boxes: Iterable[Box], ranks: Mapping[str, int]) -> dict[Path, str]:
    """The frames in which no box stands beside another, and the box that stands first in each. An arrow into it would cross the
    frame's name, and ends at the frame instead."""
    found: dict[Path, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for box in boxes:
        for depth in range(1, len(box.path) + 1):
            found[box.path[:depth]][ranks.get(box.id, 0)].append(box.id)
    return {path: rows[min(rows)][0] for path, rows in found.items() if all(len(row) == 1 for row in rows.values())}


def entered(source: Box, target: Box, narrow: Mapping[Path, str]) -> Path | None:
    """The outermost frame that an arrow ends at."""
    paths = [target.path[:depth] for depth in range(1, len(target.path) + 1)]
    return next((path for path in paths if narrow.get(path) == target.id and source.path[: len(path)] != path), None)


def frame(entry: Any, theme: Theme) -> dict[str, str]:
    """The look of a box around others: a module's, or a repeated block's."""
    repeated = isinstance(entry, Repeated)
    colour, fill = theme.block if repeated else theme.module
    if isinstance(entry, Backward):
        colour = theme.orders[(entry.order - 1) % len(theme.orders)][0]
    return {
        **CLUSTER,
        "label": f"× {entry.times:,}" if repeated else text(entry),
        "style": "rounded,filled,dashed" if repeated else "rounded,filled",
        "color": colour,
        "fillcolor": fill,
        "fontcolor": theme.quiet,
        **({"fontsize": "18"} if repeated else {}),
    }


def look(box: Box, theme: Theme, warmth: int | None) -> dict[str, str]:
    """The attributes of a box."""
    node = box.node
    shape: str = node.role or "op"
    colour = shape
    if box.kind == "closed":
        shape = colour = "closed"
    elif box.kind == "op":
        shape = "derivative" if node.order else {1: "spread", -1: "gather"}.get(box.flow, "op") if len(box.lines) == 1 else "op"
    if shape == "intermediate" and not any(box.lines):
        shape = "point"  # arrows to and from an empty text would disappear
    style = dict(SHAPES[shape])
    colours = theme.colours.get(colour)
    if box.kind == "op" and node.order:
        colours = theme.orders[(node.order - 1) % len(theme.orders)]
    if box.change:
        colours = theme.changes[box.change]
        style |= {"penwidth": "2.6", "style": style.get("style", "filled")}
        if box.change == "removed":
            style["style"] += ",dashed"
    if colours:
        style["color"], style["fillcolor"], style["fontcolor"] = colours
    if warmth is not None:
        style["fillcolor"] = theme.warmth[warmth]
    if box.copied:
        style["style"] += ",dashed"
    if (box.flags or box.red) and style["shape"] == "plain":
        style |= {"shape": "box", "style": "filled", "fillcolor": theme.background}
    if box.red or box.flags - {"zero gradient"}:
        style["color"], style["fillcolor"], style["fontcolor"] = theme.problem
        style["penwidth"] = "3"
    elif box.flags:
        style["style"] += ",dotted"
    if box.tooltip:
        style["tooltip"] = text(box.tooltip)
    return style


def words(arrow: Arrow) -> list[str]:
    """What stands beside an arrow."""
    if arrow.again:
        return ["next round"]
    if arrow.operand and arrow.lines:
        return [f"{arrow.operand}: {arrow.lines[0]}", *arrow.lines[1:]]
    return [arrow.operand] if arrow.operand else arrow.lines


def depths(arrows: Sequence[Arrow]) -> Counter[str]:
    """How long the longest way is from an input to every box."""
    depth: Counter[str] = Counter()
    for arrow in arrows:  # in the order of the program
        if not arrow.again:
            depth[arrow.target] = max(depth[arrow.target], depth[arrow.source] + 1)
    return depth


def line(arrow: Arrow, picture: Picture, theme: Theme, heat: int | None, spine: bool) -> dict[str, str]:
    """The attributes of an arrow. The longest line of a computation, its ``spine``, pulls hard, so that it stands straight, and the
    others come to it from the side."""
    style: dict[str, str] = {}
    source, target = picture.boxes[arrow.source], picture.boxes[arrow.target]
    if arrow.again:
        style |= {"constraint": "false", "style": "dashed", "color": theme.block[0], "penwidth": "1.6"}
    elif arrow.main:
        if spine:
            style["weight"] = "8"
        if source.path != target.path and target.kind != "tensor":
            style["minlen"] = "2"  # a module begins below what it is given; its parameters would otherwise stand beside that
    if heat is not None:
        style |= {"color": theme.heat[heat], "penwidth": f"{1 + heat * 0.5:.1f}"}
    if arrow.bad or (arrow.grad is not None and not np.isfinite(arrow.grad).all()):
        style |= {"color": theme.problem[0], "penwidth": "3", "fontcolor": theme.problem[2]}
    if arrow.change:
        style |= {"color": theme.changes[arrow.change][0], "penwidth": "2.6"}
        if arrow.change == "removed":
            style["style"] = "dashed"
    return style


def heat_of(arrows: Sequence[Arrow]) -> dict[int, int]:
    """For every arrow that a gradient flows back along, how large that is, from 0 to 4: a root mean square, on a logarithmic scale
    from a ten-thousandth of the largest."""
    size: dict[int, float] = {}
    for number, arrow in enumerate(arrows):
        if arrow.grad is not None and arrow.grad.size:
            with np.errstate(over="ignore", invalid="ignore"):
                size[number] = float(np.sqrt(np.mean(np.abs(arrow.grad) ** 2, dtype=float)))
    largest = max((value for value in size.values() if math.isfinite(value)), default=0.0)
    return {number: level(value, largest, 4.0) for number, value in size.items()}


def warmth_of(picture: Picture) -> dict[str, int]:
    """For every operation whose time or memory is shown, how much that is, from 0 to 4: its share of the largest."""
    for quantity in [word for word in ("time", "memory") if word in picture.show]:
        cost = {
            id: float(sum(getattr(op, quantity) or 0 for op in box.members))
            for id, box in picture.boxes.items()
            if box.kind != "tensor" and getattr(box.node, quantity) is not None
        }
        if any(cost.values()):
            return {id: round(4 * value / max(cost.values())) for id, value in cost.items()}
    return {}


def level(value: float, largest: float, decades: float) -> int:
    """0 to 4 on a logarithmic scale of so many decades below the largest."""
    if not math.isfinite(value):
        return 4
    if value <= 0 or largest <= 0:
        return 0
    return round(4 * min(max(1 + math.log10(value / largest) / decades, 0.0), 1.0))


def _package() -> Any:
    try:
        import graphviz
    except ImportError as error:
        raise MissingError("a picture needs the Python package graphviz: pip install graphviz") from error
    return graphviz
