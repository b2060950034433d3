"""Going through the memory of a parameter, its gradient and its state once, piece by piece, and of a large one in several threads.

A rule such as Adam's has a dozen passes over the numbers. On pieces that stay in a cache these cost little more than
one pass over the whole, and the only temporaries have the size of a piece. NumPy lets go of the interpreter's lock while it
computes, so threads share the work: each takes the next piece that nobody has taken. Every number is computed as one thread alone
would do it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextvars import copy_context
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from tinygrad_edu.graph import Array
    from tinygrad_edu.optim.optimizer import Options, Rule

    Piece: TypeAlias = Sequence[Array]

BLOCK = 1 << 20  # bytes of each array in a piece: those of a few threads fit into a cache, and calls are few
SHARED = 1 << 22  # bytes of all arrays together from which on it pays to wake other threads
THREADS = 8  # at most: more would wait for memory


def sweep(move: Rule, arrays: Sequence[Array], options: Options, decoupled: bool) -> None:
    """Call ``move`` for one piece of the arrays after the other. ``arrays`` are the parameter, its gradient and what is kept."""
    if arrays[0].nbytes <= BLOCK:
        _sweep(move, [arrays], options, decoupled)
        return
    pieces = deque(_pieces(arrays))
    helpers = min(_threads(), len(pieces)) - 1 if sum([array.nbytes for array in arrays]) >= SHARED else 0
    # In copies of this thread's context, where np.errstate is kept.
    helping = [_pool().submit(copy_context().run, _sweep, move, _taken(pieces), options, decoupled) for _ in range(helpers)]
    try:
        _sweep(move, _taken(pieces), options, decoupled)
    finally:
        pieces.clear()  # after an error, nobody begins another one
        # Who has not begun by now is not waited for. (In a process that was forked, nobody would ever begin.)
        errors = [help.exception() for help in helping if not help.cancel()]
    for error in filter(None, errors):
        raise error


def _sweep(move: Rule, pieces: Iterable[Piece], options: Options, decoupled: bool) -> None:
    decay = options.get("weight_decay", 0.0)
    shrink = 1 - options["lr"] * decay if decoupled and decay else None
    scratch = decayed = np.empty(0)
    for piece in pieces:
        for part, gradient, *kept in _blocks(piece):
            if len(scratch) < len(part):
                scratch = np.empty_like(part)
                decayed = np.empty_like(part) if decay else scratch
            if shrink is not None:
                part *= shrink
            elif decay:  # the gradient of ½ λ ‖p‖² is λ p
                total = np.multiply(part, decay, out=decayed[: len(part)])
                total += gradient
                gradient = total
            move(part, gradient, *kept, scratch[: len(part)])


def _pieces(arrays: Piece) -> Iterator[Piece]:
    """The arrays cut into pieces of the size of a block: along their first axis, or anywhere if all lie in memory alike."""
    p = arrays[0]
    if all(_is_plain(array, p) for array in arrays):
        arrays = [array.reshape(-1) for array in arrays]
    length = len(arrays[0])
    rows = max(1, BLOCK * length // p.nbytes)
    for start in range(0, length, rows):
        yield [array[start : start + rows] for array in arrays]


def _taken(pieces: deque[Piece]) -> Iterator[Piece]:
    while True:
        try:
            piece = pieces.popleft()
        except IndexError:  # other threads have taken the rest
            return
        yield piece


def _blocks(arrays: Piece) -> Iterator[tuple[Array, ...]]:
    """A piece as one-dimensional arrays, whatever the layout of each: views where they can be, else NumPy's buffers, which are
    written back."""
    p = arrays[0]
    if all(_is_plain(array, p) for array in arrays):
        yield tuple([array.reshape(-1) for array in arrays])  # the iterator below takes longer to make than a small step
        return
    flags: list[Any] = [["readwrite"], ["readonly"], *[["readwrite"]] * (len(arrays) - 2)]
    size = max(1, BLOCK // p.itemsize)
    dtypes = [p.dtype] * len(arrays)
    with np.nditer(list(arrays), ["external_loop", "buffered"], flags, dtypes, casting="same_kind", buffersize=size) as blocks:
        yield from blocks


def _is_plain(array: Array, p: Array) -> bool:
    return array.flags.c_contiguous and array.dtype == p.dtype


def _threads() -> int:
    """As many as there are processors for us, unless the variable that BLAS reads says otherwise."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(1, int(wanted)) if wanted.isdigit() else available, THREADS)


@cache
def _pool() -> ThreadPoolExecutor:
    """The other threads, which start when they are first needed, and then wait for more."""
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and only needed here

    return ThreadPoolExecutor(THREADS - 1, "optim")
