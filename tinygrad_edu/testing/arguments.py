"""What arguments of strategies and tests must be: a wrong one is refused where the strategy or the test is made, and not inside
Hypothesis while examples are drawn."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.registry import Reals
from tinygrad_edu.testing.lazy import hypothesis

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """What an argument must be: in words, and as a condition. ``a | b`` is a kind for what is one or the other.

    >>> from tinygrad_edu.testing.arguments import whole
    >>> whole(1).check("labels", "classes", 10)
    >>> whole(1).check("labels", "classes", 2.5)
    Traceback (most recent call last):
    tinygrad_edu.errors.ArgumentError: labels: classes is a whole number from 1 on, not 2.5
    """

    words: str
    fits: Callable[[Any], bool]

    def __or__(self, other: Kind) -> Kind:
        return Kind(f"{self.words}, or {other.words}", lambda value: self.fits(value) or other.fits(value))

    def check(self, who: str, name: str, value: Any) -> None:
        """Raise `ArgumentError` unless the value fits."""
        if not self.fits(value):
            raise ArgumentError(f"{who}: {name} is {self.words}, not {value!r}")


def whole(least: int) -> Kind:
    """Whole numbers from ``least`` on."""

    def fits(value: Any) -> bool:
        return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= least

    return Kind(f"a whole number from {least} on", fits)


def _is_shape(value: Any, names: bool = False) -> bool:
    return isinstance(value, tuple | list) and all(whole(0).fits(one) or (names and isinstance(one, str)) for one in value)


def _is_dtype(value: Any) -> bool:
    try:
        return np.dtype(value).kind in "fc"
    except TypeError:
        return False


NONE = Kind("None", lambda value: value is None)
STRATEGY = Kind("a strategy", lambda value: isinstance(value, hypothesis().strategies.SearchStrategy))
DOMAIN = Kind("what reals() or complexes() returns", lambda value: isinstance(value, Reals))
SHAPE = Kind("a tuple of lengths, as (2, 3)", _is_shape)
NAMED_SHAPE = Kind("a tuple of lengths, as (2, 3)", lambda value: _is_shape(value, names=True))
DTYPE = Kind("a dtype of floats or of complex numbers", _is_dtype)
NUMBERS = Kind(
    "a tuple of numbers, as (0.0,)", lambda value: isinstance(value, tuple | list) and all(np.ndim(one) == 0 for one in value)
)

Relation = Callable[[dict[str, Any]], "str | None"]  # from all arguments to what is wrong with them


def ordered(smaller: str, larger: str) -> Relation:
    """One argument must not be larger than another."""

    def relation(given: dict[str, Any]) -> str | None:
        if given[smaller] <= given[larger]:
            return None
        return f"{smaller} ≤ {larger} is needed, and they are {given[smaller]} and {given[larger]}"

    return relation


def checked(*relations: Relation, **kinds: Kind) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Check arguments by name, and then what relates them, before a strategy is made."""

    def decorate(strategy: Callable[P, T]) -> Callable[P, T]:
        signature, who = inspect.signature(strategy), strategy.__name__

        @functools.wraps(strategy)
        def made(*args: P.args, **options: P.kwargs) -> T:
            found = strategy(*args, **options)  # first: Python's own error names a missing or unknown argument
            bound = signature.bind(*args, **options)
            bound.apply_defaults()
            for name, kind in kinds.items():
                kind.check(who, name, bound.arguments[name])
            for relation in relations:
                if wrong := relation(bound.arguments):
                    raise ArgumentError(f"{who}: {wrong}")
            return found

        return made

    return decorate
