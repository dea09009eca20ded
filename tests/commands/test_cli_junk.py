"""Whatever is typed for an argument or option, the answer is a sentence and an exit code."""

from importlib import import_module

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from minigrad.models.commands import main

JUNK = [
    *("", " ", "nan", "-nan", "inf", "-inf", "1e999", "-0", "0", "-1", "1.5", "0x10", "1_000", "٣"),
    *("99999999999999999999999999", "9" * 5000, "true", "None", "a" * 300, "\0", "a\0b", "\ud800"),
    *(".", "..", "/", "/dev/full", "/nowhere/x", "~", "a:b", ":", "a:", ":b", "os:getcwd", "tanh"),
    *(
        "minigrad:tanh",
        "minigrad.nope:x",
        "..:x",
        "3,4",
        "3,,4",
        ",",
        "0,0",
        "-3",
        "3;4",
        "cupy:99",
    ),
    *(
        "numpy",
        "numba:1",
        "all",
        "--",
        "--help",
        "-x",
        "\n",
        "%s",
        "{}",
        "\x1b[31m",
        "t.png",
        "x.svg",
    ),
    *("999999999,999999999", "99999999999", "1," * 70),
]
TEXTS = st.sampled_from(JUNK) | st.text(max_size=20)

# What comes before a value and after it; whatever would be long work is taken out below.
PLACES = {
    "train --cell": (["train", "reviews", "--cell"], []),
    "train --hidden": (["train", "reviews", "--hidden"], []),
    "train --epochs": (["train", "reviews", "--epochs"], []),
    "train --lr": (["train", "reviews", "--lr"], []),
    "train --seed": (["train", "reviews", "--seed"], []),
    "train --out": (["train", "reviews", "--out"], []),
    "train --seeds": (["train", "reviews", "--seeds"], []),
    "train --dropout": (["train", "products", "--dropout"], []),
    "train --resume": (["train", "reviews", "--resume", "--out"], []),
    "train what": (["train"], []),
    "predict DIR": (["predict"], ["A film"]),
    "predict TEXT": (["predict", "."], []),
    "explain DIR": (["explain"], ["A film"]),
    "explain TEXT": (["explain", "."], []),
    "say DIR": (["say"], ["hello"]),
    "say WORD": (["say", "."], []),
    "say --voice": (["say", ".", "hello", "--voice"], []),
    "say --out": (["say", ".", "hello", "--out"], []),
    "transcribe DIR": (["transcribe"], ["none.wav"]),
    "transcribe FILE": (["transcribe", "."], []),
    "gradcheck TARGET": (["gradcheck"], []),
    "gradcheck --backend": (["gradcheck", "tanh", "--backend"], []),
    "gradcheck --order": (["gradcheck", "tanh", "--order"], []),
    "gradcheck --seed": (["gradcheck", "tanh", "--seed"], []),
    "gradcheck --plot": (["gradcheck", "tanh", "--plot"], []),
    "gradcheck --json": (["gradcheck", "tanh", "--json"], []),
    "gradcheck --shape": (["gradcheck", "minigrad:tanh", "--shape"], []),
    "convert FILE": (["convert"], []),
    "convert OUT": (["convert", "nothing.pt"], []),
    "convert --set": (["convert", "nothing.pt", "--set"], []),
    "mutate --op": (["mutate", "--op"], []),
    "mutate --seed": (["mutate", "--op", "nothing", "--seed"], []),
    "mutate --json": (["mutate", "--op", "nothing", "--json"], []),
    "bench cell TARGET": (["bench", "cell"], []),
    "bench cell --backend": (["bench", "cell", "minigrad.models:RNN", "--backend"], []),
    "bench cell --shape": (["bench", "cell", "nope:X", "--shape"], ["2", "2", "2"]),
    "bench cell --rounds": (["bench", "cell", "nope:X", "--rounds"], []),
    "bench cell --json": (["bench", "cell", "nope:X", "--json"], []),
    "gpu-report --backend": (["gpu-report", "--backend"], []),
    "gpu-report --json": (["gpu-report", "--backend", "nothing", "--json"], []),
    "gpu-report --text": (["gpu-report", "--backend", "nothing", "--text"], []),
    "a command": ([], []),
    "an option": (["doctor"], []),
}


@pytest.fixture
def no_long_work(monkeypatch, tmp_path):
    """Commands that were asked for something sensible do none of it, or little."""

    class Asked(SystemExit):
        code = 0

    def asked(*args, **kwargs):
        raise Asked(0)

    monkeypatch.setattr("minigrad.models.tasks.review_task.load_reviews", asked)
    monkeypatch.setattr("minigrad.models.reports.cell_bench.bench_cell", asked)
    monkeypatch.setattr("minigrad.models.reports.gpu_report.gpu_report", asked)
    monkeypatch.setattr("minigrad.mutation.score.mutation_score", asked)
    mutate = import_module("minigrad.models.commands.mutate")
    monkeypatch.setattr(mutate, "lines", lambda: {"tanh": asked})
    gradcheck = import_module("minigrad.models.commands.gradcheck")
    checks = {"tanh": gradcheck.op_checks()["tanh"]}
    monkeypatch.setattr(gradcheck, "op_checks", lambda: checks)
    monkeypatch.setattr(gradcheck, "layer_checks", dict)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("place", PLACES)
@given(text=TEXTS)
def test_a_sentence_and_an_exit_code(place, text, no_long_work):
    before, after = PLACES[place]
    _run([*before, text, *after])


@pytest.mark.parametrize("place", PLACES)
def test_all_that_was_thought_of(place, no_long_work):
    before, after = PLACES[place]
    for text in JUNK:
        _run([*before, text, *after])


def _run(arguments):
    result = CliRunner().invoke(main, arguments, prog_name="minigrad")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise AssertionError(arguments) from result.exception
    assert result.exit_code in (0, 1, 2), arguments
    if result.exit_code == 2 and not result.stdout:
        assert result.stderr.strip(), arguments
    assert "Traceback" not in result.output, arguments
