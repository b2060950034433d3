"""Special functions of probabilities and their entropies, computed by SciPy.

SciPy is imported when the first of them is called, so that everything else works without it. What SciPy refuses, such as complex
numbers in many of them, is refused here; float16, which SciPy does not have, widens as there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.exponential import log
from tinygrad_edu.ops.select import where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Lazy, complexes, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def pair(name: str) -> Callable[..., Any]:
    """SciPy's function of two operands, for which a Python number takes the other's dtype, as in NumPy's own."""
    function = Lazy("scipy.special", name)

    def forward(a: Any, b: Any) -> Any:
        dtype = np.result_type(a, b)
        return function(np.asarray(a, dtype), np.asarray(b, dtype))

    return forward


@primitive(forward=Lazy("scipy.special", "logit"), elementwise=True, cases=[Case(a=reals(0.05, 0.95))])
def logit(a: Array, /) -> Array:
    """y = ln(a / (1 − a))        ∂L/∂a = g / (a (1 − a))

    The inverse of `sigmoid`: ∓inf at 0 and 1, nan outside. Needs SciPy. Counterpart: ``scipy.special.logit``, ``torch.logit``.

    >>> import tinygrad_edu as tg
    >>> tg.logit(tg.Tensor([0.5, 0.73105858]))
    Tensor([0.        , 1.00000001])
    """


logit.vjp(a=lambda g, a: g / (a * (1 - a)))


def _outside(a: Any, b: Any) -> Any:
    """Whether a = 0 and ln b does not exist: a ln b is 0 there, and its derivatives are declared to be 0."""
    return (a == 0) & (b == 0 if np.iscomplexobj(b) else b <= 0)


def _inside(a: Any, b: Any) -> Any:
    """b, and 1 where it is outside."""
    return where(_outside(a, b), 1, b)


@primitive(
    forward=pair("xlogy"),
    numpy=Lazy("scipy.special", "xlogy"),
    elementwise=True,
    label="x ln y",
    cases=[Case(a=reals(), b=reals(0.3, 3)), Case(a=0.0, b=reals(0, 0)), Case(a=complexes(), b=complexes(0.3, 2))],
)
def xlogy(a: Array, b: Array, /) -> Array:
    """y = a ln b, and 0 where a = 0        ∂L/∂a = g ln b  (0 at a = 0 ≥ b)        ∂L/∂b = g a / b  (0 at a = b = 0)

    Also where b is 0 or negative, 0 ln b is 0. Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.xlogy``,
    ``torch.special.xlogy``.

    >>> import tinygrad_edu as tg
    >>> tg.xlogy(tg.Tensor([0.0, 2.0]), [0.0, 3.0])
    Tensor([0.        , 2.19722458])
    """


xlogy.vjp(a=lambda g, a, b: g * log(_inside(a, b)), b=lambda g, a, b: g * (a / _inside(a, b)))


@primitive(
    forward=pair("xlog1py"),
    numpy=Lazy("scipy.special", "xlog1py"),
    elementwise=True,
    label="x ln(1 + y)",
    cases=[
        Case(a=reals(), b=reals(-0.7, 2)),
        Case(a=reals(0, 0), b=reals(-0.7, 2)),
        Case(a=complexes(), b=complexes(-0.7, 2)),
        Case(a=complexes(0, 0), b=complexes(-0.7, 2)),
    ],
)
def xlog1py(a: Array, b: Array, /) -> Array:
    """y = a ln(1 + b), and 0 where a = 0        ∂L/∂a = g ln(1 + b)  (0 at a = 0, b ≤ −1)        ∂L/∂b = g a / (1 + b)

    Exact for small b too. Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.xlog1py``, ``torch.special.xlog1py``.

    >>> import tinygrad_edu as tg
    >>> tg.xlog1py(tg.Tensor([0.0, 2.0]), [-1.0, 1e-20])
    Tensor([0.e+00, 2.e-20])
    """


xlog1py.vjp(
    a=lambda g, a, b: g * xlog1py(1, where(_outside(a, 1 + b), 0, b)),
    b=lambda g, a, b: g * (a / _inside(a, 1 + b)),
)


@primitive(forward=Lazy("scipy.special", "entr"), elementwise=True, cases=[Case(a=reals(0.2, 3))])
def entr(a: Array, /) -> Array:
    """y = −a ln a        ∂L/∂a = −g (1 + ln a)

    What a probability contributes to an entropy: 0 at 0, where the derivative is inf; −inf below. Needs SciPy. Counterpart:
    ``scipy.special.entr``, ``torch.special.entr``.

    >>> import tinygrad_edu as tg
    >>> tg.entr(tg.Tensor([0.0, 0.5, 0.5])).sum()
    Tensor(0.69314718)
    """


entr.vjp(a=lambda g, a: g * (-1 - log(a)))


@primitive(forward=Lazy("scipy.special", "rel_entr"), elementwise=True, cases=[Case(a=reals(0.2, 3), b=reals(0.2, 3))])
def rel_entr(a: Array, b: Array, /) -> Array:
    """y = a ln(a / b)        ∂L/∂a = g (1 + ln(a / b))        ∂L/∂b = −g a / b

    What a pair of probabilities contributes to a Kullback-Leibler divergence: 0 where a = 0 ≤ b, inf where it is not defined.
    Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.rel_entr``.

    >>> import tinygrad_edu as tg
    >>> tg.rel_entr(tg.Tensor([0.0, 1.0]), [0.5, 0.5])
    Tensor([0.        , 0.69314718])
    """


rel_entr.vjp(a=lambda g, a, b: g * (1 + log(a / b)), b=lambda g, a, b: -g * (a / b))


@primitive(
    forward=Lazy("scipy.special", "kl_div"),
    elementwise=True,
    cases=[Case(a=reals(0.2, 1), b=reals(1.2, 3)), Case(a=reals(1.2, 3), b=reals(0.2, 1))],
)
def kl_div(a: Array, b: Array, /) -> Array:
    """y = a ln(a / b) − a + b        ∂L/∂a = g ln(a / b)        ∂L/∂b = g (1 − a / b)

    As `rel_entr`, but no term is negative; the sums over probabilities agree. (``torch.nn.functional.kl_div`` is another
    function, of logarithms.) Shapes broadcast. Needs SciPy. Counterpart: ``scipy.special.kl_div``.

    >>> import tinygrad_edu as tg
    >>> tg.kl_div(tg.Tensor([0.0, 1.0]), [0.5, 0.5])
    Tensor([0.5       , 0.19314718])
    """


kl_div.vjp(a=lambda g, a, b: g * log(a / b), b=lambda g, a, b: g * (1 - a / b))
