"""Linear algebra of square matrices: systems of equations, determinants, Cholesky factors.

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
from .arithmetic import abs
from .choices import where
from .indexing import getitem
from .products import matmul
from .reductions import max as largest
from .reductions import sum as total
from .shape import concatenate, expand_dims, reshape, swapaxes, tril

__all__ = ["cholesky", "det", "inv", "slogdet", "solve", "svd"]


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


def _hook(xp: Any, name: str) -> Callable[..., Any]:
    """What a backend offers under a name."""
    found: Callable[..., Any] | None = getattr(xp, name, None)
    if found is None:
        raise BackendError(
            f"{public_name()}: backend {xp.name!r} has no {name}; move the tensor to another one "
            "and back: x.to('numpy')"
        )
    return found


def _floats(xp: Any, *arrays: Any) -> tuple[list[Any], Any]:
    """Arrays in the one dtype that is computed in, and the dtype of the result."""
    dtypes = [x.dtype if x.dtype.kind == "f" else np.dtype(np.float64) for x in arrays]
    dtype = np.result_type(*dtypes)
    wide = SINGLE if dtype == HALF else dtype
    return [x if x.dtype == wide else xp.astype(x, wide) for x in arrays], dtype


def _as(xp: Any, x: Any, dtype: Any) -> Any:
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
    (a, b), dtype = _floats(xp, a, b)
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
            x = _hook(xp, "solve")(left, right)
        except LinAlgError as error:
            column = xp.ones((n, 1), dtype=a.dtype)
            which = _first(xp, lambda one: xp.solve(one, column), a)
            raise LinAlgError(
                f"{public_name()}: {which} is singular: some of its rows are sums of others, so "
                f"that it has no inverse. To go on, add a little: a + 1e-6 * mg.eye({n})"
            ) from error
    return _as(xp, x if b.ndim > 1 else xp.reshape(x, shape[:-1]), dtype)


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


def _identity(a: Any) -> Any:
    """The matrix of ones on the diagonal, of the size and the dtype of matrices."""
    return _constant(np.eye(a.shape[-1], dtype=a.dtype), a)


def _constant(array: np.ndarray, like: Any) -> Any:
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
    (a,), dtype = _floats(xp, a)
    check_square(a.shape)
    turned = xp.transpose(a, (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2))
    a = (a + turned) / 2
    if 0 in a.shape:
        return _as(xp, a, dtype)
    factor = _hook(xp, "cholesky")
    try:
        return _as(xp, factor(a), dtype)
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


# --- determinants ------------------------------------------------------------------------------


@op(many=True)
def slogdet(xp, a):
    """The sign of each determinant, and the logarithm of its absolute value."""
    (a,), dtype = _floats(xp, a)
    check_square(a.shape)
    with xp.quiet():  # of NaN
        return [_as(xp, part, dtype) for part in _hook(xp, "slogdet")(a)]


def _slogdet_back(g: Any, a: Any) -> list[Any]:
    try:
        inverse = inv(a)
    except LinAlgError as error:
        raise LinAlgError(
            "slogdet: a matrix is singular, where the logarithm of its determinant is -inf and has "
            "no gradient; mg.linalg.det has one there"
        ) from error
    return [_by_matrix(g[1]) * swapaxes(inverse, -1, -2)]


slogdet.vjp_all(_slogdet_back)


def _by_matrix(x: Any) -> Any:
    """A number per matrix, to be multiplied with matrices."""
    return reshape(x, (*x.shape, 1, 1))


@op
def det(xp, a):
    """The determinant of each matrix: (..., n, n) to (...).

    Its derivatives of any order are right at singular matrices, too, where they are found by way
    of singular values; to see which those are, a backward pass on a device waits. For large
    matrices see `slogdet`: it doesn't overflow. Raises `LinAlgError`, a ValueError, if they aren't
    square.

    >>> a = mg.tensor([[1.0, 2.0], [2.0, 4.0]], dtype="float64", requires_grad=True)
    >>> mg.grad(mg.linalg.det(a), a)
    tensor([[ 4., -2.],
            [-2.,  1.]], dtype=float64)
    """
    (a,), dtype = _floats(xp, a)
    check_square(a.shape)
    with xp.quiet():  # it may be too large for the dtype, or NaN
        sign, size = _hook(xp, "slogdet")(a)
        return _as(xp, sign * xp.exp(size), dtype)


det.vjp(a=lambda g, a, y: _by_matrix(g) * _cofactors(a, y))


@op(many=True)
def svd(xp, a):
    """The singular values of each matrix, and the bases they belong to: u, s, v with a = u s v."""
    (a,), dtype = _floats(xp, a)
    return [_as(xp, part, dtype) for part in _hook(xp, "svd")(a)]


def _of_svd(g: Any, a: Any) -> Any:
    """The gradient of matrices from those of u, s and v (Townsend 2016), which are thin.

    Where two singular values are equal their bases aren't determined: what depends on them has
    no derivative there, which is NaN. The same holds for bases of singular values that are 0.
    """
    of_u, of_s, of_v = g
    u, s, v = svd(a)
    rows = expand_dims(s, -2)  # (..., 1, k)
    eye = _constant(np.eye(s.shape[-1], dtype=s.dtype), s)
    apart = rows * rows - swapaxes(rows * rows, -1, -2) + eye  # s_j^2 - s_i^2 beside the diagonal
    middle = expand_dims(of_s, -2) * eye
    found: list[Any] = []
    for basis, slope, is_left in (
        (u, of_u, True),
        (swapaxes(v, -1, -2), swapaxes(of_v, -1, -2), False),
    ):
        turn = matmul(swapaxes(basis, -1, -2), slope)
        turn = (turn - swapaxes(turn, -1, -2)) / apart
        middle = middle + (turn * rows if is_left else swapaxes(rows, -1, -2) * turn)
        if basis.shape[-2] > basis.shape[-1]:  # what lies outside of the basis
            beside = slope - matmul(basis, matmul(swapaxes(basis, -1, -2), slope))
            beside = beside / rows
            found.append(matmul(beside, v) if is_left else matmul(u, swapaxes(beside, -1, -2)))
    whole = matmul(matmul(u, middle), v)
    for part in found:
        whole = whole + part
    return [whole]


svd.vjp_all(_of_svd)


def _cofactors(a: Any, y: Any) -> Any:
    """The derivatives of determinants y by the entries of their matrices: y times inv(a).T.

    Where a matrix is nearly singular that has few right digits, and where it is singular none:
    there `_cofactors_beside` gives them.
    """
    if 0 in a.shape:
        return a
    eye, limit = _identity(a), np.finfo(a.dtype).eps ** -0.5
    suspect, size = _on_host(y) == 0, _size(a)
    broken = ~np.isfinite(size)
    if broken.any():
        found = _cofactors(_replaced(a, broken, eye), where(_constant(broken, a), 1, y))
        return where(_constant(broken[..., None, None], a), np.nan, found)
    try:
        inverse = inv(_replaced(a, suspect, eye))
        with np.errstate(all="ignore"):
            suspect = suspect | ~(size * _size(inverse) < limit)
    except LinAlgError:
        suspect = suspect | True
    if not suspect.any():
        return _by_matrix(y) * swapaxes(inverse, -1, -2)
    _, s, _ = svd(_detached(_replaced(a, ~suspect, eye)))
    values = _on_host(s)
    small = (values <= values.max(-1, keepdims=True) / limit).sum(-1)
    found = None
    for count in np.unique(small).tolist():
        other = small != count
        matrices = _replaced(a, other, eye)
        if count == 0:
            part = _by_matrix(y) * swapaxes(inv(matrices), -1, -2)
        else:
            part = _cofactors_beside(matrices, count)
        mask = _constant(other[..., None, None], a)
        found = part if found is None else where(mask, found, part)
    return found


def _cofactors_beside(a: Any, count: int) -> Any:
    """The cofactors of matrices of which `count` singular values are small, maybe 0.

    In the bases of singular values (constants) a matrix has blocks [[p, q], [r, t]], of which p is
    far from singular, and its determinant is det(p) * det(w) with w = t - r @ inv(p) @ q. That of
    w, and its cofactors, are found without any division. What is written here is the derivative of
    that product, with the chain rule.
    """
    u, _, v = svd(_detached(a))
    turned = slogdet(u)[0] * slogdet(v)[0]  # 1 or -1
    b = matmul(matmul(swapaxes(u, -1, -2), a), swapaxes(v, -1, -2))
    first, last = slice(a.shape[-1] - count), slice(a.shape[-1] - count, None)
    places = (first, first), (first, last), (last, first), (last, last)
    p, q, r, t = (getitem(b, index=(..., *place)) for place in places)
    inverse, size = inv(p), _by_matrix(det(p))
    left, right = matmul(r, inverse), matmul(inverse, q)
    adjugate, rest = _adjugate(t - matmul(left, q))
    of_t = size * swapaxes(adjugate, -1, -2)
    of_q = -matmul(swapaxes(left, -1, -2), of_t)
    of_r = -matmul(of_t, swapaxes(right, -1, -2))
    of_p = size * _by_matrix(rest) * swapaxes(inverse, -1, -2)
    of_p = of_p - matmul(of_q, swapaxes(right, -1, -2))
    above, below = concatenate([of_p, of_q], axis=-1), concatenate([of_r, of_t], axis=-1)
    of_b = concatenate([above, below], axis=-2)
    return _by_matrix(turned) * matmul(matmul(u, of_b), v)


def _adjugate(w: Any) -> tuple[Any, Any]:
    """The adjugate of each matrix, and its determinant: by Faddeev and LeVerrier."""
    n, eye = w.shape[-1], _identity(w)
    part = where(eye > 0, 1, 0 * w)  # one of ones on the diagonal for each
    for k in range(1, n):
        product = matmul(w, part)
        part = product - _by_matrix(_trace(product, eye) / k) * eye
    adjugate = part if n % 2 else -part
    return adjugate, _trace(matmul(w, adjugate), eye) / n


def _trace(x: Any, eye: Any) -> Any:
    return total(x * eye, axis=(-2, -1))


def _detached(x: Any) -> Any:
    return x.detach() if isinstance(x, Tensor) else x


def _on_host(x: Any) -> np.ndarray:
    """The numbers of a tensor or of a raw array."""
    backend: Any = raw_backend.get()
    return x.detach().numpy() if isinstance(x, Tensor) else backend.to_host(x)


def _size(a: Any) -> np.ndarray:
    """How large matrices are, on the host: their largest entry times their number of rows."""
    a = _detached(a)
    return a.shape[-1] * _on_host(largest(abs(a), axis=(-2, -1)))


def _replaced(a: Any, mask: np.ndarray, eye: Any) -> Any:
    """Matrices with the one of ones on the diagonal in the place of some."""
    return where(_constant(mask[..., None, None], a), eye, a) if mask.any() else a
