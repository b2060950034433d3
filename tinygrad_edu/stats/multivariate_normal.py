"""The normal distribution of vectors: ``tg.stats.multivariate_normal``. Counterpart: ``scipy.stats.multivariate_normal``,
``jax.scipy.stats.multivariate_normal``."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops import cholesky, diagonal, exp, log, solve_triangular, sum
from tinygrad_edu.ops.reduction import as_operand


def logpdf(x: Any, mean: Any, cov: Any) -> Any:
    """−½ ‖l⁻¹ (x − mean)‖² − Σᵢ ln lᵢᵢ − ½ n ln 2π        (l lᵀ = cov)

    ``x`` and ``mean`` are vectors of length n, or have them in their last axis; ``cov`` is a positive definite matrix.
    """
    x, mean, cov = as_operand(x), as_operand(mean), as_operand(cov)
    n = cov.shape[-1] if cov.ndim == 2 else -1
    if cov.shape != (n, n) or x.shape[-1:] != (n,) or mean.shape[-1:] not in ((n,), ()):
        raise ShapeError(
            "multivariate_normal: x and mean have n components in the last axis, and cov is n by n; got shapes "
            f"{x.shape}, {mean.shape} and {cov.shape}"
        )
    factor = cholesky(cov)
    z = solve_triangular(factor, (x - mean)[..., None], lower=True)[..., 0]
    return -0.5 * sum(z * z, axis=-1) - sum(log(diagonal(factor))) - 0.5 * n * math.log(2 * math.pi)


def pdf(x: Any, mean: Any, cov: Any) -> Any:
    """e^logpdf"""
    return exp(logpdf(x, mean, cov))


def entropy(mean: Any, cov: Any) -> Any:
    """Σᵢ ln lᵢᵢ + ½ n ln 2πe; the mean does not matter."""
    factor = cholesky(cov)
    return sum(log(diagonal(factor))) + 0.5 * factor.shape[-1] * math.log(2 * math.pi * math.e)
