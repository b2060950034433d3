"""A picture as text: a tree for the terminal, and a flowchart in the language of Mermaid."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tinygrad_edu.viz.drawing import UNWRITABLE, words
from tinygrad_edu.viz.folding import Repeated
from tinygrad_edu.viz.options import DIRECTIONS

if TYPE_CHECKING:
    from tinygrad_edu.viz.options import Options
    from tinygrad_edu.viz.picture import Arrow, Box, Path, Picture


# ------------------------------------------------------------------------------------------------------------------ tree


def tree(picture: Picture) -> str:
    """The picture, one line for each operation, the result first.

    Every line is ``tensor = operation(operands)``. What its operands are computed from stands below it: several of them as
    branches, and the largest, or the only one, further down in the same column, so that deep graphs stay narrow. An operand that
    is used twice is computed below the use that came first in the program, and both name it.
    """
    boxes = picture.boxes
    into: dict[str, list[Arrow]] = defaultdict(list)
    for arrow in picture.arrows:
        into[arrow.target].append(arrow)
    lines = [id for id, box in boxes.items() if box.kind != "tensor"]
    if not lines:
        return "\n".join(one_line(box.lines) for box in boxes.values())
    children: dict[str, list[str]] = defaultdict(list)
    has_parent: set[str] = set()
    for id in lines:  # in the order of the program, so that the first use gets it
        for arrow in into[id]:
            if boxes[arrow.source].kind != "tensor" and not arrow.again and arrow.source not in has_parent:
                has_parent.add(arrow.source)
                children[id].append(arrow.source)
    weight: dict[str, int] = {}
    for id in lines:
        weight[id] = 1 + sum(weight.get(child, 0) for child in children[id])
    declared: set[str] = set()
    written: list[tuple[str, str]] = []
    waiting = [(root, "", "") for root in lines if root not in has_parent]
    while waiting:
        id, indent, lead = waiting.pop()
        text = sentence(boxes[id], into[id], boxes, declared)
        written.append((f"{indent}{lead}{text}", " / ".join(map(frame, boxes[id].path))))
        below = indent + {"├─ ": "│  ", "└─ ": "   "}.get(lead, "")
        ordered = sorted(children[id], key=lambda child: weight[child])[::-1]
        waiting += [(child, below, "├─ " if place else "") for place, child in enumerate(ordered)]
    column = min(max((len(text) for text, scope in written if scope), default=0), 72)
    return "\n".join(f"{text:<{column}}  │ {scope}" if scope else text for text, scope in written)


SIGNS = {"added": "+", "removed": "−"}  # of an operand that came or went between two graphs


def sentence(box: Box, into: list[Arrow], boxes: dict[str, Box], declared: set[str]) -> str:
    """What a box computes: ``t3 (5, 2) = MatMul(X (5, 4), W)``."""
    operands: dict[int, list[str]] = defaultdict(list)  # what is taken in the first round, and what in later ones
    for number, arrow in enumerate(into):
        source = boxes[arrow.source]
        text = name_of(source)
        if source.kind == "tensor":
            known = source.node.id in declared
            declared.add(source.node.id)
            text = one_line(source.lines[:1] if known else source.lines[: len(source.lines) - source.copied])
            text = text if text and text[0] != "(" else f"{source.id} {text}".strip()
        text = SIGNS.get(arrow.edge.change or "", "") + text if arrow.edge else text
        position = arrow.edge.position if box.kind == "op" and arrow.edge else None
        operands[number if position is None else position].append(text)
    title, *more = box.lines
    left = f"{box.name} = {name_of(box)}" if box.name else name_of(box)
    inside = ", ".join((" then " if box.times > 1 else " ").join(texts) for _, texts in sorted(operands.items()))
    return one_line([left, *box.facts, f"= {title}({inside})", *more])


def name_of(box: Box) -> str:
    """What the result of an operation is called."""
    return f"t{box.id.lstrip('o')}" if box.id[:1] == "o" else box.id


def one_line(lines: list[str]) -> str:
    return " ".join(" ".join(filter(None, lines)).split("\n"))


def frame(entry: Any) -> str:
    return f"× {entry.times:,}" if isinstance(entry, Repeated) else str(entry)


# --------------------------------------------------------------------------------------------------------------- Mermaid

BRACKETS = {"op": "(%s)", "closed": "[[%s]]", "leaf": "([%s])", "constant": "[%s]", "intermediate": "[%s]", "result": "((%s))"}
CLASSES = """classDef op fill:#fff,stroke:#222,stroke-width:2px,color:#111
classDef closed fill:#E9E9F2,stroke:#222,stroke-width:2px,color:#111
classDef leaf fill:#CFE8F7,stroke:#0072B2,stroke-width:2px,color:#111
classDef constant fill:#EBEBEB,stroke:#777,color:#111
classDef intermediate fill:#fff,stroke:#bbb,color:#111
classDef result fill:#FDE3B8,stroke:#B35A00,stroke-width:3px,color:#111
classDef derivative fill:#F6E1EC,stroke:#9A4A7C,stroke-width:2px,color:#111
classDef problem fill:#FFD9D9,stroke:#C00000,stroke-width:4px,color:#900"""


def mermaid(picture: Picture, options: Options) -> str:
    """The picture as a flowchart, as GitHub, GitLab and Jupyter draw it."""
    lines = [f"flowchart {DIRECTIONS[options.direction]}"]
    inside: dict[Path, list[Box]] = defaultdict(list)
    below: dict[Path, dict[Path, None]] = defaultdict(dict)
    for box in picture.boxes.values():
        inside[box.path].append(box)
        for depth in range(len(box.path)):
            below[box.path[:depth]][box.path[: depth + 1]] = None
    number = 0
    waiting: list[tuple[Path, int] | str] = [((), 0)]
    while waiting:
        step = waiting.pop()
        if isinstance(step, str):
            lines.append(step)
            continue
        path, depth = step
        tab = "  " * depth
        if path:
            number += 1
            lines.append(f'{tab}subgraph m{number}["{coded(frame(path[-1]))}"]')
            waiting.append(f"{tab}end")
        lines += [f"{tab}  {node(box)}" for box in inside[path]]
        waiting += [(child, depth + 1) for child in reversed(below[path])]
    for arrow in picture.arrows:
        label = "<br>".join(map(coded, filter(None, words(arrow))))
        kind = "-.->" if arrow.again else "-->"
        lines.append(f'  {arrow.source} {kind}|"{label}"| {arrow.target}' if label else f"  {arrow.source} {kind} {arrow.target}")
    return "\n".join([*lines, *CLASSES.splitlines()]) + "\n"


def node(box: Box) -> str:
    """One box, and its class."""
    kind = "closed" if box.kind == "closed" else box.node.role or "op"
    label = "<br>".join(map(coded, filter(None, box.lines))) or " "
    style = "problem" if box.red or box.flags else "derivative" if kind == "op" and box.node.order else kind
    bracket = BRACKETS[kind] % f'"{label}"'
    return f"{box.id}{bracket}:::{style}"


def coded(label: str) -> str:
    """A label in Mermaid's notation, in which every sign that could mean something is written as its number."""
    label = UNWRITABLE.sub("\ufffd", label)
    return "".join(c if c.isalnum() or c in " .,()=" else f"#{ord(c)};" for c in label)
