"""What a task is: examples, a model, a loss and a metric. The loop in `loop.py` trains any task.

A new task is a subclass of `Task` in `models/tasks/`, and a line in `models/tasks/registry.py`. The
command line writes the options of `minigrad train NAME` from the fields of its `Settings`.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module

from ..registry import CELLS

__all__ = ["Metric", "Option", "Settings", "Task", "options_of", "setting"]


class Metric(NamedTuple):
    """A measure of how good a model is: its name, which way is better, how a value is printed.

    >>> accuracy, errors = Metric("accuracy", "higher"), Metric("errors", "lower", "{:.1%}")
    >>> accuracy.is_better(0.8, than=0.7), errors.is_better(0.8, than=0.7)
    (True, False)
    >>> errors.print(0.123)
    '12.3%'
    """

    name: str
    better: Literal["higher", "lower"]
    form: str = "{:.3f}"

    def is_better(self, value: float, than: float) -> bool:
        """Whether a value is better than another one; NaN never is."""
        return value > than if self.better == "higher" else value < than

    def print(self, value: float) -> str:
        """A value as it is shown."""
        return self.form.format(value)

    @property
    def worst(self) -> float:
        """What every value is better than."""
        return -math.inf if self.better == "higher" else math.inf


# --- settings --------------------------------------------------------------------------------


class Option(NamedTuple):
    """What is known of a field of `Settings`: its default, its help, and which values it may have.

    `least` and `most` are allowed, `above` is not; None: no such limit. An `argument` is given to
    the command line by its place, not by its name.
    """

    default: Any
    help: str = ""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    argument: bool = False

    @property
    def kind(self) -> type:
        """The type of its values: bool, int, float or str."""
        return type(self.default)

    def check(self, name: str, value: Any) -> None:
        """Raise TypeError or ValueError unless the field `name` may have this value."""
        kinds = (int, float) if self.kind is float else (self.kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and self.kind is not bool):
            raise TypeError(
                f"{name} is of type {self.kind.__name__}; got {type(value).__name__} {value!r:.40}"
            )
        if self.choices and value not in self.choices:
            raise ValueError(f"unknown {name} {value!r:.40}; there are {', '.join(self.choices)}")
        if not isinstance(value, (int, float)) or self.kind is bool:
            return
        low = self.least is None or value >= self.least
        low = low and (self.above is None or value > self.above)
        if not (low and (self.most is None or value <= self.most) and math.isfinite(value)):
            raise ValueError(f"{name} is {self.range}; got {value}")

    @property
    def range(self) -> str:
        """The numbers that are allowed, in words."""
        what = "an integer" if self.kind is int else "a number"
        limits = [
            *([f"above {self.above:g}"] if self.above is not None else []),
            *([f"from {self.least:g}"] if self.least is not None else []),
            *([f"to {self.most:g}"] if self.most is not None else []),
        ]
        return " ".join([what, *limits])


def setting(
    default: Any,
    help: str,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    choices: Sequence[str] = (),
    argument: bool = False,
) -> Any:
    """A field of `Settings` with what the command line and the checks need to know, see `Option`.

    `hidden` becomes `--hidden`; with `argument=True` it is an argument that may be left out.
    A subclass that changes only the default of a field writes just that: `hidden: int = 128`.

    >>> @dataclass(frozen=True)
    ... class TextSettings(Settings):
    ...     length: int = setting(64, "Characters in a piece of text.", least=2, most=4096)
    ...     hidden: int = 128
    >>> TextSettings(length=1)
    Traceback (most recent call last):
        ...
    ValueError: length is an integer from 2 to 4096; got 1
    >>> options_of(TextSettings)["hidden"].help
    'The size of its state.'
    """
    known = Option(default, help, least, most, above, tuple(choices), argument)
    return dataclasses.field(default=default, metadata={"option": known})


@dataclass(frozen=True)
class Settings:
    """Everything that a training depends on besides the data; a task adds fields.

    A field without `setting` may have any value of its type. Raises TypeError or ValueError for a
    value that a field can't have.
    """

    cell: str = setting("lstm", "What to train.", choices=tuple(CELLS))
    hidden: int = setting(64, "The size of its state.", least=1, most=4096)
    layers: int = setting(1, "How many layers lie on each other.", least=1, most=16)
    epochs: int = setting(8, "Passes over the training examples.", least=1, most=10_000)
    batch_size: int = setting(32, "Examples in a batch.", least=1, most=65_536)
    lr: float = setting(3e-3, "The learning rate at the beginning.", above=0)
    max_norm: float = setting(1.0, "The largest norm of the gradients.", above=0)
    patience: int = setting(
        0, "Epochs without a better one that end the training; 0: never.", least=0, most=10_000
    )
    seed: int = setting(0, "Of all random numbers.", least=0)

    def __post_init__(self) -> None:
        for name, option in options_of(type(self)).items():
            option.check(name, getattr(self, name))


def options_of(settings: type[Settings]) -> dict[str, Option]:
    """What is known of each field, by name; a changed default keeps the help of the base class.

    >>> options_of(Settings)["patience"].default
    0
    """
    found = {}
    for field in dataclasses.fields(settings):
        known = Option(field.default)
        for cls in settings.__mro__:
            declared = getattr(cls, "__dataclass_fields__", {}).get(field.name)
            if declared is not None and "option" in declared.metadata:
                known = declared.metadata["option"]._replace(default=field.default)
                break
        found[field.name] = known
    return found


# --- tasks -----------------------------------------------------------------------------------


class Task(ABC):
    """Something to train a model for: the examples, the model, its loss, and how good it is.

    A subclass sets `name` (as on the command line and in saved runs), `title` (in sentences),
    `metric` and, if it adds settings, `Settings`; and it defines the six methods below that have
    no default. The loop calls `load()`, then `model()` after `mg.manual_seed`, then for each epoch
    `batches` and `loss`, and `evaluate` at its end.

    Raises TypeError if the settings are of another class than `Settings`.

    `example.py` in this folder is a whole one.

    >>> from minigrad.models.training.example import FirstNumber
    >>> task = FirstNumber()
    >>> task.name, task.metric.name, task.settings.length, task.settings.cell
    ('first-number', 'error', 5, 'gru')
    """

    name: ClassVar[str]
    title: ClassVar[str]
    metric: ClassVar[Metric]
    Settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: Any = None) -> None:
        settings = self.Settings() if settings is None else settings
        if not isinstance(settings, self.Settings):
            raise TypeError(
                f"the task {self.name} takes {self.Settings.__name__}; got "
                f"{type(settings).__name__}"
            )
        self.settings: Any = settings

    # --- what every task defines

    @abstractmethod
    def load(self) -> None:
        """Fetch or make the examples; the same ones whatever `settings.seed`.

        Raises DataError if they can't be had.
        """

    @abstractmethod
    def model(self) -> Module:
        """A new model with initial weights, drawn from minigrad's generator.

        It is called after `load` or after `use`, and needs no more than either gives.
        """

    @abstractmethod
    def steps(self) -> int:
        """How many batches an epoch has."""

    @abstractmethod
    def batches(self, rng: np.random.Generator) -> Iterator[Any]:
        """The training batches of one epoch, `steps()` of them, in an order drawn from `rng`.

        All randomness of an epoch's data comes from `rng`: a training that goes on after an
        interruption asks for the same batches again and skips those that are done.
        """

    @abstractmethod
    def loss(self, model: Module, batch: Any) -> tuple[Tensor, int]:
        """The mean loss of a batch, a scalar to differentiate, and over how many items it is."""

    @abstractmethod
    def evaluate(self, model: Module, part: str) -> dict[str, float]:
        """The figures of a model on "validation" or "test": at least "loss" and the metric's.

        It is called in evaluation mode, without gradients. It may draw random numbers and change
        what the task keeps (`state_dict`): both are put back for the training.
        """

    # --- what a task may define

    def baselines(self) -> dict[str, float]:
        """The metric of simple rivals on the test examples, by name: what a model has to beat."""
        return {}

    def about(self) -> str:
        """How many examples there are, in a line that is shown before the training."""
        return ""

    def show(self, model: Module) -> str:
        """A few results for a person to read, a line or several; shown while the model trains."""
        return ""

    def answer(self, model: Module, given: str) -> str:
        """What a saved model answers to new input, for `minigrad predict`; needs no examples.

        `given` is what the user wrote: a text, or the name of a file. The model is in evaluation
        mode. Raises ValueError if the task has no answers, DataError for input of another form.
        """
        raise ValueError(f"a model of {self.title} has no answers to new input")

    def extras(self) -> dict[str, Any]:
        """What `model()` needs besides the settings, as JSON: a vocabulary, scales ..."""
        return {}

    def use(self, extras: Mapping[str, Any]) -> None:
        """Take what `extras()` gave, in place of `load()`: then `model()` works without data.

        Raises ValueError if they are no extras of this task.
        """
        if extras:
            raise ValueError(f"the task {self.name} has no extras; got {', '.join(extras)}")

    def optimizer(self, model: Module) -> mg.optim.Optimizer:
        """The optimiser: Adam with the rate `lr`."""
        return mg.optim.Adam(model.parameters(), lr=self.settings.lr)

    def schedule(self, optimizer: mg.optim.Optimizer, steps: int) -> mg.optim.Schedule:
        """How the rate goes over all steps of the training: along half a cosine to 0."""
        return mg.optim.CosineAnnealingLR(optimizer, T_max=steps)

    def state_dict(self) -> dict[str, Any]:
        """What `loss` keeps from one batch for the next, as the state within a text: for `mg.save`.

        `batches` begins an epoch without it. Most tasks keep nothing.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict()` was taken."""
        if state:
            raise ValueError(f"the task {self.name} keeps nothing; got {', '.join(state)}")
