"""Tasks and their settings: which values may be, and what the registry lists."""

import dataclasses
import math
from dataclasses import dataclass

import pytest

from minigrad.models.tasks.registry import TASKS, find_task
from minigrad.models.training.example import FirstNumber, FirstNumberSettings
from minigrad.models.training.task import Metric, Settings, Task, options_of, setting


@dataclass(frozen=True)
class More(Settings):
    """Some of each kind."""

    share: float = setting(0.5, "A share.", least=0, most=1)
    way: str = setting("left", "Where to go.", choices=("left", "right"))
    quick: bool = setting(False, "Whether it is quick.")
    plain: str = "any"
    hidden: int = 16


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("cell", "lstn", ValueError, "unknown cell 'lstn'; there are rnn, lstm, gru"),
        ("cell", None, TypeError, "cell is of type str; got NoneType None"),
        ("way", "up", ValueError, "unknown way 'up'; there are left, right"),
        ("hidden", 0, ValueError, "hidden is an integer from 1 to 4096; got 0"),
        ("hidden", 2.0, TypeError, "hidden is of type int; got float 2.0"),
        ("hidden", True, TypeError, "hidden is of type int; got bool True"),
        ("lr", 0, ValueError, "lr is a number above 0; got 0"),
        ("lr", math.nan, ValueError, "lr is a number above 0; got nan"),
        ("lr", math.inf, ValueError, "lr is a number above 0; got inf"),
        ("max_norm", -1.0, ValueError, "max_norm is a number above 0; got -1.0"),
        ("share", 1.01, ValueError, "share is a number from 0 to 1; got 1.01"),
        ("share", "half", TypeError, "share is of type float; got str 'half'"),
        ("quick", 1, TypeError, "quick is of type bool; got int 1"),
        ("plain", 3, TypeError, "plain is of type str; got int 3"),
        ("seed", -1, ValueError, "seed is an integer from 0; got -1"),
    ],
)
def test_values_that_make_no_sense(name, value, error, said):
    with pytest.raises(error, match=f"^{said}$"):
        More(**{name: value})


def test_a_changed_default_keeps_what_is_known():
    options = options_of(More)
    assert list(options)[:9] == [field.name for field in dataclasses.fields(Settings)]
    assert options["hidden"] == options_of(Settings)["hidden"]._replace(default=16)
    assert options["plain"].help == ""
    assert More(share=1, lr=1).share == 1  # an integer is a number


def test_settings_of_another_task():
    with pytest.raises(TypeError, match="first-number takes FirstNumberSettings; got Settings"):
        FirstNumber(Settings())
    assert FirstNumber().settings == FirstNumberSettings()


def test_a_metric():
    higher, lower = Metric("accuracy", "higher"), Metric("error", "lower")
    assert higher.is_better(1.0, than=0.0) and lower.is_better(0.0, than=1.0)
    for metric in (higher, lower):
        assert not metric.is_better(0.5, than=0.5) and not metric.is_better(math.nan, than=0.5)
        assert metric.is_better(-1e300, than=metric.worst)


def test_extras_and_states_of_others_are_refused():
    task = FirstNumber()
    task.use(task.extras())
    task.load_state_dict(task.state_dict())
    with pytest.raises(ValueError, match="first-number has no extras; got vocabulary"):
        task.use({"vocabulary": []})
    with pytest.raises(ValueError, match="first-number keeps nothing; got h"):
        task.load_state_dict({"h": 1})


@pytest.mark.parametrize("name", TASKS)
def test_what_the_registry_lists(name):
    """Each has all that the command line and saved runs need, and defaults that are allowed."""
    task = find_task(name)
    assert issubclass(task, Task) and task.name == name and task.title
    assert task().settings == task.Settings()
    assert all(option.help for option in options_of(task.Settings).values()), (
        "the command line shows the help of each setting"
    )
