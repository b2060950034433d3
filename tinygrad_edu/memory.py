"""Keep the C allocator from handing pages back to the system between steps.

A training step frees and allocates the same large arrays again and again. By default glibc returns every large block to
the kernel at once and asks for it anew, and the page faults cost more than the arithmetic: a chain of elementwise
operations on a million numbers takes four times as long. Raising two thresholds keeps the pages.

This is done once, at import, and only for glibc. ``TINYGRAD_EDU_KEEP_MEMORY=0`` in the environment switches it off; so
does setting glibc's own ``MALLOC_TRIM_THRESHOLD_`` or ``MALLOC_MMAP_THRESHOLD_``.
"""

from __future__ import annotations

import os
import sys

M_TRIM_THRESHOLD = -1  # from <malloc.h>
M_MMAP_THRESHOLD = -3
KEEP_BYTES = 1 << 30  # free memory at the top of the heap that is not given back
LARGEST_MMAP_THRESHOLD = 32 << 20  # the most that glibc accepts on 64-bit machines


def keep_pages() -> bool:
    """Raise glibc's thresholds. Returns whether it was done."""
    own = "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"
    if os.environ.get("TINYGRAD_EDU_KEEP_MEMORY", "1") == "0" or any(name in os.environ for name in own):
        return False
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version.restype = ctypes.c_char_p
        mallopt = libc.mallopt
    except (OSError, AttributeError):  # musl and others have no such call
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, KEEP_BYTES) and mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD))
