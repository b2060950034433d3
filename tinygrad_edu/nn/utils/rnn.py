"""Sequences of different lengths in one batch. Counterpart: ``torch.nn.utils.rnn``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.joining import stack
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import pad, swapaxes
from tinygrad_edu.tensor import Tensor

__all__ = ["PackedSequence", "pack_padded_sequence", "pad_packed_sequence", "pad_sequence"]


class PackedSequence(NamedTuple):
    """Padded sequences (steps, batch, ...) with their lengths, which recurrent layers heed. Made by `pack_padded_sequence`.

    Unlike PyTorch's, the data are still padded: the steps behind the end are computed, and then set to 0.
    """

    data: Any
    lengths: Any
    batch_first: bool = False


def pad_sequence(sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0) -> Any:
    """Sequences of different lengths as one tensor, filled up at the end: (longest, batch, ...), or (batch, longest, ...).

    Counterpart: ``torch.nn.utils.rnn.pad_sequence``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.utils.rnn.pad_sequence([tg.Tensor([1.0, 2.0]), tg.Tensor([3.0])], batch_first=True)
    Tensor([[1., 2.],
            [3., 0.]])
    """
    if not sequences:
        raise ArgumentError("pad_sequence: there are no sequences")
    longest = max(len(s) for s in sequences)
    rows = [pad(s, [(0, longest - len(s)), *[(0, 0)] * (np.ndim(s) - 1)], constant_values=padding_value) for s in sequences]
    return stack(rows, axis=0 if batch_first else 1)


def pack_padded_sequence(input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """Padded sequences together with how long each of them is, for `RNN`, `LSTM` and `GRU`.

    ``input`` is (longest, batch, ...), or (batch, longest, ...) with ``batch_first``. PyTorch wants the longest first; so does
    this, unless ``enforce_sorted`` is False, which costs nothing here. Raises `ArgumentError` for lengths that do not fit.
    Counterpart: ``torch.nn.utils.rnn.pack_padded_sequence``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> packed = tg.nn.utils.rnn.pack_padded_sequence(tg.Tensor(np.ones((3, 2, 4))), [3, 1])
    >>> output, h = tg.nn.GRU(4, 5)(packed)
    >>> padded, lengths = tg.nn.utils.rnn.pad_packed_sequence(output)
    >>> padded.shape, lengths.tolist(), bool((padded[1:, 1] == 0).data.all())
    ((3, 2, 5), [3, 1], True)
    """
    numbers = lengths.data if isinstance(lengths, Tensor) else np.asarray(lengths)
    if np.ndim(input) < 2:
        raise ShapeError(f"pack_padded_sequence: the input has a batch axis and an axis of steps, got shape {np.shape(input)}")
    steps, batch = np.shape(input)[:2] if not batch_first else np.shape(input)[1::-1]
    fits = numbers.shape == (batch,) and numbers.dtype.kind in "iu"
    if not fits or numbers.min(initial=1) < 1 or numbers.max(initial=1) > steps:
        raise ArgumentError(
            f"pack_padded_sequence: lengths are integers from 1 to {steps}, one for each of the {batch} sequences, got "
            f"{numbers.tolist()}"
        )
    if enforce_sorted and (np.diff(numbers) > 0).any():
        raise ArgumentError(
            f"pack_padded_sequence: lengths {numbers.tolist()} do not fall: sort the sequences, or pass enforce_sorted=False"
        )
    return PackedSequence(swapaxes(input, 0, 1) if batch_first else input, numbers.astype(np.intp), batch_first)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """The padded sequences and their lengths: the inverse of `pack_padded_sequence`, as long as the longest, or ``total_length``.

    Counterpart: ``torch.nn.utils.rnn.pad_packed_sequence``.
    """
    longest = int(sequence.lengths.max(initial=0))
    if total_length is not None and total_length < longest:
        raise ArgumentError(f"pad_packed_sequence: total_length={total_length} is less than the longest sequence, {longest}")
    x = sequence.data[:longest]
    live = np.arange(longest)[:, None] < sequence.lengths
    x = where(live.reshape(*live.shape, *[1] * (np.ndim(x) - 2)), x, padding_value)
    if total_length is not None and total_length > longest:
        x = pad(x, [(0, total_length - longest), *[(0, 0)] * (np.ndim(x) - 1)], constant_values=padding_value)
    return swapaxes(x, 0, 1) if batch_first else x, sequence.lengths
