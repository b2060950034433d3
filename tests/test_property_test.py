"""`property_test` again: that a test which compares nothing fails, that declared kinks are generalised gradients, that functions of
every kind can be tested, and that what cannot be drawn is refused where the test is made."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import hypothesis
import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, LawError, PrimitiveError
from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.testing import strategies
from tinygrad_edu.testing.coverage import Coverage
from tinygrad_edu.testing.properties import declared_at_kink, property_test


def operation(forward, *, domain=None, kinks=(), **rules):
    """An elementwise primitive and its rules in one line."""
    op = tg.primitive(elementwise=True, cases=[tg.Case(a=domain or tg.reals(-2, 2))], kinks=kinks)(forward)
    op.vjp(**rules)
    return op


def quiet_log(a, /):
    """y = log a, without NumPy's warning"""
    with np.errstate(all="ignore"):
        return np.log(a)


def nonsense(g, a):
    return -17 * g / a


# ------------------------------------------------------------------------------------------------- what compares nothing

NOTHING = [
    (tg.reals(-3, -1), {}, "f is not finite at this point"),
    (tg.reals(-3, -1), {"max_examples": 1}, "f is not finite at this point"),
    (tg.reals(1, 2, shape=(0,)), {}, "the operands have no elements"),
]


@pytest.mark.parametrize(("domain", "options", "reason"), NOTHING, ids=["negative", "one call", "empty"])
def test_a_test_that_compares_nothing_fails(domain, options, reason):
    test = property_test(operation(quiet_log, a=nonsense, domain=domain), **options)
    words = (
        rf"quiet_log: no derivative could be compared on any of \d+ calls, so that nothing was tested: {reason}. Draw the .* as a="
    )
    for _ in range(2):  # the first run leaves nothing behind that the second would pass with
        with pytest.raises(LawError, match=words):
            test()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_single_call_at_a_bad_point_is_no_reason_to_fail():
    calls = []

    def log(x):
        calls.append(x)
        return tg.log(x)

    property_test(log, x=tg.reals(0, 2, shape=()), max_examples=1)()
    assert calls[0].item() == 0


def test_hypothesis_finds_its_settings_on_the_test():
    test = property_test(lambda x: x * 2, x=tg.reals())
    assert hypothesis.is_hypothesis_test(test)
    hypothesis.seed(3)(test)  # has an effect only where the function that Hypothesis made can see it
    assert test._hypothesis_internal_use_seed == 3
    assert test.__name__ == "test_lambda"


# -------------------------------------------------------------------------------------------------------------- kinks


def rectified(at_zero):
    def relu(a, /):
        """y = max(a, 0)"""
        return np.maximum(a, 0)

    kink = tg.Kink("a = 0", str(at_zero), at={"a": 0.0}, gradient={"a": at_zero})
    rule = lambda g, a: g * tg.where(a == 0, at_zero, 1.0 * (a > 0))
    return operation(relu, a=rule, domain=tg.reals(-2, 2, avoid=(0,)), kinks=[kink])


@pytest.mark.parametrize("derivative", [0.0, 0.5, 1.0])
def test_a_derivative_between_the_one_sided_ones_may_be_declared(derivative):
    property_test(rectified(derivative), max_examples=3)()


@pytest.mark.parametrize("derivative", [-0.01, 1.01, 5.0])
def test_a_derivative_outside_the_generalised_gradient_may_not(derivative):
    words = (
        f"relu declares the derivative {derivative} of a at its kink a = 0, which is in no generalised gradient: a kink: the "
        "derivative is 0 on the left and 1 on the right"
    )
    with pytest.raises(LawError, match=words):
        property_test(rectified(derivative), max_examples=3)()


KINKS = [(op, kink) for op in REGISTRY.values() if op.ours for kink in op.kinks]


def test_every_kink_of_the_library_is_one():
    for op, kink in KINKS:
        declared_at_kink(op, kink)
    assert len(KINKS) > 50


# ----------------------------------------------------------------------------------------------------------- linearity


def cut(g):
    return tg.clip(g, -10, 10)


def dropped(g):
    return tg.where(abs(g) < 1e-2, 0.0, g)


@pytest.mark.parametrize(("spoil", "factor"), [(cut, "16384"), (dropped, "6.10352e-05")])
def test_a_rule_that_is_linear_for_ordinary_cotangents_only_is_found(spoil, factor):
    words = (
        rf"the rule of operand 0 of double is not linear in the cotangent g, .*: for {factor} g, divided by {factor}, the gradient"
    )

    def double(a, /):
        """y = 2 a"""
        return 2 * a

    with pytest.raises(LawError, match=words):
        property_test(operation(double, a=lambda g: 2 * spoil(g)))()


# ------------------------------------------------------------------------------------------------- functions of every kind


def test_an_array_that_is_given_takes_the_precision_of_the_others():
    property_test(lambda x, w: x * w, x=tg.reals(shape=(2,)), w=np.array([1.0, 2.0]), max_examples=5)()
    property_test(lambda x, w: x * w, x=tg.complexes(shape=(2,)), w=np.array([1.0, 2.0j]), max_examples=5)()


def test_a_module_is_tested_by_the_arguments_of_its_forward():
    linear = tg.nn.Linear(3, 2)
    test = property_test(linear, x=tg.reals(shape=(4, 3)), max_examples=5)
    assert test.__name__ == "test_Linear"
    test()
    assert linear.weight.dtype == np.float64
    assert linear.weight.grad is None
    property_test(tg.nn.Sequential(linear, tg.nn.Tanh()), x=tg.reals(shape=(4, 3)), max_examples=5)()
    with pytest.raises(ArgumentError, match="Linear is given a domain for input, and its arguments are x"):
        property_test(linear, input=tg.reals())


def test_a_callable_without_a_name_is_named_by_its_class():
    class Anything:
        def __call__(self, *xs):
            return xs[0]

    with pytest.raises(PrimitiveError, match="Anything: operands come first"):
        property_test(Anything(), x=tg.reals())


# ---------------------------------------------------------------------------------------------------------- arguments

X = tg.reals(shape=(2, 3))
WRONG = [
    (lambda x: x, {"x": X, "y": X}, "<lambda> is given a domain for y, and its arguments are x"),
    (lambda x, axis=0: x, {"x": X, "axs": [0]}, "<lambda> is given a domain for axs, and its arguments are x and axis"),
    (lambda x, *, k: x, {"x": X}, "<lambda> has no domain for operand k: give k=tg.reals()"),
    (tg.sin, {"order": 0}, "property_test: order is a whole number from 1 on, or None, not 0"),
    (tg.sin, {"order": 1.5}, "property_test: order is a whole number from 1 on, or None, not 1.5"),
    (tg.sin, {"max_examples": 0}, "property_test: max_examples is a whole number from 1 on, or None, not 0"),
    (tg.sin, {"cases": tg.Case(a=X)}, "property_test: cases is a list of tg.Case(...), or None, not Case(a)"),
    (tg.sin, {"cases": [{}]}, "property_test: cases is a list of tg.Case(...), or None, not [{}]"),
    (tg.sin, {"reference": 3}, "property_test: reference is a function, or None, not 3"),
    (tg.sin, {"a": (0, 1)}, "property_test of sin: a is tg.reals() or tg.complexes(), or an array or a number, if it is not"),
    (tg.sin, {"a": strategies.arrays()}, "property_test of sin: a is tg.reals() or tg.complexes()"),
    (tg.sin, {"a": np.ones(2)}, "property_test: sin has nothing to differentiate: give an operand as a=tg.reals()"),
    (tg.sin, {"a": tg.reals(3, 1)}, "reals(3, 1) leaves no number to draw"),
    (tg.sum, {"a": X, "axis": 0}, "property_test of sum: axis is what reals() or complexes() returns, or a list of alternatives"),
    (tg.stack, {"arrays": X}, "property_test of stack: arrays is a list with a domain for each operand"),
    (
        lambda a, reference: a * reference,
        {"a": X, "reference": X},
        "reference is an argument of <lambda> and an option of property_test: say what it is drawn from as cases=[tg.Case(a=tg.",
    ),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_wrong_argument_is_refused_where_the_test_is_made(number):
    f, options, message = WRONG[number]
    with pytest.raises(ArgumentError, match=re.escape(message)):
        property_test(f, **options)


def test_an_operand_may_be_called_as_an_option_in_a_case():
    property_test(lambda a, reference: a * reference, cases=[tg.Case(a=X, reference=X)], max_examples=2)()


@pytest.mark.parametrize(
    ("at", "gradient", "message"),
    [
        ({"b": 0.0}, {}, "same is given its kink a = 0 with b, and its arguments are a"),
        ({}, {}, "same declares its kink a = 0 without a: give it in at"),
        ({"a": 0.0}, {"b": 1.0}, "same declares its kink a = 0 without b: give it in at"),
    ],
)
def test_a_kink_with_another_name_is_refused(at, gradient, message):
    def same(a, /):
        return 1 * a

    kink = tg.Kink("a = 0", "1", at=at, gradient=gradient)
    with pytest.raises(ArgumentError, match=message):
        property_test(operation(same, a=lambda g: g, kinks=[kink]))


def test_every_operation_of_the_library_can_be_tested():
    tests = [property_test(op.function) for op in REGISTRY.values() if op.ours and op.cases]
    assert len(tests) > 300


# --------------------------------------------------------------------------------------------------------------- report


def test_what_was_inconclusive_is_not_covered():
    log = operation(quiet_log, a=nonsense)
    coverage = Coverage()
    coverage.start()
    assert tg.testing.check_gradients(log, [-1.0, -2.0]).ok  # inconclusive at order 1; order 2 says nothing without it
    coverage.stop()
    assert coverage.seen == set()
    coverage.start()
    tg.testing.check_gradients(tg.log, [1.0, 2.0])
    coverage.stop()
    assert {cell for name, cell in coverage.seen if name == "log"} == {"float64 order 1", "float64 order 2"}


ROOT = Path(__file__).resolve().parents[1]
VAIN = """
    import numpy as np
    import tinygrad_edu as tg

    @tg.primitive(elementwise=True, cases=[tg.Case(a=tg.reals(-3, -1))])
    def mylog(a, /):
        '''y = log a'''
        with np.errstate(all="ignore"):
            return np.log(a)

    mylog.vjp(a=lambda g, a: -17 * g / a)
    test_mylog = tg.testing.property_test(mylog, max_examples=10)
"""


@pytest.fixture
def run(tmp_path):
    """Run pytest with the plugin on a test in vain."""

    def run(*options):
        (tmp_path / "test_v.py").write_text(textwrap.dedent(VAIN), "utf-8")
        path = f"{ROOT}{os.pathsep}{ROOT / 'tinygrad_edu' / '_entry'}"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "_tinygrad_edu_pytest", "-p", "no:cacheprovider", *options]
        environment = {**os.environ, "PYTHONPATH": path, "HYPOTHESIS_PROFILE": "default"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_report_counts_nothing_of_it(run):
    status, text = run("--gradient-report-min=0.9")
    assert status == 1
    assert "LawError: mylog: no derivative could be compared on any of" in text
    assert "test_v.mylog   0/3   float64 order 1, float64 order 2, float32 order 1\n" in text
    assert "0 of 3 derivatives were checked: 0 %" in text


def test_where_tests_are_only_collected_nothing_is_reported(run):
    status, text = run("--collect-only", "--gradient-report-min=0.5")
    assert status == 0, text
    assert "test_v.py::test_mylog" in text
    assert "derivatives" not in text
