"""tinygrad_edu: the autodiff engine that you can see through."""

from tinygrad_edu import data, errors, memory, nn, optim, testing
from tinygrad_edu.graph import enable_grad, is_recording, no_grad
from tinygrad_edu.guard import guard
from tinygrad_edu.ops.activation import (
    log_softmax,
    logsumexp,
    one_hot,
    relu,
    sigmoid,
    softmax,
    softmax_cross_entropy,
)
from tinygrad_edu.ops.elementwise import (
    abs,
    add,
    clip,
    cos,
    divide,
    equal,
    exp,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    sign,
    sin,
    sqrt,
    subtract,
    tanh,
    where,
)
from tinygrad_edu.ops.indexing import getitem, scatter_add
from tinygrad_edu.ops.linalg import matmul
from tinygrad_edu.ops.reduction import broadcast_to, max, mean, min, repeat, sum, var
from tinygrad_edu.ops.shape import astype, cast, concatenate, expand_dims, pad, reshape, squeeze, stack, swapaxes, transpose
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, reals
from tinygrad_edu.tensor import Tensor, from_numpy
from tinygrad_edu.transforms import grad, value_and_grad
from tinygrad_edu.viz import Graph, GraphEdge, GraphNode

__version__ = "0.1.0"

__all__ = [
    "Case",
    "Graph",
    "GraphEdge",
    "GraphNode",
    "Tensor",
    "abs",
    "add",
    "astype",
    "broadcast_to",
    "cast",
    "clip",
    "concatenate",
    "cos",
    "data",
    "divide",
    "enable_grad",
    "equal",
    "errors",
    "exp",
    "expand_dims",
    "from_numpy",
    "getitem",
    "grad",
    "greater",
    "greater_equal",
    "guard",
    "is_recording",
    "less",
    "less_equal",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "multiply",
    "negative",
    "nn",
    "no_grad",
    "not_equal",
    "one_hot",
    "optim",
    "pad",
    "power",
    "primitive",
    "reals",
    "relu",
    "repeat",
    "reshape",
    "scatter_add",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softmax_cross_entropy",
    "sqrt",
    "squeeze",
    "stack",
    "subtract",
    "sum",
    "swapaxes",
    "tanh",
    "testing",
    "transpose",
    "value_and_grad",
    "var",
    "where",
]

memory.tune()
