"""Nested tuples, lists and dictionaries, looked at as their leaves: everything in them that is none of the three."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves from left to right; of a dictionary, in the order of its keys' insertion."""
    if isinstance(tree, dict):
        for part in tree.values():
            yield from leaves(part)
    elif isinstance(tree, tuple | list):
        for part in tree:
            yield from leaves(part)
    else:
        yield tree


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same structure with ``function(leaf)`` in the place of each leaf."""
    if isinstance(tree, dict):
        return type(tree)((key, mapped(function, part)) for key, part in tree.items())
    if isinstance(tree, tuple | list):
        parts = [mapped(function, part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return function(tree)


def filled(tree: Any, values: Iterator[Any]) -> Any:
    """The same structure with the next of ``values`` in the place of each leaf."""
    return mapped(lambda _: next(values), tree)
