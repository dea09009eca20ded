"""The command line: what it prints, what it leaves in the folder, its errors and exit codes."""

import json
import math
import re
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
from command_line import minigrad, program
from rich.console import Console
from tiny_reviews import tiny_reviews

import minigrad as mg
from minigrad.models.guide.chapter import GuideError, chosen
from minigrad.models.reports.explain import explain, log_odds
from minigrad.models.tasks.registry import load_run
from minigrad.models.tasks.review_task import Reviews, ReviewSettings
from minigrad.models.tasks.reviews import Review, split_reviews
from minigrad.models.training.run_folder import Run
from minigrad.models.training.text import tokenize
from minigrad.utils.install import install_line

# Not `from minigrad.models.commands import demo`: that is the command.
DEMO = import_module("minigrad.models.commands.demo")
CHAPTER = import_module("minigrad.models.guide.chapter")
EXECUTE = import_module("minigrad.models.guide.execute")
EXPLAIN = import_module("minigrad.models.commands.explain")

pytestmark = pytest.mark.usefixtures("easy_reviews")


def test_ctrl_c_ends_any_command(monkeypatch, trained):
    def interrupted(folder, kind=None):
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
    task, model, _ = load_run(trained[0])
    explanation = explain(
        model, task.vocabulary, "the plot of the film is awful and the actor is great"
    )
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
        task, model, metrics = load_run(trained[0])
        model.head.bias.data = np.array([np.inf, np.inf], dtype="float32")  # weights were finite
        broken = Run(task, model, metrics)
        for module in ("predict", "explain"):
            place = import_module(f"minigrad.models.commands.{module}")
            monkeypatch.setattr(place, "load_run", lambda folder, kind=None: broken)
        printed = minigrad(command, trained[0], "A film", code=1)
        assert "Error: the model's answer is not a finite number" in printed.stderr


# --- demo, doctor, and the program itself --------------------------------------------------------


@pytest.fixture
def small_demo(monkeypatch):
    quick = ReviewSettings(hidden=8, embedding=8, epochs=5, lr=0.05, batch_size=16)
    monkeypatch.setattr(DEMO, "Reviews", lambda: Reviews(quick))


@pytest.mark.usefixtures("small_demo")
def test_demo(tmp_path):
    printed = minigrad("demo", "--no-guide", MINIGRAD_DATA=str(tmp_path)).stdout
    metrics = load_run(tmp_path / "demo").metrics
    assert f"held-out accuracy  {metrics['test']['accuracy']:.3f}" in printed
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
    assert not (tmp_path / "demo-guide").exists()


@pytest.mark.usefixtures("small_demo")
def test_demo_makes_the_guide(tmp_path, monkeypatch):
    pytest.importorskip("nbclient", reason=install_line("guide"))
    second = chosen("2")
    import_module("minigrad.models.guide.build")  # it looks for earlier pages of all chapters
    monkeypatch.setattr(CHAPTER, "chapters", lambda: second)
    printed = minigrad("demo", MINIGRAD_DATA=str(tmp_path)).stdout
    index = tmp_path / "demo-guide" / "index.html"
    said = r"\n1 chapters in \d+ s; 3 claims \(holds: 3\)\nopen (.*)\n$"
    assert index.is_file() and re.search(said, printed)[1] == str(index)


def test_demo_without_what_the_guide_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(EXECUTE, "PACKAGES", ("nbclient_of_nowhere",))
    printed = minigrad("demo", MINIGRAD_DATA=str(tmp_path), code=1).stderr
    assert "needs the package nbclient_of_nowhere" in printed and "demo --no-guide" in printed
    assert not (tmp_path / "demo").exists()  # it says so before the training


@pytest.mark.usefixtures("small_demo")
def test_demo_whose_guide_fails(tmp_path, monkeypatch):
    pytest.importorskip("nbclient", reason=install_line("guide"))

    def fails(*arguments, **options):
        raise GuideError("chapter 3 fails")

    monkeypatch.setattr(import_module("minigrad.models.commands.guide_pages"), "build", fails)
    printed = minigrad("demo", MINIGRAD_DATA=str(tmp_path), code=1)
    assert "the guide could not be made: chapter 3 fails" in printed.stderr
    assert f"The model is in {tmp_path / 'demo'}" in printed.stdout


def test_demo_chooses_the_surest(trained):
    run = load_run(trained[0])
    reviews = split_reviews(tiny_reviews()).test
    odds = {}
    for review in reviews:
        numbers = run.task.vocabulary.encode(tokenize(review.text))
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


def test_unknown_backend_is_an_error_without_traceback(trained_lstm):
    done = program("predict", trained_lstm[0], "A film", MINIGRAD_BACKEND="numpi")
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
def test_missing_library(library, trained_lstm, tmp_path):
    command = {
        "click": ["--help"],
        "rich": ["explain", trained_lstm[0], "A lovely film"],
        "safetensors": ["predict", trained_lstm[0], "A lovely film"],
        "platformdirs": ["demo", "--no-guide"],  # which other packages make
    }[library]
    gone = f"sys.modules[{library!r}] = sys.modules['{library}.console'] = None"
    env = {"MINIGRAD_DATA": "", "PIP_NO_INDEX": "1"}
    done = program(*command, before=gone, **env)
    assert done.returncode == 1
    assert library in done.stderr and install_line("learn") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_terminal_without_the_letters(command, trained_lstm):
    done = program(command, trained_lstm[0], "A lovely кино", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    assert "????" in done.stdout
