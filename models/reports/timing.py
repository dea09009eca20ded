"""Training steps under a clock: what the benchmarks, `minigrad bench` and `gpu-report` share.

A step is a function without parameters that returns arrays. Here it is the training step of one
layer: its outputs, then, for a given cotangent, the gradients of the input and all parameters.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.nn import Recurrent
from minigrad.utils.files import replace_file

__all__ = ["CLOSE", "Step", "disagreement", "fusing", "in_processes", "in_turns", "layer_step"]
__all__ += ["pinned", "process_clock", "process_threads", "quartiles", "random_batch", "repeated"]
__all__ += ["report_by_threads", "times_in_turns", "torch_step", "with_fusing"]

Step = Callable[[], list[Any]]

CLOSE = 2e-4  # what steps in float32 may disagree by; see `disagreement`
TURN = 0.02  # seconds that a turn takes, or one step if that takes longer


def random_batch(T: int, N: int, I: int, H: int) -> tuple[np.ndarray, np.ndarray]:
    """An input x (T, N, I) and a cotangent g (T, N, H) in float32; always the same."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((T, N, I), np.float32), rng.standard_normal((T, N, H), np.float32)


def layer_step(layer: Recurrent, x: np.ndarray, g: np.ndarray) -> Step:
    """The training step of a layer, on the backend that its parameters are on.

    x is (T, N, I) and g, the cotangent, (T, N, H); the step returns tensors.
    """
    backend = next(layer.parameters()).backend
    inputs = mg.tensor(x, requires_grad=True, backend=backend)
    cotangent = mg.tensor(g, backend=backend)
    leaves = [inputs, *layer.parameters()]

    def step() -> list[Any]:
        y, _ = layer(inputs)
        found = mg.grad(y, leaves, cotangent)
        backend.synchronize()
        return list(found)

    return step


def torch_step(
    kind: str, weights: Mapping[str, Any], x: np.ndarray, g: np.ndarray, device: str = "cpu"
) -> Step:
    """The training step of a layer of `torch.nn` ("lstm", ...) on a device, with these weights.

    On the CPU it uses MINIGRAD_THREADS threads, or PyTorch's default; on a GPU float32 throughout,
    as minigrad does, and not TF32. Raises ImportError without PyTorch.
    """
    import torch

    if threads := os.environ.get("MINIGRAD_THREADS"):
        torch.set_num_threads(int(threads))
    layer = getattr(torch.nn, kind.upper())(x.shape[2], g.shape[2])
    layer.load_state_dict({name: torch.from_numpy(np.array(w)) for name, w in weights.items()})
    layer.to(device)
    inputs = torch.from_numpy(x).to(device).requires_grad_()
    cotangent = torch.from_numpy(g).to(device)
    on_gpu = inputs.is_cuda
    if on_gpu:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    leaves = [inputs, *layer.parameters()]

    def step() -> list[Any]:
        y, _ = layer(inputs)
        found = list(torch.autograd.grad(y, leaves, cotangent))
        if on_gpu:
            torch.cuda.synchronize(inputs.device)
        return found

    return step


@contextlib.contextmanager
def fusing(choice: str) -> Iterator[None]:
    """Set MINIGRAD_FUSED within the block."""
    before = os.environ.get("MINIGRAD_FUSED")
    os.environ["MINIGRAD_FUSED"] = choice
    try:
        yield
    finally:
        if before is None:
            del os.environ["MINIGRAD_FUSED"]
        else:
            os.environ["MINIGRAD_FUSED"] = before


def with_fusing(choice: str, step: Step) -> Step:
    """The step with MINIGRAD_FUSED set to `choice`."""

    def run() -> list[Any]:
        with fusing(choice):
            return step()

    return run


def disagreement(found: Iterable[Any], right: Iterable[Any]) -> float:
    """The largest difference of two steps' arrays, each relative to its largest number.

    NaN if there is one, so ask `disagreement(a, b) <= CLOSE`.
    """
    worst = [0.0]
    for a, b in zip(map(_host, found), map(_host, right), strict=True):
        if a.shape != b.shape:
            raise ValueError(f"one step gives shape {a.shape} and the other {b.shape}")
        largest = np.abs(b).max(initial=0)
        worst.append(np.abs(a - b).max(initial=0) / (largest or 1))
    return float(np.max(worst))


def _host(array: Any) -> np.ndarray:
    if hasattr(array, "cpu"):  # PyTorch's
        array = array.cpu()
    return array.numpy() if hasattr(array, "numpy") else np.asarray(array)


def in_turns(
    steps: Mapping[str, Step], rounds: int, pause: float | None = None, turn: float = TURN
) -> dict[str, float]:
    """Median seconds per step, of `times_in_turns`.

    >>> sorted(in_turns({"a": lambda: [], "b": lambda: []}, rounds=3, turn=0))
    ['a', 'b']
    """
    times = times_in_turns(steps, rounds, pause, turn=turn)
    return {name: statistics.median(values) for name, values in times.items()}


def times_in_turns(
    steps: Mapping[str, Callable[[], Any]],
    rounds: int,
    pause: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
    enough: Callable[[dict[str, list[float]]], bool] | None = None,
    turn: float = TURN,
) -> dict[str, list[float]]:
    """Seconds per step by a clock, one for each round, until they are enough or rounds are over.

    They take turns, so that a machine that slows down slows them all, in an order that is drawn
    anew for each round, always by the same draws: a step may gain or lose by the one before it.
    Warm up and compare the steps before, as the first round counts.

    A turn repeats its step for about `turn` seconds, as a training does: the first of a turn finds
    the processor's caches full of the other contenders' code and data, and may take three times as
    long as those that follow. A step that takes longer runs once.

    Before each there are `pause` seconds, by default 0.15 where there may be several threads: a
    library's threads wait busily for more work (OpenBLAS's for 2**28 ticks of the clock, 0.1 s),
    and for so long take a core from the next step.

    >>> times = times_in_turns({"a": list, "b": list}, rounds=3, turn=0)
    >>> {name: len(seconds) for name, seconds in times.items()}
    {'a': 3, 'b': 3}
    """
    if pause is None:
        pause = 0.0 if os.environ.get("MINIGRAD_THREADS") == "1" else 0.15
    runs = {name: _runs(step, turn, clock) for name, step in steps.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    draws = np.random.default_rng(0)
    gc.freeze()  # no turn searches for garbage in what the other contenders have loaded
    try:
        for _ in range(rounds):
            for name in map(str, draws.permutation([*steps])):
                run = repeated(steps[name], runs[name])
                time.sleep(pause)
                start = clock()
                run()
                times[name].append((clock() - start) / runs[name])
            if enough is not None and enough(times):
                break
    finally:
        gc.unfreeze()
    return times


def _runs(step: Callable[[], Any], turn: float, clock: Callable[[], float]) -> int:
    """How often a step runs in a turn of so many seconds, once at least."""
    runs = 1
    while True:
        start = clock()
        repeated(step, runs)()
        taken = clock() - start
        if taken >= turn / 2:
            return max(1, round(runs * turn / max(taken, 1e-9)))
        runs *= 2


def pinned(threads: int) -> dict[str, str]:
    """The environment of a process whose libraries all have so many threads.

    They read it when they are imported, so it is for a process that starts.

    >>> pinned(2)["OPENBLAS_NUM_THREADS"]
    '2'
    """
    names = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "BLIS")]
    names += ["VECLIB_MAXIMUM_THREADS", "MINIGRAD_THREADS", "NPROC"]  # NPROC is what JAX reads
    return {**os.environ, **dict.fromkeys(names, str(threads))}


def process_threads() -> int:
    """How many threads each contender has in this process, which `pinned` says; else one."""
    return int(os.environ.get("MINIGRAD_THREADS", "1"))


def process_clock() -> Callable[[], float]:
    """The CPU's time where there is one thread, so that other programs count less."""
    return time.process_time if process_threads() == 1 else time.perf_counter


def in_processes(script: str, threads: Iterable[int]) -> Iterator[tuple[int, Any]]:
    """By number of threads, what a script finds that is called as now, with --worker added.

    Each has a process of its own, which prints what it finds as one line of JSON, the last.
    Raises SystemExit if it fails; what it says on standard error is shown.
    """
    for count in threads:
        command = [sys.executable, script, "--worker", *sys.argv[1:]]
        done = subprocess.run(command, env=pinned(count), stdout=subprocess.PIPE)
        if done.returncode:
            sys.exit(f"{os.path.basename(script)} failed with {count} threads")
        yield count, json.loads(done.stdout.splitlines()[-1])


def report_by_threads(
    script: str, threads: Iterable[int], table: Callable[[int, Any], None], path: str | None
) -> None:
    """Show what `in_processes` finds, as it comes; write all to a file of JSON, if one is given.

    `table` prints what one number of threads gave.
    """
    everything = {}
    for count, found in in_processes(script, threads):
        everything[str(count)] = found
        table(count, found)
    if path:
        replace_file(path, json.dumps(everything, indent=1).encode())


def repeated(step: Callable[[], Any], count: int) -> Callable[[], None]:
    """A turn that takes the step so many times: what is too short for a clock alone."""

    def turn() -> None:
        for _ in range(count):
            step()

    return turn


def quartiles(values: Sequence[float]) -> list[float]:
    """The lower quartile, the median and the upper quartile of two values or more.

    >>> quartiles([1, 2, 3, 4, 5])
    [2.0, 3.0, 4.0]
    """
    return statistics.quantiles(values, n=4, method="inclusive")
