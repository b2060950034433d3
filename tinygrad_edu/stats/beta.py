"""The beta distribution, on [0, 1]: ``tg.stats.beta``. Counterpart: ``scipy.stats.beta``, ``jax.scipy.stats.beta``."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.ops import betainc, betaincc, betaln, clip, exp, log, xlog1py, xlogy
from tinygrad_edu.stats.support import standard, within


def logpdf(x: Any, a: Any, b: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """(a − 1) ln z + (b − 1) ln(1 − z) − ln B(a, b) − ln scale, and −inf outside        (z = (x − loc) / scale)"""
    z = standard(x, loc, scale)
    inside = (z >= 0) & (z <= 1)
    return within(inside, z, 0.5, lambda z: xlogy(a - 1, z) + xlog1py(b - 1, -z) - betaln(a, b) - log(scale))


def pdf(x: Any, a: Any, b: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """e^logpdf"""
    return exp(logpdf(x, a, b, loc, scale))


def cdf(x: Any, a: Any, b: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """`betainc` (a, b, z). It is not differentiated by a and b."""
    return betainc(a, b, clip(standard(x, loc, scale), 0.0, 1.0))


def sf(x: Any, a: Any, b: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """1 − cdf, without the cancellation."""
    return betaincc(a, b, clip(standard(x, loc, scale), 0.0, 1.0))
