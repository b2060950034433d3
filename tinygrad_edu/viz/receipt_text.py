"""A `Receipt` as text, compared with another one, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.viz.values import frozen, written

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array
    from tinygrad_edu.viz.receipt import Receipt, Step


def lines(receipt: Receipt) -> Iterator[str]:
    """The receipt, to be printed."""
    seed = f"∂L/∂{receipt.root} = {written(receipt.seed)}"
    yield f"Backward from {receipt.called(receipt.root)} in {len(receipt)} steps. g is an operation's cotangent, {seed}."
    width = max((len(f"{step.node} {step.op}") for step in receipt.steps), default=0)
    for number, step in enumerate(receipt.steps, 1):
        params = f"   ({', '.join(f'{name}={value}' for name, value in step.params.items())})" if step.params else ""
        head = f"{step.node} {step.op}"
        yield f"{number:3}  {head:{width}}  {step.formula}   g = {written(step.cotangent)}{params}"
        for part in step.contributions:
            total = f", in all {written(part.total)}" if part.earlier else ""
            what = f"{part.rule or 'its rule'}   {written(part.value)}"
            yield f"       {part.operand}  {what} to {receipt.called(part.target)}{total}"
    yield "Gradients: " + ", ".join(f"{receipt.called(id)} {written(g)}" for id, g in receipt.gradients.items())


def differences(one: Receipt, other: Receipt) -> Iterator[str]:
    """What `Receipt.diff` says."""
    if not _same(one.seed, other.seed):
        yield f"the seed is {_apart(one.seed, other.seed)}"
    keys: list[list[Any]] = [
        [(step.op, tuple(part.operand for part in step.contributions)) for step in steps] for steps in (one.steps, other.steps)
    ]
    for _, i, end, j, stop in SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_opcodes():
        if end - i == stop - j and keys[0][i:end] == keys[1][j:stop]:
            for number, (a, b) in enumerate(zip(one.steps[i:end], other.steps[j:stop], strict=True), i + 1):
                where = f"step {number}, {a.node} {a.op}: "
                if not _same(a.cotangent, b.cotangent):
                    yield f"{where}the cotangent is {_apart(a.cotangent, b.cotangent)}"
                for p, q in zip(a.contributions, b.contributions, strict=True):
                    if not _same(p.value, q.value):
                        yield f"{where}the contribution to {one.called(p.target)} is {_apart(p.value, q.value)}"
        else:
            for number, step in enumerate(one.steps[i:end], i + 1):
                yield f"step {number}, {step.node} {step.op}: only the first has it"
            for number, step in enumerate(other.steps[j:stop], j + 1):
                yield f"step {number}, {step.node} {step.op}: only the second has it"
    for id in sorted(one.gradients.keys() | other.gradients.keys()):
        if (id in one.gradients) != (id in other.gradients):
            yield f"only the {'first' if id in one.gradients else 'second'} has a gradient of {id}"
    for id, g in one.gradients.items():
        if id in other.gradients and not _same(g, other.gradients[id]):
            yield f"the gradient of {one.called(id)} is {_apart(g, other.gradients[id])}"


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def _apart(a: Array, b: Array) -> str:
    if a.shape != b.shape:
        return f"of shape {a.shape} and {b.shape}"
    if a.dtype != b.dtype:
        return f"of dtype {a.dtype} and {b.dtype}"
    with np.errstate(all="ignore"):
        gap = np.max(np.abs(a - b), initial=0.0)
    return f"{written(a)} and {written(b)}, {gap:.4g} apart"


# -------------------------------------------------------------------------------------------------------------------- JSON

FORMAT = "tinygrad_edu receipt 1"


def as_text(json: str) -> str:
    """JSON that can be encoded: half a surrogate pair, which a name may hold, becomes its escape."""
    return json.encode("utf-8", "backslashreplace").decode()


def to_plain(receipt: Receipt) -> dict[str, Any]:
    """The receipt for JSON."""

    def step(one: Step) -> dict[str, Any]:
        contributions = [
            {name: _numbers(getattr(part, name)) for name in ("operand", "target", "rule", "value", "total", "earlier")}
            for part in one.contributions
        ]
        names = ("node", "op", "result", "formula", "params", "operands")
        return {name: getattr(one, name) for name in names} | {"cotangent": _numbers(one.cotangent), "contributions": contributions}

    return {
        "format": FORMAT,
        "root": receipt.root,
        "seed": _numbers(receipt.seed),
        "tensors": {id: {"name": t.name, "role": t.role, "value": _numbers(t.value)} for id, t in receipt.tensors.items()},
        "steps": [step(one) for one in receipt.steps],
        "gradients": {id: _numbers(g) for id, g in receipt.gradients.items()},
    }


def _numbers(value: Any) -> Any:
    """An array for JSON, which knows neither nan nor infinity nor complex numbers."""
    if not isinstance(value, np.ndarray):
        return value
    wide = value.astype(complex if value.dtype.kind == "c" else float) if value.dtype.kind in "fc" else value
    parts = np.stack([wide.real, wide.imag], -1) if wide.dtype.kind == "c" else wide
    elements = [x if isinstance(x, int) or np.isfinite(x) else str(x) for x in parts.ravel().tolist()]
    return {"shape": list(value.shape), "dtype": str(value.dtype), "elements": elements}


def array_of(data: Any) -> Any:
    """The array that `_numbers` wrote."""
    if data is None:
        return None
    dtype = np.dtype(data["dtype"])
    if dtype.kind in "fc":
        elements = np.array([float(x) for x in data["elements"]], float)
        if dtype.kind == "c":
            elements = elements.view(complex)
        return frozen(elements.reshape(data["shape"]).astype(dtype))
    return frozen(np.array(data["elements"], dtype).reshape(data["shape"]))
