"""Activations and losses as modules: each is declared by the function that it calls.

The function's options, which are its parameters with defaults, are the module's: its constructor
takes them, its attributes hold them, and `repr` shows them. Options that are arrays, such as the
weight per class of a loss, become buffers, so they move and are saved with the module.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import functional, ops
from ..engine.tensor import Tensor
from ..other_names.advice import wrong_arguments
from .module import Module
from .parameter import Buffer
from .parts import Part

__all__ = ["BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CrossEntropyLoss", "HuberLoss"]
__all__ += ["KLDivLoss", "L1Loss", "MSELoss", "NLLLoss", "SmoothL1Loss"]
__all__ += ["ELU", "GELU", "LeakyReLU", "LogSoftmax", "ReLU", "SiLU", "Sigmoid", "Softmax"]
__all__ += ["Softplus", "Tanh"]


class FunctionModule(Module):
    """Base of modules that call a function: `class Tanh(FunctionModule, calls=ops.tanh)`."""

    _function: ClassVar[Callable[..., Any]]
    _options: ClassVar[inspect.Signature]  # of the constructor
    _names: ClassVar[tuple[str, ...]]  # of the options

    def __init_subclass__(cls, calls: Callable[..., Any] | None = None, **others: Any) -> None:
        super().__init_subclass__(**others)
        if calls is not None:
            given = inspect.signature(calls).parameters.values()
            cls._function = staticmethod(calls)
            cls._options = inspect.Signature([p for p in given if p.default is not p.empty])
            cls._names = tuple(cls._options.parameters)
        own = vars(cls).get("__init__")
        cls.__signature__ = None if own else cls._options  # type: ignore[attr-defined]

    def __init__(self, *args: Any, **options: Any) -> None:
        try:
            bound = self._options.bind(*args, **options)
        except TypeError as error:
            raise TypeError(self._what_is_wrong(str(error), options)) from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            is_array = isinstance(value, (Tensor, np.ndarray, list, tuple))
            setattr(
                self, name, Buffer(value) if is_array and not isinstance(value, Part) else value
            )

    def _what_is_wrong(self, error: str, options: dict[str, Any]) -> str:
        """The text for options that the function doesn't have."""
        name, known = type(self).__name__, self._options.parameters
        right = {option: value for option, value in options.items() if option in known}
        wrong = {option: value for option, value in options.items() if option not in known}
        if wrong and (text := wrong_arguments(f"mg.nn.{name}", known, right, wrong)):
            return text
        listed = ", ".join(f"{option.name}={option.default!r}" for option in known.values())
        return f"{name}() {error}. Its options are: {listed or 'none'}"

    def forward(self, *inputs: Any) -> Tensor:
        """What the function gives."""
        options = {name: getattr(self, name) for name in self._names}
        result: Tensor = self._function(*inputs, **options)
        return result

    def extra_repr(self) -> str:
        """Its options but for arrays; of a loss only those that aren't as usual."""
        known = self._options.parameters
        shown = {name: getattr(self, name) for name in known}
        return ", ".join(
            f"{name}={value!r}"
            for name, value in shown.items()
            if not isinstance(value, Tensor)
            and ("reduction" not in known or value != known[name].default)
        )


# --- activations ---------------------------------------------------------------------------


class ReLU(FunctionModule, calls=ops.relu):
    """`mg.relu`: x where it is positive, 0 elsewhere.

    >>> mg.nn.ReLU()(mg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """


class LeakyReLU(FunctionModule, calls=functional.leaky_relu):
    """`mg.leaky_relu`: x where it is positive, negative_slope * x elsewhere.

    >>> mg.nn.LeakyReLU(0.1)
    LeakyReLU(negative_slope=0.1)
    """


class ELU(FunctionModule, calls=functional.elu):
    """`mg.elu`: x where it is positive, alpha * (exp(x) - 1) elsewhere.

    >>> mg.nn.ELU(alpha=2.0)(mg.tensor([-100.0, 2.0]))
    tensor([-2.,  2.])
    """


class GELU(FunctionModule, calls=functional.gelu):
    """`mg.gelu`: the Gaussian error linear unit, by tanh or, with approximate="none", exactly.

    >>> mg.nn.GELU()(mg.tensor([0.0, 100.0]))
    tensor([  0., 100.])
    """


class SiLU(FunctionModule, calls=functional.silu):
    """`mg.silu`: x * sigmoid(x).

    >>> mg.nn.SiLU()(mg.tensor([0.0, 100.0]))
    tensor([  0., 100.])
    """


class Sigmoid(FunctionModule, calls=ops.sigmoid):
    """`mg.sigmoid`: 1 / (1 + exp(-x)).

    >>> mg.nn.Sigmoid()(mg.tensor([0.0, 100.0]))
    tensor([0.5, 1. ])
    """


class Softplus(FunctionModule, calls=ops.softplus):
    """`mg.softplus`: log(1 + exp(x)).

    >>> mg.nn.Softplus()(mg.tensor([-1000.0, 1000.0]))
    tensor([   0., 1000.])
    """


class Tanh(FunctionModule, calls=ops.tanh):
    """`mg.tanh`: the hyperbolic tangent.

    >>> mg.nn.Tanh()(mg.tensor([0.0, 100.0]))
    tensor([0., 1.])
    """


class Softmax(FunctionModule, calls=functional.softmax):
    """`mg.softmax`: exp(x) scaled to sum to 1 along `axis`, the last one if none is given.

    >>> mg.nn.Softmax(axis=0)(mg.zeros((2, 1)))
    tensor([[0.5],
            [0.5]])
    """


class LogSoftmax(FunctionModule, calls=functional.log_softmax):
    """`mg.log_softmax`: the logarithm of `Softmax`.

    >>> mg.nn.LogSoftmax(axis=-1)(mg.tensor([0.0, -1000.0]))
    tensor([    0., -1000.])
    """


# --- losses --------------------------------------------------------------------------------


class CrossEntropyLoss(FunctionModule, calls=functional.cross_entropy):
    """`mg.cross_entropy` of logits (N, C, ...) and classes or probabilities.

    >>> loss = mg.nn.CrossEntropyLoss(weight=[1.0, 3.0], ignore_index=-1)
    >>> round(loss(mg.zeros((3, 2)), [0, 1, -1]).item(), 4)
    0.6931
    """


class CTCLoss(FunctionModule, calls=functional.ctc_loss):
    """`mg.ctc_loss` of log-probabilities (T, N, C), labels, and the lengths of both.

    >>> loss = mg.nn.CTCLoss(zero_infinity=True)
    >>> loss(mg.nn.LogSoftmax(axis=-1)(mg.zeros((2, 1, 3))), [[1]], None, None).shape
    ()
    """


class NLLLoss(FunctionModule, calls=functional.nll_loss):
    """`mg.nll_loss` of logarithms of probabilities (N, C, ...) and classes.

    >>> loss = mg.nn.NLLLoss()
    >>> round(loss(mg.nn.LogSoftmax()(mg.zeros((3, 2))), [0, 1, 1]).item(), 4)
    0.6931
    """


class MSELoss(FunctionModule, calls=functional.mse_loss):
    """`mg.mse_loss`: the squared error.

    >>> mg.nn.MSELoss(reduction="sum")(mg.tensor([1.0, 2.0]), [1.0, 4.0])
    tensor(4.)
    """


class L1Loss(FunctionModule, calls=functional.l1_loss):
    """`mg.l1_loss`: the absolute error.

    >>> mg.nn.L1Loss(reduction="none")(mg.tensor([1.0, 2.0]), [1.0, 4.0])
    tensor([0., 2.])
    """


class SmoothL1Loss(FunctionModule, calls=functional.smooth_l1_loss):
    """`mg.smooth_l1_loss`: quadratic for errors up to beta, linear of slope 1 beyond.

    >>> mg.nn.SmoothL1Loss(beta=0.5)(mg.tensor([1.0, 2.0]), [1.0, 4.0])
    tensor(0.875)
    """


class HuberLoss(FunctionModule, calls=functional.huber_loss):
    """`mg.huber_loss`: quadratic for errors up to delta, linear of slope delta beyond.

    >>> mg.nn.HuberLoss(delta=1.0)(mg.tensor([1.0, 2.0]), [1.0, 4.0])
    tensor(0.75)
    """


class BCEWithLogitsLoss(FunctionModule, calls=functional.binary_cross_entropy_with_logits):
    """`mg.binary_cross_entropy_with_logits`: of yes-or-no answers given as logits.

    >>> mg.nn.BCEWithLogitsLoss(pos_weight=[1.0, 3.0])(mg.tensor([100.0, -100.0]), [1, 1])
    tensor(150.)
    """


class BCELoss(FunctionModule, calls=functional.binary_cross_entropy):
    """`mg.binary_cross_entropy`: of yes-or-no answers given as probabilities.

    >>> round(mg.nn.BCELoss()(mg.tensor([0.5, 0.25]), [1, 0]).item(), 4)
    0.4904
    """


class KLDivLoss(FunctionModule, calls=functional.kl_div):
    """`mg.kl_div`: the divergence of distributions given as logarithms from targets.

    >>> loss = mg.nn.KLDivLoss(reduction="batchmean")
    >>> round(loss(mg.log(mg.tensor([[0.5, 0.5]])), [[1.0, 0.0]]).item(), 4)
    0.6931
    """
