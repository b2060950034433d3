"""Graphs as text: trees, flowcharts, tables."""

from __future__ import annotations

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


# ------------------------------------------------------------------------------------------------------------------ summary


def table(graph):
    """The rows of a summary, by their first word."""
    head, *rows = graph.summary().splitlines()
    return head, {row.split()[0]: row for row in rows}


def test_a_summary_counts():
    net = tg.nn.Sequential(tg.nn.Affine(4, 3), tg.nn.Sigmoid())
    head, rows = table(net(np.ones((5, 4))).sum().graph())
    assert head.split() == ["operation", "module", "result", "parameters", "FLOPs", "saved"]
    assert rows["o1"].split()[-4:] == ["12", "120", "160", "B"]  # 2 · 5 · 4 · 3
    assert rows["o2"].split()[-4:] == ["3", "0", "0", "B"]
    assert rows["total"].split() == ["total", "5", "operations", "15", "165", "280", "B"]


@pytest.mark.parametrize(
    ("f", "flops"),
    [
        (lambda x: tg.exp(x), 12),
        (lambda x: x + x, 12),
        (lambda x: x.sum(axis=0), 12),
        (lambda x: tg.cumsum(x, axis=0), 12),
        (lambda x: x.reshape(-1), 0),
        (lambda x: x.T, 0),
        (lambda x: x[0], 0),
        (lambda x: tg.concatenate([x, x]), 0),
        (lambda x: x @ x.detach().T, 2 * 3 * 4 * 3),
        (lambda x: tg.tensordot(x, x.detach(), ([0, 1], [0, 1])), 2 * 12),
        (lambda x: tg.sort(x, axis=0), None),
    ],
)
def test_floating_point_operations(f, flops):
    graph = f(leaf(np.arange(12.0).reshape(3, 4), "x")).graph()
    assert graph.find(kind="op")[0].flops == flops
    if flops is None:
        assert " ?" in graph.summary()


def test_an_operation_of_the_user_s_own_is_a_question_mark():
    @tg.primitive
    def own(a):
        """y = a"""
        return a * 1

    own.vjp(a=lambda g: g)
    graph = own(leaf([1, 2])).graph()
    assert graph["o1"].flops is None
    assert table(graph)[1]["o1"].split()[-2:] == ["0", "B"]


def test_a_parameter_counts_where_it_is_used_first():
    w = leaf(np.ones((3, 3)), "w")
    _, rows = table((w @ w @ w).graph())
    assert rows["o1"].split()[4:6] == ["9", "54"]
    assert rows["o2"].split()[4:6] == ["54", "72"]


def test_time_has_a_column_if_it_was_asked_for():
    x = leaf(np.ones((50, 50)))
    head, rows = table((x @ x).graph(show=("time",)))
    assert head.split()[-1] == "time"
    assert re.search(r"(ns|µs|ms)$", rows["o1"])
    assert "time" not in table((x @ x).graph())[0]


def test_a_large_graph_has_a_short_summary():
    y = leaf(np.ones(10), "x")
    for _ in range(1000):
        y = tg.sin(y)
    graph = y.graph()
    _, rows = table(graph)
    assert list(rows) == ["o1", "total"]
    assert rows["o1"].split()[1:4] == ["sin", "×", "1,000"]
    assert rows["total"].split()[1:] == ["1,000", "operations", "10", "10,000", "78", "KiB"]  # x is the user's own
