"""Numerical derivatives of functions of arrays with array values: along a direction, as a Jacobian, as a Hessian. Each with an
error bar, for any function over ndarrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import NumericalError
from tinygrad_edu.testing.differences import LARGE, Estimate, mixed, slope, step_for, surer
from tinygrad_edu.testing.plain import array_of, floats, plain

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def numerical_jvp(
    f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, method: str = "ridders", with_error: bool = False
) -> Any:
    """The derivative of ``f`` at ``primals`` along ``tangents``: Jv = d/dt f(x + t v) at t = 0, in the shape of f's values.

    ``primals`` and ``tangents`` are tuples or lists with one array for each argument of f, as in ``jax.jvp``: for a function of one
    argument, ``numerical_jvp(f, (x,), (v,))``. ``method`` is one of `numerical_gradient`'s. ``with_error`` returns (derivative,
    error bar). f gets arrays of its own, or tensors where the primals are tensors. Where it returns complex numbers, so is the
    derivative, and the error bar is that of its distance from the true one.

    Raises `NumericalError` where primals are not floats, tangents are not real numbers of the same shapes, f returns something
    other than one array of numbers, or one of a shape that changes, and where f does not suit ``method="complex"``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> value, error = tg.testing.numerical_jvp(np.sin, (np.array([0.0, np.pi]),), (np.array([1.0, 2.0]),), with_error=True)
    >>> np.round(value, 9), bool(error.max() < 1e-10)
    (array([ 1., -2.]), True)
    """
    for given, what in ((primals, "primals"), (tangents, "tangents")):
        if not isinstance(given, tuple | list):
            raise NumericalError(
                f"numerical_jvp: {what} have type {type(given).__name__}, and should be a tuple with one array for each argument "
                "of f; for a function of one argument write numerical_jvp(f, (x,), (v,))"
            )
    points = [floats(x, "numerical_jvp", f"primal {i}") for i, x in enumerate(primals)]
    vectors = [array_of(v, "numerical_jvp", f"tangent {i}") for i, v in enumerate(tangents)]
    for i, vector in enumerate(vectors):
        if vector.dtype.kind not in "biuf":
            raise NumericalError(
                f"numerical_jvp: tangent {i} has dtype {vector.dtype}, and floats move along real numbers only; of a complex "
                "direction, take the real and the imaginary part one after the other"
            )
    if [p.shape for p in points] != [v.shape for v in vectors]:
        raise NumericalError(
            f"numerical_jvp: tangents of shapes {[v.shape for v in vectors]} for primals of shapes {[p.shape for p in points]}; "
            "each argument has a direction of its own shape"
        )
    call = plain(f, primals, "numerical_jvp")
    moving = [np.abs(p[v != 0] / v[v != 0]) for p, v in zip(points, vectors, strict=True)]
    sizes = np.concatenate(moving) if moving else np.zeros(0)
    scale = step_for(float(np.median(sizes))) if sizes.size else 1.0
    found = _slope(lambda t: call([p + t * v for p, v in zip(points, vectors, strict=True)]), scale, method)
    return found if with_error else found.value


def numerical_jacobian(f: Callable[..., Any], x: Any, *, method: str = "ridders", with_error: bool = False) -> Any:
    """All first derivatives of ``f`` at the array ``x``: an array of shape ``f(x).shape + x.shape``, column by column.

    ``method``, ``with_error``, complex values and errors are as in `numerical_jvp`. Counterpart: ``scipy.differentiate.jacobian``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> np.round(tg.testing.numerical_jacobian(lambda x: x[0] * x, np.array([2.0, 3.0])), 8)
    array([[4., 0.],
           [3., 2.]])
    """
    point = floats(x, "numerical_jacobian")
    call = plain(f, [x], "numerical_jacobian")
    y = call([point])
    value = np.zeros((*y.shape, *point.shape), complex if y.dtype.kind == "c" else float)
    error = np.zeros(value.shape)
    for index in np.ndindex(point.shape):

        def phi(t: Any, index: tuple[int, ...] = index) -> Array:
            moved = point.astype(complex) if isinstance(t, complex) else point.copy()
            moved[index] += t
            return call([moved])

        at = float(point[index])
        value[(..., *index)], error[(..., *index)] = _slope(phi, step_for(at), method, at)
    return Estimate(value, error) if with_error else value


def numerical_hessian(f: Callable[..., Any], x: Any, *, with_error: bool = False) -> Any:
    """All second derivatives of ``f`` at the array ``x``, where f returns one number: an array of shape ``x.shape + x.shape``.

    Each is (f(x + heᵢ + keⱼ) − f(x + heᵢ − keⱼ) − f(x − heᵢ + keⱼ) + f(x − heᵢ − keⱼ)) / 4hk for several steps, extrapolated.
    Of 16 digits about 12 remain, and 10 are vouched for by the error bar. Symmetric by construction. ``with_error`` and complex
    values are as in `numerical_jvp`.

    Raises `NumericalError` where f returns more than one number.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> np.round(tg.testing.numerical_hessian(lambda x: x[0] ** 2 * x[1], np.array([2.0, 3.0])), 4)
    array([[6., 4.],
           [4., 0.]])
    """
    point = floats(x, "numerical_hessian")
    call = plain(f, [x], "numerical_hessian", scalar=True)
    complex_valued = call([point]).dtype.kind == "c"
    value = np.zeros(point.shape * 2, complex if complex_valued else float)
    error = np.zeros(point.shape * 2)
    indices = list(np.ndindex(point.shape))
    for i, first in enumerate(indices):
        for second in indices[i:]:

            def phi(s: float, t: float, first: Any = first, second: Any = second) -> Array:
                moved = point.copy()
                moved[first] += s
                moved[second] += t
                return _parts(call([moved]), complex_valued)

            at = (float(point[first]), float(point[second]))
            found = _whole(_curvature(phi, at), complex_valued)
            value[first + second] = value[second + first] = found.value
            error[first + second] = error[second + first] = found.error
    return Estimate(value, error) if with_error else value


def _curvature(phi: Callable[[float, float], Any], at: tuple[float, float]) -> Estimate:
    """∂²φ/∂s∂t, by the two lengths of `slope`."""
    scales = (step_for(at[0]), step_for(at[1]))
    long = mixed(phi, scales, at)
    return long if max(scales) < LARGE else surer(long, mixed(phi, (min(scales[0], 1.0), min(scales[1], 1.0)), at))


def _slope(phi: Callable[[Any], Array], scale: float, method: str, at: float = 0.0) -> Estimate:
    """dφ/dt, also of a function with complex values: of its two parts, then."""
    complex_valued = method != "complex" and phi(0.0).dtype.kind == "c"
    return _whole(slope(lambda t: _parts(phi(t), complex_valued), scale, method, at), complex_valued)


def _parts(y: Array, complex_valued: bool) -> Array:
    return np.stack([y.real, y.imag]) if complex_valued else y


def _whole(found: Estimate, complex_valued: bool) -> Estimate:
    if not complex_valued:
        return found
    value = np.empty(found.value.shape[1:], complex)
    value.real, value.imag = found.value
    return Estimate(value, np.hypot(*found.error))
