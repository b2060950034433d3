"""`explain_grad`: why a gradient is None, or zero, or nan, and which paths through the graph it is the sum of."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import DTypeError, ReleasedError
from tinygrad_edu.graph import RELEASED, Cut, Leaf, Node, topological_order
from tinygrad_edu.singular import careful
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

MOST_PATHS = 32
MOST_ELEMENTS = 64  # of a tensor on a path whose local Jacobians are written as matrices


@dataclass(frozen=True)
class Path:
    """One way from the loss back to the tensor: the nodes on it, and the product of the local Jacobians along it."""

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
    - "no_grad", "detached", "not differentiable": the way from it to the loss is cut, ``place`` says in which file and line;
    - "never reached": the loss was not computed from it;
    - "released": the graph was used already, and its arrays are gone;
    - "zero", "not finite": the gradient exists; ``place`` is the operation that made it so;
    - "flows": an ordinary gradient.

    Where the gradient flows, ``gradient`` is its value, and ``paths`` are, for small graphs, the terms that it is the sum of.
    """

    reason: str
    text: str
    place: str | None = None
    gradient: Array | None = None
    paths: tuple[Path, ...] = field(default=())

    def __str__(self) -> str:
        return "\n".join([self.text, *[f"  {path}" for path in self.paths]])


def explain_grad(loss: Tensor, x: Tensor) -> GradientExplanation:
    """Why the gradient of ``loss`` with respect to ``x`` is what it is: None, zero, nan, or a sum over paths.

    ``loss`` may have several elements; its sum is explained. No ``.grad`` is touched, and no graph is released. The text names
    the place where the gradient was lost: the line of a ``detach()``, of a ``no_grad()`` computation, the operation without a
    derivative, the operation in which a factor is 0 or infinite. For graphs with few paths it is the sum over all paths from
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
    return _unable(x) or _unreached(loss, x) or _flowing(loss, x)


def _name(x: Tensor) -> str:
    return x.name or f"the tensor of shape {x.shape}"


def _unable(x: Tensor) -> GradientExplanation | None:
    """Why x itself can have no gradient."""
    if x.requires_grad:
        return None
    if type(x._node) is Cut:
        return _lost(x._node, f"{_name(x)} has no gradient: it is")
    if x.dtype.kind not in "fc":
        return GradientExplanation(
            "integer",
            f"{_name(x)} has no gradient: its dtype is {x.dtype}, and only floating tensors have one; make it with dtype=float",
        )
    return GradientExplanation(
        "requires no grad", f"{_name(x)} has no gradient: it was made without requires_grad=True, so it counts as a constant"
    )


def _lost(vertex: Cut, what: str) -> GradientExplanation:
    place = str(vertex.place)
    if vertex.why == "detach":
        return GradientExplanation("detached", f"{what} a constant since detach() at {place}", place)
    if vertex.why == "no_grad":
        text = f"{what} a constant because it was computed inside no_grad() at {place}"
        return GradientExplanation("no_grad", text, place)
    text = f"{what} a constant because {vertex.why} has no derivative, or a zero one; it was called at {place}"
    return GradientExplanation("not differentiable", text, place)


def _unreached(loss: Tensor, x: Tensor) -> GradientExplanation | None:
    """Why no gradient arrives at x, if none does."""
    if loss is x:
        return None
    name = _name(x)
    if not loss.requires_grad:
        if type(loss._node) is Cut:
            return _lost(loss._node, f"{name} gets no gradient: the loss is")
        return GradientExplanation(
            "never reached",
            f"{name} gets no gradient: the loss was computed from constants alone, and not from {name} by recorded operations",
        )
    nodes = topological_order(loss._node)
    inputs = [(node, position, vertex) for node in nodes for position, vertex in enumerate(node.inputs)]
    if any(vertex is x._node and any(p == position for p, _ in node.active) for node, position, vertex in inputs):
        return None
    if x._node in nodes:
        return None
    for node, position, vertex in inputs:
        if vertex is x._node:
            operand = node.op.operands[0 if node.op.variadic else position]
            text = f"{name} gets no gradient: {node.op.name} uses it as {operand}, by which it is not differentiable"
            return GradientExplanation("not differentiable", text, node.op.name)
    cuts = list(dict.fromkeys(vertex for _, _, vertex in inputs if type(vertex) is Cut))
    if cuts:
        found = [_lost(vertex, "a part of the loss is") for vertex in cuts]
        text = f"{name} gets no gradient: no recorded path leads from the loss to it, and {'; '.join(part.text for part in found)}"
        return GradientExplanation(found[0].reason, text, found[0].place)
    return GradientExplanation(
        "never reached",
        f"{name} gets no gradient: no recorded operation that leads to the loss uses it. If it should: is it the same tensor "
        "object, and did its numbers pass through NumPy (x.numpy(), x.data, float(x)) on the way?",
    )


def _flowing(loss: Tensor, x: Tensor) -> GradientExplanation:
    """The gradient that arrives, and where it comes from."""
    name = _name(x)
    nodes = topological_order(loss._node)
    if any(node.saved is RELEASED for node in nodes):
        return GradientExplanation(
            "released",
            f"the gradient of {name} can no longer be computed: a backward() has released the graph's arrays. What it found "
            "was added to .grad; compute the loss again, or call backward(retain_graph=True)",
        )
    seed = np.ones(loss.shape, loss.dtype)
    vertices = [x._node, *nodes, *[v for node in nodes for v in node.inputs if isinstance(v, Leaf)]]
    try:
        with _quiet():
            found = engine.cotangents([(loss, seed)], wanted=vertices, retain_graph=True)
    except ReleasedError as error:
        return GradientExplanation("released", str(error))
    gradient = np.array(found[x._node])
    if not np.isfinite(gradient).all():
        place = _first(nodes, found, _turns_bad)
        how = "" if place is None else f": it first is so in the derivative of {_described(place)}"
        return GradientExplanation("not finite", f"the gradient of {name} is nan or infinite{how}", _op(place), gradient)
    if not gradient.any():
        place = _first(nodes, found, _turns_zero)
        how = "" if place is None else f": the derivative of {_described(place)} is 0 everywhere that the gradient flows"
        how = how or ": terms cancel"
        return GradientExplanation("zero", f"the gradient of {name} is zero{how}", _op(place), gradient)
    paths = tuple(_paths(loss._node, x._node, found))
    text = f"the gradient of {name} is {_brief(gradient)}"
    if paths:
        text += f", the sum over {len(paths)} path{'s' * (len(paths) > 1)}"
    return GradientExplanation("flows", text, None, gradient, paths)


@contextmanager
def _quiet() -> Iterator[None]:
    """An explanation says itself what is infinite."""
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        yield


def _op(node: Node | None) -> str | None:
    return None if node is None else node.op.name


def _described(node: Node) -> str:
    return f"{node.op.name} (shape {node.shape})"


def _first(nodes: Sequence[Node], found: dict[Any, Any], turns: Any) -> Node | None:
    """The first node, in the order of backward, whose rules turn what arrives."""
    for node in nodes:
        if node in found:
            with _quiet():
                parts = [np.asarray(careful(pull)(found[node], node)) for _, pull in node.active]
            if parts and turns(np.asarray(found[node]), parts):
                return node
    return None


def _turns_bad(g: Array, parts: list[Array]) -> bool:
    return bool(np.isfinite(g).all()) and not all(np.isfinite(part).all() for part in parts)


def _turns_zero(g: Array, parts: list[Array]) -> bool:
    return bool(g.any()) and not any(part.any() for part in parts)


def _paths(root: Any, goal: Any, found: dict[Any, Any]) -> Iterator[Path]:
    """Every path from the loss to x with the local Jacobians along it; nothing where there are too many, or tensors are large."""
    routes: list[list[tuple[Node, int]]] = []
    open_routes: list[tuple[Any, list[tuple[Node, int]]]] = [(root, [])]
    leads = _leads_to(root, goal)
    while open_routes:
        vertex, route = open_routes.pop()
        if len(routes) + len(open_routes) > MOST_PATHS or np.prod(vertex.shape) > MOST_ELEMENTS:
            return
        if vertex is goal:
            routes.append(route)
            continue
        for position, _ in reversed(vertex.active):
            if vertex.inputs[position] in leads:
                open_routes.append((vertex.inputs[position], [*route, (vertex, position)]))
    for route in routes:
        product = np.ones((1, int(np.prod(root.shape))))
        jacobians = []
        for node, position in route:
            local = _local_jacobian(node, position)
            jacobians.append(local)
            product = product @ local
        yield Path(tuple(node.op.name for node, _ in route), tuple(jacobians), product.reshape(goal.shape))


def _leads_to(root: Any, goal: Any) -> set[Any]:
    """The vertices from which the goal is reached."""
    leads = {goal}
    for node in reversed(topological_order(root)):
        if any(node.inputs[position] in leads for position, _ in node.active):
            leads.add(node)
    return leads


def _local_jacobian(node: Node, position: int) -> Array:
    """∂y/∂operand of one node as a matrix, a row for each element of y."""
    pull = dict(node.active)[position]
    size = int(np.prod(node.shape))
    rows = [np.ravel(pull(unit.reshape(node.shape), node)) for unit in np.eye(size, dtype=node.dtype)]
    return np.array(rows).reshape(size, int(np.prod(node.inputs[position].shape)))


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
