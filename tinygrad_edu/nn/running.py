"""Which module is running, so that what it records, and what it calls, can be named."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinygrad_edu.nn.module import Module


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
