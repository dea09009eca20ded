"""minigrad: reverse-mode autograd whose ops are defined once and run on any backend."""

import sys
from typing import TYPE_CHECKING

from . import backend as backend
from . import data as data
from . import errors as errors
from . import functional as functional
from . import linalg as linalg
from . import nn as nn
from . import ops
from . import optim as optim
from .backend import *
from .checkpoint import *
from .ctc import ctc_beam_search as ctc_beam_search
from .ctc import ctc_greedy as ctc_greedy
from .custom_vjp import *
from .derivatives import *
from .drawing import notebook as _notebook  # noqa: F401  (tensors show themselves)
from .drawing.draw import draw as draw
from .engine import dtypes
from .engine.anomaly import detect_anomaly as detect_anomaly
from .engine.creation import *
from .engine.dtypes import *
from .engine.filled import *
from .engine.gradients import grad as grad
from .engine.graph import enable_grad as enable_grad
from .engine.graph import is_grad_enabled as is_grad_enabled
from .engine.graph import no_grad as no_grad
from .engine.op import OPS as OPS
from .engine.op import DeclarationError as DeclarationError
from .engine.op import Op as Op
from .engine.op import op as op
from .engine.rng import manual_seed as manual_seed
from .engine.rng import rand as rand
from .engine.rng import randn as randn
from .engine.tensor import Tensor as Tensor
from .functional import *
from .fuse import fuse as fuse
from .fusion import dispatch_counts as dispatch_counts
from .fusion import reset_dispatch_counts as reset_dispatch_counts
from .gradchecker.gradcheck import *
from .ops import *
from .other_names import hooks
from .per_example.gradients import *
from .precision import *
from .recording import *
from .sampling import *
from .saving import load as load
from .saving import save as save
from .scan import scan as scan

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .compiler.scan_plan import source as source
    from .compiler.trace import trace as trace
else:  # type checkers take all that is imported above for public
    __all__ = ["backend", "data", "errors", "functional", "linalg", "nn", "optim"]
    # Tensors.
    __all__ += ["Tensor", "arange", "empty", "eye", "from_dlpack", "full", "full_like"]
    __all__ += ["get_default_dtype", "linspace", "load", "manual_seed", "ones", "ones_like"]
    __all__ += ["rand", "randn", "save", "set_default_dtype", "tensor", "zeros", "zeros_like"]
    __all__ += ["bernoulli", "choice", "permutation", "randint"]
    __all__ += dtypes.__all__
    # Gradients.
    __all__ += ["checkpoint", "custom_vjp", "enable_grad", "grad", "hessian", "hvp"]
    __all__ += ["is_grad_enabled", "jacobian", "jvp", "no_grad", "per_example_grad", "vjp"]
    # Checks and pictures.
    __all__ += ["GradcheckError", "Report", "detect_anomaly", "draw", "gradcheck"]
    __all__ += ["gradcheck_numpy", "gradgradcheck"]
    # Inside a cell.
    __all__ += ["connectivity", "gradient_flow", "override", "probe", "record"]
    # Ops: to declare one, all that there are, and compositions of them.
    __all__ += ["DeclarationError", "OPS", "Op", "op"]
    __all__ += ops.__all__
    __all__ += functional.__all__
    __all__ += ["ctc_beam_search", "ctc_greedy"]
    # Cells over time, and kernels.
    __all__ += ["dispatch_counts", "fuse", "reset_dispatch_counts", "scan", "source", "trace"]
    # Backends.
    __all__ += ["PROTOCOL", "ArrayModuleBackend", "BackendError", "available_backends"]
    __all__ += ["current_backend", "get_backend", "register_backend", "set_backend", "use_backend"]
    __all__ += ["set_products"]

    def __getattr__(name):
        """The compiler is loaded when it is first asked for."""
        if name == "trace":
            from .compiler.trace import trace

            return trace
        if name == "source":
            from .compiler.scan_plan import source

            return source
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}")

    hooks.install(
        sys.modules[__name__],
        {"x": [Tensor], "model": [nn.Module, *nn.Module.__bases__], "optimizer": [optim.Optimizer]},
    )
