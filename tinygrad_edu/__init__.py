"""tinygrad_edu: the autodiff engine that you can see through."""

from tinygrad_edu import data, errors, memory, nn, ops, optim, testing
from tinygrad_edu.graph import enable_grad, is_recording, no_grad
from tinygrad_edu.guard import guard
from tinygrad_edu.ops import *
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, reals
from tinygrad_edu.singular import ieee_gradients
from tinygrad_edu.tensor import Tensor, from_numpy
from tinygrad_edu.transforms import grad, value_and_grad
from tinygrad_edu.viz import Graph, GraphEdge, GraphNode

__version__ = "0.1.0"

__all__ = [
    "Case",
    "Graph",
    "GraphEdge",
    "GraphNode",
    "Kink",
    "Tensor",
    "complexes",
    "data",
    "enable_grad",
    "errors",
    "from_numpy",
    "grad",
    "guard",
    "ieee_gradients",
    "is_recording",
    "nn",
    "no_grad",
    "optim",
    "primitive",
    "reals",
    "testing",
    "value_and_grad",
]
__all__ += ops.__all__
__all__.sort()

memory.tune()
