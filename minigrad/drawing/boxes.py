"""What a picture of a graph says: boxes with words and numbers, arrows, notes; see `draw`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..engine.graph import Node, Output
from ..engine.op import Op
from ..engine.tensor import Leaf, Tensor
from .graph_values import GraphValues, has_parts
from .render import Arrow, Box, Row


class Boxes:
    """Boxes and arrows, node by node; `gaps` says whether a value or a constant is missing."""

    def __init__(
        self,
        known: GraphValues,
        gradients: dict[Node, Tensor | None],
        by_node: dict[Node, str],
        by_array: dict[int, str],
    ) -> None:
        self.known, self.gradients = known, gradients
        self.by_node, self.by_array = by_node, by_array
        self.boxes: list[Box] = []
        self.arrows: list[Arrow] = []
        self.gaps = False
        self._places: dict[Any, int] = {}  # of the boxes, by node or by the id of a constant

    def add(self, node: Node, is_result: bool) -> None:
        """The box of a node, the boxes of its constants, and the arrows to it."""
        constants = self.known.constants[node]
        details = [f"{name}={_short(value)}" for name, value in _settings(node).items()]
        sources = []
        for i, edge in enumerate(node.edges):
            label, constant = _input(node.op, i), constants.get(i)
            if edge is not None:
                sources.append((self._places[edge], label))
            elif constant is not None:
                host = node.backend.to_host(constant) if hasattr(constant, "shape") else constant
                if np.size(host) == 1 and id(constant) not in self.by_array:
                    details.append(f"{label}={_short(host)}")
                else:
                    sources.append((self._constant(constant, host, node.backend), label))
            elif not self.known.freed:
                details.append(f"{label} not kept")
                self.gaps = True
        kind, what = "op", node.op.name
        if isinstance(node, Output):
            kind, what = "output", f"output {node.slot}"
        if is_result:
            kind = "result"
        name = self.by_node.get(node)
        if isinstance(node, Leaf):
            kind, title = "leaf", name or what
        else:
            title = what if name is None else f"{name} = {what}"
        if has_parts(node):
            subtitle = f"{len(node.shape)} outputs"
        else:
            subtitle = _type(node.shape, node.dtype, node.backend)
        place = self._place(node, kind, title, ", ".join(details), subtitle, self._rows(node))
        several = len(sources) > 1
        self.arrows += [Arrow(tail, place, label if several else "") for tail, label in sources]

    def _constant(self, array: Any, host: np.ndarray, backend: Any) -> int:
        """The place of a constant array's box; all that use the array share it."""
        if id(array) in self._places:
            return self._places[id(array)]
        title = self.by_array.get(id(array), "constant")
        rows = _rows(array.shape, {"value": host})
        subtitle = _type(array.shape, array.dtype, backend)
        return self._place(id(array), "constant", title, "", subtitle, rows)

    def _place(
        self, key: Any, kind: str, title: str, detail: str, subtitle: str, rows: list[Row]
    ) -> int:
        does = key.op.__doc__ if isinstance(key, Node) and isinstance(key.op, Op) else None
        lines = [f"{title}  {detail}".rstrip(), *(does or "").splitlines()[:1], subtitle]
        tip = "\n".join([*lines, *(f"{row.label} {row.text}" for row in rows)])
        place = self._places[key] = len(self.boxes)
        self.boxes.append(Box(kind, title, _cut(detail), subtitle, rows, tip))
        return place

    def _rows(self, node: Node) -> list[Row]:
        if has_parts(node):
            return []
        shown: dict[str, np.ndarray | None] = {}
        value = self.known.values.get(node)
        if value is not None:
            shown["value"] = node.backend.to_host(value)
        elif not self.known.freed:
            shown["value"] = None
            self.gaps = True
        if node in self.gradients:
            g = self.gradients[node]
            shown["grad"] = None if g is None else g.numpy()
        return _rows(node.shape, shown)


def notes_on(
    known: GraphValues, differentiated: bool, weighted: bool, hooks: bool, gaps: bool
) -> Iterator[str]:
    """What has to be said below the picture."""
    if known.freed:
        yield (
            "backward() has freed this graph, so the values and gradients within it are gone. "
            "Leaves are shown as they are now; their grad is what .grad holds, the sum of all "
            "backward passes. To see everything, draw before backward(), or keep the graph: "
            "backward(retain_graph=True)."
        )
    elif not differentiated:
        yield (
            "No gradients: the result is not a scalar. Draw a scalar made of it, or give its "
            "cotangent: draw(out, g)."
        )
    else:
        yield "grad: the derivative of the result by the node" + (
            ", the elements of the result weighted by g." if weighted else "."
        )
        if hooks:
            yield "Hooks were not run: gradients are as they would be without them."
    if known.changed:
        yield (
            "A leaf has other numbers now than in the forward pass. Values are those that the "
            "graph kept; leaves that it did not keep are shown as they are now."
        )
    if gaps:
        yield "not kept: no derivative needs it, so the graph does not hold it."


# --- words and numbers -----------------------------------------------------------------------


def _input(op: Any, i: int) -> str:
    """What an op calls its input number `i`."""
    if not isinstance(op, Op):
        return ""
    return str(i) if op.variadic else op.inputs[i]


def _settings(node: Node) -> dict[str, Any]:
    """The settings of an op call that are neither the default nor seen in the shape."""
    if not isinstance(node.op, Op):
        return {}
    return {
        name: value
        for (name, default), value in zip(node.op.settings.items(), node.settings, strict=True)
        if _short(value) not in (_short(default), _short(node.shape))
    }


def _type(shape: Sequence[int], dtype: Any, backend: Any) -> str:
    where = "" if backend.name == "numpy" else f" {backend.name}"
    return f"{tuple(shape)} {dtype}{where}"


def _short(value: Any) -> str:
    """A setting or a number as one would write it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, slice):
        ends = [value.start, value.stop] + [value.step] * (value.step is not None)
        return ":".join("" if end is None else str(end) for end in ends)
    if isinstance(value, np.dtype):
        return value.name
    if value is ...:
        return "..."
    if getattr(value, "size", 0) == 1:
        return _short(value.item())
    if isinstance(value, np.ndarray) and value.size <= 6:
        return repr(value.tolist())
    return f"<{value.dtype} {value.shape}>" if hasattr(value, "shape") else repr(value)


def _cut(text: str, longest: int = 36) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _rows(shape: Sequence[int], arrays: dict[str, np.ndarray | None]) -> list[Row]:
    """Arrays of one shape: a few numbers in full, more as a table of min, mean and max."""
    in_full = (math.prod(shape[:-1]) <= 4 and math.prod(shape[-1:]) <= 4) or 0 in shape
    missing = {"value": "not kept", "grad": "none"}
    rows = []
    if not in_full:
        tables = {k: _statistics(x) for k, x in arrays.items() if x is not None}
        width = max((len(cell) for cells in tables.values() for cell in cells), default=0)
        texts = {k: [_row(cells, width)] for k, cells in tables.items()}
        if texts:
            rows.append(Row("", _row(("min", "mean", "max"), width), "faint"))
    else:
        texts = {k: _matrix(x) for k, x in arrays.items() if x is not None}
    for label, array in arrays.items():
        if array is None:
            rows.append(Row(label, missing[label], "faint"))
            continue
        style = label if np.isfinite(array).all() else "bad"
        rows += [Row("" if i else label, line, style) for i, line in enumerate(texts[label])]
    return rows


def _row(cells: Sequence[str], width: int) -> str:
    return "  ".join(f"{cell:>{width}}" for cell in cells)


def _statistics(array: np.ndarray) -> list[str]:
    array = array.astype(np.float64)
    with np.errstate(all="ignore"):  # the mean of infinities
        return [f"{x:.3g}" for x in (array.min(), array.mean(), array.max())]


def _matrix(array: np.ndarray) -> list[str]:
    """The lines of a small array in full, its columns lined up."""
    if array.size == 0:
        return ["empty"]
    width = max(len(_short(x)) for x in array.reshape(-1).tolist())
    form: Any = {"all": lambda x: f"{_short(x.item()):>{width}}"}
    lines = np.array2string(array, separator=" ", formatter=form, max_line_width=200).splitlines()
    return [line for line in lines if line]
