"""What `mutation_report` takes for tests: what notices a wrong rule, what says nothing, and what is refused."""

import unittest

import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, GradientMismatchError
from tinygrad_edu.testing.mutants import mutants
from tinygrad_edu.testing.mutation import mutation_report


@tg.primitive(elementwise=True, cases=[tg.Case(x=tg.reals())])
def cube(x):
    """y = x³        ∂L/∂x = 3 g x²"""
    return x**3


cube.vjp(x=lambda g, x: 3 * g * x**2)
SIGN = next(mutant for mutant in mutants(cube) if mutant.name == "sign")


def noticing():
    """A test that fails, as those of pytest do, with what is no Exception."""
    with pytest.raises(ZeroDivisionError):
        assert tg.grad(cube)(1.0).item() < 0 or 1 / 0


def test_what_pytest_raises_is_noticed():
    report = mutation_report(noticing, SIGN)
    assert (report.killed, report.fates[0].reason) == (1, "noticing: Failed")


def test_the_cause_of_a_test_that_fails_anyway_is_named():
    def fails():
        with pytest.raises(GradientMismatchError):
            tg.testing.assert_gradients(cube, [1.0])

    with pytest.raises(ArgumentError, match="fails fails with the right rules of cube, .* Failed: DID NOT RAISE"):
        mutation_report(fails, cube)


@pytest.mark.parametrize("skipped", [pytest.skip.Exception, unittest.SkipTest])
def test_a_test_that_skips_itself_is_refused(skipped):
    def skipping():
        raise skipped("no network")

    with pytest.raises(ArgumentError, match="skipping skips itself, so that it notices nothing: no network. Leave it out"):
        mutation_report(skipping, cube)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_stops_python_is_passed_on(stop):
    def stopped():
        raise stop

    with pytest.raises(stop):
        mutation_report(stopped, cube)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, cube), r"\[None\] are no tests: pass a function that raises"),
        (("abc", cube), r"'c'\] are no tests"),
        (([3], [cube]), r"\[3\] are no tests"),
        ((noticing, []), "mutation_report: no primitives: pass one or several"),
        ((noticing, cube, 0), "mutation_report: sample is a whole number from 1 on, or None, not 0"),
        ((noticing, cube, 2.5), "mutation_report: sample is a whole number from 1 on, or None, not 2.5"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        mutation_report(*arguments)
