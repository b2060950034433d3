"""For losses of classifiers: labels of every kind, and logits that overflow a careless softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.testing.arguments import NONE, SHAPE, STRATEGY, Kind, checked, whole
from tinygrad_edu.testing.lazy import composite, drawn, elements, hypothesis
from tinygrad_edu.testing.strategies.shapes import shapes

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


BATCH = SHAPE | STRATEGY | NONE


def _batch(draw: Any, shape: Any) -> Any:
    return drawn(draw, shapes(max_dims=1) if shape is None else shape)


@checked(classes=whole(1), shape=BATCH)
@composite
def labels(draw: Any, classes: int, shape: Any = None) -> Array:
    """Arrays of class numbers 0 … classes − 1, of any integer dtype; by default one number, or a vector of them.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.labels(10, (2,)), lambda t: t[1] > t[0])
    array([0, 1])
    """
    st = hypothesis().strategies
    dtype = draw(st.sampled_from([np.int64, np.int32, np.uint8 if classes <= 256 else np.uint16]))
    found: Array = elements(draw, _batch(draw, shape), st.integers(0, classes - 1), "i8").astype(dtype)
    return found


@checked(classes=whole(1), shape=BATCH)
@composite
def one_hot_labels(draw: Any, classes: int, shape: Any = None) -> Array:
    """`labels` as rows of one 1 and otherwise 0: floats of shape (*shape, classes).

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.one_hot_labels(3, ()), lambda t: t[1] == 1)
    array([0., 1., 0.])
    """
    return np.asarray(np.eye(classes)[draw(labels(classes, shape))])


@checked(classes=whole(1), shape=BATCH)
@composite
def soft_labels(draw: Any, classes: int, shape: Any = None) -> Array:
    """Distributions over the classes, with zeros among them: floats of shape (*shape, classes) whose rows sum to 1.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.soft_labels(3, ()), lambda t: t[0] < t[1] == t[2])
    array([0. , 0.5, 0.5])
    """
    counts = elements(draw, (*_batch(draw, shape), classes), hypothesis().strategies.integers(0, 4), "i8")
    counts[..., 0] += counts.sum(axis=-1) == 0
    return np.asarray(counts / counts.sum(axis=-1, keepdims=True))


@checked(
    classes=whole(1) | STRATEGY | NONE,
    shape=BATCH,
    largest=Kind("a number larger than 0", lambda value: np.ndim(value) == 0 and value > 0),
)
@composite
def extreme_logits(draw: Any, classes: Any = None, shape: Any = None, *, largest: float = 1e4) -> Array:
    """Logits of shape (*shape, classes) that a careless softmax or sigmoid cannot take: equal ones, some so far apart that all but
    one have probability 0, and rows that lie as a whole far from 0, up to ± ``largest``.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.extreme_logits(2, ()), lambda z: z[0] == 0 and z[1] == 800)
    array([  0., 800.])
    """
    st = hypothesis().strategies
    classes = draw(st.integers(1, 4)) if classes is None else drawn(draw, classes)
    batch = _batch(draw, shape)
    steps = st.sampled_from([0.0, 1.0, -1.0, 40.0, -40.0, 100.0, -100.0, 800.0, -800.0, largest, -largest])
    logits = elements(draw, (*batch, classes), steps)
    far = elements(draw, (*batch, 1), st.sampled_from([0.0, largest, -largest]))
    return np.asarray(np.clip(logits + far, -largest, largest))
