"""Pictures of a chapter: figures with a text beside them, and frames to step through.

A figure may be one of many, chosen by a slider. Pictures and frames show themselves in a notebook
and on a page. Each has a text that says what there is to see: for readers who don't see it, and
for those who don't yet know where to look.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

__all__ = ["Frame", "Frames", "Picture", "moving"]

_numbers = count(1)


class Picture:
    """A figure of plotly, and a text that says what it shows.

    >>> import plotly.graph_objects as go
    >>> Picture(go.Figure(), "Nothing but axes.")
    Nothing but axes.
    """

    def __init__(self, figure: Any, text: str) -> None:
        self.figure, self.text = figure, text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        shown: dict[str, Any] = self.figure._repr_mimebundle_(include, exclude)
        return {**shown, "text/plain": self.text}


def moving(figures: Mapping[Any, Any], what: str, *, start: int = 0) -> Any:
    """One figure of plotly that shows one of several, by a slider and a button that plays them.

    `figures` holds them by the values of the slider, `what` says what these are, `start` which is
    shown first: 0, 1 or, from the end, -1. They must have the same traces; axes are those of the
    one that is shown first, so give it ranges that fit all.

    Raises ValueError if there are none, or their traces differ.

    >>> import plotly.graph_objects as go
    >>> figure = moving({w: go.Figure(go.Scatter(y=[w, w * w])) for w in (1, 2, 3)}, "w")
    >>> [frame.name for frame in figure.frames], figure.layout.sliders[0].currentvalue.prefix
    (['1', '2', '3'], 'w: ')
    """
    import plotly.graph_objects as go

    kinds = {tuple(trace.type for trace in figure.data) for figure in figures.values()}
    if len(kinds) != 1:
        raise ValueError(f"moving: figures of the same traces; got {len(kinds)} sorts of them")
    first = [*figures.values()][start]
    frames = [go.Frame(name=str(name), data=figure.data) for name, figure in figures.items()]
    shown = go.Figure(first.data, first.layout, frames)
    at_once = {"mode": "immediate", "transition": {"duration": 0}}
    one = {**at_once, "frame": {"duration": 0, "redraw": True}}
    all_of_them = {**at_once, "fromcurrent": True, "frame": {"duration": 700, "redraw": True}}
    buttons = [
        {"label": "play", "method": "animate", "args": [None, all_of_them]},
        {"label": "stop", "method": "animate", "args": [[None], one]},
    ]
    steps = [
        {"label": frame.name, "method": "animate", "args": [[frame.name], one]} for frame in frames
    ]
    place = {"x": 0, "xanchor": "left", "y": 1.04, "yanchor": "bottom"}
    # Above the axes: below them are titles and, on narrow pages, the legend.
    shown.update_layout(
        height=540,
        margin={"t": 150},
        updatemenus=[
            {
                **place,
                **{"type": "buttons", "direction": "right", "showactive": False},
                **{"buttons": buttons, "bgcolor": "#e3e7ee", "font": {"color": "#1d2025"}},
                "pad": {"b": 74},
            }
        ],
        sliders=[
            {
                **place,
                **{"steps": steps, "active": range(len(steps))[start], "pad": {"t": 0, "b": 0}},
                "currentvalue": {"prefix": f"{what}: ", "xanchor": "left"},
            }
        ],
    )
    return shown


class Frame(NamedTuple):
    """One of several pictures: its name in the list, the HTML or SVG of it, and a text below."""

    name: str
    picture: str
    text: str = ""


class Frames:
    """Pictures that a reader steps through by buttons, arrow keys or a list of names.

    Without scripts, and on paper, all of them are shown, one below the other. A single frame has
    no buttons.

    Raises ValueError if there are none.

    >>> Frames("A counter", [Frame("one", "<b>1</b>"), Frame("two", "<b>2</b>")])
    A counter: one, two
    """

    def __init__(self, title: str, frames: Sequence[Frame]) -> None:
        if not frames:
            raise ValueError(f"Frames: {title!r} has no frames")
        self.title, self.frames = title, list(frames)

    def __repr__(self) -> str:
        return f"{self.title}: {', '.join(frame.name for frame in self.frames)}"

    def _repr_html_(self) -> str:
        name = f"frames-{next(_numbers)}"
        options = "".join(
            f"<option value='{i}'>{html.escape(frame.name)}</option>"
            for i, frame in enumerate(self.frames)
        )
        figures = "".join(
            f"<figure>{self._heading(frame)}{frame.picture}<p>{html.escape(frame.text)}</p></figure>"
            for frame in self.frames
        )
        if len(self.frames) == 1:
            return f"<section class='frames'>{self._title()}{figures}</section>"
        return (
            f"<section class='frames' id='{name}' aria-label='{html.escape(self.title, True)}'>"
            f"{self._title()}<div class='frames-controls' hidden>"
            "<button type='button' data-step='-1'>back</button>"
            "<button type='button' data-step='1'>next</button>"
            f"<label>show <select>{options}</select></label></div>"
            f"<div class='frames-all' aria-live='polite'>{figures}</div>"
            f"<script>{_SCRIPT % name}</script></section>"
        )

    def _title(self) -> str:
        return f"<p class='frames-title'>{html.escape(self.title)}</p>"

    def _heading(self, frame: Frame) -> str:
        if len(self.frames) == 1:
            return ""
        return f"<figcaption><b>{html.escape(frame.name)}</b></figcaption>"


# It stands in each cell's output, as a notebook has no other place for it. The list of names is
# the state; buttons and arrow keys change it.
_SCRIPT = """
(() => {
  const all = document.querySelectorAll("#%s");
  const here = all[all.length - 1];
  if (!here || here.dataset.ready) return;
  here.dataset.ready = "yes";
  const figures = [...here.querySelectorAll("figure")];
  const list = here.querySelector("select");
  const show = (i) => {
    list.value = i;
    figures.forEach((figure, j) => { figure.classList.toggle("frames-away", i !== j); });
  };
  const step = (by) => {
    show(Math.min(Math.max(Number(list.value) + by, 0), figures.length - 1));
  };
  here.querySelectorAll("button").forEach((button) => {
    button.addEventListener("click", () => step(Number(button.dataset.step)));
  });
  list.addEventListener("change", () => show(Number(list.value)));
  here.addEventListener("keydown", (event) => {
    if (event.target === list) return;
    if (event.key === "ArrowRight") step(1);
    if (event.key === "ArrowLeft") step(-1);
  });
  const style = document.createElement("style");
  style.textContent =
    ".frames-away { display: none } @media print { .frames-away { display: block } }";
  here.append(style);
  here.querySelector(".frames-controls").hidden = false;
  show(0);
})();
"""
