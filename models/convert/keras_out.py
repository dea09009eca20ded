"""To Keras: the configuration of our module's counterpart, and the arrays that it loads."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import nn
from minigrad.nn import Module, Recurrent

from .description import at, items_of, options_of
from .keras_layers import ACTIVATIONS, RECURRENT, to_kernels
from .outputs import Outputs
from .refusals import ConversionError

__all__ = ["KerasWeights", "OUR_NEEDS", "to_config"]


class KerasWeights(NamedTuple):
    """A layer or model of Keras without Keras: `from_keras(*weights)` reads it.

    Attributes
    ----------
    config : as `keras.saving.serialize_keras_object` gives it.
    weights : the arrays that its `set_weights` takes, in this order.
    names : of these arrays, such as "0.recurrent_kernel".

    >>> to_config(mg.nn.Linear(3, 2)).names
    ['kernel', 'bias']
    """

    config: dict[str, Any]
    weights: list[np.ndarray]
    names: list[str]


class OurNeed(NamedTuple):
    """The value that an attribute of ours must have for Keras, and why."""

    kind: type[Module]
    attribute: str
    value: Any
    reason: str


_FIRST = "Keras reads (N, T, I). Set layer.batch_first = True, and give it x so"
OUR_NEEDS = [
    OurNeed(Recurrent, "batch_first", True, _FIRST),
    OurNeed(nn.LSTM, "proj_size", 0, "Keras's LSTM has no projection"),
    OurNeed(Recurrent, "weight_drop", 0, "Keras drops no weights"),
    OurNeed(Recurrent, "zoneout", 0, "Keras's layers have no zoneout"),
    OurNeed(Recurrent, "residual", False, "a Sequential of Keras adds no inputs to outputs"),
    OurNeed(nn.LSTM, "recurrent_dropout", 0, "Keras draws a mask for each gate, not one for all"),
    OurNeed(nn.GRU, "recurrent_dropout", 0, "Keras draws a mask for each gate, not one for all"),
    OurNeed(nn.Embedding, "padding_idx", None, "in Keras all rows get gradients. Set it to None"),
]
_FUNCTIONS: dict[Any, str] = {
    mg.tanh: "tanh",
    mg.sigmoid: "sigmoid",
    mg.relu: "relu",
    mg.silu: "silu",
    mg.softplus: "softplus",
    mg.functional.elu: "elu",
    mg.functional.softmax: "softmax",
    mg.functional.log_softmax: "log_softmax",
}


def to_config(module: Module, gradients: bool = False) -> KerasWeights:
    """Our module as Keras's configuration and weights; of `gradients` in the place of weights.

    Raises ConversionError for a part that has no counterpart.
    """
    writer = _Writer(gradients)
    layers = writer.write(module, "")
    config = layers[0] if len(layers) == 1 else _sequential(layers, "")
    _give_dtype(config, str(writer.weights[0].dtype) if writer.weights else "float32")
    return KerasWeights(config, writer.weights, writer.names)


def _layer(kind: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def _sequential(layers: list[dict[str, Any]], part: str) -> dict[str, Any]:
    name = "_".join(["model", *part.split(".")]).rstrip("_")
    made = _layer("Sequential", name=name, layers=layers)
    return {**made, "module": "keras"}


def _give_dtype(serialised: dict[str, Any], dtype: str) -> None:
    """Layers without arrays compute in the dtype of those before them, or else of the first."""
    config = serialised["config"]
    inner = config.get("layers", [config[n] for n in ("layer", "backward_layer") if n in config])
    for layer in inner:
        _give_dtype(layer, dtype)
        dtype = layer["config"]["dtype"]
    config.setdefault("dtype", dtype)


class _Writer:
    """Writes modules one after the other, and gathers their arrays."""

    def __init__(self, gradients: bool) -> None:
        self.gradients = gradients
        self.weights: list[np.ndarray] = []
        self.names: list[str] = []
        self.parameters: set[int] = set()

    def write(self, module: Any, part: str) -> list[dict[str, Any]]:
        """The configurations of a module's layers."""
        kind = type(module).__name__
        for need in OUR_NEEDS:
            of = module.layer if isinstance(module, Outputs) else module
            if isinstance(of, need.kind) and getattr(of, need.attribute) != need.value:
                shown = f"{need.attribute}={getattr(of, need.attribute)!r}"
                raise ConversionError(part, type(of).__name__, f"{shown}: {need.reason}")
        if type(module) is nn.Sequential:
            layers = []
            for name, item in items_of(module):
                if isinstance(item, Recurrent):
                    raise ConversionError(
                        at(part, name),
                        type(item).__name__,
                        "it returns its state, too, which a Sequential of Keras can't pass on. Put "
                        "it into minigrad.models.convert.Outputs",
                    )
                layers += self.write(item, at(part, name))
            return [_sequential(layers, part)]
        if not isinstance(module, Module):
            return [_layer("Activation", activation=self._function(module, part))]
        written = getattr(self, f"_{kind.lower()}", None)
        if type(module) in (nn.RNN, nn.LSTM, nn.GRU):
            written = self._recurrent
        elif type(module) is not Outputs and type(module) is not getattr(nn, kind, None):
            written = None
        for name, (ours, options) in ACTIVATIONS.items():
            if type(module) is ours:
                if options_of(module) != options:
                    shown = ", ".join(f"{n}={v!r}" for n, v in options.items())
                    raise ConversionError(part, repr(module), f"Keras's {name} has {shown}")
                return [_layer("Activation", activation=name)]
        if written is None:
            reason = _REASONS.get(kind, "Keras has no such layer, or it isn't known here")
            raise ConversionError(part, kind, reason)
        self._refuse_tied(module, part)
        found: list[dict[str, Any]] = written(module, part)
        frozen = {not p.requires_grad for p in module.parameters()}
        if len(frozen) > 1:
            raise ConversionError(
                part, kind, "some of its parameters are frozen; in Keras all or none"
            )
        if frozen == {True}:
            for layer in found:
                layer["config"]["trainable"] = False
        return found

    def _refuse_tied(self, module: Module, part: str) -> None:
        own = {id(parameter) for parameter in module.parameters()}
        if own & self.parameters:
            raise ConversionError(
                part,
                type(module).__name__,
                "it shares a parameter with another layer (tied "
                "weights); Keras's layers hold their own",
            )
        self.parameters |= own

    def _add(self, part: str, **arrays: Any) -> str:
        """Take up arrays by Keras's names; returns their dtype."""
        for name, array in arrays.items():
            self.names.append(at(part, name))
            self.weights.append(np.ascontiguousarray(array))
        return str(self.weights[-1].dtype)

    def _recurrent(
        self, module: Any, part: str, which: str = "", go_backwards: bool = False
    ) -> list[dict[str, Any]]:
        """A layer per layer of ours; without `which`, a single one that returns its state, too."""
        kind = {ours: name for name, ours in RECURRENT.items()}[type(module)]
        if module.num_layers > 1 and not which:
            raise ConversionError(
                part,
                type(module).__name__,
                f"num_layers={module.num_layers}: Keras stacks layers in a Sequential, which gives "
                "no state. Convert minigrad.models.convert.Outputs(layer) in its place",
            )
        if module.bidirectional and module.variational_dropout:
            raise ConversionError(
                part,
                type(module).__name__,
                f"variational_dropout={module.variational_dropout}: here both directions have one "
                "mask, and in Keras each has its own",
            )
        layers = []
        for level in range(module.num_layers):
            last = level == module.num_layers - 1
            config = {
                "units": module.hidden_size,
                "use_bias": module.bias,
                "return_sequences": not last or which != "last",
                "return_state": not which,
                "go_backwards": go_backwards and not level,
                "stateful": module.stateful,
                "dropout": module.variational_dropout,
                "recurrent_dropout": module.recurrent_dropout,
            }
            if kind == "SimpleRNN":
                config["activation"] = module.nonlinearity
            if kind == "GRU":
                config["reset_after"] = module.reset_after
            name = f"layer{level}" if module.num_layers > 1 else ""
            state = module.state_dict()
            for direction in ("", "_reverse")[: 1 + module.bidirectional]:
                suffix = f"_l{level}{direction}"
                own = {n: a for n, a in state.items() if n.endswith(suffix)}
                place = (
                    at(at(part, name) if name else part, "backward")
                    if direction
                    else at(part, name)
                )
                place = place.removesuffix(".")
                config["dtype"] = self._add(place, **to_kernels(kind, own, suffix, self.gradients))
            layers.append(_both(kind, config) if module.bidirectional else _layer(kind, **config))
            if module.dropout and not last:
                layers.append(_layer("Dropout", rate=module.dropout))
        return layers

    def _outputs(self, module: Any, part: str) -> list[dict[str, Any]]:
        layer = module.layer
        if type(layer) not in (nn.RNN, nn.LSTM, nn.GRU):
            raise ConversionError(part, type(layer).__name__, "Keras has no such layer")
        if module.go_backwards and layer.bidirectional:
            raise ConversionError(
                part,
                "Outputs",
                "go_backwards=True: in Keras two directions are forwards, backwards",
            )
        return self._recurrent(layer, part, module.which, module.go_backwards)

    # Each of these writes one kind of module: `_linear` writes Linear.

    def _embedding(self, module: Any, part: str) -> list[dict[str, Any]]:
        dtype = self._add(part, embeddings=module.weight.numpy())
        rows, size = module.weight.shape
        return [_layer("Embedding", input_dim=rows, output_dim=size, dtype=dtype)]

    def _linear(self, module: Any, part: str) -> list[dict[str, Any]]:
        bias = {} if module.bias is None else {"bias": module.bias.numpy()}
        dtype = self._add(part, kernel=module.weight.numpy().T, **bias)
        return [_layer("Dense", units=module.out_features, use_bias=bool(bias), dtype=dtype)]

    def _layernorm(self, module: Any, part: str) -> list[dict[str, Any]]:
        affine = module.weight is not None
        config = {"axis": [*range(-len(module.normalized_shape), 0)], "epsilon": module.eps}
        if affine:
            arrays = {"gamma": module.weight.numpy(), "beta": module.bias.numpy()}
            config["dtype"] = self._add(part, **arrays)
        layer = _layer("LayerNormalization", **config, center=affine, scale=affine)
        return [{**layer, "build_config": {"input_shape": [None, *module.normalized_shape]}}]

    def _dropout(self, module: Any, part: str) -> list[dict[str, Any]]:
        return [_layer("Dropout", rate=module.p)]

    def _flatten(self, module: Any, part: str) -> list[dict[str, Any]]:
        if (module.start_axis, module.end_axis) != (1, -1):
            raise ConversionError(
                part, repr(module), "Keras's Flatten takes all axes but the first"
            )
        return [_layer("Flatten")]

    def _identity(self, module: Any, part: str) -> list[dict[str, Any]]:
        return [_layer("Identity")]

    def _function(self, function: Any, part: str) -> str:
        if function not in _FUNCTIONS:
            what = getattr(function, "__name__", repr(function))
            raise ConversionError(part, what, "Keras has no function of this kind")
        return _FUNCTIONS[function]


_REASONS = {
    "BatchNorm1d": "its running variance is by n - 1, and in Keras by n",
    **dict.fromkeys(("RNNCell", "LSTMCell", "GRUCell"), "convert the layer of this cell"),
    **dict.fromkeys(("ModuleList", "ModuleDict"), "it has no forward(); convert its items"),
}


def _both(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    two = {"layer": False, "backward_layer": True}
    layers = {n: _layer(kind, **{**config, "go_backwards": back}) for n, back in two.items()}
    return _layer("Bidirectional", merge_mode="concat", dtype=config["dtype"], **layers)
