"""Numerical derivatives, and checks of analytic derivatives against them."""

from tinygrad_edu.testing.check import GradientReport, check_gradients
from tinygrad_edu.testing.numerical import numerical_diff, numerical_gradient

__all__ = ["GradientReport", "check_gradients", "numerical_diff", "numerical_gradient"]
