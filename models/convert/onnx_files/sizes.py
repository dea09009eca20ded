"""Sizes of a run in terms of the axes that may vary: 3 * batch * time + 1.

A module is recorded at a few sizes of its varying axes. A number that is the same in each of these
runs is a constant of the model; one that varies is looked for among the forms
`factor * (a product of axes) + offset`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["RUNS", "Size", "Sizes", "draw_sizes"]

RUNS = 3  # two runs determine factor and offset, and the third confirms them

_PRIMES = [n for n in range(5, 4000) if all(n % k for k in range(2, math.isqrt(n) + 1))]


@dataclass(frozen=True)
class Size:
    """`factor * (the product of axes) + offset`.

    >>> str(Size(("batch", "time"), 3, -1)), str(Size(("time",), 1, 0))
    ('3 * batch * time - 1', 'time')
    """

    axes: tuple[str, ...]
    factor: int
    offset: int

    def at(self, sizes: Mapping[str, int]) -> int:
        """Its value if the axes have these sizes."""
        return self.factor * math.prod(sizes[axis] for axis in self.axes) + self.offset

    @property
    def is_axis(self) -> bool:
        """Whether it is the size of one axis as it is."""
        return len(self.axes) == 1 and self.factor == 1 and self.offset == 0

    def __str__(self) -> str:
        product = " * ".join(self.axes)
        scaled = product if self.factor == 1 else f"{self.factor} * {product}"
        sign = "+" if self.offset > 0 else "-"
        return f"{scaled} {sign} {abs(self.offset)}" if self.offset else scaled


def draw_sizes(least: Mapping[str, int], rng: np.random.Generator) -> list[dict[str, int]]:
    """Sizes for the axes in each run: primes that nothing else in a model is likely to equal.

    `least` is the smallest size of each axis.
    """
    while True:
        runs: list[dict[str, int]] = []
        for _ in range(RUNS):
            used = {n for run in runs for n in run.values()}
            run: dict[str, int] = {}
            for axis, n in least.items():
                free = [p for p in _PRIMES if p > n and p not in used]
                if len(free) < RUNS:
                    raise ValueError(
                        f"to_onnx: axis {axis!r} has size {n} in the example; a shorter example "
                        "does as well, as the axis may have any size later"
                    )
                run[axis] = int(rng.choice(free[:9]))
                used.add(run[axis])
            runs.append(run)
        forms = list(_products(least, runs))
        if not any(_affine(b, a) for (_, a), (_, b) in itertools.permutations(forms, 2)):
            return runs


class Sizes:
    """The sizes of the varying axes in each run, and what they explain.

    >>> sizes = Sizes(
    ...     [{"batch": 5, "time": 11}, {"batch": 7, "time": 19}, {"batch": 13, "time": 23}]
    ... )
    >>> sizes.explain([55, 133, 299]), sizes.explain([4, 4, 4]), sizes.explain([4, 5, 9])
    (Size(axes=('batch', 'time'), factor=1, offset=0), 4, None)
    """

    def __init__(self, runs: Sequence[Mapping[str, int]]) -> None:
        self.runs = runs
        self._forms = list(_products(runs[0], runs)) if runs[0] else []

    def explain(self, values: Sequence[int]) -> int | Size | None:
        """The number in each run as a constant or as a `Size`; None if it is neither."""
        if len(set(values)) == 1:
            return values[0]
        for axes, products in self._forms:
            found = _affine(values, products)
            if found is not None:
                return Size(axes, *found)
        return None


def _products(
    axes: Mapping[str, int], runs: Sequence[Mapping[str, int]]
) -> itertools.chain[tuple[tuple[str, ...], list[int]]]:
    """Each set of axes, with the product of their sizes in each run."""
    sets = (itertools.combinations(axes, n) for n in range(1, len(axes) + 1))
    return itertools.chain(
        (chosen, [math.prod(run[axis] for axis in chosen) for run in runs])
        for chosen in itertools.chain.from_iterable(sets)
    )


def _affine(values: Sequence[int], at: Sequence[int]) -> tuple[int, int] | None:
    """The factor and the offset by which some numbers follow from others, if they do."""
    step, of = values[1] - values[0], at[1] - at[0]
    if of == 0 or step % of or step == 0:
        return None
    factor = step // of
    offset = values[0] - factor * at[0]
    return (
        (factor, offset)
        if all(v == factor * n + offset for v, n in zip(values, at, strict=True))
        else None
    )
