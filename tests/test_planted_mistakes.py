"""Mistakes in a rule that hide well, and how the checker names them. (`test_mutants.py` plants wrong rules by the thousand.)"""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import GradientMismatchError, RuleError
from tinygrad_edu.ops.reduction import broadcast_to
from tinygrad_edu.testing.mutants import Mutant


def planted(primitive, operand, rule):
    """Another rule, for the duration of a block."""
    return Mutant(getattr(primitive, "op", primitive), operand, "planted", "by hand", lambda: rule).planted()


def test_a_rule_that_is_right_at_order_1_and_wrong_at_order_2_is_caught():
    x = [0.3, -1.0]
    with planted(tg.sin, "a", lambda g, a: g * np.cos(a.data if isinstance(a, tg.Tensor) else a)):
        assert tg.testing.assert_gradients(tg.sin, x, order=1).largest[0] > 0.5
        with pytest.raises(GradientMismatchError, match=r"order 2.*\n.*analytic 0, numerical .*\n.*lower orders agree"):
            tg.testing.assert_gradients(tg.sin, x, order=2)


def test_a_missing_sum_over_a_repeated_axis_is_named():
    x, b = np.ones((2, 3)), np.ones(3)
    message = r"broadcast_to: the rule of operand 'a' returned .* shape \(2, 3\).*shape \(3,\)"
    with planted(broadcast_to, "a", lambda g: g), pytest.raises(RuleError, match=message):
        tg.testing.assert_gradients(lambda x, b: x + b, x, b)


def test_a_sum_over_the_wrong_repeated_axis_is_caught():
    thrice = lambda x: tg.repeat(x, 3, axis=0)
    with planted(tg.repeat, "a", lambda g, a_shape: g.reshape(3, *a_shape).sum(axis=0)):
        assert tg.testing.assert_gradients(thrice, [[1.0, 2.0]], order=1)  # one row: the mistake hides
        with pytest.raises(GradientMismatchError, match="gradient of <lambda> is wrong"):
            tg.testing.assert_gradients(thrice, [[1.0, 2.0], [3.0, 4.0]], order=1)


def test_the_loss_of_the_book_disagrees_with_its_gradient():
    @tg.primitive
    def loss_with_epsilon(z, /):
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        return -np.log(p[0] + 1e-7)

    loss_with_epsilon.vjp(z=lambda g, z: g * (tg.softmax(z) - np.eye(3)[0]))
    with pytest.raises(GradientMismatchError):
        tg.testing.assert_gradients(loss_with_epsilon, [0.0, 20.0, 0.0], order=1)
