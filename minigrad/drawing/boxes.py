"""What a picture of a graph says: boxes with words and numbers, and notes; see `draw`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..engine.graph import HandmadeOp, Node, Output
from ..engine.op import Op
from ..engine.tensor import Leaf, Tensor
from .graph_values import GraphValues, has_parts, named_inputs
from .groups import printable
from .parts import Box, Row

_MOST_RESULTS = 4  # that a folded box shows


class Boxes:
    """Boxes, node by node; `gaps` says whether a value or a constant is missing.

    `called` has names of nodes, and `arrays` those of arrays by their ids.
    """

    def __init__(
        self,
        known: GraphValues,
        gradients: dict[Node, Tensor | None],
        called: dict[Node, str],
        arrays: dict[int, str],
    ) -> None:
        self.known, self.gradients = known, gradients
        self.called, self.arrays = called, arrays
        self.gaps = False
        self._made: dict[Node, Box] = {}
        self._constants: dict[int, Box] = {}

    def name(self, node: Node) -> str:
        """What the node's value is called, or nothing."""
        return self.called.get(node) or printable(getattr(node, "label", ""))

    def of(self, node: Node) -> Box:
        """The box of a node."""
        if node not in self._made:
            self._made[node] = self._box(node)
        return self._made[node]

    def inputs(self, node: Node) -> Iterator[tuple[Node | int, str]]:
        """What a node takes: nodes, and constants by their ids; and what the op calls it."""
        for i, edge in enumerate(node.edges):
            if edge is not None:
                yield edge, _input(node, i)
            elif (array := self._array(node, i)) is not None and self._has_box(array):
                yield id(array), _input(node, i)

    def constant(self, node: Node, key: int) -> Box:
        """The box of a constant that a node takes; all that use the array share it."""
        if key not in self._constants:
            arrays = self.known.constants[node].values()
            array = next(array for array in arrays if id(array) == key)
            title = self.arrays.get(key, "constant")
            rows = _rows(array.shape, {"value": _on_host(node, array)})
            subtitle = _type(array.shape, array.dtype, node.backend)
            self._constants[key] = make_box("constant", title, "", subtitle, rows)
        return self._constants[key]

    def of_group(self, title: str, nodes: Sequence[Node], leaving: Sequence[Node]) -> Box:
        """The box of nodes that are folded, of which some are used elsewhere."""
        ops = sum(not isinstance(node, (Leaf, Output)) for node in nodes)
        results: dict[tuple[str, str], list[Node]] = {}
        for node in leaving:
            if not has_parts(node):
                label = _cut(self.name(node) or node.op.name, 20)
                results.setdefault((label, str(tuple(node.shape))), []).append(node)
        rows = [
            row
            for key in list(results)[:_MOST_RESULTS]
            for row in self._summary(title, key, results)
        ]
        if len(results) > _MOST_RESULTS:
            rows.append(Row("", f"and {len(results) - _MOST_RESULTS} more results", "faint"))
        parameters = [self.name(n) or "leaf" for n in nodes if isinstance(n, Leaf)]
        count = "1 op" if ops == 1 else f"{ops} ops"
        return make_box("group", title, count, ", ".join(parameters), rows, cut=True)

    def _summary(
        self, title: str, key: tuple[str, str], results: dict[tuple[str, str], list[Node]]
    ) -> Iterator[Row]:
        """What nodes of one name and shape give to others, in a line or two."""
        nodes, (label, shape) = results[key], key
        count = f"{len(nodes)} of " if len(nodes) > 1 else ""
        values = [(node, self.known.values.get(node)) for node in nodes]
        grads = [
            (n, None if g is None else g._data) for n in nodes for g in [self.gradients.get(n)]
        ]
        most, style = _largest(values, "value")
        yield Row("" if label == title else label, f"{count}{shape}{most}", style)
        most, style = _largest(grads, "grad")
        if most:
            yield Row("", f"grad{most}", style)

    def _array(self, node: Node, i: int) -> Any:
        """The constant that is input number `i`, if it is kept."""
        return self.known.constants[node].get(i)

    def _has_box(self, array: Any) -> bool:
        """Whether a constant has a box of its own, rather than a place in that of the op."""
        return id(array) in self.arrays or getattr(array, "size", 1) != 1

    def _box(self, node: Node) -> Box:
        details = [f"{name}={short(value)}" for name, value in _settings(node).items()]
        for i, edge in enumerate(node.edges):
            label, constant = _input(node, i), self._array(node, i)
            if edge is None and constant is not None:
                if not self._has_box(constant):
                    details.append(f"{label}={short(_on_host(node, constant))}")
            elif edge is None and not self.known.freed and not isinstance(node.op, HandmadeOp):
                details.append(f"{label} not kept")
                self.gaps = True
        kind, what = "op", node.op.name
        if isinstance(node, Output):
            kind, what = "output", f"output {node.slot}"
        elif (inside := getattr(node.op, "inside", None)) is not None:
            kind, what = "group", inside(node)[0]
        name = self.name(node)
        if isinstance(node, Leaf):
            kind, title = "leaf", name or what
        else:
            title = f"{name} = {what}" if name else what
        if has_parts(node):
            subtitle = "1 output" if len(node.shape) == 1 else f"{len(node.shape)} outputs"
        else:
            subtitle = _type(node.shape, node.dtype, node.backend)
        does = (node.op.__doc__ or "").splitlines()[:1] if isinstance(node.op, Op) else []
        return make_box(kind, title, ", ".join(details), subtitle, self._rows(node), does)

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


def make_box(
    kind: str,
    title: str,
    detail: str,
    subtitle: str,
    rows: list[Row],
    does: Sequence[str] = (),
    cut: bool = False,
) -> Box:
    """A box, with all of it in its tooltip, whatever is cut."""
    lines = [f"{title}  {detail}".rstrip(), *does, subtitle]
    tip = "\n".join([*filter(None, lines), *(f"{row.label} {row.text}" for row in rows)])
    return Box(kind, title, _cut(detail), _cut(subtitle) if cut else subtitle, rows, tip)


def _largest(arrays: Sequence[tuple[Node, Any]], style: str) -> tuple[str, str]:
    """The largest absolute number in arrays, in words, and the style of its row."""
    found = [
        np.abs(_on_host(node, array)).max(initial=0) for node, array in arrays if array is not None
    ]
    if len(found) < len(arrays):
        return "", style
    most = np.max(found)
    return f" up to ±{most:.3g}", style if np.isfinite(most) else "bad"


def _on_host(node: Node, array: Any) -> Any:
    """An array, or a number, of a node's backend, as NumPy's."""
    return node.backend.to_host(array) if hasattr(array, "shape") else array


def _input(node: Node, i: int) -> str:
    """What the op of a node calls its input number `i`."""
    op = node.op
    if not isinstance(op, Op):
        return dict(enumerate(named_inputs(node))).get(i, ("",))[0]
    return str(i) if op.variadic else op.inputs[i]


def _settings(node: Node) -> dict[str, Any]:
    """The settings of an op call that are neither the default nor seen in the shape."""
    if not isinstance(node.op, Op):
        return {}
    return {
        name: value
        for (name, default), value in zip(node.op.settings.items(), node.settings, strict=True)
        if short(value) not in (short(default), short(node.shape))
    }


def _type(shape: Sequence[int], dtype: Any, backend: Any) -> str:
    where = "" if backend.name == "numpy" else f" {backend.name}"
    return f"{tuple(shape)} {dtype}{where}"


def short(value: Any) -> str:
    """A setting or a number as one would write it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple):
        return f"({', '.join(map(short, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, slice):
        ends = [value.start, value.stop] + [value.step] * (value.step is not None)
        return ":".join("" if end is None else str(end) for end in ends)
    if isinstance(value, np.dtype):
        return value.name
    if value is ...:
        return "..."
    if getattr(value, "size", 0) == 1:
        return short(value.item())
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
    width = max(len(short(x)) for x in array.reshape(-1).tolist())
    form: Any = {"all": lambda x: f"{short(x.item()):>{width}}"}
    lines = np.array2string(array, separator=" ", formatter=form, max_line_width=200).splitlines()
    return [line for line in lines if line]
