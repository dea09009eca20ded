"""Layers and Sequential models of Keras 3 in and out.

Keras itself is needed only for its own objects; `keras_weights` and `from_keras(config, weights)`
work with configurations and lists of arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minigrad.nn import Module, Recurrent
from minigrad.utils.install import install_line

from .keras_in import from_config
from .keras_out import KerasWeights, to_config
from .refusals import ConversionError
from .runs import draw_inputs
from .torch_layers import as_array

__all__ = [
    "arrays_of",
    "from_keras",
    "is_keras",
    "keras_or_error",
    "keras_weights",
    "rebuilt",
    "to_keras",
]


def is_keras(source: Any) -> bool:
    """Whether something is a layer or a model of Keras 3."""
    keras = sys.modules.get("keras")  # if it isn't loaded, nothing is of it
    return keras is not None and isinstance(source, keras.Layer)


def from_keras(source: Any, weights: Iterable[Any] | None = None, inference: bool = False) -> Any:
    """The module here that computes the same as a layer or Sequential of Keras 3.

    Parameters
    ----------
    source : `SimpleRNN`, `LSTM`, `GRU` (`reset_after` or not), `Bidirectional` of them (concat),
        `Embedding`, `Dense`, `LayerNormalization`, `Dropout`, `Activation`, `Flatten`, `Identity`,
        or a `Sequential` of these, built. Or the configuration of one, as
        `keras.saving.serialize_keras_object` or `keras_weights` give it; what it leaves out has
        Keras's defaults.
    weights : for a configuration, the arrays of `get_weights()`.
    inference : leave out what acts in training only and has no counterpart here, such as
        recurrent dropout and regularisers, and return the module in evaluation mode.

    Returns
    -------
    The module; a recurrent one is batch-first, x (N, T, I). A recurrent layer alone is one here,
    which returns all outputs and its state; within a Sequential, or with `go_backwards`, it is in
    an `Outputs`. LSTM and SimpleRNN have two biases here, which are added up: `bias_hh` is zeros.

    Raises
    ------
    ConversionError : names the part that can't be converted, and the reason.

    Examples
    --------
    >>> kernels = [np.ones((3, 8)), np.ones((2, 8)), np.zeros(8)]
    >>> from_keras({"class_name": "LSTM", "config": {"units": 2}}, kernels)
    LSTM(3, 2, batch_first=True)
    """
    if is_keras(source):
        if weights is not None:
            raise TypeError("from_keras: a layer has its weights; got others besides")
        if not source.built:
            kind = type(source).__name__
            raise ConversionError("", kind, "it has no weights yet; call it once, or build it")
        return from_config(_serialised(source), arrays_of(source), inference)
    if isinstance(source, Mapping):
        if weights is None:
            raise TypeError("from_keras: a configuration comes with weights, from get_weights()")
        return from_config(source, weights, inference)
    hint = ""
    if isinstance(source, (str, bytes)) or hasattr(source, "__fspath__"):
        hint = ". A file is read by Keras: from_keras(keras.saving.load_model(path))"
    raise TypeError(
        "from_keras takes a layer or model of Keras 3, or a configuration and weights; got "
        f"{type(source).__name__}{hint}"
    )


def arrays_of(layer: Any) -> list[np.ndarray]:
    """The arrays of `layer.get_weights()`, which on PyTorch makes NumPy 2 warn."""
    from keras import ops

    on_torch = [hasattr(weight.value, "detach") for weight in layer.weights]
    return [
        as_array(weight.path, weight.value if torch else ops.convert_to_numpy(weight.value))
        for weight, torch in zip(layer.weights, on_torch, strict=True)
    ]


def _serialised(layer: Any) -> dict[str, Any]:
    from keras import saving

    return saving.serialize_keras_object(layer)


def keras_weights(module: Module) -> KerasWeights:
    """The configuration of Keras's layer or Sequential for ours, and the arrays that it loads.

    Needs no Keras. With it, `keras.saving.deserialize_keras_object(config)` makes the layer, and
    once it is built, `set_weights(weights)` gives it the arrays. Raises ConversionError for a part
    that has no counterpart.

    >>> config, weights, names = keras_weights(mg.nn.GRU(3, 4, batch_first=True))
    >>> config["class_name"], dict(zip(names, (array.shape for array in weights)))
    ('GRU', {'kernel': (3, 12), 'recurrent_kernel': (4, 12), 'bias': (2, 12)})
    """
    return to_config(module)


def to_keras(module: Module) -> Any:
    """The layer or Sequential of Keras 3 that computes the same as a module, with its weights.

    A recurrent layer must be batch-first; alone it becomes one that returns its outputs and state,
    in an `Outputs` one that returns outputs only. Needs Keras; without it, see `keras_weights`.

    Raises ConversionError for a part that has no counterpart; it names the part and the reason.

    >>> from minigrad.models.convert import to_keras
    >>> try:
    ...     to_keras(mg.nn.LSTM(3, 4))
    ... except ValueError as error:
    ...     print(error)
    LSTM can't be converted: batch_first=False: ...
    """
    config, weights, _ = keras_weights(module)
    for part, layer in module.named_modules():
        if isinstance(layer, Recurrent) and layer.stateful:
            raise ConversionError(
                part,
                type(layer).__name__,
                "stateful=True: Keras builds such a layer for one size of a batch. Take its "
                "configuration and weights from keras_weights, and build it for yours",
            )
    keras_or_error("to_keras", "; keras_weights gives its configuration and weights without")
    return rebuilt(config, weights, _batch_shape(module))


def rebuilt(
    config: dict[str, Any], weights: list[np.ndarray], shape: tuple[Any, ...] | None
) -> Any:
    """The layer or model of a configuration, built for inputs of a shape, with these weights."""
    from keras import saving

    made = saving.deserialize_keras_object(config)
    if not made.built:
        if shape is None:
            raise ConversionError(
                "", config["class_name"], "the shape of its input can't be read from its layers"
            )
        made.build(shape)
    made.set_weights(weights)
    return made


def keras_or_error(asked_by: str, hint: str = "") -> Any:
    """Keras 3 as a module; ImportError says what to do where it is missing."""
    try:
        import keras
    except ImportError as error:
        if error.name != "keras":  # Keras is there, and what it runs on isn't
            raise ImportError(
                f"{asked_by}: Keras can't start here: {error}. It is to run on PyTorch; set "
                "KERAS_BACKEND=torch before Python starts"
            ) from error
        raise ImportError(
            f"{asked_by} needs Keras 3, which is not installed here{hint}. To install it, "
            f"{install_line('oracle')}"
        ) from error
    if not hasattr(keras, "saving") or int(keras.__version__.partition(".")[0]) < 3:
        raise ImportError(f"{asked_by} needs Keras 3; here is {keras.__version__}")
    return keras


def _batch_shape(module: Module) -> tuple[Any, ...] | None:
    """The shape of inputs, with None for sizes that are free."""
    try:
        x = draw_inputs(module)["x"]
    except (ValueError, KeyError):
        return None
    free = 2 if x.dtype.kind == "i" or x.ndim == 3 else 1
    return (*(None,) * free, *x.shape[free:])
