"""The Dirichlet distribution, of numbers that add up to 1: ``tg.stats.dirichlet``. Counterpart: ``scipy.stats.dirichlet``,
``jax.scipy.stats.dirichlet``."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops import exp, gammaln, reshape, sum, xlogy
from tinygrad_edu.ops.reduction import as_operand


def logpdf(x: Any, alpha: Any) -> Any:
    """Σᵢ (αᵢ − 1) ln xᵢ + ln Γ(Σᵢ αᵢ) − Σᵢ ln Γ(αᵢ)

    ``alpha`` is a vector of length k, and ``x`` too, or has shape (k, …). That x adds up to 1 is not checked, so that it may be
    varied.
    """
    x, alpha = as_operand(x), as_operand(alpha)
    if alpha.ndim != 1 or x.shape[:1] != alpha.shape:
        raise ShapeError(
            f"dirichlet: alpha is a vector of length k, and x has k components along its first axis; got shapes {alpha.shape} and "
            f"{x.shape}"
        )
    powers = reshape(alpha - 1, (-1, *[1] * (x.ndim - 1)))
    return sum(xlogy(powers, x), axis=0) + gammaln(sum(alpha)) - sum(gammaln(alpha))


def pdf(x: Any, alpha: Any) -> Any:
    """e^logpdf"""
    return exp(logpdf(x, alpha))
