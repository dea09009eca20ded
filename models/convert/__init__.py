"""Weights and models in and out: PyTorch, Keras, safetensors, each with a certificate."""

from .certificate import Certificate, Difference
from .outputs import Outputs
from .refusals import ConversionError

__all__ = ["Certificate", "ConversionError", "Difference", "Outputs"]
