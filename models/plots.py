"""Pictures of what is recorded: figures of plotly, to be shown, changed or written to a page.

Each function returns the figure: `figure.show()` opens it, `figure.write_html("gates.html")` makes
a page of it. Where a sequence is made of words, `words` stand along its axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..utils.install import install_line

__all__ = ["plot_connectivity", "plot_flow", "plot_longest_lags", "plot_memory"]
__all__ += ["plot_saturation", "plot_values"]


def plot_values(
    trace: Any, name: str, words: Sequence[str] | None = None, sequence: int = 0
) -> Any:
    """The values of a name at each step (across) and of each unit (down) of one sequence.

    `trace` comes from `mg.record()`; the colours go from 0 to 1 for values in this range, else
    as far below 0 as above. Steps in the padding are left out. Raises ValueError if there is not
    a word for each step.

    >>> import minigrad as mg
    >>> with mg.record() as trace:
    ...     _ = mg.nn.LSTM(3, 4)(mg.randn((3, 1, 3)))
    >>> figure = plot_values(trace, "forget", words=["a", "good", "film"])
    >>> figure.layout.title.text
    'l0.forget'
    """
    values = _of_sequence(trace, name, sequence)  # (T, H)
    figure = _heatmap(values.T, trace.full(name), "unit", range(values.shape[1]))
    return _steps(figure, words, len(values))


def plot_memory(
    trace: Any,
    name: str | None = None,
    words: Sequence[str] | None = None,
    sequence: int = 0,
) -> Any:
    """What is left at the end of what each unit held after each step: `trace.memory(name)`.

    Units that keep longest are at the top.

    >>> import minigrad as mg
    >>> with mg.record() as trace:
    ...     _ = mg.nn.GRU(3, 4)(mg.randn((5, 1, 3)))
    >>> plot_memory(trace).layout.title.text
    'what is left at the end (l0.update)'
    """
    memories = trace.memory(name)
    if len(memories) > 1:
        raise ValueError(f"plot_memory: name one of {', '.join(memories)}")
    ((full, memory),) = memories.items()
    left = memory.left[_counted(trace, full, sequence), sequence]  # (T, H)
    order = np.argsort(-memory.steps)
    title = f"what is left at the end ({full})"
    figure = _heatmap(left[:, order].T, title, "unit", [int(unit) for unit in order])
    return _steps(figure, words, len(left))


def plot_saturation(trace: Any, *names: str) -> Any:
    """Each unit of each gate: how often it is open (up) and shut (across): `trace.saturation()`.

    After Karpathy, Johnson and Fei-Fei (2015), figure 3. Units at the top left remember all or
    let all pass, those at the bottom right none; near the origin a gate is hardly saturated.

    >>> import minigrad as mg
    >>> with mg.record() as trace:
    ...     _ = mg.nn.LSTM(3, 4)(mg.randn((5, 1, 3)))
    >>> [gate.name for gate in plot_saturation(trace).data]
    ['l0.forget', 'l0.input', 'l0.output']
    """
    figure = _plotly().Figure()
    for full, (shut, opened) in trace.saturation(*names).items():
        units = [f"unit {unit}" for unit in range(len(shut))]
        figure.add_scatter(x=shut, y=opened, mode="markers", name=full, text=units)
    figure.update_layout(title="how saturated the gates are")
    figure.update_xaxes(title="share of steps nearly shut", range=[-0.03, 1.03])
    figure.update_yaxes(title="share of steps nearly open", range=[-0.03, 1.03])
    return figure


def plot_flow(flows: Mapping[str, np.ndarray]) -> Any:
    """Norms of gradients by lag, as `mg.gradient_flow` gives them, one line for each name.

    Of several sequences the mean is drawn. Several layers can be compared by names of your own:
    `plot_flow({"RNN": rnn["l0.hidden"], "LSTM": lstm["l0.cell"]})`.

    >>> import minigrad as mg
    >>> flow = mg.gradient_flow(mg.nn.RNN(3, 4), mg.randn((9, 2, 3)))
    >>> plot_flow(flow).layout.yaxis.type
    'log'
    """
    figure = _plotly().Figure()
    for name, norms in flows.items():
        there = ~np.isnan(norms).all(axis=1)
        figure.add_scatter(y=np.nanmean(norms[there], axis=1), mode="lines+markers", name=name)
    figure.update_layout(title="how far the gradient reaches", showlegend=True)
    figure.update_xaxes(title="steps before the one that the loss reads")
    figure.update_yaxes(title="norm of the gradient", type="log", exponentformat="power")
    return figure


def plot_connectivity(
    reach: np.ndarray, words: Sequence[str] | None = None, sequence: int = 0
) -> Any:
    """How much each output (down) depends on each input (across), from `mg.connectivity`.

    >>> import minigrad as mg
    >>> reach = mg.connectivity(mg.nn.GRU(3, 2), mg.randn((3, 1, 3)))
    >>> plot_connectivity(reach, ["not", "so", "good"]).layout.yaxis.title.text
    'output'
    """
    matrix = np.asarray(reach)
    if matrix.ndim != 3 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"plot_connectivity: give what mg.connectivity gave, (T, T, N); got {matrix.shape}"
        )
    T = len(matrix)
    labels = _labels(words, T)
    figure = _heatmap(matrix[..., sequence], "how outputs depend on inputs", "output", labels)
    figure.update_traces(zmax=None)  # norms have no highest value
    return _steps(figure, words, T).update_xaxes(title="input")


def plot_longest_lags(longest: Mapping[str, Sequence[int]], lags: Sequence[int]) -> Any:
    """The longest lag that each cell learned, a point for each seed, and their medians as bars.

    `longest` holds by name what `LongestLags.longest` gives, a lag for each seed, 0 for none; as
    in the file that `minigrad bench memory --json FILE` writes. `lags` are those that were tried.

    >>> figure = plot_longest_lags({"rnn": [10, 5, 0], "gru": [40, 40, 20]}, [5, 10, 20, 40])
    >>> [float(bar) for bar in figure.data[0].y]
    [5.0, 40.0]
    """
    none = min(lags) / 2
    figure = _plotly().Figure()
    places = list(range(len(longest)))
    medians = [float(np.median(found)) or none for found in longest.values()]
    figure.add_bar(x=places, y=medians, name="median", opacity=0.4)
    points = [
        (place + 0.5 * ((i + 1) / (len(found) + 1) - 0.5), lag or none)
        for place, found in zip(places, longest.values(), strict=True)
        for i, lag in enumerate(found)
    ]
    x, y = zip(*points, strict=True)
    figure.add_scatter(x=x, y=y, mode="markers", name="a seed")
    figure.update_layout(title="the longest lag that is learned", showlegend=True)
    figure.update_xaxes(tickvals=places, ticktext=[str(name) for name in longest])
    texts = ["none", *map(str, lags[:-1]), f"{lags[-1]} or more"]
    figure.update_yaxes(title="steps", type="log", tickvals=[none, *lags], ticktext=texts)
    return figure


# --- what the figures have in common -------------------------------------------------------------


def _plotly() -> Any:
    try:
        import plotly.graph_objects as objects
    except ImportError as error:
        raise ImportError(f"plots need plotly; {install_line('learn')}") from error
    return objects


def _counted(trace: Any, name: str, sequence: int) -> np.ndarray:
    """Which steps of a sequence count."""
    T, N = trace[name].shape[:2]
    if not 0 <= sequence < N:
        raise ValueError(f"there are {N} sequences, from 0 on; got sequence={sequence!r}")
    valid = trace.valid(name)
    return np.ones(T, bool) if valid is None else valid[:, sequence]


def _of_sequence(trace: Any, name: str, sequence: int) -> np.ndarray:
    values = trace[name]
    if values.ndim != 3:
        raise ValueError(f"plot_values: {name!r} must be (T, N, H); it is {values.shape}")
    return values[_counted(trace, name, sequence), sequence]


def _heatmap(values: np.ndarray, title: str, rows: str, labels: Any) -> Any:
    """One cell for each value (rows, T), named along the left side."""
    low, high = float(np.min(values, initial=0)), float(np.max(values, initial=0))
    share = low >= 0 and high <= 1
    far = max(-low, high)
    figure = _plotly().Figure()
    figure.add_heatmap(
        z=values,
        zmin=0 if low >= 0 else -far,
        zmax=1 if share else far,
        colorscale="Blues" if low >= 0 else "RdBu",
        hovertemplate=f"%{{x}}, {rows} %{{y}}: %{{z:.3f}}<extra></extra>",
    )
    figure.update_layout(title=title)
    # Numbered places and texts beside them: plotly would merge places of equal texts.
    places = list(range(len(values)))
    figure.update_yaxes(
        title=rows, tickvals=places, ticktext=[str(label) for label in labels], autorange="reversed"
    )
    return figure


def _labels(words: Sequence[str] | None, T: int) -> list[str]:
    """A text for each step: the words, or numbers."""
    if words is None:
        return [str(t) for t in range(T)]
    if isinstance(words, str) or len(words) != T:
        got = f"the string {words!r:.40}" if isinstance(words, str) else f"{len(words)}"
        raise ValueError(f"there are {T} steps, so words must be a list of {T} texts; got {got}")
    return [str(word) for word in words]


def _steps(figure: Any, words: Sequence[str] | None, T: int) -> Any:
    """The figure with the words, or the numbers of the steps, along its x axis."""
    return figure.update_xaxes(
        title="step" if words is None else None,
        tickvals=list(range(T)),
        ticktext=_labels(words, T),
    )
