"""The gamma distribution, of a ≥ 0: ``tg.stats.gamma``. Counterpart: ``scipy.stats.gamma``, ``jax.scipy.stats.gamma``."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.ops import exp, gammainc, gammaincc, gammaln, log, maximum, xlogy
from tinygrad_edu.stats.support import standard, within


def logpdf(x: Any, a: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """(a − 1) ln z − z − ln Γ(a) − ln scale, and −inf where z < 0        (z = (x − loc) / scale)"""
    z = standard(x, loc, scale)
    return within(z >= 0, z, 1.0, lambda z: xlogy(a - 1, z) - z - gammaln(a) - log(scale))


def pdf(x: Any, a: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """e^logpdf"""
    return exp(logpdf(x, a, loc, scale))


def cdf(x: Any, a: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """`gammainc` (a, z), and 0 where z < 0. It is not differentiated by a."""
    return gammainc(a, maximum(standard(x, loc, scale), 0.0))


def sf(x: Any, a: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """1 − cdf, without the cancellation."""
    return gammaincc(a, maximum(standard(x, loc, scale), 0.0))
