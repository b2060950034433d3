"""A function that is computed more than once, as a checkpointed one: what must not happen again, and what must happen as before.

The first evaluation moves running statistics and draws random numbers. The later ones stand for it: they move nothing, and draw
what it drew.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Evaluations:
    """The evaluations of one call. Each runs in a block of `first` or `again`."""

    def __init__(self) -> None:
        self.drawn_from: list[Any] = []  # the generators of random numbers, in the order of use, as they were before it

    @contextmanager
    def first(self) -> Iterator[None]:
        """The evaluation that counts, unless it is itself a part of one that is made again."""
        with _running(_First(self.drawn_from)):
            yield

    @contextmanager
    def again(self) -> Iterator[None]:
        """One that stands for the first."""
        with _running(_Again(self.drawn_from)):
            yield


class _First:
    again: bool

    def __init__(self, drawn_from: list[Any]) -> None:
        self.drawn_from = drawn_from
        self.within = RUNNING.get()
        self.again = self.within is not None and self.within.again

    def generator(self, generator: Any) -> Any:
        if self.within is not None:
            generator = self.within.generator(generator)
        self.drawn_from.append(copy.deepcopy(generator))
        return generator


class _Again:
    again = True

    def __init__(self, drawn_from: list[Any]) -> None:
        self.rest = iter(drawn_from)

    def generator(self, generator: Any) -> Any:
        return copy.deepcopy(next(self.rest, generator))


RUNNING: ContextVar[_First | _Again | None] = ContextVar("tinygrad_edu_evaluation", default=None)


@contextmanager
def _running(evaluation: _First | _Again) -> Iterator[None]:
    before = RUNNING.set(evaluation)
    try:
        yield
    finally:
        RUNNING.reset(before)


def is_recomputing() -> bool:
    """Whether what runs now has run before, and is computed again by `checkpoint`, for backward.

    A module that keeps statistics of what it sees leaves them alone then, as `nn.BatchNorm1d` does.

    >>> import tinygrad_edu as tg
    >>> def f(x):
    ...     print(tg.is_recomputing())
    ...     return x * x
    >>> tg.checkpoint(f)(tg.Tensor(3.0, requires_grad=True)).backward()
    False
    True
    """
    evaluation = RUNNING.get()
    return evaluation is not None and evaluation.again


def repeated(generator: Any) -> Any:
    """The generator to draw random numbers from: this one, or a copy of the one that was drawn from here the first time."""
    evaluation = RUNNING.get()
    return generator if evaluation is None else evaluation.generator(generator)
