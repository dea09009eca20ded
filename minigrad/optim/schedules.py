"""Learning-rate schedules: the rate as a function of how many steps were made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "LinearWarmup", "Schedule", "StepLR"]


class Schedule:
    """Base of all schedules: call `step()` once per epoch or batch, after that of the optimiser.

    A subclass defines `rate`, which is applied to each group's initial rate.

    Attributes
    ----------
    optimizer : the optimiser whose "lr" is set.
    base_lrs : per group the rate that the schedule started from.
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

    def __init__(self, optimizer: Optimizer) -> None:
        if not hasattr(optimizer, "param_groups"):
            raise TypeError(
                f"{type(self).__name__} takes an optimiser, as in {type(self).__name__}(optimizer, "
                f"...); got {type(optimizer).__name__} {optimizer!r:.40}"
            )
        self.optimizer = optimizer
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self.steps = 0
        self._apply()

    def rate(self, base: float, t: int) -> float:
        """The rate after t steps of a group that started from `base`."""
        raise NotImplementedError(f"{type(self).__name__} defines no rate()")

    def step(self) -> None:
        """Advance by one step and set the optimiser's rates."""
        self.steps += 1
        self._apply()

    def _apply(self) -> None:
        groups, known = len(self.optimizer.param_groups), len(self.base_lrs)
        if groups != known:
            raise RuntimeError(
                f"{type(self).__name__} was made when its optimiser had {known} parameter groups; "
                f"now there are {groups}. Add all groups before you make the schedule, or make a "
                "new one now, which starts from the present rates"
            )
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.rate(base, self.steps)

    def state_dict(self) -> dict[str, Any]:
        """The position of the schedule, for `mg.save`; its settings are not included."""
        return {"steps": self.steps, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from where `state_dict()` was taken, and set the optimiser's rates."""
        if not isinstance(state, Mapping) or state.keys() != self.state_dict().keys():
            raise ValueError(
                f"{type(self).__name__}.load_state_dict takes what its state_dict() returned"
            )
        if len(state["base_lrs"]) != len(self.base_lrs):
            raise ValueError(
                f"this state is for an optimiser of {len(state['base_lrs'])} groups; "
                f"this one has {len(self.base_lrs)}"
            )
        self.steps, self.base_lrs = int(state["steps"]), list(state["base_lrs"])
        self._apply()


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{name} must be an integer; got {type(value).__name__} {value!r:.40}")
    if not value >= 1:
        raise ValueError(f"{name} must be at least 1; got {value}")
    return value


class StepLR(Schedule):
    """The rate times `gamma` every `step_size` steps.

    >>> import minigrad as mg
    >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = mg.optim.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(5):
    ...     print(optimizer.param_groups[0]["lr"], end=" ")
    ...     schedule.step()
    1.0 1.0 0.5 0.5 0.25
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = _positive("StepLR: step_size", step_size), gamma
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        """A staircase."""
        return base * self.gamma ** (t // self.step_size)


class CosineAnnealingLR(Schedule):
    """Half a cosine from the rate down to `eta_min` in `T_max` steps (Loshchilov, Hutter 2017).

    Beyond T_max the cosine goes up again, as in PyTorch.

    >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = mg.optim.CosineAnnealingLR(optimizer, T_max=2)
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 2), end=" ")
    ...     schedule.step()
    1.0 0.5 0.0
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = _positive("CosineAnnealingLR: T_max", T_max), eta_min
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        """A cosine of period 2 T_max."""
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class LinearWarmup(Schedule):
    """Rise to the full rate in `warmup_steps` equal steps, then follow the schedule `after`.

    The first rate is 1/warmup_steps of the full one. Without `after` the full rate then stays.
    Call the `step()` of the warm-up only.

    >>> import minigrad as mg
    >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
    >>> cosine = mg.optim.CosineAnnealingLR(optimizer, T_max=4)
    >>> schedule = mg.optim.LinearWarmup(optimizer, warmup_steps=2, after=cosine)
    >>> for _ in range(7):
    ...     print(round(optimizer.param_groups[0]["lr"], 2), end=" ")
    ...     schedule.step()
    0.5 1.0 1.0 0.85 0.5 0.15 0.0
    """

    def __init__(
        self, optimizer: Optimizer, warmup_steps: int, after: Schedule | None = None
    ) -> None:
        self.warmup_steps = _positive("LinearWarmup: warmup_steps", warmup_steps)
        self.after = after
        if after is not None:
            if not isinstance(after, Schedule):
                raise TypeError(f"LinearWarmup: `after` is a schedule; got {after!r:.40}")
            if after.optimizer is not optimizer or after.steps:
                raise ValueError("LinearWarmup: `after` must be a fresh schedule of its optimiser")
            for group, base in zip(optimizer.param_groups, after.base_lrs, strict=True):
                group["lr"] = base
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        """A ramp, then what follows."""
        if t < self.warmup_steps:
            return base * (t + 1) / self.warmup_steps
        return base if self.after is None else self.after.rate(base, t - self.warmup_steps)
