"""NumPy functions on tensors: each is the operation that declares it, or an error that says so.

``np.exp(x)``, ``np.linalg.inv(x)``, ``np.add.reduce(x)`` and ``scipy.special.erf(x)`` are ``tg.exp``, ``tg.inv``, ``tg.sum`` and
``tg.erf``. On tensors that require no grad, a function without an operation computes as usual, with arrays. On others it would
drop the gradient, so it is refused by name, with the way round.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu.ops
from tinygrad_edu.errors import ArgumentError, DTypeError
from tinygrad_edu.graph import Variable, as_variable, is_recording
from tinygrad_edu.ops.indexing import axis_of
from tinygrad_edu.registry import counterpart, spelling
from tinygrad_edu.tree import leaves, mapped

# About arrays and not about their numbers, or nothing that comes back: nothing is lost when these see plain arrays.
PLAIN = {
    *(np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.min_scalar_type, np.common_type),
    *(np.shares_memory, np.may_share_memory, np.iscomplexobj, np.isrealobj, np.einsum_path),
    *(np.diag_indices_from, np.tril_indices_from, np.triu_indices_from),
    *(np.array_repr, np.array_str, np.array2string, np.save, np.savez, np.savez_compressed, np.savetxt),
}

# What to do instead of a function that has no operation, by the last part of its name.
WAYS = {
    "at": "y = x.at[key].add(v), and likewise subtract, multiply, divide, max and min, is a new tensor",
    "reduceat": "reduce the slices one by one, or add up groups with tg.scatter_add",
    "apply_along_axis apply_over_axes": "operations work on whole arrays and along an axis: write the function with them",
    "frexp": "the exponents are constant, e = np.frexp(x.detach())[1], and the mantissas are x * 2.0**-e",
    "histogram_bin_edges": "the edges move with the data: take those of x.detach()",
    "intersect1d setdiff1d setxor1d union1d unique_all unique_counts unique_inverse unique_values": (
        "tg.unique, or x[indices] with indices found by NumPy in x.detach()"
    ),
    "logspace geomspace": "a power of what tg.linspace gives",
    "nextafter": "x itself, which differs by rounding only",
    "piecewise": "tg.where(condition, a, b) for each piece",
    "poly roots polyadd polyder polydiv polyfit polyint polymul polysub": (
        "tg.polyval evaluates polynomials, tg.convolve multiplies them, and tg.lstsq(tg.vander(x, n), y)[0] fits one"
    ),
    "resize": "tg.tile and tg.reshape",
    "sort_complex": "tg.sort",
    "trim_zeros": "a slice, x[first:last]",
}
WAY = {name: way for names, way in WAYS.items() for name in names.split()}


def array_ufunc(_: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """``Tensor.__array_ufunc__``: also what an array's operator calls when its other operand is a tensor."""
    if method == "__call__":
        ours = counterpart(ufunc)
        if ours is not None and not options:
            return ours(*inputs)
        return _dispatch(ufunc, _name(ufunc), ours, inputs, options)
    name = f"{_name(ufunc)}.{method}"
    if method == "outer" and not options:
        # The first operand gets an axis of length 1 for each of the second's.
        a, b = inputs
        spread = tinygrad_edu.ops.reshape(a, (*np.shape(a), *[1] * np.ndim(b)))
        return array_ufunc(None, ufunc, "__call__", spread, b)
    if method in ("reduce", "accumulate"):
        options.setdefault("axis", 0)  # a ufunc's own default, unlike that of np.sum
    if method == "at" and isinstance(inputs[0], Variable):
        raise DTypeError(f"{name} writes into its first argument, and a tensor is not written to like this: {WAY['at']}")
    function = getattr(ufunc, method)
    return _dispatch(function, name, counterpart(function) or _folded(ufunc, method), inputs, options)


@functools.cache
def _folded(ufunc: np.ufunc, method: str) -> Callable[..., Any] | None:
    """``reduce`` or ``accumulate`` of a ufunc of two operands: its operation, called once for each element of an axis."""
    step = counterpart(ufunc)
    if step is None or method not in _METHODS or (ufunc.nin, ufunc.nout) != (2, 1):
        return None
    name = f"{_name(ufunc)}.{method}"

    def slices(a: Any, axis: Any) -> tuple[list[Any], int]:
        axis = 0 if axis is None and np.ndim(a) == 1 else axis
        if not isinstance(axis, int | np.integer):
            raise ArgumentError(f"{name}: of a tensor it goes along one axis, and got axis={axis!r} with shape {np.shape(a)}")
        axis = axis_of(name, np.shape(a), int(axis))
        return list(tinygrad_edu.ops.unstack(a, axis=axis)), axis

    def reduce(a: Any, /, axis: Any = 0, keepdims: bool = False) -> Any:
        parts, axis = slices(a, axis)
        if not parts:  # the ufunc's identity, or an error that says that there is none
            return as_variable(type(a), ufunc.reduce(a._data, axis=axis, keepdims=keepdims))
        y = functools.reduce(step, parts)
        return tinygrad_edu.ops.expand_dims(y, axis) if keepdims else y

    def accumulate(a: Any, /, axis: Any = 0) -> Any:
        parts, axis = slices(a, axis)
        return tinygrad_edu.ops.stack(list(itertools.accumulate(parts, step)), axis=axis) if parts else a

    return {"reduce": reduce, "accumulate": accumulate}[method]


def array_function(_: Any, function: Callable[..., Any], types: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """``Tensor.__array_function__``."""
    return _dispatch(function, _name(function), counterpart(function), args, options)


def _dispatch(function: Any, name: str, ours: Callable[..., Any] | None, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call our function with the arguments of NumPy's; or NumPy's, where nothing is lost by it; or refuse."""
    operands, metadata, strange = (args, options, {}) if ours is None else _translate(function, ours, args, options)
    if any(isinstance(out, Variable) for given in (metadata, strange) for out in leaves(given.get("out"))):
        raise DTypeError(f"{name}: out= cannot be a tensor; assign the result, as in x.data = ...")
    if ours is not None and not strange:
        return ours(*operands, **metadata)
    if ours in REDUCTIONS and strange.keys() <= {"where", "initial"}:
        return _reduced(ours, operands[0], {key: value for key, value in metadata.items() if key not in strange}, **strange)
    tensors = [value for value in leaves((args, options)) if isinstance(value, Variable)]
    if function not in PLAIN and is_recording() and any(x._node is not None and x._node.requires_grad for x in tensors):
        raise DTypeError(
            f"{name} is not recorded like this, and would drop the gradient of a tensor that requires grad: "
            + _way_round(name, strange, ours)
        )
    args, options = mapped(lambda value: value._data if isinstance(value, Variable) else value, (args, options))
    y = function(*args, **options)
    return y if ours is None or "out" in strange else mapped(functools.partial(as_variable, type(tensors[0])), y)


# The reductions that take ``where`` and ``initial``, with the ufunc that they repeat.
_REPEATED: dict[Any, np.ufunc] = {
    np.sum: np.add,
    np.nansum: np.add,
    np.prod: np.multiply,
    np.nanprod: np.multiply,
    np.max: np.maximum,
    np.nanmax: np.fmax,
    np.min: np.minimum,
    np.nanmin: np.fmin,
}
REDUCTIONS = {counterpart(theirs): ufunc for theirs, ufunc in _REPEATED.items()}
AVERAGES = [counterpart(theirs) for theirs in (np.mean, np.var, np.std)]


def _reduced(ours: Any, operand: Any, metadata: dict[str, Any], where: Any = True, initial: Any = None) -> Any:
    """A reduction in which what is left out counts as nothing, and which begins with a number."""
    ufunc = REDUCTIONS[ours]
    if where is not True:
        nothing = ufunc.identity if ufunc.identity is not None else initial
        if nothing is None:
            raise ArgumentError(f"{ours.__name__}: there is no number that changes no {ours.__name__}: give initial= with where=")
        operand = tinygrad_edu.ops.where(np.broadcast_to(where, np.shape(operand)), operand, nothing)
    y = ours(operand, **metadata)
    return y if initial is None else array_ufunc(None, ufunc, "__call__", y, initial)


def _way_round(name: str, strange: dict[str, Any], ours: Callable[..., Any] | None) -> str:
    if ours is None:
        way = WAY.get(name.rpartition(".")[2], "write it with operations that are recorded")
        return f"{way}; or pass x.detach() for a constant"
    if "out" in strange:
        return "there is no out= for it (and no `array += tensor`): write array = array + tensor"
    if "where" in strange and ours in AVERAGES:
        return f"there is no where= for it: tg.nan{ours.__name__}(tg.where(mask, x, np.nan)) leaves out the rest"
    if "where" in strange:
        return f"there is no where= for it: choose with tg.where, before or after tg.{ours.__name__}"
    parameters = [p.replace(annotation=p.empty) for p in inspect.signature(ours).parameters.values()]
    names = ", ".join(strange)
    return f"tg.{ours.__name__} has no {names}: call it as tg.{ours.__name__}{inspect.Signature(parameters)}"


def _translate(
    function: Any, ours: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
    """The arguments of NumPy's function as those of ours, operands and metadata, and those that ours does not know, by name."""
    operands, names = _parameters(ours)
    if operands is None or (len(args) == operands and names.issuperset(options)):
        return args, options, {}
    theirs = _signature(function)
    given = dict(options)
    if theirs is not None:
        bound = theirs.bind(*args, **options)
        given = {}
        for name, value in bound.arguments.items():
            if theirs.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                given |= value
            elif name in names or value is not theirs.parameters[name].default:
                given[RENAMED.get(name, name)] = value
        args = tuple([given.pop(name) for name in list(theirs.parameters)[:operands] if name in given])
    given = {name: value for name, value in given.items() if value is not np._NoValue and (value is not None or name in names)}
    if "dtype" not in names:
        dtype = given.pop("dtype", None)
        if dtype is not None:
            args = mapped(lambda value: tinygrad_edu.ops.astype(value, dtype), args)
    return args, given, {name: value for name, value in given.items() if name not in names}


@functools.cache
def _parameters(ours: Callable[..., Any]) -> tuple[int | None, frozenset[str]]:
    """How many operands our function takes, and the names of its other parameters. None says: the same arguments as NumPy's."""
    signature = _signature(ours)
    parameters = () if signature is None else signature.parameters.values()
    if not parameters or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        return None, frozenset()
    operands = [p for p in parameters if p.kind is p.POSITIONAL_ONLY] or [p for p in parameters if p.default is p.empty]
    return len(operands), frozenset(p.name for p in parameters if p not in operands)


@spelling(np.where)
def _where(condition: Any, a: Any = None, b: Any = None, /) -> Any:
    """Two functions in NumPy: of the condition alone it is ``nonzero``."""
    return tinygrad_edu.ops.nonzero(condition) if a is None and b is None else tinygrad_edu.ops.where(condition, a, b)


RENAMED = {"newshape": "shape"}  # by NumPy 2.1

# The parameters of ufunc methods.
_METHODS = {
    "reduce": inspect.signature(lambda array, axis=0, dtype=None, out=None, keepdims=False, initial=np._NoValue, where=True: None),
    "accumulate": inspect.signature(lambda array, axis=0, dtype=None, out=None: None),
}


@functools.cache
def _signature(function: Any) -> inspect.Signature | None:
    if isinstance(getattr(function, "__self__", None), np.ufunc):
        return _METHODS.get(function.__name__)
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):  # of NumPy's functions in C, the older ones have none that could be read
        return None


def _name(function: Any) -> str:
    """The name by which NumPy's users know a function."""
    module = getattr(function, "__module__", None) or "numpy"
    if isinstance(function, np.ufunc):
        known = [home for home in ("numpy", "scipy.special") if getattr(sys.modules.get(home), function.__name__, None) is function]
        return ".".join([*known[:1], function.__name__])
    return f"{module}.{function.__name__}"
