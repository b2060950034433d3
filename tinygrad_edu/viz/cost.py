"""What an operation costs: the memory that it keeps for backward, and how costs are written."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.graph import RELEASED, Node, owner_of


def bytes_kept(order: list[Node]) -> dict[Any, int]:
    """The bytes that every operation keeps for backward and that nobody before it keeps; the user's own arrays do not count."""
    counted: set[int] = set()
    for node in order:
        for vertex in node.inputs:
            data = getattr(vertex, "data", vertex)
            if isinstance(data, np.ndarray):
                counted.add(id(owner_of(data)))
    kept = {}
    for node in order:
        owners = [owner_of(a) for a in node.saved if isinstance(a, np.ndarray)] if node.saved is not RELEASED else []
        new = {id(owner): owner.nbytes for owner in owners if id(owner) not in counted}
        counted.update(new)
        kept[node] = sum(new.values())
    return kept


def in_seconds(seconds: float) -> str:
    """A duration with 3 digits and its unit.

    >>> in_seconds(0.00001234), in_seconds(2.0)
    ('12.3 µs', '2 s')
    """
    unit, factor = next((pair for pair in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)) if seconds * pair[1] >= 1), ("ns", 1e9))
    return f"{seconds * factor:.3g} {unit}"


def in_bytes(count: float) -> str:
    """A number of bytes with 3 digits and its unit, a power of 1,024.

    >>> in_bytes(0), in_bytes(2048), in_bytes(5_000_000)
    ('0 B', '2 KiB', '4.77 MiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1000 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.3g} {unit}"
