"""The cells of `minigrad.nn`: plain functions of one time step."""

from minigrad.nn.cells import gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell

__all__ = ["gru_cell", "lstm_cell", "rnn_relu_cell", "rnn_tanh_cell"]
