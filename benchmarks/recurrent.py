"""Recurrent layers, forwards and backwards: minigrad's loops beside their peers.

    python benchmarks/recurrent.py [--threads 1 2] [--cells lstm gru rnn] [--backends numpy numba]

A training step of one layer without what surrounds it: the outputs, then the gradients of the
input and all weights, for a random cotangent, in float32. Contenders: the layer fused on each
backend; the same composed of ops, on NumPy; `torch.nn` and `jax.lax.scan` under jit, each with the
same number of threads, where they are installed; and the floor, which is the bare matrix products
that no such step can avoid, by `np.dot`.

First all gradients are asserted equal to PyTorch's. Then the contenders take turns, round by round,
and the medians count. With one thread, time is that of the CPU, so that other programs on the
machine count less. Each number of threads gets a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable
from functools import partial

import numpy as np

from minigrad import models
from minigrad.models.reports.bench.contenders import add_backends, agreeing, backends_here
from minigrad.models.reports.bench.pace import Pace, add_options
from minigrad.models.reports.timing import (
    Step,
    layer_step,
    process_clock,
    random_batch,
    report_by_threads,
    times_in_turns,
    torch_step,
    with_fusing,
)

GRID = [
    (20, 1, 16, 16),
    (50, 32, 64, 128),
    (28, 128, 28, 128),
    (100, 64, 128, 256),
    (35, 20, 650, 650),
    (400, 16, 32, 64),
]  # T, N, I, H
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


Weights = dict[str, np.ndarray]
FLOOR, COMPOSED = "products alone", "minigrad composed"


def minigrad_step(on: str, kind: str, weights: Weights, x: np.ndarray, g: np.ndarray) -> Step:
    """A layer of minigrad.models on a backend."""
    layer = getattr(models, kind.upper())(x.shape[2], g.shape[2])
    layer.load_state_dict(weights)
    return layer_step(layer.to(on), x, g)


def jax_step(kind: str, weights: Weights, x: np.ndarray, g: np.ndarray) -> Step:
    """The same cell under jax.lax.scan and jit."""
    import jax
    import jax.numpy as jnp

    H = g.shape[2]

    def cell(w, state, x):
        sums_x = x @ w["weight_ih_l0"].T + w["bias_ih_l0"]
        sums_h = state[0] @ w["weight_hh_l0"].T + w["bias_hh_l0"]
        if kind == "rnn":
            h = jnp.tanh(sums_x + sums_h)
            return (h,), h
        if kind == "gru":
            (xr, xz, xn), (hr, hz, hn) = jnp.split(sums_x, 3, -1), jnp.split(sums_h, 3, -1)
            r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
            h = (1 - z) * jnp.tanh(xn + r * hn) + z * state[0]
            return (h,), h
        i, f, c, o = jnp.split(sums_x + sums_h, 4, -1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(c)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def loss(x, w, g):
        zero = jnp.zeros((x.shape[1], H), x.dtype)
        start = (zero, zero) if kind == "lstm" else (zero,)
        _, ys = jax.lax.scan(lambda state, x: cell(w, state, x), start, x)
        return (ys * g).sum()

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)))
    inputs = (jnp.asarray(x), {k: jnp.asarray(w) for k, w in weights.items()}, jnp.asarray(g))

    def step() -> list[np.ndarray]:
        dx, dw = jax.block_until_ready(gradient(*inputs))
        return [dx, *(dw[name] for name in weights)]

    return step


def floor_step(kind: str, weights: Weights, x: np.ndarray, g: np.ndarray) -> Step:
    """The products alone; what they multiply doesn't matter."""
    T, N, I = x.shape
    w_ih, w_hh = weights["weight_ih_l0"], weights["weight_hh_l0"]
    rows = x.reshape(T * N, I)
    h = np.ones((T, N, g.shape[2]), np.float32)
    dz = np.ones((T, N, len(w_ih)), np.float32)
    flat = dz.reshape(T * N, -1)

    def step() -> list[np.ndarray]:
        np.dot(rows, w_ih.T)
        for t in range(T):
            np.dot(h[t], w_hh.T)
        for t in range(T):
            np.dot(dz[t], w_hh)
        np.dot(flat, w_ih)
        np.dot(rows.T, flat)
        np.dot(h.reshape(T * N, -1).T, flat)
        return []

    return step


PEERS: dict[str, Callable[..., Step]] = {
    "PyTorch": torch_step,
    "JAX": jax_step,
    FLOOR: floor_step,
}


def measure(
    kind: str, shape: tuple[int, ...], pace: Pace, backends: tuple[str, ...] = ("numba",)
) -> dict[str, list[float]]:
    """Seconds of each round per contender, after asserting equal gradients."""
    enough = pace.case(f"{kind} {shape}")
    *_, I, H = shape
    rng = np.random.default_rng(0)
    bound, rows = 1 / math.sqrt(H), GATES[kind] * H
    sizes = {"weight_ih_l0": (rows, I), "weight_hh_l0": (rows, H)}
    sizes |= {"bias_ih_l0": (rows,), "bias_hh_l0": (rows,)}
    weights = {
        name: rng.uniform(-bound, bound, size).astype(np.float32) for name, size in sizes.items()
    }
    given = (kind, weights, *random_batch(*shape))

    def on(backend: str, fused: str) -> Callable[[], Step]:
        return lambda: with_fusing(fused, minigrad_step(backend, *given))

    makers = {f"minigrad {name}": on(name, "require") for name in backends}
    if "numpy" in backends:
        makers[COMPOSED] = on("numpy", "0")
    makers |= {name: partial(make, *given) for name, make in PEERS.items()}
    steps = agreeing(makers, unlike=[FLOOR])
    return times_in_turns(steps, pace.rounds, clock=process_clock(), enough=enough)


def table(threads: int, results: dict[str, dict[str, list[float]]]) -> None:
    """Print one process's figures."""
    names = list(dict.fromkeys(name for row in results.values() for name in row))
    own = [name for name in names if name.startswith("minigrad") and name != COMPOSED]
    print(f"\n{threads} thread{'s' * (threads > 1)}: milliseconds, medians")
    print(f"{'cell (T, N, I, H)':28}" + "".join(f"{name:>18}" for name in names))
    medians = {
        label: {name: statistics.median(times) for name, times in rounds.items()}
        for label, rounds in results.items()
    }
    for label, row in medians.items():
        print(f"{label:28}" + "".join(f"{1e3 * row[name]:>18.2f}" for name in names))
    for ours in own:
        for other in names:
            if other not in own and all(other in row for row in medians.values()):
                ratios = [row[other] / row[ours] for row in medians.values()]
                mean, worst = statistics.geometric_mean(ratios), min(ratios)
                print(f"{other} takes {mean:.2f} times as long as {ours}, at least {worst:.2f}")


def main() -> None:
    """Start a process per number of threads, and print what they measured."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options.add_argument("--cells", nargs="+", choices=list(GATES), default=list(GATES))
    options.add_argument("--shapes", type=int, nargs="+", help="positions in the grid, from 0")
    options.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    add_backends(options)
    add_options(options, 15)
    chosen = options.parse_args()
    shapes = [GRID[i] for i in chosen.shapes] if chosen.shapes else GRID
    if chosen.worker:
        backends = backends_here(chosen.backends)
        pace = Pace.of(chosen, len(chosen.cells) * len(shapes))
        results = {
            f"{kind} {shape}": measure(kind, shape, pace, backends)
            for kind in chosen.cells
            for shape in shapes
        }
        pace.close()
        print(json.dumps(results))
        return
    report_by_threads(__file__, chosen.threads, table, chosen.json)


if __name__ == "__main__":
    main()
