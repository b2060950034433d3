"""Small data sets that are made, not measured: two numbers in the plane and a class, or a curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

    Examples: TypeAlias = tuple[Array, Array]


def spiral(count: int = 300, classes: int = 3, noise: float = 0.2, seed: int = 0, dtype: Any = float) -> Examples:
    """``x, t``: points of shape (count, 2) on the arms of a spiral, and which arm, 0 to classes − 1, of shape (count,)

    No straight line separates the arms. ``noise`` is the standard deviation of the angle, in radians. The data set of *Deep
    Learning from Scratch 2*, section 1.4.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> x, t = tg.data.spiral(90)
    >>> x.shape, np.bincount(t).tolist()
    ((90, 2), [30, 30, 30])
    """
    rng = _rng("spiral", count, noise, seed, dtype, classes)
    t = np.arange(count) % classes
    radius = (np.arange(count) // classes + 1) / (-(-count // classes))
    angle = 4 * radius + 2 * np.pi * t / classes + noise * rng.standard_normal(count)
    return _shuffled(rng, np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1), t, dtype)


def moons(count: int = 200, noise: float = 0.1, seed: int = 0, dtype: Any = float) -> Examples:
    """``x, t``: points of shape (count, 2) on two half circles that reach into each other, and which one, 0 or 1

    ``noise`` is the standard deviation of both coordinates. Counterpart: ``sklearn.datasets.make_moons``.

    >>> import tinygrad_edu as tg
    >>> x, t = tg.data.moons(4, noise=0)
    >>> sorted(zip(t.tolist(), x.round(2).tolist()))
    [(0, [-1.0, 0.0]), (0, [1.0, 0.0]), (1, [0.0, 0.5]), (1, [2.0, 0.5])]
    """
    rng = _rng("moons", count, noise, seed, dtype)
    t = np.arange(count) % 2
    angle = np.pi * (np.arange(count) // 2) / np.maximum((count + 1 - t) // 2 - 1, 1)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    x = np.where(t[:, None] == 0, upper, lower) + noise * rng.standard_normal((count, 2))
    return _shuffled(rng, x, t, dtype)


def xor(count: int = 200, noise: float = 0.1, seed: int = 0, dtype: Any = float) -> Examples:
    """``x, t``: points of shape (count, 2) about the corners of the unit square, and the exclusive or of the corner's coordinates

    ``noise`` is the standard deviation of both coordinates; with 0, and 4 points, this is the gate's truth table. One straight line
    does not separate the classes: *Deep Learning from Scratch*, section 2.4.

    >>> import tinygrad_edu as tg
    >>> x, t = tg.data.xor(4, noise=0)
    >>> sorted(zip(x.tolist(), t.tolist()))
    [([0.0, 0.0], 0), ([0.0, 1.0], 1), ([1.0, 0.0], 1), ([1.0, 1.0], 0)]
    """
    rng = _rng("xor", count, noise, seed, dtype)
    corner = np.arange(count) % 4
    bits = np.stack([corner // 2, corner % 2], axis=1)
    return _shuffled(rng, bits + noise * rng.standard_normal((count, 2)), bits[:, 0] ^ bits[:, 1], dtype)


def sine(count: int = 100, noise: float = 0.1, seed: int = 0, dtype: Any = float) -> Examples:
    """``x, y``: numbers in [0, 1] of shape (count, 1), and sin(2π x) of the same shape with noise of this standard deviation

    >>> import tinygrad_edu as tg
    >>> x, y = tg.data.sine(5, noise=0)
    >>> (abs(y - np.sin(2 * np.pi * x)) < 1e-12).all()
    np.True_
    """
    rng = _rng("sine", count, noise, seed, dtype)
    x = rng.random((count, 1))
    y = np.sin(2 * np.pi * x) + noise * rng.standard_normal((count, 1))
    return x.astype(dtype), y.astype(dtype)


def _rng(who: str, count: int, noise: float, seed: int, dtype: Any, classes: int = 1) -> np.random.Generator:
    if classes < 1 or count < classes or not noise >= 0:
        raise ArgumentError(
            f"{who}: there is at least one example of each class, and noise is at least 0; got count={count}"
            + f", classes={classes}" * (classes != 1)
            + f" and noise={noise}"
        )
    if np.dtype(dtype).kind != "f":
        raise DTypeError(f"{who}: coordinates are floats, and {np.dtype(dtype)} is not a floating dtype")
    return np.random.default_rng(seed)


def _shuffled(rng: np.random.Generator, x: Array, t: Array, dtype: Any) -> Examples:
    order = rng.permutation(len(x))
    return x[order].astype(dtype), t[order].astype(np.int64)
