"""What a gradient check found, and how it is said: on one screen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.testing.suspects import likely_mistake
from tinygrad_edu.testing.verdicts import INCONCLUSIVE, KINK, MATCH, MISMATCH, VERDICTS, Judgement

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

SHOWN = 5  # mismatches, of which the others are only counted


@dataclass(frozen=True)
class Verdict:
    """One derivative of the function that was compared: which, and what came out.

    ``kind`` is "match", "mismatch", "kink" or "inconclusive"; ``order`` and ``mode`` say of which derivative; ``input`` is the
    number of the input, -1 for a direction through several; ``index`` the element, None for a direction; ``reason`` why.
    """

    kind: str
    order: int
    mode: str
    input: int
    index: tuple[int, ...] | None
    label: str
    analytic: complex
    numerical: complex
    error: float
    reason: str = ""


@dataclass
class GradientReport:
    """What `check_gradients` found.

    ``verdicts`` are those that are no match, and the worst match of each input; ``counts`` says how many there were of each kind.
    ``worst_error`` is the largest difference among the matches, relative to the larger of 1 and the derivative. ``largest`` is the
    largest derivative of each order: one that is 0 says that the check compared nothing but zeros. ``slope`` is the power with
    which the Taylor remainder f(x + hv) − f(x) − h⟨∇f, v⟩ falls, of a gradient that is wrong: 1, whatever the step, or up to 2, as
    that of a right one, where so little is wrong that it does not show; None where it cannot be seen.
    """

    name: str
    inputs: tuple[Array, ...] = ()
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    verdicts: list[Verdict] = field(default_factory=list)
    worst_error: float = 0.0
    largest: tuple[float, ...] = ()
    slope: float | None = None
    suspicion: str | None = None
    reproduce: Callable[[], str] | None = None
    program: str | None = None
    blame: Callable[[], Any] | None = None
    sizes: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is no mismatch."""
        return not self.counts[MISMATCH]

    @property
    def compared(self) -> int:
        """How many derivatives were compared."""
        return sum(self.counts.values())

    @property
    def inconclusive(self) -> int:
        """Of how many derivatives nothing was learned."""
        return self.counts[INCONCLUSIVE]

    @property
    def mismatches(self) -> list[Verdict]:
        """The derivatives that are wrong."""
        return [verdict for verdict in self.verdicts if verdict.kind == MISMATCH]

    def add(
        self, order: int, mode: str, input: int, found: Sequence[tuple[Judgement, str, Any]], analytic: Array | None = None
    ) -> None:
        """Enter the judgements on one input (or on directions). Where they are on all elements of its gradient ``analytic``, and
        some are wrong, the whole of it is looked at for the mistake behind it."""
        wrong = [judgement.verdict == MISMATCH for judgement, _, _ in found]
        if analytic is not None and any(wrong):
            numerical = np.array([judgement.numerical for judgement, _, _ in found])
            self.suspect(analytic, numerical.reshape(analytic.shape), np.array(wrong).reshape(analytic.shape))
        worst: Verdict | None = None
        for judgement, label, index in found:
            self.counts[judgement.verdict] += 1
            facts = (judgement.analytic, judgement.numerical, judgement.error, judgement.reason)
            verdict = Verdict(judgement.verdict, order, mode, input, index, label, *facts)
            if judgement.verdict == MATCH:
                error = float(abs(verdict.analytic - verdict.numerical) / max(1.0, abs(verdict.numerical)))
                self.worst_error = max(self.worst_error, error if np.isfinite(error) else 0.0)
                worst = verdict if worst is None or error > abs(worst.analytic - worst.numerical) else worst
            else:
                self.verdicts.append(verdict)
        if worst is not None:
            self.verdicts.append(worst)

    def suspect(self, analytic: Array, numerical: Array, wrong: Array | None = None) -> None:
        """Look at a whole wrong gradient for the mistake behind it. ``wrong`` marks the elements that are mismatches."""
        if self.suspicion is None:
            same = analytic.shape == self.sizes  # of an elementwise function: no mean, no sum
            lengths = self.sizes if same else (*self.sizes, *analytic.shape, math.prod(self.sizes), analytic.size)
            self.suspicion = likely_mistake(analytic, numerical, lengths, wrong=wrong)

    @property
    def reproduction(self) -> str:
        """A program that does the same check again; empty where there is nothing wrong to be seen."""
        if self.program is None and self.reproduce is not None:
            self.program = "" if self.ok else self.reproduce()
        return self.program or ""

    def __str__(self) -> str:
        counts = ", ".join(f"{self.counts[kind]} {kind}" for kind in VERDICTS if self.counts[kind]) or "nothing to compare"
        if self.ok:
            orders = ", ".join(f"order {k}: up to {value:.3g}" for k, value in enumerate(self.largest, 1))
            notes = [f"  {_line(v)}" for v in self.verdicts if v.kind in (KINK, INCONCLUSIVE)][:6]
            notes += [f"  note: {note}" for note in self.notes]
            return "\n".join([f"{self.name}: {counts}; worst error {self.worst_error:.2e} ({orders})", *notes])
        wrong = self.mismatches
        first = wrong[0]
        lines = [f"the gradient of {self.name} is wrong: {counts}", *[f"  {_line(v)}" for v in wrong[:SHOWN]]]
        if len(wrong) > SHOWN:
            lines.append(f"  and {len(wrong) - SHOWN} more")
        if first.order > 1:
            lines.append("  the lower orders agree: a rule is right as a number but loses or changes its own derivative")
        if self.suspicion:
            lines.append(f"  likely {self.suspicion}")
        if self.slope is not None:
            means = "linear: the gradient is wrong" if self.slope < 1.5 else "not linear: what is wrong is too little to show in it"
            lines.append(f"  the Taylor remainder falls like h^{self.slope:.2f} ({means})")
        lines += [f"  note: {note}" for note in self.notes]
        lines += _indented(self.culprits)
        if program := self.reproduction:
            lines += ["  to see it again:", *_indented(program, 4)]
        return "\n".join(lines)

    @property
    def culprits(self) -> str:
        """Which operations of the function are wrong, in words; empty where that is not known."""
        if self.ok or self.blame is None:
            return ""
        return str(self.blame())

    def graph(self) -> Any:
        """The recorded graph with the wrong operations in red."""
        if self.blame is None:
            raise ValueError(f"{self.name}: there is no recorded graph to look at; graph() is for functions on tensors")
        return self.blame().graph()


def _line(verdict: Verdict) -> str:
    """One verdict in one line."""
    where = f"order {verdict.order}, {verdict.mode}, " + (f"input {verdict.input}, " if verdict.input >= 0 else "") + verdict.label
    numbers = f"analytic {_number(verdict.analytic)}, numerical {_number(verdict.numerical)} ± {verdict.error:.1e}"
    ratio = verdict.analytic / verdict.numerical if verdict.numerical and np.isfinite(verdict.numerical) else None
    ending = f", ratio {_number(ratio, 6)}" if ratio is not None and verdict.kind == MISMATCH else ""
    return f"{verdict.kind}: {where}: {numbers}{ending}" + (f" ({verdict.reason})" if verdict.reason else "")


def _number(value: complex, digits: int = 10) -> str:
    return f"{value:.{digits}g}" if isinstance(value, complex | np.complexfloating) else f"{float(value):.{digits}g}"


def _indented(text: str, width: int = 2) -> list[str]:
    return [" " * width + line for line in text.splitlines()]
