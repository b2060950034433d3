"""`checkpoint`: memory for time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import DTypeError, GraphError, ShapeError
from tinygrad_edu.evaluations import Evaluations
from tinygrad_edu.graph import Variable, enable_grad, is_recording
from tinygrad_edu.opaque.node import Call, check_callable, opaque_node, operation
from tinygrad_edu.opaque.packing import Packed, arrays_of, put_together, taken_apart
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import Recorded, name_of


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` as a function that keeps nothing for its derivative but its arguments, and computes the rest again when that is needed.

    The gradients are the same, to any order; memory falls from that of all of f's intermediate arrays to that of its arguments and
    its result, for one more evaluation of f in backward. Parameters that f uses without being given them, those of an ``nn.Module``
    for instance, get their gradients too. ``f`` must give the same numbers the second time; where it does not, backward() raises a
    `GraphError`. A Dropout drops the same numbers then, and the running statistics of a BatchNorm move once: see `is_recomputing`.
    Counterpart: ``jax.checkpoint``, ``torch.utils.checkpoint``; Griewank and Walther, *Revolve*, 2000.

    >>> import tinygrad_edu as tg
    >>> f = tg.checkpoint(lambda x: tg.exp(tg.sin(x)))
    >>> tg.grad(f)(0.0), tg.grad(lambda x: tg.exp(tg.sin(x)))(0.0)
    (Tensor(1.), Tensor(1.))
    """
    check_callable(f, "checkpoint")
    op = operation(name_of(f))

    @functools.wraps(f, updated=())
    def checkpointed(*args: Any, **keywords: Any) -> Any:
        if not is_recording():
            return f(*args, **keywords)
        structure, operands = taken_apart((args, keywords))
        call = _Checkpoint(f, structure, len(operands))
        chosen = [i for i, t in enumerate(operands) if isinstance(t, Tensor) and t.requires_grad]
        with call.evaluations.first():
            first = call.evaluated(arrays_of(operands), chosen)
        call.captured = first.captured
        call.packed = Packed(
            first.y, f"checkpoint: {name_of(f)}", "its result", "it returned that the first time", carried=lambda t: t.requires_grad
        )
        if not call.packed.parts:
            return first.y
        y = opaque_node(op, call, call.packed.pack(first.y)._data, operands)
        return call.packed.unpack(y, call.packed.around(first.y))

    return checkpointed


class _Checkpoint(Call):
    packed: Packed

    def __init__(self, source: Callable[..., Any], structure: Any, given: int) -> None:
        super().__init__(source, structure, given)
        self.evaluations = Evaluations()

    def evaluated(self, values: Sequence[Any], chosen: Sequence[int]) -> Recorded:
        """The function, recorded, with those of the arguments that are chosen as variables."""

        def on(*variables: Any) -> Any:
            given = dict(zip(chosen, variables, strict=True))
            args, keywords = put_together(self.structure, [given.get(i, value) for i, value in enumerate(values)])
            return self.source(*args, **keywords)

        on.__name__ = name_of(self.source)
        return Recorded(on, [values[i] for i in chosen], who="checkpoint")

    def value(self, arrays: list[Any]) -> Tensor:
        args, keywords = put_together(self.structure, arrays)
        with self.evaluations.again():
            return self.packed.pack(self.source(*args, **keywords))

    def gradients(self, g: Any, y: Any, values: list[Any], more: list[Any], positions: list[int]) -> dict[int, Any]:
        name = name_of(self.source)
        with self.evaluations.again():
            again = self.evaluated(values, [position for position in positions if position < self.given])
        try:
            with enable_grad():
                result = self.packed.pack(again.y)
        except (ShapeError, DTypeError) as error:
            raise GraphError(f"checkpoint: {name} was computed again for backward(), and something has changed: {error}") from error
        if not np.array_equal(result._data, arrays_of([y])[0], equal_nan=True):
            raise GraphError(
                f"checkpoint: {name} gave other numbers when it was computed again for backward(): it draws random "
                "numbers (nn.Dropout's are drawn again as they were), or something it uses has changed. Draw the numbers outside "
                "and pass them as arguments"
            )
        if set(again.captured) != set(self.captured) or not result.requires_grad:
            raise GraphError(
                f"checkpoint: {name} used other tensors when it was computed again for backward(), and their gradients would be "
                "lost: one of those that it uses without being given them was replaced. Replace it after backward(), or pass it"
            )
        wanted = [*again.vertices, *self.captured]
        found = engine.cotangents([(result, g)], wanted=wanted, stop=wanted, create_graph=isinstance(g, Variable))
        return dict(zip(positions, map(found.get, wanted), strict=True))
