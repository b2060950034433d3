"""The registry: every operation, the names it goes by, where it is not smooth, and the regions in which it is property-tested.
No concrete operation, and no Hypothesis."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from tinygrad_edu.errors import MissingError, PrimitiveError
from tinygrad_edu.signatures import split_signature


@dataclass(frozen=True)
class Reals:
    """Where an operand's values may lie in a property test; see `reals` and `complexes`."""

    low: float
    high: float
    shape: tuple[int | str, ...] | None
    avoid: tuple[complex, ...]
    gap: float
    grid: tuple[float, float] | None = None
    nonempty: bool = False
    complex: bool = False


def reals(
    low: float | None = None,
    high: float | None = None,
    *,
    shape: tuple[int | str, ...] | None = None,
    avoid: tuple[float, ...] = (),
    gap: float = 0.1,
    grid: tuple[float, float] | None = None,
    nonempty: bool = False,
) -> Reals:
    """Real values in [low, high] for a `Case`, by default in [−3, 3].

    ``avoid`` lists kinks that every value stays ``gap`` away from. ``grid=(start, step)`` draws *distinct* values from
    ``start + k * step``: for operations that compare their inputs. It ends only where ``low`` and ``high`` say so, and an array
    must not take more values than there are between them. ``shape`` is exact; a string in it is a length of
    that name, the same wherever it stands in the case. Without it the shape is free (and broadcastable, for elementwise
    operations); ``nonempty`` then excludes zero-length axes.
    """
    end = math.inf if grid else 3.0
    return Reals(-end if low is None else low, end if high is None else high, shape, avoid, gap, grid, nonempty)


def complexes(
    low: float = -2.0,
    high: float = 2.0,
    *,
    shape: tuple[int | str, ...] | None = None,
    avoid: tuple[complex, ...] = (),
    gap: float = 0.2,
    nonempty: bool = False,
) -> Reals:
    """Complex values for a `Case`: real and imaginary parts in [low, high], each value ``gap`` away from those in ``avoid``. The
    rest as in `reals`."""
    return Reals(low, high, shape, avoid, gap, None, nonempty, complex=True)


class Case:
    """One region in which an operation is property-tested.

    A keyword that names an operand gives its `reals` or `complexes` domain, or an array for an operand that is not
    differentiated (a list of either, for a variadic operand). Any other keyword is metadata: a list of alternatives, or a
    function from the operands' shapes to such a list; or a domain, for an optional argument that is differentiated too.

    ``before`` makes of each drawn operand what the operation is given, for operations on symmetric or well-conditioned
    matrices: ``Case(a=reals(-1, 1, shape=(3, 3)), before=lambda a: a + 4 * np.eye(3))``. ``after`` is applied to the result, for
    results that are determined up to a sign only. Both are written with operators and this library's functions, so that they
    are differentiated along.
    """

    def __init__(
        self, *, before: Callable[..., Any] | None = None, after: Callable[[Any], Any] | None = None, **domains: Any
    ) -> None:
        self.before = before
        self.after = after
        self.domains = domains
        for name, domain in domains.items():
            if isinstance(domain, np.ndarray):  # every call gets the same one
                domains[name] = domain.copy()
                domains[name].setflags(write=False)

    def __repr__(self) -> str:
        return f"Case({', '.join(self.domains)})"


@dataclass(frozen=True)
class Kink:
    """A place where an operation is continuous but not smooth, and the derivative that it declares there.

    ``where`` and ``convention`` are words for the table of `conventions`. ``at`` gives operands (and metadata) of an example by
    name, and ``gradient`` the derivative of the result's sum with respect to each operand there: an element of Clarke's
    generalised gradient, which the property tests verify. ``weights`` for the result's elements make it a weighted sum, for
    operations such as ``sort``, whose sum has no kink.

    >>> import tinygrad_edu as tg
    >>> tg.Kink("a = 0", "0", at={"a": 0.0}, gradient={"a": 0.0}).where
    'a = 0'
    """

    where: str
    convention: str
    at: Mapping[str, Any]
    gradient: Mapping[str, Any]
    weights: Any = 1.0


@dataclass(eq=False)
class Operation:
    """What is known of a function on tensors; `Primitive` adds what recording needs."""

    name: str
    function: Callable[..., Any]
    operands: tuple[str, ...]
    variadic: bool
    elementwise: bool
    cases: Sequence[Case]
    reference: Callable[..., Any] | None
    orders: int = 2  # how often the operation can be differentiated in its cases
    numpy: tuple[Any, ...] = ()  # NumPy's and SciPy's functions of the same meaning
    aliases: tuple[str, ...] = ()
    kinks: Sequence[Kink] = field(default_factory=tuple)

    @property
    def formula(self) -> str:
        """The first line of the docstring."""
        return (self.function.__doc__ or "").strip().split("\n")[0]

    @property
    def ours(self) -> bool:
        """Whether the library declares it, and not one of its users."""
        return (self.function.__module__ or "").startswith(OURS)


OURS = "tinygrad_edu.ops."  # the modules whose operations are the library's own
REGISTRY: dict[str, Operation] = {}
FUNCTIONS: dict[str, Callable[..., Any]] = {}  # what is public, under its name and its aliases
METHODS: dict[str, Callable[..., Any]] = {}  # of those, what reads well as a method of its first operand
NUMPY: dict[Any, Callable[..., Any]] = {}  # by NumPy's function of the same meaning
SCIPY: dict[str, Callable[..., Any]] = {}  # by the name of SciPy's, which need not be installed


class Lazy:
    """A function of a package that is imported when it is first called, so that the library works without that package."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name
        self.__name__ = self.__qualname__ = name
        self.found: Callable[..., Any] | None = None

    def __call__(self, *args: Any, **options: Any) -> Any:
        if self.found is None:
            try:
                self.found = getattr(import_module(self.module), self.name)
            except ImportError as error:
                raise MissingError(
                    f"{self.name} is computed by {self.module}, and SciPy is not installed: pip install 'tinygrad-edu[science]'"
                ) from error
        return self.found(*args, **options)

    def __repr__(self) -> str:
        return f"{self.module}.{self.name}"


def counterpart(function: Any) -> Callable[..., Any] | None:
    """Our function of the same meaning as one of NumPy's or SciPy's, or None."""
    ours = NUMPY.get(function)
    if ours is None and SCIPY:
        name = getattr(function, "__name__", "")
        for module in ("scipy.special", "scipy.linalg"):
            known = SCIPY.get(f"{module}.{name}")
            if known is not None and getattr(sys.modules.get(module), name, None) is function:
                return known
    return ours


def publish(function: Callable[..., Any], name: str, numpy: Sequence[Any], aliases: Sequence[str], *, method: bool = True) -> None:
    """Enter a function of the library under its names, and as what NumPy's functions mean on tensors."""
    for public in (name, *aliases):
        if not public.startswith("_"):
            FUNCTIONS[public] = function
            if method:
                METHODS[public] = function
    for theirs in numpy:
        if isinstance(theirs, Lazy):
            SCIPY[repr(theirs)] = function
        else:
            NUMPY[theirs] = function


def register(operation: Operation, module: str, *, method: bool = True) -> None:
    """Enter an operation: ours under its bare name, a user's under its module's, so that it cannot replace ours."""
    ours = module.startswith(OURS)
    key = operation.name if ours else f"{module}.{operation.name}"
    if ours and key in REGISTRY:
        raise PrimitiveError(f"{key}: there is a primitive of that name already")
    REGISTRY[key] = operation
    if ours:
        publish(operation.function, operation.name, operation.numpy, operation.aliases, method=method and not operation.variadic)


def several(value: Any) -> tuple[Any, ...]:
    """One thing, none, or a tuple of things, as a tuple."""
    return () if value is None else value if isinstance(value, tuple) else (value,)


def composite(
    *,
    cases: Sequence[Case],
    numpy: Any = None,
    reference: Callable[..., Any] | None = None,
    variadic: bool = False,
    elementwise: bool = False,
    aliases: tuple[str, ...] = (),
    kinks: Sequence[Kink] = (),
    orders: int = 2,
    method: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function built from primitives, so that it is published and property-tested like one. The function is unchanged;
    the arguments are those of `primitive`."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        operands, _ = split_signature(function)
        theirs = several(numpy)
        operation = Operation(
            function.__name__,
            function,
            operands,
            variadic,
            elementwise,
            cases,
            reference or (theirs[0] if theirs else None),
            orders,
            theirs,
            aliases,
            kinks,
        )
        register(operation, function.__module__, method=method)
        return function

    return declare


def spelling(*numpy: Any, aliases: tuple[str, ...] = (), method: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function that is another way to write operations, or computes constants: it is published under its name, and
    is what the given functions of NumPy mean on tensors."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        publish(function, function.__name__, numpy, aliases, method=method)
        return function

    return declare
