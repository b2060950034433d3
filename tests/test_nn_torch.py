"""Layers and models against PyTorch, where it is installed: the same numbers and gradients to 1e-10, from the same weights."""

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
