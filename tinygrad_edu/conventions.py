"""`conventions`: the table of non-smooth points, from the operations that declare them."""

from __future__ import annotations

from typing import NamedTuple

from tinygrad_edu.registry import REGISTRY


class Convention(NamedTuple):
    """One row of `conventions`: at which points of which operation, and what the derivative is there."""

    operation: str
    where: str
    derivative: str


class Conventions(tuple[Convention, ...]):
    """The rows, which print as a table."""

    __slots__ = ()

    def __str__(self) -> str:
        rows = [Convention("operation", "where", "derivative"), *self]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def conventions() -> Conventions:
    """Where the operations are continuous but not smooth, and which derivative they have there.

    Every value is an element of Clarke's generalised gradient: a mean of the derivatives nearby (Clarke, *Optimization and
    nonsmooth analysis*, 1983), which the property tests verify. Where a derivative is infinite instead, as that of the square
    root at 0, a zero cotangent wins over it; see `ieee_gradients`.

    >>> import tinygrad_edu as tg
    >>> [row for row in tg.conventions() if row.operation == "relu"]
    [Convention(operation='relu', where='a = 0', derivative='0')]
    """
    return Conventions(
        Convention(name, kink.where, kink.convention)
        for name, operation in sorted(REGISTRY.items())
        if operation.ours and not name.startswith("_")
        for kink in operation.kinks
    )
