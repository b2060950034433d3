"""NumPy functions on tensors: each is the operation that declares it, or an error that says so.

``np.exp(x)``, ``np.linalg.inv(x)``, ``np.add.reduce(x)`` and ``scipy.special.erf(x)`` are ``tg.exp``, ``tg.inv``, ``tg.sum`` and
``tg.erf``. On tensors that require no grad, a function without an operation computes as usual. On others it would drop the
gradient, so it is refused by name.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu.ops
from tinygrad_edu.errors import DTypeError
from tinygrad_edu.graph import Variable, is_recording
from tinygrad_edu.registry import counterpart, split_signature
from tinygrad_edu.tree import leaves, mapped

# About arrays and not about their numbers: nothing is lost when these see plain arrays and return plain values.
FLAT = {
    *(
        np.shape,
        np.ndim,
        np.size,
        np.result_type,
        np.can_cast,
        np.shares_memory,
        np.may_share_memory,
        np.iscomplexobj,
        np.isrealobj,
    ),
    *(np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.broadcast_shapes),
    *(np.array_repr, np.array_str, np.array2string),
}


def array_ufunc(_: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """``Tensor.__array_ufunc__``: also what an array's operator calls when its other operand is a tensor."""
    if method == "__call__":
        ours = counterpart(ufunc)
        if ours is not None and not options:
            return ours(*inputs)
        return _dispatch(ufunc, f"{_module(ufunc)}.{ufunc.__name__}", ours, inputs, options)
    function = getattr(ufunc, method)
    name = f"{_module(ufunc)}.{ufunc.__name__}.{method}"
    if method == "outer" and not options:
        # The first operand gets an axis of length 1 for each of the second's.
        a, b = inputs
        spread = tinygrad_edu.ops.reshape(a, (*np.shape(a), *[1] * np.ndim(b)))
        return array_ufunc(None, ufunc, "__call__", spread, b)
    if method in ("reduce", "accumulate"):
        options.setdefault("axis", 0)  # a ufunc's own default, unlike that of np.sum
    return _dispatch(function, name, counterpart(function), inputs, options)


def array_function(_: Any, function: Callable[..., Any], types: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """``Tensor.__array_function__``."""
    return _dispatch(function, f"{_module(function)}.{function.__name__}", counterpart(function), args, options)


def _dispatch(function: Any, name: str, ours: Callable[..., Any] | None, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call our function with the arguments of NumPy's; or NumPy's, where nothing is lost by it; or refuse."""
    if ours is not None:
        translated, strange = _translate(function, ours, args, options)
        if not strange:
            return ours(*translated.args, **translated.kwargs)
    else:
        strange = {}
    if (
        function not in FLAT
        and is_recording()
        and any(isinstance(x, Variable) and x._node is not None and x._node.requires_grad for x in leaves((args, options)))
    ):
        raise DTypeError(
            f"{name} is not recorded like this, and would drop the gradient of a tensor that requires grad: "
            + _way_round(strange, ours)
        )
    if any(isinstance(out, Variable) for out in leaves(options.get("out"))):
        raise DTypeError(f"{name}: out= cannot be a tensor; assign the result, as in x.data = ...")
    args, options = mapped(lambda value: value._data if isinstance(value, Variable) else value, (args, options))
    return function(*args, **options)


def _way_round(strange: dict[str, Any], ours: Callable[..., Any] | None) -> str:
    if ours is None:
        return "write it with operations that are recorded, or pass x.detach() for a constant"
    if "out" in strange:
        return "there is no out= for it (and no `array += tensor`): write array = array + tensor"
    if "where" in strange:
        return f"there is no where= for it: choose with tg.where, before or after tg.{ours.__name__}"
    names = ", ".join(strange)
    return f"tg.{ours.__name__} has no {names}: call it as tg.{ours.__name__}{inspect.signature(ours)}"


class _Arguments:
    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args, self.kwargs = args, kwargs


def _translate(
    function: Any, ours: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The arguments of NumPy's function as those of ours, and those that ours does not know, by name."""
    operands, names = _signature_of(ours)
    if operands is None or (len(args) == operands and names.issuperset(options)):
        return _Arguments(args, options), {}
    theirs = _numpy_signature(function)
    if theirs is None:
        strange = {name: value for name, value in options.items() if name not in names and value is not None}
        known = {name: value for name, value in options.items() if name in names}
        return _Arguments(args, known), strange
    try:
        bound = theirs.bind(*args, **options)
    except TypeError:
        return _Arguments(args, options), options
    given: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if theirs.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            given |= value
        elif value is not np._NoValue and (name in names or value is not theirs.parameters[name].default):
            given[name] = value
    first = [given.pop(name) for name in list(theirs.parameters)[:operands] if name in given]
    dtype = given.pop("dtype", None) if "dtype" not in names else None
    strange = {name: value for name, value in given.items() if name not in names}
    if dtype is not None:
        first = [tinygrad_edu.ops.astype(value, dtype) if isinstance(value, Variable) else value for value in first]
    return _Arguments(tuple(first), given), strange


@functools.cache
def _signature_of(ours: Callable[..., Any]) -> tuple[int | None, frozenset[str]]:
    """How many operands our function takes by position (None: any number, as NumPy's), and the names of the others."""
    parameters = inspect.signature(ours).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None, frozenset()
    operands, metadata = split_signature(ours)
    return len(operands), frozenset(metadata)


# The parameters of ufunc methods, which have no signature that could be read.
_METHODS = {
    "reduce": inspect.signature(lambda array, axis=0, dtype=None, out=None, keepdims=False, initial=None, where=True: None),
    "accumulate": inspect.signature(lambda array, axis=0, dtype=None, out=None: None),
}


@functools.cache
def _numpy_signature(function: Any) -> inspect.Signature | None:
    if isinstance(getattr(function, "__self__", None), np.ufunc):
        return _METHODS.get(function.__name__)
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):
        return None


def _module(function: Any) -> str:
    """Where NumPy's users find a function."""
    if isinstance(function, np.ufunc):
        return "numpy" if getattr(np, function.__name__, None) is function else "scipy.special"
    return getattr(function, "__module__", None) or "numpy"
