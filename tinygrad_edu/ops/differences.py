"""Functions that are given by their values at points: differences, derivatives, integrals, interpolation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.graph import Variable
from tinygrad_edu.ops.arithmetic import abs
from tinygrad_edu.ops.cumulative import cumsum
from tinygrad_edu.ops.indexing import axis_of, numbers_of
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.reduction import as_operand, checked_axes, sum
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import astype, ravel, reshape, swapaxes
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, composite, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def _parts(a: Any, axis: int, *parts: slice) -> list[Any]:
    """Parts of the array along one of its axes."""
    return [a[(slice(None),) * axis + (part,)] for part in parts]


_FIRST, _LAST, _INNER = slice(None, -1), slice(1, None), slice(1, -1)


@composite(
    numpy=np.diff,
    cases=[
        Case(a=reals(shape=("m", "n"), nonempty=True), axis=[0, -1], n=[0, 1, 2]),
        Case(a=reals(shape=(2, 2)), prepend=reals(shape=(2, 1)), append=reals(shape=()), n=[1, 2]),
        Case(a=complexes(shape=(3,))),
    ],
)
def diff(a: Any, /, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """y = aᵢ₊₁ − aᵢ        ∂L/∂aᵢ = gᵢ₋₁ − gᵢ

    ``n`` times along ``axis``, which gets shorter by n. ``prepend`` and ``append`` are joined to a first: numbers, which take its
    dtype, or arrays that agree with it elsewhere; they are differentiated too. Counterpart: ``numpy.diff``, ``torch.diff``.

    >>> import tinygrad_edu as tg
    >>> tg.diff(tg.Tensor([1.0, 4.0, 9.0]))
    Tensor([3., 5.])
    """
    a = as_operand(a)
    if n < 0 or not a.ndim:
        raise ArgumentError(f"diff: differences are taken n ≥ 0 times of an array with an axis, got n={n} and shape {a.shape}")
    axis = axis_of("diff", a.shape, axis)
    one = tuple([1 if i == axis else length for i, length in enumerate(a.shape)])
    ends = [end if end is None or np.ndim(end) else end + np.zeros(one, a.dtype) for end in (prepend, append)]
    parts = [part for part in (ends[0], a, ends[1]) if part is not None]
    y = concatenate(parts, axis) if len(parts) > 1 else a[...]
    for _ in range(n):
        later, earlier = _parts(y, axis, _LAST, _FIRST)
        y = later - earlier
    return y


@composite(
    numpy=np.ediff1d,
    cases=[Case(ary=reals(shape=("m", 2))), Case(ary=reals(shape=(3,)), to_end=reals(shape=(2,)), to_begin=reals(shape=()))],
)
def ediff1d(ary: Any, /, to_end: Any = None, to_begin: Any = None) -> Any:
    """y = aᵢ₊₁ − aᵢ of the elements in a row        ∂L/∂aᵢ = gᵢ₋₁ − gᵢ

    ``to_begin`` and ``to_end`` are put before and behind, in a's precision; they are differentiated too. Counterpart:
    ``numpy.ediff1d``.

    >>> import tinygrad_edu as tg
    >>> tg.ediff1d(tg.Tensor([1.0, 4.0, 9.0]), to_begin=0.0)
    Tensor([0., 3., 5.])
    """
    y = diff(ravel(ary))
    parts = [None if to_begin is None else ravel(to_begin), y, None if to_end is None else ravel(to_end)]
    alike = [astype(p, y.dtype) if np.can_cast(p.dtype, y.dtype, "same_kind") else p for p in parts if p is not None]
    return concatenate(alike) if len(alike) > 1 else y


# ---------------------------------------------------------------------------------------------------------- derivatives


@composite(
    reference=lambda a, x, axis, edge_order: np.gradient(a, x, axis=axis, edge_order=edge_order),
    cases=[
        Case(a=reals(shape=(3, 4)), x=2.5, axis=[0, -1], edge_order=[1, 2]),
        Case(a=reals(shape=(4,)), x=reals(0.5, 2, shape=()), axis=[0], edge_order=[1, 2]),
        Case(a=reals(shape=(4,)), x=reals(grid=(0.3, 0.7), shape=(4,)), axis=[0], edge_order=[1, 2]),
        Case(a=complexes(shape=(2, 2)), x=np.array([1, 3], np.float32), axis=[0, 1], edge_order=[1]),
    ],
)
def _slope(a: Any, x: Any, /, axis: int, edge_order: int) -> Any:
    """y = da/dx along an axis        ∂L/∂a, ∂L/∂x = the rules of differences and quotients

    ``x`` is the distance of neighbours, or their coordinates. Inside it is exact for parabolas; at the two ends it is for lines or,
    with ``edge_order=2``, for parabolas.
    """
    if axis % a.ndim != a.ndim - 1:
        return swapaxes(_slope(swapaxes(a, axis, -1), x, -1, edge_order), axis, -1)
    n = a.shape[-1]
    if n <= edge_order:
        raise ShapeError(f"gradient: {n} values along an axis, and edge_order={edge_order} needs {edge_order + 1} or more")
    steps = diff(x) if np.ndim(x) else x
    slopes = diff(a) / steps
    if n == 2:
        return concatenate([slopes, slopes], -1)
    if np.ndim(x):  # the slopes on both sides, the nearer neighbour's weighing more
        left, right = steps[:-1], steps[1:]
        inner = (right * slopes[..., :-1] + left * slopes[..., 1:]) / (left + right)
    else:
        inner = (slopes[..., :-1] + slopes[..., 1:]) / 2
    first, last = slopes[..., :1], slopes[..., -1:]
    if edge_order == 2:  # a parabola's slope changes evenly, so as much again as from the middle of the step to its other end
        first, last = 2 * first - inner[..., :1], 2 * last - inner[..., -1:]
    return concatenate([first, inner, last], -1)


@spelling(np.gradient, method=False)
def gradient(a: Any, *spacing: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """y = da/dx from the values of a at points: central differences inside, one-sided ones at the ends.

    ``spacing`` is nothing (the points have distance 1), one distance, or for each axis a distance or the points' coordinates, which
    are differentiated too. The result is one array, or a tuple with one for each axis, in a's precision. ``edge_order`` is 1 or 2.
    Counterpart: ``numpy.gradient``, ``torch.gradient``. (Derivatives of functions are `grad`.)

    >>> import tinygrad_edu as tg
    >>> tg.gradient(tg.Tensor([1.0, 4.0, 9.0, 16.0]), 0.5)
    Tensor([ 6.,  8., 12., 14.])
    """
    a = as_operand(a)
    if a.dtype.kind in "biu":
        a = a.astype(float)
    axes = checked_axes("gradient", a.shape, axis)
    if edge_order not in (1, 2):
        raise ArgumentError(f"gradient: edge_order is 1 or 2, got {edge_order}")
    if len(spacing) not in (0, 1, len(axes)) or (len(spacing) == 1 != len(axes) and np.ndim(spacing[0])):
        raise ArgumentError(
            f"gradient: {len(spacing)} spacings for {len(axes)} axes; give none, one distance, or one for each axis"
        )
    steps = spacing * len(axes) if len(spacing) == 1 else spacing or (1.0,) * len(axes)
    slopes = []
    for i, step in zip(axes, steps, strict=True):
        x: Any = step if isinstance(step, Variable | int | float) else np.asarray(step)
        if np.ndim(x) and np.shape(x) != (a.shape[i],):
            raise ShapeError(f"gradient: coordinates of shape {np.shape(x)} for axis {i} of an array of shape {a.shape}")
        slope = _slope(a, x, i, edge_order)
        slopes.append(astype(slope, a.dtype) if slope.dtype.kind == a.dtype.kind else slope)
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


# ------------------------------------------------------------------------------------------------------------- integrals


@composite(
    numpy=np.trapezoid,
    aliases=("trapz",),
    cases=[
        Case(a=reals(shape=("m", 3)), dx=[1.0, 0.5], axis=[-1, 1]),
        Case(a=reals(shape=(2, 3)), x=reals(shape=(3,))),
        Case(a=reals(shape=(3, 2)), x=reals(shape=(3, 2)), axis=[0]),
        Case(a=complexes(shape=(3,)), dx=reals(shape=())),
    ],
)
def trapezoid(a: Any, /, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """y = Σ ½ (aᵢ + aᵢ₊₁) (xᵢ₊₁ − xᵢ)        ∂L/∂aᵢ = ½ g (xᵢ₊₁ − xᵢ₋₁)        ∂L/∂xᵢ = ½ g (aᵢ₋₁ − aᵢ₊₁)

    The integral of a function along ``axis`` from its values a at the points ``x``, a vector or an array like a, or at points of
    distance ``dx``; both are differentiated too. Counterpart: ``numpy.trapezoid``, ``torch.trapezoid``.

    >>> import tinygrad_edu as tg
    >>> tg.trapezoid(tg.Tensor([1.0, 2.0, 3.0]), x=[0.0, 1.0, 3.0])
    Tensor(6.5)
    """
    a = as_operand(a)
    axis = axis_of("trapezoid", a.shape, axis)
    if x is not None:
        x = as_operand(x)
        dx = diff(x, axis=axis if x.ndim > 1 else -1)
        if x.ndim == 1:
            dx = reshape(dx, (-1, *[1] * (a.ndim - 1 - axis)))
    later, earlier = _parts(a, axis, _LAST, _FIRST)
    return sum((later + earlier) * dx, axis=axis) / 2


# --------------------------------------------------------------------------------------------------------- interpolation


_BROKEN = {"xp": [0.0, 1.0, 2.0], "fp": [0.0, 1.0, 4.0]}


@composite(
    numpy=np.interp,
    cases=[
        Case(
            x=reals(-1.4, 3.4, avoid=(-2, -1, 0, 1, 2, 3, 4), shape=("m", 2)),
            xp=np.array([-1, 0, 2, 3], np.float32),
            fp=reals(shape=(4,)),
        ),
        Case(  # in rising order: each has a multiple of 0.5 to 0.6 added to it, or of 0.65 to 0.7
            x=reals(0.65, 0.7, shape=(2,)),
            xp=reals(0.5, 0.6, shape=(3,)),
            fp=complexes(shape=(3,)),
            before=lambda a: cumsum(a),
        ),
        Case(
            x=reals(-2.5, 4.5, avoid=(0, 3), shape=(2,)),
            xp=np.array([0, 3], np.float32),
            fp=reals(shape=(2,)),
            left=reals(shape=()),
            right=[None, 7.0],
        ),
        Case(
            x=reals(-2.9, 2.9, avoid=(-2, -1.5, 0, 1, 1.5), shape=(3,)),
            xp=np.array([1, 3, 4.5], np.float32),
            fp=reals(shape=(3,)),
            period=[3],
        ),
        Case(
            x=reals(3.3, 3.6, shape=(2,)),
            xp=np.array([1, 2.5], np.float32),
            fp=reals(shape=(2,)),
            period=reals(2.9, 3.2, shape=()),
        ),
    ],
    kinks=[
        Kink("x = xpᵢ", "the slope to the right", at={"x": 1.0, **_BROKEN}, gradient={"x": 3.0}),
        Kink("x = the last xp", "the slope to the left", at={"x": 2.0, **_BROKEN}, gradient={"x": 3.0}),
    ],
)
def interp(x: Any, xp: Any, fp: Any, /, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """y = the broken line through the points (xpᵢ, fpᵢ), at x        ∂L/∂x = g s, with the slope s = (fpᵢ₊₁ − fpᵢ) / (xpᵢ₊₁ − xpᵢ)

    Differentiated in all of them. The points are in rising order. Beyond them y is the first or last fp, or ``left`` and
    ``right``; with ``period`` there is no beyond, and any order will do. Counterpart: ``numpy.interp``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([0.5, 3.0], requires_grad=True)
    >>> y = tg.interp(x, [0.0, 1.0, 2.0], [0.0, 10.0, 40.0])
    >>> y
    Tensor([ 5., 40.], requires_grad=True)
    >>> y.sum().backward()
    >>> x.grad
    Tensor([10.,  0.])
    """
    x, xp, fp = as_operand(x), as_operand(xp), as_operand(fp)
    if xp.ndim != 1 or xp.shape != fp.shape or not len(xp):
        raise ShapeError(f"interp: xp and fp are vectors of one length, the points' coordinates; got {xp.shape} and {fp.shape}")
    if period is not None:
        x, xp, fp, left, right = _unrolled(x, xp, fp, period)
    points = numbers_of(xp)
    if (points[1:] < points[:-1]).any():
        raise ArgumentError("interp: xp must rise: sort the points, as in i = np.argsort(xp); interp(x, xp[i], fp[i])")
    at = numbers_of(x)
    below, above = at < points[0], at > points[-1]
    i = np.clip(np.searchsorted(points, at, side="right") - 1, 0, max(len(points) - 2, 0))
    j = np.minimum(i + 1, len(points) - 1)
    width = xp[j] - xp[i]
    part = where(below | above, 0, x - xp[i]) / where(numbers_of(width) == 0, 1, width)
    y = between(fp[i], fp[j], part)
    y = where(above, fp[-1] if right is None else right, y)
    return where(below, fp[0] if left is None else left, y)


def between(low: Any, high: Any, part: Any) -> Any:
    """low + (high − low) part, where an infinite number has no influence unless it is one of the two that count."""
    first, last = numbers_of(low), numbers_of(high)
    if not (np.isfinite(first).all() and np.isfinite(last).all()):
        stuck = (numbers_of(part) == 0) | (np.isinf(first) & ((first == last) | np.isfinite(last)))
        stuck &= ~(np.isfinite(first) & np.isfinite(last))
        return low + (where(stuck, 0, high) - where(stuck, 0, low)) * part
    return low + (high - low) * part


def _unrolled(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The points of one period, with its neighbours' nearest ones on both sides."""
    if not period:
        raise ArgumentError("interp: the period is a number other than 0")
    length = abs(period) if hasattr(period, "dtype") else math.fabs(period)
    x, xp = x % length, xp % length
    order = np.argsort(numbers_of(xp))
    xp, fp = xp[order], fp[order]
    return x, concatenate([xp[-1:] - length, xp, xp[:1] + length]), concatenate([fp[-1:], fp, fp[:1]]), None, None


def _plain_unwrap(p: Array, discont: float | None = None, axis: int = -1, period: float = 2 * math.pi) -> Array:
    p = np.moveaxis(p, axis, 0)
    y = np.array(p)
    for i in range(1, len(p)):
        step = p[i] - p[i - 1]
        turns = np.where(np.abs(step) < max(discont or 0, period / 2), 0, np.round(step / period))
        y[i:] -= turns * period
    return np.moveaxis(y, 0, axis)


@primitive(
    numpy=np.unwrap,
    reference=_plain_unwrap,
    cases=[
        Case(p=reals(grid=(0, 1.1), shape=("m", 3)), axis=[0, -1]),
        Case(p=reals(grid=(0, 1.1), shape=(4,)), period=[3.0, 360.0], discont=[None, 4.0]),
    ],
)
def unwrap(p: Array, /, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi) -> Array:
    """y = p + a multiple of the period, so that neighbours are near        ∂L/∂p = g

    Angles without the jumps of the circle: a step larger than half a period is one in the other direction. ``discont`` leaves alone
    the steps below it. Counterpart: ``numpy.unwrap``.

    >>> import tinygrad_edu as tg
    >>> tg.unwrap(tg.Tensor([350.0, 10.0]), period=360)
    Tensor([350., 370.])
    """
    return np.unwrap(p, discont, axis, period=period)


unwrap.vjp(p=lambda g: g)
