"""The longest lag that a cell learns: the search, what it is given, and one real training."""

import json
import math
from types import SimpleNamespace

import pytest

import minigrad as mg
from minigrad.models.reports import longest_lag
from minigrad.models.reports.longest_lag import Contender, longest_lags


@pytest.fixture
def learns(monkeypatch):
    """Trainings that are pretended: a function of the settings gives the loss they end with."""

    def pretend(loss):
        asked = []

        def fit(task, callbacks):
            settings = task.settings
            asked.append(settings)
            found = SimpleNamespace(steps_done=7, seconds=0.5, stopped="", steps_in_all=9)
            for callback in callbacks:
                callback.step(found)
            value = loss(settings)
            if math.isnan(value):
                error = FloatingPointError("the loss became nan")
                error.training = found
                raise error
            found.best = SimpleNamespace(value=value)
            return found

        monkeypatch.setattr(longest_lag, "fit", fit)
        return asked

    return pretend


def test_lags_are_doubled_until_one_fails(learns):
    reach = {("rnn", 0): 0, ("rnn", 1): 6, ("lstm", 0): 24, ("lstm", 1): 12}
    asked = learns(lambda s: 0.01 if s.lag <= reach[s.cell, s.seed] else 1.5)
    told = []
    names = ["rnn", "lstm"]
    found = longest_lags("first", names, [0, 1], shortest=3, limit=25, tell=told.append)
    assert found.lags == [3, 6, 12, 24]
    assert found.longest("rnn") == [0, 6] and found.median("rnn") == 3
    assert found.longest("lstm") == [24, 12] and found.median("lstm") == 18
    lags = {}
    for settings in asked:
        lags.setdefault((settings.cell, settings.seed), []).append(settings.lag)
    assert lags == {
        ("rnn", 0): [3],
        ("rnn", 1): [3, 6, 12],
        ("lstm", 0): [3, 6, 12, 24],
        ("lstm", 1): [3, 6, 12, 24],
    }
    assert told == found.trials and len(told) == len(asked)
    assert {trial.solved for trial in told if trial.loss > found.threshold} == {False}


def test_a_gap_ends_the_search(learns):
    learns(lambda s: 1.5 if s.lag == 6 else 0.01)
    found = longest_lags("copy", ["gru"], [0], shortest=3, limit=24)
    assert found.longest("gru") == [3]


def test_a_loss_that_is_no_number_is_no_success(learns):
    learns(lambda s: math.nan if s.lag > 5 else 0.001)
    found = longest_lags("adding", ["rnn:identity"], [4], shortest=5, limit=10)
    assert found.longest("rnn:identity") == [5] and found.seeds == [4]
    as_json = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert as_json["longest"] == {"rnn:identity": [5]}
    assert [trial["loss"] for trial in as_json["trials"]] == [0.001, None]
    assert as_json["threshold"] == 0.01


def test_settings_of_all_and_of_one(learns):
    asked = learns(lambda s: 1.0)
    steps = []
    found = longest_lags(
        "first",
        ["lstm", "rnn:orthogonal:hidden=128:lr=1e-3", "lstm"],
        [0],
        each_step=lambda *given: steps.append(given[:3]),
        hidden="16",
        epochs=3,
    )
    lstm, rnn = asked
    assert (lstm.cell, lstm.start, lstm.hidden, lstm.epochs) == ("lstm", "memory", 16, 3)
    assert (rnn.cell, rnn.start, rnn.hidden, rnn.lr) == ("rnn", "orthogonal", 128, 1e-3)
    assert found.contenders == ["lstm", "rnn:orthogonal:hidden=128:lr=1e-3"]
    assert found.settings["hidden"] == 16 and "cell" not in found.settings
    assert steps == [("lstm", 0, 5), ("rnn:orthogonal:hidden=128:lr=1e-3", 0, 5)]
    assert str(Contender.parse("rnn: start=usual ")) == "rnn:usual"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "reviews"}, "'reviews' has no lag; the tasks are first, adding, copy"),
        ({"contenders": []}, "a contender and a seed"),
        ({"seeds": []}, "a contender and a seed"),
        ({"contenders": ["lstm", "mgu3"]}, "unknown cell 'mgu3'"),
        ({"contenders": ["lstm", "gru:identity"]}, "start identity is for the cell rnn"),
        ({"contenders": ["rnn:width=3"]}, "no setting 'width'; there are batch_size"),
        ({"contenders": ["rnn:hidden=a"]}, "hidden is of type int; got 'a'"),
        ({"hidden": 0}, "hidden is an integer from 1"),
        ({"lag": 3}, "no setting 'lag'"),
        ({"shortest": 1}, "at least 2"),
        ({"shortest": 20, "limit": 10}, "lags from 20 to 10"),
    ],
)
def test_wrong_use_fails_before_a_training(learns, given, message):
    asked = learns(lambda s: 1.0)
    given = {"task": "first", "contenders": ["rnn"], "seeds": [0], **given}
    with pytest.raises(ValueError, match=message):
        longest_lags(**given)
    assert not asked


def test_a_real_search():
    kind = {"symbols": 4, "hidden": 16, "epochs": 2, "lr": 0.03}
    slow = "gru:lr=1e-5"
    with mg.use_backend("numpy"):
        found = longest_lags("first", ["gru", slow], [0], shortest=4, limit=8, **kind)
    assert found.longest("gru") == [8] and found.longest(slow) == [0]
    *learned, failed = found.trials
    assert [trial.steps for trial in (*learned, failed)] == [100, 100, 200]
    assert max(trial.loss for trial in learned) < found.threshold < failed.loss < 1.5
    assert all(trial.seconds > 0 for trial in found.trials)
