"""The plugin for pytest: ``--gradient-report`` prints which derivatives a run has checked.

pytest imports this file in every run, so it imports nothing else: without the option it adds three options and is done.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SENT = "tinygrad_edu_gradients"  # the key of what a worker of pytest-xdist sends


def pytest_addoption(parser: Any) -> None:
    """Add the options."""
    group = parser.getgroup("tinygrad-edu", "gradients (tinygrad-edu)")
    group.addoption(
        "--gradient-report",
        action="store_true",
        help="print which derivatives were checked, by operation, order, dtype and kink",
    )
    group.addoption(
        "--gradient-report-all",
        action="store_true",
        help="the same, of all operations of the library instead of those that the tests declare or meet",
    )
    group.addoption(
        "--gradient-report-min",
        type=float,
        metavar="SHARE",
        help="fail if less than this share of the derivatives was checked, as in 0.9",
    )


def pytest_configure(config: Any) -> None:
    """Start to note what is checked, where it is asked for."""
    option = config.option
    least = option.gradient_report_min
    if not (option.gradient_report or option.gradient_report_all or least is not None) or option.collectonly:
        return
    if least is not None and not 0 <= least <= 1:
        raise pytest.UsageError(f"--gradient-report-min is a share between 0 and 1, not {least:g}")
    config.pluginmanager.register(Report(config), "tinygrad-edu-gradient-report")


class Report:
    """What is noted in this process and in its workers."""

    def __init__(self, config: Any) -> None:
        from tinygrad_edu.testing.coverage import Coverage

        self.config = config
        self.everything = config.option.gradient_report_all
        self.least = config.option.gradient_report_min
        self.coverage = Coverage()
        self.coverage.start()

    def pytest_sessionfinish(self, session: Any) -> None:
        """Send what a worker has noted, or judge it."""
        self.coverage.stop()
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput[SENT] = self.coverage.sent()
        elif self.fails and session.exitstatus == 0:
            session.exitstatus = 1

    @pytest.hookimpl(optionalhook=True)  # which there is with pytest-xdist only
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker has noted."""
        self.coverage.take(getattr(node, "workeroutput", {}).get(SENT, [[], {}, {}]))

    @property
    def fails(self) -> bool:
        """Whether too little was checked."""
        return self.least is not None and self.coverage.share(everything=self.everything) < self.least

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the report."""
        terminalreporter.section("gradients that were checked")
        terminalreporter.write_line(self.coverage.table(everything=self.everything))
        if self.fails:
            share = self.coverage.share(everything=self.everything)
            terminalreporter.write_line(f"FAILED: {share:.3f} is less than --gradient-report-min={self.least:g}", red=True)
