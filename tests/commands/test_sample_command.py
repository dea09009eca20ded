"""`minigrad train text FILE` and `minigrad sample`: what they print, and wrong use."""

import pytest
from command_line import minigrad

LINES = "the cat sat on the mat.\nthe dog sat on the log.\n" * 40
SMALL = ["--hidden", "12", "--embedding", "6", "--length", "12", "--batch-size", "4"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model of two lines, and what training it has printed."""
    folder = tmp_path_factory.mktemp("text")
    path = folder / "lines.txt"
    path.write_text(LINES, encoding="utf-8")
    arguments = ("train", "text", path, "--epochs", 2, "--lr", 0.02, *SMALL)
    return folder / "model", minigrad(*arguments, "--out", folder / "model")


def test_training_shows_samples_and_rivals(trained):
    _, printed = trained
    assert "1,728 characters to train on, 96 to validate, 96 held out" in printed.stderr
    assert "held-out bits_per_character " in printed.stdout
    assert "frequencies of characters: " in printed.stdout and "xz: " in printed.stdout
    last = printed.stderr.rpartition("the best so far")[2]
    assert len(last.strip()) > 150 and set(last) <= {*LINES, " "}


def test_samples_follow_the_prompt_and_the_seed(trained):
    folder, _ = trained
    first = minigrad("sample", folder, "--prompt", "the c", "--length", 50, "--seed", 3).stdout
    assert first.startswith("the c") and len(first) == 5 + 50 + 1 and first.endswith("\n")
    again = minigrad("sample", folder, "--prompt", "the c", "--length", 50, "--seed", 3).stdout
    other = minigrad("sample", folder, "--prompt", "the c", "--length", 50, "--seed", 4).stdout
    assert first == again != other
    assert set(first) <= set(LINES)


def test_greedy_is_temperature_0_top_1_and_a_beam_of_1(trained):
    folder, _ = trained
    ways = [["--temperature", 0], ["--top-k", 1], ["--top-p", 1e-9], ["--beam", 1]]
    texts = {minigrad("sample", folder, "--length", 30, *way).stdout for way in ways}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--prompt", "the Zoë"], "the model doesn't know the characters 'Z', 'ë'"),
        (["--prompt", ""], "Invalid value for --prompt: it has at least one character"),
        (["--temperature", "-1"], "-1.0 is not in the range x>=0"),
        (["--temperature", "nan"], "nan is not"),
        (["--top-k", "0"], "0 is not in the range x>=1"),
        (["--top-p", "0"], "0.0 is not in the range 0<x<=1"),
        (["--length", "0"], "0 is not in the range x>=1"),
        (["--beam", "2", "--top-k", "3"], "--beam draws nothing: leave --top-k out"),
    ],
)
def test_wrong_use(trained, options, why):
    folder, _ = trained
    assert why in minigrad("sample", folder, *options, code=2).stderr


def test_folders_without_a_model(tmp_path):
    assert "there is no folder" in minigrad("sample", tmp_path / "none", code=2).stderr
    assert "holds no trained model" in minigrad("sample", tmp_path, code=1).stderr


def test_a_text_that_is_no_file(tmp_path):
    found = minigrad("train", "text", tmp_path / "none.txt", "--out", tmp_path / "run", code=1)
    assert "none.txt can't be read: No such file or directory" in found.stderr
