"""Rearranging: the same numbers in another shape or order. Results are views where NumPy's are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.cuts import mark_cut
from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.graph import Variable, as_variable, is_recording
from tinygrad_edu.ops.indexing import axis_of, scatter_add
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


@primitive(
    numpy=np.reshape,
    cases=[
        Case(a=reals(shape=(2, 3)), shape=[(6,), (3, 2), (-1,), (1, 2, 3), (3, -1)]),
        Case(a=reals(shape=()), shape=[(1,), (1, 1)]),
        Case(a=reals(shape=("n", 1)), shape=[-1]),
        Case(a=complexes(shape=(2, 1)), shape=[2]),
        Case(a=reals(shape=(2, 3)), shape=[(3, 2), (1, 6, 1), -1], order=["F"]),
    ],
)
def reshape(a: Array, /, shape: Any, order: str = "C") -> Array:
    """y = a, read row by row into another shape        ∂L/∂a = g, read back

    One length may be -1: it follows from the others. ``order="F"`` reads and writes column by column. Counterpart:
    ``numpy.reshape``; ``x.reshape(3, 2)`` works as well.

    >>> import tinygrad_edu as tg
    >>> tg.reshape(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), 4)
    Tensor([1., 2., 3., 4.])
    """
    if order != "C":
        _check_order("reshape", order)
        return np.reshape(a, shape, order="F")
    return np.reshape(a, shape)


def _check_order(name: str, order: str) -> None:
    if order not in ("C", "F"):
        raise ArgumentError(f"{name}: order is 'C', row by row, or 'F', column by column, and no matter of memory; got {order!r}")


reshape.vjp(a=lambda g, a_shape, order: reshape(g, a_shape, order))


@composite(numpy=np.ravel, cases=[Case(a=reals()), Case(a=reals(shape=(2, 3)), order=["F"])])
def ravel(a: Any, /, order: str = "C") -> Any:
    """y = a's elements in a row        ∂L/∂a = g, read back

    A ``reshape`` to one axis, with its ``order``. Counterpart: ``numpy.ravel``; see also `flatten`.

    >>> import tinygrad_edu as tg
    >>> tg.ravel(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 2., 3., 4.])
    """
    _check_order("ravel", order)
    return reshape(a, -1, order)


@primitive(
    forward=np.transpose,
    aliases=("permute_dims",),
    cases=[
        Case(a=reals(shape=("l", "m", "n")), axes=[None, (1, 0, 2), (2, 0, 1), (-1, 0, 1)]),
        Case(a=reals(shape=("n",)), axes=[None]),
        Case(a=reals(shape=()), axes=[None]),
    ],
)
def transpose(a: Array, /, axes: Sequence[int] | None = None) -> Array:
    """y = a with its axes permuted (reversed, by default)        ∂L/∂a = g with its axes permuted back

    ``x.T`` reverses. Counterpart: ``numpy.transpose``, ``numpy.permute_dims``; see also `permute`.

    >>> import tinygrad_edu as tg
    >>> tg.transpose(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[1., 3.],
            [2., 4.]])
    """


def _inverse(axes: Sequence[int] | None) -> Any:
    if axes is None:
        return None
    count = len(axes)
    return tuple(sorted(range(count), key=lambda i: axes[i] % count))


transpose.vjp(a=lambda g, axes: transpose(g, _inverse(axes)))


@primitive(
    forward=np.swapaxes,
    cases=[Case(a=reals(shape=("l", "m", "n")), axis1=[0, -1], axis2=[1, 2])],
)
def swapaxes(a: Array, /, axis1: int, axis2: int) -> Array:
    """y = a with two axes exchanged        ∂L/∂a = g with them exchanged back

    Counterpart: ``numpy.swapaxes``, ``torch.transpose``.

    >>> import tinygrad_edu as tg
    >>> tg.swapaxes(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), 0, 1)
    Tensor([[1., 3.],
            [2., 4.]])
    """


swapaxes.vjp(a=lambda g, axis1, axis2: swapaxes(g, axis1, axis2))


@composite(
    numpy=(np.matrix_transpose, np.linalg.matrix_transpose), cases=[Case(a=reals(shape=(2, 3, 2))), Case(a=complexes(shape=(1, 2)))]
)
def matrix_transpose(a: Any, /) -> Any:
    """y = a with its last two axes exchanged        ∂L/∂a = g with them exchanged back

    ``x.mT`` is the same: every matrix of a stack is transposed. Complex numbers are not conjugated. Counterpart:
    ``numpy.matrix_transpose``, ``torch.Tensor.mT``.

    >>> import tinygrad_edu as tg
    >>> tg.matrix_transpose(tg.Tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    Tensor([[[1., 3.],
             [2., 4.]]])
    """
    shape = np.shape(a)
    if len(shape) < 2:
        raise ShapeError(f"matrix_transpose: a matrix or a stack of them has two axes or more, got shape {shape}")
    return swapaxes(a, -1, -2)


@composite(
    numpy=np.moveaxis,
    aliases=("movedim",),
    cases=[
        Case(a=reals(shape=("l", "m", "n")), source=[0, -1], destination=[2, -2]),
        Case(a=reals(shape=(2, 1, 3)), source=[(0, -1)], destination=[(1, 0)]),
    ],
)
def moveaxis(a: Any, /, source: Any, destination: Any) -> Any:
    """y = a with axes moved to other positions, the others in order        ∂L/∂a = g with them moved back

    ``source`` and ``destination`` are integers, or tuples of equal length. Counterpart: ``numpy.moveaxis``, ``torch.movedim``.

    >>> import tinygrad_edu as tg
    >>> tg.moveaxis(tg.Tensor([[[1.0], [2.0]]]), 0, -1).shape
    (2, 1, 1)
    """
    shape = np.shape(a)
    here, there = ([axis_of("moveaxis", shape, i) for i in np.atleast_1d(axes).tolist()] for axes in (source, destination))
    if len(here) != len(there) or len({*here}) != len(here) or len({*there}) != len(there):
        raise ShapeError(f"moveaxis: each axis of source={source} goes to one of destination={destination}; no axis is named twice")
    order = [axis for axis in range(len(shape)) if axis not in here]
    for position, axis in sorted(zip(there, here, strict=True)):
        order.insert(position, axis)
    return transpose(a, tuple(order))


@composite(numpy=np.rollaxis, cases=[Case(a=reals(shape=("l", "m", "n")), axis=[0, 1, -1], start=[0, 2, 3, -1])])
def rollaxis(a: Any, /, axis: int, start: int = 0) -> Any:
    """y = a with one axis moved before another        ∂L/∂a = g with it moved back

    NumPy's older ``moveaxis``: the axis comes to stand before the one at ``start``. Counterpart: ``numpy.rollaxis``.

    >>> import tinygrad_edu as tg
    >>> tg.rollaxis(tg.Tensor([[[1.0], [2.0]]]), 2).shape
    (1, 1, 2)
    """
    shape = np.shape(a)
    axis = axis_of("rollaxis", shape, axis)
    if not -len(shape) <= start <= len(shape):
        raise ShapeError(f"rollaxis: start={start} is no place among the {len(shape)} axes of an array of shape {shape}")
    start += len(shape) * (start < 0)
    return moveaxis(a, axis, start - (start > axis))


@primitive(
    forward=np.expand_dims,
    aliases=("unsqueeze",),
    cases=[Case(a=reals(shape=("m", "n")), axis=[0, 1, -1, (0, 2)]), Case(a=reals(shape=()), axis=[0, (0, 1)])],
)
def expand_dims(a: Array, /, axis: Any) -> Array:
    """y = a with axes of length 1 inserted        ∂L/∂a = g without them

    ``axis`` is a position in the result, or a tuple of positions. Counterpart: ``numpy.expand_dims``, ``torch.unsqueeze``.

    >>> import tinygrad_edu as tg
    >>> tg.expand_dims(tg.Tensor([1.0, 2.0]), 1).shape
    (2, 1)
    """


expand_dims.vjp(a=lambda g, a_shape: reshape(g, a_shape))


@primitive(
    numpy=np.squeeze,
    cases=[Case(a=reals(shape=(1, "n", 1)), axis=[0, -1, (0, 2)]), Case(a=reals(shape=(1, 3, 1)), axis=[None])],
)
def squeeze(a: Array, /, axis: Any = None) -> Array:
    """y = a without its axes of length 1 (all of them, or those named)        ∂L/∂a = g with them back

    An axis that is named must have length 1. Counterpart: ``numpy.squeeze``.

    >>> import tinygrad_edu as tg
    >>> tg.squeeze(tg.Tensor([[1.0], [2.0]])).shape
    (2,)
    """
    return np.squeeze(a, axis)[...]  # where there is nothing to squeeze, NumPy returns its argument itself


squeeze.vjp(a=lambda g, a_shape: reshape(g, a_shape))


@spelling(np.atleast_1d)
def atleast_1d(*arrays: Any) -> Any:
    """The tensor itself, or as a vector where it is a single number; of several, a tuple. Counterpart: ``numpy.atleast_1d``.

    >>> import tinygrad_edu as tg
    >>> tg.atleast_1d(tg.Tensor(2.0))
    Tensor([2.])
    """
    return _each(lambda a: reshape(a, np.shape(a) or (1,)), arrays)


@spelling(np.atleast_2d)
def atleast_2d(*arrays: Any) -> Any:
    """The tensor with axes of length 1 before its own, so that it has two or more; of several, a tuple. A vector becomes a row.
    Counterpart: ``numpy.atleast_2d``.

    >>> import tinygrad_edu as tg
    >>> tg.atleast_2d(tg.Tensor([1.0, 2.0]))
    Tensor([[1., 2.]])
    """
    return _each(lambda a: reshape(a, (1,) * (2 - np.ndim(a)) + np.shape(a)), arrays)


@spelling(np.atleast_3d)
def atleast_3d(*arrays: Any) -> Any:
    """The tensor with axes of length 1, so that it has three or more; of several, a tuple. A vector gets them on both sides, a
    matrix at its end. Counterpart: ``numpy.atleast_3d``.

    >>> import tinygrad_edu as tg
    >>> tg.atleast_3d(tg.Tensor([1.0, 2.0])).shape
    (1, 2, 1)
    """
    return _each(lambda a: reshape(a, ((1,) * (2 - np.ndim(a)) + np.shape(a) + (1,))[: max(3, np.ndim(a))]), arrays)


def _each(function: Callable[[Any], Any], arrays: tuple[Any, ...]) -> Any:
    results = tuple([function(array) for array in arrays])
    return results[0] if len(results) == 1 else results


@primitive(reference=lambda a, dtype: np.asarray(a).astype(dtype), cases=[Case(a=reals(), dtype=[np.float64, np.complex128])])
def cast(a: Array, /, dtype: Any) -> Array:
    """y = a, in another floating dtype        ∂L/∂a = g, in a's dtype

    `astype` for floats; the engine records it when gradients of mixed dtypes are differentiated again.

    >>> import tinygrad_edu as tg
    >>> tg.cast(tg.Tensor([1.0]), "float32")
    Tensor([1.], dtype=float32)
    """
    return np.asarray(a).astype(dtype)


cast.vjp(a=lambda g: g)


@spelling(np.astype)
def astype(a: Any, dtype: Any, *, copy: bool = True) -> Any:
    """y = a, in another dtype. Recorded where that is a floating one, else a constant: a step function's derivative is 0.

    Without ``copy``, what has that dtype already is handed back itself. Counterpart: ``numpy.ndarray.astype``, ``torch.Tensor.to``.

    >>> import tinygrad_edu as tg
    >>> tg.astype(tg.Tensor([1.5]), int)
    Tensor([1])
    """
    if not copy and getattr(a, "dtype", None) == np.dtype(dtype):
        return a
    if np.dtype(dtype).kind in "fc" or not isinstance(a, Variable):
        return cast(a, dtype)
    return mark_cut(as_variable(type(a), a._data.astype(dtype)), "astype", a)


def pad_widths(shape: Shape, pad_width: Any) -> list[tuple[int, int]]:
    """NumPy's short forms of ``pad_width`` written out: one (before, after) pair for each axis."""
    if isinstance(pad_width, dict):
        for axis in pad_width:
            if not -len(shape) <= axis < len(shape):
                raise ValueError(f"pad_width names axis {axis} of an array with {len(shape)} axes")
        by_axis = {axis % len(shape): widths for axis, widths in pad_width.items()}
        pad_width = [np.broadcast_to(by_axis.get(axis, 0), 2) for axis in range(len(shape))]
    return [(before, after) for before, after in np.broadcast_to(pad_width, (len(shape), 2)).tolist()]


_COPYING = ("edge", "reflect", "symmetric", "wrap")


@primitive(
    numpy=np.pad,
    cases=[
        Case(a=reals(shape=("m", "n")), pad_width=[1, (2, 0), ((1, 0), (0, 2)), {-1: 2}]),
        Case(a=reals(shape=("n",)), pad_width=[3, ((0, 1),)], constant_values=[2.5]),
        Case(a=reals(shape=(3, 4)), pad_width=[((1, 2), (2, 1))], mode=["edge", "reflect", "symmetric", "wrap"]),
        Case(a=complexes(shape=(2,)), pad_width=[1], mode=["constant", "edge"]),
    ],
)
def pad(a: Array, /, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Array:
    """y = a with a border        ∂L/∂a = g without the border, plus what the border copied from a

    ``pad_width`` takes all of NumPy's forms. ``mode`` is "constant", or one that copies elements of a: "edge", "reflect",
    "symmetric", "wrap". Counterpart: ``numpy.pad``.

    >>> import tinygrad_edu as tg
    >>> tg.pad(tg.Tensor([1.0, 2.0]), 1)
    Tensor([0., 1., 2., 0.])
    """
    widths = pad_widths(np.shape(a), pad_width) or 0  # a single number has no border, and wants to hear it
    if mode == "constant":
        return np.pad(a, widths, constant_values=constant_values)
    if mode not in _COPYING:
        raise ArgumentError(
            f"pad: mode {mode!r} has no derivative here, unlike constant, edge, reflect, symmetric and wrap; a border that is "
            "computed, such as a mean or a ramp, can be joined with tg.concatenate"
        )
    return np.pad(a, widths, mode=mode)  # type: ignore[call-overload, no-any-return]


def _unpad(g: Any, a_shape: Shape, pad_width: Any, mode: str) -> Any:
    widths = pad_widths(a_shape, pad_width)
    if mode == "constant":
        return g[tuple([slice(before, before + n) for n, (before, _) in zip(a_shape, widths, strict=True)])]
    # Every element of the result is a copy of one of a: pad the numbers of a's elements to learn of which.
    size = math.prod(a_shape)
    source = np.pad(np.arange(size).reshape(a_shape), widths, mode=mode)  # type: ignore[call-overload]
    return reshape(scatter_add(g, source, (size,)), a_shape)


pad.vjp(a=_unpad)


@spelling(np.pad)
def _numpy_pad(array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    """NumPy has more modes, and options of theirs: they compute constants."""
    more = options.keys() - {"constant_values"}
    if mode in ("constant", *_COPYING) and not more:
        return pad(array, pad_width, mode, **options)
    if array._node is not None and array._node.requires_grad and is_recording():
        if more:
            raise ArgumentError(f"pad: {', '.join(more)} has no derivative here: pass x.detach(), or concatenate a border")
        return pad(array, pad_width, mode)  # which says what there is
    return as_variable(type(array), np.pad(array._data, pad_width, mode, **options))
