"""Calls that are one node of the graph whatever they compute inside: `checkpoint` and `custom_vjp`.

The node's operands are the tensors among the arguments and those that the function uses without being given them. Its derivative is
found for all operands at once when the first is asked for.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import engine, recording
from tinygrad_edu.errors import GraphError, PrimitiveError, RuleError
from tinygrad_edu.graph import Leaf, Variable, as_variable, enable_grad, is_recording, no_grad
from tinygrad_edu.ops import astype, concatenate, ravel, real, reshape
from tinygrad_edu.primitive import Primitive
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import Recorded, name_of, tensors_in
from tinygrad_edu.tree import leaves, mapped

Derivative = Callable[[Any, tuple[Any, ...]], Sequence[Any]]


class Packed:
    """Several tensors, nested in any way, as one: what a node gives out is one array."""

    def __init__(self, tree: Any, who: str) -> None:
        self.tree = mapped(lambda leaf: leaf if leaf is None else 0, tree)  # the structure alone: a tensor would keep its graph
        self.parts = [(t.shape, t.dtype, t.size) for t in tensors_in(tree, who)]
        self.dtype = np.result_type(*[dtype for _, dtype, _ in self.parts]) if self.parts else np.dtype(float)

    def pack(self, tree: Any) -> Tensor:
        """The tensors of a tree of this structure, one after the other."""
        tensors = [t if isinstance(t, Tensor) else Tensor(t) for t in leaves(tree) if t is not None]
        if len(tensors) == 1:
            return tensors[0]
        packed: Tensor = concatenate([ravel(t if t.dtype == self.dtype else astype(t, self.dtype)) for t in tensors])
        return packed

    def unpack(self, packed: Tensor) -> Any:
        """The tree again, from one tensor. What stands in front of its last axis, such as many times, is kept."""
        if len(self.parts) == 1:
            return mapped(lambda leaf: None if leaf is None else packed, self.tree)
        start, found = 0, []
        for shape, dtype, size in self.parts:
            part = reshape(packed[..., start : start + size], (*packed.shape[:-1], *shape))
            if dtype != self.dtype:
                part = astype(real(part) if dtype.kind != "c" else part, dtype)
            found.append(part)
            start += size
        places = iter(found)
        return mapped(lambda leaf: None if leaf is None else next(places), self.tree)


class _Call:
    """What a node of an opaque call keeps: its value until it is recorded, and how to differentiate it."""

    def __init__(self, value: Any, derivative: Derivative) -> None:
        self.value = value
        self.derivative = derivative
        self.g: Any = None
        self.parts: list[Any] = []

    def take(self) -> Any:
        value, self.value = self.value, None
        return value

    def pull(self, g: Any, operands: tuple[Any, ...], position: int) -> Any:
        """One operand's gradient. The engine asks for one after the other with the same cotangent."""
        if self.g is not g:
            parts = self.derivative(_conjugated(g), operands)
            self.g, self.parts = g, [_conjugated(_accepted(part, operand)) for part, operand in zip(parts, operands, strict=True)]
        part, self.parts[position] = self.parts[position], None
        if all(other is None for other in self.parts):
            self.g = None  # nothing is kept for longer than it is needed
        return part


def opaque_node(name: str, value: Tensor, operands: Sequence[Variable], derivative: Derivative) -> Any:
    """``value`` as the result of one recorded node with these operands.

    ``derivative`` gets the gradient of the result (what users call so: of complex numbers, too) and the operands, arrays or
    recording tensors, and returns a gradient for each of the operands, None where that is zero.
    """
    op = Primitive(
        name,
        lambda operands, /, call: None,
        ("operands",),
        True,
        False,
        (),
        None,
        forward=lambda arrays, call: call.take(),
        label=name,
        metadata={"call": inspect.Parameter.empty},
        hint=None,
        residuals={},
    )

    def rule(g: Any, operands: Any, position: int, call: _Call) -> Any:
        return call.pull(g, operands, position)

    op.vjp(operands=rule)
    return recording.general(op)(list(operands), call=_Call(value._data, derivative))


def vertex_as_tensor(vertex: Any) -> Tensor:
    """A tensor that stands for a vertex. A node's array is not known, so only its shape and dtype are right."""
    if type(vertex) is Leaf:
        tensor = as_variable(Tensor, vertex.data)
    else:
        tensor = as_variable(Tensor, np.broadcast_to(np.zeros((), vertex.dtype), vertex.shape))
    tensor._node = vertex
    return tensor


def _accepted(part: Any, operand: Any) -> Any:
    """A gradient as the engine wants it from a rule: an array, or a tensor where it is recorded."""
    if part is None:
        return np.zeros(operand.shape, operand.dtype)
    return part._data if isinstance(part, Variable) and not isinstance(operand, Variable) else part


def _conjugated(g: Any) -> Any:
    """From the cotangent that travels between nodes to the gradient that users see, and back. Real numbers stay as they are."""
    return g.conj() if g.dtype.kind == "c" else g


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` as a function that keeps nothing for its derivative but its arguments, and computes the rest again when that is needed.

    The gradients are the same, to any order; memory falls from that of all of f's intermediate arrays to that of its arguments,
    for one more evaluation of f in backward. Parameters that f uses without being given them, those of an ``nn.Module`` for
    instance, get their gradients too. ``f`` must give the same numbers the second time; where it does not, backward() says so.
    Counterpart: ``jax.checkpoint``, ``torch.utils.checkpoint``; Griewank and Walther, *Revolve*, 2000.

    >>> import tinygrad_edu as tg
    >>> f = tg.checkpoint(lambda x: tg.exp(tg.sin(x)))
    >>> tg.grad(f)(0.0), tg.grad(lambda x: tg.exp(tg.sin(x)))(0.0)
    (Tensor(1.), Tensor(1.))
    """

    @functools.wraps(f)
    def checkpointed(*args: Any, **keywords: Any) -> Any:
        operands = [leaf for leaf in leaves((args, keywords)) if isinstance(leaf, Tensor) and leaf.requires_grad]
        if not is_recording():
            return f(*args, **keywords)

        def on(*values: Any) -> Any:
            places = iter(values)
            args_, keywords_ = mapped(
                lambda leaf: next(places) if isinstance(leaf, Tensor) and leaf.requires_grad else leaf, (args, keywords)
            )
            return f(*args_, **keywords_)

        functools.update_wrapper(on, f)
        first = Recorded(on, [as_variable(Tensor, t._data) for t in operands], who="checkpoint")
        packed = Packed(first.y, f"checkpoint: {name_of(f)}")
        value = packed.pack(first.y)
        if not value.requires_grad:
            return first.y
        captured = first.captured

        def derivative(g: Any, arrays: tuple[Any, ...]) -> list[Any]:
            create_graph = isinstance(g, Variable)
            again = Recorded(on, arrays[: len(operands)], who="checkpoint")
            with enable_grad():
                y = packed.pack(again.y)
            if not np.array_equal(y._data, first_value, equal_nan=True):
                raise GraphError(
                    f"checkpoint: {name_of(f)} gave other numbers when it was computed again for backward(): it draws random "
                    "numbers, or something it uses has changed. Draw the numbers outside and pass them as arguments"
                )
            wanted = [*again.vertices, *captured]
            found = engine.cotangents([(y, g)], wanted=wanted, stop=wanted, create_graph=create_graph)
            return [found.get(vertex) for vertex in wanted]

        first_value = value._data
        result = opaque_node(name_of(f), value, [*operands, *map(vertex_as_tensor, captured)], derivative)
        return packed.unpack(result)

    return checkpointed


class custom_vjp:  # noqa: N801 - a decorator
    """A function whose derivative you write yourself.

    Decorate the function, then give it a pair with ``defvjp(fwd, bwd)``: ``fwd(*args)`` returns ``(result, residuals)``, and
    ``bwd(residuals, cotangent)`` returns a tuple with the gradient for each argument, or None for a zero one. Arguments and results
    may be nested; arguments at ``nondiff_argnums`` are passed to ``bwd`` first, as they are. Both are written with this library's
    functions, so that the derivative can be differentiated in its turn. Counterpart: ``jax.custom_vjp``; `primitive` is the way to
    add an operation with a name, a formula and property tests.

    >>> import tinygrad_edu as tg
    >>> @tg.custom_vjp
    ... def clipped(x):
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda _, g: (tg.clip(g, -1, 1),))
    >>> tg.grad(lambda x: 100 * clipped(x))(3.0)
    Tensor(1.)
    """

    def __init__(self, f: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        functools.update_wrapper(self, f)
        self.f = f
        self.nondiff_argnums = tuple(nondiff_argnums)
        self.fwd: Callable[..., Any] | None = None
        self.bwd: Callable[..., Any] | None = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Set the forward function with residuals, and the backward function."""
        self.fwd, self.bwd = fwd, bwd

    def __call__(self, *args: Any) -> Any:
        name = name_of(self.f)
        plain = [args[i] for i in self.nondiff_argnums]
        primals = [arg for i, arg in enumerate(args) if i not in self.nondiff_argnums]
        operands = [leaf for leaf in leaves(primals) if isinstance(leaf, Tensor)]
        if not is_recording() or not any(t.requires_grad for t in operands):
            return self.f(*args)
        if self.fwd is None or self.bwd is None:
            raise PrimitiveError(f"custom_vjp: {name} has no derivative yet: set it with {name}.defvjp(fwd, bwd)")
        fwd, bwd = self.fwd, self.bwd

        def forward(values: Sequence[Any]) -> tuple[Any, Any]:
            places = iter(values)
            given = iter(mapped(lambda leaf: next(places) if isinstance(leaf, Tensor) else leaf, primals))
            y = fwd(*[arg if i in self.nondiff_argnums else next(given) for i, arg in enumerate(args)])
            if not isinstance(y, tuple) or len(y) != 2:
                raise PrimitiveError(f"custom_vjp: the forward function of {name} returns a pair (result, residuals)")
            return y

        y, residuals = forward([as_variable(Tensor, t._data) for t in operands])
        packed = Packed(y, f"custom_vjp: {name}")
        value = packed.pack(y)
        if value.requires_grad:
            raise GraphError(
                f"custom_vjp: {name} uses a tensor that requires grad without being given it, and its derivative would be lost: "
                "pass it as an argument"
            )

        def derivative(g: Any, arrays: tuple[Any, ...]) -> list[Any]:
            if isinstance(g, Variable):
                kept = forward([a if isinstance(a, Tensor) else as_variable(Tensor, a) for a in arrays])[1]
                parts = bwd(*plain, kept, packed.unpack(as_variable(Tensor, g)))
            else:
                with no_grad():
                    parts = bwd(*plain, residuals, packed.unpack(as_variable(Tensor, g)))
            return _in_order(parts, primals, name)

        return packed.unpack(opaque_node(name, value, operands, derivative))


def _in_order(parts: Any, primals: Sequence[Any], name: str) -> list[Any]:
    """The gradients that a backward function returned, in the order of the tensors in the arguments."""
    if not isinstance(parts, tuple) or len(parts) != len(primals):
        got = f"{len(parts)} values" if isinstance(parts, tuple) else type(parts).__name__
        raise RuleError(
            f"custom_vjp: the backward function of {name} returns a tuple with one gradient for each of its {len(primals)} "
            f"arguments, and it returned {got}"
        )
    found: list[Any] = []
    for position, (part, primal) in enumerate(zip(parts, primals, strict=True)):
        tensors = [leaf for leaf in leaves(primal) if leaf is not None]
        given = [None] * len(tensors) if part is None else list(leaves(part))
        if len(given) != len(tensors):
            raise RuleError(f"custom_vjp: the gradient of {name} for argument {position} has not the argument's structure")
        for gradient, tensor in zip(given, tensors, strict=True):
            if isinstance(tensor, Tensor):
                if gradient is not None and np.shape(gradient) != tensor.shape:
                    raise RuleError(
                        f"custom_vjp: the gradient of {name} for argument {position} has shape {np.shape(gradient)}, and the "
                        f"argument {tensor.shape}"
                    )
                gradient = gradient if gradient is None or isinstance(gradient, Variable) else np.asarray(gradient, tensor.dtype)
                found.append(gradient)
    return found
