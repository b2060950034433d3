"""NumPy's floating-point error state, changed for a moment at a tenth of what `np.errstate` costs.

NumPy keeps the state in a context variable, so that it is local to a thread or task. Prepared values of it are set and reset here
directly; they are got by letting NumPy set them in a context of their own and looking what changed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any

import numpy as np


def _prepared(**how: Any) -> tuple[ContextVar[Any], Any]:
    context = Context()
    context.run(np.seterr, **how)
    ((variable, state),) = context.items()
    return variable, state


ERRORS, QUIET = _prepared(all="ignore")
_, INVALID_RAISES = _prepared(invalid="raise")


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)`` without any warning of overflow, division by zero or invalid numbers."""
    token = ERRORS.set(QUIET)
    try:
        return function(*args)
    finally:
        ERRORS.reset(token)


def with_invalid_raising() -> Any:
    """The error state that holds now, but with an error where a nan is made: to be set as ``ERRORS``."""
    if ERRORS.get(None) is None:
        return INVALID_RAISES
    with np.errstate(invalid="raise"):
        return ERRORS.get()
