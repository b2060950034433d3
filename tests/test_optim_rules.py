"""Every optimiser: its rule against a plain one and against PyTorch's, state, groups, and plain arrays."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
from optimising import CLASSES, gradients, leaves, run

import tinygrad_edu as tg
from tinygrad_edu import optim
from tinygrad_edu.errors import ArgumentError, DTypeError, GraphError, ShapeError

# --------------------------------------------------------------------------------------------- the rules, written plainly


def plain_momentum(p, gs, lr, mu):
    v = 0 * p
    for g in gs:  # as the book writes it: v is the step itself
        v = mu * v - lr * g
        p = p + v
    return p


def plain_adagrad(p, gs, lr):
    h = 0 * p
    for g in gs:
        h = h + g**2
        p = p - lr * g / (np.sqrt(h) + 1e-10)
    return p


def plain_rmsprop(p, gs, lr, alpha):
    h = 0 * p
    for g in gs:
        h = alpha * h + (1 - alpha) * g**2
        p = p - lr * g / (np.sqrt(h) + 1e-8)
    return p


def plain_adam(p, gs, lr, b1, b2, decay=0.0):
    m = v = 0 * p
    for t, g in enumerate(gs, 1):
        p = p * (1 - lr * decay)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        p = p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
    return p


def plain_lion(p, gs, lr, b1, b2, decay):
    m = 0 * p
    for g in gs:
        step = np.sign(b1 * m + (1 - b1) * g)
        p = p - lr * (step + decay * p)
        m = b2 * m + (1 - b2) * g
    return p


@pytest.mark.parametrize(
    ("make", "plain"),
    [
        (lambda p: optim.SGD(p, 0.1, momentum=0.9), lambda p, g: plain_momentum(p, g, 0.1, 0.9)),
        (lambda p: optim.AdaGrad(p, 0.1), lambda p, g: plain_adagrad(p, g, 0.1)),
        (lambda p: optim.RMSprop(p, 0.1, alpha=0.8), lambda p, g: plain_rmsprop(p, g, 0.1, 0.8)),
        (lambda p: optim.Adam(p, 0.1, betas=(0.8, 0.95)), lambda p, g: plain_adam(p, g, 0.1, 0.8, 0.95)),
        (lambda p: optim.AdamW(p, 0.1, weight_decay=0.3), lambda p, g: plain_adam(p, g, 0.1, 0.9, 0.999, 0.3)),
        (lambda p: optim.Lion(p, 0.1, weight_decay=0.3), lambda p, g: plain_lion(p, g, 0.1, 0.9, 0.99, 0.3)),
    ],
)
def test_a_rule_is_its_formula(make, plain):
    params, steps = leaves(), gradients(7)
    expected = [plain(p.numpy(), [step[i] for step in steps]) for i, p in enumerate(params)]
    for mine, theirs in zip(run(make(params), params, steps), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-13)


# ----------------------------------------------------------------------------------------------------- PyTorch's, at random


def configuration(cls, rng) -> dict:
    """Random options of an optimiser that PyTorch has, too."""
    options = {"lr": float(10 ** rng.uniform(-3, 0)), "weight_decay": float(rng.choice([0, rng.uniform(0, 0.5)]))}
    coin = lambda: bool(rng.integers(2))
    if cls is optim.SGD:
        momentum = float(rng.choice([0, 0.5, 0.9]))
        options |= {"momentum": momentum, "nesterov": bool(momentum) and coin()}
        options["dampening"] = 0.0 if options["nesterov"] else float(rng.choice([0, 0.3]))
    elif cls is optim.AdaGrad:
        options |= {"lr_decay": float(rng.choice([0, 0.1])), "initial_accumulator_value": float(rng.choice([0, 0.2]))}
    elif cls is optim.RMSprop:
        options |= {"alpha": float(rng.uniform(0.5, 0.99)), "momentum": float(rng.choice([0, 0.7])), "centered": coin()}
    else:
        options |= {"betas": (float(rng.uniform(0.5, 0.95)), float(rng.uniform(0.8, 0.999))), "amsgrad": coin()}
    return options


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls is not optim.Lion])
def test_it_agrees_with_pytorch(cls, seed):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    options = configuration(cls, np.random.default_rng(seed))
    params, steps = leaves(seed=seed), gradients(12, seed=seed + 100)
    others = [torch.tensor(p.numpy(), requires_grad=True) for p in params]
    theirs = getattr(torch.optim, {"AdaGrad": "Adagrad"}.get(cls.__name__, cls.__name__))(others, **options)
    for step in steps:
        for other, gradient in zip(others, step, strict=True):
            other.grad = torch.tensor(gradient)
        theirs.step()
    for mine, other in zip(run(cls(params, **options), params, steps), others, strict=True):
        np.testing.assert_allclose(mine, other.detach().numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls is not optim.Lion])
def test_the_defaults_are_pytorchs(cls):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = getattr(torch.optim, {"AdaGrad": "Adagrad"}.get(cls.__name__, cls.__name__))([torch.zeros(1, requires_grad=True)])
    mine = cls(leaves()).defaults
    assert mine == {name: theirs.defaults[name] for name in mine}


# ---------------------------------------------------------------------------------------------------------------- state


@pytest.mark.parametrize("cls", CLASSES)
def test_a_restored_optimiser_goes_on_to_the_same_numbers(cls):
    options = {"momentum": 0.9} if cls in (optim.SGD, optim.RMSprop) else {}
    steps = gradients(10)
    params = leaves()
    optimiser = cls([{"params": params[:1], "lr": 0.05}, {"params": params[1:]}], lr=0.1, **options)
    run(optimiser, params, steps[:5])
    state = copy.deepcopy(optimiser.state_dict())
    others = [tg.Tensor(p.data, requires_grad=True) for p in params]
    restored = cls([{"params": others[:1]}, {"params": others[1:]}])
    restored.load_state_dict(state)
    for mine, theirs in zip(run(optimiser, params, steps[5:]), run(restored, others, steps[5:]), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    json.dumps(state["param_groups"])  # plain data
    assert restored.param_groups[0]["lr"] == 0.05


def test_state_is_a_copy():
    params = leaves([(2,)])
    optimiser = optim.Adam(params)
    run(optimiser, params, gradients(1, [(2,)]))
    state = optimiser.state_dict()
    kept = state["state"]["0"]["exp_avg"].copy()
    run(optimiser, params, gradients(1, [(2,)], seed=5))
    np.testing.assert_array_equal(state["state"]["0"]["exp_avg"], kept)


def test_state_that_does_not_fit():
    params = leaves([(2,), (3,)])
    optimiser = optim.Adam(params)
    run(optimiser, params, gradients(1, [(2,), (3,)]))
    state = optimiser.state_dict()
    with pytest.raises(ArgumentError, match=r"Adam: the state is of groups with \[2\] parameters, and this optimiser has \[1\]"):
        optim.Adam(leaves([(2,)])).load_state_dict(state)
    with pytest.raises(ArgumentError, match=r"SGD: the state has the options lr, betas.*is it of another kind of optimiser\?"):
        optim.SGD(leaves([(2,), (3,)])).load_state_dict(state)
    other = optim.Adam(leaves([(2,), (4,)]))
    with pytest.raises(ShapeError, match=r"Adam: exp_avg of parameter 1 has shape \(3,\), and the parameter \(4,\)"):
        other.load_state_dict(state)
    assert other.state == {}


# ---------------------------------------------------------------------------------------------------------------- groups


def test_groups_have_their_own_options():
    params = leaves([(2,), (2,)])
    before = [p.numpy() for p in params]
    optimiser = optim.SGD([{"params": params[:1], "lr": 1.0}, {"params": params[1:]}], lr=0.1)
    ends = run(optimiser, params, [[np.ones(2), np.ones(2)]])
    np.testing.assert_allclose([b - e for b, e in zip(before, ends, strict=True)], [[1, 1], [0.1, 0.1]])
    optimiser.lr = 0.5
    assert [group["lr"] for group in optimiser.param_groups] == [0.5, 0.5]
    optimiser.add_param_group({"params": leaves([(1,)]), "momentum": 0.9})
    assert [group["momentum"] for group in optimiser.param_groups] == [0, 0, 0.9]


def test_groups_that_do_not_fit():
    (w,) = leaves([(2,)])
    with pytest.raises(ArgumentError, match="SGD: a group has the option 'betas', and this optimiser has lr, momentum"):
        optim.SGD([{"params": [w], "betas": (0.9, 0.99)}], lr=1)
    with pytest.raises(ArgumentError, match=r"a group is a dictionary with its tensors under 'params', got \['lr'\]"):
        optim.SGD([{"lr": 0.1}], lr=1)
    with pytest.raises(ArgumentError, match="parameter 0 is in the list twice"):
        optim.SGD([{"params": [w]}, {"params": [w]}], lr=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD(p, 0.1, momentum=1.0), "SGD: momentum is at least 0 and below 1, got 1.0"),
        (lambda p: optim.SGD(p, 0.1, weight_decay=-1), "SGD: weight_decay is at least 0, got -1"),
        (lambda p: optim.SGD(p, 0.1, nesterov=True), "Nesterov's rule looks ahead along the momentum"),
        (lambda p: optim.Adam(p, betas=(0.9, 1.0)), "Adam: betas is at least 0 and below 1, got 1.0"),
        (lambda p: optim.Adam(p, eps=math.nan), "Adam: eps is at least 0, got nan"),
        (lambda p: optim.RMSprop(p, alpha=-0.1), "RMSprop: alpha is at least 0 and below 1, got -0.1"),
        (lambda p: optim.Lion(p, lr=0), "Lion: the learning rate is a positive number, got 0"),
    ],
)
def test_options_out_of_range(make, message):
    with pytest.raises(ArgumentError, match=message):
        make(leaves())


# ------------------------------------------------------------------------------------------------ the notes' update()


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("kind", [dict, list])
def test_update_of_plain_arrays_is_step_of_tensors(cls, kind):
    params, steps = leaves(), gradients(4)
    names = [f"W{i}" for i in range(len(params))]
    collect = lambda values: dict(zip(names, values, strict=True)) if kind is dict else list(values)
    arrays = [p.numpy() for p in params]
    plain, optimiser = collect(arrays), cls(lr=0.1)
    for step in steps:
        optimiser.update(plain, collect(step))
    for mine, theirs in zip(arrays, run(cls(params, lr=0.1), params, steps), strict=True):
        np.testing.assert_array_equal(mine, theirs)  # changed in place, so the caller's own arrays


def test_update_of_tensors():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    optim.SGD(lr=0.5).update({"w": w}, {"w": tg.Tensor([1.0, 1.0])})
    assert w.tolist() == [0.5, 1.5]


def test_update_state_can_be_restored():
    w, other = np.ones(2), np.ones(2)
    first, second = optim.Adam(lr=0.1), optim.Adam(lr=0.3)
    first.update([w], [np.array([1.0, 2.0])])
    second.load_state_dict(first.state_dict())
    other[:] = w
    first.update([w], [np.array([3.0, 1.0])])
    second.update([other], [np.array([3.0, 1.0])])
    np.testing.assert_array_equal(w, other)


def test_what_update_refuses():
    optimiser = optim.SGD(lr=0.1)
    with pytest.raises(ArgumentError, match=r"SGD.update: params and grads are two lists .* got \['W'\] and \['b'\]"):
        optimiser.update({"W": np.ones(2)}, {"b": np.ones(2)})
    with pytest.raises(ShapeError, match=r"the gradient of 'W' has shape \(3,\), and the parameter \(2,\)"):
        optimiser.update({"W": np.ones(2)}, {"W": np.ones(3)})
    with pytest.raises(DTypeError, match="parameter 0 is int64, and it is changed in place: make it a floating array"):
        optimiser.update([np.ones(2, int)], [np.ones(2)])
    with pytest.raises(DTypeError, match="params and grads are lists or dictionaries of arrays, got a ndarray"):
        optimiser.update(np.ones(2), np.ones(2))
    with pytest.raises(GraphError, match=r"SGD was made without parameters: step\(\) needs SGD\(model.parameters\(\), ...\)"):
        optimiser.step()


def test_a_rule_has_to_be_defined():
    class Nothing(optim.Optimizer):
        pass

    (w,) = leaves([(2,)])
    w.grad = np.ones(2)
    with pytest.raises(NotImplementedError, match=r"Nothing has no rule: define `def rule\(self, options, step\)`"):
        Nothing([w], lr=0.1).step()
