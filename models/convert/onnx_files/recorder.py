"""What a module computes: its calls of ops and of layers, recorded in a run."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.engine.graph import on_call
from minigrad.nested import parts_of
from minigrad.nn import Embedding, LayerNorm, Module, Recurrent

__all__ = ["Call", "Recording", "array_of", "evaluating", "flat", "record"]

_one_at_a_time = threading.RLock()  # modules are changed while they are recorded


class Call(NamedTuple):
    """A call of an op, or of a layer that ONNX has as one node."""

    name: str  # the op's, or the class of the layer
    inputs: tuple[Any, ...]  # arrays and numbers
    settings: dict[str, Any]
    outputs: list[Any]
    layer: Module | None = None
    path: str = ""  # the layer's name in the module


class Recording(NamedTuple):
    """A run of a module."""

    calls: list[Call]
    inputs: list[Any]  # arrays
    result: Any


def record(module: Module, run: Callable[[], Any], inputs: Sequence[Any]) -> Recording:
    """Let `run` call a module in evaluation mode, with these inputs, and note what it calls.

    Layers that are one node in ONNX are one call; what is within them is passed over.
    """
    calls: list[Call] = []

    def note(op: Any, node: Any, inputs: Any, output: Any, backend: Any, settings: Any) -> None:
        outputs = list(output) if getattr(op, "multi_output", False) else [output]
        named = dict(zip(getattr(op, "settings", ()), settings, strict=False))
        own = "" if getattr(op, "trusted", True) else f" of {op.__module__}"  # may be named alike
        calls.append(Call(f"{op.name}{own}", tuple(inputs), named, outputs))

    arrays = list(map(array_of, inputs))  # before the module may edit them
    heard = on_call.within(note, composed="it is recorded op by op")
    with evaluating(module), _layers_as_calls(module, calls), mg.no_grad(), heard:
        result = run()
    return Recording(calls, arrays, result)


def flat(value: Any) -> list[Any]:
    """What is in containers within each other; nothing for None."""
    if isinstance(value, dict):
        return flat(list(value.values()))
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in flat(item)]
    return [] if value is None else [value]


def array_of(value: Any) -> Any:
    """The array in a tensor; an array as it is."""
    return value._data if isinstance(value, Tensor) else value


@contextmanager
def evaluating(module: Module) -> Iterator[None]:
    """All modules in evaluation mode; afterwards each is as it was."""
    modes = [(part, vars(part).get("training")) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            if training is None:  # as its class has it
                del part.training
            else:
                part.training = training


@contextmanager
def _layers_as_calls(module: Module, calls: list[Call]) -> Iterator[None]:
    """Within, layers of ONNX note their calls themselves."""
    with _one_at_a_time:
        changed = []
        try:
            for path, part in module.named_modules():
                # A subclass with another forward is recorded op by op.
                own = vars(part).get("forward", type(part).forward)
                note = next((fn for kind, fn in _NOTES if own is kind.forward), None)
                if note is not None:
                    vars(part)["forward"] = _noted(part, path, note, calls)
                    changed.append(part)
            yield
        finally:
            for part in changed:
                del vars(part)["forward"]


def _noted(layer: Any, path: str, note: Any, calls: list[Call]) -> Any:
    """A layer's forward, which notes its calls."""
    original = layer.forward
    signature = inspect.signature(original)

    def forward(*args: Any, **options: Any) -> Any:
        given = signature.bind(*args, **options)
        given.apply_defaults()
        inputs, settings = note(layer, given.arguments)
        with on_call.unheard():
            result = original(*args, **options)
        outputs = [part._data for part in flat(result)]
        name = type(layer).__name__
        calls.append(Call(name, inputs, settings, outputs, layer, path))
        return result

    return forward


def _recurrent_call(layer: Recurrent, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The inputs of a recurrent layer: x, and the parts of the initial state if there is one."""
    state: Sequence[Any] = () if given["state"] is None else parts_of(given["state"])
    steps = {name: _as_array(given[name]) for name in ("lengths", "mask")}
    return tuple(map(array_of, (given["x"], *state))), steps


def _as_array(given: Any) -> Any:
    """An array of what may be a list; None stays."""
    return given if given is None else array_of(given if _is_array(given) else np.asarray(given))


def _is_array(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


def _norm_call(layer: LayerNorm, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    weights = [] if layer.weight is None or layer.bias is None else [layer.weight, layer.bias]
    return tuple(map(array_of, (given["x"], *weights))), {}


def _table_call(layer: Embedding, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return (layer.weight._data, _as_array(given["indices"])), {}


# How a layer notes its inputs and settings.
_NOTES: tuple[tuple[type[Module], Any], ...] = (
    (Recurrent, _recurrent_call),
    (LayerNorm, _norm_call),
    (Embedding, _table_call),
)
