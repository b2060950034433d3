"""What is drawn, before it is known how: boxes inside boxes, and arrows. DOT, Mermaid and text are written from it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tinygrad_edu.viz.cost import in_bytes, in_seconds
from tinygrad_edu.viz.folding import Item, Program, fold
from tinygrad_edu.viz.values import written

if TYPE_CHECKING:
    from tinygrad_edu.viz.options import Options
    from tinygrad_edu.viz.structure import GraphEdge, GraphNode

Path: TypeAlias = tuple[Any, ...]  # the boxes around a box, outermost first: names of modules, and `Repeated`

FANOUT = 4  # an input that is used more often is drawn once for each use
# Operations whose operands may change places, so that the picture need not name them.
COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum"})


@dataclass(slots=True, eq=False)
class Box:
    """An operation, a tensor, or a closed box of many; ``node`` is the one whose look it has."""

    id: str
    kind: Literal["op", "tensor", "closed"]
    node: GraphNode
    lines: list[str]
    path: Path = ()
    times: int = 1  # how many rounds of a block it stands for
    tooltip: str = ""
    flow: int = 0  # of an operation with one operand: 1 if the result has more elements than that, -1 if it has fewer
    members: Sequence[GraphNode] = ()
    copied: bool = False
    flags: frozenset[str] = frozenset()  # what is wrong with the numbers of a tensor, or in a closed box
    red: bool = False  # whether the user wants it to be seen
    change: str | None = None
    name: str | None = None  # of an operation: what the user called its result
    facts: Sequence[str] = ()  # of an operation: what else is known of the result


@dataclass(slots=True, eq=False)
class Arrow:
    """Data flowing from box to box. ``again`` is what a repeated block hands to its own next round."""

    source: str
    target: str
    lines: list[str]
    edge: GraphEdge | None = None
    operand: str | None = None  # if it matters which operand it is
    main: bool = False  # whether it lies on the line of the computation, and not to the side of it
    again: bool = False
    change: str | None = None
    bad: bool = False  # whether what flows has a nan, an infinity or an exploding gradient
    grad: Any = None  # what flows back


@dataclass(slots=True)
class Picture:
    """Boxes in the order of the program, and arrows."""

    boxes: dict[str, Box] = field(default_factory=dict)
    arrows: list[Arrow] = field(default_factory=list)
    show: Sequence[str] = ()


class Wiring:
    """A graph as lists: which operation makes what, and who takes it."""

    def __init__(self, nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.ops = [node for node in nodes if node.kind == "op"]
        place = {op.id: number for number, op in enumerate(self.ops)}
        self.made: dict[str, int] = {}  # the operation that makes a tensor
        self.result: list[str] = [""] * len(self.ops)
        self.into: list[list[GraphEdge]] = [[] for _ in self.ops]
        self.uses: dict[str, list[int]] = defaultdict(list)
        self.flows: dict[str, GraphEdge] = {}
        for edge in edges:
            if edge.position is None:
                self.made[edge.target] = place[edge.source]
                self.result[place[edge.source]] = edge.target
                self.flows[edge.target] = edge
            else:
                self.into[place[edge.target]].append(edge)
                self.uses[edge.source].append(place[edge.target])
        sources = [tuple([self.made.get(edge.source, -1) for edge in edges]) for edges in self.into]
        self.program = Program(self.ops, sources, [self.nodes[id].shape if id else None for id in self.result])


def compose(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge], show: Sequence[str], options: Options) -> Picture:
    """The picture of a graph, folded if it has more boxes than ``options.max_nodes``."""
    wiring = Wiring(nodes, edges)
    most = options.max_nodes

    def fits(items: list[Item]) -> bool:
        if most is None:
            return True
        return len(items) <= most and len(Composition(wiring, items, show, options).picture.boxes) <= most

    items = fold(wiring.program, options.depth, fits, most or len(wiring.ops))
    return Composition(wiring, items, show, options).picture


class Composition:
    """One picture being put together."""

    def __init__(self, wiring: Wiring, items: list[Item], show: Sequence[str], options: Options) -> None:
        self.wiring, self.items, self.show, self.options = wiring, items, show, options
        self.full = options.detail == "full"
        self.home = [0] * len(wiring.ops)
        for place, item in enumerate(items):
            for member in item.members:
                self.home[member] = place
        self.picture = Picture(show=show)
        self.drawn: dict[tuple[str, str, int | None], Arrow] = {}
        for coarseness in range(3):
            self.coarse = coarseness > 0
            self.inputs = self.merged_inputs(coarseness)
            if options.max_nodes is None or len(items) + len({first for first, _ in self.inputs.values()}) < options.max_nodes:
                break
        for place in range(len(items)):
            self.add(place)
        if not wiring.ops:
            for node in wiring.nodes.values():
                self.picture.boxes[node.id] = Box(node.id, "tensor", node, node.label.split("\n"), node.scope)
        self.copy_inputs()

    def merged_inputs(self, coarseness: int) -> dict[str, tuple[str, list[GraphNode]]]:
        """For every input that is drawn, the one that stands for it and for whom else that stands: inputs that go into the same
        place in different rounds of a block are one, and parameters of a closed box are inside. Where these are too many, inputs
        that go into the same boxes are one: those of one role and shape, and if it must be, all of them."""
        shared: dict[Any, list[GraphNode]] = {}
        for id, places in self.wiring.uses.items():
            node = self.wiring.nodes[id]
            if id in self.wiring.made:
                continue
            homes = {self.home[place] for place in places}
            if len(homes) == 1 and self.items[min(homes)].title is not None and hidden(node):
                continue
            key: Any = id
            if coarseness:
                key = (frozenset(homes), *([node.role, node.shape] if coarseness == 1 else []))
            elif any(self.items[home].times > 1 for home in homes):
                uses = [(self.home[place], edge) for place in places for edge in self.wiring.into[place]]
                slots = frozenset((home, edge.position) for home, edge in uses if edge.source == id)
                key = (slots, node.role, node.shape, node.change)
            shared.setdefault(key, []).append(node)
        return {node.id: (group[0].id, group) for group in shared.values() for node in group}

    def add(self, place: int) -> None:
        """Draw an item, the inputs that are used here first, and the arrows that go into it."""
        item, wiring = self.items[place], self.wiring
        lead = wiring.ops[item.members[0]]
        path = path_of(item)
        id = lead.id
        edges = [edge for member in item.members for edge in wiring.into[member]]
        for edge in edges:
            self.add_input(edge.source, path, item)
        own = item.times
        for _, block in item.around:
            own //= block.times
        count = f" × {own:,}" if own > 1 else ""
        members = [wiring.ops[member] for member in item.members]
        if item.title is None:
            made = wiring.nodes.get(wiring.result[item.members[0]])
            label = [*f"{lead.symbol}{count}".split("\n"), *self.measured(members)]
            label += lead.highlight.split("\n") if lead.highlight else []
            label += [lead.change] if lead.change else []
            box = Box(id, "op", lead, label, path, item.times, lead.formula or "", members=members, **marks(members))
            if made is not None:
                box.name = made.name
                box.facts = self.brief(made) if item.times > 1 else made.label.removeprefix(made.name or "").strip("\n").split("\n")
            if made is not None and len(wiring.into[item.members[0]]) == 1:
                box.flow = growth(wiring.nodes[wiring.into[item.members[0]][0].source], made)
                if lead.op == "broadcast_to":  # also of a single row
                    box.flow = 1
        else:
            inside = [wiring.nodes[wiring.result[member]] for member in item.members if wiring.result[member]]
            looks = marks([*members, *inside])
            label = [f"{item.title}{count}", *self.summary(item, members), *self.measured(members)]
            label += [f"⚠ {flag}" for flag in sorted(looks["flags"])]
            label += dict.fromkeys(member.highlight for member in members if member.highlight)
            label += [looks["change"]] if looks["change"] else []
            box = Box(id, "closed", lead, label, path, item.times, members=members, **looks)
        self.picture.boxes[id] = box
        for edge in edges:
            self.connect(edge, place)
        for member in item.members:
            self.add_result(member, box, shown=self.full and item.title is None and member == item.members[0])

    def add_input(self, id: str, path: Path, item: Item) -> None:
        if id not in self.inputs:
            return
        first, group = self.inputs[id]
        if first in self.picture.boxes:
            return
        node = group[0]
        text = node.label.split("\n")
        if len(group) > 1:
            names = [member.name for member in group if member.name]
            text = list(dict.fromkeys([names[0], "…", names[-1]])) if len(set(names)) > 1 else names[:1]
            text = [" ".join(text), *([str(node.shape)] if "shape" in self.show and node.shape else []), f"× {len(group):,}"]
            text = [line for line in text if line]
        around = path if len(group) > 1 else common_path(path, node.scope)
        self.picture.boxes[first] = Box(first, "tensor", node, text, around, len(group), members=group, **marks(group))

    def add_result(self, member: int, box: Box, shown: bool) -> None:
        """In full detail every tensor is a box; otherwise only what nothing is computed from."""
        id = self.wiring.result[member]
        if not id:
            return
        node = self.wiring.nodes[id]
        last = not self.wiring.uses.get(id) or node.role == "result"
        if last or shown:
            text = node.label.split("\n") if last or box.times == 1 else self.brief(node)
            path = () if last and not self.full else box.path
            times = 1 if last else box.times
            self.picture.boxes[id] = Box(id, "tensor", node, text, path, times, members=[node], **marks([node]))
            flow = self.wiring.flows[id]
            grad = flow.grad if box.times == 1 else None
            self.picture.arrows.append(Arrow(box.id, id, [], flow, main=True, change=flow.change or node.change, grad=grad))

    def connect(self, edge: GraphEdge, place: int) -> None:
        """An arrow into an item, unless it stays inside of it, or there is one that says the same."""
        wiring, item = self.wiring, self.items[place]
        target = wiring.ops[item.members[0]]
        again = False
        if edge.source in wiring.made:
            member = wiring.made[edge.source]
            home = self.home[member]
            if home == place and item.title is not None:
                return
            source = wiring.ops[self.items[home].members[0]].id
            again = home >= place
            tensor = wiring.nodes[edge.source]
            if self.full and self.items[home].title is None:
                source, text = wiring.result[self.items[home].members[0]], []
            else:
                text = self.brief(tensor) if self.items[home].times > 1 else tensor.label.split("\n")
        elif edge.source in self.inputs:
            source, text = self.inputs[edge.source][0], []
        else:
            return
        many = self.coarse and len(self.inputs.get(edge.source, ("", ()))[1]) > 1
        position = edge.position if item.title is None and not many else None
        key = (source, target.id, position)
        if key in self.drawn:
            return
        named = position is not None and target.op not in COMMUTATIVE and len(wiring.into[item.members[0]]) > 1
        operand = edge.operand if named else None
        text = [line for line in text if line and line != "()"]  # that a number has no shape need not be said along every arrow
        if edge.repeated:
            text.append("repeated")
        if edge.grad is not None and item.times == 1 and len(wiring.uses[edge.source]) > 1:
            if "grad" in self.show:
                text.append(f"Δgrad {written(edge.grad)}")
            if "grad_norm" in self.show:
                text.append(f"‖Δgrad‖ {np.linalg.norm(edge.grad):.3g}")
        bad = not self.full and bool(set(wiring.nodes[edge.source].flags) - {"zero gradient"}) and edge.source in wiring.made
        inner = edge.source in wiring.made
        change = edge.change or (wiring.nodes[edge.source].change if inner and not self.full else None)
        arrow = Arrow(source, target.id, text, edge, operand, inner, again, change, bad, edge.grad if item.times == 1 else None)
        self.drawn[key] = arrow
        self.picture.arrows.append(arrow)

    def brief(self, tensor: GraphNode) -> list[str]:
        """What holds for a tensor in every round of a block."""
        return [str(tensor.shape)] if "shape" in self.show else []

    def measured(self, members: Sequence[GraphNode]) -> list[str]:
        times = [op.time for op in members if op.time is not None]
        memory = [op.memory for op in members if op.memory and "memory" in self.show]
        return ([in_seconds(sum(times))] if times else []) + ([in_bytes(sum(memory))] if memory else [])

    def summary(self, item: Item, members: Sequence[GraphNode]) -> list[str]:
        inside = {
            edge.source: self.wiring.nodes[edge.source].size or 0
            for member in item.members
            for edge in self.wiring.into[member]
            if self.wiring.nodes[edge.source].role == "leaf" and edge.source not in self.inputs
        }
        text = [f"{len(members):,} operations"] if len(members) > 1 else []
        if inside:
            text.append(f"{sum(inside.values()):,} parameters")
        return text

    def copy_inputs(self) -> None:
        """Draw an input once for each use where these are many: long arrows are hard to follow, and many of them, as from a
        recurrent network's weights to each of its steps, keep Graphviz busy for minutes."""
        boxes, arrows = self.picture.boxes, self.picture.arrows
        uses = Counter(arrow.source for arrow in arrows)
        many = {id for id, count in uses.items() if count > FANOUT and boxes[id].kind == "tensor" and is_input(boxes[id].node)}
        if not many:
            return
        copies: dict[str, list[Box]] = defaultdict(list)
        number: Counter[str] = Counter()
        for arrow in arrows:
            if arrow.source in many:
                box, target = boxes[arrow.source], boxes[arrow.target]
                number[box.id] += 1
                text = [*box.lines, f"use {number[box.id]} of {uses[box.id]:,}"]
                new = f"{box.id}_{number[box.id]}"
                copy = replace(box, id=new, lines=text, path=target.path, copied=True)
                copies[target.id].append(copy)
                arrow.source = copy.id
        ordered: dict[str, Box] = {}
        for id, box in boxes.items():
            for copy in copies[id]:
                ordered[copy.id] = copy
            if id not in many:
                ordered[id] = box
        self.picture.boxes = ordered


def path_of(item: Item) -> Path:
    """The boxes around an item: those of its modules, and those of the blocks that it is repeated in."""
    path: list[Any] = []
    around = sorted(item.around, key=lambda pair: pair[0])
    for level in range(len(item.scope) + 1):
        path += [block for depth, block in around if depth == level]
        path += item.scope[level : level + 1]
    return tuple(path)


def common_path(a: Path, b: Path) -> Path:
    """The longest common beginning."""
    return a[: next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))]


def marks(nodes: Sequence[GraphNode]) -> dict[str, Any]:
    """What there is to be seen of nodes that are drawn as one: problems, highlights, and how two graphs differ."""
    changes = {node.change for node in nodes}
    return {
        "flags": frozenset(flag for node in nodes for flag in node.flags),
        "red": any(node.highlight is not None for node in nodes),
        "change": changes.pop() if len(changes) == 1 else "changed",
    }


def hidden(node: GraphNode) -> bool:
    """Whether an input that is used in a closed box only is part of it: a module's parameter, or what has no name."""
    return node.highlight is None and (node.name is None or (node.role == "leaf" and bool(node.scope)))


def is_input(node: GraphNode) -> bool:
    return node.role in ("leaf", "constant")


def growth(operand: GraphNode, result: GraphNode) -> int:
    """Whether an operation with one operand spreads or gathers: 1, -1 or 0."""
    before, after = operand.size or 0, result.size or 0
    return (after > before) - (after < before)
