"""What the tests of optimisers share: all of the classes, and parameters that take steps."""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import optim

CLASSES = [optim.SGD, optim.AdaGrad, optim.RMSprop, optim.Adam, optim.AdamW, optim.Lion]
SHAPES = [(3, 4), (5,), (), (2, 3, 2)]


def leaves(shapes=SHAPES, seed=0, dtype=float) -> list[tg.Tensor]:
    rng = np.random.default_rng(seed)
    return [tg.Tensor(rng.standard_normal(shape), requires_grad=True, dtype=dtype) for shape in shapes]


def gradients(steps, shapes=SHAPES, seed=1):
    rng = np.random.default_rng(seed)
    return [[rng.standard_normal(shape) for shape in shapes] for _ in range(steps)]


def run(optimiser, params, all_gradients) -> list[np.ndarray]:
    for step in all_gradients:
        for parameter, gradient in zip(params, step, strict=True):
            parameter.grad = gradient
        optimiser.step()
    return [parameter.numpy() for parameter in params]
