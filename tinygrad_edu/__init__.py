"""tinygrad_edu: the autodiff engine that you can see through."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from tinygrad_edu import memory as memory  # before the others, so that the garbage collector does not look through them either

# isort: split
from tinygrad_edu import errors, ops
from tinygrad_edu import hypothesis_types as hypothesis_types
from tinygrad_edu.anomaly import detect_anomaly
from tinygrad_edu.conventions import Convention, conventions
from tinygrad_edu.evaluations import is_recomputing
from tinygrad_edu.graph import enable_grad, is_recording, no_grad
from tinygrad_edu.guard import guard
from tinygrad_edu.jacobians import hessian, hvp, jacfwd, jacobian, jacrev
from tinygrad_edu.opaque import checkpoint, custom_vjp
from tinygrad_edu.ops import *
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, Kink, complexes, reals
from tinygrad_edu.singular import ieee_gradients
from tinygrad_edu.tensor import Tensor, from_numpy
from tinygrad_edu.transforms import grad, jvp, stop_gradient, value_and_grad, vjp

if _TYPE_CHECKING:  # see `__getattr__`
    from tinygrad_edu import data, io, nn, optim, stats, testing, training, viz
    from tinygrad_edu.explain import GradientExplanation, explain_grad
    from tinygrad_edu.implicit import fixed_point, odeint
    from tinygrad_edu.io import load, save
    from tinygrad_edu.viz import Graph, GraphEdge, GraphNode

__version__ = "0.1.0"

__all__ = [
    "Case",
    "Convention",
    "GradientExplanation",
    "Graph",
    "GraphEdge",
    "GraphNode",
    "Kink",
    "Tensor",
    "checkpoint",
    "complexes",
    "conventions",
    "custom_vjp",
    "data",
    "detect_anomaly",
    "enable_grad",
    "errors",
    "explain_grad",
    "fixed_point",
    "from_numpy",
    "grad",
    "guard",
    "hessian",
    "hvp",
    "ieee_gradients",
    "io",
    "is_recomputing",
    "is_recording",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "load",
    "nn",
    "no_grad",
    "odeint",
    "optim",
    "primitive",
    "reals",
    "save",
    "stats",
    "stop_gradient",
    "testing",
    "training",
    "value_and_grad",
    "viz",
    "vjp",
]
__all__ += ops.__all__
__all__.sort()

_LATER = {
    **dict.fromkeys(["data", "io", "nn", "optim", "stats", "testing", "training", "viz"], ""),
    **dict.fromkeys(["GradientExplanation", "explain_grad"], "explain"),
    **dict.fromkeys(["fixed_point", "odeint"], "implicit"),
    **dict.fromkeys(["load", "save"], "io"),
    **dict.fromkeys(["Graph", "GraphEdge", "GraphNode"], "viz"),
}


def __getattr__(name: str) -> _Any:
    """What tensors do not need is loaded when it is first asked for: it is most of the files."""
    if name not in _LATER:
        hint = f"; NumPy has it, and Tensor takes its arrays: np.{name}" if hasattr(_import_module("numpy"), name) else ""
        raise AttributeError(f"module 'tinygrad_edu' has no attribute '{name}'{hint}")
    return getattr(_import_module(f"tinygrad_edu.{_LATER[name]}"), name) if _LATER[name] else _import_module(f"tinygrad_edu.{name}")


def __dir__() -> list[str]:
    return __all__
