"""The normal distribution: ``tg.stats.norm``. Counterpart: ``scipy.stats.norm``, ``jax.scipy.stats.norm``."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_edu.ops import exp, log, log_ndtr, ndtr, ndtri
from tinygrad_edu.stats.support import standard


def logpdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """−½ z² − ln(scale √2π)        (z = (x − loc) / scale)"""
    z = standard(x, loc, scale)
    return -0.5 * (z * z) - log(scale * math.sqrt(2 * math.pi))


def pdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """e^logpdf"""
    return exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """Φ(z): see `ndtr`."""
    return ndtr(standard(x, loc, scale))


def logcdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """ln Φ(z), also far to the left: see `log_ndtr`."""
    return log_ndtr(standard(x, loc, scale))


def sf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """1 − cdf, without the cancellation."""
    return ndtr(-standard(x, loc, scale))


def logsf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """ln(1 − cdf), also far to the right."""
    return log_ndtr(-standard(x, loc, scale))


def ppf(q: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The inverse of `cdf`: see `ndtri`."""
    return loc + scale * ndtri(q)
