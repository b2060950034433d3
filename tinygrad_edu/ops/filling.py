"""Arrays that are filled from given numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.cuts import mark_cut
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.graph import Variable, as_variable
from tinygrad_edu.ops.arithmetic import positive
from tinygrad_edu.ops.indexing import axis_of
from tinygrad_edu.ops.reduction import as_operand, broadcast_to
from tinygrad_edu.ops.shape import astype, moveaxis
from tinygrad_edu.registry import Case, complexes, composite, reals, spelling


@composite(
    numpy=np.linspace,
    method=False,
    cases=[
        Case(start=reals(shape=("n",)), stop=reals(shape=(2, 1)), num=[0, 1, 2, 4], endpoint=[True, False], axis=[0, -1]),
        Case(start=reals(shape=()), stop=complexes(shape=()), num=[3]),
    ],
)
def linspace(start: Any, stop: Any, /, num: int = 50, endpoint: bool = True, axis: int = 0) -> Any:
    """y = (1 − t) start + t stop, for t = 0, …, 1 in equal steps        ∂L/∂start = Σ g (1 − t)        ∂L/∂stop = Σ g t

    ``num`` numbers along a new ``axis``; without ``endpoint`` the last of num + 1 is left out. Shapes broadcast. Counterpart:
    ``numpy.linspace``, ``torch.linspace``.

    >>> import tinygrad_edu as tg
    >>> tg.linspace(tg.Tensor(1.0), 3.0, 5)
    Tensor([1. , 1.5, 2. , 2.5, 3. ])
    """
    if num < 0:
        raise ArgumentError(f"linspace: num counts numbers, so it is not negative, got {num}")
    start, stop = as_operand(start), as_operand(stop)
    shape = np.broadcast_shapes(start.shape, stop.shape)
    dtype = np.result_type(start.dtype, stop.dtype, 0.0)
    t = np.linspace(0, 1, num, endpoint, dtype=np.empty(0, dtype).real.dtype).reshape(num, *[1] * len(shape))
    y = (1 - t) * start + t * stop
    place = axis_of("linspace", (num, *shape), axis)
    return moveaxis(y, 0, place) if place else y


@spelling(np.full_like, method=False)  # which NumPy asks for where `a` is a tensor, but not where only the value is one
@composite(
    reference=np.full_like,
    method=False,
    cases=[
        Case(a=np.zeros((2, 3), np.float32), fill_value=reals(shape=()), shape=[None, (4,), ()]),
        Case(a=np.zeros((2, 3), np.float32), fill_value=reals(shape=(3,))),
        Case(a=np.zeros(2, np.complex64), fill_value=complexes(shape=())),
    ],
)
def full_like(a: Any, fill_value: Any, /, dtype: Any = None, shape: Any = None) -> Any:
    """y = fill_value, in the shape and the precision of a        ∂L/∂fill_value = Σ g

    Nothing of ``a`` is used but its shape and dtype, instead of which others can be given. Counterpart: ``numpy.full_like``,
    ``torch.full_like``.

    >>> import tinygrad_edu as tg
    >>> tg.full_like(tg.Tensor([1.0, 2.0]), 7)
    Tensor([7., 7.])
    """
    a = as_operand(a)
    shape = a.shape if shape is None else shape
    if isinstance(fill_value, Variable):
        return broadcast_to(astype(fill_value, dtype or a.dtype), tuple(np.atleast_1d(shape)))
    y = np.full(shape, fill_value, dtype or a.dtype)
    return mark_cut(as_variable(type(a), y), "full_like", a) if isinstance(a, Variable) else y


@spelling(np.copy, aliases=("clone",))
def copy(a: Any, /) -> Any:
    """y = a        ∂L/∂a = g

    Results of operations never change, so that a copy is needed only to be changed itself. Counterpart: ``numpy.copy``,
    ``torch.clone``.

    >>> import tinygrad_edu as tg
    >>> tg.copy(tg.Tensor([1.0, 2.0]))
    Tensor([1., 2.])
    """
    if not isinstance(a, Variable):
        return np.array(a)
    return as_variable(type(a), a._data.copy()) if a._data.dtype == np.bool_ else positive(a)
