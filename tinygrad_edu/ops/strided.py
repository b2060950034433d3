"""Where strided, dilated windows lie: the geometry that convolution and pooling share. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


def per_axis(name: str, what: str, value: Any, axes: int, least: int) -> Shape:
    """An option that is one integer for all spatial axes or one for each, as a tuple. Raises `ArgumentError`."""
    lengths = tuple([int(n) for n in value]) if np.ndim(value) else (int(value),) * axes
    if len(lengths) != axes or any(n < least for n in lengths):
        raise ArgumentError(f"{name}: {what} is an integer of at least {least}, or {axes} of them, got {value!r}")
    return lengths


class Windows(NamedTuple):
    """Windows of the lengths ``kernel`` that start ``stride`` apart, with elements ``dilation`` apart, over axes of the lengths
    ``lengths`` with ``padding`` in front; ``counts`` of them fit along each axis."""

    lengths: Shape
    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    counts: Shape

    @classmethod
    def over(
        cls, name: str, lengths: Shape, kernel: Shape, stride: Any, padding: Any, dilation: Any, ceil_mode: bool = False
    ) -> Windows:
        """The windows that fit. With ``ceil_mode`` the last one may begin inside and end outside."""
        axes = len(lengths)
        stride = per_axis(name, "stride", stride, axes, 1)
        padding = per_axis(name, "padding", padding, axes, 0)
        dilation = per_axis(name, "dilation", dilation, axes, 1)
        count = []
        for n, k, s, p, d in zip(lengths, kernel, stride, padding, dilation, strict=True):
            room = n + 2 * p - d * (k - 1) - 1
            if room < 0 or k < 1:
                raise ShapeError(
                    f"{name}: a window of {k} elements{f' at a dilation of {d}' * (d > 1)} does not fit into an axis of length {n}"
                    f"{f' with a padding of {p} on both sides' * (p > 0)}: the spatial shape is {lengths}, the kernel {kernel}; "
                    "take a smaller kernel or more padding"
                )
            fit = (-(-room // s) if ceil_mode else room // s) + 1
            count.append(fit - (ceil_mode and (fit - 1) * s >= n + p))  # none may begin in the padding at the end
        return cls(lengths, kernel, stride, padding, dilation, tuple(count))

    @property
    def reach(self) -> Shape:
        """The lengths of the padded axes: all that a window touches, and all that lies in front of it."""
        return tuple(
            [
                max(s * (c - 1) + d * (k - 1) + 1, n + p)
                for n, k, s, p, d, c in zip(
                    self.lengths, self.kernel, self.stride, self.padding, self.dilation, self.counts, strict=True
                )
            ]
        )

    @property
    def inside(self) -> Any:
        """Where the array lies in the padded one."""
        return tuple([slice(p, p + n) for p, n in zip(self.padding, self.lengths, strict=True)])

    def offsets(self) -> Iterator[tuple[Any, Any]]:
        """For every place inside a window: which, and where the elements at that place of all windows lie in the padded array."""
        for place in product(*map(range, self.kernel)):
            yield (
                place,
                tuple(
                    [
                        slice(i * d, i * d + s * (c - 1) + 1, s)
                        for i, d, s, c in zip(place, self.dilation, self.stride, self.counts, strict=True)
                    ]
                ),
            )

    def padded(self, x: Array, fill: Any, first: int) -> Array:
        """x with what the windows reach beyond it, along the axes from ``first``; x itself where they do not."""
        last = first + len(self.lengths)
        if self.reach == x.shape[first:last]:
            return x
        y = np.full_like(x, fill, shape=(*x.shape[:first], *self.reach, *x.shape[last:]))
        y[(slice(None),) * first + self.inside] = x
        return y
