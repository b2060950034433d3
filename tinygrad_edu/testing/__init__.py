"""Numerical derivatives, and checks of analytic derivatives against them."""

from tinygrad_edu.testing import laws, strategies
from tinygrad_edu.testing.blame import BlameReport, blame
from tinygrad_edu.testing.check import assert_gradients, check_gradients
from tinygrad_edu.testing.hand_written import check_function
from tinygrad_edu.testing.jacobians import numerical_hessian, numerical_jacobian, numerical_jvp
from tinygrad_edu.testing.layers import check_layer
from tinygrad_edu.testing.mutants import Mutant, mutants
from tinygrad_edu.testing.mutation import MutationReport, mutation_report
from tinygrad_edu.testing.numerical import numerical_diff, numerical_gradient
from tinygrad_edu.testing.properties import property_test
from tinygrad_edu.testing.report import GradientReport, Verdict

__all__ = [
    "BlameReport",
    "GradientReport",
    "Mutant",
    "MutationReport",
    "Verdict",
    "assert_gradients",
    "blame",
    "check_function",
    "check_gradients",
    "check_layer",
    "laws",
    "mutants",
    "mutation_report",
    "numerical_diff",
    "numerical_gradient",
    "numerical_hessian",
    "numerical_jacobian",
    "numerical_jvp",
    "property_test",
    "strategies",
]
