"""Checks of layers that somebody wrote by hand, in NumPy, with ``forward`` and ``backward``."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.testing.functions import calls_again, written_to
from tinygrad_edu.testing.hand_written import (
    HandWritten,
    Repeated,
    alike,
    as_gradient,
    check_not_written,
    cotangents,
    elsewhere,
    for_inputs,
    judge,
    nothing,
    projection_of,
    random_backward,
    results_of,
)
from tinygrad_edu.testing.inputs import as_input, differentiable, fresh_copies
from tinygrad_edu.testing.layer_copies import Parameters, copied
from tinygrad_edu.testing.report import GradientReport
from tinygrad_edu.testing.reproduction import reproduction

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def check_layer(layer: Any, *inputs: Any, rtol: float | None = None, atol: float | None = None, seed: int = 0) -> GradientReport:
    """Compare the derivatives of a layer in the style of *Deep Learning from Scratch* with numerical ones: those with respect to
    its inputs, and to each of its parameters.

    ``layer`` has ``forward(x, ...)`` and ``backward(dout)``, and either ``params`` and ``grads``, two lists of equal length or two
    dictionaries with the same keys, or, as in the first volume, for a parameter ``W`` an attribute ``dW`` that backward sets (or no
    parameters). A parameter that is listed twice, as tied weights are, also transposed, has the sum of both gradients. Where
    backward returns one gradient, it is that of the first floating input; a tuple has one for each, as that of a recurrent layer.
    Inputs that are no floating numbers, such as labels, are only passed to ``forward``. Where forward returns several results,
    backward takes a cotangent for each; where it returns a number, and backward ignores ``dout``, as a loss may, that is 1. The
    layer is left as it was: copies of it are checked, in which views of an array, such as W.T, are views again.

    Beside the numbers it is checked that ``dout`` is not written to, that a second pass gives the same gradients, that backward
    uses nothing that an earlier pass has left, and that the layer does not depend on the caller's array staying as it is between
    forward and backward. The report's ``notes`` say where it does, where gradients accumulate, and which arrays have no gradient
    though the result depends on them.

    Returns a `GradientReport`. Inputs are numbered first, then parameters. Raises what `check_function` raises, and `ArgumentError`
    for what is no such layer, or cannot be copied. Source: *Deep Learning from Scratch*, chapter 5, and *Deep Learning from Scratch
    2*, section 1.3.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> class Double:
    ...     params, grads = [], []
    ...     def forward(self, x):
    ...         return 2 * x
    ...     def backward(self, dout):
    ...         return 3 * dout
    >>> report = tg.testing.check_layer(Double(), np.array([[1.0, 2.0]]))
    >>> report.ok, report.suspicion
    (False, 'a factor: the analytic gradient is 3/2 times the numerical one')
    """
    _check_is_layer(layer)
    name = type(layer).__name__
    given = [as_input(x) for x in inputs]
    kept = Parameters(layer, given, name)
    double = copied(layer, wide=True)

    def new(like: Any = layer) -> _Layer:
        """A copy that was not used before, with gradients that start from the same numbers."""
        return _Layer(like, kept, len(given))

    here, wide = new(), new(double)
    points = [*given, *map(np.array, here.params)]
    count = len(differentiable(given))
    if not differentiable(points):
        raise nothing("check_layer", name, given)
    y = here.forward(points)
    report = GradientReport(name, tuple(points), sizes=np.shape(y[0]), notes=written_to(given, here.given, f"{name}.forward"))
    report.notes += kept.notes
    written = HandWritten(wide.forward, lambda points, projection: new(double).backward(points, projection), projection_of(y, seed))
    once = Repeated(written, points, lambda: here.backward(points, written.projection)[:count], "check_layer", name)
    once.check()
    found = new().backward(points, written.projection)
    if ignored := alike(found, new().backward(points, elsewhere(written.projection))) and any(map(np.any, found)):
        report.notes.append(f"{name}.backward ignores dout: that is right in the last layer only, whose dout is 1")
    if ignored and not any(part.shape for part in y):
        written.projection = np.ones_like(written.projection)
    notes, steady = _notes(new, kept, points, written.projection, count)
    if moved := _stale(new, points, y, written.projection, steady):
        notes.append(f"{name}.backward uses what an earlier forward kept: keep it anew in each forward")
        found = new().after(moved, written.projection).backward(points, written.projection)
        written.backward = lambda points, projection: new(double).after(moved, projection).backward(points, projection)
    if kept.keys and count and all(part is None for part in found[:count]):
        notes.append(f"{name}.backward returns no gradient of its input: only a first layer needs none; was `return` forgotten?")
    options = {"seed": seed, "rtol": rtol, "atol": atol}
    report.reproduce = lambda: _layer_again(layer, here.params, given, {k: v for k, v in options.items() if v is not None})
    labels = [*[""] * count, *map(kept.label, range(len(here.params)))]
    labelled = list(zip(differentiable(points), found, labels, strict=True))
    judge(report, written, points, labelled, f"check_layer: {name}.backward", rtol, atol)
    once.check(calls_again(report))
    report.notes += [*notes, *sorted(here.overwritten)]
    return report


def _check_is_layer(layer: Any) -> None:
    if isinstance(layer, type):
        raise ArgumentError(f"check_layer: {layer.__name__} is a class: pass a layer that is made of it, as {layer.__name__}(...)")
    name = type(layer).__name__
    if any(kind.__module__ == "tinygrad_edu.nn.module" for kind in type(layer).__mro__):
        raise ArgumentError(
            f"check_layer: {name} is a tg.nn.Module, which has no backward of its own: use tg.testing.check_gradients(layer, x)"
        )
    missing = [method for method in ("forward", "backward") if not callable(getattr(layer, method, None))]
    if missing:
        raise ArgumentError(f"check_layer: {name} has no {' and no '.join(missing)}: a layer has forward(x) and backward(dout)")


class _Layer:
    """A copy of a layer, with its parameters, as a function of inputs and parameters."""

    def __init__(self, layer: Any, kept: Parameters, count: int) -> None:
        self.layer, self.kept, self.count = copied(layer), kept, count
        self.params = kept.arrays(self.layer)
        self.given: list[Any] = []  # what forward was last called with
        self.overwritten: set[str] = set()

    def forward(self, points: Sequence[Any]) -> list[Array]:
        for parameter, value in zip(self.params, points[self.count :], strict=True):
            parameter[...] = value
        self.given = fresh_copies(points[: self.count])
        return results_of(self.layer.forward(*self.given), f"check_layer: {self.kept.name}.forward")

    def backward(self, points: Sequence[Any], projection: Array, spoil: bool = False) -> list[Array | None]:
        """One forward and backward pass: the gradients of the floating inputs and of the parameters, as copies. With ``spoil``,
        what forward was called with is overwritten before backward, as a caller may do."""
        name = f"{self.kept.name}.backward"
        y = self.forward(points)
        for array in self.given if spoil else ():
            if isinstance(array, np.ndarray) and array.ndim:  # a number does not change
                array[...] = 0
        dout, before = cotangents(projection, y), fresh_copies(self.given)
        dx = self.layer.backward(*[d if d.shape else d[()] for d in dout])
        check_not_written(dout, cotangents(projection, y), "check_layer", name, "dout")
        self.overwritten.update(written_to(before, self.given, name))
        return [*self._of_inputs(dx, points[: self.count], name), *self.kept.gradients(self.layer)]

    def _of_inputs(self, dx: Any, given: Sequence[Any], name: str) -> list[Array | None]:
        chosen = differentiable(given)
        if not chosen:
            return []
        alone = not isinstance(dx, tuple | list)  # the gradient of the first
        parts = [dx, *[None] * (len(chosen) - 1)] if alone else for_inputs(dx, given, chosen, f"check_layer: {name}")
        labels = ["the input"] if len(chosen) == 1 else [f"input {i}" for i in chosen]
        return [
            copy.copy(as_gradient(part, given[i], f"{label} of {self.kept.name}"))
            for i, part, label in zip(chosen, parts, labels, strict=True)
        ]

    def after(self, points: Sequence[Any], projection: Array) -> _Layer:
        """The layer, after a pass at other inputs."""
        with np.errstate(all="ignore"):
            self.backward(points, projection)
        return self


def _notes(
    new: Callable[[], _Layer], kept: Parameters, points: Sequence[Any], projection: Array, count: int
) -> tuple[list[str], list[bool]]:
    """What further passes over the same numbers show, and one over numbers that change under way; and which gradients are the same
    in each pass."""
    notes, again = [], new()
    passes = [again.backward(points, projection) for _ in range(3)]
    with np.errstate(all="ignore"):
        changed = new().backward(points, projection, spoil=True)
    if not alike(passes[0], changed):
        notes.append(
            f"{kept.name} keeps its input by reference: when the caller changes the array between forward and backward, the "
            "gradient is that of other numbers; keep a copy"
        )
    steady = [alike([first], [second]) for first, second in zip(passes[0], passes[1], strict=True)]
    for number, (first, second, third) in enumerate(zip(*[found[count:] for found in passes], strict=True)):
        if steady[count + number]:
            continue
        assert first is not None
        assert second is not None
        assert third is not None
        if not alike([2 * second], [first + third]):
            raise random_backward("check_layer", kept.name)
        label = kept.gradient_label(number)
        notes.append(f"{label} of {kept.name} grow by each pass: they accumulate, so clear them between steps")
    return notes, steady


def _stale(
    new: Callable[[], _Layer], points: Sequence[Any], y: list[Array], projection: Array, steady: Sequence[bool]
) -> list[Any] | None:
    """Inputs and parameters after a pass over which the gradients are others, though forward gives the same: backward then uses
    what that pass has left, such as a mask. None where there are no such."""
    flipped = [np.flip(x) if isinstance(x, np.ndarray) and x.ndim else x for x in points]
    chosen = differentiable(points)
    for moved in ([0.3 - 1.1 * x if i in chosen else x for i, x in enumerate(flipped)], flipped):
        moved = [m.astype(x.dtype).reshape(x.shape) if isinstance(x, np.ndarray) else x for m, x in zip(moved, points, strict=True)]
        try:
            used = new().after(moved, projection)
        except Exception:  # the layer is not made for these numbers
            continue
        if not alike(y, used.forward(points)):
            continue  # it keeps a state on purpose
        found, fresh = used.backward(points, projection), new().backward(points, projection)
        if not all(alike([a], [b]) for a, b, same in zip(found, fresh, steady, strict=True) if same):
            return moved
    return None


def _layer_again(layer: Any, params: Sequence[Array], given: Sequence[Any], options: dict[str, Any]) -> str:
    """The program that checks the layer again: with the layer's construction, where it is made of its parameters."""
    kind = type(layer)
    values = [*given, *map(np.asarray, params)]
    try:
        made = _wrong_again(kind, values, len(given), options)
    except Exception:  # it is made of something else
        made = False
    program = reproduction(
        "check_layer",
        {kind.__name__: kind} if made else {},
        values if made else given,
        options,
        (lambda similar: _wrong_again(kind, similar, len(given), options)) if made else None,
    )
    head, _, _ = program.rpartition("\n")  # the call, before which the layer is made
    names = [f"x{i}" for i in range(len(values))]
    if not made:
        head += f"\nlayer = ...  # your {kind.__name__}"
    first = f"{kind.__name__}({', '.join(names[len(given) :])})" if made else "layer"
    words = [first, *names[: len(given)], *[f"{key}={value!r}" for key, value in options.items()]]
    return f"{head}\nprint(tg.testing.check_layer({', '.join(words)}))"


def _wrong_again(kind: type, values: Sequence[Any], count: int, options: dict[str, Any]) -> bool:
    return not check_layer(kind(*values[count:]), *values[:count], **options).ok
