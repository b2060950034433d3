"""How large graphs are folded: repeated blocks, modules, runs; and what must hold of every picture, folded or not."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.graph import mode
from tinygrad_edu.viz.folding import Repeated
from tinygrad_edu.viz.picture import compose


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


def recurrent(steps):
    u, w, b = leaf(np.ones((2, 3)), "U"), leaf(np.eye(3), "W"), leaf(np.zeros(3), "b")
    h = tg.Tensor(np.zeros((1, 3)), name="h0")
    for step in range(steps):
        h = tg.tanh(tg.Tensor(np.ones((1, 2)), name=f"x{step}") @ u + h @ w + b)
    return h.sum()


class Block(tg.nn.Module):
    def __init__(self):
        self.inner = tg.nn.Affine(3, 3)

    def forward(self, x):
        return x + tg.relu(self.inner(x))


def residual(blocks):
    net = tg.nn.Sequential(tg.nn.Affine(4, 3), *[Block() for _ in range(blocks)], tg.nn.Affine(3, 1))
    return net(tg.Tensor(np.ones((2, 4)), name="x")).sum()


def picture(tensor, **options):
    graph = tensor.graph(**options)
    return compose(graph.nodes, graph.edges, graph.show, graph.options)


def titles(found):
    return [box.lines[0] for box in found.boxes.values() if box.kind != "tensor"]


def boxes(found, kind):
    return [box for box in found.boxes.values() if box.kind == kind]


def arrows(found):
    return {(arrow.source, arrow.target, arrow.again) for arrow in found.arrows}


# -------------------------------------------------------------------------------------------------------------- repeated


def test_a_recurrent_network_is_one_round():
    found = picture(recurrent(30), max_nodes=20)
    assert titles(found) == ["MatMul", "MatMul", "+", "Repeat", "+", "tanh", "Sum"]
    rounds = [box for box in found.boxes.values() if box.kind == "op" and box.times == 30]
    assert [box.id for box in rounds] == ["o1", "o2", "o3", "o4", "o5", "o6"]
    assert len({box.path for box in rounds}) == 1
    assert [part.times for part in rounds[0].path] == [30]
    again = [(arrow.source, arrow.target) for arrow in found.arrows if arrow.again]
    assert again == [("o6", "o2")]  # h goes into the next round's h @ w
    assert {("i3", "o2", False), ("o6", "o181", False), ("o181", "t181", False)} <= arrows(found)


def test_inputs_of_all_rounds_are_one_and_shared_ones_stay_one():
    found = picture(recurrent(30), max_nodes=20)
    inputs = {box.lines[0]: box.times for box in boxes(found, "tensor")}
    assert inputs == {"x0 … x29": 30, "U": 1, "h0": 1, "W": 1, "b": 1, "()": 1}


def test_blocks_of_modules_are_named_together():
    found = picture(residual(20), max_nodes=30)
    inside = [box for box in boxes(found, "op") if box.times == 20]
    assert [box.lines[0] for box in inside] == ["MatMul", "Repeat", "+", "relu", "+"]
    assert [part if isinstance(part, str) else part.times for part in inside[0].path] == [
        "Sequential",
        20,
        "1 … 20: Block",
        "inner: Affine",
    ]
    parameters = [box for box in boxes(found, "tensor") if box.times == 20]
    assert [box.lines for box in parameters] == [["weight", "(3, 3)", "× 20"], ["bias", "(3,)", "× 20"]]


def test_one_operation_over_and_over_needs_no_frame():
    y = leaf(1, "x")
    for _ in range(1000):
        y = tg.sin(y)
    found = picture(y)
    assert titles(found) == ["sin × 1,000"]
    assert not any(isinstance(part, Repeated) for box in found.boxes.values() for part in box.path)
    assert arrows(found) == {("i1", "o1", False), ("o1", "o1", True), ("o1", "t1000", False)}


def test_blocks_in_blocks():
    y = leaf(1, "x")
    for _ in range(20):
        for _ in range(10):
            y = tg.sin(y)
        y = tg.exp(-y)
    found = picture(y, max_nodes=12)
    assert titles(found) == ["sin × 10", "−x", "exp"]
    assert [box.times for box in boxes(found, "op")] == [200, 20, 20]


def test_what_is_wired_otherwise_is_not_one_block():
    x = leaf(2, "x")
    alike, mixed = x, x
    made = [x]
    for k in range(40):
        alike = tg.sin(alike) + x
        mixed = tg.sin(made[(k * 7) % len(made)]) + made[-1]
        made.append(mixed)
    assert titles(picture(alike, max_nodes=10)) == ["sin", "+"]
    assert any("operations" in line for box in picture(mixed, max_nodes=10).boxes.values() for line in box.lines)


def test_a_small_graph_is_not_folded():
    found = picture(recurrent(5))
    assert len(boxes(found, "op")) == 31
    assert not any(arrow.again for arrow in found.arrows)


# --------------------------------------------------------------------------------------------------------------- modules


def test_modules_are_closed_at_depth():
    y = residual(3)
    assert titles(picture(y, depth=1)) == ["Sequential", "Sum"]
    closed = picture(y, depth=2)
    assert titles(closed) == ["0: Affine", "1: Block", "2: Block", "3: Block", "4: Affine", "Sum"]
    assert closed.boxes["o4"].lines == ["1: Block", "5 operations", "12 parameters"]
    assert closed.boxes["o4"].path == ("Sequential",)
    deeper = picture(y, depth=3)
    assert titles(deeper)[3:6] == ["inner: Affine", "relu", "+"]
    assert titles(picture(y, depth=9)) == titles(picture(y))
    assert titles(picture(y, depth=0))[0].startswith("8 add, 5 matmul, 5 broadcast_to, …")


def test_a_named_constant_stays_outside_of_a_closed_module():
    found = picture(residual(3), depth=1)
    assert [box.lines[0] for box in boxes(found, "tensor")] == ["x", "()"]
    assert ("i1", "o1", False) in arrows(found)


def test_a_module_that_runs_again_later_is_a_box_of_its_own():
    y = leaf(1, "x")
    for _ in range(2):
        with mode(scope=("Cell",)):
            y = tg.sin(tg.exp(y))
        y = tg.exp(y)
    found = picture(y, depth=1)
    assert titles(found) == ["Cell", "exp", "Cell", "exp"]


def test_a_network_that_is_too_large_is_closed_module_by_module():
    assert "1 … 20: Block × 20" in titles(picture(residual(20), max_nodes=12))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_nodes": 9}, r"graph\(max_nodes=9\): it is a whole number from 10 on, or None"),
        ({"depth": -1}, r"graph\(depth=-1\): it is a whole number from 0 on"),
        ({"depth": 1.5}, r"graph\(depth=1.5\): it is a whole number"),
        ({"depth": True}, r"graph\(depth=True\): it is a whole number"),
        ({"detail": "all"}, r"graph\(detail='all'\): it is one of 'ops', 'full'"),
        ({"direction": "north"}, r"graph\(direction='north'\): it is one of 'down', 'right', 'up', 'left'"),
        ({"theme": "pink"}, r"graph\(theme='pink'\): it is one of 'light', 'dark'"),
    ],
)
def test_an_option_that_is_not_known_is_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        leaf(1).graph(**options)
    with pytest.raises(ArgumentError, match=message):
        leaf(1).graph().redrawn(**options)


def test_redrawing_takes_options_only():
    with pytest.raises(ArgumentError, match=r"redrawn\(show\): there is no such option; there are detail, depth, max_nodes"):
        leaf(1).graph().redrawn(show=())


# ------------------------------------------------------------------------------------------------ what holds of every picture


@st.composite
def programs(draw):
    """The result of a random program of up to 60 operations, in modules, with blocks that may be repeated."""
    made = [leaf(draw(st.floats(0.5, 1)), f"p{k}") for k in range(draw(st.integers(1, 3)))]
    for number in range(draw(st.integers(1, 8))):
        body = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=4))
        scope = draw(st.sampled_from([(), ("A",), ("A", f"{number}: B"), ("C", f"{number}: B", "D")]))
        with mode(scope=scope):
            for _ in range(draw(st.integers(1, 6))):
                for kind, back in body:
                    other = made[-min(back, len(made))]
                    made.append([lambda a, b: tg.sin(a), tg.add, tg.maximum, lambda a, b: b * 0.5][kind](made[-1], other))
    return made[-1]


@given(programs(), st.sampled_from(["ops", "full"]), st.integers(10, 60) | st.none(), st.integers(0, 3) | st.none())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_every_picture(y, detail, most, depth):
    graph = y.graph(detail=detail, max_nodes=most, depth=depth)
    found = compose(graph.nodes, graph.edges, graph.show, graph.options)
    if most is not None:
        assert len([box for box in found.boxes.values() if not box.copied]) <= most
    # Every operation is part of exactly one box.
    members = [op.id for box in found.boxes.values() if box.kind != "tensor" for op in box.members]
    assert sorted(members) == sorted(node.id for node in graph.nodes if node.kind == "op")
    # Arrows join boxes that are there, and data flow one way.
    place = {id: number for number, id in enumerate(found.boxes)}
    for arrow in found.arrows:
        assert arrow.source in place
        assert arrow.target in place
        assert arrow.again or place[arrow.source] < place[arrow.target]
    # What flows from one box to another in the graph does so in the picture.
    home = {op.id: box.id for box in found.boxes.values() if box.kind != "tensor" for op in box.members}
    made = {edge.target: edge.source for edge in graph.edges if edge.position is None}
    joined = {(arrow.source, arrow.target) for arrow in found.arrows}
    tensor_of = {arrow.target: arrow.source for arrow in found.arrows if found.boxes[arrow.target].kind == "tensor"}
    joined |= {(tensor_of[source], target) for source, target in joined if source in tensor_of}
    for edge in graph.edges:
        if edge.position is not None and edge.source in made:
            ends = home[made[edge.source]], home[edge.target]
            assert ends in joined or (ends[0] == ends[1] and found.boxes[ends[0]].kind == "closed")
    # And it is the same each time.
    assert graph.dot().source == y.graph(detail=detail, max_nodes=most, depth=depth).dot().source


@given(programs(), st.integers(10, 40))
@settings(max_examples=20, derandomize=True, deadline=None)
def test_every_text_names_each_box_once(y, most):
    graph = y.graph(max_nodes=most)
    found = compose(graph.nodes, graph.edges, graph.show, graph.options)
    lines = re.findall(r"^[│├ ─]*(?:\S+ = )?t(\d+) ", str(graph), re.MULTILINE)
    assert sorted(lines) == sorted(box.id[1:] for box in found.boxes.values() if box.kind != "tensor")


def test_too_many_inputs_are_one():
    many = [leaf(1, f"x{k}") for k in range(500)] + [tg.Tensor([1.0, 2.0], name=f"c{k}") for k in range(500)]
    y = tg.concatenate([x.reshape(-1) for x in many]).sum()
    found = picture(y, max_nodes=20)
    assert len(found.boxes) <= 20
    z = tg.concatenate([leaf([k], f"x{k}") for k in range(500)] + [np.ones(k % 3) for k in range(500)]).sum()
    found = picture(z, max_nodes=20)
    inputs = [box for box in boxes(found, "tensor") if box.node.role != "result"]
    assert inputs[0].lines == ["x0 … x499", "(1,)", "× 500"]
    assert sum(box.times for box in inputs) == 1000
    assert titles(found) == ["concatenate", "Sum"]
