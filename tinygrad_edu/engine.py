"""The one backward loop: reverse-mode differentiation of a recorded graph. No rule of any operation stands here.

What concerns every operation happens here once: the order, the check of each contribution's shape and dtype, the
accumulation over paths, who owns an array, the convention for complex numbers, and the release of what the graph held.

The gradient of a real L with respect to a complex z = x + iy is ∂L/∂x + i ∂L/∂y, as in PyTorch: a step against it goes downhill.
Between nodes its conjugate travels, ∂L/∂x − i ∂L/∂y. For that one the chain rule of a holomorphic function is g f′(z), as it is
written for real numbers, so that a rule need not know whether its operands are complex. The conjugation stands in `cotangents`.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from sys import getrefcount
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_edu.errors import GraphError, MutationError, ReleasedError, RuleError
from tinygrad_edu.floating import ERRORS, quietly, with_invalid_raising
from tinygrad_edu.graph import (
    MODE,
    RELEASED,
    Backward,
    Leaf,
    Node,
    Variable,
    as_variable,
    changed_after,
    enable_grad,
    last_change,
    mode,
    topological_order,
)
from tinygrad_edu.singular import careful

ndarray = np.ndarray
in_place_sum: Any = operator.iadd


def backward(root: Variable, gradient: Any = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
    """Add the derivative of this tensor to the ``.grad`` of every leaf it depends on, by the chain rule in reverse order.

    Parameters
    ----------
    gradient: ∂L/∂self, of this tensor's shape; 1 for a tensor with one element.
    retain_graph: keep the graph's arrays, so that ``backward()`` can be called again.
    create_graph: record the derivative too, so that it can be differentiated.

    Raises `GraphError` when there is nothing to differentiate, `ReleasedError` when the graph was used before, and
    `MutationError` when an array has changed since. No ``.grad`` is touched unless all of it succeeds.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(2.0, requires_grad=True)
    >>> (x**3).backward(create_graph=True)
    >>> x.grad
    Tensor(12., requires_grad=True)
    """
    arrived = cotangents([(root, gradient)], retain_graph=retain_graph, create_graph=create_graph)
    for leaf, new in owned(arrived, type(root)).items():
        if leaf.grad is None:
            leaf.grad = new
        elif create_graph:
            with enable_grad():
                leaf.grad = _own(leaf.grad + new)
        else:
            leaf.grad = as_variable(type(root), leaf.grad._data + new._data)  # a gradient that was kept does not change


def cotangents(
    roots: Sequence[tuple[Variable, Any]],
    *,
    wanted: Iterable[Any] | None = None,
    stop: Collection[Any] = (),
    retain_graph: bool = False,
    create_graph: bool = False,
) -> dict[Any, Any]:
    """The derivative of Σ ⟨gradient, root⟩ over the pairs (root, gradient) of ``roots`` with respect to vertices of their graph:
    ``wanted``, or all leaves. What lies behind the vertices in ``stop`` is not looked at: they are taken as independent.

    Returns arrays (or, with ``create_graph``, recording tensors) by vertex; a wanted vertex that no root depends on is absent.
    Nothing that the user owns is touched.
    """
    seeds: dict[Any, Any] = {}
    for root, gradient in roots:
        start = root._node
        if start is None or not start.requires_grad:
            raise GraphError(
                "backward() from a tensor that depends on nothing that requires grad: make the inputs with "
                "Tensor(..., requires_grad=True), and compute outside no_grad() and without detach()"
            )
        seed = _conjugate(start, _seed(root, gradient, create_graph))
        seeds[start] = seed if start not in seeds else seeds[start] + seed
    kept = None if wanted is None else set(wanted)
    order = topological_order(*seeds, stop=stop)
    if kept is not None:
        useful = _leading_to(order, kept)
        seeds = {start: seed for start, seed in seeds.items() if start in useful}
        order = [node for node in order if node in useful]
    _check_usable(order)
    cls = type(roots[0][0])
    watch = MODE.get().on_pass
    run = _pull_back if watch is None else partial(watch, _pull_back)
    if not create_graph:
        found = run(order, seeds, kept, None, release=not retain_graph)
        for vertex in found:
            if vertex.dtype.kind == "c":
                found[vertex] = found[vertex].conj()
        return found
    entries = {entry for node in order for entry in node.scope}
    derivative = Backward(1 + max((entry.order for entry in entries if isinstance(entry, Backward)), default=0))
    with mode(recording=True, scope=(*MODE.get().scope, derivative)):  # so that a picture can tell the orders apart
        found = run(order, seeds, kept, cls, release=False)
        return {vertex: as_variable(cls, _conjugate(vertex, g)) for vertex, g in found.items()}


def _conjugate(vertex: Any, g: Any) -> Any:
    return g.conj() if vertex.dtype.kind == "c" else g


def _pull_back(
    order: list[Any],
    pending: dict[Any, Any],
    wanted: set[Any] | None,
    recording: type[Variable] | None,
    *,
    release: bool,
) -> dict[Any, Any]:
    """Visit the nodes newest first; when one is reached, every path into it has been added up, and what is left in ``pending``
    at the end are the leaves. ``wanted`` are the vertices whose cotangents to return (None: the leaves), ``recording`` the class
    of tensor to compute with when the derivative is to be differentiated again (None: arrays)."""
    found: dict[Any, Any] = {}
    ours: set[Any] = set()  # vertices whose running sum we allocated, so that adding in place disturbs nobody
    members = None if wanted is None else wanted.union(order)
    # Where 0 · ∞ makes a nan, NumPy raises, and the rule is looked at again. A try that succeeds costs nothing.
    raising = with_invalid_raising()
    token = ERRORS.set(raising)
    try:
        for node in order:
            g = pending.pop(node)  # a KeyError here would say that the order is wrong
            if wanted is not None and node in wanted:
                found[node] = g
            inputs = node.inputs
            active = node.active
            source = node if recording is None else _recorded_view(node, recording)
            for position, pull in active:
                vertex = inputs[position]
                if members is not None and vertex not in members:
                    continue  # it leads to nothing that is wanted
                try:
                    part = pull(g, source)
                except FloatingPointError:
                    ERRORS.reset(token)
                    try:
                        part = careful(pull)(g, source)
                    finally:
                        token = ERRORS.set(raising)
                if part.__class__ is not ndarray:
                    part = _accept(node, position, part, recording)
                if part.shape != vertex.shape:
                    raise _bad_rule(node, position, part)
                if part.dtype is not vertex.dtype and part.dtype != vertex.dtype:
                    part = as_dtype(part, vertex.dtype)
                before = pending.get(vertex)
                if before is not None:
                    mine = vertex in ours
                    try:
                        part = in_place_sum(before, part) if mine else before + part
                    except FloatingPointError:  # ∞ − ∞: no rule is to blame, and in place the sum stands there already
                        part = before if mine else quietly(operator.add, before, part)
                    if part.__class__ is ndarray:
                        ours.add(vertex)
                pending[vertex] = part
            if release:
                node.saved = RELEASED
                if len(active) != len(inputs):
                    node.forget_constants()
    finally:
        ERRORS.reset(token)
    if wanted is None:
        return pending
    found.update((vertex, g) for vertex, g in pending.items() if vertex in wanted)
    return found


def _seed(root: Variable, gradient: Any, create_graph: bool) -> Any:
    """The cotangent of the root: the caller's, checked and copied, or 1 for a scalar."""
    data = root._data
    if gradient is None:
        if data.dtype.kind == "c":
            raise GraphError(
                "backward() from a complex number: only a real one goes up or down. Take a real part of it first, as in y.real or "
                "abs(y), or pass backward(gradient)"
            )
        if data.size != 1:
            raise GraphError(
                f"backward() from a tensor of shape {data.shape} needs the gradient of the final scalar with respect to it: "
                "reduce it first, as in y.sum().backward() or y.mean().backward(), or pass backward(gradient)"
            )
        seed: Any = np.ones(data.shape, data.dtype) if data.ndim else data.dtype.type(1)
        return as_variable(type(root), seed) if create_graph else seed
    if isinstance(gradient, Variable):
        if (
            create_graph
            and gradient._data.shape == data.shape
            and gradient._data.dtype.kind in ("fc" if data.dtype.kind == "c" else "f")
        ):
            recorded: Any = gradient  # it may have a history
            return recorded if recorded.dtype == data.dtype else recorded.astype(data.dtype)
        gradient = gradient._data
    try:
        seed = np.asarray(gradient)
    except ValueError as error:
        raise GraphError(f"backward(gradient): the gradient is no array: {error}") from error
    if seed.shape != data.shape or seed.dtype.kind not in ("biufc" if data.dtype.kind == "c" else "biuf"):
        raise GraphError(
            f"backward(gradient): the gradient has shape {seed.shape} and dtype {seed.dtype}, the tensor {data.shape} and "
            f"{data.dtype}; pass one number for each of its elements"
        )
    seed = np.array(seed, data.dtype)
    return seed if not create_graph else as_variable(type(root), seed)


def _recorded_view(node: Node, cls: type[Variable]) -> Any:
    """The node as its rules see it when the derivative is recorded too: tensors in the place of the saved arrays, so that
    what a rule computes from them is differentiable in its turn."""
    if not node.saved:
        return node

    def tensor(array: Any, vertex: Any) -> Any:
        if array is None or not getattr(vertex, "requires_grad", False):
            return array
        if vertex.shape != array.shape:
            vertex = vertex.inputs[0]  # a broadcast operand: what was saved stands before its Repeat
        value = object.__new__(cls)
        value._data, value._node = array, vertex
        return value

    op, count = node.op, len(node.inputs)
    y, *operands = node.saved[: count + 1]
    operands = list(map(tensor, operands, node.inputs))
    # A residual is only a number to the recorder: compute it again, from operands whose history is known.
    residuals = op.residuals_again(operands, node.params) if len(node.saved) > count + 1 else []
    return SimpleNamespace(saved=(tensor(y, node), *operands, *residuals), params=node.params, inputs=node.inputs)


def _leading_to(order: list[Any], wanted: set[Any]) -> set[Any]:
    """The vertices on a path to one that is wanted."""
    useful = set(wanted)
    for node in reversed(order):
        if any(node.inputs[position] in useful for position, _ in node.active):
            useful.add(node)
    return useful


def as_dtype(part: Any, dtype: np.dtype[Any]) -> Any:
    """A contribution in its tensor's dtype: a float32 tensor that met float64 numbers still has a float32 gradient, and a real
    one that met complex numbers can move along the real axis only."""
    if part.dtype.kind == "c" != dtype.kind:
        part = part.real
    return part.astype(dtype)


def _accept(node: Node, position: int, part: Any, recording: type[Variable] | None) -> Any:
    """A contribution that is no array: NumPy gives scalars for 0-d arrays, and tensors are right when we are recording."""
    if isinstance(part, np.generic) or (recording and isinstance(part, Variable)):
        return part if recording is None or isinstance(part, Variable) else np.asarray(part)
    if isinstance(part, int | float | complex):
        return np.asarray(part)
    raise _bad_rule(node, position, part)


def _bad_rule(node: Node, position: int, part: Any) -> RuleError:
    vertex = node.inputs[position]
    op = node.op
    operand = op.operands[0 if op.variadic else position]
    got = f"a result of type {type(part).__name__} and shape {part.shape}" if hasattr(part, "shape") else repr(part)
    return RuleError(
        f"{op.name}: the rule of operand {operand!r} returned {got}; the gradient must have the operand's shape "
        f"{vertex.shape}. A rule that broadcasts has to be summed back over the repeated axes, and a rule computes only with what "
        "it is handed: a tensor from outside makes a tensor of the result"
    )


# ------------------------------------------------------------------------------------------------------------- ownership


def _calibrate() -> int:
    array = np.empty(1)
    return getrefcount(array)


# What `getrefcount` says of an array that only one local variable holds. Measured, because interpreters count the references on
# their own stack differently.
UNSHARED = _calibrate()


def owned(arrived: dict[Any, Any], cls: type[Variable]) -> dict[Any, Variable]:
    """The gradients as tensors that nobody else holds: never a view, never shared, always writable. Empties ``arrived``."""
    gradients = {}
    for vertex in list(arrived):
        array = arrived.pop(vertex)
        if isinstance(array, Variable):
            with enable_grad():
                gradients[vertex] = _own(array)
            continue
        if array.__class__ is not ndarray or array.base is not None or getrefcount(array) > UNSHARED or not array.flags.writeable:
            array = np.array(array)
        gradients[vertex] = as_variable(cls, array)
    return gradients


def _own(recorded: Any) -> Variable:
    """A recorded gradient as a tensor of its own, with an array of its own."""
    if type(recorded._node) is Leaf:  # the cotangent that the user passed in: not to be mistaken for its tensor
        recorded = recorded + 0
    tensor: Variable = object.__new__(type(recorded))
    tensor._data, tensor._node = np.array(recorded._data), recorded._node
    return tensor


# ----------------------------------------------------------------------------------------------------- what may be used


def _check_usable(order: list[Any]) -> None:
    """Refuse a graph whose arrays were released or have changed, before anything is computed."""
    newest_change = last_change[0]
    for node in order:
        if node.saved is RELEASED:
            raise ReleasedError(
                f"the graph was already used by a backward() that released its arrays, or failed half-way (seen at "
                f"{node.op.name}, shape {node.shape}): call the first one as backward(retain_graph=True), or compute the loss again"
            )
        if node.saved and node.serial < newest_change:
            _check_unchanged(node)
        if node.receipt is not None:
            node.receipt.check(node)


def _check_unchanged(node: Node) -> None:
    """Refuse a node that saved an array, or a view of one, that was changed through its tensor since."""
    for array in node.saved:
        if isinstance(array, ndarray):
            change = changed_after(array, node.serial)
            if change is not None:
                who = f"{change.name!r}" if change.name else "a tensor"
                raise MutationError(
                    f"{who} of shape {array.shape} was changed in place after {node.op.name} (result shape {node.shape}) "
                    "saved it for backward, so the gradient would be wrong: call backward() before changing it, or "
                    "compute with a copy, as in tg.Tensor(x.data)"
                )
