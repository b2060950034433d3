"""Moving elements along their axes: shifts, reflections and quarter turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(
    forward=np.roll,
    cases=[
        Case(a=reals(shape=("m", 3)), shift=[1, -4], axis=[None, 0, -1]),
        Case(a=reals(shape=(2, 3)), shift=[(1, 2), [1, -1]], axis=[(0, 1), (1, 1)]),
        Case(a=reals(shape=(2, 3)), shift=[1, (1, 4)], axis=[(0, -1)]),
        Case(a=complexes(shape=(3,)), shift=[1]),
    ],
)
def roll(a: Array, /, shift: Any, axis: Any = None) -> Array:
    """y = a, moved along by a number of places, around the end        ∂L/∂a = g, moved back

    ``axis`` is None (the flattened array), an integer or a tuple, with one shift for all or one for each. Counterpart:
    ``numpy.roll``, ``torch.roll``.

    >>> import tinygrad_edu as tg
    >>> tg.roll(tg.Tensor([1.0, 2.0, 3.0]), 1)
    Tensor([3., 1., 2.])
    """


roll.vjp(a=lambda g, shift, axis: roll(g, np.negative(shift), axis))


@primitive(
    forward=np.flip,
    cases=[
        Case(a=reals(shape=(2, "m", 2)), axis=[None, 0, -1, (0, 2), ()]),
        Case(a=reals(shape=())),
        Case(a=complexes(shape=(3,))),
    ],
)
def flip(a: Array, /, axis: Any = None) -> Array:
    """y = a in reverse order along its axes, or those named        ∂L/∂a = g in reverse order

    The result is a view. Counterpart: ``numpy.flip``, ``torch.flip``.

    >>> import tinygrad_edu as tg
    >>> tg.flip(tg.Tensor([1.0, 2.0, 3.0]))
    Tensor([3., 2., 1.])
    """


flip.vjp(a=lambda g, axis: flip(g, axis))


@composite(numpy=np.flipud, cases=[Case(a=reals(shape=(3, 2))), Case(a=reals(shape=(3,)))])
def flipud(a: Any, /) -> Any:
    """y = a with its rows in reverse order        ∂L/∂a = g with its rows in reverse order

    A ``flip`` along axis 0. Counterpart: ``numpy.flipud``, ``torch.flipud``.

    >>> import tinygrad_edu as tg
    >>> tg.flipud(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[3., 4.],
            [1., 2.]])
    """
    return flip(a, 0)


@composite(numpy=np.fliplr, cases=[Case(a=reals(shape=(2, 3))), Case(a=reals(shape=(2, 2, 2)))])
def fliplr(a: Any, /) -> Any:
    """y = a with its columns in reverse order        ∂L/∂a = g with its columns in reverse order

    A ``flip`` along axis 1. Counterpart: ``numpy.fliplr``, ``torch.fliplr``.

    >>> import tinygrad_edu as tg
    >>> tg.fliplr(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[2., 1.],
            [4., 3.]])
    """
    return flip(a, 1)


@primitive(
    forward=np.rot90,
    cases=[Case(a=reals(shape=(2, 3)), k=[0, 1, 2, -1, 5]), Case(a=reals(shape=(2, 2, 2)), k=[1], axes=[(1, 2), (-1, 0)])],
)
def rot90(a: Array, /, k: int = 1, axes: Any = (0, 1)) -> Array:
    """y = a after k quarter turns from the first axis to the second        ∂L/∂a = g, turned back

    The result is a view. Counterpart: ``numpy.rot90``, ``torch.rot90``.

    >>> import tinygrad_edu as tg
    >>> tg.rot90(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[2., 4.],
            [1., 3.]])
    """


rot90.vjp(a=lambda g, k, axes: rot90(g, -k, axes))
