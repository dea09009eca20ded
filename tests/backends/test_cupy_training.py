"""The first steps of training on CuPy give NumPy's losses: same seed, same weights, same masks."""

import contextlib

import numpy as np
import pytest
from tiny_reviews import tiny_task

import minigrad as mg
from minigrad.models.registry import CELLS
from minigrad.models.tasks.packages import DataError
from minigrad.models.tasks.review_task import Reviews
from minigrad.models.training.callbacks import Callback
from minigrad.models.training.loop import fit

pytestmark = pytest.mark.cupy

try:
    mg.get_backend("cupy")
except mg.BackendError as reason:
    pytest.skip(str(reason), allow_module_level=True)


class Enough(Exception):
    pass


class Steps(Callback):
    """The sums of the losses so far in an epoch; stops the training after some steps."""

    def __init__(self, most):
        self.most = most
        self.sums = []  # epoch, examples seen, sum of their losses

    def step(self, training):
        self.sums.append((training.epoch, training.items, training.loss * training.items))
        if len(self.sums) == self.most:
            raise Enough

    def losses(self):
        """The mean loss of each batch."""
        found, before = [], (0, 0, 0.0)
        for epoch, seen, total in self.sums:
            _, seen_before, total_before = before if before[0] == epoch else (0, 0, 0.0)
            found.append((total - total_before) / (seen - seen_before))
            before = epoch, seen, total
        return found


def train(backend, task, most=-1):
    """The loss of each step, and what came of the training if it wasn't stopped."""
    callback, training = Steps(most), None
    with mg.use_backend(backend), contextlib.suppress(Enough):
        training = fit(task, callbacks=[callback])
    return callback.losses(), training


def assert_same_losses(cell, on_numpy, on_cupy):
    print(f"{cell}: the loss of each step\nstep  NumPy       CuPy        difference")
    for i, (a, b) in enumerate(zip(on_numpy, on_cupy, strict=True), 1):
        print(f"{i:4}  {a:.7f}  {b:.7f}  {abs(a - b):.0e}")
    assert on_cupy == pytest.approx(on_numpy, rel=0, abs=1e-4)
    assert sum(on_numpy[-10:]) < sum(on_numpy[:10])  # it learns meanwhile


@pytest.mark.parametrize("cell", CELLS)
def test_easy_reviews(cell):
    """A small run to its end: losses, validation, and the weights that were best."""
    sizes = {"embedding": 8, "hidden": 8, "epochs": 4, "batch_size": 16}
    (on_numpy, left), (on_cupy, right) = (
        train(backend, tiny_task(cell=cell, lr=2e-2, **sizes)) for backend in ("numpy", "cupy")
    )
    assert_same_losses(cell, on_numpy, on_cupy)
    for name, weights in left.model.state_dict().items():
        np.testing.assert_allclose(right.model.state_dict()[name], weights, rtol=0, atol=1e-3)
    for a, b in zip(left.history, right.history, strict=True):
        assert b.validation["loss"] == pytest.approx(a.validation["loss"], abs=1e-4)


def test_the_demo():
    """What `minigrad demo` trains: an LSTM on film reviews, with dropout of three kinds."""
    try:
        Reviews().load()
    except DataError as error:
        pytest.skip(f"the film reviews can't be had here: {error}")
    on_numpy, on_cupy = (train(name, Reviews(), 50)[0] for name in ("numpy", "cupy"))
    assert len(on_cupy) == 50
    assert_same_losses("lstm", on_numpy, on_cupy)
