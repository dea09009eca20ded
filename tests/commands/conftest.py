"""Reviews that are made up, a trained model, and signals in the middle of a training."""

import os
import signal
from functools import cache
from importlib import import_module

import pytest
from command_line import minigrad
from tiny_reviews import tiny_reviews

from minigrad.models.tasks import review_task

PROGRESS = import_module("minigrad.models.commands.progress")
WELL = ["--hidden", "8", "--epochs", "25", "--lr", "0.05"]


@pytest.fixture
def easy_reviews(monkeypatch):
    monkeypatch.setattr(review_task, "load_reviews", lambda subject: tiny_reviews())


@pytest.fixture(scope="module")
def of_cell(tmp_path_factory):
    """By its cell: a folder with a trained model, and what training it has printed."""

    @cache
    def train(cell):
        folder = tmp_path_factory.mktemp("runs") / cell
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(review_task, "load_reviews", lambda subject: tiny_reviews())
            arguments = ("train", "reviews", "--cell", cell, "--out", folder, *WELL)
            return folder, minigrad(*arguments)

    return train


@pytest.fixture(scope="module", params=["lstm", "gru", "rnn"])
def trained(request, of_cell):
    return of_cell(request.param)


@pytest.fixture(scope="module")
def trained_lstm(of_cell):
    """For tests that start programs, and in which the cell changes nothing."""
    return of_cell("lstm")


@pytest.fixture
def signalled(monkeypatch):
    """Makes trainings get a signal, several times, after so many steps in all."""

    def arrange(name, steps):
        def step(self, training):
            if training.steps_done == steps:
                for _ in range(3):  # an impatient user
                    os.kill(os.getpid(), getattr(signal, name))

        monkeypatch.setattr(PROGRESS.TrainingProgress, "step", step)

    return arrange
