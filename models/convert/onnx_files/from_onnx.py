"""A module from an ONNX model: its nodes run as minigrad's ops, and its numbers are parameters."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Buffer, Module, Parameter

from ..refusals import ConversionError
from . import import_shapes
from .gates import KINDS
from .import_ops import OPS, Reader
from .import_recurrent import RecurrentNode
from .read_file import array_of_tensor, attributes_of, padding_of, read_model

__all__ = ["OnnxModule", "from_onnx"]

assert import_shapes  # its ops are in OPS


def from_onnx(source: str | os.PathLike[str] | bytes | Any) -> OnnxModule:
    """The module that an ONNX model is: it runs on any backend, and can be trained further.

    Parameters
    ----------
    source : a path, the bytes of a file, or an `onnx.ModelProto`, of opset 13 or newer. Nothing in
        it is executed. A file whose numbers lie in other files isn't read.

    Raises
    ------
    ConversionError (a ValueError) : a damaged file, or an op that isn't known here; the text names
        the node and the op.
    OSError : the file can't be read.
    ImportError : the package onnx isn't installed.

    Examples
    --------
    >>> import minigrad as mg
    >>> from minigrad.models.convert import from_onnx, to_onnx
    >>> layer = mg.nn.GRU(3, 4)
    >>> again = from_onnx(to_onnx(layer, mg.ones((5, 2, 3))))
    >>> again
    OnnxModule(x -> y, h_n; RNN, LSTM, GRU: 1; other nodes: 1)
    >>> [name for name, _ in again.named_parameters()]
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    >>> y, h = again(mg.ones((7, 1, 3)))
    >>> bool(mg.allclose(y, layer(mg.ones((7, 1, 3)))[0]))
    True
    """
    model, name = read_model(source)
    return OnnxModule(model.graph, padding_of(model, name))


class _Step(NamedTuple):
    """A node, as it is run."""

    kind: str
    part: str  # its name, for errors
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    reader: Reader | None  # None for a recurrent node
    recurrent: RecurrentNode | None


class OnnxModule(Module):
    """A graph as a module; made by `from_onnx`.

    Its arguments are the graph's inputs, in their order or by name; it returns a tensor, or a tuple
    of them if the graph has several outputs. Inputs may be NumPy arrays.

    Floats among the graph's initialisers are parameters, and all that is constant in it is not:
    means and variances of batch norm, initial states and nodes `Constant`. Parameters keep their
    names; those of recurrent nodes get minigrad's names and layout, so a module that `to_onnx`
    wrote has the parameters that it had.

    >>> import minigrad as mg
    >>> from minigrad.models.convert import from_onnx, to_onnx
    >>> module = from_onnx(to_onnx(mg.nn.Linear(3, 2), mg.ones((1, 3)), axes={"x": ("n", None)}))
    >>> module(mg.ones((5, 3))).sum().backward()
    >>> {name: p.grad.shape for name, p in module.named_parameters()}
    {'weight': (2, 3), 'bias': (2,)}
    """

    def __init__(self, graph: Any, padding: dict[str, int]) -> None:
        arrays = {t.name: array_of_tensor(t, t.name) for t in graph.initializer}
        self.input_names = [x.name for x in graph.input if x.name not in arrays]
        self.output_names = [y.name for y in graph.output]
        self._dtypes = {x.name: x.type.tensor_type.elem_type for x in graph.input}
        self._constants: dict[str, np.ndarray] = {}
        self._held: dict[str, str] = {}  # the module's names of tensors by the graph's
        self._steps: list[_Step] = []
        recurrent = set()
        for i, node in enumerate(graph.node):
            part = node.name or f"node {i}"
            attributes = attributes_of(node, part)
            if node.op_type == "Gather" and node.name in padding:
                attributes["padding"] = padding[node.name]
            if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
                step = self._step(node, part, attributes)
                assert step.reader is not None
                self._constants[node.output[0]] = step.reader.function(**step.attributes)
                continue
            if node.op_type in KINDS and node.domain in ("", "ai.onnx"):
                recurrent.update(node.input[1:4])
                known = RecurrentNode(self, node, part, attributes, arrays | self._constants)
                names = tuple(node.input), tuple(node.output)
                self._steps.append(_Step(node.op_type, part, *names, {}, None, known))
            else:
                self._steps.append(self._step(node, part, attributes))
        self._hold(arrays, recurrent)

    def _step(self, node: Any, part: str, attributes: dict[str, Any]) -> _Step:
        """A node that isn't recurrent, if its op is known."""
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        reader = OPS.get(kind)
        if reader is None:
            raise ConversionError(
                part,
                kind,
                f"this op isn't known here; known are {', '.join(sorted([*OPS, *KINDS]))}",
            )
        unknown = [name for name in attributes if name not in reader.attributes]
        if unknown:
            raise ConversionError(part, kind, f"its attribute {unknown[0]} isn't known here")
        attributes = {**reader.attributes, **attributes}
        if kind == "Split":
            attributes["count"] = len(node.output)
        return _Step(kind, part, tuple(node.input), tuple(node.output), attributes, reader, None)

    def _hold(self, arrays: dict[str, np.ndarray], recurrent: set[str]) -> None:
        """Make parameters and buffers of the initialisers."""
        read: dict[str, list[tuple[_Step, int]]] = {}
        for step in self._steps:
            for i, name in enumerate(step.inputs):
                read.setdefault(name, []).append((step, i))
        for name, array in arrays.items():
            uses = [use for use in read.get(name, ()) if not (use[0].recurrent and 0 < use[1] < 4)]
            if name in recurrent and not uses:
                continue  # its numbers are in the parameters of the recurrent node
            if array.dtype.kind != "f" or all(map(_is_static, uses)):
                self._constants[name] = array
                continue
            full = name
            while hasattr(self, full) or full in ("", "training"):
                full += "_"
            fixed = all(map(_is_fixed, uses))
            setattr(self, full, Buffer(array) if fixed else Parameter(array))
            self._held[name] = full

    def forward(self, *inputs: Any, **by_name: Any) -> Any:
        """The outputs for the graph's inputs."""
        values: dict[str, Any] = dict(self._constants)
        values |= {name: getattr(self, full) for name, full in self._held.items()}
        values |= self._given(inputs, by_name)
        for step in self._steps:
            try:
                self._run(step, values)
            except ConversionError as error:
                if error.part:
                    raise
                raise ConversionError(step.part, step.kind, error.reason) from None
            except Exception as error:
                error.add_note(f"This happened in the node {step.part!r} ({step.kind}).")
                raise
        results = [_tensor(values[name], self._like()) for name in self.output_names]
        return results[0] if len(results) == 1 else tuple(results)

    def _like(self) -> Any:
        """A parameter, on whose backend inputs and results are."""
        return next(self.parameters(), next(self.buffers(), None))

    def _given(self, inputs: tuple[Any, ...], by_name: dict[str, Any]) -> dict[str, Any]:
        """The arguments by the names of the graph's inputs."""
        names = self.input_names
        given = dict(zip(names, inputs, strict=False)) | by_name
        if len(inputs) + len(by_name) != len(names) or given.keys() != {*names}:
            raise TypeError(
                f"the graph takes {', '.join(names)}; got {len(inputs)} by position and "
                f"{', '.join(by_name) or 'none'} by name"
            )
        return {name: _tensor(x, self._like()) for name, x in given.items()}

    def _run(self, step: _Step, values: dict[str, Any]) -> None:
        """Compute a node's outputs."""
        if step.recurrent is not None:  # its weights, 1 to 3, are its own
            inputs = [
                values[name] if name and not 0 < i < 4 else None
                for i, name in enumerate((*step.inputs, *[""] * 7))
            ]
            like = inputs[0] if isinstance(inputs[0], Tensor) else self._like()
            lengths, *initial = (
                None if part is None else _tensor(part, like)
                for part in inputs[4 : 5 + len(step.recurrent.kind.states)]
            )
            x = _tensor(inputs[0], like)
            found: Any = step.recurrent.run(self, x, lengths, initial)
        else:
            found = _call(step, [values[name] if name else None for name in step.inputs])
        listed = found if isinstance(found, list) else [found]
        values.update((name, y) for name, y in zip(step.outputs, listed, strict=False) if name)

    def extra_repr(self) -> str:
        """Its inputs and outputs, and how many nodes it has."""
        layers = sum(step.recurrent is not None for step in self._steps)
        return (
            f"{', '.join(self.input_names)} -> {', '.join(self.output_names)}; "
            f"RNN, LSTM, GRU: {layers}; other nodes: {len(self._steps) - layers}"
        )


def _is_static(use: tuple[_Step, int]) -> bool:
    step, i = use
    return step.reader is not None and i in step.reader.static


def _is_fixed(use: tuple[_Step, int]) -> bool:
    """Whether an input isn't trained: the statistics of batch norm, an initial state."""
    step, i = use
    return (step.kind == "BatchNormalization" and i > 2) or (step.recurrent is not None and i > 3)


def _first_tensor(inputs: list[Any]) -> Tensor | None:
    return next((x for x in inputs if isinstance(x, Tensor)), None)


def _tensor(x: Any, like: Tensor | None) -> Tensor:
    """A tensor; of an array, one on the backend of `like`."""
    if isinstance(x, Tensor):
        return x
    return mg.tensor(x, backend=None if like is None else like.backend)


def _call(step: _Step, inputs: list[Any]) -> Any:
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


def _shape(step: _Step, x: Any) -> np.ndarray:
    if step.kind == "Size":
        return np.asarray(np.prod(x.shape, dtype=np.int64))
    return np.asarray(x.shape[step.attributes["start"] : step.attributes["end"]], np.int64)


OPS["Shape"] = Reader(_shape, (), {"start": 0, "end": None})
OPS["Size"] = Reader(_shape, (), {})
