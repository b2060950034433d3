"""Layers and losses as functions, for use inside ``forward``. Counterpart: ``torch.nn.functional``."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.ops.activation import relu, sigmoid
from tinygrad_edu.ops.loss import log_softmax, softmax, softmax_cross_entropy

__all__ = ["cross_entropy", "log_softmax", "relu", "sigmoid", "softmax"]


def cross_entropy(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """y = mean of −Σ t ln softmax(z)        ∂L/∂z = g (softmax(z) − t) / N

    ``logits`` z are floats of shape (..., classes), before any softmax. ``target`` holds integer class numbers of shape (...), or
    distributions of the logits' shape. ``reduction`` is "mean", "sum" or "none". Another name for
    `tinygrad_edu.softmax_cross_entropy`, which says more. Counterpart: ``torch.nn.functional.cross_entropy``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.cross_entropy(tg.Tensor([[0.0, 0.0]]), [1])
    Tensor(0.69314718)
    """
    return softmax_cross_entropy(logits, target, reduction)
