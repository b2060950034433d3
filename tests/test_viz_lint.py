"""`Graph.lint`: each mistake is found, at its node and with its rewrite; and what is right is left alone."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.demo import TwoLayerNet
from tinygrad_edu.graph import no_grad
from tinygrad_edu.viz.checks import CHECKS


def leaf(data, name=None, dtype=float):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=dtype)


def logits(*shape, name="z"):
    return leaf(np.random.default_rng(0).normal(size=shape or (4, 3)), name)


ONE_HOT = np.eye(3)[[0, 1, 2, 1]]


def softmax_by_hand(z, axis, shift_axis=-1):
    e = tg.exp(z - tg.max(z, axis=shift_axis, keepdims=True))
    return e / tg.sum(e, axis=axis, keepdims=True)


def where_by_log():
    x = leaf([0.0, 2.0], "x")
    with np.errstate(divide="ignore"):
        return tg.where(x.data > 0, tg.log(x), 0.0)


def where_by_safe_log():
    x = leaf([0.0, 2.0], "x")
    return tg.where(x.data > 0, tg.log(tg.where(x.data > 0, x, 1.0)), 0.0)


def relu_layer(bias):
    x = tg.Tensor(np.random.default_rng(0).normal(size=(20, 4)))
    return tg.relu(x @ logits(4, 5, name="W") + leaf(np.full(5, bias), "b"))


def saturated(scale):
    x = tg.Tensor(np.random.default_rng(1).uniform(size=(10, 784)))
    return tg.sigmoid(x @ leaf(np.random.default_rng(0).normal(size=(784, 20)) * scale, "W"))


# For each check: a program with the mistake, a word of the reason and one of the rewrite, and a program that is right.
PAIRS = {
    "log-of-softmax": (lambda: tg.log(tg.softmax(logits())), "-inf", "tg.log_softmax(z)", lambda: tg.log_softmax(logits())),
    "log-of-softmax of a sigmoid": (
        lambda: tg.log(tg.sigmoid(logits())),
        "rounded to 0 or 1",
        "tg.log_sigmoid(z)",
        lambda: tg.log_sigmoid(logits()),
    ),
    "log-of-softmax by hand": (
        lambda: tg.log(softmax_by_hand(logits(), -1)),
        "-inf",
        "tg.log_softmax(z)",
        lambda: tg.log(leaf([1.0, 2.0]) / 2),
    ),
    "log-plus-epsilon": (
        lambda: -(ONE_HOT * tg.log(tg.softmax(logits()) + 1e-7)).sum(axis=-1).mean(),
        "bounds the loss at 16.12",
        "tg.softmax_cross_entropy(z, labels)",
        lambda: tg.log(logits() * logits() + 1.0),
    ),
    "log-plus-epsilon of a sigmoid": (
        lambda: tg.log(1e-7 + tg.sigmoid(logits())),
        "bounds",
        "tg.log_sigmoid(z)",
        lambda: tg.log1p(tg.sigmoid(logits())),
    ),
    "log-of-softmax of the other class": (
        lambda: tg.log(1 - tg.sigmoid(logits())),
        "a sigmoid is rounded to 0 or 1",
        "tg.log_sigmoid(-z)",
        lambda: tg.log_sigmoid(-logits()),
    ),
    "log-plus-epsilon by a clip": (
        lambda: tg.log(tg.clip(tg.softmax(logits()), 1e-7, 1)),
        "a smallest value of 1e-07 bounds the loss at 16.12",
        "tg.softmax_cross_entropy(z, labels)",
        lambda: tg.log(tg.clip(leaf([0.5, 2.0]), 0.1, 1)),
    ),
    "log-plus-epsilon by a maximum": (
        lambda: tg.log(tg.maximum(1e-7, tg.sigmoid(logits()))),
        "a smallest value of 1e-07",
        "tg.log_sigmoid(z)",
        lambda: tg.log(tg.maximum(leaf([0.5, 2.0]), 1.0)),
    ),
    "exp-without-shift in log1p": (
        lambda: tg.log1p(tg.exp(logits())),
        "overflows beyond",
        "tg.softplus",
        lambda: tg.softplus(logits()),
    ),
    "softmax-over-the-batch": (
        lambda: softmax_by_hand(logits(), None),
        "whole array of shape (4, 3)",
        "tg.softmax(z, axis=-1)",
        lambda: softmax_by_hand(logits(), -1),
    ),
    "softmax-over-the-batch of rank 3": (
        lambda: softmax_by_hand(logits(2, 3, 4), (0, 1, 2)),
        "whole array",
        "axis=-1",
        lambda: tg.softmax(logits(2, 3, 4)),
    ),
    "softmax-over-the-batch along the examples": (
        lambda: tg.softmax(logits(), axis=0),
        "the first axis",
        "axis=-1",
        lambda: tg.softmax(logits(3), axis=0),
    ),
    "exp-without-shift": (
        lambda: (lambda e: e / tg.sum(e, axis=-1, keepdims=True))(tg.exp(logits())),
        "exp overflows beyond 709.8 in float64",
        "tg.softmax(z)",
        lambda: softmax_by_hand(logits(), -1),
    ),
    "exp-without-shift in a logarithm": (
        lambda: tg.log(tg.sum(tg.exp(logits()), axis=-1)),
        "logsumexp",
        "tg.logsumexp(z)",
        lambda: tg.logsumexp(logits(), axis=-1),
    ),
    "exp-without-shift in a sigmoid": (
        lambda: 1 / (1 + tg.exp(-logits())),
        "1 + eˣ is inf",
        "tg.sigmoid(z)",
        lambda: tg.sigmoid(logits()),
    ),
    "root-near-zero": (
        lambda: tg.sqrt((leaf([0.0, 0.0], "x") ** 2).sum()),
        "infinite at 0",
        "tg.norm(x)",
        lambda: tg.sqrt((leaf([3.0, 4.0], "x") ** 2).sum()),
    ),
    "root-near-zero of a power": (
        lambda: leaf([0.0, 1.0]) ** 0.5,
        "power is infinite",
        "eps inside the root",
        lambda: leaf([0.0, 1.0]) ** 2.0,
    ),
    "root-near-zero of a norm": (
        lambda: tg.norm(leaf([0.0, 0.0], "x")),
        "has no direction",
        "squared length",
        lambda: tg.norm(leaf([3.0, 4.0], "x")),
    ),
    "where-with-an-unsafe-branch": (where_by_log, "log makes nan or inf in 1 elements", "log(where(c, x, 1))", where_by_safe_log),
    "vector-against-column": (
        lambda: ((leaf([1.0, 2.0, 3.0], "y") - tg.Tensor([[1.0], [2.0], [3.0]], name="t")) ** 2).mean(),
        "broadcast to all 3 × 3 pairs",
        "t.reshape(-1)",
        lambda: ((leaf([1.0, 2.0, 3.0], "y") - tg.Tensor([1.0, 2.0, 3.0], name="t")) ** 2).mean(),
    ),
    "dtype-jump": (
        lambda: leaf([1.0, 2.0], "w", np.float32) * tg.Tensor([1.0, 2.0], name="x"),
        "x is float64, so that everything that follows is float64",
        ".astype(np.float32)",
        lambda: tg.astype(leaf([1.0, 2.0], "w", np.float32), float) * tg.Tensor([1.0, 2.0]) + 1.0,
    ),
    "integer-leaf": (
        lambda: tg.Tensor([[1, 2], [3, 4]], name="W") @ leaf([1.0, 2.0]),
        "W is int64",
        "decimal point",
        lambda: tg.softmax_cross_entropy(logits(), tg.Tensor([0, 1, 2, 1], name="t")) * 2,
    ),
    "unused-parameter": (
        lambda: tg.copysign(leaf([1.0, 2.0], "x"), leaf([1.0, -1.0], "h")),
        "h requires grad, and no gradient reaches it",
        "requires_grad=False",
        lambda: leaf([1.0, 2.0], "x") * leaf([1.0, -1.0], "h"),
    ),
    "unused-parameter behind a step": (
        lambda: tg.heaviside(leaf([1.0, -1.0], "h"), 0.5) @ leaf([1.0, 2.0], "w"),
        "by heaviside, which has no derivative",
        "tg.sigmoid for a step",
        lambda: tg.sigmoid(leaf([1.0, -1.0], "h")) @ leaf([1.0, 2.0], "w"),
    ),
    "saturated-sigmoid": (lambda: saturated(1.0), "is flat", "1/√n", lambda: saturated(1 / 28)),
    "dead-relu": (lambda: relu_layer(-20.0), "5 of 5 units", "leaky_relu", lambda: relu_layer(0.0)),
    "dead-relu of some units": (
        lambda: tg.relu(leaf(np.where(np.arange(10) < 3, -1.0, 1.0) * np.ones((50, 1)))),
        "3 of 10 units",
        "leaky_relu",
        lambda: tg.relu(leaf(np.where(np.arange(10) < 3, -1.0, 1.0) * np.linspace(-0.1, 1, 50)[:, None])),
    ),
    "dead-relu of a channel": (
        lambda: tg.relu(leaf(np.where(np.arange(4) < 1, -1.0, 1.0)[:, None, None] * np.ones((10, 4, 5, 5)))),
        "1 of 4 units",
        "leaky_relu",
        lambda: tg.relu(leaf(np.random.default_rng(0).normal(size=(10, 4, 5, 5)))),
    ),
    "loss-grows-with-the-batch": (
        lambda: -(ONE_HOT * tg.log_softmax(logits())).sum(),
        "cross-entropy of 4 examples",
        "/ 4",
        lambda: -(ONE_HOT * tg.log_softmax(logits())).sum() / 4,
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_a_mistake_is_found_and_the_right_program_is_left_alone(case):
    wrong, why, write, right = PAIRS[case]
    name = case.split(" ")[0]
    y = wrong()
    graph = y.graph()
    found = [finding for finding in graph.lint() if finding.check == name]
    assert len(found) == 1, graph.lint()
    assert why in found[0].why
    assert write in found[0].write
    assert found[0].node in {node.id for node in graph.nodes}
    assert name not in right().graph().lint().checks


def test_all_pairs_that_are_meant_are_left_alone():
    x = leaf([1.0, 2.0, 3.0], "x")
    for pairs in (x[:, None] - x, x.reshape(3, 1) * x, tg.outer(x, x), tg.expand_dims(x, 1) + tg.Tensor([1.0, 2.0, 3.0])):
        assert pairs.shape == (3, 3)
        assert pairs.graph().lint() == ()


def test_every_check_has_a_pair():
    assert {*CHECKS, "integer-leaf", "unused-parameter"} == {case.split(" ")[0] for case in PAIRS}


def test_the_node_is_the_one_that_is_meant():
    z = logits()
    graph = (z * 1.0 + tg.log(tg.softmax(z))).sum().graph()
    (finding,) = graph.lint()
    assert {node.id: node.op for node in graph.nodes}[finding.node] == "log"
    assert str(finding).startswith(f"{finding.node} log-of-softmax: a softmax is rounded to 0")
    assert str(graph.lint()) == repr(graph.lint()) == str(finding)


def test_a_parameter_that_was_not_used_is_found():
    net = TwoLayerNet(np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(5, 64))
    assert [finding.why.split(" ")[0] for finding in net.hidden(x).graph().lint(net)] == ["output.weight", "output.bias"]
    assert net(x).graph().lint(net) == ()
    spare = leaf([1.0], "spare")
    (finding,) = net(x).graph().lint([spare])
    assert (finding.node, finding.check) == (None, "unused-parameter")
    assert finding.why.startswith("spare of shape (1,) is not in the graph")


def test_a_net_that_is_right_has_no_finding():
    net = TwoLayerNet(np.random.default_rng(0))
    x = np.random.default_rng(1).uniform(size=(10, 64))
    loss = tg.softmax_cross_entropy(net(x), np.arange(10))
    findings = loss.graph().lint(net)
    assert (findings, str(findings), findings.checks) == ((), "nothing found", [])


@pytest.mark.parametrize("seed", range(5))
def test_nets_that_were_just_made_have_no_finding(seed):
    """Of small batches and many units, some are 0 for every example by accident."""
    rng = np.random.default_rng(seed)
    dense = tg.nn.Sequential(tg.nn.Linear(784, 50, rng=rng), tg.nn.ReLU(), tg.nn.Linear(50, 10, rng=rng))
    image = tg.nn.Sequential(
        tg.nn.Conv2d(1, 8, 3, rng=rng),
        tg.nn.BatchNorm2d(8),
        tg.nn.ReLU(),
        tg.nn.MaxPool2d(2),
        tg.nn.Flatten(),
        tg.nn.Linear(72, 10, rng=rng),
    )
    wide = tg.nn.Sequential(tg.nn.Linear(20, 1000, rng=rng), tg.nn.ReLU(), tg.nn.Linear(1000, 10, rng=rng))
    for net, shape in ((dense, (16, 784)), (image, (8, 1, 8, 8)), (wide, (8, 20))):
        loss = tg.nn.functional.cross_entropy(net(rng.uniform(size=shape)), rng.integers(0, 10, shape[0]))
        assert loss.graph().lint(net) == ()
    scan = tg.nn.LSTM(3, 4)
    assert (scan(rng.normal(size=(5, 2, 3)))[0] ** 2).mean().graph().lint(scan) == ()


@pytest.mark.parametrize(
    "function", [tg.gelu, tg.silu, tg.softplus, tg.mish, tg.logsumexp, tg.softmax, tg.log_softmax, tg.var, tg.std]
)
def test_the_librarys_own_functions_have_no_finding(function):
    assert function(logits()).graph().lint() == ()


def test_after_backward_the_structure_is_still_looked_at():
    z = logits()
    loss = tg.log(tg.softmax(z)).mean()
    loss.backward()
    assert loss.graph().lint().checks == ["log-of-softmax"]


def test_what_was_not_recorded_has_no_finding():
    with no_grad():
        assert tg.log(tg.softmax(logits())).graph().lint() == ()


# ------------------------------------------------------------------------------------------------------ the notes' mistakes


def test_the_mistakes_of_the_notes_that_a_graph_shows():
    """Integers as weights, softmax over everything, a summed loss, log(y + 1e-7), the sigmoid with an overflow, labels as a column,
    weights that are too large: in one program each, as they stand in the notes."""
    rng = np.random.default_rng(0)
    x, t = rng.uniform(size=(4, 784)), ONE_HOT
    hidden = leaf(rng.normal(size=(784, 50)), "W1")
    w = leaf(rng.normal(size=(50, 3)) * 0.1, "W2")

    def sigmoid(x):
        return 1 / (1 + tg.exp(-x))

    def softmax(x):
        c = tg.max(x)
        e = tg.exp(x - c)
        return e / tg.sum(e)

    loss = -tg.sum(t * tg.log(softmax(sigmoid(tg.Tensor(x) @ hidden) @ w) + 1e-7))
    assert loss.graph().lint().checks == [
        "exp-without-shift",
        "log-plus-epsilon",
        "loss-grows-with-the-batch",
        "softmax-over-the-batch",
    ]
    assert "saturated-sigmoid" in tg.sigmoid(tg.Tensor(x) @ hidden).graph().lint().checks
    labels = tg.Tensor([[0.0], [1.0], [0.0], [1.0]], name="t")
    assert "vector-against-column" in tg.mean((tg.sum(tg.Tensor(x) @ hidden, axis=1) - labels) ** 2).graph().lint().checks
    assert "integer-leaf" in (tg.Tensor(np.array([[1, 2], [3, 4]])) @ leaf([1.0, 2.0])).graph().lint().checks
