"""`Receipt`: the steps of a backward pass, noted while the engine takes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.graph import MODE, Node, Variable, mode
from tinygrad_edu.singular import careful
from tinygrad_edu.viz.mathml import parts_of, rule_of
from tinygrad_edu.viz.receipt_text import FORMAT, array_of, as_text, differences, lines, to_plain
from tinygrad_edu.viz.values import frozen
from tinygrad_edu.viz.vertices import Vertices

if TYPE_CHECKING:
    from pathlib import Path

    from tinygrad_edu.graph import Array
    from tinygrad_edu.viz.graph import Graph
    from tinygrad_edu.viz.structure import GraphNode


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A tensor of the graph: its id, and what is known of it. ``value`` is None where the graph no longer holds it."""

    id: str
    name: str | None
    role: str | None
    value: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class Contribution:
    """What one operand gets in a step: ``target`` is its id, ``rule`` the derivative as the operation's docstring writes it,
    ``value`` what the rule made of the cotangent, ``total`` the sum of all that the tensor has got up to now, and ``earlier`` how
    many contributions it had got before."""

    operand: str
    target: str
    rule: str | None
    value: Array
    total: Array
    earlier: int


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """The visit of one operation: the ``cotangent`` g of its ``result`` comes in, and a contribution goes out for each operand that
    is differentiated. ``operands`` are all of them, as pairs of a name and an id, ``formula`` is what the operation computes,
    ``params`` its metadata as Python writes it."""

    node: str
    op: str
    result: str
    formula: str
    params: dict[str, str]
    operands: tuple[tuple[str, str], ...]
    cotangent: Array
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Receipt(Sequence[Step]):
    """The steps of a backward pass, in their order: what ``graph.steps()`` returns. It is a sequence of `Step`.

    ``tensors`` holds every tensor by its id, in the order of the program, ``seed`` is the cotangent of the result, and
    ``gradients`` are those that arrived at the leaves. The numbers are those of the engine's own pass. Of complex numbers,
    cotangents are ∂L/∂x − i ∂L/∂y, as they travel, and gradients ∂L/∂x + i ∂L/∂y.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True, name="x")
    >>> receipt = (x * x + x).graph().steps()
    >>> print(receipt)
    Backward from t2 in 2 steps. g is an operation's cotangent, ∂L/∂t2 = 1.
      1  o2 add       y = a + b   g = 1
           a  ∂L/∂a = g   1 to t1
           b  ∂L/∂b = g   1 to x (i1)
      2  o1 multiply  y = a b   g = 1
           a  ∂L/∂a = g b   3 to x (i1), in all 4
           b  ∂L/∂b = g a   3 to x (i1), in all 7
    Gradients: x (i1) 7
    >>> receipt[1].contributions[1].total
    array(7.)
    """

    root: str
    seed: Array
    tensors: dict[str, Value]
    steps: tuple[Step, ...]
    gradients: dict[str, Array]
    graph: Graph | None = field(default=None)  # None for a receipt that was read from JSON

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: Any) -> Any:
        return self.steps[index]

    def replay(self, count: int | None = None) -> dict[str, Array]:
        """The cotangents by tensor after the first ``count`` steps (by default all of them), added up again from the contributions:
        how backward works, without any rule.

        >>> import tinygrad_edu as tg
        >>> x = tg.Tensor(3.0, requires_grad=True, name="x")
        >>> receipt = (x * x + x).graph().steps()
        >>> receipt.replay(1)
        {'t2': array(1.), 't1': array(1.), 'i1': array(1.)}
        >>> receipt.replay()["i1"]
        array(7.)
        """
        if count is not None and not 0 <= count <= len(self):
            raise ArgumentError(f"replay({count}): the receipt has {len(self)} steps, so that 0 to {len(self)} can be replayed")
        arrived = {self.root: self.seed}
        for step in self.steps[:count]:
            for part in step.contributions:
                before = arrived.get(part.target)
                arrived[part.target] = part.value if before is None else np.asarray(before + part.value)
        return arrived

    def diff(self, other: Receipt) -> tuple[str, ...]:
        """What is different in another receipt, in lines to be read: steps that only one has, and numbers that are not the same,
        with the largest difference. Empty when nothing is. The first line is where two passes part.

        >>> import tinygrad_edu as tg
        >>> def receipt(w):
        ...     x = tg.Tensor(3.0, requires_grad=True, name="x")
        ...     return tg.sin(x * w).graph().steps()
        >>> receipt(2.0).diff(receipt(2.0))
        ()
        >>> print(receipt(0.0).diff(receipt(2.0))[0])
        step 1, o2 sin: the contribution to t1 is 1 and 0.9602, 0.03983 apart
        """
        return tuple(differences(self, other))

    def to_json(self, *, indent: int | None = None) -> str:
        """The receipt as JSON: arrays as their shape, dtype and elements, so that nothing is rounded. `from_json` reads it.

        >>> import tinygrad_edu as tg
        >>> receipt = tg.exp(tg.Tensor(0.0, requires_grad=True)).graph().steps()
        >>> Receipt.from_json(receipt.to_json()).diff(receipt)
        ()
        """
        return as_text(json.dumps(to_plain(self), ensure_ascii=False, indent=indent, allow_nan=False))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The receipt that `to_json` wrote. It has no ``graph``, so that it cannot be drawn."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ArgumentError(f"from_json: the text is not a receipt; one says {FORMAT!r} as its format")
        return cls(
            data["root"],
            array_of(data["seed"]),
            {id: Value(id, t["name"], t["role"], array_of(t["value"])) for id, t in data["tensors"].items()},
            tuple(
                Step(
                    **{key: step[key] for key in ("node", "op", "result", "formula", "params")},
                    operands=tuple((name, id) for name, id in step["operands"]),
                    cotangent=array_of(step["cotangent"]),
                    contributions=tuple(
                        Contribution(**part | {key: array_of(part[key]) for key in ("value", "total")})
                        for part in step["contributions"]
                    ),
                )
                for step in data["steps"]
            ),
            {id: array_of(g) for id, g in data["gradients"].items()},
        )

    def html(self) -> str:
        """The page that goes through the steps, as text: one HTML document that needs nothing beside it. See `render`."""
        from tinygrad_edu.viz.page import page

        return page(self)

    def render(self, path: str | PathLike[str]) -> Path:
        """Write the page that goes through forward and backward step by step, to be opened in a browser, also without a network;
        or, where the path ends in .json, what `to_json` says. Returns the path.

        The drawing of a graph of more than 200 nodes is folded. Raises `ArgumentError` for another suffix, and for a page of more
        than 2,000 nodes, `MissingError` when nothing is installed that can lay the graph out, and OSError when the file cannot be
        written.
        """
        from pathlib import Path

        from tinygrad_edu.viz.files import write

        suffix = Path(path).suffix.lower()
        if suffix not in (".html", ".htm", ".json"):
            raise ArgumentError(f"render({str(path)!r}): a receipt is written as .html, a page, or as .json; got {suffix!r}")
        return write(self.to_json(indent=1) if suffix == ".json" else self.html(), Path(path))

    def called(self, id: str) -> str:
        """What a person calls a tensor: its name and its id, or only that."""
        name = self.tensors[id].name
        return f"{name} ({id})" if name else id

    def __str__(self) -> str:
        return "\n".join(lines(self))

    def __repr__(self) -> str:
        return f"Receipt({len(self)} steps, {len(self.gradients)} gradients)"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """In a notebook: the page in a frame that may run its own script and nothing else, and the text."""
        from tinygrad_edu.viz.page import in_a_frame

        bundle = {"text/plain": str(self)}
        try:
            bundle["text/html"] = in_a_frame(self)
        except Exception as error:  # an error here would be shown in the place of the receipt
            bundle["text/plain"] += f"\n(no page: {error})"
        return bundle


def receipt(graph: Graph, root: Variable, gradient: Any = None) -> Receipt:
    """The steps of backward from ``root``, whose graph is ``graph``; see `Graph.steps`."""
    known = Vertices(graph, root)
    tensors, values = known.tensors, known.computed()

    ledger = _Ledger(MODE.get().on_pass)
    with np.errstate(all="ignore"), mode(on_pass=ledger.watch):
        found = engine.cotangents([(root, gradient)], retain_graph=True)
    steps = tuple(_step(visit, known.operands[visit.vertex], tensors, known.operations[visit.vertex]) for visit in ledger.visits)
    return Receipt(
        tensors[known.start].id,
        ledger.seeds[known.start],
        {t.id: Value(t.id, t.name, t.role, values.get(vertex)) for vertex, t in tensors.items()},
        steps,
        {tensors[vertex].id: frozen(g) for vertex, g in found.items()},
        graph,
    )


def _step(visit: _Visit, operands: list[Any], tensors: dict[Any, GraphNode], node: GraphNode) -> Step:
    op = visit.vertex.op
    names = [f"{op.operands[0]}[{i}]" if op.variadic else op.operands[i] for i in range(len(operands))]
    parts = tuple(
        Contribution(
            names[position], tensors[operands[position]].id, rule_of(op.formula, op.operands, position), value, total, earlier
        )
        for position, value, total, earlier in visit.parts
    )
    pairs = tuple((name, tensors[operand].id) for name, operand in zip(names, operands, strict=True))
    params = {name: repr(value) for name, value in visit.vertex.params.items() if has_text(value)}
    formula = (parts_of(op.formula) or [""])[0]
    return Step(node.id, op.name, tensors[visit.vertex].id, formula, params, pairs, visit.cotangent, parts)


def has_text(value: Any) -> bool:
    """Whether Python can write a value down, and not only where in memory it is."""
    written: Any = type(value).__repr__
    return written is not object.__repr__


# ---------------------------------------------------------------------------------------------------- listening to the engine


@dataclass(slots=True)
class _Visit:
    """An operation that the engine has reached: its vertex, its cotangent, and for each contribution its position, what the rule
    returned, the sum, and how many came before."""

    vertex: Node
    cotangent: Array
    parts: list[tuple[int, Array, Array, int]] = field(default_factory=list)


class _Ledger(dict[Any, Any]):
    """The engine's running sums, which note what becomes of them. The engine adds in place where it can, so everything is
    copied."""

    def __init__(self, outer: Callable[..., dict[Any, Any]] | None) -> None:
        super().__init__()
        self.outer = outer  # whoever watches passes already, as `detect_anomaly` does
        self.visits: list[_Visit] = []
        self.seeds: dict[Any, Array] = {}
        self.counts: dict[Any, int] = {}
        self.latest: tuple[int, Any] = (0, None)  # what a rule has just returned, and for which operand

    def watch(self, run: Callable[..., Any], order: list[Any], seeds: dict[Any, Any], *how: Any, **options: Any) -> dict[Any, Any]:
        """Called by the engine in the place of its pass."""
        for vertex, seed in seeds.items():
            self.seeds[vertex] = frozen(seed)
            dict.__setitem__(self, vertex, seed)
        before = [node.active for node in order]
        try:
            for node in order:
                node.active = _Overheard(node.active, self)
            with mode(on_pass=self.outer):  # a rule may go backward in its turn, which is no step of this pass
                found = (partial(self.outer, run) if self.outer else run)(order, self, *how, **options)
        finally:
            for node, active in zip(order, before, strict=True):
                node.active = active
        return dict(found)

    def pop(self, vertex: Any, *default: Any) -> Any:
        g = super().pop(vertex, *default)
        self.visits.append(_Visit(vertex, frozen(g)))
        return g

    def __setitem__(self, vertex: Any, total: Any) -> None:
        position, part = self.latest
        if part.dtype != vertex.dtype:
            part = engine.as_dtype(part, vertex.dtype)
        earlier = self.counts.get(vertex, 0)
        self.counts[vertex] = earlier + 1
        self.visits[-1].parts.append((position, frozen(part), frozen(total), earlier))
        super().__setitem__(vertex, total)


class _Overheard(tuple[tuple[int, Any], ...]):
    """A node's rules, each of which says what it returns."""

    def __new__(cls, active: tuple[tuple[int, Any], ...], ledger: _Ledger) -> Self:
        return super().__new__(cls, active)

    def __init__(self, active: tuple[tuple[int, Any], ...], ledger: _Ledger) -> None:
        self.active, self.ledger = active, ledger

    def __iter__(self) -> Iterator[Any]:
        for position, pull in self.active:
            heard = partial(self._hear, position, pull)
            heard.careful = partial(self._hear, position, careful(pull))  # type: ignore[attr-defined]
            yield position, heard

    def _hear(self, position: int, pull: Any, g: Any, source: Any) -> Any:
        part = pull(g, source)
        self.ledger.latest = (position, np.array(part))  # a copy: the engine may add to it in place
        return part
