"""minigrad: reverse-mode autograd whose ops are defined once and run on any backend."""

from typing import TYPE_CHECKING

from . import functional as functional
from . import nn as nn
from . import optim as optim
from .again import *
from .anomaly import detect_anomaly as detect_anomaly
from .backend import *
from .creation import *
from .derivatives import *
from .draw import draw as draw
from .engine import grad as grad
from .functional import *
from .fuse import dispatch_counts as dispatch_counts
from .fuse import fuse as fuse
from .fuse import reset_dispatch_counts as reset_dispatch_counts
from .gradcheck import *
from .graph import enable_grad as enable_grad
from .graph import is_grad_enabled as is_grad_enabled
from .graph import no_grad as no_grad
from .op import OPS as OPS
from .op import DeclarationError as DeclarationError
from .op import Op as Op
from .op import op as op
from .ops import *
from .recording import *
from .rng import manual_seed as manual_seed
from .rng import rand as rand
from .rng import randn as randn
from .saving import load as load
from .saving import save as save
from .scan import scan as scan
from .tensor import Tensor as Tensor

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .compiler.trace import trace as trace
else:

    def __getattr__(name):
        """The compiler is loaded when it is first asked for."""
        if name == "trace":
            from .compiler.trace import trace

            return trace
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}")
