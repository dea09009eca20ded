"""`minigrad say` and `minigrad transcribe`: what they print and write, and their errors."""

import subprocess
import wave
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import minigrad as mg
from minigrad.models.commands import main
from minigrad.models.speech import espeak
from minigrad.models.speech.espeak import RATE, SpeechError
from minigrad.models.speech.sound_files import wav_bytes
from minigrad.models.tasks.phonemes import Phonemes, PhonemesSettings
from minigrad.models.tasks.pronunciations import LABELS
from minigrad.models.tasks.speech import Speech, SpeechSettings
from minigrad.models.training.run_folder import Run, save_run

SAY = import_module("minigrad.models.commands.say")
installed = pytest.mark.skipif(
    find_spec("espeakng_loader") is None,
    reason='espeak-ng is missing: pip install -e ".[speech]"',
)


def minigrad(*arguments, code=0):
    result = CliRunner().invoke(main, [*map(str, arguments)], prog_name="minigrad")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def save(folder, task, biases):
    """A model in a folder whose answers are those of its biases, whatever it reads."""
    model = task.model()
    with mg.no_grad():
        model.head.weight *= 0
        model.head.bias[:] = mg.tensor(np.asarray(biases, "float32"))
    figures = {
        "minigrad": mg.__version__,
        "task": task.name,
        "settings": vars(task.settings),
    }
    save_run(folder, Run(task, model, figures))
    return folder


@pytest.fixture
def speaker(tmp_path):
    """A model of phonemes that reads each letter as S AH1."""
    biases = np.zeros((2, len(LABELS) + 1))
    biases[0, LABELS["S"]] = biases[1, LABELS["AH1"]] = 9
    task = Phonemes(PhonemesSettings(hidden=2, embedding=2))
    return save(tmp_path / "speaker", task, biases.reshape(-1))


@pytest.fixture
def listener(tmp_path):
    """A model of speech that always hears a seven."""
    biases = np.zeros(11)
    biases[8] = 9
    return save(tmp_path / "listener", Speech(SpeechSettings(hidden=2)), biases)


@installed
def test_say_prints_phonemes_and_writes_a_file(speaker, tmp_path):
    out = tmp_path / "a.wav"
    result = minigrad("say", speaker, "so, it's 1", "--out", out)
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["so", *["S", "AH1"] * 2]
    assert lines[1].split() == ["it's", *["S", "AH1"] * 4]
    assert lines[2].startswith("written to") and lines[2].endswith(" s")
    with wave.open(str(out)) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
        assert 0.3 < file.getnframes() / RATE < 6
    longer = tmp_path / "b.wav"
    minigrad("say", speaker, "so", "it's", "--out", longer, "--speed", 90, "--voice", "en-gb+f2")
    assert longer.stat().st_size > 1.2 * out.stat().st_size


@installed
def test_say_plays_what_it_says(speaker, monkeypatch):
    played = []

    def run(words, **options):
        played.append([*words[:-1], len(Path(words[-1]).read_bytes())])
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(SAY.shutil, "which", lambda name: name if name == "paplay" else None)
    monkeypatch.setattr(SAY.subprocess, "run", run)
    minigrad("say", speaker, "so")
    ((player, size),) = played
    assert player == "paplay" and size > RATE / 10

    def fail(words, **options):
        return subprocess.CompletedProcess(words, 1, "", "noise\nno device\n")

    monkeypatch.setattr(SAY.subprocess, "run", fail)
    result = minigrad("say", speaker, "so", code=1)
    assert "paplay can't play the sound: no device; --out FILE.wav" in result.stderr
    monkeypatch.setattr(SAY.shutil, "which", lambda name: None)
    result = minigrad("say", speaker, "so", code=1)
    assert "no program to play sound is there (aplay, " in result.stderr
    assert "so " in result.stdout  # the phonemes were printed


def test_what_can_not_be_said(speaker, listener, tmp_path, monkeypatch):
    assert "there are no words in '1 2'" in minigrad("say", speaker, "1 2", code=2).stderr
    assert "WORD" in minigrad("say", speaker, code=2).stderr
    assert "name it" in minigrad("say", speaker, "so", "--out", tmp_path / "a.mp3", code=2).stderr
    assert "phonemes" in minigrad("say", listener, "so", code=1).stderr
    assert "there is no folder" in minigrad("say", tmp_path / "none", "so", code=2).stderr

    def missing(*args, **options):
        raise SpeechError("not installed")

    monkeypatch.setattr(espeak, "synthesize", missing)
    result = minigrad("say", speaker, "so", code=1)
    assert result.stderr == "Error: not installed\n" and "S AH1" in result.stdout
    silent = save(tmp_path / "silent", Phonemes(PhonemesSettings(hidden=2)), [9] + [0] * 139)
    with mg.no_grad():
        assert "Error" in minigrad("say", silent, "so", code=1).stderr


@installed
def test_an_unknown_voice(speaker, tmp_path):
    out = tmp_path / "a.wav"
    result = minigrad("say", speaker, "so", "--voice", "en-us+f33", "--out", out, code=1)
    assert "there is no voice 'f33'; there are f3" in result.stderr and not out.exists()


def test_transcribe(listener, tmp_path):
    for name, rate, channels in (("a.wav", 22_050, 1), ("b.wav", 8000, 2)):
        sound = np.random.default_rng(0).uniform(-1, 1, rate)
        (tmp_path / name).write_bytes(wav_bytes(sound, rate))
        if channels == 2:
            with wave.open(str(tmp_path / name), "wb") as file:
                file.setparams((2, 2, rate, 0, "NONE", ""))
                file.writeframes((sound.repeat(2) * 2**15).astype("<i2").tobytes())
        digits, steps = minigrad("transcribe", listener, tmp_path / name).stdout.splitlines()
        assert digits == "7" and steps == "7" * 33


def test_what_can_not_be_transcribed(listener, speaker, tmp_path):
    text = tmp_path / "text.wav"
    text.write_text("seven")
    result = minigrad("transcribe", listener, text, code=1)
    assert "can't be read as a WAV file" in result.stderr
    long = tmp_path / "long.wav"
    long.write_bytes(wav_bytes(np.zeros(61 * 100), 100))
    assert "lasts 61 seconds; 60 at most" in minigrad("transcribe", listener, long, code=1).stderr
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.zeros(RATE), RATE))
    assert "speech" in minigrad("transcribe", speaker, tmp_path / "a.wav", code=1).stderr
    assert "does not exist" in minigrad("transcribe", listener, "none.wav", code=2).stderr
