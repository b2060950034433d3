"""Losses: derivatives to the second order, extreme values, dtypes, and that nothing is broadcast in silence."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import ArgumentError, LabelError, ShapeError
from tinygrad_edu.nn import functional as F  # noqa: N812

SIGNS, CLASSES = np.array([1, -1, 1]), np.array([2, 0, 1])
T = np.array([0.2, 0.9, 0.6])
LOGS = np.log([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
X = np.array([0.7, -0.3, 1.9])
Z = np.array([[0.3, -1.2, 0.5], [1.4, 0.1, -0.4], [0.2, 0.9, -0.8]])
LOSSES = {
    "mse_loss": (lambda x: F.mse_loss(x, T), X),
    "sum_of_squares_loss": (lambda x: F.sum_of_squares_loss(x, T), X),
    "half_sum_of_squares_loss": (lambda x: F.half_sum_of_squares_loss(x, T), X),
    "l1_loss": (lambda x: F.l1_loss(x, T) ** 2, X),
    "huber_loss": (lambda x: F.huber_loss(x, T, delta=0.8), X),
    "smooth_l1_loss": (lambda x: F.smooth_l1_loss(x, T, beta=0.8), X),
    "cross_entropy": (lambda z: F.cross_entropy(z, CLASSES), Z),
    "cross_entropy, every option": (
        lambda z: F.cross_entropy(z, CLASSES, T, ignore_index=0, label_smoothing=0.1, reduction="sum"),
        Z,
    ),
    "nll_loss": (lambda z: F.nll_loss(z, CLASSES, T) ** 2, Z),
    "binary_cross_entropy": (lambda x: F.binary_cross_entropy(x, T), np.array([0.3, 0.4, 0.8])),
    "binary_cross_entropy_with_logits": (lambda x: F.binary_cross_entropy_with_logits(x, T, pos_weight=T), X),
    "kl_div": (lambda z: F.kl_div(z, np.exp(LOGS)) ** 2, Z),
    "kl_div, logarithms": (lambda z: F.kl_div(LOGS, z, log_target=True), Z),
    "hinge_loss": (lambda x: F.hinge_loss(x, SIGNS) ** 2, X),
    "hinge_embedding_loss": (lambda x: F.hinge_embedding_loss(x, SIGNS) ** 2, X),
    "multi_margin_loss": (lambda z: F.multi_margin_loss(z, CLASSES, 2), Z),
    "cosine_embedding_loss": (lambda z: F.cosine_embedding_loss(z, Z[::-1].copy(), SIGNS), Z),
    "cosine_similarity": (lambda z: F.cosine_similarity(z, Z[::-1].copy()), Z),
    "ctc_loss": (lambda z: F.ctc_loss(z.reshape(3, 1, 3), [[1, 2]], [3], [2]), Z),
}


@pytest.mark.parametrize("name", LOSSES)
def test_derivatives_to_order_2(name):
    report = tg.testing.assert_gradients(*LOSSES[name], order=2)
    assert report.largest[0] > 1e-2


@pytest.mark.parametrize("name", LOSSES)
def test_float32_stays_float32(name):
    f, x = LOSSES[name]
    x = tg.Tensor(x, requires_grad=True, dtype=np.float32)
    narrow = {key: value.astype(np.float32) for key, value in {"T": T, "LOGS": LOGS, "Z": Z}.items()}
    before = {key: globals()[key] for key in narrow}
    globals().update(narrow)
    try:
        y = f(x)
    finally:
        globals().update(before)
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad.dtype == np.float32


PAIRS = "mse_loss l1_loss huber_loss smooth_l1_loss sum_of_squares_loss half_sum_of_squares_loss hinge_loss hinge_embedding_loss"


@pytest.mark.parametrize("name", [*PAIRS.split(), "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"])
def test_nothing_is_broadcast(name):
    with pytest.raises(ShapeError) as caught:
        getattr(F, name)(tg.Tensor(np.full((4, 1), 0.5)), np.ones(4))
    assert str(caught.value) == (
        f"{name}: the prediction has shape (4, 1) and the target (4,), which would broadcast to (4, 4) without a word; they must "
        "be equal: pass target.reshape(4, 1)"
    )
    with pytest.raises(ShapeError, match=re.escape("and the target (), which would broadcast to (4,)")):
        getattr(F, name)(tg.Tensor(np.full(4, 0.5)), 1.0)
    with pytest.raises(ShapeError, match=re.escape("and the target (3,); they must be equal: pass targets of the same shape")):
        getattr(F, name)(tg.Tensor(np.full(4, 0.5)), np.ones(3))


def test_lists_and_integers_take_the_dtype_of_the_prediction():
    x = tg.Tensor([0.25, 0.75], dtype=np.float32)
    for name in ("mse_loss", "huber_loss", "hinge_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"):
        for target in ([1, 1], np.array([1, 1]), [1.0, 1.0], tg.Tensor([1, 1])):
            assert getattr(F, name)(x, target).dtype == np.float32


def test_the_half_and_the_plain_sum_of_squares():
    x, t = tg.Tensor([1.0, 2.0, 4.0], requires_grad=True), np.array([1.0, 0.0, 1.0])
    half, plain = F.half_sum_of_squares_loss(x, t), F.sum_of_squares_loss(x, t)
    assert (half.item(), plain.item()) == (6.5, 13.0)
    half.backward()
    assert x.grad.tolist() == [0.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: F.mse_loss(X, T, "avg"), "mse_loss: reduction is mean, sum or none, not 'avg'"),
        (lambda: F.kl_div(X, T, "avg"), "kl_div: reduction is mean, batchmean, sum or none, not 'avg'"),
        (lambda: F.mse_loss(X[:0], T[:0]), "empty: a mean of nothing has no value"),
        (lambda: F.huber_loss(X, T, delta=0.0), "huber_loss: delta is a positive number, got 0.0"),
        (
            lambda: F.binary_cross_entropy(X, T),
            "the predictions are probabilities from 0 to 1, and here they reach from -0.3 to 1.9",
        ),
        (lambda: F.binary_cross_entropy(X, T), "for logits there is binary_cross_entropy_with_logits"),
        (lambda: F.binary_cross_entropy(T, X), "the targets are probabilities from 0 to 1"),
        (lambda: F.hinge_loss(X, [0, 1, 1]), "the target holds 1 and -1, got 0, 1; classes 0 and 1 are 2 * t - 1"),
        (lambda: F.cross_entropy(Z, CLASSES, T[:2]), "weight has one number for each of the 3 classes, got shape (2,)"),
        (lambda: F.cross_entropy(Z, CLASSES, label_smoothing=2), "label_smoothing is a number from 0 to 1, got 2"),
        (lambda: F.nll_loss(Z, [3, 0, 0]), "label 3 at (0,) is outside 0..2"),
        (lambda: F.nll_loss(Z, CLASSES[:, None]), "a column of class numbers becomes a vector with target.reshape(-1)"),
        (lambda: F.nll_loss(Z, CLASSES * 1.0), "class numbers are integers: convert them with target.astype(int)"),
        (lambda: F.nll_loss(Z, [1, 1, 1], ignore_index=1), "every target is ignored or weighs 0: a mean of nothing has no value"),
        (lambda: F.cross_entropy(1.0, 0), "got a single number"),
        (lambda: F.multi_margin_loss(Z, CLASSES, 3), "p is 1 or 2, not 3"),
        (lambda: F.cosine_embedding_loss(Z, Z, SIGNS[:2]), "inputs of shape (N, D) go with a target of shape (N,)"),
        (lambda: F.ctc_loss(Z[:, None], [[1, 0]], [3], [2]), "the labels of sequence 0, [1, 0], are 0..2 and not the blank, 0"),
        (lambda: F.ctc_loss(Z[:, None], [[1, 2]], [4], [2]), "the first are 1 to 3, got [4] and [2]"),
        (lambda: F.ctc_loss(Z[:, None], [[1.0]], [3], [1]), "targets are class numbers, integers, got dtype float64"),
        (lambda: F.ctc_loss(Z[:, None], [[1]], [3], [2]), "targets are (batch, longest) or one vector of all labels"),
        (lambda: F.ctc_loss(Z[:, None], [[1]], [3], [1], blank=3), "blank is one of the 3 classes, got 3"),
    ],
)
def test_messages(call, words):
    with pytest.raises((ShapeError, ArgumentError, LabelError), match=re.escape(words)):
        call()


def test_huge_logits():
    x = tg.Tensor([-1000.0, 1000.0], requires_grad=True)
    y = F.binary_cross_entropy_with_logits(x, np.array([1.0, 1.0]), reduction="sum")
    assert y.item() == 1000.0
    y.backward()
    assert x.grad.tolist() == [-1.0, 0.0]


def test_a_certain_and_wrong_probability_costs_much_and_learns():
    p = tg.Tensor([0.0, 1.0], requires_grad=True)
    y = F.binary_cross_entropy(p, np.array([1.0, 1.0]), reduction="sum")
    assert y.item() == 100.0
    y.backward()
    assert p.grad.data[0] == pytest.approx(-1e12)
    assert p.grad.data[1] == 0


def test_targets_that_require_grad():
    x, t = tg.Tensor(X), tg.Tensor(T, requires_grad=True)
    F.mse_loss(x, t, "sum").backward()
    np.testing.assert_allclose(t.grad.data, 2 * (T - X))
    soft = tg.Tensor(np.full((3, 3), 1 / 3), requires_grad=True)
    F.cross_entropy(tg.Tensor(Z), soft, label_smoothing=0.1).backward()
    assert soft.grad.shape == (3, 3)


def test_ctc_reads_vectors_of_all_labels():
    z = tg.log_softmax(tg.Tensor(np.random.default_rng(0).standard_normal((5, 2, 3))))
    table = F.ctc_loss(z, [[1, 2], [2, 0]], [5, 4], [2, 1], reduction="none")
    vector = F.ctc_loss(z, [1, 2, 2], [5, 4], [2, 1], reduction="none")
    np.testing.assert_array_equal(table.data, vector.data)
    alone = F.ctc_loss(z[:, 0], [1, 2], 5, 2, reduction="none")
    assert alone.item() == pytest.approx(table.data[0])


def test_ctc_is_the_sum_over_all_paths():
    """Of all 3⁴ paths, those that read as 1 2."""
    z = tg.log_softmax(tg.Tensor(np.random.default_rng(1).standard_normal((4, 1, 3))))
    total = 0.0
    for path in np.ndindex(3, 3, 3, 3):
        read = [c for i, c in enumerate(path) if c and (i == 0 or c != path[i - 1])]
        if read == [1, 2]:
            total += np.exp(sum(z.data[t, 0, c] for t, c in enumerate(path)))
    assert F.ctc_loss(z, [[1, 2]], [4], [2], reduction="sum").item() == pytest.approx(-np.log(total), rel=1e-12)


def test_a_loss_is_a_module():
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    assert criterion(tg.Tensor(Z), CLASSES).item() == F.cross_entropy(Z, CLASSES, label_smoothing=0.1).item()
    assert nn.SumOfSquaresLoss()(tg.Tensor(X), T).item() == 2 * nn.HalfSumOfSquaresLoss()(tg.Tensor(X), T).item()
    assert nn.HingeLoss("sum")(tg.Tensor(X), SIGNS).item() == F.hinge_loss(X, SIGNS, "sum").item()
