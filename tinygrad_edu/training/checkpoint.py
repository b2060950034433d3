"""Everything that the rest of a training depends on, as one state: taken between two steps, and put back bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.nn import Module

if TYPE_CHECKING:
    from tinygrad_edu.optim import Optimizer

VERSION = 1


class Progress:
    """How far a training is, and all that takes part in it."""

    def __init__(
        self,
        model: Module,
        loader: Any,
        optimizer: Optimizer,
        schedule: Any,
        stopping: Any,
        generators: Sequence[np.random.Generator],
    ) -> None:
        self.model, self.loader, self.optimizer = model, loader, optimizer
        self.schedule, self.stopping = schedule, stopping
        self.generators = {**_generators_in(model), **{f"[{i}]": generator for i, generator in enumerate(generators)}}
        self.epoch = 0  # epochs that are over
        self.batch = 0  # batches of the next one that are done
        self.stopped = False
        self.totals: dict[str, float] = {}  # over the examples of this epoch so far
        self.history: dict[str, list[Any]] = {"epoch": [], "lr": [], "loss": [], "step_loss": []}

    def state(self) -> dict[str, Any]:
        """A copy of everything, for `tinygrad_edu.save`."""
        history = {name: np.array(column) if name == "step_loss" else list(column) for name, column in self.history.items()}
        return {
            "version": VERSION,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "stopping": None if self.stopping is None else self.stopping.state_dict(),
            "loader": self.loader.state_dict() if hasattr(self.loader, "state_dict") else None,
            "generators": {name: generator.bit_generator.state for name, generator in self.generators.items()},
            "numpy": np.random.get_state(legacy=False),
            "progress": {"epoch": self.epoch, "batch": self.batch, "stopped": self.stopped, "totals": dict(self.totals)},
            "history": history,
        }

    def restore(self, state: Mapping[str, Any], where: Any) -> None:
        """Be where this state was taken. ``where`` is the file that it comes from."""
        if state.get("version") != VERSION:
            raise ArgumentError(f"fit: {where} is no checkpoint of a training that this version of tinygrad_edu can go on with")
        for part, mine in (("schedule", self.schedule), ("early stopping", self.stopping)):
            if (state["stopping" if part == "early stopping" else part] is None) != (mine is None):
                raise ArgumentError(
                    f"fit: the training in {where} was {'without' if mine is not None else 'with'} {part}, and this one is not: "
                    "pass what it was started with, or resume=False to start again"
                )
        if state["generators"].keys() != self.generators.keys():
            raise ArgumentError(
                f"fit: the training in {where} used the random generators {sorted(state['generators'])}, and this one "
                f"{sorted(self.generators)}: is the model another one?"
            )
        self.model.load_state_dict(state["model"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.optimizer.load_state_dict(state["optimizer"])  # after the schedule, which sets learning rates
        if self.stopping is not None:
            self.stopping.load_state_dict(state["stopping"])
        if state["loader"] is not None:
            self.loader.load_state_dict(state["loader"])
        for name, generator in self.generators.items():
            generator.bit_generator.state = state["generators"][name]
        np.random.set_state(state["numpy"])
        progress = state["progress"]
        self.epoch, self.batch, self.stopped = progress["epoch"], progress["batch"], progress["stopped"]
        self.totals = dict(progress["totals"])
        self.history = {**state["history"], "step_loss": state["history"]["step_loss"].tolist()}


def _generators_in(model: Module) -> dict[str, np.random.Generator]:
    """The random generators that the model's modules hold, such as a Dropout's. One that several share comes under each name."""
    return {
        f"{path}.{name}" if path else name: value
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, np.random.Generator)
    }
