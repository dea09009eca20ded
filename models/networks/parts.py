"""What the networks have in common: their recurrent layers, their input, modes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nested import map_leaves
from minigrad.nn import Embedding, Module, Recurrent, init
from minigrad.valid_steps import ValidSteps

from ..registry import CELLS
from .symbols import PAD

__all__ = ["embedding_or_none", "evaluation", "recurrent_layer", "select_rows", "valid_steps"]
__all__ += ["vectors_of"]


def recurrent_layer(
    cell: str,
    input_size: int,
    hidden_size: int,
    *,
    forget_bias: float = 1.0,
    memory: float | None = None,
    num_layers: int = 1,
    dropout: float = 0.0,
    **options: Any,
) -> Recurrent:
    """The layer of a cell of the registry, whose gates begin nearly open.

    `forget_bias` is for an LSTM, `memory` for an LSTM or a GRU, in place of it (see `mg.nn.LSTM`).
    Cells without such gates pass over them, so that one call makes the layers of all cells.
    `dropout` is between layers, so a single one passes over it.
    Raises ValueError for a cell that is unknown.

    >>> recurrent_layer("gru", 3, 4, forget_bias=2.0)
    GRU(3, 4)
    """
    if cell not in [*CELLS]:  # a list, as not everything that comes has a hash
        raise ValueError(f"unknown cell {cell!r}; the cells are {', '.join(CELLS)}")
    kind = CELLS[cell]
    if memory is not None and "memory" in kind.options:
        options["memory"] = memory
    elif "forget_bias" in kind.options:
        options["forget_bias"] = forget_bias
    between = dropout if num_layers > 1 else 0.0
    return kind(input_size, hidden_size, num_layers=num_layers, dropout=between, **options)


def embedding_or_none(
    num_embeddings: int | None, embedding_dim: int, std: float = 0.1
) -> Embedding | None:
    """The table for an input of symbols; None for an input of features.

    Vectors begin at a tenth of the usual size: what training adds soon outweighs chance.

    >>> embedding_or_none(5, 4), embedding_or_none(None, 4)
    (Embedding(5, 4, padding_idx=0), None)
    """
    if num_embeddings is None:
        return None
    table = Embedding(num_embeddings, embedding_dim, padding_idx=PAD)
    init.normal_(table.weight, std=std)
    return table


def vectors_of(table: Embedding | None, x: Any, like: Tensor) -> Tensor:
    """The input as vectors (T, N, E): of symbols (T, N), or features (T, N, E) as they are.

    Features that are no tensor become one like `like`.

    >>> vectors_of(None, [[[1.0, 2.0]]], mg.ones(1)).shape
    (1, 1, 2)
    """
    if table is not None:
        return table(x)
    return x if isinstance(x, Tensor) else mg.tensor(x, dtype=like.dtype, backend=like.backend)


def valid_steps(x: Tensor, lengths: Any) -> Tensor:
    """Which steps of x (T, N, ...) count, (T, N); all if there are no lengths.

    >>> valid_steps(mg.ones((2, 2, 3)), [2, 1])
    tensor([[ True,  True],
            [ True, False]])
    """
    T, N = x.shape[:2]
    lengths = np.full(N, T) if lengths is None else lengths
    return ValidSteps(lengths, T, N, x.backend).mask


def select_rows(state: Any, rows: np.ndarray) -> Any:
    """A state with some sequences of its batch: the second axis of all of its tensors.

    >>> select_rows((mg.arange(3)[None], None), np.array([2, 0]))
    (tensor([[2, 0]]), None)
    """
    return map_leaves(lambda part: None if part is None else mg.take(part, rows, axis=1), state)


@contextmanager
def evaluation(model: Module) -> Iterator[None]:
    """The model is in evaluation mode within, and then as it was; no gradients are kept.

    >>> model = mg.nn.Dropout()
    >>> with evaluation(model):
    ...     print(model(mg.ones(2)), model.training)
    tensor([1., 1.]) False
    >>> model.training
    True
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with mg.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
