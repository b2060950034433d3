"""Which numbers a domain leaves: an interval, without the gaps around the kinks that it avoids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.registry import Reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

FINE = 33  # candidates along either axis of a square of complex numbers


def check_domain(domain: Reals, dtype: Any = np.float64) -> None:
    """Raise `ArgumentError` where there is no number to draw."""
    if domain.grid is not None:
        if not domain.grid[1] > 0:
            raise ArgumentError(f"{_text(domain)}: the step of a grid is larger than 0")
    elif domain.complex:
        _complex_places(domain)
    else:
        intervals(domain, dtype)


def within(values: Array, domain: Reals, dtype: np.dtype[Any]) -> Array:
    """The values, those outside the domain being moved to the nearest number of it that the dtype has."""
    if dtype.kind != "c":
        return _nearest(values, intervals(domain, dtype))
    for kink in domain.avoid:
        distance = values - kink
        values = np.where(np.abs(distance) < domain.gap, kink + domain.gap * np.exp(1j * np.angle(distance)), values)
    if domain.avoid and not (good := _allowed(values, domain)).all():  # moved out of the square, or into another gap
        places = _complex_places(domain)
        nearest = np.argmin(np.abs(values[..., None] - places), axis=-1)
        values = np.where(good, values, places[nearest])
    square = intervals(replace(domain, avoid=()), dtype.type().real.dtype)
    return _nearest(values.real, square) + 1j * _nearest(values.imag, square)


def intervals(domain: Reals, dtype: Any = np.float64) -> Array:
    """The parts of [low, high] that the gaps leave, as rows (from, to), the highest first. Their ends are rounded inwards, to
    numbers of the dtype, so that what lies within is not rounded out of them.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing.strategies.domains import intervals
    >>> intervals(tg.reals(-1, 2, avoid=(0,), gap=0.5)).tolist()
    [[0.5, 2.0], [-1.0, -0.5]]
    """
    kinks = np.sort(np.array(domain.avoid, float))
    # All gaps have one length, so that what is left lies between a kink and the next.
    low = np.maximum([domain.low, *kinks + domain.gap], domain.low)
    high = np.minimum([*kinks - domain.gap, domain.high], domain.high)
    ends = [_rounded(low, np.dtype(dtype), np.inf), _rounded(high, np.dtype(dtype), -np.inf)]
    found = np.stack(ends, axis=1)[ends[0] <= ends[1]][::-1]
    if not len(found):
        if (low <= high).any():
            raise ArgumentError(f"{_text(domain)}: {np.dtype(dtype)} has no number there; its largest is {np.finfo(dtype).max:g}")
        raise ArgumentError(_nothing(domain))
    return found


def _rounded(numbers: Array, dtype: np.dtype[Any], towards: float) -> Array:
    """The numbers as the dtype has them, no farther from ``towards``."""
    with np.errstate(over="ignore"):
        found = numbers.astype(dtype)
        past = (found - numbers if towards < 0 else numbers - found) > 0
        return np.where(past, np.nextafter(found, dtype.type(towards)), found).astype(np.float64)


def _nearest(values: Array, pieces: Array) -> Array:
    """The nearest numbers in any of the intervals, the upper of two that are equally near."""
    there = np.clip(values[..., None], pieces[:, 0], pieces[:, 1])
    best = np.argmin(np.abs(there - values[..., None]), axis=-1)
    return np.asarray(np.take_along_axis(there, best[..., None], axis=-1)[..., 0])


def _allowed(values: Array, domain: Reals) -> Array:
    parts = np.stack([values.real, values.imag])
    good = ((parts >= domain.low) & (parts <= domain.high)).all(axis=0)
    for kink in domain.avoid:
        good &= np.abs(values - kink) >= domain.gap * (1 - 1e-9)
    return np.asarray(good)


def _complex_places(domain: Reals) -> Array:
    """Numbers all over the square that lie outside the gaps."""
    line = np.linspace(domain.low, domain.high, FINE)
    square = np.add.outer(line, 1j * line).ravel()
    found = square[_allowed(square, domain)]
    if not found.size:
        raise ArgumentError(_nothing(domain))
    return np.asarray(found)


def _nothing(domain: Reals) -> str:
    return f"{_text(domain)} leaves no number to draw: take a smaller gap, or a wider interval"


def _text(domain: Reals) -> str:
    words = [f"{domain.low:g}", f"{domain.high:g}"]
    words += [f"avoid={domain.avoid}", f"gap={domain.gap:g}"] if domain.avoid else []
    words += [f"grid={domain.grid}"] if domain.grid else []
    return f"{'complexes' if domain.complex else 'reals'}({', '.join(words)})"
