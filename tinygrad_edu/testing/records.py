"""What was recorded while a function ran, each operation as a function of its own with a pullback, and the chain rule over them.

`chain_rule` is a second backward pass: as it stands in a textbook, with none of the engine's care for memory. A gradient that both
compute from the same rules, and differently, is the engine's fault; one that both compute alike is the rules'.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import CodeType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ConvergenceError, GraphError, MatrixError
from tinygrad_edu.graph import Node, Variable, as_variable, enable_grad, mode
from tinygrad_edu.places import Place, caller
from tinygrad_edu.singular import careful
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.testing.pullbacks import Pullback, hermitian_variables, weights

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array
    from tinygrad_edu.primitive import Primitive


@dataclass(frozen=True)
class Complaint:
    """What is wrong with an operation before any derivative is compared: with the rule of an operand, or, if ``position`` is None,
    with its forward. ``wrong`` is False where it only means that nothing can be said."""

    position: int | None
    reason: str
    wrong: bool = True


class Records:
    """The operations that are recorded inside ``listening()``, with the arrays that they were given."""

    def __init__(self) -> None:
        self.found: dict[Node, Record] = {}
        self.by: CodeType | None = None  # whose block it is

    def listening(self) -> mode:
        """A block whose operations are noted. The caller of the code that opens it is no part of what runs in it."""
        self.by = sys._getframe(1).f_code
        return mode(on_record=self._note)

    def _note(self, node: Node, y: Any, arrays: tuple[Any, ...]) -> None:
        place = caller(called_by=self.by)
        for position, _ in node.active:  # nobody is told of the node through which a broadcast operand enters
            through = node.inputs[position]
            if isinstance(through, Node) and through not in self.found and through.op.name == "broadcast_to":
                spread = np.broadcast_to(arrays[position], through.shape)
                self.found[through] = Record(through, spread, (np.array(arrays[position]),), place)
        self.found[node] = Record(node, y, tuple([np.array(a) if isinstance(a, np.ndarray) else a for a in arrays]), place)


class Record:
    """One recorded operation: its node, its result, its operands (and residuals) as they were, and the line that called it, if one
    of the user's function did."""

    def __init__(self, node: Node, y: Any, arrays: tuple[Any, ...], place: Place | None) -> None:
        self.node, self.y, self.arrays, self.place = node, y, arrays, place
        self.op: Primitive = node.op
        call = node.params.get("call")
        self.given = getattr(call, "given", None)  # of an opaque call: how many operands are arguments
        self.source = getattr(call, "source", None)
        positions = [position for position, _ in node.active]
        self.positions = positions if self.given is None else [p for p in positions if p < self.given]

    @property
    def determined(self) -> bool:
        """Whether any cotangent will do. Eigenvectors, for instance, are determined up to a factor: of them, only losses that do
        not depend on it have a derivative. Their cases say so."""
        return not any(case.after for case in self.op.cases)

    @property
    def label(self) -> str:
        """The operation's name, and where it was called."""
        return self.op.name if self.place is None else f"{self.op.name} at {self.place}"

    def operand(self, position: int) -> str:
        """The operand's name."""
        return f"{self.op.operands[0]}[{position}]" if self.op.variadic else self.op.operands[position]

    @property
    def kind(self) -> Any:
        """What records have in common that differ in their numbers only."""
        shapes = tuple([np.shape(a) for a in self.arrays])
        return self.op.name, id(self.op.rules), shapes, self.y.dtype, tuple(self.positions), repr(self.node.params)

    # ------------------------------------------------------------------------------------------------ as a function

    def compute(self, operands: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
        """The forward: the result and the residuals."""
        op, params = self.op, self.node.params
        y = op.forward(list(operands), **params) if op.variadic else op.forward(*operands, **params)
        y, *residuals = y if op.residuals else (y,)
        return np.asarray(y), tuple(residuals)

    @cached_property
    def wide(self) -> tuple[list[Any], Any, tuple[Any, ...]]:
        """The operands, result and residuals in double precision, where the operation takes that."""
        operands = list(self.arrays[: len(self.node.inputs)])
        if self.source is None:
            operands = [_wide(a) for a in operands]
        try:
            y, residuals = self.compute(operands)
        except Exception:
            operands = list(self.arrays[: len(self.node.inputs)])
            y, residuals = self.compute(operands)
        return operands, y, residuals

    def variables(self) -> list[Array]:
        """The operands that are differentiated. Those of an elementwise operation have the result's shape: see `recording`."""
        spread = [np.broadcast_to(a, self.node.shape) if self.op.elementwise else a for a in self.wide[0]]
        return [np.array(spread[position]) for position in self.positions]

    def with_variables(self, values: Sequence[Any]) -> list[Any]:
        """All operands, with these numbers for those that are differentiated."""
        operands = list(self.wide[0])
        for position, value in zip(self.positions, values, strict=True):
            operands[position] = value
        return operands

    def view(self, y: Any, operands: Sequence[Any], residuals: Sequence[Any]) -> Any:
        """The node as its rules see it."""
        return SimpleNamespace(saved=(y, *operands, *residuals), params=self.node.params, inputs=self.node.inputs)

    def recorded_view(self) -> Any:
        """The same with tensors that know where they come from, for a derivative that is to be differentiated."""

        def tensor(array: Any, vertex: Any) -> Any:
            if not getattr(vertex, "requires_grad", False):
                return array
            linked = as_variable(Tensor, np.asarray(array))
            linked._node = vertex if vertex.shape == np.shape(array) else vertex.inputs[0]
            return linked

        operands = list(map(tensor, self.arrays, self.node.inputs))
        return self.view(tensor(self.y, self.node), operands, self.op.residuals_again(operands, self.node.params))

    def pull(self, g: Any, view: Any) -> list[Any]:
        """What the rules make of a cotangent."""
        pulls = dict(self.node.active)
        return [careful(pulls[position])(g, view) for position in self.positions]

    def pullback(self, cotangent: Any = None) -> Pullback:
        """The operation and its rules."""
        operands, y, residuals = self.wide
        view = self.view(y, operands, residuals)
        if cotangent is not None:
            cotangent = np.asarray(cotangent).astype(np.result_type(cotangent, y))
        return Pullback(
            forward=lambda values: self.compute(self.with_variables(values))[0],
            pull=lambda g: [np.asarray(part) for part in self.pull(g, view)],
            at=self.variables(),
            rtol=self.rtol,
            cotangent=cotangent,
        )

    @property
    def rtol(self) -> float:
        """What the rules' numbers are exact to."""
        eps = float(np.finfo(self.wide[1].dtype).eps) if self.wide[1].dtype.kind in "fc" else 0.0
        return max(1e-7, 1e3 * eps)

    # --------------------------------------------------------------------------------------------------- complaints

    def complaint(self, rng: np.random.Generator) -> Complaint | None:
        """What goes wrong before numbers are compared: a forward that is random or changes its operands, a rule that fails, returns
        another shape or changes what it is handed."""
        operands = [np.array(a) if isinstance(a, np.ndarray) else a for a in self.arrays[: len(self.node.inputs)]]
        try:
            again, residuals = self.compute(operands)
        except Exception as error:
            return Complaint(None, f"it cannot be run again ({type(error).__name__}: {_short(error)})", wrong=False)
        for position, (a, b) in enumerate(zip(operands, self.arrays, strict=False)):
            if not _same(a, b):
                return Complaint(None, f"it changes its operand {self.operand(position)} in place: compute with a copy of it")
        if not _close(again, self.y):
            return Complaint(None, "it gives other numbers when it is computed again: it is random, or keeps a state", wrong=False)
        g = weights(rng, again) if self.determined else np.zeros_like(again)
        saved = [np.array(a) if isinstance(a, np.ndarray) else a for a in (again, *operands, *residuals)]
        view = self.view(saved[0], saved[1 : 1 + len(operands)], saved[1 + len(operands) :])
        before = [np.array(g), *[np.array(a) if isinstance(a, np.ndarray) else a for a in saved]]
        pulls = dict(self.node.active)
        for position in self.positions:
            try:
                part = careful(pulls[position])(g, view)
            except Exception as error:
                wrong = not isinstance(error, GraphError | MatrixError | ConvergenceError)  # these are about the operands
                return Complaint(position, f"the rule raises {type(error).__name__}: {_short(error)}", wrong)
            if isinstance(part, Variable) or not isinstance(part, np.ndarray | np.generic | int | float | complex):
                return Complaint(position, f"the rule returns {type(part).__name__} for an array")
            shape = self.node.inputs[position].shape
            if np.shape(part) != shape:
                hint = ": a sum over the repeated axes is missing" if np.ndim(part) > len(shape) or np.size(part) > 1 else ""
                return Complaint(position, f"the rule returns shape {np.shape(part)} for an operand of shape {shape}{hint}")
            if not all(map(_same, [g, *saved], before)):
                what = "the cotangent" if not _same(g, before[0]) else "an array that was saved for it"
                return Complaint(position, f"the rule changes {what} in place: compute with a copy of it")
            if reason := self.nonlinear(position, g):
                return Complaint(position, reason)
        return None

    def nonlinear(self, position: int, g: Array) -> str | None:
        """How a rule is no linear function of the cotangent. Times a power of 2 no digit of a double changes."""
        operands, y, residuals = self.wide
        view, g = self.view(y, operands, residuals), g.astype(np.result_type(g, y))
        pull = careful(dict(self.node.active)[position])
        part = np.asarray(pull(g, view))
        if not _close(np.asarray(pull(g, view)), part):
            return "the rule gives other numbers when it runs again: it is random, or keeps a state"
        for factor in (-1024.0, -1.0, -1 / 1024):
            scaled = np.asarray(pull(factor * g, view))
            if not _close(scaled, factor * part):
                if _close(scaled, part):
                    return "the rule does not multiply by g, the cotangent of its result"
                return "the rule is not linear in g: something is added to it, or it is squared, cut, or loses its sign"
        return None

    # ----------------------------------------------------------------------------------------------------- order two

    def of_rule(self, position: int, rng: np.random.Generator) -> tuple[Pullback, Records]:
        """One rule as a function of the cotangent and the operands, with the derivative that the rules which it is written with
        give it; and what it records. It is run as `engine` runs it when a derivative is to be differentiated."""

        def run(values: Sequence[Any]) -> tuple[Any, Record, Records, list[Any]]:
            records = Records()
            with enable_grad(), records.listening():
                variables = [Tensor(value, requires_grad=True) for value in values]
                operands = self.with_variables(variables[1:])
                y = self.op.function(*([operands] if self.op.variadic else operands), **self.node.params)
                fresh = records.found.pop(y._node)
                part = careful(dict(fresh.node.active)[position])(variables[0], fresh.recorded_view())
            return part, fresh, records, [variable._node for variable in variables]

        at = [weights(rng, self.wide[1]), *self.variables()]
        part, fresh, inner, leaves = run(at)

        def pull(u: Any) -> list[Any]:
            zeros = [np.zeros(x.shape, x.dtype) for x in at]
            if not isinstance(part, Variable) or part._node is None or not part._node.requires_grad:
                return zeros
            found = chain_rule([*inner.found.values(), fresh], {part._node: u})
            return [found.get(leaf, zero) for leaf, zero in zip(leaves, zeros, strict=True)]

        def forward(values: Sequence[Any]) -> Any:
            again = run(values)[0]
            return again._data if isinstance(again, Variable) else np.asarray(again)

        # A rule may subtract numbers that are nearly the same, as 1 − y² does: its rounding is that of 1.
        hermitian = frozenset(i + 1 for i in hermitian_variables(self.pullback(), rng))
        return Pullback(forward, pull, at, self.rtol, 1e-11 * (1 + part.size), hermitian=hermitian), inner


def chain_rule(records: Iterable[Record], seeds: dict[Any, Any], recorded: bool = False) -> dict[Any, Any]:
    """The cotangent of every vertex, from those of the results; as tensors, if it is to be differentiated."""
    total = dict(seeds)
    for record in sorted(records, key=lambda record: record.node.serial, reverse=True):
        node = record.node
        if node not in total:
            continue
        saved = record.arrays[: len(node.inputs)], record.arrays[len(node.inputs) :]
        view = record.recorded_view() if recorded else record.view(record.y, *saved)
        for position, pull in node.active:
            vertex = node.inputs[position]
            part: Any = careful(pull)(total[node], view)
            part = part if isinstance(part, Variable) else np.asarray(part)
            if part.dtype.kind == "c" != vertex.dtype.kind:
                part = part.real  # a real number moves along the real axis only
            part = part if part.dtype == vertex.dtype else part.astype(vertex.dtype)
            if part.shape != vertex.shape:
                raise ValueError(f"{node.op.name} gave shape {part.shape} for {vertex.shape}")
            total[vertex] = total[vertex] + part if vertex in total else part
    return total


def _wide(a: Any) -> Any:
    """A floating array or NumPy number in double precision; Python's own numbers have it, and leave the dtype to others."""
    if not isinstance(a, np.ndarray | np.generic) or a.dtype.kind not in "fc":
        return a
    return a.astype(np.result_type(a.dtype, np.float64))


def _same(a: Any, b: Any) -> bool:
    return not isinstance(a, np.ndarray) or np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def _close(a: Any, b: Any) -> bool:
    """The same numbers but for rounding, which another layout in memory changes."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.kind not in "fc":
        return bool(np.array_equal(a, b))
    rtol = float(np.sqrt(np.finfo(b.dtype).eps))
    finite = np.abs(b[np.isfinite(b)])
    return np.allclose(a, b, rtol=rtol, atol=rtol * float(np.max(finite, initial=0)), equal_nan=True)


def _short(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else ""
    return text if len(text) < 160 else text[:157] + "…"
