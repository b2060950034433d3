"""Nested structures as what a node can have: operands, and one array for a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.errors import DTypeError, ShapeError
from tinygrad_edu.graph import Variable, as_variable
from tinygrad_edu.ops import astype, concatenate, ravel, real, reshape
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import array_like, tensors_in
from tinygrad_edu.tree import is_node, leaves, mapped, paired


class _Place:
    """Where a tensor or an array stood in a structure."""


TENSOR, ARRAY = _Place(), _Place()


def taken_apart(tree: Any) -> tuple[Any, list[Any]]:
    """A structure without its tensors and arrays; and these."""
    operands: list[Any] = []

    def place(leaf: Any) -> Any:
        kind = TENSOR if isinstance(leaf, Tensor) else ARRAY if type(leaf) is np.ndarray and leaf.dtype.kind in "biufc" else None
        if kind is not None:
            operands.append(leaf)
        return kind or leaf

    return mapped(place, tree), operands


def put_together(structure: Any, values: Sequence[Any]) -> Any:
    """The structure with tensors and arrays in it again; what is an array where a tensor stood becomes one."""
    places = iter(values)

    def value(leaf: Any) -> Any:
        return as_variable(Tensor, next(places)) if leaf is TENSOR else next(places) if leaf is ARRAY else leaf

    return mapped(value, structure)


def arrays_of(operands: Sequence[Any]) -> list[Any]:
    """The numbers alone."""
    return [operand._data if isinstance(operand, Variable) else operand for operand in operands]


def differentiable(tensor: Tensor) -> bool:
    """Whether a tensor can have a gradient at all."""
    return tensor.dtype.kind in "fc"


class Packed:
    """Several tensors, nested in any way, as one: what a node gives out is one array. Those without a gradient (that are not
    ``carried``) go around it.

    ``name`` is what messages call them, ``rule`` says why others must have the same structure, ``complexity`` what to do where
    these are complex and the first are not.
    """

    def __init__(
        self, tree: Any, who: str, name: str, rule: str, complexity: str = "", carried: Callable[[Tensor], bool] = differentiable
    ) -> None:
        self.who, self.name, self.rule, self.complexity = who, name, rule, complexity
        self.shapes = [(t.shape, t.dtype, carried(t)) for t in tensors_in(tree, who)]
        self.parts = [(shape, dtype, int(np.prod(shape))) for shape, dtype, taken in self.shapes if taken]
        self.dtype = np.result_type(*[dtype for _, dtype, _ in self.parts]) if self.parts else np.dtype(float)
        numbers = iter(range(len(self.shapes)))
        self.tree = mapped(lambda leaf: None if leaf is None else next(numbers), tree)  # the tensors themselves would keep a graph

    def pack(self, tree: Any) -> Tensor:
        """The tensors of a tree of this structure, one after the other, in the order of the first one."""
        tensors = [t if isinstance(t, Tensor) else Tensor(t) for t in self._matched(self.tree, tree, "")]
        if len(tensors) == 1:
            return tensors[0]
        packed: Tensor = concatenate([ravel(t if t.dtype == self.dtype else astype(t, self.dtype)) for t in tensors])
        return packed

    def _matched(self, tree: Any, given: Any, path: str) -> Iterator[Any]:
        if is_node(tree):
            pairs = paired(tree, given)
            if pairs is None:
                raise self._differs(tree, given, path)
            for key, part, other in pairs:
                yield from self._matched(part, other, f"{path}[{key!r}]")
            return
        given = array_like(given)
        if is_node(given) or (tree is None) != (given is None):
            raise self._differs(tree, given, path)
        if tree is not None:
            shape, dtype, carried = self.shapes[tree]
            part = given._data if isinstance(given, Variable) else np.asarray(given)
            if part.dtype.kind not in "biufc":
                raise self._differs(tree, given, path)
            if part.shape != shape:
                raise ShapeError(f"{self.who} returned shape {part.shape} for {self.name}{path} of shape {shape}: {self.rule}")
            if part.dtype.kind == "c" != dtype.kind:
                raise DTypeError(
                    f"{self.who} returned complex numbers for {self.name}{path}, which is real ({dtype}): "
                    f"{self.complexity or self.rule}"
                )
            if carried:
                yield given

    def _differs(self, tree: Any, given: Any, path: str) -> ShapeError:
        mine = mapped(lambda number: None if number is None else self.shapes[number][0], tree)
        return ShapeError(
            f"{self.who} returned {mapped(_outline, given)} for {self.name}{path}, which is {mine} (these are shapes): {self.rule}"
        )

    def unpack(self, packed: Tensor, around: Sequence[Any] = ()) -> Any:
        """The tree again, from one tensor and those that went around it. What stands in front of the tensor's last axis, such as
        many times, is kept."""
        found, start = [packed] if len(self.parts) == 1 else [], 0
        for shape, dtype, size in self.parts if not found else ():
            part = reshape(packed[..., start : start + size], (*packed.shape[:-1], *shape))
            if dtype != self.dtype:
                part = astype(real(part) if dtype.kind != "c" else part, dtype)
            found.append(part)
            start += size
        places, others = iter(found), iter(around)
        values = [next(places) if carried else next(others) for _, _, carried in self.shapes]
        return mapped(lambda number: None if number is None else values[number], self.tree)

    def around(self, tree: Any) -> list[Any]:
        """The tensors of a tree of this structure that are not packed."""
        tensors = [leaf for leaf in leaves(tree) if leaf is not None]
        return [t for t, (_, _, carried) in zip(tensors, self.shapes, strict=True) if not carried]


def _outline(leaf: Any) -> Any:
    """What a message says of a leaf."""
    return () if isinstance(leaf, int | float | complex) else getattr(leaf, "shape", leaf if leaf is None else type(leaf).__name__)
