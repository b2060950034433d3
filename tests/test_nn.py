"""Modules: what counts as a parameter, what things are called, and that layers compute what their formulas say."""

from __future__ import annotations

import copy
import pickle
import re
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import DTypeError, LabelError, MutationError, ShapeError
from tinygrad_edu.graph import MODE
from tinygrad_edu.nn import functional
from tinygrad_edu.nn.module import RUNNING


def leaf(*shape: int, name: str | None = None) -> tg.Tensor:
    return tg.Tensor(np.ones(shape), requires_grad=True, name=name)


def linear(inputs: int, outputs: int, **options) -> nn.Linear:
    return nn.Linear(inputs, outputs, rng=np.random.default_rng(0), **options)


class Net(nn.Module):
    """Two layers, and a parameter of its own that is assigned last."""

    def __init__(self):
        self.hidden = linear(4, 3)
        self.output = linear(3, 2, bias=False)
        self.scale = leaf()

    def forward(self, x):
        return self.output(functional.sigmoid(self.hidden(x))) * self.scale


def names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters()]


# ---------------------------------------------------------------------------------------------------------- parameters


def test_parameters_come_parents_first_and_in_order_of_assignment():
    net = Net()
    assert names(net) == ["scale", "hidden.weight", "hidden.bias", "output.weight"]
    assert list(net.parameters()) == [net.scale, net.hidden.weight, net.hidden.bias, net.output.weight]


def test_children_and_modules():
    net = Net()
    assert list(net.named_children()) == [("hidden", net.hidden), ("output", net.output)]
    assert list(net.children()) == [net.hidden, net.output]
    assert list(net.named_modules()) == [("", net), ("hidden", net.hidden), ("output", net.output)]


def test_only_leaves_that_require_grad_are_parameters():
    class Odd(nn.Module):
        pass

    odd = Odd()
    odd.weight = leaf(2)
    odd.mask = tg.Tensor([1.0, 0.0])
    odd.result = odd.weight * 2
    odd.array = np.ones(3)
    odd.missing = None
    assert names(odd) == ["weight"]
    odd.weight = None
    assert names(odd) == []


def test_lists_tuples_and_dictionaries_are_searched():
    class Odd(nn.Module):
        def __init__(self):
            self.layers = [linear(2, 2), "no module", linear(2, 1)]
            self.params = {"W1": leaf(2), "b1": leaf(1)}
            self.pair = (leaf(1), nn.Sigmoid())

    odd = Odd()
    odd.layers.append(linear(1, 1, bias=False))
    expected = ["params.W1", "params.b1", "pair.0", "layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"]
    assert names(odd) == [*expected, "layers.3.weight"]
    assert [name for name, _ in odd.named_children()] == ["layers.0", "layers.2", "layers.3", "pair.1"]
    assert odd.params["W1"].name == "params.W1"


def test_a_shared_parameter_comes_once_under_its_first_name():
    net = Net()
    net.tied = net.hidden.weight
    net.again = net.output
    assert names(net) == ["scale", "tied", "hidden.bias", "output.weight"]


def test_modules_in_a_circle_are_walked_once():
    parent, child = nn.Module(), nn.Module()
    parent.child, child.parent, child.weight = child, parent, leaf(3)
    assert names(parent) == ["child.weight"]
    assert repr(parent).splitlines() == ["Module(): 3 parameters", "  child = Module(): 3 parameters", "    parent = ..."]


def test_a_parameter_is_named_after_its_attribute_once():
    module = nn.Module()
    module.weight, module.other = leaf(1), leaf(1, name="W")
    module.alias = module.weight
    module.constant = tg.Tensor(1.0)
    assert (module.weight.name, module.other.name, module.constant.name) == ("weight", "W", None)


def test_zero_grad():
    net = Net()
    net(np.ones((1, 4))).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    net.zero_grad()
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("make_copy", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_is_independent(make_copy):
    net = Net()
    other = make_copy(net)
    assert names(other) == names(net)
    for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(mine.data, theirs.data)
        assert not np.shares_memory(mine.data, theirs.data)


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty has no forward: define `def forward\(self, x\)` in the class"):
        Empty()(1.0)


def test_call_passes_everything_on():
    class Weighted(nn.Module):
        def forward(self, a, b, *, scale=1):
            return (a, b, scale)

    assert Weighted()(1, b=2, scale=3) == (1, 2, 3)


def test_repr_counts():
    assert repr(Net()) == (
        "Net(): 22 parameters\n  hidden = Linear(4, 3): 15 parameters\n  output = Linear(3, 2, bias=False): 6 parameters"
    )
    assert repr(nn.ReLU()) == "ReLU()"
    assert repr(linear(1, 1, bias=False)) == "Linear(1, 1, bias=False): 1 parameter"
    assert repr(linear(784, 50)) == "Linear(784, 50): 39,250 parameters"


# ---------------------------------------------------------------------------------------------------- scopes in the graph


def scope_of(tensor: tg.Tensor) -> tuple[str, ...]:
    return tensor._node.scope


class Spy(nn.Module):
    """Keeps the scope that its forward ran in."""

    def forward(self, x):
        self.seen = MODE.get().scope
        return x


def test_nodes_know_the_module_that_recorded_them():
    net = Net()
    y = net(np.ones((1, 4)))
    assert scope_of(y) == ("Net",)
    product = y._node.inputs[0]
    assert product.scope == ("Net", "output: Linear")
    assert product.inputs[0].scope == ("Net",)  # the sigmoid is a function, called by the net itself
    assert product.inputs[0].inputs[0].scope == ("Net", "hidden: Linear")
    assert scope_of(net.scale * 2) == ()


def test_items_of_a_sequential_are_called_by_their_number():
    spies = [Spy(), Spy()]
    nn.Sequential(nn.Sequential(spies[0]), spies[1])(1)
    assert spies[0].seen == ("Sequential", "0: Sequential", "0: Spy")
    assert spies[1].seen == ("Sequential", "1: Spy")


def test_a_module_has_the_name_that_its_caller_gives_it():
    class Caller(nn.Module):
        def __init__(self, callee):
            self.mine = callee

        def forward(self, x):
            return self.mine(x)

    class Wrapper(nn.Module):
        def __init__(self, inner):
            self.inner = inner

        def forward(self, x):
            return self.inner.mine(x)

    spy = Spy()
    one, two = Caller(spy), nn.Sequential(spy)
    one(1)
    assert spy.seen == ("Caller", "mine: Spy")
    two(1)
    assert spy.seen == ("Sequential", "0: Spy")
    spy(1)
    assert spy.seen == ("Spy",)
    Wrapper(one)(1)  # not a child of the caller, but further down
    assert spy.seen == ("Wrapper", "inner.mine: Spy")


def test_a_module_made_on_the_fly_has_its_class_only():
    class Outer(nn.Module):
        def forward(self, x):
            self_made = Spy()
            self_made(x)
            return self_made.seen

    assert Outer()(1) == ("Outer", "Spy")


def test_a_module_that_calls_itself():
    class Recursive(nn.Module):
        def forward(self, n):
            return MODE.get().scope if n == 0 else self(n - 1)

    assert Recursive()(2) == ("Recursive", "Recursive", "Recursive")


def test_state_is_restored_when_forward_raises():
    class Failing(nn.Module):
        def forward(self, x):
            raise RuntimeError("on purpose")

    before = MODE.get()
    with pytest.raises(RuntimeError, match="on purpose"):
        nn.Sequential(Spy(), Failing())(1)
    assert MODE.get() is before
    assert RUNNING.get() is None


def test_a_call_keeps_the_rest_of_the_mode():
    net = linear(2, 2)
    with tg.no_grad():
        assert not net(np.ones((1, 2))).requires_grad
    x = tg.Tensor(np.ones((1, 2)))
    with tg.guard():
        y = net(x).sum()
    x.data[0, 0] = 5.0
    with pytest.raises(MutationError, match="matmul saved for backward has changed"):
        y.backward()


def test_threads_do_not_see_each_other():
    inside, done = threading.Event(), threading.Event()

    class Waiting(nn.Module):
        def forward(self, x):
            inside.set()
            assert done.wait(10)

    thread = threading.Thread(target=Waiting(), args=(1,))
    thread.start()
    assert inside.wait(10)
    spy = Spy()
    spy(1)
    done.set()
    thread.join(10)
    assert spy.seen == ("Spy",)


# ------------------------------------------------------------------------------------------------------------- layers


@given(st.integers(1, 5), st.integers(1, 5), st.lists(st.integers(0, 3), max_size=3), st.booleans())
def test_linear_is_its_formula(inputs, outputs, leading, bias):
    layer = linear(inputs, outputs, bias=bias)
    x = np.random.default_rng(1).standard_normal((*leading, inputs))
    expected = x @ layer.weight.data.T + (layer.bias.data if bias else 0)
    np.testing.assert_array_equal(layer(x).data, expected)
    assert layer.weight.shape == (outputs, inputs)
    affine = nn.Affine(inputs, outputs, bias, rng=np.random.default_rng(0))
    assert affine.weight.shape == (inputs, outputs)
    np.testing.assert_array_equal(affine(x).data, x @ affine.weight.data + (affine.bias.data if bias else 0))


def test_gradients_of_a_net_are_right():
    class TwoLayers(nn.Module):
        def __init__(self, w1, b1, w2, b2):
            self.first, self.second = linear(3, 4), linear(4, 2)
            self.first.weight, self.first.bias, self.second.weight, self.second.bias = w1, b1, w2, b2

        def forward(self, x):
            return functional.cross_entropy(self.second(functional.sigmoid(self.first(x))), np.array([0, 1, 1, 0, 1]))

    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((5, 3), (4, 3), (4,), (2, 4), (2,))]
    report = tg.testing.assert_gradients(lambda x, *parameters: TwoLayers(*parameters)(x), *arrays, order=1)
    assert report.worst_error < 1e-8


def test_bias_gets_the_column_sums():
    layer = linear(3, 2)
    g = np.arange(10.0).reshape(5, 2)
    layer(np.ones((5, 3))).backward(g)
    np.testing.assert_array_equal(layer.bias.grad.data, g.sum(axis=0))
    np.testing.assert_array_equal(layer.weight.grad.data, g.T @ np.ones((5, 3)))


def test_a_layer_shared_by_two_inputs_adds_both_gradients():
    layer = nn.Linear(1, 1, bias=False)
    (layer(np.array([[3.0]])) + layer(np.array([[5.0]]))).sum().backward()
    assert layer.weight.grad.tolist() == [[8.0]]


def test_initial_weights_are_uniform_and_reproducible():
    layer = linear(100, 200)
    drawn = np.concatenate([layer.weight.data.ravel(), layer.bias.data])
    assert np.abs(drawn).max() <= 0.1
    assert np.abs(drawn).max() > 0.0999
    assert abs(drawn.mean()) < 0.002
    assert abs(drawn.std() - 0.1 / np.sqrt(3)) < 0.001
    np.testing.assert_array_equal(layer.weight.data, linear(100, 200).weight.data)
    assert not np.array_equal(nn.Linear(2, 3).weight.data, nn.Linear(2, 3).weight.data)


def test_float32_stays_float32():
    net = nn.Sequential(linear(3, 4, dtype=np.float32), nn.Sigmoid(), nn.ReLU(), linear(4, 2, dtype="float32"))
    loss = functional.cross_entropy(net(np.ones((2, 3), np.float32)), np.array([0, 1]))
    loss.backward()
    assert loss.dtype == np.float32
    assert all(p.dtype == p.grad.dtype == np.float32 for p in net.parameters())


@pytest.mark.parametrize("shape", [(5, 3), (5, 5), (3,), (), (2, 5, 3), (0, 3)])
def test_a_wrong_input_width_is_named(shape):
    expected = f"Linear(4, 2): 10 parameters needs an input whose last axis has length 4, got shape {shape}"
    with pytest.raises(ShapeError) as caught:
        linear(4, 2)(np.ones(shape))
    assert str(caught.value) == expected


def test_images_are_to_be_flattened():
    with pytest.raises(ShapeError, match=r"got shape \(5, 8, 8\); flatten each example first, with x.reshape\(5, -1\)$"):
        linear(64, 2)(np.ones((5, 8, 8)))


def test_bad_options_of_linear():
    with pytest.raises(ShapeError, match="in_features and out_features are at least 1, got 0 and 2"):
        nn.Linear(0, 2)
    with pytest.raises(DTypeError, match=r"rng is a numpy Generator, got int: pass rng=np.random.default_rng\(seed\)"):
        nn.Linear(2, 2, rng=0)
    with pytest.raises(DTypeError, match="only floating and complex tensors can require grad, and this one is int64"):
        nn.Linear(2, 2, dtype=int)


def test_sequential():
    layers = [linear(3, 4), nn.Sigmoid(), linear(4, 2)]
    net = nn.Sequential(*layers)
    x = np.random.default_rng(0).random((5, 3))
    np.testing.assert_array_equal(net(x).data, layers[2](tg.sigmoid(layers[0](x))).data)
    assert list(net) == layers
    assert (len(net), net[0], net[-1]) == (3, layers[0], layers[2])
    assert names(net) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert nn.Sequential()(7) == 7


def test_sequential_takes_modules_only():
    with pytest.raises(DTypeError, match=r"Sequential: item 1 is a \w+, not a Module: pass modules one by one"):
        nn.Sequential(linear(3, 4), tg.sigmoid)
    with pytest.raises(DTypeError, match="item 0 is a list, not a Module"):
        nn.Sequential([linear(3, 4)])


# --------------------------------------------------------------------------------------------------------- functional


def test_functions_are_the_operations():
    assert (functional.sigmoid, functional.relu, functional.gelu) == (tg.sigmoid, tg.relu, tg.gelu)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("target", [[2, 0], [[0.1, 0.2, 0.7], [1.0, 0.0, 0.0]]])
def test_cross_entropy_is_the_operation(reduction, target):
    logits = tg.Tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]], requires_grad=True)
    ours = functional.cross_entropy(logits, tg.Tensor(target), reduction=reduction)
    np.testing.assert_array_equal(ours.data, tg.softmax_cross_entropy(logits, target, reduction).data)
    assert ours.requires_grad


def test_cross_entropy_refuses_a_column_of_labels():
    with pytest.raises(LabelError, match=re.escape("labels.reshape(-1)")):
        functional.cross_entropy(tg.Tensor(np.zeros((2, 3))), [[0], [1]])
