"""Temperatures: parsed, divided by time, forecast; and the figures of simple rivals."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.models.tasks.packages import DataError
from minigrad.models.tasks.temperature_task import (
    TemperatureSettings,
    TemperaturesTask,
    sparkline,
)
from minigrad.models.tasks.temperatures import (
    DAY,
    Temperatures,
    calendar,
    load_temperatures,
    parse_temperatures,
    split_windows,
)
from minigrad.models.training.loop import evaluate, fit

START = datetime(2021, 1, 1)
SMALL = {"past": 24, "ahead": 6, "hidden": 8}


def waves(hours=20_000):
    """Days that differ in how warm they get, in a way that the night before shows."""
    rng = np.random.default_rng(0)
    hour = np.arange(hours)
    height = np.repeat(rng.uniform(-4, 4, hours // DAY + 1), DAY)[:hours]
    return Temperatures(START, 10 + height * np.sin(hour / DAY * 2 * np.pi))


def table(hours, values):
    return "time,degrees\n" + "\n".join(
        f"{START + timedelta(hours=h)},{v}" for h, v in zip(hours, values, strict=True)
    )


@given(st.lists(st.floats(-90, 60), min_size=1, max_size=5))
def test_parsed_as_written(values):
    start, found = parse_temperatures(table(range(len(values)), values))
    assert start == START
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no hours"),
        ("time,degrees\n", "has no hours"),
        (table([0, 2], [1, 2]), "line 3, 2021-01-01 02:00:00, is not an hour after"),
        (table([1, 0], [1, 2]), "is not an hour after"),
        (table([0], ["nan"]), "line 2 has no finite temperature"),
        (table([0], ["warm"]), "line 2 has no hour and temperature"),
        ("2021-01-01,5\n7", "line 2 has no hour and temperature"),
    ],
)
def test_damaged_tables(text, message):
    with pytest.raises(DataError, match=message):
        parse_temperatures(text)


@given(st.integers(9500, 20_000), st.integers(24, 200), st.integers(1, 48))
def test_parts_don_t_share_what_is_asked_for(hours, past, ahead):
    windows = split_windows(hours, past, ahead)
    asked = [set((part[:, None] + np.arange(ahead)).ravel().tolist()) for part in windows]
    for i in range(3):
        assert not set.union(*asked[:i], *asked[i + 1 :]) & asked[i]
    assert min(asked[2]) == hours - 364 * DAY > max(asked[0] | asked[1])
    assert max(asked[2]) == hours - 1
    assert min(part.min() for part in windows) >= past


def test_calendar():
    days = calendar(START, np.arange(DAY * 366))
    np.testing.assert_allclose((days**2).reshape(-1, 2, 2).sum(axis=2), 1)
    np.testing.assert_allclose(days[:-DAY, :2], days[DAY:, :2], atol=1e-9)
    assert np.ptp(days, axis=0).min() > 1.99


def loaded(series=None, **settings):
    task = TemperaturesTask(TemperatureSettings(**{**SMALL, **settings}))
    task.load = lambda: task.take(series or waves())
    task.load()
    return task


def test_learns(backend):
    task = loaded(epochs=1, lr=1e-2, batch_size=128)
    figures = evaluate(task, fit(task).model, "test")
    rivals = task.baselines()
    assert figures["error"] < 0.5 * min(rivals["as now"], rivals["a day before"])
    assert figures["error"] == pytest.approx(figures["loss"] * task.spread)


def test_before_the_training_the_forecast_is_near_the_last_value():
    task = loaded()
    model = task.model()
    model.head.weight.data *= 0
    model.head.bias.data *= 0
    error = evaluate(task, model, "test")["error"]
    assert error == pytest.approx(task.baselines()["as now"], rel=1e-5)


def test_rivals():
    daily = Temperatures(START, np.tile(np.arange(24.0), 800))
    found = loaded(daily).baselines()
    assert found["a day before"] == 0
    assert found["linear"] < 0.1 and found["linear with the time"] < 0.1
    assert found["as now"] > 3
    noise = Temperatures(START, np.random.default_rng(1).normal(size=20_000))
    found = loaded(noise).baselines()
    best = np.sqrt(2 / np.pi)  # of a forecast that is always 0
    assert all(value > 0.97 * best for value in found.values())


def test_an_epoch_has_every_window_once():
    task = loaded(batch_size=100)
    batches = list(task.batches(np.random.default_rng(0)))
    assert len(batches) == task.steps()
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), task.windows.train)


def test_a_saved_scale():
    task, other = loaded(), TemperaturesTask(TemperatureSettings(**SMALL))
    other.use(task.extras())
    assert (other.mean, other.spread) == (task.mean, task.spread)
    with pytest.raises(ValueError, match="a spread above 0"):
        other.use({"mean": 1, "spread": 0})


def test_too_short_a_series():
    with pytest.raises(ValueError, match=r"500 hours have no window of 24 \+ 6 hours for train"):
        TemperaturesTask(TemperatureSettings(**SMALL)).take(waves(500))


def test_show():
    task = loaded()
    text = task.show(task.model())
    assert text.count("forecast") == text.count("came") == 3 and "°C" in text
    assert sparkline(np.array([1.0, 1.0]), 1, 1) == "▁▁"


def test_real_temperatures():
    try:
        series = load_temperatures()
    except DataError as error:
        if "pip could not bring" not in str(error):
            raise
        pytest.skip(f"the temperatures can't be had here: {error}")
    assert len(series.values) == 23_508
    hottest = series.start + timedelta(hours=int(series.values.argmax()))
    assert f"{hottest:%Y-%m-%d}" == "2022-07-19"
    task = TemperaturesTask()
    task.take(series)
    rivals = {name: round(value, 2) for name, value in task.baselines().items()}
    assert rivals == {
        "as now": 2.76,
        "a day before": 2.04,
        "linear": 1.57,
        "linear with the time": 1.51,
    }
