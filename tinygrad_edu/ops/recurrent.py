"""Recurrent layers over a whole sequence, each one operation: its backward pass goes through the sequence once, for all operands.

x is what the inputs contribute, for all steps at once: one matrix product that needs no loop. Only what depends on the step
before is left for the loop. The rules are written with operators and operations, as any; so is the state of every step, which is
computed again from the operands where a derivative is differentiated once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.activation import floating, sigmoid
from tinygrad_edu.ops.hyperbolic import tanh
from tinygrad_edu.ops.joining import concatenate, stack
from tinygrad_edu.ops.reduction import sum
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import expand_dims, reshape
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def computed_once(memo: dict[str, Any], g: Any, compute: Callable[[], Any]) -> Any:
    """The gradients of all operands for this cotangent, computed once. ``memo`` is a residual: every node has one of its own."""
    if memo.get("g") is not g:
        memo.update(g=g, gradients=compute())
    return memo["gradients"]


def new_memo(*operands: Any) -> dict[str, Any]:
    return {}


def checked(name: str, gates: int, x: Array, w: Array, *states: Array) -> tuple[Array, ...]:
    """The operands as floats of one dtype, if they fit together."""
    hidden = w.shape[-1] if w.ndim == 2 else -1
    rows = (gates * hidden, hidden)
    if (
        x.ndim != 3
        or w.shape != rows
        or x.shape[-1] != rows[0]
        or not len(x)
        or any(s.shape != (x.shape[1], hidden) for s in states)
    ):
        words = f"{gates} · hidden" if gates > 1 else "hidden"
        raise ShapeError(
            f"{name}: x is (steps, batch, {words}) with at least one step, w ({words}, hidden) and a state (batch, hidden), got x "
            f"{x.shape}, w {w.shape} and {' and '.join(str(s.shape) for s in states)}"
        )
    dtype = np.result_type(x, w, *states)
    return tuple([floating(name, a).astype(dtype, copy=False) for a in (x, w, *states)])


def checked_bias(name: str, b: Any, w: Array) -> Array:
    """The bias in w's dtype, if there is a number for each row of w."""
    bias: Array = np.asarray(b, w.dtype)
    if bias.shape != (len(w),):
        raise ShapeError(f"{name}: b has a number for each row of w, {(len(w),)}, got {bias.shape}")
    return bias


def before(first: Any, y: Any) -> Any:
    """The states before every step: the first, and all of y but the last."""
    return concatenate([expand_dims(first, 0), y[:-1]], axis=0)


def together(steps: list[Any]) -> Any:
    """The results of all steps in one array; as ``stack``, and faster for many small ones."""
    return reshape(concatenate(steps, axis=0), (len(steps), *steps[0].shape))


def meet(d: Any, h: Any) -> Any:
    """Σ dᵀ h over all steps: the gradient of the matrix that h was multiplied with."""
    return reshape(d, (-1, d.shape[-1])).T @ reshape(h, (-1, h.shape[-1]))


def scan_cases(gates: int, **more: Any) -> list[Case]:
    def shapes(steps: int, batch: int, hidden: int) -> Case:
        states: dict[str, Any] = {name: reals(shape=(batch, hidden)) for name in more.get("states", "h")}
        bias: dict[str, Any] = {"b": reals(shape=(gates * hidden,))} if more.get("bias") else {}
        x, w = reals(shape=(steps, batch, gates * hidden)), reals(-1, 1, shape=(gates * hidden, hidden))
        return Case(x=x, w=w, **bias, **states)

    return [shapes(2, 1, 2), shapes(3, 2, 1)]


# ------------------------------------------------------------------------------------------------------------------ plain


def _plain_rnn(x: Array, w: Array, h: Array, nonlinearity: str = "tanh") -> Array:
    y = []
    for row in x:
        z = row + np.einsum("ij,bj->bi", w, h)
        h = np.tanh(z) if nonlinearity == "tanh" else np.maximum(z, 0)
        y.append(h)
    return np.array(y)


@primitive(label="RNN", residuals={"memo": new_memo}, cases=scan_cases(1), reference=_plain_rnn)
def rnn_scan(x: Array, w: Array, h: Array, /, nonlinearity: str = "tanh") -> tuple[Array, Any]:
    """hₜ = tanh(xₜ + hₜ₋₁ wᵀ)        ∂L/∂x = d, ∂L/∂w = Σ dᵀ hₜ₋₁        (dₜ = (gₜ + dₜ₊₁ w) (1 − hₜ²))

    x (steps, batch, hidden), w (hidden, hidden), the first state h (batch, hidden); the result is the states after every step,
    (steps, batch, hidden). ``nonlinearity`` is "tanh" or "relu". Counterpart: the inner loop of ``torch.nn.RNN``; the TimeRNN of
    *Deep Learning from Scratch 2*, section 5.3.

    >>> import tinygrad_edu as tg
    >>> tg.rnn_scan(tg.Tensor([[[1.0]], [[1.0]]]), [[0.5]], [[0.0]], nonlinearity="relu")
    Tensor([[[1. ]],
            [[1.5]]])
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ArgumentError(f"rnn_scan: nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}")
    x, w, h = checked("rnn_scan", 1, np.asarray(x), np.asarray(w), np.asarray(h))
    y = np.empty_like(x)
    for t, row in enumerate(x):
        z = np.add(row, h @ w.T, out=y[t])
        h = np.tanh(z, out=z) if nonlinearity == "tanh" else np.maximum(z, 0, out=z)
    return y, {}


def _rnn_backward(g: Any, y: Any, w: Any, h: Any, nonlinearity: str) -> tuple[Any, Any, Any]:
    d, dx = None, []
    for t in reversed(range(len(y))):
        d = g[t] if d is None else g[t] + d
        d = d * (1 - y[t] * y[t]) if nonlinearity == "tanh" else where(y[t] <= 0, 0, d)
        dx.append(d)
        d = d @ w
    dx = together(dx[::-1])
    return dx, meet(dx, before(h, y)), d


def _rnn_rule(which: int) -> Any:
    return lambda g, y, w, h, memo, nonlinearity: computed_once(memo, g, lambda: _rnn_backward(g, y, w, h, nonlinearity))[which]


rnn_scan.vjp(x=_rnn_rule(0), w=_rnn_rule(1), h=_rnn_rule(2))


# -------------------------------------------------------------------------------------------------------------------- GRU


def _sigmoid_in_place(z: Array) -> Array:
    np.multiply(z, -1, out=z)  # NumPy 2.4's negative, written onto itself, is wrong where z is strided
    np.exp(z, out=z)
    z += 1
    return np.reciprocal(z, out=z)


def _plain_gru(x: Array, w: Array, b: Array, h: Array) -> Array:
    y = []
    for row in x:
        (xr, xz, xn), (hr, hz, hn) = np.split(row, 3, axis=-1), np.split(h @ w.T + b, 3, axis=-1)
        r, z = 1 / (1 + np.exp(-xr - hr)), 1 / (1 + np.exp(-xz - hz))
        h = (1 - z) * np.tanh(xn + r * hn) + z * h
        y.append(h)
    return np.array(y)


def _gru_gates(x: Any, w: Any, b: Any, h: Any) -> Any:
    """The gates r and z, the candidate, and what the state contributes to it, of every step, in one array."""
    n, gates = w.shape[1], []
    for t in range(len(x)):
        q = h @ w.T + b
        both = sigmoid(x[t, :, : 2 * n] + q[:, : 2 * n])
        z, candidate = both[:, n:], tanh(x[t, :, 2 * n :] + both[:, :n] * q[:, 2 * n :])
        h = candidate + z * (h - candidate)
        gates.append(concatenate([both, candidate, q[:, 2 * n :]], axis=-1))
    return stack(gates)


@primitive(label="GRU", residuals={"gates": _gru_gates, "memo": new_memo}, cases=scan_cases(3, bias=True), reference=_plain_gru)
def gru_scan(x: Array, w: Array, b: Array, h: Array, /) -> tuple[Array, Array, Any]:
    """hₜ = (1 − z) n + z hₜ₋₁        ∂L/∂x = d, ∂L/∂w = Σ d′ᵀ hₜ₋₁, ∂L/∂b = Σ d′        (n = tanh(xₙ + r (hₜ₋₁ wₙᵀ + bₙ)))

    The gates r and z are σ of xₜ + hₜ₋₁ wᵀ + b. x (steps, batch, 3 · hidden), w (3 · hidden, hidden), b (3 · hidden,), the first
    state h (batch, hidden); the result is the states after every step, (steps, batch, hidden). The gates stand in PyTorch's
    order: reset, update, new. d′ is d with r times its last part. Counterpart: the inner loop of ``torch.nn.GRU``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.gru_scan(tg.Tensor(np.zeros((2, 1, 3))), np.zeros((3, 1)), np.zeros(3), np.ones((1, 1)))[:, 0, 0]
    Tensor([0.5 , 0.25])
    """
    x, w, h = checked("gru_scan", 3, *map(np.asarray, (x, w, h)))
    b = checked_bias("gru_scan", b, w)
    n = w.shape[1]
    y, gates = np.empty((*x.shape[:2], n), x.dtype), np.empty((*x.shape[:2], 4 * n), x.dtype)
    transposed = np.ascontiguousarray(w.T)
    with np.errstate(over="ignore"):
        for t, row in enumerate(x):
            q = h @ transposed
            q += b
            both, candidate = gates[t, :, : 2 * n], gates[t, :, 2 * n : 3 * n]
            _sigmoid_in_place(np.add(row[:, : 2 * n], q[:, : 2 * n], out=both))
            gates[t, :, 3 * n :] = q[:, 2 * n :]
            np.multiply(both[:, :n], q[:, 2 * n :], out=candidate)
            candidate += row[:, 2 * n :]
            np.tanh(candidate, out=candidate)
            h = np.add(candidate, both[:, n:] * (h - candidate), out=y[t])
    return y, gates, {}


def _gru_backward(g: Any, y: Any, w: Any, h: Any, gates: Any) -> tuple[Any, ...]:
    n, dxs, dqs = w.shape[1], [], []
    dh = None
    for t in reversed(range(len(y))):
        r, z, candidate, q = [gates[t, :, k * n : (k + 1) * n] for k in range(4)]
        past = y[t - 1] if t else h
        dh = g[t] if dh is None else g[t] + dh
        dn = dh * (1 - z) * (1 - candidate * candidate)
        dz = dh * (past - candidate) * (z * (1 - z))
        dr = dn * q * (r * (1 - r))
        dxs.append(concatenate([dr, dz, dn], axis=-1))
        dqs.append(concatenate([dr, dz, dn * r], axis=-1))
        dh = dqs[-1] @ w + dh * z
    dq = together(dqs[::-1])
    return together(dxs[::-1]), meet(dq, before(h, y)), sum(dq, axis=(0, 1)), dh


def _gru_rule(which: int) -> Any:
    return lambda g, y, w, h, gates, memo: computed_once(memo, g, lambda: _gru_backward(g, y, w, h, gates))[which]


gru_scan.vjp(x=_gru_rule(0), w=_gru_rule(1), b=_gru_rule(2), h=_gru_rule(3))
