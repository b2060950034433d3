"""Probability distributions: densities, their logarithms and distribution functions, under SciPy's names and with its arguments.

>>> import tinygrad_edu as tg
>>> tg.grad(lambda mean: tg.stats.norm.logpdf(1.0, mean, 2.0))(0.0)
Tensor(0.25)

Everything is made of operations, so that all arguments are differentiated, to any order; only the parameters of a distribution
function that its operation says nothing of (`gammainc`, `betainc`, `stdtr`) are not. Shapes broadcast. Outside of where a
distribution lives, its density is 0. Needs SciPy, but for `norm.logpdf`, `norm.pdf` and `multivariate_normal`.
"""

from tinygrad_edu.stats import beta, chi2, dirichlet, gamma, multivariate_normal, norm, poisson, t

__all__ = ["beta", "chi2", "dirichlet", "gamma", "multivariate_normal", "norm", "poisson", "t"]
