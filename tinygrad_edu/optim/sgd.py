"""Stochastic gradient descent, plain and with momentum."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from tinygrad_edu.optim.optimizer import Options, Rule


SMALL = 1 << 18  # bytes of a parameter that are moved in one line, with a temporary: all else in a step would take longer


class SGD(Optimizer):
    """p ← p − lr · ∂L/∂p, for every parameter p that has a gradient

    With momentum μ, p ← p − lr · v, where v ← μ v + (1 − dampening) ∂L/∂p, and v is the first gradient at the first step; with
    Nesterov's, p ← p − lr · (∂L/∂p + μ v).

    Parameters
    ----------
    params: the tensors to update, leaves that require grad, or groups of them with options of their own. They are changed in
        place and keep their dtype. Without them, only `update` can be used.
    lr: the learning rate, a positive number. It can be read and set between steps.
    momentum: μ, at least 0 and below 1.
    dampening: what a new gradient's share in v is reduced by.
    weight_decay: λ of a penalty ½ λ ‖p‖², whose gradient λ p is added.
    nesterov: look ahead along v. Needs a momentum, and no dampening.

    Raises ValueError when there is nothing to update or an option is out of range, `DTypeError` for a parameter that is no
    Tensor, and `GraphError` for one that can have no gradient. The SGD and Momentum of *Deep Learning from Scratch*, sections 6.1.2
    and 6.1.4 (whose v is −lr times this one); counterpart: ``torch.optim.SGD``.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimiser = tg.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimiser.step()
    >>> w
    Tensor([0.8, 1.6], requires_grad=True)
    """

    limits = {**Optimizer.limits, "momentum": (0, 1), "dampening": (0, math.inf)}  # noqa: RUF012 - read only

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov)
        for group in self.param_groups:
            if group["nesterov"] and (not group["momentum"] or group["dampening"]):
                raise ArgumentError("SGD: Nesterov's rule looks ahead along the momentum: give a momentum, and no dampening")

    def _mover(self, options: Options) -> Callable[[Any, Any, Any], None]:
        move = super()._mover(options)
        if options["momentum"] or options["weight_decay"]:
            return move
        lr = options["lr"]

        def plain(key: Any, p: Any, g: Any) -> None:
            if p.nbytes <= SMALL:
                p -= lr * g
            else:
                move(key, p, g)

        return plain

    def rule(self, options: Options, step: int) -> tuple[tuple[str, ...], Rule]:
        lr, momentum, nesterov = options["lr"], options["momentum"], options["nesterov"]
        share = 1.0 if step == 1 else 1 - options["dampening"]

        def descend(p: Any, g: Any, scratch: Any) -> None:
            p -= np.multiply(g, lr, out=scratch)

        def roll(p: Any, g: Any, v: Any, scratch: Any) -> None:
            v *= momentum
            v += g if share == 1 else np.multiply(g, share, out=scratch)
            if nesterov:
                np.multiply(v, momentum, out=scratch)
                scratch += g
                scratch *= lr
            else:
                np.multiply(v, lr, out=scratch)
            p -= scratch

        return (("momentum_buffer",), roll) if momentum else ((), descend)
