"""Parts of a batch side by side: rows never meet, so each thread runs all steps of its own rows."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

from numba import get_num_threads

from minigrad.utils.settings import Variable


def _why_not(text: str) -> str:
    return "" if text.isdecimal() and int(text) else f"is a positive integer; got {text!r}"


_variable = Variable("MINIGRAD_THREADS", _why_not)

# A part smaller than this, in numbers that the loop computes, isn't worth waking a thread for: that
# takes 50 to 60 µs.
MIN_WORK_PER_THREAD = 120_000

# A loop over time is cut at multiples of so many rows. Each thread reads all weights at each step,
# for one row nearly as long as for two.
ROWS_PER_CUT = 2


def thread_count() -> int:
    """How many threads kernels use: MINIGRAD_THREADS, or Numba's setting."""
    text = _variable.get()
    return int(text) if text else get_num_threads()


class _Pool(ThreadPoolExecutor):
    """Threads that keep off the core of the thread that waits for them.

    Linux often wakes a thread on the core of the one that wakes it. There it would wait until that
    one is done with its own part: two threads, and the time of one.
    """

    def __init__(self, threads: int) -> None:
        super().__init__(threads, "minigrad", initializer=self._begin)
        self._threads_begun: list[int] = []
        self._core_left_free: int | None = None

    def _begin(self) -> None:
        self._threads_begun.append(threading.get_native_id())
        self._core_left_free = None

    def leave_free(self, core: int) -> None:
        """Run on the other cores from now on, if there are any."""
        if core == self._core_left_free:
            return
        self._core_left_free = core
        others = os.sched_getaffinity(0) - {core}
        for thread in self._threads_begun if others else ():
            with contextlib.suppress(OSError):  # where it is forbidden, the system's choice stays
                os.sched_setaffinity(thread, others)


@lru_cache(maxsize=1)
def _pool(threads: int) -> _Pool:
    return _Pool(threads)


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)

# The core that the caller is on, where the system says so. (PyDLL: not worth releasing the GIL.)
_this_core: Callable[[], int] | None = None
if hasattr(os, "sched_setaffinity"):
    _this_core = getattr(ctypes.PyDLL(None), "sched_getcpu", None)


def parts_of(work: int) -> int:
    """How many threads are worth waking for so many numbers that the whole computes."""
    parts = work // MIN_WORK_PER_THREAD
    return min(parts, thread_count()) if parts > 1 else 1


def by_rows(run: Callable[[int, int], None], rows: int, work: int, block: int) -> None:
    """Call `run(lo, hi)` for parts of 0..rows, side by side where that pays.

    `work` is how many numbers the whole computes. Parts are multiples of `block` rows but for the
    last one, and as equal as that allows. A row's results don't depend on the part that it is in.
    """
    blocks = -(-rows // block)
    parts = min(blocks, parts_of(work))
    if parts <= 1:
        run(0, rows)
        return
    cuts = [min(rows, round(blocks * i / parts) * block) for i in range(parts + 1)]
    pool = _pool(thread_count())
    if _this_core is not None:
        pool.leave_free(_this_core())
    others = [pool.submit(run, lo, hi) for lo, hi in pairwise(cuts[1:])]
    run(cuts[0], cuts[1])
    for other in others:
        other.result()
