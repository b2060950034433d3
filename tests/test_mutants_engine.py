"""A wrong engine, planted line by line: the tests of the engine and the property tests have to notice it."""

import contextlib
import inspect

import numpy as np
import pytest
import test_engine
import test_planted_mistakes
from test_mutants import properties

import tinygrad_edu as tg
from tinygrad_edu import engine, recording
from tinygrad_edu.errors import TinygradError
from tinygrad_edu.ops.reduction import broadcast_to
from tinygrad_edu.testing.mutants import Mutant
from tinygrad_edu.testing.mutation import mutation_report


@contextlib.contextmanager
def changed(module, name, old, new):
    """A function with another text in the place of one, wherever it is known."""
    function = getattr(module, name)
    source = inspect.getsource(function)
    assert source.count(old) == 1, f"{name} has {source.count(old)} times: {old}"
    scope = {}
    exec(compile("from __future__ import annotations\n" + source.replace(old, new), f"<wrong {name}>", "exec"), scope)
    right = function.__code__
    function.__code__ = scope[name].__code__
    try:
        yield
    finally:
        function.__code__ = right


def shared_and_broadcast():
    tg.testing.assert_gradients(lambda x, b: tg.sin(x * x + b) * x, [[0.5, -1.0], [2.0, 0.3]], [0.1, 0.2])


def complex_numbers():
    z = np.array([0.5 + 1j, -1.0 + 0.3j])
    tg.testing.assert_gradients(lambda z, a: tg.exp(z * z) / (z + a), z, [1.5, 2.5])
    w = tg.Tensor(z, requires_grad=True)
    (w * w).backward(np.array([1j, 2.0]))
    np.testing.assert_allclose(w.grad.numpy(), np.conj(np.conj([1j, 2.0]) * 2 * z))


def residuals():
    tg.testing.assert_gradients(lambda z: tg.softmax_cross_entropy(z, np.array([1, 0])), [[0.5, -1.0], [2.0, 0.3]])


def every_operation_of_a_few():
    for f in (tg.add, tg.multiply, tg.exp, tg.matmul, tg.sum):
        properties(f)


def tests_of_the_engine():
    for name, test in [*vars(test_engine).items(), *vars(test_planted_mistakes).items()]:
        if name.startswith("test_") and not inspect.signature(test).parameters and not hasattr(test, "pytestmark"):
            test()


NOTICE = (shared_and_broadcast, complex_numbers, residuals, every_operation_of_a_few, tests_of_the_engine)

# What is wrong, where, and which text becomes which.
ENGINE = {
    "overwritten, not accumulated": (engine, "_pull_back", "before = pending.get(vertex)", "before = None"),
    "accumulated in somebody's array": (engine, "_pull_back", "mine = vertex in ours", "mine = True"),
    "the oldest node first": (engine, "cotangents", "(*seeds, stop=stop)", "(*seeds, stop=stop)[::-1]"),
    "the last .grad only": (engine, "backward", "leaf.grad._data + new._data", "new._data"),
    "no Sum over a Repeat": (recording, "record", "inputs = _through_repeat(inputs, position, shape, scope)", "pass"),
    "the seed is not conjugated": (
        engine,
        "cotangents",
        "_conjugate(start, _seed(root, gradient, create_graph))",
        "_seed(root, gradient, create_graph)",
    ),
    "the gradient is not conjugated": (engine, "cotangents", "found[vertex].conj()", "found[vertex]"),
    "the recorded gradient is not conjugated": (engine, "cotangents", "_conjugate(vertex, g)", "g"),
    "another dtype": (engine, "_pull_back", "part = as_dtype(part, vertex.dtype)", "pass"),
    "views are handed out": (engine, "owned", "or array.base is not None", ""),
    "shared arrays are handed out": (engine, "owned", "or getrefcount(array) > UNSHARED", ""),
    "residuals keep no history": (
        engine,
        "_recorded_view",
        "op.residuals_again(operands, node.params)",
        "list(node.saved[count + 1 :])",
    ),
    "results without a history": (engine, "_recorded_view", "tensor(y, node)", "y"),
    "operands without a history": (engine, "_recorded_view", "list(map(tensor, operands, node.inputs))", "operands"),
    "shapes are not checked": (engine, "_pull_back", "if part.shape != vertex.shape:", "if False:"),
    "a path is forgotten": (engine, "_leading_to", "useful.add(node)", "pass"),
}


@pytest.mark.parametrize("name", ENGINE)
def test_a_wrong_engine_is_noticed(name):
    with changed(*ENGINE[name]):
        for test in NOTICE:
            try:
                test()
            except (TinygradError, AssertionError, KeyError, ValueError, TypeError, IndexError, pytest.fail.Exception):
                return
    pytest.fail(f"nobody noticed: {name}")


def test_the_right_engine_passes():
    for test in NOTICE:
        test()
    with pytest.raises(AssertionError, match="backward has 0 times: no such text"), changed(engine, "backward", "no such text", ""):
        pass


def test_a_missing_sum_over_a_repeat_is_noticed_as_a_rule_too():
    wrong = Mutant(broadcast_to.op, "a", "no sum", "g as it is", lambda: lambda g: g)
    report = mutation_report(properties, [wrong])
    assert report.killed == 1
    assert report.fates[0].reason == "properties: RuleError"
