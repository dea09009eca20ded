"""What CuPy asks of the device, counted by the stand-ins.

    with counted() as counts:
        step()
    assert counts.syncs == 0, counts

A test that counts needs the stand-ins: `@pytest.mark.skipif(not PRESENT, reason=ABSENT)`.
"""

from __future__ import annotations

import ctypes
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

PRESENT = "CUPY_ON_CPU_KERNELS" in os.environ  # set by the command `on-cpu`
ABSENT = "counts launches on the CPU stand-ins of a GPU: make test-cupy"


class Counts(SimpleNamespace):
    """What happened within a `with counted()`, as numbers.

    `launches` of kernels, with their names in `kernels`; `products`, the calls of BLAS, each a
    kernel of its own on a GPU; copies `h2d`, `d2h` and `d2d`; `fills`; `syncs`, where the host
    waited; `allocations` of device memory, when CuPy's pool had none; launches of `graphs`.
    What is recorded into a graph is not counted, neither then nor when the graph is launched.
    """

    kernels: Counter[str]


def library() -> ctypes.CDLL:
    """The stand-in for the runtime, which CuPy has loaded."""
    runtime = ctypes.CDLL("libamdhip64.so.7")
    runtime.standin_counter_names.restype = ctypes.c_char_p
    runtime.standin_log_stop.restype = ctypes.c_char_p
    runtime.standin_poison.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    return runtime


def _read(runtime: ctypes.CDLL) -> dict[str, int]:
    names = runtime.standin_counter_names().decode().split()
    values = (ctypes.c_long * len(names))()
    runtime.standin_read_counters(values)
    return dict(zip(names, values, strict=True))


@contextmanager
def counted() -> Iterator[Counts]:
    """Counts for a block of code; they are there when the block is left. Blocks do not nest."""
    runtime = library()
    counts = Counts()
    before = _read(runtime)
    runtime.standin_log_start()
    try:
        yield counts
    finally:
        kernels = runtime.standin_log_stop().decode().split()
        after = _read(runtime)
        vars(counts).update({name: after[name] - before[name] for name in after})
        counts.kernels = Counter(kernels)
