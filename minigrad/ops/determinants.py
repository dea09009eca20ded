"""Determinants, and the singular values by which their derivatives are found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ..engine.graph import raw_backend
from ..engine.op import op
from ..engine.tensor import Tensor
from .arithmetic import abs
from .choices import where
from .indexing import getitem
from .linear_algebra import check_square, constant, floats, hook, identity, in_dtype, inv
from .products import matmul
from .reductions import max as largest
from .reductions import sum as total
from .shape import concatenate, expand_dims, reshape, swapaxes

__all__ = ["det", "slogdet", "svd"]


@op(many=True)
def slogdet(xp, a):
    """The sign of each determinant, and the logarithm of its absolute value.

    >>> sign, logabsdet = slogdet(mg.tensor([[0.0, 1.0], [1.0, 0.0]]))
    >>> sign.item(), logabsdet.item()
    (-1.0, 0.0)
    """
    (a,), dtype = floats(xp, a)
    check_square(a.shape)
    with xp.quiet():  # of NaN
        return [in_dtype(xp, part, dtype) for part in hook(xp, "slogdet")(a)]


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
    (a,), dtype = floats(xp, a)
    check_square(a.shape)
    with xp.quiet():  # it may be too large for the dtype, or NaN
        sign, size = hook(xp, "slogdet")(a)
        return in_dtype(xp, sign * xp.exp(size), dtype)


det.vjp(a=lambda g, a, y: _by_matrix(g) * _cofactors(a, y))


@op(many=True)
def svd(xp, a):
    """The singular values of each matrix, and the bases they belong to: u, s, v with a = u s v.

    >>> u, s, v = svd(mg.tensor([[0.0, 2.0], [1.0, 0.0]]))
    >>> s
    tensor([2., 1.])
    """
    (a,), dtype = floats(xp, a)
    return [in_dtype(xp, part, dtype) for part in hook(xp, "svd")(a)]


def _of_svd(g: Any, a: Any) -> Any:
    """The gradient of matrices from those of u, s and v (Townsend 2016), which are thin.

    Where two singular values are equal their bases aren't determined: what depends on them has
    no derivative there, which is NaN. The same holds for bases of singular values that are 0.
    """
    of_u, of_s, of_v = g
    u, s, v = svd(a)
    rows = expand_dims(s, -2)  # (..., 1, k)
    eye = constant(np.eye(s.shape[-1], dtype=s.dtype), s)
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
    eye, limit = identity(a), np.finfo(a.dtype).eps ** -0.5
    suspect, size = _on_host(y) == 0, _size(a)
    broken = ~np.isfinite(size)
    if broken.any():
        found = _cofactors(_replaced(a, broken, eye), where(constant(broken, a), 1, y))
        return where(constant(broken[..., None, None], a), np.nan, found)
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
        mask = constant(other[..., None, None], a)
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
    n, eye = w.shape[-1], identity(w)
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
    return where(constant(mask[..., None, None], a), eye, a) if mask.any() else a
