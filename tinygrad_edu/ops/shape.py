"""Rearranging: the same numbers in another shape or order. Results are views where NumPy's are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.graph import Variable
from tinygrad_edu.ops.indexing import scatter_add
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, composite, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


@primitive(
    numpy=np.reshape,
    cases=[
        Case(a=reals(shape=(2, 3)), shape=[(6,), (3, 2), (-1,), (1, 2, 3), (3, -1)]),
        Case(a=reals(shape=()), shape=[(1,), (1, 1)]),
        Case(a=reals(shape=("n", 1)), shape=[-1]),
    ],
)
def reshape(a: Array, /, shape: Any) -> Array:
    """y = a, read row by row into another shape        ∂L/∂a = g, read back

    One length may be -1: it follows from the others. Counterpart: ``numpy.reshape``; ``x.reshape(3, 2)`` works as well.

    >>> import tinygrad_edu as tg
    >>> tg.reshape(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), 4)
    Tensor([1., 2., 3., 4.])
    """
    return np.reshape(a, shape)


reshape.vjp(a=lambda g, a_shape: reshape(g, a_shape))


@composite(numpy=np.ravel, aliases=("flatten",), cases=[Case(a=reals())])
def ravel(a: Any, /) -> Any:
    """y = a's elements in a row        ∂L/∂a = g, read back

    A ``reshape`` to one axis. Counterpart: ``numpy.ravel``, ``torch.flatten``.

    >>> import tinygrad_edu as tg
    >>> tg.ravel(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 2., 3., 4.])
    """
    return reshape(a, -1)


@primitive(
    forward=np.transpose,
    cases=[
        Case(a=reals(shape=("l", "m", "n")), axes=[None, (1, 0, 2), (2, 0, 1), (-1, 0, 1)]),
        Case(a=reals(shape=("n",)), axes=[None]),
        Case(a=reals(shape=()), axes=[None]),
    ],
)
def transpose(a: Array, /, axes: Sequence[int] | None = None) -> Array:
    """y = a with its axes permuted (reversed, by default)        ∂L/∂a = g with its axes permuted back

    ``x.T`` reverses. Counterpart: ``numpy.transpose``, ``torch.permute``.

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


@primitive(
    forward=np.expand_dims,
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
    forward=np.squeeze,
    cases=[Case(a=reals(shape=(1, "n", 1)), axis=[0, -1, (0, 2)]), Case(a=reals(shape=(1, 3, 1)), axis=[None])],
)
def squeeze(a: Array, /, axis: Any = None) -> Array:
    """y = a without its axes of length 1 (all of them, or those named)        ∂L/∂a = g with them back

    An axis that is named must have length 1. Counterpart: ``numpy.squeeze``.

    >>> import tinygrad_edu as tg
    >>> tg.squeeze(tg.Tensor([[1.0], [2.0]])).shape
    (2,)
    """


squeeze.vjp(a=lambda g, a_shape: reshape(g, a_shape))


def _part(g: Any, position: int, arrays_shape: Sequence[Shape], axis: int | None) -> Any:
    """The piece of a concatenation's cotangent that belongs to one of its operands."""
    shape = arrays_shape[position]
    lengths = [math.prod(s) if axis is None else s[axis] for s in arrays_shape]
    start = sum(lengths[:position])
    piece = slice(start, start + lengths[position])
    if axis is None:
        return reshape(g[piece], shape)
    return g[(slice(None),) * (axis % len(shape)) + (piece,)]


@primitive(
    numpy=np.concatenate,
    variadic=True,
    cases=[
        Case(arrays=[reals(shape=("l", "n")), reals(shape=("m", "n"))], axis=[0, -2]),
        Case(arrays=[reals(shape=("n", "l")), reals(shape=("n", "m")), reals(shape=("n", 2))], axis=[1, -1]),
        Case(arrays=[reals(shape=("n",)), reals(shape=(2, "n"))], axis=[None]),
    ],
)
def concatenate(arrays: Sequence[Array], /, axis: int | None = 0) -> Array:
    """y = the arrays, joined along an axis that they have        ∂L/∂aᵢ = the slice of g that aᵢ became

    Shapes agree except along ``axis``; ``axis=None`` joins the flattened arrays. Counterpart: ``numpy.concatenate``,
    ``torch.cat``.

    >>> import tinygrad_edu as tg
    >>> tg.concatenate([tg.Tensor([1.0, 2.0]), [3.0]])
    Tensor([1., 2., 3.])
    """
    return np.concatenate(arrays, axis=axis)


concatenate.vjp(arrays=_part)


@composite(
    numpy=np.stack,
    variadic=True,
    cases=[Case(arrays=[reals(shape=("m", "n")), reals(shape=("m", "n"))], axis=[0, 1, -1])],
)
def stack(arrays: Sequence[Any], /, axis: int = 0) -> Any:
    """y = the arrays, joined along a new axis        ∂L/∂aᵢ = the slice of g that aᵢ became

    All shapes are equal. Built from ``expand_dims`` and ``concatenate``. Counterpart: ``numpy.stack``, ``torch.stack``.

    >>> import tinygrad_edu as tg
    >>> tg.stack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]], axis=1)
    Tensor([[1., 3.],
            [2., 4.]])
    """
    return concatenate([expand_dims(array, axis) for array in arrays], axis)


@primitive(reference=lambda a, dtype: np.asarray(a).astype(dtype), cases=[Case(a=reals(), dtype=[np.float64])])
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
def astype(a: Any, dtype: Any) -> Any:
    """y = a, in another dtype. Recorded where that is a floating one, else a constant: a step function's derivative is 0.

    Counterpart: ``numpy.ndarray.astype``, ``torch.Tensor.to``.

    >>> import tinygrad_edu as tg
    >>> tg.astype(tg.Tensor([1.5]), int)
    Tensor([1])
    """
    if np.dtype(dtype).kind in "fc" or not isinstance(a, Variable):
        return cast(a, dtype)
    return type(a)(a._data, dtype=dtype)  # type: ignore[call-arg]


def pad_widths(shape: Shape, pad_width: Any) -> list[tuple[int, int]]:
    """NumPy's short forms of ``pad_width`` written out: one (before, after) pair for each axis."""
    if isinstance(pad_width, dict):
        for axis in pad_width:
            if not -len(shape) <= axis < len(shape):
                raise ValueError(f"pad_width names axis {axis} of an array with {len(shape)} axes")
        by_axis = {axis % len(shape): widths for axis, widths in pad_width.items()}
        pad_width = [np.broadcast_to(by_axis.get(axis, 0), 2) for axis in range(len(shape))]
    return [(before, after) for before, after in np.broadcast_to(pad_width, (len(shape), 2)).tolist()]


@primitive(
    numpy=np.pad,
    cases=[
        Case(a=reals(shape=("m", "n")), pad_width=[1, (2, 0), ((1, 0), (0, 2)), {-1: 2}]),
        Case(a=reals(shape=("n",)), pad_width=[3, ((0, 1),)], constant_values=[2.5]),
        Case(a=reals(shape=(3, 4)), pad_width=[((1, 2), (2, 1))], mode=["edge", "reflect", "symmetric", "wrap"]),
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
    if mode == "constant":
        return np.pad(a, pad_widths(np.shape(a), pad_width), constant_values=constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ArgumentError(f"pad: mode {mode!r} has no derivative here; use constant, edge, reflect, symmetric or wrap")
    return np.pad(a, pad_widths(np.shape(a), pad_width), mode=mode)  # type: ignore[call-overload, no-any-return]


def _unpad(g: Any, a_shape: Shape, pad_width: Any, mode: str) -> Any:
    widths = pad_widths(a_shape, pad_width)
    if mode == "constant":
        return g[tuple([slice(before, before + n) for n, (before, _) in zip(a_shape, widths, strict=True)])]
    # Every element of the result is a copy of one of a: pad the numbers of a's elements to learn of which.
    size = math.prod(a_shape)
    source = np.pad(np.arange(size).reshape(a_shape), widths, mode=mode)  # type: ignore[call-overload]
    return reshape(scatter_add(g, source, (size,)), a_shape)


pad.vjp(a=_unpad)
