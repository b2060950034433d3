"""Complex numbers: their parts, and the operations that are not holomorphic.

A cotangent g that travels between nodes is ∂L/∂x − i ∂L/∂y for a value x + iy, so that a holomorphic operation's rule is g f′(z)
as for real numbers. The operations here are the ones where that is not the whole story.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.arithmetic import abs
from tinygrad_edu.ops.select import where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, reals

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


def _turn(g: Any, a: Any) -> Any:
    """−i g / a: only the part of a change that is perpendicular to a turns it."""
    return -1j * (g / where(a == 0, 1, a)) * (a != 0)


@primitive(
    numpy=np.angle,
    elementwise=True,
    label="arg",
    cases=[Case(a=complexes(0.3, 2)), Case(a=complexes(-2, -0.3)), Case(a=reals(avoid=(0,)))],
)
def angle(a: Array, /) -> Array:
    """y = arg a, in (−π, π]        ∂L/∂a = −i g / a  (0 at a = 0)

    The angle of a real number is 0 or π, so its gradient is 0. Counterpart: ``numpy.angle``, ``torch.angle``.

    >>> import tinygrad_edu as tg
    >>> tg.angle(tg.Tensor([1 + 1j, -2]))
    Tensor([0.78539816, 3.14159265])
    """
    return np.angle(a)


angle.vjp(a=_turn)


def magnitude(a: Any) -> Any:
    """|a|² of complex numbers, a² of real ones."""
    return abs(a) ** 2 if a.dtype.kind == "c" else a * a
