"""Singular values, and what is built on them: the pseudo-inverse and least squares. Batched over leading axes.

The derivatives of the vectors are those of Townsend, *Differentiating the Singular Value Decomposition* (2016), and for complex
matrices of Wan and Zhang, *Automatic Differentiation for Complex Valued SVD* (2019); that of the pseudo-inverse is by Golub and
Pereyra, *The Differentiation of Pseudo-Inverses and Nonlinear Least Squares Problems Whose Variables Separate* (1973).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.arithmetic import abs
from tinygrad_edu.ops.complex import imag, magnitude
from tinygrad_edu.ops.eigenvalues import check_phases, coincide, eigh, eigvalsh, identity, projectors, refuse
from tinygrad_edu.ops.indexing import take_along_axis
from tinygrad_edu.ops.lapack import NOT_FINITE, adjoint, conjugated, differentiated, lapack, like, real_part, require_square, values
from tinygrad_edu.ops.reduction import sum
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import expand_dims
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

SVDResult: Any = type(np.linalg.svd(np.eye(1)))  # a named tuple, which has no public name


def _pack(a: Array) -> Array:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([u, s[..., None, :], vh.mT.conj()], axis=-2)


def _apart(a: Any) -> Any:
    """A case's matrices with singular values that are apart and not 0."""
    return a / 4 + (np.eye(*a.shape[-2:]) * [1, 3, 5][: a.shape[-1]]).astype(np.float32)


def _up_to_phases(u: Any, s: Any, v: Any) -> Any:
    """What does not change when a left vector and its right vector turn together."""
    return u[..., :, None, :] * v.conj()[..., None, :, :] + s[..., None, None, :]


@primitive(
    reference=_pack,
    cases=[
        Case(a=reals(-1, 1, shape=(3, 2)), before=_apart, after=lambda y: _up_to_phases(y[:3], y[3], y[4:])),
        Case(a=reals(-1, 1, shape=(2, 3)), before=_apart, after=lambda y: _up_to_phases(y[:2], y[2], y[3:])),
        Case(a=reals(-1, 1, shape=(2, 2, 2)), before=_apart, after=lambda y: _up_to_phases(y[:, :2], y[:, 2], y[:, 3:])),
        Case(a=complexes(-1, 1, shape=(2, 2)), before=_apart, after=lambda y: _up_to_phases(y[:2], y[2], y[3:])),
        Case(a=complexes(-1, 1, shape=(2, 1)), before=_apart, after=lambda y: projectors(y[:2]) + y[2]),
        Case(a=complexes(-1, 1, shape=(1, 2)), before=_apart, after=lambda y: projectors(y[2:]) + y[1]),
    ],
)
def _svd(a: Array, /) -> Array:
    """y = the left vectors u above the singular values s above the right vectors v        ∂L/∂a = as of svd"""
    return lapack("svd", NOT_FINITE, _pack, a)  # type: ignore[no-any-return]


def _svd_slope(g: Any, y: Any, a: Any) -> Any:
    m, n = a.shape[-2:]
    k = y.shape[-1]
    g = conjugated(g)
    u, s, v = y[..., :m, :], real_part(y[..., m, :]), y[..., m + 1 :, :]
    gu, gs, gv = g[..., :m, :], real_part(g[..., m : m + 1, :]), g[..., m + 1 :, :]
    pu, pv = adjoint(u) @ gu, adjoint(v) @ gv
    turning = np.imag(np.diagonal(values(pu) + values(pv), axis1=-2, axis2=-1))
    check_phases("svd", turning, np.concatenate([values(pu), values(pv)]))
    row, column = expand_dims(s, -2), expand_dims(s, -1)
    numbers = values(s)
    # The turning is (kᵤ sⱼ + sᵢ kᵥ) / (sⱼ² − sᵢ²), where k is p − pᴴ, taken apart into (kᵤ + kᵥ) / 2 (sⱼ − sᵢ) and the like with
    # differences and sums exchanged: near singular values that coincide, each is as accurate as can be.
    skew_u, skew_v = pu - adjoint(pu), pv - adjoint(pv)
    equal = coincide(numbers, numbers[..., None, :] - numbers[..., :, None])
    none = (numbers[..., None, :] + numbers[..., :, None]) == 0
    inner = where(equal, 0, skew_u + skew_v) / where(equal, 1, 2 * (row - column))
    inner = inner + where(none, 0, skew_u - skew_v) / where(none, 1, 2 * (row + column))
    asked = (values(pu) != 0) | (values(pv) != 0)
    inner = refuse("svd", equal & (asked | asked.mT) & ~identity(k), inner)
    lost = coincide(numbers, numbers[..., None, :])  # singular values that are 0, as a row
    inverse = where(lost, 0, 1 / where(lost, 1, row))
    if g.dtype.kind == "c":
        inner = where(identity(k), 1j * imag(pu) * inverse, inner)
    full = u @ where(identity(k), gs + where(identity(k), inner, 0), inner) @ adjoint(v)
    if m > k:
        across = refuse("svd", lost & (values(gu) != 0).any(axis=-2, keepdims=True), (gu - u @ pu) * inverse)
        full = full + across @ adjoint(v)
    if n > k:
        across = refuse("svd", lost & (values(gv) != 0).any(axis=-2, keepdims=True), (gv - v @ pv) * inverse)
        full = full + u @ adjoint(across)
    return conjugated(full)


_svd.vjp(a=_svd_slope)


@composite(
    numpy=np.linalg.svd,
    cases=[
        Case(
            a=reals(-1, 1, shape=(3, 2)),
            full_matrices=[False],
            before=_apart,
            after=lambda y: _up_to_phases(y[0], y[1], adjoint(y[2])),
        ),
        Case(
            a=reals(-1, 1, shape=(2, 2)),
            hermitian=[True],
            before=lambda a: _apart(a + a.swapaxes(-1, -2)) * np.array([[1, 1], [1, -1]], np.float32),
            after=lambda y: _up_to_phases(y[0], y[1], adjoint(y[2])),
        ),
        Case(a=reals(-1, 1, shape=(2, 2)), compute_uv=[False], before=_apart),
        Case(
            a=reals(-1, 1, shape=(2, 2)),
            compute_uv=[False],
            hermitian=[True],
            before=lambda a: _apart(a + a.swapaxes(-1, -2)) * np.array([[1, 1], [1, -1]], np.float32),
        ),
    ],
)
def svd(a: Any, /, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """y = (u, s, vᴴ) with u diag(s) vᴴ = a        ∂L/∂a = u (diag gₛ + t) vᴴ + …

    Here t is how u and v turn, and the rest how they leave the spaces they span. A named tuple of ``U``, ``S``, descending, and
    ``Vh``, as NumPy's; only S without ``compute_uv``. ``hermitian`` says that a is, and reads its lower triangle. With
    ``full_matrices``, a matrix that is not square has more vectors than singular values; those are arbitrary, so a tensor that
    requires grad is refused: pass ``full_matrices=False``. A loss that depends on the phases of complex vectors is refused. The
    vectors of singular values that coincide, or are 0, have no derivative: nan, with a warning.
    Counterpart: ``numpy.linalg.svd``, ``torch.linalg.svd``.

    >>> import tinygrad_edu as tg
    >>> tg.svd(tg.Tensor([[3.0, 0.0], [0.0, 4.0]])).S
    Tensor([4., 3.])
    """
    if hermitian:
        return _hermitian_svd(a, compute_uv)
    if not compute_uv:
        return svdvals(a)
    rows, columns = np.shape(a)[-2:] if np.ndim(a) > 1 else (0, 1)
    if not differentiated(a) or np.ndim(a) < 2:
        return like(a, lapack("svd", NOT_FINITE, np.linalg.svd, values(a), full_matrices))
    if full_matrices and rows != columns:
        raise ArgumentError(
            f"svd: a of shape {a.shape} is not square, and with full_matrices=True some vectors belong to no singular value: they "
            "are an arbitrary basis, which has no derivative. Pass full_matrices=False, or a.detach()"
        )
    y = _svd(a)
    return SVDResult(y[..., :rows, :], real_part(y[..., rows, :]), adjoint(y[..., rows + 1 :, :]))


def _hermitian_svd(a: Any, compute_uv: bool) -> Any:
    """From the eigenvalues: their absolute values, with the signs in the right vectors."""
    require_square("svd(hermitian=True)", a)
    w, v = eigh(a) if compute_uv else (eigvalsh(a), None)
    order = np.argsort(np.abs(values(w)))[..., ::-1]
    s = take_along_axis(abs(w), order, axis=-1)
    if v is None:
        return s
    signs = np.take_along_axis(np.sign(values(w)), order, axis=-1)
    u = take_along_axis(v, order[..., None, :], axis=-1)
    return SVDResult(u, s, adjoint(u * signs[..., None, :]))


@primitive(
    numpy=np.linalg.svdvals,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 3)), before=_apart),
        Case(a=reals(-1, 1, shape=(2, 2, 1)), before=_apart),
        Case(a=complexes(-1, 1, shape=(2, 2)), before=_apart),
    ],
    kinks=[
        Kink("a singular value 0", "0 for that one", at={"a": [[0.0, 0.0], [0.0, 0.0]]}, gradient={"a": [[0.0, 0.0], [0.0, 0.0]]})
    ],
)
def svdvals(a: Array, /) -> Array:
    """y = the singular values, descending        ∂L/∂a = u diag(g) vᴴ

    Of matrices in the last two axes. Where one is 0 it has a kink, and where two coincide they bend into each other. Counterpart:
    ``numpy.linalg.svdvals``, ``torch.linalg.svdvals``.

    >>> import tinygrad_edu as tg
    >>> tg.svdvals(tg.Tensor([[3.0, 0.0], [0.0, 4.0]]))
    Tensor([4., 3.])
    """
    return lapack("svdvals", NOT_FINITE, np.linalg.svdvals, a)  # type: ignore[no-any-return]


def _from_vectors(g: Any, y: Any, a: Any) -> Any:
    packed = _svd(a)
    m = a.shape[-2]
    u, v = packed[..., :m, :], packed[..., m + 1 :, :]
    return conjugated((u * expand_dims(where(y == 0, 0, g), -2)) @ adjoint(v))


svdvals.vjp(a=_from_vectors)


# ----------------------------------------------------------------------------------------------------------- least squares


def _low_rank(a: Any) -> Any:
    """A case's matrices as matrices of rank 1: their first column times their first row, with nothing near 0."""
    b = a + 3
    return b[..., :, :1] @ b[..., :1, :]


@primitive(
    numpy=np.linalg.pinv,
    cases=[
        Case(a=reals(-1, 1, shape=(3, 2)), before=_apart),
        Case(a=reals(-1, 1, shape=(2, 2, 1)), before=_apart),
        Case(a=complexes(-1, 1, shape=(1, 2)), before=_apart),
        Case(a=reals(-1, 1, shape=(2, 2)), rcond=[1e-5], before=_low_rank),
        Case(a=reals(-1, 1, shape=(2, 2)), hermitian=[True], before=lambda a: _apart(a + a.swapaxes(-1, -2))),
    ],
)
def pinv(a: Array, /, rcond: Any = None, hermitian: bool = False, rtol: Any = None) -> Array:
    """y = a⁺, the pseudo-inverse        ∂L/∂a = −yᵀ g yᵀ + (1 − a y) gᵀ y yᵀ + yᵀ y gᵀ (1 − y a)

    Of matrices in the last two axes, square or not. Singular values below ``rcond`` (or ``rtol``) times the largest one count as 0;
    the derivative is that at constant rank, for where the rank changes the pseudo-inverse jumps. Counterpart:
    ``numpy.linalg.pinv``, ``torch.linalg.pinv``.

    >>> import tinygrad_edu as tg
    >>> tg.pinv(tg.Tensor([[2.0], [0.0]]))
    Tensor([[0.5, 0. ]])
    """
    rcond = rtol if rcond is None else rcond
    return lapack("pinv", NOT_FINITE, np.linalg.pinv, a, rcond, hermitian)  # type: ignore[no-any-return]


def _pinv_slope(g: Any, y: Any, a: Any) -> Any:
    g, back = conjugated(g), adjoint(y)
    outside = adjoint(g) @ y @ back
    beside = back @ (y @ adjoint(g))
    return conjugated(outside - a @ (y @ outside) + beside - (beside @ y) @ a - back @ (g @ back))


pinv.vjp(a=_pinv_slope)


def _floats(y: Any) -> Any:
    """Least squares without the rank, which is an integer."""
    return y[0], y[1], y[3]


@composite(
    numpy=np.linalg.lstsq,
    cases=[
        Case(a=reals(-1, 1, shape=(3, 2)), b=reals(shape=(3,)), before=lambda a: _apart(a) if a.ndim == 2 else a, after=_floats),
        Case(a=reals(-1, 1, shape=(3, 2)), b=reals(shape=(3, 1)), before=_apart, after=_floats),
        Case(a=reals(-1, 1, shape=(2, 3)), b=reals(shape=(2, 2)), before=_apart, after=_floats),
        Case(a=complexes(-1, 1, shape=(2, 1)), b=complexes(shape=(2, 1)), before=_apart, after=_floats),
    ],
)
def lstsq(a: Any, b: Any, /, rcond: Any = None) -> Any:
    """y = the x of smallest |a x − b|²        x = a⁺ b

    Returns the tuple (x, residuals, rank, singular values) as NumPy: where there are several such x the shortest, and as residuals
    the Σ |a x − b|² of each column of b, or nothing where a is of lower rank than it has columns, or has no more rows. All but the
    rank are differentiated, at constant rank. Counterpart: ``numpy.linalg.lstsq``, ``torch.linalg.lstsq``.

    >>> import tinygrad_edu as tg
    >>> x, residuals, rank, s = tg.lstsq(tg.Tensor([[1.0], [1.0]]), [1.0, 3.0])
    >>> x, residuals
    (Tensor([2.]), Tensor([2.]))
    """
    if np.ndim(a) != 2 or np.ndim(b) not in (1, 2) or np.shape(a)[0] != np.shape(b)[0]:
        raise ShapeError(
            f"lstsq: a is one matrix, and b a vector or a matrix with as many rows; got shapes {np.shape(a)} and {np.shape(b)}"
        )
    rows, columns = np.shape(a)
    s = svdvals(a)
    if rcond is None:
        rcond = float(np.finfo(s.dtype).eps) * max(rows, columns)
    rank = np.sum(values(s) > rcond * np.max(values(s), initial=0), dtype=np.int32)
    x = pinv(a, rcond) @ b
    if rank == columns < rows:
        residuals = sum(magnitude(a @ x - b), axis=0, keepdims=np.ndim(b) == 1)
    else:
        residuals = like(s, np.empty(0, s.dtype))
    return x, residuals, rank, s
