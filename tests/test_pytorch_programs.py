"""Programs as somebody writes them who knows PyTorch: they run as they stand, and come to PyTorch's numbers."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, LabelError, ShapeError

F = tg.nn.functional


def library(name):
    """What a program imports: torch, nn, F, optim, and how to make a tensor of an array."""
    if name == "tinygrad_edu":
        return SimpleNamespace(torch=tg, nn=tg.nn, F=F, optim=tg.optim, tensor=tg.Tensor)
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its numbers are not compared with")
    torch.set_num_threads(1)
    return SimpleNamespace(torch=torch, nn=torch.nn, F=torch.nn.functional, optim=torch.optim, tensor=torch.tensor)


# ----------------------------------------------------------------------------------------------- the programs: model, steps


def cnn(lib):
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim  # noqa: N806

    class Net(nn.Module):
        def __init__(self):
            super(Net, self).__init__()  # noqa: UP008 - as many programs have it
            self.conv1 = nn.Conv2d(1, 4, 3, 1)
            self.conv2 = nn.Conv2d(4, 8, kernel_size=3, padding=1)
            self.norm = nn.BatchNorm2d(8)
            self.act = nn.LeakyReLU(0.2, inplace=True)
            self.dropout = nn.Dropout(0.0, inplace=True)
            self.fc1 = nn.Linear(72, 16)
            self.fc2 = nn.Linear(16, 10)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.conv1(x)), 2)
            x = self.act(self.norm(self.conv2(x)))
            x = F.avg_pool2d(x, kernel_size=2, stride=1, padding=0)[:, :, :3, :3]
            x = self.dropout(torch.flatten(x, 1))
            x = F.relu(self.fc1(x))
            return F.log_softmax(self.fc2(x), dim=1)

    def train(model, rng):
        optimizer = optim.Adagrad(model.parameters(), lr=0.05)
        scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.7)
        x, t = lib.tensor(rng.normal(size=(6, 1, 10, 10))), lib.tensor(rng.integers(0, 10, 6))
        model.train()
        for _ in range(4):
            optimizer.zero_grad(set_to_none=True)
            output = model(x)
            loss = F.nll_loss(output, t)
            loss.backward()
            optimizer.step()
            scheduler.step()
            yield loss
        model.eval()
        with torch.no_grad():
            yield model(x).argmax(1).view(-1, 1).sum()

    return Net, train


def lstm_classifier(lib):
    torch, nn, optim = lib.torch, lib.nn, lib.optim
    rnn = nn.utils.rnn

    class Classifier(nn.Module):
        def __init__(self, vocabulary, classes):
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, 6, padding_idx=0)
            self.lstm = nn.LSTM(input_size=6, hidden_size=5, num_layers=2, batch_first=True, bidirectional=True)
            self.head = nn.Linear(10, classes)

        def forward(self, tokens, lengths):
            packed = rnn.pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
            output, (h, _) = self.lstm(packed)
            output, _ = rnn.pad_packed_sequence(output, batch_first=True)
            return self.head(torch.cat([h[-2], h[-1]], 1)) + output.sum(1)[:, :3] / 10

    def train(model, rng):
        criterion = nn.CrossEntropyLoss(weight=lib.tensor([1.0, 2.0, 0.5]), ignore_index=-1, label_smoothing=0.1)
        optimizer = optim.AdamW(
            [{"params": model.embedding.parameters(), "lr": 0.1}, {"params": [*model.lstm.parameters(), *model.head.parameters()]}],
            lr=0.01,
        )
        lengths = [4, 7, 2]
        tokens = rng.integers(1, 9, (3, 7))
        for row, length in enumerate(lengths):
            tokens[row, length:] = 0
        tokens, t = lib.tensor(tokens), lib.tensor(np.array([2, -1, 1]))
        for _ in range(3):
            optimizer.zero_grad()
            loss = criterion(model(tokens, lengths), t)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            optimizer.step()
            yield loss

    return lambda: Classifier(9, 3), train


def critic_with_a_gradient_penalty(lib):
    torch, nn, optim = lib.torch, lib.nn, lib.optim

    def model():
        return nn.Sequential(nn.Linear(2, 8), nn.ReLU(inplace=True), nn.Linear(8, 8), nn.Softplus(), nn.Linear(8, 1))

    def train(critic, rng):
        optimizer = optim.Adam(critic.parameters(), lr=0.01, betas=(0.0, 0.9))
        grad = tg.grad(lambda x: critic(x).sum()) if torch is tg else None  # the one line that is another one here
        for _ in range(3):
            real, fake = rng.normal(size=(5, 2)), rng.normal(size=(5, 2)) + 2
            share = rng.random((5, 1))
            mixed = lib.tensor(share * real + (1 - share) * fake)
            mixed.requires_grad = True
            slope = grad(mixed) if grad else torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)[0]
            penalty = ((slope.view(5, -1).norm(2, 1) - 1) ** 2).mean()
            loss = critic(lib.tensor(fake)).mean() - critic(lib.tensor(real)).mean() + 10 * penalty
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss

    return model, train


def transformer(lib):
    nn, F, optim = lib.nn, lib.F, lib.optim  # noqa: N806

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16, dropout=0.0, batch_first=True)
            self.embedding = nn.Embedding(7, 8)
            self.place = nn.Parameter(lib.tensor(np.linspace(-1.0, 1.0, 40).reshape(1, 5, 8)))
            self.encoder = nn.TransformerEncoder(layer, num_layers=2)
            self.norm = nn.LayerNorm(8)
            self.head = nn.Linear(8, 7, bias=False)

        def forward(self, x, mask, padding):
            h = self.encoder(self.embedding(x) + self.place, mask=mask, src_key_padding_mask=padding)
            return F.normalize(self.head(self.norm(h)), dim=-1) * 3

    def train(model, rng):
        optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
        numbers = rng.integers(0, 7, (2, 5))
        x = lib.tensor(numbers)
        mask = lib.tensor(np.triu(np.ones((5, 5), bool), 1))
        padding = lib.tensor(np.array([[False] * 5, [False] * 3 + [True] * 2]))
        for _ in range(3):
            optimizer.zero_grad()
            scores = model(x, mask, padding)
            loss = F.cross_entropy(scores[:, :3].permute(0, 2, 1), x[:, :3])
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), 0.5)
            optimizer.step()
            yield loss

    return Tagger, train


PROGRAMS = [cnn, lstm_classifier, critic_with_a_gradient_penalty, transformer]


def losses(program, name, state=None):
    """What a program yields, beginning with the given weights, and the weights that it began with."""
    lib = library(name)
    make, train = program(lib)
    model = make()
    if state is not None:
        model.load_state_dict({name: lib.torch.from_numpy(array) for name, array in state.items()})
    before = {name: np.array(value) for name, value in model.state_dict().items()}
    return [loss.item() for loss in train(model, np.random.default_rng(1))], before


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_runs_as_it_stands(program):
    found, _ = losses(program, "tinygrad_edu")
    assert len(found) >= 3
    assert np.isfinite(found).all()


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_numbers_are_pytorchs(program):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its numbers are not compared with")
    ours, state = losses(program, "tinygrad_edu")
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's own
            theirs, _ = losses(program, "torch", state)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)


# ---------------------------------------------------------------------------------------------- the arguments, one by one


def test_functions_have_pytorchs_arguments():
    x = tg.Tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    for name in ("softmax", "log_softmax", "glu"):
        ours, operation = getattr(F, name), getattr(tg, name)
        for dim in (0, 1):
            np.testing.assert_array_equal(ours(x, dim=dim).data, operation(x, axis=dim).data)
    np.testing.assert_allclose(F.normalize(x, dim=0).data, x.data / np.linalg.norm(x.data, axis=0), rtol=1e-15)
    np.testing.assert_allclose(F.normalize(x, p=1).data, x.data / [[3], [8]], rtol=1e-15)
    assert F.normalize(tg.Tensor([[0.0, 0.0]])).tolist() == [[0, 0]]
    tg.testing.assert_gradients(F.normalize, x.data, order=2)
    assert F.one_hot(tg.Tensor([1, 0]), num_classes=3).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert F.one_hot([[2]]).tolist() == [[[0, 0, 1]]]
    with pytest.raises(
        LabelError, match="one_hot: there are no labels that would say how many classes there are: pass num_classes"
    ):
        F.one_hot(np.array([], int))


def test_pad_begins_with_the_last_axis():
    x = tg.Tensor(np.arange(12.0).reshape(1, 3, 4), requires_grad=True)
    np.testing.assert_array_equal(F.pad(x, (1, 2)).data, np.pad(x.data, [(0, 0), (0, 0), (1, 2)]))
    np.testing.assert_array_equal(F.pad(x, (1, 2, 0, 1), value=7).data, np.pad(x.data, [(0, 0), (0, 1), (1, 2)], constant_values=7))
    for ours, numpys in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")):
        np.testing.assert_array_equal(F.pad(x, [2, 1, 1, 2], ours).data, np.pad(x.data, [(0, 0), (1, 2), (2, 1)], numpys))
    tg.testing.assert_gradients(lambda x: F.pad(x, (1, 1), "replicate"), x.data, order=2)
    for wrong in (1, (1,), (1, 2, 3), (1,) * 8, (-1, 0), ((1, 1), (2, 2))):
        with pytest.raises(ShapeError, match=r"pad: pad is \(left, right\), .* from the last axis on, for at most the 3 axes"):
            F.pad(x, wrong)
    with pytest.raises(ArgumentError, match="pad: mode is constant, reflect, replicate, circular, not 'edge'"):
        F.pad(x, (1, 1), "edge")
    with pytest.raises(ArgumentError, match="pad: a border of mode 'reflect' copies the input, and takes no value; got 3"):
        F.pad(x, (1, 1), "reflect", 3)


def test_flatten_view_permute_unsqueeze():
    x = tg.Tensor(np.arange(24.0).reshape(2, 3, 4), requires_grad=True)
    assert tg.flatten(x, 1).shape == x.flatten(start_dim=1).shape == x.view(2, -1).shape == x.view((2, 12)).shape == (2, 12)
    assert x.flatten(0, 1).shape == (6, 4)
    assert x.flatten().shape == x.view(-1).shape == (24,)
    assert tg.flatten(tg.Tensor(1.0)).shape == (1,)
    np.testing.assert_array_equal(x.flatten(order="F").data, x.data.flatten("F"))
    np.testing.assert_array_equal(x.permute(2, 0, 1).data, x.data.transpose(2, 0, 1))
    np.testing.assert_array_equal(tg.permute(x, (1, 0, 2)).data, x.data.transpose(1, 0, 2))
    assert x.unsqueeze(1).shape == (2, 1, 3, 4)
    x.permute(2, 0, 1).flatten(1).view(2, 12).sum().backward()
    assert (x.grad.data == 1).all()
    with pytest.raises(ArgumentError, match="flatten: start_dim is an axis, as in PyTorch: write order='F'"):
        x.flatten("F")
    with pytest.raises(ArgumentError, match=r"flatten: of shape \(2, 3, 4\), start_dim=2 comes after end_dim=1"):
        x.flatten(2, 1)
    with pytest.raises(ShapeError, match=r"flatten: axis 3 of an array of shape \(2, 3, 4\)"):
        x.flatten(3)


INPLACE = ["ReLU", "SiLU", "Mish", "SELU", "ReLU6", "Hardsigmoid", "Hardswish", "ELU", "CELU", "LeakyReLU", "Hardtanh"]


@pytest.mark.parametrize(
    "make",
    [
        *(getattr(tg.nn, name) for name in INPLACE),
        lambda **options: tg.nn.Dropout(0.5, rng=np.random.default_rng(0), **options),
    ],
)
def test_inplace_changes_nothing(make):
    x = tg.Tensor([-1.0, 2.0], requires_grad=True)
    layer = make(inplace=True)
    np.testing.assert_array_equal(layer(x).data, make()(x).data)
    assert x.tolist() == [-1, 2]
    assert repr(layer) == repr(make())


def test_what_numpy_makes():
    for name in ("zeros", "arange", "eye", "float32"):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'; NumPy has it, and Tensor takes its arrays: np.{name}$"):
            getattr(tg, name)
    with pytest.raises(AttributeError, match="module 'tinygrad_edu' has no attribute 'rand'$"):
        _ = tg.rand


def test_small_things():
    model = tg.nn.Sequential(tg.nn.Linear(2, 1))
    model.add_module("end", tg.nn.ReLU())
    assert [name for name, _ in model.named_children()] == ["0", "end"]
    for device in ("cpu", "cuda:0"):
        with pytest.raises(
            ArgumentError, match=f"Linear.to: '{device}' is a device, and there is only the processor: leave it out"
        ):
            tg.nn.Linear(2, 1).to(device)
    model(np.ones((1, 2))).sum().backward()
    for owner in (model, tg.optim.SGD(model.parameters())):
        owner.zero_grad(set_to_none=False)
        assert model[0].weight.grad.tolist() == [[0, 0]]
    model.zero_grad()
    assert model[0].weight.grad is None
    assert tg.optim.Adagrad is tg.optim.AdaGrad
    assert tg.optim.lr_scheduler.StepLR is tg.optim.StepLR
    assert tg.nn.utils.clip_grad_norm_ is tg.optim.clip_grad_norm_
