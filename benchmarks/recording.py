"""What `mg.record()` adds to a training step of a recurrent layer, with gradients and without.

    python benchmarks/recording.py [--backend numba] [--rounds 31] [--shape T N I H] [--json FILE]

A step is the outputs, and by `backward()` the gradients of the input and all weights, on one
thread. First the gradients of all steps are asserted equal, and what is recorded is asserted to be
there; then they take turns. Each recorded step is divided by the plain one of the same round, and
the median of these ratios counts. The arrays that are recorded are not read.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MINIGRAD_THREADS", "1")

import minigrad as mg
from minigrad.models.registry import CELLS
from minigrad.models.reports.timing import CLOSE, disagreement, random_batch
from minigrad.nn import Recurrent
from minigrad.utils.files import replace_file

SHAPES = ((100, 1, 32, 64), (100, 16, 32, 64), (50, 32, 64, 128))

Step = Callable[[], list[mg.Tensor]]


def steps_of(layer: Recurrent, shape: tuple[int, int, int, int]) -> dict[str, Step]:
    """The training step: plain, recorded, and recorded with gradients."""
    x, g = random_batch(*shape)
    inputs, cotangent = mg.tensor(x, requires_grad=True), mg.tensor(g)
    leaves = [inputs, *layer.parameters()]

    def differentiate(y: mg.Tensor) -> list[mg.Tensor]:
        for leaf in leaves:
            leaf.grad = None
        y.backward(cotangent)
        inputs.backend.synchronize()
        return [leaf.grad for leaf in leaves]

    def plain() -> list[mg.Tensor]:
        y, _ = layer(inputs)
        return differentiate(y)

    def recorded() -> list[mg.Tensor]:
        with mg.record() as trace:
            y, _ = layer(inputs)
        assert "l0.hidden" in trace
        return differentiate(y)

    def with_gradients() -> list[mg.Tensor]:
        with mg.record(gradients=True) as trace:
            y, _ = layer(inputs)
        found = differentiate(y)
        assert "l0.hidden" in trace.gradient
        return found

    return {"plain": plain, "recorded": recorded, "with gradients": with_gradients}


def ratios(steps: Mapping[str, Step], rounds: int) -> dict[str, float]:
    """By step, the median of how many times as long as the first it takes, and the first's time."""
    first, *others = steps
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        seconds = {}
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name] = time.perf_counter() - start
        found[first].append(seconds[first])
        for name in others:
            found[name].append(seconds[name] / seconds[first])
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    """Print a line per cell and shape."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backend", default=mg.current_backend().name)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--shape", type=int, nargs=4, metavar=("T", "N", "I", "H"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print(f"backend {options.backend}; times as long as the plain step, medians")
    print(f"{'':6}{'T, N, I, H':20}{'plain':>10}{'recorded':>12}{'with gradients':>18}")
    with mg.use_backend(options.backend):
        for shape in [tuple(options.shape)] if options.shape else SHAPES:
            for name, cell in CELLS.items():
                mg.manual_seed(0)
                steps = steps_of(cell(shape[2], shape[3]), shape)
                right = [g.numpy() for g in steps["plain"]()]
                for step in steps.values():
                    assert disagreement(step(), right) <= CLOSE
                    step()
                found = ratios(steps, options.rounds)
                rows.append({"cell": name, "shape": shape, **found})
                plain, recorded, gradients = found.values()
                sizes = ", ".join(map(str, shape))
                print(f"{name:6}{sizes:20}{plain * 1e3:7.2f} ms{recorded:12.2f}{gradients:18.2f}")
    if options.json is not None:
        text = json.dumps({"backend": options.backend, "rows": rows}, indent=1)
        replace_file(options.json, f"{text}\n".encode())


if __name__ == "__main__":
    main()
