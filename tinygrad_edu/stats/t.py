"""Student's distribution: ``tg.stats.t``. Counterpart: ``scipy.stats.t``, ``jax.scipy.stats.t``."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.ops import betaln, exp, log, log1p, stdtr
from tinygrad_edu.stats.support import standard


def logpdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """−½ (df + 1) ln(1 + z² / df) − ln B(½, df / 2) − ½ ln df − ln scale        (z = (x − loc) / scale)"""
    z = standard(x, loc, scale)
    return -0.5 * (df + 1) * log1p(z * z / df) - betaln(0.5, df / 2) - 0.5 * log(df) - log(scale)


def pdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """e^logpdf"""
    return exp(logpdf(x, df, loc, scale))


def cdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """`stdtr` (df, z). It is not differentiated by df."""
    return stdtr(df, (x - loc) / scale)


def logcdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The logarithm of `cdf`."""
    return log(cdf(x, df, loc, scale))


def sf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """1 − cdf, without the cancellation."""
    return stdtr(df, -standard(x, loc, scale))
