"""`minigrad bench memory`: the table, the lines, the file, and wrong use."""

import json

import pytest
from click.testing import CliRunner

from minigrad.models.commands import main
from minigrad.models.reports import longest_lag
from minigrad.models.reports.longest_lag import LongestLags, Trial


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["bench", "memory", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def trial(contender, seed, lag, solved):
    return Trial(contender, seed, lag, solved, 0.01 if solved else 1.25, 200, 3.0)


def test_the_table(monkeypatch):
    settings = {"epochs": 12, "batches": 100, "batch_size": 32, "hidden": 32, "lr": 8e-3}
    trials = [trial("rnn", 0, 5, True), trial("rnn", 0, 10, False), trial("rnn", 1, 5, False)]
    trials += [trial("gru", seed, lag, True) for seed in (0, 1) for lag in (5, 10)]
    found = LongestLags("first", settings, 0.05, [5, 10], ["rnn", "gru"], [0, 1], trials)
    monkeypatch.setattr(longest_lag, "longest_lags", lambda *_, **__: found)
    lines = [line.split() for line in run("first").stdout.splitlines()]
    assert "within 1200 steps of 32" in run("first").stdout
    assert ["rnn", "2.5", "5,", "none"] in lines
    assert ["gru", "10+", "10+,", "10+"] in lines
    assert "(10+: learned, and longer ones were not tried)" in run("first").stdout


def test_a_real_one(tmp_path):
    file = tmp_path / "lags.json"
    options = ["--seeds", 1, "--shortest", 2, "--limit", 3, "--set", "batches=2", "--set"]
    options += ["epochs=1", "--set", "hidden=4", "--json", file]
    result = run("first", "--cells", "rnn,gru:usual:lr=0.5", *options)
    assert [line.split()[:5] for line in result.stderr.splitlines()] == [
        ["rnn", "seed", "0", "lag", "2"],
        ["gru:usual:lr=0.5", "seed", "0", "lag", "2"],
    ]
    assert "failed" in result.stderr and "none" in result.stdout
    found = json.loads(file.read_text())
    assert found["longest"] == {"rnn": [0], "gru:usual:lr=0.5": [0]}
    assert found["settings"]["hidden"] == 4 and found["trials"][0]["steps"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reviews"], "'reviews' has no lag; the tasks are first, adding, copy"),
        (["first", "--cells", "mgu3"], "unknown cell 'mgu3'"),
        (["first", "--cells", ","], "a contender and a seed"),
        (["first", "--set", "hidden"], "write NAME=VALUE; got 'hidden'"),
        (["first", "--set", "lr=0"], "lr is a number above 0"),
        (["first", "--shortest", 9, "--limit", 5], "lags from 9 to 5"),
    ],
)
def test_wrong_use(arguments, message):
    assert message in run(*arguments, code=2).stderr
