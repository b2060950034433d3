"""Values and gradients for a picture, which nobody keeps: they are computed again, and nothing of the user's is touched."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import GraphError
from tinygrad_edu.graph import Constant, Leaf, Node, Variable
from tinygrad_edu.singular import careful

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

WRITTEN_OUT = 6  # the most elements that are written one by one


def recompute(
    root: Variable, program: Iterable[Any], operands: dict[Node, list[Any]], times: dict[Any, float] | None = None
) -> dict[Any, Array]:
    """The value of every vertex as far as it can be known, from vertices in the order of the program, ``root``'s being the last. It
    cannot where the graph no longer holds an array, or holds one that was changed after the operation used it. ``times`` receives
    the seconds that each operation takes."""
    known: dict[Any, Any] = {}
    vertex: Any = None
    with np.errstate(all="ignore"):  # the user saw the warnings when the program ran
        for vertex in program:
            if not isinstance(vertex, Node):
                if vertex.data is not None:
                    known[vertex] = snapshot(vertex.data)
            elif all(operand in known and not _outdated(operand, vertex) for operand in operands[vertex]):
                arrays = [known[operand] for operand in operands[vertex]]
                if times is not None:
                    times[vertex] = _seconds(vertex, arrays)
                known[vertex] = _read_only(vertex.op.compute(arrays, vertex.params))
        if vertex in known and not _agree(known[vertex], root._data):
            # An array was changed behind the library's back, or an operation is random: no intermediate value can be trusted.
            known = {vertex: value for vertex, value in known.items() if not isinstance(vertex, Node)}
    known[vertex] = snapshot(root._data)
    return {vertex: _read_only(value) for vertex, value in known.items()}


def _seconds(node: Node, arrays: list[Any]) -> float:
    """How long the operation takes: the best of three, because what disturbs a measurement can only make it longer."""
    best = math.inf
    for _ in range(3):
        start = perf_counter()
        node.op.compute(arrays, node.params)
        best = min(best, perf_counter() - start)
    return best


def _agree(again: Array, before: Array) -> bool:
    """Whether a result that was computed twice is the same, but for what another memory layout makes of the last digits."""
    if before.dtype.kind not in "fc":
        return np.array_equal(again, before)
    return np.allclose(again, before, rtol=100 * np.finfo(before.dtype).eps, atol=0, equal_nan=True)


def _outdated(operand: Any, node: Node) -> bool:
    return isinstance(operand, Constant) and operand.changed > node.serial


def gradients(root: Variable, vertices: Iterable[Any], order: list[Node]) -> tuple[dict[Any, Array], dict[tuple[Node, int], Array]]:
    """The derivative of ``root`` with respect to every vertex, and what each use, an operation and the number of the operand, adds
    to that of its operand. Where that is not to be had, because ``root`` is no scalar or its graph was released, what the leaves
    have in ``.grad``."""
    try:
        with np.errstate(all="ignore"):
            found = engine.cotangents([(root, None)], wanted=vertices, retain_graph=True)
            parts = dict(_contributions(order, found))
    except GraphError:
        found, parts = {leaf: leaf.grad for leaf in vertices if isinstance(leaf, Leaf)}, {}
    arrays = {vertex: g._data if isinstance(g, Variable) else g for vertex, g in found.items() if g is not None}
    return {vertex: _read_only(np.array(array)) for vertex, array in arrays.items()}, parts


def _contributions(order: list[Node], found: dict[Any, Any]) -> Iterator[tuple[tuple[Node, int], Array]]:
    for node in order:
        if node in found:
            g = np.conj(found[node]) if node.dtype.kind == "c" else found[node]  # as it travels between nodes; see `engine`
            for position, pull in node.active:
                part = np.asarray(careful(pull)(g, node))
                if node.inputs[position].dtype.kind != "c":
                    part = part.real
                yield (node, position), _read_only(np.array(np.conj(part)))


EXPLODING = 1e4  # times the result's own gradient


def flags_of(value: Array | None, grad: Array | None, unit: float) -> tuple[str, ...]:
    """What a reader should be told of a tensor's numbers; see `GraphNode`."""
    found = []
    for word, array in (("value", value), ("gradient", grad)):
        if array is not None and array.dtype.kind in "fc" and array.size and not np.isfinite(array).all():
            found.append(f"{'nan' if np.isnan(array).any() else 'inf'} {word}")
    if grad is not None and grad.size and not found:
        largest = magnitude(grad)
        if largest == 0:
            found.append("zero gradient")
        elif largest > EXPLODING * unit:
            found.append("exploding gradient")
    return tuple(found)


def magnitude(array: Array) -> float:
    """The largest absolute value."""
    return float(np.abs(array).max()) if array.size else 0.0


def snapshot(value: Any) -> Any:
    """An array as it is now. A number stays what it is: as an operand, it leaves the dtype of the result to the other one."""
    return _read_only(np.array(value)) if isinstance(value, np.ndarray) else value


def frozen(value: Any) -> Array:
    """A copy of numbers that nobody can write to."""
    array = np.array(value)
    array.setflags(write=False)
    return array


def _read_only(value: Any) -> Array:
    view = np.asarray(value).view()
    view.setflags(write=False)
    return view


def written(array: Array) -> str:
    """An array in one short line: its elements with 4 significant digits, or a summary of them.

    >>> written(np.array([[1, 2], [3, 0.123456]]))
    '[[1, 2], [3, 0.1235]]'
    >>> written(np.arange(100.0))
    '0 … 99, mean 49.5'
    """
    if array.size <= WRITTEN_OUT:
        return _elements(array.tolist())
    if array.dtype.kind == "b":
        return f"{np.count_nonzero(array)} of {array.size} true"
    if array.dtype.kind == "c":
        return f"size {written(np.abs(array))}"
    finite = array[np.isfinite(array)]
    facts = []
    if finite.size:
        low, high = _number(finite.min()), _number(finite.max())
        with np.errstate(over="ignore"):
            mean = finite.mean(dtype=float)
        facts = [f"{low} … {high}", f"mean {_number(mean)}"] if low != high else [f"all {low}"]
    if finite.size < array.size:
        facts.append(f"{array.size - finite.size} of {array.size} not finite")
    return ", ".join(facts)


def _elements(value: Any) -> str:
    return f"[{', '.join(map(_elements, value))}]" if isinstance(value, list) else _number(value)


def _number(value: Any) -> str:
    exact = isinstance(value, bool | int | np.integer)
    return str(value) if exact else f"{value:.4g}"


def short(array: Array) -> str:
    """An array in so few characters that a node of a drawing has room for them."""
    if array.size == 1 or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        return written(array) if array.size == 1 else f"{array.size} numbers"
    if array.ndim == 1 and array.size <= 3:
        return f"[{', '.join(f'{x:.3g}' for x in array.tolist())}]"
    low, high = (f"{x:.3g}" for x in (array.min(), array.max())) if array.size else ("", "")
    return f"all {low}" if low == high else f"{low} … {high}"
