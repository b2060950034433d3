"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops.indexing import getitem, numbers_of
from tinygrad_edu.ops.select import where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


@primitive(
    forward=np.diagonal,
    cases=[
        Case(a=reals(shape=(3, 4)), offset=[0, 1, -2, 4]),
        Case(a=reals(shape=(2, 3, 2)), offset=[0, 1], axis1=[0, 2], axis2=[1, -2]),
        Case(a=complexes(shape=(2, 2))),
    ],
)
def diagonal(a: Array, /, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """y = the diagonal of the matrices along two axes, as a last axis        ∂L/∂a = zeros, with g on the diagonal

    ``offset`` counts from the main diagonal to the right. The result is a view. Counterpart: ``numpy.diagonal``,
    ``torch.diagonal``.

    >>> import tinygrad_edu as tg
    >>> tg.diagonal(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 4.])
    """


@primitive(
    label="diag",
    cases=[
        Case(a=reals(shape=(2,)), shape=[(2, 3), (3, 2)]),
        Case(a=reals(shape=(3, 1)), shape=[(2, 3, 2)], offset=[1], axis1=[0], axis2=[-1]),
        Case(a=complexes(shape=(2,)), shape=[(2, 2)]),
    ],
    reference=lambda a, shape, offset=0, axis1=0, axis2=1: _plain_diagonal_matrix(a, shape, offset, axis1, axis2),
)
def _diagonal_matrix(a: Array, /, shape: Shape, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """y = zeros of the shape, with a on the diagonal along two axes        ∂L/∂a = the diagonal of g

    The adjoint of ``diagonal``.
    """
    y = np.zeros(shape, np.asarray(a).dtype)
    view = np.diagonal(y, offset, axis1, axis2)
    view.setflags(write=True)
    view[...] = a
    return y


def _plain_diagonal_matrix(a: Array, shape: Shape, offset: int, axis1: int, axis2: int) -> Array:
    y = np.zeros(shape, a.dtype)
    for place in np.ndindex(a.shape):
        *rest, i = place
        key: list[Any] = list(rest)
        for axis, index in sorted([(axis1 % y.ndim, i + (offset < 0) * -offset), (axis2 % y.ndim, i + (offset > 0) * offset)]):
            key.insert(axis, index)
        y[tuple(key)] = a[place]
    return y


diagonal.vjp(a=lambda g, a_shape, offset, axis1, axis2: _diagonal_matrix(g, a_shape, offset, axis1, axis2))
_diagonal_matrix.vjp(a=lambda g, offset, axis1, axis2: diagonal(g, offset, axis1, axis2))


@spelling(np.linalg.diagonal)
def _diagonal_of_last_axes(x: Any, /, offset: int = 0) -> Any:
    """NumPy's other ``diagonal``, along the last two axes."""
    return diagonal(x, offset, -2, -1)


@composite(
    numpy=np.diag,
    cases=[Case(v=reals(shape=("n",)), k=[0, 1, -2]), Case(v=reals(shape=(2, 3)), k=[0, 1, -1, 5]), Case(v=complexes(shape=(2,)))],
)
def diag(v: Any, /, k: int = 0) -> Any:
    """y = a matrix with v on its k-th diagonal; of a matrix, that diagonal        ∂L/∂v = g's diagonal; zeros with g on it

    Counterpart: ``numpy.diag``, ``torch.diag``.

    >>> import tinygrad_edu as tg
    >>> tg.diag(tg.Tensor([1.0, 2.0]))
    Tensor([[1., 0.],
            [0., 2.]])
    """
    shape = np.shape(v)
    if len(shape) == 1:
        n = shape[0] + (k if k > 0 else -k)
        return _diagonal_matrix(v, (n, n), k)
    if len(shape) == 2:
        return diagonal(v, k)
    raise ShapeError(f"diag: a vector or a matrix, got shape {shape}; tg.diagonal takes more axes, tg.diagflat any")


@composite(numpy=np.diagflat, cases=[Case(v=reals(shape=(2, 2)), k=[0, -1]), Case(v=reals(shape=()), k=[1])])
def diagflat(v: Any, /, k: int = 0) -> Any:
    """y = a matrix with v's elements on its k-th diagonal        ∂L/∂v = g's diagonal, in v's shape

    Counterpart: ``numpy.diagflat``, ``torch.diagflat``.

    >>> import tinygrad_edu as tg
    >>> tg.diagflat(tg.Tensor([[1.0], [2.0]]), 1).shape
    (3, 3)
    """
    return diag(getitem(v, ...).reshape(-1), k)


@spelling(np.tri, method=False)
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float) -> Array:  # noqa: N803 - NumPy's names
    """Ones on and below the k-th diagonal of an N×M matrix of zeros. A constant; counterpart: ``numpy.tri``.

    >>> import tinygrad_edu as tg
    >>> tg.tri(2, 3)
    array([[1., 0., 0.],
           [1., 1., 0.]])
    """
    return np.tri(N, M, k, dtype)


def _below(name: str, m: Any, k: int) -> Array:
    lengths = np.shape(m)[-2:]
    if not lengths:
        raise ShapeError(f"{name}: a matrix or a stack of them, got a single number")
    return np.tri(lengths[0], lengths[-1], k, bool)


def _zero(m: Any) -> Any:
    return numbers_of(m).dtype.type(0)  # False among booleans: a plain 0 would make integers of them


@composite(
    numpy=np.tril,
    cases=[
        Case(m=reals(shape=(3, 4)), k=[0, 1, -1]),
        Case(m=reals(shape=(2, 2, 2)), k=[0]),
        Case(m=reals(shape=(2,))),
        Case(m=complexes(shape=(2, 2))),
    ],
)
def tril(m: Any, /, k: int = 0) -> Any:
    """y = m on and below its k-th diagonal, 0 above        ∂L/∂m = g on and below it, 0 above

    Of the last two axes. Counterpart: ``numpy.tril``, ``torch.tril``.

    >>> import tinygrad_edu as tg
    >>> tg.tril(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[1., 0.],
            [3., 4.]])
    """
    return where(_below("tril", m, k), m, _zero(m))


@composite(
    numpy=np.triu,
    cases=[Case(m=reals(shape=(3, 4)), k=[0, 1, -1]), Case(m=reals(shape=(2, 2, 2)), k=[0]), Case(m=complexes(shape=(2, 2)))],
)
def triu(m: Any, /, k: int = 0) -> Any:
    """y = m on and above its k-th diagonal, 0 below        ∂L/∂m = g on and above it, 0 below

    Of the last two axes. Counterpart: ``numpy.triu``, ``torch.triu``.

    >>> import tinygrad_edu as tg
    >>> tg.triu(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[1., 2.],
            [0., 4.]])
    """
    return where(_below("triu", m, k - 1), _zero(m), m)
