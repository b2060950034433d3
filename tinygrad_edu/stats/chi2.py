"""The χ² distribution: ``tg.stats.chi2``. Counterpart: ``scipy.stats.chi2``, ``jax.scipy.stats.chi2``."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.stats import gamma


def logpdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """That of the gamma distribution with a = df / 2 and twice the scale."""
    return gamma.logpdf(x, df / 2, loc, 2 * scale)


def pdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """e^logpdf"""
    return gamma.pdf(x, df / 2, loc, 2 * scale)


def cdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """That of the gamma distribution. It is not differentiated by df."""
    return gamma.cdf(x, df / 2, loc, 2 * scale)


def sf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """1 − cdf, without the cancellation."""
    return gamma.sf(x, df / 2, loc, 2 * scale)
