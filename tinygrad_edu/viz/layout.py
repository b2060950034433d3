"""From DOT text to a picture: by Graphviz, wherever it is, and within a time limit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

from tinygrad_edu.errors import MissingError, TinygradError

INSTALL = (
    "to draw pictures, pip install 'tinygrad-edu[render]', or Graphviz itself: apt install graphviz, brew install graphviz, "
    "winget install Graphviz.Graphviz, or conda install -c conda-forge graphviz"
)

# What a Python of its own runs: a layout in this process could not be stopped.
BUNDLED = """
import sys
from pygraphviz import AGraph
graph = AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))
"""


class TooSlowError(TinygradError, TimeoutError):
    """Graphviz did not finish in time."""


class Backend(NamedTuple):
    """A Graphviz: what it is called, and the command that reads DOT text and writes a format, which comes last."""

    name: str
    command: tuple[str, ...]


def backend() -> Backend | None:
    """The system's Graphviz, else the one in the wheel of pygraphviz, else None. Only looks, and runs nothing."""
    program = shutil.which("dot")
    if program:
        return Backend("dot", (program, "-T"))
    return Backend("pygraphviz", (sys.executable, "-c", BUNDLED)) if _has_pygraphviz() else None


@cache
def _has_pygraphviz() -> bool:
    return find_spec("pygraphviz") is not None


def needed(what: str) -> Backend:
    """The Graphviz that is there. Raises `MissingError`, which says how to install one, when there is none."""
    found = backend()
    if found is None:
        raise MissingError(
            f"{what}: Graphviz's program dot is not installed, or is not on the PATH, nor is the package pygraphviz; {INSTALL}. "
            "Text needs neither: .dot().source, .mermaid(), print(graph), or render() to a path that ends in .dot, .mmd or .txt"
        )
    return found


def lay_out(source: str, format: str, seconds: float) -> bytes:
    """The picture of DOT text. Raises `TooSlowError` when that takes longer than this many seconds."""
    found = needed(f"a picture as {format}")
    *command, last = found.command
    command += [f"{last}{format}"] if last == "-T" else [last, format]
    try:
        done = subprocess.run(command, input=source.encode(), capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise TooSlowError(f"{found.name} did not lay out the graph within {seconds:g} s") from error
    if done.returncode or not done.stdout:
        message = done.stderr.decode(errors="replace").strip().splitlines()
        raise TinygradError(f"{found.name} failed: {message[-1] if message else f'exit status {done.returncode}'}")
    return done.stdout
