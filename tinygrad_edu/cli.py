"""The command ``tinygrad-edu``.

Exit status: 0 for success, 1 for something that went wrong, 2 for wrong usage, 130 after Ctrl-C, 141 when nobody reads
the output any more. Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tinygrad_edu
from tinygrad_edu import demo, script
from tinygrad_edu.errors import MissingError, TinygradError
from tinygrad_edu.script import ScriptError
from tinygrad_edu.viz.options import DETAIL, DIRECTIONS, LEAST, SHOW, THEMES

INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; a usage error raises SystemExit, as argparse does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path need not be writable in the terminal's encoding
    try:
        try:
            arguments = _parser().parse_args(argv)
            arguments.run(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a failure can still be reported
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _discard_output()
        return BROKEN_PIPE
    except OSError as error:
        if error.filename is None:  # a write to standard output failed
            _discard_output()
        where = "standard output" if error.filename is None else error.filename
        return _fail(f"{where}: {error.strerror or error}", 1)
    except ScriptError as error:  # an error of the user's, as Python would show it
        print(error, file=sys.stderr, end="")
        return 1
    except TinygradError as error:
        return _fail(str(error), 1)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tinygrad-edu", description="The autodiff engine that you can see through.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {tinygrad_edu.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser(
        "demo",
        help="train a small net on handwritten digits and check its gradients",
        description="Train a two-layer net on 1,797 handwritten digits, check every gradient against a numerical one, and write "
        "history.csv, a picture of the recorded graph (graph.svg) and the loss curve (loss.svg).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument("--epochs", metavar="N", type=_at_least(1), default=30, help="how often to go through the data")
    command.add_argument("--out", metavar="DIR", type=_directory, default=Path("demo-output"), help="where to write the files")
    command.add_argument("--seed", metavar="S", type=_at_least(0), default=0, help="the same seed gives the same numbers")
    command.set_defaults(run=lambda chosen: demo.run(chosen.epochs, chosen.out, chosen.seed))
    _add_graph(commands)
    _add_steps(commands)
    _add_train(commands)
    return parser


def _add_graph(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "graph",
        help="draw the graph that a script records",
        description="Run a script, and draw the recorded graph of one of its tensors. What it prints goes to standard error.",
    )
    script.add_arguments(command)
    command.add_argument(
        "--out",
        metavar="PATH",
        type=Path,
        help="where to write it: a path that ends in .svg, .png, .pdf, .dot, .mmd, .txt or .json; without it, a tree is printed",
    )
    command.add_argument("--detail", choices=DETAIL, default="ops", help="draw tensors as arrows, or as boxes too (default: ops)")
    command.add_argument(
        "--show",
        metavar="WORDS",
        default="shape",
        help=f"what to write beside them, of {', '.join(SHOW)}; with commas in between (default: shape)",
    )
    command.add_argument("--depth", metavar="N", type=_at_least(0), help="close modules below this many levels")
    command.add_argument(
        "--max-nodes",
        metavar="N",
        type=_at_least(LEAST),
        default=150,
        help="fold the graph to at most so many boxes (default: 150)",
    )
    command.add_argument("--direction", choices=list(DIRECTIONS), default="down", help="in which the data flow (default: down)")
    command.add_argument("--theme", choices=THEMES, default="light", help="colours for a white or a black ground (default: light)")
    command.set_defaults(run=_graph)


def _graph(arguments: argparse.Namespace) -> None:
    show = tuple(filter(None, arguments.show.split(",")))
    names = ("detail", "depth", "max_nodes", "direction", "theme")
    drawn = script.graph_of(arguments.script, arguments.arguments, show, {name: getattr(arguments, name) for name in names})
    if arguments.out is None:
        print(drawn)
    else:
        print(f"{drawn.render(arguments.out)}: {drawn!r}")


def _add_steps(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "steps",
        help="make a page that goes through a script's backward pass, step by step",
        description="Run a script, and go through forward and backward of one of its tensors step by step: on a page for the "
        "browser, which needs no network, or as text. What the script prints goes to standard error.",
    )
    script.add_arguments(command)
    command.add_argument(
        "--out",
        metavar="PATH",
        type=Path,
        help="where to write it: a path that ends in .html, or in .json; without it, and without --open, the steps are printed",
    )
    command.add_argument("--open", action="store_true", help="open the page in the browser (it is steps.html, without --out)")
    command.set_defaults(run=_steps)


def _steps(arguments: argparse.Namespace) -> None:
    receipt = script.graph_of(arguments.script, arguments.arguments, (), {}).steps()
    if arguments.out is None and not arguments.open:
        print(receipt)
        return
    path = receipt.render(arguments.out or Path("steps.html"))
    print(f"{path}: {receipt!r}", flush=True)
    if arguments.open and not webbrowser.open(path.resolve().as_uri()):
        raise MissingError(f"{path} is written, and no browser was found to open it with: open it by hand, or set BROWSER")


def _add_train(commands: Any) -> None:
    from tinygrad_edu.training.command import DATA, MODELS, OPTIMIZERS, Config, resume, start

    command = commands.add_parser(
        "train",
        help="train a model on a data set, and go on where it was interrupted",
        description="Train a model and write a run folder: config.json, history.csv, the weights, a checkpoint and the curves. "
        "After Ctrl-C, or a crash, --resume goes on with it, to the same numbers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    default = Config()
    command.add_argument("--data", choices=DATA, default=default.data, help="the data set")
    command.add_argument("--path", metavar="DIR", help="where MNIST's files are; without it, they are downloaded")
    command.add_argument("--model", choices=MODELS, default=default.model, help="one layer, two, or convolutions")
    command.add_argument("--hidden", metavar="N", type=_at_least(1), default=default.hidden, help="hidden units")
    command.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default=default.optimizer, help="the optimiser")
    command.add_argument("--lr", metavar="R", type=_positive, default=default.lr, help="the learning rate")
    command.add_argument("--batch-size", metavar="N", type=_at_least(1), default=default.batch_size, help="examples in a batch")
    command.add_argument("--epochs", metavar="N", type=_at_least(1), help=f"in all; {default.epochs} for a new run")
    command.add_argument(
        "--seed", metavar="S", type=_at_least(0), default=default.seed, help="the same seed gives the same numbers"
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument("--out", metavar="DIR", type=_directory, default=Path("run"), help="the run folder to write")
    where.add_argument("--resume", metavar="DIR", type=_directory, help="the run folder to go on with, as it was started")

    def run(chosen: argparse.Namespace) -> None:
        if chosen.resume is not None:
            resume(chosen.resume, chosen.epochs)
            return
        options = {name: getattr(chosen, name) for name in Config.__dataclass_fields__}
        try:
            start(Config(**{**options, "epochs": chosen.epochs or default.epochs}), chosen.out)
        except KeyboardInterrupt:
            print(f"interrupted: go on with tinygrad-edu train --resume {chosen.out}", file=sys.stderr)
            raise

    command.set_defaults(run=run)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


class _at_least:  # noqa: N801 - used like a function
    """An argument that is a whole number from ``low`` on."""

    def __init__(self, low: int) -> None:
        self.low = low

    def __call__(self, text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if number < self.low:
            raise argparse.ArgumentTypeError(f"{number} is less than {self.low}")
        return number


def _directory(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("the name of the directory is empty")
    return Path(text)


def _fail(message: str, status: int) -> int:
    print(f"tinygrad-edu: {message}", file=sys.stderr)
    return status


def _discard_output() -> None:
    """Let what is still buffered go nowhere, or the interpreter would fail at it once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
