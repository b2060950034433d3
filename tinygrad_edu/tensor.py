"""`Tensor`: an array whose operations are recorded. Constructors, operators and one-line methods; no derivative is here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu import engine, numpy_protocol
from tinygrad_edu.changes import in_place, set_item
from tinygrad_edu.cuts import mark_cut
from tinygrad_edu.errors import DTypeError, GraphError, ShapeError
from tinygrad_edu.graph import Constant, Leaf, Node, Variable, is_recording, next_serial, note_change
from tinygrad_edu.ops import arithmetic, comparison, constant, indexing, linalg
from tinygrad_edu.ops import complex as complex_ops
from tinygrad_edu.ops import shape as shaping
from tinygrad_edu.ops.updates import At
from tinygrad_edu.recording import vertex_of
from tinygrad_edu.registry import METHODS

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape
    from tinygrad_edu.viz import Graph


Method: TypeAlias = Callable[..., "Tensor"]


def _reflected(op: Callable[..., Any]) -> Method:
    return lambda b, a: op(a, b)


class Tensor(Variable):
    """An n-dimensional array that records what is computed from it.

    Parameters
    ----------
    data: numbers, nested lists, an array or a Tensor. It is copied; `from_numpy` shares memory instead.
    requires_grad: whether ``backward()`` should leave a gradient in ``.grad``. Only floating and complex tensors can.
    dtype: a NumPy dtype; by default the data's own, which for Python numbers is float64 or int64, as in NumPy.
    name: text for pictures and error messages.

    Arithmetic, comparisons and indexing follow NumPy, including broadcasting and dtype promotion (a Python number never widens a
    tensor), and mix with numbers and arrays on either side. ``torch.Tensor`` is the counterpart of everything else.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> loss = (x**2).sum()
    >>> loss.backward()
    >>> x.grad
    Tensor([2., 4.])
    """

    __slots__ = ()
    __array_ufunc__ = numpy_protocol.array_ufunc
    __array_function__ = numpy_protocol.array_function
    __hash__ = object.__hash__  # == compares elements, so identity is what a dictionary goes by

    def __init__(self, data: Any, requires_grad: bool = False, *, dtype: Any = None, name: str | None = None) -> None:
        if isinstance(data, Variable):
            data = data._data
        try:
            array = np.array(data, dtype)
        except DTypeError as error:
            raise DTypeError(
                "Tensor: the data contains tensors that require grad; join them with tg.stack or tg.concatenate"
            ) from error
        except (ValueError, TypeError) as error:
            raise ShapeError(f"Tensor: the data is no array of numbers: {error}") from error
        _fill(self, array, requires_grad, name)

    # ------------------------------------------------------------------------------------------------------ the array

    @property
    def data(self) -> Array:
        """The array itself, without a copy. Assigning to it replaces the array; ``x.data -= step`` changes it in place, which
        is noticed. The array of an operation's result is read-only."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        vertex = vertex_of(self)
        if type(vertex) is Node:
            raise GraphError(
                f"the data of a recorded result (of {vertex.op.name}) cannot be replaced: its gradient would belong to other "
                "numbers; compute a new tensor, or start from x.detach()"
            )
        if value is self._data:  # x.data -= step has changed the array and assigns it to itself
            note_change(vertex, value)
            return
        array = np.array(value, dtype=self._data.dtype)
        if array.shape != self._data.shape:
            raise ShapeError(f"data: the new array has shape {array.shape}, the tensor {self._data.shape}; make a new Tensor")
        self._data = vertex.data = array
        vertex.change = None
        vertex.changed = next_serial()  # what was recorded before has the old array: no harm, but no picture of its values

    @property
    def shape(self) -> Shape:
        """Lengths of the axes."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the elements."""
        return self._data.dtype

    @property
    def real(self) -> Tensor:
        """The real part; see `tinygrad_edu.real`."""
        part: Tensor = complex_ops.real(self)
        return part

    @property
    def imag(self) -> Tensor:
        """The imaginary part; see `tinygrad_edu.imag`."""
        part: Tensor = complex_ops.imag(self)
        return part

    @property
    def T(self) -> Tensor:  # noqa: N802 - NumPy's name
        """The tensor with its axes reversed."""
        return self.transpose()

    @property
    def mT(self) -> Tensor:  # noqa: N802 - NumPy's name
        """The matrices of the last two axes, each transposed; see `tinygrad_edu.matrix_transpose`."""
        transposed: Tensor = shaping.matrix_transpose(self)
        return transposed

    @property
    def at(self) -> At:
        """``x.at[key].set(v)`` is a copy of x with ``x[key] = v``, and is differentiated; also ``.add``, ``.multiply`` and others.
        See `tinygrad_edu.ops.updates.Place`."""
        return At(self)

    def item(self) -> Any:
        """The one element as a Python number."""
        if self._data.size != 1:
            raise ShapeError(f"item: a tensor of shape {self.shape} has {self.size} elements, not one; use tolist()")
        return self._data.item()

    def numpy(self) -> Array:
        """A copy of the array. The gradient does not flow through it."""
        return self._data.copy()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self._data.tolist()

    def detach(self) -> Tensor:
        """A constant with a copy of the same numbers: no gradient flows through it. Counterpart: ``torch.Tensor.detach``, which
        shares memory."""
        return mark_cut(Tensor(self._data, name=self.name), "detach", self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """``np.asarray(x)`` is a copy of the numbers. A tensor that requires grad refuses: its gradient would be lost."""
        if self.requires_grad and is_recording():
            raise DTypeError(
                "np.asarray of a tensor that requires grad would silently drop its gradient (functions that are not recorded "
                "call it): say x.numpy() to take the numbers, or tg.stack([x, y]) to make one tensor of several"
            )
        return np.array(self._data, dtype)

    # ---------------------------------------------------------------------------------------------------- the gradient

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows to or through this tensor. Can be set on tensors that are not results of operations."""
        return self._node is not None and self._node.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if bool(value) == self.requires_grad:
            return
        if type(self._node) is Node:
            raise GraphError("requires_grad of a recorded result cannot be switched off; use x.detach()")
        # A result's array is read-only and may be a view of another tensor's: a leaf has its own.
        array = self._data if self._data.flags.writeable else self._data.copy()
        _fill(self, array, bool(value), self.name)

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by the user and not by a recorded operation."""
        return type(self._node) is not Node

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward()`` has added up, or None. It is an array of its own, writable, and only leaves have it."""
        return self._node.grad if type(self._node) is Leaf else None

    @grad.setter
    def grad(self, value: Any) -> None:
        if type(self._node) is not Leaf:
            if value is None:
                return
            raise GraphError("only a tensor made with requires_grad=True has a gradient to set")
        if value is not None:
            value = value if isinstance(value, Tensor) else Tensor(value, dtype=self.dtype)
            if value.shape != self.shape or value.dtype != self.dtype:
                raise ShapeError(
                    f"grad: a gradient of shape {value.shape} and dtype {value.dtype} for a tensor of {self.shape}, {self.dtype}"
                )
        self._node.grad = value

    @property
    def name(self) -> str | None:
        """Text for pictures and messages. It stays with the graph."""
        return None if self._node is None else self._node.name

    @name.setter
    def name(self, value: str | None) -> None:
        vertex_of(self).name = value

    backward = engine.backward

    def graph(
        self,
        *,
        detail: str = "ops",
        show: str | Iterable[str] = ("shape",),
        depth: int | None = None,
        max_nodes: int | None = 150,
        direction: str = "down",
        theme: str = "light",
        highlight: Any = None,
    ) -> Graph:
        """The recorded graph that this tensor is the result of, to draw or to walk; see `Graph`.

        Parameters
        ----------
        detail: "ops" draws operations, and tensors as arrows between them; "full" draws tensors, too.
        show: what to write beside tensors, of "shape", "dtype", "value", "grad", "grad_norm", and operations, "time", "memory".
        depth: how many levels of modules are drawn; what is deeper is one closed box. None: all.
        max_nodes: how many boxes a picture has at most; a larger graph is folded. None: no limit.
        direction: in which the data flow: "down", "right", "up" or "left".
        theme: "light" or "dark".
        highlight: tensors to draw in red, in a list, or in a dictionary with what to write beside each.
        """
        from tinygrad_edu.viz import Graph

        return Graph(
            self,
            show=show,
            highlight=highlight,
            detail=detail,
            depth=depth,
            max_nodes=max_nodes,
            direction=direction,
            theme=theme,
        )

    # ------------------------------------------------------------------------------------------------------- operators
    # An operation is a plain function of its first operand, so it is a method as it stands.

    __add__: Method = arithmetic.add
    __sub__: Method = arithmetic.subtract
    __mul__: Method = arithmetic.multiply
    __truediv__: Method = arithmetic.divide
    __pow__: Method = arithmetic.power
    __matmul__: Method = linalg.matmul
    __radd__: Method = _reflected(arithmetic.add)
    __rsub__: Method = _reflected(arithmetic.subtract)
    __rmul__: Method = _reflected(arithmetic.multiply)
    __rtruediv__: Method = _reflected(arithmetic.divide)
    __rpow__: Method = _reflected(arithmetic.power)
    __rmatmul__: Method = _reflected(linalg.matmul)
    __neg__: Method = arithmetic.negative
    __abs__: Method = arithmetic.abs
    __eq__: Method = comparison.equal  # type: ignore[assignment]
    __ne__: Method = comparison.not_equal  # type: ignore[assignment]
    __lt__: Method = comparison.less
    __le__: Method = comparison.less_equal
    __gt__: Method = comparison.greater
    __ge__: Method = comparison.greater_equal
    __mod__: Method = arithmetic.remainder
    __rmod__: Method = _reflected(arithmetic.remainder)
    __floordiv__: Method = constant.floor_divide
    __rfloordiv__: Method = _reflected(constant.floor_divide)
    __and__: Method = constant.bitwise_and
    __or__: Method = constant.bitwise_or
    __xor__: Method = constant.bitwise_xor
    __rand__: Method = _reflected(constant.bitwise_and)
    __ror__: Method = _reflected(constant.bitwise_or)
    __rxor__: Method = _reflected(constant.bitwise_xor)
    __invert__: Method = constant.bitwise_not
    __getitem__: Method = indexing.getitem

    def __pos__(self) -> Tensor:
        return self

    # --------------------------------------------------------------------------------------------------------- changes

    __iadd__: Method = in_place(np.add, arithmetic.add)
    __isub__: Method = in_place(np.subtract, arithmetic.subtract)
    __imul__: Method = in_place(np.multiply, arithmetic.multiply)
    __itruediv__: Method = in_place(np.divide, arithmetic.divide)

    def __setitem__(self, key: Any, value: Any) -> None:
        set_item(self, key, value)

    # ------------------------------------------------------------------------------------------------------- container

    def __len__(self) -> int:
        if not self._data.ndim:
            raise ShapeError("len() of a 0-d tensor: it is a single number")
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i, _ in enumerate(self._data))  # of a single number, NumPy's TypeError, which says so

    def __contains__(self, value: Any) -> bool:
        return (value._data if isinstance(value, Variable) else value) in self._data

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ShapeError(f"the truth of a tensor of shape {self.shape} is ambiguous: reduce it, or compare single elements")
        return bool(self._data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return self._data.__index__()

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(str(self), spec)

    def __repr__(self) -> str:
        text = np.array2string(self._data, separator=", ", prefix="Tensor(", threshold=200)
        facts = [text]
        if self._data.dtype not in (np.float64, np.int64, np.bool_, np.complex128) or not self._data.size:
            facts.append(f"dtype={self._data.dtype}")
        if self.requires_grad:
            facts.append("requires_grad=True")
        if self.name:
            facts.append(f"name={self.name!r}")
        return f"Tensor({', '.join(facts)})"

    def __reduce__(self) -> Any:
        """How to copy and pickle: the numbers, and what was given with them."""
        if type(self._node) is Node:
            raise GraphError("a recorded result cannot be copied or pickled with its graph; use x.detach()")
        return partial(Tensor, name=self.name), (self._data, self.requires_grad)

    # --------------------------------------------------------------------------------------------------------- methods

    # Every operation that is registered as a method becomes one below the class, as it stands: x.exp() is tg.exp(x). Here are only
    # those that take their arguments differently.

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Method: ...

    def reshape(self, *lengths: Any, **order: str) -> Tensor:
        """See `tinygrad_edu.reshape`; takes lengths one by one or as a tuple."""
        result: Tensor = shaping.reshape(self, lengths[0] if len(lengths) == 1 else lengths, **order)
        return result

    def transpose(self, *axes: Any) -> Tensor:
        """See `tinygrad_edu.transpose`; takes axes one by one, as a tuple, or none to reverse them."""
        result: Tensor = shaping.transpose(self, (axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes) or None)
        return result


for _name, _operation in METHODS.items():
    if _name not in vars(Tensor):
        setattr(Tensor, _name, _operation)


# --------------------------------------------------------------------------------------------------------------- helpers


def _fill(tensor: Tensor, array: Array, requires_grad: bool, name: str | None) -> None:
    """Give a tensor its array and the vertex that goes with it."""
    kind = array.dtype.kind
    if kind not in "biufc":
        raise DTypeError(
            f"Tensor: dtype {array.dtype} is not numeric; a tensor holds booleans, integers, floats or complex numbers"
        )
    if requires_grad and kind not in "fc":
        raise DTypeError(
            f"only floating and complex tensors can require grad, and this one is {array.dtype}: write the numbers with a decimal "
            "point, or pass dtype=float"
        )
    tensor._data = array
    tensor._node = (Leaf if requires_grad else Constant)(array, array.shape, array.dtype, name)


def from_numpy(array: Array, requires_grad: bool = False, *, name: str | None = None) -> Tensor:
    """A tensor that shares the array's memory: a change of one is a change of the other, and goes unnoticed by backward()
    unless under `guard`. Counterpart: ``torch.from_numpy``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> a = np.zeros(2)
    >>> x = tg.from_numpy(a)
    >>> a[0] = 7
    >>> x
    Tensor([7., 0.])
    """
    if type(array) is not np.ndarray:
        raise DTypeError(
            f"from_numpy shares the memory of an ndarray, got {type(array).__name__}: Tensor(...) copies anything, and "
            "array.view(np.ndarray) makes an ndarray of a subclass"
        )
    tensor = Tensor.__new__(Tensor)
    _fill(tensor, array, requires_grad, name)
    return tensor
