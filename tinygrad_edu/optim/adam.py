"""Adam and its relatives: steps along a running mean of the gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from tinygrad_edu.optim.optimizer import Options, Rule


class Adam(Optimizer):
    """p ← p − lr · m̂ / (√v̂ + ε), where m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², g = ∂L/∂p

    At step t, m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ): m and v start at 0, and this takes the bias out.

    Parameters
    ----------
    params, lr: as in `SGD`.
    betas: (β₁, β₂), each at least 0 and below 1.
    eps: ε, which keeps the division finite.
    weight_decay: λ of a penalty ½ λ ‖p‖². For decay that does not go through m and v see `AdamW`.
    amsgrad: divide by the largest v̂ so far (S. Reddi and others, 2018).

    D. Kingma, J. Ba, *Adam: a method for stochastic optimization* (2015); *Deep Learning from Scratch*, section 6.1.6; counterpart:
    ``torch.optim.Adam``.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 20.0], requires_grad=True)
    >>> optimiser = tg.optim.Adam([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimiser.step()
    >>> w
    Tensor([ 0.5, 19.5], requires_grad=True)
    """

    limits = {**Optimizer.limits, "betas": (0, 1), "eps": (0, math.inf)}  # noqa: RUF012 - read only

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad)

    def rule(self, options: Options, step: int) -> tuple[tuple[str, ...], Rule]:
        (beta1, beta2), amsgrad = options["betas"], options["amsgrad"]
        # lr m̂ / (√v̂ + ε) is rate · m / (√v + floor), which needs one pass less than it is written with.
        unbias = math.sqrt(1 - beta2**step)
        rate, floor = options["lr"] * unbias / (1 - beta1**step), options["eps"] * unbias

        def move(p: Any, g: Any, m: Any, v: Any, *others: Any) -> None:
            *largest, scratch = others
            np.subtract(g, m, out=scratch)
            scratch *= 1 - beta1
            m += scratch
            np.multiply(g, g, out=scratch)
            scratch *= 1 - beta2
            v *= beta2
            v += scratch
            if amsgrad:
                np.maximum(largest[0], v, out=largest[0])
                np.sqrt(largest[0], out=scratch)
            else:
                np.sqrt(v, out=scratch)
            scratch += floor
            np.divide(m, scratch, out=scratch)
            scratch *= rate
            p -= scratch

        kept = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
        return (kept if amsgrad else kept[:2]), move


class AdamW(Adam):
    """p ← (1 − lr · λ) p, and then Adam's step: weight decay that does not go through m and v

    Parameters are those of `Adam`; ``weight_decay`` is λ, 0.01 if nothing is said.

    I. Loshchilov, F. Hutter, *Decoupled weight decay regularization* (2019); counterpart: ``torch.optim.AdamW``.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 20.0], requires_grad=True)
    >>> optimiser = tg.optim.AdamW([w], lr=0.5, weight_decay=0.1)
    >>> (w * w).sum().backward()
    >>> optimiser.step()
    >>> w
    Tensor([ 0.45, 18.5 ], requires_grad=True)
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)


class Lion(Optimizer):
    """p ← (1 − lr · λ) p − lr · sign(β₁ m + (1 − β₁) g), and then m ← β₂ m + (1 − β₂) g

    Every number moves by lr, so lr is three to ten times smaller than Adam's. One array is kept for a parameter.

    Parameters
    ----------
    params, lr: as in `SGD`.
    betas: (β₁, β₂), each at least 0 and below 1.
    weight_decay: λ, three to ten times larger than AdamW's.

    X. Chen and others, *Symbolic discovery of optimization algorithms* (2023).

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 20.0], requires_grad=True)
    >>> optimiser = tg.optim.Lion([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimiser.step()
    >>> w
    Tensor([ 0.5, 19.5], requires_grad=True)
    """

    limits = {**Optimizer.limits, "betas": (0, 1)}  # noqa: RUF012 - read only
    decoupled = True

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay)

    def rule(self, options: Options, step: int) -> tuple[tuple[str, ...], Rule]:
        lr, (beta1, beta2) = options["lr"], options["betas"]

        def move(p: Any, g: Any, m: Any, scratch: Any) -> None:
            np.subtract(g, m, out=scratch)
            scratch *= 1 - beta1
            scratch += m
            np.sign(scratch, out=scratch)
            scratch *= lr
            p -= scratch
            np.subtract(g, m, out=scratch)
            scratch *= 1 - beta2
            m += scratch

        return ("exp_avg",), move
