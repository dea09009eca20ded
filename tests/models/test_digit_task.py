"""Handwritten digits: read, split for good, learned; and the figures of simple rivals."""

import gzip
import hashlib

import numpy as np
import pytest

from minigrad.models.tasks.digit_task import DigitSettings, DigitsTask, picture
from minigrad.models.tasks.digits import Digits, load_digits, parse_digits, split_digits
from minigrad.models.tasks.packages import DataError
from minigrad.models.training.loop import evaluate, fit


def made_up(count=200, seed=0):
    """Digits of which each has a bright row and a bright column of its own, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=count)
    images = rng.uniform(0, 0.3, (count, 8, 8)).astype(np.float32)
    images[np.arange(count), labels % 8] = 1
    images[np.arange(count), :, labels // 2] = 1
    return Digits(images, labels)


def table(digits):
    lines = np.column_stack([digits.images.reshape(-1, 64) * 16, digits.labels])
    return gzip.compress("\n".join(",".join(map(str, line)) for line in lines.round(4)).encode())


def test_parsed_as_written():
    digits = made_up(7)
    images, labels = parse_digits(table(digits))
    np.testing.assert_allclose(images, digits.images, atol=1e-5)
    np.testing.assert_array_equal(labels, digits.labels)
    assert images.dtype == np.float32 and labels.dtype == np.int64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b", "can't be read"),
        ("1,2,3", r"64 pixels and a label; got \(1, 3\)"),
        (",".join(["17"] * 65), "pixels go from 0 to 16"),
        (",".join(["1"] * 64 + ["2.5"]), "labels from 0 to 9"),
        (",".join(["nan"] * 64 + ["2"]), "pixels go from 0 to 16"),
    ],
)
def test_damaged_tables(text, message):
    with pytest.raises(DataError, match=message):
        parse_digits(gzip.compress(text.encode()))


def test_table_that_is_not_compressed():
    with pytest.raises(DataError, match="can't be read"):
        parse_digits(b"1,2")


@pytest.mark.parametrize("hands", ["mixed", "new"])
def test_split(hands):
    digits = Digits(np.zeros((1000, 8, 8)), np.arange(1000))
    labels = [part.labels for part in split_digits(digits, hands)]
    assert [len(part) for part in labels] == [700, 100, 200]
    np.testing.assert_array_equal(np.sort(np.concatenate(labels)), np.arange(1000))
    if hands == "new":
        np.testing.assert_array_equal(np.concatenate(labels), np.arange(1000))
    else:  # for good
        digest = hashlib.sha256(str(labels[2].tolist()).encode()).hexdigest()
        assert digest[:16] == "e12d331825cf9727"


def test_unknown_hands():
    with pytest.raises(ValueError, match="hands are mixed or new; got 'left'"):
        split_digits(made_up(), "left")


@pytest.mark.parametrize("order", ["rows", "pixels"])
def test_sequences_are_read_in_order(order):
    task = DigitsTask(DigitSettings(order=order))
    images = np.arange(2 * 64).reshape(2, 8, 8)
    x = task.sequences(images)
    step = 8 if order == "rows" else 1
    assert x.shape == (64 // step, 2, step)
    for t in range(len(x)):
        np.testing.assert_array_equal(x[t, 1], images[1].ravel()[t * step : (t + 1) * step])


def test_learns(backend):
    task = DigitsTask(DigitSettings(hidden=24, epochs=8, lr=2e-2))
    task.load = lambda: task.take(made_up(400))
    training = fit(task)
    assert evaluate(task, training.model, "test")["accuracy"] > 0.8
    assert "wrongly read" in task.show(training.model)


def test_an_epoch_has_every_digit_once():
    task = DigitsTask(DigitSettings(batch_size=32))
    digits = made_up(300)
    task.take(Digits(digits.images, np.arange(300)))
    batches = list(task.batches(np.random.default_rng(0)))
    assert len(batches) == task.steps() == 7
    seen = np.concatenate([batch.labels for batch in batches])
    np.testing.assert_array_equal(np.sort(seen), np.sort(task.parts["train"].labels))
    assert (seen != task.parts["train"].labels).any()


def test_rivals():
    task = DigitsTask()
    task.take(made_up(400))
    found = task.baselines()
    labels = task.parts["test"].labels
    assert found["always the same answer"] == np.bincount(labels).max() / len(labels)
    assert found["nearest mean"] > 0.95 and found["linear"] > 0.95
    noise = np.random.default_rng(1)
    task.take(Digits(noise.random((400, 8, 8)), noise.integers(10, size=400)))
    assert max(task.baselines().values()) < 0.35


def test_pictures():
    assert picture(np.array([[0, 1], [1, 0]]), width=1) == [" @", "@ "]


def test_real_digits():
    try:
        digits = load_digits()
    except DataError as error:
        if "pip could not bring" not in str(error):
            raise
        pytest.skip(f"the digits can't be had here: {error}")
    assert digits.images.shape == (1797, 8, 8)
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    task = DigitsTask()
    task.take(digits)
    rivals = {name: round(value, 3) for name, value in task.baselines().items()}
    assert rivals == {"always the same answer": 0.131, "nearest mean": 0.905, "linear": 0.942}
