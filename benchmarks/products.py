"""Matrix products and their gradients: minigrad beside its peers and beside the products alone.

    python benchmarks/products.py [--threads 1 2] [--rounds 15] [--json FILE]

`a @ b` in float32, then the gradients of both for a random cotangent: three products. The sizes are
those of recurrent layers, from one step of one sequence to all inputs of a batch, and a large one.
The floor is `np.dot`, three times. First all gradients are asserted equal; then the peers take
turns, round by round. With one thread, time is that of the CPU, so that other programs on the
machine count less. Each number of threads gets a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.models.reports.bench.significance import FEWEST_ROUNDS, ranking
from minigrad.models.reports.timing import (
    CLOSE,
    Step,
    disagreement,
    repeated,
    report_by_threads,
    times_in_turns,
)

SIZES = [(1, 128, 512), (32, 128, 512), (1600, 64, 512), (64, 256, 1024), (1024, 1024, 1024)]
TURN = 0.005  # seconds that a turn takes at least


def minigrad_on(backend: str, a: np.ndarray, b: np.ndarray, g: np.ndarray) -> Step:
    """In minigrad, on a backend."""
    leaves = [mg.tensor(x, requires_grad=True, backend=backend) for x in (a, b)]
    cotangent = mg.tensor(g, backend=backend)
    return lambda: list(mg.grad(leaves[0] @ leaves[1], leaves, cotangent))


def pytorch(a: np.ndarray, b: np.ndarray, g: np.ndarray) -> Step:
    """In PyTorch."""
    import torch

    torch.set_num_threads(int(os.environ.get("MINIGRAD_THREADS", "1")))
    leaves = [torch.from_numpy(x).requires_grad_() for x in (a, b)]
    cotangent = torch.from_numpy(g)
    return lambda: list(torch.autograd.grad(leaves[0] @ leaves[1], leaves, cotangent))


def jax_jit(a: np.ndarray, b: np.ndarray, g: np.ndarray) -> Step:
    """In JAX, compiled; the outputs are read, too, or only two products would be left of three."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def products(a, b, g):
        y, vjp = jax.vjp(jnp.matmul, a, b)
        return y, *vjp(g)

    arrays = [jnp.asarray(x) for x in (a, b, g)]
    return lambda: list(jax.block_until_ready(products(*arrays)))[1:]


def tinygrad_jit(a: np.ndarray, b: np.ndarray, g: np.ndarray) -> Step:
    """In tinygrad, captured after two runs; on the CPU it calls the program clang."""
    from tinygrad import Device, Tensor, TinyJit

    @TinyJit
    def products(a, b, g):
        y = a @ b
        found = [y, *y.gradient(a, b, gradient=g)]
        Tensor.realize(*found)
        return found

    arrays = [Tensor(x).realize() for x in (a, b, g)]

    def step() -> list[Any]:
        found = products(*arrays)[1:]
        Device[Device.DEFAULT].synchronize()
        return found

    for _ in range(3):
        step()
    return step


def alone(a: np.ndarray, b: np.ndarray, g: np.ndarray) -> Step:
    """The products by NumPy, without anything else."""

    def step() -> list[np.ndarray]:
        np.dot(a, b)
        return [np.dot(g, b.T), np.dot(a.T, g)]

    return step


PEERS = {
    "minigrad numpy": lambda *arrays: minigrad_on("numpy", *arrays),
    "minigrad numba": lambda *arrays: minigrad_on("numba", *arrays),
    "PyTorch": pytorch,
    "JAX, jit": jax_jit,
    "tinygrad, jit": tinygrad_jit,
    "products alone": alone,
}


def measure(size: tuple[int, int, int], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round per peer, after asserting equal gradients."""
    m, k, n = size
    rng = np.random.default_rng(0)
    arrays = tuple(rng.standard_normal(shape, np.float32) for shape in ((m, k), (k, n), (m, n)))
    steps: dict[str, Step] = {}
    for name, make in PEERS.items():
        try:
            steps[name] = make(*arrays)
        except (ImportError, mg.BackendError):
            continue
        except RuntimeError as error:
            # As tinygrad without clang. Standard output is for the figures.
            print(f"{name} can't run here, left out: {error}", file=sys.stderr)
    right = steps["products alone"]()
    for name, step in steps.items():
        assert disagreement(step(), right) <= CLOSE, name
    start = time.perf_counter()
    steps["products alone"]()
    count = math.ceil(TURN / (time.perf_counter() - start))
    turns = {name: repeated(step, count) for name, step in steps.items()}
    clock = time.process_time if os.environ.get("MINIGRAD_THREADS") == "1" else time.perf_counter
    times = times_in_turns(turns, rounds, clock=clock)
    return {name: [taken / count for taken in found] for name, found in times.items()}


def table(threads: int, results: dict[str, dict[str, list[float]]]) -> None:
    """Print one process's figures."""
    names = [name for name in PEERS if any(name in row for row in results.values())]
    print(f"\n{threads} thread{'s' * (threads > 1)}: microseconds, medians")
    print(f"{'(m, k) @ (k, n)':24}" + "".join(f"{name:>16}" for name in names))
    for label, row in results.items():
        print(f"{label:24}" + "".join(f"{1e6 * statistics.median(row[n]):>16.1f}" for n in names))
        if min(map(len, row.values())) >= FEWEST_ROUNDS:
            print(f"{'':24}{ranking(row)}")


def main() -> None:
    """Start a process per number of threads, and print what they measured."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options.add_argument("--sizes", type=int, nargs="+", help="positions in the list, from 0")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--json", metavar="FILE", help="write the figures there, too")
    options.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    sizes = [SIZES[i] for i in chosen.sizes] if chosen.sizes else SIZES
    if chosen.worker:
        print(
            json.dumps({f"{m, k} @ {k, n}": measure((m, k, n), chosen.rounds) for m, k, n in sizes})
        )
        return
    report_by_threads(__file__, chosen.threads, table, chosen.json)


if __name__ == "__main__":
    main()
