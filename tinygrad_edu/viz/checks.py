"""The checks of single operations that `lint` makes; those of inputs and parameters stand there.

Each is a function of one operation and of what is known of the graph, and yields a sentence that says why, and a rewrite, for what
it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu.graph import Node

if TYPE_CHECKING:
    from tinygrad_edu.viz.lint import Look

Check: TypeAlias = "Callable[[Node, Look], Iterator[tuple[str, str]]]"

SMALL = 1e-3  # an ε, which is added so that a logarithm is never of 0
TINY = 1e-8  # what a square root's operand is near 0 by, relative to 1
FLAT = 0.01  # a sigmoid that is so near to 0 or 1 learns a hundred times slower
MANY = 0.5  # the part of the elements from which on it matters
BATCH = 8  # examples, of which it is no accident any more that a layer is 0 for all
FAR = 4.0  # standard deviations, beyond which a unit sees no example
FEW = 0.1  # the part of a layer that may be dead: of the units of a layer that learns, some are always far away
MOVING = frozenset(
    "broadcast_to reshape expand_dims squeeze transpose matrix_transpose swapaxes cast getitem take _alias".split()  # noqa: SIM905
)
CHECKS: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    """Enter a check under its name."""

    def enter(function: Check) -> Check:
        CHECKS[name] = function
        return function

    return enter


# --------------------------------------------------------------------------------------------- logarithms and exponentials

LOGARITHMS = ("log", "log2", "log10")


@check("log-of-softmax")
def _log_of_softmax(node: Node, look: Look) -> Iterator[tuple[str, str]]:
    if node.op.name not in LOGARITHMS:
        return
    p = look.operand(node, 0)
    of = look.softmax(p)
    if of:
        axis = "" if of[1] in (-1, None) else f", axis={of[1]}"
        yield (
            "a softmax is rounded to 0 where its operand is far below the maximum, and the logarithm is then -inf and its "
            "derivative 1 / 0",
            f"tg.log_softmax({look.name(of[0])}{axis}); or, with the loss, tg.softmax_cross_entropy({look.name(of[0])}, labels)",
        )
        return
    sign = ""
    if look.is_op(p, "subtract") and _is(look.constant(look.operands[p][0]), 1):  # 1 − σ(z) is σ(−z)
        p, sign = look.operand(p, 1), "-"
    if look.is_op(p, "sigmoid"):
        yield (
            "a sigmoid is rounded to 0 or 1 far from 0, and the logarithm is then -inf, or exactly 0 with a derivative of 0",
            f"tg.log_sigmoid({sign}{look.name(look.operand(p, 0))}); or, with the loss, "
            "tg.nn.functional.binary_cross_entropy_with_logits",
        )


@check("log-plus-epsilon")
def _log_plus_epsilon(node: Node, look: Look) -> Iterator[tuple[str, str]]:
    if node.op.name not in LOGARITHMS:
        return
    for p, epsilon, how in _kept_from_zero(look.operand(node, 0), look):
        of = look.softmax(p)
        write = (
            f"tg.softmax_cross_entropy({look.name(of[0])}, labels), or tg.log_softmax({look.name(of[0])})"
            if of
            else f"tg.log_sigmoid({look.name(look.operand(p, 0))})"
            if look.is_op(p, "sigmoid")
            else "tg.xlogy(t, p) where the factor t may be 0; or compute ln p from what p was made of"
        )
        yield (
            f"{how} {epsilon:g} bounds the loss at {-np.log(epsilon):.4g}, so that the loss and its derivative are another "
            "function's: a confident mistake gets no gradient"
            + (", and in float32 the loss can be negative" if how == "adding" else ""),
            write,
        )


def _kept_from_zero(vertex: Any, look: Look) -> Iterator[tuple[Any, float, str]]:
    """If a tensor is p + ε, max(p, ε) or clip(p, ε): what p is, and ε, and what was done."""
    found: list[tuple[Any, Any, str]] = []
    if look.is_op(vertex, "add", "maximum"):
        how = "adding" if vertex.op.name == "add" else "a smallest value of"
        found = [(look.operand(vertex, p), look.constant(look.operands[vertex][1 - p]), how) for p in (0, 1)]
    elif look.is_op(vertex, "_clip"):
        found = [(look.operand(vertex, 0), vertex.params["min"], "a smallest value of")]
    for p, epsilon, how in found:
        if epsilon is not None and np.size(epsilon) == 1 and 0 < np.asarray(epsilon).item() <= SMALL:
            yield p, np.asarray(epsilon).item(), how


@check("softmax-over-the-batch")
def _softmax_over_the_batch(node: Node, look: Look) -> Iterator[tuple[str, str]]:
    of = (look.operand(node, 0), node.params["axis"], True) if node.op.name == "log_softmax" else look.softmax(node)
    ndim = len(node.shape)
    if of is None or ndim < 2 or node.shape[0] < 2:
        return
    axes = range(ndim) if of[1] is None else [axis % ndim for axis in (of[1] if isinstance(of[1], tuple) else (of[1],))]
    if 0 in axes:
        what = "the whole array" if len(axes) == ndim else "the first axis, that of the examples,"
        yield (
            f"it is normalised over {what} of shape {node.shape}: the rows do not sum to 1, and a row far below the largest is 0 "
            "everywhere",
            f"tg.softmax({look.name(of[0])}, axis=-1); by hand, max and sum with axis=-1, keepdims=True",
        )


@check("exp-without-shift")
def _exp_without_shift(node: Node, look: Look) -> Iterator[tuple[str, str]]:
    if node.op.name != "exp":
        return
    x = look.operand(node, 0)
    limit = float(np.log(np.finfo(node.dtype).max)) if node.dtype.kind == "f" else 709.0
    overflows = f"exp overflows beyond {limit:.4g} in {node.dtype}"
    uses = _through(look, node)
    names = {user.op.name for user in uses}
    if look.is_op(x, "subtract") and look.is_op(look.operand(x, 1), "max", "logsumexp"):
        return  # it is at most 1
    if "sum" in names:
        after = {user.op.name for one in uses if one.op.name == "sum" for user in _through(look, one)}
        if after & {"divide", "log"}:
            made = "softmax" if "divide" in after else "logsumexp"
            yield (
                f"{overflows}, and the {made} of large numbers is then nan or inf",
                f"tg.{made}({look.name(x)}), which subtracts the maximum",
            )
    elif "log1p" in names or any(_is_one_plus(user, node, look) for user in uses):
        inside = look.operand(x, 0) if look.is_op(x, "negative") else x
        yield (
            f"{overflows}; then 1 + eˣ is inf, with a warning",
            f"tg.sigmoid({look.name(inside)}), or tg.softplus for its integral",
        )


def _through(look: Look, vertex: Any) -> list[Node]:
    """The operations that use a tensor, also after it was moved."""
    uses = list(look.users[vertex])
    for user in uses:
        if user.op.name in MOVING:
            uses += look.users[user]
    return uses


def _is_one_plus(node: Node, exponential: Any, look: Look) -> bool:
    if node.op.name != "add":
        return False
    other = [vertex for vertex in look.operands[node] if look.source(vertex) is not exponential]
    value = look.constant(other[0]) if len(other) == 1 else None
    return _is(value, 1) and bool({user.op.name for user in look.users[node]} & {"divide", "reciprocal", "log"})


def _is(value: Any, number: float) -> bool:
    """Whether a constant is this one number."""
    return value is not None and value.size == 1 and bool(value.item() == number)


# ------------------------------------------------------------------------------------------------- infinite derivatives


@check("root-near-zero")
def _root_near_zero(node: Node, look: Look) -> Iterator[tuple[str, str]]:
    if node.op.name in ("sqrt", "cbrt") or (node.op.name == "power" and _fractional(look, node)):
        x = look.values.get(look.operands[node][0])
        if x is not None and x.size and np.nanmin(np.abs(x)) < TINY:
            yield (
                f"the derivative of {node.op.name} is infinite at 0, and its operand is {np.nanmin(np.abs(x)):.3g} somewhere",
                "tg.norm(x) for a length, whose derivative at 0 is declared; else tg.sqrt(x + eps), with eps inside the root",
            )
    elif node.op.name in ("vector_norm", "hypot"):
        y = look.values.get(node)
        if y is not None and y.size and np.nanmin(y) < TINY:
            yield (
                f"a length of {np.nanmin(y):.3g} has no direction: its derivative is declared 0 at 0 and jumps to length 1 "
                "beside it",
                "the squared length, (x * x).sum(); or tg.sqrt((x * x).sum() + eps)",
            )


def _fractional(look: Look, node: Node) -> bool:
    exponent = look.constant(look.operands[node][1])
    return exponent is not None and exponent.size == 1 and exponent.dtype.kind == "f" and 0 < exponent.item() < 1


@check("where-with-an-unsafe-branch")
def _unsafe_branch(node: Node, look: Look) -> Iterator[tuple[str, str]]:
    if node.op.name != "where":
        return
    y = look.values.get(node)
    for position in (1, 2):
        branch = look.operands[node][position]
        value = look.values.get(branch)
        if y is None or value is None or value.dtype.kind not in "fc" or not isinstance(branch, Node):
            continue
        bad = ~np.isfinite(np.broadcast_to(value, y.shape))
        if bad.any() and np.isfinite(y[bad]).all():
            op = look.source(branch).op.name
            yield (
                f"both branches are computed, and {op} makes nan or inf in {np.sum(bad)} elements where the other one is taken: "
                "its derivative there is 0 · ∞, which is 0 here, and nan in JAX, PyTorch and under ieee_gradients",
                f"where(c, {op}(where(c, x, 1)), …): a harmless operand in front of {op}, too",
            )


# ---------------------------------------------------------------------------------------------------- shapes and dtypes


@check("vector-against-column")
def _vector_against_column(node: Node, look: Look) -> Iterator[tuple[str, str]]:
    if not node.op.elementwise or len(node.shape) != 2 or node.shape[0] != node.shape[1] or node.shape[0] < 2:
        return
    vertices = [v.inputs[0] if look.is_op(v, "broadcast_to") else v for v in look.operands[node]]
    shapes = [vertex.shape for vertex in vertices]
    n = node.shape[0]
    if (n,) in shapes and (n, 1) in shapes:
        if look.is_op(vertices[shapes.index((n, 1))], "reshape", "expand_dims", "getitem"):
            return  # somebody made a column in order to get all pairs
        vector, column = (look.name(_known(look, vertices[shapes.index(shape)])) for shape in ((n,), (n, 1)))
        yield (
            f"{vector} of shape ({n},) and {column} of shape ({n}, 1) broadcast to all {n} × {n} pairs",
            f"{column}.reshape(-1), or {vector}.reshape(-1, 1), whichever is meant",
        )


def _known(look: Look, vertex: Any) -> Any:
    return vertex if vertex in look.tensors else next(v for v in look.tensors if getattr(v, "_outline", None) is vertex)


@check("dtype-jump")
def _dtype_jump(node: Node, look: Look) -> Iterator[tuple[str, str]]:
    if node.op.name == "cast" or node.dtype.kind != "f":
        return
    for position, _ in node.active:
        vertex = look.operands[node][position]
        if vertex.dtype.kind == "f" and vertex.dtype.itemsize < node.dtype.itemsize:
            others = [v for v in look.operands[node] if v.dtype is not None and v.dtype == node.dtype]
            who = f"{look.name(others[0])} is {node.dtype}" if others else f"{node.op.name} computes in {node.dtype}"
            yield (
                f"{look.name(vertex)} is {vertex.dtype} and {who}, so that everything that follows is {node.dtype}: twice the "
                "memory, half the speed",
                f"the other operand with .astype(np.{vertex.dtype}); or cast on purpose, with tg.astype",
            )
            return


# --------------------------------------------------------------------------------------------------------- units and losses


@check("saturated-sigmoid")
def _saturated(node: Node, look: Look) -> Iterator[tuple[str, str]]:
    y = look.values.get(node) if node.op.name in ("sigmoid", "tanh") else None
    if y is None or not y.size:
        return
    slope = y * (1 - y) if node.op.name == "sigmoid" else 1 - y * y
    flat = float(np.mean(np.abs(slope) < FLAT))
    if flat >= MANY:
        yield (
            f"{flat:.0%} of its {y.size} elements are where {node.op.name} is flat, with a derivative below {FLAT}: the gradient "
            "hardly passes",
            "smaller initial weights, of the order of 1/√n for n inputs, as tg.nn.Linear has them, and inputs of the order of 1; "
            "or relu",
        )


@check("dead-relu")
def _dead(node: Node, look: Look) -> Iterator[tuple[str, str]]:
    x = look.values.get(look.operands[node][0]) if node.op.name == "relu" else None
    if x is None or x.size < BATCH:
        return
    dead: Any = x <= 0
    most = 1.0
    if x.ndim > 1 and x.shape[0] >= BATCH:
        # A unit is a channel of an image, and else the last axis. It is dead if no example, here or elsewhere, is near to it.
        unit = 1 if x.ndim > 3 else x.ndim - 1
        examples = tuple([axis for axis in range(x.ndim) if axis != unit])
        dead = dead.all(axis=examples)
        if not dead.all():
            dead, most = dead & (x.mean(axis=examples) <= -FAR * x.std(axis=examples)), FEW
    if np.mean(dead) >= most:
        yield (
            f"{np.sum(dead)} of {dead.size} units are 0 for every example: their derivative is 0, so that nothing behind them "
            "learns, now or later",
            "a smaller learning rate, weights scaled by √(2/n), or tg.leaky_relu, whose derivative is nowhere 0",
        )


@check("loss-grows-with-the-batch")
def _summed_loss(node: Node, look: Look) -> Iterator[tuple[str, str]]:
    if node.op.name != "sum" or len(node.shape):
        return
    product = look.operand(node, 0)
    if len(getattr(product, "shape", ())) < 2 or not look.is_op(product, "multiply"):
        return
    if not any(look.is_op(look.source(v), *LOGARITHMS, "log_softmax") for v in look.operands[product]):
        return
    end: Any = node
    while len(look.users[end]) == 1 and look.users[end][0].op.name == "negative":
        end = look.users[end][0]
    if end is look.start:
        yield (
            f"the cross-entropy of {product.shape[0]} examples is summed and not divided by their number: the step grows with "
            "the batch",
            f"-(t * log_p).sum() / {product.shape[0]}, or tg.softmax_cross_entropy, which averages",
        )
