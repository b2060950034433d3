"""Repeat and Sum, which are each other's adjoint, and the other reductions: products, extrema and traces."""

from __future__ import annotations

import math
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.graph import Variable
from tinygrad_edu.ops.indexing import axis_of, scatter_add
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import pad, reshape, transpose
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, composite, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


def as_operand(a: Any) -> Any:
    """A tensor as it is, and anything else as an array."""
    return a if isinstance(a, Variable) else np.asarray(a)


def checked_axes(name: str, shape: Shape, axis: Any) -> tuple[int, ...]:
    """The axes that an ``axis`` argument of the function of that name means, counted from the front: an integer, several that
    differ, or None for all."""
    if axis is None:
        return tuple(range(len(shape)))
    axes = tuple([axis_of(name, shape, index(i)) for i in (axis if isinstance(axis, tuple | list) else (axis,))])
    if len({*axes}) < len(axes):
        raise ShapeError(f"{name}: axis={axis} names an axis twice, in an array of shape {shape}")
    return axes


def reduced_axes(ndim: int, axis: Any) -> tuple[int, ...]:
    """The axes that an ``axis`` argument means, counted from the front; it is known to fit."""
    if axis is None or ndim == 0:
        return tuple(range(ndim))
    return tuple([i % ndim for i in (axis if isinstance(axis, tuple) else (axis,))])


def keep(g: Any, shape: Shape, axis: Any) -> Any:
    """A reduction's result with the reduced axes back at length 1, so that it broadcasts against the operand."""
    reduced = reduced_axes(len(shape), axis)
    return reshape(g, tuple([1 if i in reduced else n for i, n in enumerate(shape)]))


def joined(a: Any, axis: Any) -> Any:
    """The array with the axes that ``axis`` means joined into one, which is the last."""
    reduced = reduced_axes(a.ndim, axis)
    rest = [i for i in range(a.ndim) if i not in reduced]
    order = (*rest, *reduced)
    moved = a if order == tuple(range(a.ndim)) else transpose(a, order)
    return reshape(moved, (*[a.shape[i] for i in rest], count(a.shape, axis)))


def parted(a: Any, shape: Shape, axis: Any) -> Any:
    """The inverse of `joined`, for an array that had the shape."""
    reduced = reduced_axes(len(shape), axis)
    order = (*[i for i in range(len(shape)) if i not in reduced], *reduced)
    apart = reshape(a, tuple([shape[i] for i in order]))
    return apart if order == tuple(range(len(shape))) else transpose(apart, tuple([order.index(i) for i in range(len(shape))]))


def count(shape: Shape, axis: Any) -> int:
    """How many elements of an array of the shape are reduced to one."""
    return math.prod([shape[i] for i in reduced_axes(len(shape), axis)])


def any_axes(shape: Shape) -> list[Any]:
    """Every kind of ``axis`` argument that fits the shape: the metadata of a reduction's test case."""
    if not shape:
        return [None, ()]
    return [None, 0, -1, len(shape) - 1, (0,), (-1, 0) if len(shape) > 1 else (-1,), tuple(range(len(shape))), ()]


# ------------------------------------------------------------------------------------------------------- Repeat and Sum


@primitive(
    forward=np.add.reduce,
    numpy=(np.sum, np.add.reduce),
    label="Sum",
    cases=[Case(a=reals(), axis=any_axes, keepdims=[False, True]), Case(a=complexes(shape=(2, 3)), axis=[None, 0, -1])],
)
def sum(a: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """y = Σ a        ∂L/∂a = g, repeated along the axes that were summed

    ``axis`` is None (all), an integer or a tuple. Sum and Repeat are each other's adjoint (*Deep Learning from Scratch 2*,
    section 1.3.4). Counterpart: ``numpy.sum``.

    >>> import tinygrad_edu as tg
    >>> tg.sum(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([4., 6.])
    """


sum.vjp(a=lambda g, a_shape, axis: broadcast_to(keep(g, a_shape, axis), a_shape))


@primitive(
    forward=np.broadcast_to,
    label="Repeat",
    cases=[
        Case(a=reals(shape=("n",)), shape=lambda a: [a, (2, *a), (3, 1, *a)]),
        Case(a=reals(shape=(1, "n")), shape=lambda a: [(4, *a[1:]), (2, 3, *a[1:]), (0, *a[1:])]),
        Case(a=reals(shape=("m", 1)), shape=lambda a: [(*a[:1], 3), (2, *a[:1], 1)]),
        Case(a=reals(shape=()), shape=[(), (3,), (2, 2)]),
    ],
)
def broadcast_to(a: Array, /, shape: Any) -> Array:
    """y = a, repeated along new axes and axes of length 1        ∂L/∂a = Σ g over those axes

    This is what broadcasting records. No copy is made. Counterpart: ``numpy.broadcast_to``, ``torch.expand``.

    >>> import tinygrad_edu as tg
    >>> tg.broadcast_to(tg.Tensor([1.0, 2.0]), (2, 2))
    Tensor([[1., 2.],
            [1., 2.]])
    """


def sum_to(g: Any, a_shape: Shape) -> Any:
    """g summed over the axes along which ``a_shape`` was broadcast: the adjoint of ``broadcast_to``."""
    if g.shape == a_shape:
        return g
    new = g.ndim - len(a_shape)
    total = g.sum(axis=tuple(range(new))) if new else g
    if total.shape == a_shape:
        return total
    stretched = tuple([i for i, n in enumerate(a_shape) if n == 1 != total.shape[i]])
    return total.sum(axis=stretched, keepdims=True)


broadcast_to.vjp(a=sum_to)


@primitive(
    forward=np.repeat,
    label="Repeat",
    cases=[
        Case(a=reals(shape=("l", "m", "n")), repeats=[2, 0, 1], axis=[0, 1, -1, None]),
        Case(a=reals(shape=(2, 3)), repeats=[[2, 0, 3], np.array([1, 2, 1])], axis=[1, -1]),
        Case(a=reals(shape=(2, 2)), repeats=[[1, 0, 2, 3], [2]], axis=[None]),
        Case(a=reals(shape=()), repeats=[3], axis=[None, 0]),
    ],
)
def repeat(a: Array, /, repeats: Any, axis: int | None = None) -> Array:
    """y = a with each element repeated along an axis        ∂L/∂a = Σ g over the copies of each element

    ``repeats`` is one count, or one for each element along ``axis``; ``axis=None`` repeats the elements of the flattened
    array. The Repeat node of *Deep Learning from Scratch 2*, section 1.3.4. Counterpart: ``numpy.repeat``,
    ``torch.repeat_interleave``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([[1.0, 2.0]], requires_grad=True)
    >>> y = tg.repeat(x, 3, axis=0)
    >>> y.shape
    (3, 2)
    >>> y.backward([[1, 2], [3, 4], [5, 6]])
    >>> x.grad
    Tensor([[ 9., 12.]])
    """


def _sum_copies(g: Any, a_shape: Shape, repeats: Any, axis: int | None) -> Any:
    if axis is None or not a_shape:  # the elements of the flattened array were repeated
        return reshape(_sum_copies(g, (math.prod(a_shape),), repeats, 0), a_shape)
    axis %= len(a_shape)
    before, n, after = a_shape[:axis], a_shape[axis], a_shape[axis + 1 :]
    if np.size(repeats) == 1:
        times = int(np.reshape(repeats, ()))
        return sum(reshape(g, (*before, n, times, *after)), axis=axis + 1)
    copies_of = np.repeat(np.arange(n), repeats)
    return scatter_add(g, (slice(None),) * axis + (copies_of,), a_shape)


repeat.vjp(a=_sum_copies)


# ------------------------------------------------------------------------------------------------------ other reductions


@primitive(
    forward=np.mean,
    cases=[
        Case(a=reals(nonempty=True), axis=any_axes, keepdims=[False, True]),
        Case(a=complexes(shape=(2, 3)), axis=[None, 0, -1]),
    ],
)
def mean(a: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """y = Σ a / n        ∂L/∂a = g / n, repeated along the axes that were averaged

    ``axis`` is None (all), an integer or a tuple. The mean of nothing is nan, with a warning. Counterpart: ``numpy.mean``.

    >>> import tinygrad_edu as tg
    >>> tg.mean(tg.Tensor([[1.0, 2.0], [3.0, 5.0]]), axis=0)
    Tensor([2. , 3.5])
    """


mean.vjp(a=lambda g, a_shape, axis: broadcast_to(keep(g * _share(a_shape, axis), a_shape, axis), a_shape))


def _share(shape: Shape, axis: Any) -> float:
    return 1 / (count(shape, axis) or 1)  # n itself may be too large for float16


@primitive(
    forward=np.multiply.reduce,
    numpy=(np.prod, np.multiply.reduce),
    label="Π",
    cases=[
        Case(a=reals(-2, 2), axis=any_axes, keepdims=[False, True]),
        Case(a=reals(-2, 2, shape=(7,))),
        Case(a=reals(-2, 2, shape=(2, 2, 3)), axis=[(0, 2), (2, 0), (-1, 1)]),
        Case(a=complexes(shape=(2, 3)), axis=[None, 0, -1]),
    ],
)
def prod(a: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """y = Π a        ∂L/∂aᵢ = g Πⱼ≠ᵢ aⱼ

    ``axis`` is None (all), an integer or a tuple; the product of nothing is 1. Nothing is divided, so that the derivatives of every
    order are right where elements are 0. Counterpart: ``numpy.prod``, ``torch.prod``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([0.0, 2.0, 3.0], requires_grad=True)
    >>> tg.prod(x).backward()
    >>> x.grad
    Tensor([6., 0., 0.])
    """


def _others(a: Any) -> Any:
    """For each element, the product of all others along the last axis: its neighbour in a pair, times the product of the other
    pairs. That takes 2n multiplications, and as it is made of operations it can be differentiated as often as one likes."""
    *lead, n = a.shape
    if n < 2:
        return np.ones(a.shape, a.dtype)
    if n % 2:
        a = pad(a, [(0, 0)] * len(lead) + [(0, 1)], constant_values=1)
    pairs = reshape(a, (*lead, (n + 1) // 2, 2))
    swapped = pairs[..., ::-1]
    if n > 2:
        other_pairs = _others(pairs[..., 0] * pairs[..., 1])
        swapped = reshape(other_pairs, (*other_pairs.shape, 1)) * swapped
    return reshape(swapped, a.shape)[..., :n]


prod.vjp(a=lambda g, a, axis: keep(g, a.shape, axis) * parted(_others(joined(a, axis)), a.shape, axis))


def shared(g: Any, y: Any, a: Any, axis: Any) -> Any:
    """g for the elements that are y, in equal parts where several are. (A NaN is the extremum that NumPy gives.)"""
    y = keep(y, a.shape, axis)
    chosen = where(y == y, a == y, a != a)
    return where(chosen, keep(g, a.shape, axis) / sum(chosen, axis=axis, keepdims=True), 0)


@primitive(
    forward=np.maximum.reduce,
    numpy=(np.max, np.amax, np.maximum.reduce),
    aliases=("amax",),
    cases=[Case(a=reals(grid=(-3, 0.2), nonempty=True), axis=any_axes, keepdims=[False, True])],
    kinks=[Kink("several maxima", "they share equally", at={"a": [1.0, 3.0, 3.0]}, gradient={"a": [0.0, 0.5, 0.5]})],
)
def max(a: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """y = max a        ∂L/∂a = g at the maximum, 0 elsewhere; ties share equally

    ``axis`` is None (all), an integer or a tuple; an empty axis is an error. Counterpart: ``numpy.max``, ``torch.amax``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 3.0, 3.0], requires_grad=True)
    >>> tg.max(x).backward()
    >>> x.grad
    Tensor([0. , 0.5, 0.5])
    """


max.vjp(a=shared)


@primitive(
    forward=np.minimum.reduce,
    numpy=(np.min, np.amin, np.minimum.reduce),
    aliases=("amin",),
    cases=[Case(a=reals(grid=(-3, 0.2), nonempty=True), axis=any_axes, keepdims=[False, True])],
    kinks=[Kink("several minima", "they share equally", at={"a": [1.0, 1.0, 3.0]}, gradient={"a": [0.5, 0.5, 0.0]})],
)
def min(a: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """y = min a        ∂L/∂a = g at the minimum, 0 elsewhere; ties share equally

    ``axis`` is None (all), an integer or a tuple; an empty axis is an error. Counterpart: ``numpy.min``, ``torch.amin``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 3.0, 2.0], requires_grad=True)
    >>> tg.min(x).backward()
    >>> x.grad
    Tensor([1., 0., 0.])
    """


min.vjp(a=shared)


@composite(
    numpy=np.ptp,
    cases=[Case(a=reals(grid=(-3, 0.2), shape=(2, 3)), axis=[None, 0, -1, (0, 1)], keepdims=[False, True])],
    kinks=[Kink("several extrema", "they share equally", at={"a": [1.0, 3.0, 3.0]}, gradient={"a": [-1.0, 0.5, 0.5]})],
)
def ptp(a: Any, /, axis: Any = None, keepdims: bool = False) -> Any:
    """y = max a − min a        ∂L/∂a = g at the maximum, −g at the minimum; ties share equally

    From peak to peak. Counterpart: ``numpy.ptp``.

    >>> import tinygrad_edu as tg
    >>> tg.ptp(tg.Tensor([1.0, 5.0, 2.0]))
    Tensor(4.)
    """
    return max(a, axis=axis, keepdims=keepdims) - min(a, axis=axis, keepdims=keepdims)


@primitive(
    forward=np.trace,
    cases=[
        Case(a=reals(shape=("m", "n")), offset=[0, 1, -1]),
        Case(a=reals(shape=("l", 2, "n")), offset=[0, -1], axis1=[0, -1], axis2=[1]),
        Case(a=complexes(shape=(2, 2))),
    ],
)
def trace(a: Array, /, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """y = Σ aᵢᵢ        ∂L/∂a = g on the diagonal, 0 elsewhere

    The diagonal of the axes ``axis1`` and ``axis2``, which are gone from the result; ``offset`` counts diagonals to the right.
    Counterpart: ``numpy.trace``, ``torch.trace``.

    >>> import tinygrad_edu as tg
    >>> tg.trace(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor(5.)
    """


def _on_diagonal(g: Any, a_shape: Shape, offset: int, axis1: int, axis2: int) -> Any:
    axis1, axis2 = axis1 % len(a_shape), axis2 % len(a_shape)
    diagonal = np.eye(a_shape[axis1], a_shape[axis2], offset, dtype=bool)
    only_two = tuple([n if i in (axis1, axis2) else 1 for i, n in enumerate(a_shape)])
    mask = np.reshape(diagonal if axis1 < axis2 else diagonal.T, only_two)
    return where(mask, keep(g, a_shape, (axis1, axis2)), 0)


trace.vjp(a=_on_diagonal)


@spelling(np.linalg.trace)
def _trace_of_matrices(x: Any, /, offset: int = 0) -> Any:
    return trace(x, offset, -2, -1)
