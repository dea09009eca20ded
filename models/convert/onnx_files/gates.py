"""Weights of recurrent layers in the two layouts: PyTorch's (and minigrad's), and ONNX's.

    minigrad   weight_ih (k*H, I), weight_hh (k*H, H), bias_ih, bias_hh (k*H,)    per direction
    ONNX       W (D, k*H, I), R (D, k*H, H), B (D, 2*k*H): both biases            of a layer

The gates lie in other orders: minigrad's LSTM has i, f, g, o and ONNX's i, o, f, c; minigrad's GRU
has r, z, n and ONNX's z, r, h.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.nn import cells

__all__ = ["KINDS", "NODES", "Kind", "reordered"]


class Kind(NamedTuple):
    """A kind of recurrent node."""

    states: tuple[str, ...]
    to_onnx: tuple[int, ...]  # which of minigrad's gates each of ONNX's is
    from_onnx: tuple[int, ...]  # and the other way
    activations: tuple[str, ...]  # that the node has if none are named, per direction


KINDS = {
    "RNN": Kind(("h",), (0,), (0,), ("Tanh",)),
    "LSTM": Kind(("h", "c"), (0, 3, 1, 2), (0, 2, 3, 1), ("Sigmoid", "Tanh", "Tanh")),
    "GRU": Kind(("h",), (1, 0, 2), (1, 0, 2), ("Sigmoid", "Tanh")),
}


# The cells that a node computes, with its kind and its attributes.
NODES: dict[Any, tuple[str, dict[str, Any]]] = {
    cells.rnn_tanh_cell: ("RNN", {}),
    cells.rnn_relu_cell: ("RNN", {"activations": ["Relu"]}),
    cells.lstm_cell: ("LSTM", {}),
    cells.gru_cell: ("GRU", {"linear_before_reset": 1}),
    cells.gru_reset_before_cell: ("GRU", {"linear_before_reset": 0}),
}


def reordered(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Blocks of rows of a weight or a bias in another order.

    >>> reordered(np.array([1, 1, 2, 2, 3, 3]), (1, 0, 2))
    array([2, 2, 1, 1, 3, 3])
    """
    blocks = np.split(array, len(order))
    return np.concatenate([blocks[i] for i in order])
