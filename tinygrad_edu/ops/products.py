"""Products of vectors, and of matrices with vectors; products of polynomials and signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.arithmetic import multiply
from tinygrad_edu.ops.contraction import tensordot
from tinygrad_edu.ops.indexing import axis_of
from tinygrad_edu.ops.lapack import conjugated, transposed
from tinygrad_edu.ops.linalg import matmul
from tinygrad_edu.ops.reduction import sum, sum_to
from tinygrad_edu.ops.shape import expand_dims, pad, ravel, reshape, squeeze, transpose
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@composite(
    numpy=np.dot,
    cases=[
        Case(a=reals(shape=("k",)), b=reals(shape=("k",))),
        Case(a=reals(shape=(2, "k")), b=reals(shape=("k", 2))),
        Case(a=reals(shape=()), b=reals(shape=(2, 2))),
        Case(a=reals(shape=(2, 2, 2)), b=reals(shape=(2,))),
        Case(a=reals(shape=(2,)), b=reals(shape=(2, 2, 2))),
        Case(a=reals(shape=(1, 2, 2)), b=reals(shape=(2, 2, 1))),
        Case(a=complexes(shape=(2,)), b=complexes(shape=(2,))),
    ],
)
def dot(a: Any, b: Any, /) -> Any:
    """y = Σₖ a…ₖ b…ₖⱼ        ∂L/∂a = g bᵀ        ∂L/∂b = aᵀ g

    Of the last axis of a and the next-to-last of b (the only one of a vector), with all other axes of both; for batches of
    matrices `matmul` is meant. A number multiplies. Nothing is conjugated. Counterpart: ``numpy.dot``.

    >>> import tinygrad_edu as tg
    >>> tg.dot(tg.Tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor(11.)
    """
    if not np.ndim(a) or not np.ndim(b):
        return multiply(a, b)
    return matmul(a, b) if np.ndim(b) <= 2 else tensordot(a, b, (-1, -2))


@composite(
    numpy=np.inner,
    cases=[
        Case(a=reals(shape=("k",)), b=reals(shape=("k",))),
        Case(a=reals(shape=(2, 2)), b=reals(shape=(1, 2))),
        Case(a=reals(shape=(2, 1, 2)), b=reals(shape=(2, 2))),
        Case(a=reals(shape=(2,)), b=reals(shape=())),
        Case(a=complexes(shape=(2,)), b=complexes(shape=(2, 2))),
    ],
)
def inner(a: Any, b: Any, /) -> Any:
    """y = Σₖ a…ₖ b…ₖ        ∂L/∂a = g b        ∂L/∂b = gᵀ a

    Of the last axes, with all other axes of both. A number multiplies. Nothing is conjugated. Counterpart: ``numpy.inner``.

    >>> import tinygrad_edu as tg
    >>> tg.inner(tg.Tensor([[1.0, 2.0], [0.0, 1.0]]), [3.0, 4.0])
    Tensor([11.,  4.])
    """
    if not np.ndim(a) or not np.ndim(b):
        return multiply(a, b)
    if np.ndim(b) <= 2:
        return matmul(a, transpose(b))
    return tensordot(a, b, (-1, -1))


@composite(
    numpy=(np.outer, np.linalg.outer),
    cases=[Case(a=reals(shape=("m",)), b=reals(shape=("n",))), Case(a=complexes(shape=(2,)), b=reals(shape=(2,)))],
)
def outer(a: Any, b: Any, /) -> Any:
    """y = a bᵀ        ∂L/∂a = g b        ∂L/∂b = gᵀ a

    Every element of a times every one of b; operands that are not vectors are raveled. ``np.multiply.outer`` keeps their axes.
    Counterpart: ``numpy.outer``, ``torch.outer``.

    >>> import tinygrad_edu as tg
    >>> tg.outer(tg.Tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor([[3., 4.],
            [6., 8.]])
    """
    return multiply(expand_dims(ravel(a), 1), ravel(b))


@composite(
    numpy=np.vdot,
    cases=[
        Case(a=reals(shape=("m", "n")), b=reals(shape=("m", "n"))),
        Case(a=complexes(shape=(2,)), b=complexes(shape=(2,))),
        Case(a=reals(shape=()), b=reals(shape=(1,))),
    ],
)
def vdot(a: Any, b: Any, /) -> Any:
    """y = Σ ā b, over all elements        ∂L/∂a = conj(g b)        ∂L/∂b = g ā

    The first operand is conjugated, and both are raveled. Counterpart: ``numpy.vdot``, ``torch.vdot``.

    >>> import tinygrad_edu as tg
    >>> tg.vdot(tg.Tensor([1 + 1j, 2.0]), [1j, 1.0])
    Tensor(3.+1.j)
    """
    return matmul(conjugated(ravel(a)), ravel(b))


def _last(name: str, a: Any, axis: int) -> Any:
    """a with one of its axes moved to the end."""
    n = np.ndim(a)
    if axis in (-1, n - 1):
        return a
    axis = axis_of(name, np.shape(a), axis)
    return transpose(a, (*[i for i in range(n) if i != axis], axis))


@composite(
    numpy=(np.vecdot, np.linalg.vecdot),
    cases=[
        Case(a=reals(shape=("k",)), b=reals(shape=("k",))),
        Case(a=reals(shape=("m", "k")), b=reals(shape=("k",))),
        Case(a=reals(shape=(2, 1)), b=reals(shape=(2, 2)), axis=[0, -2]),
        Case(a=complexes(shape=(2,)), b=complexes(shape=(2, 2))),
    ],
)
def vecdot(a: Any, b: Any, /, axis: int = -1) -> Any:
    """y = Σ ā b, along an axis        ∂L/∂a = conj(g b)        ∂L/∂b = g ā

    The first operand is conjugated. The other axes broadcast. Counterpart: ``numpy.vecdot``, ``torch.linalg.vecdot``.

    >>> import tinygrad_edu as tg
    >>> tg.vecdot(tg.Tensor([[1.0, 2.0], [0.0, 1.0]]), [3.0, 4.0])
    Tensor([11.,  4.])
    """
    a, b = conjugated(_last("vecdot", a, axis)), _last("vecdot", b, axis)
    if np.shape(a)[-1:] != np.shape(b)[-1:]:
        raise ShapeError(f"vecdot: vectors have equal lengths along axis {axis}, and these {np.shape(a)[-1]} and {np.shape(b)[-1]}")
    return matmul(a, b) if np.ndim(a) == np.ndim(b) == 1 else sum(multiply(a, b), axis=-1)


@composite(
    numpy=getattr(np, "matvec", None),
    reference=lambda a, b: np.einsum("...ij,...j->...i", a, b),
    cases=[
        Case(a=reals(shape=("m", "k")), b=reals(shape=("k",))),
        Case(a=reals(shape=(2, 2)), b=reals(shape=(2, 2))),
        Case(a=reals(shape=(2, 1, 2, 2)), b=reals(shape=(2, 2))),
        Case(a=complexes(shape=(2, 2)), b=complexes(shape=(2,))),
    ],
)
def matvec(a: Any, b: Any, /) -> Any:
    """y = a b, a matrix times a vector        ∂L/∂a = g bᵀ        ∂L/∂b = aᵀ g

    Shapes (..., m, k) and (..., k) give (..., m), and leading axes broadcast. Counterpart: ``numpy.matvec`` (since NumPy 2.2),
    ``torch.mv``.

    >>> import tinygrad_edu as tg
    >>> tg.matvec(tg.Tensor([[1.0, 2.0], [0.0, 1.0]]), [[3.0, 4.0], [1.0, 0.0]])
    Tensor([[11.,  4.],
            [ 1.,  0.]])
    """
    if np.ndim(b) == 1:
        return matmul(a, b)
    if np.ndim(a) == 2:  # one matrix for all vectors: one product of matrices
        return matmul(b, transposed(a))
    return squeeze(matmul(a, expand_dims(b, -1)), -1)


@composite(
    numpy=getattr(np, "vecmat", None),
    reference=lambda a, b: np.einsum("...i,...ij->...j", np.conj(a), b),
    cases=[
        Case(a=reals(shape=("k",)), b=reals(shape=("k", "m"))),
        Case(a=reals(shape=(2, 2)), b=reals(shape=(1, 2, 2))),
        Case(a=complexes(shape=(2,)), b=complexes(shape=(2, 2))),
    ],
)
def vecmat(a: Any, b: Any, /) -> Any:
    """y = āᵀ b, a vector times a matrix        ∂L/∂a = conj(g bᵀ)        ∂L/∂b = ā g

    Shapes (..., k) and (..., k, m) give (..., m), and leading axes broadcast. The vector is conjugated. Counterpart:
    ``numpy.vecmat`` (since NumPy 2.2).

    >>> import tinygrad_edu as tg
    >>> tg.vecmat(tg.Tensor([1.0, 2.0]), [[3.0, 4.0], [1.0, 0.0]])
    Tensor([5., 4.])
    """
    a = conjugated(a)
    return matmul(a, b) if np.ndim(a) == 1 or np.ndim(b) == 2 else squeeze(matmul(expand_dims(a, -2), b), -2)


@composite(
    numpy=np.kron,
    cases=[
        Case(a=reals(shape=(2, 2)), b=reals(shape=(2, 1))),
        Case(a=reals(shape=(2,)), b=reals(shape=(1, 2, 2))),
        Case(a=reals(shape=(2, 0)), b=reals(shape=(2,))),
        Case(a=complexes(shape=(2,)), b=complexes(shape=())),
    ],
)
def kron(a: Any, b: Any, /) -> Any:
    """y = a's elements, each times all of b        ∂L/∂a = Σ g b over each block        ∂L/∂b = Σ g a over the blocks

    The Kronecker product: a matrix of the blocks aᵢⱼ b. Counterpart: ``numpy.kron``, ``torch.kron``.

    >>> import tinygrad_edu as tg
    >>> tg.kron(tg.Tensor([1.0, 10.0]), [1.0, 2.0])
    Tensor([ 1.,  2., 10., 20.])
    """
    n = max(np.ndim(a), np.ndim(b))
    left, right = (1,) * (n - np.ndim(a)) + np.shape(a), (1,) * (n - np.ndim(b)) + np.shape(b)
    blocks = multiply(
        reshape(a, [length for k in left for length in (k, 1)]), reshape(b, [length for k in right for length in (1, k)])
    )
    return reshape(blocks, tuple([k * m for k, m in zip(left, right, strict=True)]))


@primitive(
    label="×",
    reference=np.cross,
    cases=[
        Case(a=reals(shape=(3,)), b=reals(shape=(3,))),
        Case(a=reals(shape=(2, 3)), b=reals(shape=(3,))),
        Case(a=complexes(shape=(3,)), b=complexes(shape=(1, 3))),
    ],
)
def _cross(a: Array, b: Array, /) -> Array:
    """y = a × b        ∂L/∂a = b × g        ∂L/∂b = g × a"""
    return np.cross(a, b)


_cross.vjp(a=lambda g, b, a_shape: sum_to(_cross(b, g), a_shape), b=lambda g, a, b_shape: sum_to(_cross(g, a), b_shape))


@composite(
    numpy=(np.cross, np.linalg.cross),
    cases=[
        Case(a=reals(shape=(3,)), b=reals(shape=(3,))),
        Case(a=reals(shape=(3, 2)), b=reals(shape=(3, 2)), axis=[0]),
    ],
)
def cross(a: Any, b: Any, /, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """y = a × b        ∂L/∂a = b × g        ∂L/∂b = g × a

    Of vectors with three components along the last axis, or along ``axis``, or along one axis for each operand and the result.
    The other axes broadcast. Counterpart: ``numpy.cross``, ``torch.linalg.cross``.

    >>> import tinygrad_edu as tg
    >>> tg.cross(tg.Tensor([1.0, 0.0, 0.0]), [0.0, 1.0, 0.0])
    Tensor([0., 0., 1.])
    """
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis, axis, axis)
    a, b = _last("cross", a, axisa), _last("cross", b, axisb)
    if np.shape(a)[-1:] != (3,) or np.shape(b)[-1:] != (3,):
        raise ShapeError(
            f"cross: vectors have 3 components, and these have {np.shape(a)[-1]} and {np.shape(b)[-1]}; of vectors in a plane "
            "write a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]"
        )
    y = _cross(a, b)
    n = y.ndim
    if axisc in (-1, n - 1):
        return y
    order = list(range(n - 1))
    order.insert(axis_of("cross", y.shape, axisc), n - 1)
    return transpose(y, tuple(order))


def _cost(rows: Sequence[int]) -> list[list[int]]:
    """Where to part each chain of matrices, rows[i] by rows[i + 1], so that the products cost the fewest multiplications."""
    n = len(rows) - 1
    cost = [[0] * n for _ in range(n)]
    parting = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], parting[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + rows[i] * rows[k + 1] * rows[j + 1], k) for k in range(i, j)
            )
    return parting


@composite(
    numpy=np.linalg.multi_dot,
    variadic=True,
    cases=[
        Case(arrays=[reals(shape=(2, 3)), reals(shape=(3, 1)), reals(shape=(1, 2))]),
        Case(arrays=[reals(shape=(2,)), reals(shape=(2, 2)), reals(shape=(2, 1)), reals(shape=(1,))]),
        Case(arrays=[reals(shape=(2, 2)), complexes(shape=(2,))]),
    ],
)
def multi_dot(arrays: Sequence[Any], /) -> Any:
    """y = a b c …, multiplied in the order that costs least        ∂L/∂b = aᵀ g cᵀ, and so on

    Matrices; the first and the last may be vectors. Counterpart: ``numpy.linalg.multi_dot``, ``torch.linalg.multi_dot``.

    >>> import tinygrad_edu as tg
    >>> tg.multi_dot([tg.Tensor([[1.0, 2.0]]), [[1.0, 0.0], [0.0, 1.0]], [[3.0], [4.0]]])
    Tensor([[11.]])
    """
    ranks = [np.ndim(a) for a in arrays]
    if len(arrays) < 2 or any(rank != 2 for rank in ranks[1:-1]) or not {ranks[0], ranks[-1]} <= {1, 2}:
        raise ShapeError(f"multi_dot: two matrices or more, of which the first and last may be vectors; got arrays of {ranks} axes")
    rows = [np.shape(a)[0] for a in arrays]
    parting = _cost([1 if ranks[0] == 1 else rows[0], *rows[1:], 1 if ranks[-1] == 1 else np.shape(arrays[-1])[1]])

    def product(i: int, j: int) -> Any:
        return arrays[i] if i == j else matmul(product(i, parting[i][j]), product(parting[i][j] + 1, j))

    return product(0, len(arrays) - 1)


# ----------------------------------------------------------------------------------------------- signals and polynomials

_MODES = ("full", "same", "valid")


@primitive(
    numpy=np.convolve,
    cases=[
        Case(a=reals(shape=(3,)), v=reals(shape=(2,)), mode=_MODES),
        Case(a=reals(shape=(2,)), v=reals(shape=(4,)), mode=_MODES),
        Case(a=reals(shape=(3,)), v=reals(shape=(4,)), mode=_MODES),
        Case(a=complexes(shape=(2,)), v=complexes(shape=(2,)), mode=["full"]),
    ],
)
def convolve(a: Array, v: Array, /, mode: str = "full") -> Array:
    """y = Σᵢ aᵢ vₖ₋ᵢ        ∂L/∂a = Σₖ gₖ vₖ₋ᵢ        ∂L/∂v likewise, for a convolution commutes

    Of two vectors. ``mode`` keeps all of y ("full"), where they overlap entirely ("valid"), or the middle, as long as the longer of
    them ("same"). Counterpart: ``numpy.convolve``.

    >>> import tinygrad_edu as tg
    >>> tg.convolve(tg.Tensor([1.0, 2.0, 3.0]), [1.0, 1.0])
    Tensor([1., 3., 5., 3.])
    """
    _check_signals("convolve", a, v, mode)
    return np.convolve(a, v, mode)  # type: ignore[no-any-return, call-overload]


def _check_signals(name: str, a: Any, v: Any, mode: Any) -> None:
    if np.ndim(a) != 1 or np.ndim(v) != 1 or not np.size(a) or not np.size(v):
        raise ShapeError(f"{name}: two vectors that are not empty, got shapes {np.shape(a)} and {np.shape(v)}")
    if mode not in _MODES:
        raise ArgumentError(f"{name}: mode is full, same or valid, and not {mode!r}")


def _slid(g: Any, other: Any, length: int, mode: str) -> Any:
    """The full cotangent, moved along the other vector."""
    shorter = min(length, len(other))
    before = {"full": 0, "same": (shorter - 1) // 2, "valid": shorter - 1}[mode]
    full = pad(g, (before, length + len(other) - 1 - before - len(g)))
    y = convolve(full, other[::-1], "full")
    return y[len(other) - 1 : len(other) - 1 + length]


convolve.vjp(
    a=lambda g, v, a_shape, mode: _slid(g, v, a_shape[0], mode), v=lambda g, a, v_shape, mode: _slid(g, a, v_shape[0], mode)
)


@composite(
    numpy=np.correlate,
    cases=[
        Case(a=reals(shape=(3,)), v=reals(shape=(2,)), mode=_MODES),
        Case(a=reals(shape=(2,)), v=reals(shape=(4,)), mode=_MODES),
        Case(a=complexes(shape=(2,)), v=complexes(shape=(2,)), mode=["full", "valid"]),
    ],
)
def correlate(a: Any, v: Any, /, mode: str = "valid") -> Any:
    """y = Σᵢ aₖ₊ᵢ v̄ᵢ        ∂L/∂a = Σₖ gₖ v̄ᵢ₋ₖ        ∂L/∂v = conj(Σₖ gₖ aₖ₊ᵢ)

    As `convolve` with v reversed and conjugated. Counterpart: ``numpy.correlate``.

    >>> import tinygrad_edu as tg
    >>> tg.correlate(tg.Tensor([1.0, 2.0, 3.0]), [0.0, 1.0])
    Tensor([2., 3.])
    """
    _check_signals("correlate", a, v, mode)
    if np.size(a) < np.size(v):  # the middle of an even number is then the other one
        return conjugated(correlate(v, a, mode)[::-1])
    return convolve(a, conjugated(v)[::-1], mode)
