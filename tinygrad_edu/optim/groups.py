"""What is handed to an optimiser: parameters, groups of them, or plain arrays with their gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError, GraphError, ShapeError
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def groups_of(who: str, params: Iterable[Any]) -> list[Mapping[str, Any]]:
    """The groups that ``params`` stands for: it is a list of groups, or one group's tensors."""
    if isinstance(params, Tensor):
        raise DTypeError(f"{who}: params is a list of tensors, and this is one tensor: write [w]")
    if isinstance(params, Mapping):
        return [{"params": params}]
    if hasattr(params, "parameters"):
        raise DTypeError(f"{who}: params is a list of tensors, and this is a {type(params).__name__}: pass its .parameters()")
    listed = list(params)
    if listed and all(isinstance(entry, Mapping) for entry in listed):
        return listed
    return [{"params": listed}]


def checked_parameter(who: str, position: int, parameter: Any, among: Any) -> str:
    """What messages call the parameter. Raises an error if it cannot be updated."""
    if not isinstance(parameter, Tensor):
        hint = "; of a dictionary, pass its .values()" if isinstance(among, Mapping) else ""
        raise DTypeError(f"{who}: parameter {position} is a {type(parameter).__name__}, not a Tensor{hint}")
    name = f"parameter {position}" + (f" ({parameter.name!r})" if parameter.name else "")
    if not parameter.is_leaf:
        raise GraphError(
            f"{who}: {name} is the result of an operation, and backward() leaves gradients only in tensors that you made: "
            "compute its numbers first, then wrap them, as in Tensor(0.01 * array, requires_grad=True)"
        )
    if not parameter.requires_grad:
        raise GraphError(f"{who}: {name} does not require grad, so it would never change: make it with requires_grad=True")
    return name


def paired(who: str, params: Any, grads: Any) -> Iterator[tuple[Any, Any, Array, Array]]:
    """The name, the parameter, its array and its gradient's, for two dictionaries or two lists."""
    names = _names(who, params)
    if names != _names(who, grads):
        raise ArgumentError(
            f"{who}: params and grads are two lists of one length or two dictionaries with the same names, got "
            f"{_names(who, params)} and {_names(who, grads)}"
        )
    for name in names:
        p, g = (_array(values[name]) for values in (params, grads))
        if not isinstance(p, np.ndarray) or p.dtype.kind not in "fc":
            kind = p.dtype if isinstance(p, np.ndarray) else type(p).__name__
            raise DTypeError(f"{who}: parameter {name!r} is {kind}, and it is changed in place: make it a floating array")
        g = np.asarray(g)
        if g.shape != p.shape:
            raise ShapeError(f"{who}: the gradient of {name!r} has shape {g.shape}, and the parameter {p.shape}")
        yield name, params[name], p, g


def _names(who: str, values: Any) -> list[Any]:
    if isinstance(values, Mapping):
        return sorted(values)
    if isinstance(values, list | tuple):
        return list(range(len(values)))
    raise DTypeError(f"{who}: params and grads are lists or dictionaries of arrays, got a {type(values).__name__}")


def _array(value: Any) -> Any:
    return value.data if isinstance(value, Tensor) else value
