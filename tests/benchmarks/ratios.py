"""Print how fast the core is, as ratios against hand-written NumPy and PyTorch, each measured in the same run.

    python tests/benchmarks/ratios.py            all figures (PyTorch's only where torch is installed)
    python tests/benchmarks/ratios.py --check    the same, and exit with 1 where a figure is over its limit

The contestants take turns, a few steps each, for many rounds, so that whatever else the machine does falls on all of them; a
figure is the median over the rounds of the ratio within a round. Single-threaded BLAS, because two threads on a shared machine
measure the scheduler.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
from turns import Step, duel, medians

import tinygrad_edu as tg

try:
    import torch
except ImportError:
    torch = None


# --------------------------------------------------------------------------------------- a 784-50-10 step, batch 100, float32

RNG = np.random.default_rng(0)
X = RNG.random((100, 784), dtype=np.float32)
T = RNG.integers(0, 10, 100)
START = [
    (0.01 * RNG.standard_normal((784, 50))).astype(np.float32),
    np.zeros(50, np.float32),
    (0.01 * RNG.standard_normal((50, 10))).astype(np.float32),
    np.zeros(10, np.float32),
]
LR = 0.1


def numpy_step() -> Step:
    """The step as one writes it by hand: forward, stable softmax, the derivatives worked out on paper."""
    w1, b1, w2, b2 = [p.copy() for p in START]
    rows = np.arange(len(X))

    def step() -> object:
        h = 1 / (1 + np.exp(-(X @ w1 + b1)))
        z = h @ w2 + b2
        z = z - z.max(axis=1, keepdims=True)
        p = np.exp(z)
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[rows, T]).mean()
        p[rows, T] -= 1
        p /= len(X)
        d = (p @ w2.T) * h * (1 - h)
        for parameter, gradient in ((w1, X.T @ d), (b1, d.sum(axis=0)), (w2, h.T @ p), (b2, p.sum(axis=0))):
            parameter -= np.float32(LR) * gradient
        return loss

    return step


def our_step() -> Step:
    parameters = [tg.Tensor(p, requires_grad=True) for p in START]
    w1, b1, w2, b2 = parameters
    optimizer = tg.optim.SGD(parameters, lr=LR)
    x, t = tg.from_numpy(X), tg.from_numpy(T)

    def step() -> object:
        loss = tg.softmax_cross_entropy(tg.sigmoid(x @ w1 + b1) @ w2 + b2, t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def torch_step() -> Step:
    parameters = [torch.tensor(p, requires_grad=True) for p in START]
    w1, b1, w2, b2 = parameters
    optimizer = torch.optim.SGD(parameters, lr=LR)
    x, t = torch.from_numpy(X), torch.from_numpy(T)

    def step() -> object:
        loss = torch.nn.functional.cross_entropy(torch.sigmoid(x @ w1 + b1) @ w2 + b2, t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


# ----------------------------------------------------------------------------------------- 100 multiplications of 10 numbers


def chain(x: object, w: object, one: object) -> Step:
    def step() -> object:
        y = x
        for _ in range(100):
            y = y * w
        x.grad = w.grad = None
        y.backward(one)
        return x.grad

    return step


def our_chain() -> Step:
    return chain(tg.Tensor(np.ones(10), requires_grad=True), tg.Tensor(np.ones(10), requires_grad=True), np.ones(10))


def torch_chain() -> Step:
    make = lambda grad: torch.ones(10, dtype=torch.float64, requires_grad=grad)
    return chain(make(True), make(True), make(False))


# ------------------------------------------------------------------------------------------------------------ long chains


def seconds_per_add(length: int) -> float:
    x = tg.Tensor([1.0], requires_grad=True)
    start = time.perf_counter()
    y = x
    for _ in range(length):
        y = y + 1.0
    y.backward([1.0])
    del y
    return (time.perf_counter() - start) / length


def long_chain(rounds: int = 5) -> tuple[float, float, float]:
    seconds_per_add(10_000)
    rows = []
    for _ in range(rounds):
        short = statistics.median(seconds_per_add(10_000) for _ in range(20))
        rows.append((seconds_per_add(1_000_000), short))
    return medians(rows)


# ------------------------------------------------------------------------------------------------------------------ import


def import_seconds(module: str) -> float:
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    # Compiled, as after an installation.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return float(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout)


def imports(rounds: int = 15) -> tuple[float, float, float]:
    import_seconds("tinygrad_edu")  # compiles it
    return medians([(import_seconds("tinygrad_edu"), import_seconds("numpy")) for _ in range(rounds)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a figure is over its limit")
    check = parser.parse_args().check
    if torch is not None:
        torch.set_num_threads(1)
    figures: list[tuple[str, float, Callable[[], tuple[float, float, float]]]] = [
        ("784-50-10 step, batch 100, float32 / NumPy by hand", 1.25, lambda: duel(our_step(), numpy_step(), 200, (10, 10))),
    ]
    if torch is not None:
        figures += [
            ("784-50-10 step, batch 100, float32 / PyTorch", 0.85, lambda: duel(our_step(), torch_step(), 200, (10, 10))),
            ("100 multiplications of 10 numbers / PyTorch", 0.7, lambda: duel(our_chain(), torch_chain(), 200, (5, 5))),
        ]
    figures += [
        ("an add in a chain of 1,000,000 / in one of 10,000", 1.5, long_chain),
        ("import tinygrad_edu / import numpy", 1.5, imports),
    ]
    over = 0
    print(f"{'':54}{'ours':>10}{'theirs':>10}{'ratio':>8}{'limit':>8}")
    for name, limit, measure in figures:
        a, b, ratio = measure()
        over += ratio > limit
        print(f"{name:54}{a * 1e6:8.1f}µs{b * 1e6:8.1f}µs{ratio:8.2f}{limit:8.2f}{'  over' if ratio > limit else ''}", flush=True)
    if torch is None:
        print("PyTorch is not installed: its figures are left out")
    return int(check and over > 0)


if __name__ == "__main__":
    sys.exit(main())
