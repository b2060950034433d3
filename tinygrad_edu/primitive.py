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
from typing import Any, Protocol, TypeAlias, overload

import numpy as np

from tinygrad_edu import recording, singular
from tinygrad_edu.errors import DTypeError, PrimitiveError, ShapeError, TinygradError
from tinygrad_edu.registry import OURS, Case, Kink, Operation, register, several
from tinygrad_edu.signatures import signature_of, split_signature

# A function, None, or NotImplemented (whose type has no public name before Python 3.13).
Rule: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Variant:
    """How a primitive is recorded when a given subset of its operands requires grad."""

    active: tuple[tuple[int, Callable[[Any, Any], Any]], ...]
    save: Callable[[tuple[Any, ...]], Any] | None  # picks what the active rules read from (None, y, *operands)


@dataclass(eq=False)
class Primitive(Operation):
    """An operation with derivative rules. Made by the `primitive` decorator; nodes refer to it as ``node.op``."""

    forward: Callable[..., Any] = field(kw_only=True)
    label: str = field(kw_only=True)
    metadata: dict[str, Any] = field(kw_only=True)  # name -> default, or inspect.Parameter.empty
    hint: str | None = field(kw_only=True)
    residuals: dict[str, Callable[..., Any]] = field(kw_only=True)
    bounded: bool = False  # whether no derivative is infinite at finite operands
    rules: dict[str, Rule] | None = None
    may_alias: bool = True  # whether forward could return somebody's array itself; the library's own never do
    variants: dict[Any, Variant] = field(default_factory=dict)

    def vjp(self, **rules: Rule) -> None:
        """Set the derivative rule of every operand: a function returning that operand's gradient, None for an operand that has
        no derivative (or a zero one), or NotImplemented for one whose gradient must not be asked for.

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
            if callable(rule):
                self._wanted(name, rule)
        self.rules = dict(rules)
        self.variants.clear()

    def variant(self, mask: int, count: int) -> Variant:
        """How to record when the operands in the bit set ``mask`` require grad, out of ``count``."""
        key = (mask, count) if self.variadic else mask
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
            if mask >> position & 1 and rule is NotImplemented:
                raise DTypeError(
                    f"{self.name}: its derivative with respect to {operand} is not implemented, and the tensor given for it "
                    f"requires grad; pass {operand}.detach()"
                )
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
        found = signature_of(rule)
        wanted = found.positional_only + found.positional
        if found.collecting or found.keyword_only or not known.issuperset(wanted):
            parameters = inspect.signature(rule).parameters.values()
            strange = [str(p) for p in parameters if p.name not in known or p.name not in wanted]
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
        known = {"rule": rule, "shape": np.shape, "zero_wins": functools.partial(singular.zero_wins, self.name)}
        known["__name__"] = "tinygrad_edu.rules"  # for `places.caller`: it is no code of the user's
        pull: Any = eval(f"lambda g, node: rule({arguments})", known)
        if self.elementwise and set(wanted) - {"g"}:
            pull.careful = eval(f"lambda g, node: zero_wins(rule, g, ({arguments},))", known)
            if not self.bounded:
                pull = pull.careful
        return pull  # type: ignore[no-any-return]

    def residuals_again(self, operands: Sequence[Any], params: Mapping[str, Any]) -> list[Any]:
        """The residuals, computed from operands: recorded, where these are tensors that are."""
        return [
            again(*operands, **{name: params[name] for name in signature_of(again).keyword_only})
            for again in self.residuals.values()
        ]

    def _example(self) -> str:
        return ", ".join(f"{name}=lambda g: ..." for name in self.operands)

    def compute(self, arrays: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """The forward alone, on arrays: what a picture needs to show values that nobody kept."""
        y = self.forward(list(arrays), **params) if self.variadic else self.forward(*arrays, **params)
        return y[0] if self.residuals else y

    def explain(self, error: Exception, arrays: Sequence[Any], params: Mapping[str, Any]) -> Exception:
        """The error to raise when forward failed on these operands."""
        if isinstance(error, TinygradError):
            return error
        names = self.operands * len(arrays) if self.variadic else self.operands
        facts = [f"{name} {_describe(array)}" for name, array in zip(names, arrays, strict=False)]
        facts += [f"{name}={value!r}" for name, value in params.items()]
        hint = self.hint or (BROADCAST_HINT if self.elementwise and len(arrays) > 1 else None)
        kind = DTypeError if isinstance(error, TypeError) else ShapeError
        return kind(f"{self.name.lstrip('_')}: {error}\n  called with {', '.join(facts)}" + (f"\n  {hint}" if hint else ""))

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


BROADCAST_HINT = (
    "shapes broadcast when, aligned at the right, each pair of lengths is equal or one of them is 1; "
    "insert an axis with expand_dims or reshape"
)


def _describe(array: Any) -> str:
    if isinstance(array, np.ndarray):
        return f"{array.shape} {array.dtype}"
    return f"{array!r}"


class Operator(Protocol):
    """What `primitive` makes of a function: the same function on arrays, a recorded operation on tensors."""

    op: Primitive
    __name__: str

    def __call__(self, *operands: Any, **metadata: Any) -> Any: ...

    def vjp(self, **rules: Rule) -> None:
        """See `Primitive.vjp`."""


@overload
def primitive(function: Callable[..., Any], /) -> Operator: ...


@overload
def primitive(
    *,
    forward: Callable[..., Any] | None = None,
    elementwise: bool = False,
    variadic: bool = False,
    label: str | None = None,
    numpy: Any = None,
    reference: Callable[..., Any] | None = None,
    residuals: Mapping[str, Callable[..., Any]] | None = None,
    cases: Sequence[Case] = (),
    kinks: Sequence[Kink] = (),
    bounded: bool = False,
    aliases: tuple[str, ...] = (),
    hint: str | None = None,
    orders: int = 2,
    method: bool = True,
) -> Callable[[Callable[..., Any]], Operator]: ...


def primitive(
    function: Callable[..., Any] | None = None,
    /,
    *,
    forward: Callable[..., Any] | None = None,
    elementwise: bool = False,
    variadic: bool = False,
    label: str | None = None,
    numpy: Any = None,
    reference: Callable[..., Any] | None = None,
    residuals: Mapping[str, Callable[..., Any]] | None = None,
    cases: Sequence[Case] = (),
    kinks: Sequence[Kink] = (),
    bounded: bool = False,
    aliases: tuple[str, ...] = (),
    hint: str | None = None,
    orders: int = 2,
    method: bool = True,
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
    numpy, reference: NumPy's function of the same meaning, or several in a tuple; or another independent forward. It is what
        tests compare with, and what ``numpy.name(tensor)`` calls.
    residuals: intermediates that the forward has anyway and that rules may ask for. The function then returns ``(y, *residuals)``;
        each is given as a function of the operands, which computes it again when a derivative is itself differentiated, and which
        can ask for metadata by keyword-only parameters.
    cases: where the property tests may look (`Case`).
    kinks: where it is continuous but not smooth, and which derivative is declared there (`Kink`).
    bounded: for elementwise operations, that no derivative is infinite or nan at finite operands. Then whether a zero cotangent
        met an infinite one (see `ieee_gradients`) is looked at only where NumPy says so, which saves a microsecond.
    aliases: further names for it.
    hint: a sentence for the error message when the operands' shapes do not fit.
    orders: how often it can be differentiated.
    method: whether it is a method of its first operand, for the library's own.

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
    if function is None:
        options = dict(locals())
        del options["function"]
        return functools.partial(primitive, **options)
    name = function.__name__
    operands, metadata = split_signature(function)
    taken = {"g", "y", *(["position"] if variadic else [])} & {*operands, *metadata}
    if taken:
        raise PrimitiveError(
            f"{name}: {' and '.join(sorted(taken))} cannot be a parameter: in a rule, g is the cotangent, y the result, and "
            "position the number of an operand; give it another name"
        )
    if variadic and len(operands) != 1:
        raise PrimitiveError(f"{name}: variadic=True wants one operand, a sequence; got {', '.join(operands)}")
    theirs = several(numpy if numpy is not None else forward)
    op = Primitive(
        name,
        function,
        operands,
        variadic,
        elementwise,
        cases,
        reference or (theirs[0] if theirs else None),
        orders,
        theirs,
        aliases,
        kinks,
        forward=forward or function,
        label=label or name,
        metadata=metadata,
        hint=hint,
        residuals=dict(residuals or {}),
        bounded=bounded,
        may_alias=not (isinstance(forward, np.ufunc) or function.__module__.startswith(OURS)),
    )
    make = recording.general
    if not variadic and not residuals:
        if len(operands) == 1:
            make = recording.with_metadata if metadata else recording.unary
        elif len(operands) == 2 and not metadata:
            make = recording.binary
    call: Any = functools.wraps(function)(make(op))
    op.function = call
    call.op = op
    call.vjp = op.vjp
    register(op, function.__module__, method=method)
    return call
