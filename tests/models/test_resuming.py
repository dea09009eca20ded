"""Checkpoints: whatever ends a training at any moment, it goes on to the same bits."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
from damage import damaged
from hypothesis import given
from hypothesis import strategies as st
from places import SUPPORT
from small_training import EndAt, first_number, outcome, same_weights

import minigrad as mg
from minigrad.models.tasks.registry import find_task
from minigrad.models.training import checkpoint as checkpoint_file
from minigrad.models.training.checkpoint import Checkpoint
from minigrad.models.training.example import FirstNumber
from minigrad.models.training.loop import fit
from minigrad.models.training.run_folder import SavedRunError
from minigrad.models.training.task import options_of


class Noisy(FirstNumber):
    """With dropout, order and weights by chance, and a state that goes from batch to batch."""

    def load(self):
        super().load()
        self.kept = np.zeros(1, "float32")

    def steps(self):
        return 5

    def batches(self, rng):
        self.kept = np.zeros(1, "float32")
        return (self._draw(rng) for _ in range(self.steps()))

    def loss(self, model, batch):
        x = mg.dropout(mg.tensor(batch), 0.3)
        cost = mg.mse_loss(model(x) + mg.tensor(self.kept), mg.tensor(batch[0]))
        self.kept = 0.5 * self.kept + 0.01 * np.float32(cost.item())
        return cost, batch.shape[1]

    def state_dict(self):
        return {"kept": self.kept.copy()}

    def load_state_dict(self, state):
        self.kept = state["kept"]


def noisy(**settings):
    return Noisy(first_number(**{"batch_size": 4, "hidden": 3, "epochs": 3, **settings}).settings)


@pytest.fixture(scope="module")
def whole():
    return outcome(fit(noisy()))


@given(moments=st.lists(st.integers(1, 15), max_size=4), every=st.sampled_from([0, 1e9]))
def test_stopped_anywhere_it_goes_on_to_the_same_bits(moments, every, whole, tmp_path_factory):
    """The errors are raised between steps, where Ctrl-C ends a training."""
    checkpoint, resume = Checkpoint(tmp_path_factory.mktemp("run"), every), False
    for moment in moments:
        with contextlib.suppress(OSError):
            fit(noisy(), callbacks=[EndAt(OSError(), moment)], checkpoint=checkpoint, resume=resume)
        resume = True
    assert outcome(fit(noisy(), checkpoint=checkpoint, resume=resume)) == whole
    again = fit(noisy(), checkpoint=checkpoint, resume=True)
    assert outcome(again) == whole and again.resumed


@pytest.mark.parametrize("where", ["optimizer", "loss", "evaluate"])
def test_broken_within_a_step_it_goes_on_from_the_last_checkpoint(
    where, whole, tmp_path, monkeypatch
):
    """As by Ctrl-C that is not held back: half of the weights may be new."""
    checkpoint, task, calls = Checkpoint(tmp_path, 0), noisy(), []
    place, name = {
        "optimizer": (mg.optim.Adam, "step"),
        "loss": (Noisy, "loss"),
        "evaluate": (Noisy, "evaluate"),
    }[where]
    function = getattr(place, name)

    def broken(*args):
        calls.append(args)
        result = function(*args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(place, name, broken)
        with pytest.raises(KeyboardInterrupt):
            fit(task, checkpoint=checkpoint)
    assert outcome(fit(noisy(), checkpoint=checkpoint, resume=True)) == whole


def test_early_stopping_goes_on(tmp_path):
    settings = {"patience": 1, "lr": 3.0, "seed": 1, "epochs": 8}
    unbroken = fit(noisy(**settings))
    assert unbroken.stopped, "choose another seed"
    checkpoint = Checkpoint(tmp_path)
    end = EndAt(OSError(), steps=unbroken.steps_done - 1)
    with pytest.raises(OSError):
        fit(noisy(**settings), callbacks=[end], checkpoint=checkpoint)
    for _ in range(2):
        training = fit(noisy(**settings), checkpoint=checkpoint, resume=True)
        assert outcome(training) == outcome(unbroken)


def test_one_is_written_per_epoch_and_when_it_is_due(tmp_path, monkeypatch):
    now, written = [0.0], []
    monkeypatch.setattr(checkpoint_file.time, "monotonic", lambda: now[0])
    write = checkpoint_file.replace_file
    monkeypatch.setattr(
        checkpoint_file, "replace_file", lambda *args: (written.append(now[0]), write(*args))
    )

    class Clock(EndAt):
        def step(self, training):
            now[0] += 1

    fit(noisy(), callbacks=[Clock(None)], checkpoint=Checkpoint(tmp_path, every=3))
    assert written == [0, 3, 5, 8, 10, 13, 15]


SMALL = {"first": {"lag": 4}, "adding": {"lag": 4}, "copy": {"lag": 3}, "text": {"dropout": 0.2}}


@pytest.mark.parametrize("name", SMALL)
def test_tasks_go_on_to_the_same_bits(name, tmp_path):
    """Those that need no data from outside; stopped within both epochs and between them."""
    kind, given = find_task(name), {"epochs": 2, "hidden": 8, **SMALL[name]}
    if "batches" in options_of(kind.Settings):
        given["batches"] = 4
    if name == "text":
        (tmp_path / "text").write_text("A quick brown fox jumps over the lazy dog. " * 200)
        given["source"] = str(tmp_path / "text")

    def task():
        return kind(kind.Settings(**given))

    unbroken, checkpoint = fit(task()), Checkpoint(tmp_path / "run")
    steps = unbroken.task.steps()
    for moment, resume in ((steps - 1, False), (steps, True), (steps + 2, True)):
        with pytest.raises(OSError):
            end = EndAt(OSError(), moment)
            fit(task(), callbacks=[end], checkpoint=checkpoint, resume=resume)
    again = fit(task(), checkpoint=checkpoint, resume=True)
    assert outcome(again) == outcome(unbroken)


# --- killed --------------------------------------------------------------------------------------

KILLS = {"fast": 15, "deep": 1000}[os.environ.get("MINIGRAD_PROFILE", "fast")]
KILL_TEST = """
import os, random, signal, sys, time
sys.path.insert(0, {tests!r})
from small_training import first_number, outcome
from minigrad.models.training.checkpoint import Checkpoint
from minigrad.models.training.loop import fit

def task():
    return first_number(hidden=4, batch_size=4)

start = time.perf_counter()
whole = outcome(fit(task()))
once = time.perf_counter() - start
rng, kills, finished, went_on = random.Random(0), 0, 0, set()
while kills < {kills}:
    folder = os.path.join({folder!r}, str(kills))
    while True:
        start = time.perf_counter()
        child = os.fork()
        if not child:
            checkpoint = Checkpoint(folder, every=rng.choice([0, once / 20]))
            assert outcome(fit(task(), checkpoint=checkpoint, resume=True)) == whole
            os._exit(0)
        time.sleep(rng.uniform(0, once))
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, status
            break
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
        if Checkpoint(folder).exists:
            saved = Checkpoint(folder).read()["training"]
            went_on.add((len(saved["history"]), saved["step"]))
    finished += 1
assert finished and len(went_on) > {kills} / 5, (finished, went_on)
print("killed", kills, "times")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_killed_at_any_moment_it_goes_on_to_the_same_bits(tmp_path):
    """Processes are killed with -9, in chains: each goes on from where the one before got to."""
    code = KILL_TEST.format(tests=str(SUPPORT), folder=str(tmp_path), kills=KILLS)
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MINIGRAD_BACKEND": "numpy"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) >= KILLS


# --- what doesn't fit ----------------------------------------------------------------------------


@pytest.fixture
def stopped(tmp_path):
    """The checkpoint of a training that was stopped in its second epoch."""
    checkpoint = Checkpoint(tmp_path / "run")
    with pytest.raises(OSError):
        fit(noisy(), callbacks=[EndAt(OSError(), steps=7)], checkpoint=checkpoint)
    return checkpoint


class Longer(Noisy):
    def steps(self):
        return 6


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (lambda: noisy(hidden=4, seed=2), "since hidden was 3, not 4; seed was 0, not 2. Ask for"),
        (lambda: noisy(epochs=4), "epochs was 3, not 4"),
        (lambda: Longer(noisy().settings), "the number of steps in an epoch was 5, not 6"),
    ],
)
def test_another_training(task, said, stopped, whole):
    before = stopped.path.read_bytes()
    with pytest.raises(SavedRunError, match=f"can't go on, .*{said}.*--anew"):
        fit(task(), checkpoint=stopped, resume=True)
    assert stopped.path.read_bytes() == before
    assert outcome(fit(noisy(), checkpoint=stopped, resume=True)) == whole


def test_another_release_or_backend(stopped, monkeypatch):
    with (
        mg.use_backend("strict"),
        pytest.raises(SavedRunError, match=r"the backend was numpy|numba|cupy, not strict"),
    ):
        fit(noisy(), checkpoint=stopped, resume=True)
    monkeypatch.setattr(mg, "__version__", "9.0")
    with pytest.raises(SavedRunError, match=r"the release of minigrad was .*, not 9.0"):
        fit(noisy(), checkpoint=stopped, resume=True)


_first = {}  # times, and with them the size of a file, differ


@given(data=st.data())
def test_damage_is_told_or_makes_no_difference(data, whole, stopped):
    checkpoint = stopped
    before = _first.setdefault("content", checkpoint.path.read_bytes())
    content = damaged(before, data)
    checkpoint.path.write_bytes(content)
    try:
        assert outcome(fit(noisy(), checkpoint=checkpoint, resume=True)) == whole
    except SavedRunError as error:
        assert str(checkpoint.folder) in str(error)
        assert checkpoint.path.read_bytes() == content, "nothing is lost"
    else:
        assert content == before


def test_a_file_of_another_kind(stopped):
    mg.save(stopped.path, {"weight": np.ones(3)})
    with pytest.raises(SavedRunError, match="is no checkpoint; it has no minigrad"):
        fit(noisy(), checkpoint=stopped, resume=True)


def test_a_state_that_does_not_fit(stopped):
    found = stopped.read()
    found["training"]["model"].popitem()
    mg.save(stopped.path, found)
    with pytest.raises(SavedRunError, match="doesn't fit this task: this state does not fit"):
        fit(noisy(), checkpoint=stopped, resume=True)
    del found["training"]["model"]
    mg.save(stopped.path, found)
    with pytest.raises(SavedRunError, match="no state of such a training: KeyError"):
        fit(noisy(), checkpoint=stopped, resume=True)


def test_a_full_disk_ends_the_training_and_keeps_the_last_one(stopped, whole, monkeypatch):
    before = stopped.path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_file, "replace_file", full)
        with pytest.raises(SavedRunError, match=r"no checkpoint can be written to .*: No space"):
            fit(noisy(), checkpoint=stopped, resume=True)
    assert stopped.path.read_bytes() == before
    assert outcome(fit(noisy(), checkpoint=stopped, resume=True)) == whole


def test_removed_it_leaves_no_empty_folder(tmp_path):
    ours, theirs = Checkpoint(tmp_path / "new"), Checkpoint(tmp_path)
    for checkpoint in (ours, theirs):
        training = fit(noisy(epochs=1), checkpoint=checkpoint)
        assert checkpoint.exists
        checkpoint.remove()
    assert tmp_path.is_dir() and not list(tmp_path.iterdir())
    assert same_weights(training.model, fit(noisy(epochs=1)).model)
