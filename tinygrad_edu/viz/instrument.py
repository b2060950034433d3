"""Copies of our functions in which every call, operator, attribute and index goes through hooks: see `Transcript`."""

from __future__ import annotations

import ast
import copy
import functools
import operator
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from types import FunctionType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tinygrad_edu.definitions import compiled, definition_of

if TYPE_CHECKING:
    from tinygrad_edu.viz.transcript import Transcript

OPERATORS: dict[type[ast.AST], tuple[str, Callable[..., Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", operator.pow),
    ast.MatMult: ("@", operator.matmul),
    ast.BitAnd: ("&", operator.and_),
    ast.BitOr: ("|", operator.or_),
    ast.BitXor: ("^", operator.xor),
    ast.LShift: ("<<", operator.lshift),
    ast.RShift: (">>", operator.rshift),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}
SIGNS: dict[type[ast.AST], tuple[str, Callable[..., Any]]] = {
    ast.USub: ("-", operator.neg),
    ast.UAdd: ("+", operator.pos),
    ast.Invert: ("~", operator.invert),
}

CURRENT: ContextVar[Transcript] = ContextVar("tinygrad_edu_transcript")  # the one that is being written
FOREIGN = sys.stdlib_module_names | {"numpy", "scipy"}
MARK = "<transcript of "
RULES = "tinygrad_edu.rules"  # the module that a node's compiled rules say they are of


def is_ours(function: FunctionType) -> bool:
    """Whether a function is the library's or its user's, and not NumPy's or Python's."""
    module = function.__module__ or "__main__"
    return module.partition(".")[0] not in FOREIGN and not module.startswith("tinygrad_edu.viz")


class _Hooks:
    """What changed functions call: the transcript that is being written."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what is no hook, and is asked of any object by those who look around
            raise AttributeError(name)
        return getattr(CURRENT.get(), name)


HOOKS = _Hooks()


def heard(function: Any, /, *args: Any, **keywords: Any) -> Any:
    return CURRENT.get().call(function, *args, **keywords)


# By function, for as long as it lives.
_COPIES: WeakKeyDictionary[FunctionType, Any] = WeakKeyDictionary()


def instrumented(function: FunctionType) -> Any:
    """The function, changed so that it tells the current transcript what it does; None where its source is not to be had."""
    if function.__code__.co_filename.startswith(MARK):
        return function
    if function not in _COPIES:
        _COPIES[function] = _copied(function)
    return _COPIES[function]


def _copied(function: FunctionType) -> Any:
    if function.__globals__.get("__name__") == RULES:
        # It was made by eval, around a rule that it gets to through its globals.
        listening = {
            name: functools.partial(heard, value) if isinstance(value, FunctionType | functools.partial) else value
            for name, value in function.__globals__.items()
        }
        return FunctionType(function.__code__, listening, function.__name__, function.__defaults__, function.__closure__)
    definition = definition_of(function)
    if definition is None:
        return None
    changed = _Changes().visit_whole(copy.deepcopy(definition))
    return compiled(changed, function, function.__globals__, "transcript", {"__t__": HOOKS})


def _hook(name: str, *args: ast.expr, keywords: Iterable[ast.keyword] = ()) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name("__t__", ast.Load()), name, ast.Load()), list(args), list(keywords))


class _Changes(ast.NodeTransformer):
    """Puts a hook in the place of each expression that NumPy could be asked with."""

    def visit_whole(self, definition: Any) -> Any:
        """The function itself, whose decorators and defaults have been at work."""
        definition.args = self._bare(definition.args)
        definition.args.defaults = [ast.Constant(None) for _ in definition.args.defaults]
        definition.args.kw_defaults = [d and ast.Constant(None) for d in definition.args.kw_defaults]
        if isinstance(definition, ast.Lambda):
            definition.body = self.visit(definition.body)
        else:
            definition.decorator_list, definition.returns = [], None
            module: Any = self.generic_visit(ast.Module(definition.body, []))
            definition.body = module.body
        return definition

    def _bare(self, arguments: ast.arguments) -> ast.arguments:
        for argument in ast.walk(arguments):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        return arguments

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self._bare(node.args)
        node.returns = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        return _hook("call", node.func, *node.args, keywords=node.keywords)

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        self.generic_visit(node)
        return _hook("binary", ast.Constant(OPERATORS[type(node.op)][0]), node.left, node.right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) or isinstance(node.operand, ast.Constant):
            return node
        return _hook("unary", ast.Constant(SIGNS[type(node.op)][0]), node.operand)

    def visit_Compare(self, node: ast.Compare) -> Any:
        self.generic_visit(node)
        if len(node.ops) > 1 or type(node.ops[0]) not in OPERATORS:
            return node
        return _hook("binary", ast.Constant(OPERATORS[type(node.ops[0])][0]), node.left, node.comparators[0])

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        self.generic_visit(node)
        return _hook("attribute", node.value, ast.Constant(node.attr)) if isinstance(node.ctx, ast.Load) else node

    def visit_Slice(self, node: ast.Slice) -> Any:
        self.generic_visit(node)
        return _hook("slice", *[part or ast.Constant(None) for part in (node.lower, node.upper, node.step)])

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        self.generic_visit(node)
        return _hook("item", node.value, node.slice) if isinstance(node.ctx, ast.Load) else node

    def visit_Assign(self, node: ast.Assign) -> Any:
        self.generic_visit(node)
        target = node.targets[0]
        if not isinstance(target, ast.Tuple):
            return self._assigned(target, node.value) or node
        node.value = _hook("iterate", node.value)
        further = []
        for place, part in enumerate(target.elts):
            name = f"__{place}__"
            statement = self._assigned(part, ast.Name(name, ast.Load()))
            if statement:
                target.elts[place] = ast.Name(name, ast.Store())
                further.append(statement)
        return [node, *further]

    def _assigned(self, target: ast.expr, value: ast.expr) -> ast.stmt | None:
        """The statement for an assignment to a part of something."""
        if isinstance(target, ast.Subscript):
            return ast.Expr(_hook("set_item", target.value, target.slice, value))
        if isinstance(target, ast.Attribute):
            return ast.Expr(_hook("set_attribute", target.value, ast.Constant(target.attr), value))
        return None

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return ast.Pass()
        return self.visit_Assign(ast.Assign([node.target], node.value, lineno=node.lineno))

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        self.generic_visit(node)
        symbol, target = ast.Constant(OPERATORS[type(node.op)][0]), node.target
        if isinstance(target, ast.Name):
            before = ast.Name(target.id, ast.Load())
            return ast.Assign([target], _hook("in_place", symbol, before, node.value), lineno=node.lineno)
        if isinstance(target, ast.Subscript):
            before_ = _hook("item", target.value, target.slice)
            return ast.Expr(_hook("set_item", target.value, target.slice, _hook("in_place", symbol, before_, node.value)))
        return node

    def visit_For(self, node: ast.For) -> Any:
        self.generic_visit(node)
        node.iter = _hook("iterate", node.iter)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        self.generic_visit(node)
        node.iter = _hook("iterate", node.iter)
        return node

    def visit_Raise(self, node: ast.Raise) -> Any:
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        return node
