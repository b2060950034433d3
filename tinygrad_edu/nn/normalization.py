"""Normalization layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.evaluations import is_recomputing
from tinygrad_edu.nn import functional as F  # noqa: N812
from tinygrad_edu.nn.linear import filled
from tinygrad_edu.nn.module import Module
from tinygrad_edu.tensor import Tensor


class _BatchNorm(Module):
    ranks: tuple[int, ...] = ()
    shapes = ""
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: Any = float,
    ) -> None:
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = filled(1, (num_features,), dtype) if affine else None
        self.bias = filled(0, (num_features,), dtype) if affine else None
        tracked = track_running_stats
        self.register_buffer("running_mean", Tensor(np.zeros(num_features, dtype)) if tracked else None)
        self.register_buffer("running_var", Tensor(np.ones(num_features, dtype)) if tracked else None)
        self.register_buffer("num_batches_tracked", Tensor(0) if tracked else None)

    def forward(self, input: Any) -> Any:
        shape = np.shape(input)
        if len(shape) not in self.ranks or shape[1] != self.num_features:
            raise ShapeError(f"{self!r} needs an input {self.shapes} with {self.num_features} channels, got shape {shape}")
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None and not is_recomputing():
            self.num_batches_tracked.data = self.num_batches_tracked.data + 1
            if momentum is None:  # the plain mean over all batches
                momentum = 1 / self.num_batches_tracked.item()
        training = self.training or not self.track_running_stats
        options = (self.weight, self.bias, training, momentum or 0.0, self.eps)
        return F.batch_norm(input, self.running_mean, self.running_var, *options)

    def extra_repr(self) -> str:
        usual = {"eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True}
        return ", ".join([f"{self.num_features}", *[f"{k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v]])


class BatchNorm1d(_BatchNorm):
    """y = (x − μ) / √(σ² + ε) w + b        for every channel of x (N, C) or (N, C, L)

    In training, μ and σ² are those of the batch, and ``running_mean`` and ``running_var`` move towards them by ``momentum`` (None:
    they are the means over all batches); in evaluation they are the running ones. Counterpart: ``torch.nn.BatchNorm1d``; *Deep
    Learning from Scratch*, section 6.3.

    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.BatchNorm1d(1, eps=0.0)
    >>> layer(tg.Tensor([[1.0], [3.0]])).tolist(), layer.running_mean
    ([[-1.0], [1.0]], Tensor([0.2]))
    """

    ranks = (2, 3)
    shapes = "(batch, channels) or (batch, channels, length)"


class BatchNorm2d(_BatchNorm):
    """y = (x − μ) / √(σ² + ε) w + b        for every channel of x (N, C, H, W)

    As `BatchNorm1d`. Counterpart: ``torch.nn.BatchNorm2d``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.BatchNorm2d(16)(np.random.default_rng(0).random((5, 16, 4, 4))).shape
    (5, 16, 4, 4)
    """

    ranks = (4,)
    shapes = "(batch, channels, height, width)"


class LayerNorm(Module):
    """y = (x − μ) / √(σ² + ε) w + b        for every example, over the last axes

    ``normalized_shape`` is a number or a tuple: the lengths of these axes, and the shape of w and b. Counterpart:
    ``torch.nn.LayerNorm``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.LayerNorm(2, eps=0.0)(tg.Tensor([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = float,
    ) -> None:
        self.normalized_shape = tuple(normalized_shape) if np.ndim(normalized_shape) else (int(normalized_shape),)
        self.eps = eps
        self.weight = filled(1, self.normalized_shape, dtype) if elementwise_affine else None
        self.bias = filled(0, self.normalized_shape, dtype) if elementwise_affine and bias else None

    def forward(self, input: Any) -> Any:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.normalized_shape))


class RMSNorm(Module):
    """y = x / √(mean x² + ε) w        for every example, over the last axes

    Without ``eps`` it is the spacing of the dtype at 1. Counterpart: ``torch.nn.RMSNorm``; Zhang and Sennrich (2019).

    >>> import tinygrad_edu as tg
    >>> tg.nn.RMSNorm(2, elementwise_affine=False)(tg.Tensor([3.0, 4.0]))
    Tensor([0.84852814, 1.13137085])
    """

    def __init__(
        self, normalized_shape: Any, eps: float | None = None, elementwise_affine: bool = True, *, dtype: Any = float
    ) -> None:
        self.normalized_shape = tuple(normalized_shape) if np.ndim(normalized_shape) else (int(normalized_shape),)
        self.eps = eps
        self.weight = filled(1, self.normalized_shape, dtype) if elementwise_affine else None

    def forward(self, x: Any) -> Any:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.normalized_shape))


class GroupNorm(Module):
    """y = (x − μ) / √(σ² + ε) w + b        for every example and group of channels

    Counterpart: ``torch.nn.GroupNorm``; Wu and He (2018).

    >>> import tinygrad_edu as tg
    >>> tg.nn.GroupNorm(2, 4, eps=0.0, affine=False)(tg.Tensor([[1.0, 3.0, 5.0, 5.5]]))
    Tensor([[-1.,  1., -1.,  1.]])
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *, dtype: Any = float) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ShapeError(f"GroupNorm: num_channels={num_channels} is no multiple of num_groups={num_groups}")
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = filled(1, (num_channels,), dtype) if affine else None
        self.bias = filled(0, (num_channels,), dtype) if affine else None

    def forward(self, input: Any) -> Any:
        shape = np.shape(input)
        if len(shape) < 2 or shape[1] != self.num_channels:
            raise ShapeError(f"{self!r} needs an input (batch, {self.num_channels}, ...), got shape {shape}")
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}"
