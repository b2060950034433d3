"""What the distributions share: where they stand, and where they live. No distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu.ops import astype, where
from tinygrad_edu.ops.reduction import as_operand


def standard(x: Any, loc: Any, scale: Any) -> Any:
    """(x − loc) / scale"""
    return (as_operand(x) - loc) / scale


def counted(k: Any, like: Any) -> Any:
    """Counts as floats, in the precision of ``like``."""
    k, like = as_operand(k), as_operand(like)
    return astype(k, like.dtype if like.dtype.kind == "f" else float) if k.dtype.kind in "biu" else k


def within(inside: Any, x: Any, regular: float, log_density: Callable[[Any], Any]) -> Any:
    """A log-density that is −inf outside. It is computed of a ``regular`` number there, so that no gradient is nan."""
    return where(inside, log_density(where(inside, x, regular)), -float("inf"))
