"""Pooling: the largest element of every window, or the mean. Windows may overlap, and may reach into padding."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.activation import floating
from tinygrad_edu.ops.contraction import einsum
from tinygrad_edu.ops.shape import moveaxis
from tinygrad_edu.ops.strided import Windows, per_axis
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


def _windows(name: str, shape: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Windows:
    """The windows over the last axes: over as many as the kernel has lengths."""
    axes = len(kernel) if np.ndim(kernel) else 1
    kernel = per_axis(name, "kernel", kernel, axes, 1)
    if len(shape) < axes:
        raise ShapeError(f"{name}: a of shape {shape} has fewer axes than the kernel {kernel} has lengths")
    windows = Windows.over(
        name, shape[len(shape) - axes :], kernel, kernel if stride is None else stride, padding, dilation, ceil_mode
    )
    if any(2 * p > d * (k - 1) + 1 for p, d, k in zip(windows.padding, windows.dilation, kernel, strict=True)):
        raise ArgumentError(f"{name}: padding {windows.padding} is more than half of the kernel {kernel}: windows of padding only")
    return windows


def _number_of(windows: Windows, place: Shape) -> int:
    return int(np.ravel_multi_index(place, windows.kernel))


# ------------------------------------------------------------------------------------------------------------ the largest


def _plain_max_pool(a: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Array:
    windows = _windows("max_pool", a.shape, kernel, stride, padding, dilation, ceil_mode)
    padded = windows.padded(a, -np.inf, a.ndim - len(windows.kernel))
    y: Array = np.max([padded[(..., *where)] for _, where in windows.offsets()], axis=0)
    return y


def _which(a: Array, windows: Windows) -> tuple[Array, Array]:
    """The largest element of every window, and its number in the window: the first of equal ones, and a nan before all."""
    padded = windows.padded(a, -np.inf, a.ndim - len(windows.kernel))
    places = windows.offsets()
    y = padded[(..., *next(places)[1])].copy(order="K")
    number = np.zeros_like(y, np.min_scalar_type(math.prod(windows.kernel)))
    for place, where in places:
        part = padded[(..., *where)]
        later = np.greater(part, y)
        if y.dtype.kind == "f":
            later |= (part != part) & (y == y)
        np.maximum(y, part, out=y)
        np.maximum(number, later.view(np.uint8) * number.dtype.type(_number_of(windows, place)), out=number)
    return y, number


def _number(a: Any, /, *, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Array:
    a = a._data if hasattr(a, "_data") else a
    return _which(a, _windows("max_pool", a.shape, kernel, stride, padding, dilation, ceil_mode))[1]


_POOLS: list[dict[str, Any]] = [
    {"kernel": [2], "stride": [None, 1, 2], "padding": [0, 1], "dilation": [1], "ceil_mode": [False, True]},
    {"kernel": [(2, 3)], "stride": [(1, 2)], "padding": [(1, 0)], "dilation": [1, (2, 1)], "ceil_mode": [False, True]},
]


@primitive(
    label="MaxPool",
    residuals={"number": _number},
    cases=[
        Case(a=reals(shape=(2, 5), grid=(-1, 0.2)), **_POOLS[0]),
        Case(a=reals(shape=(4, 5), grid=(-1, 0.2)), **_POOLS[1]),
    ],
    kinks=[Kink("several maxima", "the first", at={"a": [1.0, 1.0], "kernel": 2}, gradient={"a": [1.0, 0.0]})],
    reference=_plain_max_pool,
)
def max_pool(
    a: Array, /, kernel: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Array, Array]:
    """y = max of every window of a        ∂L/∂a = g at the first maximum of every window, added where windows overlap

    ``kernel`` gives the windows' lengths along the last axes: an integer for the last one, or a tuple. They start ``stride``
    apart, by default their own length. ``padding`` (of −∞ on both sides) and ``dilation`` are integers or one for each axis;
    ``ceil_mode`` keeps a last window that reaches beyond the end. A nan is larger than every number. Counterpart:
    ``torch.nn.functional.max_pool2d``; the Pooling of *Deep Learning from Scratch*, section 7.4.

    >>> import tinygrad_edu as tg
    >>> tg.max_pool(tg.Tensor([1.0, 3.0, 2.0, 0.0]), 2)
    Tensor([3., 2.])
    """
    a = floating("max_pool", np.asarray(a))
    return _which(a, _windows("max_pool", a.shape, kernel, stride, padding, dilation, ceil_mode))


@primitive(
    label="MaxUnpool",
    cases=[
        Case(
            a=reals(shape=(2, 2)),
            number=np.array([[0, 1], [2, 0]]),
            shape=[(2, 4)],
            kernel=[3],
            stride=[1],
            padding=[0],
            dilation=[1],
            ceil_mode=[False],
        ),
    ],
    reference=lambda a, number, shape, **_: _plain_spread(a, number, shape),
)
def _max_spread(
    a: Array, number: Array, /, shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Array:
    """y = a at the chosen element of every window, added where they meet        ∂L/∂a = the chosen elements of g"""
    windows = _windows("max_pool", shape, kernel, stride, padding, dilation, ceil_mode)
    first = len(shape) - len(windows.kernel)
    y = np.zeros_like(a, shape=(*shape[:first], *windows.reach))
    if not np.isfinite(a).all():  # a product with 0 would make nan of it: choose instead, which is slower
        for place, where in windows.offsets():
            y[(..., *where)] += np.where(number == _number_of(windows, place), a, 0)
        return y[(..., *windows.inside)]
    apart = all(s >= d * (k - 1) + 1 for s, d, k in zip(windows.stride, windows.dilation, windows.kernel, strict=True))
    for place, where in windows.offsets():
        chosen = number == _number_of(windows, place)
        if apart:
            np.multiply(a, chosen, out=y[(..., *where)])
        else:
            y[(..., *where)] += a * chosen
    return y[(..., *windows.inside)]


def _plain_spread(a: Array, number: Array, shape: Shape) -> Array:
    y = np.zeros(shape)
    for row, column in np.ndindex(*a.shape):
        y[row, column + number[row, column]] += a[row, column]
    return y


@primitive(
    label="Chosen",
    cases=[
        Case(
            a=reals(shape=(2, 4)),
            number=np.array([[0, 1], [2, 0]]),
            kernel=[3],
            stride=[1],
            padding=[0],
            dilation=[1],
            ceil_mode=[False],
        ),
    ],
    reference=lambda a, number, **_: np.take_along_axis(a, number + np.arange(number.shape[-1]), -1),
)
def _max_chosen(a: Array, number: Array, /, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Array:
    """y = the chosen element of every window of a        ∂L/∂a = g there, added where they meet"""
    windows = _windows("max_pool", a.shape, kernel, stride, padding, dilation, ceil_mode)
    padded = windows.padded(a, 0, a.ndim - len(windows.kernel))
    y = np.zeros_like(a, shape=number.shape)
    for place, where in windows.offsets():
        np.copyto(y, padded[(..., *where)], where=number == _number_of(windows, place))
    return y


max_pool.vjp(
    a=lambda g, number, a_shape, kernel, stride, padding, dilation, ceil_mode: _max_spread(
        g, number, a_shape, kernel, stride, padding, dilation, ceil_mode
    )
)
_max_spread.vjp(
    a=lambda g, number, kernel, stride, padding, dilation, ceil_mode: _max_chosen(
        g, number, kernel, stride, padding, dilation, ceil_mode
    ),
    number=None,
)
_max_chosen.vjp(
    a=lambda g, number, a_shape, kernel, stride, padding, dilation, ceil_mode: _max_spread(
        g, number, a_shape, kernel, stride, padding, dilation, ceil_mode
    ),
    number=None,
)


def max_pool_indices(a: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Array:
    """Where the maxima of `max_pool` lie, as places in the flattened last axes: what PyTorch's return_indices gives."""
    windows = _windows("max_pool", a.shape, kernel, stride, padding, dilation, ceil_mode)
    number = _which(a, windows)[1]
    place = np.unravel_index(number, windows.kernel)
    axes = len(windows.kernel)
    flat = np.zeros(number.shape, np.int64)
    for i in range(axes):
        start = (np.arange(windows.counts[i]) * windows.stride[i] - windows.padding[i]).reshape(-1, *[1] * (axes - 1 - i))
        flat = flat * windows.lengths[i] + start + place[i] * windows.dilation[i]
    return flat


# --------------------------------------------------------------------------------------------------------------- the mean


def _divisors(windows: Windows, count_include_pad: bool, divisor_override: int | None, dtype: Any) -> Any:
    """What the sum of every window is divided by, in the shape of the windows. Never what `ceil_mode` adds at the end."""
    if divisor_override is not None:
        if divisor_override == 0:
            raise ArgumentError("avg_pool: divisor_override is not 0")
        return dtype.type(divisor_override)
    counts = []
    for n, k, s, p, c in zip(windows.lengths, windows.kernel, windows.stride, windows.padding, windows.counts, strict=True):
        start = np.arange(c) * s - p
        low, high = (-p, n + p) if count_include_pad else (0, n)
        counts.append(np.minimum(start + k, high) - np.maximum(start, low))
    sizes: Array = np.ones(())
    for count in counts:
        sizes = np.multiply.outer(sizes, count)
    return sizes.astype(dtype)


def _plain_avg_pool(a: Array, **options: Any) -> Array:
    kernel, stride, padding, ceil_mode = [options[name] for name in ("kernel", "stride", "padding", "ceil_mode")]
    windows = _windows("avg_pool", a.shape, kernel, stride, padding, 1, ceil_mode)
    first = a.ndim - len(windows.kernel)
    y = np.empty((*a.shape[:first], *windows.counts))
    for place in np.ndindex(*windows.counts):
        start = [i * s - p for i, s, p in zip(place, windows.stride, windows.padding, strict=True)]
        ends = [(b, b + k, n, p) for b, k, n, p in zip(start, windows.kernel, windows.lengths, windows.padding, strict=True)]
        cut: Any = [slice(max(b, 0), min(e, n)) for b, e, n, _ in ends]
        part = a[(..., *cut)]
        sizes = [min(e, n + p) - b if options["count_include_pad"] else min(e, n) - max(b, 0) for b, e, n, p in ends]
        divisor = options["divisor_override"] or np.prod(sizes)
        y[(..., *place)] = part.sum(axis=tuple(range(first, a.ndim))) / divisor
    return y


_MEANS: dict[str, Any] = {"ceil_mode": [False, True], "count_include_pad": [True, False], "divisor_override": [None, 3]}


@primitive(
    label="AvgPool",
    cases=[
        Case(a=reals(shape=(2, 5)), kernel=[2, 3], stride=[None, 1, 2], padding=[0, 1], **_MEANS),
        Case(a=reals(shape=(4, 5)), kernel=[(2, 3)], stride=[(1, 2)], padding=[(1, 0)], **_MEANS),
    ],
    reference=_plain_avg_pool,
)
def avg_pool(
    a: Array,
    /,
    kernel: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """y = mean of every window of a        ∂L/∂a = g / n, added over the windows of each element

    The windows are those of `max_pool`; the padding is of zeros. n counts the padding too, unless ``count_include_pad`` is False;
    ``divisor_override`` takes the place of n. Counterpart: ``torch.nn.functional.avg_pool2d``.

    >>> import tinygrad_edu as tg
    >>> tg.avg_pool(tg.Tensor([1.0, 3.0, 2.0, 0.0]), 2)
    Tensor([2., 1.])
    """
    a = floating("avg_pool", np.asarray(a))
    windows = _windows("avg_pool", a.shape, kernel, stride, padding, 1, ceil_mode)
    padded = windows.padded(a, 0, a.ndim - len(windows.kernel))
    parts = windows.offsets()
    y = padded[(..., *next(parts)[1])].copy(order="K")
    for _, where in parts:
        y += padded[(..., *where)]
    y /= _divisors(windows, count_include_pad, divisor_override, a.dtype)
    return y


@primitive(
    label="AvgPoolᵀ",
    cases=[
        Case(
            a=reals(shape=(2, 3)),
            shape=[(2, 4)],
            kernel=[2],
            stride=[2],
            padding=[1],
            ceil_mode=[False],
            count_include_pad=[True, False],
            divisor_override=[None, 3],
        )
    ],
    reference=lambda a, shape, **options: np.array(
        [(_plain_avg_pool(unit, **options) * a).sum() for unit in np.eye(8).reshape(8, *shape)]
    ).reshape(shape),
)
def _avg_spread(
    a: Array,
    /,
    shape: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """y = a / n in every element of its window, added where windows meet        ∂L/∂a = avg_pool(g)"""
    windows = _windows("avg_pool", shape, kernel, stride, padding, 1, ceil_mode)
    first = len(shape) - len(windows.kernel)
    part = a / _divisors(windows, count_include_pad, divisor_override, a.dtype)
    y = np.zeros_like(part, shape=(*shape[:first], *windows.reach))
    for _, where in windows.offsets():
        y[(..., *where)] += part
    return y[(..., *windows.inside)]


avg_pool.vjp(
    a=lambda g, a_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override: _avg_spread(
        g, a_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
)
_avg_spread.vjp(
    a=lambda g, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override: avg_pool(
        g, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
)


def _plain_adaptive(a: Array, output_size: Any) -> Array:
    sizes = output_size if np.ndim(output_size) else (output_size,)
    first = a.ndim - len(sizes)
    y = np.empty((*a.shape[:first], *sizes))
    for place in np.ndindex(*sizes):
        lengths = zip(place, sizes, a.shape[first:], strict=True)
        cut: Any = [slice(i * n // m, -(-(i + 1) * n // m)) for i, m, n in lengths]
        y[(..., *place)] = a[(..., *cut)].mean(axis=tuple(range(first, a.ndim)))
    return y


@composite(
    cases=[
        Case(a=reals(shape=(2, 5)), output_size=[1, 2, 3, 5, 7, (4,)]),
        Case(a=reals(shape=(2, 3, 4)), output_size=[(2, 3), (1, 1), (3, 4)]),
    ],
    reference=_plain_adaptive,
)
def adaptive_avg_pool(a: Any, /, output_size: Any) -> Any:
    """y = mean of every window of a, of windows that make the result so long        ∂L/∂a = g / n, added over its windows

    ``output_size`` gives the result's lengths along the last axes: an integer for the last one, or a tuple. Window i of m covers
    the elements from ⌊i n / m⌋ to ⌈(i + 1) n / m⌉; they may overlap. Every axis is a product with a matrix. Counterpart:
    ``torch.nn.functional.adaptive_avg_pool2d``.

    >>> import tinygrad_edu as tg
    >>> tg.adaptive_avg_pool(tg.Tensor([1.0, 2.0, 3.0, 4.0]), 2)
    Tensor([1.5, 3.5])
    """
    sizes = per_axis("adaptive_avg_pool", "output_size", output_size, len(output_size) if np.ndim(output_size) else 1, 1)
    shape = np.shape(a)
    if len(shape) < len(sizes):
        raise ShapeError(f"adaptive_avg_pool: a of shape {shape} has fewer axes than output_size={output_size!r}")
    dtype = np.result_type(getattr(a, "dtype", np.float64), np.float16)
    for axis, m in enumerate(sizes, start=-len(sizes)):
        n = shape[axis]
        i, j = np.arange(m)[:, None], np.arange(n)
        inside = ((j >= i * n // m) & (j < -(-(i + 1) * n // m))).astype(dtype)
        means = inside / inside.sum(axis=1, keepdims=True)
        # Not by matmul: BLAS reads beyond short rows of float32, and what it finds there may set off a warning.
        a = moveaxis(einsum("...n,mn->...m", moveaxis(a, axis, -1), means), -1, axis)
    return a
