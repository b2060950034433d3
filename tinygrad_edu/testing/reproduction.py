"""A program that shows a wrong derivative again: short enough to read, complete enough to run where the function is known."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.definitions import definition_of
from tinygrad_edu.places import place_of
from tinygrad_edu.registry import FUNCTIONS
from tinygrad_edu.transforms import name_of

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

SMALL = 24  # elements of an array that is written out
LONG = 300  # characters of a lambda that is written out


def reproduction(
    checker: str,
    functions: dict[str, Any],
    inputs: Sequence[Any],
    options: dict[str, Any],
    wrong: Callable[[Sequence[Any]], bool] | None = None,
) -> str:
    """The program: imports, the inputs, the call.

    ``functions`` are what is checked, with the names to give to those that have none. Inputs of more than 24 elements are replaced
    by random ones of their range, if ``wrong`` says that the derivative is wrong there, too; otherwise they are to be filled in.
    """
    imports = ["import numpy as np", "import tinygrad_edu as tg"]
    lines: list[str] = []
    names: list[str] = []
    for name, function in functions.items():
        known, before = _written(function, name)
        names.append(known)
        for line in before:
            (imports if line.startswith(("from ", "import ")) else lines).append(line)
    imports, lines = list(dict.fromkeys(imports)), list(dict.fromkeys(lines))
    texts = [_literal(x) for x in inputs]
    large = [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.size > SMALL]
    if large and wrong is not None:
        similar = [_similar(x, i) if i in large else x for i, x in enumerate(inputs)]
        if _happens(wrong, similar):
            for i in large:
                texts[i] = f"{_similar_text(inputs[i], i)}  # in place of yours: it is wrong here, too"
    lines += [f"x{i} = {text}" for i, text in enumerate(texts)]
    words = [*names, *[f"x{i}" for i in range(len(inputs))], *[f"{key}={value!r}" for key, value in options.items()]]
    call = f"tg.testing.{checker}({', '.join(words)})"
    return "\n".join([*imports, "", *lines, call if checker.startswith("assert") else f"print({call})"])


def _happens(wrong: Callable[[Sequence[Any]], bool], inputs: Sequence[Any]) -> bool:
    try:
        with np.errstate(all="ignore"):
            return wrong(inputs)
    except Exception:  # the function does not like these numbers
        return False


def _written(function: Any, otherwise: str) -> tuple[str, list[str]]:
    """What a function is called in the program, and the lines that say what it is."""
    name: str = getattr(function, "__name__", "")
    if name.isidentifier():
        if FUNCTIONS.get(name) is function:
            return f"tg.{name}", []
        if inspect.ismethod(function):
            owner: Any = function.__self__
            return name, [f"{name} = ...  # {name_of(owner)}.{name}"]
        module = sys.modules.get(getattr(function, "__module__", None) or "")
        if module is not None and getattr(module, name, None) is function and module.__name__ != "__main__":
            return name, [f"from {module.__name__} import {name}"]
        return name, [f"# {name} is the function at {place_of(function)}"]
    definition = definition_of(function) if isinstance(function, FunctionType) else None
    text = ast.unparse(definition) if isinstance(definition, ast.Lambda) else ""
    if 0 < len(text) <= LONG:
        return otherwise, [*_what_it_uses(function), f"{otherwise} = {text}"]
    return otherwise, [f"{otherwise} = ...  # your {name_of(function).strip('<>')}"]


def _what_it_uses(function: FunctionType) -> Iterator[str]:
    """Lines that define the other names in a function's text, or say what they are: it may be run where they are known."""
    found = inspect.getclosurevars(function)
    for name, value in {**found.globals, **found.nonlocals}.items():
        if isinstance(value, ModuleType):
            yield f"import {value.__name__}" + (f" as {name}" if name != value.__name__ else "")
        elif name in found.globals and function.__module__ != "__main__":
            yield f"from {function.__module__} import {name}"
        elif (text := _expression(value)) is not None or (isinstance(value, np.ndarray) and value.size <= SMALL):
            yield f"{name} = {text or _literal(value)}"
        else:
            yield f"# {name} is your {name_of(value) if callable(value) else type(value).__name__}"


# ------------------------------------------------------------------------------------------------------------------ arrays


def _literal(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return _expression(value) or f"...  # yours: {type(value).__name__}"
    if value.size > SMALL:
        return f"...  # yours: {value.shape} {value.dtype}, between {np.min(value):.4g} and {np.max(value):.4g}"
    with np.printoptions(threshold=SMALL, precision=17, floatmode="unique"):
        body = np.array2string(value, separator=", ", max_line_width=10**6).replace("\n", "")
    kind = "" if value.dtype in (np.float64, np.int64, np.complex128, np.bool_) else f", np.{value.dtype}"
    text = f"np.array({' '.join(body.split())}{kind})" if value.size else f"np.zeros({value.shape}{kind})"
    return text.replace("nan", "np.nan").replace("inf", "np.inf")


def _expression(value: Any) -> str | None:
    """Python's own text of a value, if that can be run: not of an object that only tells of itself."""
    text = repr(value)
    try:
        names = {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}
    except SyntaxError:
        return None
    return text if names <= vars(builtins).keys() else None


def _range(x: Array) -> tuple[float, float]:
    """Round bounds within the range of the numbers, so that what is positive stays positive."""
    low, high = float(np.min(x.real)), float(np.max(x.real))
    unit = 10.0 ** (np.floor(np.log10(high - low)) - 2) if high > low else 1.0
    inside = [float(f"{bound * unit:.10g}") for bound in (np.ceil(low / unit), np.floor(high / unit))]
    return (inside[0], inside[1]) if low <= inside[0] < inside[1] <= high else (low, high)


def _similar_text(x: Array, seed: int) -> str:
    """An expression for random numbers of the same shape, dtype and range."""
    rng, shape = f"np.random.default_rng({seed})", x.shape if len(x.shape) != 1 else x.shape[0]
    if x.dtype.kind in "bui":
        text = f"{rng}.integers({int(np.min(x))}, {int(np.max(x)) + 1}, {shape})"
        return text if x.dtype == np.int64 else f"{text}.astype({x.dtype.name!r})"
    low, high = _range(x)
    text = f"{rng}.uniform({low}, {high}, {shape})"
    if x.dtype.kind == "c":
        text = f"{text} * (1 + 0.5j)"
    return text if x.dtype in (np.float64, np.complex128) else f"{text}.astype({x.dtype.name!r})"


def _similar(x: Array, seed: int) -> Array:
    """The numbers of that expression."""
    return np.asarray(eval(_similar_text(x, seed), {"np": np}))
