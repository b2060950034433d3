"""`property_test`, the report of ``--gradient-report``, and the entry points: seen from fresh interpreters and runs of pytest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import find, settings

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, GradientMismatchError, LawError, MissingError
from tinygrad_edu.testing import lazy
from tinygrad_edu.testing.coverage import Coverage, cells_of
from tinygrad_edu.testing.examples import examples
from tinygrad_edu.testing.properties import keeps_float32, property_test

ROOT = Path(__file__).resolve().parents[1]
ENTRY = ROOT / "tinygrad_edu" / "_entry"
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ENTRY}", "HYPOTHESIS_PROFILE": "default"}

CUBE = """
    import tinygrad_edu as tg
    from tinygrad_edu.testing.properties import property_test

    @tg.primitive(elementwise=True, cases=[tg.Case(x=tg.reals(-2, 2))])
    def cube(x):
        '''y = x³        ∂L/∂x = 3 g x²'''
        return x**3

    cube.vjp(x=lambda g, x: 3 * g * x**2)
    test_cube = property_test(cube, max_examples=10)
"""
RAMP = """
    import numpy as np

    @tg.primitive(elementwise=True, cases=[tg.Case(x=tg.reals(-2, 2, avoid=(0,)))],
                  kinks=[tg.Kink("x = 0", "½", at={"x": 0.0}, gradient={"x": 0.5})])
    def ramp(x):
        '''y = max(x, 0)'''
        return np.maximum(x, 0)

    ramp.vjp(x=lambda g, x: g * np.heaviside(x.data if isinstance(x, tg.Tensor) else x, 0.5))
"""


@pytest.fixture
def run(tmp_path):
    """Run pytest on a file of tests in a folder of its own, and return the exit status and what it prints."""

    def run(source, *options):
        (tmp_path / "test_it.py").write_text(textwrap.dedent(source), "utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "_tinygrad_edu_pytest", "-p", "no:cacheprovider", *options]
        done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def operation(**options):
    """A primitive and its declaration in one line."""
    rule, kinks = options.pop("rule"), options.pop("kinks", ())

    def halve(x, /):
        return x * x / 2

    op = tg.primitive(elementwise=True, cases=[tg.Case(x=tg.reals(-2, 2))], kinks=kinks, **options)(halve)
    op.vjp(x=rule)
    return op


# --------------------------------------------------------------------------------------------------------- property_test


def test_a_right_operation_and_a_right_function_pass():
    property_test(operation(rule=lambda g, x: g * x))()
    property_test(tg.matmul, max_examples=5)()
    property_test(lambda x, w: tg.sin(x @ w), x=tg.reals(shape=("n",)), w=tg.reals(shape=("n", 2)), max_examples=5)()
    property_test(lambda x, scale: x * scale, x=tg.reals(), scale=[2.0, 3.0], max_examples=5)()


WRONG = {
    "a factor": (operation(rule=lambda g, x: 2 * g * x), {}, GradientMismatchError, "the gradient of halve is wrong"),
    "the second order": (
        operation(rule=lambda g, x: g * (x.data if isinstance(x, tg.Tensor) else x)),
        {},
        GradientMismatchError,
        "order 2.*",
    ),
    "the reference": (
        operation(rule=lambda g, x: g * x),
        {"reference": lambda x: x * x},
        LawError,
        r"on arrays, halve disagrees with its reference:\n  found    .*\n  expected .*\n  called as halve\(np.array\(",
    ),
    "the dtype": (
        operation(rule=lambda g, x: g * x, reference=lambda x: (x * x / 2).astype(np.float32)),
        {},
        LawError,
        r"disagrees with its reference: shape .*, float64, for shape .*, float32",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_found(name):
    f, options, error, message = WRONG[name]
    with pytest.raises(error, match=message) as caught:
        property_test(f, max_examples=30, **options)()
    assert "call=halve(" in "\n".join(caught.value.__notes__)


def test_float64_that_comes_from_float32_is_found():
    @tg.primitive(elementwise=True, cases=[tg.Case(x=tg.reals())])
    def widened(x):
        return x * np.float64(2) if x.shape else np.asarray(x * np.float64(2))

    widened.vjp(x=lambda g: 2 * g)
    with pytest.raises(
        LawError, match="widened: the dtype of the result from float32 operands is float64, and should be float32 or"
    ):
        property_test(widened)()


def test_writing_to_an_operand_is_found():
    @tg.primitive(cases=[tg.Case(x=tg.reals(1, 2, shape=(2,)))])
    def normed(x):
        x /= x.sum()
        return x * 1

    normed.vjp(x=lambda g, y: g)
    with pytest.raises(LawError, match="normed writes to its operand 0"):
        keeps_float32(find(examples(normed.op), lambda call: True))


def test_a_layout_that_matters_is_found():
    @tg.primitive(cases=[tg.Case(x=tg.reals(shape=(2, 3)))])
    def raw(x):
        return np.array(np.ravel(x, order="K"))

    raw.vjp(x=lambda g, x_shape: tg.reshape(g, x_shape))
    with pytest.raises(LawError, match="strided operands change the result of raw"):
        property_test(raw)()


def test_a_recorded_derivative_that_differs_is_found():
    @tg.primitive(elementwise=True, cases=[tg.Case(x=tg.reals(1, 2))], orders=1)
    def odd(x):
        return x * 3

    odd.vjp(x=lambda g: g * (3 + 1e-10 * isinstance(g, tg.Tensor)))
    with pytest.raises(LawError, match="in float64, recording the derivative changes the gradient of operand 0 of odd"):
        property_test(odd)()


def test_a_kink_that_is_not_as_declared_is_found():
    declared = tg.Kink("x = 0", "1", at={"x": 0.0}, gradient={"x": 1.0})
    with pytest.raises(
        LawError, match=r"halve declares the derivative 1.0 of x at its kink x = 0, and it is 0.0\n  called with x=0.0"
    ):
        property_test(operation(rule=lambda g, x: g * x, kinks=[declared]))()


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ArgumentError, match=r"<lambda> declares no case .* as in property_test\(<lambda>, x=tg.reals\(\), w=tg.re"):
        property_test(lambda x, w: x * w)
    with pytest.raises(
        ArgumentError, match=r"<lambda> has no domain for operand w: give w=tg.reals\(\), or an array, if it is not"
    ):
        property_test(lambda x, w: x * w, x=tg.reals())


def test_it_follows_the_profile():
    calls = []

    def counted(x):
        calls.append(1)
        return x * 2

    settings.register_profile("few", settings.get_profile("ci"), max_examples=3)
    current = settings.get_current_profile_name()
    try:
        settings.load_profile("few")
        few = property_test(counted, x=tg.reals(shape=()))
    finally:
        settings.load_profile(current)
    few()
    some = len(calls)
    property_test(counted, x=tg.reals(shape=()), max_examples=30)()
    assert len(calls) > 3 * some


def test_under_pytest_it_is_a_test_with_a_readable_failure(run):
    status, text = run(CUBE)
    assert status == 0, text
    assert "1 passed" in text
    status, text = run(CUBE.replace("3 * g * x**2", "2 * g * x**2"), "-v")
    assert status == 1
    assert "test_it.py::test_cube" in text
    assert "GradientMismatchError: the gradient of cube is wrong" in text
    assert re.search(r"call=cube\(np\.array\((1|-1|0\.5)\.?\)\),", text), text


def test_without_hypothesis_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(MissingError, match=r"made with Hypothesis, which is not installed: pip install 'tinygrad-edu\[test\]'"):
        lazy.hypothesis()


# -------------------------------------------------------------------------------------------------------------- report


def test_the_report_counts_orders_dtypes_and_kinks(run):
    status, text = run(CUBE + RAMP + "\n    test_ramp = property_test(ramp, max_examples=5)", "--gradient-report")
    assert status == 0, text
    assert "test_it.cube   3/3\n" in text
    assert "test_it.ramp   4/4\n" in text
    assert "7 of 7 derivatives were checked: 100 %" in text
    assert re.search(r"\n\d+ comparisons: \d+ match \(100 %\)\n", text)


def test_what_was_not_checked_is_listed_and_fails_under_the_threshold(run):
    source = CUBE.replace("test_cube = property_test(cube, max_examples=10)", "") + RAMP
    source += "\n    def test_ramp():\n        tg.testing.check_gradients(ramp, [0.0, 1.0], order=1)\n"
    status, text = run(source, "--gradient-report-min=0.9")
    assert status == 1
    assert "test_it.cube   0/3   float64 order 1, float64 order 2, float32 order 1\n" in text
    assert "test_it.ramp   2/4   float64 order 2, float32 order 1\n" in text
    assert "2 of 7 derivatives were checked: 29 %" in text
    assert "\n3 comparisons: 3 match (100 %)\n" in text
    assert "FAILED: 0.286 is less than --gradient-report-min=0.9" in text
    assert run(source, "--gradient-report-min=0.28")[0] == 0


def test_the_report_needs_no_other_plugin(run):
    status, text = run(CUBE, "--gradient-report", "-p", "no:xdist")
    assert status == 0, text
    assert "3 of 3 derivatives were checked: 100 %" in text


def test_workers_report_together(run):
    pytest.importorskip("xdist")
    source = CUBE + RAMP + "\n    test_ramp = property_test(ramp, max_examples=5)"
    status, text = run(source, "-n", "2", "--gradient-report-min=1")
    assert status == 0, text
    assert "7 of 7 derivatives were checked: 100 %" in text
    status, text = run(source.replace("test_ramp", "ramped"), "-n", "2", "--gradient-report-min=1")
    assert status == 1
    assert "3 of 7 derivatives were checked: 43 %" in text
    assert re.search(r"\n\d\d+ comparisons: \d\d+ match", text)


def test_the_library_is_reported_on_where_nobody_declares_an_operation(run):
    source = "import tinygrad_edu as tg\n\ndef test_it():\n    tg.testing.check_gradients(lambda x: tg.sin(x) + x, [1.0])"
    status, text = run(source, "--gradient-report")
    assert status == 0, text
    assert re.search(r"\nadd +2/\d+ +float32 order 1", text)
    assert re.search(r"\nsin +2/\d+ +float32 order 1", text)
    assert "\ncos " not in text
    status, text = run(source, "--gradient-report-all")
    assert re.search(r"\ncos +0/\d+ +float64 order 1", text)


def test_an_impossible_threshold_is_refused(run):
    status, text = run("def test(): pass", "--gradient-report-min=90")
    assert status == 4
    assert "--gradient-report-min is a share between 0 and 1, not 90" in text


def test_a_failing_run_still_reports(run):
    status, text = run("def test(): assert False", "--gradient-report")
    assert status == 1
    assert "0 of 0 derivatives were checked" in text
    assert "0 comparisons: none" in text


def test_only_what_is_watched_is_noted():
    coverage = Coverage()
    tg.testing.check_gradients(tg.sin, [1.0])
    coverage.start()
    tg.testing.check_gradients(lambda x: tg.tanh(x) * np.float32(1), np.ones(2, np.float32), order=1)
    coverage.stop()
    tg.testing.check_gradients(tg.cos, [1.0])
    assert {name for name, _ in coverage.seen} == {"tanh", "multiply"}
    assert ("tanh", "float32 order 1") in coverage.seen


def test_what_there_is_to_check_of_an_operation():
    assert cells_of(tg.relu.op) == ["float64 order 1", "float64 order 2", "float32 order 1", "kink a = 0"]
    assert "complex128 order 2" in cells_of(tg.exp.op)


# ---------------------------------------------------------------------------------------------------------- entry points


def loaded(program, *names):
    """Which of the modules a fresh interpreter has loaded after a program."""
    code = f"{program}\nimport sys\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_plugin_loads_nothing(run):
    heavy = ("tinygrad_edu", "numpy", "hypothesis")
    assert loaded("import _tinygrad_edu_pytest", *heavy) == []
    assert loaded("import _tinygrad_edu_hypothesis; _tinygrad_edu_hypothesis.register()", *heavy, "pytest") == []
    status, text = run("import sys\ndef test_it(): assert 'tinygrad_edu' not in sys.modules")
    assert status == 0, text


DRAWN = (
    "import hypothesis.strategies as st; x = st.from_type(tinygrad_edu.Tensor).example(); assert isinstance(x, tinygrad_edu.Tensor)"
)
FIRST = {
    "hypothesis": "import hypothesis; import tinygrad_edu",
    "tinygrad_edu": "import tinygrad_edu; import hypothesis; import _tinygrad_edu_hypothesis; _tinygrad_edu_hypothesis.register()",
}


@pytest.mark.parametrize("first", FIRST)
def test_tensors_are_drawn_by_type_whichever_comes_first(first):
    # The second order is what Hypothesis does by itself where the package is installed.
    assert loaded(f"import warnings; warnings.simplefilter('ignore'); {FIRST[first]}; {DRAWN}", "hypothesis") == ["hypothesis"]


def test_neither_loads_the_other():
    assert loaded("import tinygrad_edu", "hypothesis", "_tinygrad_edu_hypothesis") == []
    assert loaded("import hypothesis", "tinygrad_edu", "numpy") == []


def test_the_declared_entry_points_are_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    points = project["project"]["entry-points"]
    modules = {value.partition(":")[0] for group in points.values() for value in group.values()}
    assert {f"{module}.py" for module in modules} == {path.name for path in ENTRY.glob("_tiny*.py")}
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {f"tinygrad_edu/_entry/{module}.py": f"{module}.py" for module in modules}
