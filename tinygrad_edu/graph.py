"""The recorded graph: what a node is, whether we are recording, and in which order to walk.

Nothing here computes: no arithmetic and no derivative. A graph is made of three kinds of vertex.

- A `Node` is one application of a primitive. It points at its inputs, never at its output, so a graph has no reference
  cycle and is freed by reference counting alone.
- A `Leaf` is where a gradient arrives: a tensor that the user made with ``requires_grad=True``.
- A `Constant` is a tensor that the user made without it.

Inputs that are plain Python numbers or arrays stand in ``Node.inputs`` as they are.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Collection
from contextlib import ContextDecorator
from contextvars import ContextVar
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_edu.cuts import End
    from tinygrad_edu.places import Place
    from tinygrad_edu.primitive import Primitive

    Array: TypeAlias = NDArray[Any]
    Shape: TypeAlias = tuple[int, ...]
    Pull: TypeAlias = Callable[[Any, Any], Any]

# Every vertex takes the next number when it is made. A vertex is made after its inputs, so falling serials are a
# topological order, and it is the order in which the user wrote the program.
next_serial = itertools.count(1).__next__


class Mode(NamedTuple):
    """What holds for operations executed now, in this thread or task."""

    recording: bool = True
    scope: tuple[str, ...] = ()  # path of nn.Module names whose forward is running
    on_record: tuple[Callable[[Node, Any, tuple[Any, ...]], None], ...] = ()  # told of each new node, its result and its operands
    ieee: bool = False  # whether 0 · ∞ is nan in a derivative
    on_pass: Callable[..., dict[Any, Any]] | None = None  # called in the place of a backward pass, with it


MODE: ContextVar[Mode] = ContextVar("tinygrad_edu_mode", default=Mode())  # noqa: B039 - a NamedTuple is immutable
# The modes to go back to. They stand here and not on the context managers, so that one of these can be entered twice, and by
# two tasks or threads at once.
OUTER: ContextVar[tuple[Mode, ...]] = ContextVar("tinygrad_edu_outer", default=())


_SUSPENDABLE = 0x20 | 0x80 | 0x200  # code flags of generators, coroutines and asynchronous generators


def _code_flags(function: Any) -> int:
    code = getattr(function, "__code__", None)
    return 0 if code is None else code.co_flags


class mode(ContextDecorator):  # noqa: N801 - used like a function, as contextlib's own
    """Change the current `Mode` inside a ``with`` block or a decorated function, and restore it whatever happens. ``on_record`` is
    one more to be told of new nodes, beside those that are told already."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes

    def __call__(self, function: Any) -> Any:
        if _code_flags(function) & _SUSPENDABLE:
            raise TypeError(
                f"{function.__qualname__} is a generator or coroutine: a decorator could only cover its creation, not "
                "the time it runs; put the with block inside its body"
            )
        return super().__call__(function)

    def __enter__(self) -> mode:
        before = MODE.get()
        changes = dict(self._changes)
        if "on_record" in changes:
            changes["on_record"] = tuple(dict.fromkeys((*before.on_record, changes["on_record"])))
        OUTER.set((*OUTER.get(), before))
        MODE.set(before._replace(**changes))
        return self

    def __exit__(self, *exception: object) -> None:
        *outer, before = OUTER.get()
        OUTER.set(tuple(outer))
        MODE.set(before)


def no_grad() -> mode:
    """Operations inside are not recorded: their results are constants.

    Works as a context manager and as a decorator, nests, is restored when an exception passes, and is local to the
    thread or asyncio task. The counterpart of ``torch.no_grad``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """
    return mode(recording=False)


def enable_grad() -> mode:
    """Operations inside are recorded again, within a `no_grad` block. The counterpart of ``torch.enable_grad``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.no_grad(), tg.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """
    return mode(recording=True)


def is_recording() -> bool:
    """Whether operations executed now are recorded.

    >>> import tinygrad_edu as tg
    >>> with tg.no_grad():
    ...     tg.is_recording()
    False
    """
    return MODE.get().recording


class Backward(str):
    """An entry of `Mode.scope` around what a recorded backward pass records. ``order`` is 1 for a derivative of what a program
    computed, 2 for a derivative of such a derivative, and so on."""

    __slots__ = ("order",)
    order: int

    def __new__(cls, order: int) -> Backward:
        self = super().__new__(cls, "backward" if order == 1 else f"backward, order {order}")
        self.order = order
        return self


class _Released:
    """The one value of `Node.saved` that says: these arrays are gone."""

    def __repr__(self) -> str:
        return "RELEASED"


RELEASED: Any = _Released()


class Node:
    """One recorded application of a primitive.

    ``active`` lists the operands that are differentiated, as ``(position, pull)`` pairs, and is shared by all nodes of
    the same kind. ``saved`` holds ``(y, *operands)`` with None for every array that no active rule asks for. Fields are
    filled by `primitive.record`: a constructor call would cost a third of the time it takes to record an operation.
    """

    __slots__ = (
        "__weakref__",
        "active",
        "dtype",
        "inputs",
        "name",
        "op",
        "params",
        "receipt",
        "saved",
        "scope",
        "serial",
        "shape",
    )
    op: Primitive
    inputs: tuple[Any, ...]
    active: tuple[tuple[int, Pull], ...]
    saved: Any
    params: dict[str, Any]
    shape: Shape
    dtype: np.dtype[Any]
    serial: int
    scope: tuple[str, ...]
    name: str | None
    receipt: Any  # what the guard noted when the node was recorded, else None

    requires_grad = True

    def forget_constants(self) -> None:
        """Let go of the constants' arrays; keep what a picture needs."""
        self.inputs = tuple([outline(vertex) for vertex in self.inputs])

    def __repr__(self) -> str:
        return f"<Node {self.op.name} {self.shape} {self.dtype}>"


class Constant:
    """A tensor that the user made and that is not differentiated. It also stands for raw arrays in a released graph."""

    __slots__ = ("_outline", "change", "changed", "data", "dtype", "name", "serial", "shape")
    op = None
    active: tuple[tuple[int, Pull], ...] = ()
    inputs: tuple[Any, ...] = ()
    saved: Any = ()
    receipt = None
    requires_grad = False

    def __init__(self, data: Array | None, shape: Shape, dtype: np.dtype[Any], name: str | None = None) -> None:
        self.data = data
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.serial = next_serial()
        self.changed = 0  # serial number of the last change
        self.change: Change | None = None  # the entry in `changes` for this array, once it was changed in place
        self._outline: Constant | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or ''} {self.shape} {self.dtype}>"


class Leaf(Constant):
    """A tensor that the user made and whose gradient is wanted. The gradient is kept here, not on the Tensor."""

    __slots__ = ("grad",)
    requires_grad = True

    def __init__(self, data: Array, shape: Shape, dtype: np.dtype[Any], name: str | None = None) -> None:
        super().__init__(data, shape, dtype, name)
        self.grad: Any = None


class Cut(Constant):
    """A constant that was computed from something that requires grad. ``ends`` say why and where its gradient was lost, the first
    one first; they are few: see `cuts.cut`."""

    __slots__ = ("ends",)
    ends: tuple[End, ...]

    @property
    def why(self) -> str:
        """Why the gradient was lost first."""
        return self.ends[0].why

    @property
    def place(self) -> Place:
        """Where the gradient was lost first."""
        return self.ends[0]

    def __repr__(self) -> str:
        return f"<Cut {self.why} {self.shape} {self.dtype} at {self.place}>"


def outline(vertex: Any) -> Any:
    """The same vertex without its array: what a released graph keeps of a constant. One outline per constant, so that
    a constant used twice is still one vertex."""
    if isinstance(vertex, np.ndarray):
        return Constant(None, vertex.shape, vertex.dtype)
    if type(vertex) in (Constant, Cut) and vertex.data is not None:
        if vertex._outline is None:
            vertex._outline = type(vertex)(None, vertex.shape, vertex.dtype)
            vertex._outline.serial = vertex.serial
            if type(vertex) is Cut:
                vertex._outline.ends = vertex.ends  # why there is no gradient can still be asked
        vertex._outline.name = vertex.name
        return vertex._outline
    return vertex


class Variable:
    """What the graph knows of a tensor: its array and its vertex (None: an unnamed constant). `Tensor` adds the rest."""

    __slots__ = ("__weakref__", "_data", "_node")
    _data: Array
    _node: Any


V = TypeVar("V", bound=Variable)


def as_variable(cls: type[V], value: Any) -> V:
    """An array, or what is a tensor already, as a tensor; without a copy."""
    if isinstance(value, cls):
        return value
    tensor = object.__new__(cls)
    tensor._data, tensor._node = np.asarray(value), None
    return tensor


# The serial of the latest change in place of any tensor. Nodes recorded after it need no further check.
last_change = [0]


class Change:
    """That the memory of an array was changed in place, when, and under which name."""

    __slots__ = ("name", "owner", "serial")

    def __init__(self, owner: weakref.ref[Array]) -> None:
        self.owner = owner
        self.serial = 0
        self.name: str | None = None


# By the identity of the array that owns the memory, for a view changes with it.
changes: dict[int, Change] = {}


def owner_of(array: Array) -> Array:
    """The array at the end of a chain of views."""
    while True:
        base = array.base
        if not isinstance(base, np.ndarray):
            base = getattr(base, "base", None)  # sliding_window_view and as_strided put an object of their own in between
        if not isinstance(base, np.ndarray):
            return array
        array = base


def note_change(vertex: Constant, array: Array) -> None:
    """Remember that a tensor's array was changed in place, so that backward can refuse to use it."""
    change = vertex.change
    if change is None:
        owner = owner_of(array)
        key = id(owner)
        change = changes.get(key)
        if change is None or change.owner() is not owner:
            change = changes[key] = Change(weakref.ref(owner, lambda _: changes.pop(key, None)))
        change.name = vertex.name
        vertex.change = change
    vertex.changed = last_change[0] = change.serial = next_serial()


def changed_after(array: Array, serial: int) -> Change | None:
    """The change of this array's memory through a tensor later than ``serial``, if there was one."""
    owner = owner_of(array)
    change = changes.get(id(owner))
    return change if change is not None and change.serial > serial and change.owner() is owner else None


def topological_order(*roots: Any, stop: Collection[Any] = (), after: int = 0) -> list[Any]:
    """Every node that a gradient of the roots reaches, each before its inputs: newest first. Leaves are not among them: a leaf
    has no inputs, so it can come in any order after all nodes. Nor are the vertices in ``stop``, and those whose serial number is
    not above ``after``, nor what lies behind them.

    The list grows while it is walked, so nothing recurses however deep the graph is, and the final sort is linear on
    the nearly sorted order in which a graph is met.
    """
    seen = {*roots, *stop}
    order = [root for root in roots if root.active]
    if stop or after:
        order = [root for root in order if root.serial > after and root not in stop]
    for node in order:
        inputs = node.inputs
        for position, _ in node.active:
            vertex = inputs[position]
            if vertex.active and vertex not in seen and vertex.serial > after:
                seen.add(vertex)
                order.append(vertex)
    order.sort(key=serial_of, reverse=True)
    assert not order or order[0] in roots, "a vertex must be newer than its inputs"
    return order


serial_of = attrgetter("serial")
