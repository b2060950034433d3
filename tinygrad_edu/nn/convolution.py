"""Convolutional layers. Arguments, names and layouts of the weights are PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.nn import functional as F  # noqa: N812
from tinygrad_edu.nn.init import generator
from tinygrad_edu.nn.linear import drawn
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops.strided import per_axis


class _Conv(Module):
    axes = 0
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: Any = float,
        rng: np.random.Generator | None = None,
    ) -> None:
        name = type(self).__name__
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise ShapeError(
                f"{name}: in_channels and out_channels are multiples of groups, got {in_channels}, {out_channels} and {groups}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.axes, 1)
        self.stride = per_axis(name, "stride", stride, self.axes, 1)
        self.padding = padding if isinstance(padding, str) else per_axis(name, "padding", padding, self.axes, 0)
        self.dilation = per_axis(name, "dilation", dilation, self.axes, 1)
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        rng = generator(name, rng)
        bound = 1 / math.sqrt(second // groups * math.prod(self.kernel_size))
        self.weight = drawn(rng, bound, (first, second // groups, *self.kernel_size), dtype)
        self.bias = drawn(rng, bound, (out_channels,), dtype) if bias else None

    def forward(self, input: Any) -> Any:
        function = F.conv1d if self.axes == 1 else F.conv2d
        return function(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        ones, zeros = (1,) * self.axes, (0,) * self.axes
        options = {
            "stride": (self.stride, ones),
            "padding": (self.padding, zeros),
            "output_padding": (getattr(self, "output_padding", zeros), zeros),
            "dilation": (self.dilation, ones),
            "groups": (self.groups, 1),
            "bias": (self.bias is not None, True),
        }
        words = [f"{self.in_channels}, {self.out_channels}, kernel_size={_short(self.kernel_size)}"]
        return ", ".join(words + [f"{name}={_short(value)}" for name, (value, usual) in options.items() if value != usual])


def _short(lengths: Any) -> Any:
    """One number where all are equal."""
    return lengths[0] if isinstance(lengths, tuple) and len(set(lengths)) == 1 else repr(lengths)


class Conv1d(_Conv):
    """y[n, o, i] = b[o] + Σ x[n, c, s i + d k − p] w[o, c, k]        shapes (N, C, L) → (N, O, L′)

    Parameters
    ----------
    in_channels, out_channels: C and O.
    kernel_size, stride, padding, dilation: numbers; padding may also be "same" or "valid".
    groups: in how many groups the channels are; the weight is (O, C / groups, kernel_size).
    bias: whether there is a b.
    dtype, rng: as for `Linear`. Weights start uniform in ±1/√(inputs of a unit), as PyTorch's do.

    Raises `ShapeError` where the input does not fit, with what would. Counterpart: ``torch.nn.Conv1d``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.Conv1d(2, 4, 3, padding=1)(np.zeros((5, 2, 7))).shape
    (5, 4, 7)
    """

    axes = 1


class Conv2d(_Conv):
    """As `Conv1d`, with two spatial axes        shapes (N, C, H, W) → (N, O, H′, W′)

    ``kernel_size``, ``stride``, ``padding`` and ``dilation`` are numbers, or pairs for height and width; the weight is
    (O, C / groups, KH, KW). Counterpart: ``torch.nn.Conv2d``; the Convolution of *Deep Learning from Scratch*, section 7.4.3.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.Conv2d(1, 16, 3)
    >>> layer
    Conv2d(1, 16, kernel_size=3): 160 parameters
    >>> layer(np.zeros((5, 1, 28, 28))).shape
    (5, 16, 26, 26)
    """

    axes = 2


class _ConvTranspose(_Conv):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        *,
        dtype: Any = float,
        rng: np.random.Generator | None = None,
    ) -> None:
        options = (stride, padding, dilation, groups, bias)
        super().__init__(in_channels, out_channels, kernel_size, *options, dtype=dtype, rng=rng)
        self.output_padding = per_axis(type(self).__name__, "output_padding", output_padding, self.axes, 0)

    def forward(self, input: Any) -> Any:
        function = F.conv_transpose1d if self.axes == 1 else F.conv_transpose2d
        options = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return function(input, self.weight, self.bias, *options)


class ConvTranspose1d(_ConvTranspose):
    """The adjoint of `Conv1d`, with a bias        shapes (N, C, L) → (N, O, (L − 1) s − 2 p + d (K − 1) + output_padding + 1)

    The weight is (C, O / groups, kernel_size). Counterpart: ``torch.nn.ConvTranspose1d``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.ConvTranspose1d(4, 2, 3, stride=2)(np.zeros((5, 4, 7))).shape
    (5, 2, 15)
    """

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """As `ConvTranspose1d`, with two spatial axes; the weight is (C, O / groups, KH, KW). Counterpart:
    ``torch.nn.ConvTranspose2d``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.ConvTranspose2d(4, 2, 2, stride=2)(np.zeros((5, 4, 7, 7))).shape
    (5, 2, 14, 14)
    """

    axes = 2
