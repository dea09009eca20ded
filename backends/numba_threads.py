"""Parts of a batch side by side: rows never meet, so each thread runs all steps of its own rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

from numba import get_num_threads

# A part smaller than this, in numbers that the loop computes, isn't worth waking a thread for.
SMALLEST = 20_000


def thread_count() -> int:
    """How many threads kernels use: MINIGRAD_THREADS, or Numba's setting."""
    text = os.environ.get("MINIGRAD_THREADS")
    if not text:
        return get_num_threads()
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"MINIGRAD_THREADS is a positive integer; got {text!r}")
    return int(text)


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="minigrad")


def by_rows(run: Callable[[int, int], None], rows: int, work: int, block: int) -> None:
    """Call `run(lo, hi)` for parts of 0..rows, side by side where that pays.

    `work` is how many numbers the whole computes. Parts are multiples of `block` rows but for the
    last one. What a row gives doesn't depend on the part that it is in.
    """
    parts = min(work // SMALLEST, -(-rows // block))
    if parts > 1:
        parts = min(parts, thread_count())
    if parts <= 1:
        run(0, rows)
        return
    blocks = -(-rows // block)
    cuts = [min(rows, blocks * i // parts * block) for i in range(parts + 1)]
    pool = _pool(thread_count())
    others = [pool.submit(run, lo, hi) for lo, hi in pairwise(cuts[1:])]
    run(cuts[0], cuts[1])
    for other in others:
        other.result()
