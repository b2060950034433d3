"""How a graph is to be drawn, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.graph import Variable
from tinygrad_edu.recording import vertex_of

SHOW = ("shape", "dtype", "value", "grad", "grad_norm", "time", "memory")
DETAIL = ("ops", "full")
DIRECTIONS = {"down": "TB", "right": "LR", "up": "BT", "left": "RL"}
THEMES = ("light", "dark")
LEAST = 10  # boxes of a folded picture


@dataclass(frozen=True, slots=True)
class Options:
    """How much of a graph is drawn, and how; see `Tensor.graph`, whose arguments these are."""

    detail: str = "ops"
    depth: int | None = None
    max_nodes: int | None = 150
    direction: str = "down"
    theme: str = "light"

    def __post_init__(self) -> None:
        for name, known in (("detail", DETAIL), ("direction", DIRECTIONS), ("theme", THEMES)):
            value = getattr(self, name)
            if value not in known:
                raise ArgumentError(f"graph({name}={value!r}): it is one of {', '.join(map(repr, known))}")
        for name, least in (("depth", 0), ("max_nodes", LEAST)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise ArgumentError(f"graph({name}={value!r}): it is a whole number from {least} on, or None for no limit")


OPTIONS = tuple([option.name for option in fields(Options)])


def words(show: str | Iterable[str]) -> tuple[str, ...]:
    """What is to be written beside tensors and operations, checked."""
    found = (show,) if isinstance(show, str) else tuple(show)
    unknown = [repr(word) for word in found if word not in SHOW]
    if unknown:
        known = ", ".join(map(repr, SHOW))
        raise ArgumentError(f"graph(show={found!r}): {', '.join(unknown)} cannot be shown; the words are {known}")
    return found


def reasons(highlight: Mapping[Any, str] | Iterable[Any] | None) -> dict[Any, str]:
    """Why each vertex is to be highlighted. Tensors are taken for the operations that they are the results of."""
    pairs = highlight.items() if isinstance(highlight, Mapping) else [(thing, "") for thing in highlight or ()]
    return {vertex_of(thing) if isinstance(thing, Variable) else thing: why for thing, why in pairs}
