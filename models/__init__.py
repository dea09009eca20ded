"""Recurrent layers (those of `minigrad.nn`, and a zoo), end-to-end models and their tasks."""

from minigrad.engine.explain import packages_of_cells
from minigrad.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent, RecurrentCell, RNNCell

packages_of_cells.add(__name__)

__all__ = ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"]
__all__ += ["Recurrent", "RecurrentCell"]  # the bases of new cells
