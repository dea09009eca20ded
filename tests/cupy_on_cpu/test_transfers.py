"""What a step of training copies, and that it waits for nothing."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.models import GRU, LSTM
from minigrad.models.networks.classifier import SequenceClassifier
from minigrad.models.tasks.review_task import Reviews, ReviewSettings
from minigrad.models.tasks.reviews import Review
from minigrad.models.training.callbacks import Callback
from minigrad.models.training.loop import fit
from minigrad.models.training.state import RunningMean

from .counters import ABSENT, PRESENT, counted

pytestmark = pytest.mark.cupy

if not PRESENT:
    pytest.skip(ABSENT, allow_module_level=True)

T, N = 7, 5


@pytest.fixture(autouse=True)
def on_cupy():
    with mg.use_backend("cupy"):
        mg.manual_seed(0)
        yield


@pytest.fixture(params=["1", "0"], ids=["fused", "composed"], autouse=True)
def fused(request, monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", request.param)


def batch(seed=0):
    rng = np.random.default_rng(seed)
    tokens, lengths = rng.integers(2, 30, (T, N)), np.array([7, 3, 5, 7, 1])
    return tokens, lengths, rng.integers(0, 2, N)


OPTIMISERS = {
    "SGD": lambda p: mg.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: mg.optim.Adam(p, amsgrad=True),
    "AdamW": mg.optim.AdamW,
    "RMSprop": lambda p: mg.optim.RMSprop(p, centered=True, momentum=0.5),
}


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_step_of_a_regression_moves_nothing(optimiser):
    """The batch is on the device, and so is the loss."""
    layer, head = LSTM(3, 8, num_layers=2, bidirectional=True), mg.nn.Linear(16, 1)
    parameters = [*layer.parameters(), *head.parameters()]
    optimizer = OPTIMISERS[optimiser](parameters)
    x, target = mg.randn((T, N, 3)), mg.randn((N, 1))

    def step():
        y, _ = layer(x)
        loss = mg.mse_loss(head(y[-1]), target)
        optimizer.zero_grad()
        loss.backward()
        mg.optim.clip_grad_norm_(parameters, 1.0)
        mg.optim.clip_grad_value_(parameters, 0.5)
        optimizer.step()
        return loss

    first = step()
    with counted() as counts:
        last = [step() for _ in range(3)][-1]
    assert (counts.h2d, counts.d2h, counts.syncs) == (0, 0, 0), counts
    assert last.item() < first.item()


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_step_of_a_classifier_moves_the_batch(cell):
    """Words, their lengths (as a mask of steps) and classes: three copies to the device."""
    model = SequenceClassifier(cell, 30, 6, 8)
    optimizer = mg.optim.Adam(model.parameters())

    def step(tokens, lengths, labels):
        loss = mg.cross_entropy(model(tokens, lengths), labels)
        optimizer.zero_grad()
        loss.backward()
        mg.optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    step(*batch())
    with counted() as counts:
        loss = step(*batch(1))
    assert (counts.h2d, counts.d2h, counts.syncs) == (3, 0, 0), counts
    with counted() as counts:
        loss.item()
    assert (counts.h2d, counts.d2h) == (0, 1), counts


def test_dropout_moves_its_masks():
    """They are drawn on the host, so that every backend has the same: a truth value per number."""
    model = SequenceClassifier("gru", 30, 6, 8, dropout=0.3, word_dropout=0.3)
    model(*batch()[:2])
    with counted() as counts:
        model(*batch()[:2])
    assert (counts.h2d, counts.d2h, counts.syncs) == (4, 0, 0), counts


def test_words_on_the_device_are_checked_there():
    model = SequenceClassifier("gru", 30, 6, 8)
    tokens, lengths, labels = batch()
    tokens, labels = mg.tensor(tokens), mg.tensor(labels)
    model(tokens, lengths)
    with counted() as counts:
        mg.cross_entropy(model(tokens, lengths), labels).backward()
    assert (counts.h2d, counts.d2h, counts.syncs) == (1, 0, 0), counts  # the mask of steps


def test_training_waits_when_numbers_are_read():
    """`fit` looks at the loss every 50 batches and after the last, a callback when it likes."""

    class Few(Reviews):
        count = 100

        def load(self):
            reviews = range(self.count)
            self.take([Review(str(i), i % 2 - 0.5, f"word{i % 9} {i}") for i in reviews])

    class Look(Callback):
        def step(self, training):
            assert 0 < training.loss < 9

    def waits(count, *callbacks):
        settings = ReviewSettings(cell="gru", embedding=4, hidden=5, epochs=1, batch_size=4)
        task = Few(settings)
        task.count = count
        with counted() as counts:
            fit(task, callbacks=callbacks)
        assert task.steps() < 50
        return counts.d2h, task.steps()

    waits(100)
    (few, steps), (many, more) = waits(100), waits(200)
    assert more > steps and few == many  # weights, and what an epoch ends with
    # The last loss is looked at anyway.
    assert waits(100, Look())[0] == few + steps - 1


def test_a_running_mean_reads_one_array():
    mean = RunningMean()
    logits, labels = mg.randn((N, 2)), batch()[2]
    for _ in range(10):
        mean.add(mg.cross_entropy(logits, labels), N)
    with counted() as counts:
        loss = mean.value
    assert counts.d2h == 1, counts
    assert loss == pytest.approx(mg.cross_entropy(logits, labels).item())


def test_arrays_that_the_user_holds_are_watched_without_waiting():
    """The in-place guard's checksums stay on the device."""
    layer = GRU(3, 4)
    x = mg.from_dlpack(mg.randn((T, N, 3)).data)
    weights = [p.data for p in layer.parameters()]

    def step():
        layer(x)[0].sum().backward()

    step()
    with counted() as counts:
        step()
    assert (counts.h2d, counts.d2h, counts.syncs) == (0, 0, 0), counts
    assert len(weights) == 4 and np.isfinite(x.numpy()).all()  # and no edit was found


def test_selecting_needs_no_copy():
    """Slices, and places that are on the device."""
    x, places = mg.randn((6, 4)), mg.tensor([0, 3, 3])
    x[places].sum()
    with counted() as counts:
        parts = [x[1:, ::2], x[-1], x[..., None], x[places], mg.take(x, places, axis=1)]
    assert (counts.h2d, counts.d2h, counts.syncs) == (0, 0, 0), counts
    assert [part.shape for part in parts] == [(5, 2), (4,), (6, 4, 1), (3, 4), (6, 3)]
