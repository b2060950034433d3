"""Which derivatives of which operations a test run has checked: the report of pytest's ``--gradient-report``.

A *cell* is one thing to check of an operation: a dtype and an order, or a kink. What the gradient checks of a run have seen is
a set of pairs of an operation's name and a cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.graph import Node, enable_grad, mode
from tinygrad_edu.registry import REGISTRY, Kink, Operation, Reals
from tinygrad_edu.testing import check
from tinygrad_edu.testing.inputs import differentiable, tensors_of
from tinygrad_edu.testing.verdicts import KINK, MATCH

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array
    from tinygrad_edu.testing.report import GradientReport

Cell = tuple[str, str]


class Coverage:
    """What the gradient checks since `start` have seen.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing.coverage import Coverage
    >>> coverage = Coverage()
    >>> coverage.start()
    >>> report = tg.testing.check_gradients(tg.relu, [0.0, 1.0], order=1)
    >>> coverage.stop()
    >>> sorted(coverage.seen)
    [('relu', 'float64 order 1'), ('relu', 'kink a = 0')]
    """

    def __init__(self) -> None:
        self.seen: set[Cell] = set()
        self.own: dict[str, list[str]] = {}  # the cells of operations that are not the library's
        self.verdicts: Counter[str] = Counter()

    def start(self) -> None:
        """Note what is checked from now on."""
        check.WATCHERS.append(self._watch)

    def stop(self) -> None:
        """Note no more."""
        check.WATCHERS.remove(self._watch)
        self.own |= {name: cells_of(op) for name, op in REGISTRY.items() if not op.ours}

    def sent(self) -> list[Any]:
        """All of it in lists and dictionaries, for another process."""
        return [sorted(map(list, self.seen)), self.own, dict(self.verdicts)]

    def take(self, sent: list[Any]) -> None:
        """Add what another process `sent`."""
        self.seen |= {(name, cell) for name, cell in sent[0]}
        self.own |= sent[1]
        self.verdicts.update(sent[2])

    def _watch(self, f: Callable[..., Any], report: GradientReport) -> None:
        """Note the verdicts, run the checked function once more, and note which operations it is made of."""
        self.verdicts.update(report.counts)

        def tell(node: Node, y: Array, operands: tuple[Any, ...]) -> None:
            self._note(node.op, operands, orders)
            for kink in node.op.kinks:
                if 1 in orders and _is_at(node.op, kink, operands, node.params):
                    self.seen.add((key_of(node.op), f"kink {kink.where}"))

        orders = compared_orders(report)
        tested: Operation | None = getattr(f, "operation", None)  # a property test says what it tests
        if tested is not None:
            self._note(tested, report.inputs, orders)
            if 1 in orders and (kink := getattr(f, "kink", None)) is not None:
                self.seen.add((key_of(tested), f"kink {kink.where}"))
        with enable_grad(), mode(on_record=tell), np.errstate(all="ignore"):
            f(*tensors_of(report.inputs, differentiable(report.inputs)))

    def _note(self, operation: Operation, operands: Iterable[Any], orders: set[int]) -> None:
        dtypes = [x.dtype for x in operands if isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fc"]
        if dtypes:
            dtype = np.result_type(*dtypes)
            self.seen |= {(key_of(operation), f"{dtype} order {order}") for order in orders}

    def counted(self, *, everything: bool = False) -> dict[str, list[str]]:
        """The operations that the share is taken of, with the cells of each: those that this run declared, or, where there are
        none, those of the library that it met; with ``everything`` all of the library's."""
        met = {name for name, _ in self.seen}
        ours = {name: cells_of(op) for name, op in REGISTRY.items() if op.ours and (everything or name in met)}
        chosen = ours if everything or not self.own else self.own
        return {name: cells for name, cells in sorted(chosen.items()) if cells}

    def share(self, *, everything: bool = False) -> float:
        """How much of the cells was seen; 0 where there are none."""
        cells = [(name, cell) for name, found in self.counted(everything=everything).items() for cell in found]
        return len(self.seen.intersection(cells)) / len(cells) if cells else 0.0

    def table(self, *, everything: bool = False) -> str:
        """The report, one line for each operation."""
        counted = self.counted(everything=everything)
        width = max([len("operation"), *map(len, counted)])
        lines = [f"{'operation':{width}}  seen   not seen"]
        for name, cells in counted.items():
            missing = [cell for cell in cells if (name, cell) not in self.seen]
            lines.append(f"{name:{width}}  {len(cells) - len(missing):2}/{len(cells):<2}  {', '.join(missing)}".rstrip())
        others = {name for name, _ in self.seen} - counted.keys()
        if others:
            lines.append(f"and, as parts of what was checked, {len(others)} of the library's operations")
        total = sum(map(len, counted.values()))
        seen = sum((name, cell) in self.seen for name, cells in counted.items() for cell in cells)
        lines.append(f"{seen} of {total} derivatives were checked: {100 * self.share(everything=everything):.0f} %")
        compared = max(1, self.verdicts.total())
        words = [f"{count:,} {kind} ({100 * count / compared:.3g} %)" for kind, count in self.verdicts.items() if count]
        return "\n".join([*lines, f"{self.verdicts.total():,} comparisons: {', '.join(words) or 'none'}"])


def compared_orders(report: GradientReport) -> set[int]:
    """The orders at which backward() was compared with numbers, and something was learned; of a derivative of what was not compared
    itself, nothing is. (A report keeps every verdict but a match, and of the matches one for each input.)"""
    found = {verdict.order for verdict in report.verdicts if verdict.mode == "vjp" and verdict.kind in (MATCH, KINK)}
    return {order for order in found if found.issuperset(range(1, order))}


def key_of(operation: Operation) -> str:
    """The operation's name in the registry."""
    if operation.ours:
        return operation.name
    return f"{operation.function.__module__}.{operation.name}"


def cells_of(operation: Operation) -> list[str]:
    """What there is to check of an operation: every order in double precision, real and complex as its cases say, the first in
    float32, and its kinks. Nothing, of an operation without a derivative."""
    rules = getattr(operation, "rules", True)
    if not rules or (isinstance(rules, dict) and not any(map(callable, rules.values()))) or operation.name.startswith("_"):
        return []
    domains = [
        one
        for case in operation.cases
        for domain in case.domains.values()
        for one in (domain if isinstance(domain, list) else [domain])
        if isinstance(one, Reals)
    ]
    kinds = {one.complex for one in domains} or {False}
    orders = {"float64": operation.orders, "float32": 1} if False in kinds else {}
    orders |= {"complex128": operation.orders} if True in kinds else {}
    cells = [f"{dtype} order {order}" for dtype, last in orders.items() for order in range(1, last + 1)]
    return cells + [f"kink {kink.where}" for kink in operation.kinks]


def _is_at(operation: Operation, kink: Kink, operands: tuple[Any, ...], params: dict[str, Any]) -> bool:
    """Whether a call is one at a kink: with the operands of its example, or, of one that is given as single numbers, with these
    among the elements."""
    given = dict(zip(operation.operands, operands, strict=False))
    here: Any = True
    for name, value in kink.at.items():
        if name not in given:
            if name not in params or not np.array_equal(params[name], value):
                return False
        elif np.ndim(value) == 0 and operation.elementwise:
            here = here & (np.asarray(given[name]) == value)
        elif not np.array_equal(given[name], value):
            return False
    return bool(np.any(here))
