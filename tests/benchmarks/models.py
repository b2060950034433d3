"""Print how fast training steps of whole models are against PyTorch's eager mode, and how much memory they take.

    python tests/benchmarks/models.py            all figures
    python tests/benchmarks/models.py --check    the same, and exit with 1 where a figure is over its limit

Needs PyTorch. The contestants take turns within one process, two threads each, and a time's ratio is the median over the rounds of
the ratio within a round. Memory is how far the resident set rises above what it was before the first full step, each contestant in
a process of its own, which first takes a step with a batch of one, so that nobody is charged for loading code. float32 throughout.
"""

import argparse
import gc
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

THREADS = os.environ.setdefault("BENCHMARK_THREADS", "2")
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = THREADS

import numpy as np
from turns import Step, duel


def library(ours: bool) -> tuple[object, Callable[[np.ndarray], object], dict[str, object]]:
    """The library's nn, what makes a constant of an array, and the options that make float32 of its parameters."""
    if ours:
        import tinygrad_edu as tg

        return tg.nn, tg.from_numpy, {"dtype": np.float32}
    import torch

    torch.set_num_threads(int(THREADS))
    return torch.nn, torch.from_numpy, {}


def cnn(ours: bool, batch: int = 64) -> Step:
    nn, tensor, f32 = library(ours)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, **f32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, **f32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 10, **f32),
    )
    rng = np.random.default_rng(0)
    x, t = tensor(rng.random((batch, 1, 28, 28), dtype=np.float32)), tensor(rng.integers(0, 10, batch))
    return step_of(net, lambda: nn.functional.cross_entropy(net(x), t))


def transformer(ours: bool, batch: int = 8) -> Step:
    nn, tensor, f32 = library(ours)
    net = nn.TransformerEncoderLayer(128, 4, 512, 0.0, batch_first=True, **f32)
    rng = np.random.default_rng(0)
    x, t = [tensor(rng.standard_normal((batch, 64, 128), dtype=np.float32)) for _ in range(2)]
    x.requires_grad = True
    return step_of(net, lambda: nn.functional.mse_loss(net(x), t), x)


def lstm(ours: bool, batch: int = 32) -> Step:
    nn, tensor, f32 = library(ours)
    net = nn.LSTM(64, 128, **f32)
    rng = np.random.default_rng(0)
    x, t = [tensor(rng.standard_normal((50, batch, n), dtype=np.float32)) for n in (64, 128)]
    return step_of(net, lambda: nn.functional.mse_loss(net(x)[0], t))


def step_of(net: object, loss: Callable[[], object], *inputs: object) -> Step:
    leaves = [*net.parameters(), *inputs]

    def step() -> object:
        for leaf in leaves:
            leaf.grad = None
        value = loss()
        value.backward()
        return value

    return step


MODELS = {"cnn": cnn, "transformer": transformer, "lstm": lstm}
TITLES = {
    "cnn": "CNN, 64 images of 28 x 28, 16 and 32 channels",
    "transformer": "transformer block, 8 x 64 x 128, 4 heads",
    "lstm": "LSTM, 50 steps, batch 32, 64 -> 128",
}
LIMITS = {"cnn": 3.0, "transformer": 1.5, "lstm": 1.5}
MEMORY_LIMIT = 1.3


# ---------------------------------------------------------------------------------------------------------------- memory


def resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def peak(name: str, ours: bool) -> int:
    """By how many bytes the resident set rises in three steps. Run in a process of its own."""
    MODELS[name](ours, batch=1)()
    step = MODELS[name](ours)
    gc.collect()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", "utf-8")  # the high-water mark starts anew
    for _ in range(3):
        step()
    return resident("VmHWM") - before


def measured_peak(name: str, ours: bool) -> int:
    command = [sys.executable, __file__, "--peak", name, "ours" if ours else "theirs"]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(3)]
    return statistics.median(int(text) for text in runs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a figure is over its limit")
    parser.add_argument("--peak", nargs=2, metavar=("MODEL", "WHOSE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(peak(arguments.peak[0], arguments.peak[1] == "ours"))
        return 0
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not installed: there is nothing to compare with")
        return 0
    over = 0
    print(f"{'':50}{'ours':>10}{'theirs':>10}{'ratio':>8}{'limit':>8}")
    for name, title in TITLES.items():
        a, b, ratio = duel(MODELS[name](True), MODELS[name](False), 30, (3, 3))
        over += ratio > LIMITS[name]
        late = "  over" if ratio > LIMITS[name] else ""
        print(f"{title:50}{a * 1e3:8.2f}ms{b * 1e3:8.2f}ms{ratio:8.2f}{LIMITS[name]:8.2f}{late}", flush=True)
    if Path("/proc/self/clear_refs").exists():
        for name in TITLES:
            a, b = measured_peak(name, True), measured_peak(name, False)
            over += a > MEMORY_LIMIT * b
            late = "  over" if a > MEMORY_LIMIT * b else ""
            title = f"{name}, memory"
            print(f"{title:50}{a / 1e6:8.2f}MB{b / 1e6:8.2f}MB{a / b:8.2f}{MEMORY_LIMIT:8.2f}{late}", flush=True)
    return int(arguments.check and over > 0)


if __name__ == "__main__":
    sys.exit(main())
