"""Recording: what happens when an operation is called.

Each primitive gets one of four call functions, made for its number of operands, because the way from the operator to NumPy
and back is most of what a small operation costs. All of them end in `record`, the only place where nodes are made.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.cuts import cut
from tinygrad_edu.errors import DTypeError, PrimitiveError, ShapeError
from tinygrad_edu.graph import MODE, Constant, Cut, Node, Variable, next_serial
from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.signatures import EMPTY, signature_of

if TYPE_CHECKING:
    from tinygrad_edu.primitive import Primitive

ndarray = np.ndarray
new_object = object.__new__
current_mode = MODE.get
PLAIN = frozenset({float, int, bool, complex, ndarray})  # operands that need no conversion


def record(
    op: Primitive,
    cls: type[Variable],
    y: Any,
    mask: int,
    inputs: tuple[Any, ...],
    arrays: tuple[Any, ...],
    params: dict[str, Any],
) -> Variable:
    """Wrap a forward's result in a tensor and, when an operand requires grad, record the node. ``inputs`` are the operands'
    vertices (or plain values), ``arrays`` their arrays (and the residuals), ``mask`` the bit set of those that require grad."""
    if y.__class__ is not ndarray:
        y = np.asarray(y)
    if op.may_alias:
        y = y.view()  # what the function returned may be somebody's array, and is not to become read-only
    y.setflags(False)
    tensor = new_object(cls)
    tensor._data = y
    tensor._node = None
    if mask:
        recording, scope, on_record, _, _ = current_mode()
        if recording:
            variant = op.variants.get(mask) or op.variant(mask, len(inputs))
            active = variant.active
            if active:
                shape = y.shape
                if op.elementwise:
                    for position, _ in active:
                        if inputs[position].shape != shape:
                            inputs = _through_repeat(inputs, position, shape, scope)
                        else:
                            shape = inputs[position].shape  # one tuple for a whole chain
                node = new_object(Node)
                node.op = op
                node.inputs = inputs
                node.active = active
                save = variant.save
                node.saved = () if save is None else save((None, y, *arrays))
                node.params = params
                node.shape = shape
                node.dtype = y.dtype
                node.serial = next_serial()
                node.scope = scope
                node.name = node.receipt = None
                tensor._node = node
                if on_record:
                    for tell in on_record:
                        tell(node, y, arrays)
            else:
                tensor._node = cut(y, op.name, inputs)
        else:
            tensor._node = cut(y, "no_grad", inputs)
    elif Cut in map(type, inputs):  # the gradient ended further up: remember where
        tensor._node = cut(y, op.name, inputs)
    return tensor


def _through_repeat(inputs: tuple[Any, ...], position: int, shape: Any, scope: Any) -> tuple[Any, ...]:
    """Let a broadcast operand enter through a node that repeats it. NumPy has broadcast already, so nothing is computed."""
    op: Any = REGISTRY["broadcast_to"]
    source = inputs[position]
    node = new_object(Node)
    node.op = op
    node.inputs = (source,)
    node.active = (op.variants.get(1) or op.variant(1, 1)).active
    node.saved = ()
    node.params = {"shape": shape}
    node.shape = shape
    node.dtype = source.dtype
    node.serial = next_serial()
    node.scope = scope
    node.name = node.receipt = None
    return (*inputs[:position], node, *inputs[position + 1 :])


def plain(op: Primitive, value: Any) -> Any:
    """An operand that is not a tensor, as something NumPy computes with."""
    if isinstance(value, np.generic):
        return value
    try:
        array = np.asarray(value)
    except DTypeError as error:  # of one that requires grad
        raise DTypeError(f"{op.name}: an operand is a {type(value).__name__} of tensors; make one of them with tg.stack") from error
    except ValueError as error:
        raise ShapeError(f"{op.name}: an operand is a ragged sequence that is no array: {error}") from error
    if array.dtype.kind not in "biufc":
        raise DTypeError(
            f"{op.name}: an operand of type {type(value).__name__} (dtype {array.dtype}) is not numeric; "
            "pass a Tensor, an array or a number"
        )
    return array


def vertex_of(tensor: Variable) -> Any:
    """The tensor's vertex, made now for a result that was not recorded."""
    if tensor._node is None:
        tensor._node = Constant(tensor._data, tensor._data.shape, tensor._data.dtype)
    return tensor._node


def unary(op: Primitive) -> Callable[..., Any]:
    forward, none = op.forward, dict[str, Any]()

    def call(a: Any, /) -> Any:
        if not isinstance(a, Variable):
            return forward(a if a.__class__ in PLAIN else plain(op, a))
        x = a._data
        try:
            y = forward(x)
        except (ValueError, TypeError, IndexError) as error:
            raise op.explain(error, (x,), none) from error
        vertex = a._node
        return record(op, a.__class__, y, vertex is not None and vertex.requires_grad, (vertex,), (x,), none)

    return call


def binary(op: Primitive) -> Callable[..., Any]:
    forward, none = op.forward, dict[str, Any]()

    def call(a: Any, b: Any, /) -> Any:
        mask = 0
        cls = None
        if isinstance(a, Variable):
            x, u, cls = a._data, a._node, a.__class__
            if u is not None and u.requires_grad:
                mask = 1
        else:
            x = u = a if a.__class__ in PLAIN else plain(op, a)  # type: ignore[assignment]
        if isinstance(b, Variable):
            z, v, cls = b._data, b._node, b.__class__
            if v is not None and v.requires_grad:
                mask += 2
        else:
            z = v = b if b.__class__ in PLAIN else plain(op, b)  # type: ignore[assignment]
        try:
            y = forward(x, z)
        except (ValueError, TypeError, IndexError) as error:
            raise op.explain(error, (x, z), none) from error
        if mask:
            if u is None:
                u = vertex_of(a)
            if v is None:
                v = vertex_of(b)
        return y if cls is None else record(op, cls, y, mask, (u, v), (x, z), none)

    return call


MISSING: Any = object()


def with_metadata(op: Primitive) -> Callable[..., Any]:
    forward, bind = op.forward, _binder(op)

    def call(a: Any = MISSING, /, *positional: Any, **keywords: Any) -> Any:
        if not isinstance(a, Variable):
            if a is MISSING:
                raise TypeError(f"{op.name}() takes its operand by position ({op.operands[0]}), and got none")
            return forward(a if a.__class__ in PLAIN else plain(op, a), **bind(positional, keywords))
        params = bind(positional, keywords)
        x, vertex = a._data, a._node
        if positional or keywords:
            params = _owned_metadata(op, params)
        try:
            y = forward(x, **params)
        except (ValueError, TypeError, IndexError) as error:
            raise op.explain(error, (x,), params) from error
        return record(op, a.__class__, y, vertex is not None and vertex.requires_grad, (vertex,), (x,), params)

    return call


def general(op: Primitive) -> Callable[..., Any]:
    forward, bind, variadic, residuals = op.forward, _binder(op), op.variadic, bool(op.residuals)
    fixed = len(op.operands)

    def call(*args: Any, **keywords: Any) -> Any:
        if len(args) < fixed:
            raise TypeError(f"{op.name}() takes {fixed} operands by position ({', '.join(op.operands)}), got {len(args)}")
        if variadic and not isinstance(args[0], list | tuple | Variable | ndarray):
            raise DTypeError(f"{op.name}: {op.operands[0]} is a sequence of tensors or arrays, not a {type(args[0]).__name__}")
        operands = tuple(args[0]) if variadic else args[:fixed]
        params = bind(args[fixed:], keywords)
        mask, cls = 0, None
        arrays: list[Any] = []
        inputs: list[Any] = []
        for position, value in enumerate(operands):
            if isinstance(value, Variable):
                cls, array, vertex = value.__class__, value._data, value._node or vertex_of(value)
                if vertex.requires_grad:
                    mask |= 1 << position
            else:
                array = vertex = value if value.__class__ in PLAIN else plain(op, value)  # type: ignore[assignment]
            arrays.append(array)
            inputs.append(vertex)
        if cls is not None and (keywords or len(args) > fixed):
            params = _owned_metadata(op, params)
        try:
            y = forward(arrays, **params) if variadic else forward(*arrays, **params)
        except (ValueError, TypeError, IndexError) as error:
            raise op.explain(error, arrays, params) from error
        if residuals:
            if type(y) is not tuple or len(y) != 1 + len(op.residuals):
                raise PrimitiveError(f"{op.name}: with residuals, the function returns (y, {', '.join(op.residuals)}) as a tuple")
            y, *more = y
            arrays += more
        return y if cls is None else record(op, cls, y, mask, tuple(inputs), tuple(arrays), params)

    return call


def _binder(op: Primitive) -> Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]:
    """Puts a call's metadata arguments under their names."""
    names = tuple(op.metadata)
    found = signature_of(op.function)
    places = tuple([name for name in names if name not in found.keyword_only])
    defaults = {name: default for name, default in op.metadata.items() if default is not EMPTY}

    complete = len(defaults) == len(names)

    def bind(positional: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
        if complete and not positional and not keywords:
            return defaults
        params = defaults | keywords
        if positional:
            if len(positional) > len(places) or not keywords.keys().isdisjoint(places[: len(positional)]):
                complain(positional, keywords)
            params.update(zip(places, positional, strict=False))
        if len(params) != len(names):
            complain(positional, keywords)
        return params

    def complain(positional: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        signature = inspect.signature(op.function)
        try:
            signature.bind(*op.operands, *positional, **keywords)
        except TypeError as error:
            plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
            raise TypeError(f"{op.name}: {error}; it is called as {op.name}{inspect.Signature(plain)}") from None

    return bind


ATOMIC = frozenset({int, bool, float, str, type(None), slice, type(...)})  # metadata that nobody can change


def _owned_metadata(op: Primitive, params: dict[str, Any]) -> dict[str, Any]:
    """Metadata as it may be kept until backward: no tensor, and nothing that somebody else can change."""
    return {name: v if v.__class__ in ATOMIC else _metadata(op, name, v) for name, v in params.items()}


def _metadata(op: Primitive, name: str, value: Any) -> Any:
    if isinstance(value, tuple | list):
        if value.__class__ is tuple and ATOMIC.issuperset(map(type, value)):
            return value
        parts = [_metadata(op, name, part) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, dict):
        return {key: _metadata(op, name, part) for key, part in value.items()}
    if isinstance(value, Variable):
        if value._node is not None and value._node.requires_grad:
            raise DTypeError(
                f"{op.name}: {name} is metadata and has no derivative, but the tensor given for it requires grad; "
                f"pass {name}.detach()"
            )
        value = value._data
    return value.copy() if value.__class__ is ndarray else value
