"""ONNX files: modules written as graphs, and graphs read as modules."""

from .certify import certify_from_onnx, certify_to_onnx
from .from_onnx import OnnxModule, from_onnx
from .to_onnx import to_onnx

__all__ = ["OnnxModule", "certify_from_onnx", "certify_to_onnx", "from_onnx", "to_onnx"]
