"""What NumPy is asked to do while our own functions run, written down as lines of Python.

Python has no hook between a function and NumPy: an array of another class loses it in ``np.asarray``. So the functions themselves
are changed. A copy is made of each, in which every call, operator, attribute and index goes through a `Transcript`: of a function
of ours it runs such a copy in its turn, and of anything else it notes what was called with which arrays. Arrays stay what they are,
and are known by their identity. What is decided by shapes, dtypes or numbers on the way is decided, and only what was computed is
left.
"""

from __future__ import annotations

import builtins
import functools
import math
import operator
import sys
from collections.abc import Callable, Iterable
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.errors import GraphError
from tinygrad_edu.graph import owner_of
from tinygrad_edu.viz.instrument import OPERATORS, SIGNS, heard, instrumented, is_ours

ARRAYS: Any = (np.ndarray, np.generic, np.flatiter)
ITERATING = (zip, enumerate, list, tuple, iter, map, reversed, sorted)  # these would read the rows of an array unseen
FUNCTION_OF = dict(OPERATORS.values())
IN_PLACE = {symbol: getattr(operator, f"i{function.__name__.strip('_')}", None) for symbol, function in FUNCTION_OF.items()}
BY_NAME = {function: symbol for symbol, function in OPERATORS.values()} | {
    function: f"{symbol}=" for symbol, function in IN_PLACE.items() if function
}


class Line(NamedTuple):
    """A statement: its text, in which variables are numbers in ⟦ ⟧; the variables that it makes, and the one that it changes."""

    text: str
    makes: tuple[int, ...] = ()
    changes: int | None = None


class Transcript:
    """The lines that were written, and which variable every array is."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.numbers: dict[int, int] = {}  # of variables, by the identity of their arrays
        self.alive: list[Any] = []  # every array that has a number: its identity must not be given to another one
        self.memory: list[int] = []  # for each variable, whose memory it is
        self.modules = {"numpy"}  # that the program imports

    # ---------------------------------------------------------------------------------------------------- what is an array

    def new(self, value: Any) -> int:
        """A number for an array that has none."""
        number = len(self.alive)
        self.alive.append(value)
        self.memory.append(id(owner_of(value)) if isinstance(value, np.ndarray) else -number - 1)
        self.numbers[id(value)] = number
        return number

    def same(self, value: Any, as_: Any) -> None:
        """Let an array be the variable that another one is: they hold the same numbers."""
        if isinstance(value, ARRAYS) and id(value) not in self.numbers and id(as_) in self.numbers:
            self.alive.append(value)
            self.memory.append(self.memory[self.numbers[id(as_)]])
            self.numbers[id(value)] = self.numbers[id(as_)]

    def note(self, value: Any, text: Callable[[], str]) -> Any:
        """Write down what made a value, if it is an array or holds some; and return it."""
        if type(value) is np.bool_:  # of which there are only two in a process
            value = np.array(value)
        if isinstance(value, ARRAYS):
            if id(value) not in self.numbers:
                written = text()
                number = self.new(value)
                self.lines.append(Line(f"⟦{number}⟧ = {written}", (number,)))
        elif isinstance(value, tuple | list) and any(isinstance(one, ARRAYS) and id(one) not in self.numbers for one in value):
            written = text()
            values = [np.array(one) if type(one) is np.bool_ else one for one in value]
            makes = [self.new(one) if isinstance(one, ARRAYS) and id(one) not in self.numbers else None for one in values]
            targets = ", ".join("_" if number is None else f"⟦{number}⟧" for number in makes)
            self.lines.append(Line(f"{targets}{',' * (len(makes) == 1)} = {written}", tuple(n for n in makes if n is not None)))
            if any(a is not b for a, b in zip(value, values, strict=True)):
                return type(value)(values)
        return value

    def given(self, value: Any) -> None:
        """Write down an array that nothing in the program made."""
        self.note(value, lambda: _scalar(value) if isinstance(value, np.generic) else _literal(value))

    def changed(self, array: Any, text: str) -> None:
        """Write down a statement that changes an array."""
        self.text(array)
        self.lines.append(Line(text, (), self.numbers[id(array)]))

    # ------------------------------------------------------------------------------------------------------------- as text

    def text(self, value: Any) -> str:
        """A value as Python writes it: an array by its variable."""
        if isinstance(value, ARRAYS):
            if id(value) not in self.numbers:
                if isinstance(value, np.generic):
                    return _scalar(value)
                self.given(value)
            return f"⟦{self.numbers[id(value)]}⟧"
        if isinstance(value, tuple):
            return f"({', '.join(map(self.text, value))}{',' * (len(value) == 1)})"
        if isinstance(value, list):
            return f"[{', '.join(map(self.text, value))}]"
        if isinstance(value, slice):
            return f"slice({self.text(value.start)}, {self.text(value.stop)}, {self.text(value.step)})"
        if value is Ellipsis:
            return "..."
        if isinstance(value, int | float | complex):
            return _element(value)
        if value is None or isinstance(value, str):
            return repr(value)
        if isinstance(value, np.dtype):
            return f"np.{value!r}"
        return self.function(value)

    def function(self, f: Any) -> str:
        """A function or a type by the name that NumPy or Python gives it."""
        owner: Any = getattr(f, "__self__", None)
        if isinstance(owner, ARRAYS):
            return f"{self.text(owner)}.{f.__name__}"
        if isinstance(owner, np.ufunc):
            return f"{self.function(owner)}.{f.__name__}"
        if isinstance(f, type) and issubclass(f, np.generic):
            return f"np.{f.__name__}"
        name = str(getattr(f, "__name__", ""))
        if getattr(builtins, name, None) is f:
            return name
        for module, short in MODULES.items():
            if getattr(sys.modules.get(module), name, None) is f:
                self.modules.add(module if module.startswith("scipy") else "numpy")
                return f"{short}.{name}"
        raise GraphError(
            f"to_numpy_source: {f!r} is no function of NumPy's, and cannot be written down: an operation of the graph computes "
            "with it"
        )

    def arguments(self, args: Iterable[Any], keywords: dict[str, Any]) -> str:
        """What stands between the parentheses of a call."""
        return ", ".join([*map(self.text, args), *[f"{name}={self.text(value)}" for name, value in keywords.items()]])

    # -------------------------------------------------------------------------- the hooks, called in the place of each expression

    def call(self, f: Any, /, *args: Any, **keywords: Any) -> Any:
        """``f(*args, **keywords)``"""
        if isinstance(f, functools.partial):
            if f.func is heard:
                return self.call(*f.args, *args, **f.keywords | keywords)
            return self.call(f.func, *f.args, *args, **f.keywords | keywords)
        if isinstance(f, MethodType) and isinstance(f.__func__, FunctionType):
            return self.call(f.__func__, f.__self__, *args, **keywords)
        if isinstance(f, FunctionType):
            if is_ours(f):
                changed = instrumented(f)
                if changed is not None:
                    return changed(*args, **keywords)
                if any(isinstance(one, ARRAYS) for one in (*args, *keywords.values())):
                    raise GraphError(
                        f"to_numpy_source: the source of {f.__qualname__} is not to be had, so that what it computes cannot be "
                        "written down: define it in a file"
                    )
        elif not isinstance(f, type) and isinstance(vars(type(f)).get("__call__"), FunctionType):
            return self.call(type(f).__call__, f, *args, **keywords)
        args = tuple([self.through(value) for value in args])
        if any(f is one for one in ITERATING):
            args = tuple(map(self.iterate, args))
        value = f(*args, **keywords)
        if isinstance(getattr(f, "__self__", None), dict | list):  # it hands out what somebody has put in, and computes nothing
            return value
        if type(f) is BUILTIN and f in BY_NAME:
            return self._operated(BY_NAME[f], value, *args)
        out = keywords.get("out")
        if out is not None and value is out:
            self.text(out)
            self.changed(out, f"{self.function(f)}({self.arguments(args, keywords)})")
        elif value is None:
            whose = f.__self__ if isinstance(getattr(f, "__self__", None), np.ndarray) else args[0] if args else None
            if isinstance(whose, np.ndarray) and _numpys(f):
                self.changed(whose, f"{self.function(f)}({self.arguments(args, keywords)})")
        return self.note(value, lambda: f"{self.function(f)}({self.arguments(args, keywords)})")

    def _operated(self, symbol: str, value: Any, *args: Any) -> Any:
        """An operation that has a symbol, given as a function of the module operator."""
        if symbol.endswith("=") and symbol not in FUNCTION_OF:
            return self._added(symbol[:-1], value, *args)
        return self.note(value, lambda: symbol.join(f" {self.text(a)} " for a in args).strip() if len(args) > 1 else symbol)

    def _added(self, symbol: str, value: Any, a: Any, b: Any) -> Any:
        if value is a and isinstance(a, np.ndarray):
            self.changed(a, f"{self.text(a)} {symbol}= {self.text(b)}")
            return a
        return self.note(value, lambda: f"{self.text(a)} {symbol} {self.text(b)}")

    def through(self, value: Any) -> Any:
        """A function of ours that somebody else will call, so that it is heard then, too."""
        return functools.partial(heard, value) if isinstance(value, FunctionType) and is_ours(value) else value

    def binary(self, symbol: str, a: Any, b: Any) -> Any:
        """``a + b`` and so on"""
        return self.note(FUNCTION_OF[symbol](a, b), lambda: f"{self.text(a)} {symbol} {self.text(b)}")

    def unary(self, symbol: str, a: Any) -> Any:
        """``-a`` and so on"""
        return self.note(dict(SIGNS.values())[symbol](a), lambda: f"{symbol}{self.text(a)}")

    def in_place(self, symbol: str, a: Any, b: Any) -> Any:
        """What ``a += b`` assigns to a"""
        known: Any = IN_PLACE[symbol]
        return self._added(symbol, known(a, b), a, b)

    def attribute(self, owner: Any, name: str) -> Any:
        """``owner.name``"""
        value = getattr(owner, name)
        return self.note(value, lambda: f"{self.text(owner)}.{name}") if isinstance(owner, ARRAYS) else value

    def item(self, owner: Any, key: Any) -> Any:
        """``owner[key]``"""
        if isinstance(owner, ARRAYS):
            return self.note(owner[key], lambda: f"{self.text(owner)}[{self.key(key)}]")
        return owner[key]

    def set_item(self, owner: Any, key: Any, value: Any) -> None:
        """``owner[key] = value``"""
        if isinstance(owner, np.ndarray):
            self.changed(owner, f"{self.text(owner)}[{self.key(key)}] = {self.text(value)}")
        owner[key] = value

    def set_attribute(self, owner: Any, name: str, value: Any) -> None:
        """``owner.name = value``, as for the real part of an array"""
        if isinstance(owner, np.ndarray):
            self.changed(owner, f"{self.text(owner)}.{name} = {self.text(value)}")
        setattr(owner, name, value)

    def key(self, key: Any) -> str:
        """An index, with slices as they are written in brackets."""
        if isinstance(key, slice):
            ends = ["" if end is None else self.text(end) for end in (key.start, key.stop)]
            return ":".join([*ends, *([] if key.step is None else [self.text(key.step)])])
        if type(key) is tuple and key:
            return ", ".join(map(self.key, key)) + "," * (len(key) == 1)
        return self.text(key)

    def iterate(self, value: Any) -> Any:
        """What ``for … in value`` goes through, or an assignment to several names takes apart."""
        return [self.item(value, i) for i in range(len(value))] if isinstance(value, np.ndarray) and value.ndim else value

    slice = staticmethod(slice)

    # ----------------------------------------------------------------------------------------------------------- the result

    def needed(self, *wanted: int, since: int = 0) -> list[Line]:
        """The lines without those that nothing wanted depends on."""
        live = set(wanted)
        kept = []
        for line in reversed(self.lines[since:]):
            touched = line.changes is not None and self.memory[line.changes] in {self.memory[number] for number in live}
            if touched or live.intersection(line.makes) or not line.text.count("⟦"):
                kept.append(line)
                live |= used_in(line)
        return kept[::-1]


BUILTIN = type(len)
MODULES = {
    "numpy": "np",
    "numpy.linalg": "np.linalg",
    "numpy.fft": "np.fft",
    "numpy.lib.stride_tricks": "np.lib.stride_tricks",
    "scipy.special": "scipy.special",
    "scipy.linalg": "scipy.linalg",
}


def used_in(line: Line) -> set[int]:
    """The variables that a line names."""
    return {int(part.partition("⟧")[0]) for part in line.text.split("⟦")[1:]}


def _scalar(value: np.generic) -> str:
    return f"np.{type(value).__name__}({_element(value)})"


def _literal(array: Any) -> str:
    """An array that nothing in the program made. It lies in memory as it did: a product of matrices depends on that in its last
    digit."""
    if array.size and 0 in array.strides:  # a smaller one is repeated
        own = array[tuple([slice(None) if step else slice(1) for step in array.strides])].copy(order="K")
        return f"np.broadcast_to({_literal(own)}, {array.shape})"
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return f"{_literal(array.T)}.T"
    if array.size and (array == array.flat[0]).all() and array.size > 3:
        return f"np.full({array.shape}, {_scalar(array.flat[0])})"
    elements = np.array2string(
        array, separator=", ", threshold=sys.maxsize, max_line_width=10**9, floatmode="unique", formatter={"all": _element}
    ).replace("\n", "")
    return f"np.array({elements}, {str(array.dtype)!r})" if array.size else f"np.empty({array.shape}, {str(array.dtype)!r})"


def _element(x: Any) -> str:
    """A number as Python writes it; of complex ones both parts, for 1 − 0j would lose the sign of its zero."""
    item = x.item() if isinstance(x, np.generic) else x
    if isinstance(item, complex):
        return f"complex({_element(item.real)}, {_element(item.imag)})"
    if isinstance(item, float) and not math.isfinite(item):
        return "np.nan" if math.isnan(item) else "np.inf" if item > 0 else "-np.inf"
    return repr(item)


def _numpys(f: Any) -> bool:
    owner = getattr(f, "__self__", None)
    return isinstance(owner, np.ndarray | np.ufunc) or (getattr(f, "__module__", None) or "").startswith("numpy")
