"""`Module`: a function with parameters, built from smaller ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from reprlib import recursive_repr
from textwrap import indent
from typing import Any

from tinygrad_edu.graph import MODE, Mode
from tinygrad_edu.tensor import Tensor


class Module:
    """Base class of layers and networks: ``forward`` computes, attributes hold the parameters.

    A leaf tensor with ``requires_grad=True`` that is assigned to an attribute is a parameter, and a Module is a child, whose
    parameters count as well. Both are also found one level deep in a list, tuple or dictionary, so ``self.layers = [...]`` and
    ``self.params = {"W1": ...}`` work as they look. A parameter without a name is named after its attribute. There is no
    ``__init__`` to call. Counterpart: ``torch.nn.Module``.

    >>> import tinygrad_edu as tg
    >>> class Line(tg.nn.Module):
    ...     def __init__(self):
    ...         self.slope = tg.Tensor(2.0, requires_grad=True)
    ...         self.offset = tg.Tensor(1.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return self.slope * x + self.offset
    >>> line = Line()
    >>> line(3.0)
    Tensor(7., requires_grad=True)
    >>> [name for name, parameter in line.named_parameters()]
    ['slope', 'offset']
    >>> line
    Line(): 2 parameters
    """

    def forward(self, *args: Any, **keywords: Any) -> Any:
        """What the module computes; a subclass defines it, and ``module(x)`` calls it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: define `def forward(self, x)` in the class")

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """``forward``, with the module's name noted in what it records, so that pictures show one box per module."""
        caller = RUNNING.get()
        label = type(self).__name__ if caller is None else caller.label(self)
        recording, scope, on_record, ieee, on_pass = MODE.get()
        # By hand what `graph.mode` does: as a with block it would cost as much as recording an operation.
        mode_before = MODE.set(Mode(recording, (*scope, label), on_record, ieee, on_pass))
        caller_before = RUNNING.set(Running(self))
        try:
            return self.forward(*args, **keywords)
        finally:
            RUNNING.reset(caller_before)
            MODE.reset(mode_before)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        for path, parameter in _found({name: value}, Tensor):
            if _is_parameter(parameter) and parameter.name is None:
                parameter.name = path

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, with the names that they have here."""
        return _found(vars(self), Module)

    def children(self) -> Iterator[Module]:
        """The modules directly below this one."""
        return (child for _, child in self.named_children())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, named "", and every module below it, parents first and each once, with dotted names."""
        seen: set[int] = set()
        waiting: list[tuple[str, Module]] = [("", self)]
        while waiting:
            path, module = waiting.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module
                below = [(f"{path}.{name}" if path else name, child) for name, child in module.named_children()]
                waiting += reversed(below)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters of this module and of every module below it, with dotted names, in the order of assignment and
        parents first. A parameter that is used in several places comes once, under its first name.

        >>> import tinygrad_edu as tg
        >>> net = tg.nn.Sequential(tg.nn.Linear(4, 3), tg.nn.Sigmoid(), tg.nn.Linear(3, 2, bias=False))
        >>> [(name, parameter.shape) for name, parameter in net.named_parameters()]
        [('0.weight', (4, 3)), ('0.bias', (3,)), ('2.weight', (3, 2))]
        """
        seen: set[Tensor] = set()
        for path, module in self.named_modules():
            for name, parameter in _found(vars(module), Tensor):
                if parameter not in seen and _is_parameter(parameter):
                    seen.add(parameter)
                    yield f"{path}.{name}" if path else name, parameter

    def parameters(self) -> Iterator[Tensor]:
        """The parameters of this module and of every module below it: what an optimiser updates."""
        return (parameter for _, parameter in self.named_parameters())

    def zero_grad(self) -> None:
        """Forget the gradient of every parameter: ``.grad`` is None until the next ``backward()``."""
        for parameter in self.parameters():
            parameter.grad = None

    def extra_repr(self) -> str:
        """What a subclass wants to see between the parentheses of its repr."""
        return ""

    @recursive_repr("...")
    def __repr__(self) -> str:
        count = sum(parameter.size for parameter in self.parameters())
        parameters = f": {count:,} parameter{'s' * (count != 1)}" if count else ""
        lines = [f"{type(self).__name__}({self.extra_repr()}){parameters}"]
        lines += [indent(f"{name} = {child!r}", "  ") for name, child in self.named_children()]
        return "\n".join(lines)


class Running:
    """A module whose ``forward`` is running, and what the modules below it are called in there."""

    __slots__ = ("module", "names")

    def __init__(self, module: Module) -> None:
        self.module = module
        self.names: dict[int, str] | None = None

    def label(self, callee: Module) -> str:
        """ "name: Class", or "Class" for a module that is not below this one."""
        if self.names is None:  # most modules call no other
            self.names = {id(child): name for name, child in self.module.named_children()}
        name = self.names.get(id(callee)) or self._name_further_down(callee)
        return f"{name}: {type(callee).__name__}" if name else type(callee).__name__

    def _name_further_down(self, callee: Module) -> str:
        return next((path for path, module in self.module.named_modules() if module is callee), "")


RUNNING: ContextVar[Running | None] = ContextVar("tinygrad_edu_running", default=None)


def _found(attributes: dict[str, Any], kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """Attributes of a kind, those in lists, tuples and dictionaries included, with their dotted names."""
    for name, value in attributes.items():
        if isinstance(value, kind):
            yield name, value
        elif isinstance(value, list | tuple | dict):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(item, kind):
                    yield f"{name}.{key}", item


def _is_parameter(tensor: Tensor) -> bool:
    return tensor.requires_grad and tensor.is_leaf
