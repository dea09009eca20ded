"""Tensors by shape, of zeros and the like, and ranges: NumPy's names, on the current backend."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import numpy as np

from .creation import as_dtype, finish, get_default_dtype, host_array, tensor
from .registry import current_backend, get_backend
from .tensor import Tensor

__all__ = ["arange", "empty", "eye", "full", "full_like", "linspace", "ones", "ones_like"]
__all__ += ["zeros", "zeros_like"]


def _is_size(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


_EXAMPLES = {"eye": "eye(3)", "full": "full((2, 3), 7)"}
_EXAMPLES |= {"bernoulli": "bernoulli(0.5, (2, 3))", "choice": "choice(5, (2, 3))"}
_EXAMPLES |= {"randint": "randint(0, 10, (2, 3))"}
_EXAMPLES |= {"layer_norm": "layer_norm(x, 3)", "linspace": "linspace(0, 1, 5)"}


def as_shape(asked_by: str, shape: Any) -> tuple[int, ...]:
    """A shape that a user gave: an integer or a sequence of them, none below 0."""
    sizes = shape if isinstance(shape, (list, tuple, np.ndarray)) else (shape,)
    for n in sizes:
        if not _is_size(n):
            example = _EXAMPLES.get(asked_by, f"{asked_by}((2, 3))")
            given = f"{type(n).__name__} {n!r:.40}"
            if isinstance(n, Tensor):
                given = "a tensor; int(n) makes a size of one number"
            elif isinstance(n, (list, tuple, np.ndarray)):
                given += "; mg.tensor(...) makes a tensor of these numbers"
            raise TypeError(f"{asked_by}: a size is an integer, as in mg.{example}; got {given}")
        if n < 0:
            raise ValueError(f"{asked_by}: a size is 0 or more; got {n} in shape {tuple(sizes)}")
    return tuple(int(n) if isinstance(n, np.integer) else n for n in sizes)


def shape_and_options(
    asked_by: str, shape: Any, more: tuple[Any, ...], **options: Any
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """The arguments of a function of a shape, such as `zeros(2, 3, dtype="float64")`.

    The sizes are one sequence or one argument each; `more` holds what follows the first by
    position: more sizes, then dtype, requires_grad and backend, as far as they are there.
    """
    sizes = list(takewhile(_is_size, more)) if _is_size(shape) else []
    others = more[len(sizes) :]
    if others and isinstance(others[0], float):
        as_shape(asked_by, (others[0],))  # raises: no size is a float
    if others and isinstance(others[0], (int, list, tuple, np.ndarray)):
        raise TypeError(
            f"{asked_by}: after {shape!r:.40} comes the dtype; got {others[0]!r:.40}. Write the "
            f"sizes in one tuple, and options by name: mg.{asked_by}((2, 3), requires_grad=True)"
        )
    if len(others) > len(options):
        raise TypeError(
            f"{asked_by} takes a shape, then {', '.join(options)}; got {len(others)} more arguments"
        )
    options.update(zip(options, others, strict=False))
    dtype = options["dtype"]
    options["dtype"] = get_default_dtype() if dtype is None else as_dtype(asked_by, dtype)
    return as_shape(asked_by, [shape, *sizes] if _is_size(shape) else shape), options


def zeros(
    shape: Any,
    *more: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """A tensor of zeros: `zeros(2, 3)` or `zeros((2, 3))`; of the default dtype if None is given.

    Raises TypeError for a shape that is not made of integers, ValueError for a negative size.

    >>> import minigrad as mg
    >>> mg.zeros((2, 2))
    tensor([[0., 0.],
            [0., 0.]])
    >>> mg.zeros(2, 2, dtype="int64")
    tensor([[0, 0],
            [0, 0]])
    """
    return _all_equal("zeros", shape, more, dtype, requires_grad, backend)


def ones(
    shape: Any,
    *more: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """A tensor of ones: `ones(2, 3)` or `ones((2, 3))`; of the default dtype if None is given.

    Raises TypeError for a shape that is not made of integers, ValueError for a negative size.

    >>> mg.ones(2, 3)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    return _all_equal("ones", shape, more, dtype, requires_grad, backend)


def empty(
    shape: Any,
    *more: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """A tensor whose values don't matter; they are zeros, so that they are defined.

    >>> mg.empty(2, 3).shape
    (2, 3)
    """
    return _all_equal("empty", shape, more, dtype, requires_grad, backend)


def _all_equal(
    name: str, shape: Any, more: tuple[Any, ...], dtype: Any, requires_grad: bool, backend: Any
) -> Tensor:
    shape, options = shape_and_options(
        name, shape, more, dtype=dtype, requires_grad=requires_grad, backend=backend
    )
    backend = options["backend"]
    target = get_backend(backend) if backend is not None else current_backend()
    make = target.ones if name == "ones" else target.zeros
    return finish(make(shape, options["dtype"]), target, options["requires_grad"])


def full(
    shape: Any,
    fill_value: float,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """A tensor of one value, of the value's dtype if None is given.

    Raises TypeError for a shape that is not made of integers, ValueError for a negative size.

    >>> mg.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    target = get_backend(backend) if backend is not None else current_backend()
    shape = as_shape("full", shape)
    if isinstance(fill_value, Tensor):
        raise TypeError(
            f"full: the value is a number; got a tensor of shape {fill_value.shape}. Spread it "
            f"with mg.broadcast_to(x, {shape}), through which gradients flow"
        )
    if dtype is None:
        dtype = host_array(fill_value, None).dtype
    try:
        array = target.full(shape, fill_value, dtype=as_dtype("full", dtype))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"full: the value {fill_value!r:.60} doesn't fit shape {shape}; the shape comes first, "
            "as in mg.full((2, 3), 7)"
        ) from error
    return finish(array, target, requires_grad)


def zeros_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape, dtype and backend of x.

    >>> mg.zeros_like(mg.ones(2))
    tensor([0., 0.])
    """
    return full_like(x, 0, dtype, requires_grad)


def ones_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape, dtype and backend of x.

    >>> mg.ones_like(mg.zeros(2))
    tensor([1., 1.])
    """
    return full_like(x, 1, dtype, requires_grad)


def full_like(x: Any, fill_value: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """One value in the shape and dtype of x, a tensor or anything that `tensor` takes.

    On the backend of x, if it is a tensor.

    >>> mg.full_like(mg.ones(2), 7)
    tensor([7., 7.])
    """
    x = x if isinstance(x, Tensor) else tensor(x)
    dtype = x.dtype if dtype is None else dtype
    return full(x.shape, fill_value, dtype, requires_grad, x.backend)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """Evenly spaced numbers from `start` (0 if only one is given) up to but without `stop`.

    Of dtype int64 if all are integers, else of the default dtype. Raises ValueError for step 0.

    >>> import minigrad as mg
    >>> mg.arange(3)
    tensor([0, 1, 2])
    """
    if stop is None:
        start, stop = 0, start
    if isinstance(step, (int, float)) and step == 0:
        raise ValueError(f"arange: the step must not be 0; got arange({start}, {stop}, {step})")
    array = _spaced("arange", "(0, 10, 2)", np.arange, start, stop, step)
    return tensor(_as_default(array, dtype), requires_grad, dtype, backend)


def _spaced(name: str, example: str, make: Any, *numbers: Any) -> np.ndarray:
    try:
        if any(number is None or isinstance(number, str) for number in numbers):
            raise TypeError("these are no numbers")
        return make(*numbers)
    except TypeError as error:
        given = ", ".join(f"{number!r:.40}" for number in numbers)
        raise TypeError(f"{name} takes numbers, as in mg.{name}{example}; got {given}") from error


def linspace(
    start: float,
    stop: float,
    num: int = 50,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """`num` evenly spaced numbers from `start` to `stop`, both included; of the default dtype.

    >>> mg.linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    num = as_shape("linspace", num)[0]
    array = _spaced("linspace", "(0, 1, 5)", np.linspace, start, stop, num)
    return tensor(_as_default(array, dtype), requires_grad, dtype, backend)


def eye(
    n: int,
    m: int | None = None,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix, zeros elsewhere; square if m is None.

    >>> mg.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    rows, columns = as_shape("eye", (n, n if m is None else m))
    dtype = get_default_dtype() if dtype is None else dtype
    return tensor(np.eye(rows, columns), requires_grad, dtype, backend)


def _as_default(array: np.ndarray, dtype: Any) -> np.ndarray:
    if dtype is None and array.dtype.kind == "f":
        return array.astype(get_default_dtype())
    return array
