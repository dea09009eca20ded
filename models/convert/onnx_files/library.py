"""The package `onnx`, which reads, writes and checks files of that format."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

from minigrad.utils.install import install_line

__all__ = ["IR_VERSION", "NEWEST_OPSET", "OLDEST_OPSET", "OPSET", "PADDING"]
__all__ += ["onnx_or_error", "runtime_or_none"]

# Of 2022, and so known to whatever reads ONNX files today: onnxruntime since 1.14, and all opsets
# after it. Before 18, the axes of most reductions were attributes, those of a sum an input.
OPSET = 18
IR_VERSION = 8  # of the file format, the one that came with this opset

# A property of the model: a JSON object of Gather nodes by name, with the row of each that gets no
# gradient, as in an embedding with padding_idx. Other programs pass over it.
PADDING = "minigrad.padding_idx"

# What is read: since 13, Softmax, Squeeze and Split mean what they mean today. The newest is the
# one up to which the ops that are read were looked up; they mean the same in all of these.
OLDEST_OPSET, NEWEST_OPSET = 13, 28


def onnx_or_error() -> Any:
    """The package; raises ImportError with the line that installs it."""
    try:
        with warnings.catch_warnings():
            # Its generated code may be of another release of protobuf than the one installed.
            warnings.filterwarnings("ignore", module=r"google\.protobuf.*")
            onnx = importlib.import_module("onnx")
            for part in ("checker", "helper", "numpy_helper", "shape_inference"):
                importlib.import_module(f"onnx.{part}")
    except ImportError as error:
        raise ImportError(
            f"ONNX files need the package onnx ({error}); install it {install_line('onnx')}"
        ) from error
    return onnx


def runtime_or_none() -> Any:
    """The package `onnxruntime`, or None if it isn't installed."""
    try:
        return importlib.import_module("onnxruntime")
    except ImportError:
        return None
