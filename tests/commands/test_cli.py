"""The command line: what it prints, what it leaves in the folder, its errors and exit codes."""

import json
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from click.testing import CliRunner
from places import ROOT
from rich.console import Console
from tiny_reviews import tiny_reviews

import minigrad as mg
from minigrad.models.commands import main
from minigrad.models.reports.explain import explain, log_odds
from minigrad.models.tasks.review_training import Settings, train_reviews
from minigrad.models.tasks.reviews import Review, load_reviews, split_reviews
from minigrad.models.training.run_folder import Run, load_run, save_run
from minigrad.models.training.text import tokenize
from minigrad.utils.install import install_line

# Not `from minigrad.models.commands import demo`: that is the command.
DEMO = import_module("minigrad.models.commands.demo")
TRAIN = import_module("minigrad.models.commands.train")
EXPLAIN = import_module("minigrad.models.commands.explain")
PROGRESS = import_module("minigrad.models.commands.progress")
QUICK = ["--hidden", "8", "--epochs", "2", "--lr", "0.05"]
WELL = ["--hidden", "8", "--epochs", "25", "--lr", "0.05"]


def minigrad(*arguments, code=0, **env):
    """Run a command in this process; returns what it printed, on both streams or one of them."""
    # No colours unless asked for, whatever the terminal of the test run says.
    env = {"FORCE_COLOR": None, "NO_COLOR": None, "TTY_COMPATIBLE": None, **env}
    result = CliRunner().invoke(main, [*map(str, arguments)], prog_name="minigrad", env=env)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert code in (None, result.exit_code), result.output
    return result


def program(*arguments, before="pass", **env):
    """Run the installed program's function in a process of its own."""
    code = f"import sys; {before}; from minigrad.models.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
    )


@pytest.fixture(autouse=True)
def easy_reviews(monkeypatch):
    for module in (DEMO, TRAIN):
        monkeypatch.setattr(module, "load_reviews", lambda subject: tiny_reviews())


@pytest.fixture(scope="module", params=["lstm", "gru", "rnn"])
def trained(request, tmp_path_factory):
    """A folder with a trained model, and what training it has printed."""
    folder = tmp_path_factory.mktemp("runs") / request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TRAIN, "load_reviews", lambda subject: tiny_reviews())
        arguments = ("train", "reviews", "--cell", request.param, "--out", folder, *WELL)
        return folder, minigrad(*arguments)


# --- train -----------------------------------------------------------------------------------


def test_train_prints_the_figures(trained):
    folder, printed = trained
    model, _, metrics = load_run(folder)
    assert metrics["cell"] == model.cell == folder.name
    assert (metrics["hidden"], metrics["epochs"], metrics["lr"]) == (8, 25, 0.05)
    assert re.search(rf"held-out accuracy  {metrics['held_out_accuracy']:.3f} on", printed.stdout)
    assert f"parameters         {metrics['parameters']:,}\n" in printed.stdout
    assert f"written to         {folder}\n" in printed.stdout
    example = f'"{TRAIN.EXAMPLE}"'
    assert f"minigrad explain {folder} {example}" in printed.stdout
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.count(f"my-gru {example}") == 2
    assert f"explain my-gru {example}" in minigrad("--help").stdout
    # Progress goes to the other stream, so that the figures can be piped.
    assert f"{folder.name.upper()} of 8 units, seed 0, on film reviews:\n" in printed.stderr
    for epoch in metrics["history"]:
        line = f"{epoch['epoch']:5}   {epoch['train_loss']:.3f}      {epoch['train_accuracy']:.3f}"
        assert line in printed.stderr
    assert "the best so far" in printed.stderr


def test_train_in_a_terminal_shows_a_bar(tmp_path):
    arguments = ("train", "reviews", "--out", tmp_path, *QUICK)
    printed = minigrad(*arguments, FORCE_COLOR="1", COLUMNS="120").stderr
    bar = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", printed)
    assert re.search(
        r"epoch [12]/2 [━╸╺ ]+ loss \d\.\d+  accuracy \d\.\d+ .*reviews/s .* left", bar
    )


def test_train_writes_where_it_says_without_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    minigrad("train", "reviews", "--cell", "gru", *QUICK)
    assert load_run(tmp_path / "reviews-gru").metrics["cell"] == "gru"


def test_train_replaces_a_model(tmp_path):
    for seed in (1, 2):
        minigrad("train", "reviews", "--seed", seed, "--out", tmp_path, *QUICK)
    assert load_run(tmp_path).metrics["seed"] == 2


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
        (["--lr", "nan"], "a learning rate is a positive number such as 0.004; got nan"),
        (["--lr", "inf"], "a learning rate is a positive number such as 0.004; got inf"),
        (["--lr", "1e999"], "a learning rate is a positive number such as 0.004; got 1e999"),
        (["--out", ""], "the name of a folder can't be empty"),
        (["--out", "  "], "the name of a folder can't be empty"),
        (["--out", "a\0b"], "is no path: it has a character that paths can't have"),
        (["--speed", "9"], "No such option '--speed'"),
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
    monkeypatch.setattr(TRAIN, "load_reviews", load_reviews)
    env = {"MINIGRAD_DATA": str(tmp_path / "data"), "PIP_NO_INDEX": "1"}
    printed = minigrad("train", "reviews", "--out", tmp_path / "run", code=1, **env)
    assert "Error: pip could not bring vaderSentiment-3.3.2.tar.gz" in printed.stderr
    assert f"here: {tmp_path / 'data' / 'vaderSentiment-3.3.2.tar.gz'}" in printed.stderr
    assert not (tmp_path / "run").exists()


def test_train_that_diverges(tmp_path):
    printed = minigrad("train", "reviews", "--lr", "1e300", "--out", tmp_path / "run", code=1)
    assert re.search(r"Error: the loss.* became \S+ in epoch 1: try a smaller rate", printed.stderr)
    assert "no epoch was finished, so nothing is saved\n" in printed.stderr
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

    monkeypatch.setattr(os, "fsync", full)
    printed = minigrad("train", "reviews", "--seed", "1", "--out", tmp_path, *QUICK, code=1)
    assert printed.stderr.endswith(
        f"Error: the model can't be written to {tmp_path}: No space left on device; the older one "
        "there is as it was\n"
    )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# --- stopped -------------------------------------------------------------------------------------

SIGNALS = [s for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s)]


@pytest.fixture
def signalled(monkeypatch):
    """Makes the next training get a signal, several times, in the first step of an epoch."""

    def arrange(name, epoch):
        def step(self, number, metrics):
            if number == epoch:
                for _ in range(3):  # an impatient user
                    os.kill(os.getpid(), getattr(signal, name))

        monkeypatch.setattr(PROGRESS.TrainingProgress, "step", step)

    return arrange


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's here")
@pytest.mark.parametrize("name", SIGNALS)
def test_a_stopped_training_keeps_its_best_epoch(name, tmp_path, signalled):
    signum = getattr(signal, name)
    handler = signal.getsignal(signum)
    signalled(name, 4)
    arguments = ("train", "reviews", "--hidden", 8, "--epochs", 8, "--lr", 0.05, "--out", tmp_path)
    printed = minigrad(*arguments, code=128 + signum)
    metrics = load_run(tmp_path).metrics
    assert [epoch["epoch"] for epoch in metrics["history"]] == [1, 2, 3]
    best = metrics["best_epoch"]
    said = f"ended after 3 of 8 epochs; the best so far, epoch {best}, is saved in {tmp_path}\n"
    assert printed.stderr.endswith(f"{said}stopped\n")
    assert signal.getsignal(signum) == handler
    whole = replace(Settings(), hidden=8, epochs=8, lr=0.05)
    again = train_reviews(split_reviews(tiny_reviews()), whole).metrics["history"][:3]
    for epoch in (*again, *metrics["history"]):
        del epoch["seconds"]
    assert metrics["history"] == again


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's here")
def test_a_training_that_is_stopped_in_its_first_epoch_changes_nothing(tmp_path, signalled):
    minigrad("train", "reviews", "--out", tmp_path, *QUICK)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    signalled("SIGINT", 1)
    said = "no epoch was finished, so nothing is saved"
    printed = minigrad("train", "reviews", "--out", tmp_path, *QUICK, code=130).stderr
    assert printed.endswith(f"{said}; the older model in {tmp_path} is as it was\nstopped\n")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    printed = minigrad("train", "reviews", "--out", tmp_path / "new", *QUICK, code=130).stderr
    assert printed.endswith(f"{said}\nstopped\n")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's here")
def test_ctrl_c_while_a_model_is_saved_waits(tmp_path, monkeypatch):
    def saving(*args):
        os.kill(os.getpid(), signal.SIGINT)
        save_run(*args)

    monkeypatch.setattr(TRAIN, "save_run", saving)
    minigrad("train", "reviews", "--out", tmp_path, *QUICK)
    assert len(load_run(tmp_path).metrics["history"]) == 2


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
    def step(self, number, metrics):
        if number == 2:
            raise FloatingPointError("the loss became nan")

    monkeypatch.setattr(PROGRESS.TrainingProgress, "step", step)
    printed = minigrad("train", "reviews", "--out", tmp_path, *QUICK, code=1)
    said = f"ended after 1 of 2 epochs; the best so far, epoch 1, is saved in {tmp_path}\n"
    assert printed.stderr.endswith(f"{said}Error: the loss became nan\n")
    assert len(load_run(tmp_path).metrics["history"]) == 1


def test_ctrl_c_ends_any_command(monkeypatch, trained):
    def interrupted(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("minigrad.models.commands.predict"), "load_run", interrupted)
    assert minigrad("predict", trained[0], "A film", code=130).stderr == "stopped\n"


# --- predict and explain -----------------------------------------------------------------------


@pytest.mark.parametrize(("word", "label"), [("lovely", "positive"), ("awful", "negative")])
def test_predict(trained, word, label):
    printed = minigrad("predict", trained[0], f"The plot is {word}.")
    assert re.fullmatch(rf"{label}, with probability 0\.\d\d\d\n", printed.output)


def test_predict_names_unknown_words(trained):
    printed = minigrad("predict", trained[0], "A lovely kafkaesque plot, zany film")
    assert printed.output.endswith("\n(2 of 6 words are unknown to the model: kafkaesque, zany)\n")


def test_explain_in_a_pipe(trained):
    printed = minigrad("explain", trained[0], "The plot is awful, kafkaesque.").output
    lines = printed.splitlines()
    assert re.fullmatch(r"negative, with probability 0\.\d\d\d", lines[0])
    state = ["slope"] if trained[0].name == "rnn" else ["kept", "gates"]
    assert lines[1].split() == ["word", *state, "grad*x", "left", "out"]
    assert [line.split()[0] for line in lines[2:7]] == [
        "the",
        "plot",
        "is",
        "awful",
        "(kafkaesque)",
    ]
    assert float(lines[5].split()[-1]) < -0.2
    assert "\x1b" not in printed
    for name in (*state, "grad*x", "left out"):
        assert re.search(rf"^{re.escape(name)} +[a-z]", printed, re.M)
    assert (
        "+0.7 doubles the odds, as from 1:1 (probability 0.50) to 2:1 (probability 0.67)" in printed
    )
    assert 1 / (1 + math.exp(-0.7)) == pytest.approx(0.67, abs=5e-3)
    assert " words that the answer" not in printed  # all are there


def test_explain_says_how_alike_its_columns_are(trained):
    folder, printed = trained[0], minigrad("explain", trained[0], "The plot is awful").output
    found = load_run(folder).metrics["agreement"]["correlations"]
    assert f"grad*x and left out {found['gradient, occlusion']:+.2f}" in printed
    said = f"gates and place in the text {found.get('gates, position', 9):+.2f}"
    assert (said in printed) == (folder.name != "rnn")
    assert EXPLAIN.agreement_of({}).endswith("train it again to see it.")


def test_explain_says_how_many_words_it_leaves_out(trained, capsys):
    model, vocabulary, _ = load_run(trained[0])
    explanation = explain(model, vocabulary, "the plot of the film is awful and the actor is great")
    for rows in (3, 12, 99):
        EXPLAIN.show(Console(width=100, highlight=False), explanation, rows=rows)
        printed = capsys.readouterr().out
        said = f"(the {rows} of 12 words that the answer hangs on most)"
        assert (said in printed) == (rows == 3)
        assert len(re.findall(r"^  \(?[a-z]+.*[+-]\d\.\d\d *$", printed, re.M)) == min(rows, 12)


def test_explain_in_a_terminal(trained):
    printed = minigrad("explain", trained[0], "The plot is awful", FORCE_COLOR="1").output
    assert "\x1b[1;31mawful" in printed  # bold and red
    assert ("by the gates:" in printed) == (trained[0].name != "rnn")
    assert "by trying:" in printed


@pytest.mark.parametrize("command", ["predict", "explain"])
class TestWrongUseAndDamage:
    def test_missing_folder(self, command, tmp_path):
        folder = tmp_path / "nowhere"
        printed = minigrad(command, folder, "A film", code=2)
        assert f"there is no folder {folder}; to train a model" in printed.stderr
        assert f"minigrad train reviews --out {folder}" in printed.stderr

    def test_a_file_in_place_of_the_folder(self, command, trained):
        printed = minigrad(command, trained[0] / "metrics.json", "A film", code=2)
        assert "metrics.json is no folder; name one that minigrad train has" in printed.stderr
        assert (
            "the name of a folder can't be empty" in minigrad(command, "", "A film", code=2).stderr
        )

    def test_no_words(self, command, trained):
        printed = minigrad(command, trained[0], "...", code=2)
        assert "there are no words in '...'" in printed.stderr

    def test_no_text(self, command, trained):
        assert "Missing argument 'TEXT'" in minigrad(command, trained[0], code=2).stderr

    def test_empty_folder(self, command, tmp_path):
        printed = minigrad(command, tmp_path, "A film", code=1)
        assert f"Error: {tmp_path} holds no trained model: metrics.json missing" in printed.stderr

    def test_damaged_model(self, command, trained, tmp_path):
        for file in trained[0].iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        (weights,) = tmp_path.glob("model-*.safetensors")
        weights.write_bytes(b"\x10")
        printed = minigrad(command, tmp_path, "A film", code=1)
        assert f"Error: {weights} is damaged: it is not what was written" in printed.stderr
        assert f"minigrad train reviews --out {tmp_path}" in printed.stderr
        weights.unlink()
        weights.mkdir()
        assert "it is no file" in minigrad(command, tmp_path, "A film", code=1).stderr

    def test_an_answer_that_is_no_number(self, command, trained, monkeypatch):
        model, words, metrics = load_run(trained[0])
        model.head.bias.data = np.array([np.inf, np.inf], dtype="float32")  # weights were finite
        broken = Run(model, words, metrics)
        for module in ("predict", "explain"):
            place = import_module(f"minigrad.models.commands.{module}")
            monkeypatch.setattr(place, "load_run", lambda folder: broken)
        printed = minigrad(command, trained[0], "A film", code=1)
        assert "Error: the model's answer is not a finite number" in printed.stderr


# --- demo, doctor, and the program itself --------------------------------------------------------


def test_demo(tmp_path, monkeypatch):
    quick = Settings(hidden=8, embedding=8, epochs=2, lr=0.05, batch_size=16)
    monkeypatch.setattr(DEMO, "Settings", lambda: quick)
    printed = minigrad("demo", MINIGRAD_DATA=str(tmp_path)).stdout
    metrics = load_run(tmp_path / "demo").metrics
    assert f"held-out accuracy  {metrics['held_out_accuracy']:.3f}" in printed
    held_out = {review.text: review for review in split_reviews(tiny_reviews()).test}
    texts = re.findall(r'\(people: (\w+)\):\n"(.+)"\n(\w+), with', printed)
    assert len(texts) == (3 if "surest mistake" in printed else 2)
    for people, text, answer in texts:
        assert people == ("positive" if held_out[text].label else "negative")
        assert (answer == people) == (text != texts[-1][1] or len(texts) == 2)
    assert DEMO.CEREAL[:60] in printed
    assert (
        f"(the 10 of {len(tokenize(DEMO.CEREAL))} words that the answer hangs on most)" in printed
    )
    assert printed.count("left out\n") == len(texts) + 1
    assert f"The model is in {tmp_path / 'demo'}" in printed


def test_demo_chooses_the_surest(trained):
    run = load_run(trained[0])
    reviews = split_reviews(tiny_reviews()).test
    odds = {}
    for review in reviews:
        numbers = run.vocabulary.encode(tokenize(review.text))
        odds[review] = log_odds(run.model, numbers[:, None], [len(numbers)])[0]
    right = [Review(r.id, float(np.sign(odds[r])), r.text) for r in reviews]
    titles, told = zip(*DEMO.telling_reviews(run, right), strict=True)
    assert [title.rpartition(" ")[2] for title in titles] == ["positive", "negative"]
    odds_of = {review.id: odds[review] for review in reviews}
    ids = sorted(odds_of, key=odds_of.get)
    assert [review.id for review in told] == [ids[-1], ids[0]]

    negative = [id for id in ids if odds_of[id] < 0]
    least = [negative[-1], ids[len(negative)]]  # of which it is least sure
    for most in (ids[0], ids[-1]):
        errors = [most, *least]
        wrong = [Review(r.id, -r.rating, r.text) if r.id in errors else r for r in right]
        assert DEMO.telling_reviews(run, wrong)[-1][1].id == most
    too_long = Review("long", 1.0, " ".join(["lovely"] * 16))
    assert too_long not in [review for _, review in DEMO.telling_reviews(run, [too_long, *right])]


def test_doctor():
    current = mg.current_backend().name
    assert re.search(rf"^\* {current} +works", minigrad("doctor").output, re.M)
    rows = json.loads(minigrad("doctor", "--json").output)
    assert [row["name"] for row in rows] == mg.available_backends()


@pytest.mark.parametrize("command", [["doctor"], ["doctor", "--json"]])
def test_doctor_of_a_sick_backend(command):
    done = program(*command, MINIGRAD_BACKEND="numpi")
    assert done.returncode == 1
    assert "numpi" in done.stdout and not done.stderr


def test_unknown_backend_is_an_error_without_traceback(trained):
    done = program("predict", trained[0], "A film", MINIGRAD_BACKEND="numpi")
    assert done.returncode == 1
    assert re.match("Error: .*'numpi'", done.stderr)


def test_a_wrong_setting_is_an_error_without_traceback(monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", "maybe")
    printed = minigrad("gradcheck", "RNN", code=1)
    assert printed.stderr == "Error: MINIGRAD_FUSED is 0, 1 or require; got 'maybe'\n"


def test_version():
    assert minigrad("--version").output == f"minigrad {mg.__version__}\n"


@pytest.mark.parametrize(
    "command",
    ["", "demo", "train", "train reviews", "predict", "explain", "doctor", "bench", "bench cell"],
)
def test_help_has_an_example(command):
    printed = minigrad(*command.split(), "--help").output
    assert re.search(rf"Examples?:\n(.*\n)*?    .*minigrad {command}", printed)
    assert max(map(len, printed.splitlines())) <= 80


def test_the_package_is_the_command():
    """Where a shell doesn't find programs that pip installs."""
    found = subprocess.run(
        [sys.executable, "-m", "minigrad", "--version"], capture_output=True, text=True
    )
    assert found.stdout == minigrad("--version").output, found.stderr


def test_without_a_command():
    assert "Commands:" in minigrad(code=2).output


def test_help_is_quick():
    done = program("--help", before="import atexit; atexit.register(lambda: print(*sys.modules))")
    assert done.returncode == 0
    seen = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "click" in seen
    assert not seen & {"rich", "safetensors", "platformdirs", "numba", "torch"}


@pytest.mark.parametrize("library", ["click", "rich", "safetensors", "platformdirs"])
def test_missing_library(library, trained, tmp_path):
    command = {
        "click": ["--help"],
        "rich": ["explain", trained[0], "A lovely film"],
        "safetensors": ["predict", trained[0], "A lovely film"],
        "platformdirs": ["demo"],
    }[library]
    gone = f"sys.modules[{library!r}] = sys.modules['{library}.console'] = None"
    env = {"MINIGRAD_DATA": "", "PIP_NO_INDEX": "1"}
    done = program(*command, before=gone, **env)
    assert done.returncode == 1
    assert library in done.stderr and install_line("learn") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_terminal_without_the_letters(command, trained):
    done = program(command, trained[0], "A lovely кино", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    assert "????" in done.stdout
