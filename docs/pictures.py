"""Draw the pictures of the README and the docs, each from the code that stands beside it.

Those of the docs are drawn by every build of them. That of the README is kept: run ``python docs/pictures.py readme`` after a
change of its code, or of how graphs are drawn. It writes the SVG that the README shows and the DOT text that it was drawn from,
which a test compares with the code; the SVG depends on the fonts of the machine.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

# For every picture, the page whose code leaves the graph in a variable, and the variable.
PICTURES = {
    "readme": ("README.md", "picture"),
    **{f"graph_{name}": ("docs/graphs.md", name) for name in ("ops", "full", "values", "problems", "cost", "closed")},
    **{f"graph_{name}": ("docs/graphs.md", name) for name in ("unrolled", "folded", "second", "dark", "difference")},
}


def graph(name: str) -> Any:
    """The graph that the page's code leaves in the picture's variable. What the page does after that is not run."""
    page, variable = PICTURES[name]
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for block in blocks:
            exec(block, namespace)
            if variable in namespace:
                return namespace[variable]
    raise AssertionError(f"no block of Python in {page} makes a variable {variable!r}")


def step_size() -> None:
    """The error of difference quotients of sin at 1 against their step, and of the extrapolated one with its error bar."""
    import matplotlib as mpl
    import numpy as np
    from matplotlib.figure import Figure

    from tinygrad_edu.testing.differences import estimate

    mpl.rcParams["svg.hashsalt"] = "tinygrad_edu"  # the same file each time
    h = np.logspace(-15, 0, 121)
    exact = np.cos(1.0)
    forward = np.abs((np.sin(1 + h) - np.sin(1)) / h - exact)
    central = np.abs((np.sin(1 + h) - np.sin(1 - h)) / (2 * h) - exact)
    value, bar = estimate(lambda t: np.sin(1 + t))
    axes = (figure := Figure(figsize=(7.2, 4.2), layout="constrained")).subplots()
    axes.loglog(h, forward, ".", color="#B35A00", label="forward difference, (f(x + h) − f(x)) / h")
    axes.loglog(h, central, "x", color="#1F5FA8", markersize=4, label="central difference, (f(x + h) − f(x − h)) / 2h")
    axes.loglog(h, np.finfo(float).eps / h, "--", color="#777777", linewidth=1, label="rounding, ε / h")
    axes.axhline(float(bar), color="#2A7F3E", linewidth=1.5, label="extrapolated: its error bar")
    error = max(float(abs(value - exact)), 1e-16)
    axes.axhline(error, color="#2A7F3E", linewidth=1.5, linestyle=":", label="extrapolated: its error")
    axes.axvline(1e-4, color="#777777", linewidth=1, linestyle=":")
    axes.annotate("h = 1e-4", (1e-4, 1e-1), textcoords="offset points", xytext=(5, 0), color="#555555")
    axes.set(xlabel="step h", ylabel="error of the derivative of sin at 1", ylim=(1e-17, 10))
    axes.legend(loc="lower left", fontsize=8, framealpha=0.95)
    figure.savefig(ROOT / "docs" / "images" / "step_size.svg", metadata={"Date": None})
    print("docs/images/step_size.svg")


def draw(name: str) -> None:
    """Write one picture of a graph, and its DOT text."""
    target = ROOT / "docs" / "images" / f"{name}.svg"
    picture = graph(name)
    picture.render(target)
    picture.render(target.with_suffix(".dot"))
    print(f"docs/images/{name}.svg: {picture!r}")


def main() -> None:
    """Write the pictures of the docs."""
    step_size()
    for name in sorted(PICTURES.keys() - {"readme"}):
        draw(name)


if __name__ == "__main__":
    draw("readme") if sys.argv[1:] == ["readme"] else main()
