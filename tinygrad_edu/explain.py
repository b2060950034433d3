"""`explain_grad`: why a gradient is None, or zero, or nan, and which paths through the graph it is the sum of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.anomaly import is_bad, what_is_bad
from tinygrad_edu.cuts import MOST_ENDS, End
from tinygrad_edu.errors import AnomalyError, DTypeError, MutationError, ReleasedError
from tinygrad_edu.graph import Constant, Cut, Leaf, Node, topological_order
from tinygrad_edu.singular import careful
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

MOST_PATHS = 32
MOST_FACTORS = 32  # of one path
MOST_ELEMENTS = 64  # of a tensor on a path whose local Jacobians are written as matrices
MOST_NAMED = 3  # operations or places in one sentence


@dataclass(frozen=True)
class Path:
    """One way from the loss back to the tensor: the operations on it, their local Jacobians, and what arrives along it, the product
    of these. (Of complex numbers, a path through ``conj`` or a real number takes the conjugate or the real part there.)"""

    names: tuple[str, ...]
    jacobians: tuple[Array, ...]
    contribution: Array

    def __str__(self) -> str:
        factors = " · ".join(f"{name}: {_brief(j)}" for name, j in zip(self.names, self.jacobians, strict=True))
        return f"{_brief(self.contribution)} = {factors}"


@dataclass(frozen=True)
class GradientExplanation:
    """What `explain_grad` found. ``reason`` is one of

    - "integer", "requires no grad": the tensor cannot have a gradient, or was not asked to have one;
    - "no_grad", "detached": the way from it to the loss is cut at ``place``, a file and a line;
    - "not differentiable": it is cut by ``operation``, and where a result of that is a constant, ``place`` is where it was called;
    - "never reached": the loss was not computed from it;
    - "released", "changed": the graph was used already, and its arrays are gone; or one of them was changed since;
    - "zero", "not finite": the gradient exists; ``operation`` made it so;
    - "flows": an ordinary gradient.

    Where the gradient flows, ``gradient`` is its value, and ``paths`` are, for small graphs, the terms that it is the sum of.
    """

    reason: str
    text: str
    place: str | None = None
    operation: str | None = None
    gradient: Array | None = None
    paths: tuple[Path, ...] = field(default=())

    def __str__(self) -> str:
        return "\n".join([self.text, *[f"  {path}" for path in self.paths]])


def explain_grad(loss: Tensor, x: Tensor) -> GradientExplanation:
    """Why the gradient of ``loss`` with respect to ``x`` is what it is: None, zero, nan, or a sum over paths.

    ``loss`` may have several elements; its sum is explained. No ``.grad`` is touched, and no graph is released. The text names
    the place where the gradient was lost: the line of a ``detach()``, of a ``no_grad()`` computation, the operation without a
    derivative, the operation in which a factor is 0 or infinite. For graphs with few short paths it is the sum over all paths from
    the loss to x of the products of local Jacobians (Bauer, *Computational graphs and rounding error*, 1974).

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True, name="x")
    >>> print(tg.explain_grad(x * x + tg.sin(x.detach()), x))
    the gradient of x is 6, the sum over 2 paths
      3 = add: 1 · multiply: 3
      3 = add: 1 · multiply: 3
    >>> print(tg.explain_grad(tg.relu(x - 5), x))
    the gradient of x is zero: the derivative of relu (shape ()) is 0 everywhere that the gradient flows
    """
    for what, value in (("loss", loss), ("x", x)):
        if not isinstance(value, Tensor):
            raise DTypeError(f"explain_grad: {what} is a tensor, not a {type(value).__name__}")
    name = x.name or f"the tensor of shape {x.shape}"
    if not x.requires_grad:
        return _unable(x, name)
    order = topological_order(loss._node, stop=[x._node]) if loss.requires_grad else []
    ways = _ways(order, x._node)
    if loss._node not in ways:
        return _unreached(loss, x._node, order, name)
    return _flowing(loss, x._node, [node for node in order if node in ways], ways, name)


def _unable(x: Tensor, name: str) -> GradientExplanation:
    """Why x itself can have no gradient."""
    if type(x._node) is Cut:
        return _lost(x._node.ends[0], f"{name} has no gradient: it is")
    if x.dtype.kind not in "fc":
        return GradientExplanation(
            "integer",
            f"{name} has no gradient: its dtype is {x.dtype}, and only floating tensors have one; make it with dtype=float",
        )
    return GradientExplanation(
        "requires no grad", f"{name} has no gradient: it was made without requires_grad=True, so it counts as a constant"
    )


# ------------------------------------------------------------------------------------------------------------ unreached


def _unreached(loss: Tensor, goal: Any, order: list[Node], name: str) -> GradientExplanation:
    """Why no gradient arrives."""
    inputs = [(node, position, vertex) for node in reversed(order) for position, vertex in enumerate(node.inputs)]
    unused = [
        (node, position, vertex)
        for node, position, vertex in inputs
        if isinstance(vertex, Node | Leaf) and all(position != at for at, _ in node.active)
    ]
    cuts = [vertex for vertex in (*[v for *_, v in inputs], loss._node) if type(vertex) is Cut and vertex.serial > goal.serial]
    ends = list(dict.fromkeys(end for vertex in cuts for end in vertex.ends))
    from_goal = _descent([*[v for *_, v in unused], *[node for end in ends for node in _alive(end)]], goal)
    for node, position, vertex in unused:
        if from_goal(vertex):
            operand = node.op.operands[0 if node.op.variadic else position]
            what = "it" if vertex is goal else "what was computed from it"
            operation = _name(node)
            text = f"{name} gets no gradient: {operation} uses {what} as {operand}, by which it is not differentiable"
            return GradientExplanation("not differentiable", text, operation=operation)
    sure = [end for end in ends if _comes_from(end, goal, from_goal)]
    # What may have been computed from it: a node that is gone cannot be asked, and of many ends, some were dropped.
    full = {end for vertex in cuts if len(vertex.ends) == MOST_ENDS for end in vertex.ends}
    perhaps = [end for end in ends if end in full or _comes_from(end, goal, from_goal) is None]
    if found := sure or perhaps:
        what = "the loss is" if type(loss._node) is Cut else f"a part of the loss{'' if sure else ', perhaps computed from it,'} is"
        places = list({(end.why, end.code, end.last): end for end in reversed(found)}.values())[::-1]
        first, *others = [_lost(end, what) for end in places[:MOST_NAMED]]
        texts = [first.text, *[part.text for part in others], *[f"{len(places) - MOST_NAMED} more"] * (len(places) > MOST_NAMED)]
        text = f"{name} gets no gradient: no recorded path leads from the loss to it, and {'; '.join(texts)}"
        return GradientExplanation(first.reason, text, first.place, first.operation)
    if not loss.requires_grad:
        return GradientExplanation(
            "never reached",
            f"{name} gets no gradient: the loss was computed from constants alone, and not from {name} by recorded operations",
        )
    return GradientExplanation(
        "never reached",
        f"{name} gets no gradient: no recorded operation that leads to the loss uses it. If it should: is it the same tensor "
        "object, and did its numbers pass through NumPy (x.numpy(), x.data, float(x)) on the way?",
    )


def _lost(end: End, what: str) -> GradientExplanation:
    place = str(end)
    if end.why == "detach":
        return GradientExplanation("detached", f"{what} a constant since detach() at {place}", place)
    if end.why == "no_grad":
        text = f"{what} a constant because it was computed inside no_grad() at {place}"
        return GradientExplanation("no_grad", text, place)
    operation = end.why.lstrip("_")
    text = f"{what} a constant because {operation} has no derivative, or a zero one; it was called at {place}"
    return GradientExplanation("not differentiable", text, place, operation)


def _alive(end: End) -> list[Node]:
    """The nodes among what a gradient was lost to that still exist."""
    return [node for source in end.sources if not isinstance(source, int) and (node := source()) is not None]


def _comes_from(end: End, goal: Any, from_goal: Callable[[Any], bool | None]) -> bool | None:
    """Whether a gradient that was lost would have gone to the goal; None where nobody knows any more."""
    found = [source == goal.serial for source in end.sources if isinstance(source, int)]
    nodes = _alive(end)
    unknown = len(found) + len(nodes) < len(end.sources)
    return _any([*found, *map(from_goal, nodes), *[None] * unknown])


def _any(answers: Iterable[bool | None]) -> bool | None:
    known = set(answers)
    return True if True in known else None if None in known else False


def _descent(roots: Iterable[Any], goal: Any) -> Callable[[Any], bool | None]:
    """Tells of a vertex whether it was computed from the goal; None where a gradient was lost on the way, so that nobody knows."""
    known: dict[Any, bool | None] = {goal: True}

    def from_goal(vertex: Any) -> bool | None:
        return known.get(vertex, None if isinstance(vertex, Node | Cut) else False)

    for node in reversed(topological_order(*dict.fromkeys(roots), stop=[goal])):
        known[node] = _any(from_goal(vertex) for vertex in node.inputs if isinstance(vertex, Node | Constant))
    return from_goal


# -------------------------------------------------------------------------------------------------------------- flowing


def _ways(order: list[Node], goal: Any) -> dict[Any, tuple[int, int]]:
    """For every vertex from which the goal is reached: on how many paths, and how many nodes are on the longest."""
    ways = {goal: (1, 0)}
    for node in reversed(order):
        found = [ways[v] for v in (node.inputs[position] for position, _ in node.active) if v in ways]
        if found:
            ways[node] = min(sum(number for number, _ in found), MOST_PATHS + 1), 1 + max(length for _, length in found)
    return ways


def _flowing(loss: Tensor, goal: Any, order: list[Node], ways: dict[Any, tuple[int, int]], name: str) -> GradientExplanation:
    """The gradient that arrives, and where it comes from. ``order`` are the nodes that lead to the goal."""
    seed = np.ones(loss.shape, loss.dtype)
    try:
        with np.errstate(all="ignore"):
            found = engine.cotangents([(loss, seed)], wanted=ways, retain_graph=True)
    except ReleasedError:
        return GradientExplanation(
            "released",
            f"the gradient of {name} can no longer be computed: a backward() has released the graph's arrays. What it found "
            "was added to .grad; compute the loss again, or call backward(retain_graph=True)",
        )
    except MutationError as error:
        return GradientExplanation("changed", f"the gradient of {name} can no longer be computed: {error}")
    except AnomalyError as error:
        return GradientExplanation("not finite", f"the gradient of {name} is nan or infinite: {error}")
    gradient = np.array(found[goal])
    if is_bad(gradient):
        how, operation = _why_bad(_parts(order, found, ways))
        return GradientExplanation("not finite", f"the gradient of {name} is nan or infinite: {how}", None, operation, gradient)
    if not gradient.size:
        return GradientExplanation("flows", f"the gradient of {name} is empty, for it has no elements", gradient=gradient)
    if not gradient.any():
        how, operation = _why_zero(list(_parts(order, found, ways)), found)
        return GradientExplanation("zero", f"the gradient of {name} is zero: {how}", None, operation, gradient)
    number, length = ways[loss._node]
    small = number <= MOST_PATHS and length <= MOST_FACTORS and all(math.prod(v.shape) <= MOST_ELEMENTS for v in ways)
    paths = tuple([_path(route, seed, goal) for route in _routes(loss._node, goal, ways)]) if small and length else ()
    text = f"the gradient of {name} is {_brief(gradient)}"
    if paths:
        text += f", the sum over {len(paths)} path{'s' * (len(paths) > 1)}"
    elif not length:
        text += ": it is the loss itself"
    return GradientExplanation("flows", text, gradient=gradient, paths=paths)


Part = tuple[Node, int, bool, bool, bool, bool]


def _conj(value: Any) -> Any:
    """From the gradient that users see to the cotangent that travels between nodes, and back."""
    return value.conj() if value.dtype.kind == "c" else value


def _pulled(node: Node, position: int, g: Any) -> Array:
    """What one rule makes of a cotangent, as it arrives at its operand."""
    part = np.asarray(careful(dict(node.active)[position])(g, node))
    return part.real if part.dtype.kind == "c" != node.inputs[position].dtype.kind else part


def _parts(order: list[Node], found: dict[Any, Any], ways: Any) -> Iterator[Part]:
    """Of every rule on the way, in the order of backward: its node and position; whether what comes in is finite and is 0, and
    whether what goes out is."""
    for node in order:
        g = np.asarray(found[node])
        fine, zero = not is_bad(g), not g.any()
        for position, _ in node.active:
            if node.inputs[position] in ways:
                with np.errstate(all="ignore"):
                    part = _pulled(node, position, _conj(g))
                yield node, position, fine, zero, not is_bad(part), not part.any()


def _why_bad(parts: Iterable[Part]) -> tuple[str, str | None]:
    for node, position, fine_before, _, fine_after, _ in parts:
        if fine_before and not fine_after:
            operands = node.op.operands * len(node.inputs) if node.op.variadic else node.op.operands
            names = ["result", *[f"operand {operand}" for operand in operands]]
            saved = [(name, array) for name, array in zip(names, node.saved, strict=False) if array is not None]
            data = [f"{name} is {what_is_bad(array)}" for name, array in saved if is_bad(array)]
            whose = f", whose {' and whose '.join(data)}" if data else ""
            return f"it first is so in the derivative of {_described(node, position)}{whose}", _name(node)
    return "a sum over several paths overflows", None


def _why_zero(parts: list[Part], found: dict[Any, Any]) -> tuple[str, str | None]:
    zeros = {_described(node, position): node for node, position, _, before, _, after in parts if after and not before}
    arrived = {node.inputs[position] for node, position, *_, zero in parts if not zero}
    cancel = any(not np.any(found[vertex]) for vertex in arrived)
    if not zeros:
        return "terms cancel" if cancel else "so is the loss's", None
    named = list(zeros)[:MOST_NAMED] + [f"{len(zeros) - MOST_NAMED} more"] * (len(zeros) > MOST_NAMED)
    which, verb = ("derivatives of", "are") if len(named) > 1 else ("derivative of", "is")
    text = f"the {which} {' and of '.join(named)} {verb} 0 everywhere that the gradient flows"
    return text + "; and terms cancel" * cancel, _name(next(iter(zeros.values())))


def _name(node: Node) -> str:
    """The operation as users know it: some of their functions record an operation with an underscore."""
    return node.op.name.lstrip("_")


def _described(node: Node, position: int) -> str:
    operand = f"{node.op.operands[0]}[{position}]" if node.op.variadic else node.op.operands[position]
    return f"{_name(node)} (shape {node.shape}){f' by {operand}' * (len(node.inputs) > 1)}"


# ---------------------------------------------------------------------------------------------------------------- paths


def _routes(root: Any, goal: Any, ways: Any) -> Iterator[list[tuple[Node, int]]]:
    """Every path from the loss to the goal, as nodes and positions. They are few and short."""
    open_routes: list[tuple[Any, list[tuple[Node, int]]]] = [(root, [])]
    while open_routes:
        vertex, route = open_routes.pop()
        if vertex is goal:
            yield route
            continue
        for position, _ in reversed(vertex.active):
            if vertex.inputs[position] in ways:
                open_routes.append((vertex.inputs[position], [*route, (vertex, position)]))


def _path(route: list[tuple[Node, int]], seed: Array, goal: Any) -> Path:
    with np.errstate(all="ignore"):
        g, jacobians = seed, []
        for node, position in route:
            g = _pulled(node, position, g)
            jacobians.append(_conj(_local_jacobian(node, position)))
    return Path(tuple(_name(node) for node, _ in route), tuple(jacobians), _conj(g.astype(goal.dtype)))


def _local_jacobian(node: Node, position: int) -> Array:
    """∂y/∂operand of one node as a matrix, a row for each element of y."""
    pull = careful(dict(node.active)[position])
    size = math.prod(node.shape)
    rows = [np.ravel(pull(unit.reshape(node.shape), node)) for unit in np.eye(size, dtype=node.dtype)]
    return np.array(rows).reshape(size, math.prod(node.inputs[position].shape))


def _brief(array: Any) -> str:
    """A number, a short list, or what is left of a matrix: its shape."""
    array = np.asarray(array)
    if array.size == 1:
        return f"{array.item():.6g}"
    if array.ndim == 2 and array.shape[0] == array.shape[1] and not (array - np.diag(np.diagonal(array))).any():
        return f"diag{_brief(np.diagonal(array))}"
    if array.size <= 6:
        return np.array2string(array, separator=", ", precision=4).replace("\n", "")
    return f"({' × '.join(map(str, array.shape))})"
