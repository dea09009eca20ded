"""Uses of cells and functions that run by kernels or composed: `gpu_report` compares both ways.

Each use draws the same numbers at each call, on whatever backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.nested import parts_of

from ..registry import LAYERS
from .timing import CLOSE

__all__ = ["FUNCTIONS", "TOLERANCE", "uses_of"]

# By dtype: the relative difference that is allowed.
TOLERANCE = {"float64": 1e-9, "float32": CLOSE}


def uses_of(
    cells: Iterable[str], sizes: Iterable[tuple[int, int, int, int]]
) -> Iterator[tuple[str, str, Callable[[Any], Any]]]:
    """Uses of cells at these sizes (T, N, I, H), and of the functions.

    Each is a name, a dtype, and a function of a backend that gives values and gradients.
    """
    for T, N, I, H in sizes:
        for dtype in TOLERANCE:
            for name in cells:
                for padded in (False, True):
                    label = f"{name} T={T} N={N} I={I} H={H} {dtype}" + " padded" * padded
                    yield label, dtype, _run_cell(name, (T, N, I, H), dtype, padded)
            for name in FUNCTIONS:
                label = f"{name} of {N} rows of {H} {dtype}"
                yield label, dtype, _run_function(name, (N, H), dtype)


def _run_cell(
    name: str, sizes: tuple[int, int, int, int], dtype: str, padded: bool
) -> Callable[[Any], list[Any]]:
    T, N, I, H = sizes

    def run(backend: Any) -> list[Any]:
        rng = np.random.default_rng(0)
        mg.manual_seed(0)  # of weights, and of zoneout's masks
        layer = LAYERS[name](I, H, bidirectional=padded).astype(dtype).to(backend)
        x = mg.tensor(rng.normal(size=(T, N, I)), dtype=dtype, requires_grad=True, backend=backend)
        lengths = rng.integers(0, T + 1, N).tolist() if padded else None
        y, state = layer(x, lengths=lengths)
        ys = [y, *parts_of(state)]
        gs = [mg.tensor(rng.normal(size=out.shape), dtype=dtype, backend=backend) for out in ys]
        return [*ys, *mg.grad(ys, [x, *layer.parameters()], gs)]

    return run


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "gelu": lambda x, w, labels: mg.gelu(x * w),
    "softmax": lambda x, w, labels: mg.softmax(x * w),
    "log_softmax": lambda x, w, labels: mg.log_softmax(x * w),
    "layer_norm": lambda x, w, labels: mg.layer_norm(x, w.shape[0], w, w),
    "cross_entropy": lambda x, w, labels: mg.cross_entropy(x * w, labels),
}


def _run_function(name: str, shape: tuple[int, int], dtype: str) -> Callable[[Any], list[Any]]:
    def run(backend: Any) -> list[Any]:
        rng = np.random.default_rng(0)
        x, w = (
            mg.tensor(rng.normal(size=size), dtype=dtype, requires_grad=True, backend=backend)
            for size in (shape, shape[1:])
        )
        y = FUNCTIONS[name](x, w, rng.integers(0, shape[1], shape[0]))
        g = mg.tensor(rng.normal(size=y.shape), dtype=dtype, backend=backend)
        return [y, *mg.grad(y, [x, w], g)]

    return run
