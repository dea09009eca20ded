"""Which name was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Which of the known names was probably meant, in capitals or not.

    >>> nearest("lstm", ["GRU", "LSTM"]), nearest("transformer", ["GRU", "LSTM"])
    ('LSTM', None)
    """
    spelt = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), spelt, n=1, cutoff=cutoff)
    return spelt[near[0]] if near else None
