"""`detect_anomaly`: the name of the operation that made the first nan or infinity."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinygrad_edu.errors import AnomalyError
from tinygrad_edu.graph import Variable, mode
from tinygrad_edu.places import caller
from tinygrad_edu.singular import careful
from tinygrad_edu.tree import leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tinygrad_edu.graph import Array, Node, Pull


def detect_anomaly() -> mode:
    """Raise `AnomalyError` at the first nan or infinity. It names the operation, shapes, the ranges of its operands, file and line.

    Looked at are every result that is recorded inside the block, every ``backward()`` or transform inside it, and later every
    derivative of what was recorded inside it. What counts:

    - in a result, a nan; and an infinity that the operation made. From an infinite operand, such as the ``-inf`` of a mask, an
      infinity may follow: it was meant.
    - in a derivative, every nan and infinity, also where finite ones are added up or cast to a smaller dtype. What is made inside a
      rule and not used does not count.

    Works as a context manager and as a decorator. It costs a pass over every array. Counterpart:
    ``torch.autograd.detect_anomaly``, which finds nan in backward.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([0.0, 1.0], requires_grad=True)
    >>> with tg.detect_anomaly(), np.errstate(divide="ignore"):
    ...     tg.log(x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.AnomalyError: log made -inf in 1 of 2 elements, from finite operands ...
    """
    return mode(on_record=_watch, on_pass=_watched_pass)


# Whether what is recorded belongs to a derivative. Of that, only what a rule returns is looked at: inside, 0 · ∞ may be made and
# replaced, for a zero cotangent wins.
_IN_A_DERIVATIVE: ContextVar[bool] = ContextVar("tinygrad_edu_in_a_derivative", default=False)


def _watch(node: Node, y: Any, arrays: tuple[Any, ...]) -> None:
    """Check a result, and put a check behind each of the node's rules."""
    place = caller()
    if is_bad(y) and not _IN_A_DERIVATIVE.get():
        operands = [array for array in arrays[: len(node.inputs)] if array is not None]
        if _made(node, y, operands):
            whole = "operands that were not finite" if any(map(is_bad, operands)) else "finite operands"
            raise AnomalyError(
                f"{node.op.name.lstrip('_')} made {what_is_bad(y)}, from {whole} ({', '.join(map(_range, operands))})"
                f"\n  result {y.shape} {y.dtype}, at {place}"
            )
    _check_rules(node, f"recorded at {place}")


def _made(node: Node, y: Array, operands: list[Any]) -> bool:
    """Whether an operation made what is not finite: a nan, or an infinity where none came in."""
    infinite = np.isinf(y)
    if np.isnan(y).any():
        return True
    if not node.op.elementwise:
        return not any(is_bad(value) for value in [*operands, *leaves(node.params)])
    for operand in operands:
        infinite &= np.isfinite(operand)
    return bool(infinite.any())


def _check_rules(node: Node, recorded: str) -> None:
    if not isinstance(node.active, _CheckedRules):
        node.active = _CheckedRules(node, recorded)


def _watched_pass(
    run: Callable[..., dict[Any, Any]], order: list[Any], seeds: dict[Any, Any], *how: Any, **options: Any
) -> dict[Any, Any]:
    """A backward pass in which every rule, every sum and every cotangent that was passed in is looked at."""
    for start, seed in seeds.items():
        if is_bad(seed):
            raise AnomalyError(
                f"backward: the cotangent that was passed in for {_called(start)} has {what_is_bad(seed)}: pass finite numbers"
            )
    before = [node.active for node in order]
    token = _IN_A_DERIVATIVE.set(True)
    try:
        for node in order:
            _check_rules(node, "recorded before anybody watched")
        with np.errstate(all="ignore"):  # what NumPy would warn of is raised here
            found = run(order, seeds, *how, **options)
    finally:
        _IN_A_DERIVATIVE.reset(token)
        for node, active in zip(order, before, strict=True):
            node.active = active
    for vertex, g in found.items():
        if is_bad(g):
            raise _arrived(g, _called(vertex), vertex.dtype)
    return found


def _arrived(g: Any, where: str, dtype: Any) -> AnomalyError:
    """The error for what is not finite when it arrives, although all that the rules returned was."""
    return AnomalyError(
        f"the cotangent that arrives at {where} has {what_is_bad(g)}, and no rule made that: it was passed in, or the sum over "
        f"several paths overflowed, or the cast to {dtype}. Scale the loss, or compute in a wider dtype"
    )


class _CheckedRules(tuple[tuple[int, Any], ...]):
    """A node's rules, each with a look at what goes in and what comes out. Each pass asks for them anew, because those of an
    opaque call share something in a pass. Nothing refers to the node: a graph has no cycles."""

    def __new__(cls, node: Node, recorded: str) -> Self:
        return super().__new__(cls, node.active)

    def __init__(self, node: Node, recorded: str) -> None:
        self.rules = node.active
        self.op, self.shape, self.dtype = node.op, node.shape, node.dtype
        self.recorded = recorded
        # The rule of an opaque call runs a function of the user's, of which every operation is looked at.
        self.users = hasattr(node.params.get("call"), "source")

    def __iter__(self) -> Iterator[Any]:
        for position, pull in self.rules:
            yield position, _Checked(self, position, pull)


class _Checked:
    """One checked rule."""

    __slots__ = ("careful", "operand", "rules")

    def __init__(self, rules: _CheckedRules, position: int, pull: Pull) -> None:
        self.rules = rules
        self.operand = rules.op.operands[0 if rules.op.variadic else position]
        self.careful = careful(pull)  # the rule itself: `explain_grad` looks at what it makes

    def __call__(self, g: Any, source: Any) -> Any:
        rules = self.rules
        name = rules.op.name.lstrip("_")
        if is_bad(g):
            raise _arrived(g, f"{name} of shape {rules.shape}", rules.dtype)
        token = _IN_A_DERIVATIVE.set(not rules.users)
        try:
            with np.errstate(all="ignore"):
                part = self.careful(g, source)
        finally:
            _IN_A_DERIVATIVE.reset(token)
        if is_bad(part):
            saved = ", ".join([_range(a) for a in source.saved if a is not None])
            raise AnomalyError(
                f"the derivative of {name} with respect to {self.operand} made {what_is_bad(part)}, from a cotangent in {_range(g)}"
                f"\n  it is computed from {saved or 'the cotangent'}; result {rules.shape}, {rules.recorded}"
            )
        return part


def _called(vertex: Any) -> str:
    """What a message calls a vertex."""
    name = vertex.name or "the tensor" if vertex.op is None else vertex.op.name.lstrip("_")
    return f"{name} of shape {vertex.shape}"


def array_of(value: Any) -> Array:
    """The numbers of a tensor, an array or a number."""
    return value._data if isinstance(value, Variable) else np.asarray(value)


def is_bad(value: Any) -> bool:
    """Whether there is a nan or an infinity among the numbers."""
    array = array_of(value)
    return array.dtype.kind in "fc" and not np.isfinite(array).all()


def what_is_bad(value: Any) -> str:
    """For a message: nan or infinity, and in how many elements."""
    array = array_of(value)
    bad = ~np.isfinite(array)
    kinds = dict.fromkeys("nan" if np.isnan(v) else str(v) for v in array[bad].tolist())
    return f"{' and '.join(kinds)} in {np.sum(bad)} of {array.size} elements"


def _range(value: Any) -> str:
    """Shape and range of an array, for a message."""
    array = array_of(value)
    if not array.size or array.dtype.kind not in "iuf":
        return f"{array.shape} {array.dtype}"
    finite = array[np.isfinite(array)]
    ends = f"[{finite.min():.4g}, {finite.max():.4g}]" if finite.size else what_is_bad(array)
    return f"{ends} {array.shape}"
