"""Random programs: a few of the library's operations, one after the other, on values that fan out and come together again.

A program is built step by step from operations that keep its numbers and its derivatives of the order of 1: for every value,
bounds of its size, of its first and of its second derivatives are known, and an operation that would leave them is not drawn.
Every input and every step has a part in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.registry import FUNCTIONS, reals
from tinygrad_edu.testing.arguments import checked, ordered, whole
from tinygrad_edu.testing.lazy import composite, hypothesis
from tinygrad_edu.testing.strategies.arrays import arrays
from tinygrad_edu.testing.strategies.shapes import broadcastable_shapes

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

SYMBOLS = {"add": "+", "subtract": "-", "multiply": "*", "matmul": "@"}
INPUTS = "xyz"
LETTERS = "abcdefghijklmnopqrstuvw"


@dataclass(frozen=True)
class Step:
    """One line of a program: an operation's name, its operands (numbers of earlier values, the inputs first; a float is a constant,
    and a tuple stands for a list of operands), and its metadata."""

    name: str
    operands: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)

    def run(self, values: Sequence[Any]) -> Any:
        """The result of the step, given all earlier values."""

        def value(operand: Any) -> Any:
            if isinstance(operand, tuple):
                return [value(one) for one in operand]
            return values[operand] if isinstance(operand, int) else operand

        return FUNCTIONS[self.name](*map(value, self.operands), **self.params)

    def text(self, names: Sequence[str]) -> str:
        """The step as Python writes it, with names for the earlier values."""

        def word(operand: Any) -> str:
            if isinstance(operand, tuple):
                return f"[{', '.join(map(word, operand))}]"
            return names[operand] if isinstance(operand, int) else repr(operand)

        words = [word(operand) for operand in self.operands]
        if self.name in SYMBOLS:
            return f" {SYMBOLS[self.name]} ".join(words)
        return f"tg.{self.name}({', '.join([*words, *[f'{name}={value!r}' for name, value in self.params.items()]])})"


@dataclass(frozen=True, repr=False)
class Program:
    """A list of operations that runs on arrays as on tensors: ``inputs`` are arrays to run it on, ``steps`` the operations. Its
    repr is a Python program, which does the same."""

    inputs: tuple[Array, ...]
    steps: tuple[Step, ...]
    __name__ = "program"

    def values(self, *inputs: Any) -> list[Any]:
        """The results of all steps, on ``inputs``; by default on the program's own."""
        if inputs and len(inputs) != len(self.inputs):
            raise ArgumentError(f"the program has {len(self.inputs)} inputs, and {len(inputs)} were given:\n{self}")
        values = list(inputs or self.inputs)
        for step in self.steps:
            values.append(step.run(values))
        return values[len(self.inputs) :]

    def run(self, *inputs: Any) -> Any:
        """The result of the last step."""
        return self.values(*inputs)[-1]

    __call__ = run

    def __repr__(self) -> str:
        given = INPUTS[: len(self.inputs)]
        names = [*given, *(LETTERS[k] if k < len(LETTERS) else f"v{k}" for k in range(len(self.steps)))]
        lines = [f"{name} = np.{value!r}" for name, value in zip(names, self.inputs, strict=False)]
        lines += ["", f"def program({', '.join(given)}):"]
        for name, step in zip(names[len(given) :], self.steps[:-1], strict=False):
            lines.append(f"    {name} = {step.text(names)}")
        return "\n".join([*lines, f"    return {self.steps[-1].text(names)}"])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        for line in repr(self).splitlines():  # where Hypothesis would list the fields
            printer.break_()
            printer.text(line)


class Bounds(NamedTuple):
    """Of the absolute values of a step's result, and of its first and second derivatives with respect to the inputs."""

    size: float
    slope: float
    curvature: float

    def within(self, limits: Bounds) -> bool:
        return all(mine <= theirs for mine, theirs in zip(self, limits, strict=True))

    def times(self, factor: float) -> Bounds:
        return Bounds(*[factor * bound for bound in self])


LIMITS = Bounds(4.0, 8.0, 64.0)


def _through(size: Callable[[float], float]) -> Callable[[Bounds], Bounds]:
    """A function with first and second derivatives in [−1, 1], applied to each element or along an axis."""
    return lambda a: Bounds(size(a.size), a.slope, a.curvature + a.slope**2)


def _exp(a: Bounds) -> Bounds:
    # The limits keep what is drawn; the minimum only keeps the bound itself from overflowing.
    y = float(np.exp(min(a.size, 10.0)))
    return Bounds(y, y * a.slope, y * (a.curvature + a.slope**2))


def _sum(a: Bounds, b: Bounds) -> Bounds:
    return Bounds(a.size + b.size, a.slope + b.slope, a.curvature + b.curvature)


def _product(a: Bounds, b: Bounds) -> Bounds:
    slope = a.size * b.slope + b.size * a.slope
    return Bounds(a.size * b.size, slope, a.size * b.curvature + 2 * a.slope * b.slope + b.size * a.curvature)


def _either(a: Bounds, b: Bounds) -> Bounds:
    return Bounds(*map(max, a, b))


UNARY: dict[str, Callable[[Bounds], Bounds]] = {
    "sin": _through(lambda size: min(size, 1.0)),
    "tanh": _through(lambda size: min(size, 1.0)),
    "cos": _through(lambda size: 1.0),
    "exp": _exp,
    "sigmoid": _through(lambda size: 1.0),
    "arctan": _through(lambda size: min(size, 1.6)),
    "softplus": _through(lambda size: size + 0.7),
    "transpose": lambda a: a,
    "ravel": lambda a: a,
}
BINARY = {"add": _sum, "multiply": _product, "subtract": _sum}
NAMES = [*UNARY, *BINARY, "mean", "sum", "softmax", "logsumexp", "matmul", "stack"]


@dataclass
class _Writer:
    """A program that is being written: its values, what is known of them, and which of them nothing uses yet."""

    values: list[Any]
    bounds: list[Bounds]
    loose: list[int]
    steps: list[Step] = field(default_factory=list)

    def moves(self, a: int) -> dict[str, list[tuple[Step, Bounds]]]:
        """The steps with ``a`` as an operand that stay within the limits, by the name of the operation."""
        found: dict[str, list[tuple[Step, Bounds]]] = {}
        for step, bounds in [*self._of_one(a), *self._of_two(a)]:
            if bounds.within(LIMITS):
                found.setdefault(step.name, []).append((step, bounds))
        # Always possible, and needed only where nothing else is.
        return found or {"multiply": [(Step("multiply", (a, 0.5)), self.bounds[a].times(0.5))]}

    def _of_one(self, a: int) -> Iterator[tuple[Step, Bounds]]:
        shape, known = np.shape(self.values[a]), self.bounds[a]
        for name, of in UNARY.items():
            if name not in ("transpose", "ravel") or len(shape) > 1:
                yield Step(name, (a,)), of(known)
        for axis, length in enumerate(shape):
            yield Step("mean", (a,), {"axis": axis}), known
            yield Step("sum", (a,), {"axis": axis}), known.times(length)
            yield Step("softmax", (a,), {"axis": axis}), _through(lambda size: 1.0)(known)
            yield Step("logsumexp", (a,), {"axis": axis}), _through(lambda size, n=length: size + np.log(n))(known)  # type: ignore[misc]

    def _of_two(self, a: int) -> Iterator[tuple[Step, Bounds]]:
        shape, known = np.shape(self.values[a]), self.bounds[a]
        for b, value in enumerate(self.values):
            other = np.shape(value)
            if _broadcast(shape, other):
                for name, of in BINARY.items():
                    if (name, a) != ("subtract", b):  # a - a is 0
                        yield Step(name, (a, b)), of(known, self.bounds[b])
            if shape and other and shape[-1] == (other[-2] if len(other) > 1 else other[0]):
                yield Step("matmul", (a, b)), _product(known, self.bounds[b]).times(shape[-1])
            if shape == other and len(shape) < 3:
                yield Step("stack", ((a, b),)), _either(known, self.bounds[b])

    def merge(self) -> tuple[Step, Bounds]:
        """The next step towards one result: two loose ends are added, or one that does not fit becomes its mean."""
        a, b, *_ = self.loose
        shapes = [np.shape(self.values[end]) for end in (a, b)]
        if _broadcast(*shapes):
            return Step("add", (a, b)), _sum(self.bounds[a], self.bounds[b])
        end = a if shapes[0] else b
        return Step("mean", (end,)), self.bounds[end]

    def write(self, step: Step, bounds: Bounds) -> None:
        used = {one for operand in step.operands for one in (operand if isinstance(operand, tuple) else (operand,))}
        self.steps.append(step)
        self.loose = [end for end in self.loose if end not in used] + [len(self.values)]
        self.values.append(step.run(self.values))
        self.bounds.append(bounds)


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False))


@checked(ordered("min_nodes", "max_nodes"), min_nodes=whole(1), max_nodes=whole(1))
@composite
def programs(draw: Any, min_nodes: int = 1, max_nodes: int = 8) -> Program:
    """Programs of ``min_nodes`` to ``max_nodes`` operations on up to three inputs; see `Program`. No derivative jumps, values and
    derivatives are of the order of 1, and every input and every operation has a part in the result. A gradient check of a large
    one takes longer than the fifth of a second that Hypothesis gives an example: ``@settings(deadline=None)``.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> program = find(strategies.programs(), lambda p: len(p.steps) == 2 and len(p.inputs) == 1)
    >>> program
    x = np.array(0.)
    <BLANKLINE>
    def program(x):
        a = tg.sin(x)
        return tg.sin(a)
    >>> program.run(*program.inputs)
    np.float64(0.0)
    """
    st = hypothesis().strategies
    number = draw(st.integers(1, min(len(INPUTS), (max_nodes + 1) // 2)))
    inputs = [draw(arrays(reals(-2, 2), shape)) for shape in draw(broadcastable_shapes(number, max_dims=2))]
    writer = _Writer(list(inputs), [Bounds(2.0, 1.0, 0.0)] * number, list(range(number)))
    more = True
    while (ends := len(writer.loose)) > 1 or more:
        left = max_nodes - len(writer.steps)
        if ends > 1 and (left <= 2 * ends - 1 or not more):  # each may have to become a mean, before they are added
            writer.write(*writer.merge())
        elif (len(writer.steps) >= min_nodes and draw(st.integers(0, 7)) == 0) or left == 0:
            more = False
        else:
            moves = writer.moves(draw(st.sampled_from(writer.loose)))
            # From all names, and not from those that are possible here: a choice then keeps its meaning when steps are left out.
            name = draw(st.sampled_from(NAMES).filter(moves.__contains__))
            writer.write(*draw(st.sampled_from(moves[name])))
    return Program(tuple(inputs), tuple(writer.steps))
