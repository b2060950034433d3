"""Turn a declared `Case` into Hypothesis examples: operands and metadata for one call of an operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_edu import Tensor, concatenate, ravel
from tinygrad_edu.registry import REGISTRY, Case, Operation, Reals


def all_cases() -> list[tuple[Operation, Case, str]]:
    """Every case of every operation of the library, with a name for it."""
    return [
        (operation, case, f"{name}-{number}")
        for name, operation in sorted(REGISTRY.items())
        if "." not in name
        for number, case in enumerate(operation.cases)
    ]


@dataclass(repr=False)
class Example:
    """One call: what the operation is given. ``arrays`` are the operands in order, ``real`` marks those drawn from `reals` or
    `complexes`, and the last of them go by the names in ``optional``."""

    operation: Operation
    case: Case
    arrays: list[Any]
    real: list[bool]
    params: dict[str, Any] = field(default_factory=dict)
    optional: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{self.operation.name}({', '.join(map(repr, self.arrays))}, {self.params})"

    def call(self, operands: Any, function: Callable[..., Any] | None = None) -> Any:
        function = function or self.operation.function
        if self.case.before:
            operands = [self.case.before(a) if real else a for a, real in zip(operands, self.real, strict=True)]
        operands = list(operands)
        named = dict(zip(self.optional, operands[len(operands) - len(self.optional) :], strict=True))
        operands = operands[: len(operands) - len(self.optional)]
        arguments = [operands] if self.operation.variadic else operands
        y = function(*arguments, **self.params, **named)
        if self.case.after:
            y = self.case.after(y)
        return flat(y) if isinstance(y, tuple | list) else y

    def dtype_of(self, array: Any, precision: Any) -> Any:
        """The dtype with the precision of ``precision`` and the kind of the array: real or complex."""
        return np.result_type(precision, np.complex64) if array.dtype.kind == "c" else precision

    def tensors(self, precision: Any = np.float64) -> list[Any]:
        """The operands with the real ones as differentiable tensors."""
        return [
            Tensor(a, requires_grad=True, dtype=self.dtype_of(a, precision)) if real else a
            for a, real in zip(self.arrays, self.real, strict=True)
        ]

    def function_of_reals(self) -> tuple[Callable[..., Any], list[Any]]:
        """The call as a function of its real operands alone, and those operands."""

        def f(*values: Any) -> Any:
            rest = iter(values)
            return self.call([next(rest) if real else a for a, real in zip(self.arrays, self.real, strict=True)])

        f.__name__ = self.operation.name
        return f, [a for a, real in zip(self.arrays, self.real, strict=True) if real]


def flat(results: Any) -> Any:
    """Several results as one vector, so that they are compared and differentiated together."""
    parts = [flat(part) if isinstance(part, tuple | list) else part for part in results]
    if any(isinstance(part, Tensor) for part in parts):
        return concatenate([ravel(part) for part in parts])
    return np.concatenate([np.ravel(part) for part in parts])


@st.composite
def examples(draw: Any, operation: Operation, case: Case) -> Example:
    names = operation.operands[:1] if operation.variadic else operation.operands
    optional = tuple(name for name, domain in case.domains.items() if name not in names and isinstance(domain, Reals))
    domains = [*_operands(operation, case), *[case.domains[name] for name in optional]]
    shapes = draw(_shapes(operation, domains))
    arrays = [draw(_values(d, shape)) if isinstance(d, Reals) else d for d, shape in zip(domains, shapes, strict=True)]
    given = [shape for shape in shapes if shape is not None]
    params = {}
    for name, alternatives in case.domains.items():
        if name not in names and name not in optional:
            options = alternatives(*given) if callable(alternatives) else alternatives
            params[name] = draw(st.sampled_from(list(options)))
    return Example(operation, case, arrays, [isinstance(d, Reals) for d in domains], params, optional)


def _operands(operation: Operation, case: Case) -> list[Any]:
    if operation.variadic:
        return list(case.domains[operation.operands[0]])
    return [case.domains[name] for name in operation.operands]


@st.composite
def _shapes(draw: Any, operation: Operation, domains: list[Any]) -> list[tuple[int, ...] | None]:
    reals = [d for d in domains if isinstance(d, Reals)]
    smallest = int(any(d.nonempty for d in reals))
    free = [d for d in reals if d.shape is None]
    fixed = [np.shape(d) for d in domains if isinstance(d, np.ndarray)]
    if operation.elementwise and free:
        drawn = draw(
            hnp.mutually_broadcastable_shapes(
                num_shapes=len(free), base_shape=fixed[0] if fixed else (), min_side=smallest, max_side=3, max_dims=3
            )
        ).input_shapes
    else:
        drawn = [draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=smallest, max_side=3)) for _ in free]
    rest = iter(drawn)
    lengths: dict[str, int] = {}

    def length(part: int | str) -> int:
        if isinstance(part, str):
            if part not in lengths:
                lengths[part] = draw(st.integers(smallest, 3))
            return lengths[part]
        return part

    return [
        (next(rest) if d.shape is None else tuple(length(part) for part in d.shape)) if isinstance(d, Reals) else None
        for d in domains
    ]


@st.composite
def _values(draw: Any, domain: Reals, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    if domain.grid is not None:
        start, step = domain.grid
        order = draw(st.permutations(range(size)))
        shift = draw(st.integers(-2, 2)) - size // 2 if start == 0 or step > start > 0 else 0
        return (start + step * (np.array(order, float) + shift)).reshape(shape)
    numbers = hnp.arrays(np.float64, shape, elements=st.floats(domain.low, domain.high, allow_subnormal=False))
    values = draw(numbers)
    if domain.complex:
        values = values + 1j * draw(numbers)
    for kink in domain.avoid:
        distance = values - kink
        direction = np.exp(1j * np.angle(distance)) if domain.complex else np.copysign(1, distance)
        values = np.where(np.abs(distance) < domain.gap, kink + domain.gap * direction, values)
    return np.asarray(values)
