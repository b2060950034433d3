"""Nested tuples, lists and dictionaries, looked at as their leaves: everything in them that is none of the three.

Named tuples, OrderedDict and defaultdict are nodes as well. Any other subclass, such as Counter, is a leaf: nobody knows how to
make another one of its kind.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

KINDS = frozenset({dict, OrderedDict, defaultdict, list, tuple})


def is_node(tree: Any) -> bool:
    """Whether it has parts, and is no leaf."""
    return type(tree) in KINDS or (isinstance(tree, tuple) and hasattr(tree, "_fields"))


def parts_of(tree: Any) -> Iterable[Any]:
    """The parts of a node, in its order; of a dictionary, in the order of its keys' insertion."""
    return tree.values() if isinstance(tree, dict) else tree


def rebuilt(tree: Any, parts: Iterable[Any]) -> Any:
    """A node like this one, with other parts in the same order."""
    if isinstance(tree, dict):
        items = zip(tree, parts, strict=True)
        return defaultdict(tree.default_factory, items) if isinstance(tree, defaultdict) else type(tree)(items)
    return tree._make(parts) if hasattr(tree, "_fields") else type(tree)(parts)


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves from left to right."""
    if is_node(tree):
        for part in parts_of(tree):
            yield from leaves(part)
    else:
        yield tree


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same structure with ``function(leaf)`` in the place of each leaf."""
    return rebuilt(tree, [mapped(function, part) for part in parts_of(tree)]) if is_node(tree) else function(tree)


def paired(tree: Any, other: Any) -> list[tuple[Any, Any, Any]] | None:
    """The parts of two nodes side by side: (key or position, part, part). None where they cannot be.

    Dictionaries go by key, in the order of the first; tuples and lists by position. A named tuple goes with a tuple, but not with
    another kind of named tuple, which may have another order.
    """
    if not (is_node(tree) and is_node(other)) or isinstance(tree, dict) != isinstance(other, dict) or len(tree) != len(other):
        return None
    if isinstance(tree, dict):
        return [(key, part, other[key]) for key, part in tree.items()] if tree.keys() == other.keys() else None
    if hasattr(tree, "_fields") and hasattr(other, "_fields") and type(tree) is not type(other):
        return None
    return [(i, *parts) for i, parts in enumerate(zip(tree, other, strict=True))]
