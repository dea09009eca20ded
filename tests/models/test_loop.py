"""The training loop: it learns, keeps the best epoch, repeats itself; callbacks see it all."""

import math
from functools import cache

import numpy as np
import pytest
from small_training import EndAt, first_number, outcome, same_weights

import minigrad as mg
from minigrad.models.registry import CELLS
from minigrad.models.training.callbacks import Callback, EarlyStopping
from minigrad.models.training.example import FirstNumber
from minigrad.models.training.loop import evaluate, fit, shown
from minigrad.models.training.results import run_of


class Remember(Callback):
    """The weights after each epoch, and after how many steps which items were seen."""

    def __init__(self):
        self.weights, self.best, self.steps, self.ended = [], [], [], 0

    def step(self, training):
        self.steps.append((training.epoch, training.step, training.items, training.loss))

    def epoch(self, training, record):
        self.weights.append(training.model.state_dict())
        self.best.append(training.best.epoch == record.epoch)

    def end(self, training):
        assert not training.model.training
        self.ended += 1


@pytest.mark.parametrize("cell", CELLS)
def test_learns(cell, backend):
    training = fit(first_number(cell=cell))
    assert training.history[-1].train_loss < training.history[0].train_loss
    if cell == "rnn":
        error = evaluate(training.task, training.model, "test")["error"]
        assert error < 0.5 * training.task.baselines()["always 0.5"]


def test_a_seed_repeats_itself_to_the_bit():
    first, second, other = (fit(first_number(seed=seed)) for seed in (3, 3, 4))
    assert outcome(first) == outcome(second)
    assert not same_weights(first.model, other.model)


@cache
def unsteady():
    """Settings of a training whose best epoch is none of the last two; rounding decides which."""
    for seed in range(50):
        settings = {"lr": 3.0, "epochs": 6, "seed": seed}
        if fit(first_number(**settings)).best.epoch < 5:
            return settings
    raise AssertionError("no seed does")


def test_keeps_the_best_epoch():
    seen = Remember()
    training = fit(first_number(**unsteady()), callbacks=[seen])
    errors = [record.validation["error"] for record in training.history]
    best = int(np.argmin(errors))
    assert best < 5
    assert (training.best.epoch, training.best.value) == (best + 1, errors[best])
    for name, array in training.model.state_dict().items():
        np.testing.assert_array_equal(array, seen.weights[best][name])
    assert not training.model.training
    lowest = [min(errors[:i], default=math.inf) for i in range(6)]
    assert seen.best == [a < b for a, b in zip(errors, lowest, strict=True)]
    assert evaluate(training.task, training.model, "validation")["error"] == errors[best]


def test_callbacks_see_every_step():
    seen = Remember()
    training = fit(first_number(batch_size=4), callbacks=[seen])
    assert [place[:3] for place in seen.steps] == [
        (epoch, step, 4 * step) for epoch in (1, 2) for step in range(1, 31)
    ]
    assert [record.train_loss for record in training.history] == [
        seen.steps[29][3],
        seen.steps[59][3],
    ]
    assert seen.ended == 1 and training.steps_done == training.steps_in_all == 60


def test_what_callbacks_and_evaluations_draw_changes_nothing():
    class Draws(FirstNumber):
        def evaluate(self, model, part):
            mg.rand(3)
            return super().evaluate(model, part)

        def show(self, model):
            assert not model.training and not mg.is_grad_enabled()
            return str(mg.rand(1).item())

    class Show(Callback):
        def step(self, training):
            assert shown(training.task, training.model)
            assert training.model.training

    settings = first_number().settings
    plain = fit(FirstNumber(settings))
    assert outcome(plain) == outcome(fit(Draws(settings), callbacks=[Show()]))


def test_gradients_are_clipped_and_the_rate_falls_to_zero(monkeypatch):
    norms, rates, step = [], [], mg.optim.Adam.step

    def watched(self):
        params = [p for group in self.param_groups for p in group["params"]]
        norms.append(math.sqrt(sum((p.grad.numpy() ** 2).sum() for p in params)))
        rates.append(self.param_groups[0]["lr"])
        step(self)

    monkeypatch.setattr(mg.optim.Adam, "step", watched)
    fit(first_number(max_norm=1e-3, lr=1e-2))
    assert max(norms) == pytest.approx(1e-3, rel=1e-2)
    np.testing.assert_allclose(rates, 1e-2 * (1 + np.cos(np.pi * np.arange(60) / 60)) / 2)


def test_early_stopping():
    class Worse(FirstNumber):
        def evaluate(self, model, part):
            self.calls = getattr(self, "calls", 0) + 1
            return {"loss": 1.0, "error": [3.0, 2.0, 2.0, 2.5, 1.0][min(self.calls, 5) - 1]}

    settings = {"epochs": 9, "length": 1}
    training = fit(Worse(first_number(patience=2, **settings).settings))
    assert (len(training.history), training.best.epoch) == (4, 2)
    assert training.stopped == "no better epoch for 2" and training.finished
    training = fit(Worse(first_number(patience=3, **settings).settings))
    assert (len(training.history), training.best.epoch) == (8, 5)
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(ValueError, match="patience is a positive integer"):
            EarlyStopping(wrong)


def test_a_task_whose_batches_are_other_than_it_says():
    class Task(FirstNumber):
        def batches(self, rng):
            return (self._draw(rng) for _ in range(self.given))

    for given, said in ((29, "but only 29 batches"), (31, "but its batches are more")):
        task = Task(first_number().settings)
        task.given = given
        with pytest.raises(ValueError, match=f"has 30 steps, {said}"):
            fit(task)


def test_a_task_without_its_metric():
    class Task(FirstNumber):
        def evaluate(self, model, part):
            return {"loss": 1.0, "accuracy": 0.5}

    with pytest.raises(ValueError, match="must give loss and error; error is missing"):
        fit(Task())


# --- ended early ---------------------------------------------------------------------------------

ERRORS = [KeyboardInterrupt(), MemoryError(), FloatingPointError()]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("over", [False, True])
def test_what_ends_a_training_leaves_the_best_model(error, over):
    settings, seen = unsteady(), Remember()
    whole = fit(first_number(**settings), callbacks=[seen])
    end = EndAt(error, epoch=6) if over else EndAt(error, steps=151)
    with pytest.raises(type(error)) as caught:
        fit(first_number(**settings), callbacks=[end])
    training, finished = caught.value.training, 5 + over
    assert training.best.epoch == whole.best.epoch < 5
    assert same_weights(training.model, whole.model) and not training.model.training
    assert [record.validation for record in training.history] == [
        record.validation for record in whole.history[:finished]
    ]
    assert f"in epoch {finished + 1} of 6; the model is as it was after epoch" in str(
        caught.value.__notes__
    )
    run = run_of(training)
    assert run.metrics["finished"] == over and run.metrics["best_epoch"] == whole.best.epoch


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_what_ends_the_first_epoch_leaves_the_initial_model(error):
    task = first_number()
    with pytest.raises(type(error)) as caught:
        fit(task, callbacks=[EndAt(error, steps=3)])
    training = caught.value.training
    assert training.history == [] and training.step == 3
    mg.manual_seed(0)
    assert same_weights(training.model, task.model())
