"""A recorded graph as a NumPy program: forward and backward, as the operations and the engine really compute them."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterator
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import GraphError, ReleasedError
from tinygrad_edu.graph import RELEASED, Leaf, Node, Variable, mode
from tinygrad_edu.viz.instrument import CURRENT
from tinygrad_edu.viz.mathml import parts_of
from tinygrad_edu.viz.transcript import ARRAYS, Line, Transcript
from tinygrad_edu.viz.vertices import Vertices

if TYPE_CHECKING:
    from tinygrad_edu.viz.graph import Graph

TEMPLATE = '''\
"""{title} and its gradients, written out from a recorded graph: plain NumPy.

It is the program for the shapes, dtypes and branches that were recorded.
"""

{imports}


def value_and_gradients({parameters}):
    """The value, and its gradients by the names of the leaves.

{about}
    """
    with np.errstate(all="ignore"):
{body}
        return {value}, {{{gradients}}}
'''


def numpy_source(graph: Graph, root: Variable, gradient: Any = None) -> str:
    """The program; see `Graph.to_numpy_source`."""
    writer = _Writer(Vertices(graph, root))
    token = CURRENT.set(writer.transcript)
    try:
        with np.errstate(all="ignore"):
            writer.forward()
            gradients = writer.backward(gradient)
    finally:
        CURRENT.reset(token)
    return writer.program(gradients)


class _Writer:
    """What is known of the program while it is written."""

    def __init__(self, known: Vertices) -> None:
        self.known = known
        self.transcript = Transcript()
        self.values: dict[Any, Any] = {}  # by vertex
        self.names: dict[int, str] = {}  # of the variables that are not just numbered
        self.taken: Counter[str] = Counter()  # names, and up to which number each has been counted
        self.parameters: dict[Any, str] = {}  # by vertex

    def named(self, value: Any, name: str) -> str:
        """Give an array's variable a name that no other has, made of the one that it should have; if it has none."""
        number = self.transcript.numbers[id(value)]
        if number not in self.names:
            word = re.sub(r"\W", "_", name).strip("_") or "x"
            word = f"x_{word}" if word[0].isdigit() or keyword.iskeyword(word) or word in RESERVED else word
            free = word
            while free in self.taken:
                self.taken[word] += 1
                free = f"{word}_{self.taken[word]}"
            self.taken[free] += 1
            self.names[number] = free
        return self.names[number]

    def forward(self) -> None:
        """The inputs, and all operations."""
        known = self.known
        for vertex in known.tensors:
            if not isinstance(vertex, Node):
                self.given(vertex)
        for vertex in known.order:
            self.operation(vertex)
        found, before = self.values[known.start], known.root._data
        if not np.array_equal(found, before, equal_nan=before.dtype.kind in "fc"):
            raise GraphError(
                "to_numpy_source: computed again, the result is another one: an operation is random, or an array has changed"
            )

    def given(self, vertex: Any) -> None:
        """An input: a parameter of the program, or numbers that stand in it."""
        node = self.known.tensors[vertex]
        data = self.values[vertex] = vertex.data
        if data is None:
            raise ReleasedError(
                f"to_numpy_source: the array of {node.name or node.id} was released by backward(): write the source before, or "
                "call backward(retain_graph=True)"
            )
        if isinstance(data, np.ndarray) and id(data) not in self.transcript.numbers:
            if isinstance(vertex, Leaf) or node.name or data.size > INLINE:
                self.transcript.new(data)
                self.parameters[vertex] = self.named(data, node.name or node.id)
            else:
                self.transcript.given(data)
                self.named(data, node.id)

    def operation(self, node: Node) -> None:
        """One operation, computed again."""
        op, operands, id = node.op, self.known.operands[node], self.known.operations[node].id
        if op.rules is None:
            raise GraphError(
                f"to_numpy_source: {op.name} is one node for a whole computation, as checkpoint and custom_vjp make it, and has no "
                "rules to write down: record its operations one by one"
            )
        if node.saved is RELEASED:
            raise ReleasedError(
                f"to_numpy_source: the arrays of {id} {op.name} were released by backward(): write the source before, or "
                "call backward(retain_graph=True)"
            )
        arrays = []
        for vertex in operands:
            # An elementwise operation is given what was before the Repeat: NumPy broadcasts by itself.
            repeated = op.elementwise and isinstance(vertex, Node) and vertex.op.name == "broadcast_to"
            arrays.append(self.values[vertex.inputs[0] if repeated and vertex.inputs[0] in self.values else vertex])
        self.transcript.lines.append(Line(f"# {id} {op.name}: {parts_of(op.formula)[0]}" if op.formula else f"# {op.name}"))
        found = self.transcript.call(op.forward, *([arrays] if op.variadic else arrays), **node.params)
        y, *residuals = found if op.residuals else (found,)
        if not isinstance(y, np.ndarray):  # as the recorder does: NumPy computes with numbers in other ways than with 0-d arrays
            y = self.transcript.call(np.asarray, y)
        self.values[node] = self._heard(y, f"the result of {id} {op.name}")
        self.named(y, node.name or self.known.tensors[node].id)
        # The engine computes with what was saved when the node was recorded: the same numbers, in other arrays.
        for saved, again in zip(node.saved, (y, *arrays, *residuals), strict=False):
            if isinstance(saved, ARRAYS) and isinstance(again, ARRAYS):
                self.transcript.same(saved, again)

    def backward(self, gradient: Any) -> dict[Any, Any]:
        """The engine's own pass, overheard. Returns the gradients by leaf."""
        tensors = self.known.tensors

        def overheard(run: Any, order: list[Any], seeds: dict[Any, Any], *how: Any, **options: Any) -> dict[Any, Any]:
            for vertex, seed in seeds.items():
                self.transcript.given(seed)
                self.named(seed, f"g_{vertex.name or tensors[vertex].id}")

            def announced() -> Iterator[Any]:
                for node in order:
                    self.transcript.lines.append(Line(f"# backward through {self.known.operations[node].id} {node.op.name}"))
                    yield node

            found: dict[Any, Any] = self.transcript.call(run, announced(), seeds, *how, **options)
            for vertex, g in found.items():
                if vertex.dtype.kind == "c":
                    g = found[vertex] = self.transcript.call(g.conj)
                self._heard(g, f"the gradient of {tensors[vertex].name or tensors[vertex].id}")
                self.named(g, f"g_{self.parameters.get(vertex, tensors[vertex].id)}")
            gradients.update(found)
            return dict(found)

        gradients: dict[Any, Any] = {}
        with mode(on_pass=overheard):
            engine.cotangents([(self.known.root, gradient)], retain_graph=True)
        return gradients

    def _heard(self, value: Any, what: str) -> Any:
        """A value that the transcript has seen being made; to write it down as a constant would be wrong for other inputs."""
        if id(value) not in self.transcript.numbers:
            raise GraphError(
                f"to_numpy_source: {what} was computed by something that is no function in Python, and not NumPy's or SciPy's: "
                "it cannot be written down"
            )
        return value

    def program(self, gradients: dict[Any, Any]) -> str:
        """All of it as a module with one function."""
        start = self.known.start
        numbers = self.transcript.numbers
        value = numbers[id(self.values[start])]
        by_leaf = {self.parameters[leaf]: numbers[id(g)] for leaf, g in gradients.items()}
        lines = self.transcript.needed(value, *by_leaf.values())
        fresh = count(1)
        for number in sorted({number for line in lines for number in line.makes}):
            if number not in self.names:
                self.names[number] = f"v{next(fresh)}"

        def variable(number: int) -> str:
            return self.names.get(number, "_")

        def written(line: Line) -> str:
            return re.sub(r"⟦(\d+)⟧", lambda found: variable(int(found[1])), line.text)

        returned = ", ".join(f"{name!r}: {variable(number)}" for name, number in by_leaf.items())
        return TEMPLATE.format(
            title=re.sub(r"[^\w .,()-]", "_", start.name) if start.name else "A result",  # nothing that could end the docstring
            imports="\n".join(f"import {module}" + " as np" * (module == "numpy") for module in sorted(self.transcript.modules)),
            parameters=", ".join(self.parameters.values()),
            about="\n".join(f"    {name}: {_described(vertex)}" for vertex, name in self.parameters.items()),
            body="\n".join(f"        {written(line)}" for line in _without_idle_comments(lines)),
            value=variable(value),
            gradients=returned,
        )


INLINE = 16  # elements of a constant without a name that stands in the program
RESERVED = {"np", "scipy", "value_and_gradients"}


def _described(vertex: Any) -> str:
    return f"{'leaf' if isinstance(vertex, Leaf) else 'constant'}, shape {vertex.shape}, {vertex.dtype}"


def _without_idle_comments(lines: list[Line]) -> Iterator[Line]:
    """The lines without comments under which nothing stands."""
    for line, following in pairwise([*lines, Line("#")]):
        if not (line.text.startswith("#") and following.text.startswith("#")):
            yield line
