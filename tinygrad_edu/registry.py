"""The registry: every operation, and the regions in which it is property-tested. No concrete operation, and no Hypothesis."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.errors import PrimitiveError


@dataclass(frozen=True)
class Reals:
    """Where an operand's values may lie in a property test; see `reals`."""

    low: float
    high: float
    shape: tuple[int | str, ...] | None
    avoid: tuple[float, ...]
    gap: float
    grid: tuple[float, float] | None
    nonempty: bool


def reals(
    low: float = -3.0,
    high: float = 3.0,
    *,
    shape: tuple[int | str, ...] | None = None,
    avoid: tuple[float, ...] = (),
    gap: float = 0.1,
    grid: tuple[float, float] | None = None,
    nonempty: bool = False,
) -> Reals:
    """Real values in [low, high] for a `Case`.

    ``avoid`` lists kinks that every value stays ``gap`` away from. ``grid=(start, step)`` draws *distinct* values from
    ``start + k * step``: for operations that compare their inputs. ``shape`` is exact; a string in it is a length of
    that name, the same wherever it stands in the case. Without it the shape is free (and broadcastable, for elementwise
    operations); ``nonempty`` then excludes zero-length axes.
    """
    return Reals(low, high, shape, avoid, gap, grid, nonempty)


class Case:
    """One region in which a primitive is property-tested.

    A keyword that names an operand gives its `reals` domain, or an array for an operand that is not differentiated (a
    list of either, for a variadic operand). Any other keyword is metadata: a list of alternatives, or a function from
    the operands' shapes to such a list.
    """

    def __init__(self, **domains: Any) -> None:
        self.domains = domains

    def __repr__(self) -> str:
        return f"Case({', '.join(self.domains)})"


@dataclass(eq=False)
class Operation:
    """What the property tests need to know of a function on tensors; `Primitive` adds what recording needs."""

    name: str
    function: Callable[..., Any]
    operands: tuple[str, ...]
    variadic: bool
    elementwise: bool
    cases: Sequence[Case]
    reference: Callable[..., Any] | None
    orders: int = 2  # how often the operation can be differentiated in its cases

    @property
    def formula(self) -> str:
        """The first line of the docstring."""
        return (self.function.__doc__ or "").strip().split("\n")[0]


REGISTRY: dict[str, Operation] = {}


def register(operation: Operation, module: str) -> None:
    """Enter an operation: ours under its bare name, a user's under its module's, so that it cannot replace ours."""
    ours = module.startswith("tinygrad_edu.")
    key = operation.name if ours else f"{module}.{operation.name}"
    if ours and key in REGISTRY:
        raise PrimitiveError(f"{key}: there is a primitive of that name already")
    REGISTRY[key] = operation


def composite(
    *, cases: Sequence[Case], reference: Callable[..., Any], variadic: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function built from primitives, so that it is property-tested like one. The function is unchanged."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        operands, _ = split_signature(function)
        register(Operation(function.__name__, function, operands, variadic, False, cases, reference), function.__module__)
        return function

    return declare


def split_signature(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """(operands, metadata with defaults) of a forward function. Operands are the positional-only parameters or, where there
    are none, the positional parameters without a default."""
    parameters = inspect.signature(function).parameters.values()
    operands = [p for p in parameters if p.kind is p.POSITIONAL_ONLY] or [
        p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty
    ]
    if not operands or any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters):
        raise PrimitiveError(
            f"{function.__name__}: operands come first, as in f(a, b, /, axis=None), and metadata follows by name; *args and "
            f"**options are not supported (variadic=True takes a sequence of operands); got {inspect.signature(function)}"
        )
    return tuple(p.name for p in operands), {p.name: p.default for p in parameters if p not in operands}
