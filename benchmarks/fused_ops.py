"""Fused functions and updates: minigrad's kernels beside its own compositions and PyTorch.

    python benchmarks/fused_ops.py [--rounds 100] [--backends numpy numba] [--json FILE]

Each step is a function forwards and the gradients of its inputs for a random cotangent, or one
update of an optimiser, in float32 on one thread, as each backend of minigrad runs it; PyTorch takes
part where it is installed.

First all gradients (or updated parameters) are asserted equal to those of the same text on NumPy,
op by op. Then the contenders take turns, round by round, and the median of the CPU time of each
counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad.models.reports.bench.contenders import add_backends, backends_here, ready
from minigrad.models.reports.bench.pace import Enough, Pace, add_options
from minigrad.models.reports.timing import (
    CLOSE,
    Step,
    disagreement,
    times_in_turns,
    with_fusing,
)
from minigrad.utils.files import replace_file

RNG = np.random.default_rng(0)
TOKENS, TABLE = (64, 64), (20_000, 128)
WEIGHTS = 1_000_000
OPTIMISERS: dict[str, tuple[str, dict[str, float]]] = {
    "SGD": ("SGD", {}),
    "SGD with momentum": ("SGD", {"momentum": 0.9}),
    "Adam": ("Adam", {}),
    "AdamW": ("AdamW", {}),
}


class Case(NamedTuple):
    """A function in both libraries (PyTorch's is given `torch.nn.functional` first).

    Gradients of `inputs` are asked for; `given` are further arguments.
    """

    ours: Callable[..., Any]
    torchs: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    given: tuple[np.ndarray, ...] = ()


def normal(*shape: int) -> np.ndarray:
    """Random numbers in float32."""
    return RNG.normal(size=shape).astype(np.float32)


def layer_norm(rows: int, n: int) -> Case:
    """Layer norm with weight and bias."""
    return Case(
        lambda x, w, b: mg.layer_norm(x, n, w, b),
        lambda F, x, w, b: F.layer_norm(x, (n,), w, b),
        (normal(rows, n), normal(n), normal(n)),
    )


def cross_entropy(rows: int, classes: int) -> Case:
    """The cross entropy of classes, per row, so that the cotangent is a column."""
    return Case(
        lambda x, t: mg.cross_entropy(x, t, reduction="none"),
        lambda F, x, t: F.cross_entropy(x, t, reduction="none"),
        (normal(rows, classes),),
        (RNG.integers(0, classes, rows),),
    )


FUNCTIONS = {
    "gelu 256x1024": Case(
        mg.gelu, lambda F, x: F.gelu(x, approximate="tanh"), (normal(256, 1024),)
    ),
    "silu 256x1024": Case(mg.silu, lambda F, x: F.silu(x), (normal(256, 1024),)),
    "softmax 256x1024": Case(mg.softmax, lambda F, x: F.softmax(x, -1), (normal(256, 1024),)),
    "layer_norm 64x256": layer_norm(64, 256),
    "layer_norm 256x1024": layer_norm(256, 1024),
    "cross_entropy 128x1000": cross_entropy(128, 1000),
    "cross_entropy 128x10000": cross_entropy(128, 10_000),
    "logit losses 256x1024": Case(
        lambda x, t: mg.binary_cross_entropy_with_logits(x, t, reduction="none"),
        lambda F, x, t: F.binary_cross_entropy_with_logits(x, t, reduction="none"),
        (normal(256, 1024),),
        (RNG.random((256, 1024), dtype=np.float32),),
    ),
    "embedding 4096 of 20000x128": Case(
        lambda table, i: mg.functional.embedding(i, table),
        lambda F, table, i: F.embedding(i, table),
        (normal(*TABLE),),
        (RNG.integers(0, TABLE[0], TOKENS),),
    ),
}


def our_step(case: Case, backend: str, g: np.ndarray) -> Step:
    """A function and its gradients on a backend of minigrad."""
    inputs = [mg.tensor(x, requires_grad=True, backend=backend) for x in case.inputs]
    given = [mg.tensor(x, backend=backend) for x in case.given]
    cotangent = mg.tensor(g, backend=backend)

    def step() -> list[Any]:
        return list(mg.grad(case.ours(*inputs, *given), inputs, cotangent))

    return step


def torch_step(case: Case, g: np.ndarray) -> Step:
    """The same in PyTorch."""
    import torch

    torch.set_num_threads(1)
    inputs = [torch.from_numpy(x).requires_grad_() for x in case.inputs]
    given = [torch.from_numpy(x) for x in case.given]
    cotangent = torch.from_numpy(g)

    def step() -> list[Any]:
        y = case.torchs(torch.nn.functional, *inputs, *given)
        return list(torch.autograd.grad(y, inputs, cotangent))

    return step


def our_update(name: str, options: dict[str, float], p: np.ndarray, g: np.ndarray, on: str) -> Step:
    """An optimiser's step on a backend of minigrad."""
    parameter = mg.tensor(p, requires_grad=True, backend=on)
    parameter.grad = mg.tensor(g, backend=on)
    optimizer = getattr(mg.optim, name)([parameter], lr=0.01, **options)

    def step() -> list[Any]:
        optimizer.step()
        return [parameter]

    return step


def torch_update(name: str, options: dict[str, float], p: np.ndarray, g: np.ndarray) -> Step:
    """The same in PyTorch."""
    import torch

    torch.set_num_threads(1)
    parameter = torch.from_numpy(p.copy()).requires_grad_()
    parameter.grad = torch.from_numpy(g)
    optimizer = getattr(torch.optim, name)([parameter], lr=0.01, **options)

    def step() -> list[Any]:
        optimizer.step()
        return [parameter.detach()]

    return step


Makers = dict[str, Callable[[], Step]]


def cases(backends: tuple[str, ...]) -> dict[str, tuple[Makers, Callable[[], Step]]]:
    """By case what makes each contender's step, and the same composed on NumPy."""
    found: dict[str, tuple[Makers, Callable[[], Step]]] = {}
    for label, case in FUNCTIONS.items():
        tensors = [mg.tensor(x, backend="numpy") for x in (*case.inputs, *case.given)]
        g = normal(*case.ours(*tensors).shape)
        makers: Makers = {f"minigrad {on}": partial(our_step, case, on, g) for on in backends}
        makers["PyTorch"] = partial(torch_step, case, g)
        found[label] = makers, partial(our_step, case, "numpy", g)
    for label, update in OPTIMISERS.items():
        p, g = normal(WEIGHTS), normal(WEIGHTS)
        makers = {f"minigrad {on}": partial(our_update, *update, p, g, on) for on in backends}
        makers["PyTorch"] = partial(torch_update, *update, p, g)
        found[f"{label}, 10⁶ weights"] = makers, partial(our_update, *update, p, g, "numpy")
    return found


def measure(
    makers: Makers, composed: Callable[[], Step], rounds: int, enough: Enough
) -> dict[str, list[float]]:
    """Seconds of CPU time of each round per contender, after asserting equal results."""
    steps, results = ready(makers)
    right = with_fusing("0", composed())()
    for name, result in results.items():
        assert disagreement(result, right) <= CLOSE, name
    return times_in_turns(steps, rounds, 0.0, time.process_time, enough)


def main() -> None:
    """Measure all cases and print a table."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_backends(options)
    add_options(options, 100)
    chosen = options.parse_args()
    os.environ["MINIGRAD_THREADS"] = "1"
    backends = backends_here(chosen.backends)
    measured = cases(backends)
    figures, pace = {}, Pace.of(chosen, len(measured))
    names = [*(f"minigrad {on}" for on in backends), "PyTorch"]
    print(f"{'microseconds':34}" + "".join(f"{name:>18}" for name in names))
    for label, contenders in measured.items():
        figures[label] = times = measure(*contenders, pace.rounds, pace.case(label))
        medians = {name: 1e6 * statistics.median(found) for name, found in times.items()}
        pace.close()
        line = "".join(f"{medians[n]:>18.0f}" if n in medians else f"{'-':>18}" for n in names)
        print(f"{label:34}{line}", flush=True)
    if chosen.json:
        replace_file(chosen.json, json.dumps(figures, indent=1).encode())


if __name__ == "__main__":
    main()
