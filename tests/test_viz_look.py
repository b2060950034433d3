"""How pictures look: tensors as arrows, roles, orders of derivatives, problems, heat, themes; measured where it can be."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.graph import mode
from tinygrad_edu.viz.themes import DARK, LIGHT, SHAPES


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


def example():
    x, w = leaf([[1, 2], [3, 4]], "x"), leaf([1, 2], "w")
    return ((x @ x + w) * x).sum()


def parsed(graph):
    """The attributes of nodes and edges in the DOT text."""
    nodes, edges = {}, {}
    for line in graph.dot().source.splitlines():
        attributes = dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|[^\s\]]+)', line))
        plain = {key: value.strip('"') for key, value in attributes.items()}
        if edge := re.match(r"\t(\w+) -> (\w+)", line):
            edges.setdefault(edge.groups(), []).append(plain)
        elif node := re.match(r"\s*([iot]\d+(?:_\d+)?) \[", line):
            nodes[node[1]] = plain
    return nodes, edges


# -------------------------------------------------------------------------------------------------------------- two details


def test_tensors_are_arrows_with_their_shapes():
    nodes, edges = parsed(example().graph())
    assert sorted(nodes) == ["i1", "i2", "o1", "o2", "o3", "o4", "o5", "t5"]
    assert edges["o1", "o3"][0]["label"] == " (2, 2) "
    assert edges["i1", "o1"][0]["label"] == " a "
    assert edges["i1", "o1"][1]["label"] == " b "
    assert edges["o5", "t5"] == [{"id": "e9", "weight": "8"}]
    assert nodes["i2"]["label"] == "w\\n(2,)"


def test_full_detail_draws_every_tensor():
    graph = example().graph(detail="full")
    nodes, _ = parsed(graph)
    assert list(nodes) == [node.id for node in graph.nodes]
    assert nodes["t1"]["label"] == "(2, 2)"


def test_boxes_and_arrows_have_ids_in_the_svg_too():
    nodes, edges = parsed(example().graph())
    assert all(attributes["id"] == id for id, attributes in nodes.items())
    found = [edge["id"] for many in edges.values() for edge in many]
    assert sorted(found) == sorted(f"e{k + 1}" for k in range(len(found)))


def test_names_of_operands_stand_before_what_flows():
    x, y = leaf([1, 2], "x"), leaf([3, 4], "y")
    _, edges = parsed((tg.sin(x) - y).graph())
    assert edges["o1", "o2"][0]["label"] == " a: (2,) "
    assert edges["i2", "o2"][0]["label"] == " b "


@pytest.mark.parametrize(("direction", "rank"), [("down", "TB"), ("right", "LR"), ("up", "BT"), ("left", "RL")])
def test_direction(direction, rank):
    assert f"rankdir={rank}" in example().graph(direction=direction).dot().source


def test_arguments_that_are_not_operands_are_written():
    x = leaf([[1, 2], [3, 4]])
    assert (x.sum(axis=0, keepdims=True)).graph()["o1"].label == "Sum axis=0, keepdims=True"
    assert x.sum().graph()["o1"].metadata is None
    assert x.reshape(4).graph()["o1"].metadata is None  # that is written beside the result
    assert x[0, 1:].graph()["o1"].metadata.startswith("key=(0, slice(1, None")


def test_repeat_and_sum_widen_and_narrow():
    nodes, _ = parsed(example().graph())
    assert [nodes[id]["shape"] for id in ("o2", "o1", "o5")] == ["trapezium", "box", "invtrapezium"]
    assert [nodes[id]["label"] for id in ("o2", "o5")] == ["Repeat", "Sum"]
    x, b = leaf([[1, 2], [3, 4]], "x"), leaf([1, 2], "b")
    ((x + b) ** 2).sum().backward(create_graph=True)
    ops = [node.op for node in b.grad.graph().nodes if node.kind == "op"]
    assert "sum" in ops or "unbroadcast" in ops
    assert "broadcast_to" in ops


# ---------------------------------------------------------------------------------------------------- orders of derivatives


def test_orders_of_derivatives_have_colours_of_their_own():
    x = leaf(2, "x")
    y = tg.sin(x) * x
    y.backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward(create_graph=True)
    second = x.grad
    assert {node.order for node in y.graph().nodes} == {0}
    assert {node.order for node in first.graph().find(kind="op")} == {0, 1}  # sin(x) and what backward computed from it
    graph = second.graph()
    assert {node.order for node in graph.find(kind="op")} == {1, 2}
    nodes, _ = parsed(graph)
    looks = {node.order: (nodes[node.id]["shape"], nodes[node.id]["fillcolor"]) for node in graph.find(kind="op")}
    assert looks[1] != looks[2]
    assert looks[1][0] == looks[2][0] == "octagon"
    assert {scope[0] for scope in graph.modules} == {"backward", "backward, order 2"}
    assert 'label="backward, order 2"' in graph.dot().source


def test_a_gradient_of_a_function_is_of_first_order_too():
    gradient = tg.grad(lambda x: tg.exp(x) * x)(leaf(2.0, "x"))
    orders = [node.order for node in gradient.graph().find(kind="op")]
    assert max(orders) == 1
    assert tg.grad(tg.grad(tg.grad(lambda x: x**5)))(2.0).item() == 240


# --------------------------------------------------------------------------------------------------- gradients and problems


def test_each_use_shows_what_it_adds():
    x = leaf([2, 3], "x")
    graph = (x * x * 2).sum().graph(show=("grad",), detail="full")
    parts = [edge.grad.tolist() for edge in graph.edges if edge.source == "i1"]
    assert parts == [[4, 6], [4, 6]]
    assert graph["x"].grad.tolist() == [8, 12]
    _, edges = parsed(graph)
    assert [edge["label"] for edge in edges["i1", "o1"]] == [" Δgrad [4, 6] "] * 2
    assert "label" not in edges["t1", "o2"][0]  # a single use adds all there is


def test_contributions_add_up():
    rng = np.random.default_rng(0)
    x, w = leaf(rng.normal(size=(3, 3)), "x"), leaf(rng.normal(size=3), "w")
    h = tg.tanh(x @ x + w)
    loss = (h * x + tg.exp(h @ x) * w).sum()
    graph = loss.graph(show=("grad",))
    totals = {}
    for edge in graph.edges:
        if edge.position is not None and edge.grad is not None:
            totals[edge.source] = totals.get(edge.source, 0) + edge.grad
    assert len(totals) > 8
    for id, total in totals.items():
        np.testing.assert_allclose(total, graph[id].grad, rtol=1e-12)


def test_contributions_of_complex_tensors_add_up():
    z = tg.Tensor([1 + 2j, 3 - 1j], requires_grad=True, name="z")
    graph = (abs(z * z) + z.real).sum().graph(show=("grad",))
    total = sum(edge.grad for edge in graph.edges if edge.source == graph["z"].id)
    np.testing.assert_allclose(total, graph["z"].grad, rtol=1e-12)


@pytest.mark.parametrize(
    ("x", "f", "flag"),
    [
        ([1.0, -1.0], lambda x: tg.log(x).sum(), "nan value"),
        ([1.0, 0.0], lambda x: tg.log(x).sum(), "inf gradient"),
        ([1.0, 2.0], lambda x: (tg.relu(x - 9) + 1).sum(), "zero gradient"),
        ([1.0, 2.0], lambda x: (x * 1e5).sum(), "exploding gradient"),
        ([1.0, 2.0], lambda x: (x * 9e3).sum(), None),
    ],
)
def test_problems_are_flagged(x, f, flag):
    with np.errstate(all="ignore"):
        graph = f(leaf(x, "x")).graph(show=("value", "grad"))
    flags = {flag for node in graph.nodes for flag in node.flags}
    assert flag in flags if flag else not flags
    nodes, edges = parsed(graph)
    red = [LIGHT.problem[0] in str(attributes) for attributes in (*nodes.values(), *[e for many in edges.values() for e in many])]
    assert any(red) == (flag not in (None, "zero gradient"))
    assert (f"⚠ {flag}" in graph.dot().source) == (flag is not None)
    if flag == "zero gradient":
        assert "dotted" in nodes["i1"]["style"]


def test_nobody_asked_nothing_is_flagged():
    with np.errstate(all="ignore"):
        assert not any(node.flags for node in tg.log(leaf([1.0, -1.0])).sum().graph().nodes)


def test_large_gradients_are_drawn_hotter_and_thicker():
    a, b = leaf(1, "a"), leaf(1, "b")
    _, edges = parsed((a * 100.0 + b * 0.01).graph(show=("grad_norm",)))
    large, small = edges["i1", "o1"][0], edges["i3", "o2"][0]
    assert LIGHT.heat.index(large["color"]) > LIGHT.heat.index(small["color"])
    assert float(large["penwidth"]) > float(small["penwidth"])
    assert "color" not in edges["i2", "o1"][0]  # nothing flows back to a number


def test_time_and_memory_warm_up_operations():
    x = leaf(np.ones((200, 200)), "x")
    graph = tg.exp(x @ x * 1e-3).sum().graph(show=("time", "memory"))
    product, exponential = graph.find(op="matmul")[0], graph.find(op="exp")[0]
    assert product.time > 0
    assert exponential.memory == 200 * 200 * 8
    assert "312 KiB" in exponential.label
    nodes, _ = parsed(graph)
    longest = max(graph.find(kind="op"), key=lambda op: op.time)
    assert nodes[longest.id]["fillcolor"] == LIGHT.warmth[-1]
    nodes, _ = parsed(x.exp().sum().graph(show=("memory",)))
    assert nodes["o1"]["fillcolor"] == LIGHT.warmth[-1]


def test_memory_that_is_kept_twice_counts_once():
    x = leaf(np.ones(100), "x")
    h = tg.exp(x)
    graph = (h * h * h).sum().graph(show=("memory",))
    assert graph["o1"].memory == 800
    assert sum(op.memory for op in graph.find(kind="op")) == 1600  # h and h²; x is the user's own


def test_highlights_take_tensors():
    x = leaf(2, "x")
    y = tg.exp(x)
    graph = (y * 3).graph(highlight={y: "here"})
    assert [node.id for node in graph.nodes if node.highlight is not None] == ["o1"]
    nodes, _ = parsed(graph)
    assert nodes["o1"]["label"] == "exp\\nhere"
    assert nodes["o1"]["color"] == LIGHT.problem[0]
    marked = (y * 3).graph(highlight=[x])
    assert [node.id for node in marked.nodes if node.highlight is not None] == ["i1"]
    assert parsed(marked)[0]["i1"]["color"] == LIGHT.problem[0]


# ------------------------------------------------------------------------------------------------------------------ colours


def rgb(colour):
    colour = {"white": "#FFFFFF"}.get(colour, colour)
    return np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])


def linear(colour):
    c = rgb(colour)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    """The contrast ratio of WCAG 2."""
    low, high = sorted(linear(c) @ [0.2126, 0.7152, 0.0722] for c in (a, b))
    return (high + 0.05) / (low + 0.05)


# Machado, Oliveira and Fernandes (2009), severity 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour, vision):
    r, g, b = np.clip(np.asarray(VISION[vision]) @ linear(colour), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ [r, g, b]
    f = np.cbrt(xyz / [0.9505, 1, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable(theme):
    boxes = [*theme.colours.values(), *theme.orders, *theme.changes.values(), theme.problem]
    assert min(contrast(text, fill) for _, fill, text in boxes) >= 7
    assert min(contrast(theme.text, fill) for fill in theme.warmth) >= 4.5
    assert min(contrast(theme.quiet, ground) for ground in (theme.background, theme.module[1], theme.block[1])) >= 7
    assert min(contrast(line, theme.background) for line, _, _ in boxes) >= 3


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_roles_are_told_apart_by_every_colour_vision(theme, vision):
    roles = [theme.colours[role][0] for role in ("op", "leaf", "constant", "result")]
    changes = [theme.changes[change][0] for change in ("added", "removed", "changed")]
    for colours in (roles, changes):
        distances = [np.linalg.norm(lab(a, vision) - lab(b, vision)) for k, a in enumerate(colours) for b in colours[:k]]
        assert min(distances) > 10, min(distances)


def test_roles_are_told_apart_by_shape_alone():
    roles = ("op", "derivative", "closed", "leaf", "constant", "result", "intermediate")
    looks = {tuple(SHAPES[role].get(key, "") for key in ("shape", "style", "peripheries")) for role in roles}
    assert len(looks) == len(roles)


def test_the_dark_theme_is_dark():
    source = example().graph(theme="dark").dot().source
    assert f'bgcolor="{DARK.background}"' in source
    assert DARK.colours["leaf"][1] in source


def test_a_constant_that_is_broadcast_says_so():
    x, c = leaf([[1, 2], [3, 4]], "x"), tg.Tensor([1.0, 2.0], name="c")
    graph = (x * c + 1).graph()
    assert [(edge.source, edge.repeated) for edge in graph.edges if edge.position is not None] == [
        ("i1", False),
        ("i2", True),
        ("t1", False),
        ("i3", False),
    ]
    assert parsed(graph)[1]["i2", "o1"][0]["label"] == " repeated "


def test_what_is_wrong_in_a_closed_box_is_seen_from_outside():
    x = leaf([1.0, 0.0], "x")
    with mode(scope=("Net",)), np.errstate(all="ignore"):
        h = tg.log(x)
        y = tg.exp(h * 2)
    graph = y.sum().graph(depth=1, show=("value",), highlight={h: "here"})
    nodes, _ = parsed(graph)
    assert nodes["o1"]["label"] == "Net\\n3 operations\\n2 parameters\\n⚠ inf value\\nhere"
    assert nodes["o1"]["color"] == LIGHT.problem[0]
    assert parsed(y.sum().graph(depth=1))[0]["o1"]["color"] == LIGHT.colours["closed"][0]


def test_a_difference_in_a_closed_box_is_seen_from_outside():
    x = leaf([1.0, 2.0], "x")

    def program(extra):
        with mode(scope=("Net",)):
            y = tg.exp(tg.sin(x) + 1 if extra else tg.sin(x))
        return y.sum().graph(depth=1)

    nodes, _ = parsed(tg.viz.diff(program(False), program(True)))
    assert nodes["o1"]["label"].endswith("\\nchanged")
    assert nodes["o1"]["color"] == LIGHT.changes["changed"][0]
    nodes, _ = parsed(tg.viz.diff(program(True), program(True)))
    assert nodes["o1"]["color"] == LIGHT.colours["closed"][0]


def test_a_part_that_ends_with_an_operation_can_be_closed():
    x = leaf([1.0, 2.0], "x")
    part = tg.exp(tg.sin(x)).graph().between(x, "o2").redrawn(depth=0)
    assert parsed(part)[0]["o1"]["label"] == "1 sin, 1 exp\\n2 operations"
