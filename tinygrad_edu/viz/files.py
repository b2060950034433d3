"""Graphs written to files: the format from the suffix, and a file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.viz.layout import needed

# For every suffix, what makes the file's content of a graph: a function of (graph, seconds), or where one is to be found.
Writer: TypeAlias = Callable[[Any, float], str | bytes]
PICTURES = ("svg", "png", "pdf")
WRITERS: Mapping[str, Writer | tuple[str, str]] = {
    "svg": lambda graph, seconds: graph.picture("svg", seconds=seconds),
    "png": lambda graph, seconds: graph.picture("png", seconds=seconds),
    "pdf": lambda graph, seconds: graph.picture("pdf", seconds=seconds),
    **dict.fromkeys(("dot", "gv"), lambda graph, seconds: graph.dot().source),
    **dict.fromkeys(("mmd", "mermaid"), lambda graph, seconds: graph.mermaid()),
    "txt": lambda graph, seconds: f"{graph}\n",
    "json": lambda graph, seconds: graph.json(),
    **dict.fromkeys(("html", "htm"), ("tinygrad_edu.viz.page", "page_of")),
}


def writer_of(path: str | os.PathLike[str]) -> Writer:
    """What makes the content of a file with this suffix. What it needs is looked for before any work is done."""
    suffix = Path(path).suffix
    format = suffix[1:].lower()
    if format not in WRITERS:
        raise ArgumentError(
            f"render({os.fspath(path)!r}): the suffix {suffix!r} names no format; end the path in one of "
            f"{', '.join(f'.{format}' for format in WRITERS)}"
        )
    if format in (*PICTURES, "html", "htm"):
        needed(f"render({os.fspath(path)!r})")
    writer: Any = WRITERS[format]
    return getattr(import_module(writer[0]), writer[1]) if isinstance(writer, tuple) else writer  # type: ignore[no-any-return]


def write(content: str | bytes, path: Path) -> Path:
    """Write a file, and return its path. Half a surrogate pair, which a name may hold, becomes its escape."""
    target = Path(os.path.realpath(path))  # so that a link stays one, and the file that it points to is replaced
    temporary = target.with_name(f".{uuid4().hex}.tmp")
    try:
        try:
            temporary.write_bytes(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    return path
