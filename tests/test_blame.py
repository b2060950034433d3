"""Wrong rules are planted into random programs, and `blame` has to name them, and nothing else."""

import functools
import inspect
import itertools
import os
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import engine
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.ops.reduction import broadcast_to
from tinygrad_edu.testing.blame import blame

FULL = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
PROGRAMS = 100 if FULL else 8
SHAPES = [(3, 3), (2, 3), (3,), (1, 3), ()]
UNARY = [
    tg.sin,
    tg.tanh,
    tg.sigmoid,
    tg.relu,
    tg.abs,
    tg.arctan,
    tg.softplus,
    lambda x: tg.exp(0.5 * tg.tanh(x)),
    lambda x: tg.log(x * x + 1),
    lambda x: tg.sqrt(tg.square(x) + 0.5),
    lambda x: 0.3 * x**2,
    lambda x: tg.clip(x, -1, 1),
    lambda x: tg.where(x > 0.2, x, 0.5 * x),
    lambda x: tg.maximum(x, 0.1),
]
OF_ROWS = [
    lambda x: tg.cumsum(x, axis=-1),
    lambda x: tg.softmax(x, axis=-1),
    lambda x: tg.logsumexp(x, axis=-1),
    lambda x: tg.sort(x, axis=-1),
    lambda x: tg.max(x, axis=-1, keepdims=True),
    lambda x: tg.mean(x, axis=0, keepdims=True),
    lambda x: tg.sum(x, axis=-1),
    lambda x: tg.prod(x, axis=-1),
    lambda x: tg.concatenate([x, x], axis=0)[: x.shape[0]],
    lambda x: tg.std(x) + x,
    lambda x: tg.roll(x, 1),
    lambda x: tg.flip(x),
    lambda x: x[..., ::2],
]
OF_MATRICES = [lambda x: x.T, lambda x: tg.reshape(x, (-1,))[:3], lambda x: 0.2 * (x @ tg.swapaxes(x, 0, 1))]
OF_SQUARES = [
    lambda x: tg.inv(0.1 * x + 2 * np.eye(len(x), dtype=x.dtype)),
    lambda x: tg.cholesky(0.1 * (x @ x.T) + np.eye(len(x), dtype=x.dtype)),
    tg.diagonal,
]
BINARY = [
    tg.add,
    tg.subtract,
    tg.multiply,
    tg.maximum,
    lambda x, y: x / (tg.square(y) + 1),
    lambda x, y: tg.hypot(x, y * y + 0.3),
    lambda x, y: tg.arctan2(x, y * y + 1),
]


def program(seed, steps=22):
    """A random function of five inputs, of about 50 recorded operations, in which everything has a part in the result."""

    def f(*inputs):
        rng = np.random.default_rng(seed)
        values, unused, left = list(inputs), list(inputs), steps
        while left:
            from_unused = unused and rng.random() < 0.5
            x, y = (pool[rng.integers(len(pool))] for pool in (unused if from_unused else values, values))
            kinds = [UNARY, OF_ROWS if x.ndim else UNARY, OF_MATRICES if x.ndim == 2 else UNARY]
            if x.ndim == 2 and x.shape[0] == x.shape[1]:
                kinds.append(OF_SQUARES)
            if fits(x, y):
                kinds += [BINARY, BINARY]
            if x.ndim == y.ndim == 2 and x.shape[1] == y.shape[0]:
                kinds += [[lambda x, y: 0.3 * (x @ y)]] * 2
            kind = kinds[rng.integers(len(kinds))]
            operation = kind[rng.integers(len(kind))]
            z = operation(x, y) if kind is BINARY or kind not in (UNARY, OF_ROWS, OF_MATRICES, OF_SQUARES) else operation(x)
            if np.max(np.abs(z.data)) > 20:
                z = tg.tanh(z)
            values.append(z)
            unused = [u for u in unused if u is not x and u is not y] + [z]
            left -= 1
        total = tg.sum(unused[0])
        for u in unused[1:]:
            total = total + tg.sum(tg.tanh(u))
        return total

    return f


def fits(x, y):
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return False
    return True


def inputs_of(seed, dtype=float):
    rng = np.random.default_rng(seed + 10**6)
    return [rng.normal(size=shape).astype(dtype) for shape in SHAPES]


# ---------------------------------------------------------------------------------------------------------- false blame


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", [1, 2])
def test_nothing_is_blamed_in_correct_programs(dtype, order):
    operations = []
    for seed in range(2 * PROGRAMS):
        report = blame(program(seed), *inputs_of(seed, dtype), order=order)
        assert report.ok, f"program {seed}\n{report}"
        assert not report.notes, f"program {seed}\n{report}"
        assert report.checked == report.operations
        operations.append(report.operations)
    assert np.mean(operations) > 50


# ------------------------------------------------------------------------------------------------------- planted mistakes


@pytest.fixture
def plant():
    """Replace rules for a while."""
    saved = []

    def replace(op, **rules):
        saved.append((op, op.rules))
        op.vjp(**{**op.rules, **rules})

    def restore():
        while saved:
            op, rules = saved.pop()
            op.vjp(**rules)

    replace.restore = restore
    yield replace
    restore()


class Wrong:
    """A rule with a mistake in it, and whether that ever made a difference."""

    def __init__(self, op, operand, mistake):
        self.seen = False
        right = op.rules[operand]

        @functools.wraps(right)
        def rule(*args):
            part = right(*args)
            changed = mistake(part)
            a, b = (np.asarray(x.data if isinstance(x, tg.Tensor) else x) for x in (part, changed))
            if a.shape != b.shape or np.max(np.abs(a - b), initial=0) > 2e-4 * max(1e-2, float(np.max(np.abs(a), initial=0))):
                self.seen = True
            return changed

        self.rule = rule


def factor(part):
    return part * 1.001


def one_element(part):
    mask = np.ones(np.shape(part), np.asarray(part.data if isinstance(part, tg.Tensor) else part).dtype)
    mask.reshape(-1)[mask.size // 2] = 1.5
    return part * mask


def transposed(part):
    square = np.ndim(part) == 2 and np.shape(part)[0] == np.shape(part)[1]
    return part.T if square else part


def planted(operations):
    """The rules of these operations."""
    return [(op, operand) for op in operations for operand, rule in op.rules.items() if callable(rule)]


def operations_of(seed):
    """The operations that a program calls, without those that broadcast."""
    found = {}
    with tg.graph.mode(on_record=lambda node, *_: found.setdefault(node.op.name, node.op)):
        program(seed)(*[tg.Tensor(x, requires_grad=True) for x in inputs_of(seed)])
    return [found[name] for name in sorted(found)]


def search(plant, seed, mistakes, order=1, dtype=float):
    """Plant one mistake after the other into random operations of a program until they show, and blame."""
    rng = np.random.default_rng(seed)
    candidates = [planted([op]) for op in operations_of(seed)]
    candidates = [rules for rules in candidates if rules]
    for _ in range(20):
        chosen = rng.permutation(len(candidates))[: len(mistakes)]
        wrongs = []
        for i, mistake in zip(chosen, mistakes, strict=True):
            op, operand = candidates[i][rng.integers(len(candidates[i]))]
            wrong = Wrong(op, operand, mistake)
            plant(op, **{operand: wrong.rule})
            wrongs.append((op, operand, wrong))
        start = time.process_time()
        report = blame(program(seed), *inputs_of(seed, dtype), order=order)
        took = time.process_time() - start
        plant.restore()
        if all(wrong.seen for _, _, wrong in wrongs):
            assert took < 2, f"program {seed} took {took:.2f} s"
            return report, {(op.name, operand) for op, operand, _ in wrongs}
    return None


def names_of(report):
    return {(culprit.op, culprit.operand.partition("[")[0]) for culprit in report.culprits}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "mistakes", [[factor], [one_element], [factor, one_element]], ids=["one in a thousand", "one element", "two rules"]
)
def test_planted_rules_are_found_and_nothing_else(plant, mistakes, dtype):
    found = 0
    for seed in range(PROGRAMS):
        outcome = search(plant, seed, mistakes, dtype=dtype)
        assert outcome is not None, f"program {seed} shows none of the mistakes"
        report, wrong = outcome
        assert names_of(report) == wrong, f"program {seed}\n{report}"
        assert not report.engine
        assert len(str(report).splitlines()) < 50
        found += 1
    assert found == PROGRAMS


def test_a_transposed_rule_is_found(plant):
    found = 0
    for seed in range(PROGRAMS):
        wrong = Wrong(tg.matmul.op, "a", transposed)
        plant(tg.matmul.op, a=wrong.rule)
        report = blame(program(seed), *inputs_of(seed))
        plant.restore()
        if wrong.seen:
            found += 1
            assert names_of(report) == {("matmul", "a")}, f"program {seed}\n{report}"
            assert any("transposed" in (c.mistake or "") for c in report.culprits), report
    assert found > PROGRAMS // 10


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda g: g, "a sum over the repeated axes is missing"),
        (lambda g, a_shape: first(g, a_shape), None),
    ],
    ids=["wrong shape", "right shape"],
)
def test_a_missing_sum_over_a_repeat_is_found(plant, rule, words):
    for seed in range(PROGRAMS):
        plant(broadcast_to.op, a=rule)
        report = blame(program(seed), *inputs_of(seed))
        plant.restore()
        if report.ok:
            assert not any(node.op == "broadcast_to" for y in report.results for node in y.graph().nodes), f"program {seed}"
            continue
        assert names_of(report) == {("broadcast_to", "a")}, f"program {seed}\n{report}"
        assert words is None or words in str(report)


def first(g, shape):
    """The first of the repeated elements, where their sum is right."""
    lead = g[(0,) * (g.ndim - len(shape))]
    return lead[tuple([slice(0, 1) if n == 1 else slice(None) for n in shape])]


NONLINEAR = ["sin", "tanh", "sigmoid", "arctan", "exp", "log", "sqrt", "multiply", "divide", "matmul", "square", "power"]


class Leaking:
    """A rule that is right as a number, and constant when it is differentiated; and whether it ever was."""

    def __init__(self, right):
        self.seen = False
        names = list(inspect.signature(right).parameters)

        def fixed(name, value):
            if name == "g" or not isinstance(value, tg.Tensor) or not value.requires_grad:
                return value
            self.seen = True
            return tg.Tensor(value.data)

        self.rule = functools.wraps(right)(lambda *args: right(*map(fixed, names, args)))


def test_a_rule_that_is_wrong_at_order_2_only_is_found(plant):
    for seed in range(PROGRAMS):
        rng = np.random.default_rng(seed)
        candidates = [(op, operand) for op, operand in planted(operations_of(seed)) if op.name in NONLINEAR]
        for i in rng.permutation(len(candidates)):
            op, operand = candidates[i]
            leak = Leaking(op.rules[operand])
            plant(op, **{operand: leak.rule})
            assert blame(program(seed), *inputs_of(seed)).ok
            start = time.process_time()
            report = blame(program(seed), *inputs_of(seed), order=2)
            took = time.process_time() - start
            plant.restore()
            if leak.seen:
                break
        assert leak.seen
        assert took < 2
        assert names_of(report) == {(op.name, operand)}, f"program {seed}, {op.name} {operand}\n{report}"
        assert {culprit.order for culprit in report.culprits} == {2}


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
    assert "test_blame.py" in str(report)
    assert "detach" in str(report)
    assert report.ok


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
    assert "noisy is not judged" in str(report)
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
    assert f"{report.checked} of 300 operations" in str(report)
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
