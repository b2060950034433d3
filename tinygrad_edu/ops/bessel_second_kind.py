"""Bessel functions of the second kind, which are infinite at 0. As for the others, the order v has no derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_edu.ops.bessel import difference
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Lazy, complexes, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

# ----------------------------------------------------------------------------------------------------------- oscillating: Y


@primitive(forward=Lazy("scipy.special", "y0"), elementwise=True, label="Y₀", cases=[Case(a=reals(0.7, 5))])
def y0(a: Array, /) -> Array:
    """y = Y₀(a)        ∂L/∂a = −g Y₁(a)

    −inf at 0, nan below. Needs SciPy. Counterpart: ``scipy.special.y0``, ``torch.special.bessel_y0``.

    >>> import tinygrad_edu as tg
    >>> tg.y0(tg.Tensor([1.0, 2.0]))
    Tensor([0.08825696, 0.51037567])
    """


y0.vjp(a=lambda g, a: -g * y1(a))


@primitive(forward=Lazy("scipy.special", "y1"), elementwise=True, label="Y₁", cases=[Case(a=reals(0.7, 5))])
def y1(a: Array, /) -> Array:
    """y = Y₁(a)        ∂L/∂a = g (Y₀(a) − y / a)

    −inf at 0, nan below. Needs SciPy. Counterpart: ``scipy.special.y1``, ``torch.special.bessel_y1``.

    >>> import tinygrad_edu as tg
    >>> tg.y1(tg.Tensor([1.0, 2.0]))
    Tensor([-0.78121282, -0.10703243])
    """


y1.vjp(a=lambda g, y, a: g * (y0(a) - y / a))


@primitive(
    forward=Lazy("scipy.special", "yv"),
    elementwise=True,
    label="Yᵥ",
    method=False,
    cases=[Case(v=1.5, z=reals(0.7, 5)), Case(v=0, z=reals(0.7, 5)), Case(v=0.5, z=complexes(0.5, 2))],
)
def yv(v: Array, z: Array, /) -> Array:
    """y = Yᵥ(z), the Bessel function of the second kind        ∂L/∂z = ½ g (Yᵥ₋₁(z) − Yᵥ₊₁(z))

    −inf at 0, nan below. ``v`` is as for `jv`. Needs SciPy. Counterpart: ``scipy.special.yv``.

    >>> import tinygrad_edu as tg
    >>> tg.yv(0, tg.Tensor([1.0, 2.0]))
    Tensor([0.08825696, 0.51037567])
    """


yv.vjp(v=NotImplemented, z=lambda g, v, z: difference(g, yv, v, z))


@spelling(Lazy("scipy.special", "yn"), method=False)
def yn(n: Any, z: Any, /) -> Any:
    """y = Yₙ(z): `yv` of an integer order.

    Counterpart: ``scipy.special.yn``.

    >>> import tinygrad_edu as tg
    >>> tg.yn(2, tg.Tensor(1.0))
    Tensor(-1.65068261)
    """
    return yv(n, z)


# --------------------------------------------------------------------------------------------------------------- falling: K


@primitive(forward=Lazy("scipy.special", "k0"), elementwise=True, label="K₀", cases=[Case(a=reals(0.7, 4))])
def k0(a: Array, /) -> Array:
    """y = K₀(a)        ∂L/∂a = −g K₁(a)

    inf at 0, nan below. Needs SciPy. Counterpart: ``scipy.special.k0``, ``torch.special.modified_bessel_k0``.

    >>> import tinygrad_edu as tg
    >>> tg.k0(tg.Tensor([1.0, 2.0]))
    Tensor([0.42102444, 0.11389387])
    """


k0.vjp(a=lambda g, a: -g * k1(a))


@primitive(forward=Lazy("scipy.special", "k1"), elementwise=True, label="K₁", cases=[Case(a=reals(0.7, 4))])
def k1(a: Array, /) -> Array:
    """y = K₁(a)        ∂L/∂a = −g (K₀(a) + y / a)

    inf at 0, nan below. Needs SciPy. Counterpart: ``scipy.special.k1``, ``torch.special.modified_bessel_k1``.

    >>> import tinygrad_edu as tg
    >>> tg.k1(tg.Tensor([1.0, 2.0]))
    Tensor([0.60190723, 0.13986588])
    """


k1.vjp(a=lambda g, y, a: -g * (k0(a) + y / a))


@primitive(
    forward=Lazy("scipy.special", "kv"),
    elementwise=True,
    label="Kᵥ",
    method=False,
    cases=[Case(v=1.5, z=reals(0.7, 4)), Case(v=0, z=reals(0.7, 4)), Case(v=0.5, z=complexes(0.5, 2))],
)
def kv(v: Array, z: Array, /) -> Array:
    """y = Kᵥ(z), the modified Bessel function of the second kind        ∂L/∂z = −½ g (Kᵥ₋₁(z) + Kᵥ₊₁(z))

    inf at 0, nan below. ``v`` is as for `jv`. Needs SciPy. Counterpart: ``scipy.special.kv``.

    >>> import tinygrad_edu as tg
    >>> tg.kv(0, tg.Tensor([1.0, 2.0]))
    Tensor([0.42102444, 0.11389387])
    """


kv.vjp(v=NotImplemented, z=lambda g, v, z: g * (-0.5 * (kv(v - 1, z) + kv(v + 1, z))))


@spelling(Lazy("scipy.special", "kn"), method=False)
def kn(n: Any, z: Any, /) -> Any:
    """y = Kₙ(z): `kv` of an integer order.

    Counterpart: ``scipy.special.kn``.

    >>> import tinygrad_edu as tg
    >>> tg.kn(2, tg.Tensor(1.0))
    Tensor(1.6248389)
    """
    return kv(n, z)
