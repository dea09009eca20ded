"""One function with a right or a wrong derivative, and how to write down many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
Draw = Callable[[np.random.Generator], list[Array]]


@dataclass(frozen=True)
class Case:
    """One function with its derivative.

    Attributes
    ----------
    kind : "right", "hard" or "bug".
    draw : the inputs, from a NumPy generator.
    kinks : from the inputs the exact list of (position, index) of the entries on kinks.
    """

    family: str
    name: str
    kind: str
    f: Callable[..., Any]
    vjp: Callable[..., Any]
    draw: Draw
    kinks: Callable[..., list[tuple[int, tuple[int, ...]]]] | None = None

    @property
    def label(self) -> str:
        """Family and name, for tables."""
        return f"{self.family}: {self.name}"


def add(
    cases: list[Case],
    family: str,
    f: Callable[..., Any],
    draw: Draw,
    right: Callable[..., Any],
    kinks: Callable[..., Any] | None = None,
    hard: bool = False,
    **bugs: Callable[..., Any],
) -> None:
    """Add to `cases` a function with its right derivative and wrong ones.

    Derivatives here take the cotangent(s) first, then the inputs, and return one gradient, or a
    tuple of them.
    """
    cases.append(Case(family, "right", "hard" if hard else "right", f, listed(right), draw, kinks))
    for name, wrong in bugs.items():
        cases.append(Case(family, name.replace("_", " "), "bug", f, listed(wrong), draw))


def listed(derivative: Callable[..., Any]) -> Callable[..., list[Any]]:
    """The derivative as a vjp: of lists of inputs and cotangents, with a list of gradients."""

    def vjp(arrays: Sequence[Array], cotangents: Sequence[Array]) -> list[Any]:
        g = derivative(*cotangents, *arrays)
        return list(g) if isinstance(g, tuple) else [g]

    return vjp


def normal(*shapes: tuple[int, ...]) -> Draw:
    """Normal numbers in these shapes."""
    return lambda rng: [rng.normal(size=shape) for shape in shapes]


def positive(*shapes: tuple[int, ...]) -> Draw:
    """Numbers from 0.2 to 3."""
    return lambda rng: [rng.uniform(0.2, 3, size=shape) for shape in shapes]


def clear(*shapes: tuple[int, ...]) -> Draw:
    """Away from 0 and from ±1, where there may be kinks."""
    return lambda rng: [
        rng.choice([-1, 1], size=s) * (rng.uniform(0.1, 0.9, s) + rng.integers(0, 2, s))
        for s in shapes
    ]


def spread(*shapes: tuple[int, ...]) -> Draw:
    """No two numbers alike."""
    return lambda rng: [
        rng.permutation(np.arange(np.prod(s)) * 0.37 - 1.0).reshape(s) for s in shapes
    ]
