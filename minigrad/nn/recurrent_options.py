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
    zoneout: float | tuple[float, ...]
    num_layers: int
    batch_first: bool
    bidirectional: bool
    residual: bool
    stateful: bool

    def _set_options(self, **options: Any) -> None:
        """Keep the options, each checked alone."""
        name = type(self).__name__
        drops = "dropout", "variational_dropout", "recurrent_dropout", "weight_drop"
        flags = "batch_first", "bidirectional", "residual", "stateful"
        for option in drops:
            check_probability(name, option, options[option])
        if isinstance(options["num_layers"], str) and hasattr(self, "cell"):
            raise TypeError(
                f"{name}: the third argument is num_layers; give other options by name, as in "
                f"nonlinearity={options['num_layers']!r}"
            )
        options["num_layers"] = check_positive(name, "num_layers", options["num_layers"])
        for option in flags:
            options[option] = check_flag(name, option, options[option])
        if isinstance(options["zoneout"], list):
            options["zoneout"] = tuple(options["zoneout"])
        for option, value in options.items():
            setattr(self, option, value)

    def _check_options(self) -> None:
        """Refuse options that don't go with the cell, or with each other."""
        name = type(self).__name__
        if self.dropout and self.num_layers == 1:
            raise ValueError(
                f"{name}: dropout acts between layers, and there is one only. Take num_layers=2 "
                "or more, or apply mg.dropout to the output"
            )
        if self.dropout and self.variational_dropout:
            raise ValueError(
                f"{name}: dropout and variational_dropout both drop what one layer gives to the "
                "next; give one of them"
            )
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
