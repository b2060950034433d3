"""The table that ``module.summary(input)`` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_edu.graph import no_grad

if TYPE_CHECKING:
    from tinygrad_edu.nn.module import Module


class SummaryRow(NamedTuple):
    """One module: its dotted name, its class, the shape of what it returned ("" if it did not run), and all its parameters."""

    name: str
    kind: str
    output: Any
    parameters: int


class Summary:
    """What ``module.summary(input)`` returns: ``rows``, parents first, which print as a table."""

    def __init__(self, rows: list[SummaryRow], parameters: int, frozen: int, size: int) -> None:
        self.rows = rows
        self.parameters = parameters
        self.frozen = frozen
        self.size = size  # bytes of the parameters

    def __str__(self) -> str:
        cells = [("module", "output", "parameters")]
        for row in self.rows:
            above, _, name = row.name.rpartition(".")
            depth = 2 * (above.count(".") + bool(above) + bool(name))
            cells.append((f"{'':{depth}}{name} {row.kind}" if name else row.kind, str(row.output), f"{row.parameters:,}"))
        first, second, third = [max(len(row[i]) for row in cells) for i in range(3)]
        lines = [f"{a:{first}}  {b:{second}}  {c:>{third}}" for a, b, c in cells]
        trainable = f"{self.parameters - self.frozen:,} trainable" if self.frozen else "all trainable"
        return "\n".join([*lines, f"{self.parameters:,} parameters, {self.size:,} bytes; {trainable}"])

    __repr__ = __str__


def summarize(root: Module, inputs: tuple[Any, ...]) -> Summary:
    """Run a module once and note what every module below it returns."""
    shapes: dict[Any, Any] = {}
    named = list(root.named_modules())
    training = [(module, module.training) for _, module in named]
    handles = [
        module.register_forward_hook(lambda module, args, output: shapes.__setitem__(id(module), _shape(output)))
        for _, module in named
    ]
    try:
        root.eval()
        with no_grad():
            root(*inputs)
    finally:
        for handle in handles:
            handle.remove()
        for module, before in training:
            module.training = before
    rows = [
        SummaryRow(name, type(module).__name__, shapes.get(id(module), ""), sum(p.size for p in module.parameters()))
        for name, module in named
    ]
    parameters = list(root.parameters())
    frozen = sum(p.size for p in parameters if not p.requires_grad)
    return Summary(rows, sum(p.size for p in parameters), frozen, sum(p.data.nbytes for p in parameters))


def _shape(output: Any) -> Any:
    if isinstance(output, tuple | list):
        return tuple([_shape(part) for part in output])
    return np.shape(output) if hasattr(output, "shape") or isinstance(output, int | float) else type(output).__name__
