"""What recorded gates say: how saturated they are, how long units keep, where states are alike."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Match", "Memory", "Saturation"]

GATES = ("forget", "input", "output", "reset", "update")
"""The names of values from 0 to 1 in the built-in cells."""


class Saturation(NamedTuple):
    """For each unit the share of the steps at which a gate is nearly shut, or nearly open.

    Gates whose values are mostly in between do little but scale; those that are mostly at an end
    decide, but learn slowly, as the slope of the sigmoid is small there.
    """

    shut: np.ndarray  # (H,), below `low`
    open: np.ndarray  # (H,), above `high`


class Memory(NamedTuple):
    """How long units keep what is in them, from the gate that keeps: the product over steps."""

    left: np.ndarray
    """(T, N, H): what is left at the end, as a share, of what was there after step t."""

    steps: np.ndarray
    """(H,): after how many steps a share 1/e is left, at the gate's mean rate.

    Infinite if all stays, NaN if no step counts.
    """


class Match(NamedTuple):
    """Steps of a sequence at which units are active together, see `trace.match`."""

    sequence: int
    start: int
    stop: int
    units: int  # how many of the units of the span are active at all of these steps
    others: int  # how many other units are, too


def saturation(values: np.ndarray, valid: np.ndarray, low: float, high: float) -> Saturation:
    """Of a gate (T, N, H), over the steps that count, (T, N); NaN if none does."""
    return Saturation(_mean((values < low)[valid]), _mean((values > high)[valid]))


def memory(gate: np.ndarray, valid: np.ndarray, reverse: bool) -> Memory:
    """From the gate that keeps, (T, N, H), of the steps that count, (T, N)."""
    gate = np.where(valid[..., None], gate, 1)  # the padding keeps everything
    ordered = gate if reverse else gate[::-1]  # from the last step to the first
    left = np.ones_like(ordered)
    left[1:] = np.cumprod(ordered[:-1], axis=0)
    with np.errstate(divide="ignore"):
        rate = _mean(np.log(gate[valid]))
        steps = np.divide(-1, rate, out=np.full_like(rate, np.inf), where=rate < 0)
    return Memory(left if reverse else left[::-1], steps)


def _mean(rows: np.ndarray) -> np.ndarray:
    """The mean of rows (steps, H); NaN if there are none."""
    return rows.mean(axis=0) if len(rows) else np.full(rows.shape[1:], np.nan)


def match(
    states: np.ndarray,
    valid: np.ndarray,
    sequence: int,
    span: tuple[int, int],
    threshold: float,
    top: int,
) -> list[Match]:
    """The places (T, N, H) most like a span, which is left out; the best come first."""
    start, stop = span
    active = states >= threshold if threshold >= 0 else states <= threshold
    active &= valid[..., None]
    whole = np.lib.stride_tricks.sliding_window_view(active, stop - start, axis=0)
    together = np.asarray(whole.all(axis=-1))  # (T - length + 1, N, H): at all steps from t on
    asked = together[start, sequence]  # (H,)
    units = together[..., asked].sum(axis=-1)
    others = together[..., ~asked].sum(axis=-1)
    order = np.lexsort((np.arange(units.size), others.ravel(), -units.ravel()))
    taken = np.zeros(states.shape[:2], bool)
    taken[start:stop, sequence] = True
    found: list[Match] = []
    for place in order:
        t, n = (int(i) for i in np.unravel_index(place, units.shape))
        if len(found) == top or not units[t, n]:
            break
        if not taken[t : t + stop - start, n].any():
            taken[t : t + stop - start, n] = True
            found.append(Match(n, t, t + stop - start, int(units[t, n]), int(others[t, n])))
    return found


def check_span(span: Any, T: int) -> tuple[int, int]:
    """The first step of a span and the one after its last."""
    try:
        start, stop = (int(i) for i in span)
    except (TypeError, ValueError):
        raise TypeError(
            f"match: a span is a pair of steps, as in span=(3, 6); got {span!r:.40}"
        ) from None
    if not 0 <= start < stop <= T:
        raise ValueError(f"match: the span {start} to {stop} is not within the {T} steps")
    return start, stop
