"""Square matrices with what an operation of linear algebra needs of them. They shrink to 0 or to the identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.registry import complexes, reals
from tinygrad_edu.testing.arguments import NONE, SHAPE, STRATEGY, Kind, checked, whole
from tinygrad_edu.testing.lazy import composite, drawn, elements, hypothesis
from tinygrad_edu.testing.strategies.arrays import arrays

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


MATRICES = {"n": whole(1) | STRATEGY | NONE, "batch": SHAPE}
CONDITION = Kind("a number from 1 on", lambda value: np.ndim(value) == 0 and value >= 1)


def _size(draw: Any, n: Any) -> int:
    size: int = draw(hypothesis().strategies.integers(1, 4)) if n is None else drawn(draw, n)
    return size


def _dagger(a: Array) -> Array:
    return np.conj(np.swapaxes(a, -1, -2))


def _entries(draw: Any, shape: tuple[int, ...], complex: bool) -> Array:
    entries: Array = draw(arrays(complexes(-1, 1) if complex else reals(-1, 1), shape))
    return entries


@checked(**MATRICES)
@composite
def symmetric(draw: Any, n: Any = None, *, batch: tuple[int, ...] = (), complex: bool = False) -> Array:
    """Symmetric (or, with ``complex=True``, Hermitian) matrices of shape (*batch, n, n), with elements of size 1; ``n`` is a
    number, a strategy for one, or by default 1 to 4.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.symmetric(2), lambda a: a[0, 1] > 0.3)
    array([[1., 1.],
           [1., 1.]])
    """
    n = _size(draw, n)
    a = _entries(draw, (*batch, n, n), complex)
    return (a + _dagger(a)) / 2


@checked(**MATRICES)
@composite
def orthogonal(draw: Any, n: Any = None, *, batch: tuple[int, ...] = (), complex: bool = False) -> Array:
    """Orthogonal (or unitary) matrices: Cayley transforms (1 − a)⁻¹ (1 + a) of skew-symmetric a, with signs for the columns, so
    that reflections are among them.

    >>> from hypothesis import find
    >>> import numpy as np
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.orthogonal(2), lambda q: np.linalg.det(q) < 0)
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    n = _size(draw, n)
    a = _entries(draw, (*batch, n, n), complex)
    skew = (a - _dagger(a)) / 2
    eye = np.eye(n)
    signs = elements(draw, (n,), hypothesis().strategies.sampled_from([1.0, -1.0]))
    return np.asarray(np.linalg.solve(eye - skew, eye + skew) * signs + 0.0)  # no -0.


@checked(condition=CONDITION, **MATRICES)
@composite
def positive_definite(
    draw: Any, n: Any = None, *, condition: float = 10.0, batch: tuple[int, ...] = (), complex: bool = False
) -> Array:
    """Symmetric (or Hermitian) positive definite matrices with eigenvalues from 1 to ``condition``.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.positive_definite(2), lambda a: True)
    array([[1., 0.],
           [0., 1.]])
    """
    n = _size(draw, n)
    q = draw(orthogonal(n, batch=batch, complex=complex))
    a = q * draw(arrays(reals(1, condition), (*batch, 1, n))) @ _dagger(q)
    return np.asarray((a + _dagger(a)) / 2)


@checked(condition=CONDITION, **MATRICES)
@composite
def well_conditioned(
    draw: Any, n: Any = None, *, condition: float = 10.0, batch: tuple[int, ...] = (), complex: bool = False
) -> Array:
    """Invertible square matrices with singular values from 1 to ``condition``: the condition number is at most that.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.well_conditioned(2), lambda a: a[1, 1] > 1)
    array([[2., 0.],
           [0., 2.]])
    """
    n = _size(draw, n)
    u, v = [draw(orthogonal(n, batch=batch, complex=complex)) for _ in range(2)]
    return np.asarray(u * draw(arrays(reals(1, condition), (*batch, 1, n))) @ _dagger(v))
