"""Linear algebra of square matrices: systems of equations, inverses, Cholesky factors.

Matrices lie along the last two axes, and leading axes hold many of them. The work is done by four
functions that a backend may offer: `solve`, `cholesky`, `slogdet` and `svd`, see `OPTIONAL` in
`engine/backend.py`. float16 is computed in float32, integers in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ..engine.creation import tensor
from ..engine.explain import public_name
from ..engine.graph import raw_backend
from ..engine.op import op
from ..engine.tensor import Tensor
from ..errors import BackendError
from ..utils.summation import HALF, SINGLE
from .products import matmul
from .shape import expand_dims, reshape, swapaxes, tril

__all__ = ["cholesky", "inv", "solve"]


# --- arguments ---------------------------------------------------------------------------------


def check_square(shape: tuple[int, ...]) -> None:
    """Raise unless the last two axes are those of a square matrix."""
    if len(shape) < 2 or shape[-1] != shape[-2]:
        cure = ""
        if public_name() == "solve" and len(shape) == 2:
            cure = ". The least squares solution is mg.linalg.solve(a.T @ a, a.T @ b)"
        raise LinAlgError(
            f"{public_name()}: the last two axes are those of a square matrix; got shape "
            f"{tuple(shape)}{cure}"
        )


def hook(xp: Any, name: str) -> Callable[..., Any]:
    """What a backend offers under a name."""
    found: Callable[..., Any] | None = getattr(xp, name, None)
    if found is None:
        raise BackendError(
            f"{public_name()}: backend {xp.name!r} has no {name}; move the tensor to another one "
            "and back: x.to('numpy')"
        )
    return found


def floats(xp: Any, *arrays: Any) -> tuple[list[Any], Any]:
    """Arrays in the one dtype that is computed in, and the dtype of the result."""
    dtypes = [x.dtype if x.dtype.kind == "f" else np.dtype(np.float64) for x in arrays]
    dtype = np.result_type(*dtypes)
    wide = SINGLE if dtype == HALF else dtype
    return [x if x.dtype == wide else xp.astype(x, wide) for x in arrays], dtype


def in_dtype(xp: Any, x: Any, dtype: Any) -> Any:
    """A result as an array in the dtype of the result."""
    x = xp.asarray(x)
    return x if x.dtype == dtype else xp.astype(x, dtype)


def _first(xp: Any, f: Callable[[Any], Any], a: Any) -> str:
    """The first matrix that a function refuses, in words."""
    for index in np.ndindex(*a.shape[:-2]) if a.ndim > 2 else ():
        try:
            f(xp.getitem(a, index))
        except LinAlgError:
            return f"the matrix a{[*index]}"
    return "the matrix"


# --- equations ---------------------------------------------------------------------------------


@op
def solve(xp, a, b):
    """The x of a @ x = b, for each matrix a; the leading axes of a and b broadcast.

    a (..., n, n) and b (..., n, k) give (..., n, k); a vector b (n,) gives (..., n). Raises
    `LinAlgError`, a ValueError, if a matrix is singular, or if shapes don't fit. A matrix that
    is nearly singular is no error: the result has few right digits, or none. On a device it waits
    until it is known whether there is an error.

    >>> a, b = mg.tensor([[2.0, 1.0], [1.0, 3.0]]), mg.tensor([3.0, 5.0])
    >>> mg.linalg.solve(a, b)
    tensor([0.8, 1.4])
    """
    if not all(hasattr(x, "shape") for x in (a, b)):
        raise LinAlgError(f"{public_name()}: takes matrices; got a number. Write b / a of numbers")
    (a, b), dtype = floats(xp, a, b)
    check_square(a.shape)
    right = xp.reshape(b, (*b.shape, 1)) if b.ndim == 1 else b
    n, leading = a.shape[-1], _leading(a.shape, right.shape)
    if leading is None:
        raise LinAlgError(
            f"{public_name()}: a {tuple(a.shape)} and b {tuple(b.shape)} do not fit: b is a vector "
            f"({n},) or has the shape (..., {n}, k), with leading axes equal to those of a, or 1"
        )
    left = a if a.shape[:-2] == leading else xp.broadcast_to(a, (*leading, n, n))
    shape = (*leading, *right.shape[-2:])
    right = right if right.shape == shape else xp.broadcast_to(right, shape)
    if 0 in shape:
        x = xp.zeros(shape, dtype=a.dtype)
    else:
        try:
            x = hook(xp, "solve")(left, right)
        except LinAlgError as error:
            column = xp.ones((n, 1), dtype=a.dtype)
            which = _first(xp, lambda one: xp.solve(one, column), a)
            raise LinAlgError(
                f"{public_name()}: {which} is singular: some of its rows are sums of others, so "
                f"that it has no inverse. To go on, add a little: a + 1e-6 * mg.eye({n})"
            ) from error
    return in_dtype(xp, x if b.ndim > 1 else xp.reshape(x, shape[:-1]), dtype)


def _leading(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """The leading axes of a system's solution; None if its shapes don't fit."""
    try:
        return np.broadcast_shapes(a[:-2], b[:-2]) if b[-2:-1] == a[-1:] else None
    except ValueError:
        return None


def _solve_back(g: Any, a: Any, y: Any) -> list[Any]:
    vector = y.ndim < a.ndim
    if vector:
        g, y = expand_dims(g, -1), expand_dims(y, -1)
    of_b = solve(swapaxes(a, -1, -2), g)
    of_a = -matmul(of_b, swapaxes(y, -1, -2))
    return [of_a, reshape(of_b, of_b.shape[:-1]) if vector else of_b]


solve.vjp_all(_solve_back)


@op
def inv(xp, a):
    """The inverse of each matrix: (..., n, n) to (..., n, n).

    To multiply an inverse by something, `solve` is faster and more accurate. Raises `LinAlgError`,
    a ValueError, if a matrix is singular or isn't square. On a device it waits until that is known.

    >>> mg.linalg.inv(mg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    check_square(a.shape)
    i, n = xp.arange(a.shape[-1]), a.shape[-1]
    eye = xp.equal(xp.reshape(i, (n, 1)), xp.reshape(i, (1, n)))
    return solve.forward(xp, a, xp.astype(eye, a.dtype))


def _inv_back(g: Any, y: Any) -> Any:
    turned = swapaxes(y, -1, -2)
    return -matmul(matmul(turned, g), turned)


inv.vjp(a=_inv_back)


def identity(a: Any) -> Any:
    """The matrix of ones on the diagonal, of the size and the dtype of matrices."""
    return constant(np.eye(a.shape[-1], dtype=a.dtype), a)


def constant(array: np.ndarray, like: Any) -> Any:
    """An array of the host as a tensor beside a tensor; within a sweep as a raw array."""
    if isinstance(like, Tensor):
        return tensor(array, backend=like.backend)
    backend: Any = raw_backend.get()
    return backend.from_host(array)


# --- Cholesky ----------------------------------------------------------------------------------


@op
def cholesky(xp, a):
    """The lower triangular L with L @ L.T = a, for each positive definite matrix: (..., n, n).

    A matrix that isn't symmetric stands for its symmetric part, (a + a.T) / 2, so the gradient is
    symmetric, too; NumPy reads its lower triangle only. Raises `LinAlgError`, a ValueError,
    if a matrix isn't positive definite or square. On a device it waits until that is known.
    After Murray, "Differentiation of the Cholesky decomposition" (2016).

    >>> mg.linalg.cholesky(mg.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    (a,), dtype = floats(xp, a)
    check_square(a.shape)
    turned = xp.transpose(a, (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2))
    a = (a + turned) / 2
    if 0 in a.shape:
        return in_dtype(xp, a, dtype)
    factor = hook(xp, "cholesky")
    try:
        return in_dtype(xp, factor(a), dtype)
    except LinAlgError as error:
        raise LinAlgError(
            f"{public_name()}: {_first(xp, factor, a)} is not positive definite: it has an "
            f"eigenvalue that isn't above 0. If that is rounding, add a little: "
            f"a + 1e-6 * mg.eye({a.shape[-1]})"
        ) from error


def _cholesky_back(g: Any, y: Any) -> Any:
    turned = swapaxes(y, -1, -2)
    product = matmul(turned, tril(g))
    inner = (tril(product) + tril(product, k=-1)) / 2  # half of the diagonal
    half = solve(turned, swapaxes(solve(turned, inner), -1, -2))
    return (half + swapaxes(half, -1, -2)) / 2


cholesky.vjp(a=_cholesky_back)
