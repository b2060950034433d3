"""Linear equations of a special form, which SciPy solves faster than general ones: of Sylvester, and with bands."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import MatrixError, ShapeError
from tinygrad_edu.ops.joining import concatenate, stack
from tinygrad_edu.ops.lapack import each, lapack, require_square, transposed
from tinygrad_edu.ops.reduction import sum, sum_to
from tinygrad_edu.ops.solving import SINGULAR, regular
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Lazy, complexes, reals, spelling

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_edu.graph import Array


_sylvester, _banded_solver = Lazy("scipy.linalg", "solve_sylvester"), Lazy("scipy.linalg", "solve_banded")


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
    y = each(_sylvester, a, b, q)
    off = np.linalg.norm(a @ y + y @ b - q, axis=(-2, -1))
    if not (off <= 1e-3 * np.linalg.norm(q, axis=(-2, -1))).all():  # LAPACK moves the eigenvalues apart, and SciPy says nothing
        raise MatrixError(
            f"solve_sylvester: no solution for a {a.shape}, b {b.shape} and q {q.shape}: an eigenvalue of a is the negative of one "
            "of b (or nearly), or a number is not finite. In a derivative of sqrtm or logm: a singular matrix has none; add a "
            "small number to its diagonal, as in a + 1e-6 * np.eye(n)"
        )
    return y


def _transposed_solution(g: Any, a: Any, b: Any) -> Any:
    return solve_sylvester(transposed(a), transposed(b), g)


solve_sylvester.vjp(
    a=lambda g, y, a, b: sum_to(-(_transposed_solution(g, a, b) @ transposed(y)), a.shape),
    b=lambda g, y, a, b: sum_to(-(transposed(y) @ _transposed_solution(g, a, b)), b.shape),
    q=lambda g, a, b, q_shape: sum_to(_transposed_solution(g, a, b), q_shape),
)


def _steep(row: int) -> Callable[[Any], Any]:
    """A case's bands with large numbers on the diagonal, which is this row."""
    large = 4 * np.eye(3, dtype=np.float32)[row][:, None]
    return lambda a: a + large if a.shape == (3, 4) else a


def _moved(row: Any, steps: int) -> Any:
    """``row[j + steps]`` at each j, and 0 where there is no such element."""
    n = len(row)
    steps = max(-n, min(n, steps))
    nothing = np.zeros((abs(steps), *row.shape[1:]), row.dtype)
    return concatenate([row[steps:], nothing] if steps >= 0 else [nothing, row[:steps]])


@primitive(
    label="solve_banded",
    reference=lambda ab, b, bands: _banded_solver(bands, ab, b),
    cases=[
        Case(ab=reals(-1, 1, shape=(3, 4)), b=reals(shape=(4,)), bands=[(1, 1)], before=_steep(1)),
        Case(ab=reals(-1, 1, shape=(3, 4)), b=reals(shape=(4, 1)), bands=[(2, 0)], before=_steep(0)),
        Case(ab=complexes(-1, 1, shape=(3, 4)), b=complexes(shape=(4, 2)), bands=[(0, 2)], before=_steep(2)),
    ],
)
def _banded(ab: Array, b: Array, /, bands: tuple[int, int]) -> Array:
    """y = a⁻¹ b        ∂L/∂b = a⁻ᵀ g        ∂L/∂a = −(a⁻ᵀ g) yᵀ within the bands

    See `solve_banded`.
    """
    y: Array = lapack("solve_banded", SINGULAR, _banded_solver, bands, ab, b)
    return y


def _adjoint_banded(g: Any, ab: Any, bands: tuple[int, int]) -> Any:
    """The solution with aᵀ: its row k holds aᵀᵢⱼ with i − j = k − l, which stands in a in the row of the same diagonal."""
    lower, upper = bands
    rows = [_moved(ab[upper + lower - k], k - lower) for k in range(lower + upper + 1)]
    return _banded(stack(rows), g, (upper, lower))


def _bands_slope(g: Any, y: Any, ab: Any, bands: tuple[int, int]) -> Any:
    s = _adjoint_banded(g, ab, bands)
    rows = [-(_moved(s, k - bands[1]) * y) for k in range(bands[0] + bands[1] + 1)]
    return stack(rows) if y.ndim == 1 else sum(stack(rows), axis=-1)


_banded.vjp(ab=_bands_slope, b=lambda g, ab, bands: _adjoint_banded(g, ab, bands))


@spelling(method=False)
def solve_banded(l_and_u: tuple[int, int], ab: Any, b: Any) -> Any:
    """y = a⁻¹ b for a matrix a with few diagonals        ∂L/∂b = a⁻ᵀ g        ∂L/∂a = −(a⁻ᵀ g) yᵀ within the bands

    ``l_and_u`` says how many diagonals there are below and above the main one, and ``ab`` holds them in its rows, from above to
    below: ``ab[u + i - j, j] = a[i, j]``. ``b`` is a vector, or right-hand sides in columns. Its time is that of the length of b.
    What in ``ab`` is outside of the matrix is not looked at. Needs SciPy. Counterpart: ``scipy.linalg.solve_banded``.

    >>> import tinygrad_edu as tg
    >>> tg.solve_banded((1, 0), tg.Tensor([[2.0, 2.0, 2.0], [1.0, 1.0, 0.0]]), [2.0, 3.0, 5.0])
    Tensor([1., 1., 2.])
    """
    lower, upper = map(index, l_and_u)
    shape, sides, rows = np.shape(ab), np.shape(b), lower + upper + 1
    if lower < 0 or upper < 0 or len(shape) != 2 or shape[0] != rows or len(sides) not in (1, 2) or sides[0] != shape[1]:
        raise ShapeError(
            f"solve_banded: with {lower} diagonals below the main one and {upper} above, ab has shape ({rows}, n), and b has "
            f"(n,) or (n, k); got {shape} and {sides}"
        )
    return _banded(ab, b, (lower, upper))
