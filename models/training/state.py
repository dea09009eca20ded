"""The state of a training: what callbacks look at, and what a checkpoint keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import minigrad as mg
from minigrad.engine.rng import generator, generator_at
from minigrad.utils.rich import curves, shown_text

from .task import Task

__all__ = ["Best", "Epoch", "Training"]

NORMS = 5  # of the gradients of the last steps that are kept


@dataclass(frozen=True)
class Epoch:
    """The figures of one pass over the training examples.

    `train_loss` is the mean over the epoch, with dropout, while the model learns; `validation` is
    what `Task.evaluate` gives; `seconds` is the time of both, `step_seconds` that of one step.
    """

    epoch: int
    train_loss: float
    validation: dict[str, float]
    seconds: float
    step_seconds: float


class Best(NamedTuple):
    """The best epoch so far: its number (0: none yet), its value of the metric, its weights."""

    epoch: int
    value: float
    weights: Mapping[str, Any]


class Training:
    """A training in progress or done, of one task with one model.

    Attributes
    ----------
    task, model, optimizer, schedule : what is trained, and how.
    history : the finished epochs, a list of `Epoch`.
    step : how many batches of the current epoch are done.
    best : the best epoch so far, a `Best`.
    stopped : why no more epochs follow, a sentence; empty while they do. A callback may set it in
        its `epoch`.
    norms : the norms of the gradients in the last steps, before clipping.
    seconds, step_seconds : the time so far, in all and without the evaluations.
    notice : a remark for the user, or empty.
    resumed : whether it goes on from a checkpoint.
    whole : false within a step, while some weights are new and others old.

    `minigrad.models.training.loop.fit` makes one, and returns it.

    >>> from minigrad.models.training.example import FirstNumber
    >>> training = Training(FirstNumber())
    >>> training.epoch, training.step, training.steps_in_all
    (1, 0, 90)
    """

    def __init__(self, task: Task) -> None:
        settings = task.settings
        mg.manual_seed(settings.seed)
        self.task = task
        self.model = task.model()
        self.optimizer = task.optimizer(self.model)
        self.steps_in_all = settings.epochs * task.steps()
        self.schedule = task.schedule(self.optimizer, self.steps_in_all)
        self.history: list[Epoch] = []
        self.step = 0
        self.best = Best(0, task.metric.worst, self.model.state_dict())
        self.stopped = ""
        self.norms: list[float] = []
        self.seconds = self.step_seconds = 0.0
        self.resumed = False
        self.whole = True
        self.notice = ""
        self._mean = RunningMean()

    @property
    def epoch(self) -> int:
        """The number of the epoch in progress, from 1; after the last one, one more."""
        return len(self.history) + 1

    @property
    def steps_done(self) -> int:
        """How many batches are done in all."""
        return len(self.history) * self.task.steps() + self.step

    @property
    def finished(self) -> bool:
        """Whether no more epochs follow."""
        return self.epoch > self.task.settings.epochs or bool(self.stopped)

    @property
    def items(self) -> int:
        """How many items this epoch has seen: examples, or what `Task.loss` counts."""
        return self._mean.items

    @property
    def loss(self) -> float:
        """The mean loss of this epoch so far; NaN before its first step."""
        return self._mean.value

    def add(self, cost: mg.Tensor, items: int) -> None:
        """A step is done, with this mean loss over this many items."""
        self.step += 1
        self._mean.add(cost, items)

    def end_epoch(self, validation: Mapping[str, float]) -> Epoch:
        """An epoch is done: its record joins the history, and maybe is the best."""
        metric = self.task.metric
        missing = {"loss", metric.name} - validation.keys()
        if missing:
            raise ValueError(
                f"evaluate of the task {self.task.name} must give loss and {metric.name}; "
                f"{', '.join(sorted(missing))} is missing"
            )
        figures = {name: float(value) for name, value in validation.items()}
        seconds = self.seconds - sum(record.seconds for record in self.history)
        steps = self.task.steps()
        before = sum(record.step_seconds for record in self.history) * steps
        record = Epoch(
            self.epoch, self.loss, figures, seconds, (self.step_seconds - before) / steps
        )
        best, value = self.best, figures[metric.name]
        if metric.is_better(value, than=best.value):
            best = Best(record.epoch, value, self.model.state_dict())
        after = best, [*self.history, record], 0, RunningMean()
        self.best, self.history, self.step, self._mean = after  # Ctrl-C finds all of it, or none
        return record

    def __repr__(self) -> str:
        metric = self.task.metric
        said = f"best {metric.name} {metric.print(self.best.value)}" if self.history else "no epoch"
        return (
            f"<training of {self.task.name}, {self.task.settings.cell}: {len(self.history)} of "
            f"{self.task.settings.epochs} epochs, {said}>"
        )

    def _repr_html_(self) -> str:
        """The losses and the metric by epoch, as curves."""
        name = self.task.metric.name
        losses = {
            "training loss": [record.train_loss for record in self.history],
            "validation loss": [record.validation["loss"] for record in self.history],
        }
        pictures = [curves(losses, "loss by epoch")]
        if name != "loss":
            values = [record.validation[name] for record in self.history]
            pictures.append(curves({name: values}, f"{name} in validation, by epoch"))
        return shown_text(repr(self)) + "".join(pictures)

    def finish(self) -> None:
        """Leave the model as it was after its best epoch, in evaluation mode."""
        self.model.load_state_dict(self.best.weights)
        self.model.eval()

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the training depends on, and its figures: what `mg.save` takes."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "task": self.task.state_dict(),
            "generator": generator().bit_generator.state,
            "history": [dataclasses.asdict(record) for record in self.history],
            "step": self.step,
            "mean": self._mean.state_dict(),
            "best": {**self.best._asdict(), "weights": dict(self.best.weights)},
            "stopped": self.stopped,
            "norms": list(self.norms),
            "seconds": self.seconds,
            "step_seconds": self.step_seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict()` was taken, of a training of the same settings.

        Raises ValueError if it doesn't fit.
        """
        try:
            history = [Epoch(**record) for record in state["history"]]
            if not 0 <= state["step"] <= self.task.steps():
                raise ValueError(f"an epoch has {self.task.steps()} steps, not {state['step']}")
            if not len(history) <= self.task.settings.epochs:
                raise ValueError(f"{len(history)} epochs are more than there are")
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.task.load_state_dict(state["task"])
            generator().bit_generator.state = generator_at(state["generator"]).bit_generator.state
            self.history = history
            self.step = state["step"]
            self._mean = RunningMean(**state["mean"])
            self.best = Best(**state["best"])
            self.stopped = state["stopped"]
            self.norms = list(state["norms"])
            self.seconds, self.step_seconds = state["seconds"], state["step_seconds"]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no state of such a training: {error!r}") from error
        self.resumed = True


class RunningMean:
    """The mean loss over the items so far.

    The losses stay on their device until the mean is read, so the next batch needn't wait.
    """

    def __init__(self, total: float = 0.0, items: int = 0) -> None:
        self._total, self.items = total, items
        self._unread: list[tuple[mg.Tensor, int]] = []

    def add(self, cost: mg.Tensor, items: int) -> None:
        """A batch: its mean loss, and over how many items it is."""
        self.items += items
        self._unread.append((cost.detach(), items))

    @property
    def value(self) -> float:
        """The mean; NaN if there are no items."""
        return self._read() / self.items if self.items else float("nan")

    def _read(self) -> float:
        if self._unread:
            costs, counts = zip(*self._unread, strict=True)
            self._unread.clear()
            for cost, items in zip(mg.stack(costs).tolist(), counts, strict=True):
                self._total += cost * items  # one by one: the sum hangs on no reading in between
        return self._total

    def state_dict(self) -> dict[str, Any]:
        """What `RunningMean(...)` takes to go on."""
        return {"total": self._read(), "items": self.items}
