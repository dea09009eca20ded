"""The lines of the op table for compositions of ops: activations, layers, losses."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg

from ... import functional as F
from .. import references as ref
from ..cases import (
    Case,
    away,
    by_axis,
    calls,
    distinct,
    each,
    elementwise,
    integers,
    positive,
    real,
    shares,
    small,
)

__all__ = ["FUNCTION_CASES"]


def _seeded_dropout(x: Any, p: float) -> Any:
    mg.manual_seed(3)
    return F.dropout(x, p)


_LOGITS = (real(4, 3), positive(3))  # four samples, three classes, a weight per class

FUNCTION_CASES: dict[str, list[Case]] = {
    # --- activations
    "softmax": calls(F.softmax, ref.softmax, [real(2, 3)], by_axis(0, -1)),
    "log_softmax": calls(
        F.log_softmax, lambda x, axis: np.log(ref.softmax(x, axis)), [real(2, 3)], by_axis(0, -1)
    ),
    "silu": elementwise(F.silu, lambda x: x * ref.sigmoid(x), real),
    "gelu": elementwise(F.gelu, ref.gelu, real)
    + elementwise(F.gelu, ref.gelu, real, approximate="none"),
    "elu": elementwise(F.elu, ref.elu, away(0)) + elementwise(F.elu, ref.elu, away(0), alpha=0.5),
    "leaky_relu": elementwise(F.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x), away(0)),
    # --- layers
    "linear": calls(
        F.linear, lambda x, w, b=0: x @ w.T + b, [(real(4, 3), real(2, 3)), (real(3), real(2, 3))]
    )
    + calls(F.linear, lambda x, w, b: x @ w.T + b, [(real(2, 2, 3), real(2, 3), real(2))]),
    "embedding": calls(F.embedding, lambda i, w: w[i], [(integers(4)(2, 3), real(4, 2))])
    + calls(lambda w: F.embedding([1, 1, 0], w), lambda w: w[[1, 1, 0]], [real(4, 2)]),
    "one_hot": calls(
        F.one_hot,
        lambda i, num_classes: np.eye(num_classes, dtype=int)[i],
        [integers(4)(2, 3), integers(2)(), integers(4)(0, 2)],
        each("num_classes", 4),
        "none",
    )
    + calls(
        lambda i, w: F.one_hot(i, 4, w.dtype) @ w, lambda i, w: w[i], [(integers(4)(3), real(4, 2))]
    ),
    "dropout": calls(
        _seeded_dropout, lambda x, p: ref.dropout(x, p, 3), [real(3, 4)], each("p", 0.4)
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
        each("reduction", "mean", "sum", "none"),
    ),
    "l1_loss": calls(
        F.l1_loss,
        lambda x, t, reduction: ref.reduced(np.abs(x - t), reduction),
        [(distinct()(2, 3), distinct(0.15)(2, 3))],
        each("reduction", "mean", "sum", "none"),
    ),
    "huber_loss": calls(
        F.huber_loss,
        ref.huber,
        [(away(-0.8, 0, 0.8)(3, 4), small(3, 4))],  # errors on both sides of delta
        [{"delta": 0.8, "reduction": reduction} for reduction in ("mean", "sum", "none")],
    ),
    "smooth_l1_loss": calls(
        F.smooth_l1_loss,
        lambda x, t, beta, reduction="mean": ref.huber(x, t, beta, reduction) / beta,
        [(away(-0.8, 0, 0.8)(3, 4), small(3, 4))],
        [{"beta": 0.8}, {"beta": 0.8, "reduction": "none"}],
    )
    + calls(
        lambda x, t: F.smooth_l1_loss(x, t, beta=0),
        lambda x, t: np.abs(x - t).mean(),
        [(distinct()(2, 3), distinct(0.15)(2, 3))],
    ),
    "binary_cross_entropy_with_logits": calls(
        F.binary_cross_entropy_with_logits,
        lambda x, t, **options: ref.binary_cross_entropy(ref.sigmoid(x), t, **options),
        [(real(2, 3), positive(2, 3))],
        [{}, {"reduction": "sum"}, {"reduction": "none", "pos_weight": 2.5, "weight": 0.3}],
    )
    + calls(
        lambda x, t, w, v: F.binary_cross_entropy_with_logits(x, t, w, pos_weight=v),
        lambda x, t, w, v: ref.binary_cross_entropy(ref.sigmoid(x), t, w, pos_weight=v),
        [(real(2, 3), shares(2, 3), positive(2, 1), positive(3))],
    ),
    "binary_cross_entropy": calls(
        F.binary_cross_entropy,
        ref.binary_cross_entropy,
        [(shares(2, 3), shares(2, 3))],
        [{}, {"reduction": "sum"}, {"reduction": "none", "weight": 0.3}],
    )
    + calls(
        F.binary_cross_entropy,
        ref.binary_cross_entropy,
        [(shares(2, 3), shares(2, 3), positive(3))],
    ),
    "kl_div": calls(
        F.kl_div,
        ref.kl_div,
        [(real(2, 3), positive(2, 3))],
        [{}, {"reduction": "batchmean"}, {"reduction": "none"}],
    )
    + calls(
        F.kl_div,
        lambda x, t, log_target, reduction: ref.kl_div(x, np.exp(t), reduction),
        [(real(2, 3), real(2, 3))],
        [{"log_target": True, "reduction": kind} for kind in ("sum", "batchmean")],
    ),
    "cross_entropy": [
        *calls(F.cross_entropy, ref.cross_entropy, [real(3)], each("target", 1)),
        *calls(F.cross_entropy, ref.cross_entropy, [real(4, 3)], each("target", [0, 2, 1, 1])),
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
            F.cross_entropy, ref.cross_entropy, [real(2, 3, 2)], each("target", [[0, 1], [2, 2]])
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
    "ctc_loss": calls(
        lambda x, targets, **settings: F.ctc_loss(
            F.log_softmax(x, -1), targets, None, None, reduction="none", **settings
        ),
        lambda x, targets, **settings: ref.ctc_loss(
            np.log(ref.softmax(x, -1)), targets, **settings
        ),
        [real(4, 2, 3)],
        [{"targets": [[1, 1], [2]]}, {"targets": [[], [0, 1, 0]], "blank": 2}],
    ),
}
