"""`minigrad train` with several cells or seeds: one table, finished trainings are not repeated."""

import json
import re
import shlex

import numpy as np
import pytest
from command_line import QUICK, minigrad, same_runs

from minigrad.models.tasks.registry import load_run
from minigrad.models.tasks.review_task import Reviews

pytestmark = pytest.mark.usefixtures("easy_reviews")


def test_cells_and_seeds_in_one_table(tmp_path, signalled):
    arguments = ("train", "reviews", "--cell", "rnn,gru", "--seeds", 2, *QUICK)
    printed = minigrad(*arguments, "--out", tmp_path / "a")
    table = printed.stdout
    assert re.search(
        r"^cell +accuracy +spread +from +to +parameters +ms per step +seconds$", table, re.M
    )
    for cell in ("rnn", "gru"):
        runs = [load_run(tmp_path / "a" / f"{cell}-{seed}") for seed in (0, 1)]
        mean = np.mean([run.metrics["test"]["accuracy"] for run in runs])
        assert re.search(rf"^{cell} +{mean:.3f} ", table, re.M)
        assert [run.task.settings.seed for run in runs] == [0, 1]
    assert re.search("^naive Bayes +[01]", table, re.M)
    assert "the spread of" in table
    assert "training 4 of 4" in printed.stderr

    signalled("SIGTERM", 3)
    printed = minigrad(*arguments, "--out", tmp_path / "b", code=143)
    (line,) = re.findall("to go on: minigrad (.*)", printed.stderr)
    signalled("SIGTERM", -1)
    printed = minigrad(*shlex.split(line), "--json")
    found = json.loads(printed.stdout)
    assert "going on in epoch 2, after 1 of 2 steps" in printed.stderr
    assert [row["cell"] for row in found["rows"]] and len(found["runs"]) == 4
    for place in ("rnn-0", "rnn-1", "gru-0", "gru-1"):
        assert same_runs(tmp_path / "a" / place, tmp_path / "b" / place)
    assert json.loads((tmp_path / "b" / "comparison.json").read_text()) == found
    printed = minigrad(*shlex.split(line))
    assert printed.stderr.count(" is finished, training ") == 4


def test_a_table_in_the_place_of_something_else(tmp_path):
    arguments = ("train", "reviews", "--cell", "rnn,gru", "--out", tmp_path, *QUICK)
    (tmp_path / "comparison.json").write_text("[1]")
    assert "is no table of minigrad's; name another" in minigrad(*arguments, code=1).stderr
    (tmp_path / "comparison.json").unlink()
    minigrad("train", "reviews", "--out", tmp_path, *QUICK)
    assert "holds a single model; name another folder" in minigrad(*arguments, code=1).stderr


def test_a_training_that_diverges_is_named_under_the_table(tmp_path, monkeypatch):
    loss = Reviews.loss

    def diverging(self, model, batch):
        cost, count = loss(self, model, batch)
        return (cost * np.float32(np.inf) if self.settings.cell == "rnn" else cost), count

    monkeypatch.setattr(Reviews, "loss", diverging)
    arguments = ("train", "reviews", "--cell", "rnn,gru", "--out", tmp_path, *QUICK)
    table = minigrad(*arguments).stdout
    assert re.search("^gru +0", table, re.M) and not re.search("^rnn ", table, re.M)
    assert re.search(r"rnn-0 gave no result: the (loss|norm).* became (inf|nan) in ", table)
    assert "One seed shows no spread, so no difference is judged: take --seeds 3." in table
