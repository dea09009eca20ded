"""Trainings of a fraction of a second."""

from minigrad.models.training.callbacks import Callback
from minigrad.models.training.example import FirstNumber, FirstNumberSettings


def first_number(**settings):
    """The smallest task, of three numbers and two epochs unless the settings say else."""
    return FirstNumber(FirstNumberSettings(**{"length": 3, "epochs": 2, **settings}))


class EndAt(Callback):
    """Raises an error after so many steps in all, or when an epoch is over."""

    def __init__(self, error, steps=None, epoch=None):
        self.error, self.steps, self.number = error, steps, epoch

    def step(self, training):
        if training.steps_done == self.steps:
            raise self.error

    def epoch(self, training, record):
        if record.epoch == self.number:
            raise self.error


def same_weights(a, b):
    """Whether two models have the same weights to the bit."""
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


def outcome(training):
    """All that a training has come to, besides times."""
    return (
        {name: array.tobytes() for name, array in training.model.state_dict().items()},
        [(r.epoch, r.train_loss, r.validation) for r in training.history],
        (training.best.epoch, training.best.value),
        training.stopped,
    )
