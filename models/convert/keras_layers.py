"""Which layers Keras has as well, what is refused of them, and how their arrays lie.

Keras's products are x @ kernel, so its kernels are ours transposed. Its GRU has its gates in the
order z, r, n. Its LSTM and SimpleRNN have one bias where we have two, which are added up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad import nn
from minigrad.nn import Module

from .refusals import ConversionError

__all__ = ["ACTIVATIONS", "IGNORED", "KerasNeed", "NEEDS", "OPTIONS", "RECURRENT"]
__all__ += ["from_kernels", "refuse_config", "to_kernels"]

Arrays = dict[str, np.ndarray]

RECURRENT = {"SimpleRNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}

# Keras's names of functions, with the module and its options; Keras's defaults are not all ours.
ACTIVATIONS: dict[str, tuple[type[Module], dict[str, Any]]] = {
    "tanh": (nn.Tanh, {}),
    "sigmoid": (nn.Sigmoid, {}),
    "relu": (nn.ReLU, {}),
    "softmax": (nn.Softmax, {"axis": -1}),
    "log_softmax": (nn.LogSoftmax, {"axis": -1}),
    "silu": (nn.SiLU, {}),
    "gelu": (nn.GELU, {"approximate": "none"}),
    "elu": (nn.ELU, {"alpha": 1.0}),
    "softplus": (nn.Softplus, {}),
    "leaky_relu": (nn.LeakyReLU, {"negative_slope": 0.2}),
}


class KerasNeed(NamedTuple):
    """The values that an option of Keras may have to be converted; why others can't be."""

    kinds: tuple[str, ...]
    option: str
    values: tuple[Any, ...]
    reason: str
    training: bool = False  # whether it acts in training only


_ALL = ("SimpleRNN", "LSTM", "GRU", "Embedding", "Dense", "LayerNormalization")
_LOSS = "it adds to the loss, which layers here don't; add it to your loss"
_AFTER = "layers here don't change weights after a step; do it in your training loop"
NEEDS = [
    KerasNeed(("LSTM", "GRU"), "activation", ("tanh",), "the cell here has tanh only"),
    KerasNeed(("SimpleRNN",), "activation", ("tanh", "relu"), "the cell here has tanh or relu"),
    KerasNeed(("LSTM", "GRU"), "recurrent_activation", ("sigmoid",), "gates here are sigmoids"),
    KerasNeed(
        *(("LSTM", "GRU"), "recurrent_dropout", (0,)),
        "Keras draws a mask for each gate, and here there is one for all",
        training=True,
    ),
    KerasNeed(
        *(("Embedding",), "mask_zero", (False,)),
        "layers here don't hide steps from those behind them; give recurrent layers lengths= or "
        "mask=",
    ),
    KerasNeed(("Embedding", "Dense"), "lora_rank", (None,), "merge the two matrices first"),
    KerasNeed(("Embedding", "Dense"), "quantization_config", (None,), "weights here are floats"),
    KerasNeed(("LayerNormalization",), "rms_scaling", (False,), "LayerNorm here centres, too"),
    KerasNeed(("Bidirectional",), "merge_mode", ("concat",), "both directions are concatenated"),
    KerasNeed(("Dropout",), "noise_shape", (None,), "Dropout here drops each element apart", True),
    KerasNeed((*_ALL, "Bidirectional"), "activity_regularizer", (None,), _LOSS, True),
    *(
        KerasNeed(_ALL, f"{name}_{kind}", (None,), reason, True)
        for name in ("kernel", "recurrent", "bias", "embeddings", "beta", "gamma")
        for kind, reason in (("regularizer", _LOSS), ("constraint", _AFTER))
    ),
]

# By layer, the options that are read, with Keras's defaults.
_RNN: dict[str, Any] = {
    "units": None,
    "activation": "tanh",
    "use_bias": True,
    "return_sequences": False,
}
_RNN |= {"return_state": False, "go_backwards": False, "stateful": False}
_RNN |= {"dropout": 0.0, "recurrent_dropout": 0.0}
OPTIONS: dict[str, dict[str, Any]] = {
    "SimpleRNN": _RNN,
    "LSTM": {**_RNN, "recurrent_activation": "sigmoid"},
    "GRU": {**_RNN, "recurrent_activation": "sigmoid", "reset_after": True},
    "Bidirectional": {"merge_mode": "concat", "layer": None, "backward_layer": None},
    "Embedding": {"input_dim": None, "output_dim": None},
    "Dense": {"units": None, "activation": "linear", "use_bias": True},
    "LayerNormalization": {"axis": -1, "epsilon": 1e-3, "center": True, "scale": True},
    "Dropout": {"rate": 0.5},
    "Activation": {"activation": "linear"},
    "Flatten": {},
    "Identity": {},
    "InputLayer": {},
    "Sequential": {"layers": []},
}
# What says how Keras computes, how weights begin, or what a layer is called.
IGNORED = {"name", "trainable", "dtype", "seed", "unroll", "zero_output_for_mask", "use_cudnn"}
IGNORED |= {
    "implementation",
    "unit_forget_bias",
    "input_length",
    "data_format",
    "build_input_shape",
}
IGNORED |= {"batch_shape", "batch_input_shape", "sparse", "ragged", "optional", "shape"}


def refuse_config(kind: str, config: dict[str, Any], part: str, inference: bool) -> None:
    """Raise ConversionError if an option has a value that can't be converted, or is unknown."""
    for need in NEEDS:
        if kind not in need.kinds or need.option not in config or (need.training and inference):
            continue
        found = config[need.option]
        if found not in need.values:
            hint = "; or pass inference=True to leave out what acts in training only"
            raise ConversionError(
                part,
                kind,
                f"{need.option}={_shown(found)}: {need.reason}{hint if need.training else ''}",
            )
    known = {*OPTIONS[kind], *IGNORED, *(n.option for n in NEEDS if kind in n.kinds)}
    unknown = [name for name in config if name not in known and not name.endswith("_initializer")]
    if unknown:
        raise ConversionError(
            part,
            kind,
            f"its options {', '.join(unknown)} are unknown here; it has "
            f"{', '.join(OPTIONS[kind]) or 'none'}",
        )


def _shown(value: Any) -> str:
    """A value of a configuration; of an object of Keras, its class."""
    return value["class_name"] if isinstance(value, dict) and "class_name" in value else repr(value)


# --- arrays ----------------------------------------------------------------------------------


def _blocks(array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """The blocks of rows of each gate in another order."""
    return np.concatenate([np.split(array, len(order))[k] for k in order])


_ZR = (1, 0, 2)  # from r, z, n to z, r, n, and back


def from_kernels(kind: str, arrays: list[np.ndarray], reset_after: bool, suffix: str) -> Arrays:
    """Keras's kernel, recurrent kernel and bias as ours, with names that end in `suffix`.

    >>> ours = from_kernels("LSTM", [np.ones((3, 4)), np.ones((1, 4)), np.ones(4)], True, "_l0")
    >>> {name: array.tolist() for name, array in ours.items() if "bias" in name}
    {'bias_ih_l0': [1.0, 1.0, 1.0, 1.0], 'bias_hh_l0': [0.0, 0.0, 0.0, 0.0]}
    """
    ih, hh = arrays[0].T, arrays[1].T
    biases = arrays[2:]
    if kind != "GRU":
        found = {"weight_ih": ih, "weight_hh": hh}
        if biases:
            found |= {"bias_ih": biases[0], "bias_hh": np.zeros_like(biases[0])}
    elif reset_after:
        found = {"weight_ih": _blocks(ih, _ZR), "weight_hh": _blocks(hh, _ZR)}
        if biases:
            found |= dict(
                zip(("bias_ih", "bias_hh"), (_blocks(b, _ZR) for b in biases[0]), strict=True)
            )
    else:
        H = arrays[1].shape[0]
        hh = _blocks(hh, _ZR)
        found = {"weight_ih": _blocks(ih, _ZR), "weight_hh": hh[: 2 * H], "weight_hn": hh[2 * H :]}
        if biases:
            found["bias_ih"] = _blocks(biases[0], _ZR)
    return {name + suffix: array for name, array in found.items()}


def to_kernels(kind: str, arrays: Arrays, suffix: str, gradients: bool = False) -> Arrays:
    """Our arrays of a layer and direction as Keras's, by its names.

    Two biases that are added up become their sum; of `gradients`, which are equal, the first.

    >>> ours = {"weight_ih_l0": np.ones((4, 3)), "weight_hh_l0": np.ones((4, 4))}
    >>> {name: array.shape for name, array in to_kernels("SimpleRNN", ours, "_l0").items()}
    {'kernel': (3, 4), 'recurrent_kernel': (4, 4)}
    """
    own = {name.removesuffix(suffix): array for name, array in arrays.items()}
    ih, hh = own["weight_ih"], own["weight_hh"]
    if "weight_hn" in own:
        hh = np.concatenate([hh, own["weight_hn"]])
    if kind == "GRU":
        ih, hh = _blocks(ih, _ZR), _blocks(hh, _ZR)
    found = {"kernel": ih.T, "recurrent_kernel": hh.T}
    if "bias_ih" not in own:
        return found
    if kind != "GRU":
        found["bias"] = own["bias_ih"] if gradients else own["bias_ih"] + own["bias_hh"]
    elif "bias_hh" in own:
        found["bias"] = np.stack([_blocks(own[name], _ZR) for name in ("bias_ih", "bias_hh")])
    else:
        found["bias"] = _blocks(own["bias_ih"], _ZR)
    return found
