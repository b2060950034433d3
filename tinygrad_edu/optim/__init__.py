"""Optimisers: what turns gradients into better parameters. Counterpart: ``torch.optim``."""

from tinygrad_edu.optim.sgd import SGD

__all__ = ["SGD"]
