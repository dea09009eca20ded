"""The nodes of a graph in the order in which they run, and how each of them runs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module

from ..refusals import ConversionError
from . import import_shapes
from .gates import KINDS
from .import_ops import OPS, Reader
from .import_recurrent import RecurrentNode
from .read_file import attributes_of

__all__ = ["Plan", "Step", "as_tensor"]

assert import_shapes  # its ops are in OPS


class Step(NamedTuple):
    """A node, as it is run: an op, a recurrent node, or a scan with a plan of its own."""

    kind: str
    part: str  # its name, for errors
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    reader: Reader | None = None
    recurrent: RecurrentNode | None = None
    body: Plan | None = None


class Plan:
    """The nodes of a graph.

    module : holds the parameters of recurrent nodes.
    arrays : the numbers in the file, by name; of a graph within a node, those outside, too.
    padding : rows that get no gradient, by the names of Gather nodes.

    Attributes
    ----------
    steps : the nodes, in their order.
    constants : what nodes `Constant` give, by name.
    weights : the names of what recurrent nodes have taken as their parameters.
    """

    def __init__(
        self, module: Module, graph: Any, arrays: dict[str, np.ndarray], padding: dict[str, int]
    ) -> None:
        self.inputs = [x.name for x in graph.input]
        self.outputs = [y.name for y in graph.output]
        self.steps: list[Step] = []
        self.constants: dict[str, np.ndarray] = {}
        self.weights: set[str] = set()
        for i, node in enumerate(graph.node):
            self._add(module, node, node.name or f"node {i}", arrays, padding)

    def _add(
        self, module: Module, node: Any, part: str, arrays: Any, padding: dict[str, int]
    ) -> None:
        """Add a node, if its op is known."""
        ours = node.domain in ("", "ai.onnx")
        names = tuple(node.input), tuple(node.output)
        if ours and node.op_type == "Scan":
            (body,) = (a.g for a in node.attribute if a.name == "body")
            attributes = attributes_of(node, part, but="body")
            inner = Plan(module, body, arrays, padding)
            self.weights |= inner.weights
            self.steps.append(Step("Scan", part, *names, attributes, body=inner))
            return
        attributes = attributes_of(node, part)
        if ours and node.op_type in KINDS:
            self.weights.update(node.input[1:4])
            known = RecurrentNode(module, node, part, attributes, arrays | self.constants)
            self.steps.append(Step(node.op_type, part, *names, {}, recurrent=known))
            return
        kind = node.op_type if ours else f"{node.domain}.{node.op_type}"
        reader = OPS.get(kind)
        if reader is None:
            known_ops = ", ".join(sorted([*OPS, *KINDS, "Scan"]))
            raise ConversionError(part, kind, f"this op isn't known here; known are {known_ops}")
        if node.op_type == "Gather" and node.name in padding:
            attributes["padding"] = padding[node.name]
        unknown = [name for name in attributes if name not in reader.attributes]
        if unknown:
            raise ConversionError(part, kind, f"its attribute {unknown[0]} isn't known here")
        attributes = {**reader.attributes, **attributes}
        if kind == "Constant":
            if all(value is None for value in attributes.values()):
                raise ConversionError(part, kind, "it has no value")
            self.constants[node.output[0]] = reader.function(**attributes)
            return
        if kind == "Split":
            attributes["count"] = len(node.output)
        self.steps.append(Step(kind, part, *names, attributes, reader))

    def all_steps(self) -> list[Step]:
        """Those of the graph, and of the graphs within."""
        inner = [step.body.all_steps() for step in self.steps if step.body is not None]
        return [*self.steps, *(step for steps in inner for step in steps)]

    def reads(self) -> set[str]:
        """What the graph reads from outside of it."""
        made = {*self.inputs, *self.constants}
        found: set[str] = set()
        for step in self.steps:
            given = {*step.inputs} if step.recurrent is None else {step.inputs[0], *step.inputs[4:]}
            found |= (given | (step.body.reads() if step.body else set())) - made
            made |= {*step.outputs}
        return (found | ({*self.outputs} - made)) - {""}

    def run(self, module: Any, values: dict[str, Any], like: Tensor | None) -> None:
        """Compute all values; `like` is a tensor on the backend that arrays go to."""
        values.update(self.constants)
        for step in self.steps:
            try:
                found = _run(step, module, values, like)
            except ConversionError as error:
                if error.part:
                    raise
                raise ConversionError(step.part, step.kind, error.reason) from None
            except Exception as error:
                error.add_note(f"This happened in the node {step.part!r} ({step.kind}).")
                raise
            listed = found if isinstance(found, list) else [found]
            values.update((n, y) for n, y in zip(step.outputs, listed, strict=False) if n)


def _run(step: Step, module: Any, values: dict[str, Any], like: Tensor | None) -> Any:
    """A node's outputs."""
    if step.recurrent is not None:  # its weights, 1 to 3, are its own
        inputs = [
            values[name] if name and not 0 < i < 4 else None
            for i, name in enumerate((*step.inputs, *[""] * 7))
        ]
        x = as_tensor(inputs[0], like)
        lengths, *initial = (
            None if part is None else as_tensor(part, x)
            for part in inputs[4 : 5 + len(step.recurrent.kind.states)]
        )
        return step.recurrent.run(module, x, lengths, initial)
    if step.body is not None:
        return _scan(step, step.body, module, values, like)
    return _call(step, [values[name] if name else None for name in step.inputs])


def _scan(step: Step, body: Plan, module: Any, values: dict[str, Any], like: Any) -> list[Tensor]:
    """A scan over time: the last states, and all outputs."""
    inputs = [as_tensor(values[name], like) for name in step.inputs]
    known = step.attributes
    count = len(inputs) - known.get("num_scan_inputs", 0)
    states, xs = inputs[:count], inputs[count:]
    directions = {
        *known.get("scan_input_directions", [0]),
        *known.get("scan_output_directions", [0]),
    }
    axes = {*known.get("scan_input_axes", [0]), *known.get("scan_output_axes", [0])}
    rows = {x.shape[1:2] for x in xs} | {state.shape[:1] for state in states}
    if not states or not xs or len(directions) > 1 or axes != {0} or len(rows) > 1 or () in rows:
        raise ConversionError(
            "", "Scan", "scans over time are known, of xs (T, N, ...) with states (N, ...), one way"
        )
    outside = {name: values[name] for name in body.reads()}
    weights = {name: x for name, x in outside.items() if isinstance(x, Tensor)}

    def cell(p: Any, x: Any, state: Any) -> Any:
        inner = {**outside, **p, **dict(zip(body.inputs, (*state, *x), strict=True))}
        body.run(module, inner, like)
        found = [as_tensor(inner[name], state[0]) for name in body.outputs]
        return tuple(found[count:] or found[:1]), tuple(found[:count])

    reverse = directions == {1}
    ys, last = mg.scan(cell, weights, tuple(xs), tuple(states), reverse=reverse)
    return [*last, *ys][: len(body.outputs)]


def _first_tensor(inputs: list[Any]) -> Tensor | None:
    return next((x for x in inputs if isinstance(x, Tensor)), None)


def as_tensor(x: Any, like: Tensor | None) -> Tensor:
    """A tensor; of an array, one on the backend of `like`."""
    if isinstance(x, Tensor):
        return x
    return mg.tensor(x, backend=None if like is None else like.backend)


def _call(step: Step, inputs: list[Any]) -> Any:
    """What a node gives. What follows from shapes and constants alone stays on the host."""
    if step.kind in ("Shape", "Size"):
        return _shape(step, inputs[0])
    assert step.reader is not None
    static = step.reader.static
    like = _first_tensor([x for i, x in enumerate(inputs) if i not in static])
    given = [
        x
        if x is None
        else (x.numpy() if isinstance(x, Tensor) else x)
        if i in static
        else x
        if isinstance(x, Tensor)
        else mg.tensor(x, backend="numpy" if like is None else like.backend)
        for i, x in enumerate(inputs)
    ]
    found = step.reader.function(*given, **step.attributes)
    if like is not None:
        return found
    if isinstance(found, list):
        return [y.numpy() for y in found]
    return found.numpy() if isinstance(found, Tensor) else found


def _shape(step: Step, x: Any) -> np.ndarray:
    if step.kind == "Size":
        return np.asarray(np.prod(x.shape, dtype=np.int64))
    return np.asarray(x.shape[step.attributes["start"] : step.attributes["end"]], np.int64)


OPS["Shape"] = Reader(_shape, (), {"start": 0, "end": None})
OPS["Size"] = Reader(_shape, (), {})
