"""What the function that is checked is called with: arrays of floats are differentiated, and everything else is passed on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.graph import Variable
from tinygrad_edu.tensor import Tensor

FLOATS = float | complex | np.inexact | np.ndarray
NUMBERS = int | np.number | np.bool_


def as_input(value: Any) -> Any:
    """An array, of whatever is one: a tensor, a float, lists of numbers, tuples with a float in them. All else stays as it is, for
    functions look at it in other ways: at a Python int, None, a string, a shape, a list of names, a dictionary."""
    if isinstance(value, Variable):
        return value._data
    if isinstance(value, np.ndarray | np.generic | float | complex):
        return np.asarray(value)
    leaves = list(_leaves(value)) if isinstance(value, list | tuple) else []
    kinds = FLOATS if isinstance(value, tuple) else FLOATS | NUMBERS
    if not all(isinstance(leaf, FLOATS | NUMBERS) for leaf in leaves) or not any(isinstance(leaf, kinds) for leaf in leaves):
        return value
    try:
        return np.asarray(value)
    except ValueError:  # rows of different lengths
        return value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def differentiable(inputs: Sequence[Any]) -> list[int]:
    """The numbers of the inputs that are differentiated."""
    return [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype.kind in "fc"]


def kinds_of(inputs: Sequence[Any]) -> str:
    """The dtypes of inputs, for a message."""
    return ", ".join(str(x.dtype) if isinstance(x, np.ndarray) else type(x).__name__ for x in inputs) or "none"


def fresh(value: Any) -> Any:
    """A copy of an array, which a function may write into; anything else itself."""
    return value.copy() if isinstance(value, np.ndarray) else value


def fresh_copies(inputs: Sequence[Any]) -> list[Any]:
    """The inputs, for a function that may write into them."""
    return list(map(fresh, inputs))


def tensors_of(inputs: Sequence[Any], chosen: Collection[int]) -> list[Any]:
    """The inputs as a function on tensors is called with them."""
    return [Tensor(x, requires_grad=i in chosen) if isinstance(x, np.ndarray) else x for i, x in enumerate(inputs)]
