"""Reading ONNX files with care: what is in them came from elsewhere, and none of it is executed."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..refusals import ConversionError
from .library import NEWEST_OPSET, OLDEST_OPSET, PADDING, onnx_or_error

__all__ = ["array_of_tensor", "attributes_of", "dtype_of", "padding_of", "read_model", "tensors_in"]

LARGEST = 2**31 - 1  # bytes; protobuf has no larger messages

_DTYPES: tuple[str, ...] = ("float16", "float32", "float64", "int8", "int16", "int32", "int64")
_DTYPES += ("uint8", "uint16", "uint32", "uint64", "bool")


def read_model(source: Any) -> tuple[Any, str]:
    """The model in a file, in bytes, or as it is; and what to call it in errors.

    Raises ConversionError for what is no model, is damaged, or lies in several files.
    """
    onnx = onnx_or_error()
    if isinstance(source, onnx.ModelProto):
        model, name = source, source.graph.name or "the model"
    else:
        content, name = (source, "the model") if isinstance(source, bytes) else _content(source)
        model = onnx.ModelProto()
        try:
            model.ParseFromString(content)
        except Exception as error:  # protobuf's, whose class depends on its release
            raise ConversionError(
                "", name, f"it is no ONNX file, or a damaged one ({error})"
            ) from None
    _check_whole(model, name)
    _check_opset(model, name)
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        reason = f"onnx finds it wrong: {str(error).strip()[:300]}"
        raise ConversionError("", name, reason) from None
    return model, name


def _content(path: str | os.PathLike[str]) -> tuple[bytes, str]:
    """The bytes of a file, of a size that is looked at first."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"from_onnx takes a path, bytes or an onnx.ModelProto; got {path!r:.40}")
    name = os.fspath(path)
    found = os.stat(name)
    if not stat.S_ISREG(found.st_mode):
        raise ConversionError("", name, "it is no file")
    if found.st_size > LARGEST:
        raise ConversionError(
            "", name, f"it has {found.st_size:,} bytes, and an ONNX file has at most {LARGEST:,}"
        )
    if not found.st_size:
        raise ConversionError("", name, "it is empty")
    with open(name, "rb") as file:
        return file.read(LARGEST), name


def _check_whole(model: Any, name: str) -> None:
    """Raise for numbers in other files, whose names the file could choose, and for no graph."""
    if not model.graph.node and not model.graph.output:
        raise ConversionError("", name, "it has no graph")
    for tensor in tensors_in(model.graph):
        if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
            raise ConversionError(
                tensor.name,
                "its numbers are in another file",
                "only files that hold all of a model are read. This makes one: "
                "onnx.save(onnx.load(path), new_path, save_as_external_data=False)",
            )
    # In one that is within another, there are none by the checker.
    if model.graph.sparse_initializer:
        raise ConversionError(
            model.graph.sparse_initializer[0].values.name, "a sparse tensor", "there are none here"
        )


def tensors_in(graph: Any) -> Iterator[Any]:
    """All tensors in a graph, and in the graphs within its nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from tensors_in(attribute.g)


def _check_opset(model: Any, name: str) -> None:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx"))
    if opset is None or not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise ConversionError(
            "",
            name,
            f"it is of opset {opset}; read are {OLDEST_OPSET} to {NEWEST_OPSET}. "
            "onnx.version_converter.convert_version(model, 18) may convert it",
        )


def padding_of(model: Any, name: str) -> dict[str, int]:
    """The rows without gradient that `to_onnx` notes, by the names of their nodes."""
    for entry in model.metadata_props:
        if entry.key == PADDING:
            try:
                found = json.loads(entry.value)
            except (ValueError, RecursionError):
                found = None
            if not isinstance(found, dict) or not all(type(n) is int for n in found.values()):
                raise ConversionError("", name, f"its property {PADDING} is no JSON of integers")
            return found
    return {}


def dtype_of(number: int, part: str, what: str) -> np.dtype:
    """The dtype that has this number in ONNX, if tensors here can have it."""
    onnx = onnx_or_error()
    try:
        dtype: np.dtype = onnx.helper.tensor_dtype_to_np_dtype(number)
    except (KeyError, ValueError):
        dtype = np.dtype("O")
    if dtype.name not in _DTYPES:
        known = onnx.TensorProto.DataType.items()
        name = next((name for name, value in known if value == number), f"number {number}")
        raise ConversionError(part, what, f"its numbers are of dtype {name}, and here of NumPy's")
    return dtype


def array_of_tensor(tensor: Any, part: str) -> np.ndarray:
    """The numbers of a TensorProto, as many as its shape says."""
    onnx = onnx_or_error()
    dtype_of(tensor.data_type, part, "a tensor")
    if any(n < 0 for n in tensor.dims) or math.prod(tensor.dims) > LARGEST:
        raise ConversionError(part, "a tensor", f"its shape is {tuple(tensor.dims)}")
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except Exception as error:
        reason = f"it is damaged: {str(error)[:200]}"
        raise ConversionError(part, f"a tensor of shape {tuple(tensor.dims)}", reason) from None
    return np.array(array)  # its own memory, in this machine's order of bytes


def _decimal(x: float) -> float:
    """The number that an attribute of 32 bits was written from: 1e-05, and not 9.9999997e-06."""
    return float(str(np.float32(x)))


def attributes_of(node: Any, part: str, but: str = "") -> dict[str, Any]:
    """The attributes of a node, `but` one: numbers, strings, lists of them, and arrays."""
    onnx = onnx_or_error()
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.name == but:
            continue
        if attribute.HasField("g") or attribute.graphs:
            raise ConversionError(
                part, node.op_type, "it has a graph within, and no op with one is known here"
            )
        value = onnx.helper.get_attribute_value(attribute)
        if attribute.HasField("t"):
            value = array_of_tensor(attribute.t, part)
        elif isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif isinstance(value, float):
            value = _decimal(value)
        elif isinstance(value, list):
            value = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in value]
        found[attribute.name] = value
    return found
