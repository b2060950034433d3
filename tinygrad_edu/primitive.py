"""`primitive`: how an operation is declared, called and recorded.

A primitive is a NumPy forward function and one derivative rule per operand. Operands are positional, metadata is
everything else::

    @primitive(elementwise=True)
    def divide(a, b, /):
        '''y = a / b        ∂L/∂a = g / b        ∂L/∂b = -g y / b'''
        return np.divide(a, b)

    divide.vjp(a=lambda g, b: g / b, b=lambda g, y, b: -g * y / b)

A rule asks by name for what it needs, and only that is kept until backward: ``g`` (the cotangent of the result), ``y``
(the result), any operand, ``<operand>_shape``, and any metadata. It is written with operators and primitives only, so
that one text serves every order: the engine calls it with arrays for a first derivative and with recording tensors when
that derivative will be differentiated again.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np

from tinygrad_edu.errors import DTypeError, PrimitiveError, ShapeError, TinygradError
from tinygrad_edu.graph import MODE, Constant, Node, Variable, next_serial

Rule: TypeAlias = Callable[..., Any]

ndarray = np.ndarray
new_object = object.__new__
current_mode = MODE.get
PLAIN = frozenset({float, int, bool, complex, ndarray})  # operands that need no conversion


# ---------------------------------------------------------------------------------------------------- where ops are tested


@dataclass(frozen=True)
class Reals:
    """Where an operand's values may lie in a property test; see `reals`."""

    low: float
    high: float
    shape: tuple[int | str, ...] | None
    avoid: tuple[float, ...]
    gap: float
    grid: tuple[float, float] | None
    nonempty: bool


def reals(
    low: float = -3.0,
    high: float = 3.0,
    *,
    shape: tuple[int | str, ...] | None = None,
    avoid: tuple[float, ...] = (),
    gap: float = 0.1,
    grid: tuple[float, float] | None = None,
    nonempty: bool = False,
) -> Reals:
    """Real values in [low, high] for a `Case`.

    ``avoid`` lists kinks that every value stays ``gap`` away from. ``grid=(start, step)`` draws *distinct* values from
    ``start + k * step``: for operations that compare their inputs. ``shape`` is exact; a string in it is a length of
    that name, the same wherever it stands in the case. Without it the shape is free (and broadcastable, for elementwise
    operations); ``nonempty`` then excludes zero-length axes.
    """
    return Reals(low, high, shape, avoid, gap, grid, nonempty)


class Case:
    """One region in which a primitive is property-tested.

    A keyword that names an operand gives its `reals` domain, or an array for an operand that is not differentiated (a
    list of either, for a variadic operand). Any other keyword is metadata: a list of alternatives, or a function from
    the operands' shapes to such a list.
    """

    def __init__(self, **domains: Any) -> None:
        self.domains = domains

    def __repr__(self) -> str:
        return f"Case({', '.join(self.domains)})"


@dataclass(eq=False)
class Operation:
    """What the property tests need to know of a function on tensors; `Primitive` adds what recording needs."""

    name: str
    function: Callable[..., Any]
    operands: tuple[str, ...]
    variadic: bool
    elementwise: bool
    cases: Sequence[Case]
    reference: Callable[..., Any] | None
    orders: int = 2  # how often the operation can be differentiated in its cases

    @property
    def formula(self) -> str:
        """The first line of the docstring."""
        return (self.function.__doc__ or "").strip().split("\n")[0]


REGISTRY: dict[str, Operation] = {}


def register(operation: Operation, module: str) -> None:
    """Enter an operation: ours under its bare name, a user's under its module's, so that it cannot replace ours."""
    ours = module.startswith("tinygrad_edu.")
    key = operation.name if ours else f"{module}.{operation.name}"
    if ours and key in REGISTRY:
        raise PrimitiveError(f"{key}: there is a primitive of that name already")
    REGISTRY[key] = operation


def composite(
    *, cases: Sequence[Case], reference: Callable[..., Any], variadic: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function built from primitives, so that it is property-tested like one. The function is unchanged."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        operands, _ = _split_signature(function)
        register(
            Operation(function.__name__, function, operands, variadic, False, cases, reference), function.__module__
        )
        return function

    return declare


# ------------------------------------------------------------------------------------------------------------- declaring


@dataclass(frozen=True)
class Variant:
    """How a primitive is recorded when a given subset of its operands requires grad."""

    active: tuple[tuple[int, Callable[[Any, Any], Any]], ...]
    save: Callable[[tuple[Any, ...]], Any] | None  # picks what the active rules read from (None, y, *operands)


@dataclass(eq=False)
class Primitive(Operation):
    """An operation with derivative rules. Made by the `primitive` decorator; nodes refer to it as ``node.op``."""

    forward: Callable[..., Any] = field(kw_only=True)
    numpy: Callable[..., Any] | None = field(kw_only=True)
    label: str = field(kw_only=True)
    metadata: dict[str, Any] = field(kw_only=True)  # name -> default, or inspect.Parameter.empty
    hint: str | None = field(kw_only=True)
    residuals: dict[str, Callable[..., Any]] = field(kw_only=True)
    rules: dict[str, Rule | None] | None = None
    variants: dict[int, Variant] = field(default_factory=dict)

    def vjp(self, **rules: Rule | None) -> None:
        """Set the derivative rule of every operand: a function returning that operand's gradient, or None for an operand
        that has no derivative.

        Raises `PrimitiveError` when an operand has no rule, when a rule names no operand, and when a rule asks for
        something that is not known when it runs.
        """
        missing = [name for name in self.operands if name not in rules]
        unknown = [name for name in rules if name not in self.operands]
        if missing or unknown:
            raise PrimitiveError(
                f"{self.name}.vjp: "
                + "; ".join(
                    [f"operand {name!r} has no rule (None says: not differentiable)" for name in missing]
                    + [f"{name!r} is not an operand; the operands are {', '.join(self.operands)}" for name in unknown]
                )
            )
        for name, rule in rules.items():
            if rule is not None:
                self._wanted(name, rule)
        self.rules = dict(rules)
        self.variants.clear()

    def variant(self, mask: int, count: int) -> Variant:
        """How to record when the operands in the bit set ``mask`` require grad, out of ``count``."""
        key = mask if not self.variadic else mask | 1 << count
        found = self.variants.get(key)
        if found is None:
            found = self.variants[key] = self._make_variant(mask, count)
        return found

    def _make_variant(self, mask: int, count: int) -> Variant:
        if self.rules is None:
            raise PrimitiveError(f"{self.name} has no derivative: declare it with {self.name}.vjp({self._example()})")
        active = []
        saved: set[int] = set()
        for position in range(count):
            operand = self.operands[0] if self.variadic else self.operands[position]
            rule = self.rules[operand]
            if mask >> position & 1 and rule is not None:
                wanted = self._wanted(operand, rule)
                active.append((position, self._compile(rule, wanted, position)))
                saved |= self._positions(wanted, count)
        places = range(count + 1 + len(self.residuals) * any(place > count for place in saved))
        # (None, y, *operands, *residuals): index 0 is what stands where nothing is saved.
        picked = [place + 1 if place in saved else 0 for place in places]
        return Variant(tuple(active), itemgetter(*picked) if saved else None)

    def _wanted(self, operand: str, rule: Rule) -> tuple[str, ...]:
        known = {"g", "y", *self.operands, *self.residuals, *self.metadata, *[f"{name}_shape" for name in self.operands]}
        if self.variadic:
            known.add("position")
        wanted = tuple(inspect.signature(rule).parameters)
        strange = [name for name in wanted if name not in known]
        if strange:
            raise PrimitiveError(
                f"{self.name}.vjp: the rule of {operand!r} asks for {', '.join(strange)}, which is not known when it runs; "
                f"it can ask for {', '.join(sorted(known))}"
            )
        return wanted

    def _positions(self, wanted: Sequence[str], count: int) -> set[int]:
        """Which places of ``(y, *operands, *residuals)`` the names refer to."""
        places = {0} if "y" in wanted else set()
        for position, name in enumerate(self.operands):
            if name in wanted:
                places |= set(range(1, count + 1)) if self.variadic else {position + 1}
        for position, name in enumerate(self.residuals):
            if name in wanted:  # the operands too: to differentiate once more, it is computed again from them
                places |= {count + 1 + position, *range(1, count + 1)}
        return places

    def _compile(self, rule: Rule, wanted: Sequence[str], position: int) -> Callable[[Any, Any], Any]:
        """The rule as a function of (g, node). Generated, as dataclasses generate ``__init__``: a generic call would pack
        and unpack arguments for every node of every backward pass."""
        source = {"g": "g", "y": "node.saved[0]", "position": str(position)}
        for place, name in enumerate(self.operands):
            if self.variadic:
                source[name], source[f"{name}_shape"] = "node.saved[1:]", "tuple(map(shape, node.inputs))"
            else:
                own = place == position  # a vertex; another operand may be a plain number, which has no shape of its own
                source[name] = f"node.saved[{place + 1}]"
                source[f"{name}_shape"] = f"node.inputs[{place}].shape" if own else f"shape(node.inputs[{place}])"
        for place, name in enumerate(self.residuals):
            source[name] = f"node.saved[{1 + len(self.operands) + place}]"
        for name in self.metadata:
            source[name] = f"node.params[{name!r}]"
        arguments = ", ".join([source[name] for name in wanted])
        code = f"lambda g, node: rule({arguments})"
        pull: Callable[[Any, Any], Any] = eval(code, {"rule": rule, "shape": np.shape})
        return pull

    def _example(self) -> str:
        return ", ".join(f"{name}=lambda g: ..." for name in self.operands)

    def explain(self, error: Exception, arrays: Sequence[Any], params: Mapping[str, Any]) -> Exception:
        """The error to raise when forward failed on these operands."""
        if isinstance(error, TinygradError):
            return error
        names = self.operands * len(arrays) if self.variadic else self.operands
        facts = [f"{name} {_describe(array)}" for name, array in zip(names, arrays, strict=False)]
        facts += [f"{name}={value!r}" for name, value in params.items()]
        hint = self.hint or (BROADCAST_HINT if self.elementwise and len(arrays) > 1 else None)
        kind = DTypeError if isinstance(error, TypeError) else ShapeError
        return kind(f"{self.name}: {error}\n  called with {', '.join(facts)}" + (f"\n  {hint}" if hint else ""))

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


BROADCAST_HINT = (
    "shapes broadcast when, aligned at the right, each pair of lengths is equal or one of them is 1; "
    "insert an axis with expand_dims or reshape"
)


def _describe(array: Any) -> str:
    if isinstance(array, ndarray):
        return f"{array.shape} {array.dtype}"
    return f"{array!r}"


def _split_signature(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """(operands, metadata with defaults) of a forward function. Operands are the positional-only parameters or, where there
    are none, the positional parameters without a default."""
    parameters = inspect.signature(function).parameters.values()
    operands = [p for p in parameters if p.kind is p.POSITIONAL_ONLY] or [
        p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty
    ]
    if not operands or any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters):
        raise PrimitiveError(
            f"{function.__name__}: operands come first, as in f(a, b, /, axis=None), and metadata follows by name; *args and "
            f"**options are not supported (variadic=True takes a sequence of operands); got {inspect.signature(function)}"
        )
    return tuple(p.name for p in operands), {p.name: p.default for p in parameters if p not in operands}


def primitive(
    function: Callable[..., Any] | None = None,
    *,
    forward: Callable[..., Any] | None = None,
    elementwise: bool = False,
    variadic: bool = False,
    label: str | None = None,
    numpy: Callable[..., Any] | None = None,
    reference: Callable[..., Any] | None = None,
    residuals: Mapping[str, Callable[..., Any]] | None = None,
    cases: Sequence[Case] = (),
    hint: str | None = None,
    orders: int = 2,
) -> Any:
    """Turn a NumPy function into an operation that is recorded and differentiated. The library's own operations are made
    with it, and so are yours.

    Parameters
    ----------
    function: computes an array from arrays. Positional-only parameters (or, without a ``/``, those without a default) are
        operands, all others are metadata.
    forward: NumPy's function of the same meaning, to call instead of a body. ``function`` then is a signature and a docstring.
    elementwise: the operands broadcast. Broadcasting is then recorded as a Repeat of its own, and the rules can treat all
        operands as having the shape of the result.
    variadic: the one operand is a sequence of arrays, as in ``concatenate``.
    label: text in pictures; by default the function's name.
    numpy, reference: NumPy's function of the same meaning, or another independent forward: what tests compare with.
    residuals: intermediates that the forward has anyway and that rules may ask for. The function then returns ``(y, *residuals)``;
        each is given as a function of the operands, which computes it again when a derivative is itself differentiated.
    cases: where the property tests may look (`Case`).
    hint: a sentence for the error message when the operands' shapes do not fit.
    orders: how often it can be differentiated.

    The result records when one of its operands is a Tensor; on plain arrays it is the plain NumPy function. It has one attribute
    to call, ``vjp``, which sets the rules, and one to read, ``op``, the `Primitive`.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> @tg.primitive(elementwise=True)
    ... def cube(x):
    ...     '''y = x³        ∂L/∂x = 3 g x²'''
    ...     return x**3
    >>> cube.vjp(x=lambda g, x: 3 * g * x**2)
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> cube(x).sum().backward()
    >>> x.grad
    Tensor([ 3., 12.])
    >>> cube(np.array([1.0, 2.0]))
    array([1., 8.])
    """
    options = {name: value for name, value in locals().items() if name != "function"}
    if function is None:
        return functools.partial(primitive, **options)
    name = function.__name__
    operands, metadata = _split_signature(function)
    if variadic and len(operands) != 1:
        raise PrimitiveError(f"{name}: variadic=True wants one operand, a sequence; got {', '.join(operands)}")
    op = Primitive(
        name,
        function,
        operands,
        variadic,
        elementwise,
        cases,
        reference or numpy or forward,
        orders,
        forward=forward or function,
        numpy=numpy or forward,
        label=label or name,
        metadata=metadata,
        hint=hint,
        residuals=dict(residuals or {}),
    )
    make = _general
    if not variadic and not residuals:
        if len(operands) == 1:
            make = _with_metadata if metadata else _unary
        elif len(operands) == 2 and not metadata:
            make = _binary
    call = functools.wraps(function)(make(op))
    op.function = call
    call.op = op
    call.vjp = op.vjp
    register(op, function.__module__)
    return call


# ------------------------------------------------------------------------------------------------------------- recording


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
    for array in arrays:
        if array is y:
            y = y.view()  # the result must not make its operand's array read-only
    y.setflags(False)
    tensor = new_object(cls)
    tensor._data = y
    tensor._node = None
    if mask:
        recording, scope, on_record = current_mode()
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
                if on_record is not None:
                    on_record(node)
    return tensor


def _through_repeat(inputs: tuple[Any, ...], position: int, shape: Any, scope: Any) -> tuple[Any, ...]:
    """Let a broadcast operand enter through a node that repeats it. NumPy has broadcast already, so nothing is computed."""
    op = REGISTRY["broadcast_to"]
    assert isinstance(op, Primitive)
    source = inputs[position]
    node = new_object(Node)
    node.op = op
    node.inputs = (source,)
    node.active = op.variant(1, 1).active
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


def _unary(op: Primitive) -> Callable[..., Any]:
    forward, none = op.forward, dict[str, Any]()

    def call(a: Any) -> Any:
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


def _binary(op: Primitive) -> Callable[..., Any]:
    forward, none = op.forward, dict[str, Any]()

    def call(a: Any, b: Any) -> Any:
        mask = 0
        cls = None
        if isinstance(a, Variable):
            x, u, cls = a._data, a._node, a.__class__
            if u is not None and u.requires_grad:
                mask = 1
        else:
            x = u = a if a.__class__ in PLAIN else plain(op, a)
        if isinstance(b, Variable):
            z, v, cls = b._data, b._node, b.__class__
            if v is not None and v.requires_grad:
                mask += 2
        else:
            z = v = b if b.__class__ in PLAIN else plain(op, b)
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


def _with_metadata(op: Primitive) -> Callable[..., Any]:
    forward, bind = op.forward, _binder(op)

    def call(a: Any, *positional: Any, **keywords: Any) -> Any:
        params = bind(positional, keywords)
        if not isinstance(a, Variable):
            return forward(a if a.__class__ in PLAIN else plain(op, a), **params)
        x, vertex = a._data, a._node
        params = _owned_metadata(op, params)
        try:
            y = forward(x, **params)
        except (ValueError, TypeError, IndexError) as error:
            raise op.explain(error, (x,), params) from error
        return record(op, a.__class__, y, vertex is not None and vertex.requires_grad, (vertex,), (x,), params)

    return call


def _general(op: Primitive) -> Callable[..., Any]:
    forward, bind, variadic, residuals = op.forward, _binder(op), op.variadic, bool(op.residuals)
    fixed = len(op.operands)

    def call(*args: Any, **keywords: Any) -> Any:
        if len(args) < fixed:
            raise TypeError(f"{op.name}() takes {fixed} operands by position ({', '.join(op.operands)}), got {len(args)}")
        operands = tuple(args[0]) if variadic else args[:fixed]
        params = bind(args[fixed:], keywords)
        mask, cls = 0, None
        arrays: list[Any] = []
        inputs: list[Any] = []
        for position, value in enumerate(operands):
            if isinstance(value, Variable):
                cls, array, vertex = value.__class__, value._data, vertex_of(value)
                if vertex.requires_grad:
                    mask |= 1 << position
            else:
                array = vertex = value if value.__class__ in PLAIN else plain(op, value)
            arrays.append(array)
            inputs.append(vertex)
        if cls is not None:
            params = _owned_metadata(op, params)
        try:
            y = forward(arrays, **params) if variadic else forward(*arrays, **params)
        except (ValueError, TypeError, IndexError) as error:
            raise op.explain(error, arrays, params) from error
        if residuals:
            y, *more = y
            arrays += more
        return y if cls is None else record(op, cls, y, mask, tuple(inputs), tuple(arrays), params)

    return call


def _binder(op: Primitive) -> Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]:
    """Puts a call's metadata arguments under their names."""
    names = tuple(op.metadata)
    defaults = {name: default for name, default in op.metadata.items() if default is not inspect.Parameter.empty}
    optional = len(defaults) == len(names)

    def bind(positional: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
        if optional and not positional and not keywords:
            return defaults
        params = defaults | keywords
        if positional:
            params.update(zip(names, positional, strict=False))
        if len(params) != len(names) or len(positional) > len(names) or not keywords.keys().isdisjoint(names[: len(positional)]):
            inspect.signature(op.function).bind(*op.operands, *positional, **keywords)  # raises Python's own message
        return params

    return bind


ATOMIC = frozenset({int, bool, float, str, type(None), slice, type(...)})  # metadata that nobody can change


def _owned_metadata(op: Primitive, params: dict[str, Any]) -> dict[str, Any]:
    """Metadata as it may be kept until backward: no tensor, and nothing that somebody else can change."""
    return {name: v if v.__class__ in ATOMIC else _metadata(op, name, v) for name, v in params.items()}


def _metadata(op: Primitive, name: str, value: Any) -> Any:
    if isinstance(value, tuple | list):
        if value.__class__ is tuple and ATOMIC.issuperset(map(type, value)):
            return value
        return type(value)([_metadata(op, name, part) for part in value])
    if isinstance(value, Variable):
        if value._node is not None and value._node.requires_grad:
            raise DTypeError(
                f"{op.name}: {name} is metadata and has no derivative, but the tensor given for it requires grad; "
                f"pass {name}.detach()"
            )
        value = value._data
    return value.copy() if value.__class__ is ndarray else value
