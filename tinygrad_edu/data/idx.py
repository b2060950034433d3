"""IDX files: the format of MNIST. A file is a magic number, the lengths of the axes, and the numbers."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.errors import FileError

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str]) -> Array:
    """The array in an IDX file, compressed with gzip or not, in the byte order of this machine.

    Raises `FileError`, which names the file, for one that is truncated, corrupt, or no IDX file; OSError if it cannot be read.
    The format: http://yann.lecun.com/exdb/mnist.

    >>> import pathlib, tempfile
    >>> import tinygrad_edu as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     tg.data.read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    content = path.read_bytes()
    if content.startswith(GZIP):
        content = _decompressed(path, content)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        what = "is empty" if not content else f"begins with {content[:4].hex(' ')}"
        raise FileError(f"{path}: not an IDX file: it {what}, and an IDX file with two zeros, a type and a number of axes")
    dtype, axes = np.dtype(TYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise FileError(f"{path}: truncated: it ends inside the header, after {len(content)} of {start} bytes")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", axes, 4))
    wanted, found = math.prod(shape) * dtype.itemsize, len(content) - start
    if found < wanted:
        raise FileError(
            f"{path}: truncated: its header announces shape {shape}, which takes {wanted:,} bytes, and {found:,} are there"
        )
    if found > wanted:
        raise FileError(f"{path}: corrupt: {found - wanted:,} bytes follow the {wanted:,} that shape {shape} takes")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _decompressed(path: Path, content: bytes) -> bytes:
    import gzip  # slow to import, and only needed here
    import zlib

    try:
        return gzip.decompress(content)
    except EOFError:
        raise FileError(f"{path}: truncated: the compressed data end too early, after {len(content):,} bytes") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileError(f"{path}: corrupt: gzip cannot read it ({error})") from error
