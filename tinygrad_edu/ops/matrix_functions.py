"""Exponential, square root and logarithm of a matrix, and the equation that their derivatives lead to. Computed by SciPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import MatrixError, ShapeError
from tinygrad_edu.floating import quietly
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.lapack import require_square, transposed
from tinygrad_edu.ops.reduction import sum_to
from tinygrad_edu.ops.solving import regular
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Lazy, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

_expm = Lazy("scipy.linalg", "expm")
_sqrtm = Lazy("scipy.linalg", "sqrtm")
_logm = Lazy("scipy.linalg", "logm")
_solve_sylvester = Lazy("scipy.linalg", "solve_sylvester")


def _each(function: Callable[..., Array], *operands: Array) -> Array:
    """A function of matrices, for each of a batch. Leading axes broadcast, and the result has the shape of the last operand."""
    batch = np.broadcast_shapes(*[a.shape[:-2] for a in operands])
    if not batch:
        return function(*operands)
    stacks = [np.broadcast_to(a, batch + a.shape[-2:]) for a in operands]
    y = [function(*[stack[i] for stack in stacks]) for i in np.ndindex(batch)]
    return np.stack(y).reshape(stacks[-1].shape) if y else stacks[-1]


# -------------------------------------------------------------------------------------------------- Sylvester's equation


def _by_kronecker(a: Array, b: Array, q: Array) -> Array:
    """The equation written out for the elements of y, row by row."""
    n, m = q.shape[-2:]
    eye_n, eye_m = np.eye(n)[:, None, :, None], np.eye(m)[None, :, None, :]
    sides = a[..., :, None, :, None] * eye_m + np.swapaxes(b, -1, -2)[..., None, :, None, :] * eye_n
    matrix, q = sides.reshape(*sides.shape[:-4], n * m, n * m), q.reshape(*q.shape[:-2], n * m, 1)
    batch = np.broadcast_shapes(matrix.shape[:-2], q.shape[:-2])
    y: Array = np.linalg.solve(matrix, q).reshape(*batch, n, m)
    return y


@primitive(
    method=False,
    reference=_by_kronecker,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), b=reals(-1, 1, shape=(2, 2)), q=reals(shape=(2, 2)), before=regular),
        Case(a=reals(-1, 1, shape=(2, 2, 2)), b=reals(-1, 1, shape=(1, 1)), q=reals(shape=(2, 1)), before=regular),
        Case(a=reals(1, 2, shape=(1, 1)), b=reals(1, 2, shape=(3, 1, 1, 1)), q=reals(shape=(2, 1, 1))),
        Case(a=complexes(-1, 1, shape=(2, 2)), b=reals(-1, 1, shape=(1, 1)), q=complexes(shape=(2, 1)), before=regular),
    ],
)
def solve_sylvester(a: Array, b: Array, q: Array, /) -> Array:
    """y with a y + y b = q        ∂L/∂q = w        ∂L/∂a = −w yᵀ        ∂L/∂b = −yᵀ w        (w: aᵀ w + w bᵀ = g)

    Shapes (..., n, n), (..., m, m) and (..., n, m) give (..., n, m); leading axes broadcast. There is one solution if no eigenvalue
    of a is that of −b, and otherwise `MatrixError` is raised. With b = aᵀ it is Lyapunov's equation, of the covariance of a linear
    system. Computed by SciPy. Counterpart: ``scipy.linalg.solve_sylvester``.

    >>> import tinygrad_edu as tg
    >>> tg.solve_sylvester(tg.Tensor([[1.0, 0.0], [0.0, 2.0]]), [[1.0]], [[4.0], [6.0]])
    Tensor([[2.],
            [2.]])
    """
    a, b, q = np.asarray(a), np.asarray(b), np.asarray(q)
    require_square("solve_sylvester", a)
    require_square("solve_sylvester", b)
    if q.shape[-2:] != (a.shape[-1], b.shape[-1]):
        raise ShapeError(
            f"solve_sylvester: a of shape {a.shape} and b of shape {b.shape} want q of shape (..., {a.shape[-1]}, {b.shape[-1]}), "
            f"and got {q.shape}: a y + y b = q"
        )
    y = _each(_solve_sylvester, a, b, q)
    if y.size:
        a_size, b_size, q_size, y_size = (np.abs(x).max(axis=(-2, -1)) for x in (a, b, q, y))
        if (y_size * (a_size + b_size) * (10 * np.finfo(y.dtype).eps) > q_size).any():  # LAPACK divides by almost 0 then
            raise MatrixError(
                f"solve_sylvester: a y + y b = q has no solution, or many: a (shape {a.shape}) and −b (shape {b.shape}) have an "
                "eigenvalue in common. In a derivative of sqrtm or logm: a singular matrix has none; add a small number to its "
                "diagonal, as in a + 1e-6 * np.eye(n)"
            )
    return y


def _transposed_solution(g: Any, a: Any, b: Any) -> Any:
    return solve_sylvester(transposed(a), transposed(b), g)


solve_sylvester.vjp(
    a=lambda g, y, a, b: sum_to(-(_transposed_solution(g, a, b) @ transposed(y)), a.shape),
    b=lambda g, y, a, b: sum_to(-(transposed(y) @ _transposed_solution(g, a, b)), b.shape),
    q=lambda g, a, b, q_shape: sum_to(_transposed_solution(g, a, b), q_shape),
)


# --------------------------------------------------------------------------------------------------- functions of a matrix


def _derivative(function: Callable[[Any], Any], g: Any, a: Any) -> Any:
    """∂⟨g, f(a)⟩/∂a of an analytic function: f of a block triangular matrix has the derivative of f in its corner."""
    n = a.shape[-1]
    a = transposed(a)
    upper = concatenate([a, g], axis=-1)
    lower = concatenate([a * 0, a], axis=-1)
    return function(concatenate([upper, lower], axis=-2))[..., :n, n:]


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

    The exponential of square matrices in the last two axes, which `exp` of the elements is not. Computed by SciPy. Counterpart:
    ``scipy.linalg.expm``, ``torch.linalg.matrix_exp``.

    >>> import tinygrad_edu as tg
    >>> tg.expm(tg.Tensor([[0.0, 1.0], [0.0, 0.0]]))
    Tensor([[1., 1.],
            [0., 1.]])
    """
    require_square("expm", a)
    return _each(_expm, np.asarray(a))


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
    return _each(_sqrtm, np.asarray(a))


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
    a = np.asarray(a)
    single = a.dtype in (np.float32, np.complex64)  # SciPy's result has double precision, and is checked for it
    y = _each(partial(quietly, _logm), a.astype(np.result_type(a.dtype, np.float64)))  # its estimate of a norm may overflow
    return y.astype(np.complex64 if y.dtype.kind == "c" else np.float32) if single else y


def _slope_of_logarithm(g: Any, a: Any) -> Any:
    root = sqrtm(a)
    return solve_sylvester(transposed(root), transposed(root), 2 * _derivative(logm, g, root))


logm.vjp(a=_slope_of_logarithm)
