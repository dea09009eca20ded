"""A schedule that looks at a figure, such as the loss in validation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..utils.arguments import is_number
from .optimizer import Optimizer
from .schedule import check_optimizer, per_group

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau:
    """The rates times `factor` when a figure has not become better for more than `patience` steps.

    Call `step(metric)` once per epoch, with the loss in validation, for example. A figure that is
    NaN is no better one.

    Parameters
    ----------
    mode : "min" if less is better, "max" if more is.
    threshold, threshold_mode : by how much it must be better: by this share ("rel") or this
        difference ("abs").
    cooldown : after a cut, how many steps don't count.
    min_lr : no rate goes below it; a number, or a list with one for each group.
    eps : a cut by no more than this is left out.

    Attributes
    ----------
    best : the best figure so far.
    num_bad_epochs : for how many steps there was no better one.

    >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = mg.optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in [3.0, 2.0, 2.1, 2.2, 1.9]:
    ...     schedule.step(loss)
    ...     print(optimizer.param_groups[0]["lr"], end=" ")
    1.0 1.0 1.0 0.5 0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer = check_optimizer("ReduceLROnPlateau", optimizer)
        for option, value, known in (
            ("mode", mode, ["min", "max"]),
            ("threshold_mode", threshold_mode, ["rel", "abs"]),
        ):
            if value not in known:
                raise ValueError(
                    f"ReduceLROnPlateau: {option} is {' or '.join(map(repr, known))}; "
                    f"got {value!r:.40}"
                )
        if not is_number(factor) or not 0 <= factor < 1:
            raise ValueError(
                f"ReduceLROnPlateau: factor is a number from 0 to below 1; got {factor!r:.40}"
            )
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.min_lr, self.eps = cooldown, min_lr, eps
        per_group("ReduceLROnPlateau", "min_lr", min_lr, len(optimizer.param_groups))
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        self._last_lr = [float(group["lr"]) for group in optimizer.param_groups]

    def step(self, metrics: Any) -> None:
        """Look at a new figure, a number, and cut the rates if it is time.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = mg.optim.ReduceLROnPlateau(optimizer, patience=0)
        >>> schedule.step(2.0)
        >>> schedule.step(mg.tensor(3.0))
        >>> optimizer.param_groups[0]["lr"]
        0.1
        """
        if not is_number(metrics):
            raise TypeError(
                "ReduceLROnPlateau.step takes the figure to look at, as in step(loss.item()); got "
                f"{type(metrics).__name__} {metrics!r:.40}"
            )
        current = float(metrics)
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._cut()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]

    def _is_better(self, current: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            return sign * current > sign * self.best * (1 + sign * self.threshold)
        return sign * current > sign * self.best + self.threshold

    def _cut(self) -> None:
        groups = self.optimizer.param_groups
        least = per_group("ReduceLROnPlateau", "min_lr", self.min_lr, len(groups))
        for group, low in zip(groups, least, strict=True):
            lr = float(group["lr"])
            new = max(lr * self.factor, low)
            if lr - new > self.eps:
                group["lr"] = new

    def get_last_lr(self) -> list[float]:
        """The rates that the groups had after the last step.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
        >>> mg.optim.ReduceLROnPlateau(optimizer).get_last_lr()
        [1.0]
        """
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far, for `mg.save`; the settings are not included.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = mg.optim.ReduceLROnPlateau(optimizer)
        >>> schedule.step(2.0)
        >>> schedule.state_dict()
        {'best': 2.0, 'num_bad_epochs': 0, 'cooldown_counter': 0, 'lrs': [1.0]}
        """
        return {
            "best": self.best,
            "num_bad_epochs": self.num_bad_epochs,
            "cooldown_counter": self.cooldown_counter,
            "lrs": [float(group["lr"]) for group in self.optimizer.param_groups],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from where `state_dict()` was taken, and set the optimiser's rates.

        Raises ValueError, and changes nothing, if the state is not one of such a schedule.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = mg.optim.ReduceLROnPlateau(optimizer)
        >>> state = schedule.state_dict()
        >>> schedule.step(2.0)
        >>> schedule.load_state_dict(state)
        >>> schedule.best
        inf
        """
        if not isinstance(state, Mapping) or state.keys() != self.state_dict().keys():
            raise ValueError(
                "ReduceLROnPlateau.load_state_dict takes what its state_dict() returned"
            )
        groups = self.optimizer.param_groups
        if len(state["lrs"]) != len(groups):
            raise ValueError(
                f"this state is for an optimiser of {len(state['lrs'])} groups; "
                f"this one has {len(groups)}"
            )
        self.best, self.num_bad_epochs = float(state["best"]), int(state["num_bad_epochs"])
        self.cooldown_counter = int(state["cooldown_counter"])
        for group, lr in zip(groups, state["lrs"], strict=True):
            group["lr"] = float(lr)
        self._last_lr = [group["lr"] for group in groups]
