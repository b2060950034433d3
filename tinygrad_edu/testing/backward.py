"""Whole functions for `blame`: one recorded evaluation, whether the engine adds up its rules rightly, and whether the graph is all
of the function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import TinygradError
from tinygrad_edu.graph import Cut, Variable, as_variable, enable_grad, no_grad
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.testing.inputs import tensors_of
from tinygrad_edu.testing.pullbacks import Pullback, compare, weights
from tinygrad_edu.testing.records import Record, Records, chain_rule
from tinygrad_edu.testing.suspects import likely_mistake
from tinygrad_edu.testing.verdicts import MISMATCH
from tinygrad_edu.transforms import name_of, tensors_in

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


class Run:
    """One recorded evaluation of f."""

    def __init__(self, f: Callable[..., Any], arrays: Sequence[Array], chosen: Sequence[int]) -> None:
        self.records = Records()
        with enable_grad(), self.records.listening():
            tensors = tensors_of(arrays, chosen)
            y = f(*tensors)
        self.leaves = [tensors[i]._node for i in chosen]
        self.outputs = [t for t in tensors_in(y, f"blame: {name_of(f)}") if t.dtype.kind in "fc"]
        self.recorded = [t for t in self.outputs if t.requires_grad]
        self.way = self._on_the_way()

    def _on_the_way(self) -> list[Record]:
        """The records that a gradient passes, in the order of the program."""
        reached = {t._node for t in self.recorded}
        way = []
        for record in sorted(self.records.found.values(), key=lambda record: record.node.serial, reverse=True):
            if record.node in reached:
                way.append(record)
                reached.update(record.node.inputs[position] for position, _ in record.node.active)
        return way[::-1]

    def insides(self) -> Iterator[tuple[Record, Record]]:
        """What ran inside an opaque call, with that call: recorded, and no part of the graph."""
        mine = {record.node for record in self.way}
        calls = [record for record in self.way if record.source]
        for record in self.records.found.values():
            if record.node not in mine:
                around = next((call for call in calls if call.node.serial > record.node.serial), None)
                if around is not None:
                    yield record, around

    def seeds(self, rng: np.random.Generator) -> dict[Any, Any]:
        """Random cotangents of the results, as they travel between nodes."""
        found: dict[Any, Any] = {}
        for t in self.recorded:
            w = weights(rng, t._data)
            found[t._node] = found[t._node] + w if t._node in found else w
        return found


def engine_fault(run: Run, rng: np.random.Generator, order: int) -> str | None:
    """What is wrong with the engine's backward pass, in words: it is compared with the chain rule, plainly applied to the same
    rules. None where the two agree, or a rule does not let them be computed."""
    seeds = run.seeds(rng)
    try:
        mine = chain_rule(run.way, seeds)
    except Exception:
        return None  # a rule that fails; no question of order or of sums
    fault, _ = _compared(run, seeds, mine, create_graph=False)
    if fault is None and order > 1 and run.recorded:
        fault = _second_fault(run, seeds, rng)
    return fault


def _second_fault(run: Run, seeds: dict[Any, Any], rng: np.random.Generator) -> str | None:
    """The same for a derivative that is recorded, and differentiated in its turn."""
    ours = Records()
    try:
        with enable_grad(), ours.listening():
            mine = chain_rule(run.way, {v: as_variable(Tensor, np.asarray(w)) for v, w in seeds.items()}, recorded=True)
        directions = {leaf: weights(rng, mine[leaf]._data) for leaf in run.leaves if leaf in mine}
        way = [*run.way, *ours.found.values()]
        again = chain_rule(way, {mine[leaf]._node: u for leaf, u in directions.items() if mine[leaf].requires_grad})
    except Exception:
        return None
    fault, theirs = _compared(run, seeds, mine, create_graph=True)
    if fault is None:  # Re Σ u · mine, and theirs is the conjugate of ours
        pairs = [(theirs[leaf], u) for leaf, u in directions.items() if leaf in theirs and theirs[leaf].requires_grad]
        fault, _ = _compared(run, {}, again, create_graph=False, pairs=pairs, what="derivative of the recorded gradient")
    return fault


def _compared(
    run: Run, seeds: dict[Any, Any], mine: dict[Any, Any], *, create_graph: bool, pairs: Any = None, what: str = "gradient"
) -> tuple[str | None, dict[Any, Any]]:
    """Where the engine's gradients of the inputs differ from ours, and what they are."""
    if pairs is None:
        # What users call the gradient is the conjugate of what travels between nodes.
        first = {t._node: t for t in run.recorded}
        pairs = [(first[vertex], _conj(w)) for vertex, w in seeds.items()]
    what = f"recorded {what}" if create_graph else what
    try:
        theirs = engine.cotangents(pairs, retain_graph=True, create_graph=create_graph) if pairs else {}
    except TinygradError:
        return None, {}  # a rule, or a change in place, that is refused: `unexplained` and the rules' own comparison say so
    except Exception as error:
        return (
            f"the {what}: backward raises {type(error).__name__} ({error}), and the chain rule does not: a node comes too early",
            {},
        )
    leaves = [leaf for leaf in {**dict.fromkeys(run.leaves), **theirs} if not leaf.active]
    for leaf in leaves:
        zero = np.zeros(leaf.shape, leaf.dtype)
        a, b = (_numbers(found[leaf]) if leaf in found else zero for found in (theirs, mine))
        a = _conj(a)
        rtol = float(np.sqrt(np.finfo(leaf.dtype).eps))
        off = ~np.isclose(a, b, rtol=rtol, atol=rtol * float(np.max(np.abs(b), initial=0)), equal_nan=True) & np.isfinite(b)
        if off.any():
            name = leaf.name or (f"input {run.leaves.index(leaf)}" if leaf in run.leaves else f"the tensor of shape {leaf.shape}")
            guess = likely_mistake(a, b, leaf.shape)
            fault = (
                f"the engine's {what} of {name} differs from the chain rule's, from the same rules, in {off.sum()} of {off.size} "
                "elements: a wrong order, or a sum over paths that is not one"
            )
            return fault + (f"; likely {guess}" if guess else ""), theirs
    return None, theirs


def _numbers(x: Any) -> Array:
    return np.asarray(x._data if isinstance(x, Variable) else x)


def _conj(x: Any) -> Any:
    return np.conj(x) if np.asarray(x).dtype.kind == "c" else x


def unexplained(
    f: Callable[..., Any], run: Run, arrays: Sequence[Array], chosen: Sequence[int], rng: np.random.Generator
) -> Iterator[tuple[str, bool]]:
    """Why a gradient may be wrong though every rule and the engine are right: the graph is not all of the function. With each
    note, whether it says that the gradient is wrong."""
    for record in run.way:
        saved = record.node.saved if isinstance(record.node.saved, tuple) else ()
        for array, then in zip(saved[1:], record.arrays, strict=False):
            if isinstance(array, np.ndarray) and not np.array_equal(array, then, equal_nan=array.dtype.kind in "fc"):
                yield f"an operand of {record.label} was changed in place after it was used: compute with a copy", True
                return
    wide = [a.astype(np.result_type(a.dtype, float)) if i in chosen else a for i, a in enumerate(arrays)]
    try:
        here = run if all(arrays[i].dtype == wide[i].dtype for i in chosen) else Run(f, wide, chosen)

        def forward(values: Sequence[Any]) -> Array:
            moved = dict(zip(chosen, values, strict=True))
            with no_grad():
                y = f(*tensors_of([moved.get(i, a) for i, a in enumerate(wide)], ()))
            return _joined(tensors_in(y, f"blame: {name_of(f)}"))

        def pull(g: Any) -> list[Any]:
            seeds: dict[Any, Any] = {}
            start = 0
            for t in here.outputs:
                part = g[start : start + t.size].reshape(t.shape).astype(t.dtype)
                start += t.size
                if t.requires_grad:
                    seeds[t._node] = seeds[t._node] + part if t._node in seeds else part
            found = chain_rule(here.way, seeds)
            return [found.get(leaf, np.zeros(leaf.shape, leaf.dtype)) for leaf in here.leaves]

        at = [wide[i] for i in chosen]
        if not np.allclose(forward(at), _joined(here.outputs), rtol=1e-6, atol=1e-9, equal_nan=True):
            reason = "gives other numbers when it is called again: it is random or keeps a state, and cannot be judged"
            yield f"{name_of(f)} {reason}", False
            return
        found = compare(Pullback(forward, pull, at), range(len(at)), rng)
    except Exception as error:
        yield f"{name_of(f)} is not judged as a whole: {type(error).__name__}: {str(error).partition(chr(10))[0][:100]}", False
        return
    if found.verdict == MISMATCH and not np.isfinite(found.analytic):
        reason = "an infinite derivative meets a zero; tg.explain_grad(y, x) says where"
        yield f"and yet the gradient as a whole is not finite: {reason}", True
    elif found.verdict == MISMATCH:
        numbers = f"analytic {found.analytic:.8g}, numerical {found.numerical:.8g} along a random direction"
        yield f"and yet the gradient is wrong as a whole ({numbers}): a part of the function is not recorded", True
        vertices = [t._node for t in here.outputs] + [vertex for record in here.way for vertex in record.node.inputs]
        cuts = [vertex for vertex in vertices if type(vertex) is Cut]
        for why, place in dict.fromkeys((cut.why, str(cut.place)) for cut in cuts):
            yield f"the gradient ends at {place}: {why}", True
        if not cuts:
            yield "look for .data, .numpy(), float() and changes of what the function keeps: the graph cannot see these", True


def _joined(tensors: Sequence[Tensor]) -> Array:
    """All results that have a derivative, as one vector."""
    return np.concatenate([np.ravel(t._data) for t in tensors if t.dtype.kind in "fc"])
