"""`Parameter`, for those who are used to it."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.tensor import Tensor


def Parameter(data: Any, requires_grad: bool = True, *, dtype: Any = None) -> Tensor:  # noqa: N802 - PyTorch's name
    """``Tensor(data, requires_grad=True)``: such a tensor is a parameter of the module that it is an attribute of.

    Counterpart: ``torch.nn.Parameter``, which is a class.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Parameter([1.0, 2.0])
    Tensor([1., 2.], requires_grad=True)
    """
    return Tensor(data, requires_grad, dtype=dtype)
