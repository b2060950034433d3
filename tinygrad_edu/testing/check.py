"""`check_gradients`: analytic derivatives against numerical ones, to any order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import GradientMismatchError, NumericalError
from tinygrad_edu.graph import Variable, as_variable, enable_grad
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

STEP = 1e-3  # of the wider of two central differences, for inputs of size 1 or more; see _step and _derivative


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` found: how many derivatives it compared, and the largest difference.

    ``worst_error`` is relative to the larger of 1 and the derivative. ``largest`` is the largest derivative of each order: one
    that is 0 says that the check compared nothing but zeros. ``inconclusive`` counts the derivatives that are smaller than the
    rounding of f lets a difference show: nothing was learned of those.
    """

    compared: int
    worst_error: float
    largest: tuple[float, ...]
    inconclusive: int = 0

    def __str__(self) -> str:
        orders = ", ".join(f"order {k}: up to {value:.3g}" for k, value in enumerate(self.largest, 1))
        hidden = f", {self.inconclusive} of them hidden by rounding" if self.inconclusive else ""
        return f"{self.compared} derivatives agree{hidden}, worst error {self.worst_error:.2e} ({orders})"


def check_gradients(
    f: Callable[..., Any], *inputs: Any, order: int = 2, rtol: float | None = None, atol: float | None = None, seed: int = 0
) -> GradientReport:
    """Compare the derivatives of ``f`` that backward() computes with numerical ones.

    Parameters
    ----------
    f: takes tensors and returns a tensor. Where that has several elements, their sum with fixed random weights is checked.
    inputs: arrays, numbers or tensors. The floating ones are differentiated; integers and booleans are passed on.
    order: how many times to differentiate. From the second on, ``f`` is replaced by its gradient's sum with random weights, which
        is a function of the same inputs.
    rtol, atol: what counts as agreement, |analytic − numerical| ≤ atol + rtol · |numerical| + the rounding error of the
        difference; by default 1e-6 and 1e-7, widened to what float32 and float16 inputs can show.
    seed: of the random weights.

    Returns a `GradientReport`; raises `GradientMismatchError`, which names the order, the input and the element that differs
    most. The numerical derivative is that of float64 numbers, by two central differences, the wide one correcting the narrow one.

    >>> import tinygrad_edu as tg
    >>> report = tg.testing.check_gradients(lambda x, w: tg.tanh(x @ w), [[0.5, -1.0]], [[2.0], [0.3]])
    >>> report.compared, report.worst_error < 1e-8
    (8, True)
    """
    arrays = [x._data if isinstance(x, Variable) else np.asarray(x) for x in inputs]
    chosen = [i for i, array in enumerate(arrays) if array.dtype.kind in "fc"]
    if not chosen or order < 1:
        raise NumericalError(
            f"check_gradients: nothing to differentiate: order {order}, inputs of dtype {', '.join(str(a.dtype) for a in arrays)}"
        )
    eps = max(float(np.finfo(arrays[i].dtype).eps) for i in chosen)
    rtol = max(1e-6, 50 * eps) if rtol is None else rtol
    atol = max(1e-7, 50 * eps) if atol is None else atol
    # Weights away from 0, so that no part of the result goes unseen.
    rng = np.random.default_rng(seed)

    def weights(like: Any) -> Array:
        def numbers() -> Array:
            return np.asarray(rng.uniform(0.5, 1.5, like.shape) * rng.choice([-1, 1], like.shape))

        return numbers() + 1j * numbers() if like.dtype.kind == "c" else numbers()

    y = _evaluate(f, arrays, chosen)[0]
    projection = weights(y) if y.shape or y.dtype.kind == "c" else np.ones(())
    directions = [[weights(arrays[i]) for i in chosen] for _ in range(order)]
    compared, hidden, worst, largest = 0, 0, 0.0, []
    for k in range(1, order + 1):
        level = _Level(f, arrays, chosen, k, projection, directions)
        analytic = level.gradient()
        numerical = level.numerical_gradient()
        for position, a, (n, rounding) in zip(chosen, analytic, numerical, strict=True):
            error = np.abs(a - n)
            worst = max(worst, float(np.max(error / np.maximum(1, np.abs(n)), initial=0.0)))
            bad = ~(error <= atol + rtol * np.abs(n) + rounding)
            if bad.any():
                raise GradientMismatchError(_mismatch(f, k, position, len(inputs), a, n, bad))
            compared += a.size
            hidden += int(np.sum((rounding > atol) & (rounding > np.maximum(np.abs(a), np.abs(n)))))
        largest.append(max(float(np.max(np.abs(n), initial=0.0)) for n, _ in numerical))
    return GradientReport(compared, worst, tuple(largest), hidden)


# The sums below are NumPy's, on purpose: a checker that projected with recorded operations would use the rules it checks, and
# two wrong signs would look right.
Terms: TypeAlias = list[tuple[Tensor, "Array"]]


@dataclass
class _Level:
    """The scalar function whose gradient is compared at one order: a projection of f, differentiated order − 1 times and
    projected on a direction each time."""

    f: Callable[..., Any]
    arrays: list[Array]
    chosen: list[int]
    order: int
    projection: Array
    directions: Sequence[Sequence[Array]]

    def terms(self, arrays: list[Array], recorded: bool) -> tuple[Terms, list[Any]]:
        """The function's value at a point as tensors and their weights, and the vertices of its inputs. ``recorded`` says
        whether the value can be differentiated again."""
        y, vertices = _evaluate(self.f, arrays, self.chosen)
        terms: Terms = [(y, self.projection)]
        for k, direction in enumerate(self.directions[: self.order - 1], 1):
            pieces = _pull(terms, vertices, create_graph=recorded or k < self.order - 1)
            terms = [(piece, direction[i]) for i, found in enumerate(pieces) for piece in found]
        return terms, vertices

    def gradient(self) -> list[Array]:
        terms, vertices = self.terms(self.arrays, recorded=True)
        pieces = _pull(terms, vertices, create_graph=False)
        return [sum((p._data for p in found), np.zeros(v.shape, _wide(v))) for v, found in zip(vertices, pieces, strict=True)]

    def numerical_gradient(self) -> list[tuple[Array, Array]]:
        """For each input, the numerical derivatives and their rounding errors."""
        wide = [array.astype(_wide(array)) if i in self.chosen else array for i, array in enumerate(self.arrays)]
        return [self._along(wide, i) for i in self.chosen]

    def _along(self, arrays: list[Array], position: int) -> tuple[Array, Array]:
        x = arrays[position]
        gradient, rounding = np.zeros(x.shape, x.dtype), np.zeros(x.shape)

        def value(index: tuple[int, ...], unit: complex, step: float) -> float:
            moved = x.copy()
            moved[index] += unit * step
            terms, _ = self.terms([*arrays[:position], moved, *arrays[position + 1 :]], recorded=False)
            return float(sum(np.sum(np.real(y._data * np.conj(weight)), dtype=np.float64) for y, weight in terms))

        for index in np.ndindex(x.shape):
            # A complex number is two real ones, and its gradient is ∂L/∂x + i ∂L/∂y.
            for unit in (1, 1j) if x.dtype.kind == "c" else (1,):
                slope, noise = _derivative(functools.partial(value, index, unit), _step(float(np.abs(x[index]))))
                gradient[index] += unit * slope
                rounding[index] += noise
        return gradient, rounding


def _wide(like: Any) -> Any:
    """float64, or complex128 for complex numbers."""
    return np.complex128 if like.dtype.kind == "c" else np.float64


def _step(x: float) -> float:
    """Short beside a small input, so that it stays on one side of a kink or pole at 0, and never lost beside a large one."""
    return max(STEP * min(1.0, abs(x) or 1.0), 1e-7, 1e-6 * abs(x))


def _derivative(value: Callable[[float], float], h: float) -> tuple[float, float]:
    """Central differences at two steps, combined so that the error of order h² cancels (Richardson, 1911): what is left is of
    order h⁴, and the steps can be long enough for rounding to matter little. Returns how much it may matter, too."""
    values = [value(step) for step in (h, -h, h / 2, -h / 2)]
    wide, narrow = (values[0] - values[1]) / (2 * h), (values[2] - values[3]) / h
    return (4 * narrow - wide) / 3, 8 * float(np.finfo(float).eps) * max(map(abs, values)) / h


def _evaluate(f: Callable[..., Any], arrays: list[Array], chosen: list[int]) -> tuple[Tensor, list[Any]]:
    with enable_grad():
        variables = [Tensor(array, requires_grad=i in chosen) for i, array in enumerate(arrays)]
        y = f(*variables)
    if not isinstance(y, Tensor) or y.dtype.kind not in "fc":
        what = f"a Tensor of {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise NumericalError(f"check_gradients: f must return one Tensor of floats or complex numbers, and it returned {what}")
    return y, [variables[i]._node for i in chosen]


def _pull(terms: Terms, vertices: list[Any], create_graph: bool) -> list[list[Tensor]]:
    """The gradient of a weighted sum of tensors: for each vertex, the pieces that add up to it."""
    pieces: list[list[Tensor]] = [[] for _ in vertices]
    for y, weight in terms:
        if y.requires_grad:
            found = engine.cotangents([(y, weight)], wanted=vertices, create_graph=create_graph, retain_graph=True)
            for vertex, here in zip(vertices, pieces, strict=True):
                if vertex in found:
                    here.append(as_variable(Tensor, found[vertex]))
    return pieces


def _mismatch(f: Any, order: int, position: int, count: int, analytic: Array, numerical: Array, bad: Array) -> str:
    difference = np.where(np.isnan(analytic - numerical), np.inf, np.abs(analytic - numerical))
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(difference)), analytic.shape))
    a, n = analytic[index].item(), numerical[index].item()
    lines = [
        f"the gradient of {getattr(f, '__name__', 'f')} is wrong: order {order}, input {position} of {count} "
        f"(shape {analytic.shape}), {int(bad.sum())} of {analytic.size} elements differ",
        f"  worst at {index}: analytic {a:.10g}, numerical {n:.10g}" + (f", ratio {a / n:.6g}" if n else ""),
    ]
    if not np.isfinite(n):
        lines.append("  the numerical derivative is not finite: f is not defined, or overflows, near this input")
    elif order > 1:
        lines.append("  the lower orders agree: a rule is right as a number but loses or changes its own derivative")
    return "\n".join(lines)
