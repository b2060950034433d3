"""NumPy functions on tensors: each is the primitive that declares it with ``numpy=`` or ``forward=``, or an error that says so.

On tensors that require no grad, a function without a primitive computes as usual. On others it would drop the gradient, so it
is refused by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tinygrad_edu.ops  # noqa: F401 - enters the primitives into the registry
from tinygrad_edu.errors import DTypeError
from tinygrad_edu.graph import Variable, is_recording
from tinygrad_edu.primitive import Primitive
from tinygrad_edu.registry import REGISTRY

OURS: dict[Any, Callable[..., Any]] = {
    numpy: op.function
    for name, op in REGISTRY.items()
    if "." not in name and (numpy := op.numpy if isinstance(op, Primitive) else op.reference) is not None
}

# Piecewise constant, or not about the numbers at all: nothing is lost when these see plain arrays.
FLAT = {
    *(np.shape, np.ndim, np.size, np.result_type, np.shares_memory, np.may_share_memory),
    *(np.zeros_like, np.ones_like, np.empty_like, np.full_like),
    *(np.argmax, np.argmin, np.argsort, np.argwhere, np.nonzero, np.count_nonzero, np.searchsorted),
    *(np.all, np.any, np.allclose, np.isclose, np.array_equal, np.isnan, np.isinf, np.isfinite, np.signbit),
    *(np.floor, np.ceil, np.rint, np.round, np.trunc, np.floor_divide, np.logical_and, np.logical_or, np.logical_not),
    *(np.array_repr, np.array_str, np.array2string),
}


def array_ufunc(_: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """``Tensor.__array_ufunc__``: also what an array's operator calls when its other operand is a tensor."""
    if method == "__call__" and not options and ufunc in OURS:
        return OURS[ufunc](*inputs)
    name = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    return _on_arrays(ufunc if method == "__call__" else getattr(ufunc, method), name, ufunc, inputs, options)


def array_function(_: Any, function: Callable[..., Any], types: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """``Tensor.__array_function__``."""
    if function in OURS and _fits(OURS[function], args, options):
        return OURS[function](*args, **options)
    return _on_arrays(function, f"{function.__module__}.{function.__name__}", function, args, options)


def _on_arrays(function: Callable[..., Any], name: str, key: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    if (
        key not in FLAT
        and is_recording()
        and any(tensor._node is not None and tensor._node.requires_grad for tensor in _tensors((args, options)))
    ):
        if "out" in options:
            hint = "there is no out= for it (and no `array += tensor`): write array = array + tensor"
        elif key in OURS and "." not in name.removeprefix("numpy."):
            hint = f"call {name} with the arguments of tg.{OURS[key].__name__}"
        else:
            hint = "write it with operations that are recorded, or pass x.detach() for a constant"
        raise DTypeError(f"{name} is not recorded like this, and would drop the gradient of a tensor that requires grad: {hint}")
    if any(isinstance(out, Variable) for out in options.get("out", ())):
        raise DTypeError(f"{name}: out= cannot be a tensor; assign the result, as in x.data = ...")
    return function(*_arrays(args), **_arrays(options))


def _fits(ours: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether our function takes these arguments; NumPy's may have more."""
    try:
        inspect.signature(ours).bind(*args, **options)
    except TypeError:
        return False
    return True


def _tensors(value: Any) -> Iterator[Variable]:
    if isinstance(value, Variable):
        yield value
    elif isinstance(value, tuple | list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def _arrays(value: Any) -> Any:
    """The same arguments with arrays in the place of tensors."""
    if isinstance(value, Variable):
        return value._data
    if isinstance(value, dict):
        return {key: _arrays(part) for key, part in value.items()}
    return type(value)([_arrays(part) for part in value]) if type(value) in (tuple, list) else value
