"""Functions of functions: `grad` and `value_and_grad`, with JAX's signatures."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import DTypeError, GraphError
from tinygrad_edu.graph import Leaf, enable_grad, is_recording, topological_order
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals
from tinygrad_edu.tensor import Tensor


@primitive(label="=", cases=[Case(a=reals())], reference=lambda a: a)
def _alias(a: Any, /) -> Any:
    """y = a        ∂L/∂a = g

    A vertex of its own for the same numbers. `grad` differentiates with respect to it, so that the variable of an inner
    derivative is never taken for that of an outer one.
    """
    return a


_alias.vjp(a=lambda g: g)


def value_and_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., tuple[Tensor, Any]]:
    """A function that returns both ``f``'s value and its gradient. See `grad`.

    >>> import tinygrad_edu as tg
    >>> tg.value_and_grad(lambda x: (x**2).sum())([3.0, 4.0])
    (Tensor(25.), Tensor([6., 8.]))
    """
    several = isinstance(argnums, Sequence)
    positions = tuple(argnums) if isinstance(argnums, Sequence) else (index(argnums),)

    @functools.wraps(f)
    def differentiated(*args: Any, **keywords: Any) -> tuple[Tensor, Any]:
        outer = is_recording()
        with enable_grad():
            variables = _variables(f, args, positions)
            arguments = [variables.get(i, value) for i, value in enumerate(args)]
            y = f(*arguments, **keywords)
        if not isinstance(y, Tensor) or y.size != 1:
            kind = f"a tensor of shape {y.shape}" if isinstance(y, Tensor) else f"{type(y).__name__}"
            raise GraphError(f"grad needs a function that returns a tensor with one element, and {_name(f)} returned {kind}")
        vertices = [variable._node for variable in variables.values()]
        found: dict[Any, Any] = {}
        create_graph = False
        if y.requires_grad:
            create_graph = outer and _reaches_others(y._node, vertices)
            found = engine.cotangents(y, wanted=vertices, create_graph=create_graph)
        gradients_of = engine.owned(found, Tensor)
        gradients = [gradients_of.get(v._node, Tensor(np.zeros(v.shape, v.dtype))) for v in variables.values()]
        in_order = [gradients[sorted(variables).index(p % len(args))] for p in positions]
        value = y if create_graph else y.detach()
        return value, tuple(in_order) if several else in_order[0]

    return differentiated


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The function that computes the gradient of ``f`` with respect to one or several of its positional arguments.

    ``f`` takes numbers, arrays or tensors and returns a tensor with one element. The gradient has the argument's shape and
    dtype; with a sequence of ``argnums`` it is a tuple. ``grad`` nests to any depth, and no ``.grad`` of any tensor is touched:
    a tensor that ``f`` uses without being an argument is a constant to this derivative. Counterpart: ``jax.grad``.

    >>> import tinygrad_edu as tg
    >>> tg.grad(tg.sin)(0.0)
    Tensor(1.)
    >>> tg.grad(tg.grad(lambda x: x**3))(2.0)
    Tensor(12.)
    """
    both = value_and_grad(f, argnums)

    @functools.wraps(f)
    def differentiated(*args: Any, **keywords: Any) -> Any:
        return both(*args, **keywords)[1]

    return differentiated


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", repr(f))


def _variables(f: Callable[..., Any], args: tuple[Any, ...], positions: Sequence[int]) -> dict[int, Tensor]:
    """Fresh variables for the arguments to differentiate, by position."""
    variables = {}
    for position in sorted({p % len(args) if -len(args) <= p < len(args) else p for p in positions}):
        if position >= len(args) or position < 0:
            raise TypeError(f"grad of argument {position} of {_name(f)}, which was called with {len(args)} positional arguments")
        value = args[position]
        if isinstance(value, Tensor) and value.requires_grad:
            variables[position] = _alias(value)
        else:
            array = value._data if isinstance(value, Tensor) else np.asarray(value)
            if array.dtype.kind not in "fc":
                raise DTypeError(
                    f"grad: argument {position} of {_name(f)} has dtype {array.dtype}, and only floats and complex numbers have a "
                    "derivative: write the numbers with a decimal point, or convert them with dtype=float"
                )
            variables[position] = Tensor(array, requires_grad=True)
    return variables


def _reaches_others(root: Any, vertices: list[Any]) -> bool:
    """Whether anything but our own fresh variables could be differentiated later: an enclosing derivative's variable, or a
    parameter. Then the derivative has to be recorded in its turn."""
    return any(type(vertex) is Leaf and vertex not in vertices for node in topological_order(root) for vertex in node.inputs)
