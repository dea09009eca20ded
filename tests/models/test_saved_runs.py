"""Runs on disk: what was saved comes back, and what is damaged is named."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from places import SUPPORT
from saved_runs import content, same, the
from tiny_reviews import tiny_run

from minigrad.models.tasks.registry import load_run
from minigrad.models.training import run_folder
from minigrad.models.training.run_folder import SavedRunError, prepare, save_run
from minigrad.utils import files


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_comes_back(cell, tmp_path):
    run = tiny_run(100, cell=cell, embedding=4, hidden=6, epochs=1)
    prepare(tmp_path / "deep" / "er")
    save_run(tmp_path / "deep" / "er", run)
    again = load_run(tmp_path / "deep" / "er")
    assert again.metrics == run.metrics
    assert again.task.extras() == run.task.extras()
    assert not again.model.training
    tokens = np.array([[2, 3], [4, 0]])
    np.testing.assert_array_equal(
        again.model(tokens, [2, 1]).numpy(), run.model(tokens, [2, 1]).numpy()
    )


def another(run):
    """A run of other weights, words and figures than this one."""
    other = tiny_run(90, embedding=3, hidden=5, epochs=1, seed=7)
    assert not same(run, other)
    return other


def test_files(folder):
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 3 and names[1] == "metrics.json"
    assert re.fullmatch(r"extras-[0-9a-f]{16}\.json", names[0])
    assert re.fullmatch(r"model-[0-9a-f]{16}\.safetensors", names[2])


def test_replaces_a_run_and_leaves_other_files_alone(folder, run):
    (folder / "notes.txt").write_text("mine")
    assert prepare(folder)
    other = another(run)
    save_run(folder, other)
    assert same(load_run(folder), other)
    assert (folder / "notes.txt").read_text() == "mine"
    assert len(list(folder.iterdir())) == 4


def test_saved_again_it_is_the_same(folder, run):
    before = content(folder)
    save_run(folder, load_run(folder))
    assert content(folder) == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_wherever_saving_fails_the_old_run_stays(folder, run, error, monkeypatch):
    """At each of the calls that write, one after the other; until none is left to fail."""
    before, other = content(folder), another(run)
    for fatal in range(1, 100):
        calls = 0

        def failing(path, content, replace=files.replace_file, fatal=fatal):
            nonlocal calls
            calls += 1
            if calls == fatal:
                raise error
            replace(path, content)

        with monkeypatch.context() as patch:
            patch.setattr(run_folder, "replace_file", failing)
            try:
                save_run(folder, other)
            except type(error):
                assert same(load_run(folder), run)
                assert content(folder).items() >= before.items()
            else:
                break
    assert fatal == 4
    assert same(load_run(folder), other)
    assert len(list(folder.iterdir())) == 3


@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX's")
def test_a_full_disk_leaves_the_old_run(folder, run):
    import resource

    limits, other = resource.getrlimit(resource.RLIMIT_FSIZE), another(run)
    for room in (0, 100, 1000, 2000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        try:
            with pytest.raises(OSError):
                save_run(folder, other)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert same(load_run(folder), run)
    save_run(folder, other)
    assert len(list(folder.iterdir())) == 3


KILLS = {"fast": 50, "deep": 500}[os.environ.get("MINIGRAD_PROFILE", "fast")]
KILL_TEST = """
import os, random, signal, sys, time
sys.path.insert(0, {tests!r})
from tiny_reviews import tiny_run

from minigrad.models.tasks.registry import load_run
from minigrad.models.training.run_folder import save_run

folder, rng = {folder!r}, random.Random(0)
all_settings = [dict(embedding=3, hidden=5 + seed, epochs=1, seed=seed) for seed in (0, 1)]
runs = [tiny_run(60, **settings) for settings in all_settings]
save_run(folder, runs[0])
start = time.perf_counter()
save_run(folder, tiny_run(60, **all_settings[0]))
once = time.perf_counter() - start
seen = set()
for kill in range({kills}):
    child = os.fork()
    if not child:
        for i in range(1000):
            if kill % 2:
                save_run(folder, runs[i % 2])
            else:
                save_run(folder, tiny_run(60, **all_settings[i % 2]))
    time.sleep(rng.uniform(0, 4 * once))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    run = load_run(folder)
    whole = runs[run.task.settings.seed]
    seen.add(run.task.settings.seed)
    for name, array in run.model.state_dict().items():
        assert array.tobytes() == whole.model.state_dict()[name].tobytes(), name
    assert run.task.extras() == whole.task.extras()
assert seen == {{0, 1}}, seen
save_run(folder, runs[0])
assert len(os.listdir(folder)) == 3, os.listdir(folder)
print("whole", kill + 1, "of", {kills})
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_killed_at_any_moment_the_old_run_or_the_new_one_is_whole(tmp_path):
    code = KILL_TEST.format(tests=str(SUPPORT), folder=str(tmp_path), kills=KILLS)
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MINIGRAD_BACKEND": "numpy"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"whole {KILLS} of {KILLS}\n"


def test_what_a_killed_training_left_is_no_stranger_and_is_removed(tmp_path, run):
    left = ["model-0123456789abcdef.safetensors", "extras-0123456789abcdef.json"]
    for name in [*left, ".minigrad-01234567.tmp"]:
        (tmp_path / name).touch()
    assert not prepare(tmp_path)
    save_run(tmp_path, run)
    assert same(load_run(tmp_path), run)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_reader_sees_a_whole_run_while_it_is_replaced(folder, run, monkeypatch):
    other, read = another(run), run_folder._read
    seen = []

    def replaced_meanwhile(path, most):
        if path.name != "metrics.json" and not seen:
            seen.append(path)
            save_run(folder, other)
        return read(path, most)

    monkeypatch.setattr(run_folder, "_read", replaced_meanwhile)
    assert same(load_run(folder), other)
    assert seen


# --- where a run may go ------------------------------------------------------------------------


def test_no_place_to_write(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "run", "run\0", "n" * 300):
        with pytest.raises(SavedRunError, match=r"nothing can be written to .*: \w"):
            prepare(place)


def test_a_new_folder_is_made_with_the_run_and_not_before(tmp_path):
    assert not prepare(tmp_path / "deep" / "er")
    assert not list(tmp_path.iterdir())
    (tmp_path / "empty").mkdir()
    assert not prepare(tmp_path / "empty")


@pytest.mark.parametrize("name", ["metrics.json", "notes.txt", ".git", "model.safetensors"])
@pytest.mark.parametrize("text", ["{}", '{"minigrad": 1}', "[1, 2]", "mine", "[" * 100_000])
def test_a_folder_of_other_things_is_refused(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(SavedRunError, match=rf"no run of minigrad's \({name}\); name a new folder"):
        prepare(tmp_path)
    assert (tmp_path / name).read_text() == text


def test_only_some_of_many_files_are_named(tmp_path):
    for name in "abcd":
        (tmp_path / name).touch()
    with pytest.raises(SavedRunError, match=r"\(a, b, c, \.\.\.\)"):
        prepare(tmp_path)


def test_folders_of_another_purpose_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "here").symlink_to(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for place in (".", "./", tmp_path, "home/..", "here"):
        with pytest.raises(SavedRunError, match="is the current folder; name a new one, for exam"):
            prepare(place)
    with pytest.raises(SavedRunError, match="empty name"):
        prepare("")
    if os.name == "posix":
        with pytest.raises(SavedRunError, match="is the home folder"):
            prepare("home")


def test_a_run_of_whatever_state_may_be_replaced(folder, run, monkeypatch):
    the(folder, "model").unlink()
    (folder / "metrics.json").write_text((folder / "metrics.json").read_text() + " ")
    assert prepare(folder)
    with monkeypatch.context() as patch:
        patch.setattr(run_folder.os, "access", lambda *args: False)
        with pytest.raises(SavedRunError, match="is write-protected"):
            prepare(folder)
    save_run(folder, run)
    assert same(load_run(folder), run)
