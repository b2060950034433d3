"""The exponential, the square root and the logarithm of a matrix. Computed by SciPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.floating import quietly
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.lapack import each, require_square, transposed
from tinygrad_edu.ops.structured import solve_sylvester
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Lazy, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

_expm = Lazy("scipy.linalg", "expm")
_balance = Lazy("scipy.linalg", "matrix_balance")
_sqrtm = Lazy("scipy.linalg", "sqrtm")
_logm = Lazy("scipy.linalg", "logm")


def _derivative(function: Callable[[Any], Any], g: Any, a: Any) -> Any:
    """∂⟨g, f(a)⟩/∂a of an analytic function: f of a block triangular matrix has the derivative of f in its corner."""
    n = a.shape[-1]
    a = transposed(a)
    upper = concatenate([a, g], axis=-1)
    lower = concatenate([a * 0, a], axis=-1)
    return function(concatenate([upper, lower], axis=-2))[..., :n, n:]


def _in_double(function: Callable[[Array], Array], a: Array) -> Array:
    """A function of matrices that has double precision inside: badly scaled ones lose more digits than single precision has."""
    single = a.dtype.kind in "fc" and np.finfo(a.dtype).bits < 64
    y = each(function, a.astype(np.result_type(a.dtype, np.float64)))
    return y.astype(np.complex64 if y.dtype.kind == "c" else np.float32) if single else y


def _balanced_expm(a: Array) -> Any:
    """e^a = s e^b s⁻¹, where b = s⁻¹ a s has rows and columns of like norms (Ward, 1977).

    SciPy halves a matrix until it is small and squares the exponential as often. The blocks of a derivative of a badly scaled
    matrix lose all their digits so, and keep them where they are balanced.
    """
    if not a.size or not np.isfinite(a).all():
        return _expm(a)
    _, (s, _) = quietly(partial(_balance, a, permute=False, separate=True))  # which takes s for integers too, in passing
    s = np.clip(s, 2.0**-500, 2.0**500)  # powers of two: what follows rounds nothing
    ratio = s[:, None] / s
    return _expm(a / ratio) * ratio


def _series(a: Array) -> Array:
    term = y = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    for k in range(1, 60):
        term = term @ a / k
        y = y + term
    return y


@primitive(
    reference=_series,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2))),
        Case(a=reals(-1, 1, shape=(2, 1, 1))),
        Case(a=complexes(-1, 1, shape=(2, 2))),
    ],
)
def expm(a: Array, /) -> Array:
    """y = 1 + a + a² / 2 + a³ / 6 + …        ∂L/∂a = the corner of expm([[aᵀ, g], [0, aᵀ]])

    The exponential of square matrices in the last two axes, which `exp` of the elements is not. Computed by SciPy, in double
    precision and of balanced matrices, so that derivatives of badly scaled ones keep their digits. Counterpart:
    ``scipy.linalg.expm``, ``torch.linalg.matrix_exp``.

    >>> import tinygrad_edu as tg
    >>> tg.expm(tg.Tensor([[0.0, 1.0], [0.0, 0.0]]))
    Tensor([[1., 1.],
            [0., 1.]])
    """
    require_square("expm", a)
    return _in_double(_balanced_expm, np.asarray(a))


expm.vjp(a=lambda g, a: _derivative(expm, g, a))


def _by_eigenvalues(f: Callable[[Array], Array], a: Array) -> Array:
    w, v = np.linalg.eig(a)
    y: Array = (v * f(w)[..., None, :]) @ np.linalg.inv(v)
    return y


def _positive(a: Any) -> Any:
    """A case's matrices with eigenvalues that are far from 0 and the negative numbers."""
    return a / 4 + np.array([[2, 0], [0, 3]], np.float32)


def _indefinite(a: Any) -> Any:
    """A case's matrices with a positive and a negative eigenvalue."""
    return a / 4 + np.array([[2, 0], [0, -3]], np.float32)


_CASES = [
    Case(a=reals(-1, 1, shape=(2, 2)), before=_positive),
    Case(a=reals(-1, 1, shape=(2, 2)), before=_indefinite),
    Case(a=complexes(-1, 1, shape=(1, 2, 2)), before=_positive),
]


@primitive(reference=lambda a: _by_eigenvalues(np.emath.sqrt, a), cases=_CASES)
def sqrtm(a: Array, /) -> Array:
    """y = √a, with y y = a        ∂L/∂a = w        (w: yᵀ w + w yᵀ = g, `solve_sylvester`)

    The principal root of square matrices in the last two axes: its eigenvalues have a positive real part. Complex where a has
    negative eigenvalues; a singular matrix has no derivative here. Computed by SciPy. Counterpart: ``scipy.linalg.sqrtm``.

    >>> import tinygrad_edu as tg
    >>> tg.sqrtm(tg.Tensor([[4.0, 0.0], [0.0, 9.0]]))
    Tensor([[2., 0.],
            [0., 3.]])
    """
    require_square("sqrtm", a)
    return each(_sqrtm, np.asarray(a))


sqrtm.vjp(a=lambda g, y: solve_sylvester(transposed(y), transposed(y), g))


@primitive(reference=lambda a: _by_eigenvalues(np.emath.log, a), cases=_CASES)
def logm(a: Array, /) -> Array:
    """y = ln a = 2 ln s, with s = √a        ∂L/∂a = w        (w: sᵀ w + w sᵀ = 2 × the corner of logm([[sᵀ, g], [0, sᵀ]]))

    The principal logarithm of square matrices in the last two axes. Complex where a has negative eigenvalues; a singular matrix
    has none. Its derivative goes through the square root, whose eigenvalues are far from the negative numbers, where the logarithm
    jumps. Computed by SciPy. Counterpart: ``scipy.linalg.logm``.

    >>> import tinygrad_edu as tg
    >>> tg.logm(tg.Tensor([[1.0, 1.0], [0.0, 1.0]]))
    Tensor([[0., 1.],
            [0., 0.]])
    """
    require_square("logm", a)
    return _in_double(partial(quietly, _logm), np.asarray(a))  # its estimate of a norm may overflow


def _slope_of_logarithm(g: Any, a: Any) -> Any:
    root = sqrtm(a)
    return solve_sylvester(transposed(root), transposed(root), 2 * _derivative(logm, g, root))


logm.vjp(a=_slope_of_logarithm)
