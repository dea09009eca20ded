"""From Keras: a layer's configuration and arrays, as its `get_weights()` gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minigrad import nn
from minigrad.nn import Module

from .description import at, fill, new
from .keras_layers import ACTIVATIONS, OPTIONS, RECURRENT, from_kernels, refuse_config
from .outputs import Outputs
from .refusals import ConversionError

__all__ = ["from_config"]


def from_config(config: Mapping[str, Any], weights: Iterable[Any], inference: bool) -> Module:
    """Our module of a layer or Sequential, as Keras serialises it, and its weights in order."""
    reader = _Reader(weights, inference)
    made = reader.read(config, "")
    if reader.weights:
        left = ", ".join(str(array.shape) for array in reader.weights)
        raise ConversionError(
            "", _kind(config, ""), f"there are more weights than its layers have; left are {left}"
        )
    if not made or (isinstance(made[0], nn.Sequential) and not made[0]):
        raise ConversionError("", _kind(config, ""), "there is no layer in it")
    module = made[0] if len(made) == 1 else nn.Sequential(*made)
    return module.eval() if inference else module


def _kind(config: Any, part: str) -> str:
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise ConversionError(
            part,
            "a configuration",
            "it is a dict {'class_name': 'LSTM', 'config': {...}}, as "
            f"keras.saving.serialize_keras_object gives it; got {config!r:.60}",
        )
    kind: str = config["class_name"]
    package = config.get("module", "keras.layers")
    if package not in ("keras", "keras.layers") or config.get("registered_name"):
        raise ConversionError(
            part, kind, "it is a class that you wrote, and its call() is code. Write the class here"
        )
    if kind not in OPTIONS:
        raise ConversionError(
            part, kind, f"minigrad has no such layer. It has {', '.join(OPTIONS)}"
        )
    return kind


def _name(serialised: Any) -> Any:
    config = serialised.get("config") if isinstance(serialised, Mapping) else None
    return config.get("name") if isinstance(config, Mapping) else None


class _Reader:
    """Reads layers one after the other, and takes the arrays that they have."""

    def __init__(self, weights: Iterable[Any], inference: bool) -> None:
        self.weights = [np.asarray(array) for array in weights]
        self.inference = inference

    def read(self, serialised: Any, part: str, alone: bool = True) -> list[Module]:
        """The modules of a layer, which come one after the other; `alone` if there is one only."""
        kind = _kind(serialised, part)
        config = dict(serialised.get("config", {}))
        refuse_config(kind, config, part, self.inference)
        options = {name: config.get(name, value) for name, value in OPTIONS[kind].items()}
        options["built"] = serialised.get("build_config")
        if kind == "InputLayer":
            return []
        if kind == "Sequential":
            made: list[Module] = []
            for i, layer in enumerate(options["layers"]):
                name = str(_name(layer) or i)  # as Keras's users know it
                made += self.read(layer, at(part, name), alone=False)
            return [nn.Sequential(*made)]
        if kind in RECURRENT or kind == "Bidirectional":
            found = [self._recurrent(kind, options, part, alone)]
        else:
            found = getattr(self, f"_{kind.lower()}")(options, part)
        if not config.get("trainable", True):
            for module in found:
                module.requires_grad_(False)
        return found

    def _take(self, part: str, kind: str, *ndims: int) -> list[np.ndarray]:
        """The next arrays, with so many axes each."""
        found, self.weights = self.weights[: len(ndims)], self.weights[len(ndims) :]
        if [array.ndim for array in found] != [*ndims]:
            shapes = ", ".join(str(array.shape) for array in found) or "nothing"
            axes = ", ".join(map(str, ndims))
            raise ConversionError(
                part, kind, f"its weights are arrays of {axes} axes; in their place came {shapes}"
            )
        return found

    def _recurrent(self, kind: str, options: dict[str, Any], part: str, alone: bool) -> Module:
        both = kind == "Bidirectional"
        suffixes = ["_l0"]
        if both:
            kind, options = self._both(options, part)
            suffixes.append("_l0_reverse")
        bias_axes = 2 if kind == "GRU" and options["reset_after"] else 1
        ndims = (2, 2, bias_axes) if options["use_bias"] else (2, 2)
        taken = [self._take(part, kind, *ndims) for _ in suffixes]
        I, H = taken[0][0].shape[0], taken[0][1].shape[0]
        if options["units"] not in (None, H):
            raise ConversionError(part, kind, f"units={options['units']}, and the weights have {H}")
        extra: dict[str, Any] = {"reset_after": options["reset_after"]} if kind == "GRU" else {}
        if both and options["dropout"] and not self.inference:
            raise ConversionError(
                part,
                kind,
                f"dropout={options['dropout']}: Keras draws a mask for each direction, and here "
                "there is one for both; or pass inference=True to leave out what acts in training "
                "only",
            )
        if both and options["stateful"]:
            raise ConversionError(part, kind, "stateful=True: here one direction can be stateful")
        if not self.inference:
            extra["variational_dropout"] = options["dropout"]
            extra["recurrent_dropout"] = options["recurrent_dropout"]
        if kind == "SimpleRNN":
            extra["nonlinearity"] = options["activation"]
        layer = new(
            RECURRENT[kind],
            *(I, H),
            bias=options["use_bias"],
            batch_first=True,
            bidirectional=both,
            stateful=options["stateful"],
            **extra,
        )
        arrays: dict[str, np.ndarray] = {}
        for suffix, own in zip(suffixes, taken, strict=True):
            try:
                arrays |= from_kernels(kind, own, options.get("reset_after", True), suffix)
            except ValueError as error:  # blocks of different sizes
                shapes = ", ".join(str(array.shape) for array in own)
                raise ConversionError(part, kind, f"its weights are {shapes}: {error}") from error
        fill(layer, arrays, part)
        if alone and not options["go_backwards"]:
            return layer
        if options["return_state"] and not alone:
            raise ConversionError(
                part, kind, "return_state=True: a layer behind it takes one tensor"
            )
        which = "all" if options["return_sequences"] else "last"
        return Outputs(layer, which, options["go_backwards"])

    def _both(self, options: dict[str, Any], part: str) -> tuple[str, dict[str, Any]]:
        """The kind and options that both directions have."""
        found = []
        forward = options["layer"]
        for name, layer in (("layer", forward), ("backward_layer", options["backward_layer"])):
            place = at(part, name)
            kind = _kind(layer or forward, place)
            config = dict((layer or forward).get("config", {}))
            if kind not in RECURRENT:
                raise ConversionError(place, kind, "two directions have recurrent layers only")
            refuse_config(kind, config, place, self.inference)
            found.append((kind, {n: config.get(n, value) for n, value in OPTIONS[kind].items()}))
        (kind, first), (other, second) = found
        if first["go_backwards"]:
            raise ConversionError(
                part, kind, "go_backwards=True: its first direction goes forwards"
            )
        if options["backward_layer"] and not second["go_backwards"]:
            raise ConversionError(part, kind, "its backward_layer must have go_backwards=True")
        if kind != other or {**first, "go_backwards": 0} != {**second, "go_backwards": 0}:
            raise ConversionError(
                part,
                "Bidirectional",
                "its two directions are different layers; here they are alike",
            )
        return kind, first

    # Each of these reads one kind of layer: `_dense` reads Dense.

    def _embedding(self, options: dict[str, Any], part: str) -> list[Module]:
        (table,) = self._take(part, "Embedding", 2)
        for name, size in zip(("input_dim", "output_dim"), table.shape, strict=True):
            if options[name] not in (None, size):
                raise ConversionError(
                    part, "Embedding", f"{name}={options[name]}, and the weights are {table.shape}"
                )
        return [fill(new(nn.Embedding, *table.shape), {"weight": table}, part)]

    def _dense(self, options: dict[str, Any], part: str) -> list[Module]:
        taken = self._take(part, "Dense", *((2, 1) if options["use_bias"] else (2,)))
        I, O = taken[0].shape
        if options["units"] not in (None, O):
            raise ConversionError(
                part, "Dense", f"units={options['units']}, and the kernel is {taken[0].shape}"
            )
        arrays = {"weight": taken[0].T, **dict(zip(["bias"], taken[1:], strict=False))}
        layer = fill(new(nn.Linear, I, O, bias=options["use_bias"]), arrays, part)
        return [layer, *self._activation(options, part)]

    def _layernormalization(self, options: dict[str, Any], part: str) -> list[Module]:
        kind, axis = "LayerNormalization", options["axis"]
        axes = [axis] if isinstance(axis, int) else sorted(axis)
        if axes != [*range(-len(axes), 0)]:
            raise ConversionError(
                part, kind, f"axis={axis}: name the last axes, from the end, as axis=-1"
            )
        if options["center"] != options["scale"]:
            raise ConversionError(
                part,
                kind,
                f"center={options['center']} and scale={options['scale']}: a LayerNorm "
                "here has both or neither",
            )
        if not options["scale"]:
            shape = (options["built"] or {}).get("input_shape", ())[-len(axes) :]
            if not shape or None in shape:
                raise ConversionError(
                    part,
                    kind,
                    "center=False and scale=False: without weights, and with no "
                    "build_config in the configuration, its size can't be seen",
                )
            return [nn.LayerNorm(shape, options["epsilon"], elementwise_affine=False)]
        weight, bias = self._take(part, kind, len(axes), len(axes))
        layer = new(nn.LayerNorm, weight.shape, eps=options["epsilon"])
        return [fill(layer, {"weight": weight, "bias": bias}, part)]

    def _activation(self, options: dict[str, Any], part: str) -> list[Module]:
        name = options["activation"]
        if name in (None, "linear"):
            return []
        name = {"swish": "silu"}.get(name, name) if isinstance(name, str) else name
        if not isinstance(name, str) or name not in ACTIVATIONS:
            shown = name if isinstance(name, str) else "a function that you wrote"
            raise ConversionError(
                part,
                "Activation",
                f"{shown} has no counterpart; known are {', '.join(ACTIVATIONS)}",
            )
        kind, own = ACTIVATIONS[name]
        return [kind(**own)]

    def _dropout(self, options: dict[str, Any], part: str) -> list[Module]:
        return [nn.Dropout(options["rate"])]

    def _flatten(self, options: dict[str, Any], part: str) -> list[Module]:
        return [nn.Flatten()]

    def _identity(self, options: dict[str, Any], part: str) -> list[Module]:
        return [nn.Identity()]
