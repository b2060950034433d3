"""Rearranging as PyTorch spells it: flatten, view, permute."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.ops.indexing import axis_of
from tinygrad_edu.ops.shape import _check_order, reshape, transpose
from tinygrad_edu.registry import Case, composite, reals, spelling


@composite(
    cases=[Case(a=reals(shape=(2, 3, 2)), start_dim=[0, 1], end_dim=[-1, 1]), Case(a=reals(shape=(2, 3)), order=["F"])],
    reference=lambda a, start_dim=0, end_dim=-1, order="C": a.reshape(
        *a.shape[:start_dim], -1, *a.shape[end_dim + 1 or a.ndim :], order=order
    ),
)
def flatten(a: Any, /, start_dim: int = 0, end_dim: int = -1, order: str = "C") -> Any:
    """y = a with the axes from ``start_dim`` to ``end_dim`` as one        ∂L/∂a = g, read back

    All of them by default, as `ravel` does. Counterpart: ``torch.flatten``; with ``order``, ``numpy.ndarray.flatten``.

    >>> import tinygrad_edu as tg
    >>> tg.flatten(tg.Tensor([[[1.0, 2.0], [3.0, 4.0]]]), 1)
    Tensor([[1., 2., 3., 4.]])
    """
    if isinstance(start_dim, str):
        raise ArgumentError(f"flatten: start_dim is an axis, as in PyTorch: write order={start_dim!r}")
    _check_order("flatten", order)
    shape = np.shape(a) or (1,)
    start, end = [axis_of("flatten", shape, axis) for axis in (start_dim, end_dim)]
    if start > end:
        raise ArgumentError(f"flatten: of shape {shape}, start_dim={start_dim} comes after end_dim={end_dim}")
    return reshape(a, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]), order)


@spelling()
def view(a: Any, /, *lengths: Any) -> Any:
    """`reshape`, with lengths one by one or as a tuple. Counterpart: ``torch.Tensor.view``.

    >>> import tinygrad_edu as tg
    >>> tg.Tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, -1)
    Tensor([[1., 2., 3., 4.]])
    """
    return reshape(a, lengths[0] if len(lengths) == 1 else lengths)


@spelling()
def permute(a: Any, /, *dims: Any) -> Any:
    """`transpose`, with axes one by one or as a tuple. Counterpart: ``torch.permute``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.Tensor(np.ones((2, 3, 4))).permute(0, 2, 1).shape
    (2, 4, 3)
    """
    return transpose(a, dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims)
