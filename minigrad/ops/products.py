"""Products of matrices and tensors."""

from __future__ import annotations

import math
import string
from typing import Any

from ..engine.explain import public_name
from ..engine.op import NUMBERS, op
from ..engine.op_calls import as_tensor
from .arithmetic import multiply
from .axes import as_count, axis_tuple
from .diagonals import diagonal
from .reductions import sum
from .shape import expand_dims, reshape, swapaxes, transpose

__all__ = ["dot", "einsum", "inner", "matmul", "outer", "tensordot"]


@op
def matmul(xp, a, b):
    """The matrix product over the last two axes; leading axes broadcast, vectors are allowed.

    (..., n, k) @ (..., k, m) gives (..., n, m). Raises ValueError if sizes don't fit.

    >>> mg.matmul(mg.ones((2, 3)), mg.ones((3, 4))).shape
    (2, 4)
    """
    return xp.matmul(a, b)


def _matmul_a(g: Any, b: Any, like: Any) -> Any:
    if b.ndim == 1:
        return expand_dims(g, -1) * b
    if len(like.shape) == 1:
        return reshape(matmul(b, expand_dims(g, -1)), b.shape[:-1])
    if _lies_turned(like):
        return _turned(matmul(b, _turned(g)))
    return matmul(g, _turned(b))  # the op: `@` of arrays would pass by the backend


def _matmul_b(g: Any, a: Any, like: Any) -> Any:
    if a.ndim == 1:
        column = expand_dims(a, -1)
        return (
            a * expand_dims(g, -1) if len(like.shape) == 1 else matmul(column, expand_dims(g, -2))
        )
    if len(like.shape) == 1:
        return reshape(matmul(expand_dims(g, -2), a), (*a.shape[:-2], a.shape[-1]))
    if len(like.shape) == 2 and a.ndim > 2:  # one product over all leading axes at once
        n = math.prod(a.shape[:-1])
        a, g = reshape(a, (n, a.shape[-1])), reshape(g, (n, g.shape[-1]))
    if _lies_turned(like):
        return _turned(matmul(_turned(g), a))
    return matmul(_turned(a), g)


def _lies_turned(like: Any) -> bool:
    """Whether a matrix is the transpose of another one, as w.T in x @ w.T, and lies in memory.

    The gradient of w is to lie there as w does: a step of an optimiser, which reads both, takes ten
    times as long if their orders differ.
    """
    return like.op is transpose and len(like.shape) == 2


def _turned(x: Any) -> Any:
    """x with its last two axes exchanged."""
    return transpose(x) if x.ndim == 2 else swapaxes(x, -1, -2)


matmul.vjp(a=_matmul_a, b=_matmul_b)


@op
def affine(xp, x, weight, bias):
    """x @ weight.T + bias, as `mg.linear` has it: x (..., I), weight (O, I), bias (O,).

    >>> affine(mg.ones((5, 3)), mg.ones((2, 3)), mg.zeros(2)).shape
    (5, 2)
    """
    turned = xp.transpose(weight)
    starts = getattr(xp, "product_starts", False) and x.ndim > 1 and weight.ndim == 2
    if starts and x.dtype == weight.dtype == bias.dtype:
        return xp.matmul(x, turned, bias)
    return xp.add(xp.matmul(x, turned), bias)


def _affine_weight(g: Any, x: Any) -> Any:
    if x.ndim != 2:  # one product over all leading axes at once
        n = math.prod(x.shape[:-1])
        x, g = reshape(x, (n, x.shape[-1])), reshape(g, (n, g.shape[-1]))
    return matmul(transpose(g), x)


affine.vjp(x=lambda g, weight: matmul(g, weight), weight=_affine_weight, bias=lambda g: g)


def dot(a: Any, b: Any) -> Any:
    """NumPy's dot: sums over the last axis of a and the last but one of b.

    (..., k) and (..., k, m) give (..., m), with the leading axes of both. Raises ValueError if
    sizes don't fit.

    >>> mg.dot(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    if a.__class__ in NUMBERS or b.__class__ in NUMBERS:
        return multiply(a, b)
    a, b = as_tensor(a, b), as_tensor(b, a)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return a @ b if b.ndim <= 2 else tensordot(a, b, axes=(-1, -2))


def inner(a: Any, b: Any) -> Any:
    """Sums of products over the last axes of a and b; of numbers the product.

    (..., k) and (..., k) give the leading axes of a, then those of b. Raises ValueError if sizes
    don't fit.

    >>> mg.inner(mg.tensor([1.0, 2.0]), mg.tensor([[3.0, 4.0], [5.0, 6.0]]))
    tensor([11., 17.])
    """
    if a.__class__ in NUMBERS or b.__class__ in NUMBERS:
        return multiply(a, b)
    a, b = as_tensor(a, b), as_tensor(b, a)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, axes=(-1, -1))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sums of products over axes of a and of b: what remains of a, then what remains of b.

    `axes` is how many of the last of a meet the first of b, or a pair: an axis of a, or a tuple of
    them, and those of b that they meet. Raises ValueError if there are others or sizes don't fit.

    >>> mg.tensordot(mg.ones((2, 3, 4)), mg.ones((3, 4, 5))).shape
    (2, 5)
    >>> mg.tensordot(mg.ones((2, 3)), mg.ones((5, 3)), axes=(1, 1)).shape
    (2, 5)
    """
    a, b = as_tensor(a, b), as_tensor(b, a)
    of_a, of_b = _meeting(axes, a, b)
    sizes, other = tuple(a.shape[i] for i in of_a), tuple(b.shape[i] for i in of_b)
    if sizes != other:
        raise ValueError(
            f"{public_name()}: shapes {a.shape} and {b.shape} do not fit: axes {of_a} of the first "
            f"have sizes {sizes}, axes {of_b} of the second {other}"
        )
    left = [i for i in range(a.ndim) if i not in of_a]
    right = [i for i in range(b.ndim) if i not in of_b]
    rows, columns = [a.shape[i] for i in left], [b.shape[i] for i in right]
    k = math.prod(sizes)
    a = reshape(transpose(a, (*left, *of_a)), (math.prod(rows), k))
    b = reshape(transpose(b, (*of_b, *right)), (k, math.prod(columns)))
    return reshape(a @ b, (*rows, *columns))


def _meeting(axes: Any, a: Any, b: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of a and of b that `tensordot` sums over."""
    if isinstance(axes, (tuple, list)):
        if len(axes) != 2:
            raise ValueError(f"tensordot: axes are a number, or a pair; got {axes!r:.40}")
        of_a, of_b = (
            axis_tuple(tuple(one) if isinstance(one, list) else one, x.ndim)
            for one, x in zip(axes, (a, b), strict=True)
        )
        if len(of_a) == len(of_b):
            return of_a, of_b
        raise ValueError(f"tensordot: {len(of_a)} axes of a can't meet {len(of_b)} of b")
    n = as_count(axes, "axes, a number or a pair,")
    if n > min(a.ndim, b.ndim):
        raise ValueError(f"tensordot: {n} axes are asked for; got shapes {a.shape} and {b.shape}")
    return tuple(range(a.ndim - n, a.ndim)), tuple(range(n))


def outer(a: Any, b: Any) -> Any:
    """All products of an element of a with one of b, both flattened: (size of a, size of b).

    >>> mg.outer(mg.tensor([1, 2]), mg.tensor([10, 20]))
    tensor([[10, 20],
            [20, 40]])
    """
    a, b = as_tensor(a, b), as_tensor(b, a)
    return reshape(a, (math.prod(a.shape), 1)) * reshape(b, (1, math.prod(b.shape)))


# --- einsum --------------------------------------------------------------------------------


@op
def contract(xp, *arrays, terms, output):
    """einsum in its plain form: no index twice in a term, none in one term alone.

    >>> contract((mg.ones((2, 3)), mg.ones((3, 4))), terms=("ab", "bc"), output="ac").shape
    (2, 4)
    """
    return xp.einsum(f"{','.join(terms)}->{output}", *arrays)


def _contract_back(g: Any, arrays: Any, terms: Any, output: Any) -> list[Any]:
    """By symmetry: to get the gradient of one array, put the cotangent in its place."""
    return [
        contract(
            (g, *arrays[:i], *arrays[i + 1 :]),
            terms=(output, *terms[:i], *terms[i + 1 :]),
            output=term,
        )
        for i, term in enumerate(terms)
    ]


contract.vjp_all(_contract_back)


def einsum(subscripts: str, *arrays: Any) -> Any:
    """Einstein's sum, in NumPy's notation: explicit or implicit output, ellipsis, repeated indices.

    Raises ValueError if a letter has two sizes, or if there are more or fewer arrays than
    terms.

    >>> import minigrad as mg
    >>> mg.einsum("ij,jk->ik", mg.ones((2, 3)), mg.ones((3, 4))).shape
    (2, 4)
    """
    if not isinstance(subscripts, str):
        raise TypeError(
            f"einsum: the subscripts come first, as in mg.einsum('ij,jk->ik', a, b); got "
            f"{type(subscripts).__name__}"
        )
    arrays = tuple(as_tensor(x, *arrays) for x in arrays)
    terms, output = _parse(subscripts, [x.ndim for x in arrays])
    sizes = _sizes(terms, arrays)
    pairs = [_diagonal(i, x, term) for i, (x, term) in enumerate(zip(arrays, terms, strict=True))]
    pairs = [_without_singles(x, term, sizes) for x, term in pairs]
    terms, plain = [term for _, term in pairs], []
    for i, (x, term) in enumerate(pairs):
        elsewhere = output + "".join(terms[:i] + terms[i + 1 :])
        lone = tuple(j for j, letter in enumerate(term) if letter not in elsewhere)
        if lone:  # an index of this term alone is summed first
            x = sum(x, axis=lone)
            terms[i] = "".join(letter for letter in term if letter in elsewhere)
        plain.append(x)
    return contract(plain, terms=tuple(terms), output=output)


def _parse(subscripts: str, ndims: list[int]) -> tuple[list[str], str]:
    """The index letters of each operand and of the output, ellipses written out as letters."""
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(f"einsum: {subscripts!r} names {len(terms)} operands; got {len(ndims)}")
    free = [c for c in string.ascii_letters if c not in text]
    widths = [
        n - len(t.replace("...", "")) if "..." in t else 0
        for t, n in zip(terms, ndims, strict=True)
    ]
    dots = "".join(free[: max(widths)]) if max(widths) > 0 else ""
    full = []
    for i, (term, ndim, width) in enumerate(zip(terms, ndims, widths, strict=True)):
        term = term.replace("...", dots[len(dots) - width :] if width > 0 else "")
        if len(term) != ndim:
            raise ValueError(
                f"einsum: term {terms[i]!r} of {subscripts!r} doesn't fit operand {i}, "
                f"which has {ndim} axes"
            )
        full.append(term)
    if arrow:
        output = output.replace("...", dots)
    else:
        every = "".join(full)
        output = dots + "".join(sorted(c for c in set(every) - set(dots) if every.count(c) == 1))
    unknown = sorted(set(output) - set("".join(full)))
    if unknown or len(set(output)) < len(output):
        raise ValueError(f"einsum: the output of {subscripts!r} repeats or invents an index")
    return full, output


def _diagonal(i: int, x: Any, term: str) -> tuple[Any, str]:
    """Operand i with every index once: one that its term repeats walks the diagonal."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first, second = term.index(letter), term.rindex(letter)
            n, m = x.shape[first], x.shape[second]
            if n != m:
                raise ValueError(f"einsum: index {letter!r} of operand {i} has sizes {n} and {m}")
            x = diagonal(x, 0, first, second)
            term = "".join(c for j, c in enumerate(term) if j not in (first, second)) + letter
    return x, term


def _without_singles(x: Any, term: str, sizes: dict[str, int]) -> tuple[Any, str]:
    """x without axes of size 1 that are longer in another operand: there they are the same."""
    kept = [j for j, letter in enumerate(term) if x.shape[j] == sizes[letter]]
    if len(kept) < len(term):
        x, term = reshape(x, tuple(x.shape[j] for j in kept)), "".join(term[j] for j in kept)
    return x, term


def _sizes(terms: list[str], arrays: tuple[Any, ...]) -> dict[str, int]:
    """The size of each index: the operands agree on it, or have 1."""
    sizes: dict[str, int] = {}
    for i, (term, x) in enumerate(zip(terms, arrays, strict=True)):
        for letter, n in zip(term, x.shape, strict=True):
            known = sizes.setdefault(letter, n)
            if n != known and 1 not in (n, known):
                raise ValueError(
                    f"einsum: index {letter!r} has size {known}, and {n} in operand {i}"
                )
            sizes[letter] = n if known == 1 else known
    return sizes
