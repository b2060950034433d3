"""Recurrent layers: a state that goes from step to step of a sequence. Arguments, names and layouts are PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.nn import functional as F  # noqa: N812
from tinygrad_edu.nn.init import generator
from tinygrad_edu.nn.linear import drawn
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.utils.rnn import PackedSequence
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.joining import concatenate, stack
from tinygrad_edu.ops.lstm import lstm_scan
from tinygrad_edu.ops.moving import flip
from tinygrad_edu.ops.recurrent import gru_scan, rnn_scan
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import expand_dims, squeeze, swapaxes
from tinygrad_edu.tensor import Tensor

CLOSED = 1000.0  # σ and tanh of it are 1, and of its negative 0, in every precision


class _Recurrent(Module):
    """What the three have in common: weights, layers, directions, sequences of different lengths. A subclass scans."""

    gates = 1
    states = 1  # how many there are: an LSTM has two
    weight_ih_l0: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = float,
        rng: np.random.Generator | None = None,
    ) -> None:
        name = type(self).__name__
        if min(input_size, hidden_size, num_layers) < 1:
            raise ShapeError(
                f"{name}: input_size, hidden_size and num_layers are at least 1, got {input_size}, {hidden_size} and {num_layers}"
            )
        if not 0 <= dropout <= 1:
            raise ArgumentError(f"{name}: dropout is a probability from 0 to 1, got {dropout!r}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        self.rng = generator(name, rng)
        bound, rows = 1 / math.sqrt(hidden_size), self.gates * hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            for suffix in self._directions(layer):
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, hidden_size)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                for kind, shape in shapes.items():
                    setattr(self, kind + suffix, drawn(self.rng, bound, shape, dtype))

    def _directions(self, layer: int) -> list[str]:
        return [f"_l{layer}", *([f"_l{layer}_reverse"] if self.bidirectional else [])]

    def _weights(self, suffix: str) -> tuple[Any, ...]:
        """W of the input, W of the state, and their biases, or None."""
        return tuple([getattr(self, kind + suffix, None) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")])

    def _scan(self, x: Any, suffix: str, states: tuple[Any, ...], live: Any) -> tuple[Any, ...]:
        """For one layer and direction the output of every step, (steps, batch, hidden), and the last c, if there is one. ``live``
        says which steps count, or is None."""
        raise NotImplementedError

    def _prepare(self, input: Any, hx: Any) -> tuple[Any, Any, tuple[Any, ...], bool]:
        """The input as (steps, batch, features), lengths of packed sequences, the first states, whether there was a batch axis."""
        packed = isinstance(input, PackedSequence)
        x, lengths = (input.data, input.lengths) if packed else (input, None)
        shape = np.shape(x)
        batched = len(shape) == 3
        order = "(batch, steps, features)" if self.batch_first else "(steps, batch, features)"
        if len(shape) not in (2, 3) or shape[-1] != self.input_size:
            raise ShapeError(
                f"{self!r} needs an input {order} with {self.input_size} features, or without the batch axis, got {shape}"
            )
        if not batched:
            x = expand_dims(x, 1)
        elif self.batch_first and not packed:
            x = swapaxes(x, 0, 1)
        steps, batch = np.shape(x)[:2]
        if not steps:
            raise ShapeError(f"{self!r} needs at least one step, got an input of shape {shape}, {order}")
        wanted = (self.num_layers * (1 + self.bidirectional), batch, self.hidden_size)
        if hx is None:
            states = tuple([np.zeros(wanted, self.weight_ih_l0.dtype)] * self.states)
        else:
            states = hx if self.states > 1 else (hx,)
            states = tuple([s if batched else expand_dims(s, 1) for s in states])
            if len(states) != self.states or any(np.shape(s) != wanted for s in states):
                raise ShapeError(
                    f"{self!r} starts from {'a pair (h, c) of states' if self.states > 1 else 'a state'} of shape {wanted}: layers "
                    f"× directions, batch, hidden; got {', '.join(str(np.shape(s)) for s in states)}"
                )
        return x, lengths, states, batched

    def forward(self, input: Any, hx: Any = None) -> Any:
        x, lengths, states, batched = self._prepare(input, hx)
        steps, batch = np.shape(x)[:2]
        live = None if lengths is None else (np.arange(steps)[:, None] < lengths)[..., None]
        lasts: list[list[Any]] = [[] for _ in range(self.states)]
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training, rng=self.rng)
            if live is not None:  # whatever stands behind the end of a sequence
                x = where(live, x, 0)
            outputs = []
            for direction, suffix in enumerate(self._directions(layer)):
                number = layer * (1 + self.bidirectional) + direction
                ordered = _reversed(x, lengths) if direction else x
                y, *others = self._scan(ordered, suffix, tuple([s[number] for s in states]), live)
                for kind, last in enumerate([y[-1] if lengths is None else y[lengths - 1, np.arange(batch)], *others]):
                    lasts[kind].append(last)
                outputs.append(_reversed(y, lengths) if direction else y)
            x = outputs[0] if len(outputs) == 1 else concatenate(outputs, axis=-1)
        if live is not None:
            x = where(live, x, 0)
        final = [stack(last) for last in lasts]
        if not batched:
            x, final = squeeze(x, 1), [squeeze(h, 1) for h in final]
        elif isinstance(input, PackedSequence):
            x = PackedSequence(x, lengths, input.batch_first)
        elif self.batch_first:
            x = swapaxes(x, 0, 1)
        return x, tuple(final) if self.states > 1 else final[0]

    def extra_repr(self) -> str:
        usual = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        words = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *words])


def _reversed(x: Any, lengths: Any) -> Any:
    """Every sequence backwards, each within its own length."""
    if lengths is None:
        return flip(x, 0)
    steps, batch = np.shape(x)[:2]
    back = lengths - 1 - np.arange(steps)[:, None]
    return getitem(x, (np.where(back >= 0, back, np.arange(steps)[:, None]), np.arange(batch)))


class RNN(_Recurrent):
    """hₜ = tanh(xₜ W_ihᵀ + b_ih + hₜ₋₁ W_hhᵀ + b_hh)        shapes (T, N, in) → (T, N, hidden) and (layers, N, hidden)

    Returns the output of the last layer after every step, and the last state of every layer.

    Parameters
    ----------
    input_size, hidden_size: how many features an input and a state have.
    num_layers: how many layers stand on top of each other.
    nonlinearity: "tanh" or "relu".
    bias: whether there are b_ih and b_hh.
    batch_first: whether inputs and outputs are (N, T, ...) and not (T, N, ...). States always have the batch second.
    dropout: how much is dropped between layers in training.
    bidirectional: whether a second one goes from the end; the outputs stand one behind the other.
    dtype, rng: as for `Linear`. Weights start uniform in ±1/√hidden, as PyTorch's do.

    The input may also be a `PackedSequence`, of sequences of different lengths, or lack the batch axis. ``hx`` gives the first
    state. Counterpart: ``torch.nn.RNN``; *Deep Learning from Scratch 2*, section 5.3.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> output, h = tg.nn.RNN(4, 3)(np.zeros((7, 2, 4)))
    >>> output.shape, h.shape
    ((7, 2, 3), (1, 2, 3))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = float,
        rng: np.random.Generator | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNN: nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}")
        self.nonlinearity = nonlinearity
        options = (num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__(input_size, hidden_size, *options, dtype=dtype, rng=rng)

    def _scan(self, x: Any, suffix: str, states: tuple[Any, ...], live: Any) -> tuple[Any, ...]:
        w_ih, w_hh, b_ih, b_hh = self._weights(suffix)
        return (rnn_scan(F.linear(x, w_ih, None if b_ih is None else b_ih + b_hh), w_hh, *states, self.nonlinearity),)


class LSTM(_Recurrent):
    """cₜ = f cₜ₋₁ + i g, hₜ = o tanh(cₜ)        shapes (T, N, in) → (T, N, hidden) and a pair of (layers, N, hidden)

    i, f, g and o are σ, σ, tanh and σ of xₜ W_ihᵀ + b_ih + hₜ₋₁ W_hhᵀ + b_hh, and stand in this order in the weights. Returns the
    output and the pair (h, c) of last states; ``hx`` is such a pair. Arguments as for `RNN`. Counterpart: ``torch.nn.LSTM``; *Deep
    Learning from Scratch 2*, section 6.3.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> output, (h, c) = tg.nn.LSTM(4, 3, num_layers=2, batch_first=True)(np.zeros((2, 7, 4)))
    >>> output.shape, h.shape, c.shape
    ((2, 7, 3), (2, 2, 3), (2, 2, 3))
    """

    gates = 4
    states = 2

    def _scan(self, x: Any, suffix: str, states: tuple[Any, ...], live: Any) -> tuple[Any, ...]:
        w_ih, w_hh, b_ih, b_hh = self._weights(suffix)
        b = np.zeros(len(w_hh), w_hh.dtype) if b_ih is None else b_ih + b_hh
        x = F.linear(x, w_ih)
        if live is not None:  # behind the end the input gate is 0 and the forget gate 1: c stays what it was
            x = where(live, x, np.repeat(np.array([-CLOSED, CLOSED, 0, 0], w_ih.dtype), self.hidden_size))
        y = lstm_scan(x, w_hh, b, *states)
        return y[:-1], y[-1]


class GRU(_Recurrent):
    """hₜ = (1 − z) n + z hₜ₋₁        shapes (T, N, in) → (T, N, hidden) and (layers, N, hidden)

    r and z are σ of xₜ W_ihᵀ + b_ih + hₜ₋₁ W_hhᵀ + b_hh, and n = tanh(xₜ W_inᵀ + b_in + r (hₜ₋₁ W_hnᵀ + b_hn)); they stand in this
    order in the weights. Arguments and results as for `RNN`. Counterpart: ``torch.nn.GRU``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> output, h = tg.nn.GRU(4, 3, bidirectional=True)(np.zeros((7, 2, 4)))
    >>> output.shape, h.shape
    ((7, 2, 6), (2, 2, 3))
    """

    gates = 3

    def _scan(self, x: Any, suffix: str, states: tuple[Any, ...], live: Any) -> tuple[Any, ...]:
        w_ih, w_hh, b_ih, b_hh = self._weights(suffix)
        b_hh = np.zeros(len(w_hh), w_hh.dtype) if b_hh is None else b_hh
        return (gru_scan(F.linear(x, w_ih, b_ih), w_hh, b_hh, *states),)
