"""Saving and loading: what a module's state is, and how another one is taken over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_edu.errors import StateError
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.nn.module import Module


class LoadResult(NamedTuple):
    """What ``load_state_dict(..., strict=False)`` found: names without numbers, and numbers without a place."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def saved(root: Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and persistent buffers with dotted names: of each module first the parameters, then the buffers, then what is
    below it. A module that is used in several places comes under each of its names."""
    waiting: list[tuple[str, Module, tuple[int, ...]]] = [("", root, ())]
    while waiting:
        path, module, above = waiting.pop()
        for name, parameter in module._own_parameters():
            yield path + name, parameter
        for name, buffer, persistent in module._own_buffers():
            if persistent:
                yield path + name, buffer
        inside = (*above, id(module))
        below = [(f"{path}{name}.", child, inside) for name, child in module.named_children() if id(child) not in inside]
        waiting += reversed(below)


def parents_first_backwards(root: Module) -> Iterator[Module]:
    """Every module once, parents first and the last child before the others: reversed, it is children first, in order."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        module = waiting.pop()
        if id(module) not in seen:
            seen.add(id(module))
            yield module
            waiting += module.children()


def load(root: Module, given: Mapping[str, Any], strict: bool) -> LoadResult:
    """See `Module.load_state_dict`."""
    if not isinstance(given, Mapping):
        raise StateError(f"load_state_dict: a state is a dictionary of arrays by dotted names, got {type(given).__name__}")
    places = dict(saved(root))
    missing = [name for name in places if name not in given]
    unexpected = [name for name in given if name not in places]
    faults, arrays = [], {}
    if strict and missing:
        faults.append(f"missing: {', '.join(missing)}")
    if strict and unexpected:
        faults.append(f"not known here: {', '.join(unexpected)}")
    for name, tensor in places.items():
        if name in given:
            array = _array(given[name])
            if array.shape != tensor.shape:
                hint = ""
                if array.ndim == 2 and array.shape == tensor.shape[::-1]:
                    hint = " (its transpose fits: Linear keeps weights as (out, in), Affine as (in, out))"
                faults.append(f"{name}: shape {array.shape}, and the module's is {tensor.shape}{hint}")
            elif array.dtype.kind != tensor.dtype.kind or not np.can_cast(array.dtype, tensor.dtype):
                faults.append(
                    f"{name}: dtype {array.dtype} does not fit into the module's {tensor.dtype} without loss; convert it with "
                    f"astype({tensor.dtype.name!r}), or make the module with dtype={array.dtype.name!r}"
                )
            arrays[name] = array
    if faults:
        names = "; strict=False lets names differ" if strict and (missing or unexpected) else ""
        raise StateError(f"load_state_dict into {type(root).__name__}{names}:\n  " + "\n  ".join(faults))
    for name, array in arrays.items():
        places[name].data = array
    return LoadResult(missing, unexpected)


def _array(value: Any) -> Any:
    """An array of what is given for a name: an array, one of our tensors, or somebody else's."""
    if isinstance(value, Tensor):
        return value.data
    return np.asarray(value.detach() if hasattr(value, "detach") else value)
