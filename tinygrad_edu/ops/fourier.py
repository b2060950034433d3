"""Fourier transforms, with NumPy's arguments: ``n`` cuts off or fills up with zeros, ``norm`` says where the factor 1/n goes.

Every derivative here is a transform of the same family. The matrix of exponentials is symmetric, so a complex transform is its own
transpose, with its scaling. Of the frequencies of real numbers only half are computed, 0 … n/2. rfft is fft without the other half:
its transpose takes zeros for them. In irfft a frequency between the ends stands for two, k and n − k, and has the weight 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.ops.reduction import as_operand
from tinygrad_edu.ops.shape import pad
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, composite, reals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinygrad_edu.graph import Array, Shape


NORMS = [None, "backward", "ortho", "forward"]


def _fit(g: Any, shape: Shape, axis: int) -> Any:
    """g cut off or filled up to the operand's length along the axis: the transpose of what n did to the operand."""
    excess = g.shape[axis] - shape[axis]
    if excess > 0:
        return g[(slice(None),) * (axis % g.ndim) + (slice(shape[axis]),)]
    return pad(g, {axis: (0, -excess)}) if excess else g


def _doubled(y: Any, n: int, axis: int) -> Any:
    """The frequencies 0 … n/2, each that stands for two counted twice: all but 0 and, if n is even, n/2."""
    weights = np.full(y.shape[axis], 2, np.finfo(y.dtype).dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return y * weights.reshape(-1, *[1] * (y.ndim - 1 - axis % y.ndim))


# ------------------------------------------------------------------------------------------------------- along one axis


@primitive(
    forward=np.fft.fft,
    cases=[
        Case(a=complexes(shape=(3,)), n=[None, 1, 2, 4], norm=NORMS),
        Case(a=reals(shape=(2, 3)), n=[None, 2, 3, 4], axis=[0, -1], norm=[None, "ortho"]),
    ],
)
def fft(a: Array, /, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """yₖ = Σⱼ aⱼ exp(−2πi jk / n)        ∂L/∂a = fft(g)

    ``n`` is the length, by default a's: a longer a is cut off, a shorter one filled up with zeros. ``norm`` is "backward" (the
    inverse has the factor 1/n), "ortho" (each has 1/√n) or "forward". Counterpart: ``numpy.fft.fft``, ``torch.fft.fft``.

    >>> import tinygrad_edu as tg
    >>> tg.fft(tg.Tensor([1.0, 2.0, 3.0, 4.0]))
    Tensor([10.+0.j, -2.+2.j, -2.+0.j, -2.-2.j])
    """


fft.vjp(a=lambda g, a_shape, axis, norm: _fit(fft(g, None, axis, norm), a_shape, axis))


@primitive(
    forward=np.fft.ifft,
    cases=[
        Case(a=complexes(shape=(3,)), n=[None, 1, 2, 4], norm=NORMS),
        Case(a=reals(shape=(2, 3)), n=[None, 2, 3, 4], axis=[0, -1], norm=[None, "ortho"]),
    ],
)
def ifft(a: Array, /, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """yⱼ = Σₖ aₖ exp(2πi jk / n) / n        ∂L/∂a = ifft(g)

    The inverse of ``fft``, with the same arguments. Counterpart: ``numpy.fft.ifft``, ``torch.fft.ifft``.

    >>> import tinygrad_edu as tg
    >>> tg.ifft(tg.Tensor([10, -2 + 2j, -2, -2 - 2j]))
    Tensor([1.+0.j, 2.+0.j, 3.+0.j, 4.+0.j])
    """


ifft.vjp(a=lambda g, a_shape, axis, norm: _fit(ifft(g, None, axis, norm), a_shape, axis))

REAL = "it transforms real numbers; fft and ifft take complex ones"


@primitive(
    forward=np.fft.rfft,
    hint=REAL,
    cases=[
        Case(a=reals(shape=(4,)), n=[None, 1, 2, 3, 5, 6], norm=NORMS),
        Case(a=reals(shape=(3, 2)), n=[None, 3, 4], axis=[0, 1, -2]),
    ],
)
def rfft(a: Array, /, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """yₖ = Σⱼ aⱼ exp(−2πi jk / n),  k = 0 … n/2        ∂L/∂a = Re fft(g)

    ``fft`` of real numbers, without the half of the frequencies that repeats the other. Arguments as for ``fft``.
    Counterpart: ``numpy.fft.rfft``, ``torch.fft.rfft``.

    >>> import tinygrad_edu as tg
    >>> tg.rfft(tg.Tensor([1.0, 2.0, 3.0, 4.0]))
    Tensor([10.+0.j, -2.+2.j, -2.+0.j])
    """


rfft.vjp(a=lambda g, a_shape, n, axis, norm: _fit(fft(g, n or a_shape[axis], axis, norm).real, a_shape, axis))


@primitive(
    forward=np.fft.irfft,
    cases=[
        Case(a=complexes(shape=(3,)), n=[None, 1, 2, 3, 5, 6, 7], norm=NORMS),
        Case(a=complexes(shape=(2, 3)), n=[None, 3, 4, 6], axis=[0, -1]),
        Case(a=reals(shape=(3,)), n=[None, 5]),
    ],
)
def irfft(a: Array, /, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """yⱼ = Σₖ wₖ Re(aₖ exp(2πi jk / n)) / n,  w = 1, 2, …, 2, 1 (n even) or 2 (n odd)        ∂L/∂a = w ihfft(g)

    The inverse of ``rfft``: ``n`` is the length of the result, by default the even one that fits. What has no meaning for a real
    result, the imaginary part of frequency 0 and of n/2, is ignored and gets the gradient 0. Counterpart: ``numpy.fft.irfft``,
    ``torch.fft.irfft``.

    >>> import tinygrad_edu as tg
    >>> tg.irfft(tg.Tensor([10, -2 + 2j, -2]))
    Tensor([1., 2., 3., 4.])
    """


irfft.vjp(a=lambda g, a_shape, axis, norm: _fit(_doubled(ihfft(g, None, axis, norm), g.shape[axis], axis), a_shape, axis))


@primitive(
    forward=np.fft.hfft,
    cases=[
        Case(a=complexes(shape=(3,)), n=[None, 1, 2, 3, 5, 6, 7], norm=NORMS),
        Case(a=complexes(shape=(2, 3)), n=[None, 3, 4, 6], axis=[0, -1]),
        Case(a=reals(shape=(3,)), n=[None, 5]),
    ],
)
def hfft(a: Array, /, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """yₖ = Σⱼ wⱼ Re(aⱼ exp(−2πi jk / n)),  w = 1, 2, …, 2, 1 (n even) or 2 (n odd)        ∂L/∂a = w rfft(g)

    ``fft`` of a signal whose second half is the conjugate of its first, of which only the first is given, so that its spectrum
    is real. ``n`` is the length of the result. Counterpart: ``numpy.fft.hfft``, ``torch.fft.hfft``.

    >>> import tinygrad_edu as tg
    >>> tg.hfft(tg.Tensor([2.5, -0.5 - 0.5j, -0.5]))
    Tensor([1., 2., 3., 4.])
    """


hfft.vjp(a=lambda g, a_shape, axis, norm: _fit(_doubled(rfft(g, None, axis, norm), g.shape[axis], axis), a_shape, axis))


@primitive(
    forward=np.fft.ihfft,
    hint=REAL,
    cases=[
        Case(a=reals(shape=(4,)), n=[None, 1, 2, 3, 5, 6], norm=NORMS),
        Case(a=reals(shape=(3, 2)), n=[None, 3, 4], axis=[0, 1, -2]),
    ],
)
def ihfft(a: Array, /, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """yⱼ = Σₖ aₖ exp(2πi jk / n) / n,  j = 0 … n/2        ∂L/∂a = Re ifft(g)

    The inverse of ``hfft``. Counterpart: ``numpy.fft.ihfft``, ``torch.fft.ihfft``.

    >>> import tinygrad_edu as tg
    >>> tg.ihfft(tg.Tensor([1.0, 2.0, 3.0, 4.0]))
    Tensor([ 2.5-0.j , -0.5-0.5j, -0.5-0.j ])
    """


ihfft.vjp(a=lambda g, a_shape, n, axis, norm: _fit(ifft(g, n or a_shape[axis], axis, norm).real, a_shape, axis))


# --------------------------------------------------------------------------------------------------- along several axes


def _plan(name: str, a: Any, s: Sequence[int] | None, axes: Sequence[int] | None) -> list[tuple[int | None, int]]:
    """(length, axis) of one transform after the other, from NumPy's arguments."""
    shape = np.shape(a)
    if axes is None:
        axes = range(-len(shape if s is None else s), 0)
    lengths: Sequence[int | None] = [None] * len(axes) if s is None else s
    if len(lengths) != len(axes) or (len(axes) == 0 and name not in ("fftn", "ifftn")):
        raise ArgumentError(f"{name}: s and axes say the lengths and the axes, one of each for a transform; got {s} and {axes}")
    if any(not -len(shape) <= axis < len(shape) for axis in axes):
        raise ArgumentError(f"{name}: axes {tuple(axes)} of an array with {len(shape)} axes")
    return [(shape[axis] if n == -1 else n, axis) for n, axis in zip(lengths, axes, strict=True)]


SEVERAL = [Case(a=complexes(shape=(2, 1, 2)), axes=[(0, 2), (-1,), (1, -1, 0)], norm=NORMS)]
LENGTHS, ORDERS = [(3, 2), (-1, 4), (1, 3)], [(0, 1), (1, 0)]


@composite(
    numpy=np.fft.fftn,
    cases=[*SEVERAL, Case(a=reals(shape=(2, 3)), s=LENGTHS, axes=ORDERS), Case(a=reals(shape=(2, 3)), axes=[None])],
)
def fftn(a: Any, /, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Any:
    """y = fft along one axis after the other        ∂L/∂a = fftn(g)

    ``axes`` are by default all, and ``s`` gives a length for each (-1: a's own). Counterpart: ``numpy.fft.fftn``,
    ``torch.fft.fftn``.

    >>> import tinygrad_edu as tg
    >>> tg.fftn(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[10.+0.j, -2.+0.j],
            [-4.+0.j,  0.+0.j]])
    """
    for n, axis in reversed(_plan("fftn", a, s, axes)):
        a = fft(a, n, axis, norm)
    return as_operand(a)[...]  # itself, where there is no axis


@composite(
    numpy=np.fft.ifftn,
    cases=[*SEVERAL, Case(a=reals(shape=(2, 3)), s=LENGTHS, axes=ORDERS), Case(a=reals(shape=(2, 3)), axes=[None])],
)
def ifftn(a: Any, /, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Any:
    """y = ifft along one axis after the other        ∂L/∂a = ifftn(g)

    The inverse of ``fftn``. Counterpart: ``numpy.fft.ifftn``, ``torch.fft.ifftn``.

    >>> import tinygrad_edu as tg
    >>> tg.ifftn(tg.Tensor([[10.0, -2.0], [-4.0, 0.0]]))
    Tensor([[1.+0.j, 2.+0.j],
            [3.+0.j, 4.+0.j]])
    """
    for n, axis in reversed(_plan("ifftn", a, s, axes)):
        a = ifft(a, n, axis, norm)
    return as_operand(a)[...]


@composite(
    numpy=np.fft.rfftn,
    cases=[
        Case(a=reals(shape=(2, 1, 3)), axes=[(0, 2), (-1,), (1, -1, 0)], norm=NORMS),
        Case(a=reals(shape=(2, 3)), s=LENGTHS, axes=ORDERS),
        Case(a=reals(shape=(2, 3)), axes=[None]),
    ],
)
def rfftn(a: Any, /, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Any:
    """y = rfft along the last of the axes, then fft along the others        ∂L/∂a = the transposes, in reverse order

    Counterpart: ``numpy.fft.rfftn``, ``torch.fft.rfftn``.

    >>> import tinygrad_edu as tg
    >>> tg.rfftn(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[10.+0.j, -2.+0.j],
            [-4.+0.j,  0.+0.j]])
    """
    *others, (n, axis) = _plan("rfftn", a, s, axes)
    a = rfft(a, n, axis, norm)
    for n, axis in reversed(others):
        a = fft(a, n, axis, norm)
    return a


@composite(
    numpy=np.fft.irfftn,
    cases=[
        Case(a=complexes(shape=(2, 1, 2)), axes=[(0, 2), (-1,), (1, 0, -1)], norm=NORMS),
        Case(a=complexes(shape=(2, 3)), s=LENGTHS, axes=ORDERS),
        Case(a=reals(shape=(2, 3)), axes=[None]),
    ],
)
def irfftn(a: Any, /, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Any:
    """y = ifft along all but the last of the axes, then irfft along that        ∂L/∂a = the transposes, in reverse order

    The inverse of ``rfftn``; ``s`` says the shape of the result, by default with an even length along the last axis. Counterpart:
    ``numpy.fft.irfftn``, ``torch.fft.irfftn``.

    >>> import tinygrad_edu as tg
    >>> tg.irfftn(tg.Tensor([[10.0, -2.0], [-4.0, 0.0]]))
    Tensor([[1., 2.],
            [3., 4.]])
    """
    *others, (n, axis) = _plan("irfftn", a, s, axes)
    for length, other in others:
        a = ifft(a, length, other, norm)
    return irfft(a, n, axis, norm)


@composite(numpy=np.fft.fft2, cases=[Case(a=complexes(shape=(2, 1, 3)), s=[None, (3, 2)], norm=[None, "ortho"])])
def fft2(a: Any, /, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Any:
    """y = fftn over the last two axes        ∂L/∂a = fft2(g)

    Counterpart: ``numpy.fft.fft2``, ``torch.fft.fft2``.

    >>> import tinygrad_edu as tg
    >>> tg.fft2(tg.Tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    Tensor([[[10.+0.j, -2.+0.j],
             [-4.+0.j,  0.+0.j]]])
    """
    return fftn(a, s, axes, norm)


@composite(numpy=np.fft.ifft2, cases=[Case(a=complexes(shape=(2, 1, 3)), s=[None, (3, 2)], norm=[None, "ortho"])])
def ifft2(a: Any, /, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Any:
    """y = ifftn over the last two axes        ∂L/∂a = ifft2(g)

    The inverse of ``fft2``. Counterpart: ``numpy.fft.ifft2``, ``torch.fft.ifft2``.

    >>> import tinygrad_edu as tg
    >>> tg.ifft2(tg.Tensor([[10.0, -2.0], [-4.0, 0.0]]))
    Tensor([[1.+0.j, 2.+0.j],
            [3.+0.j, 4.+0.j]])
    """
    return ifftn(a, s, axes, norm)


@composite(numpy=np.fft.rfft2, cases=[Case(a=reals(shape=(2, 2, 3)), s=[None, (3, 2)], norm=[None, "ortho"])])
def rfft2(a: Any, /, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Any:
    """y = rfftn over the last two axes        ∂L/∂a = the transposes, in reverse order

    Counterpart: ``numpy.fft.rfft2``, ``torch.fft.rfft2``.

    >>> import tinygrad_edu as tg
    >>> tg.rfft2(tg.Tensor([[1.0, 2.0, 3.0, 4.0]]))
    Tensor([[10.+0.j, -2.+2.j, -2.+0.j]])
    """
    return rfftn(a, s, axes, norm)


@composite(numpy=np.fft.irfft2, cases=[Case(a=complexes(shape=(1, 2, 2)), s=[None, (3, 2)], norm=[None, "ortho"])])
def irfft2(a: Any, /, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Any:
    """y = irfftn over the last two axes        ∂L/∂a = the transposes, in reverse order

    The inverse of ``rfft2``; ``s`` as for ``irfftn``. Counterpart: ``numpy.fft.irfft2``, ``torch.fft.irfft2``.

    >>> import tinygrad_edu as tg
    >>> tg.irfft2(tg.Tensor([[10, -2 + 2j, -2]]))
    Tensor([[1., 2., 3., 4.]])
    """
    return irfftn(a, s, axes, norm)


# -------------------------------------------------------------------------------------------------------------- shifting


@primitive(
    forward=np.fft.fftshift,
    cases=[Case(a=reals(shape=(3, 4)), axes=[None, 0, (-1,)]), Case(a=complexes(shape=("n",)), axes=[None])],
)
def fftshift(a: Array, /, axes: Any = None) -> Array:
    """y = a with frequency 0 moved from the front to the middle        ∂L/∂a = ifftshift(g)

    ``axes`` is None (all), an integer or a tuple. Counterpart: ``numpy.fft.fftshift``, ``torch.fft.fftshift``.

    >>> import tinygrad_edu as tg
    >>> tg.fftshift(tg.Tensor([0.0, 1.0, 2.0, -2.0, -1.0]))
    Tensor([-2., -1.,  0.,  1.,  2.])
    """


fftshift.vjp(a=lambda g, axes: ifftshift(g, axes))


@primitive(
    forward=np.fft.ifftshift,
    cases=[Case(a=reals(shape=(3, 4)), axes=[None, 0, (-1,)]), Case(a=complexes(shape=("n",)), axes=[None])],
)
def ifftshift(a: Array, /, axes: Any = None) -> Array:
    """y = a with frequency 0 moved from the middle to the front        ∂L/∂a = fftshift(g)

    The inverse of ``fftshift``. Counterpart: ``numpy.fft.ifftshift``, ``torch.fft.ifftshift``.

    >>> import tinygrad_edu as tg
    >>> tg.ifftshift(tg.Tensor([-2.0, -1.0, 0.0, 1.0, 2.0]))
    Tensor([ 0.,  1.,  2., -2., -1.])
    """


ifftshift.vjp(a=lambda g, axes: fftshift(g, axes))
