"""The in-place guard: editing an array that a graph has saved is an error, not a wrong gradient.

Arrays leave minigrad's hands only through `tensor.data`, DLPack and the like. From that moment
the array is *exposed*: its fingerprint (a checksum of its bytes) is kept, and so is the
fingerprint it has whenever a later op saves it. A backward pass that reads an exposed array
compares. Code that never touches `.data` pays nothing: no observer is installed.

A device computes and compares its own checksums, and nobody waits: an edit is reported when
numbers come to the host, see `late.py`.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import late
from .graph import Node, on_call, on_read

# By id of the array that owns the memory: a weak reference, and the fingerprint when exposed.
_exposed: dict[int, tuple[weakref.ref[Any], Any]] = {}
# By node: the fingerprint that each exposed owner had when the node saved it.
_stamps: weakref.WeakKeyDictionary[Node, dict[int, Any]] = weakref.WeakKeyDictionary()


def expose(array: Any, backend: Any) -> None:
    """From now on the user may edit `array` behind our back."""
    owner = _owner(array)
    if id(owner) in _exposed:
        return
    key = id(owner)

    def forget(_: Any) -> None:
        _exposed.pop(key, None)
        if not _exposed:
            on_call.discard(_stamp)
            on_read.discard(_verify)

    _exposed[key] = (weakref.ref(owner, forget), fingerprint(owner, backend))
    on_call.add(_stamp)  # asked last: until there is an entry, others may be forgotten
    on_read.add(_verify)


def _owner(array: Any) -> Any:
    """The array whose memory this is a view of."""
    while (base := getattr(array, "base", None)) is not None and isinstance(base, type(array)):
        array = base
    return array


def fingerprint(owner: Any, backend: Any) -> Any:
    """A checksum: an int, or a number that stays on the device if the backend can compute it."""
    on_device = getattr(backend, "fingerprint", None)
    if on_device is not None:
        return on_device(owner)
    host = owner if isinstance(owner, np.ndarray) else backend.to_host(owner)
    return zlib.crc32(np.ascontiguousarray(host).reshape(-1).view(np.uint8).data)


def _stamp(op: Any, node: Node | None, inputs: Any, output: Any, backend: Any) -> None:
    """An op call saved arrays: remember the fingerprints of the exposed ones among them."""
    if node is None or not node.saved:
        return
    stamps = {
        id(owner): fingerprint(owner, backend)
        for _, owner in _owners(node.saved)
        if id(owner) in _exposed
    }
    if stamps:
        _stamps[node] = stamps


def _owners(saved: Iterable[Any]) -> Iterable[tuple[int, Any]]:
    """The owners of saved arrays, each once, with the position of the first array of it.

    A scan saves several views of the same memory, and each fingerprint is a pass over all of it.
    """
    found: dict[int, tuple[int, Any]] = {}
    for i, array in enumerate(saved):
        owner = _owner(array)
        found.setdefault(id(owner), (i, owner))
    return found.values()


def _verify(node: Node) -> None:
    """Raise if an exposed array that `node` saved has another fingerprint now."""
    stamps = _stamps.get(node, {})
    saved = node.saved or ()
    for i, owner in _owners(saved):
        entry = _exposed.get(id(owner))
        if entry is None:
            continue
        before = stamps.get(id(owner), entry[1])
        names = node.op.saved_names
        source = names[i] if i < len(names) else f"number {i}"
        what = "output" if source == "y" else f"input {source}"
        edited = RuntimeError(
            f"an array was edited in place after {node.op.name} saved it for the backward "
            f"pass: its {what}, shape {saved[i].shape}. The gradient would be wrong. Make the "
            "edit before the forward pass or after backward(), or edit a copy "
            "(x.numpy(), or x.data.copy())."
        )
        late.note(fingerprint(owner, node.backend) != before, node.backend, edited)
