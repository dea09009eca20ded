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

from .. import functional as F
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
    calls,
    distinct,
    elementwise,
    grades,
    holed,
    integers,
    mask,
    positive,
    real,
    reduction,
    small,
)

__all__ = ["OP_CASES"]


def _listed(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a list of arrays as one of arrays."""
    return lambda *arrays, **settings: f(arrays, **settings)


def _seeded_dropout(x: Any, p: float) -> Any:
    mg.manual_seed(3)
    return F.dropout(x, p)


def _losses_of_labels(x: Any, index: Any) -> Any:
    return label_losses(x, index=tuple(map(x.backend.index_array, index)))


def _there_and_back(x: Any) -> Any:
    host = mg.get_backend("numpy")
    return mg.transfer(mg.transfer(x, host), x.backend)


def _axis(*values: Any, **settings: Any) -> list[dict[str, Any]]:
    return [{"axis": value, **settings} for value in values]


def _each(name: str, *values: Any) -> list[dict[str, Any]]:
    return [{name: value} for value in values]


_INDICES = (
    *(1, slice(None, None, -2), (..., 0), None, np.array([2, 0, 2]), np.array([[0, -1], [1, 1]])),
    *((slice(None), np.array([1, 1])), (np.array([0, 2]), np.array([1, 1]))),
    np.array([True, False, True]),
)
_NONE: dict[str, Any] = {"slope": "none"}
_LOGITS = (real(4, 3), positive(3))  # four samples, three classes, a weight per class

OP_CASES: dict[str, list[Case]] = {
    # --- arithmetic
    "add": elementwise(mg.add, np.add, real, real),
    "subtract": elementwise(mg.subtract, np.subtract, real, real),
    "multiply": elementwise(mg.multiply, np.multiply, real, real),
    "divide": elementwise(mg.divide, np.divide, real, away(0, gap=0.5)),
    "negative": elementwise(mg.negative, np.negative, real),
    "power": [
        *elementwise(mg.power, np.power, positive, real),
        *calls(lambda x, b: x**b, lambda x, b: x**b, [real(2, 3)], _each("b", 1, 2, 3.0)),
        *calls(lambda x, b: x**b, lambda x, b: x**b, [positive(2, 3)], _each("b", -1, 0.5)),
        *calls(lambda x, b: x**b, lambda x, b: x**b, [holed(2, 3)], _each("b", 0), "zero"),
        *calls(lambda x, a: a**x, lambda x, a: a**x, [real(2, 3)], _each("a", 2.0)),
        *calls(lambda x, a: a**x, lambda x, a: a**x, [real(2, 3)], _each("a", 1), "zero"),
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
            _each("a", 2.0),
        ),
        *calls(
            lambda a, b: power_log(a, b, times=1),
            lambda a, b: a**b * np.log(a),
            [positive(3)],
            _each("b", 2, 0.5),
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
        *calls(mg.prod, np.prod, [holed(2, 3)], _axis(None, 0, 1)),
    ],
    "var": [
        *reduction(mg.var, np.var, real, scalar="zero", empty=False),
        *calls(mg.var, np.var, [real(2, 3)], _axis(0, -1, ddof=1)),
    ],
    "std": [
        *reduction(mg.std, np.std, real, scalar="flat", empty=False),
        *calls(mg.std, np.std, [real(3, 4)], _axis(0, -1, ddof=1)),
    ],
    "norm": [
        *reduction(mg.norm, ref.norm, away(0), scalar="first"),
        *calls(mg.norm, ref.norm, [away(0)(2, 3)], _axis(1, None, ord=1)),
        *calls(mg.norm, ref.norm, [distinct(0.1)(2, 3)], _axis(0, ord=math.inf)),
    ],
    "logsumexp": reduction(mg.logsumexp, ref.logsumexp, real),
    "cumsum": calls(mg.cumsum, np.cumsum, [real(2, 3)], _axis(None, 0, 1, -1)),
    "cumsum_along": calls(cumsum_along, np.cumsum, [real(2, 3), real(0, 2)], _axis(0, -1)),
    "argmax": calls(
        mg.argmax, np.argmax, [real(2, 3), grades(2, 3)], _axis(None, 0, -1), slope="none"
    ),
    "argmin": calls(
        mg.argmin, np.argmin, [real(2, 3), grades(2, 3)], _axis(None, 0, -1), slope="none"
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
            _each("text", "ij->ji", "ij", "ij->", "ij->j", "ii", "ii->i", "...j->...", "ji"),
        ),
        *calls(
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [(real(2, 3), real(3, 2))],
            _each("text", "ij,jk->ik", "ij,jk", "ij,kl->jk", "ij,ji->", "ij , jk -> ki", "ij,ab"),
        ),
        *calls(
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [(real(2, 2, 3), real(3, 2))],
            _each("text", "bij,jk->bik", "...ij,jk->...ik", "bij,jk->kb", "iij,jk->ik"),
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
            _each("text", "i,i", "i,i->i"),
        ),
        *calls(
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [(real(2, 3), real(1, 2)), (real(2, 1), real(3, 1))],
            _each("text", "ij,jk->ik", "ij,jk", "ij,jk->j", "ij,jk->kji"),
        ),
    ],
    "contract": calls(
        _listed(contract),
        lambda a, b, terms, output: np.einsum(f"{','.join(terms)}->{output}", a, b),
        [(real(2, 3), real(3, 2))],
        [{"terms": ("ij", "jk"), "output": "ik"}, {"terms": ("ij", "ji"), "output": ""}],
    ),
    # --- shape
    "reshape": calls(mg.reshape, np.reshape, [real(2, 3)], _each("shape", (3, 2), (-1,), (6, 1)))
    + calls(mg.reshape, np.reshape, [real()], _each("shape", (1, 1)))
    + calls(mg.reshape, np.reshape, [real(0, 3)], _each("shape", (3, 0))),
    "transpose": calls(mg.transpose, np.transpose, [real(2, 3), real(), real(0, 2)])
    + calls(mg.transpose, np.transpose, [real(2, 1, 3)], _each("axes", (2, 0, 1), (-1, 0, 1))),
    "broadcast_to": calls(
        mg.broadcast_to, np.broadcast_to, [real(3), real(2, 1), real()], _each("shape", (2, 3))
    )
    + calls(mg.broadcast_to, np.broadcast_to, [real(1, 3)], _each("shape", (0, 3), (2, 4, 3))),
    "expand_dims": calls(mg.expand_dims, np.expand_dims, [real(2, 3)], _axis(0, -1, (0, 2), 1)),
    "squeeze": calls(mg.squeeze, np.squeeze, [real(1, 2, 1)], _axis(None, 0, -1, (0, 2))),
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
        _axis(0, 1, -1),
    )
    + calls(_listed(mg.concatenate), _listed(np.concatenate), [(real(1, 3), real(0, 3))]),
    "stack": calls(
        _listed(mg.stack), _listed(np.stack), [(real(2, 3), real(2, 3))], _axis(0, 1, -1, -3)
    )
    + calls(_listed(mg.stack), _listed(np.stack), [(real(), real(), real())]),
    "split": calls(
        mg.split,
        lambda x, sections, axis: np.split(x, sections, axis),
        [real(2, 6)],
        [*_axis(1, -1, sections=3), *_axis(1, sections=(1, 4)), *_axis(0, sections=(0, 1, 1))],
    )
    + calls(
        mg.split,
        lambda x, sections, axis: np.split(x, sections, axis),
        [real(5)],
        _axis(0, sections=(-2,)) + _axis(0, sections=(3, 9)),
    ),
    "unstack": calls(
        mg.unstack,
        lambda x, axis: [np.take(x, i, axis) for i in range(x.shape[axis])],
        [real(2, 3), real(3, 2, 1)],
        _axis(0, 1, -1),
    ),
    "flip": calls(mg.flip, np.flip, [real(2, 3)], _axis(None, 0, -1, (0, 1)))
    + calls(mg.flip, np.flip, [real(), real(0, 2)]),
    "pad": calls(mg.pad, np.pad, [real(2, 3)], _each("pad_width", 1, (0, 2), ((1, 0), (2, 1))))
    + calls(mg.pad, np.pad, [real(2)], [{"pad_width": ((1, 2),), "constant_values": 3.5}]),
    "pad_with": calls(
        pad_with,
        lambda x, widths, value: np.pad(x, widths, constant_values=value),
        [real(2, 3), real(0, 3)],
        [{"widths": ((1, 0), (0, 2)), "value": 1.5}],
    ),
    "repeat": calls(
        mg.repeat, np.repeat, [real(2, 3)], [*_axis(None, 0, -1, repeats=2), {"repeats": 0}]
    ),
    "tile": calls(mg.tile, np.tile, [real(2, 3)], _each("reps", 2, (2, 1), (2, 1, 2), (0, 1)))
    + calls(mg.tile, np.tile, [real()], _each("reps", (2, 2))),
    "tril": calls(mg.tril, np.tril, [real(3, 4), real(2, 2, 2)], _each("k", 0, 1, -1)),
    "triu": calls(mg.triu, np.triu, [real(3, 4), real(2, 2, 2)], _each("k", 0, 1, -1)),
    # --- positions
    "index": calls(mg.index, lambda x, index: x[index], [real(3, 2)], _each("index", *_INDICES)),
    "getitem": calls(getitem, lambda x, index: x[index], [real(3, 2)], _each("index", 0, (..., 1))),
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
        _axis(None, 0, 1, -2, indices=np.array([1, 0, 1])) + _axis(0, 1, indices=1),
    ),
    "scatter_add": calls(
        lambda x, values, index: mg.scatter_add(x, index, values),
        lambda x, values, index: ref.scatter_add(x, values, index),
        [(real(3, 2), real(2)), (real(3, 2), real())],
        _each("index", *_INDICES[:2], *_INDICES[4:6], _INDICES[8]),
    ),
    # --- conversions
    "astype": calls(
        mg.astype, lambda x, dtype: x.astype(dtype), [real(2, 3), real()], _each("dtype", "float64")
    )
    + calls(
        mg.astype, lambda x, dtype: x.astype(dtype), [real(2, 3)], _each("dtype", "int64"), "none"
    ),
    "cast": calls(
        cast, lambda x, dtype: x.astype(dtype), [real(3)], _each("dtype", np.dtype("f8"))
    ),
    "discretize": calls(
        discretize, lambda x, dtype: x.astype(dtype), [real(3)], _each("dtype", "int64"), "none"
    ),
    "transfer": calls(_there_and_back, lambda x: x, [real(2, 3), real(), real(0, 2)]),
    # --- softmax
    "softmax_along": calls(softmax_along, ref.softmax, [real(2, 3), real(0, 3)], _axis(0, -1)[1:])
    + calls(softmax_along, ref.softmax, [real(2, 3)], _axis(0)),
    "log_softmax_along": calls(
        log_softmax_along,
        lambda x, axis: np.log(ref.softmax(x, axis)),
        [real(2, 3), real(0, 3)],
        _axis(-1),
    )
    + calls(
        log_softmax_along, lambda x, axis: np.log(ref.softmax(x, axis)), [real(2, 3)], _axis(0)
    ),
    "label_losses": calls(
        _losses_of_labels,
        lambda x, index: -np.log(ref.softmax(x, -1))[index],
        [real(4, 3)],
        _each("index", (np.arange(4), np.array([0, 2, 1, 1]))),
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
        _each("index", (np.arange(4), np.array([0, 2, 1, 1]))),
    ),
    # --- activations
    "softmax": calls(F.softmax, ref.softmax, [real(2, 3)], _axis(0, -1)),
    "log_softmax": calls(
        F.log_softmax, lambda x, axis: np.log(ref.softmax(x, axis)), [real(2, 3)], _axis(0, -1)
    ),
    "silu": elementwise(F.silu, lambda x: x * ref.sigmoid(x), real),
    "gelu": elementwise(F.gelu, ref.gelu, real),
    "elu": elementwise(F.elu, ref.elu, away(0)) + elementwise(F.elu, ref.elu, away(0), alpha=0.5),
    "leaky_relu": elementwise(F.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x), away(0)),
    # --- layers
    "linear": calls(
        F.linear, lambda x, w, b=0: x @ w.T + b, [(real(4, 3), real(2, 3)), (real(3), real(2, 3))]
    )
    + calls(F.linear, lambda x, w, b: x @ w.T + b, [(real(2, 2, 3), real(2, 3), real(2))]),
    "embedding": calls(F.embedding, lambda i, w: w[i], [(integers(4)(2, 3), real(4, 2))])
    + calls(lambda w: F.embedding([1, 1, 0], w), lambda w: w[[1, 1, 0]], [real(4, 2)]),
    "dropout": calls(
        _seeded_dropout, lambda x, p: ref.dropout(x, p, 3), [real(3, 4)], _each("p", 0.4)
    ),
    "layer_norm": calls(lambda x: F.layer_norm(x, 4), ref.layer_norm, [real(3, 4), real(2, 1, 4)])
    + calls(
        lambda x, w, b: F.layer_norm(x, (2, 3), w, b),
        lambda x, w, b: ref.layer_norm(x, w, b, axes=2),
        [(real(2, 2, 3), real(2, 3), real(2, 3))],
    ),
    # --- losses
    "mse_loss": calls(
        F.mse_loss,
        lambda x, t, reduction: ref.reduced((x - t) ** 2, reduction),
        [(real(2, 3), real(2, 3))],
        _each("reduction", "mean", "sum", "none"),
    ),
    "l1_loss": calls(
        F.l1_loss,
        lambda x, t, reduction: ref.reduced(np.abs(x - t), reduction),
        [(distinct()(2, 3), distinct(0.15)(2, 3))],
        _each("reduction", "mean", "sum", "none"),
    ),
    "huber_loss": calls(
        F.huber_loss,
        ref.huber,
        [(away(-0.8, 0, 0.8)(3, 4), small(3, 4))],  # errors on both sides of delta
        [{"delta": 0.8, "reduction": reduction} for reduction in ("mean", "sum", "none")],
    ),
    "binary_cross_entropy_with_logits": calls(
        F.binary_cross_entropy_with_logits,
        ref.binary_cross_entropy,
        [(real(2, 3), positive(2, 3))],
        [{}, {"reduction": "sum"}, {"reduction": "none", "pos_weight": 2.5}],
    ),
    "cross_entropy": [
        *calls(F.cross_entropy, ref.cross_entropy, [real(3)], _each("target", 1)),
        *calls(F.cross_entropy, ref.cross_entropy, [real(4, 3)], _each("target", [0, 2, 1, 1])),
        *calls(
            lambda x, weight, **settings: F.cross_entropy(x, weight=weight, **settings),
            ref.cross_entropy,
            [_LOGITS],
            [
                {"target": [0, -100, 1, 1], "reduction": "mean", "label_smoothing": 0.2},
                {"target": [2, -1, 0, 1], "reduction": "sum", "ignore_index": -1},
                {"target": [2, 2, 0, 1], "reduction": "none", "label_smoothing": 0.1},
            ],
        ),
        *calls(
            F.cross_entropy, ref.cross_entropy, [real(2, 3, 2)], _each("target", [[0, 1], [2, 2]])
        ),
        *calls(
            F.cross_entropy,
            ref.cross_entropy_soft,
            [
                (real(4, 3), positive(4, 3)),
                (real(3), positive(3)),
                (real(2, 3, 2), positive(2, 3, 2)),
            ],
            [{}, {"label_smoothing": 0.2, "reduction": "none"}],
        ),
    ],
    "nll_loss": calls(
        lambda x, weight, **settings: F.nll_loss(F.log_softmax(x, 1), weight=weight, **settings),
        ref.cross_entropy,
        [_LOGITS],
        [{"target": [0, 2, 1, -100]}, {"target": [1, 1, 0, 2], "reduction": "none"}],
    ),
}
