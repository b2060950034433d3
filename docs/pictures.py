"""Draw the pictures of the README and the docs, each from the code that stands beside it.

Run ``python docs/pictures.py`` after a change of that code, or of how graphs are drawn. It writes, for every picture, the
SVG that the page shows and the DOT text that it was drawn from. A test compares the DOT text with the code; the SVG depends
on the fonts of the machine.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

# For every picture, the page whose first block of Python leaves the graph in a variable called `picture`.
PICTURES = {"readme": "README.md"}


def graph(name: str) -> Any:
    """The graph that the page's code leaves in `picture`."""
    page = (ROOT / PICTURES[name]).read_text("utf-8")
    block = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert block, f"{PICTURES[name]} has no block of Python"
    namespace: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(block[1], namespace)
    return namespace["picture"]


def main() -> None:
    """Write every picture."""
    for name in PICTURES:
        target = ROOT / "docs" / "images" / f"{name}.svg"
        picture = graph(name)
        picture.render(target)
        picture.render(target.with_suffix(".dot"))
        print(f"docs/images/{name}.svg: {len(picture.nodes)} nodes")


if __name__ == "__main__":
    main()
