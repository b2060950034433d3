"""Mini-batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.data.dataset import as_dataset, batch_of
from tinygrad_edu.errors import ArgumentError, DTypeError
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


class DataLoader:
    """Goes through a data set in mini-batches, each a tuple of tensors.

    Parameters
    ----------
    arrays: a tuple or list of arrays whose first axis counts the examples, such as ``(x, t)``, which are not copied; or anything
        with a length whose items are tuples of equal shapes: a `TensorDataset`, a part of a `random_split`, a list of tuples.
    batch_size: examples in a batch; the last batch has what is left.
    shuffle: go through the examples in a new order each time, drawn without replacement, so that every epoch sees each of them
        once. Otherwise they come as they stand.
    seed: of the orders. Loaders with the same seed give the same sequence of epochs; None is different each time.
    drop_last: leave out a last batch that is not full.
    prefetch: how many batches a thread of its own prepares ahead; 0 for none. It pays where making a batch takes long.

    Each batch is a copy with the arrays' dtypes. `state_dict` and `load_state_dict` go back to a place in the middle of an epoch.
    Raises `ShapeError` for arrays without examples or of different lengths, `DTypeError` for what is no array of numbers,
    ValueError for a batch size that gives no batch. Counterpart: ``torch.utils.data.DataLoader``; the mini-batches of *Deep
    Learning from Scratch*, section 4.2.3.

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
        arrays: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        seed: int | None = 0,
        drop_last: bool = False,
        prefetch: int = 0,
    ) -> None:
        self.dataset = as_dataset("DataLoader", arrays)
        self.batch_size = _whole("batch_size", batch_size, 1)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.prefetch = _whole("prefetch", prefetch, 0)
        self._rng = np.random.default_rng(seed)
        self._before = self._rng.bit_generator.state  # before the order of the latest epoch was drawn
        self._position = 0  # batches of the latest epoch that were handed out
        self._skip = 0
        if not len(self):
            raise ArgumentError(f"DataLoader: drop_last leaves no batch of {batch_size} out of {len(self.dataset)} examples")

    def __len__(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        # The order is drawn here and not in the generator, whose body starts only with the first batch.
        self._before = self._rng.bit_generator.state
        first, self._skip = self._skip, 0
        self._position = first
        count = len(self.dataset)
        order = self._rng.permutation(count) if self.shuffle else np.arange(count)
        batches = self._batches(order, first)
        return self._counted(batches if not self.prefetch else ahead(batches, self.prefetch))

    def _batches(self, order: Array, first: int) -> Generator[tuple[Tensor, ...], None, None]:
        for start in range(first * self.batch_size, len(self) * self.batch_size, self.batch_size):
            yield batch_of(self.dataset, order[start : start + self.batch_size])

    def _counted(self, batches: Generator[tuple[Tensor, ...], None, None]) -> Iterator[tuple[Tensor, ...]]:
        epoch = self._before
        try:
            for batch in batches:
                self._position += 1
                yield batch
            if self._before is epoch:  # the latest epoch is over, and what comes next is a new one
                self._before, self._position = self._rng.bit_generator.state, 0
        finally:
            batches.close()

    def state_dict(self) -> dict[str, Any]:
        """Where the latest epoch is: the generator before its order was drawn, and how many batches were handed out. When it is
        over, that is the beginning of the next one."""
        return {"rng": self._before, "position": self._position}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next epoch be the rest of the one that `state_dict` was asked in, with the same order.

        >>> import numpy as np
        >>> import tinygrad_edu as tg
        >>> loader = tg.data.DataLoader((np.arange(6),), batch_size=2, shuffle=True)
        >>> first, second, third = loader
        >>> loader = tg.data.DataLoader((np.arange(6),), batch_size=2, shuffle=True)
        >>> batches = iter(loader)
        >>> _ = next(batches)
        >>> again = tg.data.DataLoader((np.arange(6),), batch_size=2, shuffle=True)
        >>> again.load_state_dict(loader.state_dict())
        >>> [batch[0].tolist() for batch in again] == [second[0].tolist(), third[0].tolist()]
        True
        """
        position = _whole("position", state_dict["position"], 0)
        if position > len(self):
            raise ArgumentError(f"DataLoader: the state is at batch {position} of an epoch, and this loader has {len(self)}")
        self._rng.bit_generator.state = state_dict["rng"]
        self._before = self._rng.bit_generator.state
        self._position = self._skip = position

    def __repr__(self) -> str:
        return f"DataLoader({len(self.dataset)} examples, {len(self)} batches of {self.batch_size})"


def ahead(batches: Iterator[Any], count: int) -> Generator[Any, None, None]:
    """The same items, of which a thread keeps up to ``count`` ready. An error in there is raised here, in its place."""
    import queue  # slow to import, and only needed here
    import threading

    ready: queue.Queue[Callable[[], Any] | None] = queue.Queue(count)
    stopped = threading.Event()

    def put(item: Callable[[], Any] | None) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.05)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        def fail(error: BaseException) -> Any:
            raise error

        try:
            for batch in batches:
                if not put(lambda batch=batch: batch):  # type: ignore[misc]
                    return
            put(None)
        except BaseException as error:
            put(lambda error=error: fail(error))  # type: ignore[misc]

    thread = threading.Thread(target=work, name="DataLoader", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            yield item()
    finally:  # the reader has gone away, maybe early
        stopped.set()
        thread.join()


def _whole(name: str, value: Any, low: int) -> int:
    try:
        number = index(value)
    except TypeError:
        raise DTypeError(f"DataLoader: {name} is a whole number, got {value!r}") from None
    if number < low:
        raise ArgumentError(f"DataLoader: {name} is at least {low}, got {value}")
    return number
