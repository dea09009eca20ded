"""`mg.nn`: modules, and the layers that most models begin with."""

from . import init as init
from .batch_norm import *
from .layers import *
from .module import *
from .parameter import *

__all__ = ["BatchNorm1d", "Buffer", "Dropout", "Embedding", "LayerNorm", "Linear", "Module"]
__all__ += ["Parameter", "Sequential", "init"]
