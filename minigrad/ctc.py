"""Connectionist temporal classification: labels for sequences, without their times."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np

from .engine.creation import tensor
from .engine.filled import full
from .engine.op_calls import as_tensor
from .engine.tensor import Tensor
from .losses import reduced
from .ops import (
    clip,
    concatenate,
    expand_dims,
    logaddexp,
    mean,
    reshape,
    take_along_axis,
    where,
)
from .ops.convert import in_float32
from .scan import scan
from .utils.arguments import check_flag

__all__ = ["ctc_beam_search", "ctc_greedy", "ctc_loss"]

_LOW = -1e30  # stands for log(0): finite, so that no gradient is NaN


def ctc_loss(
    log_probs: Tensor,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of the labels, over all ways to spread them over the steps.

    Each step says a label or the blank; a label may last several steps, and between two that are
    equal there must be a blank (Graves et al. 2006). As `torch.nn.functional.ctc_loss`.

    Parameters
    ----------
    log_probs : (T, N, C), logarithms of probabilities, as from `mg.log_softmax`; (T, C) for a
        single sequence.
    targets : a list of N lists of labels; or integers (N, S), padded, or one after the other, of
        which `target_lengths` count.
    input_lengths : how many steps of each sequence count; None for all.
    target_lengths : how many labels; None for lists, or if all of (N, S) count.
    blank : the class of the blank, which is no label.
    reduction : "mean" (each divided by its number of labels first), "sum" or "none".
    zero_infinity : whether labels that don't fit into the steps count as 0 in place of infinity.
        Their gradient is 0 in either case.

    Raises
    ------
    TypeError, ValueError : shapes, lengths or labels that don't fit.

    Examples
    --------
    >>> import minigrad as mg
    >>> log_probs = mg.log_softmax(mg.zeros((2, 1, 3)), -1)  # three ways to say 1: 11, 01, 10
    >>> round(mg.ctc_loss(log_probs, [[1]], None, None).item(), 4) == round(-math.log(3 / 9), 4)
    True
    """
    x = as_tensor(log_probs)
    if x.dtype.kind != "f" or x.ndim not in (2, 3):
        raise TypeError(
            f"ctc_loss: log_probs must be floats (T, N, C) or (T, C); got {x.dtype} {x.shape}"
        )
    single = x.ndim == 2
    x = expand_dims(x, 1) if single else x
    check_flag("ctc_loss", "zero_infinity", zero_infinity)
    N, C = x.shape[1:]
    if not isinstance(blank, (int, np.integer)) or not 0 <= blank < C:
        raise ValueError(f"ctc_loss: blank is one of {C} classes, from 0 on; got {blank!r:.40}")
    labels = _labels(targets, target_lengths, N, single)
    for n, row in enumerate(labels):
        wrong = row[(row < 0) | (row >= C) | (row == blank)]
        if wrong.size:
            raise ValueError(
                f"ctc_loss: labels are classes from 0 to {C - 1} but for the blank, {blank}; "
                f"sequence {n} has {wrong[0]}"
            )
    if input_lengths is not None:
        input_lengths = np.atleast_1d(_integers("input_lengths", input_lengths))

    def losses(x: Tensor) -> Tensor:
        return _losses(x, labels, input_lengths, int(blank), 0.0 if zero_infinity else math.inf)

    found: Tensor = in_float32(losses, x)
    if reduction == "mean":
        sizes = np.array([max(len(row), 1) for row in labels])
        found = mean(found / tensor(sizes.astype(found.dtype), backend=found.backend))
        return found
    found = reduced("ctc_loss", found, reduction)
    return reshape(found, ()) if single else found


def _losses(
    x: Tensor, labels: list[np.ndarray], lengths: Any, blank: int, impossible: float
) -> Tensor:
    """The loss of each sequence, (N,), for log-probabilities x (T, N, C)."""
    T, N, _ = x.shape
    xp = x.backend
    ends = np.array([len(row) for row in labels])
    width = 2 * int(ends.max(initial=1)) + 1
    path = np.full((N, width), blank)  # a blank before, between and after the labels
    for n, row in enumerate(labels):
        path[n, 1 : 2 * len(row) : 2] = row
    jumps = np.full((N, width), _LOW)  # a blank may be left out between labels that differ
    jumps[:, 2:][(path[:, 2:] != blank) & (path[:, 2:] != path[:, :-2])] = 0
    start = np.full((N, width), _LOW)
    start[:, 0] = 0
    said = take_along_axis(x, np.broadcast_to(path, (T, N, width)), axis=2)

    given = [tensor(array.astype(x.dtype), backend=xp) for array in (jumps, start)]
    low = full((N, 2), _LOW, x.dtype, backend=xp)
    _, alpha = scan(_step, (low, given[0]), said, given[1], lengths)
    last = take_along_axis(alpha, np.stack([2 * ends, np.maximum(2 * ends - 1, 0)], 1), axis=1)
    without = tensor(ends == 0, backend=xp)  # of labels: one end only
    total = logaddexp(last[:, 0], where(without, _LOW, last[:, 1]))
    return where(total < _LOW / 2, impossible, -clip(total, _LOW / 2, None))


def _step(p: Any, x: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """alpha (N, W): the log-probability of all ways that end at each place of the path."""
    low, jump = p  # no width from outside, so that one kernel serves any number of labels
    one = concatenate([low[:, :1], alpha[:, :-1]], axis=1)
    two = concatenate([low, alpha[:, :-2]], axis=1)
    alpha = logaddexp(logaddexp(alpha, one), two + jump) + x
    return alpha, alpha


def _integers(name: str, value: Any) -> np.ndarray:
    array: np.ndarray = tensor(value, backend="numpy").numpy()
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"ctc_loss: {name} must be integers; got {array.dtype}")
    return array.astype(np.int64)


def _labels(targets: Any, lengths: Any, N: int, single: bool) -> list[np.ndarray]:
    """The labels of each sequence."""
    if isinstance(targets, (list, tuple)) and lengths is None:
        given = [targets] if single and not any(map(np.ndim, targets)) else targets
        found = [_integers("targets", row).reshape(-1) for row in given]
    else:
        array = _integers("targets", targets)
        if lengths is None:
            found = [*np.atleast_2d(array)]
        else:
            counts = np.atleast_1d(_integers("target_lengths", lengths))
            if array.ndim == 1 and not single:
                if counts.sum() != len(array):
                    raise ValueError(
                        f"ctc_loss: {len(array)} targets one after the other, and target_lengths "
                        f"sum up to {counts.sum()}"
                    )
                found = np.split(array, np.cumsum(counts)[:-1])
            else:
                rows = np.atleast_2d(array)
                if len(counts) != len(rows) or (counts < 0).any() or (counts > rows.shape[1]).any():
                    raise ValueError(
                        f"ctc_loss: target_lengths are {len(rows)} numbers from 0 to "
                        f"{rows.shape[1]}; got {counts.tolist()!s:.60}"
                    )
                found = [row[:count] for row, count in zip(rows, counts, strict=True)]
    if len(found) != N:
        raise ValueError(f"ctc_loss: there are {N} sequences, and targets for {len(found)}")
    return found


# --- decoding ------------------------------------------------------------------------------------


def ctc_greedy(log_probs: Any, input_lengths: Any = None, blank: int = 0) -> list[list[int]]:
    """The labels that the likeliest class of each step says, without repetitions and blanks.

    log_probs is (T, N, C), or (T, C) for a single sequence; a list of labels for each sequence.

    >>> import minigrad as mg
    >>> steps = [1, 1, 0, 1, 2, 2]  # 0 is the blank
    >>> mg.ctc_greedy(mg.one_hot(steps, 3) * 1.0)
    [[1, 1, 2]]
    """
    best, ends = _on_host(log_probs, input_lengths)
    found = []
    for n, end in enumerate(ends):
        said = best[:end, n].argmax(axis=1)
        new = np.diff(said, prepend=-1) != 0
        found.append([int(label) for label in said[new] if label != blank])
    return found


def ctc_beam_search(
    log_probs: Any, input_lengths: Any = None, blank: int = 0, beam_width: int = 10
) -> list[list[tuple[list[int], float]]]:
    """The likeliest labels over all ways to say them, by prefix beam search (Hannun et al. 2014).

    log_probs is (T, N, C), or (T, C) for a single sequence. For each sequence, at most `beam_width`
    pairs of labels and the logarithm of their probability, the likeliest first. The wider the
    beam, the surer that none likelier is missed.

    >>> import numpy as np
    >>> import minigrad as mg
    >>> log_probs = np.log([[0.6, 0.4], [0.6, 0.4]])  # greedily nothing; but "1" is said in 3 ways
    >>> mg.ctc_greedy(log_probs)
    [[]]
    >>> labels, log_prob = mg.ctc_beam_search(log_probs)[0][0]
    >>> labels, round(float(np.exp(log_prob)), 2)
    ([1], 0.64)
    """
    if not isinstance(beam_width, (int, np.integer)) or beam_width < 1:
        raise ValueError(f"ctc_beam_search: beam_width is a positive integer; got {beam_width!r}")
    given, ends = _on_host(log_probs, input_lengths)
    return [_search(given[:end, n], blank, beam_width) for n, end in enumerate(ends)]


def _search(steps: np.ndarray, blank: int, width: int) -> list[tuple[list[int], float]]:
    # Per prefix the log-probabilities of the ways that end in a blank, and of those in its label.
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for step in steps.tolist():
        new: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for prefix, (in_blank, in_label) in beam.items():
            either = np.logaddexp(in_blank, in_label)
            for label, p in enumerate(step):
                if label == blank:
                    new[prefix][0] = np.logaddexp(new[prefix][0], either + p)
                    continue
                longer = new[*prefix, label]
                if prefix and label == prefix[-1]:
                    new[prefix][1] = np.logaddexp(new[prefix][1], in_label + p)
                    longer[1] = np.logaddexp(longer[1], in_blank + p)
                else:
                    longer[1] = np.logaddexp(longer[1], either + p)
        ranked = sorted(new.items(), key=lambda item: -np.logaddexp(item[1][0], item[1][1]))
        beam = {prefix: (ways[0], ways[1]) for prefix, ways in ranked[:width]}
    return [([*prefix], float(np.logaddexp(*ways))) for prefix, ways in beam.items()]


def _on_host(log_probs: Any, lengths: Any) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities (T, N, C), and the number of steps of each sequence."""
    array = log_probs.numpy() if isinstance(log_probs, Tensor) else np.asarray(log_probs)
    if array.ndim not in (2, 3):
        raise ValueError(f"log_probs must be (T, N, C) or (T, C); got {array.shape}")
    array = array[:, None] if array.ndim == 2 else array
    T, N = array.shape[:2]
    ends = np.full(N, T) if lengths is None else np.atleast_1d(_integers("lengths", lengths))
    if ends.shape != (N,) or (ends < 0).any() or (ends > T).any():
        raise ValueError(f"input_lengths are {N} numbers from 0 to {T}; got {ends.tolist()!s:.60}")
    return array, ends
