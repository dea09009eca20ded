"""Runs of modules here, at random inputs: outputs, final states, and gradients of everything."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.nn import (
    BatchNorm1d,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    ModuleDict,
    ModuleList,
    Recurrent,
    RecurrentCell,
    Sequential,
)

from .certificate import Run
from .description import at, items_of
from .outputs import Outputs

__all__ = ["callable_parts", "draw_inputs", "inputs_of", "modes", "named_outputs", "run"]

# Options of recurrent layers that draw random numbers in training.
_RATES = ("dropout", "variational_dropout", "recurrent_dropout", "weight_drop", "zoneout")

T, N = 5, 2  # steps and sequences of the inputs that are drawn


def callable_parts(module: Module, part: str = "") -> Iterator[tuple[str, Module]]:
    """The module that is called, with its name; of containers without a `forward`, their items.

    >>> [name for name, _ in callable_parts(mg.nn.ModuleDict({"head": mg.nn.Linear(2, 2)}))]
    ['head']
    """
    if isinstance(module, (ModuleDict, ModuleList)):
        for name, item in items_of(module):
            yield from callable_parts(item, at(part, name))
    else:
        yield part, module


def modes(module: Module) -> list[bool]:
    """The modes in which it is run, as `training`: in both with batch norm and without dropout."""
    parts = list(module.modules())
    drops = any((isinstance(m, Dropout) and m.p) or getattr(m, "dropout", 0) for m in parts)
    normed = any(isinstance(m, BatchNorm1d) for m in parts)
    return [False, True] if normed and not drops else [False]


def draw_inputs(module: Module, seed: int = 0, x: Any = None) -> dict[str, np.ndarray]:
    """Random inputs of the shapes that a model takes: "x", and initial states of a recurrent one.

    x replaces the one that is drawn. Floats are float64. Raises ValueError for a model that takes
    any shape; give x then.

    >>> {name: array.shape for name, array in draw_inputs(mg.nn.LSTM(3, 4)).items()}
    {'x': (5, 2, 3), 'initial h': (1, 2, 4), 'initial c': (1, 2, 4)}
    """
    rng = np.random.default_rng(seed)
    inputs: dict[str, np.ndarray] = {}
    parts = list(callable_parts(module))
    if x is not None and len(parts) != 1:
        raise ValueError(f"x is for one model; this one has {len(parts)} that are called apart")
    for part, called in parts:
        own = _first_input(called, rng) if x is None else np.asarray(x)
        if own is None:
            raise ValueError(
                f"the shape of the input can't be read from {at(part, type(called).__name__)}; "
                "give one, x=an array"
            )
        own = own.astype("float64") if own.dtype.kind == "f" else own
        for name, array in {"x": own, **_draw_states(called, own, rng)}.items():
            inputs[at(part, name)] = array
    return inputs


def _draw_states(module: Module, x: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    if not isinstance(module, (Recurrent, RecurrentCell)):
        return {}
    leading: tuple[int, ...] = x.shape[:-1]
    if isinstance(module, Recurrent):
        runs = module.num_layers * (2 if module.bidirectional else 1)
        batch = 0 if module.batch_first else 1
        leading = (runs, x.shape[batch]) if x.ndim == 3 else (runs,)
    sizes = module.state_sizes(module.hidden_size)
    return {
        f"initial {name}": rng.normal(size=(*leading, size))
        for name, size in zip(module.states, sizes, strict=True)
    }


def _first_input(module: Any, rng: np.random.Generator) -> np.ndarray | None:
    if isinstance(module, Outputs):
        return _first_input(module.layer, rng)
    if isinstance(module, Sequential):
        found = (_first_input(item, rng) for item in module)
        return next((x for x in found if x is not None), None)
    if isinstance(module, Embedding):
        return rng.integers(module.num_embeddings, size=(N, T))
    if isinstance(module, Recurrent):
        steps = (N, T) if module.batch_first else (T, N)
        return rng.normal(size=(*steps, module.input_size))
    shape: tuple[int, ...] | None = None
    if isinstance(module, RecurrentCell):
        shape = (N, module.input_size)
    elif isinstance(module, Linear):
        shape = (N, module.in_features)
    elif isinstance(module, LayerNorm):
        shape = (N, *module.normalized_shape)
    elif isinstance(module, BatchNorm1d):
        shape = (N + 1, module.num_features)
    return None if shape is None else rng.normal(size=shape)


def inputs_of(part: str, inputs: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """x and the parts of the initial state of the module with this name.

    >>> inputs_of("head", {"head.x": 1, "head.initial h": 2, "other.x": 3})
    (1, [2])
    """
    before = at(part, "initial ")
    return inputs[at(part, "x")], [x for name, x in inputs.items() if name.startswith(before)]


def named_outputs(part: str, module: Module, result: Any) -> dict[str, Any]:
    """What a module of ours gives, or its counterpart, by names: "y", "final h".

    >>> lstm = mg.nn.LSTM(3, 4)
    >>> list(named_outputs("", lstm, lstm(mg.ones((5, 2, 3)))))
    ['y', 'final h', 'final c']
    """
    if isinstance(module, Sequential) and len(module):
        return named_outputs(part, module[-1], result)
    if isinstance(module, (Recurrent, RecurrentCell)):
        cell = isinstance(module, RecurrentCell)
        y, state = (None, result) if cell else result
        parts = state if isinstance(state, (tuple, list)) else (state,)
        named = {} if cell else {"y": y}
        named |= dict(zip((f"final {name}" for name in module.states), parts, strict=True))
    elif isinstance(result, (tuple, list)):
        named = {f"y.{i}": y for i, y in enumerate(result)}
    else:
        named = {"y": result}
    return {at(part, name): y for name, y in named.items()}


def run(
    module: Module,
    inputs: Mapping[str, np.ndarray],
    cotangents: Mapping[str, np.ndarray] | int = 0,
    training: bool = False,
) -> tuple[Run, dict[str, np.ndarray]]:
    """What a copy of a module gives for inputs as `draw_inputs` names them, and the cotangents.

    The cotangents are given by the names of the outputs, or drawn with a seed. The copy has the
    dtype of the inputs (float64 for integers). With `training`, its buffers are outputs, too.

    >>> inputs = draw_inputs(mg.nn.GRU(3, 4))
    >>> ours, cotangents = run(mg.nn.GRU(3, 4), inputs)
    >>> list(ours.outputs), list(ours.gradients)[:3]
    (['y', 'final h'], ['x', 'initial h', 'weight_ih_l0'])
    """
    floats = next((a.dtype for a in inputs.values() if a.dtype.kind == "f"), np.dtype("float64"))
    module = copy.deepcopy(module).astype(floats).train(training).requires_grad_()
    for layer in module.modules():
        if isinstance(layer, Recurrent):
            layer.reset_state()
    backend = next((held.backend for held in (*module.parameters(), *module.buffers())), None)
    given = {
        name: mg.tensor(array, requires_grad=array.dtype.kind == "f", backend=backend)
        for name, array in inputs.items()
    }
    outputs: dict[str, Any] = {}
    for part, called in callable_parts(module):
        x, state = inputs_of(part, given)
        packed = [state[0] if len(state) == 1 else tuple(state)] if state else []
        outputs |= named_outputs(part, called, called(x, *packed))
    if isinstance(cotangents, int):
        rng = np.random.default_rng(cotangents + 1)
        cotangents = {name: rng.normal(size=y.shape).astype(floats) for name, y in outputs.items()}
    # Tied weights are one parameter, under its first name.
    wanted = {name: x for name, x in given.items() if x.requires_grad}
    wanted |= dict(module.named_parameters())
    reached = [name for name in cotangents if outputs[name].requires_grad]
    found = mg.grad(
        [outputs[name] for name in reached],
        list(wanted.values()),
        [mg.tensor(cotangents[name], backend=backend) for name in reached],
        allow_unused=True,
    )
    gradients = {
        name: np.zeros(x.shape, floats) if g is None else g.numpy()
        for (name, x), g in zip(wanted.items(), found, strict=True)
    }
    if training:
        outputs |= dict(module.named_buffers())
    return Run({name: y.numpy() for name, y in outputs.items()}, gradients), dict(cotangents)
