"""A module as an ONNX model: recorded at several sizes, written as one graph, and compared."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import Tensor, no_grad
from minigrad.nn import Module, Recurrent
from minigrad.utils.files import replace_file

from ..certificate import difference
from ..refusals import ConversionError
from . import export_shapes
from .examples import Examples
from .export_elementwise import REFUSED, ROWS, Outcome, Resolved
from .export_layers import write_layer
from .export_scan import Scan
from .from_onnx import from_onnx
from .library import IR_VERSION, OPSET, PADDING, onnx_or_error
from .recorder import Call, Recording, array_of, flat
from .sizes import Size
from .values import Number, Values
from .writer import Writer, element_type, names_read, needed

__all__ = ["to_onnx"]

assert export_shapes  # its rows are in ROWS


def to_onnx(
    module: Module,
    inputs: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    axes: Mapping[str, Sequence[str | None]] | None = None,
    outputs: Sequence[str] | None = None,
    properties: Mapping[str, str] | None = None,
    check: bool = True,
) -> Any:
    """A module as an `onnx.ModelProto`, written to a file if there is a path.

    The module is run in evaluation mode on inputs like the given ones, at several sizes of the
    axes that may vary, and the ops that it calls are written as a graph: of opset 18, which
    onnxruntime reads since 1.14. RNN, LSTM and GRU become a node per layer, scans of other cells a
    node `Scan` with the step in it, other ops a node or a few each. What the module chooses by
    values in Python, as in `if x.sum() > 0`, is written as it came out. Parameters are initialisers
    under their names; those of RNN, LSTM and GRU are laid out as ONNX has them: `recurrent.W_l0`,
    `R_l0` and `B_l0`.

    Parameters
    ----------
    inputs : examples of what the module takes: a tensor, a tuple of arguments, or a dict of them
        by name. An argument may be a tuple, as the state (h, c) of an LSTM is. Lengths are
        integers. The module is run on inputs that are drawn like them: integers of their range,
        floats of their signs and no larger.
    axes : by the name of an input, the names of its axes; None is one whose size stays that of the
        example. Axes of one name have one size. By default all sizes are those of the example, but
        for a recurrent layer, whose x has "time" and "batch".
    outputs : names for the outputs, of which there is one for each tensor that the module returns.
        By default "y", or "y_0", "y_1" and so on; "y" and "h_n" for a recurrent layer.
    properties : texts to keep in the file, by name, such as a vocabulary; other programs find them
        in the model's metadata.
    check : whether the graph is read again by `from_onnx`, run at other sizes and compared.

    Raises
    ------
    ConversionError (a ValueError) : something has no place in ONNX; the text says what, and why.
    ImportError : the package onnx isn't installed.

    Examples
    --------
    >>> import minigrad as mg
    >>> from minigrad.models.convert import to_onnx
    >>> model = mg.nn.Sequential(mg.nn.Linear(3, 4), mg.tanh, mg.nn.Linear(4, 2))
    >>> made = to_onnx(model, mg.ones((5, 3)), axes={"x": ("batch", None)})
    >>> [node.op_type for node in made.graph.node if node.op_type != "Constant"]
    ['Transpose', 'MatMul', 'Add', 'Tanh', 'Transpose', 'MatMul', 'Add']
    >>> layer = mg.nn.LSTM(3, 4, num_layers=2)
    >>> made = to_onnx(layer, {"x": mg.ones((5, 2, 3)), "lengths": [5, 3]})
    >>> [node.op_type for node in made.graph.node if node.op_type != "Constant"]
    ['Cast', 'LSTM', 'Squeeze', 'LSTM', 'Squeeze', 'Concat', 'Concat']
    """
    onnx = onnx_or_error()
    examples = Examples(module, inputs, axes)
    runs = [examples.record(sizes) for sizes in examples.runs]
    graph = _Graph(module, examples, runs)
    model = graph.write(outputs, properties or {})
    try:
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # of several kinds, of protobuf's and onnx's
        reason = f"onnx finds the graph wrong: {error}"
        raise ConversionError("", type(module).__name__, reason) from error
    if check:
        _compare(module, examples, model)
    if path is not None:
        replace_file(path, model.SerializeToString(deterministic=True))
    return model


class _Graph:
    """The graph of the runs of a module."""

    def __init__(self, module: Module, examples: Examples, runs: list[Recording]) -> None:
        self.module, self.examples, self.runs = module, examples, runs
        self.values = Values(examples.sizes, examples.backend.to_host)
        self.w = Writer(examples.places)
        self._parameters: dict[int, str] = {id(p._data): n for n, p in module.named_parameters()}
        self._by_name = dict(module.named_parameters())

    def write(self, names: Sequence[str] | None, properties: Mapping[str, str]) -> Any:
        """The model."""
        onnx = self.w.onnx
        given = []
        for i, name in enumerate(self.examples.names):
            known = self.values.know(self.w.take(name), [run.inputs[i] for run in self.runs])
            given.append(self._described(known.name, known.dtype, known.shape))
        self._check_alike(self.runs)
        for calls in zip(*(run.calls for run in self.runs), strict=True):
            self._write(calls)
        results = [flat(run.result) for run in self.runs]
        if len({len(result) for result in results}) > 1 or not results[0]:
            count = " or ".join(dict.fromkeys(str(len(result)) for result in results))
            raise ConversionError(
                "",
                type(self.module).__name__,
                f"it returns {count} tensors; outputs are one or more, and as many at all sizes",
            )
        names = self._output_names(names, len(results[0]))
        returned = [
            self._output(name, parts)
            for name, parts in zip(names, zip(*results, strict=True), strict=True)
        ]
        nodes = needed(self.w.nodes, [y.name for y in returned])
        read = {name for node in nodes for name in names_read(node)}
        graph = onnx.helper.make_graph(
            nodes,
            type(self.module).__name__,
            given,
            returned,
            [p for p in self.w.initializers if p.name in read],
        )
        model = onnx.helper.make_model(
            graph,
            opset_imports=[onnx.helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="minigrad",
        )
        rows = {PADDING: json.dumps(self.w.padding)} if self.w.padding else {}
        onnx.helper.set_model_props(model, {**properties, **rows})
        return model

    # --- inputs and outputs ------------------------------------------------------------------

    def _described(self, name: str, dtype: Any, shape: Sequence[int | Size]) -> Any:
        axes = [n if isinstance(n, int) else n.axes[0] if n.is_axis else None for n in shape]
        return self.w.onnx.helper.make_tensor_value_info(name, element_type(dtype), axes)

    def _output_names(self, names: Sequence[str] | None, count: int) -> list[str]:
        if names is None:
            if isinstance(self.module, Recurrent):
                names = ["y", *(f"{state}_n" for state in self.module.states)]
            else:
                y = "output" if "y" in self.examples.names else "y"
                names = [y] if count == 1 else [f"{y}_{i}" for i in range(count)]
        if isinstance(names, str) or len(names) != count or len({*names}) != count:
            raise ValueError(
                f"to_onnx: the module returns {count} tensors; outputs must be as many names, each "
                f"another one; got {names!r:.80}"
            )
        taken = [name for name in names if name in self.examples.names]
        if taken:
            raise ValueError(
                f"to_onnx: {taken[0]!r} is the name of an input, and can't be an output's"
            )
        return list(names)

    def _output(self, name: str, parts: Sequence[Any]) -> Any:
        """Give a result its name."""
        if not all(isinstance(part, Tensor) for part in parts):
            raise ConversionError(
                "",
                type(self.module).__name__,
                f"it returns a {type(parts[0]).__name__} as {name}; outputs are tensors",
            )
        arrays = [part._data for part in parts]
        found = self.w.operand(self._operand(arrays, f"the output {name}"))
        self.w.name_output(found, self.w.take(name))
        shape = self.values.shape_of(arrays, f"the output {name}")
        return self._described(name, arrays[0].dtype, shape)

    # --- calls -------------------------------------------------------------------------------

    def _check_alike(self, runs: Sequence[Recording]) -> None:
        """Raise unless runs consist of the same calls."""
        lists = [[call.name for call in run.calls] for run in runs]
        for i, names in enumerate(itertools.zip_longest(*lists)):
            if len({*names}) > 1:
                shown = " or ".join(dict.fromkeys(name or "nothing more" for name in names))
                raise ConversionError(
                    "",
                    type(self.module).__name__,
                    f"at other sizes it computes something else: its call {i + 1} is {shown}. So "
                    "does a loop in Python over an axis that varies, or a choice by values. Use a "
                    "layer, or ops of whole arrays; or give the axis no name, which fixes its size",
                )

    def _write(self, calls: Sequence[Call]) -> None:
        """Write a call, as it is in each run."""
        first = calls[0]
        if first.body is not None:
            self._write_scan(calls)
            return
        if first.layer is None and first.name not in ROWS:
            names = ", ".join(sorted(ROWS))
            why = f"the table of ONNX's nodes has no row for it. Ops with one: {names}"
            raise ConversionError("", f"the op {first.name}", REFUSED.get(first.name, why))
        if len({len(call.outputs) for call in calls}) > 1:
            raise ConversionError(
                "",
                f"the op {first.name}",
                "it makes as many parts as an axis that varies is long, for a loop in Python. Use "
                "a layer, or ops of whole arrays; or give the axis no name, which fixes its size",
            )
        what = f"an input of {first.name}"
        inputs = [
            self._operand(parts, what)
            for parts in zip(*(call.inputs for call in calls), strict=True)
        ]
        settings = {
            key: self._setting([call.settings[key] for call in calls], f"{key} of {first.name}")
            for key in first.settings
        }
        outputs = [
            Outcome(
                np.dtype(parts[0].dtype), self.values.shape_of(parts, f"the output of {first.name}")
            )
            for parts in zip(*(call.outputs for call in calls), strict=True)
        ]
        call = Resolved(first.name, inputs, settings, outputs, first.layer, first.path)
        made = self._row(call)
        for name, parts in zip(
            made, zip(*(call.outputs for call in calls), strict=True), strict=True
        ):
            self.values.know(name, parts)

    def _write_scan(self, calls: Sequence[Call]) -> None:
        """Write a scan, whose step becomes a graph within the node."""
        first = calls[0]
        bodies = [call.body for call in calls if call.body is not None]
        inputs = [
            self._operand(parts, "an input of a scan")
            for parts in zip(*(call.inputs for call in calls), strict=True)
        ]
        names = [self.w.operand(x) for x in inputs]
        self._check_alike(bodies)
        with self.w.within() as nodes:
            given = [
                self.values.know(self.w.fresh("step"), parts)
                for parts in zip(*(body.inputs for body in bodies), strict=True)
            ]
            for step in zip(*(body.calls for body in bodies), strict=True):
                self._write(step)
            results = [
                self.w.operand(self._operand(list(map(array_of, parts)), "a result of a step"))
                for parts in zip(*(body.result for body in bodies), strict=True)
            ]
            kinds = [(np.dtype(y.dtype), y.ndim) for y in bodies[0].result]
            scan = Scan(names, given, results, kinds, nodes, **first.settings)
            graph = scan.body(self.w)
        made = scan.write(self.w, graph)
        for name, parts in zip(
            made, zip(*(call.outputs for call in calls), strict=True), strict=True
        ):
            self.values.know(name, parts)

    def _row(self, call: Resolved) -> list[str]:
        if call.layer is not None:
            return write_layer(self.w, call)
        made = ROWS[call.name](self.w, call)
        return [made] if isinstance(made, str) else made

    def _operand(self, parts: Sequence[Any], what: str) -> Any:
        """An input of a call: a number, a parameter, or another array."""
        if not hasattr(parts[0], "dtype"):
            return self.values.number(parts, what)
        name = self._parameters.get(id(parts[0]))
        if name is not None and all(part is parts[0] for part in parts):
            array = self._by_name[name]
            written = self.w.parameter(name, array.numpy())
            del self._parameters[id(parts[0])]
            return self.values.know(written, parts)
        return self.values.explain(parts, what)

    def _setting(self, parts: Sequence[Any], what: str) -> Any:
        """A setting: arrays and sizes in it are looked for, the rest must be the same."""
        first = parts[0]
        if isinstance(first, slice):
            ends = ([getattr(part, end) for part in parts] for end in ("start", "stop", "step"))
            return slice(*(self._setting(end, what) for end in ends))
        if isinstance(first, (tuple, list)) and len({len(part) for part in parts}) == 1:
            return tuple(self._setting(items, what) for items in zip(*parts, strict=True))
        if hasattr(first, "shape") and hasattr(first, "dtype"):
            if first.dtype.kind == "b" and what == "index of getitem":
                raise ConversionError(
                    "",
                    "an index of truth values",
                    "it gives as many elements as are true; take mg.where, or sums and means with "
                    "where=mask",
                )
            return self._operand(parts, what)
        if isinstance(first, (int, float, np.number)) and not isinstance(first, bool):
            found = self.values.number([getattr(p, "item", lambda p=p: p)() for p in parts], what)
            if isinstance(found, Number) and not found.inverse:
                return found.value
        if any(part != first for part in parts):
            raise ConversionError("", what, "it varies with the size of the input")
        return first


def _compare(module: Module, examples: Examples, model: Any) -> None:
    """Raise unless the graph gives what the module gives, at sizes that weren't recorded."""
    again = from_onnx(model).to(examples.backend)
    for trial in examples.trials():
        with no_grad():
            found = flat(again(**trial.inputs))
        for name, y, there in zip(again.output_names, trial.results, found, strict=True):
            row = difference(f"output {name}", there.numpy(), y.numpy())
            eps = float(np.finfo(y.dtype).eps) if y.dtype.kind == "f" else 0.0
            if not row.within(4096 * eps):
                raise ConversionError(
                    "",
                    type(module).__name__,
                    f"with {trial.sizes or 'other inputs'} the graph's {name} differs by "
                    f"{row.greatest:.1e}; the module depends on something that isn't recorded, "
                    "such as values that are read in Python, or the state of an earlier call",
                )
