"""Choosing between operands, element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError
from tinygrad_edu.graph import Variable
from tinygrad_edu.ops.constant import isfinite
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, composite, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


MASK = np.array([True, False, True])


@primitive(
    forward=np.where,
    elementwise=True,
    bounded=True,
    cases=[Case(condition=MASK, a=reals(), b=reals()), Case(condition=MASK, a=reals(), b=complexes())],
)
def where(condition: Array, a: Array, b: Array, /) -> Array:
    """y = a where condition, else b        ∂L/∂a = g [condition]        ∂L/∂b = g [not condition]

    All three broadcast. The branch that is not taken gets a zero gradient. Counterpart: ``numpy.where``,
    ``torch.where``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, -2.0])
    >>> tg.where(x > 0, x, 0.1 * x)
    Tensor([ 1. , -0.2])
    """


where.vjp(
    condition=None,
    a=lambda g, condition: where(condition, g, 0),
    b=lambda g, condition: where(condition, 0, g),
)


HIGH, LOW = complexes(0.5, 2), complexes(-2, -0.5)  # NumPy orders complex numbers by their real parts first
NANS = np.full(2, np.nan, np.float32)
TIE = {"at": {"a": [1.0, 2.0], "b": [1.0, 3.0]}}


@primitive(
    forward=np.maximum,
    elementwise=True,
    bounded=True,
    label="max",
    cases=[Case(a=reals(grid=(0, 0.2)), b=reals(grid=(0.1, 0.2))), Case(a=HIGH, b=LOW)],
    kinks=[Kink("a = b", "½ each", **TIE, gradient={"a": [0.5, 0.0], "b": [0.5, 1.0]})],
)
def maximum(a: Array, b: Array, /) -> Array:
    """y = max(a, b)        ∂L/∂a = g [a > b] + ½ g [a = b]        ∂L/∂b = g [b > a] + ½ g [a = b]

    A tie is shared equally. A nan is the result, and the gradient then goes to both. ``fmax`` ignores it. Counterpart:
    ``numpy.maximum``, ``torch.maximum``.

    >>> import tinygrad_edu as tg
    >>> tg.maximum(tg.Tensor([1.0, -2.0]), 0)
    Tensor([1., 0.])
    """


maximum.vjp(
    a=lambda g, a, b: where(a < b, 0, where(a == b, g / 2, g)),
    b=lambda g, a, b: where(b < a, 0, where(a == b, g / 2, g)),
)


@primitive(
    forward=np.minimum,
    elementwise=True,
    bounded=True,
    label="min",
    cases=[Case(a=reals(grid=(0, 0.2)), b=reals(grid=(0.1, 0.2))), Case(a=LOW, b=HIGH)],
    kinks=[Kink("a = b", "½ each", **TIE, gradient={"a": [0.5, 1.0], "b": [0.5, 0.0]})],
)
def minimum(a: Array, b: Array, /) -> Array:
    """y = min(a, b)        ∂L/∂a = g [a < b] + ½ g [a = b]        ∂L/∂b = g [b < a] + ½ g [a = b]

    A tie is shared equally. A nan is the result, and the gradient then goes to both. ``fmin`` ignores it. Counterpart:
    ``numpy.minimum``, ``torch.minimum``.

    >>> import tinygrad_edu as tg
    >>> tg.minimum(tg.Tensor([1.0, -2.0]), 0)
    Tensor([ 0., -2.])
    """


minimum.vjp(
    a=lambda g, a, b: where(a > b, 0, where(a == b, g / 2, g)),
    b=lambda g, a, b: where(b > a, 0, where(a == b, g / 2, g)),
)


@primitive(
    forward=np.fmax,
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(grid=(0, 0.2)), b=reals(grid=(0.1, 0.2))), Case(a=NANS, b=reals()), Case(a=HIGH, b=LOW)],
    kinks=[Kink("a = b", "½ each", **TIE, gradient={"a": [0.5, 0.0], "b": [0.5, 1.0]})],
)
def fmax(a: Array, b: Array, /) -> Array:
    """y = max(a, b), or the one that is not nan        ∂L/∂a = g [a > b] + ½ g [a = b]        ∂L/∂b = g [b > a] + ½ g [a = b]

    A tie is shared equally. Next to a nan the other number gets all of the gradient. Counterpart: ``numpy.fmax``, ``torch.fmax``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.fmax(tg.Tensor([1.0, np.nan]), 0)
    Tensor([1., 0.])
    """


fmax.vjp(
    a=lambda g, a, b: where((a > b) | (b != b), g, where(a == b, g / 2, 0)),
    b=lambda g, a, b: where((b > a) | (a != a), g, where(a == b, g / 2, 0)),
)


@primitive(
    forward=np.fmin,
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(grid=(0, 0.2)), b=reals(grid=(0.1, 0.2))), Case(a=NANS, b=reals()), Case(a=LOW, b=HIGH)],
    kinks=[Kink("a = b", "½ each", **TIE, gradient={"a": [0.5, 1.0], "b": [0.5, 0.0]})],
)
def fmin(a: Array, b: Array, /) -> Array:
    """y = min(a, b), or the one that is not nan        ∂L/∂a = g [a < b] + ½ g [a = b]        ∂L/∂b = g [b < a] + ½ g [a = b]

    A tie is shared equally. Next to a nan the other number gets all of the gradient. Counterpart: ``numpy.fmin``, ``torch.fmin``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.fmin(tg.Tensor([1.0, np.nan]), 0)
    Tensor([0., 0.])
    """


fmin.vjp(
    a=lambda g, a, b: where((a < b) | (b != b), g, where(a == b, g / 2, 0)),
    b=lambda g, a, b: where((b < a) | (a != a), g, where(a == b, g / 2, 0)),
)


# ---------------------------------------------------------------------------------------------------------------- clip

CONSTANT_BOUNDS = [Case(a=reals(avoid=(-1, 1.5)), min=[-1, None], max=[1.5]), Case(a=reals(avoid=(-1,)), min=[-1], max=[None])]
CROSSED = np.array([-2, 0, 2], np.int8)  # below, between and above bounds that lie in (−1, −0.5) and (0.5, 1)


@primitive(elementwise=True, bounded=True, label="clip", reference=np.clip, cases=CONSTANT_BOUNDS)
def _clip(a: Array, /, min: Any, max: Any) -> Array:
    """y = min(max(a, low), high)        ∂L/∂a = g [low ≤ a ≤ high]"""
    return np.clip(a, min, max)


_clip.vjp(a=lambda g, a, y: where((a < y) | (a > y), 0, g))  # a nan passes it on, as in maximum


@primitive(
    forward=np.clip,
    numpy=(),
    reference=lambda a, low, high: np.minimum(np.maximum(a, low), high),
    elementwise=True,
    bounded=True,
    label="clip",
    cases=[
        Case(a=CROSSED, low=reals(-1, -0.5), high=reals(0.5, 1)),
        Case(a=reals(grid=(-2.05, 0.3)), low=reals(grid=(-1.9, 0.3)), high=reals(grid=(-0.2, 0.3))),
    ],
)
def _clip_between(a: Array, low: Array, high: Array, /) -> Array:
    """y = min(max(a, low), high)        ∂L/∂a = g [low ≤ a ≤ high]        ∂L/∂low = g [a < low]        ∂L/∂high = g [high < a]"""


_clip_between.vjp(
    a=lambda g, a, y: where((a < y) | (a > y), 0, g),
    low=lambda g, a, y, high: where((a < y) & (y != high), g, 0),
    high=lambda g, a, y, high: where((a != y) & (y == high), g, 0),
)


@composite(
    numpy=np.clip,
    elementwise=True,
    aliases=("clamp",),
    cases=[
        *CONSTANT_BOUNDS,
        Case(a=CROSSED, min=reals(-1, -0.5), max=[1]),
        Case(a=CROSSED, min=[None], max=reals(0.5, 1)),
    ],
    kinks=[
        Kink("a = min", "1", at={"a": [-1.0, -1.5], "min": -1}, gradient={"a": [1.0, 0.0]}),
        Kink("a = max", "1", at={"a": [1.0, 1.1], "min": -1, "max": 1}, gradient={"a": [1.0, 0.0]}),
        Kink("a = min, a tensor", "1, and 0 for min", at={"a": -1.0, "min": -1.0}, gradient={"a": 1.0, "min": 0.0}),
        Kink("a = max, a tensor", "1, and 0 for max", at={"a": 1.0, "max": 1.0}, gradient={"a": 1.0, "max": 0.0}),
    ],
)
def clip(a: Any, /, min: Any = None, max: Any = None) -> Any:
    """y = min(max(a, low), high)        ∂L/∂a = g [low ≤ a ≤ high]

    A bound is a number, an array, or None for no bound; or a tensor, which gets the gradient of the elements that lie beyond it. At
    a bound itself, and where it is nan, the gradient goes to ``a``. Counterpart: ``numpy.clip``, ``torch.clamp``.

    >>> import tinygrad_edu as tg
    >>> tg.clip(tg.Tensor([-2.0, 0.5, 2.0]), -1, 1)
    Tensor([-1. ,  0.5,  1. ])
    """
    if isinstance(min, Variable) or isinstance(max, Variable):
        return _clip_between(a, -math.inf if min is None else min, math.inf if max is None else max)
    return _clip(a, min, max)


@spelling(np.clip)
def _numpy_clip(a: Any, /, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """NumPy has two names for each bound."""
    return clip(a, a_min if min is None else min, a_max if max is None else max)


# -------------------------------------------------------------------------------------------------------- other choices


@spelling(np.select, method=False)
def select(condlist: Sequence[Any], choicelist: Sequence[Any], /, default: Any = 0) -> Any:
    """y = the first choice whose condition holds, else the default, element by element. Differentiable in the choices.

    Nested ``where``, so all of them broadcast. Counterpart: ``numpy.select``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([-2.0, 0.5, 3.0])
    >>> tg.select([x < 0, x > 1], [-x, x * x], default=0)
    Tensor([2., 0., 9.])
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ArgumentError(f"select: one choice for each condition; got {len(condlist)} conditions and {len(choicelist)} choices")
    y = default
    for condition, choice in zip(reversed(list(condlist)), reversed(list(choicelist)), strict=True):
        dtype = np.asarray(condition._data if isinstance(condition, Variable) else condition).dtype
        if dtype.kind != "b":
            raise DTypeError(f"select: conditions are booleans, and one is {dtype}; write condition != 0")
        y = where(condition, choice, y)
    return y


@spelling(np.choose)
def choose(index: Any, choices: Any, /, mode: str = "raise") -> Any:
    """y = choices[index], element by element. Differentiable in the choices.

    ``index`` holds integers; it and the choices broadcast. Numbers that are out of range are an error, or with ``mode`` "wrap" or
    "clip" brought into it. Nested ``where``, for few choices; for many index a stacked tensor. Counterpart: ``numpy.choose``.

    >>> import tinygrad_edu as tg
    >>> tg.choose([0, 1, 1], [tg.Tensor([1.0, 2.0, 3.0]), -1])
    Tensor([ 1., -1., -1.])
    """
    chosen = np.asarray(index._data if isinstance(index, Variable) else index)
    choices = list(choices)
    count = len(choices)
    if chosen.dtype.kind not in "biu":
        raise DTypeError(f"choose: the index is {chosen.dtype}; integers say which of the {count} choices")
    if mode not in ("raise", "wrap", "clip"):
        raise ArgumentError(f"choose: mode is raise, wrap or clip, not {mode!r}")
    if not count or (mode == "raise" and chosen.size and not 0 <= chosen.min() <= chosen.max() < count):
        raise ArgumentError(
            f"choose: there are {count} choices, and an index is outside 0..{count - 1}; mode='clip' or 'wrap' takes it"
        )
    chosen = chosen % count if mode == "wrap" else np.clip(chosen, 0, count - 1)
    y = choices[-1]
    for number in reversed(range(count - 1)):
        y = where(chosen == number, choices[number], y)
    return y if count > 1 else where(chosen == 0, y, y)


_ODD = np.array([math.nan, 0, math.inf], np.float32)


def _finite(g: Any, a: Any) -> Any:
    """g where a is finite, else 0; of a complex number, part by part."""
    if a.dtype.kind != "c":
        return where(isfinite(a), g, 0)
    return where(isfinite(a.real), g.real, 0) + 1j * where(isfinite(a.imag), g.imag, 0)


@primitive(
    elementwise=True,
    bounded=True,
    numpy=np.nan_to_num,
    cases=[
        Case(a=reals(), nan=[0.0, 7.0], posinf=[None, 2.0], neginf=[None, -3.0]),
        Case(a=reals(shape=(3,)), nan=[7.0], posinf=[2.0], neginf=[-3.0], before=lambda a: a + _ODD),
        Case(a=complexes()),
    ],
)
def nan_to_num(a: Array, /, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """y = a, with numbers for nan, ∞ and −∞        ∂L/∂a = g [a is finite]

    Without ``posinf`` and ``neginf`` the infinities become the largest numbers of the dtype. All are given by name. Counterpart:
    ``numpy.nan_to_num``, ``torch.nan_to_num``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nan_to_num(tg.Tensor([1.0, np.nan, np.inf]), posinf=9.0)
    Tensor([1., 0., 9.])
    """
    return np.nan_to_num(a, nan=nan, posinf=posinf, neginf=neginf)


nan_to_num.vjp(a=_finite)


@primitive(forward=np.heaviside, elementwise=True, bounded=True, cases=[Case(a=np.array([-2, 0, 3], np.int8), b=reals())])
def heaviside(a: Array, b: Array, /) -> Array:
    """y = 0 where a < 0, b where a = 0, 1 where a > 0        ∂L/∂b = g [a = 0]

    A step in a, where its derivative is 0. Counterpart: ``numpy.heaviside``, ``torch.heaviside``.

    >>> import tinygrad_edu as tg
    >>> tg.heaviside(tg.Tensor([-2.0, 0.0, 3.0]), 0.5)
    Tensor([0. , 0.5, 1. ])
    """


heaviside.vjp(a=None, b=lambda g, a: where(a == 0, g, 0))


@primitive(
    elementwise=True,
    bounded=True,
    reference=lambda a, b, weight: (1 - weight) * a + weight * b,
    cases=[Case(a=reals(), b=reals(), weight=reals(-1, 2)), Case(a=complexes(), b=complexes(), weight=reals(0, 1))],
)
def lerp(a: Array, b: Array, weight: Array, /) -> Any:
    """y = a + weight (b − a)        ∂L/∂a = g (1 − weight)        ∂L/∂b = g weight        ∂L/∂weight = g (b − a)

    Linear interpolation: exactly a for the weight 0 and b for 1. Counterpart: ``torch.lerp``.

    >>> import tinygrad_edu as tg
    >>> tg.lerp(tg.Tensor([1.0, 2.0]), [3.0, 6.0], 0.25)
    Tensor([1.5, 3. ])
    """
    way = np.subtract(b, a)
    return np.where(np.less(np.abs(weight), 0.5), a + way * weight, b - way * (1 - weight))


lerp.vjp(
    a=lambda g, weight: g * (1 - weight),
    b=lambda g, weight: g * weight,
    weight=lambda g, a, b: g * (b - a),
)
