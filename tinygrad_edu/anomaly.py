"""`detect_anomaly`: the name of the operation that made the first nan or infinity."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import AnomalyError
from tinygrad_edu.graph import Place, Variable, caller, mode
from tinygrad_edu.singular import careful

if TYPE_CHECKING:
    from tinygrad_edu.graph import Node, Pull


def detect_anomaly() -> mode:
    """Look at every result that is recorded inside the block, and at every gradient that later flows through it: the first one with
    a nan or an infinity raises `AnomalyError`, which names the operation, shapes, the ranges of its operands, file and line.

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
    return mode(on_record=_watch)


def _watch(node: Node, y: Any, arrays: tuple[Any, ...]) -> None:
    """Check a result, and put a check behind each of the node's rules."""
    place = caller()
    if _bad(y):
        operands = [array for array in arrays[: len(node.inputs)] if array is not None]
        whole = not any(_bad(array) for array in operands)
        raise AnomalyError(
            f"{node.op.name} made {_what(y)}, from {'finite operands' if whole else 'operands that were not finite'} "
            f"({', '.join(map(_range, operands))})\n  result {y.shape} {y.dtype}, at {place}"
        )
    node.active = tuple([(position, _checked(node, position, pull, place)) for position, pull in node.active])


def _checked(node: Node, position: int, pull: Pull, place: Place) -> Pull:
    op, shape = node.op, node.shape

    def checked(g: Any, source: Any) -> Any:
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            part = careful(pull)(g, source)
        value, cotangent = (x._data if isinstance(x, Variable) else np.asarray(x) for x in (part, g))
        if _bad(value):
            saved = [a._data if isinstance(a, Variable) else a for a in source.saved if a is not None]
            operand = op.operands[0 if op.variadic else position]
            raise AnomalyError(
                f"the derivative of {op.name} with respect to {operand} made {_what(value)}, from a cotangent "
                f"in {_range(cotangent)}"
                f"\n  it is computed from {', '.join(map(_range, saved)) or 'the cotangent'}; result {shape}, recorded at {place}"
            )
        return part

    return checked


def _bad(array: Any) -> bool:
    array = np.asarray(array)
    return array.dtype.kind in "fc" and not np.isfinite(array).all()


def _what(array: Any) -> str:
    array = np.asarray(array)
    bad = ~np.isfinite(array)
    kinds = dict.fromkeys("nan" if np.isnan(v) else str(v) for v in array[bad].tolist())
    return f"{' and '.join(kinds)} in {np.sum(bad)} of {array.size} elements"


def _range(array: Any) -> str:
    """Shape and range of an array, for a message."""
    array = np.asarray(array)
    if not array.size or array.dtype.kind not in "iuf":
        return f"{array.shape} {array.dtype}"
    finite = array[np.isfinite(array)]
    ends = f"[{finite.min():.4g}, {finite.max():.4g}]" if finite.size else "[]"
    return f"{ends} {array.shape}"
