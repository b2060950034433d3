"""Two settings of the process that large graphs need, made once, at import.

**Keep pages.** A training step frees and allocates the same large arrays again and again. By default glibc returns every large
block to the kernel at once and asks for it anew, and the page faults cost more than the arithmetic: a chain of elementwise
operations on a million numbers takes four times as long. Raising two thresholds of the C allocator keeps the pages. Only glibc is
touched, and not where its own ``MALLOC_TRIM_THRESHOLD_`` or ``MALLOC_MMAP_THRESHOLD_`` is set.

**Collect less often.** Graphs have no reference cycles and are freed without the cyclic garbage collector, but it reads through
all of a growing graph after every 700 new objects, and again and again in full: nearly half of the time that a chain of a million
operations takes. A higher threshold makes it look less often. It is only raised where nobody else has done so.

``TINYGRAD_EDU_KEEP_MEMORY=0`` in the environment leaves both alone.
"""

from __future__ import annotations

import gc
import os
import sys

M_TRIM_THRESHOLD = -1  # from <malloc.h>
M_MMAP_THRESHOLD = -3
KEEP_BYTES = 1 << 30  # free memory at the top of the heap that is not given back
LARGEST_MMAP_THRESHOLD = 32 << 20  # the most that glibc accepts on 64-bit machines

PYTHONS_OWN = 2000  # CPython's first threshold is 700, and 2000 from 3.14 on
OBJECTS_BETWEEN_COLLECTIONS = 50_000


def tune() -> None:
    """Make both settings, unless the environment says not to."""
    if os.environ.get("TINYGRAD_EDU_KEEP_MEMORY", "1") != "0":
        keep_pages()
        collect_less_often()


def keep_pages() -> bool:
    """Raise glibc's thresholds. Returns whether it was done."""
    if not sys.platform.startswith("linux"):
        return False
    if "MALLOC_TRIM_THRESHOLD_" in os.environ or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return False
    import ctypes

    try:
        libc = ctypes.CDLL(None)
        _ = libc.gnu_get_libc_version  # musl and others have no such function
        mallopt = libc.mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, KEEP_BYTES) and mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD))


def collect_less_often() -> bool:
    """Raise the collector's first threshold. Returns whether it was done."""
    first, *others = gc.get_threshold()
    if not 0 < first <= PYTHONS_OWN:  # 0: the user has switched the collector off
        return False
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *others)
    return True


tune()
