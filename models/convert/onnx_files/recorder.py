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
from minigrad.engine.graph import on_call, only_values, scanning
from minigrad.nested import parts_of, rebuild
from minigrad.nn import Embedding, LayerNorm, Module, Recurrent
from minigrad.scan import scan
from minigrad.utils.scope import Scope

from ..refusals import ConversionError
from .gates import NODES

__all__ = ["Call", "Recording", "array_of", "evaluating", "flat", "record"]

_one_at_a_time = threading.RLock()  # modules are changed while they are recorded


class Recording(NamedTuple):
    """A run of a module, or of a step of a scan."""

    calls: list[Call]
    inputs: list[Any]  # arrays
    result: Any


class Call(NamedTuple):
    """A call of an op, of a layer that ONNX has as one node, or of `scan`."""

    name: str  # the op's, or the class of the layer
    inputs: tuple[Any, ...]  # arrays and numbers
    settings: dict[str, Any]
    outputs: list[Any]
    layer: Module | None = None
    path: str = ""  # the layer's name in the module
    body: Recording | None = None  # a step of a scan


def record(module: Module, run: Callable[[], Any], inputs: Sequence[Any]) -> Recording:
    """Let `run` call a module in evaluation mode, with these inputs, and note what it calls.

    Layers that are one node in ONNX are one call; what is within them is passed over.
    """
    recorder = _Recorder()
    arrays = list(map(array_of, inputs))  # before the module may edit them
    with evaluating(module), _layers_as_calls(module, recorder), mg.no_grad(), recorder.hears():
        result = run()
    return Recording(recorder.calls, arrays, result)


class _Recorder:
    """Notes the calls of ops, and of scans as one call each."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    @contextmanager
    def hears(self) -> Iterator[None]:
        """Within, calls are noted."""
        heard = on_call.within(self._note, composed="it is recorded op by op")
        with heard, Scope(scanning, self._scan):
            yield

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Within, they are not."""
        with on_call.unheard(), Scope(scanning, None):
            yield

    def _note(
        self, op: Any, node: Any, inputs: Any, output: Any, backend: Any, settings: Any
    ) -> None:
        outputs = list(output) if getattr(op, "multi_output", False) else [output]
        named = dict(zip(getattr(op, "settings", ()), settings, strict=False))
        own = "" if getattr(op, "trusted", True) else f" of {op.__module__}"  # may be named alike
        self.calls.append(Call(f"{op.name}{own}", tuple(inputs), named, outputs))

    def _scan(
        self, cell: Any, params: Any, xs: Any, state: Any, valid: Tensor | None, reverse: bool
    ) -> tuple[Any, Any]:
        """Run a scan, and note it with the calls of its first step."""
        with self.unheard():
            ys, last = scan(cell, params, xs, state, reverse=reverse, mask=valid)
            # New arrays: what they are in a step is something else than what they are outside.
            x = rebuild(xs, [mg.tensor(part[0]) for part in parts_of(xs)])
            before = rebuild(state, [mg.tensor(part) for part in parts_of(state)])
        step, given = _Recorder(), [*parts_of(x), *parts_of(before)]
        arrays = list(map(array_of, given))
        with self.unheard(), step.hears(), Scope(only_values, True):
            y, new = cell(params, x, before)
        body = Recording(step.calls, arrays, [*parts_of(y), *parts_of(new)])
        inputs = [*parts_of(xs), *parts_of(state), *([] if valid is None else [valid])]
        counts = {"states": len(parts_of(state)), "masked": valid is not None}
        outputs = [part._data for part in (*parts_of(ys), *parts_of(last))]
        settings = counts | {"reverse": reverse}
        self.calls.append(Call("scan", tuple(map(array_of, inputs)), settings, outputs, body=body))
        return ys, last


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
def _layers_as_calls(module: Module, recorder: _Recorder) -> Iterator[None]:
    """Within, layers of ONNX note their calls themselves."""
    with _one_at_a_time:
        changed = []
        try:
            for path, part in module.named_modules():
                # A subclass with another forward is recorded op by op.
                own = vars(part).get("forward", type(part).forward)
                note = next((fn for kind, fn in _NOTES if own is kind.forward), None)
                if isinstance(part, Recurrent) and part.stateful:
                    raise ConversionError(
                        path,
                        type(part).__name__,
                        "it keeps its state between calls, and a graph keeps none; take "
                        "stateful=False, and give the state as an input",
                    )
                if note is not None and _is_one_node(part):
                    vars(part)["forward"] = _noted(part, path, note, recorder)
                    changed.append(part)
            yield
        finally:
            for part in changed:
                del vars(part)["forward"]


def _is_one_node(layer: Any) -> bool:
    """Whether a layer isn't a recurrent one that is recorded as a scan."""
    if not isinstance(layer, Recurrent):
        return True
    plain = type(layer).inputs is Recurrent.inputs and not layer.zoneout
    return plain and not layer.stateful and layer.cell in NODES


def _noted(layer: Any, path: str, note: Any, recorder: _Recorder) -> Any:
    """A layer's forward, which notes its calls."""
    original = layer.forward
    signature = inspect.signature(original)

    def forward(*args: Any, **options: Any) -> Any:
        given = signature.bind(*args, **options)
        given.apply_defaults()
        if not _is_prefix(given.arguments.get("mask"), layer):
            return original(*args, **options)  # whose scans are recorded
        inputs, settings = note(layer, given.arguments)
        with recorder.unheard():
            result = original(*args, **options)
        outputs = [part._data for part in flat(result)]
        name = type(layer).__name__
        recorder.calls.append(Call(name, inputs, settings, outputs, layer, path))
        return result

    return forward


def _is_prefix(mask: Any, layer: Any) -> bool:
    """Whether a mask is true up to the end of each sequence, as if it followed from lengths."""
    if mask is None:
        return True
    steps = mask.numpy() if isinstance(mask, Tensor) else np.asarray(mask)
    if steps.ndim == 2 and layer.batch_first:
        steps = steps.T
    return bool((steps[1:] <= steps[:-1]).all())


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
