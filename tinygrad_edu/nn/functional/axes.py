"""Functions along an axis, and of shapes, with PyTorch's arguments. The operations that they call have NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.errors import ArgumentError, LabelError, ShapeError
from tinygrad_edu.nn.functional.classification import as_numbers
from tinygrad_edu.ops.norm import norm
from tinygrad_edu.ops.select import maximum


def softmax(input: Any, dim: int = -1) -> Any:
    """y = eˣ / Σ eˣ along the axis ``dim``. Counterpart: ``torch.nn.functional.softmax``; see `tinygrad_edu.softmax`.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.softmax(tg.Tensor([[0.0, 0.0]]), dim=1)
    Tensor([[0.5, 0.5]])
    """
    return ops.softmax(input, dim)


def log_softmax(input: Any, dim: int = -1) -> Any:
    """y = x − ln Σ eˣ along the axis ``dim``. Counterpart: ``torch.nn.functional.log_softmax``; see `tinygrad_edu.log_softmax`.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.log_softmax(tg.Tensor([[0.0, 1000.0]]), dim=1)
    Tensor([[-1000.,     0.]])
    """
    return ops.log_softmax(input, dim)


def glu(input: Any, dim: int = -1) -> Any:
    """y = a σ(b), of the two halves of x along the axis ``dim``. Counterpart: ``torch.nn.functional.glu``; see `tinygrad_edu.glu`.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.glu(tg.Tensor([[3.0, 0.0]]), dim=1)
    Tensor([[1.5]])
    """
    return ops.glu(input, dim)


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """y = x / max(‖x‖, ε), with the p-norm along the axis ``dim``. Counterpart: ``torch.nn.functional.normalize``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.normalize(tg.Tensor([[3.0, 4.0]]))
    Tensor([[0.6, 0.8]])
    """
    return input / maximum(norm(input, p, dim, keepdims=True), eps)


def one_hot(tensor: Any, num_classes: int = -1, *, dtype: Any = float) -> Any:
    """Integer labels of any shape as rows of zeros with a one: shape (*labels.shape, num_classes)

    With −1, there are as many classes as the largest label asks for. The result is an array of floats, where PyTorch's is of
    integers. Raises `LabelError` for labels that are no integers, or out of range. Counterpart: ``torch.nn.functional.one_hot``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.one_hot([2, 0])
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    labels = as_numbers(tensor)
    if num_classes == -1:
        if not labels.size:
            raise LabelError("one_hot: there are no labels that would say how many classes there are: pass num_classes")
        num_classes = int(labels.max()) + 1
    return ops.one_hot(labels, num_classes, dtype)


MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    """y = x with a border: ``pad`` is (before, after) for the last axis, and so on for the axes in front of it

    ``mode`` is "constant" (of ``value``, or 0), "reflect", "replicate" or "circular". `tinygrad_edu.pad` has NumPy's arguments,
    whose pairs begin with the first axis. Counterpart: ``torch.nn.functional.pad``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.pad(tg.Tensor([[1.0, 2.0]]), (1, 2))
    Tensor([[0., 1., 2., 0., 0.]])
    """
    widths = tuple(pad) if np.ndim(pad) == 1 else ()
    axes = np.ndim(input)
    if not widths or len(widths) % 2 or len(widths) > 2 * axes or min(widths) < 0:
        raise ShapeError(
            f"pad: pad is (left, right), (left, right, top, bottom) and so on, from the last axis on, for at most the {axes} axes "
            f"of the input, and none is negative; got {pad!r}. tg.pad has NumPy's arguments"
        )
    if mode not in MODES:
        raise ArgumentError(f"pad: mode is {', '.join(MODES)}, not {mode!r}")
    if value is not None and mode != "constant":
        raise ArgumentError(f"pad: a border of mode {mode!r} copies the input, and takes no value; got {value!r}")
    pairs = [widths[i : i + 2] for i in range(0, len(widths), 2)]
    by_axis = [(0, 0)] * (axes - len(pairs)) + pairs[::-1]
    return ops.pad(input, tuple(by_axis), MODES[mode], **({} if mode != "constant" else {"constant_values": value or 0}))
