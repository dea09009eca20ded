"""A module from an ONNX model: its nodes run as minigrad's ops, and its numbers are parameters."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from minigrad.nn import Buffer, Module, Parameter

from .gates import KINDS
from .plan import Plan, Step, as_tensor
from .read_file import array_of_tensor, padding_of, read_model, tensors_in

__all__ = ["OnnxModule", "from_onnx"]


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
    OnnxModule(x -> y, h_n; recurrent nodes: 1; others: 1)
    >>> [name for name, _ in again.named_parameters()]
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    >>> y, h = again(mg.ones((7, 1, 3)))
    >>> bool(mg.allclose(y, layer(mg.ones((7, 1, 3)))[0]))
    True
    """
    model, name = read_model(source)
    return OnnxModule(model.graph, padding_of(model, name))


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
        arrays = {t.name: array_of_tensor(t, t.name) for t in tensors_in(graph) if t.name}
        self._plan = Plan(self, graph, arrays, padding)
        self.input_names = [name for name in self._plan.inputs if name not in arrays]
        self.output_names = self._plan.outputs
        self._constants: dict[str, np.ndarray] = {}
        self._held: dict[str, str] = {}  # the module's names of tensors by the graph's
        self._hold(arrays)

    def _hold(self, arrays: dict[str, np.ndarray]) -> None:
        """Make parameters and buffers of the initialisers."""
        read: dict[str, list[tuple[Step, int]]] = {}
        for step in self._plan.all_steps():
            for i, name in enumerate(step.inputs):
                read.setdefault(name, []).append((step, i))
        for name, array in arrays.items():
            uses = [use for use in read.get(name, ()) if not (use[0].recurrent and 0 < use[1] < 4)]
            if name in self._plan.weights and not uses:
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
        self._plan.run(self, values, self._like())
        results = [as_tensor(values[name], self._like()) for name in self.output_names]
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
        return {name: as_tensor(x, self._like()) for name, x in given.items()}

    def extra_repr(self) -> str:
        """Its inputs and outputs, and how many nodes it has."""
        steps = self._plan.steps
        layers = sum(step.kind in {*KINDS, "Scan"} for step in steps)
        return (
            f"{', '.join(self.input_names)} -> {', '.join(self.output_names)}; "
            f"recurrent nodes: {layers}; others: {len(steps) - layers}"
        )


def _is_static(use: tuple[Step, int]) -> bool:
    step, i = use
    return step.reader is not None and i in step.reader.static


def _is_fixed(use: tuple[Step, int]) -> bool:
    """Whether an input isn't trained: the statistics of batch norm, an initial state."""
    step, i = use
    return (step.kind == "BatchNormalization" and i > 2) or (step.recurrent is not None and i > 3)
