"""Graphs as text: trees, flowcharts, tables."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


# -------------------------------------------------------------------------------------------------------------------- tree


def test_a_tree():
    x, y = leaf([1, 2], "x"), leaf([3, 4], "y")
    loss = ((x * y + tg.sin(x)) * (x - y)).sum()
    loss.name = "loss"
    assert str(loss.graph()) == (
        "loss = t6 () = Sum(t5)\n"
        "t5 (2,) = ×(t3, t4)\n"
        "├─ t4 (2,) = −(x (2,), y (2,))\n"
        "t3 (2,) = +(t1, t2)\n"
        "├─ t1 (2,) = ×(x, y)\n"
        "t2 (2,) = sin(x)"
    )


def test_branches_are_told_from_the_main_line():
    x = leaf(1, "x")
    y = tg.sin(tg.exp(tg.sqrt(x))) * tg.cos(tg.tanh(x))
    assert str(y.graph(show=())).splitlines() == [
        "t6 = ×(t3, t5)",
        "├─ t5 = cos(t4)",
        "│  t4 = tanh(x)",
        "t3 = sin(t2)",
        "t2 = exp(t1)",
        "t1 = √(x)",
    ]


def test_an_operand_that_is_used_twice():
    x = leaf(1, "x")
    h = tg.sin(x)
    assert str((h * h).graph(show=())).splitlines() == ["t2 = ×(t1, t1)", "t1 = sin(x)"]


def test_a_residual_stays_narrow():
    y = leaf(1, "x")
    for _ in range(30):
        y = y + tg.tanh(y)
    assert max(line.count("├") + line.count("│") for line in str(y.graph(show=(), max_nodes=None)).splitlines()) <= 1


def test_values_and_gradients_stand_in_the_tree():
    x = leaf(2, "x")
    assert str((x * 3).graph(show=("value", "grad"))) == "t1 value 6 grad 1 = ×(x value 2 grad 3, 3)"


def test_modules_stand_at_the_side():
    net = tg.nn.Sequential(tg.nn.Affine(2, 1), tg.nn.ReLU())
    lines = str(net(np.ones((1, 2))).graph()).splitlines()
    assert lines[0].endswith("│ Sequential / 1: ReLU")
    assert lines[-1].endswith("│ Sequential / 0: Affine")
    assert len({line.index("│ Sequential") for line in lines}) == 1


def test_a_repeated_block_says_so():
    h, w = leaf(1, "h0"), leaf(2, "w")
    for _ in range(50):
        h = tg.tanh(h * w)
    assert str(h.graph(max_nodes=10)).splitlines() == [
        "t2 () = tanh(t1)                │ × 50",
        "t1 () = ×(h0 () then t2, w ())  │ × 50",
    ]


@pytest.mark.parametrize("name", ["two\nlines", "텐서", "(odd)", "a = b", ""])
def test_every_name_stays_in_its_line(name):
    y = tg.sin(leaf(1, name))
    y.name = name
    assert len(str(y.graph()).splitlines()) == 1


def test_a_tensor_alone():
    assert str(tg.Tensor([1.0], name="c").graph()) == "c (1,)"


def test_many_operations_fit_on_a_screen():
    y = leaf(1, "x")
    for k in range(20_000):
        y = (tg.sin if k * k % 11 < 5 else tg.tanh)(y)
    text = str(y.graph())
    assert len(text.splitlines()) <= 150
    assert max(map(len, text.splitlines())) < 150


# ------------------------------------------------------------------------------------------------------------------ Mermaid


def test_a_flowchart():
    x = leaf([1, 2], "x")
    with_net = (tg.sin(x) - 1).graph().mermaid().splitlines()
    assert with_net[:8] == [
        "flowchart TB",
        '  i1(["x<br>(2,)"]):::leaf',
        '  o1("sin"):::op',
        '  i2["1"]:::constant',
        '  o2("#8722;"):::op',
        '  t2(("(2,)")):::result',
        "  i1 --> o1",
        '  o1 -->|"a#58; (2,)"| o2',
    ]


def test_modules_are_subgraphs():
    net = tg.nn.Sequential(tg.nn.Affine(2, 1), tg.nn.ReLU())
    lines = net(np.ones((1, 2))).graph(direction="right").mermaid().splitlines()
    assert lines[0] == "flowchart LR"
    starts = [line for line in lines if "subgraph" in line]
    assert [line.strip() for line in starts] == [
        'subgraph m1["Sequential"]',
        'subgraph m2["0#58; Affine"]',
        'subgraph m3["1#58; ReLU"]',
    ]
    assert sum(line.strip() == "end" for line in lines) == 3
    depth = 0
    for line in lines:
        depth += ("subgraph" in line) - (line.strip() == "end")
        assert depth >= 0
    assert depth == 0


@given(
    st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from(['"]', "end", "<b>x</b>", "#35;", "`a`", "%%", "\\"])
)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_no_name_breaks_a_flowchart(name):
    line = leaf(1, name).graph(show=()).mermaid().splitlines()[1]
    label = re.fullmatch(r'  i1\(\["(.*)"\]\):::leaf', line)[1]
    assert re.fullmatch(r"(#\d+;|[^\W_]|[ .,()=]|<br>|_)*", label)
    lines = [re.sub(r"#(\d+);", lambda m: chr(int(m[1])), part) for part in label.split("<br>")]
    written = re.sub("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", name)
    assert lines == ([part for part in written.split("\n") if part] or [" "])


# ------------------------------------------------------------------------------------------------------------------- files


def test_half_a_character_in_a_name_is_written_as_its_escape(tmp_path):
    graph = leaf(1, "텐서 \ud800").graph()
    assert graph.render(tmp_path / "x.txt").read_text("utf-8") == "텐서 \\ud800 ()\n"
    assert json.loads(graph.render(tmp_path / "x.json").read_text("utf-8"))["nodes"][0]["name"] == "텐서 \ud800"
    assert "텐서" in graph.render(tmp_path / "x.mmd").read_text("utf-8")
