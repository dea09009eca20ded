"""Short clips of moving digits, made on the spot, with a sentence that says what happens.

The grammar of the sentences:

    sentence = clause | clause " and " clause
    clause   = ("a " | "an ") digit " " motion
    digit    = "zero" | "one" | ... | "nine"
    motion   = "moves left" | "moves right" | "moves up" | "moves down" | "stays"

"an" stands before "eight" alone. Of two clauses, the first is about the digit that begins further
to the left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .digits import SIDE, Digits

__all__ = ["COLUMNS", "FRAMES", "MOTIONS", "ROWS", "WORDS", "Clips", "make_clips", "sentence"]

FRAMES, ROWS, COLUMNS = 8, 16, 28
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
# How far a digit moves from frame to frame: rows down, columns to the right.
MOTIONS = {
    "moves left": (0, -1),
    "moves right": (0, 1),
    "moves up": (-1, 0),
    "moves down": (1, 0),
    "stays": (0, 0),
}
WORDS = ["a", "an", *_DIGITS, "moves", "left", "right", "up", "down", "stays", "and"]
_APART = 6  # columns between the left edges of two digits at the beginning, at least


class Clips(NamedTuple):
    """Clips, and their sentences."""

    frames: np.ndarray  # (FRAMES, N, ROWS, COLUMNS) float32, from 0 (white) to 1 (black)
    sentences: list[str]


def sentence(clauses: list[tuple[int, str]]) -> str:
    """The sentence about digits and their motions, from left to right.

    >>> sentence([(8, "stays"), (3, "moves up")])
    'an eight stays and a three moves up'
    """
    said = [f"{'an' if digit == 8 else 'a'} {_DIGITS[digit]} {how}" for digit, how in clauses]
    return " and ".join(said)


def make_clips(digits: Digits, count: int, rng: np.random.Generator) -> Clips:
    """New clips of one or two of these digits, equally often, each with one of five motions.

    Where a digit begins is drawn from all places from which it stays within the frame. Two digits
    begin at least 6 columns apart. They may cross: then the darker pixel is seen.

    >>> some = Digits(np.ones((1, 8, 8), np.float32), np.array([7]))
    >>> frames, sentences = make_clips(some, 2, np.random.default_rng(3))
    >>> frames.shape, sentences
    ((8, 2, 16, 28), [...])
    """
    frames = np.zeros((FRAMES, count, ROWS, COLUMNS), np.float32)
    hows = [*MOTIONS]
    sentences = []
    for n in range(count):
        several = int(rng.integers(1, 3))
        rows = rng.integers(len(digits.labels), size=several)
        motions = [hows[k] for k in rng.integers(len(hows), size=several)]
        while True:
            places = [_place(MOTIONS[how], rng) for how in motions]
            if several == 1 or places[1][1] - places[0][1] >= _APART:
                break
        for row, how, (top, left) in zip(rows, motions, places, strict=True):
            down, right = MOTIONS[how]
            for t in range(FRAMES):
                y, x = top + down * t, left + right * t
                part = frames[t, n, y : y + SIDE, x : x + SIDE]
                np.maximum(part, digits.images[row], out=part)
        clauses = [(int(digits.labels[row]), how) for row, how in zip(rows, motions, strict=True)]
        sentences.append(sentence(clauses))
    return Clips(frames, sentences)


def _place(motion: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """The row and column where a digit begins, so that it ends within the frame, too."""
    place = []
    for step, size in zip(motion, (ROWS, COLUMNS), strict=True):
        way = step * (FRAMES - 1)
        place.append(int(rng.integers(max(0, -way), size - SIDE - max(0, way) + 1)))
    return place[0], place[1]
