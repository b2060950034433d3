"""Eigenvalues and eigenvectors, batched over leading axes.

Vectors are determined up to a sign, or a factor of absolute value 1 where they are complex, and where two values coincide up to a
rotation. A loss that depends on what is arbitrary has no derivative, and the rules say so.

The derivatives are those of Giles, *Collected Matrix Derivative Results for Forward and Reverse Mode Algorithmic Differentiation*
(2008). Complex changes are measured there with ⟨g, dy⟩ = Re Σ ḡ dy, so the rules conjugate on the way in and on the way out.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import GraphError, MatrixError
from tinygrad_edu.ops.lapack import NOT_FINITE, adjoint, conjugated, differentiated, lapack, like, real_part, require_square, values
from tinygrad_edu.ops.reduction import sum
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import expand_dims
from tinygrad_edu.ops.solving import solve
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

# What NumPy returns: named tuples, which have no public name.
EighResult: Any = type(np.linalg.eigh(np.eye(1)))
EigResult: Any = type(np.linalg.eig(np.eye(1)))


def identity(n: int) -> Array:
    """Which elements of a matrix lie on its diagonal."""
    return np.eye(n, dtype=bool)


def _diagonal(a: Array) -> Array:
    return np.diagonal(a, axis1=-2, axis2=-1)


def check_phases(name: str, turning: Array, size: Any) -> None:
    """Refuse a loss that changes when a complex vector is multiplied by a number of absolute value 1."""
    eps = np.finfo(turning.dtype).eps
    if (np.abs(turning) > np.sqrt(eps) * np.max(np.abs(size), initial=0) + 100 * eps).any():
        raise GraphError(
            f"{name}: the loss depends on the phases of the complex vectors, which are arbitrary: each vector v could as well be "
            "v·exp(it). Compute with what does not change, such as abs(v) or v[:, None] * v.conj()"
        )


def coincide(numbers: Array, differences: Array) -> Array:
    """Which of the values are equal up to rounding."""
    size = np.max(np.abs(numbers), axis=-1, initial=0)[..., None, None]
    equal: Array = np.abs(differences) <= 10 * numbers.shape[-1] * np.finfo(numbers.dtype).eps * size
    return equal


def refuse(name: str, undetermined: Array, quotient: Any) -> Any:
    """nan, with a warning, where a loss uses vectors that are not determined."""
    if not undetermined.any():
        return quotient
    warnings.warn(
        f"{name}: the loss uses vectors of values that coincide; those are an arbitrary basis and have no derivative: the gradient "
        "is nan. A loss of the values alone has one; to tell them apart, add distinct small numbers to the diagonal",
        RuntimeWarning,
        stacklevel=2,
    )
    return where(undetermined, np.nan, quotient)


def _over_gaps(name: str, p: Any, w: Any) -> Any:
    """pᵢⱼ / (wⱼ − wᵢ), 0 on the diagonal and where values coincide whose vectors the loss does not use: p says how it changes when
    they turn into each other."""
    gap = expand_dims(w, -2) - expand_dims(w, -1)
    equal = coincide(values(w), values(gap))
    quotient = where(equal, 0, p) / where(equal, 1, gap)
    asked = values(p) != 0
    return refuse(name, equal & (asked | asked.mT) & ~identity(w.shape[-1]), quotient)


def _hermitian(a: Any) -> Any:
    """A case's matrices made Hermitian, with eigenvalues apart."""
    return (a + a.conj().swapaxes(-1, -2)) / 4 + np.diag([1, 3, 7][: a.shape[-1]]).astype(np.float32)


def projectors(v: Any) -> Any:
    """Of unit vectors in columns, what does not depend on their phases: v vᴴ for each."""
    return v[..., :, None, :] * v.conj()[..., None, :, :]


def _without_phases(y: Any) -> Any:
    """The same of eigenvalues packed above their vectors, with the eigenvalues added."""
    return projectors(y[..., 1:, :]) + y[..., None, :1, :]


def _pack_eigh(a: Array, UPLO: str = "L") -> Array:  # noqa: N803
    w, v = np.linalg.eigh(a, UPLO)  # type: ignore[call-overload]
    return np.concatenate([w[..., None, :], v], axis=-2)


@primitive(
    reference=_pack_eigh,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), UPLO=["L", "U"], before=_hermitian, after=_without_phases),
        Case(a=reals(-1, 1, shape=(2, 2, 2)), before=_hermitian, after=_without_phases),
        Case(a=complexes(-1, 1, shape=(2, 2)), before=_hermitian, after=_without_phases),
    ],
)
def _eigh(a: Array, /, UPLO: str = "L") -> Array:  # noqa: N803 - NumPy's name
    """y = the eigenvalues w above the eigenvectors v        ∂L/∂a = v (diag g₁ + vᴴ g₂ / (wⱼ − wᵢ)) vᴴ, made symmetric"""
    return lapack("eigh", NOT_FINITE, _pack_eigh, a, UPLO)  # type: ignore[no-any-return]


def _eigh_slope(g: Any, y: Any) -> Any:
    g = conjugated(g)
    w, v, gw, gv = real_part(y[..., 0, :]), y[..., 1:, :], g[..., :1, :], g[..., 1:, :]
    p = adjoint(v) @ gv
    check_phases("eigh", np.imag(_diagonal(values(p))), values(p))
    inner = where(identity(w.shape[-1]), gw, _over_gaps("eigh", p, w))
    full = v @ inner @ adjoint(v)
    return conjugated((full + adjoint(full)) / 2)


_eigh.vjp(a=_eigh_slope)


@composite(
    numpy=np.linalg.eigh,
    cases=[
        Case(
            a=reals(-1, 1, shape=(2, 2)),
            UPLO=["L", "U"],
            before=_hermitian,
            after=lambda y: projectors(y[1]) + y[0],
        ),
        Case(a=complexes(-1, 1, shape=(1, 1)), before=_hermitian, after=lambda y: projectors(y[1]) + y[0]),
    ],
)
def eigh(a: Any, /, UPLO: str = "L") -> Any:  # noqa: N803
    """y = (w, v) with a v = v diag w and vᴴ v = 1        ∂L/∂a = v (diag g₁ + vᴴ g₂ / (wⱼ − wᵢ)) vᴴ

    A named tuple of ``eigenvalues``, ascending, and ``eigenvectors`` in columns, as NumPy's. ``a`` is symmetric or Hermitian, and
    only the triangle that ``UPLO`` names is read; the gradient is symmetric, as that of `cholesky`. The sign of a vector (the
    phase, of a complex one) is arbitrary: a loss that depends on the phase is refused. The vectors of eigenvalues that coincide
    have no derivative: nan, with a warning. Counterpart: ``numpy.linalg.eigh``, ``torch.linalg.eigh``.

    >>> import tinygrad_edu as tg
    >>> tg.eigh(tg.Tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    Tensor([1., 3.])
    """
    require_square("eigh", a)
    if not differentiated(a):
        return like(a, lapack("eigh", NOT_FINITE, np.linalg.eigh, values(a), UPLO))
    y = _eigh(a, UPLO)
    return EighResult(real_part(y[..., 0, :]), y[..., 1:, :])


@primitive(
    numpy=np.linalg.eigvalsh,
    cases=[
        Case(a=reals(-1, 1, shape=("n", "n")), UPLO=["L", "U"], before=_hermitian),
        Case(a=reals(-1, 1, shape=(2, 2, 2)), before=_hermitian),
        Case(a=complexes(-1, 1, shape=(2, 2)), before=_hermitian),
    ],
)
def eigvalsh(a: Array, /, UPLO: str = "L") -> Array:  # noqa: N803
    """y = the eigenvalues of a symmetric or Hermitian matrix, ascending        ∂L/∂a = v diag(g) vᴴ

    As in `eigh`, which the derivative takes the vectors from. Eigenvalues that coincide are kinks: they bend into each other, and
    the derivative is one of several. Counterpart: ``numpy.linalg.eigvalsh``, ``torch.linalg.eigvalsh``.

    >>> import tinygrad_edu as tg
    >>> tg.eigvalsh(tg.Tensor([[2.0, 1.0], [1.0, 2.0]]))
    Tensor([1., 3.])
    """
    require_square("eigvalsh", a)
    return lapack("eigvalsh", NOT_FINITE, np.linalg.eigvalsh, a, UPLO)  # type: ignore[no-any-return]


def _from_vectors(g: Any, a: Any, UPLO: str) -> Any:  # noqa: N803
    v = eigh(a, UPLO).eigenvectors
    return conjugated((v * expand_dims(g, -2)) @ adjoint(v))


eigvalsh.vjp(a=_from_vectors)


def _pack_eig(a: Array) -> Array:
    w, v = np.linalg.eig(a)
    return np.concatenate([w[..., None, :], v], axis=-2)


def _apart(a: Any) -> Any:
    """A case's matrices with real eigenvalues that are apart."""
    return a / 4 + np.diag([1, 3]).astype(np.float32)


def _rotating(a: Any) -> Any:
    """A case's matrices with two complex eigenvalues."""
    return a / 4 + np.array([[1, -2], [2, 1]], np.float32)


def _together(w: Any, v: Any) -> Any:
    """A function of eigenvalues and vectors in which their order and the phases do not matter."""
    return sum(projectors(v) * expand_dims(1 + w + w * w, (-2, -3)), axis=-1)


@primitive(
    reference=_pack_eig,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), before=_apart, after=lambda y: _together(y[..., 0, :], y[..., 1:, :])),
        Case(a=reals(-1, 1, shape=(1, 2, 2)), before=_rotating, after=lambda y: _together(y[..., 0, :], y[..., 1:, :])),
        Case(a=complexes(-1, 1, shape=(2, 2)), before=_apart, after=lambda y: _together(y[..., 0, :], y[..., 1:, :])),
    ],
)
def _eig(a: Array, /) -> Array:
    """y = the eigenvalues w above the eigenvectors v        ∂L/∂a = v⁻ᴴ (diag g₁ + p / (wⱼ − wᵢ)) vᴴ        (p: as of eig)"""
    return lapack("eig", NOT_FINITE, _pack_eig, a)  # type: ignore[no-any-return]


def _eig_slope(g: Any, y: Any) -> Any:
    g = conjugated(g)
    w, v, gw, gv = y[..., 0, :], y[..., 1:, :], g[..., :1, :], g[..., 1:, :]
    p = adjoint(v) @ gv
    diagonal = sum(where(identity(w.shape[-1]), p, 0), axis=-2, keepdims=True)
    check_phases("eig", np.imag(values(diagonal)), values(p))
    p = p - adjoint(v) @ v * real_part(diagonal)
    inner = where(identity(w.shape[-1]), gw, _over_gaps("eig", p, conjugated(w)))
    if _dependent(values(v)):
        raise MatrixError("eig: the matrix has too few eigenvectors (it is defective), and its eigenvalues have no derivative")
    return conjugated(solve(adjoint(v), inner @ adjoint(v)))


def _dependent(v: Array) -> bool:
    """Whether the columns of some matrix depend on each other, up to rounding."""
    if not v.size or not np.isfinite(v).all():
        return False
    s = np.linalg.svd(v, compute_uv=False)
    return bool((s[..., -1] <= np.finfo(s.dtype).eps * s.shape[-1] * s[..., 0]).any())


_eig.vjp(a=_eig_slope)


@composite(
    numpy=np.linalg.eig,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), before=_apart, after=lambda y: _together(*y)),
        Case(a=reals(-1, 1, shape=(2, 2)), before=_rotating, after=lambda y: _together(*y)),
    ],
)
def eig(a: Any, /) -> Any:
    """y = (w, v) with a v = v diag w        ∂L/∂a = v⁻ᴴ (diag g₁ + p / (wⱼ − wᵢ)) vᴴ        (p: vᴴ g₂ without what changes lengths)

    A named tuple of ``eigenvalues`` and ``eigenvectors`` in columns of length 1, as NumPy's: complex ones also for a real matrix
    that has such. The phases of complex vectors are arbitrary: a loss that depends on them is refused. Eigenvalues that coincide as
    in `eigh`, which is better for symmetric matrices. Counterpart: ``numpy.linalg.eig``, ``torch.linalg.eig``.

    >>> import tinygrad_edu as tg
    >>> tg.eig(tg.Tensor([[0.0, 1.0], [-1.0, 0.0]])).eigenvalues
    Tensor([0.+1.j, 0.-1.j])
    """
    require_square("eig", a)
    if not differentiated(a):
        return like(a, lapack("eig", NOT_FINITE, np.linalg.eig, values(a)))
    y = _eig(a)
    return EigResult(y[..., 0, :], y[..., 1:, :])


@composite(
    numpy=np.linalg.eigvals,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), before=_apart, after=lambda w: sum(w**3)),
        Case(a=reals(-1, 1, shape=(2, 2)), before=_rotating, after=lambda w: sum(w**3)),
        Case(a=complexes(-1, 1, shape=(1, 2, 2)), before=_apart, after=lambda w: sum(w**3)),
    ],
)
def eigvals(a: Any, /) -> Any:
    """y = the eigenvalues of a square matrix, in no order        ∂L/∂a = v⁻ᴴ diag(g) vᴴ

    Complex also for a real matrix that has such. As in `eig`, which computes them where a gradient will be wanted. Counterpart:
    ``numpy.linalg.eigvals``, ``torch.linalg.eigvals``.

    >>> import tinygrad_edu as tg
    >>> tg.eigvals(tg.Tensor([[0.0, 1.0], [-1.0, 0.0]]))
    Tensor([0.+1.j, 0.-1.j])
    """
    require_square("eigvals", a)
    if differentiated(a):
        return _eig(a)[..., 0, :]
    return like(a, lapack("eigvals", NOT_FINITE, np.linalg.eigvals, values(a)))
