"""Peak memory of a recurrent layer's training step: minigrad's backends beside PyTorch.

    python benchmarks/memory.py [--cells lstm gru rnn] [--shape T N I H] [--backends numpy numba]

What is measured is how much further the resident memory of a process rises in some training steps
of one layer, in float32: the outputs, then the gradients of the input and all weights. What a step
gives is dropped before the next. Each measurement has a process of its own, in which

1. input, weights and cotangent are made, as any program has them,
2. a step of a small problem is taken with a second layer, so that libraries are loaded, kernels
   compiled, threads started,
3. what is free goes back to the system, the resident memory is read, and the kernel of the system
   told to forget the peak (Linux's /proc/self/clear_refs; there is no such thing elsewhere),
4. the steps are taken, and the peak is read.

So it counts pages that were really touched, of all allocators and libraries, on one thread (each
further thread of PyTorch has buffers of its own).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import re
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from minigrad import models
from minigrad.models.reports.bench.contenders import add_backends, backends_here, installed
from minigrad.models.reports.bench.pace import Pace, add_options
from minigrad.models.reports.timing import Step, layer_step, pinned, random_batch, torch_step
from minigrad.utils.files import replace_file

SMALL = (2, 2, 3, 4)  # T, N, I, H
MEGA = 1 << 20


def own_step(on: str, kind: str, x: np.ndarray, g: np.ndarray) -> Step:
    """A layer of minigrad.models on a backend."""
    return layer_step(getattr(models, kind.upper())(x.shape[2], g.shape[2]).to(on), x, g)


def their_step(kind: str, x: np.ndarray, g: np.ndarray) -> Step:
    """A layer of torch.nn on the CPU."""
    weights = getattr(models, kind.upper())(x.shape[2], g.shape[2]).state_dict()
    return torch_step(kind, weights, x, g)


PEERS = {"PyTorch": their_step}


def made(peer: str, kind: str, shape: tuple[int, int, int, int]) -> Step:
    """A training step with random inputs, of a peer or of "minigrad" and a backend."""
    make = PEERS[peer] if peer in PEERS else partial(own_step, peer.removeprefix("minigrad "))
    return make(kind, *random_batch(*shape))


def status(field: str) -> int:
    """A line of /proc/self/status, in bytes: VmRSS (resident) or VmHWM (its peak)."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB$", text, re.M)[1]) * 1024


def peak(peer: str, kind: str, shape: tuple[int, ...], steps: int) -> int:
    """By how many bytes the resident memory of this process rises, at most, in the steps."""
    step = made(peer, kind, shape)
    made(peer, kind, SMALL)()
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # of the GNU C library
        trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    for _ in range(steps):
        step()
    return status("VmHWM") - before


def measured(peer: str, kind: str, shape: tuple[int, ...], steps: int) -> int:
    """`peak` in a process of its own, which finds all kernels compiled.

    There large arrays have pages of their own, which go back when they are freed. In the heap it
    is chance where gaps are and whether an array fits into one: up to a third of the peak.
    """
    environment = pinned(1) | {"MINIGRAD_FUSED": "require", "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, __file__, "--worker", json.dumps([peer, kind, shape, steps])]
    for _ in range(2 if peer == "minigrad numba" else 1):  # the first compiles what is missing
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Start a process per peer and cell, and print what they measured."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--cells", nargs="+", choices=["lstm", "gru", "rnn"], default=["lstm"])
    options.add_argument("--shape", type=int, nargs=4, default=(100, 64, 128, 256))
    options.add_argument("--steps", type=int, default=3, help="taken one after the other")
    options.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    add_backends(options)
    add_options(options, 1, fewest=1)
    chosen = options.parse_args()
    if chosen.worker:
        print(json.dumps(peak(*chosen.worker)))
        return
    if not Path("/proc/self/clear_refs").exists():
        sys.exit("benchmarks/memory.py reads /proc, which only Linux has")
    peers = [
        *(f"minigrad {name}" for name in backends_here(chosen.backends)),
        *installed({"PyTorch": "torch"}),
    ]
    pace = Pace.of(chosen)
    found: dict[str, dict[str, list[int]]] = {kind: {} for kind in chosen.cells}
    for number in range(chosen.rounds):
        if number and not pace.left:
            break
        for kind in chosen.cells:
            pace.case(kind)
            for peer in peers:
                peak_bytes = measured(peer, kind, chosen.shape, chosen.steps)
                found[kind].setdefault(peer, []).append(peak_bytes)
    pace.close()
    print(f"MB at (T, N, I, H) = {tuple(chosen.shape)}, {chosen.steps} steps")
    print(f"{'cell':6}" + "".join(f"{peer:>18}" for peer in peers))
    for kind, row in found.items():
        medians = (statistics.median(row[peer]) / MEGA for peer in peers)
        print(f"{kind:6}" + "".join(f"{median:>18.1f}" for median in medians))
    if chosen.json:
        replace_file(chosen.json, f"{json.dumps(found, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
