"""The in-place guard: editing an array that a graph has saved is an error, not a wrong gradient.

Arrays leave minigrad's hands only through `tensor.data`, DLPack and the like. From that moment
the array is *exposed*: its fingerprint (a checksum of its bytes) is kept, and so is the
fingerprint it has whenever a later op saves it. A backward pass that reads an exposed array
compares. Code that never touches `.data` pays nothing: no observer is installed.
"""

from __future__ import annotations

import weakref
import zlib
from typing import Any

import numpy as np

from .graph import Node, observers, verifiers

# By id of the array that owns the memory: a weak reference, and the fingerprint when exposed.
_exposed: dict[int, tuple[weakref.ref[Any], int]] = {}
# By node: the fingerprint that each exposed owner had when the node saved it.
_stamps: weakref.WeakKeyDictionary[Node, dict[int, int]] = weakref.WeakKeyDictionary()


def expose(array: Any, backend: Any) -> None:
    """From now on the user may edit `array` behind our back."""
    owner = _owner(array)
    if id(owner) in _exposed:
        return
    key = id(owner)

    def forget(_: Any) -> None:
        _exposed.pop(key, None)
        if not _exposed and observers.count(_stamp):
            observers.remove(_stamp)
            verifiers.remove(_verify)

    if not _exposed:
        observers.append(_stamp)
        verifiers.append(_verify)
    _exposed[key] = (weakref.ref(owner, forget), _fingerprint(owner, backend))


def _owner(array: Any) -> Any:
    """The array whose memory this is a view of."""
    while (base := getattr(array, "base", None)) is not None and isinstance(base, type(array)):
        array = base
    return array


def _fingerprint(owner: Any, backend: Any) -> int:
    host = owner if isinstance(owner, np.ndarray) else backend.to_host(owner)
    return zlib.crc32(np.ascontiguousarray(host).reshape(-1).view(np.uint8).data)


def _stamp(op: Any, node: Node | None, inputs: Any, output: Any, backend: Any) -> None:
    """An op call saved arrays: remember the fingerprints of the exposed ones among them."""
    if node is None or not node.saved:
        return
    stamps = {
        key: _fingerprint(owner, backend)
        for array in node.saved
        if (key := id(owner := _owner(array))) in _exposed
    }
    if stamps:
        _stamps[node] = stamps


def _verify(node: Node) -> None:
    """Raise if an exposed array that `node` saved has another fingerprint now."""
    stamps = _stamps.get(node, {})
    for i, array in enumerate(node.saved or ()):
        owner = _owner(array)
        entry = _exposed.get(id(owner))
        if entry is None:
            continue
        if _fingerprint(owner, node.backend) != stamps.get(id(owner), entry[1]):
            names = node.op.saved_names
            source = names[i] if i < len(names) else f"number {i}"
            what = "output" if source == "y" else f"input {source}"
            raise RuntimeError(
                f"an array was edited in place after {node.op.name} saved it for the backward "
                f"pass: its {what}, shape {array.shape}. The gradient would be wrong. Make the "
                "edit before the forward pass or after backward(), or edit a copy "
                "(x.numpy(), or x.data.copy())."
            )
