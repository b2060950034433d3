"""Activation functions. Names, arguments and conventions are PyTorch's; none of them overflows for huge arguments.

Those that are linear piece by piece, apart from relu, are in `tinygrad_edu.ops.rectifiers`, and softmax is in
`tinygrad_edu.ops.loss`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError
from tinygrad_edu.floating import quietly
from tinygrad_edu.ops.arithmetic import abs
from tinygrad_edu.ops.error_function import density, ndtr
from tinygrad_edu.ops.exponential import exp
from tinygrad_edu.ops.hyperbolic import tanh
from tinygrad_edu.ops.select import clip, where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, Lazy, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


ARRAYS = (np.ndarray, np.generic)
FAR = 1000.0  # e⁻ᶠᵃʳ is 0 in every precision, and a bound keeps ∞ · 0 away


def floating(name: str, a: Any) -> Any:
    """Integers as floats: −a and a − max a would wrap around in a small or unsigned integer dtype. No complex numbers, which
    are not ordered and overflow in other ways."""
    if isinstance(a, float) or (isinstance(a, ARRAYS) and a.dtype.kind == "f"):
        return a
    if np.iscomplexobj(a):
        raise DTypeError(f"{name} is defined here for real numbers only, and was given complex ones: take x.real or abs(x)")
    return np.asarray(a, float)


# ------------------------------------------------------------------------------------------------- sigmoid and softplus


@primitive(
    numpy=Lazy("scipy.special", "expit"),
    elementwise=True,
    bounded=True,
    label="σ",
    aliases=("expit",),
    cases=[Case(a=reals(-6, 6))],
    reference=lambda a: np.where(a >= 0, 1 / (1 + np.exp(-np.abs(a))), np.exp(-np.abs(a)) / (1 + np.exp(-np.abs(a)))),
)
def sigmoid(a: Array, /) -> Array:
    """y = 1 / (1 + e⁻ᵃ)        ∂L/∂a = g y (1 − y)

    Never warns: where e⁻ᵃ overflows, y is 0. Counterpart: ``torch.sigmoid``, ``scipy.special.expit``; the Sigmoid node of *Deep
    Learning from Scratch 2*, section 1.3.5.

    >>> import tinygrad_edu as tg
    >>> tg.sigmoid(tg.Tensor([-1000.0, 0.0, 1.0]))
    Tensor([0.        , 0.5       , 0.73105858])
    """
    y: Array = quietly(np.exp, -floating("sigmoid", a))
    y += 1
    return 1 / y


sigmoid.vjp(a=lambda g, y: g * (y * (1 - y)))


@primitive(
    numpy=Lazy("scipy.special", "log_expit"),
    elementwise=True,
    bounded=True,
    label="ln σ",
    aliases=("logsigmoid", "log_expit"),
    cases=[Case(a=reals(-6, 6))],
    reference=lambda a: -np.logaddexp(0, -a),
)
def log_sigmoid(a: Array, /) -> Array:
    """y = −ln(1 + e⁻ᵃ)        ∂L/∂a = g σ(−a)

    The logarithm of `sigmoid`, about a itself far to the left. Counterpart: ``torch.nn.functional.logsigmoid``,
    ``scipy.special.log_expit``.

    >>> import tinygrad_edu as tg
    >>> tg.log_sigmoid(tg.Tensor([-1000.0, 0.0, 1.0]))
    Tensor([-1.00000000e+03, -6.93147181e-01, -3.13261688e-01])
    """
    a = floating("log_sigmoid", a)
    return np.minimum(a, 0) - np.log1p(np.exp(-np.abs(a)))


log_sigmoid.vjp(a=lambda g, a: g * sigmoid(-a))


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(-6, 6), beta=[1.0, 0.5]), Case(a=reals(0.7, 6), beta=[4.0], threshold=[2.0])],
    reference=lambda a, beta, threshold=20: np.where(beta * a > threshold, a, np.logaddexp(0, beta * a) / beta),
)
def softplus(a: Array, /, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """y = ln(1 + eᵝᵃ) / β, and a where βa > threshold        ∂L/∂a = g σ(βa), and g there

    ``relu`` with a rounded corner, which ``beta`` sharpens. Beyond ``threshold`` it is a itself, as in PyTorch, which makes a
    step of 2e-9 at the default; ``math.inf`` for none. Counterpart: ``torch.nn.functional.softplus``.

    >>> import tinygrad_edu as tg
    >>> tg.softplus(tg.Tensor([-1.0, 0.0, 1000.0]))
    Tensor([3.13261688e-01, 6.93147181e-01, 1.00000000e+03])
    """
    if not beta > 0:
        raise ArgumentError(f"softplus: beta is a positive number, got {beta!r}")
    a = floating("softplus", a)
    x = quietly(np.multiply, a, beta)
    y = (np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))) / beta
    return np.where(x > threshold, a, y)


softplus.vjp(a=lambda g, a, beta, threshold: where(a > threshold / beta, g, g * sigmoid(a * beta)))


# ------------------------------------------------------------------------------------------------ relu and its round kin


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(avoid=(0,)))],
    kinks=[Kink("a = 0", "0", at={"a": 0.0}, gradient={"a": 0.0})],
    reference=lambda a: np.where(a > 0, a, 0),
)
def relu(a: Array, /) -> Array:
    """y = max(a, 0)        ∂L/∂a = g [a > 0]  (0 at a = 0)

    Counterpart: ``torch.relu``.

    >>> import tinygrad_edu as tg
    >>> tg.relu(tg.Tensor([-1.0, 0.0, 2.0]))
    Tensor([0., 0., 2.])
    """
    y: Array = np.maximum(a, 0)
    return y if y.dtype.kind != "c" else floating("relu", y)


def _passed(g: Any, y: Any) -> Any:
    """g where y is not 0; a nan gets a gradient, as in maximum. On random signs a product is seven times as fast as a choice."""
    try:
        return g * ~(y <= 0)
    except FloatingPointError:  # an infinite g, which a product with 0 would make nan
        return where(y <= 0, 0, g)


relu.vjp(a=_passed)


def _gated(a: Array, gate: Array) -> Array:
    """a times a gate that is 0 far to the left, also at −∞."""
    y: Array = np.maximum(a, -FAR) * gate
    return y


@primitive(
    elementwise=True, bounded=True, aliases=("swish",), cases=[Case(a=reals(-6, 6))], reference=lambda a: a / (1 + np.exp(-a))
)
def silu(a: Array, /) -> Array:
    """y = a σ(a)        ∂L/∂a = g s (1 + a (1 − s))        (s = σ(a))

    Counterpart: ``torch.nn.functional.silu``.

    >>> import tinygrad_edu as tg
    >>> tg.silu(tg.Tensor([-1000.0, 0.0, 1.0]))
    Tensor([-0.        ,  0.        ,  0.73105858])
    """
    return _gated(floating("silu", a), sigmoid(a))


def _silu_slope(a: Any) -> Any:
    a = clip(a, -FAR, FAR)
    s = sigmoid(a)
    return s * (1 + a * (1 - s))


silu.vjp(a=lambda g, a: g * _silu_slope(a))


@primitive(elementwise=True, bounded=True, cases=[Case(a=reals(-6, 6))], reference=lambda a: a * np.tanh(np.logaddexp(0, a)))
def mish(a: Array, /) -> Array:
    """y = a t        ∂L/∂a = g (t + a σ(a) (1 − t²))        (t = tanh(ln(1 + eᵃ)))

    Counterpart: ``torch.nn.functional.mish``.

    >>> import tinygrad_edu as tg
    >>> tg.mish(tg.Tensor([-1000.0, 0.0, 1.0]))
    Tensor([-0.        ,  0.        ,  0.86509839])
    """
    return _gated(floating("mish", a), np.tanh(softplus(a)))


def _mish_slope(a: Any) -> Any:
    a = clip(a, -FAR, FAR)
    t = tanh(softplus(a))
    return t + a * sigmoid(a) * (1 - t * t)


mish.vjp(a=lambda g, a: g * _mish_slope(a))

BEND = 0.044715  # of the polynomial that approximates Φ in gelu
STEEPNESS = 2 * math.sqrt(2 / math.pi)


def _plain_gelu(a: Array, approximate: str) -> Array:
    inner = (
        np.tanh(math.sqrt(2 / math.pi) * (a + BEND * a**3)) if approximate == "tanh" else np.vectorize(math.erf, "d")(a / 2**0.5)
    )
    return np.asarray(0.5 * a * (1 + inner))


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(-4, 4), approximate=["none", "tanh"])],
    reference=_plain_gelu,
)
def gelu(a: Array, /, approximate: str = "none") -> Array:
    """y = a Φ(a)        ∂L/∂a = g (Φ(a) + a φ(a))        (Φ, φ: the normal distribution and its density)

    ``approximate="tanh"`` takes ½ (1 + tanh(√(2/π) (a + 0.044715 a³))) for Φ, which is 5e-4 off at most; the exact one needs
    SciPy. Counterpart: ``torch.nn.functional.gelu``.

    >>> import tinygrad_edu as tg
    >>> tg.gelu(tg.Tensor([-1.0, 0.0, 1.0]))
    Tensor([-0.15865525,  0.        ,  0.84134475])
    >>> tg.gelu(tg.Tensor([-1.0, 0.0, 1.0]), approximate="tanh")
    Tensor([-0.15880801,  0.        ,  0.84119199])
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    a = floating("gelu", a)
    gate = ndtr(a) if approximate == "none" else sigmoid(_bent(np.clip(a, -25, 25)))
    return _gated(a, gate).astype(np.result_type(a), copy=False)  # SciPy widens float16


def _bent(a: Any) -> Any:
    """The logit of the approximate Φ. Where a³ might overflow, beyond ±25, Φ is 0 or 1."""
    return STEEPNESS * (a + BEND * (a * a * a))


def _gelu_slope(a: Any, approximate: str) -> Any:
    a = clip(a, -25, 25) if approximate == "tanh" else clip(a, -FAR, FAR)
    if approximate == "none":
        return ndtr(a) + a * density(a)
    s = sigmoid(_bent(a))
    return s + a * (s * (1 - s)) * (STEEPNESS * (1 + 3 * BEND * (a * a)))


gelu.vjp(a=lambda g, a, approximate: g * _gelu_slope(a, approximate))


@primitive(elementwise=True, bounded=True, cases=[Case(a=reals(avoid=(0,)))], reference=lambda a: a / (1 + np.abs(a)))
def softsign(a: Array, /) -> Array:
    """y = a / (1 + |a|)        ∂L/∂a = g / (1 + |a|)²

    As tanh from −1 to 1, and slower. Counterpart: ``torch.nn.functional.softsign``.

    >>> import tinygrad_edu as tg
    >>> tg.softsign(tg.Tensor([-1.0, 0.0, 3.0]))
    Tensor([-0.5 ,  0.  ,  0.75])
    """
    a = floating("softsign", a)
    y: Array = a / (1 + np.abs(a))
    return y


def _softsign_slope(a: Any) -> Any:
    r = 1 / (1 + abs(a))
    return r * r


softsign.vjp(a=lambda g, a: g * _softsign_slope(a))


# ----------------------------------------------------------------------------------------------------- exponential units


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(avoid=(0,)), alpha=[1.0, 2.5])],
    kinks=[Kink("a = 0, alpha ≠ 1", "alpha", at={"a": 0.0, "alpha": 2.0}, gradient={"a": 2.0})],
    reference=lambda a, alpha: np.where(a > 0, a, alpha * (np.exp(a) - 1)),
)
def elu(a: Array, /, alpha: float = 1.0) -> Array:
    """y = a where a > 0, else α (eᵃ − 1)        ∂L/∂a = g where a > 0, else g α eᵃ

    Counterpart: ``torch.nn.functional.elu``.

    >>> import tinygrad_edu as tg
    >>> tg.elu(tg.Tensor([-1000.0, -1.0, 2.0]))
    Tensor([-1.        , -0.63212056,  2.        ])
    """
    a = floating("elu", a)
    return np.where(a > 0, a, alpha * np.expm1(np.minimum(a, 0)))


elu.vjp(a=lambda g, a, alpha: where(a > 0, g, g * (alpha * exp(where(a > 0, 0, a)))))


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(a=reals(avoid=(0,)), alpha=[1.0, 2.5])],
    reference=lambda a, alpha: np.where(a > 0, a, alpha * (np.exp(a / alpha) - 1)),
)
def celu(a: Array, /, alpha: float = 1.0) -> Array:
    """y = a where a > 0, else α (eᵃᐟᵅ − 1)        ∂L/∂a = g where a > 0, else g eᵃᐟᵅ

    An `elu` without a kink, whatever α is. Counterpart: ``torch.nn.functional.celu``.

    >>> import tinygrad_edu as tg
    >>> tg.celu(tg.Tensor([-1000.0, -1.0, 2.0]), alpha=2.0)
    Tensor([-2.        , -0.78693868,  2.        ])
    """
    if not alpha > 0:
        raise ArgumentError(f"celu: alpha is a positive number, got {alpha!r}")
    a = floating("celu", a)
    return np.where(a > 0, a, alpha * np.expm1(np.minimum(a, 0) / alpha))


celu.vjp(a=lambda g, a, alpha: where(a > 0, g, g * exp(where(a > 0, 0, a) / alpha)))

# The fixed point of Klambauer et al. (2017): inputs of mean 0 and variance 1 keep them.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@composite(
    elementwise=True,
    cases=[Case(a=reals(avoid=(0,)))],
    kinks=[Kink("a = 0", "λ α", at={"a": 0.0}, gradient={"a": SELU_SCALE * SELU_ALPHA})],
    reference=lambda a: SELU_SCALE * np.where(a > 0, a, SELU_ALPHA * (np.exp(a) - 1)),
)
def selu(a: Any, /) -> Any:
    """y = λ elu(a, α)        ∂L/∂a = g λ where a > 0, else g λ α eᵃ        (λ ≈ 1.0507, α ≈ 1.6733)

    With these constants, layers keep mean 0 and variance 1. Counterpart: ``torch.nn.functional.selu``.

    >>> import tinygrad_edu as tg
    >>> tg.selu(tg.Tensor([-1000.0, 0.0, 1.0]))
    Tensor([-1.75809934,  0.        ,  1.05070099])
    """
    return elu(a, SELU_ALPHA) * SELU_SCALE
