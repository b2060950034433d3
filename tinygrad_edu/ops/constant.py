"""Functions without a derivative: piecewise constant, or about the order, the kind or the place of numbers. They compute with
NumPy and return constants."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.cuts import mark_cut
from tinygrad_edu.errors import DTypeError, ShapeError
from tinygrad_edu.graph import Variable, as_variable, is_recording
from tinygrad_edu.ops.indexing import scatter_add
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, composite, reals, spelling
from tinygrad_edu.tree import leaves, mapped


def _constant(
    function: Callable[..., Any],
    *numpy: Any,
    aliases: tuple[str, ...] = (),
    method: bool = True,
    smooth: tuple[str, ...] = (),
    instead: str = "",
    note: str = "",
) -> Callable[..., Any]:
    """NumPy's function, as one that takes tensors too and then returns constant tensors; a Python bool stays one. ``smooth`` are
    arguments on which the result depends smoothly after all: they must not require grad, and ``instead`` says what to do."""
    name = function.__name__

    @functools.wraps(function, assigned=("__name__", "__qualname__"), updated=())
    def call(*args: Any, **options: Any) -> Any:
        given = list(leaves((args, options)))
        cls = next((type(value) for value in given if isinstance(value, Variable)), None)
        if cls is None:
            return function(*args, **options)
        outs = [out for out in leaves(options.get("out", args[_place_of_out(function) :])) if out is not None]
        if [out for out in outs if isinstance(out, Variable)]:
            raise DTypeError(f"{name}: out= cannot be a tensor; assign the result, as in x.data = ...")
        if smooth and is_recording():
            arguments = inspect.signature(function).bind(*args, **options).arguments
            for argument in smooth:
                for value in leaves(arguments.get(argument)):
                    if isinstance(value, Variable) and value._node is not None and value._node.requires_grad:
                        raise DTypeError(f"{name} returns a constant, and the tensor given as {argument} requires grad: {instead}")
        args, options = mapped(_array, (args, options))
        try:
            y = function(*args, **options)
        except (ValueError, IndexError) as error:
            shapes = [f"{value._data.shape} {value._data.dtype}" for value in given if isinstance(value, Variable)]
            raise ShapeError(f"{name}: {error}\n  called with a tensor of {', of '.join(shapes)}") from error
        if outs:
            return y  # the array that was given
        lost = [value for value in given if isinstance(value, Variable)]
        return mapped(lambda y: y if isinstance(y, bool) else mark_cut(as_variable(cls, _own(y, given)), name, *lost), y)

    call.__doc__ = f"""As ``numpy.{name}``, with NumPy's arguments. A constant: it has no derivative, or a zero one.{note}"""
    call.__module__ = __name__
    return spelling(function, *numpy, aliases=aliases, method=method)(call)


@functools.cache
def _place_of_out(function: Any) -> int:
    """How many arguments stand before ``out`` where it is given by position."""
    if isinstance(function, np.ufunc):
        return function.nin
    try:
        names = list(inspect.signature(function).parameters)
    except ValueError:  # a function in C, of which none here has such an argument
        return sys.maxsize
    return names.index("out") if "out" in names else sys.maxsize


def _own(y: Any, given: list[Any]) -> Any:
    """The result, and a copy of it where it is a view of an argument: a constant can be written to, and would change that."""
    if getattr(y, "base", None) is not None and [x for x in given if isinstance(x, Variable) and np.may_share_memory(x._data, y)]:
        return y.copy()
    return y


def _array(value: Any) -> Any:
    return value._data if isinstance(value, Variable) else value


# --------------------------------------------------------------------------------------------------------------- rounding

floor = _constant(np.floor)
ceil = _constant(np.ceil)
rint = _constant(np.rint)
trunc = _constant(np.trunc, np.fix, aliases=("fix",))
round = _constant(np.round, np.around, aliases=("around",))
floor_divide = _constant(np.floor_divide)
spacing = _constant(np.spacing)


@primitive(
    elementwise=True,
    reference=lambda a: np.copysign(np.abs(a) % 1, a),
    cases=[Case(a=reals(0.1, 0.9)), Case(a=reals(-1.9, -1.1))],
)
def _fraction(a: Any, /) -> Any:
    """y = a − trunc(a)        ∂L/∂a = g"""
    return np.modf(a)[0]


_fraction.vjp(a=lambda g: g)


@spelling(np.modf)
def modf(a: Any, /) -> Any:
    """The fractional part of a, with the derivative 1, and the integral part, a constant. Both have the sign of a.

    Counterpart: ``numpy.modf``.

    >>> import tinygrad_edu as tg
    >>> tg.modf(tg.Tensor([1.25, -1.25]))
    (Tensor([ 0.25, -0.25]), Tensor([ 1., -1.]))
    """
    whole = np.modf(_array(a))[1]
    return _fraction(a), mark_cut(as_variable(type(a), whole), "modf", a) if isinstance(a, Variable) else whole


@spelling(np.divmod)
def divmod(a: Any, b: Any, /) -> Any:
    """a // b, a constant, and a % b, which is differentiated.

    Counterpart: ``numpy.divmod``.

    >>> import tinygrad_edu as tg
    >>> tg.divmod(tg.Tensor([5.0, -5.0]), 3)
    (Tensor([ 1., -2.]), Tensor([2., 1.]))
    """
    return floor_divide(a, b), np.remainder(a, b)


# -------------------------------------------------------------------------------------------------------- kinds of numbers

isnan = _constant(np.isnan)
isinf = _constant(np.isinf)
isfinite = _constant(np.isfinite)
isposinf = _constant(np.isposinf)
isneginf = _constant(np.isneginf)
isreal = _constant(np.isreal)
iscomplex = _constant(np.iscomplex)
signbit = _constant(np.signbit)

# ---------------------------------------------------------------------------------------------------- comparing, and logic

isclose = _constant(np.isclose)
isin = _constant(np.isin)
allclose = _constant(np.allclose)
array_equal = _constant(np.array_equal)
array_equiv = _constant(np.array_equiv)
logical_and = _constant(np.logical_and)
logical_or = _constant(np.logical_or)
logical_xor = _constant(np.logical_xor)
logical_not = _constant(np.logical_not)
all = _constant(np.all, np.logical_and.reduce)
any = _constant(np.any, np.logical_or.reduce)

# --------------------------------------------------------------------------------------------------------- order and place

argmax = _constant(np.argmax)
argmin = _constant(np.argmin)
nanargmax = _constant(np.nanargmax)
nanargmin = _constant(np.nanargmin)
argsort = _constant(np.argsort)
argpartition = _constant(np.argpartition)
lexsort = _constant(np.lexsort, method=False)
searchsorted = _constant(np.searchsorted)
digitize = _constant(np.digitize)
argwhere = _constant(np.argwhere)
nonzero = _constant(np.nonzero)
flatnonzero = _constant(np.flatnonzero)
GRID = "indices are integers; of other numbers, tg.meshgrid(x, y, indexing='ij', sparse=True) makes the same"
ix_ = _constant(np.ix_, method=False, smooth=("args",), instead=GRID)
unravel_index = _constant(np.unravel_index)
ravel_multi_index = _constant(np.ravel_multi_index, method=False)

# ---------------------------------------------------------------------------------------------------------------- integers

bitwise_and = _constant(np.bitwise_and)
bitwise_or = _constant(np.bitwise_or)
bitwise_xor = _constant(np.bitwise_xor)
invert = bitwise_not = bitwise_invert = _constant(np.invert, aliases=("bitwise_not", "bitwise_invert"))
left_shift = bitwise_left_shift = _constant(np.left_shift, aliases=("bitwise_left_shift",))
right_shift = bitwise_right_shift = _constant(np.right_shift, aliases=("bitwise_right_shift",))
bitwise_count = _constant(np.bitwise_count)
gcd = _constant(np.gcd)
lcm = _constant(np.lcm)

# ---------------------------------------------------------------------------------------------------------- filled arrays

zeros_like = _constant(np.zeros_like, method=False)
ones_like = _constant(np.ones_like, method=False)
empty_like = _constant(np.empty_like, method=False)

# ---------------------------------------------------------------------------------------------------------------- counting

BINS: Any = {
    "smooth": ("weights", "bins", "range"),
    "instead": "add weights up with tg.bincount(tg.digitize(...), weights), and keep the edges of the bins as they are",
    "note": " So are the edges of the bins,\n    although those that NumPy finds move with the data, and densities with them.",
}
count_nonzero = _constant(np.count_nonzero)
matrix_rank = _constant(np.linalg.matrix_rank)
histogram = _constant(np.histogram, **BINS)
histogram2d = _constant(np.histogram2d, method=False, **BINS)
histogramdd = _constant(np.histogramdd, method=False, **BINS)


@composite(numpy=np.bincount, cases=[Case(x=np.array([0, 3, 3, 1]), weights=reals(shape=(4,)), minlength=[0, 6])])
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """yᵢ = Σⱼ wⱼ [xⱼ = i]        ∂L/∂wⱼ = gᵢ with i = xⱼ

    How often each of 0, 1, 2, … is among the integers x: a constant; or, with ``weights``, the sum of the weights of each, in their
    own precision (NumPy's is always float64). Counterpart: ``numpy.bincount``.

    >>> import tinygrad_edu as tg
    >>> tg.bincount([0, 2, 2], weights=tg.Tensor([0.5, 1.0, 2.0]))
    Tensor([0.5, 0. , 3. ])
    """
    places = np.asarray(_array(x))
    places = places.astype(np.intp) if places.dtype == np.bool_ else places
    counts = np.bincount(places, minlength=minlength)
    if weights is None:
        return mark_cut(as_variable(type(x), counts), "bincount", x) if isinstance(x, Variable) else counts
    given = np.asarray(_array(weights))
    if given.shape != places.shape:
        raise ShapeError(f"bincount: x has shape {places.shape}, and the weights {given.shape}: one weight for each")
    if given.dtype.kind in "biu":
        weights = as_variable(type(weights), given.astype(float)) if isinstance(weights, Variable) else given.astype(float)
    return scatter_add(weights, places, counts.shape)
