"""Texts whose words or characters are coloured by numbers, also by ones that the reader picks."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

__all__ = ["Coloured", "coloured"]

_numbers = count(1)
_ABOVE, _BELOW, _STRONGEST = "232,121,43", "58,123,213", 0.55


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
        strength = f"{_STRONGEST * min(abs(number) / (scale or 1.0), 1.0):.2f}"
        colour = _ABOVE if number > 0 else _BELOW
        shown = f"({word})" if i < len(unknown) and unknown[i] else word
        parts.append(
            f"<span style='background:rgba({colour},{strength});border-radius:.2em' "
            f"title='{number:.3g}'>{html.escape(shown)}</span>"
        )
    return f"<span style='white-space:pre-wrap;line-height:1.9'>{between.join(parts)}</span>"


class Coloured:
    """A text that is coloured by one of several rows of numbers: the reader picks which.

    `values` holds by name a number for each word; each row has full colour at its own largest.
    Without scripts the text shows the first. Raises ValueError as `coloured`, and for no rows.

    >>> Coloured("Pick one", ["not", "good"], {"unit 0": [-1.0, 0.5], "unit 1": [0.0, 2.0]})
    Pick one: unit 0, unit 1
    """

    def __init__(
        self,
        title: str,
        words: Sequence[str],
        values: Mapping[str, Any],
        *,
        between: str = " ",
    ) -> None:
        if not values:
            raise ValueError(f"Coloured: {title!r} has no rows of numbers")
        self.title, self.names = title, list(values)
        self._first = coloured(words, next(iter(values.values())), between=between)
        rows = [np.asarray(row, float).reshape(-1) for row in values.values()]
        if {len(row) for row in rows} != {len(words)}:
            raise ValueError(f"Coloured: a number for each of {len(words)} words in each row")
        scaled = [127 * row / (np.abs(row).max(initial=0) or 1.0) for row in rows]
        self._values = base64.b64encode(np.rint(scaled).astype(np.int8).tobytes()).decode()

    def __repr__(self) -> str:
        return f"{self.title}: {', '.join(self.names)}"

    def _repr_html_(self) -> str:
        name = f"coloured-{next(_numbers)}"
        options = "".join(
            f"<option value='{i}'>{html.escape(name)}</option>" for i, name in enumerate(self.names)
        )
        script = _SCRIPT % {"name": name, "above": _ABOVE, "below": _BELOW, "most": _STRONGEST}
        return (
            f"<section class='frames' id='{name}' data-values='{self._values}' "
            f"aria-label='{html.escape(self.title, True)}'>"
            f"<p class='frames-title'>{html.escape(self.title)}</p>"
            "<div class='frames-controls' hidden>"
            "<button type='button' data-step='-1'>back</button>"
            "<button type='button' data-step='1'>next</button>"
            f"<label>show <select>{options}</select></label></div>"
            f"<div class='coloured-text'>{self._first}</div><script>{script}</script></section>"
        )


# It stands in each cell's output, as a notebook has no other place for it.
_SCRIPT = """
(() => {
  const all = document.querySelectorAll("#%(name)s");
  const here = all[all.length - 1];
  if (!here || here.dataset.ready) return;
  here.dataset.ready = "yes";
  const words = [...here.querySelectorAll(".coloured-text > span > span")];
  const values = Int8Array.from(atob(here.dataset.values), (c) => c.charCodeAt(0));
  const list = here.querySelector("select");
  const show = (i) => {
    list.value = i;
    words.forEach((word, t) => {
      const value = values[i * words.length + t] / 127;
      const colour = value > 0 ? "%(above)s" : "%(below)s";
      word.style.background = `rgba(${colour},${(%(most)s * Math.abs(value)).toFixed(2)})`;
      word.title = `${value.toFixed(2)} of its largest`;
    });
  };
  const step = (by) => show(Math.min(Math.max(Number(list.value) + by, 0), list.length - 1));
  here.querySelectorAll("button").forEach((button) => {
    button.addEventListener("click", () => step(Number(button.dataset.step)));
  });
  list.addEventListener("change", () => show(Number(list.value)));
  here.querySelector(".frames-controls").hidden = false;
})();
"""
