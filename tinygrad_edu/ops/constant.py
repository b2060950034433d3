"""Functions without a derivative: piecewise constant, or about the order, the kind or the place of numbers. They compute with
NumPy and return constants."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.graph import Variable, as_variable
from tinygrad_edu.registry import spelling
from tinygrad_edu.tree import leaves, mapped


def _constant(function: Callable[..., Any], *numpy: Any, aliases: tuple[str, ...] = ()) -> Callable[..., Any]:
    """NumPy's function, as one that takes tensors too and then returns constant tensors."""

    @functools.wraps(function, assigned=("__name__", "__qualname__"), updated=())
    def call(*args: Any, **options: Any) -> Any:
        cls = next((type(value) for value in leaves((args, options)) if isinstance(value, Variable)), None)
        args, options = mapped(lambda value: value._data if isinstance(value, Variable) else value, (args, options))
        y = function(*args, **options)
        return y if cls is None else mapped(functools.partial(as_variable, cls), y)

    call.__doc__ = f"""As ``numpy.{function.__name__}``, with NumPy's arguments. A constant: it has no derivative, or a zero one."""
    call.__module__ = __name__
    return spelling(function, *numpy, aliases=aliases)(call)


floor = _constant(np.floor)
ceil = _constant(np.ceil)
rint = _constant(np.rint)
trunc = _constant(np.trunc, np.fix, aliases=("fix",))
round = _constant(np.round, np.around, aliases=("around",))
floor_divide = _constant(np.floor_divide)
isnan = _constant(np.isnan)
isinf = _constant(np.isinf)
isfinite = _constant(np.isfinite)
isposinf = _constant(np.isposinf)
isneginf = _constant(np.isneginf)
signbit = _constant(np.signbit)
logical_and = _constant(np.logical_and)
logical_or = _constant(np.logical_or)
logical_xor = _constant(np.logical_xor)
logical_not = _constant(np.logical_not)
all = _constant(np.all, np.logical_and.reduce)
any = _constant(np.any, np.logical_or.reduce)
isclose = _constant(np.isclose)
argmax = _constant(np.argmax)
argmin = _constant(np.argmin)
nanargmax = _constant(np.nanargmax)
nanargmin = _constant(np.nanargmin)
argsort = _constant(np.argsort)
argpartition = _constant(np.argpartition)
argwhere = _constant(np.argwhere)
nonzero = _constant(np.nonzero)
flatnonzero = _constant(np.flatnonzero)
count_nonzero = _constant(np.count_nonzero)
searchsorted = _constant(np.searchsorted)
digitize = _constant(np.digitize)
bitwise_and = _constant(np.bitwise_and)
bitwise_or = _constant(np.bitwise_or)
bitwise_xor = _constant(np.bitwise_xor)
bitwise_not = _constant(np.bitwise_not)
matrix_rank = _constant(np.linalg.matrix_rank)
