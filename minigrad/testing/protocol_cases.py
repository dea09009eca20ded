"""What each name of the backend protocol must do: example calls, and NumPy as the judge.

`EXAMPLES` maps a name to calls of it; `REFERENCE` maps the same name to the NumPy function that
says what comes out. `minigrad.testing.conformance` runs them on a backend.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .protocol_arrays import (
    BOOL,
    F32,
    F64,
    FLOATS,
    I64,
    INTEGERS,
    PAIRS,
    RNG,
    SHAPES,
    Call,
    Index,
    Strided,
    above_one,
    away_from_zero,
    halves,
    normal,
    positive,
    share,
    specials,
)
from .references import erf, scatter, sigmoid

__all__ = ["EXAMPLES", "REFERENCE"]


# --- calls -----------------------------------------------------------------------------------

Maker = Callable[..., np.ndarray]


def _unary(make: Maker = normal, dtypes: Iterable[Any] = (*FLOATS, I64)) -> Iterator[Call]:
    for dtype in dtypes:
        for shape in SHAPES:
            yield Call((make(shape, dtype),))
        yield Call((Strided(make((3, 4), dtype)),))


def _on_integers(count: int) -> Iterator[Call]:
    """Calls with so many arrays of integers, none negative, or with numbers."""
    for dtype in INTEGERS:
        for a, b in PAIRS:
            yield Call(tuple(np.asarray(np.abs(normal(shape, dtype))) for shape in (a, b)[:count]))
    if count == 2:
        yield Call((np.arange(4), 2))


def _binary(
    make: Maker = normal, other: Maker | None = None, dtypes: Iterable[Any] = (*FLOATS, I64)
) -> Iterator[Call]:
    second = other or make
    for dtype in dtypes:
        for a, b in PAIRS:
            yield Call((make(a, dtype), second(b, dtype)))
        yield Call((Strided(make((3, 4), dtype)), second((3, 4), dtype)))
        yield Call((make((3, 4), dtype), Strided(second((4,), dtype))))
    for dtype in FLOATS:  # a Python number on either side leaves the dtype as it is
        for shape in ((), (2, 3)):
            for number in (2, 0.5):
                yield Call((make(shape, dtype), number))
                yield Call((number, second(shape, dtype)))
    yield Call((make((2, 3), F32), second((3,), F64)))


def _whole_divisions() -> Iterator[Call]:
    """Zeros, infinities, quotients that are whole, large ones, and integers of both signs."""
    for dtype in FLOATS:
        b = np.array([2.0, -2.0, 0.1, np.inf, -np.inf, 0.0, np.nan], dtype)
        for a in (0.0, -0.0, 1.0, -1.0, 6.0, 0.3, -0.3, 1e30, np.inf, np.nan):
            yield Call((np.full(b.shape, a, dtype), b))
    for number in (*INTEGERS, np.dtype("int8")):
        b = np.array([1, 2, 3, -1, -2, -3, 0]).astype(number)
        for a in (-7, -6, 0, 5, 6):
            yield Call((np.full(b.shape, a).astype(number), b))


def _reduced(
    make: Maker = normal, dtypes: Iterable[Any] = (*FLOATS, I64), *, empty: bool = False
) -> Iterator[Call]:
    axes: list[tuple[tuple[int, ...], Any]] = [
        *(((2, 3, 4), axis) for axis in (None, 0, -1, (0, 2), (-1, 1), (0, 1, 2))),
        *(((), None), ((), ()), ((4,), 0), ((2, 0, 3), 0)),
        *([((0, 3), None), ((0, 3), 0), ((0, 3), 1)] if empty else []),
    ]
    for dtype in dtypes:
        for (shape, axis), keepdims in itertools.product(axes, (False, True)):
            yield Call((make(shape, dtype),), {"axis": axis, "keepdims": keepdims})
        yield Call((Strided(make((3, 4), dtype)),), {"axis": 0, "keepdims": False})


def _extreme_positions() -> Iterator[Call]:
    for shape, axis in (((2, 3, 4), None), ((2, 3, 4), 1), ((2, 3, 4), -1), ((4,), 0), ((), None)):
        for keepdims in (False, True):
            yield Call((normal(shape),), {"axis": axis, "keepdims": keepdims})
    yield Call((np.array([1.0, 3.0, 3.0, 1.0]),), {"axis": 0, "keepdims": False})  # the first
    yield Call((Strided(normal((3, 4))),), {"axis": 0, "keepdims": False})


def _where() -> Iterator[Call]:
    for dtype in (*FLOATS, I64, BOOL):
        for a, b in PAIRS:
            shape = np.broadcast_shapes(a, b)
            yield Call((normal(shape, BOOL), normal(a, dtype), normal(b, dtype)))
    for dtype in FLOATS:
        for number in (0, 1.5):
            yield Call((normal((2, 3), BOOL), normal((2, 3), dtype), number))
            yield Call((normal((2, 3), BOOL), number, normal((2, 3), dtype)))
    yield Call((Strided(normal((3, 4), BOOL)), normal((3, 4)), 0))


def _matmul() -> Iterator[Call]:
    shapes = [
        *(((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((1, 1), (1, 1))),
        *(((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (3,))),
        *(((2, 1, 2, 3), (5, 3, 4)), ((3,), (5, 3, 4)), ((4, 5, 2, 3), (3, 2))),
        *(((2, 0), (0, 3)), ((0, 3), (3, 2)), ((2, 3), (3, 0)), ((0, 2, 3), (3, 4))),
    ]
    for dtype in FLOATS:
        for a, b in shapes:
            yield Call((normal(a, dtype), normal(b, dtype)))
        yield Call((Strided(normal((3, 4), dtype)), normal((4, 2), dtype)))
        yield Call((normal((2, 3), dtype), Strided(normal((3, 4), dtype))))
        yield Call((Strided(normal((2, 3, 4), dtype)), Strided(normal((4, 2), dtype))))


def _einsum() -> Iterator[Call]:
    for dtype in FLOATS:
        for text, *shapes in (
            ("ij->ji", (2, 3)),
            ("i,i->", (3,), (3,)),
            ("ij,jk->ik", (2, 3), (3, 4)),
            ("ij,kj->ik", (2, 3), (4, 3)),
            ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
            ("i,j->ij", (2,), (3,)),
            ("ij,j->ij", (2, 3), (3,)),
            ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
            ("ij,jk->ik", (2, 0), (0, 3)),
        ):
            yield Call((text, *(normal(shape, dtype) for shape in shapes)))


def _getitem() -> Iterator[Call]:
    for dtype in (*FLOATS, I64, BOOL):
        for index in (*_BASIC, *_REPEATED, *_MASKS):
            yield Call((normal((3, 4, 2), dtype), Index(index)))
        yield Call((normal((), dtype), Index(())))
        yield Call((Strided(normal((3, 4), dtype)), Index((slice(None), np.array([3, 0])))))
    for shape in ((3, 0), (0, 3)):
        yield Call((normal(shape), Index((slice(None), ...))))


def _scatter() -> Iterator[Call]:
    for dtype in FLOATS:
        for shape in ((3, 4, 2), (3,), (40, 5)):
            for index in (*_BASIC, *_REPEATED, *_MASKS):
                try:
                    part = np.zeros(shape)[index]
                except IndexError:  # this index is for arrays of more axes
                    continue
                yield Call((normal(part.shape, dtype), Index(index), shape))
        many = RNG.integers(-40, 40, (7, 50))  # the size of a real embedding's gradient
        yield Call((normal((7, 50, 5), dtype), Index(many), (40, 5)))
        yield Call((normal((50,), dtype), Index(many[0]), (40,)))
        yield Call((Strided(normal((6, 4), dtype)), Index(np.array([1, 1, 0, 2, 1, 0])), (3, 4)))


_BASIC: tuple[Any, ...] = (
    *(0, -1, slice(None), slice(1, None), slice(None, None, -1), slice(0, 0), ..., None),
    *((slice(None), 1), (..., 0), (0, slice(None), None), (slice(None, None, 2), slice(3, 0, -2))),
)
_REPEATED: tuple[Any, ...] = (
    *(np.array([0, 2, 0]), np.array([[1, -1], [1, 1]]), np.array([], np.int64), np.array(1)),
    *((slice(None), np.array([3, 0, 3])), (np.array([0, 0, 2]), np.array([1, 1, 3]))),
    *((np.array([[0], [2]]), np.array([1, 3, 1])), (np.array([1, 1]), slice(None), 0)),
)
_MASKS: tuple[Any, ...] = (
    *(np.array([True, False, True]), np.zeros(3, bool)),
    (slice(None), np.array([True, False, True, True])),
)


def _join(*, new_axis: bool) -> Iterator[Call]:
    for dtype in (*FLOATS, I64):
        for axis in (0, 1, -1):
            yield Call(([normal((2, 3), dtype) for _ in range(3)],), {"axis": axis})
        yield Call(([Strided(normal((3, 4), dtype)), normal((3, 4), dtype)],), {"axis": 1})
        yield Call(([normal((0, 3), dtype), normal((0, 3), dtype)],), {"axis": 0})
        if new_axis:
            yield Call(([normal((), dtype), normal((), dtype)],), {"axis": 0})
        else:
            yield Call(([normal((2, 3), dtype), normal((2, 0), dtype)],), {"axis": 1})
            yield Call(([normal((1, 3), dtype), normal((2, 3), dtype)],), {"axis": 0})


def _on_arrays(*rest: tuple[tuple[int, ...], tuple[Any, ...], dict[str, Any]]) -> Iterator[Call]:
    """Calls of a function of one array: per entry its shape, further arguments, keywords."""
    for dtype in (*FLOATS, I64):
        for shape, args, kwargs in rest:
            yield Call((normal(shape, dtype), *args), kwargs)
            if len(shape) == 2:
                yield Call((Strided(normal(shape, dtype)), *args), kwargs)


def _filled(*values: Any) -> Iterator[Call]:
    for shape in SHAPES:
        for dtype in (*FLOATS, I64, BOOL):
            yield Call((shape, *values), {"dtype": dtype})


def _transposed() -> Iterator[Call]:
    yield from _on_arrays(
        *(((2, 3), (), {}), ((2, 3), (None,), {}), ((2, 3), ((1, 0),), {}), ((), (), {})),
        *(((2, 3, 4), ((2, 0, 1),), {}), ((2, 3, 4), ((-1, 0, 1),), {}), ((0, 3), (), {})),
    )


EXAMPLES: dict[str, list[Call]] = {
    name: list(calls)
    for name, calls in {
        "astype": (
            Call((normal((2, 3), a), np.dtype(b)))
            for a, b in itertools.product((*FLOATS, I64, BOOL), repeat=2)
        ),
        "copy": _unary(),
        "contiguous": _unary(),
        "zeros": _filled(),
        "ones": _filled(),
        "full": _filled(1),
        "arange": [Call((5,)), Call((0,))],
        "add": _binary(),
        "subtract": _binary(),
        "multiply": _binary(),
        "divide": _binary(normal, positive),
        "negative": _unary(),
        "power": _binary(positive, positive),
        "square": _unary(),
        "exp": _unary(),
        "log": _unary(positive),
        "log2": _unary(positive),
        "log10": _unary(positive),
        "log1p": _unary(positive),
        "expm1": _unary(),
        "sqrt": _unary(positive),
        "abs": _unary(),
        "sign": _unary(),
        "hypot": _binary(),
        "erf": [*_unary(), *(Call((np.linspace(-7, 7, 999, dtype=t),)) for t in FLOATS)],
        **{name: _unary(halves, FLOATS) for name in ("floor", "ceil", "trunc", "rint")},
        "mod": [*_binary(normal, away_from_zero), *_whole_divisions()],
        "floor_divide": [*_binary(normal, away_from_zero), *_whole_divisions()],
        **{name: _unary() for name in ("sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh")},
        "arcsin": _unary(share, FLOATS),
        "arccos": _unary(share, FLOATS),
        "arctan2": _binary(),
        "arcsinh": _unary(),
        "arccosh": _unary(above_one),
        "arctanh": _unary(share, FLOATS),
        "sigmoid": [*_unary(), *(Call((np.array([-1e4, -90, 90, 1e4], t),)) for t in FLOATS)],
        "relu": _unary(),
        "maximum": _binary(),
        "minimum": _binary(),
        "where": _where(),
        "clip": _on_arrays(
            *(((2, 3), (-1, 1), {}), ((2, 3), (None, 1), {}), ((2, 3), (0, None), {})),
            *(((), (-1, 1), {}), ((0, 3), (-1, 1), {})),
        ),
        **{
            name: itertools.chain(_binary(), [Call((np.arange(4.0), np.array([0.0, 2, 1, 3])))])
            for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
        },
        "logical_and": (Call((normal(a, BOOL), normal(b, BOOL))) for a, b in PAIRS),
        "logical_or": (Call((normal(a, BOOL), normal(b, BOOL))) for a, b in PAIRS),
        "logical_not": _unary(dtypes=[BOOL]),
        **{
            name: _on_integers(2)
            for name in (
                *("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"),
            )
        },
        "invert": _on_integers(1),
        "isfinite": (Call((specials(dtype),)) for dtype in FLOATS),
        "isnan": (Call((specials(dtype),)) for dtype in FLOATS),
        "any": _reduced(dtypes=[BOOL], empty=True),
        "all": _reduced(dtypes=[BOOL], empty=True),
        "sum": _reduced(dtypes=(*FLOATS, I64, BOOL), empty=True),
        "mean": _reduced(),
        "max": _reduced(),
        "min": _reduced(),
        "argmax": _extreme_positions(),
        "argmin": _extreme_positions(),
        "argsort": [
            *_on_arrays(
                *(((3, 4), (axis,), {}) for axis in (0, 1)),
                *(((2, 3, 5), (1,), {}), ((0, 3), (0,), {}), ((2, 0), (1,), {})),
            ),
            *(Call((specials(dtype), 0)) for dtype in FLOATS),  # NaN comes last
            *(
                Call((np.array([[2, 1, 2, 1, 0, 2], [0] * 6], dtype), 1))
                for dtype in (*FLOATS, I64)
            ),
            Call((normal((3, 5), BOOL), 1)),
            Call((np.array([3, 1, 2, 1], np.float16), 0)),
        ],
        "cumsum": _on_arrays(
            *(((2, 3), (), {"axis": axis}) for axis in (0, 1, -1)),
            *(((4,), (), {"axis": 0}), ((0, 3), (), {"axis": 0}), ((2, 0), (), {"axis": 1})),
        ),
        "matmul": _matmul(),
        "einsum": _einsum(),
        "reshape": _on_arrays(
            *(((2, 3), (shape,), {}) for shape in ((3, 2), (6,), (-1,), (1, 6, 1), (2, -1))),
            *(((), ((1, 1),), {}), ((1,), ((),), {}), ((0, 3), ((3, 0),), {})),
        ),
        "transpose": _transposed(),
        "broadcast_to": _on_arrays(
            *(((3,), ((2, 3),), {}), ((2, 1), ((4, 2, 3),), {}), ((), ((2, 2),), {})),
            *(((1, 3), ((0, 3),), {}), ((2, 3), ((2, 3),), {})),
        ),
        "concatenate": _join(new_axis=False),
        "stack": _join(new_axis=True),
        "split": _on_arrays(
            *(((4, 6), ([2, 2], 0), {}), ((4, 6), ([1, 0, 5], 1), {}), ((4,), ([4], 0), {})),
            *(((2, 4, 3), ([3, 1], 1), {}), ((0, 3), ([0, 0], 0), {})),
        ),
        "unstack": _on_arrays(
            *(((2, 3), (axis,), {}) for axis in (0, 1)),
            *(((3,), (0,), {}), ((2, 3, 4), (2,), {}), ((0, 3), (0,), {}), ((3, 0), (0,), {})),
        ),
        "flip": _on_arrays(
            *(((2, 3), (), {"axis": axis}) for axis in (None, 0, -1, (0, 1))),
            *(((), (), {"axis": None}), ((0, 3), (), {"axis": 0})),
        ),
        "pad": _on_arrays(
            *(((2, 3), (((1, 0), (2, 1)),), {"constant_values": value}) for value in (0, 2)),
            *(((4,), (((0, 0),),), {"constant_values": 0}),),
            *(((0, 3), (((1, 1), (0, 0)),), {"constant_values": 1}),),
        ),
        "tril": _on_arrays(*(((3, 4), (k,), {}) for k in (0, 1, -1)), ((2, 3, 3), (0,), {})),
        "triu": _on_arrays(*(((3, 4), (k,), {}) for k in (0, 1, -1)), ((2, 3, 3), (0,), {})),
        "getitem": _getitem(),
        "scatter": _scatter(),
    }.items()
}


# --- what NumPy says -------------------------------------------------------------------------


REFERENCE: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in EXAMPLES if hasattr(np, name)},
    "erf": erf,
    "sigmoid": sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "astype": lambda x, dtype: x.astype(dtype),
    "argsort": lambda x, axis: np.argsort(x, axis, kind="stable"),
    "contiguous": lambda x: x,
    "split": lambda x, sizes, axis: np.split(x, np.cumsum(sizes)[:-1], axis),
    "unstack": lambda x, axis: [np.take(x, i, axis) for i in range(x.shape[axis])],
    "getitem": lambda x, index: x[index],
    "scatter": scatter,
}
