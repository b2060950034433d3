"""Determinants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import MatrixError
from tinygrad_edu.ops.complex import imag, real
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.lapack import differentiated, like, require_square, transposed, values
from tinygrad_edu.ops.reduction import sum
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import expand_dims
from tinygrad_edu.ops.solving import inv, regular
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


# Singular matrices of every rank, with singular vectors that turn and that reflect.
_SINGULAR: list[Any] = [
    np.zeros((2, 2), np.float32),
    np.array([[1, 2], [2, 4]], np.float32),
    np.array([[0, 3], [0, -1]], np.float32),
    np.array([[2, 0, 0], [0, 0, 0], [0, 0, 0]], np.float32),
    np.array([[0, 0, -2], [0, 0, 0], [0, 0, 0]], np.float32),
    np.array([[0, 1, 2], [0, 2, -1], [0, 3, 1]], np.float32),
]


@primitive(
    numpy=np.linalg.det,
    cases=[
        Case(a=reals(-2, 2, shape=("n", "n"), avoid=(0,), gap=1e-3)),
        Case(a=reals(-1, 1, shape=(2, 2, 2)), before=regular),
        Case(a=complexes(-1, 1, shape=(2, 2)), before=regular),
        *[Case(a=reals(0, 0, shape=m.shape), before=lambda a, m=m: a + m) for m in _SINGULAR],
        Case(a=reals(-1, 1, shape=(2, 2)), before=lambda a: 1e-5 * a + _SINGULAR[1]),
    ],
)
def det(a: Array, /) -> Array:
    """y = |a|, the determinant        ∂L/∂a = g y a⁻ᵀ

    Square matrices in the last two axes. The derivative is the matrix of cofactors, and right to every order also where a is
    singular and a⁻¹ does not exist. `slogdet` does not overflow. Counterpart: ``numpy.linalg.det``, ``torch.linalg.det``.

    >>> import tinygrad_edu as tg
    >>> a = tg.Tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    >>> y = tg.det(a)
    >>> y.backward()
    >>> a.grad
    Tensor([[ 4., -2.],
            [-2.,  1.]])
    """
    require_square("det", a)
    return np.linalg.det(a)  # type: ignore[no-any-return]


def _cofactors(a: Any, y: Any) -> Any:
    """The derivative of a's determinant y, element by element."""
    numbers = values(a)
    if numbers.shape[-1] == 1:
        return np.ones_like(numbers)
    # An inverse loses as many digits as the condition number has, and once more with every derivative.
    small = float(np.finfo(numbers.dtype).eps) ** (0.5 if a is numbers else 0.25)
    try:
        inverse = np.linalg.inv(numbers)
        with np.errstate(over="ignore", invalid="ignore"):
            length = np.abs(numbers).sum(-1).max(-1, initial=0) * np.abs(inverse).sum(-1).max(-1, initial=0)
        if not (length * small > 1).any():  # far from singular, all of them
            return expand_dims(y, (-1, -2)) * transposed(inverse if a is numbers else inv(a))
    except np.linalg.LinAlgError:
        pass
    # With the unitary u and v of this a's singular value decomposition held constant, b = uᴴ a v is nearly diagonal, and its
    # lower right block nearly 0. The blocks' determinants make up that of a for every a: an identity, with nothing to divide by.
    u, s, vh = np.linalg.svd(numbers)
    n = s.shape[-1]
    rank = int((s > small * s[..., :1]).sum(-1).min(initial=n))
    b = u.conj().mT @ a @ vh.conj().mT
    corner, right, below = inv(b[..., :rank, :rank]), b[..., :rank, rank:], b[..., rank:, :rank]
    adjugate, rest = _adjugate(b[..., rank:, rank:] - below @ corner @ right)
    left, bottom = corner @ right @ adjugate, adjugate @ below @ corner
    whole = concatenate(
        [
            concatenate([rest * corner + left @ (below @ corner), -left], axis=-1),
            concatenate([-bottom, adjugate], axis=-1),
        ],
        axis=-2,
    )
    scale = expand_dims(det(b[..., :rank, :rank]) * (np.linalg.det(u) * np.linalg.det(vh)), (-1, -2))
    return transposed(scale * (vh.conj().mT @ whole @ u.conj().mT))


def _adjugate(s: Any) -> tuple[Any, Any]:
    """The matrix of s's cofactors, transposed, and s's determinant, without a division by anything that could be 0 (Faddeev and
    LeVerrier). Of order n⁴, for blocks as small as the number of directions that are lost."""
    n = s.shape[-1]
    eye = np.eye(n, dtype=bool)
    m: Any = np.broadcast_to(eye.astype(s.dtype), s.shape)
    coefficient: Any = np.ones((*s.shape[:-2], 1, 1), s.dtype)
    for k in range(1, n + 1):
        product = s @ m
        coefficient = sum(where(eye, product, 0), axis=(-1, -2), keepdims=True) * (-1 / k)
        if k < n:
            m = product + where(eye, coefficient, 0)
    return (-m if n % 2 == 0 else m), (-coefficient if n % 2 else coefficient)


det.vjp(a=lambda g, y, a: expand_dims(g, (-1, -2)) * _cofactors(a, y))


@primitive(
    reference=lambda a: np.stack(np.broadcast_arrays(*np.linalg.slogdet(a)), axis=-1),
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), before=regular),
        Case(a=reals(-1, 1, shape=(2, 2, 2)), before=regular),
        Case(a=complexes(-1, 1, shape=(2, 2)), before=regular),
    ],
)
def _slogdet(a: Array, /) -> Array:
    """y = (sign, ln |det a|)        ∂L/∂a = g₁ a⁻ᵀ + i Im(g₀ sign) a⁻ᵀ"""
    sign, logarithm = np.linalg.slogdet(a)
    return np.stack([sign, logarithm.astype(sign.dtype)], axis=-1)


def _slogdet_slope(g: Any, y: Any, a: Any) -> Any:
    slope = real(g[..., 1]) if a.dtype.kind == "c" else g[..., 1]
    if a.dtype.kind == "c":  # the sign turns; that of real numbers does not move
        slope = slope + 1j * imag(g[..., 0] * y[..., 0])
    try:
        return expand_dims(slope, (-1, -2)) * transposed(inv(a))
    except MatrixError as error:
        raise MatrixError(
            "slogdet: a matrix is singular; there the logarithm of the determinant is −∞ and has no derivative. Use det, or add a "
            "small number to the diagonal"
        ) from error


_slogdet.vjp(a=_slogdet_slope)

SlogdetResult: Any = type(np.linalg.slogdet(np.eye(1)))


@composite(
    numpy=np.linalg.slogdet,
    cases=[
        Case(a=reals(-1, 1, shape=("n", "n")), before=lambda a: a + 4 * np.eye(a.shape[-1], dtype=np.float32)),
        Case(a=complexes(-1, 1, shape=(1, 2, 2)), before=regular),
    ],
)
def slogdet(a: Any, /) -> Any:
    """y = (sign of det a, ln |det a|)        ∂L/∂a = g a⁻ᵀ, for the logarithm

    A named tuple of ``sign`` and ``logabsdet``, as NumPy's: it does not overflow where `det` does. The sign of a complex matrix is
    a number of absolute value 1 and has a derivative too. Where a is singular there is none. Counterpart:
    ``numpy.linalg.slogdet``, ``torch.linalg.slogdet``.

    >>> import tinygrad_edu as tg
    >>> sign, logarithm = tg.slogdet(tg.Tensor([[0.0, 1.0], [1.0, 0.0]]))
    >>> sign, logarithm
    (Tensor(-1.), Tensor(0.))
    """
    require_square("slogdet", a)
    if not differentiated(a):
        return like(a, np.linalg.slogdet(values(a)))
    both = _slogdet(a)
    logarithm = both[..., 1]
    return SlogdetResult(both[..., 0], real(logarithm) if both.dtype.kind == "c" else logarithm)
