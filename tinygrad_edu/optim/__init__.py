"""Optimisers: what turns gradients into better parameters, and schedules of their learning rates. Counterpart: ``torch.optim``."""

from tinygrad_edu.clipping import clip_grad_norm_, clip_grad_value_
from tinygrad_edu.optim import lr_scheduler
from tinygrad_edu.optim.adam import Adam, AdamW, Lion
from tinygrad_edu.optim.adaptive import AdaGrad, RMSprop
from tinygrad_edu.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from tinygrad_edu.optim.optimizer import Optimizer
from tinygrad_edu.optim.sgd import SGD

Adagrad = AdaGrad  # as PyTorch writes it

__all__ = [  # noqa: RUF022 - in the order of sorted()
    "AdaGrad",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "LRScheduler",
    "LinearLR",
    "Lion",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "SGD",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lr_scheduler",
]
