"""The scalar function whose gradient `check_gradients` compares at one order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import NumericalError
from tinygrad_edu.graph import Variable, as_variable, enable_grad, no_grad
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.testing.inputs import fresh, tensors_of
from tinygrad_edu.testing.verdicts import weighted

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

# The sums below are NumPy's, on purpose: a checker that projected with recorded operations would use the rules it checks, and
# two wrong signs would look right.
Terms: TypeAlias = list[tuple[Tensor, "Array"]]


@dataclass
class Level:
    """The scalar function whose gradient is compared at one order: a projection of f, differentiated order − 1 times and
    projected on a direction each time."""

    f: Callable[..., Any]
    chosen: list[int]
    order: int
    projection: Array
    directions: Sequence[Sequence[Array]]

    def terms(self, arrays: list[Array], recorded: bool) -> tuple[Terms, list[Any]]:
        """The function's value at a point as tensors and their weights, and the vertices of its inputs. ``recorded`` says
        whether the value can be differentiated again."""
        y, vertices = evaluate(self.f, arrays, self.chosen)
        terms: Terms = [(y, self.projection)]
        for k, along in enumerate(self.directions[: self.order - 1], 1):
            pieces = _pull(terms, vertices, create_graph=recorded or k < self.order - 1)
            terms = [(piece, along[i]) for i, found in enumerate(pieces) for piece in found]
        return terms, vertices

    def gradient(self, arrays: list[Array]) -> list[Array]:
        terms, vertices = self.terms(arrays, recorded=True)
        pieces = _pull(terms, vertices, create_graph=False)
        return [sum((p._data for p in found), np.zeros(v.shape, wide_of(v))) for v, found in zip(vertices, pieces, strict=True)]

    def value(self, arrays: list[Array]) -> Array:
        """The terms of the function's value."""
        if self.order == 1:  # nothing is to be differentiated
            with no_grad():
                # Copies: f may write into what it is given.
                y = self.f(*[as_variable(Tensor, a.copy()) if i in self.chosen else fresh(a) for i, a in enumerate(arrays)])
            return weighted(y._data if isinstance(y, Variable) else y, self.projection)
        parts = [weighted(y._data, weight) for y, weight in self.terms(arrays, recorded=False)[0]]
        return np.concatenate(parts) if parts else np.zeros(1)


def wide_of(like: Any) -> Any:
    """float64, or complex128 for complex numbers."""
    return np.complex128 if like.dtype.kind == "c" else np.float64


def widened(arrays: Sequence[Array], chosen: Collection[int]) -> list[Array]:
    """Copies of arrays, the chosen ones in double precision."""
    return [a.astype(wide_of(a)) if i in chosen else fresh(a) for i, a in enumerate(arrays)]


def evaluate(f: Callable[..., Any], arrays: list[Array], chosen: list[int]) -> tuple[Tensor, list[Any]]:
    variables = tensors_of(arrays, chosen)
    return result_of(f, variables), [variables[i]._node for i in chosen]


def result_of(f: Callable[..., Any], tensors: list[Any]) -> Tensor:
    with enable_grad():
        y = f(*tensors)
    if not isinstance(y, Tensor) or y.dtype.kind not in "fc":
        what = f"a Tensor of {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise NumericalError(f"check_gradients: f must return one Tensor of floats or complex numbers, and it returned {what}")
    return y


def _pull(terms: Terms, vertices: list[Any], create_graph: bool) -> list[list[Tensor]]:
    """The gradient of a weighted sum of tensors: for each vertex, the pieces that add up to it."""
    pieces: list[list[Tensor]] = [[] for _ in vertices]
    for y, weight in terms:
        if y.requires_grad:
            found = engine.cotangents([(y, weight)], wanted=vertices, create_graph=create_graph, retain_graph=True)
            for vertex, here in zip(vertices, pieces, strict=True):
                if vertex in found:
                    here.append(as_variable(Tensor, found[vertex]))
    return pieces
