"""What Hypothesis draws for ``from_type(tg.Tensor)``.

Whichever of the two packages comes second registers it: this file when it is imported and Hypothesis is there already, and
Hypothesis' entry point otherwise. So neither loads the other, and the strategies are loaded when one is asked for.
"""

from __future__ import annotations

import sys
from typing import Any

from tinygrad_edu.tensor import Tensor


def register() -> None:
    """Tell Hypothesis how to draw a `Tensor`."""
    from hypothesis.strategies import register_type_strategy

    register_type_strategy(Tensor, _tensors)


def _tensors(_: type[Tensor]) -> Any:
    from tinygrad_edu.testing import strategies

    return strategies.tensors()


if "hypothesis" in sys.modules:
    register()
