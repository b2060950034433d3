"""Checks of derivatives that somebody wrote by hand, in NumPy: layers with ``forward`` and ``backward``, and pairs of functions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu.errors import ArgumentError, NumericalError, ShapeError
from tinygrad_edu.testing.functions import calls_again, check_reads_arguments, check_same_again, ignoring, written_to
from tinygrad_edu.testing.levels import wide_of, widened
from tinygrad_edu.testing.pullbacks import weights
from tinygrad_edu.testing.report import GradientReport
from tinygrad_edu.testing.reproduction import reproduction
from tinygrad_edu.testing.rounding import Rounding
from tinygrad_edu.testing.verdicts import weighted

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

    # From all that is differentiated, and labels: to all results; and, with what these are projected on, to all gradients.
    Forward: TypeAlias = Callable[[Sequence[Array]], list[Array]]
    Backward: TypeAlias = Callable[[Sequence[Array], Array], list[Any]]


def check_function(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *inputs: Any,
    cache: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> GradientReport:
    """Compare a hand-written derivative with the numerical one. No tensors take part.

    Parameters
    ----------
    forward: a function of arrays that returns an array, or a tuple of several. With ``cache``, it returns (array, what backward
        needs).
    backward: called as ``backward(g, *inputs)``, or with ``cache`` as ``backward(g, cache)``, where g is the cotangent of the
        result (a tuple for several results); returns one gradient for each floating input (a tuple or list; for a single input, the
        array itself will do). None stands for an input that is not differentiated. The gradient of a complex x + iy is
        ∂L/∂x + i ∂L/∂y, as PyTorch's.
    inputs: arrays. Integers and booleans are passed on and have no gradient.
    rtol, atol: as for `check_gradients`. Where float32 or float16 inputs do not give the numerical derivative, and the same inputs
        in double precision do, the verdict is inconclusive.

    Returns a `GradientReport`; ``report.ok`` says whether all is right, and ``print(report)`` what is not. Raises `NumericalError`
    when there is nothing to differentiate, or forward is random or never looks at an input; `ArgumentError` and `ShapeError` when
    the gradients are not those of the inputs; `ArgumentError` when backward writes into g.

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
        raise _nothing("check_function", name, arrays)
    check_reads_arguments(forward, chosen, "check_function")

    def call(points: Sequence[Array]) -> tuple[list[Array], Any, bool]:
        y = forward(*points)
        if cache and not (isinstance(y, tuple) and len(y) == 2):
            raise ArgumentError(f"check_function: with cache=True, {name} returns a pair (result, cache), not {type(y).__name__}")
        y, kept = y if cache else (y, None)
        return _results(y), kept, isinstance(y, tuple | list)

    def results(points: Sequence[Array]) -> list[Array]:
        return call([p.copy() for p in points])[0]

    def gradients(points: Sequence[Array], projection: Array) -> list[Any]:
        y, kept, several = call([p.copy() for p in points])
        g = _cotangents(projection, y)
        seeds: Any = tuple(g) if several else g[0]
        found = backward(seeds, kept) if cache else backward(seeds, *[p.copy() for p in points])
        _check_not_written(g, _cotangents(projection, y), "check_function", getattr(backward, "__name__", "backward"), "g")
        return _for_inputs(found, arrays, chosen, f"check_function: backward of {name}")

    given = [a.copy() for a in arrays]
    y = call(given)[0]
    report = GradientReport(name, tuple(arrays), sizes=np.shape(y[0]), notes=written_to(arrays, given, name))
    written = _HandWritten(results, gradients, _projection(y, seed))
    found = gradients(arrays, written.projection)
    options = {"seed": seed} | ({"cache": True} if cache else {})
    report.reproduce = lambda: reproduction(
        "check_function",
        {"forward": forward, "backward": backward},
        arrays,
        options,
        lambda similar: not check_function(forward, backward, *similar, cache=cache, rtol=rtol, atol=atol, seed=seed).ok,
    )
    labelled = [(i, gradient, f"input {i} of {name}") for i, gradient in zip(chosen, found, strict=True)]
    _judge(report, written, arrays, labelled, "check_function", rtol, atol)
    return report


def check_layer(layer: Any, *inputs: Any, rtol: float | None = None, atol: float | None = None, seed: int = 0) -> GradientReport:
    """Compare the derivatives of a layer in the style of *Deep Learning from Scratch* with numerical ones: those with respect to
    its inputs, and to each of its parameters.

    ``layer`` has ``forward(x, ...)`` and ``backward(dout)``, and either lists ``params`` and ``grads`` of equal length, or, as in
    the first volume, for a parameter ``W`` an attribute ``dW`` that backward sets (or no parameters). Where backward returns one
    gradient, it is that of the first floating input, and the others, such as labels, are only passed to ``forward``; a tuple has
    one for each, as that of a recurrent layer. Where forward returns several results, backward takes a cotangent for each. The
    layer is left as it was. Beside the numbers it is checked that ``dout`` is not written to, that a second pass gives the same
    gradients, and that the layer does not depend on the caller's array staying as it is between forward and backward; the report's
    ``notes`` say so where it does.

    Returns a `GradientReport`. Inputs are numbered first, then parameters. Raises what `check_function` raises. Source: *Deep
    Learning from Scratch*, chapter 5, and *Deep Learning from Scratch 2*, section 1.3.

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
    arrays = [np.asarray(x) for x in inputs]
    name = type(layer).__name__
    here = _Layer(layer, arrays, name)
    floating = [i for i, a in enumerate(arrays) if a.dtype.kind in "fc"]
    points = [*arrays, *[np.array(p) for p in here.params]]
    if not floating and not here.params:
        raise _nothing("check_layer", name, arrays)
    y = here.forward(points)
    projection = _projection(y, seed)
    report = GradientReport(name, tuple(points), sizes=np.shape(y[0]), notes=written_to(arrays, here.given, f"{name}.forward"))
    first, second = here.backward(points, projection), here.backward(points, projection)
    changed = _Layer(layer, arrays, name).backward(points, projection, spoil=True)
    report.reproduce = lambda: _layer_again(layer, here.params, arrays, {"seed": seed})
    chosen = floating if isinstance(first[0], tuple | list) else floating[:1]
    wide = _Layer(_widened(layer), arrays, name)

    def of_inputs(dx: Any) -> list[Any]:
        return _for_inputs(dx, arrays, chosen, f"check_layer: {name}.backward")

    def gradients(points: Sequence[Array], projection: Array) -> list[Any]:
        dx, grads = _Layer(wide.layer, arrays, name).backward(points, projection)  # with gradients that start from the same numbers
        return [*of_inputs(dx), *grads]

    labels = ["the input"] if len(chosen) == 1 else [f"input {i}" for i in chosen]
    labelled = [
        (i, gradient, f"{label} of {name}")
        for i, gradient, label in zip(
            [*chosen, *range(len(arrays), len(points))], [*of_inputs(first[0]), *first[1]], [*labels, *here.labels], strict=True
        )
    ]
    _judge(report, _HandWritten(wide.forward, gradients, projection), points, labelled, "check_layer", rtol, atol)
    report.notes += _notes(first, second, changed, here.labels, name)
    return report


def _widened(layer: Any) -> Any:
    """A copy of a layer with its arrays in double precision."""
    kept = [*getattr(layer, "params", []), *getattr(layer, "grads", []), *getattr(layer, "__dict__", {}).values()]
    floating = [a for a in kept if isinstance(a, np.ndarray) and a.dtype.kind in "fc"]
    return copy.deepcopy(layer, {id(a): a.astype(wide_of(a)) for a in floating})


class _Layer:
    """A layer of its own, with its parameters, as a function of inputs and parameters."""

    def __init__(self, layer: Any, arrays: Sequence[Array], name: str) -> None:
        self.layer = layer = copy.deepcopy(layer)
        self.name, self.count = name, len(arrays)
        self.given: list[Array] = []  # what forward was last called with
        before = {n: a for n, a in vars(layer).items() if isinstance(a, np.ndarray)} if hasattr(layer, "__dict__") else {}
        self.params = list(getattr(layer, "params", []))
        self.attributes: list[str] = []
        if not self.params:  # volume 1: what stays in its place, and has a gradient with a d before its name
            layer.backward(*[np.ones_like(part) for part in self.forward(arrays)])
            kept = [n for n, a in before.items() if getattr(layer, n, None) is a]
            self.attributes = [n for n in kept if isinstance(getattr(layer, f"d{n}", None), np.ndarray)]
            self.params = [before[n] for n in self.attributes]
        self.labels = self.attributes or [f"params[{i}]" for i in range(len(self.params))]
        if not self.attributes and len(self.params) != len(grads := getattr(layer, "grads", [])):
            raise ArgumentError(
                f"check_layer: {name} has {len(self.params)} params and {len(grads)} grads; each parameter has a gradient"
            )
        for label, p in zip(self.labels, self.params, strict=True):
            if np.asarray(p).dtype.kind not in "fc":
                raise NumericalError(
                    f"check_layer: {label} of {name} has dtype {np.asarray(p).dtype}: a gradient of its dtype is truncated to "
                    "integers, and so is every update; write the numbers with a decimal point"
                )

    def forward(self, points: Sequence[Array]) -> list[Array]:
        for parameter, value in zip(self.params, points[self.count :], strict=True):
            parameter[...] = value
        self.given = [p.copy() for p in points[: self.count]]
        return _results(self.layer.forward(*self.given))

    def backward(self, points: Sequence[Array], projection: Array, spoil: bool = False) -> tuple[Any, list[Array]]:
        """One forward and backward pass: the gradients of the inputs and of the parameters, as copies. With ``spoil``, what forward
        was called with is overwritten before backward, as a caller may do."""
        y = self.forward(points)
        for array in self.given if spoil else ():
            array[...] = 0
        dout = _cotangents(projection, y)
        dx = self.layer.backward(*[d if d.shape else d[()] for d in dout])
        _check_not_written(dout, _cotangents(projection, y), "check_layer", f"{self.name}.backward", "dout")
        grads = [getattr(self.layer, f"d{n}") for n in self.attributes] or getattr(self.layer, "grads", [])[: len(self.params)]
        return copy.deepcopy(dx), [np.array(g) for g in grads]


def _notes(first: Any, second: Any, changed: Any, labels: Sequence[str], name: str) -> list[str]:
    """What a second pass over the same numbers shows, and one over numbers that change under way."""
    notes = []
    pairs = [*zip(_several(first[0]), _several(changed[0]), strict=True), *zip(first[1], changed[1], strict=True)]
    if any(a is not None and not np.allclose(a, b, equal_nan=True) for a, b in pairs):
        notes.append(
            f"{name} keeps its input by reference: when the caller changes the array between forward and backward, the gradient is "
            "that of other numbers; keep a copy"
        )
    for label, a, b in zip(labels, first[1], second[1], strict=True):
        if not np.allclose(a, b, equal_nan=True):
            accumulates = "grow by each pass: they accumulate, so clear them between steps"
            grads = f"grads{label.removeprefix('params')}" if label.startswith("params[") else f"d{label}"
            notes.append(f"{grads} of {name} {accumulates if np.allclose(2 * a, b) else 'differ from pass to pass'}")
    return notes


def _layer_again(layer: Any, params: Sequence[Array], arrays: Sequence[Array], options: dict[str, Any]) -> str:
    """The program that checks the layer again: with the layer's construction, where it is made of its parameters."""
    kind = type(layer)
    given = [np.asarray(x) for x in (*arrays, *params)]
    program = reproduction("check_layer", {}, given, options, lambda similar: _wrong_again(kind, similar, len(arrays)))
    names = [f"x{i}" for i in range(len(given))]
    made = ", ".join(names[len(arrays) :])
    try:
        made = f"{kind.__name__}({made})" if _wrong_again(kind, given, len(arrays)) else ""
    except Exception:  # it is made of something else
        made = ""
    head, _, _ = program.rpartition("\n")
    if not made:
        made = "layer"
        lines = [line for line in head.splitlines() if not line.startswith(tuple(f"{n} = " for n in names[len(arrays) :]))]
        head = "\n".join([*lines, f"layer = ...  # your {kind.__name__}"])
    words = [made, *names[: len(arrays)], *[f"{key}={value!r}" for key, value in options.items()]]
    return f"{head}\ntg.testing.check_layer({', '.join(words)})"


def _wrong_again(kind: type, given: Sequence[Array], count: int) -> bool:
    return not check_layer(kind(*given[count:]), *given[:count]).ok


# ------------------------------------------------------------------------------------------------------- inputs and results


def _nothing(checker: str, name: str, arrays: Sequence[Array]) -> NumericalError:
    dtypes = ", ".join(str(a.dtype) for a in arrays) or "nothing"
    return NumericalError(f"{checker}: nothing to differentiate: {name} gets {dtypes}; write the numbers with a decimal point")


def _several(y: Any) -> Sequence[Any]:
    return y if isinstance(y, tuple | list) else [y]


def _results(y: Any) -> list[Array]:
    return [np.asarray(part) for part in _several(y)]


def _projection(results: Sequence[Array], seed: int) -> Array:
    """Random cotangents, away from 0, of all results; of a single number, 1. They are numbers that the results' dtype has."""
    parts = [weights(np.random.default_rng(seed), y) if y.shape or y.dtype.kind == "c" else np.ones(()) for y in results]
    projection = np.concatenate([np.ravel(part) for part in parts])
    return projection.astype(wide_of(projection))


def _cotangents(projection: Array, results: Sequence[Array]) -> list[Array]:
    """A projection cut into cotangents of the results, as precise as these."""
    pieces = np.split(projection, np.cumsum([y.size for y in results[:-1]]))
    shaped = [piece.reshape(y.shape) for piece, y in zip(pieces, results, strict=True)]
    return [
        w.astype(y.dtype) if y.dtype.kind == "c" else w.real.astype(y.dtype if y.dtype.kind == "f" else float)
        for w, y in zip(shaped, results, strict=True)
    ]


def _check_not_written(now: Sequence[Array], before: Sequence[Array], checker: str, name: str, what: str) -> None:
    if not all(map(np.array_equal, now, before)):
        raise ArgumentError(
            f"{checker}: {name} writes into the {what} that it is given, which belongs to the next layer: copy it first"
        )


def _for_inputs(gradients: Any, arrays: Sequence[Array], chosen: Sequence[int], who: str) -> list[Any]:
    """The gradients of the inputs that are differentiated, whether the others have a place among them or not."""
    found = list(_several(gradients))
    if len(found) == len(arrays):
        return [found[i] for i in chosen]
    if len(found) != len(chosen) and any(part is not None for part in found):
        raise ArgumentError(
            f"{who} returned {len(found)} gradients for {len(chosen)} floating inputs: return one for each, None where there "
            "is none"
        )
    return found if len(found) == len(chosen) else [None] * len(chosen)


def _as_gradient(gradient: Any, like: Array, what: str) -> Array:
    gradient = np.asarray(gradient)
    if gradient.shape != like.shape:
        raise ShapeError(
            f"the gradient for {what} has shape {gradient.shape}, and it is an array of shape {like.shape}: what was repeated in "
            "forward is summed over in backward"
        )
    if gradient.dtype.kind == "c" and like.dtype.kind != "c":
        raise ShapeError(f"the gradient for {what} is complex, and it is an array of {like.dtype}: take the real part")
    return np.asarray(gradient)


# ------------------------------------------------------------------------------------------------------------------ verdicts


@dataclass
class _HandWritten:
    """Functions that somebody wrote, in the form in which `Rounding` judges one: projected on a cotangent."""

    forward: Forward
    backward: Backward
    projection: Array
    order: int = 1

    def value(self, arrays: Sequence[Array]) -> Array:
        """The terms of the projection."""
        y = self.forward(arrays)
        return np.concatenate([weighted(part, w) for part, w in zip(y, _cotangents(self.projection, y), strict=True)])

    def gradient(self, arrays: Sequence[Array]) -> list[Array]:
        """Those of the inputs that have one."""
        return [np.asarray(g) for g in self.backward(arrays, self.projection) if g is not None]


def _judge(
    report: GradientReport,
    written: _HandWritten,
    given: Sequence[Array],
    gradients: Sequence[tuple[int, Any, str]],
    checker: str,
    rtol: float | None,
    atol: float | None,
) -> None:
    """Enter the verdicts on every gradient that there is."""
    check_same_again(lambda: written.value(given), report.name, checker)
    found = {i: _as_gradient(gradient, given[i], what) for i, gradient, what in gradients if gradient is not None}
    if not found:
        return
    rounding = Rounding(written, list(found), list(given), widened(given, found), list(found.values()), rtol, atol)
    sizes = [0.0]
    for position, analytic in found.items():
        elements = rounding.elements(position)
        report.add(1, "backward", position, elements, analytic)
        here = [float(abs(judgement.numerical)) for judgement, _, _ in elements]
        if here and not any(here) and rounding.ignores(position):
            report.notes.append(ignoring(report.name, position))
        sizes += [size for size in here if np.isfinite(size)]
    report.largest = (max(sizes),)
    if again := calls_again(report):
        check_same_again(lambda: written.value(given), report.name, checker, again)
