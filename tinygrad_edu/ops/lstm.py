"""The LSTM over a whole sequence, as one operation; see `tinygrad_edu.ops.recurrent` for how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.activation import sigmoid
from tinygrad_edu.ops.hyperbolic import tanh
from tinygrad_edu.ops.joining import concatenate, stack
from tinygrad_edu.ops.recurrent import before, checked, checked_bias, computed_once, meet, new_memo, scan_cases
from tinygrad_edu.ops.reduction import sum
from tinygrad_edu.primitive import primitive

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def _plain_lstm(x: Array, w: Array, b: Array, h: Array, c: Array) -> Array:
    y = []
    for row in x:
        i, f, u, o = np.split(row + h @ w.T + b, 4, axis=-1)
        c = c / (1 + np.exp(-f)) + np.tanh(u) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        y.append(h)
    return np.array([*y, c])


def _steps(x: Any, w: Any, b: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """The gates of every step, behind their nonlinearities, and every c: for a derivative of the derivative."""
    gates, cells = [], []
    for t in range(len(x)):
        i, f, u, o = _quarters(x[t] + h @ w.T + b)
        i, f, u, o = sigmoid(i), sigmoid(f), tanh(u), sigmoid(o)
        c = f * c + i * u
        h = o * tanh(c)
        gates.append(concatenate([i, f, u, o], axis=-1))
        cells.append(c)
    return stack(gates), stack(cells)


@primitive(
    label="LSTM",
    residuals={
        "gates": lambda *operands: _steps(*operands)[0],
        "cells": lambda *operands: _steps(*operands)[1],
        "memo": new_memo,
    },
    cases=scan_cases(4, bias=True, states="hc"),
    reference=_plain_lstm,
)
def lstm_scan(x: Array, w: Array, b: Array, h: Array, c: Array, /) -> tuple[Array, Array, Array, Any]:
    """cₜ = f cₜ₋₁ + i u, hₜ = o tanh(cₜ)        ∂L/∂x = d, ∂L/∂w = Σ dᵀ hₜ₋₁, ∂L/∂b = Σ d

    The gates (i, f, u, o) are σ, σ, tanh and σ of xₜ + hₜ₋₁ wᵀ + b, and stand in this order, which is PyTorch's. x (steps, batch,
    4 · hidden), w (4 · hidden, hidden), b (4 · hidden,), the first states h and c (batch, hidden). The result (steps + 1, batch,
    hidden) holds every h, and behind them the last c. Counterpart: the inner loop of ``torch.nn.LSTM``; the TimeLSTM of *Deep
    Learning from Scratch 2*, section 6.3.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> y = tg.lstm_scan(tg.Tensor(np.zeros((3, 1, 8))), np.zeros((8, 2)), np.zeros(8), np.zeros((1, 2)), np.ones((1, 2)))
    >>> y.shape, y[-1]  # f is ½ in every step
    ((4, 1, 2), Tensor([[0.125, 0.125]]))
    """
    x, w, h, c = checked("lstm_scan", 4, *map(np.asarray, (x, w, h, c)))
    b = checked_bias("lstm_scan", b, w)
    steps, batch, _ = x.shape
    n = w.shape[1]
    y, gates, cells = np.empty((steps + 1, batch, n), x.dtype), np.empty_like(x), np.empty((steps, batch, n), x.dtype)
    shift, transposed, part = np.tile(b, (batch, 1)), np.ascontiguousarray(w.T), np.empty((batch, n), x.dtype)
    for t, z in enumerate(gates):
        i, f, u, o = z[:, :n], z[:, n : 2 * n], z[:, 2 * n : 3 * n], z[:, 3 * n :]
        sigmoids = (z[:, : 2 * n], o)
        np.matmul(h, transposed, out=z)
        z += x[t]
        z += shift
        for gate in sigmoids:  # σ(z) is ½ + ½ tanh(½ z), so that one call serves all four gates
            gate *= 0.5
        np.tanh(z, out=z)
        for gate in sigmoids:
            gate *= 0.5
            gate += 0.5
        now, h = cells[t], y[t]
        np.multiply(f, c, out=now)
        now += np.multiply(i, u, out=part)
        c = now
        np.multiply(o, np.tanh(c, out=part), out=h)
    y[steps] = c
    return y, gates, cells, {}


def _quarters(a: Any) -> list[Any]:
    n = a.shape[-1] // 4
    return [a[:, k * n : (k + 1) * n] for k in range(4)]


def _pulled(g: Any, c: Any, w: Any, gates: Any, cells: Any) -> tuple[Any, Any, Any]:
    """What reaches the gates of every step, and the first h and c."""
    steps, dz = len(cells), []
    dh, dc = g[0] * 0, g[steps]
    for t in reversed(range(steps)):
        i, f, u, o = _quarters(gates[t])
        now, past = tanh(cells[t]), cells[t - 1] if t else c
        dh = g[t] + dh
        dc = dc + dh * o * (1 - now * now)
        parts = [dc * u * (i * (1 - i)), dc * past * (f * (1 - f)), dc * i * (1 - u * u), dh * now * (o * (1 - o))]
        dz.append(concatenate(parts, axis=-1))
        dh, dc = dz[-1] @ w, dc * f
    return stack(dz[::-1]), dh, dc


def _pulled_in_place(g: Array, c: Array, w: Array, gates: Array, cells: Array) -> tuple[Array, Array, Array]:
    """`_pulled` of arrays, without a new one in the loop: what it spends is calls, not arithmetic."""
    n, dx = w.shape[1], np.empty_like(gates)
    dh, dc, factors = np.zeros_like(c), g[-1].copy(), np.empty_like(gates[0])
    now, part = np.empty_like(c), np.empty_like(c)
    for t in range(len(cells) - 1, -1, -1):
        z, d = gates[t], dx[t]
        f, u, o = z[:, n : 2 * n], z[:, 2 * n : 3 * n], z[:, 3 * n :]
        np.tanh(cells[t], out=now)
        dh += g[t]
        np.multiply(now, now, out=part)
        np.subtract(1, part, out=part)
        part *= dh
        part *= o
        dc += part
        np.multiply(dc, u, out=factors[:, :n])
        np.multiply(dc, cells[t - 1] if t else c, out=factors[:, n : 2 * n])
        np.multiply(dc, z[:, :n], out=factors[:, 2 * n : 3 * n])
        np.multiply(dh, now, out=factors[:, 3 * n :])
        np.multiply(z, z, out=d)
        np.subtract(1, d[:, 2 * n : 3 * n], out=d[:, 2 * n : 3 * n])
        np.subtract(z[:, : 2 * n], d[:, : 2 * n], out=d[:, : 2 * n])
        np.subtract(o, d[:, 3 * n :], out=d[:, 3 * n :])
        d *= factors
        np.matmul(d, w, out=dh)
        dc *= f
    return dx, dh, dc


def _backward(g: Any, y: Any, w: Any, h: Any, c: Any, gates: Any, cells: Any) -> tuple[Any, ...]:
    through = _pulled_in_place if isinstance(g, np.ndarray) else _pulled
    dx, dh, dc = through(g, c, w, gates, cells)
    return dx, meet(dx, before(h, y[:-1])), sum(dx, axis=(0, 1)), dh, dc


def _rule(which: int) -> Any:
    return lambda g, y, w, h, c, gates, cells, memo: computed_once(memo, g, lambda: _backward(g, y, w, h, c, gates, cells))[which]


lstm_scan.vjp(x=_rule(0), w=_rule(1), b=_rule(2), h=_rule(3), c=_rule(4))
