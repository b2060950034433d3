"""The softmax family and its loss. Every forward is stable: no overflow, no log of 0."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, LabelError
from tinygrad_edu.floating import quietly
from tinygrad_edu.ops.activation import floating
from tinygrad_edu.ops.exponential import exp
from tinygrad_edu.ops.reduction import any_axes, keep, sum
from tinygrad_edu.ops.shape import reshape
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def _columns(rows: Array) -> Array:
    """The rows as columns, to be reduced along axis 0. NumPy starts its inner loop once for each row, which for the short rows of
    a classifier takes five times as long as copying them into columns first."""
    return np.ascontiguousarray(rows.T) if rows.shape[1] <= 32 else rows.T


def _reduce(ufunc: np.ufunc, a: Array, axis: Any) -> Array:
    """``ufunc.reduce(a, axis, keepdims=True)``; sums of float16 in float32, for 70 000 ones are more than float16 can hold."""
    dtype = np.float32 if ufunc is np.add and a.dtype == np.float16 else None
    if a.ndim == 2 and axis in (-1, 1):
        y: Array = ufunc.reduce(_columns(a), axis=0, dtype=dtype)[:, None]
    else:
        y = ufunc.reduce(a, axis=axis, keepdims=True, dtype=dtype)
    return y


def _shifted(a: Array, axis: Any) -> Array:
    """a minus its maximum, which changes no softmax and lets no exponential overflow."""
    return quietly(np.subtract, a, _reduce(np.maximum, a, axis)) if a.size else a


def _nonempty_axes(shape: Any) -> list[int]:
    return [0, -1, len(shape) - 1]


@primitive(
    label="Softmax",
    cases=[Case(a=reals(shape=("m", "n"), nonempty=True), axis=_nonempty_axes), Case(a=reals(shape=(2, 3, 2)), axis=[-1, 1])],
    reference=lambda a, axis: np.exp(a) / np.exp(a).sum(axis=axis, keepdims=True),
)
def softmax(a: Array, /, axis: int = -1) -> Array:
    """y = eᵃ / Σ eᵃ        ∂L/∂a = y (g − Σ g y)

    Sums run along ``axis``: the last by default, at every rank. Shift-invariant, so no input overflows. Counterpart:
    ``torch.softmax``, ``scipy.special.softmax``.

    >>> import tinygrad_edu as tg
    >>> tg.softmax(tg.Tensor([1010.0, 1000.0, 990.0]))
    Tensor([9.99954600e-01, 4.53978686e-05, 2.06106005e-09])
    """
    e = np.exp(_shifted(floating("softmax", np.asarray(a)), axis))
    y: Array = e / _reduce(np.add, e, axis)
    return y.astype(e.dtype, copy=False)


softmax.vjp(a=lambda g, y, axis: y * (g - sum(g * y, axis=axis, keepdims=True)))


@primitive(
    label="LogSoftmax",
    cases=[Case(a=reals(shape=("m", "n"), nonempty=True), axis=_nonempty_axes), Case(a=reals(shape=(2, 3, 2)), axis=[-1, 1])],
    reference=lambda a, axis: np.log(np.exp(a) / np.exp(a).sum(axis=axis, keepdims=True)),
)
def log_softmax(a: Array, /, axis: int = -1) -> Array:
    """y = a − ln Σ eᵃ        ∂L/∂a = g − eʸ Σ g

    The logarithm of `softmax` without ever taking the logarithm of 0. Counterpart: ``torch.log_softmax``.

    >>> import tinygrad_edu as tg
    >>> tg.log_softmax(tg.Tensor([0.0, 1000.0]))
    Tensor([-1000.,     0.])
    """
    shifted = _shifted(floating("log_softmax", np.asarray(a)), axis)
    y: Array = shifted - np.log(_reduce(np.add, np.exp(shifted), axis))
    return y.astype(shifted.dtype, copy=False)


log_softmax.vjp(a=lambda g, y, axis: g - exp(y) * sum(g, axis=axis, keepdims=True))


@primitive(
    cases=[Case(a=reals(nonempty=True), axis=any_axes)],
    reference=lambda a, axis: np.exp(a) / np.exp(a).sum(axis=axis, keepdims=True),
)
def _shares(a: Array, /, axis: Any) -> Array:
    """y = eᵃ / Σ eᵃ        ∂L/∂a = y (g − Σ g y)

    A softmax along any axes. Where all elements are −inf none has a share; several that are +inf share equally.
    """
    top = np.maximum.reduce(a, axis=axis, keepdims=True, initial=-np.inf)
    x = quietly(np.subtract, a, np.where(np.isinf(top), 0, top))
    if np.isposinf(top).any():
        x = np.where(np.isposinf(top), np.where(np.isposinf(a), 0, -np.inf).astype(a.dtype), x)
    e = np.exp(x)
    total = _reduce(np.add, e, axis)
    y: Array = (e / np.where(total == 0, 1, total)).astype(e.dtype, copy=False)
    return y


_shares.vjp(a=lambda g, y, axis: y * (g - sum(g * y, axis=axis, keepdims=True)))


@primitive(
    numpy=np.logaddexp.reduce,
    label="LogSumExp",
    cases=[Case(a=reals(nonempty=True), axis=any_axes, keepdims=[False, True])],
    reference=lambda a, axis, keepdims: np.log(np.exp(a).sum(axis=axis, keepdims=keepdims)),
)
def logsumexp(a: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """y = ln Σ eᵃ        ∂L/∂a = g eᵃ / Σ eᵃ

    ``axis`` is None (all), an integer or a tuple. −inf counts as a zero summand. Counterpart:
    ``numpy.logaddexp.reduce``, ``torch.logsumexp``, ``scipy.special.logsumexp``.

    >>> import tinygrad_edu as tg
    >>> tg.logsumexp(tg.Tensor([1000.0, 1000.0]))
    Tensor(1000.69314718)
    """
    a = floating("logsumexp", np.asarray(a))
    top = np.maximum.reduce(a, axis=axis, keepdims=True, initial=-np.inf if np.size(a) == 0 else None)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore", over="ignore"):  # every summand is zero: ln 0 = -inf is the answer
        y = np.log(_reduce(np.add, np.exp(a - top), axis)) + top
    axes = tuple(range(np.ndim(a))) if axis is None else axis
    return (y if keepdims else np.squeeze(y, axes)).astype(a.dtype, copy=False)


logsumexp.vjp(a=lambda g, a, axis: keep(g, a.shape, axis) * _shares(a, axis))


# ---------------------------------------------------------------------------------------------------------------- loss


@spelling(method=False)
def one_hot(labels: Any, classes: int, dtype: Any = None) -> Array:
    """Integer labels of any shape as rows of zeros with a one: shape (*labels.shape, classes).

    >>> import tinygrad_edu as tg
    >>> tg.one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise LabelError(f"one_hot: labels are integers, got dtype {labels.dtype}")
    _check_range("one_hot", labels, classes)
    return _chosen(labels, classes).astype(dtype or float)


def _chosen(labels: Array, classes: int) -> Array:
    y: Array = labels[..., None] == np.arange(classes)
    return y


def _check_range(name: str, labels: Array, classes: int) -> None:
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        bad = np.argwhere((labels < 0) | (labels >= classes))[0]
        where_ = f" at {tuple(bad.tolist())}" if labels.ndim else ""
        raise LabelError(f"{name}: label {labels[tuple(bad)]}{where_} is outside 0..{classes - 1}: there are {classes} classes")


def _check_labels(logits: Array, target: Array) -> Array | None:
    """Refuse labels that do not fit the logits. Returns the sums of the rows of distributions."""
    if logits.ndim == 0 or logits.dtype.kind != "f":
        raise LabelError(f"{LOSS}: logits are floats of shape (..., classes), got shape {logits.shape} and dtype {logits.dtype}")
    if logits.size == 0:
        raise LabelError(f"{LOSS}: logits of shape {logits.shape} are empty: a loss over nothing has no value")
    rows = logits.shape[:-1]
    if target.shape == rows and target.dtype.kind in "iu":
        return None  # whether the numbers are classes shows when they are looked up
    if target.shape == logits.shape:
        return _check_distributions(target)
    why = ""
    if target.shape == rows:
        why = "; class numbers are integers: convert them with labels.astype(int)"
    elif target.shape == (*rows, 1):
        why = "; a column of class numbers becomes a vector with labels.reshape(-1)"
    raise LabelError(
        f"{LOSS}: labels of shape {target.shape} and dtype {target.dtype} do not fit logits of shape {logits.shape}: pass "
        f"integers of shape {rows} or distributions of shape {logits.shape}{why}"
    )


def _check_distributions(target: Array) -> Array:
    sums: Array = target.sum(axis=-1)
    if target.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        raise LabelError(
            f"{LOSS}: labels of the logits' own shape {target.shape} are distributions over the classes, so each row is "
            f"non-negative and sums to 1; here the smallest entry is {target.min()} and a row sums to "
            f"{sums.ravel()[np.abs(sums - 1).argmax()]}"
        )
    return sums


LOSS = "softmax_cross_entropy"


def _plain_cross_entropy(logits: Array, target: Array, reduction: str) -> Any:
    log_p = np.log(np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True))
    if np.ndim(target) == np.ndim(logits):
        rows = -(target * log_p).sum(axis=-1)
    else:
        rows = -np.take_along_axis(log_p, np.expand_dims(target, -1), -1)[..., 0]
    return rows.mean() if reduction == "mean" else rows.sum() if reduction == "sum" else rows


_REDUCTIONS = ["mean", "sum", "none"]


@primitive(
    label="Softmax with cross-entropy",
    reference=_plain_cross_entropy,
    residuals={
        "p": lambda logits, target: _scaled_softmax(logits, target),
        "t": lambda logits, target: target if np.ndim(target) == logits.ndim else _chosen(np.asarray(target), logits.shape[-1]),
    },
    cases=[
        Case(logits=reals(shape=(4, 3)), target=np.array([0, 2, 1, 1]), reduction=_REDUCTIONS),
        Case(logits=reals(shape=(3,)), target=np.array(2), reduction=_REDUCTIONS),
        Case(logits=reals(shape=(2, 3)), target=np.array([[0, 1, 0], [0.25, 0.5, 0.25]]), reduction=_REDUCTIONS),
        Case(logits=reals(shape=(2, 2, 3)), target=np.array([[0, 1], [2, 2]]), reduction=_REDUCTIONS),
        Case(logits=reals(shape=(2, 3)), target=reals(1 / 3, 1 / 3, shape=(2, 3)), reduction=_REDUCTIONS),
    ],
)
def softmax_cross_entropy(logits: Array, target: Array, /, reduction: str = "mean") -> tuple[Array, Array, Array]:
    """y = mean of −Σ t ln softmax(z)        ∂L/∂z = g (softmax(z) − t) / N        ∂L/∂t = −g ln softmax(z) / N

    ``logits`` z are floats of shape (..., classes). ``target`` is decided by its rank: integers of shape (...) are class
    numbers; an array of the logits' shape holds distributions t, one-hot or soft, which are differentiated too if they require
    grad. Anything else raises `LabelError`. The loss is computed from log-softmax, so it agrees with its derivative however large
    the logits are. ``reduction`` is "mean" over the N rows, "sum" or "none". Counterpart:
    ``torch.nn.functional.cross_entropy``; the SoftmaxWithLoss of *Deep Learning from Scratch*, section 5.6.3.

    >>> import tinygrad_edu as tg
    >>> z = tg.Tensor([[0.0, 0.0, 0.0]], requires_grad=True)
    >>> loss = tg.softmax_cross_entropy(z, [0])
    >>> loss.backward()
    >>> z.grad
    Tensor([[-0.66666667,  0.33333333,  0.33333333]])
    """
    logits, target = np.asarray(logits), np.asarray(target)
    if reduction not in _REDUCTIONS:
        raise ArgumentError(f"softmax_cross_entropy: reduction is mean, sum or none, not {reduction!r}")
    if logits.dtype.char == "e":  # float16, whose sums over many classes or rows overflow
        y, p, t = softmax_cross_entropy.op.forward(logits.astype(np.float32), target, reduction)
        return y.astype(np.float16), p.astype(np.float16), t
    sums = _check_labels(logits, target)
    classes = logits.shape[-1]
    columns = _columns(logits.reshape(-1, classes))
    z = columns - np.maximum.reduce(columns, axis=0)
    p = np.exp(z)
    total = np.add.reduce(p, axis=0)
    logs = np.log(total)
    if sums is not None:  # 1, but for rounding, which the derivatives of t would notice
        sums = sums.reshape(-1).astype(p.dtype)
        logs, total = logs * sums, total / sums
    p /= total
    z, p = z.T, p.T
    if sums is not None:
        t, weight = target, target.reshape(z.shape)
        # Where the weight is 0 the class does not count, even if its logit is minus infinity.
        picked = np.add.reduce(np.multiply(z, weight, out=np.zeros_like(z), where=weight != 0), axis=-1)
    else:
        t = _chosen(target, classes)
        picked = z[t.reshape(z.shape)]
        if picked.size != target.size:  # some label is no class, so that no element of its row was chosen
            _check_range(LOSS, target, classes)
    rows = logs - picked
    y = rows.reshape(logits.shape[:-1])
    if reduction != "none":
        y = np.add.reduce(rows) / (len(rows) if reduction == "mean" else 1)
    return y.astype(logits.dtype, copy=False), p.reshape(logits.shape), t


def _scaled_softmax(logits: Any, target: Any) -> Any:
    """softmax(z) Σ t"""
    p = softmax(logits)
    return p * sum(target, axis=-1, keepdims=True) if np.ndim(target) == logits.ndim else p


def _by_rows(x: Any, g: Any, reduction: str) -> Any:
    """x times the cotangent of each row's loss."""
    if reduction == "none":
        g = reshape(g, (*g.shape, 1))
    elif reduction == "mean":
        g = g * (1 / math.prod(x.shape[:-1]))  # N itself may be too large for float16
    return x * g


softmax_cross_entropy.vjp(
    logits=lambda g, p, t, reduction: _by_rows(p - t, g, reduction),
    target=lambda g, logits, reduction: _by_rows(-log_softmax(logits), g, reduction),
)
