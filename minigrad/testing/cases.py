"""Cases: calls of an op with inputs and a NumPy reference; the op table consists of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Case", "Kind", "Values", "by_axis", "calls", "each", "elementwise", "listed"]
__all__ += ["reduction"]


@dataclass(frozen=True)
class Kind:
    """The values of an input: `draw(rng, shape)` gives an array of them."""

    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

    def __call__(self, *shape: int) -> Values:
        """An input of this kind in a shape."""
        return Values(self, shape)


@dataclass(frozen=True)
class Values:
    """An input of a case: values of a kind in a shape."""

    kind: Kind
    shape: tuple[int, ...]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """An array; floats are float64."""
        return np.asarray(self.kind.draw(rng, self.shape))


@dataclass(frozen=True)
class Case:
    """A call to check.

    Attributes
    ----------
    f : the call, on tensors; returns a tensor or a list of them.
    reference : the same on NumPy arrays.
    inputs : the inputs of both.
    settings : keywords for both.
    slope : "full" if it has derivatives of first and second order; "first" if the second are 0
        except for rounding; "zero" if the first are 0 everywhere; "flat" if they are 0 and the
        second are not defined; "none" if there are no derivatives.
    """

    f: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: tuple[Values, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    slope: str = "full"

    @property
    def is_flat(self) -> bool:
        """Whether its first derivatives are 0 everywhere."""
        return self.slope in ("zero", "flat")

    def draw(self, seed: int = 0) -> list[np.ndarray]:
        """The inputs; equal seeds give equal ones."""
        rng = np.random.default_rng(seed)
        return [values.draw(rng) for values in self.inputs]

    def __call__(self, *tensors: Any) -> Any:
        """The call, with the settings of this case."""
        return self.f(*tensors, **self.settings)

    def __str__(self) -> str:
        shapes = " ".join("x".join(map(str, values.shape)) or "()" for values in self.inputs)
        parts = [f"{name}={value}" for name, value in self.settings.items()]
        return " ".join([shapes, *("".join(part.split()) for part in parts)])


# --- kinds of values -------------------------------------------------------------------------

real = Kind(lambda rng, shape: rng.standard_normal(shape))
positive = Kind(lambda rng, shape: rng.uniform(0.5, 2, shape))
above_one = Kind(lambda rng, shape: rng.uniform(1.3, 4, shape))
inside = Kind(lambda rng, shape: rng.uniform(-0.9, 0.9, shape))  # of -1 and 1
shares = Kind(lambda rng, shape: rng.uniform(0.1, 0.9, shape))
small = Kind(lambda rng, shape: rng.uniform(-0.03, 0.03, shape))
mask = Kind(lambda rng, shape: rng.random(shape) > 0.5)
grades = Kind(lambda rng, shape: rng.integers(0, 3, shape).astype(float))  # many are equal


def _holed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    x = rng.standard_normal(shape)
    x.flat[:1] = 0.0
    return x


holed = Kind(_holed)  # the first element is 0


def _some(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    x = np.asarray(rng.random(shape) > 0.6 if shape else True)
    for i in range(x.ndim):
        np.moveaxis(x, i, 0)[:2] = True
    return x


some = Kind(_some)  # truth values, the first two of them true along each axis


# No multiple of 0.1 is within 0.02 of the fractions, nor one of the divisors.
fractions = Kind(lambda rng, shape: rng.integers(-60, 60, shape) * 0.1 + rng.choice([0.03, 0.07]))
whole_divisors = Kind(lambda rng, shape: rng.choice([-2.0, -1.0, 0.5, 1.0, 3.0], shape))


def integers(stop: int) -> Kind:
    """Integers from 0 to `stop` - 1."""
    return Kind(lambda rng, shape: rng.integers(0, stop, shape))


def away(*kinks: float, gap: float = 0.1) -> Kind:
    """Real numbers at least `gap` away from each kink."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        x = rng.standard_normal(shape)
        for kink in kinks:
            x = np.where(np.abs(x - kink) < gap, kink + np.where(x < kink, -gap, gap), x)
        return x

    return Kind(draw)


def distinct(offset: float = 0.0) -> Kind:
    """Multiples of 0.3, no two equal, shifted: two kinds with other offsets never tie."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        n = int(np.prod(shape))
        return (rng.permutation(n) - n // 2).reshape(shape) * 0.3 + offset

    return Kind(draw)


# --- lines -----------------------------------------------------------------------------------

UNARY: tuple[tuple[int, ...], ...] = ((2, 3), (), (0, 2))
BINARY = (
    *(((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (3,)), ((2, 2), ())),
    *(((), ()), ((0, 3), (3,)), ((2, 1, 2), (3, 1))),
)
AXES: tuple[dict[str, Any], ...] = (
    {},
    {"keepdims": True},
    {"axis": 1},
    {"axis": -1, "keepdims": True},
    {"axis": (0, -1)},
    {"axis": (2, 0), "keepdims": True},
)


def calls(
    f: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Iterable[Values | tuple[Values, ...]],
    settings: Iterable[dict[str, Any]] = ({},),
    slope: str = "full",
) -> list[Case]:
    """A case for each of the inputs with each of the settings."""
    return [
        Case(f, reference, one if isinstance(one, tuple) else (one,), keywords, slope)
        for one, keywords in itertools.product(inputs, list(settings))
    ]


def elementwise(
    f: Callable[..., Any],
    reference: Callable[..., Any],
    *kinds: Kind,
    slope: str = "full",
    **settings: Any,
) -> list[Case]:
    """Cases of a function that broadcasts: one array, or two in all combinations of shapes."""
    if len(kinds) == 1:
        return calls(f, reference, [kinds[0](*shape) for shape in UNARY], [settings], slope)
    pairs = [(kinds[0](*a), kinds[1](*b)) for a, b in BINARY]
    return calls(f, reference, pairs, [settings], slope)


def reduction(
    f: Callable[..., Any],
    reference: Callable[..., Any],
    kind: Kind,
    slope: str = "full",
    scalar: str | None = None,
    empty: bool = True,
) -> list[Case]:
    """Cases of a reduction: all kinds of axes, an array of no dimensions, empty ones.

    `scalar` is the slope for arrays of no dimensions, if it differs; `empty` says whether the
    reduction of an empty array is defined.
    """
    cases = calls(f, reference, [kind(2, 3, 3)], AXES, slope)
    cases += calls(f, reference, [kind()], [{}, {"axis": ()}], scalar or slope)
    cases += calls(f, reference, [kind(2, 0)], [{"axis": 0}], slope)
    if empty:
        cases += calls(f, reference, [kind(0, 2)], [{}, {"axis": 0}], slope)
    return cases


def masked(
    f: Callable[..., Any],
    reference: Callable[..., Any],
    kind: Kind,
    slope: str = "full",
    **settings: Any,
) -> list[Case]:
    """Cases of a reduction with `where`: all kinds of axes, and masks that broadcast."""

    def right(x: Any, mask: Any, **settings: Any) -> Any:
        return reference(x, where=np.broadcast_to(mask, x.shape), **settings)

    return calls(
        lambda x, mask, **settings: f(x, where=mask, **settings),
        right,
        [(kind(2, 3, 3), some(2, 3, 3)), (kind(2, 3, 4), some(3, 1))],
        [{**axes, **settings} for axes in AXES],
        slope,
    )


def by_axis(*values: Any, **settings: Any) -> list[dict[str, Any]]:
    """Settings of calls that differ in their axis."""
    return [{"axis": value, **settings} for value in values]


def each(name: str, *values: Any) -> list[dict[str, Any]]:
    """Settings of calls that differ in the setting `name`."""
    return [{name: value} for value in values]


def listed(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a list of arrays as one of arrays."""
    return lambda *arrays, **settings: f(arrays, **settings)
