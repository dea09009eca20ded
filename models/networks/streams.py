"""A long text as streams side by side, read in parts that go on where the last one ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minigrad.utils.arguments import check_positive

__all__ = ["IGNORED", "Part", "count_parts", "parts_of_streams"]

IGNORED = -100  # a target that doesn't count


class Part(NamedTuple):
    """Some steps of all streams."""

    symbols: np.ndarray  # (T, N), what is read
    targets: np.ndarray  # (T, N), what comes next; `IGNORED` beyond a stream's end
    begins: np.ndarray  # (N,) bool, which streams begin anew here; the others go on


def parts_of_streams(
    text: Any,
    streams: int,
    steps: int,
    rng: np.random.Generator | None = None,
    anew: float = 0.0,
) -> Iterator[Part]:
    """Cut a text (length,) into N streams of equal length, and these into parts of T steps.

    Each symbol but the first is a target once: stream n goes on where stream n - 1 ends, and each
    part where the last one ended, so that a model may keep its state between parts. The last part
    may be shorter, and the last streams end earlier if the length doesn't divide.

    With an `rng`, a stream begins anew at each part with the probability `anew`: a model that is
    trained only with states that go on can fail with a new one.

    >>> for part in parts_of_streams(np.arange(8), streams=2, steps=3):
    ...     print(part.symbols.tolist(), part.targets.tolist(), part.begins.tolist())
    [[0, 4], [1, 5], [2, 6]] [[1, 5], [2, 6], [3, 7]] [True, True]
    [[3, 0]] [[4, -100]] [False, False]
    """
    streams = check_positive("parts_of_streams", "streams", streams)
    steps = check_positive("parts_of_streams", "steps", steps)
    text = np.asarray(text)
    if text.ndim != 1 or text.dtype.kind not in "iu" or len(text) < 2:
        raise ValueError(
            "parts_of_streams: a text is at least 2 integers (length,); got "
            f"{text.dtype} of shape {text.shape}"
        )
    count = len(text) - 1  # of targets
    length = -(-count // streams)
    missing = length * streams - count
    symbols = np.concatenate([text[:-1], np.zeros(missing, text.dtype)])
    targets = np.concatenate([text[1:], np.full(missing, IGNORED)])
    by_stream = [a.reshape(streams, length).T for a in (symbols, targets)]  # (length, N)
    for start in range(0, length, steps):
        read, expected = (np.ascontiguousarray(a[start : start + steps]) for a in by_stream)
        begins = np.full(streams, start == 0)
        if rng is not None:
            begins |= rng.random(streams) < anew
        yield Part(read, expected, begins)


def count_parts(length: int, streams: int, steps: int) -> int:
    """How many parts `parts_of_streams` makes of a text of so many symbols.

    >>> count_parts(8, streams=2, steps=3)
    2
    """
    of_a_stream = -(-(length - 1) // streams)
    return -(-of_a_stream // steps)
