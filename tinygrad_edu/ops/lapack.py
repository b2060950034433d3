"""What the files of linear algebra share: small helpers for forwards and rules, on arrays and tensors alike. No operation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import MatrixError, ShapeError
from tinygrad_edu.graph import Variable, as_variable, is_recording
from tinygrad_edu.ops.complex import conj, real
from tinygrad_edu.ops.shape import swapaxes
from tinygrad_edu.tree import mapped

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


NOT_FINITE = "Most likely there is a nan or an infinity in it"


def values(a: Any) -> Array:
    """The numbers of a tensor or an array."""
    return a._data if isinstance(a, Variable) else np.asarray(a)


def differentiated(a: Any) -> bool:
    """Whether an operation on this would be recorded."""
    return isinstance(a, Variable) and a._node is not None and a._node.requires_grad and is_recording()


def conjugated(a: Any) -> Any:
    """The complex conjugate, which for real numbers costs nothing."""
    return conj(a) if values(a).dtype.kind == "c" else a


def transposed(a: Any) -> Any:
    """aᵀ, of matrices in the last two axes."""
    return swapaxes(a, -1, -2)


def adjoint(a: Any) -> Any:
    """ā ᵀ, of matrices in the last two axes."""
    return conjugated(swapaxes(a, -1, -2))


def require_square(name: str, a: Any) -> None:
    """Refuse what is not a square matrix, or a batch of them."""
    shape = np.shape(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        why = "it has fewer than two axes" if len(shape) < 2 else f"it is {shape[-2]} by {shape[-1]}"
        raise ShapeError(
            f"{name} wants a square matrix, or a batch of them in the last two axes, and got shape {shape}: {why}"
            + ("; lstsq and pinv take matrices that are not square" if name in ("solve", "inv") else "")
        )


def lapack(name: str, advice: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The result of one of NumPy's functions, whose failure is told with the name of ours and with advice."""
    try:
        return function(*arguments, **options)
    except np.linalg.LinAlgError as error:
        arrays = [a for a in arguments if isinstance(a, np.ndarray)]
        if arrays and arrays[0].ndim < 2:
            shape = f"shape {arrays[0].shape}: it has fewer than two axes"
            raise ShapeError(f"{name} wants a matrix, or a batch of them in the last two axes, and got {shape}") from error
        shapes = " and ".join(f"{a.shape} {a.dtype}" for a in arrays)
        raise MatrixError(f"{name}: {str(error).rstrip('.')}; called with shape {shapes}. {advice}") from error


def real_part(a: Any) -> Any:
    """Re a, which for real numbers costs nothing."""
    return real(a) if values(a).dtype.kind == "c" else a


def like(a: Any, y: Any) -> Any:
    """Arrays that NumPy computed from a, as constant tensors where a is a tensor."""
    return mapped(functools.partial(as_variable, type(a)), y) if isinstance(a, Variable) else y


def each(function: Callable[..., Array], *operands: Array) -> Array:
    """A function of matrices, for each of a batch. Leading axes broadcast, and the result has the shape of the last operand."""
    batch = np.broadcast_shapes(*[a.shape[:-2] for a in operands])
    if not batch:
        return function(*operands)
    stacks = [np.broadcast_to(a, batch + a.shape[-2:]) for a in operands]
    y = [function(*[stack[i] for stack in stacks]) for i in np.ndindex(batch)]
    return np.stack(y).reshape(stacks[-1].shape) if y else stacks[-1]
