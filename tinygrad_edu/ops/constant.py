"""Functions without a derivative: piecewise constant, or about the order, the kind or the place of numbers. They compute with
NumPy and return constants."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

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
    smooth: str | None = None,
    instead: str = "",
) -> Callable[..., Any]:
    """NumPy's function, as one that takes tensors too and then returns constant tensors; a Python bool stays one. ``smooth`` is an
    argument on which the result depends smoothly after all: it must not require grad, and ``instead`` says what to do."""
    name = function.__name__

    @functools.wraps(function, assigned=("__name__", "__qualname__"), updated=())
    def call(*args: Any, **options: Any) -> Any:
        cls = next((type(value) for value in leaves((args, options)) if isinstance(value, Variable)), None)
        if cls is None:
            return function(*args, **options)
        if smooth and is_recording():
            for value in leaves(inspect.signature(function).bind(*args, **options).arguments.get(smooth)):
                if isinstance(value, Variable) and value._node is not None and value._node.requires_grad:
                    raise DTypeError(f"{name} returns a constant, and the tensor given as {smooth} requires grad: {instead}")
        args, options = mapped(_array, (args, options))
        return mapped(lambda y: y if isinstance(y, bool) else as_variable(cls, y), function(*args, **options))

    call.__doc__ = f"""As ``numpy.{name}``, with NumPy's arguments. A constant: it has no derivative, or a zero one."""
    call.__module__ = __name__
    return spelling(function, *numpy, aliases=aliases, method=method)(call)


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
    return _fraction(a), trunc(a)


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
ix_ = _constant(np.ix_, method=False)
unravel_index = _constant(np.unravel_index)
ravel_multi_index = _constant(np.ravel_multi_index, method=False)

# ---------------------------------------------------------------------------------------------------------------- integers

bitwise_and = _constant(np.bitwise_and)
bitwise_or = _constant(np.bitwise_or)
bitwise_xor = _constant(np.bitwise_xor)
bitwise_not = _constant(np.bitwise_not, aliases=("bitwise_not", "bitwise_invert"))
bitwise_left_shift = _constant(np.left_shift, aliases=("bitwise_left_shift",))
bitwise_right_shift = _constant(np.right_shift, aliases=("bitwise_right_shift",))
bitwise_count = _constant(np.bitwise_count)
gcd = _constant(np.gcd)
lcm = _constant(np.lcm)

# ---------------------------------------------------------------------------------------------------------- filled arrays

zeros_like = _constant(np.zeros_like, method=False)
ones_like = _constant(np.ones_like, method=False)
empty_like = _constant(np.empty_like, method=False)
full_like = _constant(np.full_like, method=False, smooth="fill_value", instead="write tg.broadcast_to(fill_value, x.shape)")

# ---------------------------------------------------------------------------------------------------------------- counting

BINS = "add the weights up with tg.bincount(tg.digitize(...), weights)"
count_nonzero = _constant(np.count_nonzero)
matrix_rank = _constant(np.linalg.matrix_rank)
histogram = _constant(np.histogram, smooth="weights", instead=BINS)
histogram2d = _constant(np.histogram2d, method=False, smooth="weights", instead=BINS)
histogramdd = _constant(np.histogramdd, method=False, smooth="weights", instead=BINS)


@composite(numpy=np.bincount, cases=[Case(x=np.array([0, 3, 3, 1]), weights=reals(shape=(4,)), minlength=[0, 6])])
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """yᵢ = Σⱼ wⱼ [xⱼ = i]        ∂L/∂wⱼ = gᵢ with i = xⱼ

    How often each of 0, 1, 2, … is among the integers x: a constant; or, with ``weights``, the sum of the weights of each.
    Counterpart: ``numpy.bincount``.

    >>> import tinygrad_edu as tg
    >>> tg.bincount([0, 2, 2], weights=tg.Tensor([0.5, 1.0, 2.0]))
    Tensor([0.5, 0. , 3. ])
    """
    places = np.asarray(_array(x))
    counts = np.bincount(places, minlength=minlength)
    if weights is None:
        return as_variable(type(x), counts) if isinstance(x, Variable) else counts
    if np.shape(_array(weights)) != places.shape:
        raise ShapeError(f"bincount: x has shape {places.shape}, and the weights {np.shape(_array(weights))}: one weight for each")
    return scatter_add(weights, places, counts.shape)
