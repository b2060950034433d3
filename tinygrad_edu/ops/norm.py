"""Norms of vectors: how long they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.arithmetic import abs
from tinygrad_edu.ops.comparison import sign
from tinygrad_edu.ops.reduction import any_axes, keep, shared
from tinygrad_edu.ops.select import where
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import FUNCTIONS, Case, Kink, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

_ORDERS = [2, 1, 3, 0.5, -1, math.inf, -math.inf]


@primitive(
    numpy=np.linalg.vector_norm,
    label="‖x‖",
    cases=[
        Case(a=reals(0.2, 3), axis=any_axes, keepdims=[False, True]),
        Case(a=reals(grid=(0.3, 0.2), shape=(2, 3)), axis=[None, 0, -1, (1, 0)], ord=_ORDERS),
        Case(a=reals(-3, -0.2, shape=(4,)), ord=_ORDERS[:5]),
        Case(a=complexes(0.2, 2, shape=(2, 2)), axis=[None, 0], ord=[2, 1, 3]),
        Case(a=reals(0.2, 3, shape=(3,)), ord=[0], keepdims=[True]),
    ],
    kinks=[
        Kink("a = 0", "0", at={"a": [0.0, 0.0]}, gradient={"a": [0.0, 0.0]}),
        Kink("an element 0, ord = 1", "0 for that element", at={"a": [0.0, 2.0], "ord": 1}, gradient={"a": [0.0, 1.0]}),
        Kink("several largest, ord = ∞", "they share equally", at={"a": [-3.0, 3.0], "ord": math.inf}, gradient={"a": [-0.5, 0.5]}),
    ],
)
def vector_norm(a: Array, /, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Array:
    """y = (Σ |a|ᵖ)^¹⁄ᵖ        ∂L/∂a = g sign(a) (|a| / y)ᵖ⁻¹  (0 at y = 0)

    ``ord`` is p: any number, ``math.inf`` and ``-math.inf`` for the largest and smallest |a|, 0 for how many elements are not 0.
    ``axis`` is None (all), an integer or a tuple. Elements that are 0 get a zero gradient. Counterpart:
    ``numpy.linalg.vector_norm``, ``torch.linalg.vector_norm``.

    >>> import tinygrad_edu as tg
    >>> tg.vector_norm(tg.Tensor([[3.0, 4.0], [0.0, 2.0]]), axis=1)
    Tensor([5., 2.])
    """
    if isinstance(ord, str) or ord is None:
        raise ArgumentError(f"vector_norm: ord is a number, got {ord!r}; matrices have norms with names: tg.matrix_norm")
    x = np.asarray(a)
    if x.dtype.kind in "biu":
        x = x.astype(float)
    wide = x.astype(np.float32) if x.dtype == np.float16 else x  # whose squares overflow above 255
    y = np.asarray(_norm(wide, axis, keepdims, ord))
    return y.astype(x.dtype) if wide is not x else y


def _norm(x: Array, axis: Any, keepdims: bool, ord: float) -> Any:
    if ord == 2:
        if axis is None and not keepdims:
            return np.sqrt(np.vdot(x, x).real)
        return np.sqrt(np.sum(x * x if x.dtype.kind == "f" else (x.conj() * x).real, axis=axis, keepdims=keepdims))
    size = np.abs(x)
    if math.isinf(ord):
        return np.max(size, axis, keepdims=keepdims, initial=0) if ord > 0 else np.min(size, axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(size != 0, axis=axis, keepdims=keepdims, dtype=size.dtype)
    with np.errstate(divide="ignore"):  # of a negative power, 0 makes ∞, and that is length 0
        return np.sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def _norm_slope(g: Any, y: Any, a: Any, axis: Any, ord: float) -> Any:
    kept, length = keep(g, a.shape, axis), keep(y, a.shape, axis)
    if ord == 2:  # divided by infinity: 0, to every order
        return kept * ((a if a.dtype.kind == "f" else a.conj()) / where(length == 0, math.inf, length))
    if ord == 0 or not a.size:
        return np.zeros(a.shape, a.dtype)
    size = abs(a)
    direction = sign(a) if a.dtype.kind == "f" else a.conj() / where(size == 0, math.inf, size)
    if math.isinf(ord):
        return shared(g, y, size, axis) * direction
    if ord == 1:
        return kept * direction
    flat = (size == 0) | (length == 0)
    ratio = where(flat, 1, size / where(length == 0, 1, length))
    return where(flat, 0, kept * direction * ratio ** (ord - 1))


vector_norm.vjp(a=_norm_slope)


@composite(
    numpy=np.linalg.norm,
    cases=[
        Case(a=reals(0.2, 3)),
        Case(a=reals(0.2, 3, shape=(3,)), ord=[None, 3, -1]),
        Case(a=reals(0.2, 3, shape=(2, 3)), ord=[None, 2, 1], axis=[0, -1, (1,)], keepdims=[False, True]),
        Case(a=complexes(0.2, 2, shape=(2, 3)), ord=["fro"], axis=[None, (0, 1), (-1, 0)], keepdims=[False, True]),
    ],
    kinks=[Kink("a = 0", "0", at={"a": [0.0, 0.0]}, gradient={"a": [0.0, 0.0]})],
)
def norm(a: Any, /, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """y = √Σ |a|²        ∂L/∂a = g a / y  (0 at y = 0)

    Of all elements by default, whatever the shape; of each vector along ``axis``, or of each matrix where it is a pair. ``ord``
    chooses another norm: see `vector_norm` and `matrix_norm`. Counterpart: ``numpy.linalg.norm``, ``torch.linalg.norm``.

    >>> import tinygrad_edu as tg
    >>> tg.norm(tg.Tensor([[3.0, 0.0], [0.0, 4.0]]))
    Tensor(5.)
    """
    ndim = np.ndim(a)
    if axis is None:
        if ord is None:
            return vector_norm(a, keepdims=keepdims)
        if ndim not in (1, 2):
            raise ShapeError(f"norm: ord={ord!r} is a norm of vectors or matrices, and a has {ndim} axes; say along which: axis=")
        axis = tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if len(axes) == 1:
        return vector_norm(a, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ShapeError(f"norm: axis is an integer or a pair, got {axis!r}; a norm over more axes is tg.vector_norm")
    if ord in (None, "fro", "f"):
        return vector_norm(a, axis=axes, keepdims=keepdims)
    return FUNCTIONS["matrix_norm"](a, ord=ord, axis=axes, keepdims=keepdims)
