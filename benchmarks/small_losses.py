"""What a loss or a softmax of a few numbers costs, forwards and backwards, beside PyTorch.

    python benchmarks/small_losses.py [--rounds 40] [--backend numpy] [--json FILE]

Cross entropy, log_softmax, softmax and nll_loss of logits (1, 60) and more, on one thread, with
the gradient with respect to the logits. First all gradients are asserted equal; then both take
turns of a hundred calls each, so that a machine that slows down slows both; the medians count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MINIGRAD_THREADS", "1")

import numpy as np

from minigrad.utils.files import replace_file

SHAPES = ((1, 60), (32, 10), (16, 1000))
CALLS = 100

Run = Callable[[], np.ndarray]


def minigrad(name: str, x: np.ndarray, labels: np.ndarray, g: np.ndarray, backend: str) -> Run:
    """A call of minigrad's function and its gradient."""
    import minigrad as mg

    leaf = mg.tensor(x, requires_grad=True, backend=backend)
    target, cotangent = mg.tensor(labels, backend=backend), mg.tensor(g, backend=backend)
    f = getattr(mg, name)

    def run() -> np.ndarray:
        leaf.grad = None
        if name.endswith("softmax"):
            f(leaf, axis=-1).backward(cotangent)
        else:
            f(leaf, target).backward()
        return leaf.grad

    return run


def pytorch(name: str, x: np.ndarray, labels: np.ndarray, g: np.ndarray) -> Run:
    """The same in PyTorch."""
    import torch

    torch.set_num_threads(1)
    leaf, target = torch.tensor(x, requires_grad=True), torch.tensor(labels)
    cotangent, f = torch.tensor(g), getattr(torch.nn.functional, name)

    def run() -> np.ndarray:
        leaf.grad = None
        if name.endswith("softmax"):
            f(leaf, dim=-1).backward(cotangent)
        else:
            f(leaf, target).backward()
        return leaf.grad

    return run


def measured(runs: list[Run], rounds: int) -> list[float]:
    """The median times of a call, in microseconds."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, times in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            for _ in range(CALLS):
                run()
            times.append((time.perf_counter() - start) / CALLS * 1e6)
    return [statistics.median(times) for times in seconds]


def main() -> None:
    """Run the comparison and print a table."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rounds", type=int, default=40, help="turns of each")
    options.add_argument("--backend", default="numpy", help="minigrad's backend")
    options.add_argument("--json", metavar="FILE", help="write the figures there, too")
    chosen = options.parse_args()
    rng, rows = np.random.default_rng(0), []
    print(f"Python {platform.python_version()}, {chosen.rounds} rounds of {CALLS} calls, in µs\n")
    print(f"{'':16}{'shape':>12}{'minigrad':>10}{'PyTorch':>10}{'ratio':>8}")
    for shape in SHAPES:
        x, g = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
        labels = rng.integers(0, shape[1], shape[0])
        for name in ("cross_entropy", "nll_loss", "log_softmax", "softmax"):
            ours = minigrad(name, x, labels, g, chosen.backend)
            theirs = pytorch(name, x, labels, g)
            found, right = ours().numpy(), theirs().numpy()
            np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-6, err_msg=name)
            a, b = measured([ours, theirs], chosen.rounds)
            rows.append({"name": name, "shape": shape, "minigrad": a, "pytorch": b})
            print(f"{name:16}{shape!s:>12}{a:10.1f}{b:10.1f}{a / b:8.2f}")
    if chosen.json:
        replace_file(chosen.json, json.dumps(rows, indent=1).encode())


if __name__ == "__main__":
    main()
