"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write the new content to. At the end of the block it takes the file's place, in one move.

    Whenever the program or the machine stops, ``path`` holds the old content or the new one: the new one has reached the disk
    before the move. If the block fails, the old content stays. What a killed program left unfinished is removed by `sweep_up`.
    """
    target = Path(os.path.realpath(path))  # so that a link stays one, and the file that it points to is replaced
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        try:
            yield temporary
            _reach_the_disk(temporary)
            temporary.replace(target)
            with contextlib.suppress(OSError):  # not every system can open a folder
                _reach_the_disk(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.filename not in (str(temporary), None):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def sweep_up(path: str | os.PathLike[str]) -> None:
    """Remove what programs that were killed while they wrote ``path`` have left. Nobody else may be writing it."""
    target = Path(os.path.realpath(path))
    for left in target.parent.glob(f".{target.name}.{'?' * 32}.tmp"):
        left.unlink(missing_ok=True)


def _reach_the_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
