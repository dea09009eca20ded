"""Cells from the literature, each declared in a few lines: examples for new cells.

>>> import minigrad as mg
>>> sorted(name for name in __all__ if name[0].isupper())[:4]
['IndRNN', 'LayerNormGRU', 'LayerNormLSTM', 'MGU']
"""

from .gated import *
from .light import *

__all__ = ["MGU", "IndRNN", "LayerNormGRU", "LayerNormLSTM", "MinimalRNN", "PeepholeLSTM"]
__all__ += ["QRNN", "SRU", "MinGRU", "MinLSTM", "ZoneoutLSTM"]
__all__ += ["indrnn_cell", "layer_norm_gru_cell", "layer_norm_lstm_cell", "mgu_cell"]
__all__ += ["min_gru_cell", "min_lstm_cell", "minimal_rnn_cell", "peephole_lstm_cell"]
__all__ += ["qrnn_cell", "sru_cell"]
