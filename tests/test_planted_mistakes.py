"""Who checks the checker: wrong rules and a wrong engine are planted, and the property tests have to notice each."""

import functools

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import engine
from tinygrad_edu.errors import GradientMismatchError, RuleError
from tinygrad_edu.ops.reduction import broadcast_to
from tinygrad_edu.primitive import Primitive
from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.testing.examples import examples

CAUGHT = (GradientMismatchError, RuleError)


def rules_with_tests():
    for name, op in sorted(REGISTRY.items()):
        if isinstance(op, Primitive) and op.cases and op.rules:
            for operand, rule in op.rules.items():
                if callable(rule):
                    yield pytest.param(op, operand, id=f"{name}.{operand}")


def check(op):
    """The property test of all cases of an operation, stopping at the first failure."""

    @settings(max_examples=60, phases=[Phase.generate], report_multiple_bugs=False)
    @given(data=st.data())
    def property_test(data):
        example = data.draw(examples(op, data.draw(st.sampled_from(op.cases))))
        f, reals = example.function_of_reals()
        tg.testing.assert_gradients(f, *reals, order=op.orders)

    property_test()


@pytest.fixture
def plant():
    """Replace a rule for the duration of a test."""
    saved = []

    def replace(op, **rules):
        saved.append((op, op.rules))
        op.vjp(**{**op.rules, **rules})

    yield replace
    for op, rules in reversed(saved):
        op.vjp(**rules)


@pytest.mark.parametrize(("op", "operand"), list(rules_with_tests()))
@pytest.mark.parametrize("factor", [0, -1, 2, 1.001], ids=["zero", "sign", "factor", "one in a thousand"])
def test_a_scaled_rule_is_caught(op, operand, factor, plant):
    right = op.rules[operand]

    @functools.wraps(right)
    def wrong(*args):
        return right(*args) * factor

    plant(op, **{operand: wrong})
    with pytest.raises(CAUGHT):
        check(op)


def test_the_unplanted_rules_pass():
    check(tg.multiply.op)
    check(tg.matmul.op)


def test_a_rule_that_is_right_at_order_1_and_wrong_at_order_2_is_caught(plant):
    plant(tg.sin.op, a=lambda g, a: g * np.cos(a.data if isinstance(a, tg.Tensor) else a))
    x = [0.3, -1.0]
    assert tg.testing.assert_gradients(tg.sin, x, order=1).largest[0] > 0.5
    with pytest.raises(GradientMismatchError, match=r"order 2.*\n.*analytic 0, numerical .*\n.*lower orders agree"):
        tg.testing.assert_gradients(tg.sin, x, order=2)


def test_a_missing_sum_over_a_repeated_axis_is_named(plant):
    plant(broadcast_to.op, a=lambda g: g)
    x, b = np.ones((2, 3)), np.ones(3)
    with pytest.raises(RuleError, match=r"broadcast_to: the rule of operand 'a' returned .* shape \(2, 3\).*shape \(3,\)"):
        tg.testing.assert_gradients(lambda x, b: x + b, x, b)


def test_a_sum_over_the_wrong_repeated_axis_is_caught(plant):
    plant(tg.repeat.op, a=lambda g, a_shape: g.reshape(3, *a_shape).sum(axis=0))
    assert tg.testing.assert_gradients(lambda x: tg.repeat(x, 3, axis=0), [[1.0, 2.0]], order=1)  # one row: the mistake hides
    with pytest.raises(GradientMismatchError, match="gradient of <lambda> is wrong"):
        tg.testing.assert_gradients(lambda x: tg.repeat(x, 3, axis=0), [[1.0, 2.0], [3.0, 4.0]], order=1)


def test_overwriting_instead_of_accumulating_is_caught(monkeypatch):
    source = engine._pull_back

    class Overwriting(dict):
        def get(self, key, default=None):
            return None  # never anything to add to

    monkeypatch.setattr(engine, "_pull_back", lambda order, pending, *rest, **kw: source(order, Overwriting(pending), *rest, **kw))
    with pytest.raises(GradientMismatchError, match="ratio"):
        tg.testing.assert_gradients(lambda x: x * x + x, [1.5], order=1)


def test_visiting_in_the_wrong_order_is_caught(monkeypatch):
    right = engine.topological_order
    monkeypatch.setattr(engine, "topological_order", lambda *roots, **options: right(*roots, **options)[::-1])
    with pytest.raises((GradientMismatchError, AssertionError, KeyError)):
        tg.testing.assert_gradients(lambda x: tg.sin(x * x) * x, [1.5], order=1)


def test_transposed_operands_are_caught(plant):
    plant(tg.matmul.op, a=lambda g, b: g @ b)
    with pytest.raises(CAUGHT):
        tg.testing.assert_gradients(tg.matmul, np.arange(4.0).reshape(2, 2), np.arange(4.0).reshape(2, 2) ** 2, order=1)


def test_the_loss_of_the_book_disagrees_with_its_gradient():
    @tg.primitive
    def loss_with_epsilon(z, /):
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        return -np.log(p[0] + 1e-7)

    loss_with_epsilon.vjp(z=lambda g, z: g * (tg.softmax(z) - np.eye(3)[0]))
    with pytest.raises(GradientMismatchError):
        tg.testing.assert_gradients(loss_with_epsilon, [0.0, 20.0, 0.0], order=1)
