"""Stochastic gradient descent."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tinygrad_edu.errors import ArgumentError, DTypeError, GraphError
from tinygrad_edu.tensor import Tensor


class SGD:
    """p ← p − lr · ∂L/∂p, for every parameter p that has a gradient

    Parameters
    ----------
    params: the tensors to update, leaves that require grad. They are changed in place and keep their dtype.
    lr: the learning rate, a positive number. It can be read and set between steps.

    Raises ValueError when there is nothing to update or ``lr`` is not a positive number, `DTypeError` for a parameter that is no
    Tensor, and `GraphError` for one that can have no gradient. The SGD of *Deep Learning from Scratch*, section 6.1.2; counterpart:
    ``torch.optim.SGD``.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimiser = tg.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimiser.step()
    >>> w
    Tensor([0.8, 1.6], requires_grad=True)
    """

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        self.params = _checked(params)
        self.lr = lr

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        # A Python float, so that a NumPy float64 does not make the step of a float32 parameter a float64.
        rate = float(value)
        if not 0 < rate < math.inf:
            raise ArgumentError(f"SGD: the learning rate is a positive number, got {value}: a step goes against the gradient")
        self._lr = rate

    def step(self) -> None:
        """Move every parameter against its gradient. One whose ``.grad`` is None stays where it is."""
        lr = self._lr
        for parameter in self.params:
            gradient = parameter.grad
            if gradient is not None:
                parameter.data -= lr * gradient.data  # the setter tells the engine

    def zero_grad(self) -> None:
        """Forget the gradients: ``.grad`` is None until the next ``backward()``, which otherwise adds to them."""
        for parameter in self.params:
            parameter.grad = None

    def __repr__(self) -> str:
        return f"SGD({len(self.params)} tensors, lr={self._lr:g})"


def _checked(params: Iterable[Tensor]) -> list[Tensor]:
    """The parameters as a list that can be updated."""
    if isinstance(params, Tensor):
        raise DTypeError("SGD: params is a list of tensors, and this is one tensor: write [w]")
    checked: dict[Tensor, None] = {}
    for position, parameter in enumerate(params):
        if not isinstance(parameter, Tensor):
            hint = "; of a dictionary, pass its .values()" if isinstance(params, dict) else ""
            raise DTypeError(f"SGD: parameter {position} is a {type(parameter).__name__}, not a Tensor{hint}")
        who = f"parameter {position}" + (f" ({parameter.name!r})" if parameter.name else "")
        if not parameter.is_leaf:
            raise GraphError(
                f"SGD: {who} is the result of an operation, and backward() leaves gradients only in tensors that you made: "
                "compute its numbers first, then wrap them, as in Tensor(0.01 * array, requires_grad=True)"
            )
        if not parameter.requires_grad:
            raise GraphError(f"SGD: {who} does not require grad, so it would never change: make it with requires_grad=True")
        if parameter in checked:
            raise ArgumentError(f"SGD: {who} is in the list twice, and each step would move it twice")
        checked[parameter] = None
    if not checked:
        raise ArgumentError(
            "SGD: there are no parameters to update; a generator such as model.parameters() can be read only once: "
            "call it again, or keep list(model.parameters())"
        )
    return list(checked)
