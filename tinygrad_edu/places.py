"""Where the user's program is: which file and line an explanation or an error names."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar, overload

INSIDE = __name__.partition(".")[0] + "."  # how the names of this library's modules begin


class Place:
    """A point of a program, kept as cheaply as it can be and looked up when somebody asks."""

    __slots__ = ("code", "last")

    def __init__(self, frame: FrameType) -> None:
        self.code = frame.f_code
        self.last = frame.f_lasti

    def __str__(self) -> str:
        line = next(itertools.islice(self.code.co_positions(), self.last // 2, None))[0]
        return f"{self.code.co_filename}:{line}"


P = TypeVar("P", bound=Place)


@overload
def caller() -> Place: ...
@overload
def caller(kind: type[P], inside: int = 1) -> P: ...
@overload
def caller(*, called_by: CodeType | None) -> Place | None: ...
def caller(kind: Any = Place, inside: int = 1, called_by: CodeType | None = None) -> Any:
    """Where the user's program is: the innermost frame outside this library. The last few calls are known to be ``inside``. Of a
    function that is ``called_by`` code of this library, a frame of that function: None if all of it is this library's."""
    inner = sys._getframe(inside)
    frame: FrameType | None = inner
    while frame is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
        if frame.f_code is called_by:
            return None
        frame = frame.f_back
    return kind(frame or inner)


def place_of(function: Callable[..., Any] | None) -> str:
    """The file and the line of a function's text; of an operation, that of its forward."""
    function = getattr(getattr(function, "op", None), "forward", function)
    code = getattr(function, "__code__", None) or getattr(getattr(function, "func", None), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)
