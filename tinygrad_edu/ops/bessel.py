"""Bessel functions of the first kind, computed by SciPy: see `tinygrad_edu.ops.special`. The order v has no derivative; a tensor
there must not require grad."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import DTypeError
from tinygrad_edu.ops.arithmetic import abs, sqrt
from tinygrad_edu.ops.comparison import sign
from tinygrad_edu.ops.select import where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, Lazy, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

# ---------------------------------------------------------------------------------------------------- oscillating: J


@primitive(forward=Lazy("scipy.special", "j0"), elementwise=True, bounded=True, label="J₀", cases=[Case(a=reals(-5, 5))])
def j0(a: Array, /) -> Array:
    """y = J₀(a)        ∂L/∂a = −g J₁(a)

    Needs SciPy. Counterpart: ``scipy.special.j0``, ``torch.special.bessel_j0``.

    >>> import tinygrad_edu as tg
    >>> tg.j0(tg.Tensor([0.0, 2.0]))
    Tensor([1.        , 0.22389078])
    """


j0.vjp(a=lambda g, a: -g * j1(a))


@primitive(forward=Lazy("scipy.special", "j1"), elementwise=True, bounded=True, label="J₁", cases=[Case(a=reals(-5, 5))])
def j1(a: Array, /) -> Array:
    """y = J₁(a)        ∂L/∂a = ½ g (J₀(a) − J₂(a))

    Needs SciPy. Counterpart: ``scipy.special.j1``, ``torch.special.bessel_j1``.

    >>> import tinygrad_edu as tg
    >>> tg.j1(tg.Tensor([0.0, 2.0]))
    Tensor([0.        , 0.57672481])
    """


j1.vjp(a=lambda g, a: g * (0.5 * (j0(a) - jv(2, a))))


def difference(g: Any, f: Any, v: Any, z: Any) -> Any:
    """½ g (f(v − 1, z) − f(v + 1, z)): the derivative of J and of Y."""
    return g * (0.5 * (f(v - 1, z) - f(v + 1, z)))


@primitive(
    forward=Lazy("scipy.special", "jv"),
    elementwise=True,
    label="Jᵥ",
    aliases=("jn",),
    method=False,
    cases=[Case(v=1.5, z=reals(0.5, 5)), Case(v=2, z=reals()), Case(v=0.5, z=complexes(0.3, 2))],
)
def jv(v: Array, z: Array, /) -> Array:
    """y = Jᵥ(z), the Bessel function of order v        ∂L/∂z = ½ g (Jᵥ₋₁(z) − Jᵥ₊₁(z))

    ``v`` is a number, or several; it has no derivative. Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.jv``.

    >>> import tinygrad_edu as tg
    >>> tg.jv([0, 1], tg.Tensor(2.0))
    Tensor([0.22389078, 0.57672481])
    """


jv.vjp(v=NotImplemented, z=lambda g, v, z: difference(g, jv, v, z))


# -------------------------------------------------------------------------------------------- growing: I


@primitive(
    forward=Lazy("scipy.special", "i0"),
    numpy=(np.i0, Lazy("scipy.special", "i0")),
    elementwise=True,
    label="I₀",
    cases=[Case(a=reals())],
)
def i0(a: Array, /) -> Array:
    """y = I₀(a)        ∂L/∂a = g I₁(a)

    Overflows to inf above 713; see `i0e`. Needs SciPy. Counterpart: ``numpy.i0``, ``scipy.special.i0``, ``torch.i0``.

    >>> import tinygrad_edu as tg
    >>> tg.i0(tg.Tensor([0.0, 2.0]))
    Tensor([1.        , 2.2795853])
    """


i0.vjp(a=lambda g, a: g * i1(a))


@primitive(forward=Lazy("scipy.special", "i1"), elementwise=True, label="I₁", cases=[Case(a=reals())])
def i1(a: Array, /) -> Array:
    """y = I₁(a)        ∂L/∂a = ½ g (I₀(a) + I₂(a))

    Overflows to ±inf beyond ±713; see `i1e`. Needs SciPy. Counterpart: ``scipy.special.i1``, ``torch.special.i1``.

    >>> import tinygrad_edu as tg
    >>> tg.i1(tg.Tensor([0.0, 2.0]))
    Tensor([0.        , 1.59063685])
    """


@primitive(
    elementwise=True,
    cases=[Case(a=reals(), order=[2, 3])],
    reference=lambda a, order: Lazy("scipy.special", "iv")(order, a),
)
def _higher(a: Array, /, order: int) -> Any:
    """y = Iₙ(a)        ∂L/∂a = ½ g (Iₙ₋₁(a) + Iₙ₊₁(a))

    For n ≥ 2, where SciPy's is nan for the smallest numbers, whose squares are 0.
    """
    return iv(order, np.where(np.abs(a) < 1e-300, 0, a))


i1.vjp(a=lambda g, a: g * (0.5 * (i0(a) + _higher(a, 2))))
_higher.vjp(a=lambda g, a, order: g * (0.5 * ((i1(a) if order == 2 else _higher(a, order - 1)) + _higher(a, order + 1))))


@primitive(
    forward=Lazy("scipy.special", "iv"),
    elementwise=True,
    label="Iᵥ",
    method=False,
    cases=[Case(v=1.5, z=reals(0.5, 3)), Case(v=2, z=reals(avoid=(0,))), Case(v=0.5, z=complexes(0.3, 2))],
)
def iv(v: Array, z: Array, /) -> Array:
    """y = Iᵥ(z), the modified Bessel function of order v        ∂L/∂z = ½ g (Iᵥ₋₁(z) + Iᵥ₊₁(z))

    ``v`` is as for `jv`. Needs SciPy. Counterpart: ``scipy.special.iv``.

    >>> import tinygrad_edu as tg
    >>> tg.iv([0, 1], tg.Tensor(2.0))
    Tensor([2.2795853 , 1.59063685])
    """


iv.vjp(v=NotImplemented, z=lambda g, v, z: g * (0.5 * (iv(v - 1, z) + iv(v + 1, z))))


FAR = 40.0


def _far_coefficients(order: int) -> list[float]:
    """Of e^(−x) Iᵥ(x) = (1 + c₁ / x + c₂ / x² + …) / √(2πx), the numbers (k + ½) cₖ, which make its derivative."""
    coefficients, c = [], 1.0
    for k in range(14):
        coefficients.append((k + 0.5) * c)
        c *= ((2 * k + 1) ** 2 - 4 * order**2) / (8 * (k + 1))
    return coefficients


def _far_slope(order: int, a: Any) -> Any:
    """The derivative of e^(−x) Iᵥ(x) at x = |a|, if that is beyond FAR: the terms of its rule would cancel there."""
    x = abs(a)
    t = 1 / where(x > FAR, x, FAR)
    series: Any = 0.0
    for c in reversed(_far_coefficients(order)):
        series = c + series * t
    return series * t * sqrt(t) * (-1 / math.sqrt(2 * math.pi))


@primitive(
    forward=Lazy("scipy.special", "i0e"),
    elementwise=True,
    bounded=True,
    label="e⁻ˣI₀",
    cases=[Case(a=reals(avoid=(0,)))],
    kinks=[Kink("a = 0", "0", at={"a": 0.0}, gradient={"a": 0.0})],
)
def i0e(a: Array, /) -> Array:
    """y = e^(−|a|) I₀(a)        ∂L/∂a = g (e^(−|a|) I₁(a) − sign(a) y)  (0 at a = 0)

    Never overflows. Needs SciPy. Counterpart: ``scipy.special.i0e``, ``torch.special.i0e``.

    >>> import tinygrad_edu as tg
    >>> tg.i0e(tg.Tensor([0.0, 1000.0]))
    Tensor([1.        , 0.01261724])
    """


i0e.vjp(a=lambda g, a, y: g * where(abs(a) > FAR, sign(a) * _far_slope(0, a), i1e(a) - sign(a) * y))


@primitive(forward=Lazy("scipy.special", "i1e"), elementwise=True, bounded=True, label="e⁻ˣI₁", cases=[Case(a=reals(avoid=(0,)))])
def i1e(a: Array, /) -> Array:
    """y = e^(−|a|) I₁(a)        ∂L/∂a = g (½ e^(−|a|) (I₀(a) + I₂(a)) − sign(a) y)

    Never overflows. Needs SciPy. Counterpart: ``scipy.special.i1e``, ``torch.special.i1e``.

    >>> import tinygrad_edu as tg
    >>> tg.i1e(tg.Tensor([0.0, 1000.0]))
    Tensor([0.        , 0.01261093])
    """


def _i1e_slope(a: Any, y: Any) -> Any:
    far = abs(a) > FAR
    return where(far, _far_slope(1, a), 0.5 * (i0e(a) + ive(2, where(far, FAR, a))) - sign(a) * y)


i1e.vjp(a=lambda g, a, y: g * _i1e_slope(a, y))


@primitive(
    forward=Lazy("scipy.special", "ive"),
    elementwise=True,
    label="e⁻ˣIᵥ",
    method=False,
    cases=[Case(v=1.5, z=reals(0.5, 3)), Case(v=2, z=reals(avoid=(0,)))],
    kinks=[Kink("v = 0, z = 0", "0", at={"v": 0, "z": 0.0}, gradient={"z": 0.0})],
)
def ive(v: Array, z: Array, /) -> Array:
    """y = e^(−|z|) Iᵥ(z)        ∂L/∂z = g (½ e^(−|z|) (Iᵥ₋₁(z) + Iᵥ₊₁(z)) − sign(z) y)  (0 at v = z = 0)

    ``v`` is as for `jv`. It is not holomorphic: complex tensors must not require grad. Needs SciPy. Counterpart:
    ``scipy.special.ive``.

    >>> import tinygrad_edu as tg
    >>> tg.ive(2, tg.Tensor([0.0, 1000.0]))
    Tensor([0.        , 0.01259202])
    """


def _scaled_slope(v: Any, z: Any, y: Any) -> Any:
    if z.dtype.kind == "c":
        raise DTypeError("ive: the derivative is implemented for real numbers only, because |Re z| is not holomorphic")
    return 0.5 * (ive(v - 1, z) + ive(v + 1, z)) - sign(z) * y


ive.vjp(v=NotImplemented, z=lambda g, v, z, y: g * _scaled_slope(v, z, y))
