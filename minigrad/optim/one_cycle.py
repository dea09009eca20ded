"""The 1cycle policy: the rate up and down once, and the momentum the other way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..utils.arguments import check_flag, check_number, check_positive
from .optimizer import Optimizer
from .schedule import Schedule, check_optimizer, per_group

__all__ = ["OneCycleLR"]


class OneCycleLR(Schedule):
    """Up to `max_lr` and down to nearly nothing in `total_steps` steps (Smith and Topin 2019).

    Call `step()` after each batch. Options with "or list" take one number for all groups, or a list
    with one for each.

    Parameters
    ----------
    max_lr : the highest rate, or list.
    total_steps : how many steps the cycle has; or give `epochs` and `steps_per_epoch`.
    pct_start : which part of the steps, from 0 to 1, goes up.
    anneal_strategy : "cos" or "linear".
    cycle_momentum : whether the momentum (the first of Adam's betas) goes from `max_momentum` down
        to `base_momentum` (each a number or list) where the rate goes up, and back.
    div_factor : the rate begins at max_lr / div_factor.
    final_div_factor : it ends at a rate that is smaller than the first by this factor.
    three_phase : go down to the first rate as fast as up, and to the last one after that.

    >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=0.1, momentum=0.9)
    >>> schedule = mg.optim.OneCycleLR(optimizer, max_lr=1.0, total_steps=5, pct_start=0.4)
    >>> for _ in range(5):
    ...     group = optimizer.param_groups[0]
    ...     print(round(group["lr"], 2), round(group["momentum"], 2))
    ...     schedule.step()
    0.04 0.95
    1.0 0.85
    0.75 0.88
    0.25 0.92
    0.0 0.95
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        check_optimizer("OneCycleLR", optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    "OneCycleLR: give total_steps, or both epochs and steps_per_epoch; it has to "
                    "know where the cycle ends"
                )
            total_steps = check_positive("OneCycleLR", "epochs", epochs) * check_positive(
                "OneCycleLR", "steps_per_epoch", steps_per_epoch
            )
        self.total_steps = check_positive("OneCycleLR", "total_steps", total_steps)
        self.anneal_strategy = anneal_strategy
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"OneCycleLR: anneal_strategy is 'cos' or 'linear'; got {anneal_strategy!r:.40}"
            )
        self.cycle_momentum = check_flag("OneCycleLR", "cycle_momentum", cycle_momentum)
        three_phase = check_flag("OneCycleLR", "three_phase", three_phase)
        self.max_lr, self.div_factor = max_lr, _number("div_factor", div_factor)
        if not self.div_factor or not final_div_factor:
            raise ValueError("OneCycleLR: div_factor and final_div_factor are numbers above 0")
        self.base_momentum, self.max_momentum = base_momentum, max_momentum
        self.final_div_factor = _number("final_div_factor", final_div_factor)
        share = _number("pct_start", pct_start, 1.0)
        up, last = share * self.total_steps - 1, float(self.total_steps - 1)
        # Where each phase ends, and between which of the levels "low", "high" and "end" it goes.
        self._phases = [(up, "low", "high"), (last, "high", "end")]
        if three_phase:
            down = 2 * share * self.total_steps - 2
            self._phases = [(up, "low", "high"), (down, "high", "low"), (last, "low", "end")]
        groups = optimizer.param_groups
        if self.cycle_momentum and not all(
            group.keys() & {"momentum", "betas"} for group in groups
        ):
            raise ValueError(
                f"OneCycleLR: {type(optimizer).__name__} has no momentum and no betas to cycle; "
                "give cycle_momentum=False"
            )
        for group, levels in zip(groups, self._levels(len(groups)), strict=True):
            group["lr"] = group["initial_lr"] = levels["low"]
        super().__init__(optimizer)

    def _levels(self, count: int) -> list[dict[str, float]]:
        """The rates between which each group goes."""
        highest = per_group("OneCycleLR", "max_lr", self.max_lr, count)
        lowest = [_number("max_lr", high) / self.div_factor for high in highest]
        return [
            {"low": low, "high": float(high), "end": low / self.final_div_factor}
            for low, high in zip(lowest, highest, strict=True)
        ]

    def _place(self, t: int) -> tuple[str, str, float]:
        """Between which levels the rate is after t steps, and how far it has come."""
        if t > self.total_steps:
            raise ValueError(
                f"OneCycleLR: step() was called {t} times, and the cycle has total_steps="
                f"{self.total_steps}. Make it as long as the training, or stop calling step()"
            )
        start = 0.0
        *phases, (last, *levels) = self._phases
        for end, *levels_here in phases:
            if t <= end:
                last, levels = end, levels_here
                break
            start = end
        before, after = levels
        return before, after, (t - start) / (last - start) if last != start else 1.0

    def _between(self, start: float, stop: float, way: float) -> float:
        if self.anneal_strategy == "linear":  # after the last step it stays, and is no less than 0
            return (stop - start) * min(way, 1.0) + start
        return stop + (start - stop) / 2 * (1 + math.cos(math.pi * way))

    def rates(self, t: int) -> list[float]:
        """Up, and down again."""
        before, after, way = self._place(t)
        levels = self._levels(len(self.base_lrs))
        return [self._between(level[before], level[after], way) for level in levels]

    def options(self, t: int) -> list[dict[str, Any]]:
        """The momentum: down, and up again."""
        if not self.cycle_momentum:
            return super().options(t)
        before, after, way = self._place(t)
        count = len(self.base_lrs)
        least = per_group("OneCycleLR", "base_momentum", self.base_momentum, count)
        most = per_group("OneCycleLR", "max_momentum", self.max_momentum, count)
        options: list[dict[str, Any]] = []
        for group, low, high in zip(self.optimizer.param_groups, least, most, strict=True):
            start, stop = (low if level == "high" else high for level in (before, after))
            momentum = self._between(start, stop, way)
            betas = {"betas": (momentum, *group.get("betas", ())[1:])}
            options.append(betas if "betas" in group else {"momentum": momentum})
        return options


def _number(option: str, value: Any, most: float = math.inf) -> float:
    check_number("OneCycleLR", option, value)
    if not 0 <= value <= most or value == math.inf:
        limits = "a number of at least 0" if most == math.inf else f"a number from 0 to {most}"
        raise ValueError(f"OneCycleLR: {option} is {limits}; got {value}")
    return float(value)
