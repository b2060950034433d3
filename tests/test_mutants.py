"""Who checks the checker: wrong rules are planted systematically, and the property tests have to notice each."""

import contextlib
import os
import re
import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, PrimitiveError
from tinygrad_edu.primitive import Primitive
from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.testing.mutants import mutants
from tinygrad_edu.testing.mutation import calls_of, is_equivalent, mutation_report
from tinygrad_edu.testing.properties import PROPERTIES, declared_at_kink

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
OURS = [
    op
    for _, op in sorted(REGISTRY.items())
    if isinstance(op, Primitive) and op.ours and op.rules and any(map(callable, op.rules.values()))
]


@tg.primitive(elementwise=True, cases=[tg.Case(x=tg.reals())])
def cube(x):
    """y = x³        ∂L/∂x = 3 g x²"""
    return x**3


cube.vjp(x=lambda g, x: 3 * g * x**2)


@tg.primitive(cases=[tg.Case(a=tg.reals(shape=(2, 3)), b=tg.reals(shape=(3, 2)), axis=[0, 1])])
def joined(a, b, /, axis=0):
    """y = a and bᵀ side by side, b doubled"""
    return np.concatenate([a, 2 * b.T], axis)


joined.vjp(
    a=lambda g, a_shape, axis: g[: a_shape[0], : a_shape[1]],
    b=lambda g, b_shape, axis: 2 * (g[-b_shape[1] :, -b_shape[0] :]).T,
)


def find(primitive, name, description=""):
    """The one mutant of that kind whose description has these words."""
    (found,) = [mutant for mutant in mutants(primitive) if mutant.name == name and description in mutant.description]
    return found


# ------------------------------------------------------------------------------------------------------------- the mutants

RIGHT = [3.0, 12.0, 27.0]


def gradient_of_cube():
    return tg.grad(lambda x: tg.sum(cube(x)))([1.0, -2.0, 3.0]).tolist()


@pytest.mark.parametrize(
    ("name", "gradient"),
    [
        ("sign", [-3, -12, -27]),
        ("double", [6, 24, 54]),
        ("half", [1.5, 6, 13.5]),
        ("a thousandth", [3.003, 12.012, 27.027]),
        ("zero", [0, 0, 0]),
        ("last element", [3, 12, 54]),
        ("off by one", [27, 3, 12]),
        ("result or operand", [3, 192, 2187]),  # 3 y²
        ("transposed", RIGHT),
        ("scalar", RIGHT),
        ("one element", RIGHT),
        ("length 1", RIGHT),
        ("float32", RIGHT),
        ("upcast", RIGHT),
        ("empty", RIGHT),
        ("in place", RIGHT),
        ("buffer", RIGHT),
        ("operand written", RIGHT),
    ],
)
def test_a_mutant_is_wrong_as_its_name_says(name, gradient):
    with find(cube, name).planted():
        assert gradient_of_cube() == pytest.approx(gradient)
    assert gradient_of_cube() == RIGHT


@pytest.mark.parametrize(
    ("name", "x", "factor"),
    [
        ("scalar", np.array(2.0), 2),
        ("scalar", np.array([2.0]), 1),
        ("one element", np.array([2.0]), 2),
        ("length 1", np.array([[2.0, 1.0]]), 2),
        ("length 1", np.array([2.0]), 1),
        ("float32", np.array([2.0, 1.0], np.float32), 2),
        ("not contiguous", np.array([2.0, 0.0, 1.0, 0.0])[::2], 2),
        ("not contiguous", np.array([2.0, 1.0]), 1),
    ],
)
def test_a_mutant_is_wrong_only_where_it_says(name, x, factor):
    def gradient():
        leaf = tg.from_numpy(x, requires_grad=True)
        cube(leaf).backward(np.ones(x.shape))
        return leaf.grad.numpy()

    right = gradient()
    with find(cube, name).planted():
        np.testing.assert_array_equal(gradient(), factor * right)


def test_mutants_write_where_they_should_not():
    a, b, c = (tg.Tensor([1.0, 2.0], requires_grad=True) for _ in range(3))
    with find(cube, "operand written").planted():
        cube(a).backward([1.0, 1.0])
    assert a.tolist() == [2, 4]
    with find(cube, "in place").planted():
        (b + cube(c)).backward([1.0, 1.0])  # the sum hands one array to both
    assert (b.grad.tolist(), c.grad.tolist()) == ([3, 12], [3, 12])
    with find(cube, "buffer").planted():
        a, b = tg.grad(lambda a, b: tg.sum(cube(a) + 2 * cube(b)), argnums=(0, 1))([1.0], [1.0])
    assert (a.tolist(), b.tolist()) == ([3], [3])


def test_an_error_for_an_empty_array():
    with find(cube, "empty").planted(), pytest.raises(ValueError, match="zero-size array"):
        tg.grad(lambda x: tg.sum(cube(x)))(np.zeros((0, 2)))


def test_what_is_detached_is_wrong_at_order_2_only():
    names = {mutant.description.split()[0]: mutant for mutant in mutants(cube) if mutant.name == "detached"}
    assert names.keys() == {"the", "g", "x"}
    second = lambda f: tg.grad(tg.grad(f))(2.0).item()
    assert second(lambda x: cube(x) ** 2) == pytest.approx(30 * 2**4)
    for mutant in names.values():
        with mutant.planted():
            assert tg.grad(cube)(2.0).item() == 12
            assert second(lambda x: cube(x) ** 2) < 30 * 2**4 - 1


def test_arguments_are_swapped_moved_and_ignored():
    of = {(m.operand, m.name, m.description) for m in mutants(joined) if m.name != "source"}
    assert {("a", "other rule", "the rule of b"), ("b", "metadata ignored", "axis=0, whatever was given")} <= of
    assert ("b", "wrong axis", "the axis after axis") in of
    assert {m.description for m in mutants(tg.power) if m.name == "swapped"} == {"a and b swapped"}
    swapped = next(m for m in mutants(tg.power) if m.name == "swapped" and m.operand == "a")
    with swapped.planted():
        assert tg.grad(tg.power)(2.0, 3.0).item() == 2 * 3  # a bᵃ⁻¹ for b aᵇ⁻¹ = 12


def test_a_mutant_at_a_kink_is_wrong_there_only():
    with find(tg.relu, "kink").planted():
        assert tg.grad(lambda x: tg.sum(tg.relu(x)))([0.0, 1.0, -1.0]).tolist() == [1, 1, 0]
    with find(tg.max, "kink").planted():
        assert tg.grad(tg.max)([1.0, 2.0, 0.0]).tolist() == [0, 1, 0]


def test_conjugates_are_for_complex_operands_only():
    assert "conjugate" in {mutant.name for mutant in mutants(tg.multiply)}
    assert "conjugate" not in {mutant.name for mutant in mutants(tg.relu)}


def test_what_has_no_rules_is_refused():
    @tg.primitive
    def staircase(x):
        return np.floor(x)

    with pytest.raises(
        PrimitiveError, match="mutants: staircase has no rules that could be wrong: pass a function that @primitive"
    ):
        mutants(staircase)
    with pytest.raises(PrimitiveError, match="mutants: 3 has no rules"):
        mutants(3)


def test_the_right_rule_is_restored_whatever_happens():
    right = cube.op.rules["x"]
    with contextlib.suppress(KeyError), find(cube, "sign").planted():
        with find(tg.sin, "double").planted():
            assert tg.grad(lambda x: cube(tg.sin(x)))(np.pi).item() == pytest.approx(0)
            assert tg.grad(tg.sin)(0.0).item() == 2
        assert tg.grad(cube)(1.0).item() == -3
        raise KeyError
    assert cube.op.rules["x"] is right
    assert tg.grad(cube)(1.0).item() == 3


def test_a_graph_recorded_before_keeps_its_rule():
    x = tg.Tensor(1.0, requires_grad=True)
    y = cube(x)
    with find(cube, "sign").planted():
        y.backward()
    assert x.grad.item() == 3


def test_another_thread_waits():
    planted, release, seen = threading.Event(), threading.Event(), []

    def first():
        with find(cube, "sign").planted():
            planted.set()
            release.wait(5)
            seen.append(tg.grad(cube)(1.0).item())

    def second():
        with find(cube, "double").planted():
            seen.append(tg.grad(cube)(1.0).item())

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert planted.wait(5)
    threads[1].start()
    threads[1].join(0.1)
    assert threads[1].is_alive()
    release.set()
    for thread in threads:
        thread.join(5)
    assert seen == [-3, 6]
    assert tg.grad(cube)(1.0).item() == 3


# -------------------------------------------------------------------------------------------------------------- the report


@pytest.mark.parametrize(
    ("primitive", "name", "description"),
    [
        (tg.add, "other rule", "the rule of"),  # symmetric
        (tg.relu, "result or operand", "a for y"),  # of the same sign
        (tg.exp, "upcast", "float64"),  # the engine's affair
        (tg.positive, "in place", "cotangent"),  # which it is
        (joined, "scalar", "scalar"),  # of which it has none
    ],
)
def test_equivalent_mutants_are_recognised(primitive, name, description):
    found = [mutant for mutant in mutants(primitive) if mutant.name == name and description in mutant.description]
    assert found
    assert all(map(is_equivalent, found))


@pytest.mark.parametrize(
    "name", ["sign", "a thousandth", "last element", "float32", "in place", "buffer", "detached", "not contiguous"]
)
def test_what_changes_a_derivative_is_not_equivalent(name):
    found = [mutant for mutant in mutants(cube) if mutant.name == name]
    assert found
    assert not any(map(is_equivalent, found))


def properties(f, without=()):
    """The library's property tests, on calls of every case and at every kink."""
    op = f.op
    for example in calls_of(op):
        for name in sorted(PROPERTIES.keys() - {"reference", *without}, key="derivatives".__eq__):  # the slow one last
            PROPERTIES[name](example)
    for kink in op.kinks if "kinks" not in without else ():
        declared_at_kink(op, kink)


def test_the_report_says_what_was_noticed():
    report = mutation_report(properties, [cube])
    assert report.ok
    assert report.survivors == []
    assert report.killed == len(mutants(cube)) - len(report.equivalent) == report.total - 1
    assert [mutant.name for mutant in report.equivalent] == ["upcast"]
    assert report.seconds > 0
    lines = str(report).splitlines()
    noticed = rf"{report.killed} of {report.killed} wrong rules were noticed, in \d+\.\d s; 1 mutants change no derivative"
    assert re.fullmatch(noticed, lines[0])
    assert lines[2].split() == ["mutants", "killed", "survived", "equivalent"]
    assert ["sign", "1", "0", "0"] in [line.split() for line in lines]
    assert lines[-1] == "  cube.x: upcast: float64 in the place of float32 (the engine gives a gradient the dtype of its operand)"


def test_weak_tests_have_survivors():
    def first_element_at_order_1():
        assert tg.grad(lambda x: cube(x)[0])([2.0, 1.0]).tolist() == pytest.approx([12, 0])

    report = mutation_report(first_element_at_order_1, [cube])
    assert not report.ok
    survived = {mutant.name for mutant in report.survivors}
    assert {"last element", "detached", "float32", "buffer", "empty"} <= survived
    assert survived.isdisjoint({"sign", "double", "half", "zero"})
    assert "survived:\n  cube.x: " in str(report)
    both = mutation_report([first_element_at_order_1, properties], [cube])
    assert both.ok


@pytest.mark.parametrize(
    ("without", "primitive", "survivor"),
    [
        ("derivatives", cube, ("detached", "x as numbers")),
        ("layout", cube, ("not contiguous",)),
        ("float32", cube, ("float32",)),
        ("calls", cube, ("buffer",)),
        ("calls", cube, ("in place",)),
        ("kinks", tg.relu, ("kink",)),
    ],
)
def test_no_property_can_be_left_out(without, primitive, survivor):
    wrong = [find(primitive, *survivor)]
    assert mutation_report(properties, wrong).ok
    assert not mutation_report(lambda f: properties(f, without=(without,)), wrong).ok


def test_a_sample_is_always_the_same():
    test = lambda: None
    names = lambda seed: [str(fate) for fate in mutation_report(test, [cube, tg.sin], sample=5, seed=seed, baseline=False).fates]
    assert len(names(0)) == 5
    assert names(0) == names(0) != names(1)
    report = mutation_report(test, [cube], sample=3, baseline=False)
    assert f"(a sample of 3 of {len(mutants(cube))} mutants)" in str(report)
    assert report.killed == 0


def test_tests_that_fail_anyway_are_refused():
    def wrong():
        assert tg.grad(cube)(1.0).item() == 4

    with pytest.raises(ArgumentError, match=r"wrong fails with the right rules of cube, so that it says nothing .*AssertionError"):
        mutation_report(wrong, [cube])
    with pytest.raises(ArgumentError, match="no tests: pass a function that raises an exception"):
        mutation_report([], [cube])


def test_without_cases_nothing_is_equivalent():
    @tg.primitive
    def bare(x):
        return x * 1.0

    bare.vjp(x=lambda g: g)
    assert mutation_report(lambda: None, [bare]).equivalent == []


# ------------------------------------------------------------------------------------------------------------- the library


@pytest.mark.parametrize("seed", range(2))
def test_a_sample_of_the_wrong_rules_of_the_library_is_noticed(seed):
    report = mutation_report(properties, sample=50, seed=seed, baseline=False)
    assert report.ok, str(report)
    assert report.killed >= 30
    assert report.total > 9_000


@pytest.mark.skipif(not NIGHTLY, reason="takes half an hour: in the nightly profile")
@pytest.mark.parametrize("op", OURS, ids=[op.name for op in OURS])
def test_every_wrong_rule_of_the_library_is_noticed(op):
    report = mutation_report(properties, [op])
    print(report)
    assert report.ok, str(report)


def test_every_primitive_with_rules_is_mutated():
    assert len(OURS) > 190
    kinds = [{mutant.name for mutant in mutants(op)} for op in OURS]
    assert all({"sign", "zero", "detached", "buffer", "float32"} <= names for names in kinds)
    # Rules that only hand the cotangent on have nothing to change.
    assert sum("source" in names for names in kinds) > 170
