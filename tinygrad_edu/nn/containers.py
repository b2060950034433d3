"""Modules of modules: one after the other, in a list, or by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tinygrad_edu.errors import ArgumentError, DTypeError
from tinygrad_edu.nn.module import Module


def _checked(owner: str, what: str, module: Any) -> Module:
    if not isinstance(module, Module):
        raise DTypeError(
            f"{owner}: {what} is a {type(module).__name__}, not a Module: pass modules one by one, as in "
            "Sequential(Linear(4, 3), Sigmoid()); a function becomes one as the forward of a class"
        )
    return module


class _Numbered(Module):
    """Modules that are named 0, 1, 2, …: what `Sequential` and `ModuleList` share."""

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __len__(self) -> int:
        return len(list(self.children()))

    def __getitem__(self, position: int | slice) -> Any:
        found = list(self.children())[position]
        return type(self)._of(found) if isinstance(found, list) else found

    def __setitem__(self, position: int, module: Module) -> None:
        name = list(dict(self.named_children()))[position]
        setattr(self, name, _checked(type(self).__name__, f"item {position}", module))

    def __delitem__(self, position: int | slice) -> None:
        modules = list(self.children())
        del modules[position]
        self._replace(modules)

    def append(self, module: Module) -> Any:
        """Add a module at the end, and return this one."""
        return self.extend([module])

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add modules at the end, and return this one."""
        start = len(self)
        for position, module in enumerate(modules, start):
            setattr(self, str(position), _checked(type(self).__name__, f"item {position}", module))
        return self

    def insert(self, position: int, module: Module) -> Any:
        """Add a module before the one at a position, and return this one."""
        modules = list(self.children())
        modules.insert(position, _checked(type(self).__name__, f"item {position}", module))
        return self._replace(modules)

    def _replace(self, modules: list[Module]) -> Any:
        for name in list(dict(self.named_children())):
            delattr(self, name)
        return self.extend(modules)

    @classmethod
    def _of(cls, modules: list[Module]) -> Any:
        made = cls.__new__(cls)
        return made.extend(modules)


class Sequential(_Numbered):
    """Modules one after the other: the output of each is the input of the next. They are named 0, 1, 2, …, or by the keys of a
    dictionary that is given instead of them.

    It is indexed, sliced, appended to and iterated over like a list. Counterpart: ``torch.nn.Sequential``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> rng = np.random.default_rng(0)
    >>> net = tg.nn.Sequential(tg.nn.Linear(64, 50, rng=rng), tg.nn.Sigmoid(), tg.nn.Linear(50, 10, rng=rng))
    >>> net(np.zeros((7, 64))).shape
    (7, 10)
    >>> net
    Sequential(): 3,760 parameters
      0 = Linear(64, 50): 3,250 parameters
      1 = Sigmoid()
      2 = Linear(50, 10): 510 parameters
    >>> net[1]
    Sigmoid()
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                setattr(self, name, _checked("Sequential", f"item {name!r}", module))
        else:
            self.extend(modules)  # type: ignore[arg-type] # extend looks at each

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x


class ModuleList(_Numbered):
    """A list of modules, whose parameters count. A plain list as an attribute does the same, one level deep.

    Counterpart: ``torch.nn.ModuleList``.

    >>> import tinygrad_edu as tg
    >>> layers = tg.nn.ModuleList([tg.nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers), [name for name, _ in layers.named_parameters()][:2]
    (3, ['0.weight', '0.bias'])
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def __contains__(self, module: Any) -> bool:
        return any(child is module for child in self.children())


class ModuleDict(Module):
    """A dictionary of modules, whose parameters count.

    Counterpart: ``torch.nn.ModuleDict``.

    >>> import tinygrad_edu as tg
    >>> heads = tg.nn.ModuleDict({"digit": tg.nn.Linear(2, 10), "parity": tg.nn.Linear(2, 2)})
    >>> heads["parity"]
    Linear(2, 2): 6 parameters
    >>> list(heads)
    ['digit', 'parity']
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self.update(modules or {})

    def __getitem__(self, name: str) -> Module:
        return dict(self.named_children())[name]

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(name, str) or "." in name or (hasattr(self, name) and name not in self):
            raise ArgumentError(f"ModuleDict: {name!r} cannot be a name: it has a dot, or is the name of a method; take another")
        setattr(self, name, _checked("ModuleDict", f"item {name!r}", module))

    def __delitem__(self, name: str) -> None:
        self[name]  # a KeyError where there is none
        delattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in dict(self.named_children())

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.named_children())

    def __len__(self) -> int:
        return len(list(self.named_children()))

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add modules, or replace those of the same names."""
        for name, module in modules.items():
            self[name] = module

    def keys(self) -> list[str]:
        """The names, in order."""
        return list(self)

    def values(self) -> list[Module]:
        """The modules, in order."""
        return list(self.children())

    def items(self) -> list[tuple[str, Module]]:
        """Names and modules, in order."""
        return list(self.named_children())
