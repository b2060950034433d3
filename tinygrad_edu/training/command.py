"""``tinygrad-edu train``: a data set, a model and options, and a folder with everything that came of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import data, io, nn, optim
from tinygrad_edu.errors import ArgumentError, FileError, MissingError
from tinygrad_edu.io.atomic import replacing
from tinygrad_edu.training.fitting import fit
from tinygrad_edu.training.plots import plot_history

if TYPE_CHECKING:
    from tinygrad_edu.data.digits import Split
    from tinygrad_edu.graph import Array

KINDS = (optim.SGD, optim.AdaGrad, optim.RMSprop, optim.Adam, optim.AdamW, optim.Lion)
OPTIMIZERS = {kind.__name__.lower(): kind for kind in KINDS}
TOYS: dict[str, Callable[..., tuple[Array, Array]]] = {
    "spiral": data.spiral,
    "moons": data.moons,
    "xor": data.xor,
    "sine": data.sine,
}
DATA = ("digits", "mnist", *TOYS)
MODELS = ("linear", "mlp", "cnn")
CONFIG, CHECKPOINT, HISTORY, WEIGHTS, CURVES = "config.json", "checkpoint.npz", "history.csv", "weights.npz", "curves.svg"


@dataclass(frozen=True)
class Config:
    """What a run was started with; with the same one, the same numbers come out."""

    data: str = "digits"
    path: str | None = None
    model: str = "mlp"
    hidden: int = 50
    optimizer: str = "adam"
    lr: float = 0.01
    batch_size: int = 50
    epochs: int = 10
    seed: int = 0


def start(config: Config, out: Path) -> None:
    """Begin a run in a folder that holds none."""
    if (out / CONFIG).exists():
        raise ArgumentError(f"{out} holds a run already: go on with it by --resume {out}, or name another folder by --out")
    parts = _model(config, *_data(config))  # what cannot be had or does not fit is known before there is a folder
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / CONFIG) as path:
        path.write_text(json.dumps(asdict(config), indent=2) + "\n", "utf-8")
    _train(config, out, *parts)


def resume(out: Path, epochs: int | None) -> None:
    """Go on with the run in a folder, up to so many epochs in all."""
    try:
        config = Config(**json.loads((out / CONFIG).read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise FileError(f"{out / CONFIG}: not the configuration of a run ({error})") from error
    config = config if epochs is None else replace(config, epochs=epochs)
    _train(config, out, *_model(config, *_data(config)))


def _train(config: Config, out: Path, model: nn.Module, examples: Split) -> None:
    train, test = examples
    regression = config.data == "sine"
    print(f"{config.data}: {len(train[0]):,} examples to train on, {len(test[0]):,} to validate, seed {config.seed}")
    print(model)

    def report(row: dict[str, Any]) -> None:
        numbers = [f"{name} {value:.4f}" for name, value in row.items() if name not in ("epoch", "lr")]
        print(f"epoch {row['epoch']:3d}", *numbers, sep="  ", flush=True)

    history = fit(
        model,
        data.DataLoader(train, config.batch_size, shuffle=True, seed=config.seed),
        nn.functional.mse_loss if regression else nn.functional.cross_entropy,
        OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr),
        epochs=config.epochs,
        validation=test,
        metrics=() if regression else "accuracy",
        checkpoint=out / CHECKPOINT,
        on_epoch=report,
    )
    _write(history, model, config, out)


def _data(config: Config) -> Split:
    """The examples to train on, and those to validate on."""
    options: dict[str, Any] = {"seed": config.seed, "dtype": np.float32}
    if config.data == "digits":
        return data.load_digits(**options)
    if config.data == "mnist":
        return _mnist(config)
    make = TOYS[config.data]
    return make(300, **options), make(150, **{**options, "seed": config.seed + 1})


def _mnist(config: Config) -> Split:
    """MNIST; of a folder with its test images only, four fifths of these to train on, and the rest."""
    folder = None if config.path is None else Path(config.path)
    if folder is None or any(folder.glob("train-images*")):
        both: Split = data.load_mnist(folder, dtype=np.float32)
        return both
    x, t = data.load_mnist(folder, "test", dtype=np.float32)
    order = np.random.default_rng(config.seed).permutation(len(x))
    cut = len(x) * 4 // 5
    return (x[order[:cut]], t[order[:cut]]), (x[order[cut:]], t[order[cut:]])


def _model(config: Config, train: tuple[Array, Array], test: tuple[Array, Array]) -> tuple[nn.Module, Split]:
    """The model, and the examples in the shape that it takes."""
    rng = np.random.default_rng(config.seed)
    inputs = train[0].shape[1]
    outputs = 1 if config.data == "sine" else int(train[1].max()) + 1
    hidden = config.hidden
    if config.model == "linear":
        return nn.Sequential(nn.Linear(inputs, outputs, rng=rng, dtype=np.float32)), (train, test)
    if config.model == "mlp":
        first, second = [nn.Linear(*sizes, rng=rng, dtype=np.float32) for sizes in ((inputs, hidden), (hidden, outputs))]
        return nn.Sequential(first, nn.ReLU(), second), (train, test)
    side = round(inputs**0.5)
    if config.data not in ("digits", "mnist"):
        raise ArgumentError(f"a cnn is for images, and {config.data} has none: choose --model mlp, or --data digits or mnist")
    cnn = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, rng=rng, dtype=np.float32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, rng=rng, dtype=np.float32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (side // 4) ** 2, hidden, rng=rng, dtype=np.float32),
        nn.ReLU(),
        nn.Linear(hidden, outputs, rng=rng, dtype=np.float32),
    )
    images = [(x.reshape(-1, 1, side, side), t) for x, t in (train, test)]
    return cnn, (images[0], images[1])


def _write(history: dict[str, list[Any]], model: nn.Module, config: Config, out: Path) -> None:
    columns = [name for name in history if name != "step_loss"]
    with replacing(out / HISTORY) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*[history[name] for name in columns], strict=True))
    io.save(out / WEIGHTS, model.state_dict(), metadata={name: str(value) for name, value in asdict(config).items()})
    for name, what in ((HISTORY, "the numbers of every epoch"), (WEIGHTS, "the weights"), (CHECKPOINT, "to go on from")):
        print(f"{out / name}: {what}")
    if not history["loss"]:
        return
    try:
        figure = plot_history(history)
    except MissingError as error:
        print(f"{out / CURVES} was not drawn: {error}")
        return
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "tinygrad_edu"}):  # otherwise the file's ids are random
        figure.savefig(out / CURVES, metadata={"Date": None})
    print(f"{out / CURVES}: the curves")
