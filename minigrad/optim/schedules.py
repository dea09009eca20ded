"""Schedules: how the learning rate goes with the number of steps."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..utils.arguments import check_number
from .optimizer import Optimizer
from .schedule import Schedule, per_group

__all__ = ["CosineAnnealingLR", "ExponentialLR", "LambdaLR", "LinearLR", "LinearWarmup"]
__all__ += ["MultiStepLR", "SequentialLR", "StepLR"]


def _whole(name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{name} must be an integer; got {type(value).__name__} {value!r:.40}")
    if not value >= least:
        raise ValueError(f"{name} must be at least {least}; got {value}")
    return int(value)


def _number(name: str, option: str, value: Any) -> float:
    check_number(name, option, value)
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: {option} is a number of at least 0; got {value}")
    return float(value)


def _milestones(name: str, value: Any) -> list[int]:
    if not isinstance(value, Iterable) or isinstance(value, str):
        raise TypeError(f"{name}: milestones are a list of integers; got {value!r:.40}")
    return [_whole(f"{name}: a milestone", step, 0) for step in value]


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
        self.step_size = _whole("StepLR: step_size", step_size)
        self.gamma = _number("StepLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        """A staircase."""
        return base * self.gamma ** (t // self.step_size)


class MultiStepLR(Schedule):
    """The rate times `gamma` at each of the `milestones`, which are numbers of steps.

    >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = mg.optim.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for _ in range(5):
    ...     print(optimizer.param_groups[0]["lr"], end=" ")
    ...     schedule.step()
    1.0 0.5 0.5 0.25 0.25
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(_milestones("MultiStepLR", milestones))
        self.gamma = _number("MultiStepLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        """A staircase with steps of any width."""
        return base * self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(Schedule):
    """The rate times `gamma` at each step.

    >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = mg.optim.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(4):
    ...     print(optimizer.param_groups[0]["lr"], end=" ")
    ...     schedule.step()
    1.0 0.5 0.25 0.125
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = _number("ExponentialLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        """An exponential function."""
        return base * self.gamma**t


class LambdaLR(Schedule):
    """The rate times `lr_lambda(t)` after t steps: one function, or a list with one per group.

    >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = mg.optim.LambdaLR(optimizer, lambda t: 1 / (t + 1))
    >>> for _ in range(4):
    ...     print(round(optimizer.param_groups[0]["lr"], 2), end=" ")
    ...     schedule.step()
    1.0 0.5 0.33 0.25
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
    ) -> None:
        self.lr_lambda = lr_lambda
        for function in lr_lambda if isinstance(lr_lambda, (list, tuple)) else [lr_lambda]:
            if not callable(function):
                raise TypeError(
                    "LambdaLR: lr_lambda is a function of the number of steps, or a list of them; "
                    f"got {type(function).__name__} {function!r:.40}"
                )
        super().__init__(optimizer)

    def rates(self, t: int) -> list[float]:
        """What the functions say."""
        functions = per_group("LambdaLR", "lr_lambda", self.lr_lambda, len(self.base_lrs))
        return [base * f(t) for base, f in zip(self.base_lrs, functions, strict=True)]


class LinearLR(Schedule):
    """From the rate times `start_factor` to that times `end_factor` in `total_iters` equal steps.

    >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = mg.optim.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> for _ in range(4):
    ...     print(optimizer.param_groups[0]["lr"], end=" ")
    ...     schedule.step()
    0.5 0.75 1.0 1.0
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor = _number("LinearLR", "start_factor", start_factor)
        self.end_factor = _number("LinearLR", "end_factor", end_factor)
        self.total_iters = _whole("LinearLR: total_iters", total_iters)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        """A ramp, then the rate at its end."""
        way = min(t, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * way)


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
        self.T_max = _whole("CosineAnnealingLR: T_max", T_max)
        self.eta_min = _number("CosineAnnealingLR", "eta_min", eta_min)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        """A cosine of period 2 T_max."""
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


# --- schedules of schedules ----------------------------------------------------------------


def _start_anew(name: str, what: str, optimizer: Optimizer, parts: Sequence[Schedule]) -> None:
    """Take the optimiser's rates back to where they began, after checks of what comes."""
    for part in parts:
        if not isinstance(part, Schedule):
            raise TypeError(f"{name}: {what} is a schedule; got {part!r:.40}")
        if part.optimizer is not optimizer or part.steps:
            raise ValueError(f"{name}: {what} must be a fresh schedule of its optimiser")
    for group in optimizer.param_groups if parts else ():
        group["lr"] = group["initial_lr"]


class SequentialLR(Schedule):
    """One schedule after the other: the next one begins at each of the `milestones`.

    Call the `step()` of the SequentialLR only.

    Parameters
    ----------
    schedulers : fresh schedules of the optimiser.
    milestones : after how many steps the second one begins, the third one, ...

    >>> optimizer = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=1.0)
    >>> warm_up = mg.optim.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = mg.optim.ExponentialLR(optimizer, gamma=0.5)
    >>> schedule = mg.optim.SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> for _ in range(5):
    ...     print(optimizer.param_groups[0]["lr"], end=" ")
    ...     schedule.step()
    0.5 0.75 1.0 0.5 0.25
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]
    ) -> None:
        self.parts = tuple(schedulers)
        self.milestones = _milestones("SequentialLR", milestones)
        if len(self.milestones) != len(self.parts) - 1 or sorted(milestones) != self.milestones:
            raise ValueError(
                "SequentialLR takes a rising list of milestones with one less than schedules; got "
                f"{len(self.parts)} schedules and {self.milestones}"
            )
        _start_anew("SequentialLR", "each of `schedulers`", optimizer, self.parts)
        self.parts[0].base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        super().__init__(optimizer)

    def _now(self, t: int) -> tuple[Schedule, int]:
        """Whose turn it is after t steps, and how many of these are its own."""
        i = bisect_right(self.milestones, t)
        return self.parts[i], t - (self.milestones[i - 1] if i else 0)

    def rates(self, t: int) -> list[float]:
        """Those of the schedule whose turn it is."""
        part, own = self._now(t)
        return part.rates(own)

    def options(self, t: int) -> list[dict[str, Any]]:
        """Those of the schedule whose turn it is."""
        part, own = self._now(t)
        return part.options(own)


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
        self.warmup_steps = _whole("LinearWarmup: warmup_steps", warmup_steps)
        self.after = after
        self.parts = () if after is None else (after,)
        _start_anew("LinearWarmup", "`after`", optimizer, self.parts)
        super().__init__(optimizer)

    def rates(self, t: int) -> list[float]:
        """A ramp, then what follows."""
        if t < self.warmup_steps:
            return [base * (t + 1) / self.warmup_steps for base in self.base_lrs]
        if self.after is None:
            return list(self.base_lrs)
        return self.after.rates(t - self.warmup_steps)

    def options(self, t: int) -> list[dict[str, Any]]:
        """Those of what follows."""
        if self.after is None or t < self.warmup_steps:
            return super().options(t)
        return self.after.options(t - self.warmup_steps)
