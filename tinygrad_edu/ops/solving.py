"""Inverses and linear equations with square matrices."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.diagonals import tril, triu
from tinygrad_edu.ops.indexing import axis_of
from tinygrad_edu.ops.lapack import conjugated, lapack, require_square, transposed
from tinygrad_edu.ops.reduction import sum_to
from tinygrad_edu.ops.shape import expand_dims, reshape, transpose
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Lazy, complexes, composite, reals, spelling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinygrad_edu.graph import Array, Shape

SINGULAR = (
    "A singular matrix has no inverse: its rows, or columns, depend on each other. For the solution of smallest error and length "
    "use lstsq or pinv; or add a small number to the diagonal, as in a + 1e-6 * np.eye(n)"
)


def regular(a: Any) -> Any:
    """A case's matrices made invertible; vectors and matrices that are not 2 by 2 as they are."""
    return a + 4 * np.eye(2, dtype=np.float32) if a.shape[-2:] == (2, 2) else a


_TWO = [
    Case(a=reals(-1, 1, shape=(2, 2)), before=regular),
    Case(a=reals(-1, 1, shape=(2, 2, 2)), before=regular),
    Case(a=complexes(-1, 1, shape=(2, 2)), before=regular),
    Case(a=reals(shape=(0, 0))),
]


@primitive(numpy=np.linalg.inv, cases=_TWO)
def inv(a: Array, /) -> Array:
    """y = a⁻¹        ∂L/∂a = −yᵀ g yᵀ

    Square matrices in the last two axes. To solve equations, `solve` is faster and more accurate. A singular matrix raises
    `MatrixError`. Counterpart: ``numpy.linalg.inv``, ``torch.linalg.inv``.

    >>> import tinygrad_edu as tg
    >>> tg.inv(tg.Tensor([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    require_square("inv", a)
    y: Array = lapack("inv", SINGULAR, np.linalg.inv, a)
    return y


inv.vjp(a=lambda g, y: -(transposed(y) @ g @ transposed(y)))


# ---------------------------------------------------------------------------------------------------------- equations


@primitive(
    numpy=np.linalg.solve,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), b=reals(shape=(2,)), before=regular),
        Case(a=reals(-1, 1, shape=(2, 2)), b=reals(shape=(2, 1)), before=regular),
        Case(a=reals(-1, 1, shape=(2, 2, 2)), b=reals(shape=(2,)), before=regular),
        Case(a=reals(-1, 1, shape=(2, 1, 2, 2)), b=reals(shape=(2, 2, 1)), before=regular),
        Case(a=reals(-1, 1, shape=(2, 2)), b=reals(shape=(2, 2, 1)), before=regular),
        Case(a=complexes(-1, 1, shape=(2, 2)), b=complexes(shape=(2, 1)), before=regular),
        Case(a=reals(-1, 1, shape=(2, 2)), b=complexes(shape=(2,)), before=regular),
    ],
)
def solve(a: Array, b: Array, /) -> Array:
    """y = a⁻¹ b        ∂L/∂b = a⁻ᵀ g        ∂L/∂a = −(a⁻ᵀ g) yᵀ

    ``a`` holds square matrices in its last two axes. A 1-D ``b`` is one right-hand side; any other holds them in the columns of
    its last two axes, as in NumPy 2. Leading axes broadcast. A singular matrix raises `MatrixError`. Counterpart:
    ``numpy.linalg.solve``, ``torch.linalg.solve``.

    >>> import tinygrad_edu as tg
    >>> tg.solve(tg.Tensor([[2.0, 0.0], [0.0, 4.0]]), [1.0, 1.0])
    Tensor([0.5 , 0.25])
    """
    _check_sides("solve", a, b)
    y: Array = lapack("solve", SINGULAR, np.linalg.solve, a, b)
    return y


def _check_sides(name: str, a: Any, b: Any) -> None:
    require_square(name, a)
    n, shape = np.shape(a)[-1], np.shape(b)
    if not shape or shape[-1 if len(shape) == 1 else -2] != n:
        raise ShapeError(
            f"{name}: a of shape {np.shape(a)} wants right-hand sides of length {n}: b of shape ({n},) for one, or (..., {n}, k) "
            f"for k of them in columns; got shape {shape}"
            + (f"; for a batch of vectors write {name}(a, b[..., None])[..., 0]" if len(shape) > 1 and shape[-1] == n else "")
        )


def _columns(x: Any, b_shape: Shape) -> Any:
    """What has the shape of a solution, as columns also where there was one right-hand side."""
    return expand_dims(x, -1) if len(b_shape) == 1 else x


def _side(columns: Any, b_shape: Shape) -> Any:
    """The columns that belong to b as they were given, summed where b was broadcast."""
    return sum_to(reshape(columns, columns.shape[:-1]) if len(b_shape) == 1 else columns, b_shape)


def _pairs(w: Any, y: Any, b_shape: Shape) -> Any:
    """−w yᵀ, where w are the columns of the cotangent's solution: what an element of a changes."""
    return -(w @ transposed(_columns(y, b_shape)))


def _backwards(g: Any, a: Any, b_shape: Shape) -> Any:
    return solve(transposed(a), _columns(g, b_shape))


solve.vjp(
    a=lambda g, y, a, b_shape: sum_to(_pairs(_backwards(g, a, b_shape), y, b_shape), a.shape),
    b=lambda g, a, b_shape: _side(_backwards(g, a, b_shape), b_shape),
)


_TRANSPOSED = {0: 0, "N": 0, 1: 1, "T": 1, 2: 2, "C": 2}


def _plain_triangular(a: Array, b: Array, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False) -> Array:
    """The triangular matrix written out and given to the general solver."""
    t = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        t = np.where(np.eye(t.shape[-1], dtype=bool), t.dtype.type(1), t)
    t = [t, t.mT, t.mT.conj()][_TRANSPOSED[trans]]
    return np.linalg.solve(t, b)


_scipy_triangular = Lazy("scipy.linalg", "solve_triangular")


@primitive(
    reference=_plain_triangular,
    cases=[
        Case(
            a=reals(-1, 1, shape=(2, 2)),
            b=reals(shape=(2, 1)),
            trans=[0, 1, "C"],
            lower=[False, True],
            unit_diagonal=[False, True],
            before=regular,
        ),
        Case(a=reals(-1, 1, shape=(2, 2)), b=reals(shape=(2,)), lower=[True], before=regular),
        Case(a=reals(-1, 1, shape=(2, 2, 2)), b=reals(shape=(2, 1)), trans=["N", "T"], before=regular),
        Case(a=complexes(-1, 1, shape=(2, 2)), b=complexes(shape=(2,)), trans=[0, 1, 2], lower=[True, False], before=regular),
    ],
)
def solve_triangular(a: Array, b: Array, /, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False) -> Array:
    """y = a⁻¹ b for a triangular a        ∂L/∂b = a⁻ᵀ g        ∂L/∂a = −(a⁻ᵀ g) yᵀ in the triangle

    Only the upper triangle of ``a`` is looked at, or the ``lower`` one, and with ``unit_diagonal`` its diagonal is taken to be 1.
    ``trans`` 1 or "T" solves with aᵀ, 2 or "C" with the conjugate of it. Shapes as in `solve`. Large
    matrices are quicker with SciPy installed. Counterpart: ``scipy.linalg.solve_triangular``, ``torch.linalg.solve_triangular``.

    >>> import tinygrad_edu as tg
    >>> tg.solve_triangular(tg.Tensor([[2.0, 0.0], [1.0, 4.0]]), [2.0, 9.0], lower=True)
    Tensor([1., 2.])
    """
    if trans not in _TRANSPOSED:
        raise ArgumentError(f"solve_triangular: trans is 0, 1, 2 or N, T, C, and not {trans!r}")
    a, b = np.asarray(a), np.asarray(b)
    _check_sides("solve_triangular", a, b)
    advice = "A triangular matrix with a 0 on its diagonal is singular"
    if a.ndim == 2 and b.ndim <= 2 and len(a) >= 64 and b.size and find_spec("scipy"):  # for small ones the call costs more
        options = {"trans": trans, "lower": lower, "unit_diagonal": unit_diagonal, "check_finite": False}
        return lapack("solve_triangular", advice, _scipy_triangular, a, b, **options)  # type: ignore[no-any-return]
    return lapack("solve_triangular", advice, _plain_triangular, a, b, trans, lower, unit_diagonal)  # type: ignore[no-any-return]


def _backwards_in_triangle(g: Any, a: Any, b_shape: Shape, trans: Any, lower: bool, unit_diagonal: bool) -> Any:
    g = _columns(g, b_shape)
    if _TRANSPOSED[trans] < 2:
        return solve_triangular(a, g, 1 - _TRANSPOSED[trans], lower, unit_diagonal)
    return conjugated(solve_triangular(a, conjugated(g), 0, lower, unit_diagonal))


def _triangular_slope(g: Any, y: Any, a: Any, b_shape: Shape, trans: Any, lower: bool, unit_diagonal: bool) -> Any:
    full = _pairs(_backwards_in_triangle(g, a, b_shape, trans, lower, unit_diagonal), y, b_shape)
    full = [full, transposed(full), conjugated(transposed(full))][_TRANSPOSED[trans]]
    return sum_to(tril(full, -unit_diagonal) if lower else triu(full, unit_diagonal), a.shape)


solve_triangular.vjp(
    a=_triangular_slope,
    b=lambda g, a, b_shape, trans, lower, unit_diagonal: _side(
        _backwards_in_triangle(g, a, b_shape, trans, lower, unit_diagonal), b_shape
    ),
)


@spelling(method=False)
def cho_solve(c_and_lower: tuple[Any, bool], b: Any) -> Any:
    """The solution of a y = b, where a was factored before: ``c_and_lower`` is its Cholesky factor, and whether that is lower.

    Counterpart: ``scipy.linalg.cho_solve``, ``torch.cholesky_solve``.

    >>> import tinygrad_edu as tg
    >>> factor = tg.cholesky(tg.Tensor([[4.0, 2.0], [2.0, 5.0]]))
    >>> tg.cho_solve((factor, True), [8.0, 12.0])
    Tensor([1., 2.])
    """
    factor, lower = c_and_lower
    first = solve_triangular(factor, b, trans=0 if lower else 2, lower=lower)
    return solve_triangular(factor, first, trans=2 if lower else 0, lower=lower)


@composite(
    numpy=np.linalg.tensorinv,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), ind=[1], before=regular),
        Case(a=reals(-1, 1, shape=(4, 2, 2)), ind=[1], before=lambda a: a + 5 * np.eye(4, dtype=np.float32).reshape(4, 2, 2)),
    ],
)
def tensorinv(a: Any, /, ind: int = 2) -> Any:
    """y = the inverse of a as a map from its last axes to its first ``ind``        ∂L/∂a = −yᵀ g yᵀ, read likewise

    Counterpart: ``numpy.linalg.tensorinv``, ``torch.linalg.tensorinv``.

    >>> import tinygrad_edu as tg
    >>> tg.tensorinv(tg.Tensor([[[2.0, 0.0]], [[0.0, 4.0]]]), ind=1).shape
    (1, 2, 2)
    """
    shape = np.shape(a)
    if ind < 1 or math.prod(shape[:ind]) != math.prod(shape[ind:]):
        raise ShapeError(
            f"tensorinv: ind={ind} parts the shape {shape} into {shape[:ind]} and {shape[ind:]}, which must have equal products"
        )
    rows = math.prod(shape[ind:])
    return reshape(inv(reshape(a, (rows, rows))), shape[ind:] + shape[:ind])


@composite(
    numpy=np.linalg.tensorsolve,
    cases=[
        Case(a=reals(-1, 1, shape=(2, 2)), b=reals(shape=(2,)), before=regular),
        Case(
            a=reals(-1, 1, shape=(4, 2, 2)),
            b=reals(shape=(4,)),
            before=lambda a: a + 5 * np.eye(4, dtype=np.float32).reshape(4, 2, 2) if a.ndim == 3 else a,
        ),
        Case(
            a=reals(-1, 1, shape=(2, 4, 2)),
            b=reals(shape=(4,)),
            axes=[(0,)],
            before=lambda a: a + 5 * np.eye(4, dtype=np.float32).reshape(4, 2, 2).transpose(2, 0, 1) if a.ndim == 3 else a,
        ),
    ],
)
def tensorsolve(a: Any, b: Any, /, axes: Sequence[int] | None = None) -> Any:
    """y with a y = b, summed over all axes of y        ∂L/∂b = a⁻ᵀ g        ∂L/∂a = −(a⁻ᵀ g) yᵀ

    The first axes of ``a`` are those of ``b``, the others those of y; ``axes`` are moved to the end before. Counterpart:
    ``numpy.linalg.tensorsolve``, ``torch.linalg.tensorsolve``.

    >>> import tinygrad_edu as tg
    >>> tg.tensorsolve(tg.Tensor([[[2.0, 0.0]], [[0.0, 4.0]]]), [1.0, 1.0])
    Tensor([[0.5 , 0.25]])
    """
    if axes is not None:
        last = [axis_of("tensorsolve", np.shape(a), axis) for axis in axes]
        a = transpose(a, (*[axis for axis in range(np.ndim(a)) if axis not in last], *last))
    shape = np.shape(a)[np.ndim(b) :]
    rows = math.prod(shape)
    if np.size(a) != rows**2 or np.size(b) != rows:
        raise ShapeError(
            f"tensorsolve: a of shape {np.shape(a)} and b of shape {np.shape(b)}: y would have shape {shape}, and there must be as "
            "many equations, that is elements of b, as elements of y"
        )
    return reshape(solve(reshape(a, (rows, rows)), reshape(b, -1)), shape)
