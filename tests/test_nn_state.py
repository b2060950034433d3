"""What a module holds: buffers, state, modes, hooks."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import ArgumentError, DTypeError, StateError


def net(seed: int = 0, **options) -> nn.Sequential:
    rng = np.random.default_rng(seed)
    layers = [nn.Conv2d(1, 2, 3, rng=rng, **options), nn.BatchNorm2d(2, **options), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8, 3, rng=rng, **options))


IMAGES = np.random.default_rng(9).random((5, 1, 4, 4))


# ----------------------------------------------------------------------------------------------------------- state_dict


def test_a_state_holds_parameters_and_buffers_as_copies():
    module = net()
    state = module.state_dict()
    assert list(state) == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
        "4.weight",
        "4.bias",
    ]
    assert type(state) is dict
    assert all(type(array) is np.ndarray for array in state.values())
    state["0.weight"][:] = 7
    assert not (module[0].weight.data == 7).any()


def test_a_loaded_state_makes_equal_modules():
    one, other = net(0), net(1)
    one(IMAGES)  # running statistics move
    assert other.load_state_dict(one.state_dict()) == ([], [])
    np.testing.assert_array_equal(one.eval()(IMAGES).data, other.eval()(IMAGES).data)
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, other.state_dict()[name])
        assert array.dtype == other.state_dict()[name].dtype


def test_loading_keeps_the_tensors_that_an_optimiser_holds():
    module = net()
    before = list(module.parameters())
    module.load_state_dict(net(1).state_dict())
    assert all(a is b for a, b in zip(before, module.parameters(), strict=True))
    optimiser = tg.optim.SGD(before, lr=0.1)
    module(IMAGES).sum().backward()
    was = module[4].bias.numpy()
    optimiser.step()
    assert (module[4].bias.data != was).all()


def test_a_loaded_array_is_copied():
    module = nn.Linear(2, 1)
    state = module.state_dict()
    module.load_state_dict(state)
    state["weight"][:] = 5
    assert not (module.weight.data == 5).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("4.bias"), "missing: 4.bias"),
        (lambda s: s.update(extra=np.ones(1)), "not known here: extra"),
        (lambda s: s.update({"4.bias": np.ones(2)}), "4.bias: shape (2,), and the module's is (3,)"),
        (
            lambda s: s.update({"4.weight": np.ones((8, 3))}),
            "4.weight: shape (8, 3), and the module's is (3, 8) (its transpose fits: Linear keeps weights as (out, in), Affine as ",
        ),
        (lambda s: s.update({"4.bias": np.ones(3, complex)}), "4.bias: dtype complex128 does not fit into the module's float64"),
        (
            lambda s: s.update({"4.bias": np.ones(3, int)}),
            "convert it with astype('float64'), or make the module with dtype='int64'",
        ),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, words):
    module = net()
    state = net(1).state_dict()
    change(state)
    before = module.state_dict()
    with pytest.raises(StateError, match=re.escape(words)):
        module.load_state_dict(state)
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_all_faults_are_in_one_message():
    with pytest.raises(StateError) as caught:
        nn.Linear(2, 1).load_state_dict({"weight": np.ones((3, 3)), "other": 1})
    text = str(caught.value)
    assert text.startswith("load_state_dict into Linear; strict=False lets names differ:\n  missing: bias\n  not known here: other")
    assert "weight: shape (3, 3), and the module's is (1, 2)" in text
    with pytest.raises(StateError, match="a state is a dictionary of arrays by dotted names, got list"):
        nn.Linear(2, 1).load_state_dict([1])


def test_not_strict_takes_what_is_known():
    module = nn.Linear(2, 1)
    found = module.load_state_dict({"bias": np.array([3.0]), "other": 1}, strict=False)
    assert found.missing_keys == ["weight"]
    assert found.unexpected_keys == ["other"]
    assert module.bias.tolist() == [3.0]
    with pytest.raises(StateError, match=re.escape("bias: shape (2,)")):  # shapes are never let pass
        module.load_state_dict({"bias": np.ones(2)}, strict=False)


def test_single_precision_goes_into_double_and_not_back():
    double, single = net(), net(1, dtype=np.float32)
    double.load_state_dict(single.state_dict())
    assert double[4].weight.dtype == np.float64
    np.testing.assert_array_equal(double[4].weight.data, single[4].weight.data)
    with pytest.raises(StateError, match="dtype float64 does not fit into the module's float32 without loss"):
        single.load_state_dict(double.state_dict())


def test_tied_weights_come_under_both_names():
    class Tied(nn.Module):
        def __init__(self):
            self.inside, self.outside = nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)
            self.outside.weight = self.inside.weight

    module = Tied()
    assert list(module.state_dict()) == ["inside.weight", "outside.weight"]
    assert [name for name, _ in module.named_parameters()] == ["inside.weight"]


def test_frozen_parameters_stay_parameters_and_are_saved():
    module = net().requires_grad_(False)
    assert len(list(module.parameters())) == 6
    assert not any(p.requires_grad for p in module.parameters())
    assert list(module.state_dict()) == list(net().state_dict())
    assert not module(IMAGES).requires_grad
    again = copy.deepcopy(module)
    assert len(list(again.parameters())) == 6
    module.requires_grad_()
    module(IMAGES).sum().backward()
    assert module[0].weight.grad is not None
    table = nn.Embedding.from_pretrained(np.eye(3))
    assert [(name, p.requires_grad) for name, p in table.named_parameters()] == [("weight", False)]


def test_a_constant_in_the_place_of_a_parameter_is_none():
    module = nn.Linear(2, 1)
    module.weight = tg.Tensor([[1.0, 2.0]])
    assert [name for name, _ in module.named_parameters()] == ["bias"]


def test_parameters_in_dictionaries_that_are_frozen_later():
    class Odd(nn.Module):
        def __init__(self):
            self.params = {}
            self.params["W"] = nn.Parameter(np.ones(2))

    odd = Odd()
    assert list(odd.state_dict()) == ["params.W"]
    odd.params["W"].requires_grad = False
    assert list(odd.state_dict()) == ["params.W"]


# -------------------------------------------------------------------------------------------------------------- buffers


def test_buffers():
    module = nn.Module()
    module.register_buffer("mean", np.zeros(2, np.float32))
    module.register_buffer("scratch", [1.0], persistent=False)
    module.register_buffer("nothing", None)
    assert [name for name, _ in module.named_buffers()] == ["mean", "scratch"]
    assert {name: a.dtype for name, a in module.state_dict().items()} == {"mean": np.dtype("f4")}
    assert list(module.parameters()) == []
    module.mean = tg.Tensor(np.ones(2, np.float32))
    assert module.state_dict()["mean"].tolist() == [1.0, 1.0]
    module.nothing = tg.Tensor(3)
    assert list(module.state_dict()) == ["mean", "nothing"]
    del module.mean
    assert list(module.state_dict()) == ["nothing"]
    for name in ("forward", "a.b", ""):
        with pytest.raises(ArgumentError, match="is no free attribute of Module: take another name"):
            module.register_buffer(name, 1.0)


def test_registering_by_name():
    module = nn.Module()
    module.register_parameter("w", nn.Parameter([1.0]))
    module.register_module("child", nn.ReLU())
    module.register_parameter("none", None)
    assert [name for name, _ in module.named_parameters()] == ["w"]
    assert list(dict(module.named_children())) == ["child"]
    with pytest.raises(ArgumentError, match="'v' is a Tensor that is no leaf that requires grad"):
        module.register_parameter("v", tg.Tensor(1.0))


# ---------------------------------------------------------------------------------------------------------------- modes


def test_train_and_eval_reach_every_module():
    module = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2)))
    assert all(m.training for m in module.modules())
    assert module.eval() is module
    assert not any(m.training for m in module.modules())
    assert module.train()[1][0].training


def test_dtypes_change_in_place():
    module = net()
    held = list(module.parameters())
    module(IMAGES).sum().backward()
    assert module.float() is module
    assert all(a is b for a, b in zip(held, module.parameters(), strict=True))
    assert {name: a.dtype.name for name, a in module.state_dict().items() if a.dtype != np.float32} == {
        "1.num_batches_tracked": "int64"
    }
    assert all(p.requires_grad and p.grad is None for p in held)
    y = module(IMAGES.astype(np.float32))
    y.sum().backward()
    assert y.dtype == held[0].grad.dtype == np.float32
    assert module.requires_grad_(False).double()[4].weight.dtype == np.float64
    assert not held[0].requires_grad
    with pytest.raises(DTypeError, match="Sequential.to: parameters are floating or complex numbers, and int64 is not"):
        module.to(np.int64)


def test_apply_goes_children_first():
    seen = []
    module = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh())
    assert module.apply(seen.append) is module
    assert seen == [module[0][0], module[0], module[1], module]


def test_super_init_may_be_called():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)

    assert len(list(Net().parameters())) == 2


# ---------------------------------------------------------------------------------------------------------------- hooks


def test_hooks_see_and_change():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = np.array([[1.0, 2.0]])
    with layer.register_forward_pre_hook(lambda module, args: (args[0] * 10,)):
        assert layer(tg.Tensor([1.0, 1.0])).tolist() == [30.0]
    with layer.register_forward_hook(lambda module, args, output: output + 1):
        assert layer(tg.Tensor([1.0, 1.0])).tolist() == [4.0]
    handle = layer.register_forward_hook(lambda *args: None)
    handle.remove()
    handle.remove()
    assert layer(tg.Tensor([1.0, 1.0])).tolist() == [3.0]
    assert "_hooks" not in vars(layer)


def test_hooks_run_in_the_order_of_registration_and_one_can_go():
    layer, seen = nn.ReLU(), []
    first = layer.register_forward_hook(lambda *_: seen.append(1))
    layer.register_forward_hook(lambda *_: seen.append(2))
    layer(tg.Tensor(1.0))
    first.remove()
    layer(tg.Tensor(1.0))
    assert seen == [1, 2, 2]


def test_backward_hooks():
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))
    module[0].weight.data, module[1].weight.data = np.eye(2), np.array([[3.0, 5.0]])
    seen = {}

    def keep(name):
        return lambda module, grad_input, grad_output: seen.setdefault(name, (grad_input, grad_output))

    module[0].register_full_backward_hook(keep("first"))
    module[1].register_full_backward_hook(keep("second"))
    plain = copy.deepcopy(nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)))
    plain.load_state_dict(module.state_dict())
    x = np.array([[1.0, 2.0]])
    (2 * module(x)).sum().backward()
    (2 * plain(x)).sum().backward()
    (into,), (out,) = seen["second"]
    assert out.tolist() == [[2.0]]
    assert into.tolist() == [[6.0, 10.0]]
    assert seen["first"][0] == (None,)  # the data need no gradient
    assert seen["first"][1][0].tolist() == [[6.0, 10.0]]
    for a, b in zip(module.parameters(), plain.parameters(), strict=True):
        np.testing.assert_array_equal(a.grad.data, b.grad.data)


def test_a_backward_hook_of_several_inputs_and_outputs():
    class Swap(nn.Module):
        def forward(self, a, b):
            return 2 * b, 3 * a

    swap, calls = Swap(), []
    swap.register_full_backward_hook(lambda module, into, out: calls.append((into, out)))
    a, b = tg.Tensor(1.0, requires_grad=True), tg.Tensor(1.0, requires_grad=True)
    y, z = swap(a, b)
    (5 * y + 7 * z).backward()
    (into, out) = calls[0]
    assert len(calls) == 1
    assert [g.item() for g in into] == [21.0, 10.0]
    assert [g.item() for g in out] == [5.0, 7.0]
    assert (a.grad.item(), b.grad.item()) == (21.0, 10.0)
