"""Products of matrices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.reduction import sum_to
from tinygrad_edu.ops.shape import reshape, swapaxes
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


@primitive(
    forward=np.matmul,
    label="MatMul",
    hint="the last axis of a and the next-to-last axis of b (the only one, if b is 1-D) must have equal length",
    cases=[
        Case(a=reals(shape=("n", "k")), b=reals(shape=("k", "m"))),
        Case(a=reals(shape=("k",)), b=reals(shape=("k",))),
        Case(a=reals(shape=("k",)), b=reals(shape=("k", "m"))),
        Case(a=reals(shape=("n", "k")), b=reals(shape=("k",))),
        Case(a=reals(shape=("b", "n", "k")), b=reals(shape=("k", "m"))),
        Case(a=reals(shape=("n", "k")), b=reals(shape=("b", "k", "m"))),
        Case(a=reals(shape=("b", "n", "k")), b=reals(shape=("k",))),
        Case(a=reals(shape=("k",)), b=reals(shape=("b", "k", "m"))),
        Case(a=reals(shape=(2, 1, "n", "k")), b=reals(shape=("b", "k", "m"))),
        Case(a=reals(shape=("b", "n", "k")), b=reals(shape=(1, "k", "m"))),
    ],
)
def matmul(a: Array, b: Array, /) -> Array:
    """y = a b        ∂L/∂a = g bᵀ        ∂L/∂b = aᵀ g

    Shapes (..., n, k) and (..., k, m) give (..., n, m), leading axes broadcast; a 1-D operand is a row on the left and a column
    on the right, and that axis is gone from the result. ``a @ b`` is the same. Counterpart: ``numpy.matmul``; the MatMul node of
    *Deep Learning from Scratch 2*, section 1.3.4.

    >>> import tinygrad_edu as tg
    >>> tg.matmul(tg.Tensor([[1.0, 2.0]]), [[3.0], [4.0]])
    Tensor([[11.]])
    """


def _as_matrices(a_shape: Shape, b_shape: Shape) -> tuple[Shape, Shape]:
    """The shapes with which 1-D operands take part: a row on the left, a column on the right."""
    return (a_shape if len(a_shape) > 1 else (1, *a_shape), b_shape if len(b_shape) > 1 else (*b_shape, 1))


def _cotangent(g: Any, a_shape: Shape, b_shape: Shape) -> Any:
    """g with the axes back that 1-D operands removed from the result."""
    if len(a_shape) > 1 and len(b_shape) > 1:
        return g
    left, right = _as_matrices(a_shape, b_shape)
    batch = g.shape[: g.ndim - (len(a_shape) > 1) - (len(b_shape) > 1)]
    return reshape(g, (*batch, left[-2], right[-1]))


def _left(g: Any, b: Any, a_shape: Shape) -> Any:
    if b.ndim == 2 and len(a_shape) > 1:
        return g @ b.T
    left, right = _as_matrices(a_shape, b.shape)
    g = _cotangent(g, a_shape, b.shape)
    full = g @ swapaxes(b if b.ndim > 1 else reshape(b, right), -1, -2)
    return reshape(sum_to(full, left), a_shape) if len(a_shape) == 1 else sum_to(full, left)


def _right(g: Any, a: Any, b_shape: Shape) -> Any:
    if a.ndim == 2 and len(b_shape) == 2:
        return a.T @ g
    left, right = _as_matrices(a.shape, b_shape)
    g = _cotangent(g, a.shape, b_shape)
    if len(right) == 2 and len(left) > 2:  # a batch of rows against one matrix: one product, no sum over the batch
        rows = math.prod(left[:-1])
        full = reshape(a, (rows, left[-1])).T @ reshape(g, (rows, right[-1]))
    else:
        full = swapaxes(a if a.ndim > 1 else reshape(a, left), -1, -2) @ g
    return reshape(sum_to(full, right), b_shape) if len(b_shape) == 1 else sum_to(full, right)


matmul.vjp(a=_left, b=_right)
