"""Indexing and its adjoint: reading elements and adding elements up where they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape

KEYS: list[Any] = [  # every kind of index, for an array of shape (3, 4)
    1,
    -1,
    slice(1, None),
    (slice(None), slice(None, None, -2)),
    (..., 0),
    (None, 2),
    (1, 2),
    [0, 2],
    np.array([1, 1, 1]),
    ((0, 0, 1),),
    (np.array([0, 2, 0]), np.array([1, 3, 1])),
    (np.array([[0], [2]]), np.array([1, 1])),
    (slice(None), np.array([-1, 3])),
    (np.array([0, 0]), slice(1, 3)),
    np.array([True, False, True]),
    np.arange(12).reshape(3, 4) % 5 == 1,
    (slice(None), np.array([False, True, True, False])),
    np.zeros((0,), dtype=int),
]


def _may_repeat(key: Any) -> bool:
    """Whether an index can read one element twice: these parts cannot, and of anything else it is not asked."""
    return not all(
        part is None or part is ... or isinstance(part, int | np.integer | slice) or getattr(part, "dtype", None) == np.bool_
        for part in (key if isinstance(key, tuple) else (key,))
    )


@primitive(
    label="x[i]",
    cases=[Case(a=reals(shape=(3, 4)), key=KEYS), Case(a=reals(shape=()), key=[(), ..., None])],
    reference=lambda a, key: a[key],
)
def getitem(a: Array, /, key: Any) -> Array:
    """y = a[key]        ∂L/∂a = zeros, to which g is added at [key]: an element that was read twice gets both

    ``key`` is anything that NumPy indexes with: integers, slices, ``...``, None, integer and boolean arrays, tuples of
    them. ``x[key]`` is the same. Counterpart: indexing in NumPy.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> x[[0, 0, 2]].sum().backward()
    >>> x.grad
    Tensor([2., 0., 1.])
    """
    y: Array = a[key]
    return y


getitem.vjp(a=lambda g, a_shape, key: scatter_add(g, key, a_shape))


def _plain_scatter_add(a: Array, key: Any, shape: Shape) -> Array:
    y = np.zeros(shape)
    np.add.at(y, key, a)
    return y


@primitive(
    label="scatter +",
    cases=[
        Case(a=reals(shape=(3,)), key=[np.array([4, 1, 4]), slice(0, 3), np.array([1, 0, 1, 1, 0]) > 0], shape=[(5,)]),
        Case(a=reals(shape=(2, 2)), key=[np.array([1, 1]), np.array([0, 2])], shape=[(3, 2)]),
        Case(a=reals(shape=(2, 2)), key=[(slice(None), slice(1, 3)), (slice(None), [1, 1])], shape=[(2, 4)]),
    ],
    reference=_plain_scatter_add,
)
def scatter_add(a: Array, /, key: Any, shape: Shape) -> Array:
    """y = zeros of the shape, to which a is added at [key]        ∂L/∂a = g[key]

    The adjoint of indexing: an element that ``key`` names twice receives both. Counterpart: ``numpy.add.at`` on zeros,
    ``torch.Tensor.index_put(accumulate=True)``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.scatter_add(tg.Tensor([1.0, 2.0, 3.0]), np.array([0, 0, 2]), (4,))
    Tensor([3., 0., 3., 0.])
    """
    y = np.zeros(shape, np.asarray(a).dtype)
    if _may_repeat(key):
        np.add.at(y, key, a)
    else:
        y[key] += a
    return y


scatter_add.vjp(a=lambda g, key: getitem(g, key))
