"""Generated examples that need a memory of a given length: first symbols, adding, copying.

Nothing has to be fetched. Each function draws new examples from a NumPy generator: the same
generator gives the same ones. Shapes are time-major.

The problems are old tests of recurrent networks:

- first symbols: after "Long short-term memory" (Hochreiter and Schmidhuber 1997, experiment 2):
  what came first decides the answer at the end, and what lies between says nothing about it. Here
  the symbols between are drawn from the same alphabet, so the first one differs from them by its
  place alone.
- adding: Hochreiter and Schmidhuber 1997, experiment 4, in the form of "Unitary evolution recurrent
  neural networks" (Arjovsky, Shah and Bengio 2016): one mark in each half, numbers from 0 to 1.
- copying: Hochreiter and Schmidhuber 1997 for the idea; the form is that of Arjovsky et al. 2016.
"""

from __future__ import annotations

import numpy as np

__all__ = ["adding_examples", "copying_examples", "first_examples"]


def first_examples(
    rng: np.random.Generator, count: int, lag: int, symbols: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of `1 + lag` symbols, uniform and independent, and the first of each.

    Returns symbols (1 + lag, N) from 0 to `symbols` - 1, and answers (1, N); N is `count`.

    >>> x, answers = first_examples(np.random.default_rng(0), count=2, lag=3, symbols=8)
    >>> x.shape, bool((x[:1] == answers).all())
    ((4, 2), True)
    """
    x = rng.integers(symbols, size=(1 + lag, count))  # (T, N)
    return x, x[:1]


def adding_examples(
    rng: np.random.Generator, count: int, lag: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of `lag` numbers from 0 to 1, and the sum of the two that are marked.

    One mark is anywhere in the first half, one anywhere in the second, so the first of the two
    numbers has to last for half of the steps in the mean, and for all of them at most.

    Returns pairs of a number and its mark, 0 or 1, (lag, N, 2), and sums (1, N, 1), in float32;
    N is `count`.

    >>> x, sums = adding_examples(np.random.default_rng(0), count=2, lag=6)
    >>> numbers, marks = x[..., 0], x[..., 1]
    >>> marks.sum(axis=0)
    array([2., 2.], dtype=float32)
    >>> bool(np.allclose((numbers * marks).sum(axis=0), sums[0, :, 0]))
    True
    """
    x = np.zeros((lag, count, 2), np.float32)
    x[..., 0] = rng.random((lag, count), np.float32)
    half, each = lag // 2, np.arange(count)
    first, second = rng.integers(half, size=count), rng.integers(half, lag, size=count)
    x[first, each, 1] = x[second, each, 1] = 1
    sums = x[first, each, 0] + x[second, each, 0]
    return x, sums[None, :, None]


def copying_examples(
    rng: np.random.Generator, count: int, lag: int, symbols: int, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of `length` symbols, `lag` blanks of which the last is a signal, and blanks again.

    While the last `length` blanks are read, the symbols have to be said in their order: each
    `length + lag` steps after it was read. Blanks are 0, symbols 1 to `symbols`, the signal is
    `symbols + 1`.

    Returns symbols (length + lag + length, N) and answers (length, N), from 0 to `symbols` - 1; N
    is `count`.

    >>> x, answers = copying_examples(np.random.default_rng(1), 1, lag=3, symbols=8, length=2)
    >>> x[:, 0].tolist(), answers[:, 0].tolist()
    ([4, 5, 0, 0, 9, 0, 0], [3, 4])
    """
    answers = rng.integers(symbols, size=(length, count))
    x = np.zeros((length + lag + length, count), np.int64)  # (T, N)
    x[:length] = answers + 1
    x[length + lag - 1] = symbols + 1
    return x, answers
