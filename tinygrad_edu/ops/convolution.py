"""Convolution, and its derivatives, which are convolutions too.

Σ x w a over all places where a window of x meets a filter w and an output a is linear in each of the three. `conv` is its
derivative with respect to a, `conv_input` that with respect to x, and `conv_weight` that with respect to w. So the derivatives of
any one of the three are the other two, to any order.

All three copy windows into the columns of a matrix and leave the work to a matrix product. The batch is the last axis while they
do: then a copy moves whole runs of memory. Results keep that layout under a transposed view, so that a chain of layers pays for
the transposition once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops.activation import floating
from tinygrad_edu.ops.strided import Windows
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape

BLOCK = 1 << 21  # bytes of columns that are made at once: they stay in a cache, and memory does not grow with the image


def _batch_last(x: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(x, 0, -1))


def _batch_first(x: Array) -> Array:
    return np.moveaxis(x, -1, 0)


def _blocks(windows: Windows, row_bytes: int) -> Iterator[tuple[Windows, slice, slice]]:
    """The windows, a few rows at a time: the windows of the block alone, and which rows of results and which part of the
    matrix of results they are. ``row_bytes`` is what the columns of one row of windows take."""
    rows = max(1, BLOCK // max(1, row_bytes))
    total, step = windows.counts[0], windows.stride[0]
    rest = math.prod(windows.counts[1:])
    for first in range(0, total, rows):
        last = min(first + rows, total)
        block = windows._replace(counts=(last - first, *windows.counts[1:]))
        yield block, slice(first * step, None), slice(first * rest, last * rest)


class _Meeting:
    """Everything about the shapes of one call: x (N, C, …), w (O, C / groups, …), and results (N, O, …)."""

    def __init__(
        self, name: str, batch: int, channels: int, lengths: Shape, w_shape: Shape, dtype: Any, options: tuple[Any, ...]
    ) -> None:
        stride, padding, dilation, groups = options
        outputs = w_shape[0]
        if groups < 1 or channels % groups or outputs % groups or w_shape[1] * groups != channels:
            raise ShapeError(
                f"{name}: x has {channels} channels and w shape {w_shape} with groups={groups}: w's first axis and x's channels "
                f"are multiples of groups, and w's second axis is x's channels / groups, here {channels // max(groups, 1)}"
            )
        self.windows = Windows.over(name, lengths, tuple(w_shape[2:]), stride, padding, dilation)
        self.batch, self.groups, self.dtype = batch, groups, dtype
        self.x_shape = (batch, channels, *lengths)
        self.y_shape = (batch, outputs, *self.windows.counts)
        self.w_shape = w_shape
        self.depth = w_shape[1] * math.prod(w_shape[2:])  # length of a column

    def blocks(self) -> Iterator[tuple[Windows, slice, slice]]:
        row = self.groups * self.depth * math.prod(self.windows.counts[1:]) * self.batch * np.dtype(self.dtype).itemsize
        for block, rows, place in _blocks(self.windows, row):
            yield block, rows, slice(place.start * self.batch, place.stop * self.batch)

    def filters(self, w: Array) -> Array:
        """(groups, outputs per group, depth)"""
        return w.reshape(self.groups, -1, self.depth).astype(self.dtype, copy=False)

    def results(self, y: Array) -> Array:
        """(groups, outputs per group, places · batch)"""
        return _batch_last(y).reshape(self.groups, self.y_shape[1] // self.groups, -1).astype(self.dtype, copy=False)

    def padded(self, x: Array) -> Array:
        return self.windows.padded(_batch_last(x).astype(self.dtype, copy=False), 0, 1)

    def columns(self, padded: Array, block: Windows, rows: slice) -> Array:
        """(groups, depth, places · batch)"""
        columns = np.empty((self.x_shape[1], *block.kernel, *block.counts, self.batch), self.dtype)
        part = padded[:, rows]
        for place, where in block.offsets():
            columns[(slice(None), *place)] = part[(slice(None), *where)]
        return columns.reshape(self.groups, self.depth, -1)


def _checked(name: str, axes: str, x: Array, w: Array) -> tuple[Array, Array]:
    x, w = floating(name, np.asarray(x)), floating(name, np.asarray(w))
    if x.ndim < 3 or x.ndim != w.ndim:
        raise ShapeError(
            f"{name}: operands of shapes {x.shape} and {w.shape}; {axes}, with as many spatial axes as each other; a single "
            "image gets its batch axis with x[None]"
        )
    return x, w


def _plain_conv(x: Array, w: Array, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    """By its definition, one window at a time."""
    axes = x.ndim - 2
    stride, padding, dilation = [np.broadcast_to(v, axes) for v in (stride, padding, dilation)]
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    span = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True)]
    count = [(n - m) // s + 1 for n, m, s in zip(x.shape[2:], span, stride, strict=True)]
    y = np.zeros((len(x), len(w), *count))
    per = len(w) // groups
    for place in np.ndindex(*count):
        cut: Any = tuple([slice(i * s, i * s + m, d) for i, s, m, d in zip(place, stride, span, dilation, strict=True)])
        window = x[(..., *cut)]
        for o in range(len(w)):
            channels = slice(o // per * w.shape[1], (o // per + 1) * w.shape[1])
            y[(slice(None), o, *place)] = (window[:, channels] * w[o]).sum(axis=tuple(range(1, 2 + axes)))
    return y


def _by_definition(which: int) -> Any:
    """The reference of a derivative: the matrix of the linear map, found by applying `_plain_conv` to every unit array."""

    def units(shape: Shape) -> Array:
        return np.eye(math.prod(shape)).reshape(-1, *shape)

    def reference(first: Array, second: Array, shape: Shape, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
        options = (stride, padding, dilation, groups)
        if which == 0:  # of the input: first is a, second is w
            full = (len(first), second.shape[1] * groups, *shape)
            images = [_plain_conv(unit, second, *options) for unit in units(full)]
        else:  # of the weight: first is x, second is a
            full = (second.shape[1], first.shape[1] // groups, *shape)
            images = [_plain_conv(first, unit, *options) for unit in units(full)]
        a = first if which == 0 else second
        return np.array([(image * a).sum() for image in images]).reshape(full)

    return reference


@primitive(
    label="Conv",
    cases=[
        Case(x=reals(shape=(2, 1, 5)), w=reals(shape=(2, 1, 2)), stride=[1, 2], padding=[0, (1,)], dilation=[1, 2], groups=[1]),
        Case(
            x=reals(shape=(1, 2, 4, 3)), w=reals(shape=(2, 1, 2, 2)), stride=[1, (2, 1)], padding=[(0, 1)], dilation=[1], groups=[2]
        ),
        Case(x=reals(shape=(1, 2, 3, 3)), w=reals(shape=(1, 2, 2, 3)), stride=[1], padding=[0], dilation=[1], groups=[1]),
    ],
    reference=_plain_conv,
)
def conv(x: Array, w: Array, /, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Array:
    """y[n, o, i] = Σ x[n, c, s i + d k − p] w[o, c, k]        ∂L/∂x = conv_input(g, w)        ∂L/∂w = conv_weight(x, g)

    x (N, C, …) with any number of spatial axes, w (O, C / groups, …) gives y (N, O, …). ``stride`` s, ``padding`` p (zeros on both
    sides) and ``dilation`` d are integers or one for each spatial axis. With ``groups``, the channels and the filters are in as
    many groups, and each filter sees the channels of its own. It is a cross-correlation, as in every library of networks: w is
    not reversed. Counterpart: ``torch.nn.functional.conv2d``; the Convolution of *Deep Learning from Scratch*, section 7.4.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> x = np.arange(5.0).reshape(1, 1, 5)
    >>> tg.conv(tg.Tensor(x), np.array([[[1.0, -1.0]]]), stride=2)
    Tensor([[[-1., -1.]]])
    """
    x, w = _checked("conv", "x is (N, C, ...) and w (O, C / groups, ...)", x, w)
    dtype = np.result_type(x, w)
    m = _Meeting("conv", len(x), x.shape[1], x.shape[2:], w.shape, dtype, (stride, padding, dilation, groups))
    padded, filters = m.padded(x), m.filters(w)
    y = np.empty((*m.y_shape[1:], m.batch), dtype)
    matrix = y.reshape(m.groups, filters.shape[1], -1)
    for block, rows, places in m.blocks():
        np.matmul(filters, m.columns(padded, block, rows), out=matrix[:, :, places])
    return _batch_first(y)


@primitive(
    label="Convᵀ",
    cases=[
        Case(
            a=reals(shape=(1, 2, 2)),
            w=reals(shape=(2, 1, 2)),
            shape=[(5,), (6,)],
            stride=[2],
            padding=[0],
            dilation=[2],
            groups=[1],
        ),
        Case(a=reals(shape=(2, 2, 3)), w=reals(shape=(2, 1, 2)), shape=[(4,)], stride=[1], padding=[0], dilation=[1], groups=[2]),
        Case(
            a=reals(shape=(1, 1, 2, 2)),
            w=reals(shape=(1, 2, 2, 2)),
            shape=[(2, 4)],
            stride=[(1, 2)],
            padding=[(1, 0)],
            dilation=[(2, 1)],
            groups=[1],
        ),
    ],
    reference=_by_definition(0),
)
def conv_input(a: Array, w: Array, /, shape: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Array:
    """y[n, c, s i + d k − p] = Σ a[n, o, i] w[o, c, k]        ∂L/∂a = conv(g, w)        ∂L/∂w = conv_weight(g, a)

    The adjoint of `conv` in x, also called a transposed convolution: a has the shape of conv's result and y that of its x, of
    which ``shape`` gives the spatial lengths. Counterpart: ``torch.nn.functional.conv_transpose2d`` and
    ``torch.nn.grad.conv2d_input``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.conv_input(tg.Tensor([[[1.0, 10.0]]]), np.array([[[1.0, 2.0, 3.0]]]), (5,), stride=2)
    Tensor([[[ 1.,  2., 13., 20., 30.]]])
    """
    a, w = _checked("conv_input", "a is (N, O, ...) and w (O, C / groups, ...)", a, w)
    dtype = np.result_type(a, w)
    m = _Meeting("conv_input", len(a), w.shape[1] * groups, tuple(shape), w.shape, dtype, (stride, padding, dilation, groups))
    _fits("conv_input", a, m)
    filters, results = m.filters(w).swapaxes(1, 2), m.results(a)
    padded = np.zeros((m.x_shape[1], *m.windows.reach, m.batch), dtype)
    for block, rows, places in m.blocks():
        columns = np.matmul(filters, results[:, :, places]).reshape(m.x_shape[1], *block.kernel, *block.counts, m.batch)
        part = padded[:, rows]
        for place, where in block.offsets():
            part[(slice(None), *where)] += columns[(slice(None), *place)]
    return _batch_first(padded[(slice(None), *m.windows.inside)])


@primitive(
    label="Conv weight",
    cases=[
        Case(
            x=reals(shape=(2, 1, 5)), a=reals(shape=(2, 2, 2)), shape=[(2,)], stride=[2], padding=[0], dilation=[1, 2], groups=[1]
        ),
        Case(
            x=reals(shape=(1, 2, 2, 3)),
            a=reals(shape=(1, 2, 2, 2)),
            shape=[(2, 2)],
            stride=[(2, 1)],
            padding=[(1, 0)],
            dilation=[1],
            groups=[2],
        ),
    ],
    reference=_by_definition(1),
)
def conv_weight(x: Array, a: Array, /, shape: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Array:
    """y[o, c, k] = Σ x[n, c, s i + d k − p] a[n, o, i]        ∂L/∂x = conv_input(a, g)        ∂L/∂a = conv(x, g)

    The adjoint of `conv` in w: a has the shape of conv's result and y that of its w, of which ``shape`` gives the spatial lengths.
    Counterpart: ``torch.nn.grad.conv2d_weight``.

    >>> import tinygrad_edu as tg
    >>> tg.conv_weight(tg.Tensor([[[1.0, 2.0, 3.0]]]), [[[1.0, 10.0]]], (2,))
    Tensor([[[21., 32.]]])
    """
    x, a = _checked("conv_weight", "x is (N, C, ...) and a (N, O, ...)", x, a)
    dtype = np.result_type(x, a)
    w_shape = (a.shape[1], x.shape[1] // max(groups, 1), *shape)
    m = _Meeting("conv_weight", len(x), x.shape[1], x.shape[2:], w_shape, dtype, (stride, padding, dilation, groups))
    _fits("conv_weight", a, m)
    padded, results = m.padded(x), m.results(a)
    y = np.zeros((m.groups, results.shape[1], m.depth), dtype)
    for block, rows, places in m.blocks():
        y += np.matmul(results[:, :, places], m.columns(padded, block, rows).swapaxes(1, 2))
    return y.reshape(w_shape)


def _fits(name: str, a: Array, m: _Meeting) -> None:
    if a.shape != m.y_shape:
        raise ShapeError(
            f"{name}: a has shape {a.shape}, and a convolution of x {m.x_shape} with w {m.w_shape} has a result {m.y_shape}"
        )


conv.vjp(
    x=lambda g, w, x_shape, stride, padding, dilation, groups: conv_input(g, w, x_shape[2:], stride, padding, dilation, groups),
    w=lambda g, x, w_shape, stride, padding, dilation, groups: conv_weight(x, g, w_shape[2:], stride, padding, dilation, groups),
)
conv_input.vjp(
    a=lambda g, w, stride, padding, dilation, groups: conv(g, w, stride, padding, dilation, groups),
    w=lambda g, a, w_shape, stride, padding, dilation, groups: conv_weight(g, a, w_shape[2:], stride, padding, dilation, groups),
)
conv_weight.vjp(
    x=lambda g, a, x_shape, stride, padding, dilation, groups: conv_input(a, g, x_shape[2:], stride, padding, dilation, groups),
    a=lambda g, x, stride, padding, dilation, groups: conv(x, g, stride, padding, dilation, groups),
)
