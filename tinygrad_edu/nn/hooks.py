"""Hooks: functions of the user's that are called before and after a module's forward, and after its backward."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tinygrad_edu.ops.tap import tap
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.nn.module import Module

_next_number = itertools.count().__next__


class Handle:
    """What registering a hook returns; ``remove()`` ends it, and as a context manager it ends with its block."""

    def __init__(self, module: Module, kind: str, hook: Callable[..., Any]) -> None:
        self._hooks: dict[str, dict[int, Callable[..., Any]]] = module.__dict__.setdefault("_hooks", {})
        self._module, self._kind, self._number = module, kind, _next_number()
        self._hooks.setdefault(kind, {})[self._number] = hook

    def remove(self) -> None:
        """Forget the hook. A second time is no error."""
        self._hooks.get(self._kind, {}).pop(self._number, None)
        if not any(self._hooks.values()) and self._module.__dict__.get("_hooks") is self._hooks:
            del self._module.__dict__["_hooks"]
            self._hooks = {}

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def around_backward(
    module: Module, hooks: tuple[Callable[..., Any], ...], args: tuple[Any, ...], forward: Callable[[tuple[Any, ...]], Any]
) -> Any:
    """Run forward between taps on the gradients: on the way back those of the outputs come by first, then those of the inputs,
    and with the last of them the hooks are called."""
    grads_in: dict[int, Any] = {}
    grads_out: dict[int, Any] = {}
    inputs = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    outputs: list[int] = []

    def call() -> None:
        grad_input = tuple([grads_in.get(i) for i in range(len(args))])
        grad_output = tuple([grads_out.get(i) for i in range(len(results))])
        grads_in.clear()
        grads_out.clear()
        for hook in hooks:
            hook(module, grad_input, grad_output)

    def into(position: int, g: Any) -> None:
        grads_in[position] = _tensor(g)
        if len(grads_in) == len(inputs):
            call()

    def out_of(position: int, g: Any) -> None:
        grads_out[position] = _tensor(g)
        if not inputs and len(grads_out) == len(outputs):  # nothing further down will call
            call()

    tapped = [tap(a, partial(into, i)) if i in inputs else a for i, a in enumerate(args)]
    result = forward(tuple(tapped))
    results = list(result) if isinstance(result, tuple) else [result]
    outputs += [i for i, y in enumerate(results) if isinstance(y, Tensor) and y.requires_grad]
    for i in outputs:
        results[i] = tap(results[i], partial(out_of, i))
    return tuple(results) if isinstance(result, tuple) else results[0]


def _tensor(g: Any) -> Tensor:
    return g if isinstance(g, Tensor) else Tensor(g)
