"""What Hypothesis draws for ``from_type(tg.Tensor)``.

Whichever of the two packages comes second registers it: this file when it is imported and Hypothesis is there already, and
Hypothesis' entry point otherwise. So neither loads the other.
"""

from __future__ import annotations

import sys

from tinygrad_edu.tensor import Tensor
from tinygrad_edu.testing.strategies import tensors


def register() -> None:
    """Tell Hypothesis how to draw a `Tensor`."""
    from hypothesis.strategies import register_type_strategy

    register_type_strategy(Tensor, lambda _: tensors())


if "hypothesis" in sys.modules:
    register()
