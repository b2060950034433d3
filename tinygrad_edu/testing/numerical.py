"""Numerical derivatives by central differences, as in *Deep Learning from Scratch*, chapter 4, made safe.

The function never sees the caller's array: every call gets a copy of its own, so nothing has to be restored when the
function raises or writes into its argument.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import NumericalError
from tinygrad_edu.testing.differences import eps_of, slope, step_for
from tinygrad_edu.testing.functions import check_reads_arguments, same_far_away
from tinygrad_edu.testing.plain import array_of, floats, plain

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

DEFAULT_STEP = 1e-4


def numerical_diff(f: Callable[[Any], Any], x: Any, h: float = DEFAULT_STEP) -> float:
    """f'(x) ≈ (f(x + h) − f(x − h)) / 2h for a function of one number.

    An array is refused: a step along all its elements at once gives a directional derivative, not a derivative; see
    `numerical_gradient`. Integers are taken as floats. Source: *Deep Learning from Scratch*, section 4.3.1.

    >>> import tinygrad_edu as tg
    >>> tg.testing.numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, 5)
    0.1999999999990898
    """
    array = array_of(x, "numerical_diff")
    if array.ndim:
        raise NumericalError(
            f"numerical_diff differentiates a function of one number, and x has shape {array.shape}; for a function of an array "
            "use numerical_gradient"
        )
    _check_step(h)
    point = floats(array.astype(float)[()] if array.dtype.kind in "biu" else x, "numerical_diff")
    evaluate = _numbers(f, x, "numerical_diff")
    return float(_differences(evaluate, point, _fitting(h, evaluate, point))[()])


def numerical_gradient(
    f: Callable[[Any], Any], x: Any, h: float = DEFAULT_STEP, *, method: str = "central", with_error: bool = False
) -> Any:
    """The gradient of a function of an array by central differences: (f(x + h eᵢ) − f(x − h eᵢ)) / 2h for every element.

    Parameters
    ----------
    f: takes an array like ``x`` (a Tensor, if ``x`` is one) and returns one number. It is called twice for each element.
    x: floats of any shape, also 0-d and empty. Integers are refused, because a perturbation of them would be rounded away.
        ``x`` itself is never written to.
    h: the step, the same for every element: beside a number of 1e12 and more, 1e-4 is rounded away and the difference is 0, as
        the book warns. If it is left alone and f computes in float32 or float16, a longer one is taken that fits the precision.
    method: "central" is the book's. "ridders" extrapolates differences over several steps that fit the size of each element, to
        about 12 digits; "forward" and "backward" do it from one side, for kinks; "complex" takes one imaginary step, for functions
        that are analytic and compute with complex numbers; others are refused. Then ``h`` has no meaning.
    with_error: return (gradient, error bars) instead. A bar is infinite where h is rounded away beside x. All bars suppose that f
        is smooth over a part of the size of x, or of 1, whichever is less.

    Returns an array of float64 with the shape of ``x``. f gets float64 numbers also where ``x`` has fewer bits: only then is the
    difference of two nearby values more than rounding noise.

    Raises `NumericalError` when f returns more than one number (a tuple, say) or a complex one, or never looks at its argument, and
    when x is not an array of floats. Source: *Deep Learning from
    Scratch*, section 4.4.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.testing.numerical_gradient(lambda x: (x**2).sum(), np.array([3.0, 4.0]))
    array([6., 8.])
    >>> f = lambda x: np.exp(x).sum()
    >>> gradient, error = tg.testing.numerical_gradient(f, np.array([1.0]), method="ridders", with_error=True)
    >>> bool(abs(gradient[0] - np.e) < error[0] < 1e-10)
    True
    """
    _check_step(h)
    array = floats(x, "numerical_gradient")
    check_reads_arguments(f, [0], "numerical_gradient")
    evaluate = _numbers(f, x, "numerical_gradient")
    values: list[Any] = []
    noted = lambda point: _note(values, evaluate(point))  # noqa: E731
    if method == "central":
        h = _fitting(h, evaluate, array)
        gradient = _differences(noted, array, h)
        error = _central_error(gradient, evaluate, array, h, values) if with_error else None
    else:
        gradient, error = _estimates(evaluate if method == "complex" else noted, array, method)
    if array.size and len(set(values)) == 1 and same_far_away(evaluate, array):
        warnings.warn(
            "numerical_gradient: f returned the same number wherever it was asked, so the gradient is 0; if f should depend on x, "
            "it ignores its argument",
            stacklevel=2,
        )
    return (gradient, error) if with_error else gradient


def _estimates(evaluate: Callable[[Array], Any], x: Array, method: str) -> tuple[Array, Array]:
    """The gradient by extrapolated, one-sided or complex differences, and its error bars."""
    gradient, error = np.zeros(x.shape), np.zeros(x.shape)
    for index in np.ndindex(x.shape):

        def phi(t: Any, index: tuple[int, ...] = index) -> Any:
            moved = x.astype(complex) if isinstance(t, complex) else x.copy()
            moved[index] += t
            return evaluate(moved)

        gradient[index], error[index] = slope(phi, step_for(float(x[index])), method, float(x[index]))
    return gradient, error


def _note(values: list[Any], value: Any) -> Any:
    values.append(value)
    return value


def _check_step(h: float) -> None:
    if not isinstance(h, Real) or not 0 < h < np.inf:
        raise NumericalError(f"the step h is a positive number, got {h!r}")


def _numbers(f: Callable[[Any], Any], like: Any, name: str) -> Callable[[Array], Any]:
    """f as a function of one array, with one number as its value: a real one where it gets real numbers."""
    call = plain(f, [like], name, scalar=True)

    def evaluate(point: Array) -> Any:
        y = call([point])
        if y.dtype.kind == "c" and point.dtype.kind != "c":
            raise NumericalError(
                f"{name}: f must return one real number, and it returned type {y.dtype}; take its real part or its absolute value, "
                "or numerical_jacobian, which differentiates both of its parts"
            )
        return y[()]

    return evaluate


def _differences(evaluate: Callable[[Array], Any], x: Array, h: float) -> Array:
    gradient = np.zeros(x.shape)
    for index, plus, minus in _neighbours(x, h):
        gradient[index] = (np.float64(evaluate(plus)) - np.float64(evaluate(minus))) / (2 * h)
    return gradient


def _central_error(gradient: Array, evaluate: Callable[[Array], Any], x: Array, h: float, values: list[Any]) -> Array:
    """By how much central differences may be wrong: by curvature, and by rounding of f(x) and of x itself."""
    # Half the step has a quarter of the error, so 4/3 of the difference is the error, but for higher powers of h: twice that.
    curvature = 8 / 3 * np.abs(gradient - _differences(evaluate, x, h / 2))
    sizes = np.abs(np.array(values, float))
    eps = max((eps_of(np.asarray(value)) for value in values), default=0.0)
    largest = np.max(sizes, initial=0.0, where=np.isfinite(sizes))
    rounding = 4 * eps * (largest + np.abs(x * gradient)) / h
    return np.where((x - h == x) | (x + h == x), np.inf, curvature + rounding)


def _fitting(h: float, evaluate: Callable[[Array], Any], x: Array) -> float:
    """The step, unless it is the default and too short for f: at the cube root of f's precision, rounding in f and the curvature of
    f weigh about the same."""
    if h != DEFAULT_STEP or not x.size:  # a step that somebody asked for
        return h
    value = np.asarray(evaluate(x.copy()))
    return max(h, float(np.cbrt(eps_of(value)))) if value.dtype.kind == "f" else h


def _neighbours(x: Array, h: float) -> Iterator[tuple[tuple[int, ...], Array, Array]]:
    """For every element, its index and x with that element moved up and down."""
    for index in np.ndindex(x.shape):
        plus, minus = x.copy(), x.copy()
        plus[index] = x[index] + h
        minus[index] = x[index] - h
        yield index, plus, minus
