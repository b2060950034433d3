"""The product of matrices, their integer powers, norms and condition numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.arithmetic import abs
from tinygrad_edu.ops.lapack import require_square, values
from tinygrad_edu.ops.norm import vector_norm
from tinygrad_edu.ops.reduction import checked_axes, max, min, sum, sum_to
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import reshape, swapaxes, transpose
from tinygrad_edu.ops.singular_values import svdvals
from tinygrad_edu.ops.solving import inv, regular
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


@primitive(
    forward=np.matmul,
    numpy=(np.matmul, np.linalg.matmul),
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
        Case(a=complexes(shape=(1, 2)), b=complexes(shape=(2, 1))),
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


# ------------------------------------------------------------------------------------------------- functions of a matrix


@composite(
    numpy=np.linalg.matrix_power,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), n=[0, 1, 2, 3, 5]),
        Case(a=reals(-1, 1, shape=(1, 2, 2)), n=[-1, -2, 0], before=regular),
        Case(a=complexes(-1, 1, shape=(2, 2)), n=[2, -1], before=regular),
    ],
)
def matrix_power(a: Any, /, n: int) -> Any:
    """y = a a … a, n times        ∂L/∂a = Σ aᵀ … g … aᵀ

    For n < 0 of the inverse, and for n = 0 the identity. Built from as few products as squaring allows. Counterpart:
    ``numpy.linalg.matrix_power``, ``torch.linalg.matrix_power``.

    >>> import tinygrad_edu as tg
    >>> tg.matrix_power(tg.Tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    Tensor([[1., 3.],
            [0., 1.]])
    """
    require_square("matrix_power", a)
    if not isinstance(n, int | np.integer):
        raise ArgumentError(f"matrix_power: n is an integer, got {n!r}; for a root there is sqrtm")
    if n == 0:
        return where(False, a, np.eye(np.shape(a)[-1], dtype=values(a).dtype))
    square = inv(a) if n < 0 else a
    n, y = n if n > 0 else -n, None
    while n:
        n, odd = divmod(n, 2)
        if odd:
            y = square if y is None else y @ square
        square = square @ square if n else None
    return y[...] if y is a else y


def _diagonals(a: Any) -> Any:
    """A case's matrices with singular values, and sums of rows and columns, that are apart."""
    return a / 8 + np.array([[1, 2], [3, 8]], np.float32)


_ORDERS = ["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf]


@composite(
    numpy=np.linalg.matrix_norm,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), ord=_ORDERS, keepdims=[False, True], before=_diagonals),
        Case(a=complexes(-1, 1, shape=(1, 2, 2)), ord=_ORDERS, before=_diagonals),
        Case(a=reals(grid=(0.3, 0.2), shape=(2, 1, 2)), ord=["fro"]),
    ],
    kinks=[
        Kink("a = 0, ord = fro", "0", at={"a": [[0.0, 0.0]], "ord": "fro"}, gradient={"a": [[0.0, 0.0]]}),
        Kink("a = 0, ord = nuc", "0", at={"a": [[0.0, 0.0]], "ord": "nuc"}, gradient={"a": [[0.0, 0.0]]}),
        Kink("equal sums, ord = 1", "they share equally", at={"a": [[1.0, 1.0]], "ord": 1}, gradient={"a": [[0.5, 0.5]]}),
    ],
)
def matrix_norm(a: Any, /, ord: Any = "fro", axis: Any = (-2, -1), keepdims: bool = False) -> Any:
    """y = ‖a‖, of matrices        ∂L/∂a = g a / y ("fro"), g u vᴴ ("nuc"), g u₁ v₁ᴴ (2)

    ``ord`` is "fro" for √Σ |a|², "nuc" for the sum of the singular values, 2 and -2 for the largest and smallest of them, 1 and -1
    for the largest and smallest sum of the |a| in a column, inf and -inf in a row. ``axis`` names the matrices' axes. Ties share
    equally. Counterpart: ``numpy.linalg.matrix_norm``, ``torch.linalg.matrix_norm``.

    >>> import tinygrad_edu as tg
    >>> tg.matrix_norm(tg.Tensor([[3.0, 0.0], [0.0, 4.0]]))
    Tensor(5.)
    """
    n = np.ndim(a)
    if n < 2 or np.shape(axis) != (2,) or (axis[0] - axis[1]) % n == 0:
        raise ShapeError(f"matrix_norm: axis is a pair of different axes, got {axis!r}, for a of shape {np.shape(a)}")
    rows, columns = checked_axes("matrix_norm", np.shape(a), axis)
    kept = tuple([1 if i in (rows, columns) else k for i, k in enumerate(np.shape(a))])
    if ord in ("fro", None):
        return vector_norm(a, axis=(rows, columns), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        if (rows, columns) != (n - 2, n - 1):
            a = transpose(a, (*[i for i in range(n) if i not in (rows, columns)], rows, columns))
        s = svdvals(a)
        y = {"nuc": sum, 2: max, -2: min}[ord](s, axis=-1)
    elif ord in (1, -1, math.inf, -math.inf):
        summed, compared = (rows, columns) if ord in (1, -1) else (columns, rows)
        sums = sum(abs(a), axis=summed)
        compared -= compared > summed
        y = sum(sums, axis=compared) if ord > 0 and not sums.size else (max if ord > 0 else min)(sums, axis=compared)
    else:
        raise ArgumentError(f"matrix_norm: ord is fro, nuc, 1, -1, 2, -2, inf or -inf, and not {ord!r}")
    return reshape(y, kept) if keepdims else y


@composite(
    numpy=np.linalg.cond,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), p=[None, 2, -2, "fro", 1, -math.inf, "nuc"], before=_diagonals),
        Case(a=reals(-1, 1, shape=(2, 1, 2)), before=lambda a: a + 2),
    ],
)
def cond(a: Any, /, p: Any = None) -> Any:
    """y = ‖a‖ ‖a⁻¹‖        ∂L/∂a = as of the norm and the inverse

    The condition number: how much an error in b may grow in the solution of a x = b. ``p`` chooses the norm, as in `matrix_norm`;
    None is 2, the quotient of the largest and smallest singular values, for which a need not be square. Counterpart:
    ``numpy.linalg.cond``, ``torch.linalg.cond``.

    >>> import tinygrad_edu as tg
    >>> tg.cond(tg.Tensor([[2.0, 0.0], [0.0, 8.0]]))
    Tensor(4.)
    """
    if p in (None, 2, -2):
        s = svdvals(a)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    require_square("cond", a)
    return matrix_norm(a, p) * matrix_norm(inv(a), p)
