"""A bare state dict of PyTorch: which layers it is of, by its names and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad import nn
from minigrad.nn import Module
from minigrad.utils.spelling import nearest

from .description import fill, new
from .refusals import ConversionError

__all__ = ["from_state"]

Arrays = dict[str, np.ndarray]
_RECURRENT = re.compile(r"(weight|bias)_(ih|hh|hr)(?:_l(\d+)(_reverse)?)?")
_GATES = {1: "RNN", 3: "GRU", 4: "LSTM"}

# By layer: what a state dict doesn't say. What changes outputs has to be given, with what it may
# be; what acts in training only has PyTorch's default.
MUST = {
    "RNN": {"nonlinearity": "'tanh' or 'relu'", "batch_first": "True or False"},
    "RNNCell": {"nonlinearity": "'tanh' or 'relu'"},
    "LSTM": {"batch_first": "True or False"},
    "GRU": {"batch_first": "True or False"},
    "LayerNorm": {"eps": "1e-5 if it was PyTorch's default"},
    "BatchNorm1d": {"eps": "1e-5 if it was PyTorch's default"},
}
MAY = {
    "RNN": ("dropout",),
    "LSTM": ("dropout",),
    "GRU": ("dropout",),
    "Embedding": ("padding_idx",),
    "BatchNorm1d": ("momentum",),
}


def from_state(
    state: Arrays, layers: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any]
) -> Module:
    """The module of a state dict: a layer, or a ModuleDict of the layers in it.

    `layers` and `options` are as `from_pytorch` takes them.
    """
    parts: dict[str, Arrays] = {}
    for name, array in state.items():
        part, _, own = name.rpartition(".")
        parts.setdefault(part, {})[own] = array
    if not parts:
        raise ConversionError("", "an empty state dict", "there is no layer in it")
    for part in layers:
        if part not in parts:
            raise _unknown(part, parts)
    unused = set(options)
    made = {}
    for part, arrays in parts.items():
        given: dict[str, Any] = dict(layers.get(part, {}))
        kind = given.pop("layer", None) or _kind(part, arrays)
        if kind not in _READERS:
            raise ConversionError(part, repr(kind), f"the layers are {', '.join(_READERS)}")
        known = (*MUST.get(kind, ()), *MAY.get(kind, ()))
        for option in given:
            if option not in known:
                near = nearest(option, known)
                hint = f"; did you mean {near}?" if near else ""
                listed = ", ".join(known) or "none"
                raise ConversionError(
                    part, kind, f"it takes no option {option!r}{hint} It takes: {listed}"
                )
        shared = {name: value for name, value in options.items() if name in known}
        unused -= set(shared)
        given = {**shared, **given}
        lacking = [
            f"{name} ({what})" for name, what in MUST.get(kind, {}).items() if name not in given
        ]
        if lacking:
            where = f"layers={{{part!r}: {{...}}}}" if part else "by name"
            raise ConversionError(
                part, kind, f"a state dict doesn't say {' and '.join(lacking)}; give it, {where}"
            )
        made[part] = _made(part, kind, arrays, given)
    if unused:
        raise TypeError(
            f"from_pytorch: no layer in this state dict takes {', '.join(sorted(unused))}"
        )
    return made[""] if set(made) == {""} else _nested(made)


def _unknown(part: str, parts: Mapping[str, Any]) -> ConversionError:
    near = nearest(part, parts)
    hint = f"; did you mean {near!r}?" if near else ""
    listed = ", ".join(repr(name) for name in parts)
    return ConversionError(part, "layers", f"the state dict has no such part{hint} It has {listed}")


def _made(part: str, kind: str, arrays: Arrays, given: dict[str, Any]) -> Module:
    try:
        sizes = _READERS[kind](arrays)
        layer = new(getattr(nn, kind), **sizes, **given)
    except (ValueError, TypeError, IndexError, KeyError) as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ConversionError(part, kind, f"its arrays are {shapes}: {error}") from error
    return fill(layer, arrays, part)


def _nested(layers: Mapping[str, Module]) -> Module:
    """ModuleDicts, one within the other, as the names say."""
    tree: dict[str, Any] = {}
    for part, layer in layers.items():
        *path, last = part.split(".")
        here = tree
        for name in path:
            here = here.setdefault(name, {})
            if isinstance(here, Module):
                break
        if isinstance(here, Module) or last in here or not part:
            raise ConversionError(
                part,
                type(layer).__name__,
                "it has layers within; a state dict of a class that "
                "you wrote is taken by ours.load_state_dict(state)",
            )
        here[last] = layer

    def module(tree: dict[str, Any]) -> Module:
        items = {n: v if isinstance(v, Module) else module(v) for n, v in tree.items()}
        return nn.ModuleDict(items)

    return module(tree)


# --- which layer it is -------------------------------------------------------------------------


def _kind(part: str, arrays: Arrays) -> str:
    """The layer that has such arrays; ConversionError if there are several, or none."""
    names = set(arrays)
    if any(map(_RECURRENT.fullmatch, names)):
        return _recurrent_kind(part, arrays)
    ndims = {name: array.ndim for name, array in arrays.items()}
    if {"running_mean", "running_var"} <= names:
        return "BatchNorm1d"
    if ndims == {"weight": 2, "bias": 1}:
        return "Linear"
    if names == {"weight", "bias"} and arrays["weight"].shape == arrays["bias"].shape:
        if ndims["weight"] == 1:
            raise _ambiguous(part, "LayerNorm", "BatchNorm1d")
        return "LayerNorm"
    if ndims == {"weight": 2}:
        raise _ambiguous(part, "Embedding", "Linear")
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    raise ConversionError(
        part,
        "a layer",
        f"no layer here has such arrays: {shapes}. The layers are {', '.join(_READERS)}",
    )


def _ambiguous(part: str, *kinds: str) -> ConversionError:
    shown = " or ".join(f"{{'layer': {kind!r}}}" for kind in kinds)
    return ConversionError(
        part,
        "a layer",
        f"{' and '.join(kinds)} have such arrays; say which it is, layers={{{part!r}: {shown}}}",
    )


def _recurrent_kind(part: str, arrays: Arrays) -> str:
    ending = "_l0" if "weight_hh_l0" in arrays else ""
    recurrent = arrays.get(f"weight_hh{ending}", np.zeros(0))
    hidden = arrays.get(f"weight_hr{ending}", np.zeros(0)).shape[-1:] or (0,)
    size = hidden[0] or (recurrent.shape[-1] if recurrent.ndim else 0)
    gates, rest = divmod(recurrent.shape[0], size) if recurrent.ndim == 2 and size else (0, 1)
    if rest or gates not in _GATES:
        raise ConversionError(
            part,
            "a recurrent layer",
            f"weight_hh{ending} is {recurrent.shape}, where an RNN, a "
            "GRU or an LSTM has 1, 3 or 4 times as many rows as its state has numbers",
        )
    return _GATES[gates] + ("" if ending else "Cell")


def _recurrent(arrays: Arrays) -> dict[str, Any]:
    ending = "_l0" if "weight_ih_l0" in arrays else ""
    matches = [match for name in arrays if (match := _RECURRENT.fullmatch(name))]
    projected = arrays.get(f"weight_hr{ending}")
    sizes: dict[str, Any] = {
        "input_size": arrays[f"weight_ih{ending}"].shape[1],
        "hidden_size": (arrays[f"weight_hh{ending}"] if projected is None else projected).shape[1],
        "bias": any(match[1] == "bias" for match in matches),
    }
    if ending:
        sizes["num_layers"] = 1 + max(int(match[3] or 0) for match in matches)
        sizes["bidirectional"] = any(match[4] for match in matches)
    if projected is not None:
        sizes["proj_size"] = projected.shape[0]
    return sizes


def _linear(arrays: Arrays) -> dict[str, Any]:
    rows, columns = arrays["weight"].shape
    return {"in_features": columns, "out_features": rows, "bias": "bias" in arrays}


def _embedding(arrays: Arrays) -> dict[str, Any]:
    rows, columns = arrays["weight"].shape
    return {"num_embeddings": rows, "embedding_dim": columns}


def _layer_norm(arrays: Arrays) -> dict[str, Any]:
    return {"normalized_shape": arrays["weight"].shape}


def _batch_norm(arrays: Arrays) -> dict[str, Any]:
    (size,) = next(iter(arrays.values())).shape
    return {
        "num_features": size,
        "affine": "weight" in arrays,
        "track_running_stats": "running_mean" in arrays,
    }


_READERS = {
    **dict.fromkeys(("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"), _recurrent),
    "Linear": _linear,
    "Embedding": _embedding,
    "LayerNorm": _layer_norm,
    "BatchNorm1d": _batch_norm,
}
