"""Every layer: derivatives to the second order, dtypes, modes, randomness, and what is said of inputs that do not fit."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import ArgumentError, DTypeError, LabelError, ShapeError
from tinygrad_edu.nn import functional as F  # noqa: N812
from tinygrad_edu.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def flat(y):
    parts = [y] if isinstance(y, tg.Tensor) else [flat(part) for part in y if part is not None]
    return parts[0] if len(parts) == 1 else tg.concatenate([part.reshape(-1) for part in parts])


def as_function(module: nn.Module):
    """The module as a function of its inputs and of its parameters, and the numbers of these."""
    places = []
    for name, parameter in module.named_parameters():
        path, _, attribute = name.rpartition(".")
        owner = dict(module.named_modules())[path]
        places.append((owner, attribute, parameter.numpy()))

    def f(count, *tensors):
        for (owner, attribute, _), tensor in zip(places, tensors[count:], strict=True):
            object.__setattr__(owner, attribute, tensor)
        return flat(module(*tensors[:count]))

    return f, [array for _, _, array in places]


def assert_right_to_order_2(module: nn.Module, *inputs: np.ndarray) -> None:
    f, parameters = as_function(module)
    module.eval() if any(isinstance(m, nn.Dropout) for m in module.modules()) else module.train()
    report = tg.testing.assert_gradients(lambda *tensors: f(len(inputs), *tensors), *inputs, *parameters, order=2)
    assert max(report.largest) > 1e-3  # a check of zeros proves nothing


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed).uniform(-1, 1, shape)


LAYERS = {
    "Linear": (lambda **o: nn.Linear(3, 2, **o), (2, 3)),
    "Linear, no bias": (lambda **o: nn.Linear(3, 2, False, **o), (2, 2, 3)),
    "Affine": (lambda **o: nn.Affine(3, 2, **o), (2, 3)),
    "Conv1d": (lambda **o: nn.Conv1d(2, 2, 2, padding=1, stride=2, **o), (1, 2, 3)),
    "Conv2d": (lambda **o: nn.Conv2d(2, 2, (1, 2), groups=2, **o), (1, 2, 2, 3)),
    "ConvTranspose1d": (lambda **o: nn.ConvTranspose1d(2, 1, 2, 2, **o), (1, 2, 2)),
    "ConvTranspose2d": (lambda **o: nn.ConvTranspose2d(1, 2, 2, padding=1, **o), (1, 1, 2, 2)),
    "MaxPool1d": (lambda **o: nn.MaxPool1d(2, 1), (1, 2, 4)),
    "MaxPool2d": (lambda **o: nn.MaxPool2d(2, padding=1), (1, 1, 3, 3)),
    "AvgPool1d": (lambda **o: nn.AvgPool1d(2, 1), (1, 2, 4)),
    "AvgPool2d": (lambda **o: nn.AvgPool2d(2, padding=1), (1, 1, 3, 3)),
    "AdaptiveAvgPool1d": (lambda **o: nn.AdaptiveAvgPool1d(2), (1, 2, 3)),
    "AdaptiveAvgPool2d": (lambda **o: nn.AdaptiveAvgPool2d((2, 1)), (1, 1, 3, 3)),
    "BatchNorm1d": (lambda **o: nn.BatchNorm1d(2, eps=0.1, **o), (3, 2)),
    "BatchNorm2d": (lambda **o: nn.BatchNorm2d(2, eps=0.1, **o), (2, 2, 1, 2)),
    "LayerNorm": (lambda **o: nn.LayerNorm(3, eps=0.1, **o), (2, 3)),
    "GroupNorm": (lambda **o: nn.GroupNorm(2, 4, eps=0.1, **o), (1, 4, 2)),
    "RMSNorm": (lambda **o: nn.RMSNorm(3, eps=0.1, **o), (2, 3)),
    "RNN": (lambda **o: nn.RNN(2, 2, **o), (2, 1, 2)),
    "LSTM": (lambda **o: nn.LSTM(1, 2, **o), (2, 1, 1)),
    "GRU": (lambda **o: nn.GRU(1, 2, bidirectional=True, **o), (2, 1, 1)),
    "PReLU": (lambda **o: nn.PReLU(2, **o), (2, 2)),
    "Flatten": (lambda **o: nn.Flatten(), (2, 1, 2)),
    "TransformerEncoderLayer": (lambda **o: nn.TransformerEncoderLayer(2, 1, 2, 0.0, F.tanh, layer_norm_eps=0.1, **o), (2, 1, 2)),
}
HAVE_NUMBERS = "Linear Affine Conv Batch Layer Group RMS RNN LSTM GRU PReLU Transformer"


def made(name: str, **options) -> nn.Module:
    make = LAYERS[name][0]
    drawn = any(word in name for word in HAVE_NUMBERS.split())
    if drawn and not any(word in name for word in ("Norm", "PReLU")):
        options["rng"] = rng(1)
    return make(**options) if drawn else make()


@pytest.mark.parametrize("name", LAYERS)
def test_derivatives_to_order_2(name):
    assert_right_to_order_2(made(name), numbers(*LAYERS[name][1]))


def test_derivatives_of_attention():
    module = nn.MultiheadAttention(2, 2, kdim=1, vdim=1, rng=rng())
    assert_right_to_order_2(module, numbers(2, 1, 2), numbers(2, 1, 1, seed=1), numbers(2, 1, 1, seed=2))


def test_derivatives_of_an_embedding():
    table = nn.Embedding(3, 2, padding_idx=0, rng=rng())
    f, parameters = as_function(table)
    rows = np.array([1, 1, 2])
    tg.testing.assert_gradients(lambda w: f(1, rows, w) ** 3, *parameters, order=2)
    table = nn.Embedding(3, 2, padding_idx=0, rng=rng())
    table(np.array([0, 2, 2])).sum().backward()
    assert table.weight.grad.tolist() == [[0.0, 0.0], [0.0, 0.0], [2.0, 2.0]]
    assert table.weight.data[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", LAYERS)
def test_float32_stays_float32(name):
    options = {"dtype": np.float32} if any(word in name for word in HAVE_NUMBERS.split()) else {}
    module = made(name, **options)
    x = tg.Tensor(numbers(*LAYERS[name][1]), requires_grad=True, dtype=np.float32)
    y = flat(module(x))
    assert y.dtype == np.float32
    (y * y).sum().backward()
    assert x.grad.dtype == np.float32
    assert all(p.dtype == p.grad.dtype == np.float32 for p in module.parameters())
    assert all(b.dtype in (np.float32, np.int64) for b in module.buffers())
    evaluated = flat(module.eval()(x))
    assert evaluated.dtype == np.float32


def test_packed_sequences_to_order_2():
    for make in (nn.RNN, nn.GRU, nn.LSTM):
        module = make(1, 1, bidirectional=True, rng=rng())
        _, parameters = as_function(module)
        names = [name for name, _ in module.named_parameters()]

        def run(x, *weights, module=module, names=names):
            for name, weight in zip(names, weights, strict=True):
                object.__setattr__(module, name, weight)
            y, state = module(pack_padded_sequence(x, [2, 1]))
            return flat((pad_packed_sequence(y)[0], state))

        tg.testing.assert_gradients(run, numbers(2, 2, 1), *parameters, order=2)


def test_what_stands_behind_the_end_of_a_sequence_has_no_influence():
    for make in (nn.RNN, nn.GRU, nn.LSTM):
        module = make(2, 3, num_layers=2, bidirectional=True, rng=rng())
        x = numbers(4, 2, 2)
        alone, h_alone = module(x[:2, 1:])
        spoilt = x.copy()
        spoilt[2:, 1] = np.nan
        t = tg.Tensor(spoilt, requires_grad=True)
        y, h = module(pack_padded_sequence(t, [4, 2]))
        padded, lengths = pad_packed_sequence(y)
        np.testing.assert_allclose(padded.data[:2, 1:], alone.data, rtol=1e-12)
        assert (padded.data[2:, 1] == 0).all()
        for part, expected in zip(
            h if isinstance(h, tuple) else (h,), h_alone if isinstance(h, tuple) else (h_alone,), strict=True
        ):
            np.testing.assert_allclose(part.data[:, 1:], expected.data, rtol=1e-12)
        padded.sum().backward()
        assert np.isfinite(t.grad.data).all()
        assert (t.grad.data[2:, 1] == 0).all()
        assert lengths.tolist() == [4, 2]


def test_padding_of_sequences():
    parts = [tg.Tensor([[1.0], [2.0]], requires_grad=True), tg.Tensor([[3.0]])]
    padded = pad_sequence(parts, padding_value=-1.0)
    assert padded[..., 0].tolist() == [[1.0, 3.0], [2.0, -1.0]]
    y, _ = pad_packed_sequence(pack_padded_sequence(padded, [2, 1]), batch_first=True, padding_value=7.0, total_length=3)
    assert y[..., 0].tolist() == [[1.0, 2.0, 7.0], [3.0, 7.0, 7.0]]
    y.sum().backward()
    assert parts[0].grad.tolist() == [[1.0], [1.0]]
    with pytest.raises(
        ArgumentError, match=re.escape("lengths [1, 2] do not fall: sort the sequences, or pass enforce_sorted=False")
    ):
        pack_padded_sequence(padded, [1, 2])
    with pytest.raises(ArgumentError, match="lengths are integers from 1 to 2, one for each of the 2 sequences"):
        pack_padded_sequence(padded, [3, 1])
    with pytest.raises(ArgumentError, match="total_length=1 is less than the longest sequence, 2"):
        pad_packed_sequence(pack_padded_sequence(padded, [2, 1]), total_length=1)
    with pytest.raises(ArgumentError, match="there are no sequences"):
        pad_sequence([])


# ---------------------------------------------------------------------------------------------------- modes and randomness


def test_dropout():
    layer = nn.Dropout(0.25, rng=rng())
    x = tg.Tensor(np.ones(4000), requires_grad=True)
    y = layer(x)
    kept = y.data != 0
    assert 0.72 < kept.mean() < 0.78
    assert set(np.unique(y.data)) == {0.0, 4 / 3}
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, y.data)
    assert not np.array_equal(layer(x).data, y.data)
    assert layer.eval()(x) is x
    np.testing.assert_array_equal(nn.Dropout(0.25, rng=rng())(x).data, y.data)
    assert not nn.Dropout(1.0)(x).data.any()
    assert F.dropout(x, 0.0) is x
    with pytest.raises(ArgumentError, match="Dropout: p is a probability from 0 to 1, got 2"):
        nn.Dropout(2)


def test_dropout_inside_of_other_layers_only_in_training():
    x = numbers(5, 2, 4)
    for module in (
        nn.LSTM(4, 3, num_layers=2, dropout=0.5, rng=rng()),
        nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5, rng=rng()),
    ):
        once, again = flat(module(x)).data, flat(module(x)).data
        assert not np.array_equal(once, again)
        module.eval()
        np.testing.assert_array_equal(flat(module(x)).data, flat(module(x)).data)
    deep = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5, rng=rng()), 2)
    one, other = [layer.dropout(np.ones(100)) for layer in deep.layers]
    assert not np.array_equal(one, other)
    attention = nn.MultiheadAttention(4, 2, dropout=0.5, rng=rng())
    assert not np.array_equal(attention(x, x, x)[0].data, attention(x, x, x)[0].data)


@pytest.mark.parametrize("name", [n for n in LAYERS if not any(w in n for w in ("Pool", "Flatten", "Norm", "PReLU"))])
def test_the_same_generator_makes_the_same_layer(name):
    one, other = made(name), made(name)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    with pytest.raises(DTypeError, match=r"rng is a numpy Generator, got int: pass rng=np.random.default_rng\(seed\)"):
        LAYERS[name][0](rng=3)


def test_starts_are_pytorchs():
    for layer, bound in (
        (nn.Conv2d(4, 60, 3, rng=rng()), 1 / 6),
        (nn.ConvTranspose2d(60, 4, 3, rng=rng()), 1 / 6),
        (nn.GRU(16, 100, rng=rng()), 0.1),
    ):
        for parameter in layer.parameters():
            assert np.abs(parameter.data).max() <= bound
        assert np.abs(next(layer.parameters()).data).max() > 0.98 * bound


# ---------------------------------------------------------------------------------------------------------- initialisers


def test_initialisers_fill_in_place():
    w = nn.Parameter(np.zeros((40, 30, 2), np.float32))
    for fill, spread in (
        (lambda: nn.init.uniform_(w, -3.0, 3.0, rng=rng()), 3 / 3**0.5),
        (lambda: nn.init.normal_(w, 0.0, 2.0, rng=rng()), 2.0),
        (lambda: nn.init.trunc_normal_(w, 0.0, 1.0, -1.0, 1.0, rng=rng()), 0.54),
        (lambda: nn.init.xavier_uniform_(w, rng=rng()), (2 / 140) ** 0.5),
        (lambda: nn.init.xavier_normal_(w, 2.0, rng=rng()), 2 * (2 / 140) ** 0.5),
        (lambda: nn.init.kaiming_uniform_(w, nonlinearity="relu", rng=rng()), (2 / 60) ** 0.5),
        (lambda: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu", rng=rng()), (2 / 80) ** 0.5),
        (lambda: nn.init.constant_(w, 4.0), 0.0),
    ):
        assert fill() is w
        assert w.dtype == np.float32
        assert w.data.std() == pytest.approx(spread, rel=0.05, abs=1e-6)
        assert w.requires_grad
    assert np.abs(nn.init.trunc_normal_(w, a=-1.0, b=1.0, rng=rng()).data).max() <= 1
    q = nn.init.orthogonal_(nn.Parameter(np.zeros((3, 5))), 2.0, rng=rng()).data
    np.testing.assert_allclose(q @ q.T, 4 * np.eye(3), atol=1e-12)
    assert nn.init.eye_(nn.Parameter(np.zeros((2, 3)))).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    layer = nn.Conv2d(2, 2, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight)
    x = numbers(1, 2, 4, 4)
    np.testing.assert_array_equal(layer(x).data, x)
    assert nn.init.ones_(w).data.all()
    assert not nn.init.zeros_(w).data.any()


def test_initialisers_that_do_not_fit():
    with pytest.raises(ShapeError, match="a tensor of shape .3,. has no inputs and outputs to count"):
        nn.init.xavier_uniform_(nn.Parameter(np.zeros(3)))
    with pytest.raises(DTypeError, match="xavier|uniform_: rng is a numpy Generator, got RandomState"):
        nn.init.xavier_uniform_(nn.Parameter(np.zeros((3, 3))), rng=np.random.RandomState(0))
    with pytest.raises(ArgumentError, match="mode is 'fan_in' or 'fan_out', not 'fan'"):
        nn.init.kaiming_normal_(nn.Parameter(np.zeros((3, 3))), mode="fan")
    with pytest.raises(ArgumentError, match="calculate_gain: 'swish' is none of linear"):
        nn.init.calculate_gain("swish")
    with pytest.raises(DTypeError, match="a Tensor is filled in place, got ndarray"):
        nn.init.zeros_(np.zeros(3))


# -------------------------------------------------------------------------------------------------------------- messages


def shaped(*shape: int) -> np.ndarray:
    return np.zeros(shape)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: nn.Conv2d(3, 4, 3)(shaped(2, 1, 8, 8)),
            "the weights are for 3 channels, and the input of shape (2, 1, 8, 8) has 1",
        ),
        (lambda: nn.Conv2d(3, 4, 3)(shaped(2, 8, 8, 3)), "move them there with tg.moveaxis(x, -1, 1)"),
        (lambda: nn.Conv2d(1, 4, 3)(shaped(8, 8)), "images without a channel axis get one with x[:, None]"),
        (lambda: nn.Conv2d(1, 4, 5)(shaped(2, 1, 4, 4)), "a window of 5 elements does not fit into an axis of length 4"),
        (lambda: nn.Conv2d(1, 4, 3, stride=2, padding="same")(shaped(2, 1, 4, 4)), "padding='same' needs stride=1"),
        (lambda: nn.Conv2d(1, 4, 3, padding="full")(shaped(2, 1, 4, 4)), "'valid' or 'same', not 'full'"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "in_channels and out_channels are multiples of groups, got 3, 4 and 2"),
        (lambda: nn.Conv2d(1, 4, (3, 3, 3)), "kernel_size is an integer of at least 1, or 2 of them, got (3, 3, 3)"),
        (lambda: nn.ConvTranspose1d(1, 1, 2, output_padding=1)(shaped(1, 1, 3)), "output_padding (1,) is smaller than the stride"),
        (lambda: nn.MaxPool2d(2)(shaped(3, 3)), "max_pool2d: the input is (batch, channels, height, width)"),
        (lambda: nn.MaxPool2d(2, padding=2)(shaped(1, 1, 4, 4)), "padding (2, 2) is more than half of the kernel (2, 2)"),
        (
            lambda: nn.BatchNorm2d(3)(shaped(2, 3)),
            "needs an input (batch, channels, height, width) with 3 channels, got shape (2, 3)",
        ),
        (lambda: nn.BatchNorm1d(3)(shaped(1, 3)), "has 1 values for each channel, and a variance takes two"),
        (
            lambda: nn.LayerNorm(3)(shaped(2, 4)),
            "the last axes of the input have the lengths normalized_shape=(3,), got shape (2, 4)",
        ),
        (lambda: nn.GroupNorm(2, 3), "num_channels=3 is no multiple of num_groups=2"),
        (lambda: nn.Embedding(3, 2)([3]), "the row numbers 3..3 are not all in 0..2: the table has 3 rows"),
        (lambda: nn.Embedding(3, 2)([0.5]), "the input holds row numbers, integers, got dtype float64"),
        (lambda: nn.Flatten()(shaped(3)), "flatten: axis 1 of an array of shape (3,)"),
        (lambda: nn.LSTM(3, 4)(shaped(5, 2, 2)), "needs an input (steps, batch, features) with 3 features"),
        (lambda: nn.LSTM(3, 4)(shaped(5, 2, 3), (shaped(1, 2, 5),) * 2), "a pair (h, c) of states of shape (1, 2, 4)"),
        (lambda: nn.GRU(3, 4, dropout=1.5), "GRU: dropout is a probability from 0 to 1, got 1.5"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), "nonlinearity is 'tanh' or 'relu', not 'sin'"),
        (lambda: nn.GRU(3, 4)(shaped(0, 2, 3)), "needs at least one step"),
        (lambda: nn.MultiheadAttention(5, 2), "embed_dim=5 is no multiple of num_heads=2"),
        (
            lambda: nn.MultiheadAttention(4, 2)(*[shaped(3, 1, 5)] * 3),
            "needs query, key and value (steps, batch, features) with 4, 4 and 4",
        ),
        (
            lambda: nn.MultiheadAttention(4, 2)(*[shaped(3, 1, 4)] * 3, attn_mask=shaped(2, 2)),
            "attn_mask is (3, 3) or (2, 3, 3)",
        ),
        (
            lambda: nn.MultiheadAttention(4, 2)(*[shaped(3, 1, 4)] * 3, key_padding_mask=shaped(3, 1)),
            "key_padding_mask is (batch, keys), here (1, 3); got (3, 1)",
        ),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="sin"), "activation is relu, gelu or a function, not 'sin'"),
    ],
)
def test_messages(call, words):
    with pytest.raises((ShapeError, ArgumentError, LabelError, DTypeError), match=re.escape(words)):
        call()


# ----------------------------------------------------------------------------------------------- conventions of our own


def test_the_first_of_equal_maxima_gets_the_gradient():
    x = tg.Tensor([[[1.0, 1.0, 0.0, 2.0]]], requires_grad=True)
    y, places = nn.MaxPool1d(2, return_indices=True)(x)
    y.sum().backward()
    assert x.grad.tolist() == [[[1.0, 0.0, 0.0, 1.0]]]
    assert places.tolist() == [[[0, 3]]]


def test_max_pooling_of_nan_and_infinities():
    x = tg.Tensor([[[np.nan, 5.0, -np.inf, -np.inf]]], requires_grad=True)
    y = nn.MaxPool1d(2)(x)
    np.testing.assert_array_equal(y.data, [[[np.nan, -np.inf]]])
    y.backward(np.array([[[np.inf, 1.0]]]))
    assert x.grad.tolist() == [[[np.inf, 0.0, 1.0, 0.0]]]


def test_a_convolution_in_blocks_is_the_whole(monkeypatch):
    from tinygrad_edu.ops import convolution

    x, w = numbers(2, 2, 7, 6), numbers(3, 2, 3, 2, seed=1)
    g = numbers(2, 3, 3, 5, seed=2)

    def run():
        tensors = [tg.Tensor(a, requires_grad=True) for a in (x, w)]
        y = tg.conv(*tensors, stride=(2, 1))
        y.backward(g)
        return [y.data, *[t.grad.data for t in tensors]]

    whole = run()
    monkeypatch.setattr(convolution, "BLOCK", 1)
    for a, b in zip(whole, run(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_a_whole_batch_of_nothing():
    assert nn.Conv2d(1, 2, 3)(np.zeros((0, 1, 5, 5))).shape == (0, 2, 3, 3)
    assert nn.MaxPool2d(2)(np.zeros((0, 1, 4, 4))).shape == (0, 1, 2, 2)
    assert nn.Linear(3, 2)(np.zeros((0, 3))).shape == (0, 2)


def test_results_do_not_depend_on_the_layout_in_memory():
    x = numbers(3, 2, 5, 5)
    strange = np.asfortranarray(x)
    net = nn.Sequential(nn.Conv2d(2, 3, 2, rng=rng()), nn.MaxPool2d(2), nn.Flatten())
    np.testing.assert_array_equal(net(x).data, net(strange).data)
