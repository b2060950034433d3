"""Neural networks: modules with parameters, and functions. Counterpart: ``torch.nn``."""

from tinygrad_edu.nn import functional
from tinygrad_edu.nn.layers import Linear, ReLU, Sequential, Sigmoid
from tinygrad_edu.nn.module import Module

__all__ = ["Linear", "Module", "ReLU", "Sequential", "Sigmoid", "functional"]
