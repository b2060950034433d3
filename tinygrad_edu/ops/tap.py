"""A tap on the gradient: what hooks on a module's backward pass are made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def _nothing(g: Any) -> None:
    pass


@primitive(label="Tap", cases=[Case(a=reals(shape=(2,)), tell=[_nothing])], reference=lambda a, tell: a)
def tap(a: Array, /, tell: Callable[[Any], Any]) -> Array:
    """y = a        ∂L/∂a = g, of which ``tell(g)`` is told

    The same numbers; when backward comes through, ``tell`` is called with the gradient, an array (or a tensor, where the derivative
    is recorded too). Counterpart: ``torch.Tensor.register_hook``, for hooks that only look.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> (3 * tg.tap(x, print)).sum().backward()
    [3. 3.]
    """
    return a[...]


def _told(g: Any, tell: Callable[[Any], Any]) -> Any:
    tell(g)
    return g


tap.vjp(a=_told)
