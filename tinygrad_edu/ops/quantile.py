"""Medians, quantiles and percentiles."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_edu.graph import Variable, as_variable
from tinygrad_edu.ops.differences import between
from tinygrad_edu.ops.indexing import numbers_of
from tinygrad_edu.ops.reduction import as_operand, checked_axes, joined, mean, reduced_axes, shared
from tinygrad_edu.ops.select import clip
from tinygrad_edu.ops.shape import astype, reshape, transpose
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, composite, reals

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_edu.graph import Array, Shape


@primitive(
    label="sorted[i]",
    cases=[
        Case(a=reals(grid=(-2, 0.3), shape=(5,)), ranks=[np.array([3]), np.array([0, 4, 0])]),
        Case(a=reals(grid=(-2, 0.3), shape=(2, 3)), ranks=[np.array([1, 2]), np.array([[1, 0], [2, 2]])]),
    ],
    reference=lambda a, ranks: np.take_along_axis(np.sort(a), np.broadcast_to(ranks, (*a.shape[:-1], ranks.shape[-1])), -1),
)
def _ranked(a: Array, /, ranks: Array) -> Array:
    """y = the elements that have these ranks along the last axis        ∂L/∂a = g at those elements; equal ones share equally

    ``ranks`` are counted from 0, the smallest; (k,) for all rows or (..., k) for each. NaNs are the largest.
    """
    if a.dtype.kind == "c":
        raise DTypeError(f"an order of complex numbers (dtype {a.dtype}) has no meaning: take the median of their parts or sizes")
    ordered = np.partition(a, np.unique(ranks), axis=-1)
    return np.take_along_axis(ordered, np.broadcast_to(ranks, (*a.shape[:-1], ranks.shape[-1])), -1)


def _to_ranked(g: Any, y: Any, a: Any, ranks: Array) -> Any:
    total: Any = np.zeros(a.shape, a.dtype)
    for i in range(ranks.shape[-1]):
        total = total + shared(g[..., i], y[..., i], a, -1)
    return total


_ranked.vjp(a=_to_ranked)

# Where the quantile q of n sorted elements lies among them, counted from 0: q n + α + q (1 − α − β) − 1. The numbers are those
# of R. J. Hyndman and Y. Fan, Sample quantiles in statistical packages, The American Statistician 50 (1996).
_CONTINUOUS = {
    "linear": (1.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "interpolated_inverted_cdf": (0.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}


def _closest(place: Any) -> Any:
    """The element after the place, which lies half an element early; on the spot, the one with an odd number, as counted from 0."""
    below = np.floor(place)
    return np.where((below == place) & (below % 2 == 1), below, below + 1)


# The methods that take one element, or the mean of two, which often are the same: how to get to it from the place between them.
_STEPS: dict[str, tuple[Callable[[Any], Any], ...]] = {
    "lower": (np.floor,),
    "higher": (np.ceil,),
    "nearest": (np.rint,),
    "midpoint": (np.floor, np.ceil),
    "inverted_cdf": (np.ceil,),
    "averaged_inverted_cdf": (np.ceil, lambda place: np.floor(place) + 1),
    "closest_observation": (_closest,),
}


def _position(q: Any, n: Any, method: str) -> Any:
    """Where quantiles lie among n sorted elements, as real numbers."""
    if method in ("linear", "midpoint", "lower", "higher", "nearest"):
        return q * (n - 1)
    if method in ("inverted_cdf", "averaged_inverted_cdf"):
        return q * n - 1
    if method == "closest_observation":
        return q * n - 1.5
    if method not in _CONTINUOUS:
        names = ", ".join([*_CONTINUOUS, *_STEPS])
        raise ArgumentError(f"quantile: unknown method {method!r}; there are {names}")
    alpha, beta = _CONTINUOUS[method]
    return n * q + (alpha + q * (1 - alpha - beta)) - 1


def _observed(name: str, rows: Array, skip_nan: bool) -> tuple[Any, Any]:
    """How many elements there are in a row, and which rows hold a NaN that counts."""
    n: Any = rows.shape[-1]
    if not n:
        raise ShapeError(f"{name} of no elements: there is none to choose")
    missing = np.isnan(rows) if rows.dtype.kind == "f" else np.zeros(1, bool)
    if not missing.any():
        return n, None
    if not skip_nan:
        return n, missing.any(-1, keepdims=True)
    n = n - missing.sum(-1, keepdims=True)
    if not n.all():
        warnings.warn(f"{name}: a slice holds nothing but NaN, and so does its result", RuntimeWarning, stacklevel=4)
    return n, None


def _chosen(rows: Any, ranks: Array, spoilt: Any) -> Any:
    """The elements of these ranks; in a row that is spoilt the largest, which is a NaN."""
    ranks = np.maximum(ranks, 0)  # none is left of a row of NaNs: any of them will do
    return _ranked(rows, np.asarray(ranks if spoilt is None else np.where(spoilt, rows.shape[-1] - 1, ranks), np.intp))


def _arranged(y: Any, a_shape: Shape, axis: Any, keepdims: bool, q_shape: Shape) -> Any:
    """Results, whose last axis is that of the quantiles, with the axes that NumPy gives them."""
    if len(q_shape):
        y = transpose(y, (y.ndim - 1, *range(y.ndim - 1)))
    reduced = reduced_axes(len(a_shape), axis)
    rest = [1 if i in reduced else n for i, n in enumerate(a_shape) if keepdims or i not in reduced]
    return reshape(y, (*q_shape, *rest))


def quantiles(name: str, a: Any, q: Any, axis: Any, method: str, keepdims: bool, *, skip_nan: bool = False) -> Any:
    """The quantiles of an array, in which a NaN makes them nan or is left out."""
    a, q = as_operand(a), as_operand(q)
    axis = checked_axes(name, a.shape, axis)
    rows = joined(a, axis)
    fractions = numbers_of(q)
    if q.size and not (fractions.min() >= 0 and fractions.max() <= 1):
        raise ArgumentError(f"{name}: q is a fraction, between 0 and 1 (or a percentage, between 0 and 100), got {fractions}")
    n, spoilt = _observed(name, numbers_of(rows), skip_nan)
    position, last = _position(q.reshape(-1), n, method), np.maximum(n - 1, 0)
    if steps := _STEPS.get(method):
        ranks = [np.clip(step(numbers_of(position)), 0, last) for step in steps]
        part: Any = 0.5
    else:
        position = clip(position, 0, last)
        below = np.floor(numbers_of(position))
        ranks = [below, np.minimum(below + 1, last)]
        part = astype(position - below, a.dtype) if a.dtype.kind == "f" else position - below
    y = _chosen(rows, np.concatenate(ranks, -1), spoilt)
    if len(ranks) > 1:
        y = between(y[..., : q.size], y[..., q.size :], part)
    if isinstance(q, Variable) and not isinstance(y, Variable):
        y = as_variable(type(q), y)
    return _arranged(y, a.shape, axis, keepdims, q.shape)


def medians(name: str, a: Any, axis: Any, keepdims: bool, *, skip_nan: bool = False) -> Any:
    """The medians of an array, in which a NaN makes them nan or is left out."""
    a = as_operand(a)
    axis = checked_axes(name, a.shape, axis)
    rows = joined(a, axis)
    n, spoilt = _observed(name, numbers_of(rows), skip_nan)
    upper = np.atleast_1d(n // 2)
    odd = isinstance(n, int) and n % 2
    middle = _chosen(rows, upper if odd else np.concatenate([np.atleast_1d((n - 1) // 2), upper], -1), spoilt)
    return _arranged(mean(middle, axis=-1), a.shape, axis, keepdims, ())


_TIES = Kink("equal elements", "they share equally", at={"a": [1.0, 3.0, 3.0, 3.0]}, gradient={"a": [0.0, 1 / 3, 1 / 3, 1 / 3]})


@composite(
    numpy=np.median,
    cases=[
        Case(a=reals(grid=(-2, 0.3), shape=(2, 3)), axis=[None, 0, -1, (0, 1)], keepdims=[False, True]),
        Case(a=reals(shape=())),
    ],
    kinks=[_TIES],
)
def median(a: Any, /, axis: Any = None, keepdims: bool = False) -> Any:
    """y = the middle one of the sorted elements        ∂L/∂a = g at that element; equal ones share equally

    Of an even number of elements, the mean of the two in the middle, as in NumPy (PyTorch gives the lower one). ``axis`` is None
    (all), an integer or a tuple. A NaN makes it nan. Counterpart: ``numpy.median``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 9.0, 2.0, 7.0], requires_grad=True)
    >>> y = tg.median(x)
    >>> y
    Tensor(4.5, requires_grad=True)
    >>> y.backward()
    >>> x.grad
    Tensor([0. , 0. , 0.5, 0.5])
    """
    return medians("median", a, axis, keepdims)


@composite(
    numpy=np.quantile,
    cases=[
        Case(a=reals(grid=(-2, 0.3), shape=(2, 3)), q=[0.3, [0.0, 0.8], 1], axis=[None, 0, -1, (0, 1)], keepdims=[False, True]),
        Case(a=reals(grid=(-2, 0.3), shape=(4,)), q=[[[0.1, 0.5], [0.77, 0.9]]], method=[*_CONTINUOUS, *_STEPS]),
        Case(a=reals(grid=(-2, 0.3), shape=(2, 3)), q=reals(0.55, 0.75, shape=(2,)), axis=[None, 1], method=[*_CONTINUOUS]),
    ],
    kinks=[Kink(_TIES.where, _TIES.convention, at={**_TIES.at, "q": 0.6}, gradient=_TIES.gradient)],
)
def quantile(a: Any, /, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """y = the element below which the fraction q lies        ∂L/∂a = g at the two elements beside it, by how near it is

    ``q`` is a number or an array between 0 and 1, whose axes come first in the result; it is differentiated too. ``method`` says
    how to interpolate: linear, lower, higher, nearest, midpoint or another of NumPy's. Equal elements share equally.
    float32 stays float32, whatever q is, and a quantile is infinite only if an element is that it touches: NumPy gives float64 for
    an array q, and nan there. Counterpart: ``numpy.quantile``, ``torch.quantile``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 9.0, 2.0, 7.0], requires_grad=True)
    >>> tg.quantile(x, 0.25).backward()
    >>> x.grad
    Tensor([0.25, 0.  , 0.75, 0.  ])
    """
    return quantiles("quantile", a, q, axis, method, keepdims)


@composite(
    numpy=np.percentile,
    cases=[Case(a=reals(grid=(-2, 0.3), shape=(2, 3)), q=[30, [0.0, 80.0]], axis=[None, 1], method=["linear", "lower"])],
    kinks=[Kink(_TIES.where, _TIES.convention, at={**_TIES.at, "q": 60}, gradient=_TIES.gradient)],
)
def percentile(a: Any, /, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """y = the element below which q hundredths lie        ∂L/∂a = g at the two elements beside it, by how near it is

    `quantile` with ``q`` between 0 and 100. Counterpart: ``numpy.percentile``.

    >>> import tinygrad_edu as tg
    >>> tg.percentile(tg.Tensor([1.0, 9.0, 2.0, 7.0]), [0, 50])
    Tensor([1. , 4.5])
    """
    return quantiles("percentile", a, as_operand(q) / 100, axis, method, keepdims)
