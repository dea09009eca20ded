"""Recurrent layers, forwards and backwards: minigrad's compiled loops beside their peers.

    python benchmarks/recurrent.py [--threads 1 2] [--cells lstm gru rnn] [--json FILE]
    python benchmarks/recurrent.py --backend numpy

A training step of one layer without what surrounds it: the outputs, then the gradients of the
input and all weights, for a random cotangent, in float32. Peers: `torch.nn` and `jax.lax.scan`
under jit, each with the same number of threads, where they are installed; the same layer composed
of ops, where minigrad is on NumPy; and the floor, which is the bare matrix products that no such
step can avoid, by `np.dot`.

First all gradients are asserted equal to PyTorch's. Then the peers take turns, round by round,
and the medians count. Each number of threads gets a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics

import numpy as np

import minigrad as mg
from minigrad import models
from minigrad.models.reports.timing import (
    CLOSE,
    Step,
    disagreement,
    layer_step,
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


def minigrad_step(kind: str, weights: dict[str, np.ndarray], x: np.ndarray, g: np.ndarray) -> Step:
    """A layer of minigrad.models, fused."""
    return with_fusing("require", _layer_step(kind, weights, x, g))


def composed_step(kind: str, weights: dict[str, np.ndarray], x: np.ndarray, g: np.ndarray) -> Step:
    """The same layer op by op."""
    return with_fusing("0", _layer_step(kind, weights, x, g))


def _layer_step(kind: str, weights: dict[str, np.ndarray], x: np.ndarray, g: np.ndarray) -> Step:
    layer = getattr(models, kind.upper())(x.shape[2], g.shape[2])
    layer.load_state_dict(weights)
    return layer_step(layer.to(mg.current_backend().name), x, g)


def jax_step(kind: str, weights: dict[str, np.ndarray], x: np.ndarray, g: np.ndarray) -> Step:
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


def floor_step(kind: str, weights: dict[str, np.ndarray], x: np.ndarray, g: np.ndarray) -> Step:
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


PEERS = {
    "minigrad": minigrad_step,
    "composed": composed_step,
    "PyTorch": torch_step,
    "JAX": jax_step,
    "floor": floor_step,
}


def measure(kind: str, shape: tuple[int, ...], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round per peer, after asserting equal gradients."""
    *_, I, H = shape
    rng = np.random.default_rng(0)
    bound, rows = 1 / math.sqrt(H), GATES[kind] * H
    sizes = {"weight_ih_l0": (rows, I), "weight_hh_l0": (rows, H)}
    sizes |= {"bias_ih_l0": (rows,), "bias_hh_l0": (rows,)}
    weights = {
        name: rng.uniform(-bound, bound, size).astype(np.float32) for name, size in sizes.items()
    }
    x, g = random_batch(*shape)
    steps = {}
    for name, make in PEERS.items():
        try:
            steps[name] = make(kind, weights, x, g)
        except ImportError:
            continue
    expected = steps["PyTorch"]() if "PyTorch" in steps else steps["minigrad"]()
    for name, step in steps.items():
        if name != "floor":  # which has no gradients
            assert disagreement(step(), expected) <= CLOSE, name
    return times_in_turns(steps, rounds)


def table(threads: int, results: dict[str, dict[str, list[float]]]) -> None:
    """Print one process's figures."""
    peers = [name for name in PEERS if any(name in row for row in results.values())]
    others = [name for name in peers if name != "minigrad"]
    print(f"\n{threads} thread{'s' * (threads > 1)}: milliseconds, and times as long as minigrad")
    print(f"{'cell (T, N, I, H)':28}" + "".join(f"{name:>10}" for name in peers), end="")
    print("".join(f"{name + ' x':>11}" for name in others))
    ratios: dict[str, list[float]] = {name: [] for name in others}
    for label, rounds in results.items():
        row = {name: statistics.median(times) for name, times in rounds.items()}
        line = "".join(f"{row[name] * 1e3:>10.2f}" for name in peers)
        for name in others:
            ratios[name].append(row[name] / row["minigrad"])
            line += f"{ratios[name][-1]:>11.2f}"
        print(f"{label:28}{line}")
    for name, values in ratios.items():
        mean = math.exp(statistics.fmean(map(math.log, values)))
        print(f"{name}: geometric mean {mean:.2f}, worst {min(values):.2f}")


def main() -> None:
    """Start a process per number of threads, and print what they measured."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options.add_argument("--cells", nargs="+", choices=list(GATES), default=list(GATES))
    options.add_argument("--backend", default="numba", help="the backend of minigrad's layers")
    options.add_argument("--shapes", type=int, nargs="+", help="positions in the grid, from 0")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--json", metavar="FILE", help="write the figures there, too")
    options.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    shapes = [GRID[i] for i in chosen.shapes] if chosen.shapes else GRID
    if chosen.worker:
        mg.set_backend(chosen.backend)
        if chosen.backend != "numpy":
            del PEERS["composed"]
        results = {
            f"{kind} {shape}": measure(kind, shape, chosen.rounds)
            for kind in chosen.cells
            for shape in shapes
        }
        print(json.dumps(results))
        return
    report_by_threads(__file__, chosen.threads, table, chosen.json)


if __name__ == "__main__":
    main()
