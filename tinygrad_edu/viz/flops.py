"""How many floating-point operations an operation takes, as they are usually counted: see `Graph.summary`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from tinygrad_edu.graph import Node, Shape

# From the shape of the result, those of the operands, and the arguments that are no operands.
Count: TypeAlias = Callable[..., float]

# Families of operations, by the file that they stand in: those that only move data, and those that look at each element once.
MOVING = frozenset({"shape", "indexing", "joining", "splitting", "moving", "diagonals", "windows", "select", "updates"})
READING = frozenset({"reduction", "cumulative", "norm", "nan", "statistics", "differences"})

# How often an operation goes over the elements of its first operand. A softmax does it for the maximum, the difference, the
# exponential, the sum and the quotient. What is done once for each row is not counted.
PASSES = {
    "softmax": 5,
    "log_softmax": 5,
    "_shares": 5,
    "logsumexp": 4,
    "softmax_cross_entropy": 5,
    "standardize": 5,
    "rms_normalize": 3,
    "tap": 0,
    "_alias": 0,
    "fftshift": 0,
    "ifftshift": 0,
}


def flops(node: Node, operands: Sequence[Any]) -> int | None:
    """The floating-point operations of a node's forward, or None where that is not known."""
    op = node.op
    size: int = math.prod(node.shape)
    if op.elementwise:
        return size
    if not op.ours:
        return None
    shapes: list[Shape] = [operand.shape for operand in operands]
    if op.name in COUNTS:
        return round(COUNTS[op.name](node.shape, *([shapes] if op.variadic else shapes), **node.params))
    if op.name in PASSES:
        return PASSES[op.name] * math.prod(shapes[0])
    *_, family = op.function.__module__.split(".")
    if family in MOVING:
        return 0
    if family in READING:
        read = sum(map(math.prod, shapes))
        return read if size <= read else 0  # Repeat, the adjoint of Sum, moves data
    return None


# ---------------------------------------------------------------------------------------------------------------- products


def _matmul(y: Shape, a: Shape, b: Shape) -> float:
    return 2 * math.prod(y) * a[-1]


def _tensordot(y: Shape, a: Shape, b: Shape, axes: Any) -> float:
    return 2 * math.isqrt(math.prod(a) * math.prod(b) * math.prod(y))  # every index stands in two of the three arrays


def _einsum(y: Shape, shapes: Sequence[Shape], subscripts: str, optimize: Any) -> float:
    """Of each contraction on the way that NumPy goes: a multiplication for each operand but one, and an addition if it sums."""
    before, _, result = subscripts.partition("->")
    terms = [frozenset(term) for term in before.split(",")]
    lengths: dict[str, int] = {}
    for term, shape in zip(before.split(","), shapes, strict=True):
        for index, n in zip(term, shape, strict=True):
            lengths[index] = max(n, lengths.get(index, n)) if n else 0
    way = [tuple(range(len(terms)))]
    if len(terms) > 2:
        arrays = [np.broadcast_to(0.0, shape) for shape in shapes]
        way = np.einsum_path(subscripts, *arrays, optimize=optimize)[0][1:]
    total = 0
    for places in way:
        taken = [terms.pop(place) for place in sorted(places, reverse=True)]
        every = frozenset().union(*taken)
        kept = every & frozenset(result).union(*terms)
        terms.append(kept)
        total += math.prod(lengths[index] for index in every) * (len(taken) - 1 + (kept != every))
    return total


def _conv(y: Shape, x: Shape, w: Shape, **_: Any) -> float:
    return 2 * math.prod(y) * math.prod(w[1:])


def _conv_input(y: Shape, a: Shape, w: Shape, **_: Any) -> float:
    return 2 * math.prod(a) * math.prod(w[1:])


def _conv_weight(y: Shape, x: Shape, a: Shape, **_: Any) -> float:
    return 2 * math.prod(a) * math.prod(y[1:])


def _convolve(y: Shape, a: Shape, v: Shape, mode: str) -> float:
    return 2 * min(a[0] * v[0], y[0] * min(a[0], v[0]))


def _polyval(y: Shape, p: Shape, x: Shape) -> float:
    return 2 * math.prod(y) * max(p[0] - 1, 0)


# ---------------------------------------------------------------------------------------------- windows and recurrent nets


def _pool(y: Shape, a: Shape, kernel: Any, **_: Any) -> float:
    return math.prod(y) * int(np.prod(kernel))


def _unpool(y: Shape, a: Shape, **options: Any) -> float:
    return _pool(a, y, **options)


def _scan(y: Shape, x: Shape, w: Shape, *rest: Shape, **_: Any) -> float:
    """A product with w in each step, and what is done for each unit: a plain one takes 2 operations, a GRU's 14, an LSTM's 17."""
    gates = w[0] // max(w[1], 1)
    return math.prod(x) * (2 * w[1] + {1: 2, 3: 14, 4: 17}[gates] / gates)


# ----------------------------------------------------------------------------------------------- transforms and equations


def _fft(y: Shape, a: Shape, axis: int, **_: Any) -> float:
    return 5 * math.prod(y) * math.log2(max(y[axis], 1))


def _from_real(y: Shape, a: Shape, n: int | None, axis: int, **_: Any) -> float:
    n = a[axis] if n is None else n
    return 2.5 * math.prod(a) / max(a[axis], 1) * n * math.log2(max(n, 1))


def _to_real(y: Shape, a: Shape, axis: int, **_: Any) -> float:
    return 2.5 * math.prod(y) * math.log2(max(y[axis], 1))


def _cubed(factor: float) -> Count:
    """So many times n³ for each of the matrices."""
    return lambda y, a, **_: factor * math.prod(a) * a[-1]


def _solve(y: Shape, a: Shape, b: Shape) -> float:
    return 2 / 3 * math.prod(a) * a[-1] + 2 * math.prod(y) * a[-1]


def _solve_triangular(y: Shape, a: Shape, b: Shape, **_: Any) -> float:
    return math.prod(y) * a[-1]


def _banded(y: Shape, ab: Shape, b: Shape, bands: tuple[int, int]) -> float:
    """An elimination within the bands, and for each right-hand side a substitution forth and one back."""
    lower, upper = bands
    return 2 * lower * (lower + upper) * ab[1] + 2 * math.prod(y) * (2 * lower + upper)


COUNTS: dict[str, Count] = {
    "matmul": _matmul,
    "tensordot": _tensordot,
    "_einsum": _einsum,
    "_cross": lambda y, a, b: 3 * math.prod(y),
    "convolve": _convolve,
    "conv": _conv,
    "conv_input": _conv_input,
    "conv_weight": _conv_weight,
    "max_pool": _pool,
    "avg_pool": _pool,
    "_max_spread": lambda y, a, number, **_: math.prod(a),
    "_max_chosen": lambda y, a, number, **_: 0,
    "_avg_spread": _unpool,
    "rnn_scan": _scan,
    "gru_scan": _scan,
    "lstm_scan": _scan,
    "fft": _fft,
    "ifft": _fft,
    "rfft": _from_real,
    "ihfft": _from_real,
    "irfft": _to_real,
    "hfft": _to_real,
    "cholesky": _cubed(1 / 3),
    "det": _cubed(2 / 3),
    "_slogdet": _cubed(2 / 3),
    "inv": _cubed(2),
    "solve": _solve,
    "solve_triangular": _solve_triangular,
    "_banded": _banded,
    "vander": lambda y, x, **_: math.prod(y),
    "polyval": _polyval,
}
