"""Pictures written to files: the format from the suffix, and a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from tinygrad_edu.errors import ArgumentError, MissingError

if TYPE_CHECKING:
    import graphviz  # type: ignore[import-untyped]

TEXT = ("dot", "gv")
FORMATS = ("svg", "png", "pdf", *TEXT)


def format_of(path: str | os.PathLike[str]) -> str:
    """The format that a path's suffix names."""
    suffix = Path(path).suffix
    if suffix[1:].lower() not in FORMATS:
        raise ArgumentError(
            f"render({os.fspath(path)!r}): the suffix {suffix!r} names no format; end the path in one of "
            f"{', '.join(f'.{format}' for format in FORMATS)}"
        )
    return suffix[1:].lower()


def write(drawing: graphviz.Digraph, path: Path, format: str) -> Path:
    """Write the drawing in this format, and return the path."""
    content = drawing.source.encode() if format in TEXT else _laid_out(drawing, path, format)
    target = Path(os.path.realpath(path))  # so that a link stays one, and the file that it points to is replaced
    temporary = target.with_name(f".{uuid4().hex}.tmp")
    try:
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    return path


def _laid_out(drawing: graphviz.Digraph, path: Path, format: str) -> bytes:
    """The file's content, by Graphviz's own program."""
    import graphviz

    if format == "png":
        drawing.attr(dpi="144")  # sharp on a projector; the other formats have no pixels
    try:
        content: bytes = drawing.pipe(format=format)
    except graphviz.ExecutableNotFound as error:
        raise MissingError(
            f"render({str(path)!r}): Graphviz's program dot is not installed, or is not on the PATH. Install it with\n"
            "  apt install graphviz                    Debian, Ubuntu\n"
            "  brew install graphviz                   macOS\n"
            "  winget install Graphviz.Graphviz        Windows\n"
            "  conda install -c conda-forge graphviz   conda\n"
            "The picture as text needs no program: .dot().source, or render() to a path that ends in .dot"
        ) from error
    return content
