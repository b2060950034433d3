"""A `Graph` as data: looking nodes up, walking, parts, modules, JSON, networkx."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, MissingError


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


def example():
    """o1 exp(x), o2 sin(x), o3 sqrt(t2), o4 t3 * x, o5 t1 + t4"""
    x = leaf(2, "x")
    e, h = tg.exp(x), tg.sin(x)
    return x, h, e + tg.sqrt(h) * x


def ids(nodes):
    return [node.id for node in nodes]


def test_a_node_by_its_id_its_name_its_tensor_or_itself():
    x, h, y = example()
    graph = y.graph()
    assert graph["o3"].op == "sqrt"
    assert graph["x"] is graph[x] is graph["i1"] is graph[graph["i1"]]
    assert graph[h].id == "t2"
    assert graph[y].role == "result"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("o9", r"graph: 'o9' is not in the graph. Nodes are called i1 \(inputs\), o1 \(operations\) and t1 \(results\)"),
        ("", r"graph: '' is not in the graph"),
        (tg.Tensor([1.0, 2.0], name="z"), r"graph: the tensor 'z' of shape \(2,\) is not in the graph"),
        (tg.Tensor(1.0), r"graph: the tensor '' of shape \(\) is not in the graph"),
        (tg.Tensor(1.0) + 1, r"graph: the tensor '' of shape \(\) is not in the graph"),
    ],
)
def test_what_is_not_there_is_said(key, message):
    _, _, y = example()
    with pytest.raises(ArgumentError, match=message):
        y.graph()[key]


def test_a_name_that_two_tensors_have_is_refused():
    graph = (leaf(1, "w") * leaf(2, "w")).graph()
    with pytest.raises(ArgumentError, match="'w' is the name of 2 tensors; use an id: i1, i2"):
        graph["w"]


def test_find():
    _, _, y = example()
    graph = y.graph()
    assert ids(graph.find(op="sin")) == ["o2"]
    assert ids(graph.find(kind="tensor", role="intermediate")) == ["t1", "t2", "t3", "t4"]
    assert ids(graph.find(op="cos")) == []
    assert len(graph.find()) == len(graph.nodes)
    with pytest.raises(ArgumentError, match=r"find\(ops, label_\): a node has no such attribute; it has id, kind, label"):
        graph.find(ops=1, label_=2)


def test_neighbours():
    x, h, y = example()
    graph = y.graph()
    assert ids(graph.predecessors("o4")) == ["t3", "i1"]
    assert ids(graph.predecessors("t4")) == ["o4"]
    assert ids(graph.predecessors(x)) == []
    assert ids(graph.successors(x)) == ["o1", "o2", "o4"]
    assert ids(graph.successors(h)) == ["o3"]
    assert ids(graph.successors(y)) == []
    x = leaf(1, "x")
    assert ids((x * x).graph().predecessors("o1")) == ["i1", "i1"]


def test_walking_by_hand_meets_everything():
    _, _, y = example()
    graph = y.graph()
    for node in graph.nodes:
        for before in graph.predecessors(node):
            assert node in graph.successors(before)
            assert graph.nodes.index(before) < graph.nodes.index(node)  # the order is topological


def test_the_part_between_two_tensors():
    x, h, y = example()
    graph = y.graph()
    part = graph.between(h, y)
    assert ids(part.find(kind="op")) == ["o3", "o4", "o5"]
    assert ids(part.find(kind="tensor")) == ["i1", "t1", "t2", "t3", "t4", "t5"]  # and the operands from outside
    assert [(edge.source, edge.target) for edge in part.edges if edge.target == "t2"] == []
    assert ids(graph.between(x, h).find(kind="op")) == ["o2"]
    assert ids(graph.between(h, h).nodes) == ["t2"]
    assert "o3 -> o4" in part.dot().source
    assert str(part).startswith("t5 () = +(t1 (), t4)")
    with pytest.raises(ArgumentError, match=r"between\('t2', 't1'\): no path leads from the first to the second"):
        graph.between(h, "t1")


def test_a_part_of_a_deep_graph():
    y = leaf(1, "x")
    made = [y]
    for _ in range(20_000):
        made.append(tg.sin(made[-1]))
    part = made[-1].graph().between(made[5000], made[15_000])
    assert len(part.find(kind="op")) == 10_000


def test_modules():
    class Net(tg.nn.Module):
        def __init__(self):
            self.inner = tg.nn.Affine(2, 2)

        def forward(self, x):
            return tg.sin(self.inner(x))

    graph = Net()(np.ones((1, 2))).sum().graph()
    assert list(graph.modules) == [("Net",), ("Net", "inner: Affine")]
    assert [node.op for node in graph.modules["Net", "inner: Affine"] if node.op] == ["matmul", "broadcast_to", "add"]
    assert [node.op for node in graph.modules["Net",] if node.op] == ["matmul", "broadcast_to", "add", "sin"]


def test_a_graph_of_either_kind_after_backward():
    _, _, y = example()
    y.backward(retain_graph=True)
    kept = y.graph(show=("value", "grad"))
    assert all(node.value is not None and node.grad is not None for node in kept.find(kind="tensor"))
    y.backward()
    released = y.graph(show=("value", "grad"))
    assert ids(released.nodes) == ids(kept.nodes)
    assert released.edges == kept.edges


# ----------------------------------------------------------------------------------------------------------------- exchange


def test_json_says_all_there_is():
    x = leaf([1, 0], "x")
    with np.errstate(divide="ignore"):
        graph = (tg.log(x) * 2).sum().graph(show=("value", "grad"))
    found = json.loads(graph.json())
    assert [node["id"] for node in found["nodes"]] == ids(graph.nodes)
    assert found["nodes"][0] == {
        "id": "i1",
        "kind": "tensor",
        "label": graph.nodes[0].label,
        "name": "x",
        "shape": [2],
        "dtype": "float64",
        "role": "leaf",
        "value": [1.0, 0.0],
        "grad": [2.0, "inf"],
        "order": 0,
        "flags": ["inf gradient"],
        "size": 2,
    }
    assert found["nodes"][1]["op"] == "log"
    assert found["nodes"][1]["formula"] == tg.log.op.formula
    assert found["edges"][0] == {"source": "i1", "target": "o1", "position": 0, "operand": "a", "grad": [2.0, "inf"]}
    assert len(graph.json(indent=None).splitlines()) == 1


@pytest.mark.parametrize("name", ["텐서 😀", 'a"b\\c', "half \ud800", "\0", "</script>"])
def test_json_takes_every_name(name):
    text = leaf(1, name).graph().json()
    assert json.loads(text)["nodes"][0]["name"] == name


def test_json_of_complex_numbers():
    z = tg.Tensor([1 + 2j], requires_grad=True, name="z")
    assert json.loads(z.graph(show=("value",)).json())["nodes"][0]["value"] == [[1.0, 2.0]]


def test_networkx_takes_it_over():
    networkx = pytest.importorskip("networkx")
    _, _, y = example()
    graph = y.graph()
    theirs = graph.networkx()
    assert list(theirs) == ids(graph.nodes)
    assert list(networkx.topological_sort(theirs))[-1] == "t5"
    assert theirs.nodes["o3"]["op"] == "sqrt"
    assert networkx.has_path(theirs, "i1", "t5")
    x = leaf(1)
    assert (x * x).graph().networkx().number_of_edges("i1", "o1") == 2


def test_a_missing_networkx_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(MissingError, match=r"pip install 'tinygrad-edu\[networkx\]'"):
        leaf(1).graph().networkx()
