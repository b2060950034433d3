"""Layers and losses against PyTorch, where it is installed: the same numbers and gradients to 1e-10, from the same weights."""

# ruff: noqa: B023 - functions made in a loop are called in it

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import functional as F  # noqa: N812

torch = pytest.importorskip("torch", reason="PyTorch is not installed: its numbers are not compared with")
TF = torch.nn.functional

seeds = st.integers(0, 2**31)
few = settings(max_examples=12, deadline=None)


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own
        yield
    torch.set_default_dtype(torch.float32)


def flat(y) -> list:
    return [y] if not isinstance(y, tuple) else [part for item in y for part in flat(item)]


def close(ours, theirs, what: str) -> None:
    ours = ours.data if isinstance(ours, tg.Tensor) else ours
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10, atol=1e-10, err_msg=what)


def compare(ours, theirs, *arrays, ours_module=None, theirs_module=None, seed=0) -> None:
    """Both functions of the same arrays: results, and the gradients of floating arrays and of parameters."""
    rng = np.random.default_rng(seed)
    real = [isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in arrays]
    mine = [tg.Tensor(a, requires_grad=True) if r else a for a, r in zip(arrays, real, strict=True)]
    other = [torch.tensor(a, requires_grad=r) if isinstance(a, np.ndarray) else a for a, r in zip(arrays, real, strict=True)]
    ys, zs = flat(ours(*mine)), flat(theirs(*other))
    assert len(ys) == len(zs)
    loss, total = 0, 0
    for y, z in zip(ys, zs, strict=True):
        close(y, z, "result")
        assert y.shape == tuple(z.shape)
        if isinstance(y, tg.Tensor) and y.requires_grad:
            g = rng.standard_normal(y.shape)
            loss, total = loss + (y * g).sum(), total + (z * torch.tensor(g)).sum()
    loss.backward()
    total.backward()
    for position, (x, z) in enumerate(zip(mine, other, strict=True)):
        if isinstance(x, tg.Tensor):
            close(x.grad if x.grad is not None else 0 * x.data, z.grad, f"gradient of operand {position}")
    if ours_module is not None:
        named = dict(theirs_module.named_parameters())
        found = dict(ours_module.named_parameters())
        assert list(named) == list(found)
        for name, parameter in found.items():
            close(parameter.grad, named[name].grad, f"gradient of {name}")


def modules(make, theirs_make, *arrays, call=(), seed=0, **options) -> None:
    """Two modules: ours takes over the weights of PyTorch's, and then both compute."""
    theirs, ours = theirs_make(), make()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        for parameter in theirs.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    assert ours.load_state_dict(state) == ([], [])
    assert list(ours.state_dict()) == list(state)
    run = lambda module: lambda *x: module(*x, *call, **options)
    compare(run(ours), run(theirs), *arrays, ours_module=ours, theirs_module=theirs, seed=seed)
    for name, value in theirs.state_dict().items():  # running statistics moved alike
        close(ours.state_dict()[name], value, name)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# ----------------------------------------------------------------------------------------------------- simple layers


def test_linear_and_embedding():
    modules(lambda: nn.Linear(4, 3), lambda: torch.nn.Linear(4, 3), normal(0, 2, 5, 4))
    modules(lambda: nn.Linear(4, 3, False), lambda: torch.nn.Linear(4, 3, False), normal(0, 4))
    numbers = np.array([[1, 0, 2], [2, 2, 5]])
    modules(lambda: nn.Embedding(6, 3, 2), lambda: torch.nn.Embedding(6, 3, 2), numbers)


ACTIVATIONS = "Sigmoid ReLU Tanh SiLU Mish ELU CELU SELU LeakyReLU ReLU6 Hardtanh Hardswish Softplus Softsign LogSigmoid"


@pytest.mark.parametrize("name", ACTIVATIONS.split())
def test_activations(name):
    modules(getattr(nn, name), getattr(torch.nn, name), 3 * normal(0, 3, 5))


def test_hardsigmoid():
    """PyTorch's derivative is 1/6 in single precision, also of doubles."""
    x = 3 * normal(0, 3, 5)
    ours, theirs = tg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = nn.Hardsigmoid()(ours), torch.nn.Hardsigmoid()(theirs)
    y.sum().backward(), z.sum().backward()
    close(y, z, "result")
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-7)


def test_activations_with_options():
    modules(lambda: nn.GELU("tanh"), lambda: torch.nn.GELU("tanh"), normal(0, 3, 5))
    pytest.importorskip("scipy")
    modules(nn.GELU, torch.nn.GELU, normal(0, 3, 5))
    modules(lambda: nn.Softmax(1), lambda: torch.nn.Softmax(1), normal(0, 3, 5, 2))
    modules(lambda: nn.LogSoftmax(0), lambda: torch.nn.LogSoftmax(0), normal(0, 3, 5, 2))
    modules(lambda: nn.GLU(1), lambda: torch.nn.GLU(1), normal(0, 3, 4, 2))
    modules(lambda: nn.PReLU(4), lambda: torch.nn.PReLU(4), normal(0, 3, 4, 2))
    modules(nn.PReLU, torch.nn.PReLU, normal(0, 3, 4))
    modules(lambda: nn.Flatten(1, 2), lambda: torch.nn.Flatten(1, 2), normal(0, 3, 4, 2, 2))


# ------------------------------------------------------------------------------------------------------- convolution


@st.composite
def convolutions(draw, axes):
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    numbers = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))
    kernel, dilation = numbers(1, 3), numbers(1, 2)
    padding = numbers(0, 2)
    lengths = tuple(d * (k - 1) + 1 + draw(st.integers(0, 4)) for k, d in zip(kernel, dilation, strict=True))
    channels, outputs = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    options = {"stride": numbers(1, 3), "padding": padding, "dilation": dilation, "groups": groups, "bias": draw(st.booleans())}
    return draw(st.integers(1, 3)), channels, outputs, kernel, lengths, options, draw(seeds)


@pytest.mark.parametrize("axes", [1, 2])
def test_convolution(axes):
    name = f"Conv{axes}d"

    @few
    @given(convolutions(axes))
    def check(drawn):
        batch, channels, outputs, kernel, lengths, options, seed = drawn
        make = lambda lib: lambda: getattr(lib, name)(channels, outputs, kernel, **options)
        modules(make(nn), make(torch.nn), normal(seed, batch, channels, *lengths), seed=seed)

    check()
    same = lambda lib: lambda: getattr(lib, name)(2, 4, 4, padding="same", dilation=3, groups=2)
    modules(same(nn), same(torch.nn), normal(0, 2, 2, *[9] * axes))
    modules(same(nn), same(torch.nn), normal(0, 2, *[9] * axes))


@pytest.mark.parametrize("axes", [1, 2])
def test_transposed_convolution(axes):
    name = f"ConvTranspose{axes}d"

    @few
    @given(convolutions(axes), st.data())
    def check(drawn, data):
        batch, channels, outputs, kernel, lengths, options, seed = drawn
        largest = [max(s, d) - 1 for s, d in zip(options["stride"], options["dilation"], strict=True)]
        extra = tuple(data.draw(st.integers(0, n)) for n in largest)
        shape = zip(lengths, options["stride"], options["padding"], options["dilation"], kernel, extra, strict=True)
        if min((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, s, p, d, k, e in shape) < 1:
            return
        make = lambda lib: lambda: getattr(lib, name)(channels, outputs, kernel, output_padding=extra, **options)
        modules(make(nn), make(torch.nn), normal(seed, batch, channels, *lengths), seed=seed)

    check()


@pytest.mark.parametrize("axes", [1, 2])
def test_pooling(axes):
    @few
    @given(st.data(), seeds)
    def check(data, seed):
        numbers = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(axes))
        kernel, dilation, ceil = numbers(1, 3), numbers(1, 2), data.draw(st.booleans())
        padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
        lengths = tuple(d * (k - 1) + 1 + data.draw(st.integers(0, 4)) for k, d in zip(kernel, dilation, strict=True))
        options = {"stride": data.draw(st.sampled_from([None, numbers(1, 3)])), "padding": padding, "ceil_mode": ceil}
        x = normal(seed, 2, 3, *lengths)
        for indices in (False, True):
            make = lambda lib: (
                lambda: getattr(lib, f"MaxPool{axes}d")(
                    kernel,
                    dilation=dilation,
                    return_indices=indices,
                    **options,
                )
            )
            modules(make(nn), make(torch.nn), x)
        count = data.draw(st.booleans())
        means = lambda lib: lambda: getattr(lib, f"AvgPool{axes}d")(kernel, count_include_pad=count, **options)
        modules(means(nn), means(torch.nn), x)
        sizes = numbers(1, 5)
        adaptive = lambda lib: lambda: getattr(lib, f"AdaptiveAvgPool{axes}d")(sizes)
        modules(adaptive(nn), adaptive(torch.nn), x)

    check()


# ----------------------------------------------------------------------------------------------------- normalization


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize(("name", "shape"), [("BatchNorm1d", (5, 3)), ("BatchNorm1d", (5, 3, 4)), ("BatchNorm2d", (4, 3, 2, 2))])
def test_batch_norm(name, shape, momentum):
    for affine in (True, False):
        make = lambda lib: lambda: getattr(lib, name)(3, momentum=momentum, affine=affine)
        modules(make(nn), make(torch.nn), 2 + 3 * normal(0, *shape))
        evaluating = lambda lib: lambda: getattr(lib, name)(3, affine=affine).eval()
        modules(evaluating(nn), evaluating(torch.nn), 2 + 3 * normal(0, *shape))


def test_batch_norm_after_several_steps():
    ours, theirs = nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    for seed in range(3):
        x = normal(seed, 6, 3) * (1 + seed)
        ours(x), theirs(torch.tensor(x))
    for name, value in theirs.state_dict().items():
        close(ours.state_dict()[name], value, name)
    x = normal(7, 4, 3)
    close(ours.eval()(x), theirs.eval()(torch.tensor(x)), "evaluation")


def test_other_norms():
    x = 1 + 2 * normal(0, 3, 4, 5)
    for shape in (5, (4, 5)):
        for lib in ({}, {"elementwise_affine": False}, {"bias": False}):
            modules(lambda: nn.LayerNorm(shape, **lib), lambda: torch.nn.LayerNorm(shape, **lib), x)
        modules(lambda: nn.RMSNorm(shape), lambda: torch.nn.RMSNorm(shape), x)
    modules(lambda: nn.GroupNorm(2, 4), lambda: torch.nn.GroupNorm(2, 4), x)
    modules(lambda: nn.GroupNorm(4, 4, affine=False), lambda: torch.nn.GroupNorm(4, 4, affine=False), x)


# --------------------------------------------------------------------------------------------------------- recurrent


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_recurrent(name):
    @few
    @given(st.data(), seeds)
    def check(data, seed):
        options = {
            "num_layers": data.draw(st.integers(1, 2)),
            "bias": data.draw(st.booleans()),
            "batch_first": data.draw(st.booleans()),
            "bidirectional": data.draw(st.booleans()),
        }
        options |= {"nonlinearity": data.draw(st.sampled_from(["tanh", "relu"]))} if name == "RNN" else {}
        batch, steps = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((batch, steps, 3) if options["batch_first"] else (steps, batch, 3))
        make = lambda lib: lambda: getattr(lib, name)(3, 4, **options)
        modules(make(nn), make(torch.nn), x, seed=seed)
        if data.draw(st.booleans()):
            state = rng.standard_normal((options["num_layers"] * (1 + options["bidirectional"]), batch, 4))
            if name == "LSTM":
                pair = rng.standard_normal(state.shape)
                theirs = (torch.tensor(state), torch.tensor(pair))
                a, b = make(nn)(), make(torch.nn)()
                a.load_state_dict({k: v.numpy() for k, v in b.state_dict().items()})
                compare(lambda x: a(x, (state, pair)), lambda x: b(x, theirs), x, seed=seed)
            else:
                modules(make(nn), make(torch.nn), x, state, seed=seed)

    check()
    one = lambda lib: lambda: getattr(lib, name)(3, 4)
    modules(one(nn), one(torch.nn), normal(0, 5, 3))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_packed_sequences(name, batch_first):
    lengths = np.array([2, 4, 1])
    make = lambda lib: getattr(lib, name)(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first)
    ours, theirs = make(nn), make(torch.nn)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = normal(0, 3, 4, 3) if batch_first else normal(0, 4, 3, 3)

    def through(module, rnn, x, lengths):
        packed = rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
        y, state = module(packed)
        return rnn.pad_packed_sequence(y, batch_first)[0], state

    compare(
        lambda x: through(ours, nn.utils.rnn, x, lengths),
        lambda x: through(theirs, torch.nn.utils.rnn, x, torch.tensor(lengths)),
        x,
        ours_module=ours,
        theirs_module=theirs,
    )


# --------------------------------------------------------------------------------------------------------- attention


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_attention(batch_first, bias):
    make = lambda lib, **more: lambda: lib.MultiheadAttention(8, 2, bias=bias, batch_first=batch_first, **more)
    x, memory = normal(0, 5, 3, 8), normal(1, 5, 3, 8)
    attend = lambda lib, **more: (lambda module: module)(make(lib, **more))
    modules(attend(nn), attend(torch.nn), x, memory, memory * 2)
    modules(attend(nn, kdim=3, vdim=4), attend(torch.nn, kdim=3, vdim=4), x, normal(1, 5, 3, 3), normal(2, 5, 3, 4))

    a, b = make(nn)(), make(torch.nn)()
    a.load_state_dict({k: v.numpy() for k, v in b.state_dict().items()})
    steps, batch = (3, 5) if batch_first else (5, 3)
    blind = np.triu(np.ones((steps, steps), bool), 1)
    padding = np.arange(steps) >= np.array([steps, steps - 1] + [steps] * (batch - 2))[:, None]
    weights = normal(3, batch * 2, steps, steps)
    for ours, theirs in [
        ({"attn_mask": blind}, {"attn_mask": torch.tensor(blind)}),
        ({"key_padding_mask": padding}, {"key_padding_mask": torch.tensor(padding)}),
        ({"attn_mask": weights}, {"attn_mask": torch.tensor(weights)}),
        ({"attn_mask": blind, "average_attn_weights": False}, {"attn_mask": torch.tensor(blind), "average_attn_weights": False}),
    ]:
        a.zero_grad(), b.zero_grad()
        compare(
            lambda x: a(x, x, x, **ours),
            lambda x: b(x, x, x, **theirs),
            x,
            ours_module=a,
            theirs_module=b,
        )


def test_scaled_dot_product_attention():
    q, k, v = normal(0, 2, 3, 4), normal(1, 2, 5, 4), normal(2, 2, 5, 6)
    seen = normal(3, 3, 5) > -1
    compare(F.scaled_dot_product_attention, TF.scaled_dot_product_attention, q, k, v)
    compare(
        lambda *x: F.scaled_dot_product_attention(*x, attn_mask=seen, scale=0.3),
        lambda *x: TF.scaled_dot_product_attention(*x, attn_mask=torch.tensor(seen), scale=0.3),
        q,
        k,
        v,
    )
    compare(
        lambda q, k: F.scaled_dot_product_attention(q, k, k, is_causal=True),
        lambda q, k: TF.scaled_dot_product_attention(q, k, k, is_causal=True),
        k,
        v[..., :4].copy(),
    )


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_transformer_encoder(batch_first, norm_first):
    def make(lib):
        layer = lib.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=batch_first, norm_first=norm_first)
        return lib.TransformerEncoder(layer, 2, lib.LayerNorm(8))

    modules(lambda: make(nn), lambda: make(torch.nn), normal(0, 4, 3, 8))


# ------------------------------------------------------------------------------------------------------------ losses


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


# -------------------------------------------------------------------------------------------------------- whole models


def test_a_cnn_reads_like_pytorchs_and_takes_its_weights():
    def make(nn):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, kernel_size=3, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.0),
            nn.Linear(24, 10),
        )

    modules(lambda: make(nn), lambda: make(torch.nn), normal(0, 3, 1, 12, 12))


def test_weights_go_back_to_pytorch():
    ours = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in ours.state_dict().items()})
    x = normal(0, 5, 4)
    close(ours(x), theirs(torch.tensor(x)), "result")
