"""What a small op costs, forwards and backwards: minigrad beside its peers, in one run.

    python benchmarks/eager.py [--rounds 200] [--json FILE]

The chain `y = tanh(y * x + x)`, 200 times over an (8, 8) float32 array, then the gradient of the
sum with respect to x: 600 ops, so small that what is measured is the framework, not the
arithmetic. NumPy by hand, with its derivative written out, is the floor.

Every peer that is installed takes part (PyTorch, HIPS autograd, MyGrad; JAX compiles the whole
chain, so its are not ops one by one). tinygrad 0.14 has no place here: it makes one kernel of the
chain, which takes minutes for a hundred repeats, and then gives NaN. First all gradients are
asserted equal; then the peers take turns, round by round, so that a machine that slows down slows
them all; the medians count.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from minigrad.models.reports.bench.contenders import agreeing
from minigrad.models.reports.bench.pace import Pace, add_options
from minigrad.models.reports.bench.significance import FEWEST_ROUNDS, ranking
from minigrad.models.reports.timing import Step, process_clock, times_in_turns
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


def returned(make: Callable[[], Run]) -> Callable[[], Step]:
    """The same, as a step that returns a list of arrays."""

    def made() -> Step:
        run = make()
        return lambda: [run()]

    return made


def main() -> None:
    """Run the comparison and print a table."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_options(options, 200)
    chosen = options.parse_args()
    pace = Pace.of(chosen, 1)
    enough = pace.case("an op of 600")
    makers = {name: returned(make) for name, (_, make) in PEERS.items()}
    steps = agreeing(makers, "NumPy by hand")
    seconds = times_in_turns(steps, pace.rounds, 0.0, process_clock(), enough)
    pace.close()
    median = {name: statistics.median(times) for name, times in seconds.items()}
    rounds = len(seconds["minigrad"])
    print(f"gradients equal; Python {platform.python_version()}, {rounds} rounds\n")
    print(f"{'':16}{'version':>12}{'µs per op':>12}{'of PyTorch':>12}{'of NumPy':>12}")
    for name, value in median.items():
        of_torch = f"{value / median['PyTorch']:.2f}" if "PyTorch" in median else "-"
        of_numpy = f"{value / median['NumPy by hand']:.2f}"
        row = f"{value / OPS * 1e6:>12.2f}{of_torch:>12}{of_numpy:>12}"
        print(f"{name:16}{version(PEERS[name][0]):>12}{row}")
    if rounds >= FEWEST_ROUNDS:
        print(f"\nthe fastest first, ≈ where no difference can be seen: {ranking(seconds)}")
    if chosen.json:
        figures = {name: [value / OPS for value in times] for name, times in seconds.items()}
        replace_file(chosen.json, json.dumps(figures, indent=1).encode())


if __name__ == "__main__":
    main()
