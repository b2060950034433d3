"""Taking arrays apart. The pieces are views."""

from __future__ import annotations

import operator
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.indexing import axis_of, getitem, indices_of, numbers_of
from tinygrad_edu.ops.shape import moveaxis, ravel
from tinygrad_edu.registry import Case, complexes, composite, reals, several, spelling


@composite(
    numpy=np.array_split,
    cases=[
        Case(a=reals(shape=(5,)), indices_or_sections=[2, 3, 7, [1, 4], [-2, 9], []]),
        Case(a=reals(shape=(2, 3)), indices_or_sections=[2, (0, 2)], axis=[1, -1]),
    ],
)
def array_split(a: Any, /, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """yᵢ = the i-th piece of a        ∂L/∂a = the gᵢ, joined again

    A number of pieces, of which the first are longer by one where it does not divide the length; or the places to cut before.
    Counterpart: ``numpy.array_split``, ``torch.tensor_split``.

    >>> import tinygrad_edu as tg
    >>> tg.array_split(tg.Tensor([1.0, 2.0, 3.0]), 2)
    [Tensor([1., 2.]), Tensor([3.])]
    """
    shape = np.shape(a)
    axis = axis_of("array_split", shape, axis)
    cuts = numbers_of(indices_or_sections)
    if cuts.ndim:
        places = cuts.tolist()
    else:
        sections = operator.index(cuts)
        if sections < 1:
            raise ArgumentError(f"array_split: an array is split into 1 piece or more, not into {sections}")
        length, longer = divmod(shape[axis], sections)
        places = [i * length + min(i, longer) for i in range(1, sections)]
    before = (slice(None),) * axis
    return [getitem(a, (*before, slice(start, stop))) for start, stop in pairwise([0, *places, shape[axis]])]


@composite(
    numpy=np.split,
    cases=[
        Case(a=reals(shape=(4,)), indices_or_sections=[2, 4, [1, 1, 3]]),
        Case(a=reals(shape=(2, 3)), indices_or_sections=[3, (2,)], axis=[1, -1]),
        Case(a=complexes(shape=(2,)), indices_or_sections=[2]),
    ],
)
def split(a: Any, /, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """yᵢ = the i-th piece of a        ∂L/∂a = the gᵢ, joined again

    A number of equal pieces, or the places to cut before. (``torch.split`` takes the length of the pieces.) Counterpart:
    ``numpy.split``.

    >>> import tinygrad_edu as tg
    >>> tg.split(tg.Tensor([1.0, 2.0, 3.0]), [1])
    [Tensor([1.]), Tensor([2., 3.])]
    """
    shape = np.shape(a)
    axis = axis_of("split", shape, axis)
    if not np.ndim(indices_or_sections) and shape[axis] % (int(indices_or_sections) or 1):
        raise ShapeError(
            f"split: axis {axis} of an array of shape {shape} cannot be divided into {indices_or_sections} equal pieces; "
            "tg.array_split makes some of them longer"
        )
    return array_split(a, indices_or_sections, axis)  # type: ignore[no-any-return]


def _split_along(name: str, axis: int, a: Any, indices_or_sections: Any) -> list[Any]:
    if np.ndim(a) <= axis:
        raise ShapeError(f"{name}: it splits along axis {axis}, and the array of shape {np.shape(a)} has none")
    return split(a, indices_or_sections, axis)  # type: ignore[no-any-return]


@spelling(np.hsplit)
def hsplit(a: Any, /, indices_or_sections: Any) -> list[Any]:
    """`split` into pieces that stand side by side: along axis 1, and of a vector along its only axis. Counterpart:
    ``numpy.hsplit``.

    >>> import tinygrad_edu as tg
    >>> tg.hsplit(tg.Tensor([[1.0, 2.0]]), 2)
    [Tensor([[1.]]), Tensor([[2.]])]
    """
    return _split_along("hsplit", int(np.ndim(a) != 1), a, indices_or_sections)


@spelling(np.vsplit)
def vsplit(a: Any, /, indices_or_sections: Any) -> list[Any]:
    """`split` of two axes or more into pieces that stand on top of each other: along axis 0. Counterpart: ``numpy.vsplit``.

    >>> import tinygrad_edu as tg
    >>> tg.vsplit(tg.Tensor([[1.0], [2.0]]), 2)
    [Tensor([[1.]]), Tensor([[2.]])]
    """
    if np.ndim(a) < 2:
        raise ShapeError(f"vsplit: an array of two axes or more, got shape {np.shape(a)}; tg.split divides a vector")
    return _split_along("vsplit", 0, a, indices_or_sections)


@spelling(np.dsplit)
def dsplit(a: Any, /, indices_or_sections: Any) -> list[Any]:
    """`split` of three axes or more into pieces that stand behind each other: along axis 2. Counterpart: ``numpy.dsplit``.

    >>> import tinygrad_edu as tg
    >>> tg.dsplit(tg.Tensor([[[1.0, 2.0]]]), 2)
    [Tensor([[[1.]]]), Tensor([[[2.]]])]
    """
    return _split_along("dsplit", 2, a, indices_or_sections)


@spelling(*several(getattr(np, "unstack", None)), aliases=("unbind",))  # NumPy 2.0 has none
def unstack(a: Any, /, axis: int = 0) -> tuple[Any, ...]:
    """The slices of a along an axis, which they lose. Counterpart: ``numpy.unstack``, ``torch.unbind``.

    >>> import tinygrad_edu as tg
    >>> tg.unstack(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)
    (Tensor([1., 3.]), Tensor([2., 4.]))
    """
    front = moveaxis(a, axis, 0)
    return tuple([getitem(front, i) for i in range(len(front))])


@composite(
    numpy=np.delete,
    method=False,  # x.delete(0) would read like a list that changes
    cases=[
        Case(arr=reals(shape=(4,)), obj=[1, -1, slice(None, None, 2), [0, 2, 2], [True, False, False, True], []]),
        Case(arr=reals(shape=(2, 3)), obj=[1, [0, -1]], axis=[1, -1, None]),
    ],
)
def delete(arr: Any, /, obj: Any, axis: int | None = None) -> Any:
    """y = arr without the slices obj        ∂L/∂arr = g, with zeros at these slices

    ``obj`` is an integer, a slice, or a sequence of integers or booleans. ``axis=None`` flattens arr. Counterpart:
    ``numpy.delete``.

    >>> import tinygrad_edu as tg
    >>> tg.delete(tg.Tensor([1.0, 2.0, 3.0]), 1)
    Tensor([1., 3.])
    """
    if axis is None:
        arr, axis = ravel(arr), 0
    shape = np.shape(arr)
    axis = axis_of("delete", shape, axis)
    kept = np.zeros(shape[axis], bool)
    try:
        kept[np.delete(np.arange(shape[axis]), obj if isinstance(obj, slice) else indices_of(obj))] = True
    except (ValueError, IndexError) as error:
        raise ShapeError(f"delete: {error}\n  called with arr of shape {shape}, obj={obj!r}, axis={axis}") from error
    return getitem(arr, (slice(None),) * axis + (kept,))
