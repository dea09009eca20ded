"""Which examples are in which batch: in order, shuffled, or side by side with ones as long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def batch_rows(
    count: int,
    size: int,
    rng: np.random.Generator | None = None,
    lengths: Sequence[np.ndarray] = (),
    width: int = 1,
    drop_last: bool = False,
) -> list[np.ndarray]:
    """The positions of `count` examples, each once, in batches of `size`; the last may be smaller.

    Parameters
    ----------
    rng : what the batches and their order are drawn from; without it they are always the same.
    lengths : sort by these, (count,) each, the first one before the others. The batches come in
        random order if there is an `rng`, else from short to long.
    width : examples are shuffled among those whose lengths fall into the same span of this many.
    drop_last : leave out as many examples as do not fill a batch: at random if there is an `rng`.

    >>> rows = batch_rows(5, 2, lengths=[np.array([3, 1, 2, 1, 2])])
    >>> [part.tolist() for part in rows]
    [[1, 3], [2, 4], [0]]
    """
    rows, left_over = np.arange(count), count % size if drop_last else 0
    if lengths:
        if rng is not None and left_over:  # else it would always be the longest
            rows = np.sort(rng.permutation(rows)[left_over:])
        ties = rows if rng is None else rng.random(len(rows))
        order = np.lexsort((ties, *(each[rows] // width for each in reversed(lengths))))
        rows = rows[order]
    elif rng is not None:
        rows = rng.permutation(rows)
    starts = np.arange(0, count - left_over, size)
    if lengths and rng is not None:
        starts = rng.permutation(starts)
    return [rows[start : start + size] for start in starts]
