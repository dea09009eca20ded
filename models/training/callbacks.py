"""Callbacks: what else happens while a model trains. One is written in five lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .state import Epoch, Training

__all__ = ["Callback", "EarlyStopping"]


class Callback:
    """Called at the points of a training; this one does nothing. Override what you need.

    All get the `Training`: `training.model`, `.epoch`, `.step`, `.loss`, `.best`, `.history`, ...
    Between steps a training is whole: an error that a callback raises ends it, with a checkpoint
    from which it can go on.

    >>> class Rates(Callback):
    ...     def epoch(self, training, record):
    ...         print(f"epoch {record.epoch}: rate {training.optimizer.param_groups[0]['lr']:.4f}")
    >>> from minigrad.models.training.example import FirstNumber
    >>> from minigrad.models.training.loop import fit
    >>> _ = fit(FirstNumber(), callbacks=[Rates()])
    epoch 1: rate 0.0375
    epoch 2: rate 0.0125
    epoch 3: rate 0.0000
    """

    def begin(self, training: Training) -> None:
        """The examples are there and the model is made; the first step follows."""

    def step(self, training: Training) -> None:
        """A batch is done."""

    def epoch(self, training: Training, record: Epoch) -> None:
        """An epoch is done and evaluated. Set `training.stopped` to a sentence to end there."""

    def end(self, training: Training) -> None:
        """The training is over; the model is as it was after its best epoch."""


class EarlyStopping(Callback):
    """Ends a training after `patience` epochs without a better one.

    `fit` has one if the setting `patience` is above 0.

    >>> EarlyStopping(3).patience
    3
    """

    def __init__(self, patience: int) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ValueError(f"EarlyStopping: patience is a positive integer; got {patience!r:.40}")
        self.patience = patience

    def epoch(self, training: Training, record: Epoch) -> None:
        """Looks how long ago the best epoch was."""
        if record.epoch - training.best.epoch >= self.patience:
            training.stopped = f"no better epoch for {self.patience}"
