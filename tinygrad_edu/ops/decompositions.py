"""Decompositions into triangular matrices: Cholesky and QR, batched over leading axes.

The derivatives are those of Giles, *Collected Matrix Derivative Results for Forward and Reverse Mode Algorithmic Differentiation*
(2008), and of Walter and Lehmann, *Algorithmic Differentiation of Linear Algebra Functions with Application in Optimum Experimental
Design* (2010). Complex changes are measured there with ⟨g, dy⟩ = Re Σ ḡ dy, so the rules conjugate on the way in and out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, MatrixError
from tinygrad_edu.ops.diagonals import tril, triu
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.lapack import NOT_FINITE, adjoint, conjugated, differentiated, lapack, like, require_square, values
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.solving import solve_triangular
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

QRResult: Any = type(np.linalg.qr(np.eye(1)))  # a named tuple, which has no public name


def _halved(both: Any) -> Any:
    """A matrix with its diagonal halved: what is left of t + tᴴ when the diagonal of t is to count once."""
    return where(np.eye(both.shape[-1], dtype=bool), both / 2, both)


def _definite(a: Any) -> Any:
    """A case's matrices made Hermitian and positive definite."""
    return a @ a.conj().swapaxes(-1, -2) + 2 * np.eye(a.shape[-1], dtype=np.float32)


@primitive(
    numpy=np.linalg.cholesky,
    cases=[
        Case(a=reals(-1, 1, shape=("n", "n")), upper=[False, True], before=_definite),
        Case(a=reals(-1, 1, shape=(2, 2, 2)), before=_definite),
        Case(a=complexes(-1, 1, shape=(2, 2)), upper=[False, True], before=_definite),
    ],
)
def cholesky(a: Array, /, upper: bool = False) -> Array:
    """y = l, lower triangular, with l lᴴ = a        ∂L/∂a = ½ l⁻ᴴ (φ + φᴴ) l⁻¹        (φ: lᴴ g below the diagonal, ½ on it)

    ``a`` is symmetric (or Hermitian) and positive definite, and only its lower triangle is read; ``upper`` reads the other one and
    returns lᴴ. The gradient is symmetric too: it is right for every change of ``a`` that leaves it symmetric, as in a = s sᵀ,
    and shares what an element below the diagonal does with its mirror image. A matrix that is not positive definite raises
    `MatrixError`. Counterpart: ``numpy.linalg.cholesky``, ``torch.linalg.cholesky``.

    >>> import tinygrad_edu as tg
    >>> tg.cholesky(tg.Tensor([[4.0, 2.0], [2.0, 5.0]]))
    Tensor([[2., 0.],
            [1., 2.]])
    """
    require_square("cholesky", a)
    a = np.asarray(a)
    try:  # NumPy 2.0 knows upper=, and reads the lower triangle nevertheless
        return np.linalg.cholesky(a.mT.conj()).mT.conj() if upper else np.linalg.cholesky(a)
    except np.linalg.LinAlgError as error:
        lowest = np.linalg.eigvalsh(a, "U" if upper else "L").min() if np.isfinite(a).all() else np.nan
        raise MatrixError(
            f"cholesky: the matrix of shape {a.shape} is not positive definite: its smallest eigenvalue is {lowest:.3g}. If only "
            "rounding is in the way, add a small number to the diagonal, as in a + 1e-6 * np.eye(n)"
        ) from error


def _cholesky_slope(g: Any, y: Any, upper: bool) -> Any:
    g = conjugated(g)
    if upper:
        g, y = adjoint(g), adjoint(y)
    lower = tril(adjoint(y) @ g)
    inner = _halved(lower + adjoint(lower)) / 2
    left = solve_triangular(y, inner, trans=2, lower=True)
    return conjugated(adjoint(solve_triangular(y, adjoint(left), trans=2, lower=True)))


cholesky.vjp(a=_cholesky_slope)


def _pack_qr(a: Array) -> Array:
    return np.concatenate(np.linalg.qr(a), axis=-2)


def _up_to_signs(q: Any, r: Any) -> Any:
    """What does not change with the sign of a column of q and a row of r, which LAPACK chooses."""
    return q[..., :, :, None] * r[..., None, :, :]


def _independent(a: Any) -> Any:
    """A case's matrices with columns that are far from depending on each other."""
    return a + 3 * np.eye(*a.shape[-2:], dtype=np.float32)


@primitive(
    reference=_pack_qr,
    cases=[
        Case(a=reals(-1, 1, shape=(3, 2)), before=_independent, after=lambda y: _up_to_signs(y[:3], y[3:])),
        Case(a=reals(-1, 1, shape=(2, 2, 2)), before=_independent, after=lambda y: _up_to_signs(y[:, :2], y[:, 2:])),
        Case(a=complexes(-1, 1, shape=(2, 2)), before=_independent, after=lambda y: _up_to_signs(y[:2], y[2:])),
    ],
)
def _qr(a: Array, /) -> Array:
    """y = q above r, with q r = a and qᴴ q = 1        ∂L/∂a = (g₁ + q (t + tᴴ)) r⁻ᴴ        (t: as of qr)"""
    return _pack_qr(a)


def _qr_slope(g: Any, y: Any) -> Any:
    rows = y.shape[-2] - y.shape[-1]
    g = conjugated(g)
    q, r, gq, gr = y[..., :rows, :], y[..., rows:, :], g[..., :rows, :], g[..., rows:, :]
    upper = triu(gr @ adjoint(r) - adjoint(q) @ gq)
    both = gq + q @ _halved(upper + adjoint(upper))
    try:
        return conjugated(adjoint(solve_triangular(r, adjoint(both))))
    except MatrixError as error:
        raise MatrixError("qr: the columns depend on each other (r has a 0 on its diagonal): there is no derivative") from error


_qr.vjp(a=_qr_slope)


@composite(
    numpy=np.linalg.qr,
    cases=[
        Case(
            a=reals(-1, 1, shape=(2, 3)),
            mode=["reduced", "complete"],
            before=_independent,
            after=lambda y: _up_to_signs(*y),
        ),
        Case(a=reals(-1, 1, shape=(3, 2)), mode=["r"], before=_independent, after=lambda r: r[:, :, None] * r[:, None, :]),
        Case(a=complexes(-1, 1, shape=(1, 2)), before=_independent, after=lambda y: _up_to_signs(*y)),
    ],
)
def qr(a: Any, /, mode: str = "reduced") -> Any:
    """y = (q, r), r upper triangular, with q r = a and qᴴ q = 1        ∂L/∂a = (g₁ + q (t + tᴴ)) r⁻ᴴ

    Here t is the upper triangle of g₂ rᴴ − qᴴ g₁, with half the diagonal. A named tuple of ``Q`` and ``R``, as NumPy's; with
    ``mode="r"`` only r. The columns (of a wide matrix, the first ones) must not depend on each other. The last columns that
    ``mode="complete"`` gives a tall matrix are arbitrary and have no derivative. Counterpart: ``numpy.linalg.qr``,
    ``torch.linalg.qr``.

    >>> import tinygrad_edu as tg
    >>> q, r = tg.qr(tg.Tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> r.shape, tg.abs(r[0, 0])
    ((2, 2), Tensor(5.))
    """
    rows, columns = np.shape(a)[-2:] if np.ndim(a) > 1 else (0, 0)
    if not differentiated(a) or mode not in ("reduced", "r", "complete") or np.ndim(a) < 2:
        if differentiated(a):
            raise ArgumentError(
                "qr: a tensor that requires grad has two axes or more, and mode is reduced, r or complete; "
                f"got shape {a.shape} and mode {mode!r}"
            )
        return like(a, lapack("qr", NOT_FINITE, np.linalg.qr, values(a), mode))
    if mode == "complete" and rows > columns:
        raise ArgumentError(
            f"qr: with mode='complete' the last {rows - columns} columns of q are an arbitrary basis, which has no derivative; "
            "take mode='reduced', or a.detach()"
        )
    packed = _qr(a[..., :rows])
    q, r = packed[..., :rows, :], packed[..., rows:, :]
    if columns > rows:
        r = concatenate([r, adjoint(q) @ a[..., rows:]], axis=-1)
    return r if mode == "r" else QRResult(q, r)
