"""Whether a property test has compared any derivative: one that has not says nothing, and must not pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tinygrad_edu.errors import LawError
from tinygrad_edu.registry import Operation
from tinygrad_edu.testing.coverage import compared_orders
from tinygrad_edu.testing.examples import Example, examples
from tinygrad_edu.testing.lazy import hypothesis
from tinygrad_edu.testing.report import GradientReport
from tinygrad_edu.testing.verdicts import INCONCLUSIVE


class Compared:
    """What the derivatives of a run were compared with: on how many calls, to which orders, and why nothing was learned."""

    def __init__(self) -> None:
        self.calls = 0
        self.orders: set[int] = set()
        self.reasons: Counter[str] = Counter()

    def add(self, report: GradientReport) -> None:
        """Take in what one check has found."""
        self.calls += 1
        self.orders |= compared_orders(report)
        self.reasons.update(verdict.reason for verdict in report.verdicts if verdict.kind == INCONCLUSIVE)

    def look_on(self, operation: Operation, compare: Callable[[Example], GradientReport | None]) -> None:
        """Of a run that compared nothing, which may have drawn a single call, or replayed one: draw more calls, and raise
        `LawError` where none of them has a derivative that can be compared."""

        def check(call: Example) -> None:
            if not self.orders and (report := compare(call)):
                self.add(report)

        h = hypothesis()
        more = h.settings(
            max_examples=50, phases=[h.Phase.generate], database=None, deadline=None, suppress_health_check=list(h.HealthCheck)
        )
        more(h.given(call=examples(operation))(check))()
        if not self.orders:
            (reason, _), *_ = self.reasons.most_common(1) or [("the operands have no elements", 0)]
            raise LawError(
                f"{operation.name}: no derivative could be compared on any of {self.calls} calls, so that nothing was tested: "
                f"{reason}. Draw the operands where the function is finite and smooth, as {operation.operands[0]}=tg.reals(0.1, 3)"
            )
