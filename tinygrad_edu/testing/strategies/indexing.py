"""What stands in brackets and after ``axis=``: axes, indices of every kind, and the geometry of a convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.testing.arguments import SHAPE, checked, whole
from tinygrad_edu.testing.lazy import composite, elements, hypothesis

if TYPE_CHECKING:
    from tinygrad_edu.graph import Shape


def _has_axes(given: dict[str, Any]) -> str | None:
    if given["ndim"] or given["several"] or given["none"]:
        return None
    return "an array without axes has only () and None for them: leave out several=False or none=False"


@checked(_has_axes, ndim=whole(0))
@composite
def axes(draw: Any, ndim: int, *, several: bool = True, none: bool = True) -> int | tuple[int, ...] | None:
    """What ``axis=`` takes for an array of ``ndim`` axes: one axis, counted from the front or the back, distinct ones in a tuple
    (unless ``several=False``), or None (unless ``none=False``). A 0-d array has none and ().

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.axes(3), lambda axis: isinstance(axis, tuple) and len(axis) == 2)
    (0, 1)
    """
    st = hypothesis().strategies
    one = st.sampled_from([*range(ndim), *range(-ndim, 0)])
    kinds = [one] if ndim else []
    if several:
        kinds.append(st.lists(one, unique_by=lambda axis: axis % ndim, max_size=ndim).map(tuple) if ndim else st.just(()))
    if none:
        kinds.append(st.none())
    found: int | tuple[int, ...] | None = draw(st.one_of(kinds))
    return found


@checked(shape=SHAPE)
@composite
def indices(draw: Any, shape: Shape) -> Any:
    """What may stand in the brackets of ``x[...]`` for an x of this shape: integers, slices with steps of either sign, None, an
    ellipsis; one array of booleans; arrays of integers, in which a place may stand twice; and these mixed.

    >>> from hypothesis import find
    >>> import numpy as np
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.indices((3,)), lambda index: isinstance(index, np.ndarray) and index.size == 2)
    array([0, 0])
    """
    h = hypothesis()
    st, hnp = h.strategies, h.extra.numpy
    kinds = [hnp.basic_indices(shape, allow_newaxis=True), st.just(Ellipsis), hnp.arrays(np.bool_, shape)]
    if shape and min(shape) > 0:
        several = hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3))
        kinds += [_places(shape[0]), several, _mixed(shape)]
    return draw(st.one_of(kinds))


@composite
def _places(draw: Any, length: int, count: int | None = None) -> Any:
    st = hypothesis().strategies
    count = draw(st.integers(0, 3)) if count is None else count
    return elements(draw, (count,), st.integers(-length, length - 1), "i8")


@composite
def _mixed(draw: Any, shape: Shape) -> tuple[Any, ...]:
    """For each of the first axes an integer, a slice, or an array of one length."""
    st = hypothesis().strategies
    count = draw(st.integers(0, 3))
    parts = [
        draw(st.one_of(st.integers(-length, length - 1), st.slices(length), _places(length, count)))
        for length in shape[: draw(st.integers(1, len(shape)))]
    ]
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from([None, Ellipsis])))
    return tuple(parts)


@dataclass(frozen=True)
class ConvGeometry:
    """One axis of a convolution: an input of ``length``, a kernel, and how the one moves along the other."""

    length: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    @property
    def output(self) -> int:
        """The length of the result, ⌊(length + 2 · padding − dilation · (kernel − 1) − 1) / stride⌋ + 1."""
        return (self.length + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // self.stride + 1


@checked(max_length=whole(1), max_kernel=whole(1), max_stride=whole(1), max_padding=whole(0), max_dilation=whole(1))
@composite
def conv_geometries(
    draw: Any, *, max_length: int = 8, max_kernel: int = 3, max_stride: int = 3, max_padding: int = 2, max_dilation: int = 2
) -> ConvGeometry:
    """Geometries of a convolution along one axis whose result has at least one element; see `ConvGeometry`.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.conv_geometries(), lambda geometry: geometry.kernel == 2 and geometry.stride == 2)
    ConvGeometry(length=2, kernel=2, stride=2, padding=0, dilation=1)
    """
    st = hypothesis().strategies
    stride, dilation = draw(st.integers(1, max_stride)), draw(st.integers(1, max_dilation))
    padding = draw(st.integers(0, max_padding))
    # The kernel, spread out, must fit into the longest input.
    kernel = draw(st.integers(1, min(max_kernel, (max_length + 2 * padding - 1) // dilation + 1)))
    shortest = max(1, dilation * (kernel - 1) + 1 - 2 * padding)
    return ConvGeometry(draw(st.integers(shortest, max_length)), kernel, stride, padding, dilation)
