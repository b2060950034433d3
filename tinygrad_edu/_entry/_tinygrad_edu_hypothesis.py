"""What Hypothesis calls when it is imported, so that ``from_type(tg.Tensor)`` works. It imports neither of the two."""

from __future__ import annotations

import sys


def register() -> None:
    """If tinygrad_edu is there already, let it register its types. If it comes later, it finds Hypothesis and does so itself."""
    types = sys.modules.get("tinygrad_edu.hypothesis_types")
    if types is not None:
        types.register()
