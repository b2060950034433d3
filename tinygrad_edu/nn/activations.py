"""Activation functions as modules, for `Sequential`. What they compute, and their derivatives, is written with the operations.

Those that have an ``inplace`` in PyTorch take it here as well. It changes nothing: what a graph holds is never overwritten.
"""

from __future__ import annotations

from typing import Any

from tinygrad_edu.nn import functional as F  # noqa: N812
from tinygrad_edu.nn.linear import filled
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops.shape import reshape


class _Activation(Module):
    """An activation function with options, which its repr shows."""

    def extra_repr(self) -> str:
        return ", ".join(
            [f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_") and name != "training"]
        )


class _Plain(_Activation):
    """An activation function without options."""

    def __init__(self, inplace: bool = False) -> None:
        pass


class Sigmoid(Module):
    """y = 1 / (1 + e⁻ˣ), element by element. Counterpart: ``torch.nn.Sigmoid``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Sigmoid()(tg.Tensor([0.0, 1.0]))
    Tensor([0.5       , 0.73105858])
    """

    def forward(self, input: Any) -> Any:
        return F.sigmoid(input)


class ReLU(_Plain):
    """y = max(x, 0), element by element. Counterpart: ``torch.nn.ReLU``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.ReLU()(tg.Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def forward(self, input: Any) -> Any:
        return F.relu(input)


class Tanh(Module):
    """y = tanh x. Counterpart: ``torch.nn.Tanh``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Tanh()(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.76159416])
    """

    def forward(self, input: Any) -> Any:
        return F.tanh(input)


class GELU(_Activation):
    """y = x Φ(x), or with ``approximate="tanh"`` close to it and without SciPy. Counterpart: ``torch.nn.GELU``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.GELU("tanh")(tg.Tensor([-1.0, 2.0]))
    Tensor([-0.15880801,  1.95459769])
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        return F.gelu(input, self.approximate)


class SiLU(_Plain):
    """y = x σ(x). Counterpart: ``torch.nn.SiLU``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.SiLU()(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.73105858])
    """

    def forward(self, input: Any) -> Any:
        return F.silu(input)


class Mish(_Plain):
    """y = x tanh(ln(1 + eˣ)). Counterpart: ``torch.nn.Mish``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Mish()(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.86509839])
    """

    def forward(self, input: Any) -> Any:
        return F.mish(input)


class ELU(_Activation):
    """y = x where x > 0, else α (eˣ − 1). Counterpart: ``torch.nn.ELU``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.ELU()(tg.Tensor([-1.0, 2.0]))
    Tensor([-0.63212056,  2.        ])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        return F.elu(input, self.alpha)


class CELU(_Activation):
    """y = x where x > 0, else α (eˣᐟᵅ − 1). Counterpart: ``torch.nn.CELU``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.CELU()(tg.Tensor([-1.0, 2.0]))
    Tensor([-0.63212056,  2.        ])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        return F.celu(input, self.alpha)


class SELU(_Plain):
    """y = λ x where x > 0, else λ α (eˣ − 1): layers keep mean 0 and variance 1. Counterpart: ``torch.nn.SELU``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.SELU()(tg.Tensor([-1.0, 2.0]))
    Tensor([-1.11133074,  2.10140197])
    """

    def forward(self, input: Any) -> Any:
        return F.selu(input)


class LeakyReLU(_Activation):
    """y = x where x > 0, else slope · x. Counterpart: ``torch.nn.LeakyReLU``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.LeakyReLU()(tg.Tensor([-1.0, 2.0]))
    Tensor([-0.01,  2.  ])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope

    def forward(self, input: Any) -> Any:
        return F.leaky_relu(input, self.negative_slope)


class ReLU6(_Plain):
    """y = x, but not below 0 and not above 6. Counterpart: ``torch.nn.ReLU6``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.ReLU6()(tg.Tensor([-1.0, 7.0]))
    Tensor([0., 6.])
    """

    def forward(self, input: Any) -> Any:
        return F.relu6(input)


class Hardtanh(_Activation):
    """y = x, but not below ``min_val`` and not above ``max_val``. Counterpart: ``torch.nn.Hardtanh``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Hardtanh()(tg.Tensor([-1.0, 2.0]))
    Tensor([-1.,  1.])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Any) -> Any:
        return F.hardtanh(input, self.min_val, self.max_val)


class Hardsigmoid(_Plain):
    """y = x / 6 + ½, but not below 0 and not above 1. Counterpart: ``torch.nn.Hardsigmoid``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Hardsigmoid()(tg.Tensor([-3.0, 0.0]))
    Tensor([0. , 0.5])
    """

    def forward(self, input: Any) -> Any:
        return F.hardsigmoid(input)


class Hardswish(_Plain):
    """y = x hardsigmoid(x). Counterpart: ``torch.nn.Hardswish``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Hardswish()(tg.Tensor([-3.0, 3.0]))
    Tensor([-0.,  3.])
    """

    def forward(self, input: Any) -> Any:
        return F.hardswish(input)


class Softplus(_Activation):
    """y = ln(1 + eᵝˣ) / β, and x where βx > threshold. Counterpart: ``torch.nn.Softplus``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Softplus()(tg.Tensor([-1.0, 2.0]))
    Tensor([0.31326169, 2.12692801])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Any) -> Any:
        return F.softplus(input, self.beta, self.threshold)


class Softsign(Module):
    """y = x / (1 + |x|). Counterpart: ``torch.nn.Softsign``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Softsign()(tg.Tensor([-1.0, 3.0]))
    Tensor([-0.5 ,  0.75])
    """

    def forward(self, input: Any) -> Any:
        return F.softsign(input)


class LogSigmoid(Module):
    """y = −ln(1 + e⁻ˣ). Counterpart: ``torch.nn.LogSigmoid``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.LogSigmoid()(tg.Tensor([0.0]))
    Tensor([-0.69314718])
    """

    def forward(self, input: Any) -> Any:
        return F.log_sigmoid(input)


class Softmax(_Activation):
    """y = eˣ / Σ eˣ along the axis ``dim``. Counterpart: ``torch.nn.Softmax``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Softmax()(tg.Tensor([0.0, 0.0]))
    Tensor([0.5, 0.5])
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, input: Any) -> Any:
        return F.softmax(input, self.dim)


class LogSoftmax(_Activation):
    """y = x − ln Σ eˣ along the axis ``dim``. Counterpart: ``torch.nn.LogSoftmax``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.LogSoftmax()(tg.Tensor([0.0, 0.0]))
    Tensor([-0.69314718, -0.69314718])
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, input: Any) -> Any:
        return F.log_softmax(input, self.dim)


class GLU(_Activation):
    """y = a σ(b), of the two halves of x along the axis ``dim``. Counterpart: ``torch.nn.GLU``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.GLU()(tg.Tensor([3.0, 0.0]))
    Tensor([1.5])
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, input: Any) -> Any:
        return F.glu(input, self.dim)


class PReLU(Module):
    """y = x where x > 0, else w x, with slopes w that are learned: one, or one for each channel on the second axis.

    Counterpart: ``torch.nn.PReLU``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.PReLU()(tg.Tensor([-1.0, 2.0])).tolist()
    [-0.25, 2.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: Any = float) -> None:
        self.num_parameters = num_parameters
        self.weight = filled(init, (num_parameters,), dtype)

    def forward(self, input: Any) -> Any:
        weight = self.weight if self.num_parameters == 1 else reshape(self.weight, (-1, *[1] * (input.ndim - 2)))
        return F.prelu(input, weight)

    def extra_repr(self) -> str:
        return f"{self.num_parameters}"
