"""Running sums, products and extrema along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.floating import quietly
from tinygrad_edu.ops.exponential import exp
from tinygrad_edu.ops.indexing import numbers_of
from tinygrad_edu.ops.joining import stack
from tinygrad_edu.ops.select import where
from tinygrad_edu.ops.shape import astype, atleast_1d, pad, reshape, swapaxes
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, composite, reals

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_edu.graph import Array, Shape


def _accumulated(ufunc: np.ufunc, a: Array, axis: int | None) -> Array:
    """The ufunc's results so far, along an axis or, for None, of the elements row by row."""
    a = np.asarray(a)
    if axis is None or not a.ndim:
        a, axis = a.reshape(-1), axis or 0
    y: Array = ufunc.accumulate(a, axis=axis)
    return y


def _along(rule: Callable[..., Any], g: Any, *arrays: Any, shape: Shape, axis: int | None) -> Any:
    """A rule for the last axis, applied along another one. (None: to the elements row by row.)"""
    if axis is None or not shape:
        return reshape(rule(g, *[reshape(x, -1) for x in arrays]), shape)
    last = len(shape) - 1
    if axis % len(shape) == last:
        return rule(g, *arrays)
    return swapaxes(rule(*[swapaxes(x, axis, last) for x in (g, *arrays)]), axis, last)


def _later(a: Any) -> Any:
    """Each element's successor along the last axis, and 0 at the end."""
    return pad(a[..., 1:], [(0, 0)] * (a.ndim - 1) + [(0, 1)])


def _suffixes(g: Any, c: Any) -> Any:
    """h with hᵢ = gᵢ + cᵢ hᵢ₊₁ along the last axis: sums of later elements, each times the factors on the way to it.

    Two steps at once are a step of the same kind, from one even place to the next; so the even places are a problem of half the
    size, and the odd ones follow from them. Made of operations, it can be differentiated as often as one likes.
    """
    n = g.shape[-1]
    if n < 2:
        return g
    if n % 2:
        one_more = [(0, 0)] * (g.ndim - 1) + [(0, 1)]
        return _suffixes(pad(g, one_more), pad(c, one_more))[..., :n]
    g0, g1, c0, c1 = g[..., ::2], g[..., 1::2], c[..., ::2], c[..., 1::2]
    even = _suffixes(g0 + c0 * g1, c0 * c1)
    odd = g1 + c1 * _later(even)
    return reshape(stack([even, odd], -1), g.shape)


_AXES = [None, 0, -1]


@primitive(
    numpy=(np.cumsum, np.add.accumulate),
    cases=[
        Case(a=reals(shape=("m", 3)), axis=_AXES),
        Case(a=reals(shape=()), axis=[None, 0]),
        Case(a=complexes(shape=(2, 2)), axis=_AXES),
    ],
)
def cumsum(a: Array, /, axis: int | None = None) -> Array:
    """yₖ = Σᵢ≤ₖ aᵢ        ∂L/∂aᵢ = Σₖ≥ᵢ gₖ

    Along ``axis``, or of the flattened array. Counterpart: ``numpy.cumsum``, ``torch.cumsum``.

    >>> import tinygrad_edu as tg
    >>> tg.cumsum(tg.Tensor([1.0, 2.0, 3.0]))
    Tensor([1., 3., 6.])
    """
    return _accumulated(np.add, a, axis)


def _from_the_end(g: Any) -> Any:
    return cumsum(g[..., ::-1], -1)[..., ::-1]


cumsum.vjp(a=lambda g, a_shape, axis: _along(_from_the_end, g, shape=a_shape, axis=axis))


@primitive(
    numpy=(np.cumprod, np.multiply.accumulate),
    cases=[
        Case(a=reals(-2, 2, shape=("m", 3)), axis=_AXES),
        Case(a=reals(-2, 2, shape=(7,))),
        Case(a=reals(shape=()), axis=[None, 0]),
        Case(a=complexes(shape=(2, 2)), axis=_AXES),
    ],
)
def cumprod(a: Array, /, axis: int | None = None) -> Array:
    """yₖ = Πᵢ≤ₖ aᵢ        ∂L/∂aᵢ = Σₖ≥ᵢ gₖ Πⱼ≤ₖ,ⱼ≠ᵢ aⱼ

    Along ``axis``, or of the flattened array. Nothing is divided, so that the derivatives of every order are right where elements
    are 0. Counterpart: ``numpy.cumprod``, ``torch.cumprod``.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([2.0, 0.0, 3.0], requires_grad=True)
    >>> y = tg.cumprod(x)
    >>> y
    Tensor([2., 0., 0.], requires_grad=True)
    >>> y.sum().backward()
    >>> x.grad
    Tensor([1., 8., 0.])
    """
    return _accumulated(np.multiply, a, axis)


def _product_rule(g: Any, y: Any, a: Any) -> Any:
    """What came before an element, times what it passes on to itself and the later ones."""
    before = pad(y[..., :-1], [(0, 0)] * (y.ndim - 1) + [(1, 0)], constant_values=1)
    return before * _suffixes(g, _later(a))


cumprod.vjp(a=lambda g, y, a, axis: _along(_product_rule, g, y, a, shape=a.shape, axis=axis))


@primitive(
    numpy=np.logaddexp.accumulate,
    reference=lambda a, axis: np.log(np.cumsum(np.exp(a), axis)),
    cases=[Case(a=reals(shape=("m", 3)), axis=_AXES)],
)
def logcumsumexp(a: Array, /, axis: int | None = None) -> Array:
    """yₖ = ln Σᵢ≤ₖ e^aᵢ        ∂L/∂aᵢ = Σₖ≥ᵢ gₖ e^aᵢ / Σⱼ≤ₖ e^aⱼ

    Along ``axis``, or of the flattened array. No exponential overflows, neither here nor in the derivative. Counterpart:
    ``numpy.logaddexp.accumulate``, ``torch.logcumsumexp``.

    >>> import tinygrad_edu as tg
    >>> tg.logcumsumexp(tg.Tensor([1000.0, 1000.0, 0.0]))
    Tensor([1000.        , 1000.69314718, 1000.69314718])
    """
    a = np.asarray(a)
    a = a if a.dtype.kind == "f" else a.astype(float)
    return quietly(_accumulated, np.logaddexp, a, axis)  # type: ignore[no-any-return]  # differences of huge numbers may overflow


def _share_of_sums(g: Any, a: Any) -> Any:
    """The weight e^aᵢ / Σⱼ≤ₖ e^aⱼ as the share of aᵢ in the sum up to itself, times the shares of each sum in the next one.

    The sums are of e^(aⱼ − top), where top is the largest so far, and so they are exact: y, a large number, is a rounded one.
    """
    a = astype(a, np.result_type(a.dtype, np.float32))  # float16 has no room for sums of many
    top = np.maximum.accumulate(numbers_of(a), axis=-1)
    before = np.zeros(a.shape, a.dtype)  # what remains of the earlier terms when an element is larger than all of them
    before[..., 1:] = np.where(top[..., 1:] == top[..., :-1], 1, quietly(lambda: np.exp(top[..., :-1] - top[..., 1:])))
    infinite = np.isposinf(top)
    if infinite.any():  # several +inf share equally
        a = where(infinite, np.where(np.isposinf(numbers_of(a)), 0, -np.inf).astype(a.dtype), a)
    terms = quietly(lambda: exp(a - np.where(np.isinf(top), 0, top)))
    sums = _suffixes(terms[..., ::-1], before[..., ::-1])[..., ::-1]
    divisor = where(numbers_of(sums) == 0, 1, sums)  # there nothing but −inf, which is no summand, has come so far
    return terms / divisor * _suffixes(g, sums * _later(before / divisor))


logcumsumexp.vjp(a=lambda g, a, axis: _along(_share_of_sums, g, a, shape=a.shape, axis=axis))


def _share_of_extrema(g: Any, y: Any, a: Any) -> Any:
    """gₖ in equal parts for the elements up to k that are yₖ: the places where yₖ appeared, along the stretch where it stays."""
    attained, stays = _history(y, a)
    parts = cumsum(attained, -1)  # how often so far, counted from the start of each stretch
    before = np.maximum.accumulate(np.where(stays, 0, parts - attained), axis=-1)
    return where(attained, _suffixes(g / (parts - before).astype(g.dtype), _later(stays.astype(g.dtype))), 0)


def _history(y: Any, a: Any) -> tuple[Array, Array]:
    """Where an element attains the extremum so far, and where that is the same as one place before. (A NaN stays.)"""
    y, a = numbers_of(y), numbers_of(a)
    stays = np.zeros(y.shape, bool)
    stays[..., 1:] = (y[..., 1:] == y[..., :-1]) | (y[..., :-1] != y[..., :-1])
    return (a == y) | (a != a), stays


def _plain_extrema(extremum: Callable[..., Any], a: Array, axis: int | None) -> Array:
    y, axis = (np.ravel(a), 0) if axis is None else (np.array(a), axis)
    for k in range(y.shape[axis]):
        np.moveaxis(y, axis, 0)[k] = extremum(np.take(y, range(k + 1), axis), axis)
    return y


_EXTREMA = [Case(a=reals(grid=(-3, 0.2), shape=("m", 3)), axis=_AXES)]


@primitive(
    numpy=np.maximum.accumulate,
    reference=lambda a, axis: _plain_extrema(np.max, a, axis),
    cases=_EXTREMA,
    kinks=[Kink("several maxima", "they share equally", at={"a": [1.0, 3.0, 3.0]}, gradient={"a": [1.0, 1.5, 0.5]})],
)
def cummax(a: Array, /, axis: int | None = None) -> Array:
    """yₖ = max of aᵢ, i ≤ k        ∂L/∂aᵢ = Σ gₖ over the k whose maximum it is; ties share equally

    Along ``axis``, or of the flattened array. Counterpart: ``numpy.maximum.accumulate``, the values of ``torch.cummax``.

    >>> import tinygrad_edu as tg
    >>> tg.cummax(tg.Tensor([1.0, 3.0, 2.0]))
    Tensor([1., 3., 3.])
    """
    return _accumulated(np.maximum, a, axis)


@primitive(
    numpy=np.minimum.accumulate,
    reference=lambda a, axis: _plain_extrema(np.min, a, axis),
    cases=_EXTREMA,
    kinks=[Kink("several minima", "they share equally", at={"a": [3.0, 1.0, 1.0]}, gradient={"a": [1.0, 1.5, 0.5]})],
)
def cummin(a: Array, /, axis: int | None = None) -> Array:
    """yₖ = min of aᵢ, i ≤ k        ∂L/∂aᵢ = Σ gₖ over the k whose minimum it is; ties share equally

    Along ``axis``, or of the flattened array. Counterpart: ``numpy.minimum.accumulate``, the values of ``torch.cummin``.

    >>> import tinygrad_edu as tg
    >>> tg.cummin(tg.Tensor([3.0, 1.0, 2.0]))
    Tensor([3., 1., 1.])
    """
    return _accumulated(np.minimum, a, axis)


for _extremum in (cummax, cummin):
    _extremum.vjp(a=lambda g, y, a, axis: _along(_share_of_extrema, g, y, a, shape=a.shape, axis=axis))


# ------------------------------------------------------------------------------------------- as the array API spells them


def _started(name: str, accumulate: Callable[..., Any], first: int, a: Any, axis: int | None, include_initial: bool) -> Any:
    a = atleast_1d(a)
    ndim = np.ndim(a)
    if axis is None:
        if ndim != 1:
            raise ShapeError(f"{name}: a has {ndim} axes; say along which to go: axis=")
        axis = 0
    if not -ndim <= axis < ndim:
        raise ArgumentError(f"{name}: axis {axis} of an array with {ndim} axes")
    y = accumulate(a, axis=axis)
    return pad(y, {axis: (1, 0)}, constant_values=first) if include_initial else y


@composite(
    numpy=getattr(np, "cumulative_sum", None),  # since NumPy 2.1
    reference=lambda a, axis=0, include_initial=False: np.concatenate(
        [np.zeros_like(np.take(a, [0] * include_initial, axis)), np.cumsum(a, axis)], axis
    ),
    cases=[Case(a=reals(shape=(3, 2)), axis=[0, -1], include_initial=[False, True]), Case(a=reals(shape=(3,)))],
)
def cumulative_sum(a: Any, /, axis: int | None = None, include_initial: bool = False) -> Any:
    """yₖ = Σᵢ≤ₖ aᵢ        ∂L/∂aᵢ = Σₖ≥ᵢ gₖ

    `cumsum`, with a 0 in front for ``include_initial``; ``axis`` can be left out for vectors only. Counterpart:
    ``numpy.cumulative_sum``.

    >>> import tinygrad_edu as tg
    >>> tg.cumulative_sum(tg.Tensor([1.0, 2.0]), include_initial=True)
    Tensor([0., 1., 3.])
    """
    return _started("cumulative_sum", cumsum, 0, a, axis, include_initial)


@composite(
    numpy=getattr(np, "cumulative_prod", None),  # since NumPy 2.1
    reference=lambda a, axis=0, include_initial=False: np.concatenate(
        [np.ones_like(np.take(a, [0] * include_initial, axis)), np.cumprod(a, axis)], axis
    ),
    cases=[Case(a=reals(shape=(3, 2)), axis=[0, -1], include_initial=[False, True]), Case(a=reals(shape=(3,)))],
)
def cumulative_prod(a: Any, /, axis: int | None = None, include_initial: bool = False) -> Any:
    """yₖ = Πᵢ≤ₖ aᵢ        ∂L/∂aᵢ = Σₖ≥ᵢ gₖ Πⱼ≤ₖ,ⱼ≠ᵢ aⱼ

    `cumprod`, with a 1 in front for ``include_initial``; ``axis`` can be left out for vectors only. Counterpart:
    ``numpy.cumulative_prod``.

    >>> import tinygrad_edu as tg
    >>> tg.cumulative_prod(tg.Tensor([2.0, 3.0]), include_initial=True)
    Tensor([1., 2., 6.])
    """
    return _started("cumulative_prod", cumprod, 1, a, axis, include_initial)
