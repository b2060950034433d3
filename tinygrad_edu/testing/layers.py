"""Checks of derivatives that somebody wrote by hand, in NumPy: layers with ``forward`` and ``backward``, and pairs of functions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, NumericalError, ShapeError
from tinygrad_edu.testing.report import GradientReport, reproduction
from tinygrad_edu.testing.verdicts import MISMATCH, Tolerance, elements_of, judge, weighted

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def check_function(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *inputs: Any,
    cache: bool = False,
    rtol: float = 1e-6,
    atol: float = 1e-7,
    seed: int = 0,
) -> GradientReport:
    """Compare a hand-written derivative with the numerical one. No tensors take part.

    Parameters
    ----------
    forward: a function of arrays that returns an array. With ``cache``, it returns (array, what backward needs).
    backward: called as ``backward(g, *inputs)``, or with ``cache`` as ``backward(g, cache)``, where g is the cotangent of the
        result; returns one gradient for each floating input (a tuple or list; for a single input, the array itself will do). None
        stands for an input that is not differentiated.
    inputs: arrays. Integers and booleans are passed on and have no gradient.

    Returns a `GradientReport`; ``report.ok`` says whether all is right, and ``print(report)`` what is not.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> report = tg.testing.check_function(np.sin, lambda g, x: g * np.cos(x), np.array([0.3, 2.0]))
    >>> report.ok, report.compared
    (True, 2)
    """
    arrays = [np.asarray(x) for x in inputs]
    chosen = [i for i, array in enumerate(arrays) if array.dtype.kind in "fc"]
    name = getattr(forward, "__name__", "forward")
    if not chosen:
        raise NumericalError(f"check_function: nothing to differentiate: {name} gets {', '.join(str(a.dtype) for a in arrays)}")

    def call(points: Sequence[Array]) -> tuple[Any, Any]:
        y = forward(*[p.copy() for p in points])
        if cache and not (isinstance(y, tuple) and len(y) == 2):
            raise ArgumentError(f"check_function: with cache=True, {name} returns a pair (result, cache), not {type(y).__name__}")
        return y if cache else (y, None)

    y, kept = call(arrays)
    weights = _weights(np.asarray(y), seed)
    gradients = backward(weights.copy(), kept) if cache else backward(weights.copy(), *[a.copy() for a in arrays])
    gradients = gradients if isinstance(gradients, tuple | list) else (gradients,)
    if len(gradients) == len(arrays):
        gradients = [gradients[i] for i in chosen]
    if len(gradients) != len(chosen):
        raise ArgumentError(
            f"check_function: backward returned {len(gradients)} gradients for {len(chosen)} floating inputs of {name}: return one "
            "for each, None where there is none"
        )
    report = GradientReport(name, tuple(arrays), sizes=tuple(np.shape(y)))
    report.reproduction = reproduction(
        "check_function", f"{name}, {getattr(backward, '__name__', 'backward')}", tuple(arrays), {"seed": seed}
    )

    def value(points: list[Array]) -> Any:
        return weighted(call(points)[0], weights)

    for position, gradient in zip(chosen, gradients, strict=True):
        if gradient is not None:
            _judge_one(
                report, value, arrays, position, _as_gradient(gradient, arrays[position], f"input {position} of {name}"), rtol, atol
            )
    return report


def check_layer(layer: Any, *inputs: Any, rtol: float = 1e-6, atol: float = 1e-7, seed: int = 0) -> GradientReport:
    """Compare the derivatives of a layer in the style of *Deep Learning from Scratch* with numerical ones: those with respect to
    its input, and to each of its parameters.

    ``layer`` has ``forward(x, ...)``, ``backward(dout)``, and lists ``params`` and ``grads`` of equal length (or none of the two).
    Inputs after the first, such as labels, are passed to ``forward``. The layer is left as it was. Beside the numbers it is checked
    that ``dout`` is not written to, that a second pass gives the same gradients, and that the layer does not depend on the caller's
    array staying as it is between forward and backward; the report's ``notes`` say so where it does.

    Returns a `GradientReport`. Inputs are numbered first, then parameters. Source: *Deep Learning from Scratch 2*, section 1.3.

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
    layer = copy.deepcopy(layer)
    name = type(layer).__name__
    params, grads = list(getattr(layer, "params", [])), getattr(layer, "grads", [])
    if len(params) != len(grads):
        raise ArgumentError(f"check_layer: {name} has {len(params)} params and {len(grads)} grads; each parameter has a gradient")
    for i, p in enumerate(params):
        if np.asarray(p).dtype.kind not in "fc":
            raise NumericalError(
                f"check_layer: params[{i}] of {name} has dtype {np.asarray(p).dtype}: a gradient of its dtype is truncated to "
                "integers, and so is every update; write the numbers with a decimal point"
            )
    arrays = [np.asarray(x) for x in inputs]
    floating = [i for i, a in enumerate(arrays) if a.dtype.kind in "fc"]
    if not floating and not params:
        raise NumericalError(f"check_layer: nothing to differentiate: {name} gets {', '.join(str(a.dtype) for a in arrays)}")

    given: list[Array] = []  # what forward was last called with

    def forward(points: list[Array]) -> Any:
        for parameter, value in zip(params, points[len(arrays) :], strict=True):
            parameter[...] = value
        given[:] = [p.copy() for p in points[: len(arrays)]]
        return np.asarray(layer.forward(*given))

    points = [*arrays, *[np.array(p) for p in params]]
    y = forward(points)
    weights = np.asarray(_weights(y, seed), dtype=y.dtype)
    first = _backward(layer, points, len(arrays), weights, forward, name)
    second = _backward(layer, points, len(arrays), weights, forward, name)
    changed = _backward(layer, points, len(arrays), weights, forward, name, given)
    report = GradientReport(name, tuple(points), sizes=tuple(y.shape))
    report.reproduction = reproduction("check_layer", f"{name}(...)", tuple(arrays), {"seed": seed})
    report.notes = _notes(first, second, changed, name)

    def value(there: list[Array]) -> Any:
        return weighted(forward(there), weights)

    for position in (*floating[:1], *range(len(arrays), len(points))):
        gradient = first[0] if position < len(arrays) else first[1][position - len(arrays)]
        if gradient is not None:
            what = f"the input of {name}" if position < len(arrays) else f"params[{position - len(arrays)}] of {name}"
            _judge_one(report, value, points, position, _as_gradient(gradient, points[position], what), rtol, atol)
    return report


def _backward(
    layer: Any, points: list[Array], count: int, weights: Array, forward: Any, name: str, spoiled: Sequence[Array] = ()
) -> tuple[Any, list[Any]]:
    """One forward and backward pass: the gradients of the input and of the parameters, as copies. ``spoiled`` are the arrays that
    forward is called with, to be overwritten before backward, as a caller may do."""
    forward(points)
    for array in spoiled:
        array[...] = 0
    dout = weights.copy()
    dx = layer.backward(dout if dout.shape else dout[()])
    if not np.array_equal(dout, weights):
        raise ArgumentError(
            f"check_layer: {name}.backward writes into the dout that it is given, which belongs to the next layer: copy it first"
        )
    return (None if dx is None else np.array(dx)), [np.array(g) for g in layer.grads[: len(points) - count]] if len(
        points
    ) > count else []


def _notes(first: Any, second: Any, changed: Any, name: str) -> list[str]:
    """What a second pass over the same numbers shows, and one over numbers that change under way."""
    notes = []
    pairs = [(first[0], changed[0]), *zip(second[1], changed[1], strict=True)]
    if any(a is not None and not np.allclose(a, b, equal_nan=True) for a, b in pairs):
        notes.append(
            f"{name} keeps its input by reference: when the caller changes the array between forward and backward, the gradient is "
            "that of other numbers; keep a copy"
        )
    for i, (a, b) in enumerate(zip(first[1], second[1], strict=True)):
        if not np.allclose(a, b):
            how = (
                "grow by each pass: they accumulate, so clear them between steps"
                if np.allclose(2 * a, b)
                else "differ from pass to pass"
            )
            notes.append(f"grads[{i}] of {name} {how}")
    return notes


def _weights(y: Array, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1, 1], y.shape)) if y.shape else np.ones(())


def _as_gradient(gradient: Any, like: Array, what: str) -> Array:
    gradient = np.asarray(gradient)
    if gradient.shape != like.shape:
        raise ShapeError(
            f"the gradient for {what} has shape {gradient.shape}, and it is an array of shape {like.shape}: what was repeated in "
            "forward is summed over in backward"
        )
    return np.asarray(gradient)


def _judge_one(
    report: GradientReport, value: Any, arrays: list[Array], position: int, analytic: Array, rtol: float, atol: float
) -> None:
    """Enter the verdicts on one input's gradient."""
    wide = [a.astype(np.float64) if i == position else a for i, a in enumerate(arrays)]
    eps = float(np.finfo(arrays[position].dtype).eps)
    size = float(np.max(np.abs(analytic[np.isfinite(analytic)]), initial=0.0))
    tolerance = Tolerance(max(rtol, 50 * eps), max(atol, 50 * eps) * min(1.0, size), max(atol, 50 * eps))
    found, base = [], value(wide)
    for line, _ in elements_of(wide, position):
        assert line.index is not None
        found.append((judge(value, line, float(analytic[line.index]), tolerance, base), line.label, line.index))
    if any(judgement.verdict == MISMATCH for judgement, _, _ in found):
        report.suspect(analytic, np.array([judgement.numerical for judgement, _, _ in found]).reshape(analytic.shape))
    report.add(1, "backward", position, found)
    report.largest = (
        max([*report.largest, *[float(abs(j.numerical)) for j, _, _ in found if np.isfinite(j.numerical)]], default=0.0),
    )
