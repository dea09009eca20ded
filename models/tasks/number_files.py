"""Numbers that a user gives in a file, for a model to answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .packages import DataError

__all__ = ["read_numbers", "read_text"]


def read_numbers(path: str) -> np.ndarray:
    """The numbers in a file: .npy as NumPy saves it, .json as lists, or else lines of text.

    In a text, spaces, commas or semicolons stand between the numbers, and lines without numbers
    don't count. All lines have equally many. Returns float64 of the file's shape.

    Raises `DataError` for a file that can't be read, or has anything but finite numbers.

    >>> import tempfile
    >>> from minigrad.utils.files import replace_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "digit.csv")
    ...     _ = replace_file(path, b"0, 16\\n3.5, 2\\n")
    ...     read_numbers(f"{folder}/digit.csv")
    array([[ 0. , 16. ],
           [ 3.5,  2. ]])
    """
    try:
        ending = Path(path).suffix.lower()
        if ending == ".npy":
            found = np.load(path, allow_pickle=False)
            if not isinstance(found, np.ndarray) or found.dtype.kind not in "buif":
                raise ValueError("it holds no array of numbers")
            numbers = found.astype(np.float64)
        elif ending == ".json":
            numbers = np.array(json.loads(read_text(path)), dtype=np.float64)
        else:
            lines = read_text(path).replace(",", " ").replace(";", " ").splitlines()
            numbers = np.array([line.split() for line in lines if line.split()], dtype=np.float64)
    except (OSError, EOFError) as error:
        raise DataError(
            f"{path} can't be read: {getattr(error, 'strerror', 0) or error}"
        ) from error
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f"{path} has no array of numbers: {error}") from error
    if not numbers.size:
        raise DataError(f"{path} has no numbers")
    if not np.isfinite(numbers).all():
        raise DataError(f"{path} has numbers that are not finite")
    return numbers


def read_text(path: str) -> str:
    """The text in a file, UTF-8. Raises `DataError` if it can't be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} can't be read: {getattr(error, 'strerror', 0) or error}"
        ) from error
