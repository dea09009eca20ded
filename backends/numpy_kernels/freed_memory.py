"""Memory that arrays have left stays with the process, for the arrays of the next step.

glibc gives free memory at the end of its heap back to the system when that is twice the largest
array that it has freed. A training step frees more than that at once, and the next step then pays a
page fault for each 4 KB: a tenth to a quarter of its time. Whether it comes to that is chance, as
one small object at the end of the heap prevents it.
"""

from __future__ import annotations

import ctypes
import os
import sys

_KEPT = 1 << 28  # bytes that may be free at the end of the heap
_IN_HEAP = 1 << 25  # an array of fewer bytes is in the heap, which glibc allows up to this size

# What `mallopt` calls them; and the variables by which users decide themselves.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> None:
    """Ask glibc for it; elsewhere, and where the user has set it, nothing changes."""
    if sys.platform != "linux" or any(name in os.environ for name in _VARIABLES):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(_MMAP_THRESHOLD, _IN_HEAP)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
