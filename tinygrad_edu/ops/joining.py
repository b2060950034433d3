"""Joining arrays. Taking them apart again is in `splitting`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.indexing import axis_of, check_kind, numbers_of, take
from tinygrad_edu.ops.reduction import broadcast_to
from tinygrad_edu.ops.shape import astype, atleast_1d, atleast_2d, atleast_3d, expand_dims, moveaxis, ravel, reshape
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


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
    aliases=("concat", "cat"),
    cases=[
        Case(arrays=[reals(shape=("l", "n")), reals(shape=("m", "n"))], axis=[0, -2]),
        Case(arrays=[reals(shape=("n", "l")), reals(shape=("n", "m")), reals(shape=("n", 2))], axis=[1, -1]),
        Case(arrays=[reals(shape=("n",)), reals(shape=(2, "n"))], axis=[None]),
        Case(arrays=[complexes(shape=(1,)), reals(shape=("n",))]),
    ],
)
def concatenate(arrays: Sequence[Array], /, axis: int | None = 0, dtype: Any = None) -> Array:
    """y = the arrays, joined along an axis that they have        ∂L/∂aᵢ = the slice of g that aᵢ became

    Shapes agree except along ``axis``; ``axis=None`` joins the flattened arrays. Counterpart: ``numpy.concatenate``,
    ``torch.cat``.

    >>> import tinygrad_edu as tg
    >>> tg.concatenate([tg.Tensor([1.0, 2.0]), [3.0]])
    Tensor([1., 2., 3.])
    """
    return np.concatenate(arrays, axis=axis, dtype=dtype)


concatenate.vjp(arrays=_part)


@composite(
    numpy=np.stack,
    variadic=True,
    cases=[Case(arrays=[reals(shape=("m", "n")), reals(shape=("m", "n"))], axis=[0, 1, -1])],
)
def stack(arrays: Sequence[Any], /, axis: int = 0, dtype: Any = None) -> Any:
    """y = the arrays, joined along a new axis        ∂L/∂aᵢ = the slice of g that aᵢ became

    All shapes are equal. Built from ``expand_dims`` and ``concatenate``. Counterpart: ``numpy.stack``, ``torch.stack``.

    >>> import tinygrad_edu as tg
    >>> tg.stack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]], axis=1)
    Tensor([[1., 3.],
            [2., 4.]])
    """
    try:
        return concatenate([expand_dims(array, axis) for array in arrays], axis, dtype)
    except ShapeError as error:
        shapes = dict.fromkeys(np.shape(array) for array in arrays)
        if len(shapes) < 2:
            raise
        raise ShapeError(f"stack: all arrays have the same shape, and these have {' and '.join(map(str, shapes))}") from error


@composite(
    numpy=np.hstack,
    variadic=True,
    cases=[
        Case(arrays=[reals(shape=("m",)), reals(shape=()), reals(shape=("n",))]),
        Case(arrays=[reals(shape=("l", "m")), reals(shape=("l", "n"))]),
    ],
)
def hstack(arrays: Sequence[Any], /, dtype: Any = None) -> Any:
    """y = the arrays side by side: vectors end to end, others along axis 1        ∂L/∂aᵢ = the slice of g that aᵢ became

    Numbers count as vectors. Counterpart: ``numpy.hstack``, ``torch.hstack``.

    >>> import tinygrad_edu as tg
    >>> tg.hstack([tg.Tensor([[1.0], [2.0]]), [[3.0], [4.0]]])
    Tensor([[1., 3.],
            [2., 4.]])
    """
    parts = [atleast_1d(array) for array in arrays]
    return concatenate(parts, 0 if parts and np.ndim(parts[0]) == 1 else 1, dtype)


@composite(
    numpy=np.vstack,
    variadic=True,
    aliases=("row_stack",),
    cases=[Case(arrays=[reals(shape=("n",)), reals(shape=("m", "n"))]), Case(arrays=[reals(shape=()), reals(shape=())])],
)
def vstack(arrays: Sequence[Any], /, dtype: Any = None) -> Any:
    """y = the arrays on top of each other, along axis 0        ∂L/∂aᵢ = the slice of g that aᵢ became

    Vectors count as rows. Counterpart: ``numpy.vstack``, ``torch.vstack``.

    >>> import tinygrad_edu as tg
    >>> tg.vstack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]])
    Tensor([[1., 2.],
            [3., 4.]])
    """
    return concatenate([atleast_2d(array) for array in arrays], 0, dtype)


@composite(
    numpy=np.dstack,
    variadic=True,
    cases=[
        Case(arrays=[reals(shape=("n",)), reals(shape=(1, "n"))]),
        Case(arrays=[reals(shape=("m", "n")), reals(shape=("m", "n", 2))]),
    ],
)
def dstack(arrays: Sequence[Any], /) -> Any:
    """y = the arrays behind each other, along axis 2        ∂L/∂aᵢ = the slice of g that aᵢ became

    Vectors and matrices get a third axis as in ``atleast_3d``. Counterpart: ``numpy.dstack``, ``torch.dstack``.

    >>> import tinygrad_edu as tg
    >>> tg.dstack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]])
    Tensor([[[1., 3.],
             [2., 4.]]])
    """
    return concatenate([atleast_3d(array) for array in arrays], 2)


@composite(
    numpy=np.column_stack,
    variadic=True,
    cases=[Case(arrays=[reals(shape=("m",)), reals(shape=("m", "n"))]), Case(arrays=[reals(shape=()), reals(shape=(1,))])],
)
def column_stack(arrays: Sequence[Any], /) -> Any:
    """y = the arrays side by side as columns        ∂L/∂aᵢ = the slice of g that aᵢ became

    Vectors are columns, matrices stay as they are. Counterpart: ``numpy.column_stack``, ``torch.column_stack``.

    >>> import tinygrad_edu as tg
    >>> tg.column_stack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]])
    Tensor([[1., 3.],
            [2., 4.]])
    """
    return concatenate([reshape(array, (-1, 1)) if np.ndim(array) < 2 else array for array in arrays], 1)


@spelling(np.block, method=False)
def block(arrays: Any, /) -> Any:
    """A matrix from nested lists of blocks: the innermost lists are joined along the last axis, those around them along the one
    before, and so on. Every list is nesting: a block is a tensor, an array or a number. Counterpart: ``numpy.block``.

    >>> import tinygrad_edu as tg
    >>> a, b = tg.Tensor([[1.0]]), tg.Tensor([[2.0, 3.0]])
    >>> tg.block([[a, 0 * b], [0 * a, b]])
    Tensor([[1., 0., 0.],
            [0., 2., 3.]])
    """
    depths = _depths(arrays)
    if len(depths) > 1:
        raise ShapeError(
            f"block: all blocks stand in equally many lists; here some stand in {min(depths)} and some in {max(depths)} (a list is "
            "never a block itself: make a tensor of it)"
        )
    depth = depths.pop()

    def ndim_of(part: Any) -> int:
        return max(map(ndim_of, part)) if isinstance(part, list) else np.ndim(part)

    ndim = max(depth, ndim_of(arrays))

    def joined(part: Any, axis: int) -> Any:
        if isinstance(part, list):
            return concatenate([joined(inner, axis + 1) for inner in part], axis)
        return reshape(part, (1,) * (ndim - np.ndim(part)) + np.shape(part))

    return joined(arrays, -depth)


def _depths(part: Any) -> set[int]:
    """In how many lists the blocks stand."""
    if isinstance(part, tuple) or (isinstance(part, list) and not part):
        raise ArgumentError(f"block: {part!r} is no list of blocks; nest lists that are not empty")
    return {1 + depth for inner in part for depth in _depths(inner)} if isinstance(part, list) else {0}


# ------------------------------------------------------------------------------------------------------------- enlarging


@composite(
    numpy=np.append,
    method=False,  # x.append(v) would read like a list that changes
    cases=[
        Case(arr=reals(shape=("n",)), values=reals(shape=(2, 1))),
        Case(arr=reals(shape=("m", 2)), values=reals(shape=("n", 2)), axis=[0, -2]),
    ],
)
def append(arr: Any, values: Any, /, axis: int | None = None) -> Any:
    """y = values, joined to the end of arr        ∂L/∂arr, ∂L/∂values = the slices of g that they became

    ``axis=None`` joins the flattened arrays. Counterpart: ``numpy.append``.

    >>> import tinygrad_edu as tg
    >>> tg.append(tg.Tensor([1.0, 2.0]), 3.0)
    Tensor([1., 2., 3.])
    """
    return concatenate([arr, values], axis)


@composite(
    numpy=np.insert,
    method=False,
    cases=[
        Case(arr=reals(shape=(3,)), obj=1, values=reals(shape=("n",))),
        Case(arr=reals(shape=(2, 2)), obj=np.array([4, 1, 1]), values=reals(shape=(3,)), axis=[None]),
        Case(arr=reals(shape=(2, 3)), obj=-1, values=reals(shape=(2,)), axis=[1, -1]),
        Case(arr=reals(shape=(3, 2)), obj=slice(0, 2), values=reals(shape=(1, 2)), axis=[0]),
        Case(arr=complexes(shape=(2,)), obj=0, values=reals(shape=())),
    ],
)
def insert(arr: Any, obj: Any, values: Any, /, axis: int | None = None) -> Any:
    """y = arr with values before the places obj        ∂L/∂arr, ∂L/∂values = g at the places where they went

    ``obj`` is an integer, a slice, or a sequence of integers or booleans. ``values`` broadcast to what is inserted, in arr's dtype.
    ``axis=None`` flattens arr. Counterpart: ``numpy.insert``.

    >>> import tinygrad_edu as tg
    >>> tg.insert(tg.Tensor([1.0, 2.0]), 1, [5.0, 6.0])
    Tensor([1., 5., 6., 2.])
    """
    if axis is None:
        arr, axis = ravel(arr), 0
    shape = np.shape(arr)
    axis = axis_of("insert", shape, axis)
    n = shape[axis]
    places = np.arange(n)[obj] if isinstance(obj, slice) else numbers_of(obj)
    places = np.flatnonzero(places) if places.dtype == np.bool_ else places if places.size else places.astype(int)
    check_kind("insert", values, numbers_of(arr).dtype)
    if numbers_of(values).dtype != numbers_of(arr).dtype:
        values = astype(values, numbers_of(arr).dtype)
    count = places.size
    if count == 1:  # all of values go to this one place, and a scalar obj says that they are slices without the axis
        values = reshape(values, (1,) * (len(shape) - np.ndim(values)) + np.shape(values))
        values = values if places.ndim else moveaxis(values, 0, axis)
        count = np.shape(values)[axis]
    try:
        layout = np.insert(np.arange(n), places, n + np.arange(count))
        more = max(0, np.ndim(values) - len(shape))
        if np.shape(values)[:more] == (1,) * more:
            values = reshape(values, np.shape(values)[more:])
        values = broadcast_to(values, (*shape[:axis], count, *shape[axis + 1 :]))
    except (ValueError, IndexError) as error:
        raise ShapeError(
            f"insert: {error}\n  called with arr of shape {shape}, obj={obj!r}, values of shape {np.shape(values)}, axis={axis}; "
            "the values broadcast to the slices that are inserted"
        ) from error
    return take(concatenate([arr, values], axis), layout, axis)


@composite(
    numpy=np.tile,
    cases=[
        Case(a=reals(shape=("n",)), reps=[2, (2, 3), (0,), ()]),
        Case(a=reals(shape=(2, 2)), reps=[2, (2, 1), (2, 1, 3)]),
        Case(a=reals(shape=()), reps=[3]),
    ],
)
def tile(a: Any, /, reps: Any) -> Any:
    """y = a, repeated as a whole along each axis        ∂L/∂a = Σ g over the copies

    ``reps`` is one number for the last axis, or one for each of the last axes; more of them make new axes. Counterpart:
    ``numpy.tile``, ``torch.tile``.

    >>> import tinygrad_edu as tg
    >>> tg.tile(tg.Tensor([1.0, 2.0]), 2)
    Tensor([1., 2., 1., 2.])
    """
    shape = np.shape(a)
    times = tuple([int(count) for count in np.atleast_1d(numbers_of(reps))])
    ndim = max(len(times), len(shape))
    times, shape = (1,) * (ndim - len(times)) + times, (1,) * (ndim - len(shape)) + shape
    if min(times, default=0) < 0:
        raise ArgumentError(f"tile: reps={reps!r} is negative: nothing can be repeated less than 0 times")
    pairs = list(zip(times, shape, strict=True))
    single = reshape(a, tuple([length for _, n in pairs for length in (1, n)]))
    copies = broadcast_to(single, tuple([length for pair in pairs for length in pair]))
    return reshape(copies, tuple([count * n for count, n in pairs]))


@spelling(np.broadcast_arrays, method=False)
def broadcast_arrays(*arrays: Any) -> tuple[Any, ...]:
    """The arrays, each repeated to the shape that they broadcast to. Counterpart: ``numpy.broadcast_arrays``,
    ``torch.broadcast_tensors``.

    >>> import tinygrad_edu as tg
    >>> a, b = tg.broadcast_arrays(tg.Tensor([1.0, 2.0]), 5.0)
    >>> a.shape, b.shape
    ((2,), (2,))
    """
    try:
        shape = np.broadcast_shapes(*map(np.shape, arrays))
    except ValueError as error:
        raise ShapeError(f"broadcast_arrays: {error}; the shapes are {', '.join(str(np.shape(a)) for a in arrays)}") from error
    return tuple([broadcast_to(array, shape) for array in arrays])


@spelling(np.meshgrid, method=False)
def meshgrid(*vectors: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """Coordinates of a grid from the coordinates along its axes: one array for each of the vectors.

    ``indexing="xy"`` lets the first vector run along axis 1, as pictures do, "ij" along axis 0. With ``sparse``, the results are
    not repeated, but broadcast to the grid. Nothing is copied, whatever ``copy`` says: no result is ever changed. Counterpart:
    ``numpy.meshgrid``, ``torch.meshgrid``.

    >>> import tinygrad_edu as tg
    >>> x, y = tg.meshgrid(tg.Tensor([1.0, 2.0]), [3.0])
    >>> x
    Tensor([[1., 2.]])
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing is 'xy' or 'ij', got {indexing!r}")
    axes = list(range(len(vectors)))
    if indexing == "xy":
        axes[:2] = axes[1::-1]
    grid = [reshape(v, (1,) * axis + (-1,) + (1,) * (len(axes) - 1 - axis)) for v, axis in zip(vectors, axes, strict=True)]
    return tuple(grid) if sparse else broadcast_arrays(*grid)
