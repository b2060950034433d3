"""Learning-rate schedules. Counterpart: ``torch.optim.lr_scheduler``, with the same names and numbers.

All but `ReduceLROnPlateau` are functions of how often ``step()`` was called: `LRScheduler.rates` says what the learning rates are
after t calls, so a schedule can be drawn, joined with others and restored without being replayed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tinygrad_edu.errors import ArgumentError

if TYPE_CHECKING:
    from tinygrad_edu.optim.optimizer import Optimizer


class LRScheduler:
    """Base class: a subclass says by which factor the learning rate that the optimiser started with is multiplied after t calls
    of ``step()``.

    ``every`` says how often `tinygrad_edu.training.fit` calls ``step()``: after every "epoch" or every "step" of the optimiser.
    Counterpart: ``torch.optim.lr_scheduler.LambdaLR``.

    >>> import tinygrad_edu as tg
    >>> class Halving(tg.optim.LRScheduler):
    ...     def factor(self, t):
    ...         return 0.5**t
    >>> optimiser = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=0.8)
    >>> schedule = Halving(optimiser)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> optimiser.lr
    0.2
    """

    def __init__(self, optimizer: Optimizer, *, every: Literal["epoch", "step"] = "epoch") -> None:
        if every not in ("epoch", "step"):
            raise ArgumentError(f"{type(self).__name__}: every is 'epoch' or 'step', got {every!r}")
        self.optimizer = optimizer
        self.every = every
        self.count = 0
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])  # a second schedule starts where the first did
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self._set()

    def factor(self, t: int) -> float:
        """What the first learning rate is multiplied by after t calls of ``step()``."""
        raise NotImplementedError(f"{type(self).__name__} has no factor: define `def factor(self, t)` in the class")

    def rates(self, t: int) -> list[float]:
        """The learning rate of each group after t calls of ``step()``."""
        factor = self.factor(t)
        return [base * factor for base in self.base_lrs]

    def step(self) -> None:
        """Count one epoch, or one step, and set the learning rates."""
        self.count += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group, as it is now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set(self) -> None:
        for group, rate in zip(self.optimizer.param_groups, self.rates(self.count), strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on from here."""
        return {"count": self.count, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from where the schedule was that gave this state, and set its learning rates."""
        self.count, self.base_lrs = int(state_dict["count"]), list(state_dict["base_lrs"])
        self._set()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(after {self.count} {self.every}s: lr={self.optimizer.lr:g})"


class StepLR(LRScheduler):
    """lr · γ ^ ⌊t / step_size⌋

    Counterpart: ``torch.optim.lr_scheduler.StepLR``.

    >>> import tinygrad_edu as tg
    >>> optimiser = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=0.5)
    >>> schedule = tg.optim.StepLR(optimiser, step_size=2, gamma=0.5)
    >>> [schedule.rates(t)[0] for t in range(5)]
    [0.5, 0.5, 0.25, 0.25, 0.125]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, *, every: Literal["epoch", "step"] = "epoch"
    ) -> None:
        self.step_size = _at_least("StepLR", "step_size", step_size, 1)
        self.gamma = float(gamma)
        super().__init__(optimizer, every=every)

    def factor(self, t: int) -> float:
        return self.gamma ** (t // self.step_size)


class CosineAnnealingLR(LRScheduler):
    """η + (lr − η) (1 + cos(π t / T)) / 2, from lr down to η = eta_min after T = T_max calls; from then on η

    I. Loshchilov, F. Hutter, *SGDR: stochastic gradient descent with warm restarts* (2017), without the restarts; counterpart:
    ``torch.optim.lr_scheduler.CosineAnnealingLR`` (which climbs again after T).

    >>> import tinygrad_edu as tg
    >>> optimiser = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.CosineAnnealingLR(optimiser, T_max=4)
    >>> [round(schedule.rates(t)[0], 3) for t in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,  # noqa: N803 - PyTorch's name
        eta_min: float = 0.0,
        *,
        every: Literal["epoch", "step"] = "epoch",
    ) -> None:
        self.T_max = _at_least("CosineAnnealingLR", "T_max", T_max, 1)
        self.eta_min = float(eta_min)
        super().__init__(optimizer, every=every)

    def rates(self, t: int) -> list[float]:
        share = (1 + math.cos(math.pi * min(t, self.T_max) / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]


class LinearLR(LRScheduler):
    """Warm-up: lr times a factor that goes from ``start_factor`` to ``end_factor`` in ``total_iters`` calls, on a straight line

    Counterpart: ``torch.optim.lr_scheduler.LinearLR``.

    >>> import tinygrad_edu as tg
    >>> optimiser = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> warm_up = tg.optim.LinearLR(optimiser, start_factor=0.25, total_iters=3)
    >>> [warm_up.rates(t)[0] for t in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        *,
        every: Literal["epoch", "step"] = "epoch",
    ) -> None:
        self.start_factor, self.end_factor = float(start_factor), float(end_factor)
        self.total_iters = _at_least("LinearLR", "total_iters", total_iters, 1)
        super().__init__(optimizer, every=every)

    def factor(self, t: int) -> float:
        return self.start_factor + (self.end_factor - self.start_factor) * min(t, self.total_iters) / self.total_iters


class SequentialLR(LRScheduler):
    """One schedule after the other: the next one starts, from its own beginning, at each milestone

    Counterpart: ``torch.optim.lr_scheduler.SequentialLR``.

    >>> import tinygrad_edu as tg
    >>> optimiser = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> warm_up = tg.optim.LinearLR(optimiser, start_factor=0.25, total_iters=3)
    >>> decay = tg.optim.CosineAnnealingLR(optimiser, T_max=4)
    >>> schedule = tg.optim.SequentialLR(optimiser, [warm_up, decay], milestones=[3])
    >>> [round(schedule.rates(t)[0], 3) for t in range(8)]
    [0.25, 0.5, 0.75, 1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        *,
        every: Literal["epoch", "step"] = "epoch",
    ) -> None:
        if len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(set(milestones)):
            raise ArgumentError(
                f"SequentialLR: between {len(schedulers)} schedules there are {len(schedulers) - 1} rising milestones, "
                f"got {list(milestones)}"
            )
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer, every=every)

    def rates(self, t: int) -> list[float]:
        passed = sum(t >= milestone for milestone in self.milestones)
        return self.schedulers[passed].rates(t - (self.milestones[passed - 1] if passed else 0))

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        for schedule in self.schedulers:
            schedule.base_lrs = list(state_dict["base_lrs"])
        super().load_state_dict(state_dict)


class OneCycleLR(LRScheduler):
    """Up from max_lr / div_factor to max_lr, then down to a small fraction of where it began, along cosines; momentum the other way

    Parameters
    ----------
    optimizer: whose learning rates are set. With ``cycle_momentum`` its momentum or β₁ is set, too.
    max_lr: the learning rate at the top.
    total_steps: of the optimiser, or else ``epochs`` and ``steps_per_epoch``. Calling ``step()`` more often is an error.
    pct_start: share of the steps that go up.
    cycle_momentum, base_momentum, max_momentum: whether the momentum goes from max to base and back.
    div_factor: max_lr over the first learning rate.
    final_div_factor: the first learning rate over the last.

    L. Smith, N. Topin, *Super-convergence* (2018); counterpart: ``torch.optim.lr_scheduler.OneCycleLR``.

    >>> import tinygrad_edu as tg
    >>> optimiser = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> schedule = tg.optim.OneCycleLR(optimiser, max_lr=1.0, total_steps=10)
    >>> [round(schedule.rates(t)[0], 3) for t in range(0, 10, 3)]
    [0.04, 0.95, 0.389, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        *,
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        every: Literal["epoch", "step"] = "step",
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError("OneCycleLR: how many steps are there? Pass total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        self.total_steps = _at_least("OneCycleLR", "total_steps", total_steps, 1)
        if not 0 <= pct_start <= 1:
            raise ArgumentError(f"OneCycleLR: pct_start is a share of the steps, between 0 and 1, got {pct_start}")
        if cycle_momentum and not {"momentum", "betas"} & optimizer.defaults.keys():
            raise ArgumentError(
                f"OneCycleLR: {type(optimizer).__name__} has no momentum to go up and down: pass cycle_momentum=False"
            )
        self.max_lr, self.pct_start, self.cycle_momentum = float(max_lr), float(pct_start), cycle_momentum
        self.momenta = (float(max_momentum), float(base_momentum))
        self.first_lr = self.max_lr / div_factor
        self.last_lr = self.first_lr / final_div_factor
        super().__init__(optimizer, every=every)

    def rates(self, t: int) -> list[float]:
        return [self._cycle(t, self.first_lr, self.max_lr, self.last_lr)] * len(self.base_lrs)

    def _cycle(self, t: int, start: float, top: float, end: float) -> float:
        """A value that goes from ``start`` to ``top`` and on to ``end``."""
        if t >= self.total_steps:
            raise ArgumentError(f"OneCycleLR: made for total_steps={self.total_steps}, and this is step {t + 1}")
        summit, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if t <= summit:
            return _on_a_cosine(start, top, t / summit if summit else 1.0)
        return _on_a_cosine(top, end, (t - summit) / (last - summit))

    def _set(self) -> None:
        super()._set()
        if self.cycle_momentum:
            high, low = self.momenta
            momentum = self._cycle(self.count, high, low, high)
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["betas"] = (momentum, group["betas"][1])
                else:
                    group["momentum"] = momentum


class ReduceLROnPlateau:
    """Multiply the learning rates by ``factor`` when a metric has not got better for more than ``patience`` epochs

    Parameters
    ----------
    optimizer: whose learning rates are set.
    mode: "min" if a smaller metric is better, "max" if a larger one is.
    factor: between 0 and 1.
    patience: epochs without improvement that are let pass.
    threshold: an improvement is at least this much, as a share of the best ("rel") or as it stands ("abs").
    cooldown: epochs after a reduction in which nothing is counted.
    min_lr: no learning rate gets smaller than this.
    eps: a change smaller than this is not made.

    ``step(metric)`` is called after every epoch. Counterpart: ``torch.optim.lr_scheduler.ReduceLROnPlateau``.

    >>> import tinygrad_edu as tg
    >>> optimiser = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=0.5)
    >>> schedule = tg.optim.ReduceLROnPlateau(optimiser, factor=0.5, patience=1)
    >>> rates = []
    >>> for loss in (3.0, 2.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    ...     rates.append(optimiser.lr)
    >>> rates
    [0.5, 0.5, 0.5, 0.25, 0.25]
    """

    every: Literal["epoch"] = "epoch"

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not 0 < factor < 1:
            raise ArgumentError(f"ReduceLROnPlateau: factor is between 0 and 1, got {factor}: it multiplies the learning rate")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ArgumentError(
                f"ReduceLROnPlateau: mode is 'min' or 'max' and threshold_mode 'rel' or 'abs', got {mode!r} and {threshold_mode!r}"
            )
        self.optimizer = optimizer
        self.mode, self.factor, self.patience = mode, float(factor), _at_least("ReduceLROnPlateau", "patience", patience, 0)
        self.threshold, self.threshold_mode = float(threshold), threshold_mode
        self.cooldown, self.min_lr, self.eps = cooldown, float(min_lr), float(eps)
        self.best = math.inf if mode == "min" else -math.inf
        self.bad_epochs = 0
        self.cooling = 0

    def step(self, metric: Any) -> None:
        """Look at the metric of an epoch, and reduce the learning rates if it is time."""
        value = float(metric)
        if self._better(value):
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        if self.cooling:
            self.cooling -= 1
            self.bad_epochs = 0
        if self.bad_epochs > self.patience:
            for group in self.optimizer.param_groups:
                rate = max(group["lr"] * self.factor, self.min_lr)
                if group["lr"] - rate > self.eps:
                    group["lr"] = rate
            self.cooling, self.bad_epochs = self.cooldown, 0

    def _better(self, value: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if math.isinf(self.best):
            return sign * value < sign * self.best
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1)
        return value < self.best - margin if self.mode == "min" else value > self.best + margin

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on from here."""
        return {
            "best": self.best,
            "bad_epochs": self.bad_epochs,
            "cooling": self.cooling,
            "lrs": [group["lr"] for group in self.optimizer.param_groups],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from where the schedule was that gave this state, and set its learning rates."""
        self.best, self.bad_epochs = float(state_dict["best"]), int(state_dict["bad_epochs"])
        self.cooling = int(state_dict["cooling"])
        for group, rate in zip(self.optimizer.param_groups, state_dict["lrs"], strict=True):
            group["lr"] = rate

    def __repr__(self) -> str:
        return f"ReduceLROnPlateau(best={self.best:g}, {self.bad_epochs} epochs without improvement: lr={self.optimizer.lr:g})"


def _on_a_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _at_least(who: str, name: str, value: Any, low: int) -> int:
    if int(value) != value or value < low:
        raise ArgumentError(f"{who}: {name} is a whole number from {low} on, got {value}")
    return int(value)
