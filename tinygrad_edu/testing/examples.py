"""Calls of an operation, drawn from its declared cases: operands and metadata for one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops import concatenate, ravel
from tinygrad_edu.registry import Case, Operation, Reals
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.testing.lazy import composite, hypothesis
from tinygrad_edu.testing.strategies import arrays, broadcastable_shapes, shapes
from tinygrad_edu.testing.strategies.shapes import sides

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


@dataclass(repr=False)
class Example:
    """One call: what the operation is given. ``arrays`` are the operands in order, ``real`` marks those drawn from `reals` or
    `complexes`, and the last of them go by the names in ``optional``. Its repr is the call."""

    operation: Operation
    case: Case
    arrays: list[Any]
    real: list[bool]
    params: dict[str, Any] = field(default_factory=dict)
    optional: tuple[str, ...] = ()

    def __repr__(self) -> str:
        operands = self._prepared(self.arrays)
        first = len(operands) - len(self.optional)
        positional = [_text(operand) for operand in operands[:first]]
        named = {**self.params, **dict(zip(self.optional, operands[first:], strict=True))}
        words = [f"[{', '.join(positional)}]"] if self.operation.variadic else positional
        words += [f"{name}={_text(value)}" for name, value in named.items()]
        return f"{self.operation.name}({', '.join(words)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # where Hypothesis would list the fields

    def _prepared(self, operands: Sequence[Any]) -> list[Any]:
        before = self.case.before
        return [before(a) if real and before else a for a, real in zip(operands, self.real, strict=True)]

    def call(self, operands: Sequence[Any], function: Callable[..., Any] | None = None) -> Any:
        """The result of the operation, or of another function of the same meaning, on these operands. Several results are put
        into one."""
        function = function or self.operation.function
        operands = self._prepared(operands)
        first = len(operands) - len(self.optional)
        named = dict(zip(self.optional, operands[first:], strict=True))
        arguments = [operands[:first]] if self.operation.variadic else operands[:first]
        y = function(*arguments, **self.params, **named)
        if self.case.after:
            y = self.case.after(y)
        return flat(y) if isinstance(y, tuple | list) else y

    def dtype_of(self, array: Array, precision: Any) -> np.dtype[Any]:
        """The dtype with the precision of ``precision`` and the kind of the array: real or complex."""
        return np.result_type(precision, np.complex64) if array.dtype.kind == "c" else np.dtype(precision)

    def tensors(self, precision: Any = np.float64) -> list[Any]:
        """The operands in one precision, the real ones as differentiable tensors; others are narrowed to it, and not widened."""

        def given(a: Any) -> Any:
            narrows = isinstance(a, np.ndarray) and a.dtype.kind in "fc" and self.dtype_of(a, precision).itemsize < a.itemsize
            return a.astype(self.dtype_of(a, precision)) if narrows else a

        return [
            Tensor(a, requires_grad=True, dtype=self.dtype_of(a, precision)) if real else given(a)
            for a, real in zip(self.arrays, self.real, strict=True)
        ]

    def differentiated(self, precision: Any = np.float64) -> list[Array]:
        """The operands that are differentiated."""
        return [a.astype(self.dtype_of(a, precision)) for a, real in zip(self.arrays, self.real, strict=True) if real]

    def function_of_reals(self) -> tuple[Callable[..., Any], list[Any]]:
        """The call as a function of its real operands alone, and those operands."""

        def f(*values: Any) -> Any:
            rest = iter(values)
            return self.call([next(rest) if real else a for a, real in zip(self.arrays, self.real, strict=True)])

        f.__name__ = self.operation.name
        f.operation = self.operation  # type: ignore[attr-defined] # read by the coverage report
        return f, self.differentiated()


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"np.{value!r}" if value.dtype != bool and value.size else f"np.array({value.tolist()}, {str(value.dtype)!r})"
    return getattr(value, "__name__", None) or repr(value)


def flat(results: Any) -> Any:
    """Several results as one vector, so that they are compared and differentiated together."""
    parts = [flat(part) if isinstance(part, tuple | list) else part for part in results]
    if any(isinstance(part, Tensor) for part in parts):
        return concatenate([ravel(part) for part in parts])
    return np.concatenate([np.ravel(part) for part in parts])


@composite
def examples(draw: Any, operation: Operation, case: Case | None = None) -> Example:
    """Calls of an operation, in one of its cases or in any."""
    st = hypothesis().strategies
    if case is None:
        case = draw(st.sampled_from(list(operation.cases)))
    names = operation.operands[:1] if operation.variadic else operation.operands
    optional = tuple(name for name, domain in case.domains.items() if name not in names and isinstance(domain, Reals))
    operands = list(case.domains[names[0]]) if operation.variadic else [case.domains[name] for name in names]
    domains = [*operands, *[case.domains[name] for name in optional]]
    drawn = draw(_shapes(operation, domains))
    values = [draw(arrays(d, shape)) if isinstance(d, Reals) else d for d, shape in zip(domains, drawn, strict=True)]
    given = [shape for shape in drawn if shape is not None]
    params = {}
    for name, alternatives in case.domains.items():
        if name not in names and name not in optional:
            options = alternatives(*given) if callable(alternatives) else alternatives
            params[name] = draw(st.sampled_from(list(options)))
    return Example(operation, case, values, [isinstance(d, Reals) for d in domains], params, optional)


@composite
def _shapes(draw: Any, operation: Operation, domains: list[Any]) -> list[Shape | None]:
    """A shape for every domain; None for an operand that is given."""
    real = [d for d in domains if isinstance(d, Reals)]
    smallest = int(any(d.nonempty for d in real))
    free = [d for d in real if d.shape is None]
    fixed = [np.shape(d) for d in domains if isinstance(d, np.ndarray)]
    if operation.elementwise and free:
        base = fixed[0] if fixed else ()
        drawn = draw(broadcastable_shapes(len(free), base=base, min_side=smallest))
    else:
        drawn = tuple(draw(shapes(min_side=smallest)) for _ in free)
    rest = iter(drawn)
    lengths: dict[str, int] = {}

    def length(part: int | str) -> int:
        if isinstance(part, str):
            if part not in lengths:
                lengths[part] = draw(sides(smallest, 3))
            return lengths[part]
        return part

    return [
        (next(rest) if d.shape is None else tuple(length(part) for part in d.shape)) if isinstance(d, Reals) else None
        for d in domains
    ]
