"""What a `Graph` says about a program: its nodes and edges, and what it writes beside them."""

from __future__ import annotations

import dataclasses
import gc

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.graph import mode
from tinygrad_edu.viz.structure import recorded


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


def example():
    x, y = leaf(2, "x"), leaf(3, "y")
    return x * y + tg.sin(x)


def mixed():
    """A program with every kind of input: leaves, a constant that is used twice, a number, a raw array."""
    x, c = leaf([1, 2], "x"), tg.Tensor([3.0, 4.0], name="c")
    return ((x * c) ** 2 + np.array([1.0, 1.0]) * tg.exp(x) - c).sum()


def tensors(graph):
    return [node for node in graph.nodes if node.kind == "tensor"]


def operations(graph):
    return [node for node in graph.nodes if node.kind == "op"]


def by_name(graph):
    return {node.name: node for node in graph.nodes if node.name}


# ------------------------------------------------------------------------------------------------------------- structure


def test_nodes_and_edges_in_program_order():
    graph = example().graph()
    assert [(node.id, node.kind, node.role, node.label) for node in graph.nodes] == [
        ("i1", "tensor", "leaf", "x\n()"),
        ("i2", "tensor", "leaf", "y\n()"),
        ("o1", "op", None, "×"),
        ("t1", "tensor", "intermediate", "()"),
        ("o2", "op", None, "sin"),
        ("t2", "tensor", "intermediate", "()"),
        ("o3", "op", None, "+"),
        ("t3", "tensor", "result", "()"),
    ]
    assert [(edge.source, edge.target, edge.position, edge.operand) for edge in graph.edges] == [
        ("i1", "o1", 0, "a"),
        ("i2", "o1", 1, "b"),
        ("o1", "t1", None, None),
        ("i1", "o2", 0, "a"),
        ("o2", "t2", None, None),
        ("t1", "o3", 0, "a"),
        ("t2", "o3", 1, "b"),
        ("o3", "t3", None, None),
    ]


def test_an_operation_knows_its_formula_and_a_tensor_its_facts():
    x = tg.Tensor(np.ones((2, 3), np.float32), requires_grad=True, name="x")
    graph = tg.tanh(x).graph()
    operation, result = operations(graph)[0], tensors(graph)[1]
    assert (operation.op, operation.formula) == ("tanh", tg.tanh.op.formula)
    assert (operation.shape, operation.dtype, operation.name) == (None, None, None)
    assert (result.shape, result.dtype, result.op, result.formula) == ((2, 3), np.float32, None, None)


def test_operand_order_is_kept():
    x, y = leaf(2, "x"), leaf(3, "y")
    into = {edge.operand: edge.source for edge in (y - x).graph().edges if edge.position is not None}
    assert into == {"a": "i1", "b": "i2"}
    assert [node.name for node in tensors((y - x).graph())][:2] == ["y", "x"]


def test_variadic_operands_are_numbered():
    x = leaf([1, 2])
    edges = tg.concatenate([x, np.zeros(1), x]).graph().edges
    assert [(e.source, e.operand) for e in edges[:3]] == [("i1", "arrays[0]"), ("i2", "arrays[1]"), ("i1", "arrays[2]")]


def test_kinds_of_inputs():
    found = [(node.label, node.role) for node in tensors(mixed().graph()) if node.id[0] == "i"]
    assert found == [("x\n(2,)", "leaf"), ("c\n(2,)", "constant"), ("2", "constant"), ("(2,)", "constant")]


def test_a_number_or_raw_array_is_a_node_for_each_use_and_a_tensor_is_one():
    a, c, x = np.ones(2), tg.Tensor([1.0, 1.0]), leaf([1, 2])
    assert len([node for node in tensors((x * a * a).graph()) if node.role == "constant"]) == 2
    assert len([node for node in tensors((x * 2 * 2).graph()) if node.role == "constant"]) == 2
    assert len([node for node in tensors((x * c * c).graph()) if node.role == "constant"]) == 1


def test_a_broadcast_operand_enters_through_repeat():
    graph = (leaf([[1, 2], [3, 4]], "X") + leaf([1, 2], "b")).graph()
    assert [node.label for node in operations(graph)] == ["Repeat", "+"]
    assert [(node.label) for node in tensors(graph)] == ["b\n(2,)", "(2, 2)", "X\n(2, 2)", "(2, 2)"]


@pytest.mark.parametrize(
    ("tensor", "role"),
    [
        (tg.Tensor([1.0], name="n"), "constant"),
        (tg.Tensor([1.0]) + 1, "constant"),
        (leaf([1.0], "n"), "leaf"),
        (leaf([1.0]).detach(), "constant"),
    ],
)
def test_a_tensor_without_a_graph_is_one_node(tensor, role):
    graph = tensor.graph(show=("shape", "value"))
    assert graph.edges == ()
    assert [(node.id, node.kind, node.role, node.shape) for node in graph.nodes] == [("i1", "tensor", role, (1,))]
    assert graph.nodes[0].value == tensor.data


def test_looking_at_an_unrecorded_result_leaves_it_as_it_was():
    y = tg.Tensor([1.0]) + 1
    y.graph()
    assert y._node is None


def test_doublings_are_drawn_once():
    y = leaf(1)
    for _ in range(18):
        y = y + y
    graph = y.graph()
    assert (len(operations(graph)), len(tensors(graph)), len(graph.edges)) == (18, 19, 54)
    assert len(recorded(y._node)) == 18  # and each was met once, not once per path


def test_a_deep_graph():
    y = leaf(1)
    for _ in range(100_000):
        y = tg.sin(y)
    graph = y.graph()
    assert len(graph.nodes) == 200_001
    assert graph.nodes[-1].id == "t100000"
    del graph
    gc.collect()


def test_numbers_follow_the_program_and_not_the_walk():
    x = leaf(2)
    first = tg.exp(x)
    second = tg.sin(x)
    assert [node.op for node in operations((second * first).graph())] == ["exp", "sin", "multiply"]


def test_backward_changes_nothing_that_is_drawn():
    y = mixed()
    before = y.graph()
    y.backward()
    assert y.graph() == before


def test_a_constant_of_a_released_and_of_a_living_operation_is_one_node():
    x, c = leaf([1, 2], "x"), tg.Tensor([3.0, 4.0], name="c")
    h = x * c
    h.sum().backward()
    graph = (h * c).graph(show=("value",))
    assert [node.name for node in tensors(graph) if node.role == "constant"] == ["c"]
    assert by_name(graph)["c"].value.tolist() == [3, 4]


def test_a_recorded_derivative():
    x = leaf(2, "x")
    (x**3).backward(create_graph=True)
    graph = x.grad.graph(show=("value", "grad"))
    assert graph.nodes[-1].role == "result"
    assert graph.nodes[-1].value == 12
    assert by_name(graph)["x"].grad == 12  # d(3x²)/dx


def test_a_graph_cannot_be_changed():
    graph = example().graph(show=("value", "grad"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.nodes = ()
    for node in graph.nodes:
        with pytest.raises(dataclasses.FrozenInstanceError):
            node.label = "another"
        for array in (node.value, node.grad):
            assert array is None or not array.flags.writeable


def test_equal_programs_have_equal_graphs():
    assert example().graph() == example().graph()
    assert example().graph() != (example() + 0).graph()


def test_repr():
    assert repr(example().graph()) == "Graph(3 operations, 5 tensors)"


# --------------------------------------------------------------------------------------------------------------- modules


def test_scopes_of_operations_and_inputs():
    w, v, shared = leaf(2, "w"), leaf(3, "v"), leaf(4, "shared")
    with mode(scope=("Net", "0: Linear")):
        h = w * 2.5 * shared
    with mode(scope=("Net", "1: Linear")):
        h = h * v * shared
    loss = h * w
    scopes = {node.label: node.scope for node in loss.graph(show=()).nodes if node.label}
    assert scopes["2.5"] == ("Net", "0: Linear")
    assert scopes["v"] == ("Net", "1: Linear")
    assert scopes["shared"] == ("Net",)
    assert scopes["w"] == ()
    assert [node.scope for node in operations(loss.graph())] == [("Net", "0: Linear")] * 2 + [("Net", "1: Linear")] * 2 + [()]


def test_a_result_stands_where_its_operation_does():
    with mode(scope=("Net",)):
        y = tg.sin(leaf(1))
    assert [node.scope for node in y.graph().nodes] == [("Net",)] * 3


# ------------------------------------------------------------------------------------------------------------------ show


def test_show_chooses_what_is_written():
    x = tg.Tensor(np.ones((2, 1), np.float32), requires_grad=True, name="x")
    y = (x * 2).sum()
    assert y.graph(show=()).nodes[0].label == "x"
    assert y.graph().nodes[0].label == "x\n(2, 1)"
    assert y.graph(show=("dtype",)).nodes[0].label == "x\nfloat32"
    assert y.graph(show="value").nodes[0].label == "x\nvalue [[1], [1]]"
    everything = y.graph(show=("grad", "value", "dtype", "shape"))
    assert everything.nodes[0].label == "x\n(2, 1) float32\nvalue [[1], [1]]\ngrad [[2], [2]]"
    assert y.graph().nodes[0].value is None
    assert y.graph().nodes[0].grad is None


def test_a_number_is_written_whatever_is_shown():
    y = leaf(1) * 2
    for show in ((), ("shape", "dtype", "value", "grad")):
        assert [node.label for node in tensors(y.graph(show=show)) if node.role == "constant"] == ["2"]


@pytest.mark.parametrize("show", [("shap",), ("shape", "vlaue"), "shapes", ("",)])
def test_an_unknown_word_is_refused(show):
    with pytest.raises(ArgumentError, match="cannot be shown; the words are 'shape', 'dtype', 'value', 'grad'"):
        example().graph(show=show)
