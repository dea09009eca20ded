"""What a small recurrent step costs besides its kernels: the Python around them.

    python benchmarks/around.py [--cells LSTM GRU RNN] [--rounds 41]

A training step at (T, N, I, H) = (20, 1, 16, 16) on the Numba backend, with kernels that do
nothing: CPU time, the median of the rounds. What is left is Python, and the products outside of
the loop.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

import minigrad as mg
from minigrad import models
from minigrad.backends.numba_kernels.cache import Kernel
from minigrad.models.reports.timing import layer_step, random_batch

SHAPE = (20, 1, 16, 16)
TARGET = 0.08  # milliseconds
CELLS = ("LSTM", "GRU", "RNN")


@contextmanager
def without_kernels() -> Iterator[None]:
    """Kernels do nothing."""
    ready = Kernel.ready
    Kernel.ready = lambda *_: lambda *_: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Kernel.ready = ready  # type: ignore[method-assign]


def measure(cell: str, rounds: int, count: int = 100) -> list[float]:
    """Milliseconds of a step without its kernels, by round."""
    *_, I, H = SHAPE
    with mg.use_backend("numba"):
        step = layer_step(getattr(models, cell)(I, H), *random_batch(*SHAPE))
        step()
        found = []
        with without_kernels(), np.errstate(all="ignore"):
            for _ in range(rounds):
                start = time.thread_time()
                for _ in range(count):
                    step()
                found.append(1e3 * (time.thread_time() - start) / count)
    return found


def main() -> None:
    """Measure each cell."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    options.add_argument("--rounds", type=int, default=41)
    chosen = options.parse_args()
    for cell in chosen.cells:
        median = statistics.median(measure(cell, chosen.rounds))
        print(f"{cell} {SHAPE}: {median:.3f} ms around its kernels (target {TARGET})")


if __name__ == "__main__":
    main()
