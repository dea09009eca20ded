"""What a step costs whose weights are updated by hand, through `.data`, beside `mg.optim.SGD`.

    python benchmarks/manual_update.py [--rounds 30] [--backend numpy]

Training steps of a small and a larger MLP and of an LSTM: forward, backward, update. The updates
are the ones that people write; all give the same weights. The first column is the ratio to a step
by `mg.optim.SGD`, whose update goes through no `.data`; the second is the guard's share, the same
step with the guard and without. Peers take turns, round by round; the shortest times count.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.engine import inplace
from minigrad.nn import LSTM

LR = 1e-3
Update = Callable[[list[Any]], None]


def in_place(params: list[Any]) -> None:
    """p.data -= ..., the classic."""
    for p in params:
        p.data -= LR * p.grad.data


def by_slices(params: list[Any]) -> None:
    """p.data[...] -= ..., in the array itself."""
    for p in params:
        p.data[...] -= LR * p.grad.data


def assigned(params: list[Any]) -> None:
    """p.data = p.data - ..., a new array."""
    for p in params:
        p.data = p.data - LR * p.grad.data


def by_tensors(params: list[Any]) -> None:
    """p.data = p - ..., from a tensor, under no_grad."""
    with mg.no_grad():
        for p in params:
            p.data = p - LR * p.grad


class Held:
    """The arrays are taken once and edited ever after."""

    __name__ = "held"

    def __init__(self) -> None:
        self.arrays: list[Any] = []

    def __call__(self, params: list[Any]) -> None:
        """Edit them."""
        self.arrays = self.arrays or [p.data for p in params]
        for array, p in zip(self.arrays, params, strict=True):
            array -= LR * p.grad._data


UPDATES: dict[str, Callable[[], Update]] = {
    "p.data -= ...": lambda: in_place,
    "p.data[...] -= ...": lambda: by_slices,
    "p.data = p.data - ...": lambda: assigned,
    "p.data = p - ...": lambda: by_tensors,
    "held arrays -= ...": Held,
}


def mlp(sizes: tuple[int, ...], N: int) -> tuple[list[Any], Callable[[], Any]]:
    """The parameters and the loss of a classifier."""
    layers = [mg.nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    rng = np.random.default_rng(0)
    x = mg.tensor(rng.normal(size=(N, sizes[0])).astype(np.float32))
    target = rng.integers(0, sizes[-1], N)

    def loss() -> Any:
        h = x
        for layer in layers[:-1]:
            h = mg.relu(layer(h))
        return mg.cross_entropy(layers[-1](h), target)

    return [p for layer in layers for p in layer.parameters()], loss


def lstm(I: int, H: int, T: int, N: int) -> tuple[list[Any], Callable[[], Any]]:
    """The parameters and the loss of a recurrent layer."""
    layer = LSTM(I, H)
    x = mg.tensor(np.random.default_rng(0).normal(size=(T, N, I)).astype(np.float32))
    return list(layer.parameters()), lambda: mg.mean(layer(x)[0] ** 2)


MODELS: dict[str, Callable[[], tuple[list[Any], Callable[[], Any]]]] = {
    "MLP 20-32-10, N=32": lambda: mlp((20, 32, 10), 32),
    "MLP 784-256-10, N=64": lambda: mlp((784, 256, 10), 64),
    "LSTM 32-64, T=50, N=16": lambda: lstm(32, 64, 50, 16),
}


@contextmanager
def unguarded() -> Iterator[None]:
    """Within this context `.data` hands out and takes arrays as they are."""
    kept = inplace.lend, inplace.borrow
    inplace.lend = lambda tensor: tensor._data  # type: ignore[assignment]
    inplace.borrow = lambda array, backend: array  # type: ignore[assignment]
    try:
        yield
    finally:
        inplace.lend, inplace.borrow = kept


def stepper(make: Callable[[], Any], update: Update | None) -> Callable[[], None]:
    """A training step; by `mg.optim.SGD` if `update` is None."""
    mg.manual_seed(0)
    params, loss = make()
    if update is None:
        optimizer = mg.optim.SGD(params, lr=LR)

        def update(params: list[Any]) -> None:
            optimizer.step()

    def step() -> None:
        for p in params:
            p.grad = None
        loss().backward()
        update(params)

    step.params = params  # type: ignore[attr-defined]
    return step


def seconds(step: Callable[[], None], repeats: int) -> float:
    """The time of a few steps."""
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return time.perf_counter() - start


def main() -> None:
    """Run the comparison and print a table."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rounds", type=int, default=30, help="turns of each peer")
    options.add_argument("--backend", default="numpy")
    chosen = options.parse_args()
    with mg.use_backend(chosen.backend):
        print(f"{'':26}{'update':24}{'of SGD':>8}{'of unguarded':>14}")
        for model, make in MODELS.items():
            compare(model, make, chosen.rounds)


def compare(model: str, make: Callable[[], Any], rounds: int) -> None:
    """The rows of one model."""
    agree(make)
    steps, unwatched = ({n: stepper(make, u()) for n, u in UPDATES.items()} for _ in range(2))
    sgd = stepper(make, None)
    repeats = max(1, int(0.02 / seconds(sgd, 1)))
    by_sgd, guarded, plain = [], defaultdict(list), defaultdict(list)
    for _ in range(rounds):
        by_sgd.append(seconds(sgd, repeats))
        for name, step in steps.items():
            guarded[name].append(seconds(step, repeats))
            with unguarded():
                plain[name].append(seconds(unwatched[name], repeats))
    for name in steps:
        least = min(guarded[name])
        ratios = f"{least / min(by_sgd):>8.2f}{least / min(plain[name]):>14.2f}"
        print(f"{model:26}{name:24}{ratios}")


def agree(make: Callable[[], Any]) -> None:
    """Assert that all updates give the same weights."""
    found = []
    for update in (None, *(update() for update in UPDATES.values())):
        step = stepper(make, update)
        seconds(step, 3)
        found.append([p.numpy() for p in step.params])  # type: ignore[attr-defined]
    for weights in found[1:]:
        for mine, right in zip(weights, found[0], strict=True):
            np.testing.assert_allclose(mine, right, rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    main()
