"""Mini-batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_edu.tensor import Tensor, from_numpy

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


class DataLoader:
    """Goes through arrays of equal length in mini-batches, each a tuple of tensors.

    Parameters
    ----------
    arrays: a tuple or list of arrays whose first axis counts the examples, such as ``(x, t)``. They are not copied.
    batch_size: examples in a batch; the last batch has what is left.
    shuffle: go through the examples in a new order each time, drawn without replacement, so that every epoch sees each of them
        once. Otherwise they come as they stand.
    seed: of the orders. Loaders with the same seed give the same sequence of epochs; None is different each time.
    drop_last: leave out a last batch that is not full.

    Each batch is a copy with the arrays' dtypes. Raises `ShapeError` for arrays without examples or of different lengths,
    `DTypeError` for what is no array of numbers, ValueError for a batch size that gives no batch. Counterpart:
    ``torch.utils.data.DataLoader`` of a ``TensorDataset``; the mini-batches of *Deep Learning from Scratch*, section 4.2.3.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> loader = tg.data.DataLoader((np.array([0.0, 0.5, 1.0]), np.array([0, 1, 2])), batch_size=2)
    >>> len(loader)
    2
    >>> for x, t in loader:
    ...     print(x, t)
    Tensor([0. , 0.5]) Tensor([0, 1])
    Tensor([1.]) Tensor([2])
    """

    def __init__(
        self,
        arrays: Sequence[Any],
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        seed: int | None = 0,
        drop_last: bool = False,
    ) -> None:
        self._arrays = _checked(arrays)
        self._count = len(self._arrays[0])
        self.batch_size = _whole(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self._rng = np.random.default_rng(seed)
        if self.batch_size < 1:
            raise ArgumentError(f"DataLoader: batch_size is at least 1, got {batch_size}")
        if not len(self):
            raise ArgumentError(f"DataLoader: drop_last leaves no batch of {batch_size} out of {self._count} examples")

    def __len__(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(self._count, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        # The order is drawn here and not in the generator, whose body starts only with the first batch.
        order = self._rng.permutation(self._count) if self.shuffle else np.arange(self._count)
        return self._batches(order)

    def _batches(self, order: Array) -> Iterator[tuple[Tensor, ...]]:
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            # take() has made a new array: sharing its memory saves a second copy.
            yield tuple([from_numpy(array.take(chosen, axis=0)) for array in self._arrays])

    def __repr__(self) -> str:
        return f"DataLoader({self._count} examples, {len(self)} batches of {self.batch_size})"


def _checked(arrays: Sequence[Any]) -> list[Array]:
    """The arrays, of numbers and of one length."""
    if not isinstance(arrays, tuple | list) or not arrays:
        raise DTypeError(f"DataLoader: arrays is a tuple of arrays, such as (x, t) or (x,), got {_kind(arrays)}")
    checked = [array.data if isinstance(array, Tensor) else np.asarray(array) for array in arrays]
    for position, array in enumerate(checked):
        if array.dtype.kind not in "biufc":
            raise DTypeError(f"DataLoader: array {position} has dtype {array.dtype}, which is not numeric")
        if array.ndim == 0:
            raise ShapeError(f"DataLoader: array {position} is a single number; the first axis counts the examples")
    lengths = [len(array) for array in checked]
    if len(set(lengths)) > 1:
        counts = " and ".join(map(str, lengths))
        raise ShapeError(
            f"DataLoader: the arrays have {counts} entries; an example is one entry of each, so they need equally many"
        )
    if not lengths[0]:
        shapes = " and ".join(str(array.shape) for array in checked)
        raise ShapeError(f"DataLoader: arrays of shape {shapes} hold no examples")
    return checked


def _whole(batch_size: Any) -> int:
    try:
        return index(batch_size)
    except TypeError:
        raise DTypeError(f"DataLoader: batch_size is a whole number, got {batch_size!r}") from None


def _kind(value: Any) -> str:
    return "an empty one" if isinstance(value, tuple | list) else f"a {type(value).__name__}"
