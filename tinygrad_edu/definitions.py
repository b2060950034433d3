"""The source of a function as a syntax tree, and a function made of a changed tree."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Mapping
from types import CodeType, FunctionType, MappingProxyType
from typing import Any, TypeAlias

Definition: TypeAlias = ast.Lambda | ast.FunctionDef
EMPTY: Mapping[str, Any] = MappingProxyType({})


@functools.lru_cache
def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except SyntaxError:
        return None


def definition_of(function: FunctionType) -> Definition | None:
    """The syntax tree of a function or lambda, or None where its source is not to be had. Of several lambdas in one line it is the
    one in which the code's instructions stand. The tree is shared: change a copy."""
    code = function.__code__
    tree = _tree("".join(linecache.getlines(code.co_filename)))
    found = [
        node
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Lambda | ast.FunctionDef)
        and min([node.lineno, *[d.lineno for d in getattr(node, "decorator_list", [])]]) == code.co_firstlineno
        and [a.arg for a in [*node.args.posonlyargs, *node.args.args]] == list(code.co_varnames[: code.co_argcount])
        and _holds(node, code)
    ]
    return min(found, key=_extent) if found else None


def _extent(node: Definition) -> tuple[int, int]:
    return (node.end_lineno or 0) - node.lineno, (node.end_col_offset or 0) - node.col_offset


def _holds(node: Definition, code: CodeType) -> bool:
    start = (node.lineno, node.col_offset)
    end = (node.end_lineno or 0, node.end_col_offset or 0)
    places = [p for p in code.co_positions() if None not in p and p[2:] != (0, 0)]
    return all(start <= (p[0], p[2]) and (p[1], p[3]) <= end for p in places)


def compiled(
    definition: Definition, function: FunctionType, namespace: dict[str, Any], kind: str, enclosing: Mapping[str, Any] = EMPTY
) -> FunctionType:
    """The function of a syntax tree, with the defaults and the enclosing variables of the one that it was made of, and those in
    ``enclosing``. ``kind`` says in tracebacks what was made of it."""
    if isinstance(definition, ast.FunctionDef):
        definition.decorator_list = []
        body: list[ast.stmt] = [definition, ast.Return(ast.Name(definition.name, ast.Load()))]
    else:
        body = [ast.Return(definition)]
    cells = function.__closure__ or ()
    parameters = [ast.arg(name) for name in (*function.__code__.co_freevars, *enclosing)]
    arguments = ast.arguments([], parameters, None, [], [], None, [])
    make = ast.FunctionDef("make", arguments, body, [], None, None)
    module = ast.parse("from __future__ import annotations")
    module.body.append(make)
    local: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(module), f"<{kind} of {function.__qualname__}>", "exec"), namespace, local)
    made: FunctionType = local["make"](*[cell.cell_contents for cell in cells], *enclosing.values())
    made.__defaults__, made.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    return made
