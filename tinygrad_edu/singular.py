"""Where a derivative is infinite: a zero cotangent wins, unless IEEE arithmetic is asked for.

In ``where(x > 0, log(x), 0)`` the logarithm at x = 0 is computed and not used. Its cotangent is 0 and its derivative is ∞, and
0 · ∞ is nan in floating-point arithmetic; but what is not used has no influence, so the gradient is 0.
"""

from __future__ import annotations

import sys
import warnings
from cmath import isfinite
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.floating import quietly
from tinygrad_edu.graph import MODE, Variable, mode
from tinygrad_edu.registry import REGISTRY

LARGE = 10_000  # elements, from which on it is cheaper to look at each than to start BLAS


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


def careful(pull: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The same rule of a node, with an eye on infinite derivatives."""
    found: Callable[[Any, Any], Any] = getattr(pull, "careful", pull)
    return found


def zero_wins(name: str, rule: Callable[..., Any], g: Any, args: tuple[Any, ...]) -> Any:
    """``rule(*args)``, and 0 where the derivative is infinite or undefined and the cotangent is 0."""
    if MODE.get().ieee:
        return rule(*args)
    part = quietly(rule, *args)
    value = part._data if isinstance(part, Variable) else part
    if isinstance(value, np.ndarray):
        # A sum of squares is finite only if every summand is.
        if np.isfinite(value).all() if value.size > LARGE else isfinite(np.vdot(value, value)):
            return part
    elif not isinstance(value, np.generic) or isfinite(value):
        return part
    if value.shape != g.shape:
        return part  # a wrong rule, which the engine will name
    with np.errstate(all="ignore"):
        part, singular = _without_unused(rule, g, args, part, np.asarray(value))
    if singular.any():
        _complain(
            f"{name}: its derivative is infinite or undefined at {np.sum(singular)} of {singular.size} elements whose cotangent is "
            "not 0: the gradient there is inf or nan"
        )
    return part


def _without_unused(rule: Callable[..., Any], g: Any, args: Sequence[Any], part: Any, value: Any) -> tuple[Any, Any]:
    """The contribution with 0 for the elements that are not used; and which of the others are singular: not finite, although
    everything that they are computed from is."""
    spread = [_spread(x._data if isinstance(x, Variable) else x, value.shape) for x in args]
    bad = ~np.isfinite(value)
    unused = bad & ((g._data if isinstance(g, Variable) else g) == 0)
    if unused.any():
        where = REGISTRY["where"].function
        if isinstance(g, Variable) and not unused.all():
            # It will be differentiated again, and a nan that is only covered up would come back then: let these elements compute
            # what one that is fine computes.
            fine = int(np.argmin(bad))
            part = rule(*[x if s is None else where(unused, s.flat[fine], x) for x, s in zip(args, spread, strict=True)])
        part = where(unused, 0, g if unused.all() else part)
    singular = bad & ~unused
    for elements in spread:
        if elements is not None:
            singular &= np.isfinite(elements)
    return part, singular


def _spread(x: Any, shape: tuple[int, ...]) -> Any:
    """A rule's argument, with an element for each of the result; None for what is not an array of numbers."""
    if not isinstance(x, np.ndarray | np.generic):
        return None
    try:
        return np.broadcast_to(x, shape)
    except ValueError:
        return None


def _complain(message: str) -> None:
    """Say it as NumPy says that something was divided by zero, and where the user asked for the derivative."""
    how = np.geterr()["divide"]
    if how == "raise":
        raise FloatingPointError(message)
    if how != "ignore":
        level, frame = 1, sys._getframe()
        while frame.f_back and frame.f_globals.get("__name__", "tinygrad_edu").startswith("tinygrad_edu"):
            level, frame = level + 1, frame.f_back
        warnings.warn(message, RuntimeWarning, stacklevel=level)
