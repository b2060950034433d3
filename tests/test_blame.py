"""Wrong rules are planted into random programs, and `blame` has to name them, and nothing else."""

import functools
import inspect
import os
import time

import numpy as np
import pytest

import tinygrad_edu as tg
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
