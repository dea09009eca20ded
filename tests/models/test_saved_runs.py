"""Runs on disk: what was saved comes back, and what is damaged is named."""

import os
import re
import shlex
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from damage import damaged
from hypothesis import given
from hypothesis import strategies as st
from places import SUPPORT
from tiny_reviews import tiny_run

import minigrad as mg
from minigrad.models.tasks.registry import load_run
from minigrad.models.training import run_folder
from minigrad.models.training.run_folder import Run, SavedRunError, prepare, save_run
from minigrad.utils import files


@pytest.fixture(scope="module")
def run():
    return tiny_run(100, embedding=4, hidden=6, epochs=1)


@pytest.fixture
def folder(tmp_path, run):
    prepare(tmp_path / "run")
    save_run(tmp_path / "run", run)
    return tmp_path / "run"


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


def content(folder):
    """Its files, and what is in them."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def the(folder, kind):
    """The file of the weights (model), of the words (extras) or of the figures (metrics)."""
    (found,) = folder.glob(f"{kind}*")
    return found


def same(a, b):
    """Whether two runs are the same to the bit."""
    weights, others = a.model.state_dict(), b.model.state_dict()
    return (
        a.metrics == b.metrics
        and a.task.extras() == b.task.extras()
        and list(weights) == list(others)
        and all(weights[name].tobytes() == others[name].tobytes() for name in weights)
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


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["metrics", "model", "extras"])
def test_missing_file(folder, kind):
    name = the(folder, kind).name
    the(folder, kind).unlink()
    with pytest.raises(SavedRunError, match=f"no trained model: {name} missing.*--out") as caught:
        load_run(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("kind", ["metrics", "model", "extras"])
def test_what_is_no_file_or_cannot_be_read(folder, kind, monkeypatch):
    path = the(folder, kind)
    with monkeypatch.context() as patch:

        def refuse(self):
            raise PermissionError(13, "Permission denied")

        patch.setattr(run_folder.Path, "read_bytes", refuse)
        with pytest.raises(SavedRunError, match=r"metrics\.json can't be read: Permission denied"):
            load_run(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(SavedRunError, match=f"{path.name} is damaged: it is no file"):
        load_run(folder)


@given(data=st.data())
def test_damage_anywhere_is_told_or_makes_no_difference(data, folder, run):
    path = the(folder, data.draw(st.sampled_from(["metrics", "model", "extras"])))
    before = path.read_bytes()
    for _ in range(10):
        path.write_bytes(damaged(before, data))
        try:
            assert same(load_run(folder), run)
        except SavedRunError as error:
            assert str(folder) in str(error)
    path.write_bytes(before)


def test_a_flipped_bit_is_told_wherever_it_is(folder):
    for path in list(folder.iterdir()):
        before = path.read_bytes()
        for at in range(0, len(before), 1 + len(before) // 40):
            path.write_bytes(before[:at] + bytes([before[at] ^ 4]) + before[at + 1 :])
            with pytest.raises(SavedRunError, match="is damaged"):
                load_run(folder)
        path.write_bytes(before)


def test_sizes_are_looked_at_before_memory_is_taken(folder):
    with (folder / "metrics.json").open("ab") as file:
        file.truncate(run_folder.LARGEST + 1)  # takes no room on the disk
    with pytest.raises(SavedRunError, match=r"is damaged: it has 67,108,865 bytes, and at most"):
        load_run(folder)


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def foreign(path):
    path.write_bytes(b"\x80\x04\x95 this could be a pickle")


def not_text(path):
    path.write_bytes(b"\xff\xfe\x00[")


def written(text):
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    ("kind", "damage", "message"),
    [
        ("model", truncated, "is damaged: it is not what was written"),
        ("model", foreign, "is damaged: it is not what was written"),
        ("extras", truncated, "is damaged: it is not what was written"),
        ("metrics", truncated, "metrics.json is damaged: "),
        ("metrics", not_text, "metrics.json is damaged: 'utf-8' codec"),
        ("metrics", written("[1]"), "metrics.json is damaged: it must be a JSON object with"),
        ("metrics", written("{}"), "JSON object with minigrad, task, settings, files, sha256"),
        ("metrics", written(""), "metrics.json is damaged: it is empty"),
        ("metrics", written("{"), "metrics.json is damaged: line 1 is where it stops being JSON"),
        ("metrics", written("[" * 100_000), "metrics.json is damaged: it is nested too deep"),
        ("metrics", written("1" * 5000), "metrics.json is damaged: "),
    ],
)
def test_damaged(folder, kind, damage, message):
    damage(the(folder, kind))
    with pytest.raises(SavedRunError, match=f"(?s){message}") as caught:
        load_run(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", [".", "other", "my run", "run; rm it"])
@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("metrics", truncated),
        ("metrics", os.unlink),
        ("metrics", written("[1]")),
        ("model", truncated),
        ("model", os.unlink),
        ("extras", foreign),
    ],
)
def test_the_line_that_is_advised_works(kind, damage, name, folder, run, monkeypatch):
    """Where a run can't be, another place is named; and names may hold what a shell reads."""
    place = (folder.parent / name).resolve()
    if name == ".":
        monkeypatch.chdir(folder)
        place = Path(".")
    else:
        folder.rename(place)
    damage(the(place, kind))
    with pytest.raises(SavedRunError) as caught:
        load_run(place)
    line = str(caught.value).partition("minigrad train reviews --out ")[2]
    (out,) = shlex.split(line)
    assert place.resolve() not in Path(out).resolve().parents
    prepare(out)
    save_run(out, run)
    assert same(load_run(out), run)


def test_a_hand_edited_size_is_told_at_once(folder):
    text = (folder / "metrics.json").read_text()
    (folder / "metrics.json").write_text(text.replace('"hidden": 6', '"hidden": 3000'))
    with pytest.raises(SavedRunError, match="is damaged: it is not what was written"):
        load_run(folder)


# --- files whose hashes are right ----------------------------------------------------------------


def sealed(folder, run, state=None, extras=None, files=None, settings=None, **figures):
    """Write a run whose parts were put together by somebody who can calculate a hash."""
    model = SimpleNamespace(state_dict=lambda: state or run.model.state_dict())
    task = SimpleNamespace(extras=lambda: run.task.extras() if extras is None else extras)
    settings = run.metrics["settings"] | (settings or {})
    save_run(folder, Run(task, model, {**run.metrics, "settings": settings, **figures}))
    if files is not None:
        (folder / "metrics.json").write_bytes(run_folder._sealed(run.metrics, files))


def with_nan(state):
    state["embedding.weight"][1, 2] = np.nan
    return state


def reshaped(state, name, shape):
    state[name] = np.zeros(shape, "float32")
    return state


A_FILE = {"name": "model-0123456789abcdef.safetensors", "bytes": 1, "sha256": ""}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: {"settings": {"hidden": 30_000}},
            "hidden is an integer from 1 to 4096",
        ),
        (lambda s: {"settings": {"embedding": 10**12}}, "embedding is an integer from 1 to 4096; "),
        (lambda s: {"settings": {"hidden": 7}}, "weight_hh_l0 is .28, 7., and in the state .24, 6"),
        (lambda s: {"settings": {"hidden": "6"}}, "hidden is of type int; got str '6'"),
        (lambda s: {"settings": {"hidden": True}}, "hidden is of type int; got bool True"),
        (lambda s: {"settings": {"hidden": -1}}, "hidden is an integer from 1 to 4096; got -1"),
        (lambda s: {"settings": {"embedding": 4.0}}, "embedding is of type int; got float 4.0"),
        (lambda s: {"settings": {"cell": "lstn"}}, "unknown cell 'lstn'; there are rnn"),
        (lambda s: {"settings": {"cell": ["lstm"]}}, "don't belong together: cell is of type str"),
        (
            lambda s: {"settings": {"cell": "gru"}},
            "together: .*weight_ih_l0 is .18, 4",
        ),
        (lambda s: {"settings": {"speed": 3}}, "don't belong together: .*'speed'"),
        (lambda s: {"task": "plays"}, "trained for 'plays': no task 'plays'; the tasks"),
        (lambda s: {"task": None}, "trained for None: no task None; the tasks are"),
        (lambda s: {"task": ["reviews"]}, "trained for .'reviews'.: no task"),
        (lambda s: {"minigrad": "99.0"}, f"by minigrad 99.0, and this is {mg.__version__}: insta"),
        (lambda s: {"minigrad": 99}, "minigrad is a version such as 0.1.0; got 99"),
        (lambda s: {"state": {"weight": np.ones(3)}}, "unexpected: weight"),
        (lambda s: {"state": {**s, "more": np.ones(3)}}, "unexpected: more"),
        (
            lambda s: {"state": reshaped(s, "recurrent.weight_hh_l0", (0, 30_000))},
            "don't belong together",
        ),
        (lambda s: {"state": {**s, "head.bias": "abc"}}, "is no model: head.bias is no array"),
        (lambda s: {"state": {**s, "head.bias": None}}, "is no model: head.bias is no array"),
        (lambda s: {"state": {"model": s}}, "is no model: model is no array"),
        (lambda s: {"state": with_nan(s)}, "is broken: embedding.weight has weights that are no f"),
        (lambda s: {"extras": {"vocabulary": {"a": 1}}}, "a vocabulary is a list of words"),
        (lambda s: {"extras": {"vocabulary": ["<pad>", "<unk>", 3]}}, "is a list of words"),
        (lambda s: {"extras": {"vocabulary": ["<pad>", "<unk>", "a"]}}, "together: .*weight is"),
        (lambda s: {"extras": {"vocabulary": ["<pad>", "<unk>", "a", "a"]}}, "got 4 of which 3"),
        (lambda s: {"extras": {}}, "don't belong together: 'vocabulary'"),
        (lambda s: {"extras": [1]}, "don't belong together: "),
        (lambda s: {"files": {}}, "is damaged: it names no file of the model"),
        (lambda s: {"files": ["a"]}, "is damaged: it names no file of the model"),
        (lambda s: {"files": {"model": A_FILE}}, "it names no file of the extras"),
        (
            lambda s: {"files": {"model": {**A_FILE, "name": "../../etc/passwd"}}},
            "it names no file of the model",
        ),
    ],
)
def test_parts_that_do_not_fit(folder, run, change, message):
    sealed(folder, run, **change(run.model.state_dict()))
    with pytest.raises(SavedRunError, match=f"(?s){message}") as caught:
        load_run(folder)
    assert str(folder) in str(caught.value)


def test_no_memory_is_taken_for_what_does_not_fit(folder, run):
    sealed(folder, run, settings={"hidden": 30_000})
    tracemalloc.start()
    with pytest.raises(SavedRunError):
        load_run(folder)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**22
