"""What a graph can still tell: its nodes, and the arrays and gradients that are known.

A graph is no second copy of the activations: it keeps what derivatives need, and no more. So a
value is known in leaves and the result, where a derivative keeps it, and where it follows from
such values by the op's own forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.graph import HandmadeOp, Node, Output
from ..engine.inplace import verify
from ..engine.op import Op
from ..engine.sweep import run_sweep
from ..engine.tensor import Leaf, Tensor


def nodes_of(root: Node) -> list[Node]:
    """`root` and all nodes that it depends on, the oldest first."""
    seen, stack = {root}, [root]
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    return sorted(seen, key=lambda node: node.birth)


def named_inputs(node: Node) -> list[tuple[str, Any]]:
    """Of a node made by hand: what its function calls the inputs, and what was saved of each."""
    first, names = (0, ()) if node.op.inputs_of is None else node.op.inputs_of(node)
    saved = [None] * len(names) if node.saved is None else node.saved[first:]
    return list(zip(map(str, names), saved, strict=False))


class GraphValues:
    """The arrays that a graph can still tell.

    Attributes
    ----------
    values : by node; a list of them for a node of several outputs.
    constants : by node, then by the number of the input: the arrays and Python numbers that
        need no gradient, as far as a derivative keeps them.
    freed : whether a backward pass has freed (a part of) the graph.
    changed : whether a leaf is seen to have other numbers now than in the forward pass.
    """

    def __init__(self, nodes: Sequence[Node], out: Tensor) -> None:
        assert out._node is not None
        self.values: dict[Node, Any] = {out._node: out._data}
        self.constants: dict[Node, dict[int, Any]] = {}
        self.freed = any(node.saved is None for node in nodes)
        self.changed = False
        for node in nodes:
            self.constants[node] = self._read_saved(node)
        for node in nodes:
            leaf = node.tensor() if isinstance(node, Leaf) else None
            if leaf is not None and self.values.setdefault(node, leaf._data) is not leaf._data:
                self.changed = True
        if not self.freed:
            computed = self._computed(nodes)
            if not self.changed:
                self.values = computed

    def _read_saved(self, node: Node) -> dict[int, Any]:
        """Note the values that `node` keeps of other nodes; return its constants."""
        op, constants = node.op, dict[int, Any]()
        verify(node)
        if isinstance(op, HandmadeOp):
            given = enumerate(zip(node.edges, named_inputs(node), strict=False))
            for i, (edge, (_, array)) in given:
                if array is not None and edge is None:
                    constants[i] = array
                elif array is not None and edge is not None:
                    self.values.setdefault(edge, array)
            return constants
        sources = op.saved_sources(node) or ()
        for slot, (array, source) in enumerate(zip(node.saved or (), sources, strict=False)):
            if array is None or isinstance(array, tuple):
                continue  # an array that no gradient needs; the shape of one
            if source is not None:
                self.values.setdefault(source, array)
            else:
                constants[slot if op.variadic else op.inputs.index(op.saved_names[slot])] = array
        return constants

    def _computed(self, nodes: Sequence[Node]) -> dict[Node, Any]:
        """All values that follow from the known ones, and a check of those on the way."""
        values = dict(self.values)
        for node in nodes:
            y = self._forward(node, values)
            if y is None:
                continue
            known = values.setdefault(node, y)
            if known is not y and not _same(node.backend, known, y):
                self.changed = True
        return values

    def _forward(self, node: Node, values: dict[Node, Any]) -> Any:
        """What the op of `node` gives, if all that it takes is known."""
        op, backend = node.op, node.backend
        inputs: list[Any] = [
            self.constants[node].get(i) if edge is None else values.get(edge)
            for i, edge in enumerate(node.edges)
        ]
        if any(x is None for x in inputs):
            return None
        if isinstance(node, Output):
            return inputs[0][node.slot]
        if not isinstance(op, Op):
            return None
        with backend.quiet():
            y = op.forward(backend, *inputs, **dict(zip(op.settings, node.settings, strict=True)))
        return y if op.multi_output or isinstance(y, backend.array_type) else backend.asarray(y)


def _same(backend: Any, a: Any, b: Any) -> bool:
    """Whether the same computation may have given both: equal up to rounding."""
    a, b = backend.to_host(a), backend.to_host(b)
    if a.dtype.kind != "f":
        return np.array_equal(a, b)
    scale = np.max(np.abs(a), initial=0.0, where=np.isfinite(a))
    return np.allclose(a, b, rtol=0.0, atol=64 * np.finfo(a.dtype).eps * scale, equal_nan=True)


def gradients_at(nodes: Sequence[Node], seed: tuple[Node, Tensor]) -> dict[Node, Tensor | None]:
    """The derivatives of the seeded result by all nodes. Hooks are left out: they may act."""
    hooks = [node.hooks for node in nodes]
    try:
        for node in nodes:
            node.hooks = None
        return run_sweep([seed], [node for node in nodes if not has_parts(node)], retain=True)
    finally:
        for node, kept in zip(nodes, hooks, strict=True):
            node.hooks = kept


def has_parts(node: Node) -> bool:
    """Whether it is an op call of several outputs; they have nodes of their own."""
    return isinstance(node.shape, list)
