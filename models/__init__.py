"""Recurrent cells and layers, end-to-end models and their tasks."""

from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent, RecurrentCell, RNNCell

__all__ = ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"]
__all__ += ["Recurrent", "RecurrentCell"]  # for cells of one's own
