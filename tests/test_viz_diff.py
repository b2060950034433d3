"""Two graphs in one picture."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.viz import diff
from tinygrad_edu.viz.themes import LIGHT


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


def changes(graph):
    return [(node.op or node.label.split("\n")[0], node.change) for node in graph.nodes if node.change]


def wirings(graph):
    return {(edge.source, edge.target, edge.position): edge.change for edge in graph.edges if edge.change}


def test_equal_graphs_do_not_differ():
    def program():
        x, w = leaf([1, 2], "x"), leaf([3, 4], "w")
        return (tg.exp(x * w) * 2 + np.ones(2)).sum().graph(show=("shape", "value", "grad"))

    found = diff(program(), program())
    assert changes(found) == []
    assert wirings(found) == {}
    assert found.nodes == program().nodes
    assert [(edge.source, edge.target) for edge in found.edges] == [(edge.source, edge.target) for edge in program().edges]


def test_what_was_put_in_between():
    x = leaf([1, 2], "x")
    found = diff(tg.log(x).sum().graph(), tg.log(x + 1).sum().graph())
    assert changes(found) == [("1", "added"), ("add", "added"), ("(2,)", "added")]
    assert wirings(found) == {
        ("i1", "o1", 0): "added",
        ("i2", "o1", 1): "added",
        ("o1", "t1", None): "added",
        ("t1", "o2", 0): "added",
        ("i1", "o2", 0): "removed",
    }


def test_what_was_taken_out_is_the_opposite():
    x = leaf([1, 2], "x")
    before, after = tg.log(x + 1).sum().graph(), tg.log(x).sum().graph()
    opposite = {"added": "removed", "removed": "added"}
    there, back = diff(before, after), diff(after, before)
    assert sorted(map(str, changes(there))) == sorted(str((name, opposite[how])) for name, how in changes(back))


def test_numbers_arguments_shapes_and_names():
    x = leaf([[1, 2], [3, 4]], "x")
    assert changes(diff((x * 2).graph(), (x * 3).graph())) == [("2 → 3", "changed")]
    assert changes(diff(x.sum(axis=0).graph(), x.sum(axis=1).graph())) == [("sum", "changed")]
    assert changes(diff(x.sum(axis=0).graph(), x.sum().graph()))[-2:] == [("sum", "changed"), ("(2,) → ()", "changed")]
    assert changes(diff((x * leaf(1, "a")).graph(), (x * leaf(1, "b")).graph())) == [("a", "removed"), ("b", "added")]


def test_an_operand_that_comes_from_elsewhere():
    x, w = leaf(1, "x"), leaf(2, "w")

    def program(wrong):
        a, b = tg.sin(x), tg.cos(w)
        return (a * b + (a if wrong else b)).graph()

    found = diff(program(False), program(True))
    assert changes(found) == []
    assert wirings(found) == {("t1", "o4", 1): "added", ("t2", "o4", 1): "removed"}


def test_a_wrong_backward_is_seen_in_the_gradients():
    @tg.primitive
    def wrong_sine(a):
        """y = sin a"""
        return np.sin(a)

    wrong_sine.vjp(a=lambda g, a: g)

    def program(sine):
        x, w = leaf([1, 2], "x"), leaf([3, 4], "w")
        return (sine(x * w) * 2).sum().graph(show=("value", "grad"))

    found = diff(program(tg.sin), program(wrong_sine))
    different = [node for node in found.nodes if node.change == "changed"]
    assert {node.name for node in different} >= {"x", "w"}
    assert all(node.grad is not None for node in different if node.kind == "tensor")
    right = [node for node in found.find(kind="tensor") if node.change is None]
    assert right
    assert "→" in found["x"].label


def test_a_matrix_that_changed_is_written_whole_before_and_after():
    graphs = [(leaf([[0.25, 0.5], [0.75, 1.0]], "w") * k).sum().graph(show=("value", "grad")) for k in ([[1, 2]], [[0.125, 0.375]])]
    found = diff(*[graph.redrawn(detail="full") for graph in graphs])
    assert (
        found["w"].label
        == "w\nvalue [[0.25, 0.5],\n[0.75, 1]]\ngrad [[1, 2], [1, 2]]\n→ [[0.125, 0.375],\n[0.125, 0.375]]\nchanged"
    )


def test_rounding_is_no_change():
    x = leaf([0.1, 0.2, 0.3], "x")
    assert (
        changes(diff(((x * 3) * 7).sum().graph(show=("value",)), ((x * 3) * 7.000000000001).sum().graph(show=("value",))))[1:] == []
    )


def test_the_picture_says_it_in_words_lines_and_colours():
    x = leaf([1, 2], "x")
    source = diff(tg.log(x).sum().graph(), tg.log(x + 1).mean().graph()).dot().source
    for how in ("added", "removed"):
        assert LIGHT.changes[how][0] in source
        assert re.search(rf"label=\"[^\"]*\\n{how}\"", source)
    assert "dashed" in source


def test_tensors_without_a_graph():
    assert changes(diff(leaf(1, "a").graph(), leaf(1, "a").graph())) == []
    assert changes(diff(leaf(1, "a").graph(), leaf(1, "b").graph())) == [("a", "removed"), ("b", "added")]
    assert changes(diff(leaf(1, "a").graph(), tg.sin(leaf(1, "a")).graph())) == [("sin", "added"), ("()", "added")]


def test_only_graphs_are_compared():
    with pytest.raises(ArgumentError, match=r"diff: it compares two graphs, as tensor.graph\(\) gives them, not a Tensor"):
        diff(leaf(1), leaf(1).graph())


def test_large_graphs():
    def program(extra):
        y = leaf(1, "x")
        for k in range(3000):
            y = tg.sin(y) if k != 1500 or not extra else tg.exp(tg.sin(y))
        return y.graph()

    found = diff(program(False), program(True))
    assert changes(found) == [("exp", "added"), ("()", "added")]


PIECES = [tg.sin, tg.exp, lambda x: x * 2, lambda x: x + x, lambda x: -x]


@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_both_graphs_are_in_a_difference(first, second):
    def program(pieces):
        y = leaf(1e-3, "x") * 1
        for piece in pieces:
            y = PIECES[piece](tg.tanh(y))
        return y.graph()

    a, b = program(first), program(second)
    found = diff(a, b)
    for graph, absent in ((a, "added"), (b, "removed")):
        mine = [node.op for node in found.nodes if node.kind == "op" and node.change != absent]
        assert mine == [node.op for node in graph.nodes if node.kind == "op"]
        edges = [edge for edge in found.edges if edge.change != absent]
        kept = {node.id for node in found.nodes if node.change != absent}
        assert {edge.target for edge in edges} <= kept
        assert len(edges) == len(graph.edges)
    place = {node.id: number for number, node in enumerate(found.nodes)}
    assert all(place[edge.source] < place[edge.target] for edge in found.edges)
