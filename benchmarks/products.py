"""Matrix products and their gradients: minigrad beside its peers and beside the products alone.

    python benchmarks/products.py [--threads 1 2] [--rounds 15] [--json FILE]

`a @ b` in float32, then the gradients of both for a random cotangent: three products. The sizes are
those of recurrent layers, from one step of one sequence to all inputs of a batch, and a large one.
The floor is `np.dot`, three times. First all gradients are asserted equal; then the peers take
turns, round by round. With one thread, time is that of the CPU, so that other programs on the
machine count less. Each number of threads gets a process of its own.

On a processor with AMX there are minigrad's products in bf16 parts (see `mg.set_products`), too,
and the training steps of an LSTM with them, beside PyTorch in float32 and in its autocast to bf16;
each with its error against float64: the root mean square, relative to that of the result.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.models.reports.bench.contenders import add_backends, backends_here, ready
from minigrad.models.reports.bench.pace import Enough, Pace, add_options
from minigrad.models.reports.bench.significance import FEWEST_ROUNDS, ranking
from minigrad.models.reports.timing import (
    CLOSE,
    Step,
    disagreement,
    layer_step,
    process_clock,
    process_threads,
    random_batch,
    report_by_threads,
    times_in_turns,
    torch_step,
)
from minigrad.precision import PARTS

SIZES = [(1, 128, 512), (32, 128, 512), (1600, 64, 512), (64, 256, 1024), (1024, 1024, 1024)]
# Of an LSTM: T, N, I, H.
LAYERS = [(50, 32, 64, 128), (28, 128, 28, 128), (100, 64, 128, 256), (35, 20, 650, 650)]

CLOSE_IN_BF16 = 0.1  # what steps in bf16 may disagree by; see `disagreement`


def name_of(mode: str) -> str:
    """Of minigrad with these products."""
    return f"minigrad {mode}"


def why_no_parts() -> str | None:
    """Why products can't be in bf16 parts here; None if they can."""
    try:
        mg.get_backend("numba")
    except mg.BackendError as missing:
        return str(missing)
    from minigrad.backends.numba_kernels import amx

    return amx.why_not()


def minigrad_on(backend: str, a: np.ndarray, b: np.ndarray, g: np.ndarray) -> Step:
    """In minigrad, on a backend."""
    leaves = [mg.tensor(x, requires_grad=True, backend=backend) for x in (a, b)]
    cotangent = mg.tensor(g, backend=backend)
    return lambda: list(mg.grad(leaves[0] @ leaves[1], leaves, cotangent))


def pytorch(a: np.ndarray, b: np.ndarray, g: np.ndarray) -> Step:
    """In PyTorch."""
    import torch

    torch.set_num_threads(process_threads())
    leaves = [torch.from_numpy(x).requires_grad_() for x in (a, b)]
    cotangent = torch.from_numpy(g)
    return lambda: list(torch.autograd.grad(leaves[0] @ leaves[1], leaves, cotangent))


def jax_jit(a: np.ndarray, b: np.ndarray, g: np.ndarray) -> Step:
    """In JAX, compiled; the outputs are read, too, or only two products would be left of three."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def products(a, b, g):
        y, vjp = jax.vjp(jnp.matmul, a, b)
        return y, *vjp(g)

    arrays = [jnp.asarray(x) for x in (a, b, g)]
    return lambda: list(jax.block_until_ready(products(*arrays)))[1:]


def tinygrad_jit(a: np.ndarray, b: np.ndarray, g: np.ndarray) -> Step:
    """In tinygrad, captured after two runs; on the CPU it calls the program clang."""
    from tinygrad import Device, Tensor, TinyJit

    @TinyJit
    def products(a, b, g):
        y = a @ b
        found = [y, *y.gradient(a, b, gradient=g)]
        Tensor.realize(*found)
        return found

    arrays = [Tensor(x).realize() for x in (a, b, g)]

    def step() -> list[Any]:
        found = products(*arrays)[1:]
        Device[Device.DEFAULT].synchronize()
        return found

    for _ in range(3):
        step()
    return step


def alone(a: np.ndarray, b: np.ndarray, g: np.ndarray) -> Step:
    """The products by NumPy, without anything else."""

    def step() -> list[np.ndarray]:
        np.dot(a, b)
        return [np.dot(g, b.T), np.dot(a.T, g)]

    return step


def in_mode(mode: str, step: Step) -> Step:
    """The step with other products."""

    def run() -> list[Any]:
        with mg.set_products(mode):
            return step()

    return run


Makers = dict[str, Callable[[], Step]]

PEERS: dict[str, Callable[..., Step]] = {
    "PyTorch": pytorch,
    "JAX, jit": jax_jit,
    "tinygrad, jit": tinygrad_jit,
    "products alone": alone,
}
WITHOUT_PARTS = why_no_parts()
LAYER_PEERS = [*map(name_of, PARTS), "PyTorch", "PyTorch bf16"]
IN_BF16 = name_of("bf16"), "PyTorch bf16"


def measure(
    size: tuple[int, int, int], pace: Pace, backends: tuple[str, ...] = ("numpy", "numba")
) -> dict[str, Any]:
    """Seconds of each round per contender, and its error, after asserting equal gradients."""
    m, k, n = size
    enough = pace.case(f"{m, k} @ {k, n}")
    rng = np.random.default_rng(0)
    arrays = tuple(rng.standard_normal(shape, np.float32) for shape in ((m, k), (k, n), (m, n)))
    makers: Makers = {f"minigrad {name}": partial(minigrad_on, name, *arrays) for name in backends}
    makers |= {name: partial(make, *arrays) for name, make in PEERS.items()}
    if WITHOUT_PARTS is None:
        for mode, parts in PARTS.items():
            if parts:
                step = in_mode(mode, minigrad_on("numba", *arrays))
                makers[name_of(mode)] = lambda step=step: step
    exact = alone(*(x.astype(np.float64) for x in arrays))
    return in_rounds(makers, exact, pace.rounds, enough)


def measure_layer(size: tuple[int, int, int, int], pace: Pace) -> dict[str, Any]:
    """The same of the training step of an LSTM, with all products of minigrad's."""
    enough = pace.case(f"LSTM {size}")
    I, H = size[2:]
    rng = np.random.default_rng(0)
    layers = []
    before = mg.get_default_dtype()
    for dtype in ("float32", "float64"):
        mg.set_default_dtype(dtype)
        layers.append(mg.nn.LSTM(I, H).to("numba"))
    mg.set_default_dtype(before)
    weights = {
        name: rng.uniform(-1, 1, w.shape).astype(np.float32) / np.float32(math.sqrt(H))
        for name, w in layers[0].state_dict().items()
    }
    for layer in layers:
        layer.load_state_dict(weights)
    x, g = random_batch(*size)
    step = layer_step(layers[0], x, g)
    makers: Makers = {name_of(mode): lambda mode=mode: in_mode(mode, step) for mode in PARTS}
    makers["PyTorch"] = partial(torch_step, "lstm", weights, x, g)
    makers["PyTorch bf16"] = lambda: autocast(torch_step("lstm", weights, x, g))
    exact = layer_step(layers[1], x.astype(float), g.astype(float))
    return in_rounds(makers, exact, pace.rounds, enough)


def autocast(step: Step) -> Step:
    """The step of PyTorch in its own mode for bf16."""
    import torch

    def run() -> list[Any]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return step()

    return run


def in_rounds(makers: Makers, exact: Step, rounds: int, enough: Enough) -> dict[str, Any]:
    """Seconds of each round per step, with its error, which is asserted to be small first."""
    right, errors = exact(), {}
    steps, results = ready(makers)
    for name, found in results.items():
        assert disagreement(found, right) <= (CLOSE_IN_BF16 if name in IN_BF16 else CLOSE), name
        errors[name] = max(map(error, found, right))
    return {
        "rounds": times_in_turns(steps, rounds, clock=process_clock(), enough=enough),
        "errors": errors,
    }


def error(found: Any, right: Any) -> float:
    """The root mean square of the error, relative to that of the right result."""
    x, y = (np.asarray(a.numpy() if hasattr(a, "numpy") else a, float) for a in (found, right))
    return float(np.sqrt(np.mean((x - y) ** 2) / np.mean(y**2)))


def table(threads: int, results: dict[str, dict[str, Any]]) -> None:
    """Print one process's figures: those of products, then those of layers."""
    print(f"\n{threads} thread{'s' * (threads > 1)}: microseconds, medians, then errors")
    for heading, is_product in (("(m, k) @ (k, n)", True), ("LSTM (T, N, I, H)", False)):
        rows = {label: row for label, row in results.items() if ("@" in label) == is_product}
        known = dict.fromkeys(name for row in rows.values() for name in row["rounds"])
        names = [name for name in known if is_product or name in LAYER_PEERS]
        if rows:
            print(f"{heading:24}" + "".join(f"{name:>16}" for name in names))
        for label, row in rows.items():
            found, errors = row["rounds"], row["errors"]
            medians = (1e6 * statistics.median(found[name]) for name in names)
            print(f"{label:24}" + "".join(f"{time:>16.1f}" for time in medians))
            print(f"{'':24}" + "".join(f"{errors[name]:>16.1e}" for name in names))
            if min(map(len, found.values())) >= FEWEST_ROUNDS:
                print(f"{'':24}{ranking(found)}")
        for peer in [name for name in names if name.startswith("PyTorch") and not is_product]:
            means = (f"{mode} {speed(rows, mode, peer):.2f}" for mode in PARTS)
            print(f"geometric means, times as fast as {peer}: {', '.join(means)}")


def speed(rows: dict[str, dict[str, Any]], mode: str, peer: str) -> float:
    """How many times as long a peer takes: the geometric mean of layers."""
    found = [row["rounds"] for row in rows.values()]
    ratios = [statistics.median(x[peer]) / statistics.median(x[name_of(mode)]) for x in found]
    return statistics.geometric_mean(ratios)


def main() -> None:
    """Start a process per number of threads, and print what they measured."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options.add_argument("--sizes", type=int, nargs="+", help="positions in the list, from 0")
    options.add_argument("--layers", type=int, nargs="*", help="the same, of layers")
    options.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    add_backends(options)
    add_options(options, 15)
    chosen = options.parse_args()
    if chosen.worker:
        backends = backends_here(chosen.backends)
        sizes = [SIZES[i] for i in chosen.sizes] if chosen.sizes else SIZES
        layers = LAYERS if chosen.layers is None else [LAYERS[i] for i in chosen.layers]
        if WITHOUT_PARTS is not None:
            layers = []
        pace = Pace.of(chosen, len(sizes) + len(layers))
        found = {f"{m, k} @ {k, n}": measure((m, k, n), pace, backends) for m, k, n in sizes}
        found |= {f"LSTM {size}": measure_layer(size, pace) for size in layers}
        pace.close()
        print(json.dumps(found))
        return
    if WITHOUT_PARTS is not None:
        print(f"products in bf16 parts, and layers with them, are left out: {WITHOUT_PARTS}")
    report_by_threads(__file__, chosen.threads, table, chosen.json)


if __name__ == "__main__":
    main()
