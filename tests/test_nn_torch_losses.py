"""Losses against PyTorch, where it is installed: the same numbers and gradients to 1e-10, from the same weights."""

# ruff: noqa: B023 - functions made in a loop are called in it

from __future__ import annotations

import numpy as np
import pytest
from against_torch import close, compare, float64, modules, normal, torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import functional as F  # noqa: N812

TF = torch.nn.functional

seeds = st.integers(0, 2**31)
few = settings(max_examples=12, deadline=None)
pytestmark = pytest.mark.usefixtures(float64.__name__)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"])
def test_regression_losses(name, reduction):
    x, t = 2 * normal(0, 4, 3), normal(1, 4, 3)
    more = {"huber_loss": {"delta": 0.7}, "smooth_l1_loss": {"beta": 0.4}}.get(name, {})
    compare(
        lambda x, t: getattr(F, name)(x, t, reduction=reduction, **more),
        lambda x, t: getattr(TF, name)(x, t, reduction=reduction, **more),
        x,
        t,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(5, 4), (4,), (2, 4, 3), (2, 4, 3, 2)])
def test_cross_entropy(shape, reduction):
    rng = np.random.default_rng(0)
    rows = (shape[0], *shape[2:]) if len(shape) > 1 else ()
    z, t, w = 3 * rng.standard_normal(shape), rng.integers(0, 4, rows), rng.random(4) + 0.5
    soft = rng.random(shape)
    soft /= soft.sum(axis=1 if len(shape) > 1 else 0, keepdims=True)
    for smoothing in (0.0, 0.2):
        for weight in (None, w):
            theirs = None if weight is None else torch.tensor(weight)
            for target in (t, soft):
                for ignore in (-100, 2):
                    if not np.ndim(target) and target == ignore:
                        continue
                    if target is soft and ignore == 2:
                        continue
                    options = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignore}
                    compare(
                        lambda z: F.cross_entropy(z, target, weight, **options),
                        lambda z: TF.cross_entropy(z, torch.tensor(target), theirs, **options),
                        z,
                    )
    for weight in (None, w):
        theirs = None if weight is None else torch.tensor(weight)
        compare(
            lambda z: F.nll_loss(z, t, weight, reduction=reduction, ignore_index=7),
            lambda z: TF.nll_loss(z, torch.tensor(t), theirs, reduction=reduction, ignore_index=7),
            z,
        )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_probability_losses(reduction):
    rng = np.random.default_rng(0)
    x, t, w = 4 * rng.standard_normal((4, 3)), rng.random((4, 3)), rng.random((4, 3))
    p = 1 / (1 + np.exp(-x))
    q = rng.random(3)
    for weight in (None, w):
        theirs = None if weight is None else torch.tensor(weight)
        compare(
            lambda p, t: F.binary_cross_entropy(p, t, weight, reduction=reduction),
            lambda p, t: TF.binary_cross_entropy(p, t, theirs, reduction=reduction),
            p,
            t,
        )
        compare(
            lambda x, t: F.binary_cross_entropy_with_logits(x, t, weight, reduction, q),
            lambda x, t: TF.binary_cross_entropy_with_logits(
                x,
                t,
                theirs,
                reduction=reduction,
                pos_weight=torch.tensor(q),
            ),
            x,
            t,
        )
    logs = np.log(t / t.sum(axis=1, keepdims=True))
    compare(lambda x, t: F.kl_div(x, t, reduction), lambda x, t: TF.kl_div(x, t, reduction=reduction), logs, p)
    compare(
        lambda x, t: F.kl_div(x, t, "batchmean", log_target=True),
        lambda x, t: TF.kl_div(x, t, reduction="batchmean", log_target=True),
        logs,
        np.log(p),
    )
    certain = np.array([0.0, 1.0, 0.0, 1.0])
    compare(
        lambda p: F.binary_cross_entropy(p, np.array([1.0, 0.0, 0.0, 1.0]), reduction=reduction),
        lambda p: TF.binary_cross_entropy(p, torch.tensor([1.0, 0.0, 0.0, 1.0]), reduction=reduction),
        certain,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_margin_losses(reduction):
    rng = np.random.default_rng(0)
    x, y, signs = rng.standard_normal((6, 4)), rng.standard_normal((6, 4)), rng.choice([-1, 1], 6)
    options = {"margin": 0.3, "reduction": reduction}
    compare(
        lambda x: F.hinge_embedding_loss(x[:, 0], signs, **options),
        lambda x: TF.hinge_embedding_loss(x[:, 0], torch.tensor(signs), **options),
        x,
    )
    compare(
        lambda x, y: F.cosine_embedding_loss(x, y, signs, **options),
        lambda x, y: TF.cosine_embedding_loss(x, y, torch.tensor(signs), **options),
        x,
        y,
    )
    compare(F.cosine_similarity, TF.cosine_similarity, x, y)
    t, w = rng.integers(0, 4, 6), rng.random(4)
    for p in (1, 2):
        compare(
            lambda x: F.multi_margin_loss(x, t, p, 0.7, w, reduction=reduction),
            lambda x: TF.multi_margin_loss(x, torch.tensor(t), p, 0.7, torch.tensor(w), reduction=reduction),
            x,
        )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_ctc(reduction):
    @few
    @given(st.data(), seeds)
    def check(data, seed):
        rng = np.random.default_rng(seed)
        steps, batch, classes = data.draw(st.integers(4, 9)), data.draw(st.integers(1, 3)), data.draw(st.integers(2, 4))
        blank = data.draw(st.integers(0, classes - 1))
        lengths = rng.integers(0, 3, batch)
        allowed = [c for c in range(classes) if c != blank]
        targets = rng.choice(allowed, (batch, max(lengths.max(), 1)))
        steps_each = rng.integers(4, steps + 1, batch)
        z = 2 * rng.standard_normal((steps, batch, classes))
        options = {"blank": blank, "reduction": reduction}
        tensors = [torch.tensor(a) for a in (targets, steps_each, lengths)]
        # Through log_softmax: PyTorch's gradient with respect to log_probs is that of the logits.
        compare(
            lambda z: F.ctc_loss(tg.log_softmax(z), targets, steps_each, lengths, **options),
            lambda z: TF.ctc_loss(torch.log_softmax(z, -1), *tensors, **options),
            z,
            seed=seed,
        )

    check()


def test_ctc_of_long_sequences():
    """Sums over 10**70 paths, forwards and backwards."""
    rng = np.random.default_rng(0)
    steps, batch, classes, longest = 300, 4, 30, 60
    lengths = rng.integers(longest // 2, longest + 1, batch)
    targets = rng.integers(1, classes, (batch, longest))
    tensors = [torch.tensor(a) for a in (targets, np.full(batch, steps), lengths)]
    compare(
        lambda z: F.ctc_loss(tg.log_softmax(z), targets, np.full(batch, steps), lengths),
        lambda z: TF.ctc_loss(torch.log_softmax(z, -1), *tensors),
        2 * rng.standard_normal((steps, batch, classes)),
    )


def test_ctc_that_is_impossible():
    z, targets = normal(0, 2, 2, 3), np.array([[1, 1], [1, 2]])  # 1 1 takes three steps
    for zero in (False, True):
        ours = F.ctc_loss(tg.log_softmax(tg.Tensor(z)), targets, [2, 2], [2, 2], reduction="none", zero_infinity=zero)
        lengths = torch.tensor([2, 2])
        theirs = TF.ctc_loss(
            torch.log_softmax(torch.tensor(z), -1), torch.tensor(targets), lengths, lengths, reduction="none", zero_infinity=zero
        )
        close(ours, theirs, "impossible")


@pytest.mark.parametrize(
    ("name", "options", "arrays"),
    [
        ("MSELoss", {"reduction": "sum"}, (normal(0, 3), normal(1, 3))),
        ("L1Loss", {}, (normal(0, 3), normal(1, 3))),
        ("HuberLoss", {"delta": 0.5}, (normal(0, 3), normal(1, 3))),
        ("SmoothL1Loss", {"beta": 0.5}, (normal(0, 3), normal(1, 3))),
        ("CrossEntropyLoss", {"label_smoothing": 0.1, "ignore_index": 1}, (normal(0, 3, 4), np.array([0, 1, 3]))),
        ("NLLLoss", {"ignore_index": 1}, (normal(0, 3, 4), np.array([0, 1, 3]))),
        ("BCELoss", {}, (np.array([0.2, 0.7]), np.array([0.0, 1.0]))),
        ("BCEWithLogitsLoss", {}, (normal(0, 3), np.array([0.0, 1.0, 0.5]))),
        ("KLDivLoss", {"reduction": "batchmean"}, (normal(0, 3, 2), np.full((3, 2), 0.5))),
        ("HingeEmbeddingLoss", {"margin": 0.5}, (normal(0, 3), np.array([1, -1, 1]))),
        ("MultiMarginLoss", {"p": 2, "margin": 0.5}, (normal(0, 3, 4), np.array([0, 1, 3]))),
        ("CosineEmbeddingLoss", {"margin": 0.1}, (normal(0, 3, 4), normal(1, 3, 4), np.array([1, -1, 1]))),
    ],
)
def test_losses_as_modules(name, options, arrays):
    modules(lambda: getattr(nn, name)(**options), lambda: getattr(torch.nn, name)(**options), *arrays)


def test_a_weight_is_a_buffer():
    weight = np.array([1.0, 2.0, 0.5])
    ours, theirs = nn.CrossEntropyLoss(weight), torch.nn.CrossEntropyLoss(torch.tensor(weight))
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["weight"]
    compare(lambda z: ours(z, np.array([0, 2])), lambda z: theirs(z, torch.tensor([0, 2])), normal(0, 2, 3))
