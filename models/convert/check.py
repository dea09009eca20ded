"""`check`: a model here and its counterpart in another framework, run on the same numbers."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minigrad.nn import Module

from .certificate import TOLERANCE, Certificate, Run, compare
from .keras import is_keras, rebuilt, to_keras
from .keras_out import KerasWeights
from .keras_run import as_keras_names, run_keras, with_one_bias
from .pytorch import to_pytorch
from .runs import draw_inputs, modes, run
from .stored import check_stored
from .torch_layers import as_array
from .torch_run import run_pytorch

__all__ = ["check"]

TOLERANCE_32 = 1e-5  # of a framework that computes in float32 only

# The framework and its release, our run, its run, and notes.
_Runs = tuple[str, Run, Run, list[str]]


def check(
    ours: Module,
    theirs: Any = "pytorch",
    x: Any = None,
    *,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> Certificate:
    """Whether a converted model computes what its counterpart computes; prints as a table.

    Copies of both run in float64, on random inputs and initial states. Compared are outputs, final
    states, and the gradients of all inputs and parameters for random cotangents. They run in
    evaluation mode; with batch norm and without dropout in training mode, too.

    Parameters
    ----------
    ours : the module here.
    theirs : a module of PyTorch, or its state dict; a layer or model of Keras, or what
        `keras_weights` gives; or "pytorch" or "keras", for what ours becomes there.
    x : an input of ours in place of a random one.
    seed : of all random numbers.
    tolerance : the greatest allowed difference, relative to values greater than 1.

    Where the framework is not installed, the conversion of the same kinds of layers is checked by
    stored cases, which that framework has computed; the certificate says so.

    Raises ConversionError if ours can't be converted, and ValueError if x has to be given.

    >>> from minigrad.models.convert import check
    >>> certificate = check(mg.nn.GRU(3, 4), "pytorch")
    >>> certificate.verdict, bool(certificate)
    ('PASS', True)
    """
    if not isinstance(ours, Module):
        raise TypeError(f"check: the module here comes first; got {type(ours).__name__}")
    model = _title(ours)
    found = _peer(ours, theirs)
    if isinstance(found, _Absent):
        return check_stored(model, ours, *found, _weights(theirs), tolerance)
    inputs = draw_inputs(ours, seed, x)
    with_theirs = _with_keras if is_keras(found) else _with_pytorch
    framework, own, peer, notes = with_theirs(ours, found, inputs, seed)
    if any(array.dtype == "float32" for array in peer.outputs.values()):
        tolerance = max(tolerance, TOLERANCE_32)
        notes.append(f"{framework} computes in float32 here, however exact its weights are")
    notes = [f"random numbers of seed {seed}, in float64", *notes]
    return compare(model, framework, own, peer, tolerance=tolerance, notes=tuple(notes))


def _with_pytorch(ours: Module, theirs: Any, inputs: Any, seed: int) -> _Runs:
    framework, own, peer = "", Run({}, {}), Run({}, {})
    for training in modes(ours):
        mine, cotangents = run(ours, inputs, seed, training)
        framework, other = run_pytorch(ours, theirs, inputs, cotangents, training)
        mode = " in training" if training else ""
        for whole, part in ((own, mine), (peer, other)):
            for all_arrays, arrays in zip(whole, part, strict=True):
                all_arrays.update({name + mode: array for name, array in arrays.items()})
    return framework, own, peer, []


def _with_keras(ours: Module, theirs: Any, inputs: Any, seed: int) -> _Runs:
    notes = []
    added = with_one_bias(ours)
    exact = with_one_bias(copy.deepcopy(ours).double()).state_dict()
    if any((array != exact[name]).any() for name, array in added.state_dict().items()):
        notes.append("Keras has one bias where we have two: their sum, rounded")
    mine, cotangents = run(added, inputs, seed)
    own = Run(mine.outputs, as_keras_names(ours, mine.gradients))
    framework, peer = run_keras(ours, theirs, inputs, cotangents)
    if not peer.gradients:
        notes.append("gradients need Keras on PyTorch: set KERAS_BACKEND=torch")
    return framework, own, peer, notes


class _Absent(NamedTuple):
    """A framework that can't be asked here, and why."""

    framework: str
    why: str


def _title(module: Module) -> str:
    """A module in a line."""
    text, size = repr(module), len(list(module.modules()))
    return f"{type(module).__name__} of {size} modules" if "\n" in text else text


def _peer(ours: Module, theirs: Any) -> Any:
    """The module of the other framework; or why there is none."""
    torch = sys.modules.get("torch")
    if is_keras(theirs) or (torch is not None and isinstance(theirs, torch.nn.Module)):
        return theirs
    if isinstance(theirs, KerasWeights):
        name = "keras"
    elif isinstance(theirs, Mapping):
        name = "pytorch"
    elif isinstance(theirs, str) and theirs.lower() in ("pytorch", "keras"):
        name = theirs.lower()
    else:
        raise TypeError(
            "check takes a module of PyTorch or a layer of Keras, a state dict, what keras_weights "
            f"gives, or 'pytorch' or 'keras'; got {theirs!r:.40}"
        )
    try:
        made = to_pytorch(ours) if name == "pytorch" else to_keras(ours)
    except ImportError as error:
        return _Absent(name, str(error))
    if isinstance(theirs, KerasWeights):
        return rebuilt(theirs.config, theirs.weights, tuple(draw_inputs(ours)["x"].shape))
    if isinstance(theirs, Mapping):
        state = {name: as_array(name, array) for name, array in theirs.items()}
        _load(made, state)
    return made


def _load(module: Any, state: Mapping[str, np.ndarray]) -> None:
    import torch

    module.double().load_state_dict({name: torch.tensor(array) for name, array in state.items()})


def _weights(theirs: Any) -> Any:
    """The weights of the other side that were given, if any."""
    return theirs if isinstance(theirs, (KerasWeights, Mapping)) else None
