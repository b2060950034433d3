"""Numerical derivatives of functions of arrays with array values: along a direction, as a Jacobian, as a Hessian. Each with an
error bar, for any function over ndarrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import NumericalError
from tinygrad_edu.graph import Variable, no_grad
from tinygrad_edu.tensor import from_numpy
from tinygrad_edu.testing.differences import Estimate, estimate, step_for

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def numerical_jvp(
    f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, method: str = "ridders", with_error: bool = False
) -> Any:
    """The derivative of ``f`` at ``primals`` along ``tangents``, Jv, in the shape of f's values.

    ``primals`` and ``tangents`` are tuples or lists of arrays of equal shapes. ``method`` is one of `numerical_gradient`'s.
    ``with_error`` returns (derivative, error bar). f gets arrays of its own, or tensors where the primals are tensors.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> value, error = tg.testing.numerical_jvp(np.sin, (np.array([0.0, np.pi]),), (np.array([1.0, 2.0]),), with_error=True)
    >>> np.round(value, 9), bool(error.max() < 1e-10)
    (array([ 1., -2.]), True)
    """
    points = [_point(x, "numerical_jvp") for x in primals]
    vectors = [np.asarray(v._data if isinstance(v, Variable) else v) for v in tangents]
    if [p.shape for p in points] != [v.shape for v in vectors]:
        raise NumericalError(
            f"numerical_jvp: tangents of shapes {[v.shape for v in vectors]} for primals of shapes {[p.shape for p in points]}; "
            "each argument has a direction of its own shape"
        )
    call = _plain(f, primals, "numerical_jvp")
    moving = [np.abs(p[v != 0] / v[v != 0]) for p, v in zip(points, vectors, strict=True)]
    sizes = np.concatenate(moving) if moving else np.zeros(0)
    scale = step_for(float(np.median(sizes))) if sizes.size else 1.0
    found = estimate(lambda t: call([p + t * v for p, v in zip(points, vectors, strict=True)]), scale, method)
    return found if with_error else found.value


def numerical_jacobian(f: Callable[..., Any], x: Any, *, method: str = "ridders", with_error: bool = False) -> Any:
    """All first derivatives of ``f`` at the array ``x``: an array of shape ``f(x).shape + x.shape``, column by column.

    ``method`` and ``with_error`` are as in `numerical_jvp`. Counterpart: ``scipy.differentiate.jacobian``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> np.round(tg.testing.numerical_jacobian(lambda x: x[0] * x, np.array([2.0, 3.0])), 8)
    array([[4., 0.],
           [3., 2.]])
    """
    point = _point(x, "numerical_jacobian")
    call = _plain(f, [x], "numerical_jacobian")
    y = call([point])
    value, error = np.zeros((*y.shape, *point.shape)), np.zeros((*y.shape, *point.shape))
    for index in np.ndindex(point.shape):
        column = _along(call, point, index, method)
        value[(..., *index)], error[(..., *index)] = column
    return Estimate(value, error) if with_error else value


def numerical_hessian(f: Callable[..., Any], x: Any, *, with_error: bool = False) -> Any:
    """All second derivatives of ``f`` at the array ``x``, where f returns one number: an array of shape ``x.shape + x.shape``.

    The mixed derivative is an extrapolated difference of extrapolated differences; a second derivative costs two thirds of the
    digits (about 5 of 16 remain). Symmetric by construction. ``with_error`` is as in `numerical_jvp`.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> np.round(tg.testing.numerical_hessian(lambda x: x[0] ** 2 * x[1], np.array([2.0, 3.0])), 4)
    array([[6., 4.],
           [4., 0.]])
    """
    point = _point(x, "numerical_hessian")
    call = _plain(f, [x], "numerical_hessian")
    if call([point]).size != 1:
        raise NumericalError(f"numerical_hessian: f must return one number, and it returned shape {call([point]).shape}; sum it")
    value, error = np.zeros(point.shape * 2), np.zeros(point.shape * 2)
    indices = list(np.ndindex(point.shape))
    for i, first in enumerate(indices):
        for second in indices[i:]:

            def slope(t: float, first: Any = first, second: Any = second) -> Any:
                moved = point.copy()
                moved[first] += t
                return _along(call, moved, second, "ridders").value.reshape(())

            # The inner derivative is known to about 1e-12 of its size, not to 1e-16.
            found = estimate(slope, step_for(float(point[first])), "ridders", eps=1e-12, at=float(point[first]))
            value[first + second] = value[second + first] = found.value
            error[first + second] = error[second + first] = found.error
    return Estimate(value, error) if with_error else value


def _along(call: Callable[[list[Array]], Array], point: Array, index: tuple[int, ...], method: str) -> Estimate:
    """The derivative with respect to one element."""

    def phi(t: Any) -> Array:
        moved = point.astype(complex) if isinstance(t, complex) else point.copy()
        moved[index] += t
        return call([moved])

    return estimate(phi, step_for(float(point[index])), method, at=float(point[index]))


def _point(x: Any, name: str) -> Array:
    array = np.asarray(x._data if isinstance(x, Variable) else x)
    if array.dtype.kind != "f":
        raise NumericalError(
            f"{name}: an argument has dtype {array.dtype}, and a small step in it would be rounded away; write the numbers with a "
            "decimal point, or convert them with x.astype(float)"
        )
    return array.astype(np.float64)


def _plain(f: Callable[..., Any], like: Sequence[Any], name: str) -> Callable[[list[Array]], Array]:
    """f as a function of a list of arrays, which it may do with what it likes, with an array as its value."""

    def call(points: list[Array]) -> Array:
        arguments = [from_numpy(p.copy()) if isinstance(x, Variable) else p.copy() for p, x in zip(points, like, strict=True)]
        with no_grad():
            y = f(*arguments)
        y = np.asarray(y._data if isinstance(y, Variable) else y)
        if y.dtype.kind not in "biufc":
            raise NumericalError(f"{name}: f must return numbers, and it returned {y.dtype}")
        return y

    return call
