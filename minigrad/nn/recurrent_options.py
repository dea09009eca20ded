"""The half of `Recurrent` that takes its options and checks them."""

from __future__ import annotations

from typing import Any

from ..utils.arguments import check_flag, check_positive, check_probability
from .cell_module import CellModule
from .masks import check_zoneout

__all__ = ["BEYOND_PYTORCH", "RecurrentOptions"]

# The options that PyTorch's layers don't have, with their defaults.
BEYOND_PYTORCH: dict[str, Any] = {
    **dict.fromkeys(("variational_dropout", "recurrent_dropout", "weight_drop", "zoneout"), 0.0),
    **dict.fromkeys(("residual", "stateful"), False),
}


class RecurrentOptions(CellModule):
    """A cell with the options of a layer; `Recurrent` describes and uses them."""

    dropout: float
    variational_dropout: float
    recurrent_dropout: float
    weight_drop: float

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        variational_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
        residual: bool = False,
        stateful: bool = False,
    ) -> None:
        name = type(self).__name__
        rates = {"dropout": dropout, "variational_dropout": variational_dropout}
        rates |= {"recurrent_dropout": recurrent_dropout, "weight_drop": weight_drop}
        for option, rate in rates.items():
            check_probability(name, option, rate)
            setattr(self, option, rate)
        if isinstance(num_layers, str) and hasattr(self, "cell"):
            raise TypeError(
                f"{name}: the third argument is num_layers; give other options by name, as in "
                f"nonlinearity={num_layers!r}"
            )
        self.num_layers = check_positive(name, "num_layers", num_layers)
        if dropout and num_layers == 1:
            raise ValueError(
                f"{name}: dropout acts between layers, and there is one only. Take num_layers=2 "
                "or more, or apply mg.dropout to the output"
            )
        if dropout and variational_dropout:
            raise ValueError(
                f"{name}: dropout and variational_dropout both drop what one layer gives to the "
                "next; give one of them"
            )
        self.batch_first = check_flag(name, "batch_first", batch_first)
        self.bidirectional = check_flag(name, "bidirectional", bidirectional)
        self.residual = check_flag(name, "residual", residual)
        self.stateful = check_flag(name, "stateful", stateful)
        self._last: Any = None  # of a stateful layer, the parts of its state
        self.zoneout = tuple(zoneout) if isinstance(zoneout, list) else zoneout
        super().__init__(input_size, hidden_size, bias)
        self._check_options(name)

    def _check_options(self, name: str) -> None:
        """Refuse options that don't go with the cell, or with each other."""
        check_zoneout(name, self.zoneout, self.states)
        if self.recurrent_dropout and not self.masks_h:
            raise ValueError(
                f"{name}: recurrent_dropout is for cells that multiply h by p.mask_h before their "
                "recurrent products (minigrad.nn.cells.masked) and declare masks_h = True"
            )
        if self.weight_drop and not any(n in self._names["_l0"] for n in self.recurrent):
            raise ValueError(
                f"{name}: weight_drop drops from the weights of h that the declaration calls "
                f"recurrent = {self.recurrent}, and the cell has none of these"
            )
        if self.stateful and self.bidirectional:
            raise ValueError(
                f"{name}: a bidirectional layer has to see the end; it can't be stateful"
            )
        if self.residual and self.num_layers == 1:
            raise ValueError(
                f"{name}: residual adds inputs to outputs from the second layer on, and there is "
                "one only. Take num_layers=2 or more, or write x + layer(x)[0]"
            )

    def extra_repr(self) -> str:
        """Its sizes, and the options that differ from their defaults."""
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        defaults["bidirectional"] = False
        return self._sizes_and_options({**defaults, **BEYOND_PYTORCH, **self.options})
