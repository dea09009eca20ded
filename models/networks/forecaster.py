"""A forecast of a series: recurrent layers and, beside them, a linear forecast of the series."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad import Tensor
from minigrad.nested import parts_of
from minigrad.nn import Linear, Module, init

from .parts import recurrent_layer, vectors_of

__all__ = ["Forecaster"]


class Forecaster(Module):
    """The next values of a series, from some of its past and whatever else is known of each step.

    The forecast is the last value, plus a linear function of how the past differs from it, plus a
    linear function of the recurrent layers' last state. The linear part keeps numbers exact, which
    states between -1 and 1 don't; the recurrent part learns what is not linear (as in LSTNet, Lai
    et al. 2018). At the beginning the linear part is 0.

    Parameters
    ----------
    cell : "rnn", "lstm" or "gru".
    features : F, the size of a step; the series is the first feature.
    hidden_size : H.
    past : T, how many steps are known.
    ahead : K, how many values are asked for.
    dropout : in training, the share of the last state, and of what layers hand to each other, that
        is dropped.
    options : of the recurrent layers, such as `num_layers=` or `memory=` (see `recurrent_layer`).

    Calling it
    ----------
    `y = model(x)` with features (T, N, F); y is (N, K).

    Raises ValueError for an unknown cell, or for an x of other sizes.

    >>> model = Forecaster("gru", features=3, hidden_size=8, past=5, ahead=2)
    >>> model(mg.ones((5, 4, 3))).shape
    (4, 2)
    """

    def __init__(
        self,
        cell: str,
        features: int,
        hidden_size: int,
        past: int,
        ahead: int,
        *,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        self.features, self.past, self.dropout = features, past, dropout
        if options.get("num_layers", 1) > 1:
            options["dropout"] = dropout
        self.recurrent = recurrent_layer(cell, features, hidden_size, **options)
        self.head = Linear(hidden_size, ahead)
        self.linear = Linear(past, ahead, bias=False)
        init.zeros_(self.linear.weight)

    def forward(self, x: Any) -> Tensor:
        """The next values (N, K) after features (T, N, F)."""
        x = vectors_of(None, x, self.head.weight)
        if x.ndim != 3 or x.shape[::2] != (self.past, self.features):
            raise ValueError(
                f"Forecaster: features are (T, N, F) = ({self.past}, N, {self.features}); got "
                f"{x.shape}"
            )
        series = mg.transpose(x[:, :, 0])  # (N, T)
        last = series[:, -1:]
        _, state = self.recurrent(x)
        h = parts_of(state)[0][-1]  # (N, H), of the last layer
        learned = self.head(mg.dropout(h, self.dropout, self.training))
        return last + self.linear(series - last) + learned
