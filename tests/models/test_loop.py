"""The training loop: it learns, keeps the best epoch, repeats itself; callbacks see it all."""

import numpy as np
import pytest

from minigrad.models.registry import CELLS
from minigrad.models.training.callbacks import Callback
from minigrad.models.training.example import FirstNumber, FirstNumberSettings
from minigrad.models.training.loop import evaluate, fit


def first_number(**settings):
    return FirstNumber(FirstNumberSettings(**{"length": 3, "epochs": 2, **settings}))


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


@pytest.mark.parametrize("cell", CELLS)
def test_learns(cell, backend):
    training = fit(first_number(cell=cell))
    assert training.history[-1].train_loss < training.history[0].train_loss
    rivals = training.task.baselines()
    figures = evaluate(training.task, training.model, "test")
    if cell == "rnn":
        assert figures["error"] < 0.5 * rivals["always 0.5"]


def test_a_seed_repeats_itself_to_the_bit():
    first, second, other = (fit(first_number(seed=seed)) for seed in (3, 3, 4))
    assert same_weights(first.model, second.model)
    assert not same_weights(first.model, other.model)
    assert [r.train_loss for r in first.history] == [r.train_loss for r in second.history]


def test_keeps_the_best_epoch():
    class Remember(Callback):
        def __init__(self):
            self.weights = []

        def epoch(self, training, record):
            self.weights.append(training.model.state_dict())

    seen = Remember()
    training = fit(first_number(lr=3.0, epochs=6, seed=1), callbacks=[seen])
    errors = [record.validation["error"] for record in training.history]
    best = int(np.argmin(errors))
    assert best < 5, "choose another seed: here the last epoch is the best"
    assert training.best.epoch == best + 1
    for name, array in training.model.state_dict().items():
        np.testing.assert_array_equal(array, seen.weights[best][name])
    assert not training.model.training
