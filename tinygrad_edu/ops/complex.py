"""Complex numbers: their parts, and the operations that are not holomorphic.

A cotangent g that travels between nodes is ∂L/∂x − i ∂L/∂y for a value x + iy, so that a holomorphic operation's rule is g f′(z)
as for real numbers. The operations here are the ones where that is not the whole story.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import DTypeError
from tinygrad_edu.graph import Variable
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.trigonometric import cos, sin
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


@primitive(numpy=np.real, elementwise=True, bounded=True, label="Re", method=False, cases=[Case(a=complexes()), Case(a=reals())])
def real(a: Array, /) -> Array:
    """y = Re a        ∂L/∂a = g

    ``x.real`` is the same. Counterpart: ``numpy.real``, ``torch.real``.

    >>> import tinygrad_edu as tg
    >>> tg.real(tg.Tensor([1 + 2j, 3j]))
    Tensor([1., 0.])
    """
    return np.asarray(a).real[...]


real.vjp(a=lambda g: g)


@primitive(numpy=np.imag, elementwise=True, bounded=True, label="Im", method=False, cases=[Case(a=complexes()), Case(a=reals())])
def imag(a: Array, /) -> Array:
    """y = Im a        ∂L/∂a = −i g

    ``x.imag`` is the same. In PyTorch's convention, in which gradients are reported, this is i g. Counterpart: ``numpy.imag``.

    >>> import tinygrad_edu as tg
    >>> tg.imag(tg.Tensor([1 + 2j, 3j]))
    Tensor([2., 3.])
    """
    return np.asarray(a).imag[...]


imag.vjp(a=lambda g: -1j * g)


@primitive(
    forward=np.conj, elementwise=True, bounded=True, label="z̄", aliases=("conjugate",), cases=[Case(a=complexes()), Case(a=reals())]
)
def conj(a: Array, /) -> Array:
    """y = ā        ∂L/∂a = ḡ

    Counterpart: ``numpy.conj``, ``torch.conj``.

    >>> import tinygrad_edu as tg
    >>> tg.conj(tg.Tensor([1 + 2j, 3j]))
    Tensor([1.-2.j, 0.-3.j])
    """


conj.vjp(a=lambda g: conj(g))


def _angle_slope(g: Any, a: Any, deg: bool) -> Any:
    """−i g / a: only the part of a change that is perpendicular to a turns it. That of a real number has none."""
    if a.dtype.kind != "c":
        return 0 * g
    turn = -1j * (g / where(a == 0, 1, a)) * (a != 0)
    return turn * (180 / math.pi) if deg else turn


@primitive(
    numpy=np.angle,
    elementwise=True,
    label="arg",
    cases=[
        Case(a=complexes(0.3, 2), deg=[False, True]),
        Case(a=complexes(-2, -0.3), deg=[False]),
        Case(a=reals(avoid=(0,)), deg=[False, True]),
    ],
)
def angle(a: Array, /, deg: bool = False) -> Array:
    """y = arg a, in (−π, π]        ∂L/∂a = −i g / a  (0 at a = 0)

    It jumps by 2π where a crosses the negative real axis. The angle of a real number is 0 or π, so its gradient is 0. With ``deg``
    it is in degrees. Counterpart: ``numpy.angle``, ``torch.angle``.

    >>> import tinygrad_edu as tg
    >>> tg.angle(tg.Tensor([1 + 1j, -2]))
    Tensor([0.78539816, 3.14159265])
    """
    return np.angle(a, deg)


angle.vjp(a=_angle_slope)


@primitive(
    elementwise=True,
    bounded=True,
    method=False,
    reference=lambda real, imag: np.asarray(real) + 1j * np.asarray(imag),
    cases=[Case(real=reals(), imag=reals())],
)
def to_complex(real: Array, imag: Array, /) -> Array:
    """y = real + i imag        ∂L/∂real = Re g        ∂L/∂imag = −Im g

    Two real arrays, which broadcast, as one of complex numbers; infinite parts stay as they are, unlike in ``re + 1j * im``.
    Counterpart: ``torch.complex``.

    >>> import tinygrad_edu as tg
    >>> tg.to_complex(tg.Tensor([1.0, 2.0]), tg.Tensor([0.5, 0.0]))
    Tensor([1.+0.5j, 2.+0.j ])
    """
    if "c" in (np.asarray(real).dtype.kind, np.asarray(imag).dtype.kind):
        raise DTypeError("to_complex makes complex numbers of two arrays of real ones, and one is complex: take its real or imag")
    y = np.empty(np.broadcast_shapes(np.shape(real), np.shape(imag)), np.result_type(real, imag, np.complex64))
    y.real, y.imag = real, imag
    return y


to_complex.vjp(real=lambda g: g, imag=lambda g: 1j * g)


@composite(
    elementwise=True,
    method=False,
    reference=lambda r, t: r * np.exp(1j * np.asarray(t)),
    cases=[Case(abs=reals(), angle=reals())],
)
def polar(abs: Any, angle: Any, /) -> Any:
    """y = abs · exp(i angle)        ∂L/∂abs = Re(g exp(i angle))        ∂L/∂angle = −Im(g y)

    Complex numbers of their absolute values and angles, which are real. Counterpart: ``torch.polar``.

    >>> import tinygrad_edu as tg
    >>> tg.polar(tg.Tensor([2.0, 3.0]), tg.Tensor([0.0, 0.5])).real
    Tensor([2.        , 2.63274769])
    """
    return to_complex(abs * cos(angle), abs * sin(angle))


def magnitude(a: Any) -> Any:
    """|a|², as a polynomial: unlike that of |a|, its derivative has no special case at 0."""
    return a * a if a.dtype.kind != "c" else real(a) * real(a) + imag(a) * imag(a)


@spelling(np.real_if_close)
def real_if_close(a: Any, /, tol: float = 100) -> Any:
    """y = Re a if all imaginary parts are rounding errors, and a itself otherwise        ∂L/∂a = g

    They are if they are smaller than ``tol`` times the distance of 1 and the next number; or smaller than ``tol``, where that is 1
    or less. Counterpart: ``numpy.real_if_close``.

    >>> import tinygrad_edu as tg
    >>> tg.real_if_close(tg.Tensor([1 + 1e-15j, 2.0]))
    Tensor([1., 2.])
    """
    numbers = a._data if isinstance(a, Variable) else np.asarray(a)
    close = numbers.dtype.kind == "c" and not np.iscomplexobj(np.real_if_close(numbers, tol))
    return real(a) if close else a if isinstance(a, Variable) else numbers
