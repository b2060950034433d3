"""Hypothesis profiles, and the shared data that some tests read."""

import os
from pathlib import Path

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


@pytest.fixture
def plant():
    """Replace rules for a while."""
    saved = []

    def replace(op, **rules):
        saved.append((op, op.rules))
        op.vjp(**{**op.rules, **rules})

    def restore():
        while saved:
            op, rules = saved.pop()
            op.vjp(**rules)

    replace.restore = restore
    yield replace
    restore()
