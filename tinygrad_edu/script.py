"""Running a user's script, and finding in it the tensor whose graph is wanted."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from tinygrad_edu.errors import ArgumentError, TinygradError
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.viz import Graph


class ScriptError(TinygradError):
    """The script failed; the text is its traceback."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What a command that runs a script is told of it."""
    command.add_argument(
        "script",
        metavar="FILE.py[:NAME]",
        help="the script, and the variable that holds the tensor (or the graph, or a function without arguments that returns one); "
        "without a name, the last variable that holds a recorded tensor or a graph",
    )
    command.add_argument("arguments", metavar="ARGUMENT", nargs="*", help="what the script finds in sys.argv")


def graph_of(target: str, arguments: Sequence[str], show: Sequence[str], options: dict[str, Any]) -> Graph:
    """The graph of a script's tensor: ``target`` is its path, and after a colon the variable's name. Raises `ArgumentError` when
    there is no such file, or no such variable, or it holds nothing that has a graph, and `ScriptError` when the script fails."""
    path, name = split(target)
    found = choose(path, name, run(path, arguments))
    if isinstance(found, Graph):
        return found.redrawn(**options)
    return Graph(found, show=show, **options)


def split(target: str) -> tuple[Path, str | None]:
    """The path and the name in ``FILE.py:NAME``; a colon that belongs to the path stays there."""
    before, colon, name = target.rpartition(":")
    if colon and name.isidentifier() and before and not Path(target).exists():
        return Path(before), name
    return Path(target), None


def run(path: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """Run a script as ``python path`` does, and return its variables. What it prints goes to standard error."""
    if not path.is_file():
        raise ArgumentError(f"{path}: there is no such file; give the path of a Python script, as in graph train.py:loss")
    code: Any = None
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": str(path), "__builtins__": __builtins__}
    outside = sys.argv, list(sys.path)
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        code = compile(path.read_bytes(), str(path), "exec")
        with redirect_stdout(sys.stderr):
            exec(code, namespace)
    except SystemExit as end:
        if end.code not in (None, 0):
            raise ScriptError(f"{path}: the script ended with exit status {end.code}\n") from end
    except Exception as error:
        # Without the frames of this file: the user's are what matters.
        own = error.__traceback__
        while code is not None and own is not None and own.tb_frame.f_code is not code and own.tb_next is not None:
            own = own.tb_next
        raise ScriptError("".join(traceback.format_exception(type(error), error, own))) from error
    finally:
        sys.argv, sys.path[:] = outside
    return namespace


def choose(path: Path, name: str | None, namespace: dict[str, Any]) -> Tensor | Graph:
    """The tensor or graph of this name, or the last one."""
    if name is None:
        for value in reversed(list(namespace.values())):
            if isinstance(value, Graph) or (isinstance(value, Tensor) and value.requires_grad and not value.is_leaf):
                return value
        raise ArgumentError(
            f"{path}: no variable of the script holds a recorded tensor when it ends; name one that does, or a function without "
            f"arguments that returns one, as in {path}:loss"
        )
    if name not in namespace:
        known = [key for key, value in namespace.items() if isinstance(value, Tensor | Graph)]
        raise ArgumentError(f"{path}: the script has no variable {name!r}; its tensors are {', '.join(known) or 'none'}")
    value = namespace[name]
    if callable(value) and not isinstance(value, Tensor):
        value = value()
    if not isinstance(value, Tensor | Graph):
        raise ArgumentError(f"{path}: {name} is a {type(value).__name__}, and neither a tensor nor a graph")
    return value
