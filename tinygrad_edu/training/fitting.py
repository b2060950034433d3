"""`fit`: the loop of learning, with everything around it."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_edu import io
from tinygrad_edu.errors import AnomalyError, ArgumentError
from tinygrad_edu.graph import no_grad
from tinygrad_edu.io.atomic import sweep_up
from tinygrad_edu.nn import Module
from tinygrad_edu.optim import Optimizer, ReduceLROnPlateau, clip_grad_norm_
from tinygrad_edu.training.checkpoint import Progress
from tinygrad_edu.training.interrupt import Interruption
from tinygrad_edu.training.metrics import as_loader, evaluate, named_metrics, number

if TYPE_CHECKING:
    import numpy as np

    from tinygrad_edu.training.metrics import Metric, Metrics
    from tinygrad_edu.training.stopping import EarlyStopping


def fit(
    model: Module,
    loader: Any,
    loss: Metric,
    optimizer: Optimizer,
    *,
    epochs: int = 1,
    validation: Any = None,
    metrics: Metrics = (),
    schedule: Any = None,
    clip_norm: float | None = None,
    early_stopping: EarlyStopping | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = True,
    generators: Sequence[np.random.Generator] = (),
    progress: bool | None = None,
    on_epoch: Callable[[dict[str, Any]], Any] | None = None,
) -> dict[str, list[Any]]:
    """Train a model: mini-batch, gradient, update, repeat. Returns the history, as a dictionary of lists

    Parameters
    ----------
    model, loss, optimizer: each step is ``loss(model(*inputs), target).backward()`` and ``optimizer.step()``.
    loader: gives the batches of an epoch, each ``(*inputs, target)``, whenever it is iterated over: a `DataLoader`, a list.
    epochs: how often to go through the data, in all, with the epochs before a resumption.
    validation: a loader, or a tuple of arrays, to evaluate the model on after every epoch.
    metrics: functions of output and target, such as `accuracy` or "accuracy", or a dictionary of them by name.
    schedule: of the learning rate, such as `tinygrad_edu.optim.StepLR`. Its ``every`` says whether it takes a step after each epoch
        or each step. A `ReduceLROnPlateau` gets the validation's loss, or the training's if there is none.
    clip_norm: scale gradients down to this norm before every step.
    early_stopping: see `EarlyStopping`.
    checkpoint: a file, .npz or .safetensors. If it is there, training goes on where it was written, and ends with the same numbers,
        bit for bit, as if it had not been interrupted. It is written at the beginning, after every epoch, and at Ctrl-C, before
        KeyboardInterrupt is raised; a kill at any moment leaves the last whole one.
    checkpoint_every: write it after so many steps, too.
    resume: False to begin anew even if the checkpoint is there.
    generators: random generators that the training uses and that are not found in the model's modules or the loader.
    progress: whether to show a progress bar; by default on a terminal only.
    on_epoch: is called with the history's new row after every epoch, when the checkpoint is written.

    The history's columns are ``epoch``, ``lr``, ``loss``, the metrics, ``val_loss`` and each metric with ``val_`` before it, with
    one entry for each epoch, and ``step_loss``, with one for each step. The loss and the metrics are means over the examples, as
    they were met; those of the validation are of the model after the epoch.

    Raises `AnomalyError` when a loss is nan or infinite, before the step is made. The loop of *Deep Learning from Scratch*, section
    4.5; counterpart: ``keras.Model.fit``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> x, t = tg.data.xor(100)
    >>> rng = np.random.default_rng(0)
    >>> model = tg.nn.Sequential(tg.nn.Linear(2, 8, rng=rng), tg.nn.ReLU(), tg.nn.Linear(8, 2, rng=rng))
    >>> optimizer = tg.optim.Adam(model.parameters(), lr=0.05)
    >>> loader = tg.data.DataLoader((x, t), batch_size=20, shuffle=True)
    >>> history = tg.training.fit(model, loader, tg.nn.functional.cross_entropy, optimizer, epochs=20, metrics="accuracy")
    >>> history["accuracy"][-1] > 0.95, len(history["loss"]), len(history["step_loss"])
    (True, 20, 100)
    """
    if epochs < 0 or (checkpoint_every is not None and checkpoint_every < 1):
        raise ArgumentError(f"fit: epochs is at least 0 and checkpoint_every at least 1, got {epochs} and {checkpoint_every}")
    if checkpoint_every is not None and checkpoint is None:
        raise ArgumentError("fit: checkpoint_every says how often, and checkpoint= the file that is missing")
    measured = named_metrics(metrics)
    run = Progress(model, as_loader(loader), optimizer, schedule, early_stopping, generators)
    path = None if checkpoint is None else Path(checkpoint)

    def save() -> None:
        if path is not None:
            io.save(path, run.state())

    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_up(path)
        if resume and path.exists():
            run.restore(io.load(path), path)
        else:
            save()  # a file that cannot be written is better known now than after the first epoch

    with Interruption() as interruption, _bar(run, epochs, progress) as bar:

        def breathe(due: bool) -> None:
            """Between two steps: save if it is time, and let a Ctrl-C through."""
            if due or interruption.pending:
                save()
            if interruption.pending:
                raise KeyboardInterrupt

        while run.epoch < epochs and not run.stopped:
            model.train()
            for batch in _rest_of_the_epoch(run):
                _step(run, batch, loss, measured, clip_norm)
                bar.update()
                if not bar.disable:
                    bar.set_postfix({name: f"{value:.4g}" for name, value in _means(run).items()}, refresh=False)
                breathe(due=checkpoint_every is not None and len(run.history["step_loss"]) % checkpoint_every == 0)
            row = _finish_epoch(run, validation, loss, measured)
            breathe(due=True)
            if on_epoch is not None:
                with bar.external_write_mode():
                    on_epoch(row)
    if early_stopping is not None and early_stopping.weights is not None:
        model.load_state_dict(early_stopping.weights)
    return run.history


def _rest_of_the_epoch(run: Progress) -> Iterator[Any]:
    """The batches that are not done yet. A loader with a state knows where it is; of another one, the first are left out."""
    return islice(run.loader, 0 if hasattr(run.loader, "state_dict") else run.batch, None)


def _step(run: Progress, batch: Any, loss: Metric, measured: dict[str, Metric], clip_norm: float | None) -> None:
    *inputs, target = batch
    run.optimizer.zero_grad()
    output = run.model(*inputs)
    value = loss(output, target)
    found = number(value)
    if not math.isfinite(found):
        raise AnomalyError(
            f"fit: the loss is {found} in batch {run.batch + 1} of epoch {run.epoch + 1}, and the step was not made: is the "
            f"learning rate ({run.optimizer.lr:g}) too large? `with tg.detect_anomaly():` names the operation that made it"
        )
    value.backward()
    if clip_norm is not None:
        clip_grad_norm_(run.optimizer.params, clip_norm)
    run.optimizer.step()
    if run.schedule is not None and run.schedule.every == "step":
        run.schedule.step()
    size = len(target)
    with no_grad():
        values = {"examples": 1.0, "loss": found, **{name: number(metric(output, target)) for name, metric in measured.items()}}
    for name, one in values.items():
        run.totals[name] = run.totals.get(name, 0.0) + one * size
    run.history["step_loss"].append(found)
    run.batch += 1


def _means(run: Progress) -> dict[str, float]:
    return {name: total / run.totals["examples"] for name, total in run.totals.items() if name != "examples"}


def _finish_epoch(run: Progress, validation: Any, loss: Metric, measured: dict[str, Metric]) -> dict[str, Any]:
    """Evaluate, let schedule and early stopping look, and write the row of the history."""
    if not run.batch:
        raise ArgumentError("fit: the loader gave no batch in this epoch; a generator can be gone through only once: pass a list")
    row: dict[str, Any] = {"epoch": run.epoch + 1, "lr": run.optimizer.lr, **_means(run)}
    if validation is not None:
        row |= {f"val_{name}": value for name, value in evaluate(run.model, validation, loss, measured).items()}
    if run.schedule is not None and run.schedule.every == "epoch":
        if isinstance(run.schedule, ReduceLROnPlateau):
            run.schedule.step(row.get("val_loss", row["loss"]))
        else:
            run.schedule.step()
    if run.stopping is not None:
        run.stopped = run.stopping.update(run.stopping.value_of(row), run.model.state_dict())
    for name, value in row.items():
        run.history.setdefault(name, []).append(value)
    run.epoch, run.batch, run.totals = run.epoch + 1, 0, {}
    return row


def _bar(run: Progress, epochs: int, progress: bool | None) -> Any:
    from tqdm import tqdm

    shown = progress if progress is not None else sys.stderr is not None and sys.stderr.isatty()
    steps = len(run.loader) if hasattr(run.loader, "__len__") else 0
    return tqdm(total=epochs * steps or None, initial=run.epoch * steps + run.batch, unit="step", leave=False, disable=not shown)
