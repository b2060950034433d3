"""The layers: modules that a network is composed of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.errors import DTypeError, ShapeError
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import activation
from tinygrad_edu.tensor import Tensor


class Linear(Module):
    """y = x W + b        shapes (..., in) → (..., out), W (in, out), b (out,)

    The Affine layer of *Deep Learning from Scratch*, section 5.6, whose layout of W this is; ``torch.nn.Linear`` stores the
    transpose, (out, in). Weights and biases start uniform in ±1/√in, as PyTorch's do.

    Parameters
    ----------
    in_features, out_features: lengths of the last axis of x and of y.
    bias: whether there is a b. Without it, ``.bias`` is None.
    dtype: of the parameters, a floating one.
    rng: a ``numpy.random.Generator`` to draw them from. Without it they differ from run to run.

    Raises `ShapeError` when x's last axis is not ``in_features`` long.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.Linear(3, 2, rng=np.random.default_rng(0))
    >>> layer(np.ones((5, 3))).shape
    (5, 2)
    >>> layer
    Linear(3, 2): 8 parameters
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = float,
        rng: np.random.Generator | None = None,
    ) -> None:
        if in_features < 1 or out_features < 1:
            raise ShapeError(f"Linear: in_features and out_features are at least 1, got {in_features} and {out_features}")
        if rng is None:
            rng = np.random.default_rng()
        elif not isinstance(rng, np.random.Generator):
            raise DTypeError(
                f"Linear: rng is a numpy Generator, got {type(rng).__name__}: pass rng=np.random.default_rng(seed), the same one "
                "to every layer"
            )
        bound = 1 / math.sqrt(in_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Tensor(rng.uniform(-bound, bound, (in_features, out_features)), requires_grad=True, dtype=dtype)
        self.bias = Tensor(rng.uniform(-bound, bound, out_features), requires_grad=True, dtype=dtype) if bias else None

    def forward(self, x: Any) -> Tensor:
        try:
            y: Tensor = x @ self.weight
        except ShapeError as error:
            raise ShapeError(self._misfit(np.shape(x))) from error
        return y if self.bias is None else y + self.bias

    def _misfit(self, shape: tuple[int, ...]) -> str:
        wanted = f"{self!r} needs an input whose last axis has length {self.in_features}, got shape {shape}"
        if math.prod(shape[1:]) == self.in_features:
            return f"{wanted}; flatten each example first, with x.reshape({shape[0]}, -1)"
        return wanted

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ", bias=False" * (self.bias is None)


class Sigmoid(Module):
    """y = 1 / (1 + e⁻ˣ), element by element. Counterpart: ``torch.nn.Sigmoid``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Sigmoid()(tg.Tensor([0.0, 1.0]))
    Tensor([0.5       , 0.73105858])
    """

    def forward(self, x: Any) -> Any:
        return activation.sigmoid(x)


class ReLU(Module):
    """y = max(x, 0), element by element. Counterpart: ``torch.nn.ReLU``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.ReLU()(tg.Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def forward(self, x: Any) -> Any:
        return activation.relu(x)


class Sequential(Module):
    """Modules one after the other: the output of each is the input of the next. They are named 0, 1, 2, ….

    Counterpart: ``torch.nn.Sequential``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> rng = np.random.default_rng(0)
    >>> net = tg.nn.Sequential(tg.nn.Linear(64, 50, rng=rng), tg.nn.Sigmoid(), tg.nn.Linear(50, 10, rng=rng))
    >>> net(np.zeros((7, 64))).shape
    (7, 10)
    >>> net
    Sequential(): 3,760 parameters
      0 = Linear(64, 50): 3,250 parameters
      1 = Sigmoid()
      2 = Linear(50, 10): 510 parameters
    >>> net[1]
    Sigmoid()
    """

    def __init__(self, *modules: Module) -> None:
        for position, module in enumerate(modules):
            if not isinstance(module, Module):
                raise DTypeError(
                    f"Sequential: item {position} is a {type(module).__name__}, not a Module: pass modules one by one, as in "
                    "Sequential(Linear(4, 3), Sigmoid()); a function becomes one as the forward of a class"
                )
            setattr(self, str(position), module)

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __len__(self) -> int:
        return len(list(self.children()))

    def __getitem__(self, position: int) -> Module:
        return list(self.children())[position]
