"""The op table: one line per op, composite, activation and loss, from which all its checks come.

A line says how the function is called, on what inputs, and what NumPy says. An op without a line
fails the tests. The checks themselves are in `minigrad.testing.checks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg

from ..ops.convert import cast, discretize
from ..ops.elementwise import power_log, root, root_slope
from ..ops.indexing import getitem, pad_with, scatter
from ..ops.products import contract
from ..ops.reductions import cumsum_along
from ..ops.softmaxes import (
    label_loss,
    label_losses,
    label_slopes,
    label_sum,
    log_softmax_along,
    softmax_along,
)
from . import references as ref
from .cases import (
    Case,
    away,
    by_axis,
    calls,
    distinct,
    each,
    elementwise,
    grades,
    holed,
    integers,
    mask,
    positive,
    real,
    reduction,
)
from .function_cases import FUNCTION_CASES

__all__ = ["OP_CASES"]


def _listed(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a list of arrays as one of arrays."""
    return lambda *arrays, **settings: f(arrays, **settings)


def _losses_of_labels(x: Any, index: Any) -> Any:
    return label_losses(x, index=tuple(map(x.backend.index_array, index)))


def _there_and_back(x: Any) -> Any:
    host = mg.get_backend("numpy")
    return mg.transfer(mg.transfer(x, host), x.backend)


_INDICES = (
    *(1, slice(None, None, -2), (..., 0), None, np.array([2, 0, 2]), np.array([[0, -1], [1, 1]])),
    *((slice(None), np.array([1, 1])), (np.array([0, 2]), np.array([1, 1]))),
    np.array([True, False, True]),
)
_NONE: dict[str, Any] = {"slope": "none"}

OP_CASES: dict[str, list[Case]] = {
    # --- arithmetic
    "add": elementwise(mg.add, np.add, real, real),
    "subtract": elementwise(mg.subtract, np.subtract, real, real),
    "multiply": elementwise(mg.multiply, np.multiply, real, real),
    "divide": elementwise(mg.divide, np.divide, real, away(0, gap=0.5)),
    "negative": elementwise(mg.negative, np.negative, real),
    "power": [
        *elementwise(mg.power, np.power, positive, real),
        *calls(lambda x, b: x**b, lambda x, b: x**b, [real(2, 3)], each("b", 1, 2, 3.0)),
        *calls(lambda x, b: x**b, lambda x, b: x**b, [positive(2, 3)], each("b", -1, 0.5)),
        *calls(lambda x, b: x**b, lambda x, b: x**b, [holed(2, 3)], each("b", 0), "zero"),
        *calls(lambda x, a: a**x, lambda x, a: a**x, [real(2, 3)], each("a", 2.0)),
        *calls(lambda x, a: a**x, lambda x, a: a**x, [real(2, 3)], each("a", 1), "zero"),
    ],
    "power_log": [
        *elementwise(
            power_log, lambda a, b, times: a**b * np.log(a) ** times, positive, real, times=1
        ),
        *calls(
            lambda a, b: power_log(a, b, times=2),
            lambda a, b: a**b * np.log(a) ** 2,
            [(positive(3), real(3))],
        ),
        *calls(
            lambda b, a: power_log(a, b, times=1),
            lambda b, a: a**b * np.log(a),
            [real(3)],
            each("a", 2.0),
        ),
        *calls(
            lambda a, b: power_log(a, b, times=1),
            lambda a, b: a**b * np.log(a),
            [positive(3)],
            each("b", 2, 0.5),
        ),
    ],
    # --- functions
    "exp": elementwise(mg.exp, np.exp, real),
    "expm1": elementwise(mg.expm1, np.expm1, real),
    "log": elementwise(mg.log, np.log, positive),
    "log1p": elementwise(mg.log1p, np.log1p, positive),
    "sqrt": elementwise(mg.sqrt, np.sqrt, positive),
    "root": elementwise(root, np.sqrt, positive),
    "root_slope": elementwise(root_slope, lambda r: 0.5 / r, positive),
    "square": elementwise(mg.square, np.square, real),
    "abs": elementwise(mg.abs, np.abs, away(0)),
    "sign": elementwise(mg.sign, np.sign, away(0), slope="zero"),
    "sin": elementwise(mg.sin, np.sin, real),
    "cos": elementwise(mg.cos, np.cos, real),
    "tanh": elementwise(mg.tanh, np.tanh, real),
    "sigmoid": elementwise(mg.sigmoid, ref.sigmoid, real),
    "softplus": elementwise(mg.softplus, lambda x: np.logaddexp(x, 0), real),
    "relu": elementwise(mg.relu, lambda x: np.maximum(x, 0), away(0)),
    # --- choices
    "where": [
        *calls(
            mg.where, np.where, [(mask(2, 3), real(2, 3), real(3)), (mask(3), real(), real(2, 1))]
        ),
        *calls(mg.where, np.where, [(mask(), real(), real()), (mask(0, 3), real(3), real(1, 3))]),
        *calls(
            lambda c, x: mg.where(c, x, 0), lambda c, x: np.where(c, x, 0), [(mask(4), real(4))]
        ),
    ],
    "maximum": elementwise(mg.maximum, np.maximum, distinct(), distinct(0.15)),
    "minimum": elementwise(mg.minimum, np.minimum, distinct(), distinct(0.15)),
    "clip": [
        *elementwise(mg.clip, np.clip, away(-0.3, 0.3), min=-0.3, max=0.3),
        *elementwise(mg.clip, np.clip, real, min=None, max=None),
        *elementwise(mg.clip, np.clip, away(0.5), min=None, max=0.5),
        *elementwise(mg.clip, np.clip, away(-0.7), min=-0.7, max=None),
    ],
    # --- truth
    **{
        name: elementwise(getattr(mg, name), getattr(np, name), grades, grades, slope="none")
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    },
    "logical_and": elementwise(mg.logical_and, np.logical_and, mask, mask, slope="none"),
    "logical_or": elementwise(mg.logical_or, np.logical_or, mask, mask, slope="none"),
    "logical_not": elementwise(mg.logical_not, np.logical_not, mask, slope="none"),
    **{
        name: elementwise(getattr(mg, name), getattr(np, name), integers(9), integers(9), **_NONE)
        + elementwise(getattr(mg, name), getattr(np, name), mask, mask, **_NONE)
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
    },
    "bitwise_not": elementwise(mg.bitwise_not, np.invert, integers(9), **_NONE)
    + elementwise(mg.bitwise_not, np.invert, mask, **_NONE),
    "left_shift": elementwise(mg.left_shift, np.left_shift, integers(9), integers(5), **_NONE),
    "right_shift": elementwise(mg.right_shift, np.right_shift, integers(99), integers(5), **_NONE),
    "isnan": elementwise(mg.isnan, np.isnan, real, slope="none"),
    "isfinite": elementwise(mg.isfinite, np.isfinite, real, slope="none"),
    "any": reduction(mg.any, np.any, mask, slope="none"),
    "all": reduction(mg.all, np.all, mask, slope="none"),
    # --- reductions
    "sum": reduction(mg.sum, np.sum, real),
    "mean": reduction(mg.mean, np.mean, real, empty=False),
    "max": reduction(mg.max, np.max, distinct(), empty=False),
    "min": reduction(mg.min, np.min, distinct(), empty=False),
    "prod": [
        *reduction(mg.prod, np.prod, real),
        *calls(mg.prod, np.prod, [holed(2, 3)], by_axis(None, 0, 1)),
    ],
    "var": [
        *reduction(mg.var, np.var, real, scalar="zero", empty=False),
        *calls(mg.var, np.var, [real(2, 3)], by_axis(0, -1, ddof=1)),
    ],
    "std": [
        *reduction(mg.std, np.std, real, scalar="flat", empty=False),
        *calls(mg.std, np.std, [real(3, 4)], by_axis(0, -1, ddof=1)),
    ],
    "norm": [
        *reduction(mg.norm, ref.norm, away(0), scalar="first"),
        *calls(mg.norm, ref.norm, [away(0)(2, 3)], by_axis(1, None, ord=1)),
        *calls(mg.norm, ref.norm, [distinct(0.1)(2, 3)], by_axis(0, ord=math.inf)),
    ],
    "logsumexp": reduction(mg.logsumexp, ref.logsumexp, real),
    "cumsum": calls(mg.cumsum, np.cumsum, [real(2, 3)], by_axis(None, 0, 1, -1)),
    "cumsum_along": calls(cumsum_along, np.cumsum, [real(2, 3), real(0, 2)], by_axis(0, -1)),
    "argmax": calls(
        mg.argmax, np.argmax, [real(2, 3), grades(2, 3)], by_axis(None, 0, -1), slope="none"
    ),
    "argmin": calls(
        mg.argmin, np.argmin, [real(2, 3), grades(2, 3)], by_axis(None, 0, -1), slope="none"
    ),
    # --- products
    "matmul": calls(
        mg.matmul,
        np.matmul,
        [
            *((real(3), real(3)), (real(2, 3), real(3)), (real(3), real(3, 2))),
            *((real(2, 3), real(3, 4)), (real(2, 2, 3), real(3, 2)), (real(2, 3), real(2, 3, 2))),
            *((real(2, 2, 3), real(2, 3, 2)), (real(2, 1, 1, 3), real(2, 3, 1))),
            *((real(2, 2, 3), real(3)), (real(3), real(2, 3, 2)), (real(1, 2, 3), real(2, 3, 1))),
            *((real(2, 0), real(0, 3)), (real(0, 2), real(2, 3)), (real(2, 0, 3), real(3, 2))),
        ],
    ),
    "dot": calls(
        mg.dot,
        np.dot,
        [
            *(
                (real(), real(3)),
                (real(3), real(3)),
                (real(2, 3), real(3)),
                (real(2, 3), real(3, 2)),
            ),
            *((real(3), real(2, 3, 2)), (real(2, 3), real(2, 3, 2)), (real(0), real(0))),
        ],
    ),
    "outer": calls(
        mg.outer, np.outer, [(real(2), real(3)), (real(2, 2), real()), (real(0), real(2))]
    ),
    "einsum": [
        *calls(
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [real(3, 3)],
            each("text", "ij->ji", "ij", "ij->", "ij->j", "ii", "ii->i", "...j->...", "ji"),
        ),
        *calls(
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [(real(2, 3), real(3, 2))],
            each("text", "ij,jk->ik", "ij,jk", "ij,kl->jk", "ij,ji->", "ij , jk -> ki", "ij,ab"),
        ),
        *calls(
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [(real(2, 2, 3), real(3, 2))],
            each("text", "bij,jk->bik", "...ij,jk->...ik", "bij,jk->kb", "iij,jk->ik"),
        ),
        *calls(
            lambda *xs: mg.einsum("ij,jk,kl->il", *xs),
            lambda *xs: np.einsum("ij,jk,kl->il", *xs),
            [(real(2, 3), real(3, 2), real(2, 2)), (real(0, 2), real(2, 2), real(2, 0))],
        ),
        *calls(  # an index of size 1 in one operand, and longer in another
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [(real(2), real(1)), (real(1), real(3))],
            each("text", "i,i", "i,i->i"),
        ),
        *calls(
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [(real(2, 3), real(1, 2)), (real(2, 1), real(3, 1))],
            each("text", "ij,jk->ik", "ij,jk", "ij,jk->j", "ij,jk->kji"),
        ),
    ],
    "contract": calls(
        _listed(contract),
        lambda a, b, terms, output: np.einsum(f"{','.join(terms)}->{output}", a, b),
        [(real(2, 3), real(3, 2))],
        [{"terms": ("ij", "jk"), "output": "ik"}, {"terms": ("ij", "ji"), "output": ""}],
    ),
    # --- shape
    "reshape": calls(mg.reshape, np.reshape, [real(2, 3)], each("shape", (3, 2), (-1,), (6, 1)))
    + calls(mg.reshape, np.reshape, [real()], each("shape", (1, 1)))
    + calls(mg.reshape, np.reshape, [real(0, 3)], each("shape", (3, 0))),
    "transpose": calls(mg.transpose, np.transpose, [real(2, 3), real(), real(0, 2)])
    + calls(mg.transpose, np.transpose, [real(2, 1, 3)], each("axes", (2, 0, 1), (-1, 0, 1))),
    "broadcast_to": calls(
        mg.broadcast_to, np.broadcast_to, [real(3), real(2, 1), real()], each("shape", (2, 3))
    )
    + calls(mg.broadcast_to, np.broadcast_to, [real(1, 3)], each("shape", (0, 3), (2, 4, 3))),
    "expand_dims": calls(mg.expand_dims, np.expand_dims, [real(2, 3)], by_axis(0, -1, (0, 2), 1)),
    "squeeze": calls(mg.squeeze, np.squeeze, [real(1, 2, 1)], by_axis(None, 0, -1, (0, 2))),
    "swapaxes": calls(
        mg.swapaxes, np.swapaxes, [real(2, 1, 3), real(2, 0, 3)], [{"axis1": 0, "axis2": -1}]
    ),
    "moveaxis": calls(
        mg.moveaxis,
        np.moveaxis,
        [real(2, 1, 3)],
        [{"source": 0, "destination": -1}, {"source": (0, 1), "destination": (2, 0)}],
    ),
    "concatenate": calls(
        _listed(mg.concatenate),
        _listed(np.concatenate),
        [(real(2, 3), real(2, 3)), (real(2, 2), real(2, 2), real(2, 2))],
        by_axis(0, 1, -1),
    )
    + calls(_listed(mg.concatenate), _listed(np.concatenate), [(real(1, 3), real(0, 3))]),
    "stack": calls(
        _listed(mg.stack), _listed(np.stack), [(real(2, 3), real(2, 3))], by_axis(0, 1, -1, -3)
    )
    + calls(_listed(mg.stack), _listed(np.stack), [(real(), real(), real())]),
    "split": calls(
        mg.split,
        lambda x, sections, axis: np.split(x, sections, axis),
        [real(2, 6)],
        [
            *by_axis(1, -1, sections=3),
            *by_axis(1, sections=(1, 4)),
            *by_axis(0, sections=(0, 1, 1)),
        ],
    )
    + calls(
        mg.split,
        lambda x, sections, axis: np.split(x, sections, axis),
        [real(5)],
        by_axis(0, sections=(-2,)) + by_axis(0, sections=(3, 9)),
    ),
    "unstack": calls(
        mg.unstack,
        lambda x, axis: [np.take(x, i, axis) for i in range(x.shape[axis])],
        [real(2, 3), real(3, 2, 1)],
        by_axis(0, 1, -1),
    ),
    "flip": calls(mg.flip, np.flip, [real(2, 3)], by_axis(None, 0, -1, (0, 1)))
    + calls(mg.flip, np.flip, [real(), real(0, 2)]),
    "pad": calls(mg.pad, np.pad, [real(2, 3)], each("pad_width", 1, (0, 2), ((1, 0), (2, 1))))
    + calls(mg.pad, np.pad, [real(2)], [{"pad_width": ((1, 2),), "constant_values": 3.5}]),
    "pad_with": calls(
        pad_with,
        lambda x, widths, value: np.pad(x, widths, constant_values=value),
        [real(2, 3), real(0, 3)],
        [{"widths": ((1, 0), (0, 2)), "value": 1.5}],
    ),
    "repeat": calls(
        mg.repeat, np.repeat, [real(2, 3)], [*by_axis(None, 0, -1, repeats=2), {"repeats": 0}]
    ),
    "tile": calls(mg.tile, np.tile, [real(2, 3)], each("reps", 2, (2, 1), (2, 1, 2), (0, 1)))
    + calls(mg.tile, np.tile, [real()], each("reps", (2, 2))),
    "tril": calls(mg.tril, np.tril, [real(3, 4), real(2, 2, 2)], each("k", 0, 1, -1)),
    "triu": calls(mg.triu, np.triu, [real(3, 4), real(2, 2, 2)], each("k", 0, 1, -1)),
    # --- positions
    "index": calls(mg.index, lambda x, index: x[index], [real(3, 2)], each("index", *_INDICES)),
    "getitem": calls(getitem, lambda x, index: x[index], [real(3, 2)], each("index", 0, (..., 1))),
    "scatter": calls(
        scatter,
        ref.scatter,
        [real(2, 3)],
        [{"index": (..., slice(0, 3)), "shape": (2, 4)}, {"index": 1, "shape": (2, 2, 3)}],
    ),
    "take": calls(
        mg.take,
        np.take,
        [real(3, 2)],
        by_axis(None, 0, 1, -2, indices=np.array([1, 0, 1])) + by_axis(0, 1, indices=1),
    ),
    "scatter_add": calls(
        lambda x, values, index: mg.scatter_add(x, index, values),
        lambda x, values, index: ref.scatter_add(x, values, index),
        [(real(3, 2), real(2)), (real(3, 2), real())],
        each("index", *_INDICES[:2], *_INDICES[4:6], _INDICES[8]),
    ),
    # --- conversions
    "astype": calls(
        mg.astype, lambda x, dtype: x.astype(dtype), [real(2, 3), real()], each("dtype", "float64")
    )
    + calls(
        mg.astype, lambda x, dtype: x.astype(dtype), [real(2, 3)], each("dtype", "int64"), "none"
    ),
    "cast": calls(cast, lambda x, dtype: x.astype(dtype), [real(3)], each("dtype", np.dtype("f8"))),
    "discretize": calls(
        discretize, lambda x, dtype: x.astype(dtype), [real(3)], each("dtype", "int64"), "none"
    ),
    "transfer": calls(_there_and_back, lambda x: x, [real(2, 3), real(), real(0, 2)]),
    # --- softmax
    "softmax_along": calls(softmax_along, ref.softmax, [real(2, 3), real(0, 3)], by_axis(0, -1)[1:])
    + calls(softmax_along, ref.softmax, [real(2, 3)], by_axis(0)),
    "log_softmax_along": calls(
        log_softmax_along,
        lambda x, axis: np.log(ref.softmax(x, axis)),
        [real(2, 3), real(0, 3)],
        by_axis(-1),
    )
    + calls(
        log_softmax_along, lambda x, axis: np.log(ref.softmax(x, axis)), [real(2, 3)], by_axis(0)
    ),
    "label_losses": calls(
        _losses_of_labels,
        lambda x, index: -np.log(ref.softmax(x, -1))[index],
        [real(4, 3)],
        each("index", (np.arange(4), np.array([0, 2, 1, 1]))),
    ),
    "label_loss": calls(
        lambda x, index, share: label_loss(
            x, index=tuple(map(x.backend.index_array, index)), share=share
        ),
        lambda x, index, share: share * -np.log(ref.softmax(x, -1))[index].sum(),
        [real(4, 3)],
        [{"index": (np.arange(4), np.array([0, 2, 1, 1])), "share": 0.25}],
    ),
    "label_sum": calls(
        lambda x, index, share: label_sum(
            x, index=tuple(map(x.backend.index_array, index)), share=share
        ),
        lambda x, index, share: share * x[index].sum(),
        [real(4, 3)],
        [{"index": (np.arange(4), np.array([0, 2, 1, 1])), "share": 0.25}],
    ),
    "label_slopes": calls(
        lambda x, index: label_slopes(x, index=tuple(map(x.backend.index_array, index))),
        lambda x, index: ref.softmax(x, -1) - np.eye(3)[index[1]],
        [real(4, 3)],
        each("index", (np.arange(4), np.array([0, 2, 1, 1]))),
    ),
    # --- compositions of ops
    **FUNCTION_CASES,
}
