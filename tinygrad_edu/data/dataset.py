"""Data sets: examples that are counted and can be taken by their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_edu.tensor import Tensor, from_numpy

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


class TensorDataset:
    """Arrays of equal length; an example is one entry of each.

    ``dataset[key]`` is a tuple of tensors, one of each array, copies with the arrays' dtypes; ``key`` is a number, a slice or an
    array of numbers. Raises `ShapeError` for arrays without examples or of different lengths, `DTypeError` for what is no array of
    numbers. Counterpart: ``torch.utils.data.TensorDataset``.

    >>> import tinygrad_edu as tg
    >>> dataset = tg.data.TensorDataset([0.0, 0.5, 1.0], [0, 1, 2])
    >>> len(dataset)
    3
    >>> dataset[1:]
    (Tensor([0.5, 1. ]), Tensor([1, 2]))
    """

    def __init__(self, *arrays: Any) -> None:
        self.arrays = checked_arrays("TensorDataset", arrays)

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, key: Any) -> tuple[Tensor, ...]:
        return tuple([from_numpy(np.array(array[key])) for array in self.arrays])

    def take(self, numbers: Array) -> tuple[Tensor, ...]:
        """The examples with these numbers, as one batch."""
        # take() makes a new array: sharing its memory saves a second copy.
        return tuple([from_numpy(array.take(numbers, axis=0)) for array in self.arrays])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} examples)"


class Subset:
    """Some examples of a data set, by their numbers. Counterpart: ``torch.utils.data.Subset``.

    >>> import tinygrad_edu as tg
    >>> tg.data.Subset(tg.data.TensorDataset([0.0, 0.5, 1.0]), [2, 0])[0]
    (Tensor(1.),)
    """

    def __init__(self, dataset: Any, indices: Any) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: Any) -> Any:
        return self.dataset[self.indices[key]]

    def take(self, numbers: Array) -> tuple[Tensor, ...]:
        """The examples with these numbers, as one batch."""
        return batch_of(self.dataset, self.indices[numbers])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} of {len(self.dataset)} examples)"


def random_split(dataset: Any, lengths: Sequence[float], seed: int = 0) -> list[Subset]:
    """The data set in parts that have no example in common, drawn at random.

    ``lengths`` are numbers of examples, which sum to all of them, or shares, which sum to 1; what shares leave over by rounding
    goes to the first parts. The same seed gives the same parts. ``dataset`` has a length and is indexed by numbers; a tuple of
    arrays counts as a `TensorDataset`. Raises ArgumentError if the lengths do not add up. Counterpart:
    ``torch.utils.data.random_split``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> train, test = tg.data.random_split((np.arange(10.0), np.arange(10)), [0.8, 0.2])
    >>> len(train), len(test)
    (8, 2)
    >>> sorted(train[:][1].tolist() + test[:][1].tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    dataset = as_dataset("random_split", dataset)
    count = len(dataset)
    sizes = list(lengths)
    if any(size < 0 for size in sizes):
        raise ArgumentError(f"random_split: a part has at least 0 examples, got {list(lengths)}")
    if abs(sum(sizes) - 1) < 1e-9 and any(size != int(size) for size in sizes):
        sizes = [int(count * share) for share in sizes]
        for position in range(count - int(sum(sizes))):
            sizes[position % len(sizes)] += 1
    if any(size != int(size) for size in sizes) or sum(sizes) != count:
        raise ArgumentError(f"random_split: lengths {list(lengths)} sum to {sum(lengths):g}, and there are {count} examples")
    order = np.random.default_rng(seed).permutation(count)
    ends = np.cumsum(sizes).astype(int)
    return [Subset(dataset, part) for part in np.split(order, ends[:-1])]


def as_dataset(who: str, value: Any) -> Any:
    """A data set as it is, and a tuple or list of arrays as one. A list of tuples is a data set: of examples."""
    examples = isinstance(value, list) and value and all(isinstance(item, tuple) for item in value)
    if isinstance(value, tuple | list) and not examples:
        dataset = TensorDataset.__new__(TensorDataset)
        dataset.arrays = checked_arrays(who, value)
        return dataset
    if not (hasattr(value, "__len__") and hasattr(value, "__getitem__")) or isinstance(value, np.ndarray | Tensor):
        raise DTypeError(
            f"{who}: arrays is a tuple of arrays, such as (x, t) or (x,), got a {type(value).__name__}; a data set of your own "
            "has a length and items"
        )
    if not len(value):
        raise ShapeError(f"{who}: {value!r} holds no examples")
    return value


def batch_of(dataset: Any, numbers: Array) -> tuple[Tensor, ...]:
    """Some examples of a data set as one batch: each item's parts are stacked, unless the data set can ``take`` many at once."""
    if hasattr(dataset, "take"):
        batch: tuple[Tensor, ...] = dataset.take(numbers)
        return batch
    items = [dataset[int(number)] for number in numbers]
    columns = zip(*[item if isinstance(item, tuple | list) else (item,) for item in items], strict=True)
    return tuple([_stacked(column) for column in columns])


def _stacked(column: Sequence[Any]) -> Tensor:
    arrays = [part.data if isinstance(part, Tensor) else np.asarray(part) for part in column]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise ShapeError(
            f"DataLoader: examples of a batch have shapes {shapes[0]} and {shapes[1]} and cannot be stacked: pad them to one length"
        )
    return from_numpy(np.stack(arrays))


def checked_arrays(who: str, arrays: Sequence[Any]) -> list[Array]:
    """The arrays, of numbers and of one length."""
    if not arrays:
        raise DTypeError(f"{who}: arrays is a tuple of arrays, such as (x, t) or (x,), got an empty one")
    checked = [array.data if isinstance(array, Tensor) else np.asarray(array) for array in arrays]
    for position, array in enumerate(checked):
        if array.dtype.kind not in "biufc":
            raise DTypeError(f"{who}: array {position} has dtype {array.dtype}, which is not numeric")
        if array.ndim == 0:
            raise ShapeError(f"{who}: array {position} is a single number; the first axis counts the examples")
    lengths = [len(array) for array in checked]
    if len(set(lengths)) > 1:
        counts = " and ".join(map(str, lengths))
        raise ShapeError(f"{who}: the arrays have {counts} entries; an example is one entry of each, so they need equally many")
    if not lengths[0]:
        shapes = " and ".join(str(array.shape) for array in checked)
        raise ShapeError(f"{who}: arrays of shape {shapes} hold no examples")
    return checked
