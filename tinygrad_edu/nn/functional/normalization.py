"""Normalization: mean 0 and variance 1 over some axes, and then weights and biases that undo it where that is better."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.evaluations import is_recomputing
from tinygrad_edu.nn.functional.classification import as_numbers
from tinygrad_edu.ops.normalization import rms_normalize, standardize
from tinygrad_edu.ops.shape import reshape
from tinygrad_edu.tensor import Tensor


def _replace(statistic: Any, new: Any) -> None:
    """Put new numbers into a running statistic: a tensor, or an array."""
    if isinstance(statistic, Tensor):
        statistic.data = new
    else:
        statistic[...] = new


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """y = (x − μ) / √(σ² + ε) w + b        for every channel, over the batch and the spatial axes

    ``input`` x is (N, C) or (N, C, …). With ``training``, μ and σ² are those of the batch, and the running ones, unless None, move
    towards them by ``momentum`` (towards the unbiased variance, as in PyTorch); else they are the running ones. Counterpart:
    ``torch.nn.functional.batch_norm``; *Deep Learning from Scratch*, section 6.3.

    >>> import tinygrad_edu as tg
    >>> mean, var = tg.Tensor([0.0]), tg.Tensor([1.0])
    >>> tg.nn.functional.batch_norm(tg.Tensor([[1.0], [3.0]]), mean, var, training=True, eps=0.0)
    Tensor([[-1.],
            [ 1.]])
    >>> mean, var
    (Tensor([0.2]), Tensor([1.1]))
    """
    shape = np.shape(input)
    if len(shape) < 2 or any(np.shape(s) != shape[1:2] for s in (running_mean, running_var, weight, bias) if s is not None):
        found = [None if s is None else np.shape(s) for s in (running_mean, running_var, weight, bias)]
        raise ShapeError(
            f"batch_norm: the input is (batch, channels, ...), got shape {shape}; running_mean, running_var, weight and bias have "
            f"one number for each channel, got {found}"
        )
    axes = (0, *range(2, len(shape)))
    column = (-1, *[1] * (len(shape) - 2))
    if training or running_mean is None or running_var is None:
        size = math.prod(shape) // max(shape[1], 1)
        if size < 2 and training:
            raise ShapeError(f"batch_norm: an input of shape {shape} has {size} values for each channel, and a variance takes two")
        if training and running_mean is not None and running_var is not None and not is_recomputing():
            x = as_numbers(input)
            mean = x.mean(axis=axes)
            var = x.var(axis=axes, mean=mean.reshape(column)) if size > 1 else mean * 0
            old_mean, old_var = as_numbers(running_mean), as_numbers(running_var)
            _replace(running_mean, old_mean + momentum * (mean - old_mean))
            _replace(running_var, old_var + momentum * (var * (size / (size - 1)) - old_var))
        y = standardize(input, axes, eps)
        if weight is not None:
            y = y * reshape(weight, column)
    else:
        scale = 1 / np.sqrt(as_numbers(running_var) + eps)
        factor = scale if weight is None else weight * scale
        y = (input - as_numbers(running_mean).reshape(column)) * reshape(factor, column)
    return y if bias is None else y + reshape(bias, column)


def _last_axes(name: str, input: Any, normalized_shape: Any) -> tuple[int, ...]:
    shape = np.shape(input)
    wanted = (int(normalized_shape),) if not np.ndim(normalized_shape) else tuple(normalized_shape)
    if not wanted or shape[len(shape) - len(wanted) :] != wanted or len(shape) < len(wanted):
        raise ShapeError(f"{name}: the last axes of the input have the lengths normalized_shape={wanted}, got shape {shape}")
    return tuple(range(-len(wanted), 0))


def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """y = (x − μ) / √(σ² + ε) w + b        for every example, over the last axes

    ``normalized_shape`` gives their lengths, and is the shape of w and b. Counterpart: ``torch.nn.functional.layer_norm``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.layer_norm(tg.Tensor([[1.0, 3.0]]), 2, eps=0.0)
    Tensor([[-1.,  1.]])
    """
    y = standardize(input, _last_axes("layer_norm", input, normalized_shape), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """y = x / √(mean x² + ε) w        for every example, over the last axes

    Without ``eps`` it is the spacing of the dtype at 1. Counterpart: ``torch.nn.functional.rms_norm``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.rms_norm(tg.Tensor([3.0, 4.0]), 2)
    Tensor([0.84852814, 1.13137085])
    """
    axes = _last_axes("rms_norm", input, normalized_shape)
    y = rms_normalize(input, axes, float(np.finfo(as_numbers(input).dtype).eps) if eps is None else eps)
    return y if weight is None else y * weight


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """y = (x − μ) / √(σ² + ε) w + b        for every example and group of channels

    ``input`` x is (N, C, …), and C a multiple of ``num_groups``; w and b have a number for each channel. Counterpart:
    ``torch.nn.functional.group_norm``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.group_norm(tg.Tensor([[1.0, 3.0, 5.0, 5.5]]), 2, eps=0.0)
    Tensor([[-1.,  1., -1.,  1.]])
    """
    shape = np.shape(input)
    if len(shape) < 2 or num_groups < 1 or shape[1] % num_groups:
        raise ShapeError(
            f"group_norm: the input is (batch, channels, ...) with a multiple of num_groups={num_groups} channels, got {shape}"
        )
    grouped = reshape(input, (shape[0], num_groups, math.prod(shape[1:]) // num_groups))
    y = reshape(standardize(grouped, -1, eps), shape)
    column = (-1, *[1] * (len(shape) - 2))
    y = y if weight is None else y * reshape(weight, column)
    return y if bias is None else y + reshape(bias, column)
