"""Which layers PyTorch has as well, by which names, and what is refused of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import nn
from minigrad.nn import Module
from minigrad.nn.recurrent_options import BEYOND_PYTORCH

from .description import CONTAINERS, at, items_of
from .outputs import Outputs
from .refusals import ConversionError

__all__ = ["FUNCTIONS", "NEEDS", "OUR_NEEDS", "TWINS", "Need", "Twin", "as_array"]
__all__ += ["refuse_for_pytorch", "refuse_hooks", "refuse_other_values"]


class Twin(NamedTuple):
    """A layer on both sides: the class here, and PyTorch's attributes by our names of options."""

    ours: type[Module]
    options: dict[str, str]


class Need(NamedTuple):
    """A value that an attribute must have to be converted, and why."""

    kind: str
    attribute: str
    value: Any
    reason: str


def _twin(ours: type[Module], names: str = "", **renamed: str) -> Twin:
    return Twin(ours, {**{name: name for name in names.split()}, **renamed})


_CELL = "input_size hidden_size bias"
_LAYER = f"{_CELL} num_layers batch_first dropout bidirectional"
TWINS = {
    "RNN": _twin(nn.RNN, f"{_LAYER} nonlinearity"),
    "LSTM": _twin(nn.LSTM, f"{_LAYER} proj_size"),
    "GRU": _twin(nn.GRU, _LAYER),
    "RNNCell": _twin(nn.RNNCell, f"{_CELL} nonlinearity"),
    "LSTMCell": _twin(nn.LSTMCell, _CELL),
    "GRUCell": _twin(nn.GRUCell, _CELL),
    "Linear": _twin(nn.Linear, "in_features out_features bias"),
    "Embedding": _twin(nn.Embedding, "num_embeddings embedding_dim padding_idx"),
    "LayerNorm": _twin(nn.LayerNorm, "normalized_shape eps elementwise_affine"),
    "BatchNorm1d": _twin(nn.BatchNorm1d, "num_features eps momentum affine track_running_stats"),
    "Dropout": _twin(nn.Dropout, "p"),
    "Identity": _twin(nn.Identity),
    "Flatten": _twin(nn.Flatten, start_axis="start_dim", end_axis="end_dim"),
    "Tanh": _twin(nn.Tanh),
    "Sigmoid": _twin(nn.Sigmoid),
    "ReLU": _twin(nn.ReLU),
    "LeakyReLU": _twin(nn.LeakyReLU, "negative_slope"),
    "ELU": _twin(nn.ELU, "alpha"),
    "GELU": _twin(nn.GELU, "approximate"),
    "SiLU": _twin(nn.SiLU),
    "Softplus": _twin(nn.Softplus),
    "Softmax": _twin(nn.Softmax, axis="dim"),
    "LogSoftmax": _twin(nn.LogSoftmax, axis="dim"),
}

# What PyTorch's layers can do, and ours can't.
NEEDS = [
    Need("Embedding", "max_norm", None, "it shortens rows when they are read"),
    Need("Embedding", "scale_grad_by_freq", False, "gradients here are never scaled"),
    Need("Embedding", "sparse", False, "gradients here are never sparse"),
    Need("Softplus", "beta", 1.0, "softplus here has no beta"),
    Need("Softplus", "threshold", 20.0, "softplus here has no threshold; the default is allowed"),
]
# What ours can do, and PyTorch's can't.
OUR_NEEDS = [
    Need("GRU", "reset_after", True, "PyTorch's GRU applies the reset gate after the product"),
    Need("GRUCell", "reset_after", True, "PyTorch's GRU applies the reset gate after the product"),
    Need("LSTMCell", "proj_size", 0, "PyTorch's single cells have no projection"),
    *(
        Need(kind, option, default, f"PyTorch's {kind} has no such option; set it to {default}")
        for kind in ("RNN", "LSTM", "GRU")
        for option, default in BEYOND_PYTORCH.items()
    ),
]
FUNCTIONS: dict[Any, type[Module]] = {
    mg.tanh: nn.Tanh,
    mg.sigmoid: nn.Sigmoid,
    mg.relu: nn.ReLU,
    mg.softplus: nn.Softplus,
    mg.silu: nn.SiLU,
    mg.functional.gelu: nn.GELU,
    mg.functional.elu: nn.ELU,
    mg.functional.leaky_relu: nn.LeakyReLU,
    mg.functional.softmax: nn.Softmax,
    mg.functional.log_softmax: nn.LogSoftmax,
}


def refuse_hooks(theirs: Any, part: str) -> None:
    """Raise for a module of PyTorch with hooks, which may change what it computes."""
    hooks = [
        name
        for name in (
            "_forward_hooks",
            "_forward_pre_hooks",
            "_backward_hooks",
            "_backward_pre_hooks",
        )
        if getattr(theirs, name, None)
    ]
    if hooks:
        raise ConversionError(
            part,
            type(theirs).__name__,
            f"it has hooks ({', '.join(hooks).replace('_', ' ').strip()}), which would be lost; "
            "remove them first",
        )


def refuse_other_values(needs: list[Need], kind: str, module: Any, part: str) -> None:
    """Raise if an attribute has another value than the one that can be converted."""
    for need in needs:
        found = getattr(module, need.attribute, need.value)
        if need.kind == kind and found != need.value:
            raise ConversionError(part, kind, f"{need.attribute}={found!r}: {need.reason}")


def refuse_for_pytorch(module: Any, part: str = "") -> None:
    """Raise ConversionError if a module, or one in it, has no counterpart in PyTorch."""
    kind = type(module).__name__
    if isinstance(module, Module) and type(module) is CONTAINERS.get(kind):
        for name, item in items_of(module):
            refuse_for_pytorch(item, at(part, name))
        return
    if type(module) is Outputs:
        raise ConversionError(
            part, kind, "PyTorch's recurrent layers return their state, too; convert .layer"
        )
    if kind in TWINS and type(module) is TWINS[kind].ours:
        refuse_other_values(OUR_NEEDS, kind, module, part)
        return
    if isinstance(module, Module):
        raise ConversionError(
            part,
            kind,
            "torch.nn has no such layer. If you write it there with the same names, it takes the "
            "arrays of ours.state_dict()",
        )
    if module not in FUNCTIONS:
        what = getattr(module, "__name__", repr(module))
        raise ConversionError(part, what, "torch.nn has no module for this function")


def as_array(name: str, x: Any) -> np.ndarray:
    """A tensor of PyTorch, or anything like an array, as a new NumPy array."""
    if hasattr(x, "detach") and not isinstance(x, mg.Tensor):
        x = x.detach().cpu()
        if x.is_sparse or str(x.dtype) not in (
            *("torch.float16", "torch.float32", "torch.float64"),
            *("torch.int64", "torch.int32", "torch.int16", "torch.int8", "torch.uint8"),
        ):
            what = "a sparse tensor" if x.is_sparse else f"of {x.dtype}"
            raise ConversionError(
                name,
                what,
                "arrays here are dense, of float16, float32 or float64; convert it "
                "first, for example with .float()",
            )
        return np.array(x.numpy(), copy=True)
    return np.array(x.numpy() if isinstance(x, mg.Tensor) else x)
