"""The base of all schedules: learning rates as functions of how many steps were made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..utils.arguments import is_number
from .optimizer import Optimizer

__all__ = ["Schedule"]


def check_optimizer(name: str, optimizer: Any) -> Optimizer:
    """The optimiser that a schedule called `name` was given, if it is one."""
    if not hasattr(optimizer, "param_groups"):
        raise TypeError(
            f"{name} takes an optimiser, as in {name}(optimizer, ...); got "
            f"{type(optimizer).__name__} {optimizer!r:.40}"
        )
    return optimizer


def per_group(name: str, option: str, value: Any, count: int) -> list[Any]:
    """One value for each of `count` groups, from one for all or a list of them."""
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name}: {option} has {len(value)} entries for {count} parameter groups")
    return list(value)


class Schedule:
    """Base of all schedules: call `step()` once per epoch or batch, after that of the optimiser.

    A subclass defines `rate`, which is applied to each group's initial rate. What others do to a
    rate stays as a factor: you may change "lr" by hand, and step several schedules of one
    optimiser. Groups that are added later are followed from the rate that they have then.

    Attributes
    ----------
    optimizer : the optimiser whose "lr" is set.
    base_lrs : per group the rate to start from: its "initial_lr", which the first schedule sets.
    steps : how often `step()` was called.

    >>> class Halving(mg.optim.Schedule):
    ...     def rate(self, base, t):
    ...         return base / 2**t
    >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = Halving(optimizer)
    >>> schedule.step()
    >>> optimizer.param_groups[0]["lr"]
    0.5
    """

    parts: tuple[Schedule, ...] = ()  # the schedules that it is put together from

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = check_optimizer(type(self).__name__, optimizer)
        self.base_lrs = [
            group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups
        ]
        self.steps = 0
        self._rates = list(self.base_lrs)  # what `rates` gave for the last step
        self._move(0)

    def rate(self, base: float, t: int) -> float:
        """The rate after t steps of a group that started from `base`; each subclass defines it.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)])
        >>> mg.optim.ExponentialLR(optimizer, gamma=0.5).rate(8.0, 3)
        1.0
        """
        raise NotImplementedError(f"{type(self).__name__} defines no rate()")

    def rates(self, t: int) -> list[float]:
        """The rates of all groups after t steps; a subclass with settings per group defines it.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=8.0)
        >>> mg.optim.ExponentialLR(optimizer, gamma=0.5).rates(3)
        [1.0]
        """
        return [self.rate(base, t) for base in self.base_lrs]

    def options(self, t: int) -> list[dict[str, Any]]:
        """Options besides the rate that are set after t steps, for each group.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)])
        >>> mg.optim.OneCycleLR(optimizer, max_lr=1.0, total_steps=10).options(0)
        [{'momentum': 0.95}]
        """
        return [{} for _ in self.base_lrs]

    def step(self) -> None:
        """Advance by one step and set the optimiser's rates.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = mg.optim.ExponentialLR(optimizer, gamma=0.5)
        >>> schedule.step()
        >>> optimizer.param_groups[0]["lr"]
        0.5
        """
        self.follow_groups()
        self._move(self.steps + 1)

    def get_last_lr(self) -> list[float]:
        """The rates that the groups had after the last step.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = mg.optim.ExponentialLR(optimizer, gamma=0.5)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
        """
        return list(self._last_lr)

    def follow_groups(self) -> None:
        """Take in the groups that were added to the optimiser; `step` does it.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = mg.optim.ExponentialLR(optimizer, gamma=0.5)
        >>> optimizer.add_param_group({"params": [mg.ones(1, requires_grad=True)], "lr": 0.1})
        >>> schedule.follow_groups()
        >>> schedule.base_lrs
        [1.0, 0.1]
        """
        for part in self.parts:
            part.follow_groups()
        groups, known = self.optimizer.param_groups, len(self.base_lrs)
        if len(groups) < known:
            raise RuntimeError(
                f"{type(self).__name__} was made when its optimiser had {known} parameter groups; "
                f"now there are {len(groups)}. Make a new schedule"
            )
        if len(groups) > known:
            new = groups[known:]
            self.base_lrs += [group.setdefault("initial_lr", group["lr"]) for group in new]
            self._rates = self.rates(self.steps)

    def _move(self, t: int) -> None:
        """Set the rates after t steps; nothing changes if one is no rate."""
        rates = self.rates(t)
        for i, rate in enumerate(rates):
            if not is_number(rate) or not 0 <= rate < math.inf:
                raise ValueError(
                    f"{type(self).__name__}: the rate of group {i} after {t} steps is {rate!r:.40}"
                    "; it must be a number of at least 0"
                )
        rates = [float(rate) for rate in rates]
        groups = self.optimizer.param_groups
        options = self.options(t)
        for group, before, after, others in zip(groups, self._rates, rates, options, strict=True):
            is_as_left = group["lr"] == before or not before
            group["lr"] = after if is_as_left else float(group["lr"]) * (after / before)
            group.update(others)
        self.steps, self._rates = t, rates
        self._last_lr = [group["lr"] for group in groups]

    # --- saving and resuming ---------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The position of the schedule, for `mg.save`; its settings are not included.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
        >>> mg.optim.ExponentialLR(optimizer, gamma=0.5).state_dict()
        {'steps': 0, 'base_lrs': [1.0], 'lrs': [1.0], 'parts': []}
        """
        return {
            "steps": self.steps,
            "base_lrs": list(self.base_lrs),
            "lrs": [float(group["lr"]) for group in self.optimizer.param_groups],
            "parts": [part.state_dict() for part in self.parts],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from where `state_dict()` was taken, and set the optimiser's rates.

        Raises ValueError, and changes nothing, if the state is not one of such a schedule.

        >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = mg.optim.ExponentialLR(optimizer, gamma=0.5)
        >>> state = schedule.state_dict()
        >>> schedule.step()
        >>> schedule.load_state_dict(state)
        >>> optimizer.param_groups[0]["lr"]
        1.0
        """
        self.follow_groups()
        self._check_state(state)
        self._take(state)
        groups = self.optimizer.param_groups
        for group, lr, others in zip(groups, state["lrs"], self.options(self.steps), strict=True):
            group["lr"] = float(lr)
            group.update(others)
        self._last_lr = [group["lr"] for group in groups]

    def _check_state(self, state: Any) -> None:
        known = self.state_dict()
        is_like = isinstance(state, Mapping) and state.keys() == known.keys()
        if not is_like or len(state["parts"]) != len(self.parts):
            raise ValueError(
                f"{type(self).__name__}.load_state_dict takes what its state_dict() returned"
            )
        if len(state["base_lrs"]) != len(self.base_lrs):
            raise ValueError(
                f"this state is for an optimiser of {len(state['base_lrs'])} groups; "
                f"this one has {len(self.base_lrs)}"
            )
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part._check_state(saved)

    def _take(self, state: Mapping[str, Any]) -> None:
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part._take(saved)
        self.steps, self.base_lrs = int(state["steps"]), [float(lr) for lr in state["base_lrs"]]
        self._rates = self.rates(self.steps)
