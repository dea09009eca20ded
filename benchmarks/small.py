"""Small things that programs do in a loop, beside PyTorch, with the ratio that each may have.

    python benchmarks/small.py [--backends numpy numba] [--rows loss cell ...] [--json FILE]

Losses and softmaxes of a few numbers, cells and layers called for one step, an optimiser's step, a
small op, all forwards and backwards, on one thread. The peer is PyTorch, but for two rows: a step
whose weights are updated through `.data` is compared with the same step without the guard of saved
arrays, and a recurrent net written in ops with the same forward and backward pass in plain NumPy.

First all gradients are asserted equal; then all take turns, round by round. A ratio is minigrad's
CPU time divided by the peer's in the same round; medians count, and the quartiles show the spread.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from importlib.util import find_spec
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = os.environ["MINIGRAD_THREADS"] = "1"

import eager
import manual_update
import numpy as np

import minigrad as mg
from minigrad import models
from minigrad.models.reports.bench.contenders import add_backends, backends_here
from minigrad.models.reports.bench.pace import Pace, add_options
from minigrad.models.reports.timing import CLOSE, disagreement, quartiles, times_in_turns
from minigrad.utils.files import replace_file
from minigrad.utils.install import install_line

TURN = 0.02  # seconds that a turn of the peer takes at least
RNG = np.random.default_rng(0)

Step = Callable[[], Any]


class Row(NamedTuple):
    """What a row of the table compares."""

    name: str
    target: float  # what the ratio may be
    ours: Callable[[], Step]  # called on the backend that is measured
    peer: Callable[[], Step]
    backends: tuple[str, ...] | None = None  # the only ones that it is about
    compared: bool = True  # whether what the two return is asserted equal
    of: str = "PyTorch"  # what the peer is


def normal(*shape: int) -> np.ndarray:
    """Random numbers in float32."""
    return RNG.normal(size=shape).astype(np.float32)


# --- losses --------------------------------------------------------------------------------------


def losses() -> Iterator[Row]:
    """Losses and softmaxes of a row of sixty numbers, and their gradient."""
    x, g, labels = normal(1, 60), normal(1, 60), RNG.integers(0, 60, 1)

    def of(library: Any, tensor: Callable[..., Any], name: str, axis: str) -> Step:
        f, leaf, target, cotangent = getattr(library, name), tensor(x), tensor(labels), tensor(g)
        leaf.requires_grad = True

        def softmax() -> list[Any]:
            leaf.grad = None
            f(leaf, **{axis: -1}).backward(cotangent)
            return [leaf.grad]

        def loss() -> list[Any]:
            leaf.grad = None
            f(leaf, target).backward()
            return [leaf.grad]

        return softmax if name.endswith("softmax") else loss

    def row(name: str) -> Row:
        def peer() -> Step:
            import torch

            return of(torch.nn.functional, torch.tensor, name, "dim")

        return Row(f"{name} (1, 60)", 1.0, lambda: of(mg, mg.tensor, name, "axis"), peer)

    return map(row, ("cross_entropy", "nll_loss", "log_softmax", "softmax"))


# --- cells and layers of one step ----------------------------------------------------------------


def cells() -> Iterator[Row]:
    """One step of a cell (N = 1, H = 128) or of a layer, and all gradients."""
    H = 128
    x, g = normal(1, H), normal(1, H)

    def of(nn: Any, tensor: Callable[..., Any], name: str) -> Step:
        cell = getattr(nn, name)(H, H)
        for i, p in enumerate(cell.parameters()):
            p.data[...] = tensor(np.random.default_rng(i).normal(0, 0.1, p.shape)).data
        several = name.startswith("LSTM")
        is_cell = name.endswith("Cell")
        shape = (1, H) if is_cell else (1, 1, H)
        inputs, cotangent = tensor(x.reshape(shape)), tensor(g.reshape(shape))
        state = tensor(normal(*shape) * 0)
        inputs.requires_grad = True
        leaves = [inputs, *cell.parameters()]

        def step() -> list[Any]:
            for leaf in leaves:
                leaf.grad = None
            y = cell(inputs, (state, state) if several else state)
            (y[0] if several or not is_cell else y).backward(cotangent)
            return [leaf.grad for leaf in leaves]

        return step

    def row(name: str) -> Row:
        def peer() -> Step:
            import torch

            return of(torch.nn, torch.tensor, name)

        def ours() -> Step:
            return of(mg.nn if name.endswith("Cell") else models, mg.tensor, name)

        return Row(f"{name}, one step", 1.0, ours, peer)

    return map(row, ("RNNCell", "LSTMCell", "GRUCell", "LSTM", "GRU"))


# --- optimisers ----------------------------------------------------------------------------------


def optimisers() -> Iterator[Row]:
    """A step of an optimiser for 17 small parameters."""
    shapes = [(32, 32)] * 9 + [(32,)] * 8
    starts, gradients = ([normal(*shape) for shape in shapes] for _ in range(2))

    def of(optim: Any, tensor: Callable[..., Any], name: str, options: dict[str, float]) -> Step:
        params = [tensor(p) for p in starts]
        for p, g in zip(params, gradients, strict=True):
            p.grad = tensor(g)
        optimizer = getattr(optim, name)(params, lr=1e-4, **options)

        def step() -> list[Any]:
            optimizer.step()
            return params

        return step

    def row(name: str, **options: float) -> Row:
        def peer() -> Step:
            import torch

            return of(torch.optim, torch.tensor, name, options)

        said = "".join(f", {option}" for option in options)
        ours = lambda: of(mg.optim, mg.tensor, name, options)  # noqa: E731
        return Row(f"{name}{said}, 17 parameters", 1.0, ours, peer)

    yield row("SGD")
    yield row("SGD", momentum=0.9)
    for name in ("Adam", "AdamW", "RMSprop"):
        yield row(name)


# --- updates through .data -----------------------------------------------------------------------


def updates() -> Iterator[Row]:
    """A training step whose weights are updated through `.data`, beside one without the guard."""
    model = "MLP 20-32-10, N=32"

    def unguarded(update: Any) -> Step:
        step = manual_update.stepper(manual_update.MODELS[model], update())

        def run() -> None:
            with manual_update.unguarded():
                step()

        return run

    for name, update in manual_update.UPDATES.items():

        def ours(update: Any = update) -> Step:
            return manual_update.stepper(manual_update.MODELS[model], update())

        def peer(update: Any = update) -> Step:
            return unguarded(update)

        yield Row(
            name, 1.05, ours, peer, compared=False, of="unguarded"
        )  # manual_update.py compares them


# --- eager ops -----------------------------------------------------------------------------------


def ops() -> Iterator[Row]:
    """A chain of 600 small ops, and its gradient; see eager.py."""

    def returned(run: Step) -> Step:
        return lambda: [run()]

    yield Row(
        "chain of small ops",
        0.5,
        lambda: returned(eager.minigrad()),
        lambda: returned(eager.pytorch()),
        ("numpy",),
    )


# --- a recurrent net by hand ---------------------------------------------------------------------


def by_hand() -> Iterator[Row]:
    """A recurrent net of 25 steps (N = 1, H = 100) in float64, written in ops and in NumPy."""
    T, I, H = 25, 60, 100
    xs = RNG.normal(size=(T, 1, I))
    w_x, w_h = RNG.normal(0, I**-0.5, (I, H)), RNG.normal(0, H**-0.5, (H, H))
    b, g = np.zeros(H), RNG.normal(size=(1, H))

    def ours() -> Step:
        params = [mg.tensor(p, requires_grad=True) for p in (w_x, w_h, b)]
        inputs, cotangent, start = [mg.tensor(x) for x in xs], mg.tensor(g), mg.tensor(0 * g)

        def step() -> list[Any]:
            w_x, w_h, b = params
            for p in params:
                p.grad = None
            h = start
            for x in inputs:
                h = mg.tanh(x @ w_x + h @ w_h + b)
            h.backward(cotangent)
            return [p.grad for p in params]

        return step

    def numpy() -> Step:
        def step() -> list[Any]:
            h = np.zeros((1, H))
            hs = [h]
            for x in xs:
                h = np.tanh(np.dot(x, w_x) + np.dot(h, w_h) + b)
                hs.append(h)
            dw_x, dw_h, db = np.zeros_like(w_x), np.zeros_like(w_h), np.zeros_like(b)
            dh = g
            for t in reversed(range(T)):
                dz = dh * (1 - hs[t + 1] * hs[t + 1])
                dw_x += np.dot(xs[t].T, dz)
                dw_h += np.dot(hs[t].T, dz)
                db += dz[0]
                dh = np.dot(dz, w_h.T)
            return [dw_x, dw_h, db]

        return step

    yield Row("RNN of 25 steps in ops", 2.5, ours, numpy, ("numpy",), of="NumPy by hand")


# --- measuring -----------------------------------------------------------------------------------

ROWS: dict[str, Callable[[], Iterator[Row]]] = {
    "loss": losses,
    "cell": cells,
    "optimiser": optimisers,
    "data": updates,
    "op": ops,
    "by_hand": by_hand,
}


def measure(row: Row, backends: tuple[str, ...], pace: Pace) -> dict[str, Any]:
    """Quartiles of microseconds per contender, and of the ratios."""
    enough = pace.case(row.name)
    steps = {"peer": row.peer()}
    for backend in backends:
        with mg.use_backend(backend):
            steps[backend] = row.ours()
    if row.compared:
        right = steps["peer"]()
        for backend in backends:
            with mg.use_backend(backend):
                assert disagreement(steps[backend](), right) <= CLOSE, (row.name, backend)
    start = time.perf_counter()
    steps["peer"]()
    count = max(1, math.ceil(TURN / (time.perf_counter() - start)))

    def turn(name: str) -> Step:
        step, on = steps[name], nullcontext() if name == "peer" else mg.use_backend(name)

        def run() -> None:
            with on:
                for _ in range(count):
                    step()

        return run

    turns = {name: turn(name) for name in steps}
    times = times_in_turns(turns, pace.rounds, 0.0, time.process_time, enough, turn=0)
    peer = times["peer"]
    seconds = {name: [t / count for t in taken] for name, taken in times.items()}
    return {
        "name": row.name,
        "peer": row.of,
        "target": row.target,
        "microseconds": {
            name: quartiles([1e6 * t for t in taken]) for name, taken in seconds.items()
        },
        "rounds": seconds,
        "ratios": {
            name: quartiles([a / b for a, b in zip(times[name], peer, strict=True)])
            for name in backends
        },
    }


def main() -> None:
    """Run the comparison and print a table."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    add_backends(options)
    add_options(options, 41)
    chosen = options.parse_args()
    if find_spec("torch") is None:
        sys.exit(f"benchmarks/small.py compares with PyTorch; {install_line('oracle')}")
    import torch

    torch.set_num_threads(1)
    here = backends_here(chosen.backends)
    rows = [
        (row, names)
        for kind in chosen.rows
        for row in ROWS[kind]()
        if (names := tuple(name for name in here if name in (row.backends or here)))
    ]
    print(f"{'':42}{'target':>7}{'peer, µs':>10}", end="")
    print("".join(f"{name:>22}" for name in here))
    found, pace = [], Pace.of(chosen, len(rows))
    for row, names in rows:
        figures = measure(row, names, pace)
        found.append(figures)
        pace.close()
        line = f"{row.name:42}{row.target:>7.2f}{figures['microseconds']['peer'][1]:>10.1f}"
        for low, median, high in figures["ratios"].values():
            mark = "" if median <= row.target else "!"
            line += f"{mark:>2}{median:>6.2f}" + f"({low:.2f} to {high:.2f})".rjust(14)
        print(line, flush=True)
    if chosen.json:
        replace_file(chosen.json, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
