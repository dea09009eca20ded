"""`minigrad predict` for models of numbers: answers to files, and errors for other files."""

import dataclasses
import json
import re
from datetime import datetime, timedelta

import numpy as np
import pytest
from command_line import minigrad
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import minigrad as mg
from minigrad.models.tasks.caption_task import CaptionSettings, CaptionsTask
from minigrad.models.tasks.digit_task import DigitSettings, DigitsTask, images_in
from minigrad.models.tasks.digits import Digits
from minigrad.models.tasks.first import First
from minigrad.models.tasks.number_files import read_numbers
from minigrad.models.tasks.temperature_task import TemperatureSettings, TemperaturesTask
from minigrad.models.tasks.temperatures import Temperatures
from minigrad.models.training.run_folder import Run, save_run

START = datetime(2021, 1, 1)


def saved(folder, task):
    """A model with its first weights, in a folder as after a training."""
    metrics = {
        "minigrad": mg.__version__,
        "task": task.name,
        "settings": dataclasses.asdict(task.settings),
    }
    save_run(folder, Run(task, task.model(), metrics))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder with a model for each task, by its name."""
    mg.manual_seed(0)
    digits = DigitsTask(DigitSettings(hidden=4))
    digits.take(Digits(np.zeros((40, 8, 8), np.float32), np.arange(40) % 10))
    temperatures = TemperaturesTask(TemperatureSettings(past=24, ahead=3, hidden=4))
    temperatures.take(Temperatures(START, 10 + np.arange(12_000) % 24))
    captions = CaptionsTask(CaptionSettings(hidden=4, templates=4))
    first = First()
    root = tmp_path_factory.mktemp("runs")
    tasks = (digits, temperatures, captions, first)
    return {task.name: saved(root / task.name, task) for task in tasks}


def hours(count, at=START):
    lines = [f"{at + timedelta(hours=h)},{10 + h % 24}" for h in range(count)]
    return "time,temperature\n" + "\n".join(lines)


# --- what is read --------------------------------------------------------------------------------

NUMBERS = arrays(np.float64, array_shapes(max_dims=2, max_side=4), elements=st.floats(-1e9, 1e9))


@given(NUMBERS, st.sampled_from(["npy", "json", "csv", "txt"]))
def test_numbers_in_files(tmp_path, numbers, ending):
    path = tmp_path / f"numbers.{ending}"
    if ending == "npy":
        np.save(path, numbers)
    elif ending == "json":
        path.write_text(json.dumps(numbers.tolist()))
    else:
        numbers = np.atleast_2d(numbers)
        between = ", " if ending == "csv" else " "
        lines = [between.join(map(repr, row.tolist())) for row in numbers]
        path.write_text("\n\n".join(lines))
    np.testing.assert_array_equal(read_numbers(str(path)), numbers)


def test_images_in_files(tmp_path):
    images = np.random.default_rng(0).integers(17, size=(3, 8, 8))
    for shape in ((3, 8, 8), (3, 64), (24, 8)):
        np.save(tmp_path / "a.npy", images.reshape(shape))
        np.testing.assert_array_equal(images_in(str(tmp_path / "a.npy")), images / np.float32(16))


# --- answers -------------------------------------------------------------------------------------


def test_digits(folders, tmp_path):
    path = tmp_path / "two.csv"
    np.savetxt(path, np.random.default_rng(0).integers(17, size=(2, 64)), delimiter=",")
    lines = minigrad("predict", folders["digits"], path).stdout.splitlines()
    assert len(lines) == 18
    for line in (lines[8], lines[17]):
        assert re.fullmatch(r"\d, with probability 0\.\d{3} \(else \d: 0\.\d{3}\)", line)


def test_temperatures(folders, tmp_path):
    path = tmp_path / "hours.csv"
    path.write_text(hours(30))
    lines = minigrad("predict", folders["temperatures"], path).stdout.splitlines()
    assert len(lines[0]) == 3
    assert [line[:16] for line in lines[1:]] == [f"2021-01-02 {hour:02}:00" for hour in (6, 7, 8)]
    # As for the same hours of the series.
    task = TemperaturesTask(TemperatureSettings(past=24, ahead=3, hidden=4))
    task.take(Temperatures(START, 10 + np.arange(12_000) % 24))
    model = task.model()
    model.load_state_dict(mg.load(next(folders["temperatures"].glob("model-*"))))
    x = task._all[np.array([30]) + np.arange(-24, 0)[:, None]]
    expected = model.eval()(x).numpy()[0] * task.spread + task.mean
    found = [float(line.split()[2]) for line in lines[1:]]
    np.testing.assert_allclose(found, expected, atol=0.051)


def test_captions(folders, tmp_path):
    np.save(tmp_path / "clip.npy", np.random.default_rng(0).random((8, 16, 28)))
    lines = minigrad("predict", folders["captions"], tmp_path / "clip.npy").stdout.splitlines()
    assert len(lines) == 17 and all(re.fullmatch(r"\|.{28}\| \|.{28}\|", s) for s in lines[:16])


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "name", "content", "message"),
    [
        ("digits", "a.csv", "1 2 3", "a digit is 8 lines of 8 numbers, or one of 64; got an array"),
        ("digits", "a.csv", "17 " * 64, "a pixel is a number from 0 (white) to 16 (black); got 17"),
        ("digits", "a.csv", "1 2\n3", "a.csv has no array of numbers"),
        ("digits", "a.csv", "a digit", "a.csv has no array of numbers"),
        ("digits", "a.csv", "nan " * 64, "a.csv has numbers that are not finite"),
        ("digits", "a.csv", "", "a.csv has no numbers"),
        ("digits", "a.json", "[1, [2]]", "a.json has no array of numbers"),
        ("digits", "a.json", "{", "a.json has no array of numbers"),
        ("digits", "a.npy", "no array", "a.npy has no array of numbers"),
        ("captions", "a.json", "[[1]]", "a clip is 8 frames of 16 rows of 28 numbers; got an"),
        ("captions", "a.json", json.dumps([[2] * 28] * 128), "from 0 (white) to 1 (black); got 2"),
        ("temperatures", "a.csv", hours(23), "a.csv has 23 hours; a forecast needs 24"),
        ("temperatures", "a.csv", "a,b\n1,2", "line 2 has no hour and temperature, such as"),
        ("first", "a.csv", "1", "has no answers to new input"),
    ],
)
def test_other_files(folders, tmp_path, task, name, content, message):
    (tmp_path / name).write_text(content)
    printed = minigrad("predict", folders[task], tmp_path / name, code=1).stderr
    assert printed.startswith("Error: ") and message in printed


@pytest.mark.parametrize("task", ["digits", "temperatures", "captions"])
def test_no_file(folders, tmp_path, task):
    printed = minigrad("predict", folders[task], tmp_path / "nothing.csv", code=1).stderr
    assert "nothing.csv can't be read: No such file or directory" in printed
    printed = minigrad("predict", folders[task], tmp_path, code=1).stderr
    assert "can't be read: Is a directory" in printed


def test_pickles_are_refused(folders, tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    printed = minigrad("predict", folders["digits"], tmp_path / "a.npy", code=1).stderr
    assert "a.npy has no array of numbers: Object arrays cannot be loaded" in printed
