"""Going through the memory of a parameter, its gradient and its state once, block by block, and of a large one in several threads.

A rule such as Adam's has a dozen passes over the numbers. On blocks that stay in the processor's cache these cost little more than
one pass over the whole, and the only temporaries have the size of a block. NumPy lets go of the interpreter's lock while it
computes, so threads share the work; every number is computed as it would be by one of them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextvars import copy_context
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array
    from tinygrad_edu.optim.optimizer import Options, Rule

BLOCK = 1 << 18  # bytes of each array in a block: five of them fit into a second-level cache
SHARED = 1 << 21  # bytes of an array from which on it pays to start threads


def sweep(move: Rule, arrays: Sequence[Array], options: Options, decoupled: bool) -> None:
    """Call ``move`` for one block of the arrays after the other. ``arrays`` are the parameter, its gradient and what is kept."""
    first, *others = _shares(arrays)
    if not others:
        _sweep(move, first, options, decoupled)
        return
    errors: list[BaseException] = []

    def work(share: Sequence[Array]) -> None:
        try:
            _sweep(move, share, options, decoupled)
        except BaseException as error:
            errors.append(error)

    # In a copy of this thread's context, where np.errstate is kept.
    threads = [threading.Thread(target=copy_context().run, args=(work, share)) for share in others]
    for thread in threads:
        thread.start()
    work(first)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _sweep(move: Rule, arrays: Sequence[Array], options: Options, decoupled: bool) -> None:
    p = arrays[0]
    decay = options.get("weight_decay", 0.0)
    shrink = 1 - options["lr"] * decay if decoupled and decay else None
    length = max(1, min(BLOCK // p.itemsize, p.size))
    scratch = np.empty(length, p.dtype)
    decayed = np.empty(length, p.dtype) if decay and not decoupled else None
    for part, gradient, *kept in _blocks(arrays, length):
        if shrink is not None:
            part *= shrink
        elif decayed is not None:  # the gradient of ½ λ ‖p‖² is λ p
            total = np.multiply(part, decay, out=decayed[: len(part)])
            total += gradient
            gradient = total
        move(part, gradient, *kept, scratch[: len(part)])


def _shares(arrays: Sequence[Array]) -> list[Sequence[Array]]:
    """The arrays as they are, or, if they are large, cut along their first axis into a share for each thread."""
    p = arrays[0]
    count = min(_threads(), len(p)) if p.nbytes >= SHARED and p.ndim else 1
    if count < 2:
        return [arrays]
    ends = [len(p) * i // count for i in range(count + 1)]
    return [[array[start:end] for array in arrays] for start, end in pairwise(ends)]


def _threads() -> int:
    """As many as there are processors for us, unless the variable that BLAS reads says otherwise."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit():
        return max(1, int(wanted))
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, 8)


def _blocks(arrays: Sequence[Array], length: int) -> Iterator[tuple[Array, ...]]:
    """One-dimensional pieces of the arrays, whatever the layout of each: views where they can be, else NumPy's buffers, which are
    written back."""
    p = arrays[0]
    if p.size <= length and all(array.flags.c_contiguous and array.dtype == p.dtype for array in arrays):
        yield tuple([array.reshape(-1) for array in arrays])  # the iterator below takes longer to make than a small step
        return
    flags: list[Any] = [["readwrite"], ["readonly"], *[["readwrite"]] * (len(arrays) - 2)]
    dtypes = [p.dtype] * len(arrays)
    with np.nditer(list(arrays), ["external_loop", "buffered"], flags, dtypes, casting="same_kind", buffersize=length) as blocks:
        yield from blocks
