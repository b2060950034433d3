"""`custom_vjp`: a derivative that the user writes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import MethodType
from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError, GraphError, PrimitiveError, RuleError
from tinygrad_edu.graph import Variable, as_variable, enable_grad, is_recording, no_grad
from tinygrad_edu.opaque.node import Call, check_callable, opaque_node, operation
from tinygrad_edu.opaque.packing import ARRAY, TENSOR, Packed, arrays_of, put_together, taken_apart
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import array_like, name_of
from tinygrad_edu.tree import is_node, leaves, paired


class custom_vjp:  # noqa: N801 - a decorator
    """A function whose derivative you write yourself.

    Decorate the function, then give it a pair with ``defvjp(fwd, bwd)``: ``fwd(*args)`` returns ``(result, residuals)``, and
    ``bwd(residuals, cotangent)`` returns a tuple with the gradient for each argument, or None for a zero one. Arguments and results
    may be nested; arguments at ``nondiff_argnums`` are passed to ``bwd`` first. ``fwd`` gets all arguments by position, those that
    were given by name and those that have a default too. Both are written with this library's functions, so that the derivative
    can be differentiated in its turn. A method can be decorated, too; its first argument is the object. Counterpart:
    ``jax.custom_vjp``; `primitive` is the way to add an operation with a name, a formula and property tests.

    Raises `RuleError` (or `DTypeError`) where a gradient has not the argument's structure, shape or kind.

    >>> import tinygrad_edu as tg
    >>> @tg.custom_vjp
    ... def clipped(x):
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda _, g: (tg.clip(g, -1, 1),))
    >>> tg.grad(lambda x: 100 * clipped(x))(3.0)
    Tensor(1.)
    """

    def __init__(self, f: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        check_callable(f, "custom_vjp")
        functools.update_wrapper(self, f, updated=())
        self.f = f
        self.nondiff_argnums = tuple(nondiff_argnums)
        self.fwd: Callable[..., Any] | None = None
        self.bwd: Callable[..., Any] | None = None
        self.op = operation(name_of(f))
        self.signature: inspect.Signature | None = None
        with suppress(ValueError, TypeError):  # a function written in C may have none
            self.signature = inspect.signature(f)
        kinds = {parameter.kind for parameter in self.signature.parameters.values()} if self.signature else set()
        plain = kinds <= {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
        self.arity = len(self.signature.parameters) if self.signature and plain else -1

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Set the forward function with residuals, and the backward function."""
        check_callable(fwd, f"defvjp of {name_of(self.f)}")
        check_callable(bwd, f"defvjp of {name_of(self.f)}")
        self.fwd, self.bwd = fwd, bwd

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        name = name_of(self.f)
        if not is_recording():
            return self.f(*args, **keywords)
        args = self._by_position(args, keywords)
        structure, operands = taken_apart(args)
        if not any(isinstance(t, Tensor) and t.requires_grad for t in operands):
            return self.f(*args)
        if self.fwd is None or self.bwd is None:
            raise PrimitiveError(f"custom_vjp: {name} has no derivative yet: set it with {name}.defvjp(fwd, bwd)")
        call = _Custom(self.bwd, structure, len(operands))
        call.name, call.fwd, call.plain = name, self.fwd, self._nondiff(args)
        for position in call.plain:
            if any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves(args[position])):
                raise GraphError(
                    f"custom_vjp: argument {position} of {name} is in nondiff_argnums and requires grad, and its derivative would "
                    "be lost: pass it.detach(), or take it out of nondiff_argnums"
                )
        y, residuals = call.forward(arrays_of(operands))
        call.packed = Packed(y, f"custom_vjp: {name}", "its result", "it returned that the first time")
        if any(t.requires_grad for t in leaves(y) if isinstance(t, Tensor)):
            raise GraphError(
                f"custom_vjp: {name} uses a tensor that requires grad without being given it, and its derivative would be lost: "
                "pass it as an argument"
            )
        call.residuals, kept = taken_apart(residuals)
        call.kept = len(kept)
        node = opaque_node(self.op, call, call.packed.pack(y)._data, operands, arrays_of(kept))
        return call.packed.unpack(node, call.packed.around(y))

    def _by_position(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments as fwd and bwd get them, whichever way they were given."""
        if len(args) == self.arity and not keywords:
            return args
        by_name = keywords
        if self.signature is not None:
            try:
                bound = self.signature.bind(*args, **keywords)
            except TypeError as error:
                raise TypeError(f"{name_of(self.f)}(): {error}") from None
            bound.apply_defaults()
            args, by_name = bound.args, bound.kwargs
        if by_name:
            raise TypeError(
                f"custom_vjp: {name_of(self.f)} takes {', '.join(by_name)} by name only, and fwd takes arguments by position"
            )
        return args

    def _nondiff(self, args: tuple[Any, ...]) -> list[int]:
        """The positions of the arguments that are not differentiated."""
        count = len(args)
        if any(not -count <= position < count for position in self.nondiff_argnums):
            raise ArgumentError(
                f"custom_vjp: nondiff_argnums of {name_of(self.f)} are {self.nondiff_argnums}, and it has {count} arguments"
            )
        return [position % count for position in self.nondiff_argnums]


class _Custom(Call):
    """``plain`` are the positions of the arguments that are not differentiated, ``residuals`` is the structure of what bwd gets,
    and ``kept`` the number of arrays in it."""

    name: str
    fwd: Callable[..., Any]
    plain: list[int]
    packed: Packed
    residuals: Any
    kept: int

    def forward(self, values: list[Any]) -> tuple[Any, Any]:
        y = self.fwd(*put_together(self.structure, values))
        if not isinstance(y, tuple) or len(y) != 2:
            raise PrimitiveError(f"custom_vjp: the forward function of {self.name} returns a pair (result, residuals)")
        return y

    def value(self, arrays: list[Any]) -> Tensor:
        return self.packed.pack(self.forward(arrays)[0])

    def gradients(self, g: Any, y: Any, values: list[Any], more: list[Any], positions: list[int]) -> dict[int, Any]:
        later = isinstance(g, Variable)
        zeros = [Tensor(np.zeros(shape, dtype)) for shape, dtype, carried in self.packed.shapes if not carried]
        with enable_grad() if later else no_grad():
            # To be differentiated once more, the residuals have to be known as functions of the arguments.
            kept = self.forward(values)[1] if later or len(more) != self.kept else put_together(self.residuals, more)
            args = put_together(self.structure, values)
            plain = [args[position] for position in self.plain]
            parts = self.source(*plain, kept, self.packed.unpack(as_variable(Tensor, g), zeros))
        return self.in_order(parts, values)

    def in_order(self, parts: Any, values: list[Any]) -> dict[int, Any]:
        """The gradients that the backward function returned, by the positions of the operands."""
        wanted = [i for i in range(len(self.structure)) if i not in self.plain]
        if not isinstance(parts, tuple) or len(parts) != len(wanted):
            got = f"{len(parts)} values" if isinstance(parts, tuple) else type(parts).__name__
            raise RuleError(
                f"custom_vjp: the backward function of {self.name} returns a tuple with one gradient for each of its {len(wanted)} "
                f"arguments, and it returned {got}"
            )
        given = dict(zip(wanted, parts, strict=True))
        found: list[Any] = []
        for position, structure in enumerate(self.structure):
            for place, part in self.aligned(structure, given.get(position), position):
                if part is not None and place is TENSOR:
                    part = self.fitting(part, values[len(found)], position)
                found.append(part if place is TENSOR else None)
        return dict(enumerate(found))

    def aligned(self, structure: Any, part: Any, position: int) -> Iterator[tuple[Any, Any]]:
        """Each operand of an argument with its gradient; None stands for any number of zeros."""
        if not is_node(structure):
            if structure in (TENSOR, ARRAY):
                yield structure, part
            return
        pairs = [(None, branch, None) for branch in structure] if part is None else paired(structure, part)
        if pairs is None:
            raise RuleError(f"custom_vjp: the gradient of {self.name} for argument {position} has not the argument's structure")
        for _, branch, gradient in pairs:
            yield from self.aligned(branch, gradient, position)

    def fitting(self, part: Any, value: Any, position: int) -> Any:
        """A gradient as a tensor or an array, if it is one for this value."""
        who = f"custom_vjp: the gradient of {self.name} for argument {position}"
        gradient: Any = part if isinstance(part, Variable) else np.asarray(part) if not is_node(array_like(part)) else None
        if gradient is None or gradient.dtype.kind not in "biufc":
            raise RuleError(f"{who} is of type {type(part).__name__}: return a tensor, an array or a number, or None for zeros")
        if gradient.shape != value.shape:
            raise RuleError(f"{who} has shape {gradient.shape}, and the argument {value.shape}")
        if gradient.dtype.kind == "c" != value.dtype.kind:
            raise DTypeError(f"{who} is complex, and the argument is real ({value.dtype}): return its real part, as in g.real")
        return gradient if isinstance(gradient, Variable) else gradient.astype(value.dtype)
