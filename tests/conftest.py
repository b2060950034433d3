"""Hypothesis profiles, and the shared data that some tests read."""

import os
from collections import Counter
from pathlib import Path

# The matrices of tests are small, and their processes many: threads of BLAS would mostly wait for each other. It reads this when
# NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=20, database=None, suppress_health_check=quiet)
settings.register_profile("nightly", deadline=None, max_examples=1000, suppress_health_check=quiet)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def shared() -> Path:
    """The folder beside the repository that holds MNIST's test digits and the book's weights."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder `shared` with MNIST's test digits does not stand beside the repository")
    return folder


def pytest_terminal_summary(terminalreporter) -> None:
    """How many verdicts the tests of false alarms have seen, and of which kinds."""
    verdicts: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "verdicts on correct code":
                verdicts.update(value)
    if total := verdicts.total():
        shares = ", ".join(f"{count / total:.2%} {kind}" for kind, count in verdicts.items())
        terminalreporter.write_line(f"{total:,} verdicts on correct code: {shares}")
