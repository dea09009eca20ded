"""How recurrent layers and layer norm are written: a node for each layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.nn import Embedding, LayerNorm, Recurrent

from .export_elementwise import Resolved
from .export_shapes import positions, reshaped
from .gates import KINDS, NODES, Kind, reordered
from .sizes import Size
from .values import Made
from .writer import Writer

__all__ = ["write_layer"]


def write_layer(w: Writer, call: Resolved) -> list[str]:
    """The outputs of a layer's nodes."""
    if isinstance(call.layer, LayerNorm):
        return [_norm(w, call, call.layer)]
    if isinstance(call.layer, Embedding):
        return [_table(w, call, call.layer)]
    assert isinstance(call.layer, Recurrent)
    return _recurrent(w, call, call.layer)


def _norm(w: Writer, call: Resolved, layer: LayerNorm) -> str:
    x = w.operand(call.inputs[0], call.dtype)
    shape = layer.normalized_shape
    scale, shift = (
        [w.operand(part, call.dtype) for part in call.inputs[1:]]
        if call.inputs[1:]
        else [w.constant(np.full(shape, n), call.dtype) for n in (1, 0)]
    )
    return w.node(
        "LayerNormalization", x, scale, shift, axis=-len(shape), epsilon=layer.eps, name=call.path
    )


def _table(w: Writer, call: Resolved, layer: Embedding) -> str:
    weight, indices = call.inputs
    name = w.node("Gather", w.operand(weight), positions(w, indices), axis=0, name=call.path)
    if layer.padding_idx is not None:
        w.padding[w.nodes[-1].name] = layer.padding_idx
    return name


def _recurrent(w: Writer, call: Resolved, layer: Recurrent) -> list[str]:
    """y and the parts of the state, laid out as the layer has them."""
    kind, attributes = NODES[layer.cell]
    known = KINDS[kind]
    D = 2 if layer.bidirectional else 1
    x, state = call.inputs[0], call.inputs[1:]
    single = len(x.shape) == 2  # type: ignore[union-attr]
    name, shape = w.operand(x), list(x.shape)  # type: ignore[union-attr]
    if single:
        name = w.node("Unsqueeze", name, w.constant([1], np.int64))
        shape.insert(1, 1)
    elif layer.batch_first:
        name = w.node("Transpose", name, perm=[1, 0, 2])
        shape[:2] = shape[1::-1]
    given = call.settings["lengths"]
    if (mask := call.settings["mask"]) is not None:
        given = _lengths_of(mask, call, layer)
    lengths = "" if given is None else w.operand(given, np.int32)
    before = [_initial(w, part, layer, D, single) for part in state]
    after: list[list[str]] = []
    for number in range(layer.num_layers):
        weights = _weights(w, call.path, layer, number, known)
        outputs = w.nodes_of(
            kind,
            [name, *weights, lengths, *(parts[number] for parts in before)],
            1 + len(known.states),
            name=".".join(filter(None, [call.path or kind.lower(), f"l{number}"])),
            hidden_size=layer.hidden_size,
            direction="bidirectional" if D == 2 else "forward",
            **{key: v * D if isinstance(v, list) else v for key, v in attributes.items()},
        )
        below, name = name, _side_by_side(w, outputs[0], D, shape, layer.hidden_size)
        if layer.residual and number:
            name = w.node("Add", name, below)
        finals = outputs[1:]
        if lengths and before:  # what has no step keeps its state, where runtimes may give zeros
            finals = [
                _kept(w, lengths, parts[number], final)
                for parts, final in zip(before, finals, strict=True)
            ]
        after.append(finals)
    if single:
        name = w.node("Squeeze", name, w.constant([1], np.int64))
    elif layer.batch_first:
        name = w.node("Transpose", name, perm=[1, 0, 2])
    states = []
    for parts in zip(*after, strict=True):
        final = w.node("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]
        states.append(w.node("Squeeze", final, w.constant([1], np.int64)) if single else final)
    return [name, *states]


def _lengths_of(mask: Any, call: Resolved, layer: Recurrent) -> Any:
    """The lengths that a mask follows from; None if all of it is true."""
    if isinstance(mask, Made) and mask.kind == "mask":
        if bool(mask.value) == layer.batch_first:
            return mask.source
    elif isinstance(mask, Made) and mask.kind in ("fill", "constant") and np.all(mask.value):
        return None
    raise call.refuse(
        "it is called with a mask, and ONNX's recurrent nodes know lengths only (sequence_lens); "
        "put padding behind the sequences, and give lengths"
    )


def _weights(w: Writer, path: str, layer: Recurrent, number: int, kind: Kind) -> list[str]:
    """The names of W, R and B of a layer; B is empty without bias."""
    weights: dict[str, list[np.ndarray]] = {"W": [], "R": [], "B": []}
    for suffix in ("", "_reverse") if layer.bidirectional else ("",):
        held = {
            name: p.numpy()
            for name in ("weight_ih", "weight_hh", "weight_hn", "bias_ih", "bias_hh")
            if (p := getattr(layer, f"{name}_l{number}{suffix}", None)) is not None
        }
        recurrent = [held[name] for name in ("weight_hh", "weight_hn") if name in held]
        weights["W"].append(reordered(held["weight_ih"], kind.to_onnx))
        weights["R"].append(reordered(np.concatenate(recurrent), kind.to_onnx))
        if layer.bias:
            other = held.get("bias_hh", np.zeros_like(held["bias_ih"]))
            both = [reordered(b, kind.to_onnx) for b in (held["bias_ih"], other)]
            weights["B"].append(np.concatenate(both))
    return [
        w.parameter(".".join(filter(None, [path, f"{name}_l{number}"])), np.stack(parts))
        if parts
        else ""
        for name, parts in weights.items()
    ]


def _initial(w: Writer, part: Any, layer: Recurrent, D: int, single: bool) -> list[str]:
    """A part of the initial state (L*D, N, H), as one (D, N, H) per layer."""
    name = w.operand(part)
    if single:
        name = w.node("Unsqueeze", name, w.constant([1], np.int64))
    if layer.num_layers == 1:
        return [name]
    sizes = w.constant([D] * layer.num_layers, np.int64)
    return w.nodes_of("Split", [name, sizes], layer.num_layers, axis=0)


def _side_by_side(w: Writer, y: str, D: int, shape: list[int | Size], H: int) -> str:
    """ONNX's output (T, D, N, H) as (T, N, D*H)."""
    if D == 1:
        return w.node("Squeeze", y, w.constant([1], np.int64))
    y = w.node("Transpose", y, perm=[0, 2, 1, 3])
    return reshaped(w, y, [*shape[:2], D, H], [*shape[:2], D * H])


def _kept(w: Writer, lengths: str, before: str, after: str) -> str:
    """The final state (D, N, H), which is the initial one for a sequence without steps."""
    some = w.node("Greater", lengths, w.constant(0, np.int32))
    rows = w.node("Unsqueeze", some, w.constant([1], np.int64))
    return w.node("Where", rows, after, before)
