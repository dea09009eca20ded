"""`mg.nn`: modules, and the layers that most models begin with."""

from . import init as init
from .layers import *
from .module import Buffer as Buffer
from .module import Module as Module
from .module import Parameter as Parameter

__all__ = ["Buffer", "Module", "Parameter", "init"]
__all__ += ["Dropout", "Embedding", "LayerNorm", "Linear", "Sequential"]
