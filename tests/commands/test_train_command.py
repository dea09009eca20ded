"""`minigrad train`: what it prints and leaves in the folder, stopped, resumed, compared."""

import json
import os
import re
import shlex
import signal
from dataclasses import dataclass
from importlib import import_module

import pytest
from command_line import QUICK, minigrad, same_runs, without_times
from places import ROOT

import minigrad as mg
from minigrad.models.tasks import registry, review_task
from minigrad.models.tasks.registry import load_run
from minigrad.models.tasks.reviews import load_reviews
from minigrad.models.training.example import FirstNumber, FirstNumberSettings
from minigrad.models.training.run_folder import save_run
from minigrad.models.training.task import setting

# Not `from minigrad.models.commands import train`: that is the command.
TRAIN = import_module("minigrad.models.commands.train")
TRAINING = import_module("minigrad.models.commands.training")
PROGRESS = import_module("minigrad.models.commands.progress")

pytestmark = pytest.mark.usefixtures("easy_reviews")


# --- train -----------------------------------------------------------------------------------


def test_train_prints_the_figures(trained):
    folder, printed = trained
    task, model, metrics = load_run(folder)
    settings = task.settings
    assert settings.cell == model.cell == folder.name
    assert (settings.hidden, settings.epochs, settings.lr) == (8, 25, 0.05)
    assert metrics["finished"]
    rivals = [f"{name}: {value:.3f}" for name, value in metrics["baselines"].items()]
    assert len(rivals) == 2
    line = f"held-out accuracy  {metrics['test']['accuracy']:.3f} ({'; '.join(rivals)})\n"
    assert line in printed.stdout
    assert f"parameters         {metrics['parameters']:,}\n" in printed.stdout
    assert f"written to         {folder}\n" in printed.stdout
    example = f'"{TRAIN.EXAMPLE}"'
    assert f"minigrad explain {folder} {example}" in printed.stdout
    readme = (ROOT / "models" / "commands" / "README.md").read_text(encoding="utf-8")
    assert readme.count(f"my-gru {example}") == 2
    assert f"explain my-gru {example}" in minigrad("--help").stdout
    # Progress goes to the other stream, so that the figures can be piped.
    assert f"{folder.name.upper()} of 8 units, seed 0, on film reviews\n" in printed.stderr
    for epoch in metrics["history"]:
        figures = epoch["validation"]
        line = f"{epoch['epoch']:5}{epoch['train_loss']:12.3f}{figures['loss']:12.3f}"
        assert f"{line}{figures['accuracy']:10.3f}" in printed.stderr
    assert "the best so far" in printed.stderr


def test_train_in_a_terminal_shows_a_bar(tmp_path):
    arguments = ("train", "reviews", "--out", tmp_path, *QUICK)
    printed = minigrad(*arguments, FORCE_COLOR="1", COLUMNS="120").stderr
    bar = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", printed)
    assert re.search(r"epoch [12]/2 [━╸╺ ]+ loss \d\.\d+ +[\d,]+/s .* left", bar)


def test_train_writes_where_it_says_without_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    minigrad("train", "reviews", "--cell", "gru", *QUICK)
    assert load_run(tmp_path / "reviews-gru").task.settings.cell == "gru"


def test_train_replaces_a_model(tmp_path):
    for seed in (1, 2):
        minigrad("train", "reviews", "--seed", seed, "--out", tmp_path, *QUICK)
    assert load_run(tmp_path).task.settings.seed == 2


@dataclass(frozen=True)
class OddSettings(FirstNumberSettings):
    """One of each kind of option."""

    file: str = setting("five", "What to read.", argument=True)
    way: str = setting("left", "Where to go.", choices=("left", "right"))
    quick: bool = setting(False, "Whether it is quick.")
    plain: int = 3

    def __post_init__(self):
        super().__post_init__()
        if self.quick and self.way == "right":
            raise ValueError("quick goes left only")


class Odd(FirstNumber):
    """Odd numbers."""

    name, title = "odd", "odd numbers"
    Settings = OddSettings

    def about(self):
        return "always new ones"


@pytest.fixture
def odd(monkeypatch):
    """The task `odd` on the command line, besides the others."""
    monkeypatch.setitem(registry.TASKS, "odd", "odd:Odd")
    monkeypatch.setattr(TRAIN, "find_task", lambda name: Odd)


def test_options_are_those_of_the_settings(odd, tmp_path):
    said = minigrad("train", "odd", "--help").stdout
    options = (
        "[FILE]",
        "--way [left|right]",
        "--quick / --no-quick",
        "--plain INTEGER",
        "--length",
    )
    assert all(option in said for option in options)
    assert re.search(r"--hidden .*\n? .*\[default:\s+16;", said), "the task's own default"
    arguments = ("six", "--quick", "--plain", 4, "--epochs", 1, "--length", 2)
    printed = minigrad("train", "odd", *arguments, "--out", tmp_path, "--json")
    settings = json.loads(printed.stdout)["settings"]
    named = ("file", "way", "quick", "plain", "length", "cell", "hidden")
    assert [settings[name] for name in named] == ["six", "left", True, 4, 2, "gru", 16]
    assert "always new ones\n" in printed.stderr
    assert re.search(r"^  0\.\d\d -> ", printed.stderr, re.M), "what the task shows"
    wrong = minigrad("train", "odd", "--quick", "--way", "right", code=2)
    assert "quick goes left only" in wrong.stderr


def test_an_argument_is_in_the_line_that_goes_on(odd, tmp_path, signalled):
    signalled("SIGINT", 2)
    arguments = ("-- it's", "--quick", "--epochs", 1, "--out", tmp_path)
    printed = minigrad("train", "odd", *arguments[1:], "--", arguments[0], code=130)
    (line,) = re.findall("to go on: minigrad (.*)", printed.stderr)
    assert line.endswith(f"--resume -- {shlex.quote(arguments[0])}")
    signalled("SIGINT", -1)
    assert "going on in epoch 1, after 2 of 30" in minigrad(*shlex.split(line)).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cell", "lstn"], "'lstn' is not one of 'rnn', 'lstm', 'gru'."),
        (["--epochs", "0"], "0 is not in the range 1<=x<=10000."),
        (["--epochs", "1000000000"], "1000000000 is not in the range 1<=x<=10000."),
        (["--hidden", "many"], "'many' is not a valid integer range."),
        (["--hidden", "-1"], "-1 is not in the range 1<=x<=4096."),
        (["--hidden", "30000"], "30000 is not in the range 1<=x<=4096."),
        (["--lr", "0"], "0.0 is not in the range x>0."),
        (["--lr", "nan"], "nan is not a finite number"),
        (["--lr", "inf"], "inf is not a finite number"),
        (["--lr", "1e999"], "1e999 is not a finite number"),
        (["--out", ""], "the name of a folder can't be empty"),
        (["--out", "  "], "the name of a folder can't be empty"),
        (["--out", "a\0b"], "is no path: it has a character that paths can't have"),
        (["--speed", "9"], "No such option '--speed'"),
        (["--cell", "lstm,lstm"], "lstm,lstm has a name twice"),
        (["--cell", "lstm,"], "'' is not one of 'rnn', 'lstm', 'gru'."),
        (["--seeds", "0"], "0 is not in the range 1<=x<=100."),
        (["--dropout", "1.5"], "1.5 is not in the range 0<=x<=1."),
        (["--resume", "--anew"], "--resume goes on, and --anew starts from the beginning"),
    ],
)
def test_train_wrong_use(arguments, message):
    printed = minigrad("train", "reviews", *arguments, code=2)
    assert message in printed.stderr
    assert "minigrad train reviews --help" in printed.stderr


def test_train_out_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    printed = minigrad("train", "reviews", "--out", tmp_path / "file", code=2)
    assert "is a file" in printed.stderr
    printed = minigrad("train", "reviews", "--out", tmp_path / "file" / "run", code=1)
    assert "Error: nothing can be written to" in printed.stderr
    assert "epoch" not in printed.stderr  # said before the training, not after


def test_train_without_data_or_index(tmp_path, monkeypatch):
    monkeypatch.setattr(review_task, "load_reviews", load_reviews)
    env = {"MINIGRAD_DATA": str(tmp_path / "data"), "PIP_NO_INDEX": "1"}
    printed = minigrad("train", "reviews", "--out", tmp_path / "run", code=1, **env)
    assert "Error: pip could not bring vaderSentiment-3.3.2.tar.gz" in printed.stderr
    assert f"here: {tmp_path / 'data' / 'vaderSentiment-3.3.2.tar.gz'}" in printed.stderr
    assert not (tmp_path / "run").exists()


def test_train_that_diverges(tmp_path):
    if not mg.current_backend().is_host:
        pytest.skip("a device is looked at every 50 steps")
    printed = minigrad("train", "reviews", "--lr", "1e300", "--out", tmp_path / "run", code=1)
    assert re.search(r"Error: the (loss|norm).* became \S+ in epoch 1, step 2 of 2", printed.stderr)
    assert re.search(
        r"weight .* has a.*\n  if the task is right, try a smaller rate", printed.stderr
    )
    assert "no epoch was finished, so no model is saved\n" in printed.stderr
    assert not (tmp_path / "run").exists()


def foreign(folder):
    (folder / "metrics.json").write_text('{"accuracy": 1}')


@pytest.mark.parametrize("out", [".", "", "./", "other", "file", "home"])
def test_train_leaves_what_is_not_its_own_alone(out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "home").mkdir()
    foreign(tmp_path)
    foreign(tmp_path / "other")
    (tmp_path / "file").write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    printed = minigrad(
        "train", "reviews", "--out", out, *QUICK, code=None, HOME=str(tmp_path / "home")
    )
    assert printed.exit_code in (1, 2)
    assert "epoch" not in printed.stderr and "Error: " in printed.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_train_says_that_an_older_model_is_replaced(tmp_path):
    said = f"the older model in {tmp_path} is replaced when this one is trained"
    assert said not in minigrad("train", "reviews", "--out", tmp_path, *QUICK).stderr
    assert said in minigrad("train", "reviews", "--out", tmp_path, *QUICK).stderr


def test_train_with_a_full_disk(tmp_path, monkeypatch):
    minigrad("train", "reviews", "--out", tmp_path, *QUICK)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        printed = minigrad("train", "reviews", "--seed", "1", "--out", tmp_path, *QUICK, code=1)
        said = f"no checkpoint can be written to {tmp_path}: No space left on device\n"
        assert printed.stderr.endswith(f"Error: {said}")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    monkeypatch.setattr(TRAINING, "save_run", full)
    printed = minigrad("train", "reviews", "--seed", "1", "--out", tmp_path, *QUICK, code=1)
    assert printed.stderr.endswith(
        f"Error: the model can't be written to {tmp_path}: No space left on device; the older one "
        "there is as it was\n"
    )
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left.pop("checkpoint.safetensors") and left == before
    monkeypatch.undo()


# --- stopped -------------------------------------------------------------------------------------

SIGNALS = [s for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s)]


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's here")
@pytest.mark.parametrize("name", SIGNALS)
def test_a_stopped_training_keeps_its_best_epoch_and_goes_on(name, tmp_path, signalled):
    """Three epochs of two steps, and one step more; the line that is shown ends it."""
    signum = getattr(signal, name)
    handler = signal.getsignal(signum)
    folder, whole = tmp_path / "the run", tmp_path / "whole"
    arguments = ("train", "reviews", "--hidden", 8, "--epochs", 6, "--lr", 0.05)
    minigrad(*arguments, "--out", whole)
    signalled(name, 7)
    printed = minigrad(*arguments, "--out", folder, code=128 + signum)
    assert signal.getsignal(signum) == handler
    metrics = load_run(folder).metrics
    history = without_times(load_run(whole).metrics)["history"]
    assert without_times(metrics)["history"] == history[:3] and not metrics["finished"]
    said = (
        f"ended after 3 of 6 epochs; the best so far, epoch {metrics['best_epoch']}, is saved in "
        f"{folder}\nto go on: minigrad train reviews --hidden 8 --epochs 6 --lr 0.05 --out "
        f"'{folder}' --resume\nstopped\n"
    )
    assert printed.stderr.endswith(said)

    for more in ([], ["--hidden", 9], ["--seed", 1]):
        printed = minigrad(*arguments, *more, "--out", folder, code=1)
        assert "--resume goes on with it, --anew starts from the beginning" in printed.stderr
    printed = minigrad(*arguments, "--hidden", 9, "--out", folder, "--resume", code=1)
    assert "can't go on, since hidden was 8, not 9. Ask for the same, or" in printed.stderr
    words = shlex.split(re.search("to go on: minigrad (.*)", said)[1])
    printed = minigrad(*words)
    assert "going on in epoch 4, after 1 of 2 steps\n" in printed.stderr
    assert same_runs(folder, whole)
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".json", ".safetensors"]
    assert "is finished" in minigrad(*words).stderr
    assert "hidden was 8, not 9" in minigrad(*words, "--hidden", 9, code=1).stderr


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's here")
def test_a_training_that_is_stopped_in_its_first_epoch_leaves_the_older_model(tmp_path, signalled):
    minigrad("train", "reviews", "--out", tmp_path, *QUICK)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    signalled("SIGINT", 1)
    said = "no epoch was finished, so no model is saved"
    printed = minigrad("train", "reviews", "--out", tmp_path, *QUICK, code=130).stderr
    assert f"{said}; the older model in {tmp_path} is as it was\nto go on: minigrad" in printed
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.pop("checkpoint.safetensors") and after == before
    printed = minigrad("train", "reviews", "--out", tmp_path / "new", *QUICK, code=130).stderr
    assert f"{said}\nto go on: " in printed and printed.endswith("--resume\nstopped\n")
    printed = minigrad("predict", tmp_path / "new", "A film", code=1).stderr
    assert "is not finished, so there is no model yet; go on with it by `minigrad train`" in printed


def test_what_the_user_leaves_open_is_as_it_was(tmp_path, signalled):
    signalled("SIGINT", 1)
    minigrad("train", "reviews", "--out", tmp_path, "--layers", 1, *QUICK, code=130)
    printed = minigrad("train", "reviews", "--out", tmp_path, "--resume", code=0)
    assert "LSTM of 8 units" in printed.stderr
    assert load_run(tmp_path).task.settings.lr == 0.05


def test_a_checkpoint_of_another_task_or_a_damaged_one_is_refused(tmp_path, signalled):
    signalled("SIGINT", 1)
    minigrad("train", "reviews", "--out", tmp_path, *QUICK, code=130)
    printed = minigrad("train", "products", "--out", tmp_path, *QUICK, "--resume", code=1)
    assert "can't go on, since the task was reviews, not products. Ask" in printed.stderr
    path = tmp_path / "checkpoint.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    printed = minigrad("train", "reviews", "--out", tmp_path, *QUICK, "--resume", code=1)
    assert (
        "the checkpoint in" in printed.stderr and "--anew starts from the begin" in printed.stderr
    )
    assert path.read_bytes() == content[:-1]
    signalled("SIGINT", -1)
    minigrad("train", "reviews", "--out", tmp_path, *QUICK, "--anew")
    assert load_run(tmp_path).metrics["finished"] and not path.exists()


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's here")
def test_ctrl_c_while_a_model_is_saved_waits(tmp_path, monkeypatch):
    def saving(*args):
        os.kill(os.getpid(), signal.SIGINT)
        save_run(*args)

    monkeypatch.setattr(TRAINING, "save_run", saving)
    minigrad("train", "reviews", "--out", tmp_path, *QUICK)
    assert len(load_run(tmp_path).metrics["history"]) == 2


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's here")
def test_ctrl_c_in_the_last_evaluation_keeps_the_run(tmp_path, monkeypatch):
    calls = []

    def interrupted(training, run_of=TRAINING.run_of):
        calls.append(training)
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return run_of(training)

    monkeypatch.setattr(TRAINING, "run_of", interrupted)
    minigrad("train", "reviews", "--out", tmp_path, *QUICK, code=130)
    assert load_run(tmp_path).metrics["finished"]
    minigrad("train", "reviews", "--out", tmp_path, *QUICK, "--resume")
    assert not (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's here")
def test_ignored_signals_stay_so(tmp_path, signalled):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as after `minigrad train reviews &`
    try:
        signalled("SIGINT", 1)
        minigrad("train", "reviews", "--out", tmp_path, *QUICK)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(load_run(tmp_path).metrics["history"]) == 2


def test_an_error_in_the_middle_keeps_the_best_epoch(tmp_path, monkeypatch):
    def step(self, training):
        if training.epoch == 2:
            raise FloatingPointError("the loss became nan")

    monkeypatch.setattr(PROGRESS.TrainingProgress, "step", step)
    printed = minigrad("train", "reviews", "--out", tmp_path, *QUICK, code=1)
    said = f"ended after 1 of 2 epochs; the best so far, epoch 1, is saved in {tmp_path}\n"
    assert printed.stderr.endswith(f"{said}Error: the loss became nan\n")
    assert len(load_run(tmp_path).metrics["history"]) == 1


def test_json_of_one_training(tmp_path):
    found = json.loads(minigrad("train", "reviews", "--out", tmp_path, *QUICK, "--json").stdout)
    assert found == load_run(tmp_path).metrics
