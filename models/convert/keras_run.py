"""Runs of Keras's layers and models, beside ours."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.nn import LSTM, RNN, Module, Recurrent

from .certificate import Run
from .keras import arrays_of, keras_or_error, rebuilt
from .keras_out import to_config
from .runs import named_outputs
from .torch_run import torch_gradients, torch_inputs

__all__ = ["as_keras_names", "run_keras", "with_one_bias"]


def as_keras_names(ours: Module, gradients: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Gradients of our inputs and parameters, those of parameters by Keras's names and layouts."""
    module = copy.deepcopy(ours).double()
    parameters = dict(module.named_parameters())
    for name, parameter in parameters.items():
        parameter.data = gradients[name]
    _, arrays, names = to_config(module, gradients=True)
    inputs = {name: g for name, g in gradients.items() if name not in parameters}
    return inputs | dict(zip(names, arrays, strict=True))


def with_one_bias(ours: Module) -> Module:
    """A copy in which the first of two biases that add up is their sum, as it is in Keras.

    >>> import minigrad as mg
    >>> with_one_bias(mg.nn.RNN(3, 1)).bias_hh_l0.tolist()
    [0.0]
    """
    made = copy.deepcopy(ours)
    for layer in made.modules():
        if isinstance(layer, (LSTM, RNN)):
            state = layer.state_dict()
            for name in [name for name in state if name.startswith("bias_hh")]:
                first = name.replace("bias_hh", "bias_ih")
                state |= {first: state[first] + state[name], name: np.zeros_like(state[name])}
            layer.load_state_dict(state)
    return made


@contextlib.contextmanager
def _keeping_float64() -> Iterator[bool]:
    """Keras's ops leave float64 as it is; gives whether that could be had.

    But for TensorFlow, its rules of promotion turn float64 to float32 in some ops, whatever the
    dtype of the layer. The table that says so is internal to Keras; where a release lacks it, what
    it computes is exact to float32 only.
    """
    try:
        from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE as table
    except ImportError:
        yield False
        return
    before = dict(table)
    table["float64"] = "float64"
    try:
        yield True
    finally:
        table.update(before)


def run_keras(
    ours: Module,
    theirs: Any,
    inputs: Mapping[str, np.ndarray],
    cotangents: Mapping[str, np.ndarray],
    training: bool = False,
) -> tuple[str, Run]:
    """Keras's release, and what a copy of its layer in float64 gives.

    Gradients are by the names of `as_keras_names`; they are computed only where Keras runs on
    PyTorch. Arguments are as of `minigrad.models.convert.torch_run.run_pytorch`.
    """
    keras = keras_or_error("check")
    with _keeping_float64():
        return _run(keras, ours, theirs, inputs, cotangents)


def _run(
    keras: Any,
    ours: Module,
    theirs: Any,
    inputs: Mapping[str, np.ndarray],
    cotangents: Mapping[str, np.ndarray],
) -> tuple[str, Run]:
    config = _in_float64(keras.saving.serialize_keras_object(theirs))
    alone = isinstance(ours, Recurrent)
    if alone:  # Keras's layer gives all that ours gives
        for layer in _layers(config):
            layer["config"] |= {"return_sequences": True, "return_state": True}
    arrays = [array.astype("float64") for array in arrays_of(theirs)]
    layer = rebuilt(config, arrays, tuple(inputs["x"].shape))
    on = keras.backend.backend()
    release = f"Keras {keras.__version__} on {on}"
    if on != "torch":
        outputs = _outputs(
            ours, layer, {n: keras.ops.convert_to_tensor(a) for n, a in inputs.items()}
        )
        arrays_by_name = {n: keras.ops.convert_to_numpy(y) for n, y in outputs.items()}
        return release, Run(arrays_by_name, {})
    given = torch_inputs(inputs)
    _, _, names = to_config(ours)
    weights = (variable.value.requires_grad_() for variable in layer.weights)
    parameters = dict(zip(names, weights, strict=True))
    outputs = _outputs(ours, layer, given)
    gradients = torch_gradients(given, parameters, outputs, cotangents)
    return release, Run({n: y.detach().cpu().numpy() for n, y in outputs.items()}, gradients)


def _outputs(ours: Module, layer: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What Keras's layer gives, by our names."""
    states = [x for name, x in given.items() if name.startswith("initial ")]
    if not isinstance(ours, Recurrent):
        return {"y": layer(given["x"], training=False)}
    runs = range(1 + ours.bidirectional)
    flat = [state[d] for d in runs for state in states]  # h, c of each direction
    y, *final = layer(given["x"], initial_state=flat, training=False)
    k = len(states)
    parts = [_stacked([final[d * k + i] for d in runs]) for i in range(k)]
    return named_outputs("", ours, (y, parts))


def _stacked(parts: list[Any]) -> Any:
    from keras import ops

    return ops.stack(parts)


def _layers(config: Any) -> list[dict[str, Any]]:
    """The configurations of a recurrent layer; of `Bidirectional`, those of both directions."""
    if config["class_name"] != "Bidirectional":
        return [config]
    return [config["config"][name] for name in ("layer", "backward_layer")]


def _in_float64(config: Any) -> Any:
    """A configuration for any batch, with float64 in the place of other floats, and no memory."""
    if isinstance(config, list):
        return [_in_float64(part) for part in config]
    if not isinstance(config, dict):
        return config
    made = {name: _in_float64(part) for name, part in config.items()}
    if "dtype" in made and not (isinstance(config["dtype"], str) and "int" in config["dtype"]):
        made["dtype"] = "float64"
    if made.get("batch_shape"):
        made["batch_shape"] = [None, *made["batch_shape"][1:]]
    if "stateful" in made:
        made["stateful"] = False
    return made
