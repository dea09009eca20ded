"""Peak memory of a recurrent layer's training step: minigrad's generated kernels beside PyTorch.

    python benchmarks/memory.py [--cells lstm gru rnn] [--shape T N I H] [--json FILE]

What is measured is how much further the resident memory of a process rises in some training steps
of one layer, in float32: the outputs, then the gradients of the input and all weights. What a step
gives is dropped before the next. Each measurement has a process of its own, in which

1. input, weights and cotangent are made, as any program has them,
2. a step of a small problem is taken with a second layer, so that libraries are loaded, kernels
   compiled, threads started,
3. the resident memory is read, and the kernel of the system told to forget the peak (Linux's
   /proc/self/clear_refs; there is no such thing elsewhere),
4. the steps are taken, and the peak is read.

So it counts pages that were really touched, of all allocators and libraries, on one thread (each
further thread of PyTorch has buffers of its own).
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import models
from minigrad.models.reports.timing import Step, layer_step, pinned, random_batch, torch_step
from minigrad.utils.files import replace_file

SMALL = (2, 2, 3, 4)  # T, N, I, H
MEGA = 1 << 20


def own_step(kind: str, x: np.ndarray, g: np.ndarray) -> Step:
    """A layer of minigrad.models on the Numba backend."""
    return layer_step(getattr(models, kind.upper())(x.shape[2], g.shape[2]).to("numba"), x, g)


def their_step(kind: str, x: np.ndarray, g: np.ndarray) -> Step:
    """A layer of torch.nn on the CPU."""
    weights = getattr(models, kind.upper())(x.shape[2], g.shape[2]).state_dict()
    return torch_step(kind, weights, x, g)


PEERS = {"minigrad": own_step, "PyTorch": their_step}


def made(peer: str, kind: str, shape: tuple[int, int, int, int]) -> Step:
    """A training step with random inputs."""
    return PEERS[peer](kind, *random_batch(*shape))


def status(field: str) -> int:
    """A line of /proc/self/status, in bytes: VmRSS (resident) or VmHWM (its peak)."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB$", text, re.M)[1]) * 1024


def peak(peer: str, kind: str, shape: tuple[int, ...], steps: int) -> int:
    """By how many bytes the resident memory of this process rises, at most, in the steps."""
    step = made(peer, kind, shape)
    made(peer, kind, SMALL)()
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    for _ in range(steps):
        step()
    return status("VmHWM") - before


def measured(peer: str, kind: str, shape: tuple[int, ...], steps: int) -> int | None:
    """`peak` in a process of its own; None if the peer is not installed."""
    environment = pinned(1) | {"MINIGRAD_FUSED": "require"}
    command = [sys.executable, __file__, "--worker", json.dumps([peer, kind, shape, steps])]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Start a process per peer and cell, and print what they measured."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--cells", nargs="+", choices=["lstm", "gru", "rnn"], default=["lstm"])
    options.add_argument("--shape", type=int, nargs=4, default=(100, 64, 128, 256))
    options.add_argument("--steps", type=int, default=3, help="taken one after the other")
    options.add_argument("--rounds", type=int, default=1, help="processes of each; medians count")
    options.add_argument("--json", metavar="FILE", help="write the figures there, too")
    options.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        try:
            print(json.dumps(peak(*chosen.worker)))
        except ImportError:
            print("null")
        return
    if not Path("/proc/self/clear_refs").exists():
        sys.exit("benchmarks/memory.py reads /proc, which only Linux has")
    print(f"MB at (T, N, I, H) = {tuple(chosen.shape)}, {chosen.steps} steps")
    print(f"{'cell':6}" + "".join(f"{peer:>10}" for peer in PEERS) + f"{'ratio':>10}")
    everything: dict[str, Any] = {}
    for kind in chosen.cells:
        found: dict[str, list[int]] = {}
        for _ in range(chosen.rounds):
            for peer in PEERS:
                bytes_ = measured(peer, kind, chosen.shape, chosen.steps)
                if bytes_ is not None:
                    found.setdefault(peer, []).append(bytes_)
        everything[kind] = found
        row = {peer: statistics.median(found[peer]) if peer in found else None for peer in PEERS}
        line = "".join("         -" if b is None else f"{b / MEGA:>10.1f}" for b in row.values())
        ratio = f"{row['minigrad'] / row['PyTorch']:>10.2f}" if row["PyTorch"] else ""
        print(f"{kind:6}{line}{ratio}")
    if chosen.json:
        replace_file(chosen.json, f"{json.dumps(everything, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
