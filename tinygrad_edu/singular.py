"""Where a derivative is infinite: a zero cotangent wins, unless IEEE arithmetic is asked for.

In ``where(x > 0, log(x), 0)`` the logarithm at x = 0 is computed and not used. Its cotangent is 0 and its derivative is ∞, and
0 · ∞ is nan in floating-point arithmetic; but what is not used has no influence, so the gradient is 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextvars import Context
from typing import Any

import numpy as np

from tinygrad_edu.graph import MODE, Variable, mode
from tinygrad_edu.registry import REGISTRY

# NumPy keeps its error state in a context variable. To enter a copy of a prepared context costs a tenth of `np.errstate`. (A copy,
# because two threads may need it at once.) Rules that compute with arrays read no other context variable.
RAISING = Context()
RAISING.run(np.seterr, divide="raise", invalid="raise")


def ieee_gradients() -> mode:
    """Inside, derivatives are multiplied as IEEE arithmetic does it: a zero cotangent times an infinite derivative is nan.

    By default the zero wins: what was computed and not used, as in a branch of ``where`` that was not taken, gets the gradient 0.
    Works as a context manager and as a decorator around ``backward()`` or a transform. JAX and PyTorch always give nan here.

    >>> import warnings
    >>> import tinygrad_edu as tg
    >>> f = lambda x: tg.where(x > 0, tg.sqrt(x), 0.0).sum()
    >>> tg.grad(f)([0.0, 4.0])
    Tensor([0.  , 0.25])
    >>> with tg.ieee_gradients(), warnings.catch_warnings(action="ignore"):
    ...     tg.grad(f)([0.0, 4.0])
    Tensor([ nan, 0.25])
    """
    return mode(ieee=True)


def zero_wins(name: str, rule: Callable[..., Any], g: Any, args: tuple[Any, ...]) -> Any:
    """``rule(*args)``, and where that is nan because an infinite derivative met a zero of the cotangent, 0."""
    try:
        if isinstance(g, Variable):
            with np.errstate(divide="raise", invalid="raise"):
                return rule(*args)
        return RAISING.copy().run(rule, *args)
    except FloatingPointError:
        pass  # something is infinite: look at it
    if MODE.get().ieee:
        return rule(*args)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = rule(*args)
        cotangent, value = (x._data if isinstance(x, Variable) else x for x in (g, part))
        unused = (cotangent == 0) & np.isnan(value)
        if unused.any():
            part = REGISTRY["where"].function(unused, 0, part)
    infinite = ~unused & ~np.isfinite(value) & np.isfinite(cotangent)
    if infinite.any():
        warnings.warn(
            f"{name}: its derivative is infinite or undefined at {np.sum(infinite)} of {np.size(value)} elements whose cotangent "
            "is not 0: the gradient there is inf or nan",
            RuntimeWarning,
            stacklevel=2,
        )
    return part
