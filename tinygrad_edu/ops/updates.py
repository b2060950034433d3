"""Changes that leave the tensor as it is: ``x.at[key].set(v)`` is a copy of x with ``x[key] = v``, and is differentiated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import DTypeError, GraphError, ShapeError
from tinygrad_edu.graph import Variable, is_recording
from tinygrad_edu.ops.comparison import not_equal
from tinygrad_edu.ops.constant import logical_or
from tinygrad_edu.ops.indexing import KEYS, accumulate, along, check_kind, getitem, may_repeat, numbers_of, positions
from tinygrad_edu.ops.reduction import broadcast_to, sum_to
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import astype, reshape
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, composite, reals, spelling
from tinygrad_edu.tree import leaves, mapped

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


def _cases(**domain: Any) -> list[Case]:
    """Every kind of index with one value for all, and repeated places with a value for each."""
    return [
        Case(a=reals(shape=(3, 4), **domain), v=reals(shape=(), **domain), key=KEYS),
        Case(a=reals(shape=(3,), **domain), v=reals(shape=(4,), **domain), key=[np.array([1, 1, 0, 1]), [2, 0, 1, 0]]),
        Case(a=reals(shape=(2, 2), **domain), v=reals(shape=(3, 1), **domain), key=[[0, 1, 0], (np.array([[1], [0], [1]]), 1)]),
    ]


COMPLEX = Case(a=complexes(shape=(2,)), v=complexes(shape=(3,)), key=[np.array([1, 0, 1])])


def _reference(change: Callable[..., Any]) -> Callable[..., Any]:
    def plain(a: Array, v: Array, key: Any) -> Array:
        y = np.array(a)
        change(y, key, v)
        return y

    return plain


def _winners(a_shape: Shape, key: Any) -> Array:
    """Of the elements that are written, which stay: at a place that is named several times, the last one."""
    places = positions(a_shape, key)
    count = np.arange(places.size).reshape(places.shape)
    last = np.empty(a_shape, int).reshape(-1)
    last[places.reshape(-1)] = count.reshape(-1)
    won: Array = last[places] == count
    return won


@primitive(
    label="x.at[i].set",
    cases=[*_cases(), COMPLEX],
    reference=_reference(lambda y, key, v: y.__setitem__(key, v)),
)
def _set_at(a: Array, v: Array, /, key: Any) -> Array:
    """y = a, with v at [key]        ∂L/∂a = g, with zeros at [key]        ∂L/∂v = g[key], 0 for a v that another one replaced"""
    y = np.array(a, order="C")
    if may_repeat(key):  # by number, in one row: so the last one wins however the arrays lie in memory
        places = positions(y.shape, key)
        y.reshape(-1)[places.reshape(-1)] = np.broadcast_to(v, places.shape).reshape(-1)
    else:
        y[key] = v
    return y


def _written(g: Any, a_shape: Shape, v_shape: Shape, key: Any) -> Any:
    part = getitem(g, key)
    return sum_to(where(_winners(a_shape, key), part, 0) if may_repeat(key) else part, v_shape)


_set_at.vjp(a=lambda g, key: _set_at(g, 0, key), v=_written)


@primitive(label="x.at[i].add", cases=[*_cases(), COMPLEX], reference=_reference(np.add.at))
def _add_at(a: Array, v: Array, /, key: Any) -> Array:
    """y = a, to which v is added at [key]        ∂L/∂a = g        ∂L/∂v = g[key]"""
    return accumulate(np.array(a, order="C"), key, v)


_add_at.vjp(a=lambda g: g, v=lambda g, v_shape, key: sum_to(getitem(g, key), v_shape))


def _merged(a_shape: Shape, v: Any, key: Any) -> tuple[Array, Any]:
    """The places that an index names, each once, and for each the product of the v that belong to it."""
    places = positions(a_shape, key)
    order = np.argsort(places, axis=None, kind="stable")
    v = getitem(reshape(broadcast_to(v, places.shape), -1), order)
    places = places.reshape(-1)[order]
    # Neighbours at the same place are multiplied in pairs until every place stands once. No division: a factor may be 0.
    while (places[1:] == places[:-1]).any():
        number = np.arange(places.size)
        starts = np.concatenate([[True], places[1:] != places[:-1]])
        even = np.flatnonzero((number - np.maximum.accumulate(np.where(starts, number, 0))) % 2 == 0)
        mate = np.minimum(even + 1, places.size - 1)
        v = getitem(v, even) * where((places[mate] == places[even]) & (mate != even), getitem(v, mate), 1)
        places = places[even]
    return places, v


@composite(cases=[*_cases(), COMPLEX], reference=_reference(np.multiply.at))
def _multiply_at(a: Any, v: Any, /, key: Any) -> Any:
    """y = a, multiplied by v at [key]        ∂L/∂a = g, multiplied by v at [key]        ∂L/∂v = (g a)[key], and the other v"""
    if not may_repeat(key):
        return _set_at(a, getitem(a, key) * v, key)
    shape = np.shape(a)
    key, v = _merged(shape, v, key)
    a = reshape(a, -1)
    return reshape(_set_at(a, getitem(a, key) * v, key), shape)


def _extremum_at(name: str, ufunc: np.ufunc, relation: str) -> Any:
    def change(a: Array, v: Array, /, key: Any) -> Array:
        y = np.array(a, order="C")
        with np.errstate(invalid="ignore"):  # unlike the ufunc itself, its method warns of nan
            ufunc.at(y, key, v)
        return y

    change.__name__ = change.__qualname__ = f"_{name}_at"
    change.__doc__ = (
        f"y = a, with {name}(a, v) at [key]        ∂L/∂a = g where a {relation}        ∂L/∂v = g[key] where v {relation}"
    )
    op = primitive(
        label=f"x.at[i].{name}",
        cases=[
            Case(a=reals(shape=(3, 4), grid=(-1, 0.2)), v=reals(0.11, 0.19, shape=()), key=KEYS),
            Case(a=reals(shape=(3,), grid=(0, 0.2)), v=reals(shape=(4,), grid=(0.1, 0.2)), key=[np.array([1, 1, 0, 1])]),
        ],
        kinks=[
            Kink(
                "a tie",
                "equal parts",
                at={"a": [1.0, 1.0], "v": [1.0, 1.0, 1.0], "key": [0, 0, 1]},
                gradient={"a": [1 / 3, 0.5], "v": [1 / 3, 1 / 3, 0.5]},
            )
        ],
        reference=_reference(ufunc.at),
    )(change)
    op.vjp(
        a=lambda g, y, a, v, key: where(_attains(a, y), _shares(g, y, a, v, key), 0),
        v=lambda g, y, a, v, v_shape, key: sum_to(
            where(_attains(v, getitem(y, key)), getitem(_shares(g, y, a, v, key), key), 0), v_shape
        ),
    )
    return op


def _attains(a: Any, y: Any) -> Any:
    """Where an operand is the extremum. If it is nan, the extremum is."""
    return logical_or(a == y, not_equal(a, a))


def _shares(g: Any, y: Any, a: Any, v: Any, key: Any) -> Any:
    """g, divided by how many attain the extremum."""
    ours, theirs = _attains(a, y), _attains(v, getitem(y, key))
    return g / _add_at(astype(ours, g.dtype), astype(theirs, g.dtype), key)


_max_at = _extremum_at("max", np.maximum, "is larger")
_min_at = _extremum_at("min", np.minimum, "is smaller")


# -------------------------------------------------------------------------------------------------------------- x.at[key]


class At:
    """``x.at``, which is indexed: ``x.at[key].set(v)`` is a copy of x with v at [key]; see `Place`."""

    __slots__ = ("_tensor",)

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def __getitem__(self, key: Any) -> Place:
        return Place(self._tensor, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise GraphError(
            f"x.at[{_text(key)}] = v changes nothing: a new tensor comes from y = x.at[{_text(key)}].set(v), or .add(v) and others"
        )

    def __repr__(self) -> str:
        return f"<at of a tensor of shape {self._tensor.shape}: x.at[key].set(v) is a copy of it with v at [key]>"


class Place:
    """``x.at[key]``: elements of a tensor that are to be replaced, added to and so on, in a copy.

    ``key`` is anything that x can be indexed with. v broadcasts to the shape of ``x[key]`` and is stored in x's dtype. The result
    is differentiable in x and in v, to any order. Where an index names a place several times, ``set`` keeps the last v, which alone
    gets a gradient, and the other methods apply every v. Counterpart: ``jax.numpy.ndarray.at``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = x.at[1:].set([5.0, 6.0])
    >>> y
    Tensor([1., 5., 6.], requires_grad=True)
    >>> y.sum().backward()
    >>> x.grad
    Tensor([1., 0., 0.])
    >>> x.at[[0, 0]].add(10.0)
    Tensor([21.,  2.,  3.], requires_grad=True)
    """

    __slots__ = ("_key", "_shape", "_tensor")

    def __init__(self, tensor: Any, key: Any) -> None:
        self._tensor = tensor
        self._key = mapped(lambda part: part._data if isinstance(part, Variable) else part, key)
        try:
            # One number, seen as an array of the tensor's shape: an index that fits costs next to nothing.
            self._shape: Shape = np.broadcast_to(False, tensor.shape)[self._key].shape
        except (IndexError, ValueError, TypeError) as error:
            raise ShapeError(f"x.at[{_text(key)}]: {error}\n  the tensor has shape {tensor.shape}") from error

    def get(self) -> Any:
        """``x[key]``."""
        return getitem(self._tensor, self._key)

    def set(self, v: Any) -> Any:
        """A copy of x with v at [key]."""
        return _set_at(self._tensor, self._checked("set", v), self._key)

    def add(self, v: Any) -> Any:
        """A copy of x with v added at [key]."""
        return _add_at(self._tensor, self._checked("add", v), self._key)

    def subtract(self, v: Any) -> Any:
        """A copy of x with v subtracted at [key]."""
        v, dtype = self._checked("subtract", v), self._tensor.dtype
        v = v if numbers_of(v).dtype == dtype else astype(v, dtype)  # before the sign: unsigned numbers have none
        return _add_at(self._tensor, -v, self._key)

    def multiply(self, v: Any) -> Any:
        """A copy of x with x[key] multiplied by v."""
        return _multiply_at(self._tensor, self._checked("multiply", v), self._key)

    def divide(self, v: Any) -> Any:
        """A copy of x with x[key] divided by v."""
        v = self._checked("divide", v)
        check_kind(f"{self._name('divide')}, a quotient", 1.0, self._tensor.dtype)
        ones = np.ones(self._tensor.shape, self._tensor.dtype)
        return self._tensor / _multiply_at(ones, v, self._key)

    def max(self, v: Any) -> Any:
        """A copy of x with the larger of x and v at [key]. A tie is shared equally."""
        return _max_at(self._tensor, self._checked("max", v), self._key)

    def min(self, v: Any) -> Any:
        """A copy of x with the smaller of x and v at [key]. A tie is shared equally."""
        return _min_at(self._tensor, self._checked("min", v), self._key)

    def apply(self, function: Callable[[Any], Any]) -> Any:
        """A copy of x with function(x[key]) at [key]: once, also where a place is named several times."""
        return _set_at(self._tensor, self._checked("apply", function(self.get())), self._key)

    def _name(self, how: str) -> str:
        return f"x.at[{_text(self._key)}].{how}"

    def _checked(self, how: str, v: Any) -> Any:
        """v, if it fits."""
        v = v if isinstance(v, Variable | int | float | complex) else np.asarray(v)
        check_kind(self._name(how), v, self._tensor.dtype)
        given = np.shape(v)
        unequal = [n not in (1, m) for n, m in zip(given[::-1], self._shape[::-1], strict=False)]
        if len(given) > len(self._shape) or any(unequal):
            raise ShapeError(
                f"{self._name(how)}: v has shape {given}, and x[{_text(self._key)}] has shape {self._shape} in x of shape "
                f"{self._tensor.shape}; v broadcasts to x[key], so each of its lengths, counted from the right, is the same or 1: "
                "give v that shape with reshape or sum"
            )
        return v

    def __repr__(self) -> str:
        methods = "get, set, add, subtract, multiply, divide, max, min, apply"
        return f"<x.at[{_text(self._key)}], of shape {self._shape} in x of shape {self._tensor.shape}; methods: {methods}>"


def _text(key: Any) -> str:
    """An index as it is written."""
    if isinstance(key, tuple):
        return ", ".join(map(_text, key)) or "()"
    if isinstance(key, slice):
        ends = ["" if part is None else str(part) for part in (key.start, key.stop, key.step)]
        return ":".join(ends if ends[2] else ends[:2])
    if isinstance(key, np.ndarray | Variable | list):
        key = numbers_of(key)
        return str(key.tolist()) if key.size <= 6 else f"array of shape {key.shape}"
    return "..." if key is ... else repr(key)


# ----------------------------------------------------------------------------------------------------- by NumPy's names


@composite(
    reference=lambda arr, indices, values, axis: _plain_put(arr, indices, values, axis),
    cases=[
        Case(arr=reals(shape=(2, 3)), indices=np.array([[2], [0]]), values=reals(shape=(2, 1)), axis=[1, -1]),
        Case(arr=reals(shape=(2, 3)), indices=np.array([[0, 0, 1], [0, 1, 1]]), values=reals(shape=(1, 3)), axis=[0]),
        Case(arr=reals(shape=(2, 2)), indices=np.array([3, 0]), values=reals(shape=()), axis=[None]),
    ],
)
def put_along_axis(arr: Any, indices: Any, values: Any, /, axis: int | None = -1) -> Any:
    """y = arr, with values at the indices along an axis        ∂L/∂arr = g, with zeros there        ∂L/∂values = g there

    Writes where ``take_along_axis`` reads, and returns a new array: NumPy's ``put_along_axis`` changes its first argument.
    Counterpart: ``jax.numpy.put_along_axis``, ``torch.scatter``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([[1.0, 5.0, 3.0], [6.0, 2.0, 4.0]])
    >>> tg.put_along_axis(x, tg.argmax(x, axis=1, keepdims=True), 0.0, axis=1)
    Tensor([[1., 0., 3.],
            [0., 2., 4.]])
    """
    shape = np.shape(arr)
    key = along("put_along_axis", shape, indices, axis)
    check_kind("put_along_axis", values, numbers_of(arr).dtype)
    if axis is not None:
        return _set_at(arr, values, key)
    return reshape(_set_at(reshape(arr, -1), values, key), shape)


def _plain_put(arr: Array, indices: Array, values: Array, axis: int | None) -> Array:
    y = np.array(arr)
    np.put_along_axis(y, indices, values, axis)
    return y


def _refused(theirs: Callable[..., Any], way: str) -> None:
    """Let NumPy's functions that write into their first argument say so where that is a tensor."""

    def refuse(target: Any, *args: Any, **options: Any) -> Any:
        if isinstance(target, Variable):
            raise GraphError(
                f"numpy.{theirs.__name__} writes into its first argument, and a tensor is not written to like this: {way}"
            )
        tensors = [value for value in leaves((args, options)) if isinstance(value, Variable)]
        if is_recording() and any(tensor._node is not None and tensor._node.requires_grad for tensor in tensors):
            raise DTypeError(f"numpy.{theirs.__name__} writes into an array, which would drop the gradient of a tensor: {way}")
        args, options = mapped(lambda value: value._data if isinstance(value, Variable) else value, (args, options))
        return theirs(target, *args, **options)

    refuse.__name__ = f"_{theirs.__name__}"
    spelling(theirs)(refuse)


_refused(np.put_along_axis, "y = tg.put_along_axis(x, indices, values, axis) is a new tensor")
_refused(np.put, "y = x.reshape(-1).at[indices].set(v).reshape(x.shape) is a new tensor")
_refused(np.place, "y = x.at[mask].set(v) or tg.where(mask, v, x) is a new tensor")
_refused(np.putmask, "y = tg.where(mask, v, x) is a new tensor")
_refused(np.copyto, "y = tg.where(mask, v, x), or v itself, is a new tensor; np.full calls it, tg.broadcast_to not")
_refused(np.fill_diagonal, "with i = np.arange(n), y = x.at[i, i].set(v) is a new tensor")
