"""Weights and models in and out: PyTorch, Keras, ONNX, safetensors, each with a certificate."""

from .certificate import Certificate, Difference
from .onnx_files import OnnxModule, certify_from_onnx, certify_to_onnx, from_onnx, to_onnx
from .outputs import Outputs
from .refusals import ConversionError

__all__ = ["Certificate", "ConversionError", "Difference", "Outputs"]
__all__ += ["OnnxModule", "certify_from_onnx", "certify_to_onnx", "from_onnx", "to_onnx"]
