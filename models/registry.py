"""The recurrent layers by name."""

from __future__ import annotations

from minigrad.nn import GRU, LSTM, RNN, Recurrent

from . import zoo

__all__ = ["CELLS", "LAYERS"]

# The cells of a classifier, by the names of the command line.
CELLS: dict[str, type[Recurrent]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}

# All layers, by the names of their classes.
LAYERS: dict[str, type[Recurrent]] = {layer.__name__: layer for layer in CELLS.values()} | {
    name: getattr(zoo, name) for name in zoo.__all__ if name[0].isupper()
}
