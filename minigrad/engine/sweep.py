"""The sweep: reverse-mode differentiation over the graph.

A node is always younger than its inputs, so visiting nodes from the youngest to the oldest is a
topological order: nothing recurses, and a chain of any length differentiates.

The same sweep serves every order. On raw arrays it is fast; with `create_graph` the saved
arrays come back as tensors, the same derivative text runs on them, and what it computes is
itself part of a graph.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any

from . import inplace
from .graph import Node, grad_enabled, on_gradients, raw_backend
from .hook_gradient import call_hook
from .tensor import Leaf, Tensor
from .wrapping import wrap

_birth = attrgetter("birth")


# Here and in `run_sweep` are loops where comprehensions would be shorter: a small graph's pass
# is as quick as these few lines.


def _plan(
    seeds: Iterable[tuple[Node, Any]], wanted: Sequence[Node] | None, ends: Collection[Node]
) -> tuple[list[Node], dict[Node, Any]]:
    """The nodes to differentiate, youngest first, and an empty place for each gradient needed.

    With `wanted`, only nodes on a path from a root to a wanted node are kept. Without, every leaf
    is wanted. No path goes beyond a node of `ends`.
    """
    grads: dict[Node, Any] = {}
    order = []
    for node, _ in seeds:
        if node not in grads:
            grads[node] = None
            if node.edges and node not in ends:
                order.append(node)
    for node in order:  # `order` grows meanwhile
        for edge in node.edges:
            if edge is not None and edge not in grads:
                grads[edge] = None
                if edge.edges and edge not in ends:
                    order.append(edge)
    if len(order) > 1:
        order.sort(key=_birth, reverse=True)
    if wanted is None:
        return order, grads
    needed = dict.fromkeys(wanted)
    visit = []
    for node in reversed(order):
        if not needed.keys().isdisjoint(node.edges):
            needed[node] = None
            visit.append(node)
    visit.reverse()
    return visit, needed


def _broadcast_axes(shape: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which an array of shape `target` was repeated to give `shape`."""
    extra = len(shape) - len(target)
    repeated = (i + extra for i, n in enumerate(target) if n == 1 and shape[i + extra] != 1)
    return (*range(extra), *repeated)


class Sweep:
    """One backward pass on raw arrays: a place per gradient; how they are added and fitted."""

    builds_graph = False

    def __init__(self, grads: dict[Node, Any], taken: dict[int, Any] | None = None) -> None:
        self.grads = grads
        self.taken = {} if taken is None else taken  # arrays that others may hold
        self._own: set[Node] = set()  # nodes whose sum was allocated here: added to in place

    def give(self, node: Node | None, g: Any) -> None:
        """Add `g` to the gradient of `node`, if that is wanted; the text of ops does it inline."""
        if node in self.grads:
            if self.grads[node] is None:
                self.grads[node] = g
            else:
                self.add(node, g)

    def add(self, node: Node, g: Any) -> None:
        """Another gradient for `node`: the first came by reference, the second allocates."""
        if node in self._own:
            held = self.grads[node]
            held += g
            self.grads[node] = held
        else:
            self.grads[node] = self.grads[node] + g
            self._own.add(node)

    def unbroadcast(self, g: Any, like: Node) -> Any:
        """`g` summed over broadcast axes and cast, to the shape and dtype of `like`."""
        backend = like.backend
        if g.shape != like.shape:
            if math.prod(g.shape) != math.prod(like.shape):  # else it was repeated once
                g = backend.sum(g, axis=_broadcast_axes(g.shape, like.shape))
            g = backend.reshape(g, like.shape)
        return g if g.dtype == like.dtype else backend.astype(g, like.dtype)

    def saved(self, node: Node) -> Any:
        """What the derivatives of `node` read."""
        if node.saved is None:
            raise RuntimeError(
                f"second backward through {node.op.name} ({_shape_text(node.shape)}): the first "
                "one has freed what the graph saved. If a tensor was carried over from an earlier "
                "batch, such as a state h, cut it off there: h = h.detach(). If you mean to go "
                "through the same graph again, ask the first pass to keep it: "
                "backward(retain_graph=True), or grad(..., retain_graph=True)."
            )
        inplace.verify(node)
        return node.saved

    def zeros_for_unused(self, parts: list[Any], node: Node) -> list[Any]:
        """The cotangents of several outputs, with zeros for those that nothing used."""
        return [
            self.as_tensor(node.backend.zeros(shape, node.dtype), node) if g is None else g
            for g, shape in zip(parts, node.shape, strict=True)
        ]

    def as_tensor(self, array: Any, node: Node) -> Any:
        """A raw array as this sweep calculates with it."""
        return array

    def tensor(self, g: Any, node: Node) -> Tensor:
        """A gradient as the user sees it."""
        backend = node.backend
        return Tensor(g, backend) if g.__class__ is backend.array_type else wrap(g, backend)

    def copy(self, g: Any, node: Node) -> Tensor:
        """A gradient that the user may keep and edit."""
        return wrap(node.backend.copy(g), node.backend)

    def array(self, g: Tensor) -> Any:
        """A gradient that the user gave, as this sweep calculates with it."""
        return g._data


class GraphSweep(Sweep):
    """One backward pass on tensors (`create_graph`): gradients that have gradients."""

    builds_graph = True

    def add(self, node: Node, g: Any) -> None:
        """As above, and never in place: the graph may need the old sum."""
        self.grads[node] = self.grads[node] + g

    def unbroadcast(self, g: Any, like: Node) -> Any:
        """As above, by ops."""
        if g.shape != like.shape:
            g = g.sum(axis=_broadcast_axes(g.shape, like.shape)).reshape(like.shape)
        return g if g.dtype == like.dtype else g.astype(like.dtype)

    def saved(self, node: Node) -> Any:
        """As above, each array as the tensor that it came from."""
        arrays = super().saved(node)
        sources = node.op.saved_sources(node)
        if sources is None:
            return arrays
        return tuple(
            wrap(array, node.backend, source) if hasattr(array, "shape") else array
            for array, source in zip(arrays, sources, strict=True)
        )

    def as_tensor(self, array: Any, node: Node) -> Any:
        """A raw array as a tensor without history."""
        return wrap(array, node.backend)

    def tensor(self, g: Any, node: Node) -> Tensor:
        """It is a tensor already."""
        return g

    def copy(self, g: Tensor, node: Node) -> Tensor:
        """With a history it is the graph's, and no copy."""
        return super().copy(g._data, node) if g._node is None else g

    def array(self, g: Tensor) -> Any:
        """It stays a tensor, with its history."""
        return g


def run_sweep(
    seeds: Sequence[tuple[Node, Tensor]],
    wanted: Sequence[Node] | None = None,
    *,
    graph: bool = False,
    retain: bool = False,
    ends: Collection[Node] = (),
    taken: dict[int, Any] | None = None,
) -> dict[Node, Tensor | None]:
    """Gradients of the seeded nodes' weighted sum, by node: for `wanted` ones, or all leaves.

    `seeds` pairs nodes with cotangents. The sweep goes no further than nodes of `ends`, and what
    it finds for them is a part of their gradients, which no hook sees. None stands for a node
    that was not reached. `taken` collects the arrays that others may hold, see `_copy_if_shared`.
    """
    visit, grads = _plan(seeds, wanted, ends)
    found: dict[Node, Tensor | None] = {}
    for node in grads if wanted is None else wanted:
        if wanted is not None or node.__class__ is Leaf:
            found[node] = None
    sweep = (GraphSweep if graph else Sweep)(grads, taken)
    for node, seed in seeds:
        sweep.give(node, seed if graph else seed._data)
    done = 0
    hooked: set[Node] = set()  # whose hooks have run
    raw = raw_backend.set(None)
    mode = grad_enabled.set(True) if graph else None  # the graph remembers derivatives, too
    try:
        while done < len(visit):
            backend = visit[done].backend
            if not graph:  # raw arrays don't know their backend
                raw_backend.set(backend)
            with backend.quiet():
                for node in itertools.islice(visit, done, None):
                    if node.backend is not backend:
                        break
                    done += 1
                    g = grads[node]
                    if g is None:
                        continue
                    if node.hooks is not None:
                        g = _run_hooks(node, g, sweep)
                        hooked.add(node)
                    saved = node.saved
                    if saved.__class__ is not tuple or node.birth < inplace.last_note or graph:
                        saved = sweep.saved(node)
                    try:
                        node.op.backward(node, saved, g, sweep)
                    except Exception as error:
                        error.add_note(f"This happened in the backward pass of {node.op.name}.")
                        if graph and isinstance(error, TypeError):
                            error.add_note(
                                "With create_graph a derivative runs on tensors; write it in "
                                "operators and minigrad's ops, such as mg.tanh in place of np.tanh."
                            )
                        raise
                    if on_gradients:
                        on_gradients.tell(node, grads)
                    grads[node] = g if node in found else None
                    if not retain:
                        node.saved = None
        for node in found:
            g = grads[node]
            if g is not None:
                if node.hooks is not None and node not in hooked and node not in ends:
                    g = _run_hooks(node, g, sweep)
                found[node] = sweep.tensor(g, node)
    finally:
        raw_backend.reset(raw)
        if mode is not None:
            grad_enabled.reset(mode)
    return found


def _run_hooks(node: Node, g: Any, sweep: Sweep) -> Any:
    """The gradient after the tensor's hooks, which see copies, and edit them or return tensors."""
    assert node.hooks is not None
    token = raw_backend.set(None)  # a hook is the user's code: its ops make tensors
    try:
        for hook in node.hooks.functions():
            changed = call_hook(hook, sweep.copy(g, node))
            _check_changed(changed, node)
            g = sweep.array(changed)
            note_taken(changed._data, sweep.taken)
        for tensor in node.hooks.keepers():
            kept = sweep.copy(g, node)._as_made()
            tensor.grad = kept if tensor.grad is None else tensor.grad + kept
    except Exception as error:
        error.add_note(f"This happened in a hook on a tensor of shape {node.shape}.")
        raise
    finally:
        raw_backend.reset(token)
    return g


def _check_changed(changed: Any, node: Node) -> None:
    """Raise unless what a hook returned can take the place of the gradient."""
    same = isinstance(changed, Tensor) and changed.backend is node.backend
    if not same or (changed.shape, changed.dtype) != (node.shape, node.dtype):
        raise TypeError(
            f"a hook on a tensor of shape {node.shape} must return None or a tensor of that shape, "
            f"{node.dtype} on {node.backend.name!r}; it returned {describe(changed)}"
        )


def _shape_text(shape: Any) -> str:
    """The shape of a node's result, or the shapes of its results, in words."""
    if isinstance(shape, list):
        return f"{len(shape)} results, {', '.join(map(_shape_text, shape))}"
    return f"shape {tuple(shape)}" if shape else "a number"


def describe(value: Any) -> str:
    """A value that should be a tensor, in words."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {value.shape}, {value.dtype} on {value.backend.name!r}"
    return f"{type(value).__name__} {value!r}"[:80]


def note_taken(array: Any, taken: dict[int, Any]) -> None:
    """Note that others may hold `array`: no gradient is to share its memory."""
    base = getattr(array, "base", None)
    owner = array if base is None else base
    taken[id(owner)] = owner
