"""Convolution and pooling, for one and two spatial axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.convolution import conv, conv_input
from tinygrad_edu.ops.pooling import adaptive_avg_pool, avg_pool, max_pool, max_pool_indices
from tinygrad_edu.ops.shape import pad, reshape
from tinygrad_edu.ops.strided import per_axis
from tinygrad_edu.tensor import Tensor


def _batched(name: str, axes: int, input: Any, channels: int | None) -> Any:
    """The input with a batch axis, if it has the right number of axes and channels."""
    shape = np.shape(input)
    names = ", ".join(["length"] if axes == 1 else ["height", "width"])
    if len(shape) not in (axes + 1, axes + 2):
        hint = f"; images without a channel axis get one with x[:, None], giving (batch, 1, {names})" if len(shape) == axes else ""
        raise ShapeError(f"{name}: the input is (batch, channels, {names}) or (channels, {names}), got shape {shape}{hint}")
    if channels is not None and shape[-axes - 1] != channels:
        hint = "; the channels stand in front of the spatial axes: move them there with tg.moveaxis(x, -1, 1)"
        hint = hint if shape[-1] == channels else ""
        raise ShapeError(
            f"{name}: the weights are for {channels} channels, and the input of shape {shape} has {shape[-axes - 1]}{hint}"
        )
    return input if len(shape) == axes + 2 else reshape(input, (1, *shape))


def _finished(y: Any, bias: Any, axes: int, input: Any) -> Any:
    if bias is not None:
        y = y + reshape(bias, (-1, *[1] * axes))
    return y if np.ndim(input) == axes + 2 else reshape(y, y.shape[1:])


def _conv(name: str, axes: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    kernel = np.shape(weight)[2:]
    x = _batched(name, axes, input, np.shape(weight)[1] * groups)
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise ArgumentError(f"{name}: padding is an integer, one for each axis, 'valid' or 'same', not {padding!r}")
        total = [0] * axes
        if padding == "same":
            if any(s != 1 for s in per_axis(name, "stride", stride, axes, 1)):
                raise ArgumentError(f"{name}: padding='same' needs stride=1, got {stride!r}: the output would be shorter")
            total = [d * (k - 1) for d, k in zip(per_axis(name, "dilation", dilation, axes, 1), kernel, strict=True)]
        padding = [n // 2 for n in total]
        if any(n % 2 for n in total):  # one more at the end
            x = pad(x, [(0, 0), (0, 0), *[(0, n % 2) for n in total]])
    return _finished(conv(x, weight, stride, padding, dilation, groups), bias, axes, input)


def conv1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
    """y[n, o, i] = b[o] + Σ x[n, c, s i + d k − p] w[o, c, k]        shapes (N, C, L) → (N, O, L′), w (O, C / groups, K)

    L′ = ⌊(L + 2 p − d (K − 1) − 1) / s⌋ + 1. ``padding`` is a number, "valid" for none, or "same" for L′ = L. The batch axis may be
    missing. Counterpart: ``torch.nn.functional.conv1d``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv1d(tg.Tensor([[[1.0, 2.0, 4.0]]]), [[[-1.0, 1.0]]])
    Tensor([[[1., 2.]]])
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
    """As `conv1d`, with two spatial axes        shapes (N, C, H, W) → (N, O, H′, W′), w (O, C / groups, KH, KW)

    ``stride``, ``padding`` and ``dilation`` are numbers, or pairs for height and width. Counterpart:
    ``torch.nn.functional.conv2d``; the Convolution of *Deep Learning from Scratch*, section 7.4.3.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv2d(tg.Tensor(np.ones((1, 1, 3, 3))), np.ones((1, 1, 2, 2)))
    Tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def _conv_transpose(
    name: str,
    axes: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Any:
    x = _batched(name, axes, input, np.shape(weight)[0])
    strides, dilations = per_axis(name, "stride", stride, axes, 1), per_axis(name, "dilation", dilation, axes, 1)
    paddings, extra = per_axis(name, "padding", padding, axes, 0), per_axis(name, "output_padding", output_padding, axes, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise ArgumentError(f"{name}: output_padding {extra} is smaller than the stride {strides} or the dilation {dilations}")
    lengths = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(x.shape[2:], strides, paddings, dilations, np.shape(weight)[2:], extra, strict=True)
    ]
    if all(e < s for e, s in zip(extra, strides, strict=True)):
        y = conv_input(x, weight, tuple(lengths), strides, paddings, dilations, groups)
    else:  # a further window would fit into that length, which only a dilation allows: all of it first, and then cut
        full = tuple([n + 2 * p - e for n, p, e in zip(lengths, paddings, extra, strict=True)])
        y = pad(conv_input(x, weight, full, strides, 0, dilations, groups), [(0, 0), (0, 0), *[(0, e) for e in extra]])
        y = y[(..., *[slice(p, p + n) for p, n in zip(paddings, lengths, strict=True)])]
    return _finished(y, bias, axes, input)


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """y[n, o, s i + d k − p] = b[o] + Σ x[n, c, i] w[c, o, k]        shapes (N, C, L) → (N, O, L′), w (C, O / groups, K)

    The adjoint of `conv1d`. L′ = (L − 1) s − 2 p + d (K − 1) + output_padding + 1. Counterpart:
    ``torch.nn.functional.conv_transpose1d``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv_transpose1d(tg.Tensor([[[1.0, 10.0]]]), [[[1.0, 2.0]]], stride=2)
    Tensor([[[ 1.,  2., 10., 20.]]])
    """
    return _conv_transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """As `conv_transpose1d`, with two spatial axes        shapes (N, C, H, W) → (N, O, H′, W′), w (C, O / groups, KH, KW)

    Counterpart: ``torch.nn.functional.conv_transpose2d``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv_transpose2d(tg.Tensor(np.ones((1, 1, 2, 2))), np.ones((1, 1, 2, 2))).tolist()
    [[[[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]]]
    """
    return _conv_transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


# ---------------------------------------------------------------------------------------------------------------- pooling


def _spatial(name: str, axes: int, input: Any, kernel: Any) -> tuple[int, ...]:
    _batched(name, axes, input, None)
    return per_axis(name, "kernel_size", kernel, axes, 1)


def _max_pool(
    name: str,
    axes: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    options = (_spatial(name, axes, input, kernel_size), stride, padding, dilation, ceil_mode)
    y = max_pool(input, *options)
    if not return_indices:
        return y
    return y, max_pool_indices(input.data if isinstance(input, Tensor) else np.asarray(input), *options)


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y = max of every window        shapes (N, C, L) → (N, C, L′)

    Windows start ``stride`` apart, by default their own length. With ``return_indices``, the result is a pair: y, and an array of
    where in its row each maximum was. Counterpart: ``torch.nn.functional.max_pool1d``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.max_pool1d(tg.Tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    Tensor([[[3., 2.]]])
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y = max of every window        shapes (N, C, H, W) → (N, C, H′, W′)

    As `max_pool1d`, with numbers or pairs for height and width. Counterpart: ``torch.nn.functional.max_pool2d``; the Pooling of
    *Deep Learning from Scratch*, section 7.4.4.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.max_pool2d(tg.Tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2)
    Tensor([[[4.]]])
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Any:
    """y = mean of every window        shapes (N, C, L) → (N, C, L′)

    Zeros of the padding count, unless ``count_include_pad`` is False. Counterpart: ``torch.nn.functional.avg_pool1d``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.avg_pool1d(tg.Tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    Tensor([[[2., 1.]]])
    """
    return avg_pool(input, _spatial("avg_pool1d", 1, input, kernel_size), stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """y = mean of every window        shapes (N, C, H, W) → (N, C, H′, W′)

    As `avg_pool1d`, with numbers or pairs for height and width. Counterpart: ``torch.nn.functional.avg_pool2d``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.avg_pool2d(tg.Tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2)
    Tensor([[[2.5]]])
    """
    kernel = _spatial("avg_pool2d", 2, input, kernel_size)
    return avg_pool(input, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _adaptive(name: str, axes: int, input: Any, output_size: Any) -> Any:
    _batched(name, axes, input, None)
    sizes = output_size if isinstance(output_size, tuple | list) else (output_size,) * axes
    lengths = np.shape(input)[-axes:]
    return adaptive_avg_pool(input, tuple([n if size is None else size for size, n in zip(sizes, lengths, strict=True)]))


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """y = mean of every window, of as many windows as are asked for        shapes (N, C, L) → (N, C, output_size)

    Counterpart: ``torch.nn.functional.adaptive_avg_pool1d``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.adaptive_avg_pool1d(tg.Tensor([[[1.0, 3.0, 2.0, 0.0]]]), 1)
    Tensor([[[1.5]]])
    """
    return _adaptive("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """y = mean of every window, of as many windows as are asked for        shapes (N, C, H, W) → (N, C, *output_size)

    ``output_size`` is a number or a pair, where None keeps the length. Counterpart: ``torch.nn.functional.adaptive_avg_pool2d``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.adaptive_avg_pool2d(tg.Tensor([[[1.0, 2.0], [4.0, 3.0]]]), (1, None))
    Tensor([[[2.5, 2.5]]])
    """
    return _adaptive("adaptive_avg_pool2d", 2, input, output_size)
