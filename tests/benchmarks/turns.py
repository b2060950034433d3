"""Time two contestants against each other: they take turns, so that whatever else the machine does falls on both."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

Step: TypeAlias = Callable[[], object]


def seconds(step: Step, times: int) -> float:
    """Of one step, on average over so many."""
    start = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - start) / times


def filling(step: Step, duration: float = 0.01) -> int:
    """How many steps take about so many seconds."""
    return max(1, round(duration / max(seconds(step, 3), 1e-6)))


def medians(rows: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """(our time, their time, ratio): each the median over the rounds, the ratio that within a round."""
    ours, theirs, ratios = zip(*((a, b, a / b) for a, b in rows), strict=True)
    return statistics.median(ours), statistics.median(theirs), statistics.median(ratios)


def duel(ours: Step, theirs: Step, rounds: int, times: tuple[int, int]) -> tuple[float, float, float]:
    """The medians over rounds in which each takes its number of steps."""
    for step, n in zip((ours, theirs), times, strict=True):  # not counted: caches are cold
        seconds(step, n)
    return medians([(seconds(ours, times[0]), seconds(theirs, times[1])) for _ in range(rounds)])
