"""Optimisers with a learning rate for each number of a parameter, from the sizes of its gradients so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from tinygrad_edu.optim.optimizer import Options, Rule


class AdaGrad(Optimizer):
    """p ← p − lr · g / (√h + ε), where h ← h + g² and g = ∂L/∂p

    Parameters
    ----------
    params, lr: as in `SGD`.
    lr_decay: lr is divided by 1 + lr_decay · (steps before this one).
    weight_decay: λ of a penalty ½ λ ‖p‖².
    initial_accumulator_value: what h is at first.
    eps: ε, which keeps the division finite.

    J. Duchi, E. Hazan, Y. Singer, *Adaptive subgradient methods* (2011); *Deep Learning from Scratch*, section 6.1.5; counterpart:
    ``torch.optim.Adagrad``.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 20.0], requires_grad=True)
    >>> optimiser = tg.optim.AdaGrad([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimiser.step()
    >>> w
    Tensor([ 0.5, 19.5], requires_grad=True)
    """

    limits = {  # noqa: RUF012 - read only
        **Optimizer.limits,
        "lr_decay": (0, math.inf),
        "initial_accumulator_value": (0, math.inf),
        "eps": (0, math.inf),
    }

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )

    def initial(self, name: str, options: Options) -> float:
        value: float = options["initial_accumulator_value"]
        return value

    def rule(self, options: Options, step: int) -> tuple[tuple[str, ...], Rule]:
        rate, eps = options["lr"] / (1 + (step - 1) * options["lr_decay"]), options["eps"]

        def move(p: Any, g: Any, h: Any, scratch: Any) -> None:
            h += np.multiply(g, g, out=scratch)
            np.sqrt(h, out=scratch)
            scratch += eps
            np.divide(g, scratch, out=scratch)
            scratch *= rate
            p -= scratch

        return ("sum",), move


class RMSprop(Optimizer):
    """p ← p − lr · g / (√h + ε), where h ← α h + (1 − α) g² and g = ∂L/∂p

    Parameters
    ----------
    params, lr: as in `SGD`.
    alpha: α, the share of h that is kept.
    eps: ε, which keeps the division finite.
    weight_decay: λ of a penalty ½ λ ‖p‖².
    momentum: μ; if not 0, p ← p − lr · v with v ← μ v + g / (√h + ε).
    centered: take the variance instead of h: h less the square of a running mean of g.

    G. Hinton's lectures, *Neural networks for machine learning*, 6e (2012); counterpart: ``torch.optim.RMSprop``.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 20.0], requires_grad=True)
    >>> optimiser = tg.optim.RMSprop([w], lr=0.05)
    >>> (w * w).sum().backward()
    >>> optimiser.step()
    >>> w.numpy().round(3).tolist()
    [0.5, 19.5]
    """

    limits = {**Optimizer.limits, "alpha": (0, 1), "eps": (0, math.inf), "momentum": (0, 1)}  # noqa: RUF012 - read only

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered)

    def rule(self, options: Options, step: int) -> tuple[tuple[str, ...], Rule]:
        lr, alpha, eps = options["lr"], options["alpha"], options["eps"]
        momentum, centered = options["momentum"], options["centered"]

        def move(p: Any, g: Any, h: Any, *others: Any) -> None:
            *kept, scratch = others
            np.multiply(g, g, out=scratch)
            scratch *= 1 - alpha
            h *= alpha
            h += scratch
            if centered:
                mean = kept[0]
                np.subtract(g, mean, out=scratch)
                scratch *= 1 - alpha
                mean += scratch
                np.multiply(mean, mean, out=scratch)
                np.subtract(h, scratch, out=scratch)
                np.sqrt(scratch, out=scratch)
            else:
                np.sqrt(h, out=scratch)
            scratch += eps
            np.divide(g, scratch, out=scratch)
            if momentum:
                v = kept[-1]
                v *= momentum
                v += scratch
                np.multiply(v, lr, out=scratch)
            else:
                scratch *= lr
            p -= scratch

        kept = ["square_avg"] + ["grad_avg"] * bool(centered) + ["momentum_buffer"] * bool(momentum)
        return tuple(kept), move
