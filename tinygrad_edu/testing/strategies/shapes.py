"""Shapes: free ones, those that broadcast, and those that a matrix product takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.registry import Reals
from tinygrad_edu.testing.arguments import SHAPE, checked, ordered, whole
from tinygrad_edu.testing.lazy import composite, hypothesis

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tinygrad_edu.graph import Array, Shape


SIDES = {"min_side": whole(0), "max_side": whole(0)}


@checked(ordered("min_dims", "max_dims"), ordered("min_side", "max_side"), min_dims=whole(0), max_dims=whole(0), **SIDES)
@composite
def shapes(draw: Any, *, min_dims: int = 0, max_dims: int = 3, min_side: int = 1, max_side: int = 3) -> Shape:
    """Shapes, by default of up to three axes of length 1 to 3; ``min_side=0`` includes empty ones. Few are scalars, and few axes
    have length 1: most mistakes do not show there.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.shapes(), lambda shape: len(shape) == 2 and shape[1] > 1)
    (1, 2)
    """
    st = hypothesis().strategies
    numbers = [min_dims, *3 * [*range(max(min_dims, 1), max_dims + 1)]]
    return tuple(draw(sides(min_side, max_side)) for _ in range(draw(st.sampled_from(numbers))))


def sides(smallest: int, largest: int) -> SearchStrategy[int]:
    """Lengths of an axis, of which 0 and 1 are the rare ones. It shrinks to 1."""
    long = list(range(max(smallest, 2), largest + 1))
    short = [n for n in (1, 0) if smallest <= n <= largest]
    return hypothesis().strategies.sampled_from([*short[:1], *2 * long, *short[1:]])  # type: ignore[no-any-return]


@checked(ordered("min_side", "max_side"), count=whole(0), base=SHAPE, max_dims=whole(0), **SIDES)
@composite
def broadcastable_shapes(
    draw: Any, count: int = 2, *, base: Shape = (), max_dims: int = 3, min_side: int = 1, max_side: int = 3
) -> tuple[Shape, ...]:
    """Several shapes that broadcast with each other, and with ``base``. Most have all axes of the result. ``min_side`` is of the
    result: an axis that is stretched has length 1, whatever it is.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.broadcastable_shapes(), lambda pair: len(pair[0]) > len(pair[1]))
    ((1,), ())
    """
    st = hypothesis().strategies
    result = draw(shapes(max_dims=max_dims, min_side=min_side, max_side=max_side))
    fixed = (1,) * (len(result) - len(base)) + base[max(0, len(base) - len(result)) :]
    result = tuple(n if n_base == 1 else n_base for n, n_base in zip(result, fixed, strict=True))
    found = []
    for _ in range(count):
        axes = draw(st.sampled_from([*range(len(result)), *[len(result)] * (len(result) + 1)]))
        found.append(tuple(1 if draw(st.integers(0, 4)) == 0 else n for n in result[len(result) - axes :]))
    return tuple(found)


@checked(ordered("min_side", "max_side"), max_dims=whole(0), **SIDES)
@composite
def matmul_shapes(draw: Any, *, max_dims: int = 2, min_side: int = 1, max_side: int = 3) -> tuple[Shape, Shape]:
    """Two shapes that ``a @ b`` takes: of vectors, matrices, and stacks of matrices, whose leading axes (up to ``max_dims``)
    broadcast.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.matmul_shapes(), lambda pair: len(pair[0]) == 3 and len(pair[1]) == 1)
    ((1, 1, 1), (1,))
    """
    made = hypothesis().extra.numpy.mutually_broadcastable_shapes(
        signature=np.matmul.signature, max_dims=max_dims, min_side=min_side, max_side=max_side
    )
    a, b = draw(made).input_shapes
    return a, b


def _no_shape(given: dict[str, Any]) -> str | None:
    from tinygrad_edu.testing.strategies.arrays import arrays

    if "shape" in given["options"]:
        return "the shapes are those of matmul_shapes(); draw from it, and then from arrays(), for others"
    arrays(given["domain"], **given["options"])  # which refuses what it cannot take
    return None


@checked(_no_shape)
@composite
def matmul_operands(draw: Any, /, domain: Reals | None = None, **options: Any) -> tuple[Array, Array]:
    """Two arrays that ``a @ b`` takes: those of `arrays`, in the shapes of `matmul_shapes`.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.matmul_operands(), lambda pair: pair[0].ndim == 2 > pair[1].ndim)
    (array([[0.]]), array([0.]))
    """
    from tinygrad_edu.testing.strategies.arrays import arrays

    a, b = draw(matmul_shapes())
    return draw(arrays(domain, a, **options)), draw(arrays(domain, b, **options))
