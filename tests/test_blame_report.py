"""What `blame` says: whose fault it is, where it is, and what cannot be judged."""

import functools
import inspect
import itertools
import re
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from test_blame import names_of

import tinygrad_edu as tg
from tinygrad_edu import engine
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.testing import check_gradients
from tinygrad_edu.testing.blame import blame

# ------------------------------------------------------------------------------------------------------------- the engine


def test_overwriting_instead_of_adding_is_the_engines_fault(monkeypatch):
    source = engine._pull_back

    class Overwriting(dict):
        def get(self, key, default=None):
            return None  # never anything to add to

    monkeypatch.setattr(engine, "_pull_back", lambda order, pending, *rest, **kw: source(order, Overwriting(pending), *rest, **kw))
    report = blame(lambda x: tg.sum(x * x + tg.sin(x)), [1.5, 2.0])
    assert report.engine
    assert not report.culprits
    assert "the backward pass itself is wrong" in str(report)
    assert "a sum over paths" in str(report)


def test_a_wrong_order_is_the_engines_fault(monkeypatch):
    right = engine.topological_order
    monkeypatch.setattr(engine, "topological_order", lambda *roots, **options: right(*roots, **options)[::-1])
    report = blame(lambda x: tg.sum(tg.sin(x * x) * x), [1.5])
    assert report.engine
    assert not report.culprits
    assert "too early" in str(report)


def test_a_recorded_pass_that_forgets_a_path_is_the_engines_fault(monkeypatch):
    right = engine._recorded_view

    def forgetful(node, cls):
        view = right(node, cls)
        if node.op.name == "multiply":
            view.saved = tuple([tg.Tensor(a.data) if isinstance(a, tg.Tensor) else a for a in view.saved])
        return view

    monkeypatch.setattr(engine, "_recorded_view", forgetful)
    f = lambda x: tg.sum(x * x * x)
    assert blame(f, [1.5]).ok
    report = blame(f, [1.5], order=2)
    assert report.engine
    assert not report.culprits
    assert "derivative of the recorded gradient" in str(report)


# ---------------------------------------------------------------------------------------------------- where f is not a graph


def test_what_the_graph_does_not_see_is_said():
    assert "look for .data" in str(blame(lambda x: tg.sum(x * x.data), [0.5, 1.0]))
    report = blame(lambda x: tg.sum(x * x.detach()), [0.5, 1.0])
    assert "the gradient ends at" in str(report)
    assert "test_blame_report.py" in str(report)
    assert "detach" in str(report)
    assert not report.ok
    assert not report.culprits


def test_random_functions_and_operations_are_not_blamed():
    rng = np.random.default_rng(0)
    assert "random or keeps a state" in str(blame(lambda x: tg.sum(x * rng.random()), [0.5, 1.0]))

    @tg.primitive
    def noisy(a, /):
        """y = a r        ∂L/∂a = g r"""
        return a * rng.random()

    noisy.vjp(a=lambda g: g)
    report = blame(lambda x: tg.sum(noisy(x)), [0.5, 1.0])
    assert not report.culprits
    assert re.search(r"noisy at .*test_blame_report\.py:\d+ is not judged: ", str(report))
    assert "gives other numbers when it is computed again" in str(report)


def test_a_forward_and_a_rule_that_change_their_arrays_are_named():
    @tg.primitive
    def clobbering(a, /):
        """y = 2 a        ∂L/∂a = 2 g"""
        a *= 2
        return a + 0

    clobbering.vjp(a=lambda g: 2 * g)
    (culprit,) = blame(lambda x: tg.sum(clobbering(x)), [0.5]).culprits
    assert culprit.operand == "forward"
    assert "changes its operand a in place" in culprit.mistake

    @tg.primitive
    def greedy(a, /):
        """y = 2 a        ∂L/∂a = 2 g"""
        return 2 * a

    def rule(g):
        g *= 2
        return g

    greedy.vjp(a=rule)
    (culprit,) = blame(lambda x: tg.sum(greedy(x) + x), [0.5]).culprits
    assert "changes the cotangent in place" in culprit.mistake


# ----------------------------------------------------------------------------------------------- kinks, complex, opaque calls


def test_a_kink_is_not_wrong_but_a_wrong_rule_beside_it_is(plant):
    x = [0.0, 0.0, 1.0, -1.0]
    f = lambda x: tg.sum(tg.sin(tg.relu(x)) * tg.abs(x) + tg.max(x))
    assert blame(f, x, order=2).ok
    assert blame(lambda x: tg.sum(tg.sort(tg.stack([x, x, x]), axis=0) * np.arange(3.0)[:, None]), x, order=2).ok
    plant(tg.relu.op, a=lambda g, a: g * (a > 0) * 1.001)
    assert names_of(blame(f, x)) == {("relu", "a")}
    plant.restore()
    plant(tg.relu.op, a=lambda g, a: g * ((a > 0) - 0.1 * (a == 0)))
    assert names_of(blame(f, x)) == {("relu", "a")}


def test_infinite_derivatives_are_not_blamed():
    report = blame(lambda x: tg.sum(tg.where(x > 0, tg.sqrt(x), 0.0)), [0.0, 4.0])
    assert report.ok


def test_complex_operands_and_determined_results(plant):
    z = np.array([[1 + 2j, 0.5], [0.3j, 2 - 1j]])
    f = lambda z: tg.sum(tg.abs(tg.exp(z) @ z.conj() / (z + 3)))
    assert blame(f, z, order=2).ok
    plant(tg.conj.op, a=lambda g: g)
    report = blame(f, z)
    assert names_of(report) == {("conj", "a")}
    assert any("conjugate" in (c.mistake or "") for c in report.culprits)


def test_what_is_determined_up_to_a_factor_is_judged_by_the_cotangent_that_arrives(plant):
    def f(z):
        _, v = tg.linalg.eigh(z @ z.conj().T) if hasattr(tg, "linalg") else tg.eigh(z @ z.conj().T)
        return tg.sum(tg.abs(v) ** 4)

    z = np.array([[1 + 2j, 0.5], [0.3j, 2 - 1j]])
    assert blame(f, z).ok
    op = tg.registry.REGISTRY["_eigh"]
    right = op.rules["a"]
    plant(op, a=functools.wraps(right)(lambda *args: 1.001 * right(*args)))
    assert names_of(blame(f, z)) == {("_eigh", "a")}


def test_opaque_calls_and_what_runs_inside(plant):
    x = [[0.5, 1.0], [0.2, 0.3]]

    @tg.custom_vjp
    def clipped(x):
        return tg.sin(x)

    def bwd(x, g):
        return (g * tg.sin(x),)

    clipped.defvjp(lambda x: (tg.sin(x), x), bwd)
    (culprit,) = blame(lambda x: tg.sum(2 * clipped(x)), x).culprits
    assert culprit.op == "clipped"
    assert culprit.rule == f"{__file__}:{bwd.__code__.co_firstlineno}"
    clipped.defvjp(lambda x: (tg.sin(x), x), lambda x, g: (g * tg.cos(x),))
    assert blame(lambda x: tg.sum(2 * clipped(x)), x, order=2).ok

    w = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    inside = tg.checkpoint(lambda x: tg.tanh(tg.sin(x) @ w))
    f = lambda x: tg.sum(tg.exp(inside(x)))
    assert blame(f, x, order=2).ok
    plant(tg.tanh.op, a=lambda g, y: g * (1 - y))
    report = blame(f, x)
    assert names_of(report) == {("tanh", "a")}
    assert "inside of <lambda>" in str(report)
    assert [node.op for node in report.graph().nodes if node.highlight] == ["<lambda>"]


def test_equations_are_not_blamed():
    root = lambda a: tg.fixed_point(lambda x, a: (x + a / x) / 2, 1.0, a)
    assert blame(root, 2.0, order=2).ok
    height = lambda drag: tg.odeint(lambda v, t, k: -9.81 - k * v, 10.0, [0.0, 1.0], drag)[-1]
    assert blame(height, 0.5).ok


# ------------------------------------------------------------------------------------------------------------ the report


@tg.primitive(elementwise=True)
def blend(a, b, /):
    """y = a b²        ∂L/∂a = g b²        ∂L/∂b = 2 g a b"""
    return a * b * b


blend.vjp(a=lambda g, b: g * b * b, b=lambda g, a, b: g * a * b)


def mixed(x, b):
    return tg.sum(tg.sin(blend(tg.exp(x), b)))


def test_the_report_names_formula_places_shapes_and_the_worst_element():
    report = blame(mixed, [[0.5, 1.0], [0.2, 0.3]], [1.0, 2.0])
    (culprit,) = report.culprits
    assert (culprit.op, culprit.operand, culprit.order) == ("blend", "b", 1)
    assert culprit.formula == "y = a b²        ∂L/∂a = g b²        ∂L/∂b = 2 g a b"
    lines = inspect.getsource(inspect.getmodule(mixed)).splitlines()
    for place, text in ((culprit.rule, "blend.vjp("), (culprit.call, "blend(tg.exp(x), b)")):
        file, _, line = place.rpartition(":")
        assert file == __file__
        assert text in lines[int(line) - 1]
    assert culprit.shape == (2, 2)
    assert culprit.shapes == ((2, 2), (2,))
    assert culprit.analytic / culprit.numerical == pytest.approx(0.5, rel=1e-6)
    assert len(culprit.index) == 2
    text = str(report)
    assert "mixed: 1 wrong rule (5 operations, order 1)" in text
    assert "blend: the rule of b is wrong" in text
    assert culprit.formula in text
    assert "(2, 2), (2,) → (2, 2)" in text
    assert "ratio 0.5" in text
    assert "likely a factor" in text
    assert len(text.splitlines()) <= 8


def test_a_call_that_is_not_in_the_users_function_has_no_place(plant):
    """The report is often put into words long after the call: by print(), or by whoever shows an error."""
    plant(tg.tanh.op, a=lambda g, y: -g * (1 - y * y))
    for f in (tg.tanh, tg.nn.Tanh(), functools.partial(tg.tanh)):
        report = check_gradients(f, [1.0, 2.0])
        assert blame(f, [1.0, 2.0]).culprits[0].call is None
        assert "called with (2,) → (2,)" in str(report)
        assert __file__ not in "".join(line for line in str(report).splitlines() if "called" in line)
    plant(tg.sin.op, a=lambda g, a: -g * tg.cos(a))
    line = inspect.getsourcelines(sine_of)[1] + 1
    assert f"called at {__file__}:{line}, (2,) → (2,)" in str(check_gradients(sine_of, [1.0, 2.0]))


def sine_of(x):
    return tg.sin(x)


class Waves(tg.nn.Module):
    def forward(self, x):
        return tg.sin(x)

    def twice(self, x):
        return 2 * tg.sin(x)


@pytest.mark.parametrize(
    ("f", "name", "line"),
    [
        (tg.nn.Sequential(Waves(), tg.nn.ReLU()), "Sequential", "f = ...  # your Sequential"),
        (functools.partial(sine_of), "sine_of", "f = ...  # your sine_of"),
        (Waves().twice, "twice", "twice = ...  # Waves.twice"),
        (lambda x: tg.sin(x), "<lambda>", "f = lambda x: tg.sin(x)"),
    ],
)
def test_whatever_can_be_called_has_a_name_of_one_line(plant, f, name, line):
    plant(tg.sin.op, a=lambda g, a: -g * tg.cos(a))
    text = str(check_gradients(f, [1.0, 2.0]))
    assert text.startswith(f"the gradient of {name} is wrong: ")
    assert f"  {name}: 1 wrong rule" in text
    assert f"    {line}\n" in text


def test_likely_mistakes_are_named(plant):
    f = lambda x: tg.sum(tg.sin(x))
    for rule, words in {
        (lambda g, a: -g * tg.cos(a)): "a sign",
        (lambda g, a: 0 * g): "a zero",
        (lambda g, a: tg.cos(a)): "does not multiply by g",
        (lambda g, a: g * tg.cos(a) * np.nan): "not finite",
    }.items():
        plant(tg.sin.op, a=rule)
        (culprit,) = blame(f, [[0.5, 1.0], [0.2, 0.3]]).culprits
        assert words in culprit.mistake
    plant(tg.sin.op, a=lambda g, a: 1 / 0)
    assert "raises ZeroDivisionError" in str(blame(f, [1.0]))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda g, a: tg.abs(g) * tg.cos(a), "the rule is not linear in g"),
        (lambda g, a: g * g * tg.cos(a), "the rule is not linear in g"),
        (lambda g, a: tg.clip(g, -1, 1) * tg.cos(a), "the rule is not linear in g"),
        (lambda g, a: g * tg.cos(a) + 1e-3, "the rule is not linear in g"),
        (lambda g, a: tg.where(tg.abs(g) < 1e-2, 0.0, g) * tg.cos(a), "the rule is not linear in g"),
        (lambda g, a: tg.cos(a), "the rule does not multiply by g"),
        (lambda g, a: g * tg.cos(a) * np.random.default_rng().random(), "the rule gives other numbers when it runs again"),
    ],
)
@pytest.mark.parametrize("size", [(), (1,), (4,)])
def test_a_rule_that_is_not_linear_in_the_cotangent_is_named_whatever_the_cotangent(plant, rule, words, size):
    plant(tg.sin.op, a=rule)
    for seed in range(5):
        (culprit,) = blame(lambda x: -tg.sum(tg.sin(x)), np.full(size, 0.5), seed=seed).culprits
        assert culprit.op == "sin"
        assert words in culprit.mistake


def test_the_picture_has_the_culprits_in_red():
    report = blame(mixed, [[0.5, 1.0], [0.2, 0.3]], [1.0, 2.0])
    graph = report.graph()
    (red,) = [node for node in graph.nodes if node.highlight]
    assert red.op == "blend"
    assert red.label == "blend\nwrong ∂/∂b"
    source = graph.dot().source
    assert source.count("#C00000") == 1
    assert "#C00000" not in blame(lambda x: tg.sum(tg.sin(x)), [1.0]).graph().dot().source


def test_time_is_limited_and_what_was_not_looked_at_is_said(monkeypatch):
    f = lambda x: functools.reduce(lambda y, _: tg.sin(y), range(300), x)
    clock = itertools.count()
    # A second for each operation. (The name in the package is that of the function.)
    monkeypatch.setattr(sys.modules["tinygrad_edu.testing.blame"], "time", SimpleNamespace(monotonic=lambda: next(clock)))
    report = blame(f, [1.0], seconds=20)
    assert 0 < report.checked < report.operations == 300
    assert f"no wrong rule was found yet ({report.checked} of 300 operations" in str(report)
    assert not report.ok
    assert "time is up" in str(report)


def test_a_deep_graph_and_a_large_array():
    f = lambda x: tg.sum(functools.reduce(lambda y, _: tg.sin(y) + 0.1, range(500), x))
    assert blame(f, np.linspace(0, 1, 3)).ok
    big = np.random.default_rng(0).normal(size=(300, 300))
    start = time.process_time()
    assert blame(lambda x: tg.sum(tg.softmax(x @ x.T / 100)[0]), big).ok
    assert time.process_time() - start < 20


def test_a_wrong_element_of_a_large_array_is_found(plant):
    def rule(g, a):
        part = g * tg.cos(a)
        part[123, 45] *= 2
        return part

    plant(tg.sin.op, a=rule)
    big = np.random.default_rng(0).normal(size=(200, 100))
    (culprit,) = blame(lambda x: tg.sum(tg.sin(x)), big).culprits
    assert culprit.index == (123, 45)
    assert culprit.analytic / culprit.numerical == pytest.approx(2, rel=1e-5)


def test_arguments_are_checked():
    with pytest.raises(ArgumentError, match=r"no input to differentiate by: their dtypes are int64; pass floats"):
        blame(lambda x: x, np.array([1, 2]))
    with pytest.raises(ArgumentError, match=r"blame\(order=0\)"):
        blame(lambda x: x, [1.0], order=0)


def test_nothing_recorded_is_nothing_wrong():
    report = blame(lambda x: tg.Tensor(1.0), [1.0])
    assert report.ok
    assert report.operations == 0
