"""Taps: the gradient of a value goes to a leaf of zeros, too, as if these had been added to it.

Nothing is added: a tap is a node without a computation. A kernel has no more work forwards, and
backwards it writes down what it has computed anyway. In a scan that runs op by op the taps of all
steps lead to one node, which stacks what they bring.
"""

from __future__ import annotations

from typing import Any

from ..engine.graph import HandmadeOp, Node, grad_enabled, on_call, time_step
from ..engine.tensor import Tensor
from ..ops import stack


def unread_zeros(shape: tuple[int, ...], dtype: Any, backend: Any) -> Any:
    """An array of zeros that takes no memory, for a tap: nothing reads it."""
    return backend.broadcast_to(backend.zeros((), dtype), shape)


def tapped(value: Tensor, tap: Tensor | Node) -> Tensor:
    """The value, whose gradient goes to a tensor of its shape, too, or to a `collector`."""
    if not grad_enabled.get():
        return value
    array, backend = value._data, value.backend
    if isinstance(tap, Node):
        edges: tuple[Any, ...] = value._node, tap
        op, settings = _COLLECTED, (time_step.get(),)
        node = Node(op, edges, (), array.shape, array.dtype, backend, settings)
    else:
        op, edges = _TAP, (value._node, tap._node)
        node = Node(op, edges, (), array.shape, array.dtype, backend)
    if on_call:
        on_call.tell(op, node, (array, array), array, backend, ())
    return Tensor(array, backend, node)


def _give_to_both(node: Node, saved: Any, g: Any, sweep: Any) -> None:
    for edge in node.edges:
        sweep.give(edge, g)


def collector(zero: Tensor) -> Node:
    """A node for the gradients of all steps, which become that of `zero` (T, N, ...)."""
    T, *shape = zero.shape
    shapes = [tuple(shape)] * T
    return Node(_COLLECTOR, (zero._node,), (), shapes, zero.dtype, zero.backend)


def _give_to_collector(node: Node, saved: Any, g: Any, sweep: Any) -> None:
    edges: Any = node.edges
    value, collector = edges
    grads = sweep.grads
    if value in grads:
        if grads[value] is None:
            grads[value] = g
        else:
            sweep.add(value, g)
    if collector in grads:
        if grads[collector] is None:
            grads[collector] = [None] * len(collector.shape)
        grads[collector][node.settings[0]] = g


def _stack_collected(node: Node, saved: Any, parts: Any, sweep: Any) -> None:
    parts = sweep.zeros_for_unused(parts, node)
    sweep.give(node.edges[0], stack(parts))


_TAP = HandmadeOp("tap", _give_to_both)
_COLLECTED = HandmadeOp("tap", _give_to_collector)
_COLLECTOR = HandmadeOp("collector", _stack_collected)
