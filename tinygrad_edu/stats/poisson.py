"""The Poisson distribution, of counts: ``tg.stats.poisson``. Counterpart: ``scipy.stats.poisson``, ``jax.scipy.stats.poisson``."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.ops import exp, floor, gammaincc, gammaln, where, xlogy
from tinygrad_edu.stats.support import counted, within


def logpmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """n ln mu − ln n! − mu, and −inf where n is negative or no integer        (n = k − loc)"""
    n = counted(k, mu) - loc
    return within((n >= 0) & (floor(n) == n), n, 0.0, lambda n: xlogy(n, mu) - gammaln(n + 1) - mu)


def pmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """e^logpmf"""
    return exp(logpmf(k, mu, loc))


def cdf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """`gammaincc` (n + 1, mu), and 0 where n < 0: how probable so many, or fewer, are."""
    n = floor(counted(k, mu) - loc)
    return where(n >= 0, gammaincc(where(n >= 0, n, 0) + 1, mu), 0.0)
