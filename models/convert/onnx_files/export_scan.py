"""How a scan is written: ONNX's node of that name, with a step as the graph within it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .sizes import Size
from .values import Known
from .writer import Writer, element_type, needed

__all__ = ["Scan"]


@dataclass
class Scan:
    """A scan, as far as it is written.

    inputs : what it reads: xs, then the states, then a mask (T, N) if it is masked.
    given : what a step reads: x, then the states.
    results : what a step gives: y, then the states; `kinds` are their dtypes and numbers of axes.
    nodes : of the step.
    """

    inputs: list[str]
    given: list[Known]
    results: list[str]
    kinds: list[tuple[np.dtype, int]]
    nodes: list[Any]
    states: int
    masked: bool
    reverse: bool

    def body(self, w: Writer) -> Any:
        """The graph of a step: states and x to states and y; what doesn't count is passed over."""
        before, x = self.given[-self.states :], self.given[: -self.states]
        ys, after = self.results[: -self.states], self.results[-self.states :]
        given = [_described(w, value.name, value.dtype, value.shape) for value in (*before, *x)]
        if self.masked:
            counts = w.fresh("counts")
            given.append(_described(w, counts, np.dtype(bool), [None]))
            zeros = [w.constant(0, dtype) for dtype, _ in self.kinds]
            otherwise = [*zeros[: len(ys)], *(old.name for old in before)]
            chosen = [
                _chosen(w, counts, a, b, ndim)
                for a, b, (_, ndim) in zip(self.results, otherwise, self.kinds, strict=True)
            ]
            ys, after = chosen[: len(ys)], chosen[len(ys) :]
        dtypes = [dtype for dtype, _ in self.kinds]
        # Copies, as a step may give what it was given, or one value twice.
        names = [w.node("Identity", name) for name in (*after, *ys)]
        outputs = [
            _described(w, name, dtype, None)
            for name, dtype in zip(names, (*dtypes[len(ys) :], *dtypes[: len(ys)]), strict=True)
        ]
        return w.onnx.helper.make_graph(needed(self.nodes, names), "step", given, outputs)

    def write(self, w: Writer, body: Any) -> list[str]:
        """Write the node; returns the names of ys and of the last states."""
        xs = len(self.inputs) - self.states - self.masked
        scanned = [*self.inputs[:xs], *self.inputs[xs + self.states :]]
        direction = int(self.reverse)
        count = len(self.results) - self.states
        made = w.nodes_of(
            "Scan",
            [*self.inputs[xs : xs + self.states], *scanned],
            self.states + count,
            name="scan",
            body=body,
            num_scan_inputs=len(scanned),
            scan_input_directions=[direction] * len(scanned),
            scan_output_directions=[direction] * count,
        )
        return [*made[self.states :], *made[: self.states]]


def _described(
    w: Writer, name: str, dtype: np.dtype, shape: Sequence[int | Size | None] | None
) -> Any:
    axes = None if shape is None else [n if isinstance(n, int) else None for n in shape]
    return w.onnx.helper.make_tensor_value_info(name, element_type(dtype), axes)


def _chosen(w: Writer, counts: str, a: str, b: str, ndim: int) -> str:
    """a in the rows that count, else b."""
    axes = w.constant(list(range(1, ndim)), np.int64)
    return w.node("Where", w.node("Unsqueeze", counts, axes) if ndim > 1 else counts, a, b)
