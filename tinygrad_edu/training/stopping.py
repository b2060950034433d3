"""Early stopping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from tinygrad_edu.errors import ArgumentError


class EarlyStopping:
    """Stop when a column of the history has not got better for ``patience`` epochs, and go back to the best weights

    Parameters
    ----------
    monitor: the column, such as "val_loss" or "val_accuracy".
    patience: epochs without improvement that are let pass.
    min_delta: what counts as an improvement is larger than this.
    mode: "min" if smaller is better, "max" if larger is; by default "max" for an accuracy.
    restore_best: whether the model has the weights of the best epoch in the end.

    A training that has been stopped stays so when it is resumed from its checkpoint, whose weights are those of its last epoch.
    L. Prechelt, *Early stopping - but when?* (1998); counterpart: ``keras.callbacks.EarlyStopping``.

    >>> import tinygrad_edu as tg
    >>> stopping = tg.training.EarlyStopping("loss", patience=1)
    >>> [stopping.update(loss, {}) for loss in (3.0, 2.0, 2.5, 2.4)]
    [False, False, False, True]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: Literal["min", "max"] | None = None,
        restore_best: bool = True,
    ) -> None:
        if mode not in ("min", "max", None) or patience < 0 or min_delta < 0:
            raise ArgumentError(
                "EarlyStopping: mode is 'min' or 'max', patience and min_delta are at least 0; got "
                f"{mode!r}, {patience} and {min_delta}"
            )
        self.monitor, self.patience, self.min_delta, self.restore_best = monitor, patience, min_delta, restore_best
        self.mode = mode or ("max" if "accuracy" in monitor else "min")
        self.best = math.inf if self.mode == "min" else -math.inf
        self.waited = 0
        self.weights: dict[str, Any] | None = None

    def update(self, value: float, weights: Mapping[str, Any]) -> bool:
        """Look at the value of an epoch and the weights after it: whether to stop."""
        gain = self.best - value if self.mode == "min" else value - self.best
        if gain > self.min_delta:
            self.best, self.waited = value, 0
            if self.restore_best:
                self.weights = {name: np.array(array) for name, array in weights.items()}
        else:
            self.waited += 1
        return self.waited > self.patience

    def value_of(self, row: Mapping[str, Any]) -> float:
        """The monitored value in a row of the history."""
        if self.monitor not in row:
            raise ArgumentError(
                f"EarlyStopping: {self.monitor!r} is no column of the history, which has {', '.join(row)}"
                + "; pass validation= for the columns that begin with val_" * self.monitor.startswith("val_")
            )
        return float(row[self.monitor])

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on from here."""
        return {"best": self.best, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from where the one was that gave this state."""
        self.best, self.waited, self.weights = state_dict["best"], state_dict["waited"], state_dict["weights"]
