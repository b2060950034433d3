"""What a function can be called with. Of a plain function it is read from its code object: hundreds are read while the library is
imported, and `inspect.signature` takes ten times as long."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

from tinygrad_edu.errors import PrimitiveError

EMPTY: Any = inspect.Parameter.empty  # the default of a parameter that has none


class Signature(NamedTuple):
    """The names of a function's parameters by their kind, and the defaults of those that have one."""

    positional_only: tuple[str, ...]
    positional: tuple[str, ...]  # those that can be named as well
    keyword_only: tuple[str, ...]
    collecting: bool  # whether there is *args or **options
    defaults: dict[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return self.positional_only + self.positional + self.keyword_only


def signature_of(function: Callable[..., Any]) -> Signature:
    """The signature of any callable. Raises ValueError where Python knows none, as of some functions in C."""
    if isinstance(function, FunctionType) and not vars(function):  # __wrapped__ or __signature__ may say something else
        code = function.__code__
        by_place, count = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
        names, only = code.co_varnames[:count], code.co_posonlyargcount
        given = function.__defaults__ or ()
        defaults = dict(zip(names[by_place - len(given) : by_place], given, strict=True)) | (function.__kwdefaults__ or {})
        collecting = bool(code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS))
        return Signature(names[:only], names[only:by_place], names[by_place:], collecting, defaults)
    parameters = inspect.signature(function).parameters.values()

    def of(kind: Any) -> tuple[str, ...]:
        return tuple([p.name for p in parameters if p.kind is kind])

    kinds = inspect.Parameter
    return Signature(
        of(kinds.POSITIONAL_ONLY),
        of(kinds.POSITIONAL_OR_KEYWORD),
        of(kinds.KEYWORD_ONLY),
        bool(of(kinds.VAR_POSITIONAL) + of(kinds.VAR_KEYWORD)),
        {p.name: p.default for p in parameters if p.default is not EMPTY},
    )


def split_signature(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """(operands, metadata with defaults) of a forward function. Operands are the positional-only parameters or, where there
    are none, the positional parameters without a default."""
    found = signature_of(function)
    operands = found.positional_only or tuple([name for name in found.positional if name not in found.defaults])
    if not operands or found.collecting:
        name = getattr(function, "__name__", type(function).__name__)
        raise PrimitiveError(
            f"{name}: operands come first, as in f(a, b, /, axis=None), and metadata follows by name; *args and "
            f"**options are not supported (variadic=True takes a sequence of operands); got {inspect.signature(function)}"
        )
    return operands, {name: found.defaults.get(name, EMPTY) for name in found.names if name not in operands}
