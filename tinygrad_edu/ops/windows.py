"""Sliding windows and their adjoint, the base of convolution and pooling."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view as _numpys

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops.indexing import axis_of
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


@primitive(
    numpy=_numpys,
    label="Windows",
    cases=[
        Case(x=reals(shape=(4,)), window_shape=[2, (4,), 1, [3]]),
        Case(x=reals(shape=(3, 4)), window_shape=[(2, 3)], axis=[None, (1, 0), (0, -1)]),
        Case(x=reals(shape=(2, 4)), window_shape=[2, (3,)], axis=[1, (-1,)]),
        Case(x=reals(shape=(4,)), window_shape=[(2, 2)], axis=[(0, 0)]),
        Case(x=complexes(shape=(3,)), window_shape=[2]),
    ],
)
def sliding_window_view(x: Array, /, window_shape: Any, axis: Any = None) -> Array:
    """y[…, i, j] = x[… + i … + j]        ∂L/∂x = the windows of g, added where they overlap

    All windows of a shape: the result has x's axes, shorter by the window's length − 1, and behind them the axes of the window. It
    is a view, read-only and without a copy. ``axis`` names what ``window_shape`` belongs to, one axis for each length; None is all
    axes. Strides are slices of the result's first axes, dilation slices of its last. Counterpart:
    ``numpy.lib.stride_tricks.sliding_window_view``, ``torch.Tensor.unfold``.

    >>> import tinygrad_edu as tg
    >>> tg.sliding_window_view(tg.Tensor([1.0, 2.0, 3.0, 4.0]), 3)
    Tensor([[1., 2., 3.],
            [2., 3., 4.]])
    """
    return _numpys(x, window_shape, axis)


def _axes(shape: Shape, axis: Any) -> tuple[int, ...]:
    axes = range(len(shape)) if axis is None else axis if np.ndim(axis) else (axis,)
    return tuple([axis_of("overlap_add", shape, i) for i in axes])


def _reached(a_shape: Shape, ndim: int, axes: tuple[int, ...], offset: tuple[int, ...]) -> tuple[slice, ...]:
    """Where the elements at an offset inside the windows lie in the array that the windows were taken of."""
    start = [0] * ndim
    for i, step in zip(axes, offset, strict=True):
        start[i] += step
    return tuple([slice(first, first + n) for first, n in zip(start, a_shape, strict=False)])


def _plain_overlap_add(a: Array, shape: Shape, axis: Any = None) -> Array:
    y = np.zeros(shape, a.dtype)
    number = np.arange(y.size).reshape(shape)
    window = a.shape[len(shape) :]
    np.add.at(y.reshape(-1), _numpys(number, window, axis), a)
    return y


BLOCK = 1 << 20  # bytes that fit into a core's cache


@primitive(
    label="Overlap +",
    cases=[
        Case(a=reals(shape=(3, 2)), shape=[(4,)]),
        Case(a=reals(shape=(2, 2, 2, 3)), shape=[(3, 4)], axis=[None, (0, -1)]),
        Case(a=reals(shape=(2, 2, 3)), shape=[(2, 4)], axis=[1, (-1,)]),
        Case(a=reals(shape=(2, 2, 2)), shape=[(4,)], axis=[(0, 0)]),
        Case(a=complexes(shape=(2, 2)), shape=[(3,)]),
    ],
    reference=_plain_overlap_add,
)
def overlap_add(a: Array, /, shape: Shape, axis: Any = None) -> Array:
    """y = the windows a, added where they overlap in an array of the shape        ∂L/∂a = the windows of g

    The adjoint of `sliding_window_view`: a has the shape that it makes of an array of the given shape. A transposed convolution is
    made with it. Counterpart: ``torch.nn.functional.fold``.

    >>> import tinygrad_edu as tg
    >>> tg.overlap_add(tg.Tensor([[1.0, 2.0], [10.0, 20.0]]), (3,))
    Tensor([ 1., 12., 20.])
    """
    a = np.asarray(a)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    ndim = len(shape)
    axes, window = _axes(shape, axis), a.shape[ndim:]
    trimmed = list(shape)
    for i, n in zip(axes, window, strict=False):
        trimmed[i] -= n - 1
    if len(axes) != len(window) or a.shape[:ndim] != tuple(trimmed):
        raise ShapeError(
            f"overlap_add: a of shape {a.shape} is not what sliding_window_view makes of shape {shape} along the axes {axes}: "
            f"first the {ndim} axes, shorter by the window's length - 1, then one axis for each length of the window"
        )
    y = np.zeros(shape, a.dtype)
    # One addition for each offset inside the window, of all windows at once. It goes through a again and again, so it takes as many
    # of a's first slices as the cache holds.
    rows = max(1, BLOCK * len(a) // a.nbytes) if ndim and a.size else 1
    blocks = [...] if 0 in axes or not ndim else [slice(first, first + rows) for first in range(0, len(a), rows)]
    for block in blocks:
        part, sums = a[block], y[block]
        for offset in product(*map(range, window)):
            at_offset: Any = (..., *offset)
            sums[_reached(part.shape, ndim, axes, offset)] += part[at_offset]
    return y


sliding_window_view.vjp(x=lambda g, x_shape, axis: overlap_add(g, x_shape, axis))
overlap_add.vjp(a=lambda g, a_shape, shape, axis: sliding_window_view(g, a_shape[len(np.atleast_1d(shape)) :], axis))
