"""The progress of trainings and reports, on standard error: a bar on a terminal, and lines."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..training.train import Callback, Epoch, RunningMetrics


class TrainingProgress(Callback):
    """Shows loss, accuracy, rate and time left; other output within it works as usual.

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
        self._shown = 0.0  # when it last moved
        self._task = self._bar.add_task(
            "", total=epochs * examples, epoch=1, loss=0.0, accuracy=0.0, rate=0.0
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begin(self, notice: str) -> None:
        """Prints the notice, and the head of the lines."""
        head = "         training          validation\nepoch    loss   accuracy   loss   accuracy"
        self._console.print(f"{notice}\n{head}" if notice else head, highlight=False)

    def step(self, epoch: int, metrics: RunningMetrics) -> None:
        """Moves the bar, if any; at most ten times a second, since it waits for the device."""
        now = time.perf_counter()
        if self._bar.disable or now - self._shown < 0.1:
            return
        self._shown = now
        done = (epoch - 1) * self._examples + metrics.seen
        self._bar.update(
            self._task,
            completed=done,
            epoch=f"{epoch}/{self._epochs}",
            loss=metrics.loss,
            accuracy=metrics.accuracy,
            rate=done / (now - self._start),
        )

    def epoch(self, record: Epoch, best: bool) -> None:
        """Prints a line."""
        self._console.print(
            f"{record.epoch:5}   {record.train_loss:.3f}      {record.train_accuracy:.3f}  "
            f"{record.validation_loss:.3f}      {record.validation_accuracy:.3f}"
            f"{'  the best so far' if best else ''}",
            highlight=False,
        )


class PartsProgress:
    """Shows which of several parts runs, and how far it is; called with both."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description:12}"),
            BarColumn(bar_width=16),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, part: str, done: int, total: int) -> None:
        """Moves the bar, and says where there is none when a part begins."""
        self._bar.update(self._task, description=part, completed=done, total=total)
        if self._bar.disable and not done and total == 1:
            self._console.print(f"{part} ...", highlight=False)
