"""Reductions that leave out what is not a number. A NaN has no influence on their results, so its gradient is 0."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.complex import magnitude
from tinygrad_edu.ops.cumulative import cumprod, cumsum
from tinygrad_edu.ops.indexing import numbers_of
from tinygrad_edu.ops.norm import vector_norm
from tinygrad_edu.ops.quantile import medians, quantiles
from tinygrad_edu.ops.reduction import as_operand, checked_axes, keep, prod, sum
from tinygrad_edu.ops.select import maximum, where
from tinygrad_edu.ops.statistics import narrowed, widened
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

# What the cases below put over their operands: a NaN here and there.
_HOLES = np.array([[0.0, np.nan, 0.0], [0.0, 0.0, 0.0]], np.float32)


def _with_holes(a: Any) -> Any:
    return a + _HOLES


def _case(a: Any = None, **metadata: Any) -> Case:
    metadata = {"axis": [None, 0, -1, (0, 1)], "keepdims": [False, True], **metadata}
    return Case(a=a or reals(grid=(-2, 0.3), shape=(2, 3)), before=_with_holes, **metadata)


def _filled(a: Any, value: float) -> Any:
    """The array with a number in the place of each NaN."""
    a = as_operand(a)
    return where(np.isnan(numbers_of(a)), value, a) if a.dtype.kind in "fc" else a


# ----------------------------------------------------------------------------------------------------- sums and products


@composite(numpy=np.nansum, cases=[_case(), _case(complexes(shape=(2, 3)))])
def nansum(a: Any, /, axis: Any = None, keepdims: bool = False) -> Any:
    """y = Σ a, without NaNs        ∂L/∂a = g, repeated; 0 for NaNs

    Counterpart: ``numpy.nansum``, ``torch.nansum``.

    >>> import tinygrad_edu as tg
    >>> tg.nansum(tg.Tensor([1.0, float("nan"), 2.0]))
    Tensor(3.)
    """
    return sum(_filled(a, 0), axis=axis, keepdims=keepdims)


@composite(numpy=np.nanprod, cases=[_case()])
def nanprod(a: Any, /, axis: Any = None, keepdims: bool = False) -> Any:
    """y = Π a, without NaNs        ∂L/∂aᵢ = g Πⱼ≠ᵢ aⱼ; 0 for NaNs

    Counterpart: ``numpy.nanprod``.

    >>> import tinygrad_edu as tg
    >>> tg.nanprod(tg.Tensor([4.0, float("nan"), 2.0]))
    Tensor(8.)
    """
    return prod(_filled(a, 1), axis=axis, keepdims=keepdims)


@composite(numpy=np.nancumsum, cases=[Case(a=reals(shape=(2, 3)), axis=[None, 0, -1], before=_with_holes)])
def nancumsum(a: Any, /, axis: int | None = None) -> Any:
    """yₖ = Σᵢ≤ₖ aᵢ, without NaNs        ∂L/∂aᵢ = Σₖ≥ᵢ gₖ; 0 for NaNs

    Counterpart: ``numpy.nancumsum``.

    >>> import tinygrad_edu as tg
    >>> tg.nancumsum(tg.Tensor([1.0, float("nan"), 2.0]))
    Tensor([1., 1., 3.])
    """
    return cumsum(_filled(a, 0), axis=axis)


@composite(numpy=np.nancumprod, cases=[Case(a=reals(shape=(2, 3)), axis=[None, 0, -1], before=_with_holes)])
def nancumprod(a: Any, /, axis: int | None = None) -> Any:
    """yₖ = Πᵢ≤ₖ aᵢ, without NaNs        ∂L/∂aᵢ = Σₖ≥ᵢ gₖ Πⱼ≤ₖ,ⱼ≠ᵢ aⱼ; 0 for NaNs

    Counterpart: ``numpy.nancumprod``.

    >>> import tinygrad_edu as tg
    >>> tg.nancumprod(tg.Tensor([4.0, float("nan"), 2.0]))
    Tensor([4., 4., 8.])
    """
    return cumprod(_filled(a, 1), axis=axis)


# ---------------------------------------------------------------------------------------------------- means and spreads


def _observations(name: str, a: Any, axis: Any, keepdims: bool, ddof: float = 0) -> Array:
    """How many numbers there are, less ``ddof``; nan where that leaves none."""
    if np.ndim(a):
        checked_axes(name, a.shape, axis)
    counts = np.asarray(np.sum(~np.isnan(numbers_of(a)), axis=axis, keepdims=keepdims) - ddof)
    if counts.size and counts.min() <= 0:
        warnings.warn(f"{name}: a slice holds no more than {ddof} numbers, and its result is nan", RuntimeWarning, stacklevel=3)
    return np.where(counts > 0, counts, np.nan)


def _deviation(a: Any, axis: Any) -> Any:
    """The elements less their mean, and 0 for a NaN."""
    return where(np.isnan(numbers_of(a)), 0, a - nanmean(a, axis=axis, keepdims=True))


@composite(numpy=np.nanmean, cases=[_case(), _case(complexes(shape=(2, 3)))])
def nanmean(a: Any, /, axis: Any = None, keepdims: bool = False) -> Any:
    """y = Σ a / n, without NaNs        ∂L/∂a = g / n, repeated; 0 for NaNs

    nan where there are only NaNs. Counterpart: ``numpy.nanmean``, ``torch.nanmean``.

    >>> import tinygrad_edu as tg
    >>> tg.nanmean(tg.Tensor([1.0, float("nan"), 2.0]))
    Tensor(1.5)
    """
    a = as_operand(a)
    count = _observations("nanmean", a, axis, keepdims)
    return narrowed(nansum(widened(a), axis=axis, keepdims=keepdims) / count, a)


@composite(numpy=np.nanvar, cases=[_case(ddof=[0, 1], axis=[None, 1]), _case(complexes(shape=(2, 3)), correction=[0, 1], axis=[1])])
def nanvar(a: Any, /, axis: Any = None, ddof: float = 0, keepdims: bool = False, *, correction: float | None = None) -> Any:
    """y = Σ |a − mean a|² / (n − ddof), without NaNs        ∂L/∂a = 2 g (a − mean a) / (n − ddof); 0 for NaNs

    nan where no more than ``ddof`` numbers are left. Counterpart: ``numpy.nanvar``.

    >>> import tinygrad_edu as tg
    >>> tg.nanvar(tg.Tensor([1.0, float("nan"), 2.0]))
    Tensor(0.25)
    """
    a = as_operand(a)
    freedom = _observations("nanvar", a, axis, keepdims, ddof if correction is None else correction)
    return narrowed(sum(magnitude(_deviation(widened(a), axis)), axis=axis, keepdims=keepdims) / freedom, a)


@composite(
    numpy=np.nanstd,
    cases=[_case(ddof=[0, 1], axis=[None, 1])],
    kinks=[Kink("all equal", "0", at={"a": [2.0, np.nan, 2.0]}, gradient={"a": [0.0, 0.0, 0.0]})],
)
def nanstd(a: Any, /, axis: Any = None, ddof: float = 0, keepdims: bool = False, *, correction: float | None = None) -> Any:
    """y = √(Σ |a − mean a|² / (n − ddof)), without NaNs        ∂L/∂a = g (a − mean a) / (y (n − ddof)); 0 for NaNs and at y = 0

    nan where no more than ``ddof`` numbers are left. Counterpart: ``numpy.nanstd``.

    >>> import tinygrad_edu as tg
    >>> tg.nanstd(tg.Tensor([1.0, float("nan"), 2.0]))
    Tensor(0.5)
    """
    a = as_operand(a)
    freedom = _observations("nanstd", a, axis, keepdims, ddof if correction is None else correction)
    return narrowed(vector_norm(_deviation(widened(a), axis), axis=axis, keepdims=keepdims) / np.sqrt(freedom), a)


# ---------------------------------------------------------------------------------------------------- extrema and orders


@primitive(
    forward=np.nanmax,
    numpy=(np.nanmax, np.fmax.reduce),
    cases=[_case()],
    kinks=[Kink("several maxima", "they share equally", at={"a": [np.nan, 3.0, 3.0]}, gradient={"a": [0.0, 0.5, 0.5]})],
)
def nanmax(a: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """y = max a, without NaNs        ∂L/∂a = g at the maximum, 0 elsewhere; ties share equally

    nan with a warning where there are only NaNs. Counterpart: ``numpy.nanmax``.

    >>> import tinygrad_edu as tg
    >>> tg.nanmax(tg.Tensor([1.0, float("nan"), 2.0]))
    Tensor(2.)
    """


def _shared(g: Any, y: Any, a: Any, axis: Any) -> Any:
    """g for the elements that are y, in equal parts where several are; for a NaN, which is no number, 0."""
    chosen = a == keep(y, a.shape, axis)
    return where(chosen, keep(g, a.shape, axis) / maximum(sum(chosen, axis=axis, keepdims=True), 1), 0)


nanmax.vjp(a=_shared)


@primitive(
    forward=np.nanmin,
    numpy=(np.nanmin, np.fmin.reduce),
    cases=[_case()],
    kinks=[Kink("several minima", "they share equally", at={"a": [np.nan, 3.0, 3.0]}, gradient={"a": [0.0, 0.5, 0.5]})],
)
def nanmin(a: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """y = min a, without NaNs        ∂L/∂a = g at the minimum, 0 elsewhere; ties share equally

    nan with a warning where there are only NaNs. Counterpart: ``numpy.nanmin``.

    >>> import tinygrad_edu as tg
    >>> tg.nanmin(tg.Tensor([1.0, float("nan"), 2.0]))
    Tensor(1.)
    """


nanmin.vjp(a=_shared)

_EQUAL = {"a": [1.0, np.nan, 3.0, 3.0, 3.0]}
_TIED = {"a": [0.0, 0.0, 1 / 3, 1 / 3, 1 / 3]}


@composite(numpy=np.nanmedian, cases=[_case()], kinks=[Kink("equal elements", "they share equally", at=_EQUAL, gradient=_TIED)])
def nanmedian(a: Any, /, axis: Any = None, keepdims: bool = False) -> Any:
    """y = the middle one of the sorted numbers, without NaNs        ∂L/∂a = g at that element; equal ones share equally

    As `median`; nan with a warning where there are only NaNs. Counterpart: ``numpy.nanmedian``.

    >>> import tinygrad_edu as tg
    >>> tg.nanmedian(tg.Tensor([1.0, float("nan"), 2.0]))
    Tensor(1.5)
    """
    return medians("nanmedian", a, axis, keepdims, skip_nan=True)


@composite(
    numpy=np.nanquantile,
    cases=[_case(q=[0.3, [0.0, 0.8]]), _case(q=[0.3], axis=[1], method=["weibull", "lower", "midpoint"])],
    kinks=[Kink("equal elements", "they share equally", at={**_EQUAL, "q": 0.6}, gradient=_TIED)],
)
def nanquantile(a: Any, /, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """y = the number below which the fraction q lies, without NaNs        ∂L/∂a = g at the two elements beside it

    As `quantile`; nan with a warning where there are only NaNs. Counterpart: ``numpy.nanquantile``, ``torch.nanquantile``.

    >>> import tinygrad_edu as tg
    >>> tg.nanquantile(tg.Tensor([1.0, float("nan"), 2.0]), 0.25)
    Tensor(1.25)
    """
    return quantiles("nanquantile", a, q, axis, method, keepdims, skip_nan=True)


@composite(
    numpy=np.nanpercentile,
    cases=[_case(q=[30, [0.0, 80.0]])],
    kinks=[Kink("equal elements", "they share equally", at={**_EQUAL, "q": 60}, gradient=_TIED)],
)
def nanpercentile(a: Any, /, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """y = the number below which q hundredths lie, without NaNs        ∂L/∂a = g at the two elements beside it

    `nanquantile` with ``q`` between 0 and 100. Counterpart: ``numpy.nanpercentile``.

    >>> import tinygrad_edu as tg
    >>> tg.nanpercentile(tg.Tensor([1.0, float("nan"), 2.0]), 25)
    Tensor(1.25)
    """
    return quantiles("nanpercentile", a, as_operand(q) / 100, axis, method, keepdims, skip_nan=True)
