"""Affine maps, look-ups in a table, and dropping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError, LabelError, ShapeError
from tinygrad_edu.evaluations import repeated
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.linalg import matmul
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import reshape, transpose
from tinygrad_edu.tensor import Tensor


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """y = x Wᵀ + b        shapes (..., in) → (..., out), W (out, in), b (out,)

    Raises `ShapeError` when x's last axis is not as long as W's. Counterpart: ``torch.nn.functional.linear``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.linear(tg.Tensor([1.0, 2.0]), [[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    Tensor([3., 2., 1.])
    """
    shape = np.shape(input)
    if not shape or shape[-1] != np.shape(weight)[-1]:
        raise ShapeError(misfit("linear", shape, np.shape(weight)[-1]))
    # One product of matrices is faster than one for each example.
    y = matmul(input if len(shape) < 3 else reshape(input, (-1, shape[-1])), transpose(weight))
    y = y if bias is None else y + bias
    return y if len(shape) < 3 else reshape(y, (*shape[:-1], y.shape[-1]))


def misfit(who: str, shape: tuple[int, ...], wanted: int) -> str:
    """What to say of an input whose last axis has the wrong length."""
    words = f"{who} needs an input whose last axis has length {wanted}, got shape {shape}"
    if math.prod(shape[1:]) == wanted:
        return f"{words}; flatten each example first, with x.reshape({shape[0]}, -1)"
    return words


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """y = rows of W        shapes (...) → (..., dim), W (count, dim)

    ``input`` holds integers. The row ``padding_idx`` gets no gradient. Raises `LabelError` for a number outside 0..count − 1, and
    `DTypeError` for one that is no integer. Counterpart: ``torch.nn.functional.embedding``; the Embedding of *Deep Learning from
    Scratch 2*, section 4.1.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.embedding([2, 0], tg.Tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))
    Tensor([[3., 3.],
            [1., 1.]])
    """
    numbers = input.data if isinstance(input, Tensor) else np.asarray(input)
    count = np.shape(weight)[0]
    if numbers.dtype.kind not in "iu":
        raise DTypeError(f"embedding: the input holds row numbers, integers, got dtype {numbers.dtype}: convert with astype(int)")
    if numbers.size and (numbers.min() < 0 or numbers.max() >= count):
        raise LabelError(
            f"embedding: the row numbers {numbers.min()}..{numbers.max()} are not all in 0..{count - 1}: the table has {count} rows"
        )
    rows = getitem(weight, numbers)
    if padding_idx is None:
        return rows
    dropped = (numbers == padding_idx % count)[..., None]
    return where(dropped, rows.detach() if isinstance(rows, Tensor) else rows, rows)


def dropout(input: Any, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | None = None) -> Any:
    """y = x m / (1 − p)        (m is 0 with probability p, else 1, for every element on its own)

    Without ``training``, y is x. ``rng`` is the ``numpy.random.Generator`` to draw from. Counterpart:
    ``torch.nn.functional.dropout``; *Deep Learning from Scratch*, section 6.4.3, which divides at inference instead.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.dropout(tg.Tensor(np.ones(6)), 0.5, rng=np.random.default_rng(0))
    Tensor([2., 2., 2., 0., 0., 0.])
    """
    if not 0 <= p <= 1:
        raise ArgumentError(f"dropout: p is a probability from 0 to 1, got {p!r}")
    if not training or p == 0:
        return input
    return input * dropout_mask(np.shape(input), p, getattr(input, "dtype", np.dtype(float)), rng)


def dropout_mask(shape: tuple[int, ...], p: float, dtype: Any, rng: np.random.Generator | None) -> Any:
    """Zeros with probability p, else 1 / (1 − p)."""
    rng = repeated(np.random.default_rng() if rng is None else rng)
    kept = rng.random(shape, np.float32) >= p
    return kept.astype(dtype) * np.dtype(dtype).type(1 / (1 - p) if p < 1 else 0)
