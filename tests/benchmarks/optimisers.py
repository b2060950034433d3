"""Print how fast the steps of optimisers are against PyTorch's.

    python tests/benchmarks/optimisers.py            all figures
    python tests/benchmarks/optimisers.py --check    the same, and exit with 1 where a figure is over its limit

Needs PyTorch. The contestants take turns within one process, two threads each, and a ratio is the median over the rounds of the
ratio within a round. float32 throughout.
"""

import argparse
import os
import sys

THREADS = os.environ.setdefault("BENCHMARK_THREADS", "2")
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = THREADS

import numpy as np
from turns import Step, duel, filling

import tinygrad_edu as tg

NETS = {
    "784-50-10": [(50, 784), (50,), (10, 50), (10,)],
    "CNN": [(16, 1, 3, 3), (16,), (32, 16, 3, 3), (32,), (10, 800), (10,)],  # these three are those of models.py
    "transformer block": [(384, 128), (384,), (128, 128), (512, 128), (512,), (128, 512), *[(128,)] * 6],
    "LSTM": [(512, 64), (512, 128), (512,), (512,)],
    "1,000,000 in one": [(1000, 1000)],
    "10,000,000 in one": [(10_000_000,)],
}
LIMITS = {"Adam": 1.0, "AdamW": 1.0, "SGD": None}  # PyTorch's SGD goes through memory once, NumPy's twice


def contestants(kind: str, shapes: list[tuple[int, ...]]) -> tuple[Step, Step]:
    """Our step and theirs, on the same parameters with the same gradients."""
    import torch

    torch.set_num_threads(int(THREADS))
    rng = np.random.default_rng(0)
    ours = [tg.Tensor(rng.standard_normal(shape, np.float32), requires_grad=True) for shape in shapes]
    theirs = [torch.tensor(parameter.numpy(), requires_grad=True) for parameter in ours]
    for mine, other in zip(ours, theirs, strict=True):
        mine.grad = rng.standard_normal(mine.shape, np.float32)
        other.grad = torch.tensor(mine.grad.numpy())
    return getattr(tg.optim, kind)(ours, lr=1e-3).step, getattr(torch.optim, kind)(theirs, lr=1e-3).step


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a figure is over its limit")
    check = parser.parse_args().check
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not installed: there is nothing to compare with")
        return 0
    over = 0
    print(f"{'':30}{'ours':>10}{'theirs':>10}{'ratio':>8}{'limit':>8}")
    for kind, limit in LIMITS.items():
        for net, shapes in NETS.items():
            ours, theirs = contestants(kind, shapes)
            a, b, ratio = duel(ours, theirs, 30, (filling(ours), filling(theirs)))
            late = limit is not None and ratio > limit
            over += late
            limit_text = "" if limit is None else f"{limit:8.2f}"
            print(f"{f'{kind}, {net}':30}{a * 1e6:8.0f}µs{b * 1e6:8.0f}µs{ratio:8.2f}{limit_text}{'  over' * late}", flush=True)
    return int(check and over > 0)


if __name__ == "__main__":
    sys.exit(main())
