"""Nested states as flat ones: arrays by dotted names, and the rest as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError, FileError
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

PLAIN = (str, bool, int, float, type(None))


def flattened(state: Any) -> tuple[dict[str, Array], str | None]:
    """The arrays by names, and the structure around them as JSON; None for a dictionary that holds nothing but arrays.

    In the JSON, an object has one entry that says what it stands for: a dictionary, a tuple, or an array by its name.
    """
    if not isinstance(state, dict):
        hint = ": pass its state_dict()" if hasattr(state, "state_dict") else ""
        raise DTypeError(
            f"save: a state is a dictionary of arrays, numbers, texts, lists and dictionaries, got a {_kind(state)}{hint}"
        )
    arrays: dict[str, Array] = {}

    def walk(value: Any, path: str) -> Any:
        if type(value) in PLAIN:
            return value
        if isinstance(value, Tensor | np.ndarray | np.generic):
            name = path
            while name in arrays:  # {"a.b": x, "a": {"b": y}}
                name += "~"
            arrays[name] = _storable(value.data if isinstance(value, Tensor) else value, path)
            return {"array": name}
        if isinstance(value, Mapping):
            strange = [key for key in value if not isinstance(key, str)]
            if strange:
                raise DTypeError(f"save: a key in {path or 'the state'} is {strange[0]!r}, a {_kind(strange[0])}; keys are texts")
            return {"dict": {key: walk(part, f"{path}.{key}" if path else key) for key, part in value.items()}}
        if type(value) in (list, tuple):
            parts = [walk(part, f"{path}.{position}") for position, part in enumerate(value)]
            return parts if type(value) is list else {"tuple": parts}
        hint = ": pass its state_dict()" if hasattr(value, "state_dict") else ""
        raise DTypeError(f"save: {path} is a {_kind(value)}, and a file holds arrays, numbers, texts, lists and dictionaries{hint}")

    try:
        structure = walk(state, "")
    except RecursionError:
        raise ArgumentError("save: the state is nested too deeply; does a list or dictionary contain itself?") from None
    if list(arrays) == list(state):
        return arrays, None
    return arrays, json.dumps(structure, separators=(",", ":"))


def restored(arrays: Mapping[str, Array], structure: str | None, where: str) -> Any:
    """What `flattened` was given."""
    if structure is None:
        return dict(arrays)

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(part) for part in value]
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        if kind == "array":
            return arrays[content]
        return {key: walk(part) for key, part in content.items()} if kind == "dict" else tuple([walk(part) for part in content])

    try:
        return walk(json.loads(structure))
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise FileError(f"{where}: corrupt: its arrays do not fit the structure that it describes ({error!r})") from error


def _storable(value: Any, path: str) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise DTypeError(f"save: {path} has dtype {array.dtype}, which is not numeric")
    return array


def _kind(value: Any) -> str:
    return type(value).__name__
