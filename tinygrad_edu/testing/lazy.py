"""Hypothesis, imported when it is first used: `import tinygrad_edu` neither needs nor loads it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from tinygrad_edu.errors import MissingError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

P = ParamSpec("P")
T = TypeVar("T")


def hypothesis() -> Any:
    """The package Hypothesis, with its strategies for NumPy. Raises `MissingError` where it is not installed."""
    try:
        import hypothesis
        import hypothesis.extra.numpy
        import hypothesis.strategies
    except ImportError as error:
        raise MissingError(
            "strategies and property tests are made with Hypothesis, which is not installed: pip install 'tinygrad-edu[test]'"
        ) from error
    return hypothesis


def composite(function: Callable[Concatenate[Any, P], T]) -> Callable[P, SearchStrategy[T]]:
    """What ``hypothesis.strategies.composite`` does, when the strategy is first asked for: the function's first argument draws."""

    @functools.cache
    def made() -> Callable[P, SearchStrategy[T]]:
        return hypothesis().strategies.composite(function)  # type: ignore[no-any-return]

    @functools.wraps(function)
    def strategy(*args: P.args, **options: P.kwargs) -> SearchStrategy[T]:
        return made()(*args, **options)

    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1:]
    strategy.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return strategy


def drawn(draw: Any, value: Any) -> Any:
    """The value, or, of a strategy, an example."""
    return draw(value) if isinstance(value, hypothesis().strategies.SearchStrategy) else value


def elements(draw: Any, shape: tuple[int, ...], one: Any, dtype: Any = "f8") -> Any:
    """An array of ``shape``: every element is drawn from the strategy ``one``, or, seldom, one number is repeated, which is what an
    example shrinks to where it can. (Most of Hypothesis' own arrays repeat one number. Equal elements hide mistakes.)"""
    h = hypothesis()
    if draw(h.strategies.integers(0, 7)) == 0:
        return np.full(shape, draw(one), dtype)
    return draw(h.extra.numpy.arrays(dtype, shape, elements=one, fill=h.strategies.nothing()))
