"""How a training goes, on standard error: a bar where there is a terminal, and a line per epoch."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..train import Epoch, Watch


class TrainingProgress(Watch):
    """Shows loss, accuracy, rate and time left; within it, things may be printed as ever.

    `examples` are those of one epoch.
    """

    def __init__(self, epochs: int, examples: int) -> None:
        self._epochs, self._examples = epochs, examples
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=16),
            TextColumn("loss {task.fields[loss]:.3f}  accuracy {task.fields[accuracy]:.3f} "),
            TextColumn("{task.fields[rate]:,.0f} reviews/s"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self._console,
            transient=True,  # the lines stay
            disable=not self._console.is_terminal,
        )
        self._start = time.perf_counter()
        self._task = self._bar.add_task(
            "", total=epochs * examples, epoch=1, loss=0.0, accuracy=0.0, rate=0.0
        )

    def __enter__(self) -> Self:
        self._console.print("         training          validation", highlight=False)
        self._console.print("epoch    loss   accuracy   loss   accuracy", highlight=False)
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, epoch: int, seen: int, loss: float, accuracy: float) -> None:
        """Moves the bar."""
        done = (epoch - 1) * self._examples + seen
        self._bar.update(
            self._task,
            completed=done,
            epoch=f"{epoch}/{self._epochs}",
            loss=loss,
            accuracy=accuracy,
            rate=done / (time.perf_counter() - self._start),
        )

    def epoch(self, record: Epoch, best: bool) -> None:
        """Prints a line."""
        self._console.print(
            f"{record.epoch:5}   {record.train_loss:.3f}      {record.train_accuracy:.3f}  "
            f"{record.validation_loss:.3f}      {record.validation_accuracy:.3f}"
            f"{'  the best so far' if best else ''}",
            highlight=False,
        )
