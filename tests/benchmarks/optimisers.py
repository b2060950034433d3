"""Steps of the optimisers against PyTorch's, on one machine in one run, two threads each.

OMP_NUM_THREADS=2 python tests/benchmarks/optimisers.py
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "2")

import time

import numpy as np

import tinygrad_edu as tg

try:
    import torch
except ImportError:
    torch = None

NETS = {
    "784-50-10": [(50, 784), (50,), (10, 50), (10,)],
    "transformer block": [(128, 128)] * 4 + [(512, 128), (128, 512)] + [(128,)] * 8,
    "1,000,000 in one": [(1000, 1000)],
    "10,000,000 in one": [(10_000_000,)],
}


def best(function, seconds=0.5):
    """The shortest of many runs, in microseconds: the least disturbed one."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e6


def main():
    if torch is None:
        sys.exit("there is nothing to compare with: pip install torch")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    rng = np.random.default_rng(0)
    for kind in ("SGD", "Adam", "AdamW"):
        for name, shapes in NETS.items():
            ours = [tg.Tensor(rng.standard_normal(shape), requires_grad=True, dtype=np.float32) for shape in shapes]
            theirs = [torch.tensor(parameter.numpy(), requires_grad=True) for parameter in ours]
            for mine, other in zip(ours, theirs, strict=True):
                mine.grad = rng.standard_normal(mine.shape).astype(np.float32)
                other.grad = torch.tensor(mine.grad.numpy())
            steps = getattr(tg.optim, kind)(ours, lr=1e-3).step, getattr(torch.optim, kind)(theirs, lr=1e-3).step
            rounds = [[best(step) for step in steps] for _ in range(3)]  # in turn, so that both meet the same noise
            mine, other = map(min, zip(*rounds, strict=True))
            print(f"{kind:6} {name:18} {mine:9.0f} µs   PyTorch {other:9.0f} µs   ratio {mine / other:.2f}")


if __name__ == "__main__":
    main()
