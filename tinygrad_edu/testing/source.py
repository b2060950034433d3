"""Small changes of a function's source: a term dropped, an operator replaced, a call left out."""

from __future__ import annotations

import ast
import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

from tinygrad_edu.definitions import Definition, compiled, definition_of
from tinygrad_edu.registry import FUNCTIONS


def changes_of(function: Callable[..., Any]) -> Iterator[tuple[str, Callable[[], Callable[..., Any]]]]:
    """Every small change of a function's source, or of that of the private functions of its module that it calls: what was changed,
    and how to make the function that results. Nothing where there is no source, as in an interactive session.

    >>> import tinygrad_edu as tg
    >>> for change, make in changes_of(tg.multiply.op.rules["a"]):
    ...     print(change, make()(6.0, 2.0))
    g * b → g / b 3.0
    g * b → g 6.0
    g * b → b 2.0
    """
    if not isinstance(function, FunctionType):
        return
    helpers = _helpers(function)
    for name, changed in [("", function), *helpers.items()]:
        definition = definition_of(changed)
        for description, variation in _variations(definition) if definition else ():
            make = functools.partial(_with_change, function, helpers, name, variation)
            yield (f"{name}: {description}" if name else description), make


def _with_change(
    function: FunctionType, helpers: Mapping[str, FunctionType], name: str, variation: Definition
) -> Callable[..., Any]:
    """The function with a variation of itself, or of the helper of that name: functions that look each other up in a copy of their
    module, in which one of them is wrong."""
    namespace = dict(function.__globals__)
    namespace.update({helper: _moved(theirs, namespace) for helper, theirs in helpers.items()})
    wrong = compiled(variation, helpers.get(name, function), namespace, "mutant")
    if not name:
        return wrong
    namespace[name] = wrong
    return _moved(function, namespace)


# ----------------------------------------------------------------------------------------------------- finding the source


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*[_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)])


def _helpers(function: FunctionType) -> dict[str, FunctionType]:
    """The functions of its module that a function calls, and that they call, without the public ones and without checks."""
    found: dict[str, FunctionType] = {}
    pending = [function]
    for one in pending:
        for name in sorted(_names(one.__code__)):
            helper = function.__globals__.get(name)
            if not isinstance(helper, FunctionType) or helper.__module__ != function.__module__ or helper is function:
                continue
            public = hasattr(helper, "op") or any(helper is operation for operation in FUNCTIONS.values())
            if not public and name not in found and not _checks(helper):
                found[name] = helper
                pending.append(helper)
    return found


def _checks(function: FunctionType) -> bool:
    """Whether a function only refuses or warns: it returns nothing, or its argument as it was, and computes no derivative."""
    definition = definition_of(function)
    inside = list(ast.walk(definition)) if isinstance(definition, ast.FunctionDef) else []
    returns = [node for node in inside if isinstance(node, ast.Return) and node.value is not None]
    warns = any(isinstance(node, ast.Call) and _called(node) == "warn" for node in inside)
    return bool(inside) and (not returns or warns)


# ------------------------------------------------------------------------------------------------------ making functions


def _moved(function: FunctionType, namespace: dict[str, Any]) -> FunctionType:
    """The same function, which looks up names in another namespace."""
    moved = FunctionType(function.__code__, namespace, function.__name__, function.__defaults__, function.__closure__)
    moved.__kwdefaults__ = function.__kwdefaults__
    return moved


# -------------------------------------------------------------------------------------------------------- the variations


READABLE = 60  # characters


def _variations(definition: Definition) -> Iterator[tuple[str, Definition]]:
    """Every variation of a function in one place, and what it changes."""
    tree = copy.deepcopy(definition)
    if not isinstance(tree.body, list):
        yield from _in_place(tree, tree, "body", None, tree.body)
        return
    for index, statement in enumerate(tree.body):
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not docstring:
            yield from _in_place(tree, tree, "body", index, statement)


def _in_place(tree: Definition, parent: ast.AST, name: str, index: int | None, node: ast.AST) -> Iterator[tuple[str, Definition]]:
    if isinstance(node, ast.Raise | ast.Assert) or (isinstance(node, ast.Call) and _called(node) in UNTOUCHED):
        return

    def put(value: ast.AST) -> None:
        if index is None:
            setattr(parent, name, value)
        else:
            getattr(parent, name)[index] = value

    for other in _alternatives(node):
        # With what stands around it, where that is short enough to be read.
        around = ast.unparse(parent) if isinstance(parent, ast.expr) and not isinstance(parent, ast.Lambda | ast.Slice) else ""
        before = around if 0 < len(around) <= READABLE else ast.unparse(node)
        put(other)
        yield f"{_short(before)} → {_short(ast.unparse(parent if before is around else other))}", copy.deepcopy(tree)
        put(node)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "ctx", "decorator_list") or (isinstance(node, ast.While) and field == "test"):
            continue
        for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield from _in_place(tree, node, field, i, child)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= READABLE + 20 else text[: READABLE + 19] + "…"


UNTOUCHED = {"isinstance", "hasattr", "getattr", "len", "range", "enumerate", "zip", "type"}  # calls about types and lengths
UNSWAPPED = {"reshape", "sum_to", "broadcast_to", "transpose", "expand_dims", "astype", "keep"}  # of an array and a shape
MODULES = {"np", "math", "tg"}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.GtE, ast.LtE),
    ast.LtE: (ast.Gt, ast.Lt),
    ast.Gt: (ast.LtE, ast.GtE),
    ast.GtE: (ast.Lt, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
PAIRS = ["sum mean", "max min", "maximum minimum", "sin cos", "sinh cosh", "tril triu", "zeros_like ones_like", "where where"]
INSTEAD = {a: b for pair in PAIRS for a, b in [pair.split(), pair.split()[::-1]]}


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def _alternatives(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in the place of a piece of a program, by mistake."""
    match node:
        case ast.BinOp(left, operator, right):
            if type(operator) in OPERATORS:
                yield ast.BinOp(left, OPERATORS[type(operator)](), right)
            if isinstance(operator, ast.MatMult):
                yield ast.BinOp(right, operator, left)
            yield left
            yield right
        case ast.UnaryOp(ast.USub() | ast.Not() | ast.Invert(), operand):
            yield operand
        case ast.Constant(value):
            if isinstance(value, bool):
                yield ast.Constant(not value)
            elif isinstance(value, int | float):
                yield ast.Constant(value + 1)
            elif isinstance(value, complex):
                yield ast.Constant(-value)
        case ast.Compare(left, [operator], [right]):
            for other in COMPARISONS[type(operator)]:
                yield ast.Compare(left, [other()], [right])
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.IfExp(_, body, otherwise):
            yield body
            yield otherwise
        case ast.If(test, body, otherwise) if not isinstance(test, ast.Compare):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, otherwise)
        case ast.Attribute(value, "T" | "mT" | "real" | "imag"):
            yield value
        case ast.Call():
            yield from _other_calls(node)
        case ast.AugAssign(target, operator, value):
            yield ast.Assign([target], value, lineno=node.lineno)


def _other_calls(call: ast.Call) -> Iterator[ast.AST]:
    arguments: Sequence[ast.expr] = call.args
    if any(isinstance(a, ast.Starred) for a in arguments):
        return
    name = _called(call)
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if isinstance(owner, ast.Name) and owner.id in MODULES:
        owner = None
    if name == "where" and len(arguments) == 3:
        yield ast.Call(call.func, [arguments[0], arguments[2], arguments[1]], call.keywords)
    elif name in INSTEAD:
        other = copy.deepcopy(call.func)
        setattr(other, "attr" if isinstance(other, ast.Attribute) else "id", INSTEAD[name])
        yield ast.Call(other, list(arguments), call.keywords)
    elif len(arguments) == 2 and owner is None and name not in UNSWAPPED:
        yield ast.Call(call.func, [arguments[1], arguments[0]], call.keywords)
    if owner is not None:
        yield owner  # the array whose method it is
    elif arguments:
        yield arguments[0]
