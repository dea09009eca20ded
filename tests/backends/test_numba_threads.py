"""Parts of a batch side by side: where their threads run, and what a child process has of them."""

import os
import subprocess
import sys
from itertools import pairwise

import pytest

pytest.importorskip("numba", reason="numba is not installed")

from minigrad.backends.numba_kernels import threads as threads

WORK = 10 * threads.MIN_WORK_PER_THREAD


def parts_of(rows, block, monkeypatch, count="2"):
    monkeypatch.setenv("MINIGRAD_THREADS", count)
    found = []
    threads.by_rows(lambda lo, hi: found.append((lo, hi)), rows, WORK, block)
    return sorted(found)


@pytest.mark.parametrize("rows", [1, 5, 6, 7, 20, 64])
def test_parts_cover_all_rows_once(rows, monkeypatch):
    parts = parts_of(rows, 6, monkeypatch, "3")
    assert parts[0][0] == 0 and parts[-1][1] == rows
    assert all(end == start for (_, end), (start, _) in pairwise(parts))
    assert all(lo % 6 == 0 for lo, _ in parts)
    heights = [-(-(hi - lo) // 6) for lo, hi in parts]
    assert len(parts) == min(3, -(-rows // 6)) and max(heights) - min(heights) <= 1


def test_little_work_is_one_part(monkeypatch):
    monkeypatch.setenv("MINIGRAD_THREADS", "2")
    found = []
    threads.by_rows(lambda lo, hi: found.append((lo, hi)), 64, threads.MIN_WORK_PER_THREAD, 6)
    assert found == [(0, 64)]


def test_an_error_in_any_part_is_raised(monkeypatch):
    monkeypatch.setenv("MINIGRAD_THREADS", "2")

    def run(lo, hi):
        if lo:
            raise MemoryError("in the second part")

    with pytest.raises(MemoryError, match="second part"):
        threads.by_rows(run, 12, WORK, 6)


@pytest.mark.skipif(
    threads._this_core is None or len(os.sched_getaffinity(0)) < 2,
    reason="this system doesn't tell cores, or there is only one",
)
def test_other_threads_keep_off_the_core_of_who_waits(monkeypatch):
    everywhere = os.sched_getaffinity(0)
    parts_of(12, 6, monkeypatch)  # a thread begins
    for core in everywhere:
        os.sched_setaffinity(0, {core})  # the test's own thread
        try:
            pool = threads._pool(2)
            pool.leave_free(core)  # with one core allowed there is nowhere else to go
            os.sched_setaffinity(0, everywhere)
            pool._core_left_free = None
            pool.leave_free(core)
            assert pool._threads_begun
            for thread in pool._threads_begun:
                assert os.sched_getaffinity(thread) == everywhere - {core}
        finally:
            os.sched_setaffinity(0, everywhere)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_begins_threads_of_its_own():
    script = f"""
import os
from minigrad.backends.numba_kernels.threads import by_rows

def parts():
    found = []
    by_rows(lambda lo, hi: found.append((lo, hi)), 12, {WORK}, 6)
    return sorted(found)

assert parts() == [(0, 6), (6, 12)]
child = os.fork()
if not child:
    os._exit(0 if parts() == [(0, 6), (6, 12)] else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environment = dict(os.environ, MINIGRAD_THREADS="2", PYTHONWARNINGS="ignore")
    done = subprocess.run([sys.executable, "-c", script], env=environment, timeout=60)
    assert done.returncode == 0
