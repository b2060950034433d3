"""A call as one node, whose derivative is a whole computation.

The node's operands are the tensors and arrays among the arguments, and then the tensors that the function uses without being given
them. Arrays stand where every node keeps them, so that the engine lets go of them; what is kept beside them, a `Call`, has none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from tinygrad_edu.errors import MutationError, PrimitiveError
from tinygrad_edu.graph import Leaf, Variable, no_grad
from tinygrad_edu.opaque.packing import arrays_of
from tinygrad_edu.primitive import Primitive, Variant
from tinygrad_edu.recording import record, vertex_of
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import name_of


def check_callable(f: Any, who: str) -> None:
    """Complain of what is no function where it is given, not where it is called."""
    if not callable(f):
        raise PrimitiveError(f"{who} takes a function, and was given {f!r}")


class Call:
    """What a node knows of an opaque call beside its arrays: how to compute it again, and how to differentiate it.

    ``source`` is the user's function that the derivative comes from, ``structure`` the arguments without their arrays, ``given``
    the number of operands that are arguments; the others stand for the vertices in ``captured``.
    """

    op: Opaque
    captured: Sequence[Any] = ()

    def __init__(self, source: Callable[..., Any], structure: Any, given: int) -> None:
        self.source, self.structure, self.given = source, structure, given

    def value(self, arrays: list[Any]) -> Tensor:
        """The result, packed, from the arguments' arrays."""
        raise NotImplementedError

    def gradients(self, g: Any, y: Any, values: list[Any], more: list[Any], positions: list[int]) -> dict[int, Any]:
        """The gradients for the operands at these positions; one that is zero may be missing.

        ``g`` is the gradient of the result (what users call so: of complex numbers, too), ``y`` the result, ``values`` are the
        arguments, ``more`` is what was kept beside them. All are arrays; or, where the derivative is recorded, g is a tensor, and
        of the others what requires grad.
        """
        raise NotImplementedError


class Opaque(Primitive):
    """The operation of a node whose derivative is a whole computation."""

    def variant(self, mask: int, count: int) -> Variant:
        if mask not in self.variants:
            active = _Pulls([(position, None) for position in range(count) if mask >> position & 1])
            self.variants[mask] = Variant(active, itemgetter(slice(1, None)))
        return self.variants[mask]


def operation(name: str) -> Opaque:
    """The primitive that the nodes of one function's calls share. Its one parameter is the `Call`."""
    call = {"call": inspect.Parameter.empty}
    about: dict[str, Any] = {"forward": _computed, "label": name, "metadata": call, "hint": None, "residuals": {}}
    return Opaque(name, _recorded, ("operands",), True, False, (), None, **about)


def _computed(arrays: Sequence[Any], call: Call) -> Any:
    with no_grad():
        return call.value(list(arrays[: call.given]))._data


def _recorded(operands: Sequence[Any], /, call: Call) -> Any:
    return opaque_node(call.op, call, _computed(arrays_of(operands), call), operands[: call.given])


def opaque_node(op: Opaque, call: Call, value: Any, operands: Sequence[Any], more: Sequence[Any] = ()) -> Any:
    """An array as the result of one recorded node with these operands and those that the call captured. The arrays in ``more`` are
    kept for its derivative."""
    call.op = op
    # Of what is captured, a leaf's array is known and that of a node is not. These come last: nothing has to stand for them.
    call.captured = sorted(call.captured, key=lambda vertex: type(vertex) is not Leaf)
    inputs = [vertex_of(value) if isinstance(value, Variable) else value for value in operands]
    inputs += call.captured
    arrays = [*arrays_of(operands), *[vertex.data for vertex in call.captured if type(vertex) is Leaf], *more]
    mask = sum([1 << i for i, vertex in enumerate(inputs) if getattr(vertex, "requires_grad", False)])
    return record(op, Tensor, value, mask, tuple(inputs), tuple(arrays), {"call": call})


class _Pulls(tuple[tuple[int, Any], ...]):
    """The rules of an opaque node, as ``Node.active`` lists them. One computation finds the gradients of all operands. The rules
    that one loop over them gets share it, and it goes when they go: nothing outlives a backward pass, and no two passes meet."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        shared = _Gradients([position for position, _ in tuple.__iter__(self)])
        for position in shared.positions:
            yield position, _Pull(shared, position)


class _Pull:
    """The rule of one operand."""

    def __init__(self, shared: _Gradients, position: int) -> None:
        self.shared, self.position = shared, position

    def __call__(self, g: Any, node: Any) -> Any:
        if np.geterr()["invalid"] == "raise":
            # The engine has set it, for rules that it can run twice. It then calls `careful`, where the user's settings hold again.
            raise FloatingPointError("the user's code is run with the user's settings")
        return self.careful(g, node)

    def careful(self, g: Any, node: Any) -> Any:
        return self.shared.take(self.position, g, node)


class _Gradients:
    """The gradients of one node's operands from one cotangent, until they are taken."""

    def __init__(self, positions: list[int]) -> None:
        self.positions = positions
        self.of: tuple[Any, Any] = (None, None)
        self.found: dict[int, Any] = {}

    def take(self, position: int, g: Any, node: Any) -> Any:
        if position not in self.found or self.of[0] is not g or self.of[1] is not node.saved:
            self.of, self.found = (g, node.saved), self.compute(g, node)
        part = self.found.pop(position)
        if not self.found:
            self.of = (None, None)
        return part

    def compute(self, g: Any, node: Any) -> dict[int, Any]:
        call: Call = node.params["call"]
        y, *arrays = node.saved
        _check_captured(call, arrays[call.given :])
        found = call.gradients(_conjugated(g), y, arrays[: call.given], arrays[len(node.inputs) :], self.positions)
        for position in self.positions:
            part, vertex = found.get(position), node.inputs[position]
            if part is None:
                part = np.zeros(vertex.shape, vertex.dtype)
            elif isinstance(part, Variable) and not isinstance(g, Variable):
                part = part._data
            found[position] = _conjugated(part)
        return found


def _check_captured(call: Call, arrays: list[Any]) -> None:
    """Refuse a parameter that got another array since. (What is changed in place, the engine sees.)"""
    for vertex, array in zip(call.captured, arrays_of(arrays), strict=False):
        now: Any = vertex.data if type(vertex) is Leaf else array
        if now is not array and not np.array_equal(now, array, equal_nan=True):
            raise MutationError(
                f"{repr(vertex.name) if vertex.name else 'a tensor'} of shape {vertex.shape} got another array after "
                f"{name_of(call.source)} used it, whose derivative computes with it again: call backward() before assigning to it"
            )


def _conjugated(g: Any) -> Any:
    """From the cotangent that travels between nodes to the gradient that users see, and back. Real numbers stay as they are."""
    return g.conj() if g.dtype.kind == "c" else g
