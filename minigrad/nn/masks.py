"""What recurrent layers draw in training: masks of inputs, states and weights.

Masks come from minigrad's generator, so a seed gives the same on every backend. A cell draws
nothing: its masks are inputs of the scan, beside x.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ..engine.creation import tensor
from ..engine.filled import ones
from ..engine.rng import generator
from ..engine.tensor import Tensor
from ..functional import dropout
from ..nested import parts_of, rebuild, without_tensors
from ..ops import broadcast_to, where
from ..recording import probe
from ..utils.arguments import check_probability

__all__ = ["check_zoneout", "drop_features", "drop_weights", "with_recurrent_dropout"]
__all__ += ["with_zoneout"]

_LONG = {"h": "hidden", "c": "cell"}  # what cells call these states when they name values

Cell = Callable[[Any, Any, Any], tuple[Any, Any]]


def drop_features(x: Tensor, p: float) -> Tensor:
    """x (T, N, I) without some features, which each sequence loses at all steps."""
    return x * _mask((1, *x.shape[1:]), p, x)


def drop_weights(weights: SimpleNamespace, names: tuple[str, ...], p: float) -> None:
    """Put thinned copies in the place of the weights of these names."""
    for name in names:
        if (weight := getattr(weights, name, None)) is not None:
            setattr(weights, name, dropout(weight, p))


def with_recurrent_dropout(cell: Cell, xs: Any, size: int, p: float) -> tuple[Cell, Any]:
    """A cell whose `p.mask_h` is one mask (N, size) for all steps, and its inputs."""
    like = parts_of(xs)[0]
    T, N = like.shape[:2]
    mask = broadcast_to(_mask((1, N, size), p, like), (T, N, size))
    template = without_tensors(xs)

    @functools.wraps(cell, updated=())
    def dropping(p: Any, inputs: Any, state: Any) -> tuple[Any, Any]:
        *x, mask = inputs
        return cell(SimpleNamespace(**vars(p), mask_h=mask), rebuild(template, x), state)

    return dropping, (*parts_of(xs), mask)


def with_zoneout(
    cell: Cell, weights: Any, xs: Any, sizes: dict[str, int], rates: tuple[float, ...], draws: bool
) -> tuple[Cell, Any, Any]:
    """A cell whose states keep old values, with the parameters and the inputs that it reads.

    `sizes` has the size of each state by its name. It `draws` a mask per state and step, or else
    takes the expectation.
    """
    names = [f"zoneout_{_LONG.get(name, name)}" for name in sizes]
    template, count = without_tensors(xs), len(parts_of(xs))
    called = getattr(cell, "__name__", type(cell).__name__)

    @functools.wraps(cell, updated=())
    def zoned(p: Any, inputs: Any, state: Any) -> tuple[Any, Any]:
        x, keeps = parts_of(inputs)[:count], parts_of(inputs)[count:] or p.zoneout
        y, new = cell(p, rebuild(template, x), state)
        if y is not parts_of(new)[0]:
            raise ValueError(
                f"zoneout: the output of {called} is not its first state, so a state that stays "
                "would not be seen; leave zoneout away"
            )
        mix = where if draws else _expected
        olds, news = parts_of(state), parts_of(new)
        rows = zip(names, keeps, olds, news, strict=True)
        parts = [probe(name, mix(keep, old, now)) for name, keep, old, now in rows]
        return parts[0], rebuild(new, parts)

    if not draws:
        return zoned, SimpleNamespace(**vars(weights), zoneout=rates), xs
    like = parts_of(xs)[0]
    masks = [
        tensor(generator().random((*like.shape[:2], size)) < rate, backend=like.backend)
        for size, rate in zip(sizes.values(), rates, strict=True)
    ]
    return zoned, weights, (*parts_of(xs), *masks)


def check_zoneout(asked_by: str, zoneout: Any, states: tuple[str, ...]) -> tuple[float, ...]:
    """A rate per state; one number is the rate of all. () if all are 0."""
    rates = tuple(zoneout) if isinstance(zoneout, (tuple, list)) else (zoneout,) * len(states)
    if len(rates) != len(states):
        raise ValueError(
            f"{asked_by}: zoneout is one probability, or one for each of the states "
            f"{', '.join(states)}; got {len(rates)}"
        )
    for rate in rates:
        check_probability(asked_by, "zoneout", rate)
    return tuple(map(float, rates)) if any(rates) else ()


def _mask(shape: tuple[int, ...], p: float, like: Tensor) -> Tensor:
    """0 with probability p, else 1 / (1 - p)."""
    return dropout(ones(shape, like.dtype, backend=like.backend), p)


def _expected(rate: Any, old: Tensor, new: Tensor) -> Tensor:
    return rate * old + (1 - rate) * new
