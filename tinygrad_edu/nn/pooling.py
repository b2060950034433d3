"""Pooling layers: the largest element of every window, or the mean."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.nn import functional as F  # noqa: N812
from tinygrad_edu.nn.module import Module


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def _options(self) -> tuple[Any, ...]:
        return (self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)

    def extra_repr(self) -> str:
        usual = {"stride": None, "padding": 0, "dilation": 1, "return_indices": False, "ceil_mode": False}
        return ", ".join([f"{self.kernel_size}", *[f"{k}={getattr(self, k)!r}" for k, v in usual.items() if getattr(self, k) != v]])


class MaxPool1d(_MaxPool):
    """y = max of every window        shapes (N, C, L) → (N, C, L′)

    Windows start ``stride`` apart, by default their own length. Of equal maxima the first gets the gradient, as in PyTorch.
    Counterpart: ``torch.nn.MaxPool1d``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.MaxPool1d(2)(tg.Tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    Tensor([[[3., 2.]]])
    """

    def forward(self, input: Any) -> Any:
        return F.max_pool1d(input, *self._options())


class MaxPool2d(_MaxPool):
    """y = max of every window        shapes (N, C, H, W) → (N, C, H′, W′)

    As `MaxPool1d`, with numbers or pairs for height and width. Counterpart: ``torch.nn.MaxPool2d``; the Pooling of *Deep Learning
    from Scratch*, section 7.4.4.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.MaxPool2d(2)(np.zeros((5, 16, 26, 26))).shape
    (5, 16, 13, 13)
    """

    def forward(self, input: Any) -> Any:
        return F.max_pool2d(input, *self._options())


class AvgPool1d(Module):
    """y = mean of every window        shapes (N, C, L) → (N, C, L′)

    Zeros of the padding count, unless ``count_include_pad`` is False. Counterpart: ``torch.nn.AvgPool1d``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.AvgPool1d(2)(tg.Tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    Tensor([[[2., 1.]]])
    """

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Any) -> Any:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}"


class AvgPool2d(Module):
    """y = mean of every window        shapes (N, C, H, W) → (N, C, H′, W′)

    As `AvgPool1d`; ``divisor_override`` takes the place of the number of elements. Counterpart: ``torch.nn.AvgPool2d``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.AvgPool2d(2)(np.zeros((5, 16, 26, 26))).shape
    (5, 16, 13, 13)
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def forward(self, input: Any) -> Any:
        options = (self.ceil_mode, self.count_include_pad, self.divisor_override)
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding, *options)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}"


class AdaptiveAvgPool1d(Module):
    """y = mean of every window, of as many windows as are asked for        shapes (N, C, L) → (N, C, output_size)

    Counterpart: ``torch.nn.AdaptiveAvgPool1d``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.AdaptiveAvgPool1d(1)(tg.Tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    Tensor([[[1.5]]])
    """

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool1d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"{self.output_size}"


class AdaptiveAvgPool2d(Module):
    """y = mean of every window, of as many windows as are asked for        shapes (N, C, H, W) → (N, C, *output_size)

    ``output_size`` is a number or a pair, where None keeps the length. Counterpart: ``torch.nn.AdaptiveAvgPool2d``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.AdaptiveAvgPool2d(1)(np.zeros((5, 16, 26, 26))).shape
    (5, 16, 1, 1)
    """

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"{self.output_size}"
