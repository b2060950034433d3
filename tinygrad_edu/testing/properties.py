"""`property_test`: what must hold for every operation and every differentiable function, tried on drawn calls of it.

The properties are functions of an `Example`, a call. The library's own operations are tested with the same ones.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import GradientMismatchError, LawError
from tinygrad_edu.ops import flip
from tinygrad_edu.registry import Case, Kink, Operation
from tinygrad_edu.tensor import Tensor, from_numpy
from tinygrad_edu.testing.arguments import NONE, whole
from tinygrad_edu.testing.check import WATCHERS, check_gradients
from tinygrad_edu.testing.compared import Compared
from tinygrad_edu.testing.differences import eps_of, shaken
from tinygrad_edu.testing.laws import scales
from tinygrad_edu.testing.lazy import hypothesis
from tinygrad_edu.testing.report import GradientReport, Verdict
from tinygrad_edu.testing.verdicts import MATCH
from tinygrad_edu.transforms import vjp

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array
    from tinygrad_edu.testing.examples import Example


def property_test(
    f: Callable[..., Any],
    /,
    *,
    cases: Sequence[Case] | None = None,
    reference: Callable[..., Any] | None = None,
    order: int | None = None,
    max_examples: int | None = None,
    **domains: Any,
) -> Callable[[], None]:
    """The property test of an operation, or of any function of tensors, as a test for pytest: a function without arguments.

    On calls that Hypothesis draws it tries that the result is that of the reference, where there is one; that the derivatives agree
    with numerical ones, in float64 up to ``order`` and in float32 to the first; that float32 stays float32; that operands are not
    written to; that their layout in memory makes no difference; that a derivative that is recorded, to be differentiated again, is
    the plain one; that it is linear in the cotangent, large or small; that calls in one graph leave each other alone; and that the
    derivatives at declared kinks are the declared ones, and lie between the one-sided ones. A test in which no derivative could be
    compared fails.

    Parameters
    ----------
    f: an operation that was declared with `primitive`, a function, or a module, of which a copy is tested, in float32.
    domains: for each operand its `reals` or `complexes`, or an array, if it is not differentiated; for each piece of metadata a
        list of alternatives. They are what `Case` takes. Shapes that they leave open are drawn so that they broadcast.
    cases: several such regions, as `Case` objects. Without any, those that the operation declares.
    reference: a function that computes the same from arrays; by default what the operation declares.
    order: how often ``f`` is differentiated; by default what the operation declares, or 2.
    max_examples: how many calls are drawn, by default what the Hypothesis profile says. Everything else follows the profile,
        but there is no deadline.

    Raises `ArgumentError` when there is nothing to draw from, or a name or a domain does not fit the function. The test raises
    `LawError` or `GradientMismatchError`, and Hypothesis adds the smallest call that fails.

    >>> import tinygrad_edu as tg
    >>> @tg.primitive(elementwise=True, cases=[tg.Case(x=tg.reals(-2, 2))])
    ... def cube(x):
    ...     '''y = x³        ∂L/∂x = 3 g x²'''
    ...     return x**3
    >>> cube.vjp(x=lambda g, x: 3 * g * x**2)
    >>> test_cube = tg.testing.property_test(cube)
    >>> test_cube()
    >>> tg.testing.property_test(lambda x, w: tg.sin(x @ w), x=tg.reals(shape=("n",)), w=tg.reals(shape=("n", 2)))()
    """
    from tinygrad_edu.testing.examples import examples
    from tinygrad_edu.testing.operations import operation_of

    operation = operation_of(f, cases, reference, order, domains)
    (whole(1) | NONE).check("property_test", "max_examples", max_examples)
    compared = Compared()

    def test(call: Example | Kink) -> None:
        if isinstance(call, Kink):
            declared_at_kink(operation, call)
            return
        for holds in PROPERTIES.values():
            if report := holds(call):
                compared.add(report)

    test.__name__ = test.__qualname__ = f"test_{operation.name.strip('<>')}"
    test.__doc__ = f"The properties of {operation.name}."
    test.__module__ = sys._getframe(1).f_globals.get("__name__", __name__)
    h = hypothesis()
    test = h.given(call=examples(operation))(test)
    for kink in operation.kinks:
        test = h.example(call=kink)(test)
    changes = {} if max_examples is None else {"max_examples": max_examples}
    phases = [phase for phase in h.settings().phases if phase is not h.Phase.explain]  # which would list lines of this library
    drawn = h.settings(deadline=None, phases=phases, **changes)(test)

    def run() -> None:
        nonlocal compared
        compared = Compared()  # a test may run several times
        drawn()
        if compared.calls and not compared.orders:
            compared.look_on(operation, has_right_derivatives)

    functools.update_wrapper(run, drawn)
    run.__dict__ = drawn.__dict__  # where Hypothesis keeps settings, seeds and failures to reproduce
    return run


# ------------------------------------------------------------------------------------------------------------- properties


def agrees_with_reference(example: Example) -> None:
    """On arrays and on tensors, the result has the numbers, the shape and the dtype of the reference's; arrays make arrays, and
    tensors tensors."""
    if example.operation.reference is None:
        return
    with np.errstate(all="ignore"):
        expected = np.asarray(example.call(example.arrays, example.operation.reference))
    on_arrays, on_tensors = example.call(example.arrays), example.call(example.tensors())
    for kind, result in (("arrays", on_arrays), ("tensors", on_tensors)):
        if isinstance(result, Tensor) != (kind == "tensors"):
            raise LawError(f"{example.operation.name} of {kind} returned {type(result).__name__}\n  called as {example!r}")
        what = f"on {kind}, {example.operation.name} disagrees with its reference"
        _same(example, what, plain(result), expected, 1e-12, 1e-13)


def has_right_derivatives(example: Example) -> GradientReport | None:
    """The derivatives agree with numerical ones, up to the operation's order. Returns what was compared, or None where there is
    nothing to differentiate."""
    f, real = example.function_of_reals()
    if not real:
        return None
    report = check_gradients(f, *real, order=example.operation.orders)
    if not report.ok:
        # The report is put into words when somebody reads the error: it looks for the culprit, and most examples that fail are
        # only steps on the way to the smallest.
        raise GradientMismatchError(report)
    return report


def keeps_float32(example: Example) -> None:
    """From float32 operands come a float32 result and float32 gradients of the operands' shapes, with the numbers that float64
    makes of the same operands; and the operands stay as they were."""
    name = example.operation.name
    tensors = example.tensors(np.float32)
    before = [plain(t).copy() if real else None for t, real in zip(tensors, example.real, strict=True)]
    y = example.call(tensors)
    asked = example.params.get("dtype")
    _is(example, "the dtype of the result from float32 operands", y.dtype, *([np.dtype(asked)] if asked else FLOAT32))
    weights = np.cos(np.arange(y.size)).reshape(y.shape)  # uneven: some functions have a constant sum
    y.backward(weights)
    wide = [
        t if x is None else Tensor(x, requires_grad=True, dtype=example.dtype_of(x, float))
        for t, x in zip(tensors, before, strict=True)
    ]
    example.call(wide).backward(weights)
    exact, found = _gradients(wide), _gradients(tensors)
    for position, (tensor, value) in enumerate(zip(tensors, before, strict=True)):
        if value is not None:
            _same(example, f"{name} writes to its operand {position}", plain(tensor), value, 0, 0)
            _is(example, f"whether operand {position} can be written to afterwards", tensor.data.flags.writeable, True)
            kind = None if tensor.grad is None else (tensor.grad.shape, tensor.grad.dtype)
            _is(example, f"the gradient of operand {position}", kind, (value.shape, value.dtype))
    rounding: list[Any] = [0.0] * len(found)
    if not all(np.allclose(a, b, 1e-3, 1e-3, equal_nan=True) for a, b in zip(found, exact, strict=True)):
        rounding = _rounding(example, before, found, weights)
    real = [position for position, is_real in enumerate(example.real) if is_real]
    for position, a, b, error in zip(real, found, exact, rounding, strict=True):
        what = f"the gradient of operand {position} of {name} has other numbers in float32 than in float64"
        _same(example, what, a, b.astype(a.dtype), 1e-3, 1e-3 * max(1.0, float(np.max(np.abs(b), initial=0.0))) + error)
    if np.isfinite(plain(y)).any() and any(np.isfinite(g).any() for g in found):
        f, _ = example.function_of_reals()
        _seen(f, example.differentiated(np.float32))


FLOAT32 = (np.dtype("f4"), np.dtype("c8"))


def _rounding(example: Example, arrays: Sequence[Any], gradients: Sequence[Array], weights: Array) -> list[Any]:
    """By how much gradients change with the last digits of the operands, in their own precision."""
    rng = np.random.default_rng(0)
    errors: list[Any] = [0.0] * len(gradients)
    for _ in range(8):
        moved = [
            a if x is None else Tensor(shaken(x, eps_of(x), rng), requires_grad=True)
            for a, x in zip(example.arrays, arrays, strict=True)
        ]
        example.call(moved).backward(weights)
        errors = [np.maximum(e, 2 * np.abs(a - b)) for e, a, b in zip(errors, _gradients(moved), gradients, strict=True)]
    return errors


def ignores_memory_layout(example: Example) -> None:
    """How the operands and the cotangent lie in memory makes no difference."""
    from tinygrad_edu.testing.strategies import Layout

    results = []
    for layout in (Layout("contiguous"), Layout("strided")):
        tensors = [
            from_numpy(layout(a), requires_grad=True) if real else a for a, real in zip(example.arrays, example.real, strict=True)
        ]
        y = example.call(tensors)
        weights = np.arange(1.0, 1 + y.size).reshape(y.shape)
        if layout.name == "contiguous":
            y.backward(weights)
        else:  # backward() copies the gradient that it is given, but the cotangent of flip's operand is a view
            flip(y).backward(np.flip(weights))
        results.append([plain(y), *_gradients(tensors)])
    _same_gradients(example, "strided operands change", results, 1e-10, 1e-12)


def is_recorded_as_computed(example: Example) -> None:
    """The derivative with ``create_graph=True`` is the one without, in float64 and in float32."""
    for precision, exact in ((np.float64, 1e-11), (np.float32, 1e-4)):
        results = []
        for create_graph in (False, True):
            tensors = example.tensors(precision)
            y = example.call(tensors)
            y.backward(np.cos(np.arange(y.size)).reshape(y.shape), create_graph=create_graph)
            results.append([plain(y), *_gradients(tensors)])
        _same_gradients(example, f"in {np.dtype(precision)}, recording the derivative changes", results, exact, exact)


def is_linear_in_cotangent(example: Example) -> None:
    """A cotangent that is much larger, or smaller, has a gradient that is as much larger, or smaller."""
    f, inputs = example.function_of_reals()
    if not inputs:
        return
    y, pull = vjp(f, *inputs)
    u = np.asarray(np.cos(np.arange(y.size)).reshape(y.shape), y.dtype)
    expected = [plain(part) for part in pull(u)]
    real = [position for position, is_real in enumerate(example.real) if is_real]
    for factor in scales(u.dtype):
        for position, found, part in zip(real, pull(factor * u), expected, strict=True):
            what = (
                f"the rule of operand {position} of {example.operation.name} is not linear in the cotangent g, which it must "
                f"multiply by what does not depend on g: for {factor:g} g, divided by {factor:g}, the gradient"
            )
            size = float(np.max(np.abs(part), initial=1.0, where=np.isfinite(part)))
            _same(example, what, plain(found) / factor, part, 1e-9, 1e-9 * size)


def leaves_other_calls_alone(example: Example) -> None:
    """Three calls in one graph have the gradients that each has alone, though the first two share a cotangent: no rule writes to
    what it is handed, nor returns the same memory twice."""
    alone, *together = [example.tensors() for _ in range(4)]
    y = example.call(alone)
    weights = np.cos(np.arange(y.size)).reshape(y.shape)
    y.backward(weights)
    first, second, third = calls_together(example, together)
    (first + second + 2 * third).backward(weights)
    for factor, tensors in zip((1, 1, 2), together, strict=True):
        results = [[plain(y), *[factor * g for g in _gradients(alone)]], [plain(y), *_gradients(tensors)]]
        _same_gradients(example, "other calls in the same graph change", results, 1e-9, 1e-9)


def calls_together(example: Example, several: Sequence[Sequence[Any]]) -> list[Any]:
    """Calls on several lots of operands. What the case does before is done for all of them first, so that in backward() the
    operation's rules run one after the other."""
    prepared = [example._prepared(operands) for operands in several]
    call = replace(example, case=Case(after=example.case.after, **example.case.domains)).call
    return [call(operands) for operands in prepared]


PROPERTIES: dict[str, Callable[[Any], GradientReport | None]] = {
    "reference": agrees_with_reference,
    "derivatives": has_right_derivatives,
    "float32": keeps_float32,
    "layout": ignores_memory_layout,
    "recorded": is_recorded_as_computed,
    "linear": is_linear_in_cotangent,
    "calls": leaves_other_calls_alone,
}


def declared_at_kink(operation: Operation, kink: Kink) -> None:
    """The derivative at a kink is the declared one, and lies between the one-sided derivatives."""
    from tinygrad_edu.testing.examples import flat

    values = {name: np.asarray(value) for name, value in kink.at.items() if name in kink.gradient}
    operands = {name: value.astype(np.result_type(value, np.float64)) for name, value in values.items()}

    def f(*values: Any) -> Any:
        given = {**kink.at, **dict(zip(operands, values, strict=True))}
        y = operation.function(*[given.pop(name) for name in operation.operands], **given)
        return flat(y) if isinstance(y, tuple | list) else y

    f.operation, f.kink = operation, kink  # type: ignore[attr-defined] # read by the coverage report
    tensors = {name: Tensor(value, requires_grad=True) for name, value in operands.items()}
    y = f(*tensors.values())
    y.backward(np.broadcast_to(kink.weights, y.shape))
    for name, found in zip(operands, _gradients(list(tensors.values())), strict=True):
        expected = kink.gradient[name]
        if not np.allclose(found, expected, rtol=1e-9, atol=1e-12):
            raise LawError(
                f"{operation.name} declares the derivative {expected} of {name} at its kink {kink.where}, and it is "
                f"{found.tolist()}\n"
                f"  called with {', '.join(f'{name}={value!r}' for name, value in kink.at.items())}"
            )
    report = check_gradients(f, *operands.values(), order=1)
    for verdict in report.mismatches:
        name = [*operands][verdict.input]
        raise LawError(
            f"{operation.name} declares the derivative {kink.gradient[name]} of {name} at its kink {kink.where}, which is in no "
            f"generalised gradient: {verdict.reason or f'the numerical derivative is {verdict.numerical:.6g}'}"
        )
    _seen(f, operands.values())


def _seen(f: Any, inputs: Iterable[Array]) -> None:
    """Tell the coverage report of first derivatives that were compared here."""
    found = Verdict(MATCH, 1, "vjp", -1, None, "all elements", 0.0, 0.0, 0.0)
    for tell in WATCHERS:
        tell(f, GradientReport(f.operation.name, tuple(inputs), verdicts=[found]))


# ------------------------------------------------------------------------------------------------------------ comparisons


def plain(value: Any) -> Array:
    """A tensor's array, or anything else as an array."""
    return value.numpy() if isinstance(value, Tensor) else np.asarray(value)


def _gradients(tensors: Sequence[Any]) -> list[Array]:
    variables = [t for t in tensors if isinstance(t, Tensor) and t.requires_grad]
    return [np.zeros(t.shape, t.dtype) if t.grad is None else plain(t.grad) for t in variables]


def _is(example: Example, what: str, found: Any, *expected: Any) -> None:
    if found not in expected:
        raise LawError(
            f"{example.operation.name}: {what} is {found}, and should be {' or '.join(map(str, expected))}\n  called as {example!r}"
        )


def _same_gradients(example: Example, what: str, results: list[list[Array]], rtol: float, atol: float) -> None:
    """Compare a result and its gradients with another result and its gradients."""
    for position, (a, b) in enumerate(zip(*results, strict=True)):
        part = f"the gradient of operand {position - 1}" if position else "the result"
        _same(example, f"{what} {part} of {example.operation.name}", b, a, rtol, atol)


def _same(example: Example, what: str, found: Array, expected: Array, rtol: float, atol: Any) -> None:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        shapes = f"shape {found.shape}, {found.dtype}, for shape {expected.shape}, {expected.dtype}"
        raise LawError(f"{what}: {shapes}\n  called as {example!r}")
    if not np.allclose(found, expected, rtol, atol, equal_nan=True):
        raise LawError(f"{what}:\n  found    {_text(found)}\n  expected {_text(expected)}\n  called as {example!r}")


def _text(array: Array) -> str:
    return np.array2string(array, precision=10, threshold=30, prefix=" " * 11)
