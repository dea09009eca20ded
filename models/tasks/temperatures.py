"""Hourly temperatures of 32 months at one place in the United Kingdom, and windows of them.

They come with eemeter, software by OpenEEmeter's contributors (Apache 2.0) for what buildings use.
It doesn't name the place. The series has no gaps: 23,508 hours from April 2020 to December 2022, in
degrees Celsius; the hottest day is 19 July 2022, a record day in the country.
"""

from __future__ import annotations

import csv
import gzip
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from .packages import DataError, PackageFile

__all__ = ["DAY", "EEMETER", "Temperatures", "WindowSplits", "calendar", "load_temperatures"]
__all__ += ["parse_temperatures", "split_windows"]

DAY = 24  # hours
EEMETER = PackageFile(
    name="eemeter",
    version="3.2.0",
    filename="eemeter-3.2.0-py2.py3-none-any.whl",
    sha256="0e1261e03acaf4b5c3739ae8415ec5a27bc4a14b1e06cfda964d4a06e650e20b",
)
_TABLE = "eemeter/samples/uk-tempC-sample-0.csv.gz"


class Temperatures(NamedTuple):
    """Temperatures of hour after hour."""

    start: datetime  # of the first hour
    values: np.ndarray  # (hours,) float64, degrees Celsius


class WindowSplits(NamedTuple):
    """The hours in which forecasts begin: (n,) integers each, counted from the series' start."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def load_temperatures() -> Temperatures:
    """The whole series; fetched once, see `minigrad.models.tasks.packages`.

    Raises `DataError` if it can't be fetched, or isn't what was expected.
    """
    return parse_temperatures(gzip.decompress(EEMETER.files()[_TABLE]).decode())


def parse_temperatures(table: str) -> Temperatures:
    """A series from a table: a line with an hour and its temperature, last, after a heading.

    Raises `DataError` for a line that is something else, and for hours that don't follow.

    >>> start, values = parse_temperatures(
    ...     ",dt,tempC\\n0,2020-04-01 01:00,5.2\\n1,2020-04-01 02:00,5"
    ... )
    >>> start.hour, values
    (1, array([5.2, 5. ]))
    """
    times: list[datetime] = []
    values: list[float] = []
    for number, row in enumerate(csv.reader(table.splitlines()), 1):
        try:
            when, value = datetime.fromisoformat(row[-2]), float(row[-1])
        except (ValueError, IndexError) as error:
            if number == 1:
                continue  # the heading
            raise DataError(
                f"line {number} has no hour and temperature, such as 2020-04-01 02:00,5.4: "
                f"{','.join(row)!r:.60}"
            ) from error
        if times and when - times[-1] != timedelta(hours=1):
            raise DataError(f"line {number}, {when}, is not an hour after the line before")
        if not np.isfinite(value):
            raise DataError(f"line {number} has no finite temperature: {value}")
        times.append(when)
        values.append(value)
    if not times:
        raise DataError("the table of temperatures has no hours")
    return Temperatures(times[0], np.array(values))


def calendar(start: datetime, hours: np.ndarray) -> np.ndarray:
    """The time of day and of the year as points on two circles: (..., 4) for hours from a start.

    >>> calendar(datetime(2021, 1, 1), np.array([0, 6])).round(3)
    array([[0.   , 1.   , 0.   , 1.   ],
           [1.   , 0.   , 0.004, 1.   ]])
    """
    past_midnight = start.hour + start.minute / 60 + hours
    days = start.timetuple().tm_yday - 1 + past_midnight / DAY
    angles = 2 * np.pi * np.stack([past_midnight / DAY, days / 365.25], axis=-1)
    points = np.stack([np.sin(angles), np.cos(angles)], axis=-1)  # (..., 2, 2)
    return points.reshape(*hours.shape, 4)


def split_windows(hours: int, past: int, ahead: int) -> WindowSplits:
    """Where forecasts begin that know `past` hours and are about `ahead` hours, divided by time.

    The last 364 days are for the test. Of the weeks before, every fifth is for validation and the
    others to train on. All hours that a forecast is about lie in its part; what it knows may be
    older.

    >>> train, validation, test = split_windows(hours=20_000, past=72, ahead=24)
    >>> int(test.min()), validation[:3], len(train), len(validation), len(test)
    (11264, array([672, 673, 674]), 8686, 1885, 8713)
    """
    begin = np.arange(past, hours - ahead + 1)
    end = begin + ahead - 1  # the last hour that the forecast is about
    first_of_test = hours - 364 * DAY
    fifth = [(hour // (7 * DAY)) % 5 == 4 for hour in (begin, end)]
    before = end < first_of_test
    return WindowSplits(
        train=begin[before & ~fifth[0] & ~fifth[1]],
        validation=begin[before & fifth[0] & fifth[1]],
        test=begin[begin >= first_of_test],
    )
