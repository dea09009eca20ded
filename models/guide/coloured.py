"""Texts whose words or characters are coloured by numbers."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["coloured"]


def coloured(
    words: Sequence[str],
    values: Any,
    *,
    largest: float | None = None,
    between: str = " ",
    unknown: Sequence[bool] = (),
) -> str:
    """HTML of words, or of characters with `between=""`: orange above 0, blue below.

    Colours are full at `largest`, by default the largest value. Words at `unknown` are in brackets.
    A number shows when the pointer rests on its word. Raises ValueError if there is not a number
    for each word.

    >>> coloured(["not", "good"], [-1.0, 0.5]).count("<span")
    3
    """
    numbers = np.asarray(values, float).reshape(-1)
    if len(numbers) != len(words):
        raise ValueError(f"coloured: {len(words)} words, but {len(numbers)} values")
    scale = float(np.abs(numbers).max(initial=0)) if largest is None else largest
    parts = []
    for i, (word, number) in enumerate(zip(words, numbers, strict=True)):
        strength = min(abs(number) / (scale or 1.0), 1.0)
        colour = "232,121,43" if number > 0 else "58,123,213"
        shown = f"({word})" if i < len(unknown) and unknown[i] else word
        parts.append(
            f"<span style='background:rgba({colour},{0.55 * strength:.2f});border-radius:.2em' "
            f"title='{number:.3g}'>{html.escape(shown)}</span>"
        )
    return f"<span style='white-space:pre-wrap;line-height:1.9'>{between.join(parts)}</span>"
