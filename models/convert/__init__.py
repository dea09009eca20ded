"""Weights and models in and out: PyTorch, Keras, ONNX, safetensors, each with a certificate."""

from .certificate import Certificate, Difference
from .check import check
from .files import load_module, save_module
from .keras import from_keras, keras_weights, to_keras
from .keras_out import KerasWeights
from .onnx_files import OnnxModule, certify_from_onnx, certify_to_onnx, from_onnx, to_onnx
from .outputs import Outputs
from .pytorch import from_pytorch, pytorch_state, to_pytorch
from .refusals import ConversionError

__all__ = ["Certificate", "ConversionError", "Difference", "Outputs", "check"]
__all__ += ["from_pytorch", "pytorch_state", "to_pytorch"]
__all__ += ["load_module", "save_module"]
__all__ += ["KerasWeights", "from_keras", "keras_weights", "to_keras"]
__all__ += ["OnnxModule", "certify_from_onnx", "certify_to_onnx", "from_onnx", "to_onnx"]
