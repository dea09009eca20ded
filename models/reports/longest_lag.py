"""The longest lag that a cell learns: what gates are for, as a figure."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..tasks.memory_task import MemoryTask
from ..tasks.registry import TASKS, find_task
from ..training.callbacks import Callback
from ..training.loop import fit
from ..training.state import Epoch, Training
from ..training.task import Settings, options_of

__all__ = ["Contender", "LongestLags", "Trial", "longest_lags", "memory_tasks"]

_OURS = {"cell", "seed", "lag"}  # settings that the search itself chooses


def memory_tasks() -> list[str]:
    """The names of the tasks that have a lag.

    >>> memory_tasks()
    ['first', 'adding', 'copy']
    """
    return [name for name in TASKS if issubclass(find_task(name), MemoryTask)]


def setting_of(kind: type[Settings], name: str, value: Any) -> Any:
    """The value of a setting, which may be given as a text. Raises ValueError for another name.

    >>> from minigrad.models.tasks.memory_task import MemorySettings
    >>> setting_of(MemorySettings, "hidden", "64"), setting_of(MemorySettings, "lr", 0.1)
    (64, 0.1)
    """
    known = options_of(kind)
    if name not in known or name in _OURS:
        names = ", ".join(sorted(known.keys() - _OURS))
        raise ValueError(f"no setting {name!r:.40}; there are {names}")
    if not isinstance(value, str):
        return value
    try:
        return known[name].kind(value)
    except ValueError:
        raise ValueError(
            f"{name} is of type {known[name].kind.__name__}; got {value!r:.40}"
        ) from None


@dataclass(frozen=True)
class Contender:
    """A cell, and settings in which it differs from the others, as texts.

    >>> Contender.parse("rnn:orthogonal:hidden=128")
    Contender(cell='rnn', own=(('start', 'orthogonal'), ('hidden', '128')))
    >>> str(Contender.parse("rnn:start=usual")), str(Contender.parse("gru"))
    ('rnn:usual', 'gru')
    """

    cell: str
    own: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Contender:
        """Of "cell", then ":name=value" for each setting; ":value" is how its weights begin."""
        cell, *parts = (part.strip() for part in text.split(":"))
        pairs = [part.rpartition("=") for part in parts]
        return cls(cell, tuple((name.strip() or "start", value) for name, _, value in pairs))

    def __str__(self) -> str:
        own = (value if name == "start" else f"{name}={value}" for name, value in self.own)
        return ":".join([self.cell, *own])

    def settings(self, kind: type[Settings], common: dict[str, Any]) -> dict[str, Any]:
        """What it is trained with. Raises ValueError for a setting or a value that there is not."""
        own = {name: setting_of(kind, name, text) for name, text in self.own}
        return {**common, **own, "cell": self.cell}


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes
    ----------
    contender, seed, lag : what was trained.
    solved : whether the loss on the validation examples fell below the task's `solved`.
    loss : the lowest on them; NaN if the training broke off because it was no number.
    steps, seconds : how long it took until then, or in all.
    """

    contender: str
    seed: int
    lag: int
    solved: bool
    loss: float
    steps: int
    seconds: float


@dataclass(frozen=True)
class LongestLags:
    """The results.

    Attributes
    ----------
    task, settings : what was trained, and the settings where contenders don't differ.
    threshold : below which loss a lag counts as learned.
    lags : those that were tried, each twice the one before.
    contenders, seeds : of these, all with all.
    trials : all trainings, in order.
    """

    task: str
    settings: dict[str, Any]
    threshold: float
    lags: list[int]
    contenders: list[str]
    seeds: list[int]
    trials: list[Trial]

    def longest(self, contender: str) -> list[int]:
        """By seed, the longest lag up to which all were learned; 0: not even the shortest."""
        solved = [trial for trial in self.trials if trial.contender == contender and trial.solved]
        return [max([0, *(t.lag for t in solved if t.seed == seed)]) for seed in self.seeds]

    def median(self, contender: str) -> float:
        """The median of `longest`."""
        return statistics.median(self.longest(contender))

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON; a loss that was no number is None."""
        trials = [dataclasses.asdict(trial) for trial in self.trials]
        for trial in trials:
            trial["loss"] = trial["loss"] if math.isfinite(trial["loss"]) else None
        longest = {name: self.longest(name) for name in self.contenders}
        return {**dataclasses.asdict(self), "trials": trials, "longest": longest}


def longest_lags(
    task: str,
    contenders: Sequence[str],
    seeds: Sequence[int] = (0, 1, 2),
    *,
    shortest: int = 5,
    limit: int = 160,
    tell: Callable[[Trial], None] | None = None,
    each_step: Callable[[str, int, int, Training], None] | None = None,
    **settings: Any,
) -> LongestLags:
    """Double the lag for as long as a cell learns it, for each contender and seed.

    Each training has the same number of steps at most, and ends earlier when the lag is learned:
    when the loss on the validation examples is below the task's `solved`.

    Parameters
    ----------
    task : "first", "adding" or "copy".
    contenders : names of cells, and behind colons what is theirs alone: how their weights begin,
        and other settings: "rnn", "lstm:usual", "rnn:orthogonal:hidden=128:lr=0.001".
    seeds : of the weights and of the training examples.
    shortest, limit : the first lag, and the largest that is tried.
    tell : called with each `Trial` when it is done.
    each_step : called after each step with the contender, the seed, the lag and the `Training`.
    settings : of all contenders, in place of the task's defaults: `hidden`, `lr`, `epochs`, ...;
        a text is read as the setting's type.

    Raises ValueError for a task without a lag, contenders or settings that there are not.

    >>> found = longest_lags("first", ["gru"], [0], shortest=2, limit=4, hidden=16, lr=0.03)
    >>> found.longest("gru"), found.lags
    ([4], [2, 4])
    """
    if task not in memory_tasks():
        raise ValueError(f"{task!r:.40} has no lag; the tasks are {', '.join(memory_tasks())}")
    if not 2 <= shortest <= limit:
        raise ValueError(f"lags from {shortest} to {limit}: they must be at least 2 and rise")
    cls: Any = find_task(task)
    chosen = list(dict.fromkeys(map(Contender.parse, contenders)))
    if not chosen or not seeds:
        raise ValueError("there must be a contender and a seed at least")
    common = {name: o.default for name, o in options_of(cls.Settings).items()}
    common |= {name: setting_of(cls.Settings, name, value) for name, value in settings.items()}
    common = {name: value for name, value in common.items() if name not in _OURS}
    made = [
        (str(c), cls.Settings(**c.settings(cls.Settings, common), seed=seed, lag=limit))
        for c in chosen
        for seed in seeds
    ]  # all of them now: a wrong one is an error before the first training
    lags = list(_doubled(shortest, limit))
    trials = []
    for name, one in made:
        for lag in lags:
            trial = _try(cls(dataclasses.replace(one, lag=lag)), name, each_step)
            trials.append(trial)
            if tell is not None:
                tell(trial)
            if not trial.solved:
                break
    names = list(map(str, chosen))
    return LongestLags(task, common, cls.solved, lags, names, list(seeds), trials)


def _try(task: MemoryTask, name: str, each_step: Any) -> Trial:
    settings = task.settings
    stop = _UntilSolved(task.solved, lambda training: None)
    if each_step is not None:
        stop.each = lambda training: each_step(name, settings.seed, settings.lag, training)
    try:
        training = fit(task, callbacks=[stop])
    except FloatingPointError as error:
        broken: Training = error.training  # type: ignore[attr-defined]
        given = broken.steps_done, broken.seconds
        return Trial(name, settings.seed, settings.lag, False, math.nan, *given)
    loss, given = training.best.value, (training.steps_done, training.seconds)
    return Trial(name, settings.seed, settings.lag, loss < task.solved, loss, *given)


class _UntilSolved(Callback):
    """Ends a training when the loss is below a threshold."""

    def __init__(self, threshold: float, each: Callable[[Training], None]) -> None:
        self.threshold, self.each = threshold, each

    def step(self, training: Training) -> None:
        self.each(training)

    def epoch(self, training: Training, record: Epoch) -> None:
        if record.validation["loss"] < self.threshold:
            training.stopped = f"the loss is below {self.threshold}"


def _doubled(shortest: int, limit: int) -> Iterator[int]:
    while shortest <= limit:
        yield shortest
        shortest *= 2
