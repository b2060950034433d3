"""Where a gradient ends: how a result that is not recorded is marked, so that `explain_grad` can name the line."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from tinygrad_edu.graph import Cut, Leaf, Node, Variable, next_serial
from tinygrad_edu.places import Place, caller

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

V = TypeVar("V", bound=Variable)


class End(Place):
    """Where a gradient was lost, and why: "no_grad", "detach" or the name of an operation without a derivative. ``sources`` are
    what it would have gone to: of a leaf the serial number, of a node a weak reference, for an end keeps nothing alive."""

    __slots__ = ("sources", "why")
    why: str
    sources: tuple[int | weakref.ref[Node], ...]


MOST_ENDS = 8  # so that a constant that is computed from itself again and again does not grow


def cut(array: Array, why: str, operands: Iterable[Any]) -> Cut:
    """A vertex for an array that was computed from these vertices without being recorded. It hands on the ends of those that are
    cuts, and is a new one for those that require grad. Filled by hand, as nodes are."""
    ends: tuple[End, ...] = ()
    sources: tuple[Any, ...] = ()
    for operand in operands:
        kind = type(operand)
        if kind is Leaf:
            sources += (operand.serial,)
        elif kind is Node:
            sources += (weakref.ref(operand),)
        elif kind is Cut and ends is not operand.ends:
            ends = tuple(dict.fromkeys(ends + operand.ends))[:MOST_ENDS] if ends else operand.ends
    if sources and len(ends) < MOST_ENDS:
        end = caller(End, 3)  # this, `recording.record` or `mark_cut`, and the operation
        end.why = why
        end.sources = sources
        ends = (*ends, end)
    vertex = object.__new__(Cut)
    vertex.data = array
    vertex.shape = array.shape
    vertex.dtype = array.dtype
    vertex.name = None
    vertex.serial = next_serial()
    vertex.changed = 0
    vertex.change = None
    vertex._outline = None
    vertex.ends = ends
    return vertex


def mark_cut(result: V, why: str, *operands: Variable) -> V:
    """The result of something that is not recorded, marked where a gradient is lost by it."""
    vertex = cut(result._data, why, [operand._node for operand in operands])
    if vertex.ends:
        vertex.name = None if result._node is None else result._node.name
        result._node = vertex
    return result
