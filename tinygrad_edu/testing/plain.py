"""The function and the point of a numerical derivative, made plain: floats of double precision go in, arrays of numbers come out.
What cannot be made plain is refused in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import NumericalError
from tinygrad_edu.graph import Variable, no_grad
from tinygrad_edu.tensor import from_numpy

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def array_of(x: Any, name: str, what: str = "x") -> Array:
    """An argument as an array of whatever it is."""
    try:
        return np.asarray(_data(x))
    except ValueError as error:
        raise NumericalError(
            f"{name}: {what} is of type {type(x).__name__}, and its parts do not make one array, for their shapes differ; "
            "differentiate with respect to one of them at a time"
        ) from error


def floats(x: Any, name: str, what: str = "x") -> Array:
    """The point as an array of float64 of its own."""
    array = array_of(x, name, what)
    kind = array.dtype.kind
    if kind == "f":
        return array.astype(np.float64)
    if kind in "biu":
        raise NumericalError(
            f"{name}: {what} has dtype {array.dtype}, and a small step in it would be rounded away; write the numbers with a "
            "decimal point, or convert them with x.astype(float)"
        )
    if kind == "c":
        raise NumericalError(
            f"{name}: {what} has dtype {array.dtype}, and a complex number can move in two directions; differentiate with respect "
            "to its real part, lambda a: f(a + 1j * z.imag), and to its imaginary part, lambda b: f(z.real + 1j * b)"
        )
    found = f"an array of {array.dtype}" if isinstance(x, np.ndarray | list | tuple) else f"of type {type(x).__name__}"
    raise NumericalError(
        f"{name}: {what} is {found}, and only floats can move by a small step; give one array of floats, and if f takes something "
        "else, make that inside of f"
    )


def plain(f: Callable[..., Any], like: Sequence[Any], name: str, *, scalar: bool = False) -> Callable[[Sequence[Array]], Array]:
    """f as a function of arrays, with an array as its value; of shape (), if ``scalar``.

    It may do to its arguments what it likes, and to its results later: they are copies. It gets tensors where ``like`` has tensors,
    and scalars where it has scalars. Its values have one shape wherever it is called, for else they would have no difference.
    """
    first: Array | None = None

    def argument(point: Array, x: Any) -> Any:
        if isinstance(x, Variable):
            return from_numpy(point.copy())
        return point.copy() if isinstance(x, np.ndarray) or point.ndim else point[()]

    def call(points: Sequence[Array]) -> Array:
        nonlocal first
        with no_grad():
            y = _values(f(*map(argument, points, like)), name, scalar)
        if first is None:
            first = y
        if y.shape != first.shape:
            raise NumericalError(
                f"{name}: f returned shape {first.shape} at first and shape {y.shape} at a point nearby, so there is no "
                "difference of the two; keep all elements, and multiply by 0 those that do not count"
            )
        if y.dtype.kind == "c" and not any(np.iscomplexobj(z) for z in (first, *points)):
            raise NumericalError(
                f"{name}: f returned real numbers at first and complex ones at a point nearby, so x lies at the edge of where f is "
                "real; move x inside, or let f return complex numbers everywhere, y + 0j"
            )
        return y

    return call


def _values(y: Any, name: str, scalar: bool) -> Array:
    if y is None:
        raise NumericalError(f"{name}: f returned None; end it with a return of what is to be differentiated")
    several = isinstance(y, tuple | list)
    try:
        array = np.array([_data(part) for part in y] if several else _data(y))
    except ValueError:
        array = None  # parts of different shapes
    if several and (array is None or array.dtype.kind not in "biufc" or (scalar and array.size != 1)):
        raise NumericalError(
            f"{name}: f returns a {type(y).__name__} of {len(y)}: return the loss alone, f(x)[0], or one array made of all of them"
        )
    if array is None or array.dtype.kind not in "biufc":
        kind = type(y).__name__ if array is None or not array.ndim else f"an array of {array.dtype}"
        raise NumericalError(f"{name}: f must return numbers, and it returned {kind}; return one number, or one array of floats")
    if scalar and array.size != 1:
        raise NumericalError(
            f"{name}: f must return one real number, and it returned shape {array.shape}; sum or average it, or take "
            "numerical_jacobian"
        )
    return array.reshape(()) if scalar else array


def _data(y: Any) -> Any:
    return y._data if isinstance(y, Variable) else y
