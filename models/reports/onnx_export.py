"""A trained model as an ONNX file, with a certificate, and a program that runs the file."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad.nn import Embedding, Module, Recurrent
from minigrad.utils.files import replace_file

from ..convert import Certificate, ConversionError, certify_to_onnx, to_onnx
from ..convert.onnx_files.read_file import dtype_of
from ..training.task import Task

__all__ = ["Example", "Exported", "example_of", "export_run"]

T, N = 5, 3  # of the examples; any other sizes fit the file


class Example(NamedTuple):
    """What a network takes, with names for the axes of its inputs, and for its outputs."""

    inputs: dict[str, Any]
    axes: dict[str, tuple[str | None, ...]]
    outputs: list[str]


def example_of(model: Module) -> Example:
    """Examples for a network of sequences: symbols or features, lengths and a state.

    Which of these it takes is read from its `forward`: `x`, `tokens` or `symbols` comes first, and
    is symbols (T, N) if the network has an `embedding`, else features (T, N, I).

    Raises ConversionError for a network that takes other things.

    >>> from minigrad.models.networks.classifier import SequenceClassifier
    >>> example = example_of(SequenceClassifier("gru", 9, embedding_dim=4, hidden_size=8))
    >>> example.axes
    {'x': ('time', 'batch'), 'lengths': ('batch',)}
    """
    kind = type(model).__name__
    first, *others = inspect.signature(model.forward).parameters.values()
    needed = {p.name for p in others if p.default is p.empty} - {"lengths"}
    recurrent = getattr(model, "recurrent", None)
    if (
        first.name not in ("x", "tokens", "symbols")
        or needed
        or not isinstance(recurrent, Recurrent)
    ):
        taken = ", ".join([first.name, *(p.name for p in others)])
        raise ConversionError(
            "",
            kind,
            f"it takes {taken}; this command exports networks of a sequence with its lengths and "
            "its state. For other modules there is to_onnx in minigrad.models.convert",
        )
    table = getattr(model, "embedding", None)
    rng = np.random.default_rng(0)
    inputs: dict[str, Any] = {}
    axes: dict[str, tuple[str | None, ...]] = {first.name: ("time", "batch")}
    if isinstance(table, Embedding):
        inputs[first.name] = rng.integers(1, table.num_embeddings, (T, N))
        inputs[first.name][0, 0] = table.num_embeddings - 1
    else:
        x = rng.normal(size=(T, N, recurrent.input_size))
        inputs[first.name] = x.astype(next(model.parameters()).dtype)
        axes[first.name] += (None,)
    given, outputs = {p.name for p in others}, ["scores"]
    if "lengths" in given:
        inputs["lengths"], axes["lengths"] = np.array([T, 2, 1]), ("batch",)
    if "state" in given:
        runs = recurrent.num_layers * (2 if recurrent.bidirectional else 1)
        like = next(model.parameters())
        parts = [
            mg.tensor(rng.normal(size=(runs, N, size)), dtype=like.dtype, backend=like.backend)
            for size in recurrent.state_sizes(recurrent.hidden_size)
        ]
        inputs["state"] = parts[0] if len(parts) == 1 else tuple(parts)
        names = ["state"] if len(parts) == 1 else [f"state_{i}" for i in range(len(parts))]
        axes |= dict.fromkeys(names, (None, "batch", None))
        outputs += [f"{state}_n" for state in recurrent.states]
    return Example(inputs, axes, outputs)


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes
    ----------
    path : of the file.
    size : in bytes.
    title : what is in it.
    inputs, outputs : for each its name, dtype and axes, as texts.
    kept : what its metadata holds, by name.
    certificate : of onnxruntime beside the model here.
    program : lines of Python that run it by onnxruntime.
    """

    path: Path
    size: int
    title: str
    inputs: list[tuple[str, str, str]]
    outputs: list[tuple[str, str, str]]
    kept: dict[str, str]
    certificate: Certificate
    program: str


def export_run(task: Task, model: Module, path: Path) -> Exported:
    """Write a trained model and what its task needs besides to a file; nothing if they differ.

    The file's metadata has `minigrad.task`, its name, and `minigrad.extras`, JSON, such as the
    vocabulary. Raises ConversionError for a model that can't be written, OSError for a path.
    """
    example = example_of(model)
    kept = {"minigrad.task": task.name}
    if extras := task.extras():
        kept["minigrad.extras"] = json.dumps(extras, ensure_ascii=False)
    inputs, axes, outputs = example
    made = to_onnx(model, inputs, axes=axes, outputs=outputs, properties=kept)
    certificate = certify_to_onnx(model, inputs, axes=axes, model=made)
    if not certificate:
        raise ConversionError("", type(model).__name__, f"the file would be wrong:\n{certificate}")
    content = made.SerializeToString(deterministic=True)
    replace_file(path, content)
    described = [_described(value) for value in made.graph.input]
    return Exported(
        path,
        len(content),
        f"{type(model).__name__} of the task {task.title}, opset {made.opset_import[0].version}",
        described,
        [_described(value) for value in made.graph.output],
        kept,
        certificate,
        _program(path, example, described, "minigrad.extras" in kept),
    )


def _described(value: Any) -> tuple[str, str, str]:
    """The name, the dtype and the axes of an input or an output."""
    kind = value.type.tensor_type
    axes = ", ".join(d.dim_param or str(d.dim_value or "?") for d in kind.shape.dim)
    return value.name, dtype_of(kind.elem_type, value.name, "it").name, f"({axes})"


def _program(
    path: Path, example: Example, inputs: list[tuple[str, str, str]], has_extras: bool
) -> str:
    """Lines that run the file on a small batch."""
    lines = ["import json", ""] if has_extras else []
    lines += ["import numpy as np", "import onnxruntime", ""]
    lines += [f"session = onnxruntime.InferenceSession({json.dumps(str(path))})"]
    if has_extras:
        metadata = "session.get_modelmeta().custom_metadata_map"
        lines += [f'extras = json.loads({metadata}["minigrad.extras"])']
    lines += ["inputs = {"]
    sizes = {"time": 2, "batch": 2}
    for name, dtype, axes in inputs:
        shape = tuple(sizes.get(axis) or int(axis) for axis in axes.strip("()").split(", "))
        if name == "lengths":
            shown = f"np.array({[2, 1]})"
        elif np.dtype(dtype).kind == "i":
            shown = f"np.array({example.inputs[name][:2, :2].tolist()})"
        else:
            shown = f"np.zeros({shape}, np.{dtype})"
        lines += [f"    {json.dumps(name)}: {shown},  # {dtype} {axes}"]
    return "\n".join([*lines, "}", "outputs = session.run(None, inputs)"])
