"""Attention: every query looks at all keys, and gets a mean of the values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.nn.functional.classification import as_numbers
from tinygrad_edu.nn.functional.linear import dropout
from tinygrad_edu.ops.linalg import matmul
from tinygrad_edu.ops.loss import softmax
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import swapaxes


def masked(scores: Any, mask: Any) -> Any:
    """Scores with −∞ where a mask of booleans is False; a mask of floats is added."""
    if as_numbers(mask).dtype.kind == "b":
        return where(mask, scores, as_numbers(scores).dtype.type(-np.inf))
    return scores + mask


def attention_weights(query: Any, key: Any, attn_mask: Any = None, is_causal: bool = False, scale: float | None = None) -> Any:
    """softmax(q kᵀ scale + mask): how much every query looks at every key."""
    q, k = np.shape(query), np.shape(key)
    if len(q) < 2 or len(k) < 2 or q[-1] != k[-1]:
        raise ShapeError(f"attention: queries (..., L, E) and keys (..., S, E) have vectors of one length, got {q} and {k}")
    scores = matmul(query * (1 / math.sqrt(q[-1]) if scale is None else scale), swapaxes(key, -1, -2))
    if is_causal:
        scores = masked(scores, np.tri(q[-2], k[-2], dtype=bool))
    if attn_mask is not None:
        scores = masked(scores, attn_mask)
    return softmax(scores)


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    rng: np.random.Generator | None = None,
) -> Any:
    """y = softmax(q kᵀ / √E + mask) v        shapes (..., L, E), (..., S, E), (..., S, V) → (..., L, V)

    Parameters
    ----------
    attn_mask: booleans, True where a query may look, or floats that are added; they broadcast to (..., L, S).
    dropout_p: how many of the weights are dropped; ``rng`` draws them.
    is_causal: whether a query may look only at keys up to its own place.
    scale: what takes the place of 1 / √E.

    Counterpart: ``torch.nn.functional.scaled_dot_product_attention``; Vaswani et al., *Attention Is All You Need* (2017).

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> q = tg.Tensor(np.zeros((2, 1)))
    >>> tg.nn.functional.scaled_dot_product_attention(q, q, np.array([[1.0], [3.0]]), is_causal=True)
    Tensor([[1.],
            [2.]])
    """
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    return matmul(dropout(weights, dropout_p, rng=rng), value)
