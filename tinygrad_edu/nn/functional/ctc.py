"""Connectionist temporal classification: a loss for sequences whose alignment is not known."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, LabelError, ShapeError
from tinygrad_edu.nn.functional.classification import as_numbers, check_reduction
from tinygrad_edu.ops.exponential import logaddexp
from tinygrad_edu.ops.indexing import take_along_axis
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.reduction import mean, sum
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import squeeze

NEVER = -1e30  # the logarithm of a probability of 0: finite, so that differences of it are 0 and not nan


def _rows(targets: Any, lengths: Any, batch: int) -> list[Any]:
    """One array of labels for each sequence: from a padded table, or from one vector of all labels."""
    targets = as_numbers(targets)
    if targets.dtype.kind not in "iu":
        raise LabelError(f"ctc_loss: targets are class numbers, integers, got dtype {targets.dtype}")
    if targets.ndim == 1 and (batch > 1 or targets.size != lengths.max(initial=0)) and targets.size != lengths.sum():
        raise ShapeError(f"ctc_loss: a vector of all labels has {lengths.sum()} of them by target_lengths, and not {targets.size}")
    if targets.ndim == 1:
        return np.split(targets, np.cumsum(lengths)[:-1])
    if targets.ndim != 2 or len(targets) != batch or lengths.max(initial=0) > targets.shape[1]:
        raise ShapeError(
            f"ctc_loss: targets are (batch, longest) or one vector of all labels, got shape {targets.shape} for a batch of {batch} "
            f"with up to {lengths.max(initial=0)} labels"
        )
    return [row[:n] for row, n in zip(targets, lengths, strict=True)]


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """y = mean of −ln Σ Π p, over the paths that read as the target        ∂L/∂x = −(the share of the paths through it)

    A path names a class or a blank for every step; it is read by dropping repetitions and then blanks.

    Parameters
    ----------
    log_probs: logarithms of probabilities, (steps, batch, classes) or (steps, classes), as `log_softmax` gives them.
    targets: class numbers, (batch, longest), or all in one vector.
    input_lengths, target_lengths: how many steps and labels of each sequence count: (batch,).
    blank: the class that stands for nothing.
    reduction: "mean" divides each loss by the target's length first, as PyTorch does; or "sum", or "none".
    zero_infinity: whether a target that is too long for its steps counts as 0, and not as infinite.

    Every order of derivative exists. Counterpart: ``torch.nn.functional.ctc_loss``; Graves et al., *Connectionist Temporal
    Classification* (2006).

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> even = tg.Tensor(np.log(np.full((2, 1, 2), 0.5)))
    >>> tg.nn.functional.ctc_loss(even, [[1]], [2], [1])  # 3 of 4 paths: 1 1, 1 -, - 1
    Tensor(0.28768207)
    """
    check_reduction("ctc_loss", reduction)
    alone = np.ndim(log_probs) == 2
    x = log_probs[:, None] if alone else log_probs
    if np.ndim(x) != 3:
        raise ShapeError(f"ctc_loss: log_probs are (steps, batch, classes), got shape {np.shape(log_probs)}")
    steps, batch, classes = np.shape(x)
    lasts, counts = [np.atleast_1d(as_numbers(n)).astype(int) for n in (input_lengths, target_lengths)]
    if lasts.shape != (batch,) or counts.shape != (batch,) or lasts.max(initial=0) > steps or lasts.min(initial=1) < 1:
        raise ShapeError(
            f"ctc_loss: input_lengths and target_lengths have one number for each of the {batch} sequences, and the first are 1 to "
            f"{steps}, got {lasts.tolist()} and {counts.tolist()}"
        )
    rows = _rows(as_numbers(targets)[None] if alone and np.ndim(targets) == 1 else targets, counts, batch)
    if not 0 <= blank < classes:
        raise ArgumentError(f"ctc_loss: blank is one of the {classes} classes, got {blank!r}")
    # The labels with a blank before, between and behind them: (batch, states).
    labels = np.full((batch, 2 * counts.max(initial=0) + 1), blank)
    for n, row in enumerate(rows):
        if ((row < 0) | (row >= classes) | (row == blank)).any():
            raise LabelError(
                f"ctc_loss: the labels of sequence {n}, {row.tolist()}, are 0..{classes - 1} and not the blank, {blank}"
            )
        labels[n, 1 : 2 * len(row) : 2] = row
    dtype = as_numbers(x).dtype
    states = labels.shape[1]
    skips = np.zeros(labels.shape, bool)  # from a label to the next, over the blank, unless they are equal
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])

    def moved(alpha: Any, by: int) -> Any:
        kept = alpha[:, : max(states - by, 0)]
        return concatenate([np.full((batch, min(by, states)), NEVER, dtype), kept], axis=1)

    said = take_along_axis(x, np.broadcast_to(labels, (steps, *labels.shape)), -1)  # (steps, batch, states)
    alpha = where(np.arange(states) < 2, said[0], dtype.type(NEVER))
    for t in range(1, steps):
        arrived = logaddexp(alpha, moved(alpha, 1))
        arrived = logaddexp(arrived, where(skips, moved(alpha, 2), dtype.type(NEVER)))
        now = arrived + said[t]
        alpha = where((t < lasts)[:, None], now, alpha)
    last = 2 * counts[:, None]
    y = -squeeze(
        logaddexp(take_along_axis(alpha, last, -1), where(last > 0, take_along_axis(alpha, np.maximum(last - 1, 0), -1), NEVER)), -1
    )
    impossible = as_numbers(y) > -NEVER / 2
    if impossible.any():
        y = where(impossible, dtype.type(0 if zero_infinity else np.inf), y)
    if reduction == "mean":
        return mean(y / np.maximum(counts, 1).astype(dtype))
    return sum(y) if reduction == "sum" else y[0] if alone else y
