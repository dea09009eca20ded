"""Integers, truth values, orders and choices by chance: a seed gives the same on every backend.

They are drawn on the host, from the generator that `manual_seed` sets. No gradient flows to
probabilities; what is read from a tensor at random positions has the gradient of indexing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .engine.creation import as_dtype, get_default_dtype, tensor
from .engine.deferred import defer
from .engine.filled import as_shape
from .engine.op_calls import as_tensor
from .engine.rng import generator
from .engine.tensor import Tensor
from .ops import take
from .ops.axes import one_axis

__all__ = ["bernoulli", "choice", "permutation", "randint"]


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def randint(
    low: int, high: int | None = None, size: Any = None, dtype: Any = "int64", backend: Any = None
) -> Tensor:
    """Random integers from `low` (included) to `high` (excluded), all equally likely.

    With one bound they are from 0 to below it. `size` is a shape; without it the result is one
    number. They carry no gradient. Raises ValueError if there are no integers between the bounds,
    or if `dtype` doesn't hold them all, TypeError for bounds that are no integers.

    >>> mg.manual_seed(0)
    >>> mg.randint(1, 7, size=(2, 3))
    tensor([[6, 4, 4],
            [2, 2, 1]])
    >>> mg.randint(10).shape
    ()
    """
    rng = generator()
    for bound in (low, 0 if high is None else high):
        if not _is_integer(bound):
            raise TypeError(
                "randint: the bounds are integers, then comes the size, as in mg.randint(0, 10, "
                f"size=(2, 3)); got {type(bound).__name__} {bound!r:.40}"
            )
    low, high = (0, int(low)) if high is None else (int(low), int(high))
    if low >= high:
        raise ValueError(
            f"randint: there are no integers from {low} to below {high}; high is excluded, and "
            "must be larger than low"
        )
    dtype = as_dtype("randint", dtype)
    if dtype.kind not in "iu":
        raise TypeError(f"randint: the dtype is one of integers, such as 'int64'; got {dtype}")
    limits = np.iinfo(dtype)
    if low < limits.min or high - 1 > limits.max:
        raise ValueError(
            f"randint: {dtype} holds integers from {limits.min} to {limits.max}; asked for are "
            f"some from {low} to {high - 1}"
        )
    drawn_as = "uint64" if high > 2**63 else "int64"  # the same numbers in all other dtypes
    numbers = rng.integers(low, high, size=_shape("randint", size), dtype=drawn_as)
    return tensor(np.asarray(numbers).astype(dtype), backend=backend)


def bernoulli(p: Any, size: Any = None, dtype: Any = None, backend: Any = None) -> Tensor:
    """1 with probability p, else 0, for each element: of p, or of the shape `size`.

    `p` is a number or a tensor of probabilities; with `size` it broadcasts to that. The result has
    the dtype of p if that is of floats, else the default dtype. It carries no gradient, to p
    neither. Raises ValueError for a probability outside 0 to 1; if p is on a device, the error
    comes later, when results are read.

    >>> mg.manual_seed(0)
    >>> mg.bernoulli(0.5, size=4)
    tensor([0., 1., 1., 1.])
    >>> mg.bernoulli(mg.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    rng, is_number = generator(), isinstance(p, (int, float, np.generic))
    p = tensor(p, dtype="float64", backend=backend) if is_number else as_tensor(p).detach()
    if backend is not None:
        p = p.to(backend)
    is_in_range = (p >= 0) & (p <= 1)  # not so of NaN
    wrong = (~is_in_range).any()
    error = ValueError(
        "bernoulli: probabilities are from 0 to 1"
        + (f"; got {p!r:.80}" if p.backend.is_host else "")
    )
    defer(bool(wrong) if p.backend.is_host else wrong._data, p.backend, error)
    shape = p.shape if size is None else _shape("bernoulli", size)
    if size is not None and _broadcast(p.shape, shape) != shape:
        raise ValueError(f"bernoulli: p of shape {p.shape} doesn't broadcast to the size {shape}")
    if dtype is None:
        dtype = p.dtype if p.dtype.kind == "f" and not is_number else get_default_dtype()
    drawn = tensor(np.asarray(rng.random(shape)), backend=p.backend)
    return (drawn < p).astype(as_dtype("bernoulli", dtype))


def permutation(x: Any, axis: int = 0, backend: Any = None) -> Tensor:
    """The integers from 0 to below `x` in random order; or a tensor, shuffled along `axis`.

    Rows of a tensor stay together, and keep their gradients, as in `x[order]`. The order has
    none. Integers are of dtype int64. Raises ValueError for a negative number, or an axis that x
    doesn't have.

    >>> mg.manual_seed(0)
    >>> mg.permutation(5)
    tensor([2, 4, 3, 0, 1])
    >>> mg.permutation(mg.tensor([[1, 2], [3, 4], [5, 6]]))
    tensor([[5, 6],
            [1, 2],
            [3, 4]])
    """
    return _read("permutation", x, axis, backend, lambda n, rng: rng.permutation(n))


def choice(
    a: Any,
    size: Any = None,
    replace: bool = True,
    p: Any = None,
    axis: int = 0,
    backend: Any = None,
) -> Tensor:
    """A random choice of the integers from 0 to below `a`, or of entries of a tensor along `axis`.

    Parameters
    ----------
    a : how many integers there are to choose from, or a tensor.
    size : how many are chosen, a shape; one if None.
    replace : whether one may be chosen more than once.
    p : the probability of each, summing to 1; all equally likely if None. It is read on the host,
        and gets no gradient.
    axis : along which a tensor's entries lie.

    Returns
    -------
    Integers of dtype int64; or entries of `a`, with `size` in the place of `axis` and the gradient
    of indexing.

    Raises
    ------
    ValueError : probabilities that are negative, too many or too few, or don't sum to 1; more
        choices than there is to choose from, without `replace`.

    Examples
    --------
    >>> mg.manual_seed(0)
    >>> mg.choice(4, size=6, p=[0.1, 0.0, 0.2, 0.7])
    tensor([3, 2, 0, 0, 3, 3])
    >>> mg.choice(mg.tensor([1.5, 2.5, 3.5]), size=2, replace=False)
    tensor([2.5, 3.5])
    """
    shape = _shape("choice", size)

    def positions(n: int, rng: np.random.Generator) -> Any:
        weights = None if p is None else _probabilities(p, n)
        count, many = math.prod(shape), n if weights is None else int((weights > 0).sum())
        if count > 0 and many == 0:
            raise ValueError("choice: there is nothing to choose from")
        if count > many and not replace:
            likely = "" if many == n else ", of which the others have probability 0"
            raise ValueError(
                f"choice: {count} of {many} can't be chosen without repeats{likely}; write "
                "replace=True, or a smaller size"
            )
        return rng.choice(n, size=shape, replace=bool(replace), p=weights)

    return _read("choice", a, axis, backend, positions)


def _probabilities(p: Any, n: int) -> np.ndarray:
    """Probabilities that sum to 1, on the host."""
    numbers = p.detach().numpy() if isinstance(p, Tensor) else np.asarray(p)
    if numbers.dtype.kind not in "fiub":
        raise TypeError(f"choice: probabilities are numbers; got {p!r:.40}")
    if numbers.shape != (n,):
        raise ValueError(
            f"choice: there are {n} to choose from, so p has shape ({n},); got {numbers.shape}"
        )
    epsilon = np.finfo(numbers.dtype if numbers.dtype.kind == "f" else np.float64).eps
    weights = numbers.astype(np.float64)
    if not (weights >= 0).all() or not np.isfinite(weights).all():
        at = int(np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))[0])
        raise ValueError(f"choice: probabilities are 0 or more; got {weights[at]} at {at}")
    total = math.fsum(weights)
    if not abs(total - 1) <= math.sqrt(epsilon):
        cure = "; write p / p.sum()" if total > 0 else ""
        raise ValueError(f"choice: the probabilities sum to {total:.9g}, not to 1{cure}")
    return weights / total


def _read(
    name: str, a: Any, axis: int, backend: Any, positions: Callable[[int, np.random.Generator], Any]
) -> Tensor:
    """Random positions, or what lies there if there is a tensor to read from."""
    rng = generator()
    if _is_integer(a):
        if a < 0:
            raise ValueError(f"{name}: a number of integers is 0 or more; got {a}")
        return tensor(np.asarray(positions(int(a), rng), np.int64), backend=backend)
    if isinstance(a, (bool, float, str)) or a is None:
        raise TypeError(f"{name}: takes a number of integers or a tensor; got {a!r:.40}")
    x = as_tensor(a) if backend is None else as_tensor(a).to(backend)
    if x.ndim == 0:
        raise ValueError(f"{name}: the tensor has no axis; write int(x) for a number of integers")
    axis = one_axis(axis, x.ndim)
    return take(x, np.asarray(positions(x.shape[axis], rng), np.int64), axis=axis)


def _shape(name: str, size: Any) -> tuple[int, ...]:
    return () if size is None else as_shape(name, size)


def _broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None
