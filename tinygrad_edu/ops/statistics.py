"""Averages, spreads and correlations."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.graph import Variable
from tinygrad_edu.ops.arithmetic import sqrt
from tinygrad_edu.ops.complex import magnitude
from tinygrad_edu.ops.indexing import numbers_of
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.norm import vector_norm
from tinygrad_edu.ops.reduction import as_operand, broadcast_to, checked_axes, count, mean, sum
from tinygrad_edu.ops.shape import astype, reshape, squeeze, transpose
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, composite, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


def widened(a: Any) -> Any:
    """float16 as float32: a sum of 70 000 ones, and of the squares of 300, is more than float16 can hold, and their mean is not."""
    return astype(a, np.float32) if a.dtype == np.float16 else a


def narrowed(y: Any, a: Any) -> Any:
    """A result in the precision of the operand: after `widened`, or where NumPy widens because an array of counts took part."""
    if a.dtype.kind not in "fc":
        return y
    dtype = a.dtype if y.dtype.kind == "c" else np.finfo(a.dtype).dtype
    return y if y.dtype == dtype else astype(y, dtype)


# ----------------------------------------------------------------------------------------------------------------- spread

_TURNED = np.array([1, 3j], np.complex64)  # makes of any two numbers two that differ


@composite(
    numpy=np.var,
    cases=[
        Case(a=reals(shape=(2, 3)), axis=[None, 0, -1, (0, 1)], ddof=[0, 1], keepdims=[False, True]),
        Case(a=complexes(shape=(2, 2)), axis=[None, 0], correction=[0, 1]),
    ],
)
def var(a: Any, /, axis: Any = None, ddof: float = 0, keepdims: bool = False, *, correction: float | None = None) -> Any:
    """y = Σ |a − mean a|² / (n − ddof)        ∂L/∂a = 2 g (a − mean a) / (n − ddof)

    Built from ``mean``, ``subtract``, ``multiply`` and ``sum``. ``ddof=1`` gives the unbiased estimate, which is PyTorch's
    default; 0 is NumPy's. ``correction`` is another name for it. Counterpart: ``numpy.var``, ``torch.var``.

    >>> import tinygrad_edu as tg
    >>> tg.var(tg.Tensor([1.0, 2.0, 3.0]))
    Tensor(0.66666667)
    """
    a = as_operand(a)
    x = widened(a)
    deviation = x - mean(x, axis=axis, keepdims=True)
    freedom = _freedom("var", a.shape, axis, ddof if correction is None else correction)
    return narrowed(sum(magnitude(deviation), axis=axis, keepdims=keepdims) / freedom, a)


@composite(
    numpy=np.std,
    cases=[
        Case(a=reals(grid=(0, 0.3), shape=(2, 3)), axis=[None, 0, -1, (0, 1)], ddof=[0, 1], keepdims=[False, True]),
        Case(
            a=complexes(-1, -0.5, shape=(1, 2)),
            axis=[None, 1],
            correction=[1],
            before=lambda a: a * np.array([1, 3j], np.complex64),
        ),
    ],
    kinks=[Kink("all equal", "0", at={"a": [2.0, 2.0, 2.0]}, gradient={"a": [0.0, 0.0, 0.0]})],
)
def std(a: Any, /, axis: Any = None, ddof: float = 0, keepdims: bool = False, *, correction: float | None = None) -> Any:
    """y = √(Σ |a − mean a|² / (n − ddof))        ∂L/∂a = g (a − mean a) / (y (n − ddof))  (0 at y = 0)

    Built from ``mean``, ``subtract``, ``vector_norm`` and ``divide``. ``ddof`` and ``correction`` as in `var`. Counterpart:
    ``numpy.std``, ``torch.std``.

    >>> import tinygrad_edu as tg
    >>> tg.std(tg.Tensor([1.0, 2.0, 3.0]), ddof=1)
    Tensor(1.)
    """
    a = as_operand(a)
    x = widened(a)
    deviation = x - mean(x, axis=axis, keepdims=True)
    freedom = _freedom("std", a.shape, axis, ddof if correction is None else correction)
    return narrowed(vector_norm(deviation, axis=axis, keepdims=keepdims) / math.sqrt(freedom), a)


def _freedom(name: str, shape: Shape, axis: Any, ddof: float) -> float:
    n = count(shape, axis)
    if n <= ddof:
        warnings.warn(f"{name} of {n} elements with ddof={ddof}: no degree of freedom is left", RuntimeWarning, stacklevel=3)
        return 0.0
    return n - ddof


# --------------------------------------------------------------------------------------------------------------- averages


@composite(
    numpy=np.average,
    cases=[
        Case(a=reals(shape=(2, 3)), axis=[None, 0, -1, (0, 1)], keepdims=[False, True]),
        Case(a=reals(shape=(2, 3)), weights=reals(0.2, 2, shape=(2, 3)), axis=[None, 1, (1, 0)], returned=[False, True]),
        Case(a=reals(shape=(2, 3)), weights=reals(0.2, 2, shape=(3,)), axis=[1, -1], keepdims=[False, True], returned=[True]),
        Case(a=reals(shape=(2, 1, 3)), weights=reals(0.2, 2, shape=(3, 2)), axis=[(2, 0), (-1, 0)]),
        Case(a=complexes(shape=(3,)), weights=reals(0.2, 2, shape=(3,))),
    ],
)
def average(a: Any, /, axis: Any = None, weights: Any = None, *, returned: bool = False, keepdims: bool = False) -> Any:
    """y = Σ w a / Σ w        ∂L/∂a = g w / Σ w        ∂L/∂w = g (a − y) / Σ w

    ``weights`` have the shape of a, or the lengths of the axes that ``axis`` names; they are differentiated too. Without them it is
    the mean. ``returned=True`` gives the pair (y, Σ w). Counterpart: ``numpy.average``.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 3.0], requires_grad=True)
    >>> y = tg.average([2.0, 6.0], weights=w)
    >>> y
    Tensor(5., requires_grad=True)
    >>> y.backward()
    >>> w.grad
    Tensor([-0.75,  0.25])
    """
    a = as_operand(a)
    if weights is None:
        y = mean(a, axis=axis, keepdims=keepdims)
        if not returned:
            return y
        total: Any = np.asarray(count(a.shape, axis), dtype=y.dtype)
        if isinstance(y, Variable):
            total = type(y)(total)  # type: ignore[call-arg]
    else:
        w = _aligned(as_operand(weights), a.shape, axis)
        if a.dtype.kind in "biu" or w.dtype.kind in "biu":
            w = astype(w, np.result_type(a.dtype, w.dtype, *([np.float64] if a.dtype.kind in "biu" else [])))
        narrow = a.dtype == w.dtype == np.float16
        x, w = (widened(a), widened(w)) if narrow else (a, w)
        axis = None if axis is None else checked_axes("average", a.shape, axis)
        total = sum(w, axis=axis, keepdims=keepdims)
        if (numbers_of(total) == 0).any():
            raise ArgumentError("average: the weights sum to 0, so that nothing can be divided by their sum")
        y = sum(x * w, axis=axis, keepdims=keepdims) / total
        y, total = (astype(y, np.float16), astype(total, np.float16) if returned else total) if narrow else (y, total)
    return (y, broadcast_to(total, y.shape)) if returned else y


def _aligned(weights: Any, shape: Shape, axis: Any) -> Any:
    """The weights with as many axes as the array that they are for."""
    if weights.shape == shape:
        return weights
    reduced = checked_axes("average", shape, axis)
    lengths = tuple([shape[i] for i in reduced])
    if axis is None or weights.shape != lengths:
        needed = f"{shape}" + ("" if axis is None else f" or, for axis={axis}, {lengths}")
        why = "; say along which axis they are: axis=" if axis is None and weights.ndim == 1 else ""
        raise ShapeError(f"average: weights of shape {weights.shape} for an array of {shape}: their shape is {needed}{why}")
    in_order = transpose(weights, tuple(sorted(range(len(reduced)), key=reduced.__getitem__)))
    return reshape(in_order, tuple([n if i in reduced else 1 for i, n in enumerate(shape)]))


# ----------------------------------------------------------------------------------------------------------- correlations


@composite(
    numpy=np.cov,
    cases=[
        Case(a=reals(shape=(2, 3)), rowvar=[True, False], bias=[False, True]),
        Case(a=reals(shape=(3,)), y=reals(shape=(2, 3)), ddof=[0]),
        Case(a=reals(shape=(4,)), aweights=reals(0.5, 2, shape=(4,)), fweights=[None, np.array([1, 2, 1, 3])]),
        Case(a=complexes(shape=(2, 2))),
    ],
)
def cov(
    a: Any,
    /,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
    fweights: Any = None,
    aweights: Any = None,
) -> Any:
    """y = (a − mean a) (a − mean a)ᴴ / (n − 1)        ∂L/∂a = the product's rules, averages subtracted

    The covariances of the rows of a, each a variable with n observations, or of its columns with ``rowvar=False``. ``y`` are
    further variables. The divisor is n with ``bias=True``, n − ddof with ``ddof``. ``aweights`` weigh observations and are
    differentiated too, ``fweights`` count how often each occurred. float32 stays float32, where NumPy gives float64. Counterpart:
    ``numpy.cov``, ``torch.cov``.

    >>> import tinygrad_edu as tg
    >>> tg.cov(tg.Tensor([[1.0, 2.0, 3.0], [6.0, 4.0, 2.0]]))
    Tensor([[ 1., -2.],
            [-2.,  4.]])
    """
    ddof = (0 if bias else 1) if ddof is None else ddof
    x = _variables(a, rowvar)
    if y is not None:
        x = concatenate([x, _variables(y, rowvar)])
    real = np.finfo(x.dtype).dtype if x.dtype.kind in "fc" else float
    weights = None if fweights is None else np.asarray(fweights, real)
    if aweights is not None:
        weights = as_operand(aweights) if weights is None else weights * as_operand(aweights)
    if weights is None:
        freedom: Any = _freedom("cov", x.shape, 1, ddof)
        deviation = x - mean(x, axis=1, keepdims=True)
        weighted = deviation
    else:
        if weights.shape != x.shape[1:]:
            raise ShapeError(f"cov: weights of shape {weights.shape} for {x.shape[1]} observations")
        total = sum(weights)
        lost = ddof if aweights is None or not ddof else ddof * sum(weights * aweights) / total
        freedom = total - lost
        deviation = x - sum(x * weights, axis=1, keepdims=True) / total
        weighted = deviation * weights
    other = weighted.T if x.dtype.kind != "c" else weighted.conj().T
    return squeeze(deviation @ other / freedom)


def _variables(a: Any, rowvar: bool) -> Any:
    """Observations as rows of variables."""
    a = as_operand(a)
    if a.ndim > 2:
        raise ShapeError(f"cov: observations are a vector or a matrix, got shape {a.shape}")
    if a.ndim < 2:
        return reshape(a, (1, -1))
    return a if rowvar or a.shape[0] == 1 else a.T


@primitive(elementwise=True, bounded=True, cases=[Case(a=reals(-0.9, 0.9))], reference=lambda a: a)
def _within_one(a: Array, /) -> Array:
    """y = a        ∂L/∂a = g

    Of numbers that are at most 1 but for rounding: then arccos of them is no nan, and the derivative is not lost.
    """
    return np.clip(a, -1, 1)


_within_one.vjp(a=lambda g: g)


@composite(
    numpy=np.corrcoef,
    cases=[
        Case(a=reals(grid=(0.2, 0.3), shape=(2, 3)), before=lambda a: a * a),
        Case(a=reals(grid=(0.2, 0.3), shape=(3, 2)), rowvar=[False]),
        Case(a=reals(grid=(0.2, 0.3), shape=(3,)), y=reals(grid=(0.2, 0.2), shape=(3,))),
    ],
)
def corrcoef(a: Any, /, y: Any = None, rowvar: bool = True) -> Any:
    """y = Cᵢⱼ / √(Cᵢᵢ Cⱼⱼ)        ∂L/∂a = the rules of cov and the quotient

    The correlations of the rows of a, with C their `cov`; arguments and dtype are the same. nan with a warning for a variable that
    does not vary. Counterpart: ``numpy.corrcoef``, ``torch.corrcoef``.

    >>> import tinygrad_edu as tg
    >>> tg.corrcoef(tg.Tensor([[1.0, 2.0, 3.0], [6.0, 4.0, 2.0]]))
    Tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = cov(a, y, rowvar)
    if not c.ndim:
        return c / c
    i = np.arange(len(c))
    variances = c[i, i]
    scale = sqrt(variances.real if c.dtype.kind == "c" else variances)
    r = c / reshape(scale, (-1, 1)) / scale
    if c.dtype.kind != "f":
        return r
    return _within_one(r)
