"""Indexing and its adjoint: reading elements and adding elements up where they were read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import DTypeError, ShapeError
from tinygrad_edu.graph import Variable
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape

KEYS: list[Any] = [  # every kind of index, for an array of shape (3, 4)
    1,
    -1,
    slice(1, None),
    (slice(None), slice(None, None, -2)),
    (..., 0),
    (None, 2),
    (1, 2),
    [0, 2],
    np.array([1, 1, 1]),
    ((0, 0, 1),),
    (np.array([0, 2, 0]), np.array([1, 3, 1])),
    (np.array([[0], [2]]), np.array([1, 1])),
    (slice(None), np.array([-1, 3])),
    (np.array([0, 0]), slice(1, 3)),
    np.array([True, False, True]),
    np.arange(12).reshape(3, 4) % 5 == 1,
    (slice(None), np.array([False, True, True, False])),
    np.zeros((0,), dtype=int),
]


def may_repeat(key: Any) -> bool:
    """Whether an index can read one element twice: these parts cannot, and of anything else it is not asked."""
    return not all(
        part is None or part is ... or isinstance(part, int | np.integer | slice) or getattr(part, "dtype", None) == np.bool_
        for part in (key if isinstance(key, tuple) else (key,))
    )


SMALL = 1 << 16


def positions(shape: Shape, key: Any) -> Array:
    """Which elements an index reads, by their number in an array of that shape."""
    size = math.prod(shape)
    if size <= SMALL:
        numbers: Array = np.arange(size).reshape(shape)[key]
        return numbers
    # Axis by axis, seen as arrays of that shape: what is not read is never made.
    numbers = np.asarray(0)
    for axis, n in enumerate(shape):
        size //= max(1, n)
        coordinate = (np.arange(n) * size).reshape(-1, *[1] * (len(shape) - 1 - axis))
        numbers = numbers + np.broadcast_to(coordinate, shape)[key]
    return numbers


def numbers_of(value: Any) -> Array:
    """The array of what is not differentiated, such as indices: a tensor's, or one made of a list."""
    array: Array = value._data if isinstance(value, Variable) else np.asarray(value)
    return array


def axis_of(name: str, shape: Shape, axis: int) -> int:
    """The axis, counted from the front."""
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"{name}: axis {axis} of an array of shape {shape}: it has {len(shape)} axes, counted from 0 or from -1")
    return axis % len(shape)


def check_kind(name: str, value: Any, dtype: Any) -> None:
    """Refuse to write floats among integers, or complex numbers among real ones."""
    given = np.result_type(dtype, value) if isinstance(value, int | float | complex) else numbers_of(value).dtype
    if not np.can_cast(given, dtype, "same_kind"):
        raise DTypeError(
            f"{name}: numbers of dtype {given} would lose what they are in an array of dtype {dtype}; convert the array first, "
            f"with astype({given.name!r})"
        )


@primitive(
    label="x[i]",
    cases=[
        Case(a=reals(shape=(3, 4)), key=KEYS),
        Case(a=reals(shape=()), key=[(), ..., None]),
        Case(a=complexes(shape=(3,)), key=[np.array([1, 1, -1]), slice(None, None, -1)]),
    ],
    reference=lambda a, key: a[key],
)
def getitem(a: Array, /, key: Any) -> Array:
    """y = a[key]        ∂L/∂a = zeros, to which g is added at [key]: an element that was read twice gets both

    ``key`` is anything that NumPy indexes with: integers, slices, ``...``, None, integer and boolean arrays, tuples of
    them. ``x[key]`` is the same. Counterpart: indexing in NumPy.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> x[[0, 0, 2]].sum().backward()
    >>> x.grad
    Tensor([2., 0., 1.])
    """
    y: Array = a[key]
    return y


getitem.vjp(a=lambda g, a_shape, key: scatter_add(g, key, a_shape))


def _plain_scatter_add(a: Array, key: Any, shape: Shape) -> Array:
    y = np.zeros(shape, a.dtype)
    np.add.at(y, key, a)
    return y


@primitive(
    label="scatter +",
    cases=[
        Case(a=reals(shape=(3,)), key=[np.array([4, 1, 4]), slice(0, 3), np.array([1, 0, 1, 1, 0]) > 0], shape=[(5,)]),
        Case(a=reals(shape=(2, 2)), key=[np.array([1, 1]), np.array([0, 2])], shape=[(3, 2)]),
        Case(a=reals(shape=(2, 2)), key=[(slice(None), slice(1, 3)), (slice(None), [1, 1])], shape=[(2, 4)]),
        Case(a=reals(shape=(2,)), key=[np.array([1, 1])], shape=[(40,)]),
        Case(a=complexes(shape=(3,)), key=[np.array([1, 1, -1])], shape=[(4,)]),
    ],
    reference=_plain_scatter_add,
)
def scatter_add(a: Array, /, key: Any, shape: Shape) -> Array:
    """y = zeros of the shape, to which a is added at [key]        ∂L/∂a = g[key]

    The adjoint of indexing: an element that ``key`` names twice receives both. Counterpart: ``numpy.add.at`` on zeros,
    ``torch.Tensor.index_put(accumulate=True)``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.scatter_add(tg.Tensor([1.0, 2.0, 3.0]), np.array([0, 0, 2]), (4,))
    Tensor([3., 0., 3., 0.])
    """
    return accumulate(np.zeros(shape, np.asarray(a).dtype), key, a)


def accumulate(y: Array, key: Any, a: Any) -> Array:
    """Add a to y, an array of our own and in order, at [key]. Returns y."""
    if not may_repeat(key):
        y[key] += a
    elif 4 * np.size(a) < y.size:
        np.add.at(y, key, a)
    else:  # many elements: to number all of y and to add by number takes half the time
        numbers = np.arange(y.size).reshape(y.shape)[key]
        np.add.at(y.reshape(-1), numbers.reshape(-1), np.broadcast_to(a, numbers.shape).reshape(-1))
    return y


scatter_add.vjp(a=lambda g, key: getitem(g, key))


@primitive(
    numpy=np.take,
    cases=[
        Case(a=reals(shape=(3, 4)), indices=[1, -1, [0, 2], np.array([[1, 1], [0, -1]]), []], axis=[0, 1, -1]),
        Case(a=reals(shape=(2, 3)), indices=[5, [0, 0, -1]], axis=[None]),
        Case(a=reals(shape=(2, 3)), indices=[[-4, 7, 1], 8], axis=[None, 1], mode=["wrap", "clip"]),
        Case(a=complexes(shape=(3,)), indices=[[0, 0, 2]], axis=[0]),
    ],
)
def take(a: Array, /, indices: Any, axis: int | None = None, mode: str = "raise") -> Array:
    """y = a's elements at the indices        ∂L/∂a = zeros, to which g is added at the indices

    Whole slices along ``axis``, or single elements of the flattened array (None). Of an index that is out of range, ``mode``
    makes an error ("raise"), the rest of a division ("wrap") or the nearest that is in range ("clip"). Counterpart:
    ``numpy.take``, ``torch.index_select``, ``torch.take``.

    >>> import tinygrad_edu as tg
    >>> tg.take(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), [1, 1, 0], axis=0)
    Tensor([[3., 4.],
            [3., 4.],
            [1., 2.]])
    """
    y: Array = np.take(a, indices_of(indices), axis=axis, mode=mode)  # type: ignore[call-overload]
    return y


def indices_of(indices: Any) -> Array:
    """Indices as an array of integers, also where an empty list says nothing of its kind."""
    array = numbers_of(indices)
    return array if array.size else array.astype(int)


def _put_back(g: Any, a_shape: Shape, indices: Any, axis: int | None, mode: str) -> Any:
    flat = axis is None or not a_shape
    n = math.prod(a_shape) if axis is None or not a_shape else a_shape[axis]
    places = indices_of(indices).astype(np.intp)
    if mode != "raise":
        places = places % n if mode == "wrap" else places.clip(0, n - 1)
    if axis is None or flat:
        return scatter_add(g, places, (n,)).reshape(a_shape)
    return scatter_add(g, (slice(None),) * (axis % len(a_shape)) + (places,), a_shape)


take.vjp(a=_put_back)


def along(name: str, shape: Shape, indices: Any, axis: int | None) -> Any:
    """The key that reads, at each place of the other axes, the elements that ``indices`` names there along ``axis``."""
    indices = numbers_of(indices)
    if axis is None:
        shape, axis = (math.prod(shape),), 0
    axis = axis_of(name, shape, axis)
    if indices.ndim != len(shape) or indices.dtype.kind not in "iu":
        raise ShapeError(
            f"{name}: indices of shape {indices.shape} and dtype {indices.dtype} for an array of shape {shape}; they are integers, "
            "with as many axes as the array has: argsort makes such indices, and argmax with keepdims=True"
        )
    grid = np.ogrid[tuple([slice(n) for n in shape])]
    return (*grid[:axis], indices, *grid[axis + 1 :])


@composite(
    numpy=np.take_along_axis,
    aliases=("gather",),
    cases=[
        Case(arr=reals(shape=(2, 3)), indices=[np.array([[0, 0, 1]]), np.array([[1, 0, 1], [0, 0, -1]])], axis=[0, -2]),
        Case(arr=reals(shape=(2, 3)), indices=[np.array([[2], [2]]), np.array([[0, -1, 2, 2]])], axis=[1, -1]),
        Case(arr=reals(shape=(2, 2)), indices=[np.array([3, 0, 3])], axis=[None]),
        Case(arr=complexes(shape=(1, 2)), indices=[np.array([[1, 1]])], axis=[1]),
    ],
)
def take_along_axis(arr: Any, /, indices: Any, axis: int | None = -1) -> Any:
    """y = for each place of the other axes, a's elements at its own indices        ∂L/∂a = zeros, to which g is added there

    What ``argsort``, ``argmax`` and their like found is read with it. The other axes broadcast; ``axis=None`` reads the flattened
    array. Counterpart: ``numpy.take_along_axis``, ``torch.take_along_dim``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([[1.0, 5.0, 3.0], [6.0, 2.0, 4.0]])
    >>> tg.take_along_axis(x, tg.argmax(x, axis=1, keepdims=True), axis=1)
    Tensor([[5.],
            [6.]])
    """
    key = along("take_along_axis", np.shape(arr), indices, axis)
    return getitem(arr if axis is not None else getitem(arr, ...).reshape(-1), key)


@composite(
    numpy=np.compress,
    method=False,
    cases=[
        Case(condition=np.array([True, False, True]), a=reals(shape=(3, 2)), axis=[0, -2]),
        Case(condition=np.array([0, 1]), a=reals(shape=(2, 3)), axis=[1, None]),
    ],
)
def compress(condition: Any, a: Any, /, axis: int | None = None) -> Any:
    """y = a's slices along an axis where the condition holds        ∂L/∂a = zeros, with g at these places

    The condition has one entry for each slice, and may be shorter; ``axis=None`` chooses from the flattened array. Counterpart:
    ``numpy.compress``.

    >>> import tinygrad_edu as tg
    >>> tg.compress([True, False, True], tg.Tensor([1.0, 2.0, 3.0]))
    Tensor([1., 3.])
    """
    condition = numbers_of(condition)
    if condition.ndim != 1:
        raise ShapeError(
            f"compress: the condition has one axis, got shape {condition.shape}; tg.extract takes one of a's own shape"
        )
    return take(a, np.flatnonzero(condition), axis)


@composite(
    numpy=np.extract,
    method=False,
    cases=[Case(condition=np.array([[1, 0, 1], [0, 1, 1]]), a=reals(shape=(2, 3)))],
)
def extract(condition: Any, a: Any, /) -> Any:
    """y = a's elements where the condition holds, in a row        ∂L/∂a = zeros, with g at these places

    ``a[condition]``, for a condition of a's shape. Counterpart: ``numpy.extract``, ``torch.masked_select``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([[1.0, -2.0], [3.0, -4.0]])
    >>> tg.extract(x > 0, x)
    Tensor([1., 3.])
    """
    return take(a, np.flatnonzero(numbers_of(condition)))
