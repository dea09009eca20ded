"""Handwritten digits, 8 by 8 pixels: read, and split for training, validation and test.

The 1,797 digits are those of scikit-learn: the test part of the UCI set "Optical Recognition of
Handwritten Digits" by Alpaydin and Kaynak (1998), written by 13 people. Each pixel counts the
dark ones of 4 by 4 in the scan.
"""

from __future__ import annotations

import gzip
import hashlib
from typing import NamedTuple

import numpy as np

from .packages import DataError, PackageFile

__all__ = [
    "HANDS",
    "LEVELS",
    "SCIKIT_LEARN",
    "SIDE",
    "DigitSplits",
    "Digits",
    "load_digits",
    "split_digits",
]

SIDE = 8  # rows and columns of an image
HANDS = ("mixed", "new")  # in the test: those of the training, or mostly others
LEVELS = 16  # the darkest pixel; the brightest is 0

# The first release that PyPI has: the file is the same in all, and this archive is the smallest.
SCIKIT_LEARN = PackageFile(
    name="scikit-learn",
    version="0.9",
    filename="scikit-learn-0.9.tar.gz",
    sha256="5e083180a0eedf8e964c013731da30291afec28190d6be028f1185a283aded0a",
)
_TABLE = "scikit-learn-0.9/sklearn/datasets/data/digits.csv.gz"


class Digits(NamedTuple):
    """Images of digits, and which digits they are."""

    images: np.ndarray  # (n, 8, 8) float32, from 0 (white) to 1 (black)
    labels: np.ndarray  # (n,) int64, from 0 to 9

    def take(self, rows: np.ndarray | list[int]) -> Digits:
        """Some of the digits: those of these numbers."""
        return Digits(self.images[rows], self.labels[rows])


class DigitSplits(NamedTuple):
    """Digits to train on, to validate with, and to test with at the end."""

    train: Digits
    validation: Digits
    test: Digits


def load_digits() -> Digits:
    """All digits, in the file's order; fetched once, see `minigrad.models.tasks.packages`.

    Raises `DataError` if they can't be fetched, or aren't what was expected.
    """
    return parse_digits(SCIKIT_LEARN.files()[_TABLE])


def parse_digits(table: bytes) -> Digits:
    """Digits from a gzipped table: in each line 64 pixels from 0 to 16, row by row, and the digit.

    >>> line = ",".join(["16"] * 8 + ["0"] * 56 + ["7"])
    >>> images, labels = parse_digits(gzip.compress(line.encode()))
    >>> images.shape, labels, images[0, :2, 0]
    ((1, 8, 8), array([7]), array([1., 0.], dtype=float32))
    """
    try:
        lines = gzip.decompress(table).decode().split()
        numbers = np.array([line.split(",") for line in lines], dtype=np.float64)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"the table of digits can't be read: {error}") from error
    if numbers.ndim != 2 or numbers.shape[1] != SIDE * SIDE + 1:
        raise DataError(f"a line of digits has 64 pixels and a label; got {numbers.shape}")
    pixels, labels = numbers[:, :-1], numbers[:, -1]
    if not (((pixels >= 0) & (pixels <= LEVELS)).all() and np.isin(labels, range(10)).all()):
        raise DataError("pixels go from 0 to 16 and labels from 0 to 9; the table has others")
    images = (pixels / LEVELS).astype(np.float32).reshape(-1, SIDE, SIDE)
    return Digits(images, labels.astype(np.int64))


def split_digits(digits: Digits, hands: str = "mixed") -> DigitSplits:
    """Divide digits for good: seven tenths to train on, a tenth to validate with, two for the test.

    hands : "mixed": the part of a digit follows from its number in the file, by a hash; or "new":
        the last fifth of the file is held out. The file goes from writer to writer, without saying
        where one ends, so most of the hands in the last fifth are new to a model. That is harder.

    >>> some = Digits(np.zeros((1797, 8, 8), np.float32), np.zeros(1797, np.int64))
    >>> [len(part.labels) for part in split_digits(some)]
    [1258, 180, 359]
    """
    if hands not in HANDS:
        raise ValueError(f"hands are {' or '.join(HANDS)}; got {hands!r:.40}")
    rows = list(range(len(digits.labels)))
    if hands == "mixed":
        rows.sort(key=lambda row: hashlib.sha256(f"digit {row}".encode()).digest())
    test = len(rows) // 5
    validation = (len(rows) + 5) // 10
    return DigitSplits(
        digits.take(rows[: len(rows) - test - validation]),
        digits.take(rows[len(rows) - test - validation : len(rows) - test]),
        digits.take(rows[len(rows) - test :]),
    )
