"""The two settings of the process: made by default, left alone on request, and only where nobody else made them."""

import gc
import os
import subprocess
import sys

import numpy as np
import pytest

from tinygrad_edu import engine, memory

REPORT = "import gc, tinygrad_edu; print(gc.get_threshold()[0])"


def first_threshold(code=REPORT, **environment):
    environment = {**os.environ, "TINYGRAD_EDU_KEEP_MEMORY": "1", **environment}
    return int(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout)


def test_settings_are_made_at_import_and_can_be_switched_off():
    assert first_threshold() == memory.OBJECTS_BETWEEN_COLLECTIONS
    assert first_threshold(TINYGRAD_EDU_KEEP_MEMORY="0") <= memory.PYTHONS_OWN


@pytest.mark.parametrize("own", [0, 123_456])
def test_a_threshold_of_the_users_own_is_kept(own):
    assert first_threshold(f"import gc; gc.set_threshold({own}); {REPORT}") == own


def test_glibcs_own_settings_are_respected(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert memory.keep_pages() is False


def test_another_c_library_is_left_alone(monkeypatch):
    import ctypes

    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert memory.keep_pages() is False


FAULTS = """
import resource, sys
import numpy as np, tinygrad_edu
def work():
    x = np.ones(500_000)
    for _ in range(5):
        x = x * 1.0001
for _ in range(5):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the setting is glibc's")
def test_pages_are_kept():
    if not memory.keep_pages():
        pytest.skip("not glibc, or its settings are the user's own")
    assert first_threshold(FAULTS) < 2000  # 500,000 numbers are 977 pages, and each step would ask for all of them anew
    assert first_threshold(FAULTS, TINYGRAD_EDU_KEEP_MEMORY="0") > 20_000


def test_shared_arrays_are_told_from_unshared_ones():
    array = np.empty(1)
    assert gc.isenabled()
    assert engine.getrefcount(array) <= engine.UNSHARED
    other = array
    assert engine.getrefcount(array) > engine.UNSHARED
    del other
