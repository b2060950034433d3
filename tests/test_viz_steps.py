"""The receipt of backward: the engine's own steps and numbers, in text, compared, replayed and as JSON; and its formulas."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings

import tinygrad_edu as tg
from tinygrad_edu.errors import AnomalyError, ArgumentError, GraphError, MutationError, ReleasedError
from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.testing import strategies
from tinygrad_edu.viz.receipt import Receipt


def leaf(data, name=None, dtype=float):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=dtype)


def bits(array):
    return array.shape, array.dtype, array.tobytes()


def example():
    """x is used three times, once as both operands of a product."""
    x, w = leaf(3.0, "x"), leaf(2.0, "w")
    return x, w, tg.sin(x * w) + x * x


# --------------------------------------------------------------------------------------------------------- what is noted


def test_every_step_has_its_rule_its_operands_what_came_in_and_what_went_out():
    x, w, y = example()
    receipt = y.graph().steps()
    assert [(step.node, step.op, step.result, step.formula) for step in receipt] == [
        ("o4", "add", "t4", "y = a + b"),
        ("o3", "multiply", "t3", "y = a b"),
        ("o2", "sin", "t2", "y = sin a"),
        ("o1", "multiply", "t1", "y = a b"),
    ]
    assert [dict(step.operands) for step in receipt] == [
        {"a": "t2", "b": "t3"},
        {"a": "i1", "b": "i1"},
        {"a": "t1"},
        {"a": "i1", "b": "i2"},
    ]
    assert [[(p.operand, p.target, p.rule, p.earlier) for p in step.contributions] for step in receipt] == [
        [("a", "t2", "∂L/∂a = g", 0), ("b", "t3", "∂L/∂b = g", 0)],
        [("a", "i1", "∂L/∂a = g b", 0), ("b", "i1", "∂L/∂b = g a", 1)],
        [("a", "t1", "∂L/∂a = g cos a", 0)],
        [("a", "i1", "∂L/∂a = g b", 2), ("b", "i2", "∂L/∂b = g a", 0)],
    ]
    slope = np.cos(6.0)
    assert [step.cotangent.item() for step in receipt] == [1, 1, 1, slope]
    assert [[(p.value.item(), p.total.item()) for p in step.contributions] for step in receipt] == [
        [(1, 1), (1, 1)],
        [(3, 3), (3, 6)],
        [(slope, slope)],
        [(slope * 2, 6 + slope * 2), (slope * 3, slope * 3)],
    ]
    assert {id: g.item() for id, g in receipt.gradients.items()} == {"i1": 6 + 2 * slope, "i2": 3 * slope}
    assert {id: (t.name, t.role, t.value.item()) for id, t in receipt.tensors.items()} == {
        "i1": ("x", "leaf", 3),
        "i2": ("w", "leaf", 2),
        "t1": (None, "intermediate", 6),
        "t2": (None, "intermediate", np.sin(6.0)),
        "t3": (None, "intermediate", 9),
        "t4": (None, "result", np.sin(6.0) + 9),
    }
    assert (x.grad, w.grad) == (None, None)  # looking changes nothing
    y.backward()
    assert x.grad.item() == receipt.gradients["i1"].item()


@settings(max_examples=60)
@given(strategies.programs(max_nodes=10))
def test_of_any_program_the_numbers_are_the_engines_and_replay_to_them(program):
    inputs = [leaf(a, name) for a, name in zip(program.inputs, "xyz", strict=False)]
    y = program.run(*inputs)
    weights = np.cos(np.arange(y.size)).reshape(y.shape)
    receipt = y.graph().steps(weights)
    y.backward(weights)
    by_name = {receipt.tensors[id].name: g for id, g in receipt.gradients.items()}
    assert {name: bits(g) for name, g in by_name.items()} == {t.name: bits(t.grad.data) for t in inputs}
    # What comes into a step is the sum of what went out before; and nothing comes later.
    for count, step in enumerate(receipt):
        assert bits(receipt.replay(count)[step.result]) == bits(step.cotangent)
        assert step.result not in {part.target for later in receipt[count:] for part in later.contributions}
    end = receipt.replay()
    assert {id: bits(end[id]) for id in receipt.gradients} == {id: bits(g) for id, g in receipt.gradients.items()}
    for step in receipt:
        for part in step.contributions:
            assert part.value.shape == part.total.shape == receipt.tensors[part.target].value.shape
    assert Receipt.from_json(receipt.to_json()).diff(receipt) == ()


def test_float32_stays_and_integers_are_shown_as_they_are():
    x = leaf([1.0, 2.0], "x", np.float32)
    receipt = (x * np.array([2, 3]) * np.array([0.5, 0.5])).graph().steps([1, 1])
    assert {part.value.dtype for step in receipt for part in step.contributions} == {np.dtype(np.float32), np.dtype(float)}
    assert receipt.gradients["i1"].dtype == np.float32
    assert receipt.tensors["i2"].value.dtype == np.int64


def test_complex_gradients_point_uphill_and_cotangents_are_as_they_travel():
    z = leaf([3 + 4j], "z", complex)
    receipt = (tg.abs(z) ** 2).sum().graph().steps()
    np.testing.assert_allclose(receipt.gradients["i1"], [6 + 8j], rtol=1e-15)
    np.testing.assert_allclose(receipt.replay()["i1"], [6 - 8j], rtol=1e-15)
    assert bits(Receipt.from_json(receipt.to_json()).gradients["i1"]) == bits(receipt.gradients["i1"])


def test_an_operation_with_many_operands_names_them_by_number():
    a, b = leaf([1.0], "a"), leaf([2.0], "b")
    receipt = tg.concatenate([a, b]).sum().graph().steps()
    assert [(p.operand, p.target) for p in receipt[1].contributions] == [("arrays[0]", "i1"), ("arrays[1]", "i2")]


def test_metadata_is_shown_where_it_has_a_text():
    receipt = tg.sum(leaf([[1.0, 2.0]], "x"), axis=1).graph().steps([1.0])
    assert receipt[0].params["axis"] == "1"
    opaque = tg.checkpoint(lambda x: x * 2)(leaf(1.0, "x")).graph().steps()
    assert opaque[0].params == {}
    assert opaque.gradients["i1"].item() == 2


def test_whoever_watches_passes_already_still_does():
    x = leaf([0.0, 4.0], "x")
    with tg.detect_anomaly(), np.errstate(all="ignore"):
        with pytest.raises(AnomalyError, match="derivative of sqrt"):
            tg.sqrt(x).sum().graph().steps()
        assert tg.exp(x).sum().graph().steps().gradients["i1"].tolist() == [1, np.exp(4.0)]


def test_the_graph_is_left_as_it_was_also_when_a_rule_fails():
    x = leaf([0.0, 4.0], "x")

    @tg.primitive
    def failing(a):
        """y = a        ∂L/∂a = an error"""
        return a + 0.0

    failing.vjp(a=lambda g: g.no_such_attribute)
    try:
        y = failing(tg.exp(x)).sum()
        before = [node.active for node in (y._node, y._node.inputs[0])]
        with pytest.raises(AttributeError, match="no_such_attribute"):
            y.graph().steps()
        assert all(a is b for a, b in zip([node.active for node in (y._node, y._node.inputs[0])], before, strict=True))
    finally:
        REGISTRY.pop(f"{__name__}.failing")
    z = tg.exp(x).sum()
    before = z._node.active
    z.graph().steps()
    assert z._node.active is before
    z.backward()
    assert x.grad.tolist() == np.exp([0.0, 4.0]).tolist()


def test_a_zero_wins_over_an_infinite_derivative_here_too():
    x = leaf([0.0, 4.0], "x")
    receipt = tg.where(x.data > 0, tg.sqrt(x), 0.0).sum().graph().steps()
    assert receipt.gradients["i1"].tolist() == [0, 0.25]


def test_a_deep_graph_and_one_that_doubles():
    x = leaf(1.0, "x")
    y = x
    for _ in range(20_000):
        y = y + 1.0
    assert len(y.graph().steps()) == 20_000
    y = x
    for _ in range(18):
        y = y + y
    receipt = y.graph().steps()
    assert (len(receipt), receipt.gradients["i1"].item()) == (18, 2**18)


# ------------------------------------------------------------------------------------------------------------- refusals


def test_what_backward_refuses_is_refused_in_the_same_words():
    x = leaf([1.0, 2.0], "x")
    with pytest.raises(GraphError, match=r"reduce it first, as in y.sum\(\)"):
        tg.exp(x).graph().steps()
    with pytest.raises(GraphError, match="depends on nothing that requires grad"):
        tg.Tensor(1.0).graph().steps()
    y = tg.exp(x).sum()
    y.backward()
    with pytest.raises(ReleasedError, match="retain_graph=True"):
        y.graph().steps()
    z = (x * x).sum()
    x.data -= 1.0
    with pytest.raises(MutationError, match="changed in place"):
        z.graph().steps()


def test_a_part_of_a_graph_has_no_steps():
    x, _, y = example()
    part = y.graph().between(x, "t2")
    for method in ("steps", "lint", "to_numpy_source"):
        with pytest.raises(ArgumentError, match=f"{method}: this is a part of a graph"):
            getattr(part, method)()


def test_replay_and_render_say_what_they_take(tmp_path):
    receipt = example()[2].graph().steps()
    assert receipt.replay(0) == {"t4": np.array(1.0)}
    with pytest.raises(ArgumentError, match=r"replay\(5\): the receipt has 4 steps, so that 0 to 4"):
        receipt.replay(5)
    with pytest.raises(ArgumentError, match=r"a receipt is written as .html, a page, or as .json; got '.png'"):
        receipt.render(tmp_path / "x.png")
    with pytest.raises(ArgumentError, match="is not a receipt"):
        Receipt.from_json("[]")


# --------------------------------------------------------------------------------------------------------- text and files


def test_a_receipt_prints():
    assert str(example()[2].graph().steps()).splitlines() == [
        "Backward from t4 in 4 steps. g is an operation's cotangent, ∂L/∂t4 = 1.",
        "  1  o4 add       y = a + b   g = 1",
        "       a  ∂L/∂a = g   1 to t2",
        "       b  ∂L/∂b = g   1 to t3",
        "  2  o3 multiply  y = a b   g = 1",
        "       a  ∂L/∂a = g b   3 to x (i1)",
        "       b  ∂L/∂b = g a   3 to x (i1), in all 6",
        "  3  o2 sin       y = sin a   g = 1",
        "       a  ∂L/∂a = g cos a   0.9602 to t1",
        "  4  o1 multiply  y = a b   g = 0.9602",
        "       a  ∂L/∂a = g b   1.92 to x (i1), in all 7.92",
        "       b  ∂L/∂b = g a   2.881 to w (i2)",
        "Gradients: x (i1) 7.92, w (i2) 2.881",
    ]
    assert repr(example()[2].graph().steps()) == "Receipt(4 steps, 2 gradients)"


def test_json_keeps_every_bit_and_is_strict(tmp_path):
    x = leaf([np.inf, -np.inf, np.nan, 0.1, -0.0], "x")
    with np.errstate(all="ignore"):
        receipt = (x * np.array([True, True, True, True, True])).graph().steps([1.0, np.nan, np.inf, 0.1, -0.0])
    path = receipt.render(tmp_path / "receipt.json")
    text = path.read_text("utf-8")
    json.loads(text, parse_constant=pytest.fail)
    again = Receipt.from_json(text)
    assert again.graph is None
    assert bits(again.seed) == bits(receipt.seed)
    assert {id: bits(t.value) for id, t in again.tensors.items()} == {id: bits(t.value) for id, t in receipt.tensors.items()}
    assert [[bits(p.total) for p in step.contributions] for step in again] == [
        [bits(p.total) for p in step.contributions] for step in receipt
    ]
    assert str(again) == str(receipt)


def test_a_difference_is_found_where_two_passes_part():
    def net(f):
        x, w = leaf([[1.0, 2.0]], "x"), leaf([[3.0], [4.0]], "w")
        return f(x @ w).sum().graph().steps()

    assert net(tg.tanh).diff(net(tg.tanh)) == ()
    lines = net(tg.tanh).diff(net(tg.sin))
    assert lines[:2] == ("step 2, o2 tanh: only the first has it", "step 2, o2 sin: only the second has it")
    assert any(line.startswith("the gradient of w (i2) is ") for line in lines)
    assert [line for line in net(lambda y: y * 2.0).diff(net(lambda y: y * 2.5)) if "contribution to t1" in line] == [
        "step 2, o2 multiply: the contribution to t1 is [[2]] and [[2.5]], 0.5 apart"
    ]


def test_a_wrong_rule_is_where_its_receipt_parts_from_the_right_one():
    def cube(rule):
        @tg.primitive(elementwise=True)
        def cube(x):
            """y = x³        ∂L/∂x = 3 g x²"""
            return x**3

        cube.vjp(x=rule)
        return tg.exp(cube(leaf(1.5, "x")) * 2.0).graph().steps()

    try:
        right, wrong = cube(lambda g, x: 3 * g * x**2), cube(lambda g, x: 3 * g * x)
    finally:
        REGISTRY.pop(f"{__name__}.cube")
    first = right.diff(wrong)[0]
    assert first.startswith("step 3, o1 cube: the contribution to x (i1) is ")
