"""Random numbers: drawn on the host, so that one seed gives the same on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from .creation import shape_and_options, tensor
from .tensor import Tensor

__all__ = ["generator", "manual_seed", "rand", "randn"]

_generator = [np.random.default_rng()]


def manual_seed(seed: int) -> None:
    """Start the stream of random numbers anew: initial weights, dropout masks, `rand`, `randn`.

    >>> import minigrad as mg
    >>> mg.manual_seed(0)
    >>> a = mg.rand(3)
    >>> mg.manual_seed(0)
    >>> bool((mg.rand(3) == a).all())
    True
    """
    _generator[0] = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The NumPy generator that all of minigrad's random numbers come from."""
    return _generator[0]


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
