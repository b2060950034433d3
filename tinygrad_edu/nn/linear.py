"""Affine layers, tables of vectors, and layers without numbers of their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.nn import functional as F  # noqa: N812 - the name that everybody knows
from tinygrad_edu.nn.functional.linear import misfit
from tinygrad_edu.nn.init import generator
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops.reshaping import flatten
from tinygrad_edu.tensor import Tensor


def drawn(rng: np.random.Generator, bound: float, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """A parameter that starts uniform in ± bound."""
    return Tensor(rng.uniform(-bound, bound, shape), requires_grad=True, dtype=dtype)


def filled(value: float, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """A parameter that starts with one number everywhere."""
    return Tensor(np.full(shape, value), requires_grad=True, dtype=dtype)


class _Affine(Module):
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = float,
        rng: np.random.Generator | None = None,
    ) -> None:
        name = type(self).__name__
        if in_features < 1 or out_features < 1:
            raise ShapeError(f"{name}: in_features and out_features are at least 1, got {in_features} and {out_features}")
        rng = generator(name, rng)
        bound = 1 / math.sqrt(in_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = drawn(rng, bound, self._weight_shape(), dtype)
        self.bias = drawn(rng, bound, (out_features,), dtype) if bias else None

    def _weight_shape(self) -> tuple[int, int]:
        raise NotImplementedError

    def _check(self, x: Any) -> None:
        shape = np.shape(x)
        if not shape or shape[-1] != self.in_features:
            raise ShapeError(misfit(repr(self), shape, self.in_features))

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ", bias=False" * (self.bias is None)


class Linear(_Affine):
    """y = x Wᵀ + b        shapes (..., in) → (..., out), W (out, in), b (out,)

    W is stored as (out, in), as ``torch.nn.Linear`` stores it, so that weights go to and fro as they are. `Affine` is the same
    layer with W as (in, out). Weights and biases start uniform in ±1/√in, as PyTorch's do.

    Parameters
    ----------
    in_features, out_features: lengths of the last axis of x and of y.
    bias: whether there is a b. Without it, ``.bias`` is None.
    dtype: of the parameters, a floating one; as everywhere in the library, float64 unless said otherwise.
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

    def _weight_shape(self) -> tuple[int, int]:
        return (self.out_features, self.in_features)

    def forward(self, x: Any) -> Any:
        self._check(x)
        return F.linear(x, self.weight, self.bias)


class Affine(_Affine):
    """y = x W + b        shapes (..., in) → (..., out), W (in, out), b (out,)

    The Affine layer of *Deep Learning from Scratch*, section 5.6, with its layout of W: the product of matrices is recorded as it
    is written. `Linear` has PyTorch's layout; arguments and start are the same.

    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.Affine(3, 2)
    >>> layer.weight.shape
    (3, 2)
    """

    def _weight_shape(self) -> tuple[int, int]:
        return (self.in_features, self.out_features)

    def forward(self, x: Any) -> Any:
        self._check(x)
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


class Embedding(Module):
    """y = rows of W        shapes (...) → (..., dim), W (count, dim)

    Looks up a vector for each integer. Vectors start normal with standard deviation 1. The one at ``padding_idx`` starts at 0, and
    gets no gradient. Counterpart: ``torch.nn.Embedding``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> table = tg.nn.Embedding(10, 3, rng=np.random.default_rng(0))
    >>> table(np.array([[1, 2], [9, 1]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        dtype: Any = float,
        rng: np.random.Generator | None = None,
    ) -> None:
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError(f"Embedding: padding_idx is one of the {num_embeddings} rows, got {padding_idx}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        numbers = generator("Embedding", rng).standard_normal((num_embeddings, embedding_dim))
        if padding_idx is not None:
            numbers[padding_idx] = 0
        self.weight = Tensor(numbers, requires_grad=True, dtype=dtype)

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """A table of given vectors, (count, dim). With ``freeze`` they are not learned. Counterpart:
        ``torch.nn.Embedding.from_pretrained``."""
        numbers = embeddings.data if isinstance(embeddings, Tensor) else np.asarray(embeddings)
        if numbers.ndim != 2:
            raise ShapeError(f"Embedding.from_pretrained: vectors are (count, dim), got shape {numbers.shape}")
        layer = cls(numbers.shape[0], numbers.shape[1], padding_idx, dtype=numbers.dtype)
        layer.weight.data = numbers
        layer.weight.requires_grad = not freeze
        return layer

    def forward(self, input: Any) -> Any:
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        words = f"{self.num_embeddings}, {self.embedding_dim}"
        return words + (f", padding_idx={self.padding_idx}" if self.padding_idx is not None else "")


class Dropout(Module):
    """y = x m / (1 − p) in training, and x in evaluation        (m is 0 with probability p, else 1)

    ``rng`` draws m, and stays readable as ``.rng``, so that its state can be saved. ``inplace`` is PyTorch's, and changes nothing.
    Counterpart: ``torch.nn.Dropout``; section 6.4.3 of *Deep Learning from Scratch*.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.Dropout(0.5, rng=np.random.default_rng(0))
    >>> layer(tg.Tensor(np.ones(6)))
    Tensor([2., 2., 2., 0., 0., 0.])
    >>> layer.eval()(tg.Tensor(np.ones(3)))
    Tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: np.random.Generator | None = None) -> None:
        if not 0 <= p <= 1:
            raise ArgumentError(f"Dropout: p is a probability from 0 to 1, got {p!r}")
        self.p = p
        self.rng = generator("Dropout", rng)

    def forward(self, input: Any) -> Any:
        return F.dropout(input, self.p, self.training, rng=self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Flatten(Module):
    """y = x with the axes from ``start_dim`` to ``end_dim`` as one. Counterpart: ``torch.nn.Flatten``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.Flatten()(tg.Tensor(np.zeros((5, 2, 3)))).shape
    (5, 6)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Any) -> Any:
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return "" if (self.start_dim, self.end_dim) == (1, -1) else f"{self.start_dim}, {self.end_dim}"


class Identity(Module):
    """y = x, whatever the arguments. Counterpart: ``torch.nn.Identity``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Identity()(3)
    3
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def forward(self, input: Any) -> Any:
        return input
