"""Changes of a tensor in place: who may be changed, and how backward() learns of it.

What the user made is changed in place, as NumPy would. The result of an operation never is: ``y += 1`` then means
``y = y + 1``, which is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.errors import GraphError, ShapeError
from tinygrad_edu.graph import Leaf, Node, Variable, is_recording, note_change
from tinygrad_edu.recording import vertex_of


def in_place(ufunc: np.ufunc, op: Callable[..., Any]) -> Callable[..., Any]:
    """The method for ``x += y`` and its like."""

    def change(tensor: Variable, other: Any) -> Any:
        vertex = tensor._node
        if type(vertex) is Node or not (tensor._data.flags.writeable or type(vertex) is Leaf):
            return op(tensor, other)
        check_changeable(tensor, "an operation in place")
        value = _constant(other, "an operation in place would lose the gradient of its right-hand side: write x = x + y instead")
        try:
            ufunc(tensor._data, value, out=tensor._data)
        except (TypeError, ValueError) as error:
            array = tensor._data
            raise ShapeError(f"an operation in place on a tensor of shape {array.shape}, {array.dtype}: {error}") from error
        note_change(vertex_of(tensor), tensor._data)
        return tensor

    return change


def set_item(tensor: Variable, key: Any, value: Any) -> None:
    """``x[key] = value``"""
    check_changeable(tensor, "x[key] = value")
    array = _constant(value, "x[key] = value would lose the gradient of the value: build the tensor with where or concatenate")
    try:
        tensor._data[_plain(key)] = array
    except (ValueError, TypeError, IndexError) as error:
        raise ShapeError(f"x[key] = value on a tensor of shape {tensor._data.shape}: {error}") from error
    note_change(vertex_of(tensor), tensor._data)


def check_changeable(tensor: Variable, how: str) -> None:
    """Refuse to change a result, or a leaf whose change would have to be recorded."""
    if type(tensor._node) is Node:
        raise GraphError(
            f"{how}: this tensor is the result of {tensor._node.op.name}, whose array may be needed by backward(); compute a new "
            "tensor, for instance with where"
        )
    if tensor._node is not None and tensor._node.requires_grad and is_recording():
        raise GraphError(
            f"{how} would change a leaf that requires grad while operations are recorded, and the change has no derivative: "
            "put it inside `with tg.no_grad():`"
        )
    if not tensor._data.flags.writeable:
        raise GraphError(f"{how}: the array is read-only, as an operation's result is; change a copy, as in x.detach()")


def _constant(value: Any, complaint: str) -> Any:
    """What is written into an array: numbers, and no tensor whose gradient would be lost."""
    if not isinstance(value, Variable):
        return value
    if is_recording() and value._node is not None and value._node.requires_grad:
        raise GraphError(complaint)
    return value._data


def _plain(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple([_plain(part) for part in key])
    return key._data if isinstance(key, Variable) else key
