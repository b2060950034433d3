"""Schedules and clipping: their formulas, PyTorch's numbers, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import optim
from tinygrad_edu.errors import AnomalyError, ArgumentError


def sgd(lr=0.5, groups=1, **options) -> optim.SGD:
    return optim.SGD([{"params": [tg.Tensor(1.0, requires_grad=True)], "lr": lr * 2**i} for i in range(groups)], lr=lr, **options)


def rates(schedule, steps) -> list[float]:
    found = [schedule.optimizer.lr]
    for _ in range(steps):
        schedule.step()
        found.append(schedule.optimizer.lr)
    return found


MAKERS = {
    "StepLR": lambda o: optim.StepLR(o, 3, 0.5),
    "CosineAnnealingLR": lambda o: optim.CosineAnnealingLR(o, 20, eta_min=0.01),
    "LinearLR": lambda o: optim.LinearLR(o, 0.1, 1.0, 7),
    "OneCycleLR": lambda o: optim.OneCycleLR(o, max_lr=1.0, total_steps=21),
    "SequentialLR": lambda o: optim.SequentialLR(o, [optim.LinearLR(o, 0.1, 1, 5), optim.CosineAnnealingLR(o, 15)], [5]),
}


@pytest.mark.parametrize("name", MAKERS)
def test_schedules_agree_with_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    s = torch.optim.lr_scheduler
    theirs = {
        "StepLR": lambda o: s.StepLR(o, 3, 0.5),
        "CosineAnnealingLR": lambda o: s.CosineAnnealingLR(o, 20, eta_min=0.01),
        "LinearLR": lambda o: s.LinearLR(o, 0.1, 1.0, 7),
        "OneCycleLR": lambda o: s.OneCycleLR(o, max_lr=1.0, total_steps=21),
        "SequentialLR": lambda o: s.SequentialLR(o, [s.LinearLR(o, 0.1, 1, 5), s.CosineAnnealingLR(o, 15)], [5]),
    }[name]
    mine = sgd(momentum=0.9)
    other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5, momentum=0.9)
    schedule, reference = MAKERS[name](mine), theirs(other)
    for _ in range(20):
        assert mine.lr == pytest.approx(other.param_groups[0]["lr"], rel=1e-10, abs=1e-12)
        assert mine.param_groups[0]["momentum"] == pytest.approx(other.param_groups[0]["momentum"], rel=1e-10)
        other.step()
        reference.step()
        schedule.step()


@pytest.mark.parametrize("seed", range(5))
def test_reduce_on_plateau_agrees_with_pytorch(seed):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(seed)
    options = {
        "mode": str(rng.choice(["min", "max"])),
        "factor": 0.5,
        "patience": int(rng.integers(0, 3)),
        "threshold": 0.05,
        "threshold_mode": str(rng.choice(["rel", "abs"])),
        "cooldown": int(rng.integers(0, 3)),
        "min_lr": 0.01,
    }
    mine, other = sgd(), torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule, reference = optim.ReduceLROnPlateau(mine, **options), torch.optim.lr_scheduler.ReduceLROnPlateau(other, **options)
    for metric in 1 + rng.standard_normal(60).cumsum() * 0.1:
        schedule.step(metric)
        reference.step(metric)
        assert mine.lr == pytest.approx(other.param_groups[0]["lr"], rel=1e-12)
    assert mine.lr < 0.5


def test_warm_up_and_cosine():
    optimiser = sgd(1.0)
    warm_up = optim.LinearLR(optimiser, start_factor=0.25, total_iters=3)
    assert rates(warm_up, 4) == [0.25, 0.5, 0.75, 1.0, 1.0]
    cosine = optim.CosineAnnealingLR(sgd(1.0), T_max=2, eta_min=0.1)
    assert rates(cosine, 3) == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_one_cycle():
    schedule = optim.OneCycleLR(sgd(momentum=0.9), max_lr=1.0, total_steps=11, pct_start=0.4)
    found = rates(schedule, 10)
    assert found[0] == pytest.approx(1 / 25)
    assert max(found) < 1.0 + 1e-12
    top = int(np.argmax(found))
    assert top in (3, 4)
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert found[-1] == pytest.approx(1 / 25 / 1e4)
    assert schedule.optimizer.param_groups[0]["momentum"] == pytest.approx(0.95)
    with pytest.raises(ArgumentError, match="OneCycleLR: made for total_steps=11, and this is step 12"):
        schedule.step()


def test_one_cycle_counts_epochs_and_steps():
    schedule = optim.OneCycleLR(sgd(momentum=0.9), 1.0, epochs=3, steps_per_epoch=4)
    assert schedule.total_steps == 12
    assert schedule.get_last_lr() == [schedule.optimizer.lr]
    with pytest.raises(
        ArgumentError, match="OneCycleLR: how many steps are there. Pass total_steps, or epochs and steps_per_epoch"
    ):
        optim.OneCycleLR(sgd(momentum=0.9), 1.0, epochs=3)


def test_one_cycle_moves_adams_first_beta():
    optimiser = optim.Adam([tg.Tensor(1.0, requires_grad=True)])
    optim.OneCycleLR(optimiser, 0.1, 10)
    assert optimiser.param_groups[0]["betas"] == (0.95, 0.999)
    with pytest.raises(ArgumentError, match="AdaGrad has no momentum to go up and down: pass cycle_momentum=False"):
        optim.OneCycleLR(optim.AdaGrad([tg.Tensor(1.0, requires_grad=True)]), 0.1, 10)


def test_every_group_keeps_its_proportion():
    optimiser = sgd(1.0, groups=2)
    schedule = optim.StepLR(optimiser, 1, 0.5)
    schedule.step()
    assert [group["lr"] for group in optimiser.param_groups] == [0.5, 1.0]


@pytest.mark.parametrize("name", [*MAKERS, "plateau"])
def test_a_restored_schedule_goes_on(name):
    def make():
        optimiser = sgd(momentum=0.9)
        return optim.ReduceLROnPlateau(optimiser, patience=1) if name == "plateau" else MAKERS[name](optimiser)

    def go(schedule, steps):
        found = []
        for i in steps:
            schedule.step(*([1.0 + i % 2] if name == "plateau" else []))
            found.append((schedule.optimizer.lr, schedule.optimizer.param_groups[0]["momentum"]))
        return found

    whole = go(make(), range(16))
    first, second = make(), make()
    go(first, range(7))
    second.load_state_dict(first.state_dict())
    assert second.optimizer.lr == first.optimizer.lr
    assert go(second, range(7, 16)) == whole[7:]


def test_an_optimiser_with_a_schedule_can_be_saved():
    optimiser = sgd()
    optim.StepLR(optimiser, 1).step()
    other = sgd()
    other.load_state_dict(optimiser.state_dict())
    assert other.lr == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: optim.StepLR(o, 0), "StepLR: step_size is a whole number from 1 on, got 0"),
        (lambda o: optim.CosineAnnealingLR(o, 1.5), "CosineAnnealingLR: T_max is a whole number from 1 on, got 1.5"),
        (lambda o: optim.StepLR(o, 1, every="batch"), "StepLR: every is 'epoch' or 'step', got 'batch'"),
        (
            lambda o: optim.OneCycleLR(o, 1, 10, pct_start=2),
            "OneCycleLR: pct_start is a share of the steps, between 0 and 1, got 2",
        ),
        (lambda o: optim.ReduceLROnPlateau(o, factor=1), "ReduceLROnPlateau: factor is between 0 and 1, got 1"),
        (lambda o: optim.ReduceLROnPlateau(o, mode="less"), "mode is 'min' or 'max'"),
        (
            lambda o: optim.SequentialLR(o, [optim.StepLR(o, 1)], [3]),
            r"SequentialLR: between 1 schedules there are 0 rising milestones, got \[3\]",
        ),
    ],
)
def test_what_schedules_refuse(make, message):
    with pytest.raises(ArgumentError, match=message):
        make(sgd())


# -------------------------------------------------------------------------------------------------------------- clipping


def with_gradients(*gradients, dtype=float) -> list[tg.Tensor]:
    params = [tg.Tensor(np.zeros(np.shape(g)), requires_grad=True, dtype=dtype) for g in gradients]
    for parameter, gradient in zip(params, gradients, strict=True):
        parameter.grad = np.asarray(gradient, dtype)
    return [*params, tg.Tensor(0.0, requires_grad=True)]  # one without a gradient


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipping_the_norm(norm_type, max_norm):
    rng = np.random.default_rng(0)
    gradients = [rng.standard_normal((3, 4)), rng.standard_normal(5)]
    params = with_gradients(*gradients)
    joined = np.concatenate([g.ravel() for g in gradients])
    norm = np.linalg.norm(joined, norm_type)
    assert optim.clip_grad_norm_(params, max_norm, norm_type) == pytest.approx(norm, rel=1e-14)
    scale = min(1, max_norm / (norm + 1e-6))
    for parameter, gradient in zip(params, gradients, strict=False):
        np.testing.assert_allclose(parameter.grad.data, gradient * scale, rtol=1e-14)


def test_clipping_agrees_with_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for seed in range(10):
        rng = np.random.default_rng(seed)
        gradients = [rng.standard_normal((3, 4)) * 10, rng.standard_normal(5)]
        params, p, limit = with_gradients(*gradients), float(rng.choice([1, 2, 3, math.inf])), float(rng.uniform(0.1, 50))
        others = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in gradients]
        for other, gradient in zip(others, gradients, strict=True):
            other.grad = torch.tensor(gradient)
        theirs = torch.nn.utils.clip_grad_norm_(others, limit, p)
        assert optim.clip_grad_norm_(params, limit, p) == pytest.approx(theirs.item(), rel=1e-10)
        for parameter, other in zip(params, others, strict=False):
            np.testing.assert_allclose(parameter.grad.data, other.grad.numpy(), rtol=1e-10)


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_squares_that_leave_the_range_of_float32(scale):
    params = with_gradients([3 * scale, 4 * scale], dtype=np.float32)
    assert optim.clip_grad_norm_(params, 1e-35) == pytest.approx(5 * scale, rel=1e-6)


def test_clipping_values():
    params = with_gradients([[-3.0, 0.5], [2.0, -0.1]])
    array = params[0].grad.data
    optim.clip_grad_value_(params, 1.0)
    assert params[0].grad.data is array
    assert array.tolist() == [[-1, 0.5], [1, -0.1]]


def test_a_gradient_that_is_a_result_is_replaced():
    w = tg.Tensor([3.0, 4.0], requires_grad=True)
    (w**2).sum().backward(create_graph=True)
    optim.clip_grad_norm_([w], 1.0)
    np.testing.assert_allclose(w.grad.data, [0.6, 0.8], rtol=1e-5)


def test_what_clipping_refuses():
    with pytest.raises(ArgumentError, match="max_norm and norm_type are positive, got 0 and 2.0"):
        optim.clip_grad_norm_([], 0)
    with pytest.raises(ArgumentError, match="clip_value is positive, got -1"):
        optim.clip_grad_value_([], -1)
    with pytest.raises(AnomalyError, match=r"the 2-norm of the gradients is nan, and cannot be scaled to 1; tg.detect_anomaly"):
        optim.clip_grad_norm_(with_gradients([math.nan]), 1.0, error_if_nonfinite=True)
    assert optim.clip_grad_norm_([], 1.0) == 0.0
