"""Sums of many numbers, pairwise: rounding errors don't grow with their count.

An array module adds the numbers of a row pairwise, but rows to each other one after the other:
a float32 sum over a million rows is off by a percent then. `total` adds blocks of rows, then the
blocks' sums, and so on. It is about as fast, and faster for narrow rows: many of them lie side by
side in a block.

float16 numbers are added up as float32: a sum overflows only if it is itself too large.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

FEW = 128  # so many numbers, or fewer, are added in the array module's order
BLOCK = 32  # rows that are added one after the other, first ...
SUMS = 8  # ... and then their sums
WIDTH = 2048  # numbers side by side in a block: the fastest cache has room for them

# A device adds with many threads; there the number of launches counts.
DEVICE_FEW = 2048
DEVICE_BLOCK = 512

# Of a product, so many terms or fewer are added in the library's order; of more than that so many
# at a time, or as many more as keep what is added up later this much smaller than the arrays.
LONG = 4096
TERMS = 128
SMALLER = 8

HALF = np.dtype(np.float16)
SINGLE = np.dtype(np.float32)


def total(x: Any, axis: Any = None, keepdims: bool = False, device: bool = False) -> Any:
    """`x.sum(axis, keepdims)`, accurate; that of float16 numbers is in float32.

    `device`: numbers that lie side by side are not added pairwise by the array module.
    """
    if x.dtype == HALF:
        x = x.astype(SINGLE)
    few = DEVICE_FEW if device else FEW
    if x.size <= few or x.dtype.kind != "f":
        return x.sum(axis=axis, keepdims=keepdims)
    shape = x.shape
    ndim, count = len(shape), 1
    given: Sequence[int] = axis if axis.__class__ is tuple else (axis,)
    if axis is None:
        count, given = x.size, range(ndim)
    else:
        for a in given:
            count *= shape[a] if -ndim <= a < ndim else 0
    flags = x.flags
    in_order = flags.c_contiguous
    if count <= few or (in_order and count == x.size and not device):
        return x.sum(axis=axis, keepdims=keepdims)  # or an axis isn't there, which it explains
    axes = sorted({a % ndim for a in given})
    trailing = in_order and axes[0] == ndim - len(axes) and not device
    if trailing or len(axes) < len(given):
        return x.sum(axis=axis, keepdims=keepdims)
    if in_order and axes[-1] == len(axes) - 1:  # the leading ones
        y = _rows(x.reshape(count, -1), few, device)
    elif flags.f_contiguous and not in_order:
        return total(x.T, tuple(ndim - 1 - a for a in axes), keepdims, device).T
    else:
        y = _one_by_one(x, axes, few, device)
    return y.reshape(
        [1 if a in axes else n for a, n in enumerate(shape) if keepdims or a not in axes]
    )


def _one_by_one(x: Any, axes: list[int], few: int, device: bool) -> Any:
    """The sum over axes in any layout: first those whose numbers lie nearest to each other."""
    strides = x.strides
    for a in sorted(axes, key=lambda a: abs(strides[a])):
        n = x.shape[a]
        if n > 1 and not strides[a]:  # the same numbers again and again
            x = x[(slice(None),) * a + (slice(1),)] * n
        elif n <= few or (not device and _is_fastest(x, a)):
            x = x.sum(axis=a, keepdims=True)
        else:
            y = _rows(x.transpose([a, *(i for i in range(x.ndim) if i != a)]), few, device)
            x = y.reshape([1 if i == a else n for i, n in enumerate(x.shape)])
    return x


def _is_fastest(x: Any, axis: int) -> bool:
    """Whether numbers along an axis lie nearer to each other than along all others."""
    step = abs(x.strides[axis])
    others = zip(x.shape, x.strides, range(x.ndim), strict=True)
    return all(n == 1 or i == axis or abs(stride) > step for n, stride, i in others)


def _rows(x: Any, few: int, device: bool) -> Any:
    """The sum over the first axis, in blocks of rows."""
    n, *rest = x.shape
    if n <= few:
        return x.sum(axis=0)
    if device:
        block, width, then = DEVICE_BLOCK, 1, few
    else:
        block, then = (BLOCK if few == FEW else SUMS), 2 * SUMS
        width = max(1, min(n // block, WIDTH * n // x.size))
    used = n - n % (block * width)
    whole = x if used == n else x[:used]
    sums = whole.reshape(used // (block * width), block, width, *rest).sum(axis=1)
    y = _rows(sums.reshape(used // block, *rest), then, device)
    return y if used == n else y + _rows(x[used:], few, device)


# --- products: sums, too ---------------------------------------------------------------------


def product(matmul: Callable[[Any, Any], Any], a: Any, b: Any, device: bool = False) -> Any:
    """`matmul(a, b)` for many terms, accurate: products of parts of them, added up pairwise."""
    rows = a if a.ndim > 1 else a.reshape(1, -1)
    columns = b if b.ndim > 1 else b.reshape(-1, 1)
    terms = rows.shape[-1]
    leading = math.prod(np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2]))
    results = max(1, leading * rows.shape[-2] * columns.shape[-1])
    size = terms_at_a_time(rows, columns, results)
    parts = terms // size
    if parts < 2 or terms != columns.shape[-2]:
        return matmul(a, b)
    used = parts * size
    y = matmul(
        _parted(rows[..., :used], rows.ndim - 1, size).swapaxes(-2, -3),
        _parted(columns[..., :used, :], columns.ndim - 2, size),
    )
    y = total(y, -3, device=device)
    if used < terms:
        left, right = rows[..., used:], columns[..., used:, :]
        # BLAS takes a single term whose left number is 0 as 0, if the right one is infinite or NaN.
        y = y + (left * right if used == terms - 1 else matmul(left, right))
    shape = y.shape
    shape = shape[:-2] + shape[-2:-1] * (a.ndim > 1) + shape[-1:] * (b.ndim > 1)
    return y.reshape(shape)


def terms_at_a_time(a: Any, b: Any, results: int) -> int:
    """How many terms of the product a @ b of so many results are added in the library's order."""
    terms = a.shape[-1]
    return terms // max(1, min(terms // TERMS, (a.size + b.size) // (SMALLER * results)))


def contraction(
    einsum: Callable[..., Any], terms: Sequence[str], output: str, arrays: Sequence[Any], few: int
) -> Any:
    """`einsum` of plain terms, accurate: an index of many terms is cut in blocks, added up later.

    `few` terms, or fewer, are added as the library likes.
    """
    sizes: dict[str, int] = {}
    for term, x in zip(terms, arrays, strict=True):
        for letter, n in zip(term, x.shape, strict=True):
            sizes[letter] = max(n, sizes.get(letter, 0)) if n else 0
    summed = sorted(set(sizes) - set(output), key=lambda letter: (sizes[letter], letter))
    many = math.prod([sizes[letter] for letter in summed])
    results = max(1, math.prod([sizes[letter] for letter in output]))
    unused = next((c for c in string.ascii_letters if c not in sizes), None)
    if many <= few or unused is None:
        return einsum(f"{','.join(terms)}->{output}", *arrays)
    letter = summed[-1]
    n = sizes[letter]
    parts = min(n, -(-many // BLOCK), sum(x.size for x in arrays) // results)
    if parts < 2:
        return einsum(f"{','.join(terms)}->{output}", *arrays)
    size = n // parts
    used = parts * size

    def cut(x: Any, term: str, part: slice) -> Any:
        at = term.find(letter)
        return x if at < 0 or x.shape[at] < n else x[(slice(None),) * at + (part,)]

    blocks = [
        _parted(cut(x, term, slice(used)), term.index(letter), size) if letter in term else x
        for term, x in zip(terms, arrays, strict=True)
    ]
    names = [term.replace(letter, unused + letter) for term in terms]
    y = total(contraction(einsum, names, unused + output, blocks, few), 0, device=few != FEW)
    if used < n:
        rest = [cut(x, term, slice(used, None)) for term, x in zip(terms, arrays, strict=True)]
        y = y + contraction(einsum, terms, output, rest, few)
    return y


def _parted(x: Any, axis: int, size: int) -> Any:
    """A view with an axis cut in parts of `size`; one of size 1, which broadcasts, in one part."""
    n = x.shape[axis]
    size = min(n, size)
    return x.reshape(*x.shape[:axis], n // size, size, *x.shape[axis + 1 :])
