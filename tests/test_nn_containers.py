"""Modules of modules, and what is said of them: containers, summaries, reprs."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import ArgumentError, DTypeError


def net(seed: int = 0, **options) -> nn.Sequential:
    rng = np.random.default_rng(seed)
    layers = [nn.Conv2d(1, 2, 3, rng=rng, **options), nn.BatchNorm2d(2, **options), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8, 3, rng=rng, **options))


IMAGES = np.random.default_rng(9).random((5, 1, 4, 4))


# ----------------------------------------------------------------------------------------------------------- containers


def test_a_list_of_modules():
    layers = nn.ModuleList([nn.ReLU(), nn.Tanh()])
    layers.append(nn.Sigmoid()).extend([nn.ELU()])
    layers.insert(1, nn.GELU())
    assert [type(layer).__name__ for layer in layers] == ["ReLU", "GELU", "Tanh", "Sigmoid", "ELU"]
    assert list(dict(layers.named_children())) == ["0", "1", "2", "3", "4"]
    del layers[0]
    layers[-1] = nn.Mish()
    assert [type(layer).__name__ for layer in layers[1:]] == ["Tanh", "Sigmoid", "Mish"]
    assert type(layers[1:]) is nn.ModuleList
    assert layers[0] in layers
    assert len(layers) == 4
    with pytest.raises(DTypeError, match="ModuleList: item 4 is a int, not a Module"):
        layers.append(3)
    with pytest.raises(NotImplementedError, match="ModuleList has no forward"):
        layers(1)


def test_sequential_by_names_and_by_slices():
    named = nn.Sequential({"hidden": nn.Linear(3, 2), "out": nn.ReLU()})
    assert list(named.state_dict()) == ["hidden.weight", "hidden.bias"]
    assert named(np.ones((4, 3))).shape == (4, 2)
    shared = nn.ReLU()
    assert len(nn.Sequential(shared, shared)) == 2
    assert type(net()[:2]) is nn.Sequential
    assert net()[:2](IMAGES).shape == (5, 2, 2, 2)
    grown = nn.Sequential().append(nn.Linear(2, 2))
    assert list(grown.state_dict()) == ["0.weight", "0.bias"]


def test_a_dictionary_of_modules():
    heads = nn.ModuleDict({"a": nn.Linear(2, 1)})
    heads["b"] = nn.Linear(2, 2)
    assert (list(heads), len(heads), "b" in heads, "c" in heads) == (["a", "b"], 2, True, False)
    assert [name for name, _ in heads.items()] == heads.keys()
    assert heads.values()[1] is heads["b"]
    assert list(heads.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    del heads["a"]
    assert list(heads) == ["b"]
    with pytest.raises(ArgumentError, match="'keys' cannot be a name: it has a dot, or is the name of a method"):
        heads["keys"] = nn.ReLU()
    with pytest.raises(KeyError):
        del heads["a"]


# -------------------------------------------------------------------------------------------------------------- summary


def test_summary():
    module = net()
    module[4].weight.requires_grad = False
    before = module.state_dict()
    table = module.summary(IMAGES)
    assert [(row.name, row.kind, row.output, row.parameters) for row in table.rows] == [
        ("", "Sequential", (5, 3), 51),
        ("0", "Conv2d", (5, 2, 2, 2), 20),
        ("1", "BatchNorm2d", (5, 2, 2, 2), 4),
        ("2", "ReLU", (5, 2, 2, 2), 0),
        ("3", "Flatten", (5, 8), 0),
        ("4", "Linear", (5, 3), 27),
    ]
    assert str(table).splitlines()[-1] == "51 parameters, 408 bytes; 27 trainable"
    assert str(table).splitlines()[1].split() == ["Sequential", "(5,", "3)", "51"]
    assert all(m.training for m in module.modules())
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, before[name])  # it ran in evaluation mode
    assert not any("_hooks" in vars(m) for m in module.modules())


def test_summary_of_several_results_and_of_what_did_not_run():
    class Odd(nn.Module):
        def __init__(self):
            self.lstm, self.unused = nn.LSTM(3, 2), nn.ReLU()

        def forward(self, x):
            return self.lstm(x)

    rows = {row.name: row.output for row in Odd().summary(np.zeros((4, 1, 3))).rows}
    assert rows["lstm"] == ((4, 1, 2), ((1, 1, 2), (1, 1, 2)))
    assert rows["unused"] == ""


def test_summary_cleans_up_after_an_error():
    module = net()
    with pytest.raises(tg.errors.ShapeError):
        module.summary(np.zeros((2, 3)))
    assert not any("_hooks" in vars(m) for m in module.modules())
    assert module.training


def test_reprs_say_what_is_unusual():
    assert repr(nn.Conv2d(1, 16, 3)) == "Conv2d(1, 16, kernel_size=3): 160 parameters"
    text = repr(nn.Conv2d(4, 8, (3, 1), stride=2, padding=(1, 0), groups=2, bias=False))
    assert text == "Conv2d(4, 8, kernel_size=(3, 1), stride=2, padding=(1, 0), groups=2, bias=False): 48 parameters"
    assert repr(nn.MaxPool2d(2, padding=1)) == "MaxPool2d(2, padding=1)"
    assert repr(nn.BatchNorm1d(3, momentum=None)) == "BatchNorm1d(3, momentum=None): 6 parameters"
    assert repr(nn.LSTM(3, 4, 2, bidirectional=True)).startswith("LSTM(3, 4, num_layers=2, bidirectional=True): ")
    assert repr(nn.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    assert repr(nn.HuberLoss(delta=2.0)) == "HuberLoss(reduction='mean', delta=2.0)"
    assert repr(nn.Dropout(0.1)) == "Dropout(p=0.1)"
