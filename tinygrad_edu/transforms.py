"""Functions of functions: `vjp`, `jvp`, `grad` and `value_and_grad`, with JAX's signatures.

Arguments and results may be nested tuples, lists and dictionaries. The variables that a function is differentiated by are made
anew for each call, so that the variable of an inner derivative is never taken for that of an outer one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import index
from typing import Any

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import DTypeError, GraphError, ShapeError
from tinygrad_edu.graph import Leaf, Variable, as_variable, enable_grad, is_recording, next_serial, topological_order
from tinygrad_edu.ops.arithmetic import _alias
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.tree import is_node, leaves, mapped, paired, parts_of, rebuilt


def name_of(f: Callable[..., Any]) -> str:
    """What to call a function in a message; of an object that can be called, its class."""
    return name_of(f.func) if isinstance(f, functools.partial) else getattr(f, "__name__", type(f).__name__)


def variable(value: Any, who: str) -> Any:
    """A fresh variable with the value's numbers. None stays None: it stands for an argument that is not there."""
    if value is None:
        return None
    if isinstance(value, Tensor) and value.requires_grad:
        return _alias(value)
    array = value._data if isinstance(value, Variable) else np.asarray(value)
    if array.dtype.kind not in "fc":
        raise DTypeError(
            f"{who} has dtype {array.dtype}, and only floats and complex numbers have a derivative: write the numbers with a "
            "decimal point, convert them with dtype=float, or leave the argument out of those that are differentiated"
        )
    return Tensor(array, requires_grad=True)


def array_like(tree: Any) -> Any:
    """Lists of plain numbers as arrays: ``grad(f)([3.0, 4.0])`` is about one argument of shape (2,)."""
    if isinstance(tree, list) and tree and all(isinstance(leaf, int | float | complex | np.generic) for leaf in leaves(tree)):
        with suppress(ValueError):  # rows of several lengths are no array, but they are a list of arrays
            return np.asarray(tree)
    return rebuilt(tree, map(array_like, parts_of(tree))) if is_node(tree) else tree


def tensors_in(tree: Any, who: str) -> list[Tensor]:
    """The tensors of a function's result. An array is a constant; anything else is an error, for its derivative would be lost."""
    found = []
    for leaf in leaves(tree):
        if isinstance(leaf, Tensor | np.ndarray | np.generic):
            found.append(as_variable(Tensor, leaf))
        elif leaf is not None:
            raise GraphError(f"{who} returned {type(leaf).__name__} where a tensor is wanted; compute with tensors throughout")
    return found


class Recorded:
    """One evaluation of a function on fresh variables, recorded so that it can be pulled back."""

    def __init__(self, f: Callable[..., Any], primals: Sequence[Any], *, who: str = "vjp", has_aux: bool = False) -> None:
        self.f = f
        outer = is_recording()
        before = next_serial()
        with enable_grad():
            numbered = [
                mapped(functools.partial(variable, who=f"{who}: argument {i} of {name_of(f)}"), array_like(primal))
                for i, primal in enumerate(primals)
            ]
            y = f(*numbered)
        self.aux = None
        if has_aux:
            if not isinstance(y, tuple) or len(y) != 2:
                raise GraphError(f"{who}: with has_aux=True, {name_of(f)} returns a pair (value, auxiliary data)")
            y, self.aux = y
        self.variables = tuple(numbered)
        self.vertices = [v._node for v in leaves(self.variables) if v is not None]
        self.y = y
        self.outputs = tensors_in(y, f"{who}: {name_of(f)}")
        # What the function uses without being given it: parameters, and what an enclosing derivative varies.
        beside = [leaf for leaf in leaves(self.aux) if isinstance(leaf, Tensor)]
        self.captured = _captured([t._node for t in (*self.outputs, *beside) if t.requires_grad], self.vertices, before)
        self.met = [*self.vertices, *self.captured]  # where the graph of this evaluation ends
        # Whether anything but our own variables could be differentiated later.
        self.enclosed = outer and bool(self.captured or any(type(vertex) is not Leaf for vertex in self.vertices))

    def result(self, tree: Any) -> Any:
        """The function's result as the caller gets it: recorded only if an enclosing derivative needs that."""

        def settled(leaf: Any) -> Any:
            return Tensor(leaf._data) if isinstance(leaf, Tensor) and leaf.requires_grad else leaf

        return tree if self.enclosed else mapped(settled, tree)

    def pull(self, cotangents: Sequence[Any], *, create_graph: bool | None = None) -> tuple[Any, ...]:
        """The gradients for the variables, in their structure, from one cotangent for each output, None where it is zero."""
        if create_graph is None:
            later = any(isinstance(g, Variable) and g._node is not None and g._node.requires_grad for g in cotangents)
            create_graph = is_recording() and (self.enclosed or later)
        pairs = [(y, g) for y, g in zip(self.outputs, cotangents, strict=True) if y.requires_grad and g is not None]
        found: dict[Any, Any] = {}
        if pairs:
            found = engine.cotangents(pairs, wanted=self.vertices, stop=self.met, retain_graph=True, create_graph=create_graph)
        gradients = engine.owned(found, Tensor)

        def gradient_of(v: Any) -> Any:
            return None if v is None else gradients[v._node] if v._node in gradients else Tensor(np.zeros(v.shape, v.dtype))

        return tuple(mapped(gradient_of, variable) for variable in self.variables)


def _captured(roots: list[Any], variables: list[Any], before: int) -> list[Any]:
    """The vertices, oldest first, at which the graph of an evaluation meets what was there before it."""
    mine = set(variables)
    used = [*roots]
    for node in topological_order(*roots, stop=mine, after=before):
        used += [node.inputs[position] for position, _ in node.active]
    met = {v for v in used if v not in mine and v.serial <= before}
    return sorted(met, key=lambda vertex: vertex.serial)


def matched(tree: Any, given: Any, what: str) -> list[Any]:
    """The leaves of ``given``, which must have the structure and the shapes of ``tree``."""
    fitted = _fitted(tree, given)
    if mapped(lambda _: 0, tree) != mapped(lambda _: 0, fitted):
        raise ShapeError(f"{what}: its structure is {_outline(given)}, and the values' is {_outline(tree)}; they must be the same")
    found = []
    for value, leaf in zip(leaves(tree), leaves(fitted), strict=True):
        if value is not None:
            part = leaf._data if isinstance(leaf, Variable) else np.asarray(leaf)
            if leaf is None or part.shape != value.shape:
                got = "None" if leaf is None else f"a part of shape {part.shape}"
                raise ShapeError(f"{what}: {got} stands for a value of shape {value.shape}")
            if part.dtype.kind not in ("biufc" if value.dtype.kind == "c" else "biuf"):
                raise DTypeError(f"{what}: a part of dtype {part.dtype} stands for a value of dtype {value.dtype}")
            found.append(leaf)
    return found


def _fitted(tree: Any, given: Any) -> Any:
    """``given`` with a list of numbers as an array where ``tree`` has a tensor."""
    pairs = paired(tree, given) if isinstance(tree, dict) or type(tree) is type(given) else None
    return array_like(given) if pairs is None else rebuilt(tree, [_fitted(part, other) for _, part, other in pairs])


def _outline(tree: Any) -> str:
    return str(mapped(lambda leaf: np.shape(leaf), tree))


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """``f(*primals)`` and the function that pulls a cotangent of its result back to its arguments: v ↦ vᵀJ.

    Returns ``(y, pullback)``, or ``(y, pullback, aux)`` where ``has_aux`` says that ``f`` returns ``(y, aux)``. ``pullback`` takes
    what has the structure and the shapes of y, may be called any number of times, and returns a tuple with one gradient for each of
    the primals. Counterpart: ``jax.vjp``.

    >>> import tinygrad_edu as tg
    >>> y, pullback = tg.vjp(lambda x, w: {"product": x * w}, 2.0, 5.0)
    >>> y
    {'product': Tensor(10.)}
    >>> pullback({"product": 1.0})
    (Tensor(5.), Tensor(2.))
    """
    recorded = Recorded(f, primals, has_aux=has_aux)
    y = recorded.result(recorded.y)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        return recorded.pull(matched(recorded.y, cotangent, f"the cotangent given to the pullback of {name_of(f)}"))

    return (y, pullback, recorded.result(recorded.aux)) if has_aux else (y, pullback)


def pushforward(recorded: Recorded) -> Callable[[Sequence[Any]], list[Any]]:
    """The linear map from tangents of the variables to tangents of the outputs: v ↦ Jv.

    A pullback is linear in the cotangent u, so the pullback of *that* map is the transpose's transpose (Townsend, 2017).
    """
    live = [y for y in recorded.outputs if y.requires_grad]
    with enable_grad():
        # The value of u does not matter; but a 0, or a sum that cancels to 0, would count as an unused branch where a derivative
        # is infinite. So no two numbers in it are alike.
        dummies = [Tensor(_all_different(y, n), requires_grad=True) for n, y in enumerate(live)]
        places = iter(dummies)
        cotangents = [next(places) if y.requires_grad else None for y in recorded.outputs]
        rows = [part for part in leaves(recorded.pull(cotangents, create_graph=True)) if part is not None]

    def push(tangents: Sequence[Any]) -> list[Any]:
        later = any(isinstance(t, Variable) and t._node is not None and t._node.requires_grad for t in tangents)
        create_graph = is_recording() and (recorded.enclosed or later)
        pairs = [(row, t) for row, t in zip(rows, tangents, strict=True) if row.requires_grad and t is not None]
        found: dict[Any, Any] = {}
        if pairs:
            wanted = [u._node for u in dummies]
            found = engine.cotangents(pairs, wanted=wanted, stop=wanted, retain_graph=True, create_graph=create_graph)
        pushed = engine.owned(found, Tensor)
        place = iter(dummies)
        tangent_of = [pushed.get(next(place)._node) if y.requires_grad else None for y in recorded.outputs]
        return [Tensor(np.zeros(y.shape, y.dtype)) if t is None else t for y, t in zip(recorded.outputs, tangent_of, strict=True)]

    return push


def _all_different(like: Tensor, number: int) -> Any:
    """Numbers between ½ and 1½ without a pattern: the multiples of the golden section, less their whole part."""
    steps = np.arange(1, like.size + 1).reshape(like.shape) + 0.1 * number
    return (0.5 + np.modf(steps * ((5**0.5 - 1) / 2))[0]).astype(like.dtype)


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, has_aux: bool = False) -> Any:
    """``f(*primals)`` and its directional derivative along ``tangents``: Jv.

    Returns ``(y, tangent)``, or ``(y, tangent, aux)``. ``primals`` and ``tangents`` are tuples or lists of the same structure and
    shapes. Counterpart: ``jax.jvp``.

    >>> import tinygrad_edu as tg
    >>> tg.jvp(tg.sin, (0.0,), (2.0,))
    (Tensor(0.), Tensor(2.))
    """
    recorded = Recorded(f, several(primals, "jvp: primals"), who="jvp", has_aux=has_aux)
    along = matched(recorded.variables, tuple(several(tangents, "jvp: tangents")), f"jvp of {name_of(f)}: tangents")
    pushed = pushforward(recorded)(along)
    places = iter(pushed)
    tangent = mapped(lambda leaf: None if leaf is None else next(places), recorded.y)
    y = recorded.result(recorded.y)
    return (y, tangent, recorded.result(recorded.aux)) if has_aux else (y, tangent)


def several(values: Any, what: str) -> tuple[Any, ...]:
    if not isinstance(values, tuple | list):
        raise ShapeError(f"{what} is a tuple or list with one entry for each argument, not a {type(values).__name__}")
    return tuple(values)


def positions_of(argnums: int | Sequence[int], count: int, who: str) -> tuple[int, ...]:
    """``argnums`` as positions counted from the front."""
    positions = tuple(argnums) if isinstance(argnums, Sequence) else (index(argnums),)
    for position in positions:
        if not -count <= position < count:
            raise TypeError(f"{who}: argument {position} is asked for, and it was called with {count} positional arguments")
    return tuple([p % count for p in positions])


def among(f: Callable[..., Any], args: Sequence[Any], keywords: dict[str, Any], positions: Sequence[int]) -> Callable[..., Any]:
    """``f`` as a function of its arguments at ``positions`` alone."""

    @functools.wraps(f, updated=())
    def chosen(*values: Any) -> Any:
        given = dict(zip(positions, values, strict=True))
        return f(*[given.get(i, value) for i, value in enumerate(args)], **keywords)

    return chosen


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """A function that returns both ``f``'s value and its gradient: ``((value, aux), gradient)`` with ``has_aux``. See `grad`.

    >>> import tinygrad_edu as tg
    >>> tg.value_and_grad(lambda x: (x**2).sum())([3.0, 4.0])
    (Tensor(25.), Tensor([6., 8.]))
    """

    @functools.wraps(f, updated=())
    def differentiated(*args: Any, **keywords: Any) -> Any:
        positions = positions_of(argnums, len(args), f"grad of {name_of(f)}")
        distinct = sorted(set(positions))
        recorded = Recorded(among(f, args, keywords, distinct), [args[p] for p in distinct], who="grad", has_aux=has_aux)
        y = recorded.outputs[0] if isinstance(recorded.y, Tensor | np.ndarray | np.generic) else recorded.y
        if not isinstance(y, Tensor) or y.size != 1 or (y.dtype.kind == "c") != holomorphic:
            kind = f"a tensor of shape {y.shape}, {y.dtype}" if isinstance(y, Tensor) else f"{type(y).__name__}"
            number = "complex" if holomorphic else "real"
            raise GraphError(
                f"grad needs a function that returns a tensor with one element, a {number} number, and {name_of(f)} returned "
                f"{kind}; tg.jacobian and tg.vjp take any result"
            )
        gradients = recorded.pull([np.ones(y.shape, y.dtype)])
        if holomorphic:
            check_holomorphic(recorded.variables, f"grad of {name_of(f)}")
            gradients = mapped(lambda g: None if g is None else g.conj(), gradients)
        in_order = tuple([gradients[distinct.index(p)] for p in positions])
        value = recorded.result((y, recorded.aux) if has_aux else y)
        return value, in_order if isinstance(argnums, Sequence) else in_order[0]

    return differentiated


def check_holomorphic(variables: Any, who: str) -> None:
    """Whether there is a complex derivative: only of complex variables."""
    kinds = [v.dtype for v in leaves(variables) if v is not None]
    if any(kind.kind != "c" for kind in kinds):
        raise DTypeError(
            f"{who}: with holomorphic=True the derivative is a complex one, and the arguments have dtypes "
            f"{', '.join(map(str, kinds))}: convert them with dtype=complex"
        )


def grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """The function that computes the gradient of ``f`` with respect to one or several of its positional arguments.

    ``f`` takes numbers, arrays, tensors, or nested tuples, lists and dictionaries of them, and returns a tensor with one element.
    The gradient has the argument's structure, shapes and dtypes; with a sequence of ``argnums`` it is a tuple. With ``has_aux``,
    ``f`` returns ``(value, aux)`` and the result is ``(gradient, aux)``. ``grad`` nests to any depth, and no ``.grad`` of any
    tensor is touched: a tensor that ``f`` uses without being an argument is a constant to this derivative, and if it requires
    grad, the result is recorded, so that it can be differentiated with respect to it. With ``holomorphic=True``, ``f`` is a complex
    function of complex numbers, and the result its complex derivative. Counterpart: ``jax.grad``.

    >>> import tinygrad_edu as tg
    >>> tg.grad(tg.sin)(0.0)
    Tensor(1.)
    >>> tg.grad(tg.grad(lambda x: x**3))(2.0)
    Tensor(12.)
    >>> tg.grad(lambda p: p["w"] * p["x"])({"w": 2.0, "x": 5.0})
    {'w': Tensor(5.), 'x': Tensor(2.)}
    >>> tg.grad(lambda z: z**2, holomorphic=True)(1 + 2j)
    Tensor(2.+4.j)
    """
    both = value_and_grad(f, argnums, has_aux, holomorphic)

    @functools.wraps(f, updated=())
    def differentiated(*args: Any, **keywords: Any) -> Any:
        value, gradient = both(*args, **keywords)
        return (gradient, value[1]) if has_aux else gradient

    return differentiated


def stop_gradient(tree: Any) -> Any:
    """The same numbers as constants: no gradient flows through them. Takes nested tuples, lists and dictionaries, too.

    Counterpart: ``jax.lax.stop_gradient``; for one tensor, ``x.detach()``.

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda x: x * tg.stop_gradient(x))(3.0)
    Tensor(3.)
    """
    return mapped(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, tree)
