"""What operations cost: `Graph.summary`, and floating-point operations."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.testing.examples import examples


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


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


# ------------------------------------------------------------------------------------------- floating-point operations


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
        (lambda x: tg.softmax(x), 5 * 12),
        (lambda x: tg.log_softmax(x), 5 * 12),
        (lambda x: tg.logsumexp(x), 4 * 12),
        (lambda x: tg.softmax_cross_entropy(x, [0, 1, 2]), 5 * 12),
        (lambda x: tg.standardize(x), 5 * 12),
        (lambda x: tg.max_pool(x, (2, 2)), 2 * 4),
        (lambda x: tg.avg_pool(x, 2), 2 * 6),
        (lambda x: tg.convolve(x[0], [1.0, 2.0, 3.0]), 2 * 4 * 3),
        (lambda x: tg.convolve(x[0], [1.0, 2.0, 3.0], "valid"), 2 * 2 * 3),
        (lambda x: tg.polyval(x[0], [1.0, 2.0]), 2 * 2 * 3),
        (lambda x: tg.inv(x @ x.T + np.eye(3)), 2 * 3**3),
        (lambda x: tg.solve(x @ x.T + np.eye(3), np.ones(3)), 2 * 3**3 / 3 + 2 * 3**2),
        (lambda x: tg.fft(x), 3 * 5 * 4 * 2),
        (lambda x: tg.rfft(x), 3 * 5 * 4 * 2 / 2),
        (lambda x: tg.rfft(x, n=8), 3 * 5 * 8 * 3 / 2),
        (lambda x: tg.irfft(tg.rfft(x)), 3 * 5 * 4 * 2 / 2),
        (lambda x: tg.fft(x, axis=0), round(4 * 5 * 3 * np.log2(3))),
        (lambda x: tg.sort(x, axis=0), None),
    ],
)
def test_floating_point_operations(f, flops):
    graph = f(leaf(np.arange(12.0).reshape(3, 4), "x")).graph()
    assert graph.find(kind="op")[-1].flops == flops
    if flops is None:
        assert " ?" in graph.summary()


def products(subscripts, *shapes, **options):
    y = tg.einsum(subscripts, *[leaf(np.ones(shape)) for shape in shapes], **options)
    return y.graph().find(op="_einsum")[0].flops


@given(st.tuples(*[st.integers(0, 5)] * 4))
def test_an_einsum_counts_as_the_operation_that_it_is(lengths):
    n, k, m, o = lengths
    assert products("nk,km->nm", (n, k), (k, m)) == 2 * n * k * m
    assert products("nkm->n", (n, k, m)) == n * k * m
    assert products("nk,nk->nk", (n, k), (n, k)) == n * k
    assert products("nk->kn", (n, k)) == 0
    assert products("nn->n", (n, n)) == 0
    assert products("n,k->nk", (n,), (k,)) == n * k
    assert products("nk,km,mo->no", (n, k), (k, m), (m, o)) == 3 * n * k * m * o  # in one loop
    way = (["einsum_path", (0, 1), (0, 1)], ["einsum_path", (1, 2), (0, 1)])
    first, last = [products("nk,km,mo->no", (n, k), (k, m), (m, o), optimize=path) for path in way]
    assert first == 2 * n * k * m + 2 * n * m * o
    assert last == 2 * k * m * o + 2 * n * k * o


def test_an_axis_of_length_1_is_repeated_in_an_einsum():
    assert products("ij,ij->ij", (1, 4), (3, 1)) == 12
    assert products("ij,ij->", (1, 4), (3, 1)) == 24


@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.integers(1, 3))
def test_a_convolution_and_its_derivatives_are_the_same_products(batch, groups, per_group, outputs, stride, kernel):
    x, w = leaf(np.ones((batch, groups * per_group, 6, 5)), "x"), leaf(np.ones((groups * outputs, per_group, kernel, 2)), "w")
    y = tg.conv(x, w, stride=stride, padding=1, groups=groups)
    y.sum().backward(create_graph=True)
    places = batch * y.shape[2] * y.shape[3]
    expected = 2 * places * groups * outputs * per_group * kernel * 2  # a multiplication and an addition for each
    graph = (x.grad.sum() + w.grad.sum()).graph()
    assert [node.flops for node in graph.nodes if node.op in ("conv_input", "conv_weight")] == [expected] * 2
    assert y.graph().find(op="conv")[0].flops == expected


def test_a_recurrent_net_counts_as_the_steps_that_it_is_made_of():
    x, w, h = leaf(np.ones((7, 2, 3)), "x"), leaf(np.ones((3, 3)), "w"), leaf(np.ones((2, 3)), "h")
    y = h
    for t in range(7):
        y = tg.tanh(y @ w + x[t])
    steps = sum(node.flops for node in y.graph().find(kind="op"))
    assert tg.rnn_scan(x, w, h).graph().find(op="rnn_scan")[0].flops == steps
    for net, gates, other in ((tg.nn.GRU(4, 3), 3, 14), (tg.nn.LSTM(4, 3), 4, 17)):
        (scan,) = [node for node in net(np.ones((7, 2, 4)))[0].graph().nodes if (node.op or "").endswith("_scan")]
        assert scan.flops == 7 * 2 * 3 * (gates * 2 * 3 + other)


# Iterations whose number depends on the matrix, and comparisons.
UNKNOWN = {
    "_eig",
    "_eigh",
    "eigvalsh",
    "_svd",
    "svdvals",
    "pinv",
    "_qr",
    "expm",
    "sqrtm",
    "logm",
    "solve_sylvester",
    "sort",
    "_ranked",
}


@pytest.mark.parametrize("name", [name for name, op in REGISTRY.items() if op.cases and op.ours])
def test_every_operation_has_a_count_or_is_known_to_have_none(name):
    @settings(max_examples=3)
    @given(examples(REGISTRY[name]))
    def check(call):
        y = call.call(call.tensors())
        for node in y.graph().find(kind="op") if isinstance(y, tg.Tensor) else ():
            if node.op in UNKNOWN:
                assert node.flops is None
            else:
                assert isinstance(node.flops, int)
                assert node.flops >= 0

    check()
