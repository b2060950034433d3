"""The cross-entropy of a probability, where it is given as one and not as a logit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.ops.activation import floating
from tinygrad_edu.ops.exponential import log
from tinygrad_edu.ops.select import maximum
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

SMALL = float(np.float32(1e-12))  # of p (1 − p), where it divides: PyTorch's number, in float64 too
LEAST = -100.0  # of a logarithm: PyTorch's, so that a wrong answer that was certain costs much, and not everything


@primitive(
    elementwise=True,
    bounded=True,
    cases=[Case(p=reals(0.1, 0.9), t=reals(0.0, 1.0))],
    reference=lambda p, t: -(t * np.log(p) + (1 - t) * np.log(1 - p)),
)
def binary_entropy(p: Array, t: Array, /) -> Array:
    """y = −t ln p − (1 − t) ln(1 − p)        ∂L/∂p = g (p − t) / (p (1 − p))        ∂L/∂t = g (ln(1 − p) − ln p)

    The cross-entropy of a probability p with a target t, both in [0, 1]. Logarithms count as −100 at least, and p (1 − p) as 1e-12,
    so that the result and the derivative are finite everywhere. Counterpart: ``torch.nn.functional.binary_cross_entropy``.

    >>> import tinygrad_edu as tg
    >>> tg.binary_entropy(tg.Tensor([0.5, 0.0]), [1.0, 1.0])
    Tensor([  0.69314718, 100.        ])
    """
    p, t = floating("binary_entropy", p), floating("binary_entropy", t)
    with np.errstate(divide="ignore"):
        low, high = np.maximum(np.log(p), LEAST), np.maximum(np.log1p(-p), LEAST)
    y: Array = (t - 1) * high - t * low
    return y


def _bounded_log(p: Any) -> Any:
    return log(maximum(p, np.exp(LEAST)))


binary_entropy.vjp(
    p=lambda g, p, t: g * (p - t) / maximum(p * (1 - p), SMALL),
    t=lambda g, p: g * (_bounded_log(1 - p) - _bounded_log(p)),
)
