"""Polynomials and the matrices of powers that belong to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops.linalg import matmul
from tinygrad_edu.ops.reduction import sum
from tinygrad_edu.ops.shape import ravel
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(
    numpy=np.vander,
    cases=[
        Case(x=reals(shape=(2,)), N=[3, 1, 0], increasing=[False, True]),
        Case(x=reals(shape=("n",))),
        Case(x=complexes(shape=(2,)), N=[3], increasing=[True]),
    ],
)
def vander(x: Array, /, N: int | None = None, increasing: bool = False) -> Array:  # noqa: N803 - NumPy's name
    """yᵢⱼ = xᵢᴺ⁻¹⁻ʲ, or xᵢʲ        ∂L/∂x = Σⱼ g k xᵢᵏ⁻¹, where k is the power

    The N first powers of a vector in columns (as many as it has elements), falling or ``increasing``. float32 stays float32.
    Counterpart: ``numpy.vander``, ``torch.linalg.vander``.

    >>> import tinygrad_edu as tg
    >>> tg.vander(tg.Tensor([2.0, 3.0]), 3)
    Tensor([[4., 2., 1.],
            [9., 3., 1.]])
    """
    x = np.asarray(x)
    if x.ndim != 1:
        raise ShapeError(f"vander: a vector of numbers, got shape {x.shape}")
    y: Array = np.vander(x, N, increasing)
    return y.astype(x.dtype) if x.dtype.kind in "fc" else y


def _vander_slope(g: Any, x: Any, N: int | None, increasing: bool) -> Any:  # noqa: N803
    n = len(x) if N is None else N
    if n == 0:
        return sum(g, axis=1)
    powers = np.arange(1, n).astype(x.dtype)
    if increasing:
        return sum(g[:, 1:] * vander(x, n - 1, True) * powers, axis=1)
    return sum(g[:, :-1] * vander(x, n - 1) * powers[::-1], axis=1)


vander.vjp(x=_vander_slope)


@primitive(
    numpy=np.polyval,
    method=False,
    cases=[
        Case(p=reals(shape=(3,)), x=reals(shape=(2,))),
        Case(p=reals(shape=("n",)), x=reals(shape=())),
        Case(p=reals(shape=(2,)), x=reals(shape=(2, 1))),
        Case(p=complexes(shape=(3,)), x=complexes(shape=(2,))),
    ],
)
def polyval(p: Array, x: Array, /) -> Array:
    """y = p₀ xⁿ + … + pₙ        ∂L/∂x = g p′(x)        ∂L/∂pₖ = Σ g xⁿ⁻ᵏ

    The polynomial with the coefficients p, those of the highest power first, at every element of x. Counterpart:
    ``numpy.polyval``.

    >>> import tinygrad_edu as tg
    >>> tg.polyval(tg.Tensor([1.0, 0.0, -1.0]), [2.0, 3.0])
    Tensor([3., 8.])
    """
    if np.ndim(p) != 1:
        raise ShapeError(f"polyval: the coefficients are a vector, got shape {np.shape(p)}")
    return np.polyval(p, x)


def _derivative(p: Any) -> Any:
    """The coefficients of the polynomial's derivative."""
    return p[:-1] * np.arange(len(p) - 1, 0, -1).astype(p.dtype)


polyval.vjp(
    p=lambda g, x, p_shape: matmul(ravel(g), vander(ravel(x), p_shape[0])),
    x=lambda g, p, x: g * polyval(_derivative(p), x),
)
