"""The progress of a training in a notebook: a bar and the curves so far, in the cell's output."""

from __future__ import annotations

import html
import sys
import time
from typing import TYPE_CHECKING, Any

from .callbacks import Callback

if TYPE_CHECKING:
    from .state import Training

__all__ = ["PROGRESS", "NotebookProgress", "notebook_kernel"]

# The type under which progress lies among a cell's outputs, for those who leave it out.
PROGRESS = "application/vnd.minigrad.progress+json"

FIRST, EVERY = 0.5, 0.3  # seconds until something is shown, and between two changes


def notebook_kernel() -> Any:
    """The kernel of the notebook that this runs in, or None."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None)


class NotebookProgress(Callback):
    """Shows how far a training is, if it takes longer than a moment; `fit` has one in a notebook.

    While it runs there are a bar and the curves of the epochs so far; at the end, one line.
    Trainings of one cell share one place: a table of thirty of them doesn't fill the page.
    """

    def begin(self, training: Training) -> None:
        """Notes the time."""
        self._shown = time.perf_counter() + FIRST - EVERY
        self._begun = False

    def step(self, training: Training) -> None:
        """Moves the bar."""
        now = time.perf_counter()
        if now - self._shown >= EVERY:
            self._shown, self._begun = now, True
            done, loss = training.steps_done / training.steps_in_all, training.loss
            state = f"epoch {training.epoch} of {training.task.settings.epochs}, loss {loss:.3f}"
            curves = training._repr_html_() if training.history else ""
            self._show(training, done, state, curves)

    def end(self, training: Training) -> None:
        """Leaves one line."""
        if self._begun:
            metric, best = training.task.metric, training.best
            state = (
                f"{len(training.history)} epochs in {training.seconds:.0f} s, best "
                f"{metric.name} {metric.print(best.value)} in epoch {best.epoch}"
            )
            self._show(training, 1.0, state, "")

    def _show(self, training: Training, done: float, state: str, below: str) -> None:
        task = training.task
        said = f"{task.settings.cell.upper()} on {task.title}: {state}"
        bar = (
            f"<progress value='{done:.3f}' max='1' style='width:12em' aria-label='training'>"
            f"{done:.0%}</progress> {html.escape(said)}{below}"
        )
        data = {PROGRESS: {"done": done}, "text/html": bar, "text/plain": said}
        _place_of_cell(data)


_last: tuple[Any, Any] | None = None  # the cell that runs, and its place for progress


def _place_of_cell(data: dict[str, Any]) -> None:
    """Show it in the one place that a cell has for it."""
    from IPython.display import DisplayHandle

    global _last
    kernel = notebook_kernel()
    cell = kernel.get_parent("shell").get("header", {}).get("msg_id")
    if _last is None or _last[0] != cell:
        _last = cell, DisplayHandle()
        _last[1].display(data, raw=True)
    else:
        _last[1].update(data, raw=True)
