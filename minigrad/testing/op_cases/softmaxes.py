"""The lines of the op table for softmax, losses of labels, and what layer norm is made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops.softmaxes import (
    label_loss,
    label_losses,
    label_slopes,
    label_sum,
    log_softmax_along,
    softmax_along,
)
from ...ops.standardizing import inverse_deviation, standardize
from .. import references as ref
from ..cases import Case, by_axis, calls, each, real

__all__ = ["SOFTMAX_CASES"]


def _losses_of_labels(x: Any, index: Any) -> Any:
    return label_losses(x, index=tuple(map(x.backend.index_array, index)))


SOFTMAX_CASES: dict[str, list[Case]] = {
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
    "standardize": calls(
        standardize,
        lambda x, eps: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps),
        [real(2, 3), real(2, 1, 4), real(0, 3)],
        each("eps", 0.25),
    ),
    "inverse_deviation": calls(
        inverse_deviation,
        lambda x, eps: 1 / np.sqrt(x.var(-1, keepdims=True) + eps),
        [real(2, 3), real(4)],
        each("eps", 0.25),
    ),
}
