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

from ..training.callbacks import Callback
from ..training.loop import shown
from ..training.state import Epoch, Training

SHOW_EVERY = 30.0  # seconds between two looks at what the model does, besides those of each epoch


class TrainingProgress(Callback):
    """Shows loss, rate and time left, the figures of each epoch, and what the task shows.

    Other output within it works as usual.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=16),
            TextColumn("loss {task.fields[loss]:.3f} "),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self._console,
            transient=True,  # the lines stay
            disable=not self._console.is_terminal,
        )
        self._moved = self._showed = 0.0  # when the bar moved, and when something was shown

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

    def begin(self, training: Training) -> None:
        """Prints the notice, what was done before, and the head of the lines."""
        for line in (training.notice, training.task.about()):
            if line:
                self._print(line)
        if training.resumed and training.finished:
            self._print("all epochs are done: what is left is the test")
        elif training.resumed:
            of = training.task.steps()
            self._print(f"going on in epoch {training.epoch}, after {training.step} of {of} steps")
        self._row = self._bar.add_task(
            "", total=training.steps_in_all, epoch=training.epoch, loss=0.0, rate=0.0
        )
        self._showed = time.perf_counter()
        self._begun, self._seen, self._items = training.step_seconds, 0, training.items
        self._headed = False

    def step(self, training: Training) -> None:
        """Moves the bar, if any; at most ten times a second, since it waits for the device."""
        now = time.perf_counter()
        self._seen += training.items - self._items
        self._items = training.items
        if now - self._showed > SHOW_EVERY:
            self._show(training)
        if self._bar.disable or now - self._moved < 0.1:
            return
        self._moved = now
        self._bar.update(
            self._row,
            completed=training.steps_done,
            epoch=f"{training.epoch}/{training.task.settings.epochs}",
            loss=training.loss,
            rate=self._seen / (training.step_seconds - self._begun),
        )

    def epoch(self, training: Training, record: Epoch) -> None:
        """Prints a line."""
        self._items = 0
        metric = training.task.metric
        names = [name for name in record.validation if name != "loss"]
        widths = {name: max(len(name), 8) for name in names}
        if not self._headed:
            self._headed = True
            heads = "".join(f"  {name:>{widths[name]}}" for name in names)
            self._print(f"         training  validation\nepoch        loss        loss{heads}")
        figures = "".join(
            f"  {metric.print(v) if name == metric.name else f'{v:.3f}':>{widths[name]}}"
            for name, v in record.validation.items()
            if name != "loss"
        )
        best = "  the best so far" if training.best.epoch == record.epoch else ""
        self._print(
            f"{record.epoch:5}{record.train_loss:12.3f}{record.validation['loss']:12.3f}"
            f"{figures}{best}"
        )
        self._show(training)

    def end(self, training: Training) -> None:
        """Says why it ended, if early."""
        if training.stopped:
            self._print(f"ended after {len(training.history)} epochs: {training.stopped}")

    def _show(self, training: Training) -> None:
        text = shown(training.task, training.model)
        for line in text.splitlines():
            self._print(f"  {line}")
        self._showed = time.perf_counter()

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)


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
        self._part = ""

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
        if self._bar.disable and part != self._part:
            self._console.print(f"{part} ...", highlight=False)
        self._part = part
