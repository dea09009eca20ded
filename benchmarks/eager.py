"""What a small op costs, forwards and backwards: minigrad beside its peers, in one run.

    python benchmarks/eager.py [--rounds 200] [--json FILE]

The chain `y = tanh(y * x + x)`, 200 times over an (8, 8) float32 array, then the gradient of the
sum with respect to x: 600 ops, so small that what is measured is the framework, not the
arithmetic. NumPy by hand, with its derivative written out, is the floor.

Every peer that is installed takes part (PyTorch, HIPS autograd, MyGrad; JAX compiles the whole
chain, so its are not ops one by one). tinygrad 0.14 has no place here: it takes a minute to build
the chain, and gives NaN. First all gradients are asserted equal; then the peers take turns, round
by round, so that a machine that slows down slows them all; the medians count.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import statistics
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from minigrad.models.reports.bench.significance import FEWEST_ROUNDS, ranking
from minigrad.models.reports.timing import times_in_turns
from minigrad.utils.files import replace_file

REPEATS = 200
OPS = 3 * REPEATS
X = np.random.default_rng(0).normal(scale=0.5, size=(8, 8)).astype(np.float32)

Run = Callable[[], np.ndarray]


def numpy_by_hand() -> Run:
    """The chain and its derivative in plain NumPy calls."""

    def run() -> np.ndarray:
        x = y = X
        kept = []
        for _ in range(REPEATS):
            before, y = y, np.tanh(y * x + x)
            kept.append((before, y))
        g = np.ones_like(y)
        total = np.zeros_like(x)
        for before, y in reversed(kept):
            g = g * (1 - y * y)
            total += g
            total += g * before
            g = g * x
        return total + g

    return run


def minigrad() -> Run:
    """The chain in minigrad, on NumPy."""
    import minigrad as mg

    def run() -> np.ndarray:
        x = y = mg.tensor(X, requires_grad=True, backend="numpy")
        for _ in range(REPEATS):
            y = mg.tanh(y * x + x)
        y.sum().backward()
        return x.grad.numpy()

    return run


def pytorch() -> Run:
    """The chain in PyTorch, on the CPU."""
    import torch

    def run() -> np.ndarray:
        x = y = torch.tensor(X, requires_grad=True)
        for _ in range(REPEATS):
            y = torch.tanh(y * x + x)
        y.sum().backward()
        return x.grad.numpy()

    return run


def hips_autograd() -> Run:
    """The chain in HIPS autograd."""
    import autograd
    import autograd.numpy as anp

    def chain(x):
        y = x
        for _ in range(REPEATS):
            y = anp.tanh(y * x + x)
        return anp.sum(y)

    gradient = autograd.grad(chain)
    return lambda: gradient(X)


def mygrad() -> Run:
    """The chain in MyGrad."""
    import mygrad

    def run() -> np.ndarray:
        x = y = mygrad.tensor(X)
        for _ in range(REPEATS):
            y = mygrad.tanh(y * x + x)
        y.sum().backward()
        return x.grad

    return run


def jax_jit() -> Run:
    """The chain in JAX, compiled as a whole: the first run, which compiles, is not timed."""
    import jax
    import jax.numpy as jnp

    def chain(x):
        y = x
        for _ in range(REPEATS):
            y = jnp.tanh(y * x + x)
        return y.sum()

    gradient = jax.jit(jax.grad(chain))
    return lambda: np.asarray(gradient(X))


PEERS = {
    "NumPy by hand": ("numpy", numpy_by_hand),
    "minigrad": ("minigrad", minigrad),
    "PyTorch": ("torch", pytorch),
    "HIPS autograd": ("autograd", hips_autograd),
    "MyGrad": ("mygrad", mygrad),
    "JAX, jit": ("jax", jax_jit),
}


def main() -> None:
    """Run the comparison and print a table."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rounds", type=int, default=200, help="turns of each peer")
    options.add_argument("--json", metavar="FILE", help="write the figures there, too")
    chosen = options.parse_args()

    runs, versions = {}, {}
    for name, (module, make) in PEERS.items():
        try:
            importlib.import_module(module)
        except ImportError:
            print(f"{name}: not installed, left out")
            continue
        runs[name], versions[name] = make(), version(module)

    expected = runs["NumPy by hand"]()
    for name, run in runs.items():
        np.testing.assert_allclose(run(), expected, rtol=1e-4, atol=1e-5, err_msg=name)
    print(f"gradients equal; Python {platform.python_version()}, {chosen.rounds} rounds\n")

    seconds = times_in_turns(runs, chosen.rounds, 0.0)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{'':16}{'version':>12}{'µs per op':>12}{'of PyTorch':>12}{'of NumPy':>12}")
    for name, value in median.items():
        of_torch = f"{value / median['PyTorch']:.2f}" if "PyTorch" in median else "-"
        of_numpy = f"{value / median['NumPy by hand']:.2f}"
        row = f"{value / OPS * 1e6:>12.2f}{of_torch:>12}{of_numpy:>12}"
        print(f"{name:16}{versions[name]:>12}{row}")
    if chosen.rounds >= FEWEST_ROUNDS:
        print(f"\nthe fastest first, ≈ where no difference can be seen: {ranking(seconds)}")
    if chosen.json:
        figures = {name: [value / OPS for value in times] for name, times in seconds.items()}
        text = json.dumps({"seconds_per_op": figures, "versions": versions}, indent=1)
        replace_file(chosen.json, text.encode())


if __name__ == "__main__":
    main()
