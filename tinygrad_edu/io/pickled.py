"""Pickled arrays, such as the weights that come with *Deep Learning from Scratch*, read without running anything.

A pickle is a program: it can name any function and have it called. This reader knows the few names that describe a NumPy array,
and gives each of them a stand-in that only notes what it is told. NumPy's own unpickling is not run either, for it believes what it
reads. The arrays are made at the end, from notes that have been checked.
"""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import FileError

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

DEPTH = 50  # of lists in lists; more is no set of weights


class _DType:
    """Stands for a dtype: a kind and a size, and later the order of bytes."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else code
        self.order: Any = "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def dtype(self) -> np.dtype[Any]:
        if not (isinstance(self.code, str) and self.code[:1] in "biufc" and self.code[1:].isdigit() and self.order in "<>=|"):
            raise pickle.UnpicklingError(f"it contains an array of dtype {self.code!r}, which is not numeric")
        return np.dtype(self.code).newbyteorder(self.order)


class _Array:
    """Stands for an array: its shape, its dtype and its bytes."""

    state: Any = None

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> Array:
        try:
            _, shape, dtype, by_columns, content = self.state
            kind = dtype.dtype()
            content = content.encode("latin1") if isinstance(content, str) else content  # as Python 2 wrote it
            if math.prod(shape) * kind.itemsize != len(content):
                raise pickle.UnpicklingError(f"an array of shape {shape} and dtype {kind} cannot have {len(content)} bytes")
            array: Array = np.frombuffer(content, kind).reshape(shape, order="F" if by_columns else "C")
        except (TypeError, ValueError, AttributeError) as error:
            raise pickle.UnpicklingError(f"it describes an array in a way that NumPy does not ({error})") from error
        return array.astype(kind.newbyteorder("="))


class _Buffer(_Array):
    """Stands for an array as protocol 5 describes it."""

    def __init__(self, content: Any, dtype: Any, shape: Any, order: Any) -> None:
        self.state = (1, shape, dtype, order == "F", content)


class _Bytes:
    """Stands for `bytes` and `_codecs.encode`, by which old protocols write bytes. A class with ``__setstate__``, like the others,
    so that a pickle cannot change it."""

    def __new__(cls, text: str = "", _: str = "latin1") -> Any:
        return text.encode("latin1")

    def __setstate__(self, state: Any) -> None: ...


ADMITTED = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _Buffer,
    ("numpy._core.numeric", "_frombuffer"): _Buffer,
    ("_codecs", "encode"): _Bytes,
    ("builtins", "bytes"): _Bytes,
    ("__builtin__", "bytes"): _Bytes,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, and only NumPy arrays are admitted")
        return ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside of the file, and only NumPy arrays are admitted")


def load_pickle(path: Path) -> Any:
    """Arrays, numbers and texts, in dictionaries, lists and tuples. Anything else is refused by name, and nothing is run."""
    try:
        return _finished(_ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load(), DEPTH, {})
    except pickle.UnpicklingError as error:
        raise FileError(f"{path}: refused, and nothing in it was run: {error}") from error
    except (EOFError, IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise FileError(f"{path}: truncated, corrupt, or not a pickle ({type(error).__name__}: {error})") from error


def _finished(value: Any, depth: int, done: dict[int, Any]) -> Any:
    """The same, with arrays in the place of their stand-ins; what is there twice is made once."""
    if id(value) not in done:
        done[id(value)] = _made(value, depth, done)
    return done[id(value)]


def _made(value: Any, depth: int, done: dict[int, Any]) -> Any:
    if depth == 0:
        raise pickle.UnpicklingError(f"its lists and dictionaries are nested more than {DEPTH} deep")
    if isinstance(value, _Array):
        return value.array()
    if type(value) is dict:
        return {_finished(key, depth - 1, done): _finished(part, depth - 1, done) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)([_finished(part, depth - 1, done) for part in value])
    if type(value) in (str, bytes, bool, int, float, complex, type(None)):
        return value
    raise pickle.UnpicklingError(f"it contains a {type(value).__name__.strip('_')}, and only NumPy arrays are admitted")
