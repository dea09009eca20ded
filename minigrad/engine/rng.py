"""Random numbers: drawn on the host, so that one seed gives the same on every backend."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import numpy as np

from ..errors import Untraceable
from .creation import tensor
from .filled import shape_and_options
from .graph import is_tracing
from .tensor import Tensor

__all__ = ["generator", "manual_seed", "rand", "randn"]

_generator = [np.random.default_rng()]
# While a computation is run again: one that draws what it drew. The others' stream stays apart.
generator_again: ContextVar[np.random.Generator | None] = ContextVar(
    "minigrad_generator_again", default=None
)


def manual_seed(seed: int) -> None:
    """Set the seed of all randomness: initial weights, dropout masks, `rand`, `randint`, `choice`.

    Raises ValueError unless it is an integer of 0 or more.

    >>> import minigrad as mg
    >>> mg.manual_seed(0)
    >>> a = mg.rand(3)
    >>> mg.manual_seed(0)
    >>> bool((mg.rand(3) == a).all())
    True
    """
    _refuse_in_a_trace()
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"manual_seed: the seed is an integer of 0 or more; got {seed!r:.40}")
    made = np.random.default_rng(seed)
    if generator_again.get() is None:
        _generator[0] = made
    else:
        generator_again.set(made)


def generator() -> np.random.Generator:
    """The NumPy generator that all of minigrad's random numbers come from."""
    _refuse_in_a_trace()
    again = generator_again.get()
    return _generator[0] if again is None else again


def _refuse_in_a_trace() -> None:
    """A kernel would not draw; so nothing is drawn to find that out."""
    if is_tracing():
        raise Untraceable("it draws random numbers; pass them as arguments")


def generator_at(state: Any) -> np.random.Generator:
    """A new generator that goes on from the `bit_generator.state` of another one."""
    bits = getattr(np.random, state["bit_generator"])(0)
    bits.state = state
    return np.random.Generator(bits)


def rand(
    shape: Any,
    *more: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """Uniform random numbers from 0 (included) to 1: `rand(2, 3)` or `rand((2, 3))`.

    >>> mg.rand(2, 3).shape
    (2, 3)
    """
    shape, options = shape_and_options(
        "rand", shape, more, dtype=dtype, requires_grad=requires_grad, backend=backend
    )
    return tensor(np.asarray(generator().random(shape)), **options)


def randn(
    shape: Any,
    *more: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """Normal random numbers of mean 0 and variance 1: `randn(2, 3)` or `randn((2, 3))`.

    >>> mg.randn(2, 3).shape
    (2, 3)
    """
    shape, options = shape_and_options(
        "randn", shape, more, dtype=dtype, requires_grad=requires_grad, backend=backend
    )
    return tensor(np.asarray(generator().standard_normal(shape)), **options)
