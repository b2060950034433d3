"""Sorting, partitioning and what is found by it. Ties keep their order, and so do their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.graph import Variable, as_variable
from tinygrad_edu.ops.constant import argpartition
from tinygrad_edu.ops.indexing import axis_of, numbers_of, take, take_along_axis
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


_TIE = Kink(
    "a tie",
    "ties keep their order",
    at={"a": [2.0, 1.0, 2.0, 1.0]},
    gradient={"a": [3.0, 1.0, 4.0, 2.0]},
    weights=[1.0, 2.0, 3.0, 4.0],
)


@primitive(
    numpy=np.sort,
    cases=[
        Case(a=reals(shape=(2, 3), grid=(-1, 0.3)), axis=[0, 1, -1, None]),
        Case(a=reals(shape=("n",), grid=(-1, 0.3)), kind=["stable", None]),
        Case(a=complexes(shape=(3,)), before=lambda a: a + np.array([0, 9, 5], np.float32)),
    ],
    kinks=[_TIE],
)
def sort(a: Array, /, axis: int | None = -1, kind: Any = None, stable: bool | None = None) -> Array:
    """y = a in increasing order along an axis        ∂L/∂a = g, moved to where the elements came from

    A new array, also as a method. ``axis=None`` sorts the flattened one; nan comes last; complex numbers are ordered by their real
    parts, then the imaginary. Among equal elements the first gets the first cotangent, whichever ``kind`` of algorithm sorts.
    Counterpart: ``numpy.sort``, ``torch.sort``, which gives the indices as well.

    >>> import tinygrad_edu as tg
    >>> tg.sort(tg.Tensor([3.0, 1.0, 2.0]))
    Tensor([1., 2., 3.])
    """
    return np.sort(a, axis, kind, stable=stable)


def _unsorted(g: Any, a: Any, axis: int | None) -> Any:
    if axis is None:
        return _unsorted(g, a.reshape(-1), 0).reshape(a.shape)
    order = np.argsort(numbers_of(a), axis, kind="stable")
    return take_along_axis(g, np.argsort(order, axis), axis)


sort.vjp(a=_unsorted)


@composite(
    numpy=np.partition,
    reference=lambda a, kth, axis=-1: np.take_along_axis(a, np.argpartition(a, kth, axis), axis),
    cases=[
        Case(a=reals(shape=(2, 3), grid=(-1, 0.3)), kth=[0, 1, -1], axis=[0, -1]),
        Case(a=reals(shape=(2, 3), grid=(-1, 0.3)), kth=[3, (0, 4)], axis=[None]),
    ],
    kinks=[
        Kink("a tie", "each its own place", at={"a": [1.0, 1.0], "kth": 0}, gradient={"a": [1.0, 2.0]}, weights=[1.0, 2.0]),
    ],
)
def partition(a: Any, /, kth: Any, axis: int | None = -1, kind: str = "introselect") -> Any:
    """y = a, with the kth smallest in its place, no larger ones before and no smaller ones after it        ∂L/∂a = g, moved back

    A new array, also as a method. ``kth`` is an integer or a sequence. In which order the others stand is not said. Counterpart:
    ``numpy.partition``.

    >>> import tinygrad_edu as tg
    >>> tg.partition(tg.Tensor([3.0, 1.0, 2.0]), 1)
    Tensor([1., 2., 3.])
    """
    return take_along_axis(a, argpartition(a, kth, axis, kind), axis)


class TopK(NamedTuple):
    """What `top_k` returns."""

    values: Any
    indices: Any


@composite(
    aliases=("topk",),
    reference=lambda a, k, axis=-1, largest=True: (
        np.take(np.flip(np.sort(a, axis), axis) if largest else np.sort(a, axis), range(k), axis),
    ),
    cases=[
        Case(a=reals(shape=(2, 3), grid=(-1, 0.3)), k=[0, 1, 2], axis=[0, -1], largest=[True, False], after=lambda y: y[0]),
        Case(a=reals(shape=(4,), grid=(-1, 0.3)), k=[3], after=lambda y: y[0]),
    ],
    kinks=[Kink("a tie", "ties keep their order", at={"a": [2.0, 5.0, 5.0], "k": 1}, gradient={"a": [0.0, 1.0, 0.0]})],
)
def top_k(a: Any, /, k: int, axis: int = -1, largest: bool = True) -> TopK:
    """y = the k largest elements along an axis, the largest first        ∂L/∂a = zeros, to which g is added where they stood

    A pair ``(values, indices)``; with ``largest=False`` the smallest ones. Of equal elements the first comes first. nan counts as
    larger than any number. Counterpart: ``torch.topk``, ``jax.lax.top_k``.

    >>> import tinygrad_edu as tg
    >>> values, indices = tg.top_k(tg.Tensor([3.0, 1.0, 2.0]), 2)
    >>> values, indices
    (Tensor([3., 2.]), Tensor([0, 2]))
    """
    numbers = numbers_of(a)
    axis = axis_of("top_k", numbers.shape, axis)
    n = numbers.shape[axis]
    if not 0 <= k <= n:
        raise ArgumentError(f"top_k: k={k} elements of an axis of length {n}; k lies between 0 and that length")
    # In increasing order, backwards, of the elements backwards: then the first of equal ones is the first again.
    backwards = np.flip(np.argsort(np.flip(numbers, axis), axis, kind="stable"), axis)
    order = n - 1 - backwards if largest else np.argsort(numbers, axis, kind="stable")
    indices = np.take(order, range(k), axis)
    return TopK(take_along_axis(a, indices, axis), as_variable(type(a), indices) if isinstance(a, Variable) else indices)


@composite(
    numpy=np.unique,
    cases=[
        Case(ar=reals(shape=(2, 2), grid=(-1, 0.3))),
        Case(ar=reals(shape=(3, 2), grid=(-1, 0.3)), axis=[0, 1], before=lambda a: take(a, [1, 0, 1, 2], 0)),
        Case(ar=complexes(shape=(2,)), before=lambda a: take(a + np.array([0, 9], np.float32), [1, 0, 1], 0)),
    ],
)
def unique(
    ar: Any,
    /,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """y = the different elements of a, in increasing order        ∂L/∂a = zeros, with g where each of them stands first

    With ``axis``, the different slices along it. Where elements that are equal part, the result gets longer: it jumps, and so has
    no kink there. The other results are constants: where each stands first, which of them each
    element is, and how often. The result is in order even where ``sorted=False`` does not ask for it. Counterpart:
    ``numpy.unique``, ``torch.unique``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([3.0, 1.0, 3.0], requires_grad=True)
    >>> y = tg.unique(x)
    >>> y.backward([1.0, 10.0])
    >>> x.grad
    Tensor([10.,  1.,  0.])
    """
    ask: Any = np.unique
    axis = axis if axis is None else axis_of("unique", np.shape(ar), axis)
    _, index, *rest = ask(numbers_of(ar), True, return_inverse, return_counts, axis, equal_nan=equal_nan)
    values = take(ar, index, axis)
    if isinstance(ar, Variable):
        index, *rest = [as_variable(type(ar), array) for array in (index, *rest)]
    more = (index, *rest) if return_index else tuple(rest)
    return (values, *more) if more else values
