"""`mg.nn`: modules, and the layers that most models begin with."""

from . import init as init
from .batch_norm import *
from .containers import *
from .functions import *
from .layers import *
from .module import *
from .parameter import *
from .recurrent import *
from .single_cell import *
from .standard import *
from .streams import *

__all__ = ["Buffer", "Module", "ModuleDict", "ModuleList", "Parameter", "Sequential", "init"]
__all__ += ["BatchNorm1d", "Dropout", "Embedding", "Flatten", "Identity", "LayerNorm", "Linear"]
__all__ += ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNCell", "Recurrent", "RecurrentCell"]
__all__ += ["tbptt"]
__all__ += ["ELU", "GELU", "LeakyReLU", "LogSoftmax", "ReLU", "SiLU", "Sigmoid", "Softmax"]
__all__ += ["Softplus", "Tanh"]
__all__ += ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "KLDivLoss", "L1Loss"]
__all__ += ["CTCLoss", "MSELoss", "NLLLoss", "SmoothL1Loss"]
