"""Where the first number that is no number was born: the op, the gate, the time step, the line.

A step whose loss is NaN or infinite runs again from the same weights, op by op, and every result is
looked at. What reaches the loss is followed back to where it began; an infinity on the way that
did no harm, as in a sigmoid, is not blamed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad import Tensor
from minigrad.engine.graph import Node, on_call, on_gradients, probing, time_step
from minigrad.nn import Module
from minigrad.recording.probes import Probing, place
from minigrad.utils.scope import Scope

__all__ = ["Birth", "find_birth"]

_REASON = "every result is looked at"  # why no kernels run


@dataclass
class Birth:
    """Where a NaN or an infinity was born, and where the infinity became a NaN.

    `value` is "NaN" or "inf"; `op` the op, "" if it came from outside; `source` says which input
    had it then. `gates` are the named values of a cell that the result goes into, `module` is the
    path of the layer, `step` the time step, `line` the code that called the op.
    """

    value: str
    op: str
    line: str = ""
    step: int | None = None
    module: str = ""
    inputs: str = ""
    source: str = ""
    backward: bool = False
    node: Node | None = None
    gates: list[str] = field(default_factory=list)
    turned: str = ""

    def __str__(self) -> str:
        value = {"NaN": "a NaN", "inf": "an infinity"}[self.value]
        if self.source:
            return f"{self.source} has {value}, first used by {self.op}{self._where()}"
        way = "the backward pass of " if self.backward else ""
        given = f"; its inputs were {self.inputs}" if self.inputs else ""
        turned = f"; it became NaN in {self.turned}" if self.turned else ""
        return f"{value} was born in {way}{self.op}{self._where()}{given}{turned}"

    def _where(self) -> str:
        gates = list(dict.fromkeys(self.gates))
        parts = []
        if gates:
            parts.append(f"on the way to {', '.join(gates)}")
        elif self.module:
            parts.append(f"in {self.module}")
        if self.step is not None:
            parts.append(f"time step {self.step}")
        if self.line:
            parts.append(self.line)
        return f" ({'; '.join(parts)})" if parts else ""


def find_birth(model: Module, loss: Callable[[], Tensor]) -> Birth | None:
    """Compute a loss and its gradients op by op; where something in them was born, None if all is
    finite.

    `loss` computes it with the model, whose weights' gradients are set.

    >>> import minigrad as mg
    >>> layer = mg.nn.Linear(2, 1)
    >>> birth = find_birth(layer, lambda: mg.log(layer(mg.ones((1, 2))) * 0).sum())
    >>> birth.value, birth.op
    ('inf', 'log')
    """
    look = _Look({id(p._data): f"the weight {name}" for name, p in model.named_parameters()})
    with np.errstate(all="ignore"):
        with on_call.within(look.result, composed=_REASON), Scope(probing, look.gates):
            cost = loss()
        found = look.origins.get(id(cost._data))
        if found is not None:
            return look.placed(found)
        if not _kind([cost._data], cost.backend):
            model.zero_grad()
            with on_gradients.within(look.gradients):
                cost.backward()
    return None if look.born_backwards is None else look.placed(look.born_backwards)


class _Look:
    """What ops gave, in the order of their calls."""

    def __init__(self, weights: dict[int, str]) -> None:
        self.origins: dict[int, Birth] = {}  # of an array that isn't finite, by its id
        self.born_backwards: Birth | None = None
        self.gates = _Gates()
        self._weights = weights
        self._kept: list[Any] = []  # arrays, so that no other one gets the id of one
        self._calls: dict[Node, Birth] = {}  # where each node was called

    def result(
        self, op: Any, node: Node | None, inputs: Any, output: Any, backend: Any, settings: Any
    ) -> None:
        """After an op call."""
        here = Birth("", op.name, _line(), time_step.get(), place.get().rstrip("."), node=node)
        if node is not None:
            self._calls[node] = here
        parts = output if isinstance(output, (list, tuple)) else (output,)
        value = _kind(parts, backend)
        if not value:
            return
        origin = next((self.origins[id(x)] for x in inputs if id(x) in self.origins), None)
        if origin is None:
            origin, here.value = here, value
            bad = [i for i, x in enumerate(inputs) if _kind([x], backend)]
            if bad:
                names = getattr(op, "inputs", ())
                name = names[bad[0]] if len(names) == len(inputs) else str(bad[0])
                from_outside = f"what comes in as {name!r}"
                origin.source = self._weights.get(id(inputs[bad[0]]), from_outside)
                origin.value = _kind([inputs[bad[0]]], backend)
            else:
                origin.inputs = ", ".join(_range(x, backend) for x in inputs)
        elif value == "NaN" and origin.value == "inf" and not origin.turned:
            origin.turned = f"{op.name}{here._where()}"
        for part in parts:
            if _kind([part], backend):
                self.origins[id(part)] = origin
                self._kept.append(part)

    def gradients(self, node: Node, grads: dict[Node, Any]) -> None:
        """After a node's backward step."""
        if self.born_backwards is not None:
            return
        for edge in node.edges:
            g = grads.get(edge) if edge is not None else None
            parts = [getattr(part, "_data", part) for part in (g if isinstance(g, list) else [g])]
            value = _kind(parts, node.backend)
            if value:
                called = self._calls.get(node) or Birth("", node.op.name)
                called.value, called.backward, called.node = value, True, node
                self.born_backwards = called
                return

    def placed(self, birth: Birth) -> Birth:
        """A birth with the gates that its result goes into."""
        if birth.node is not None:
            birth.gates = self.gates.reached_from(birth.node)
        birth.node = None
        return birth


class _Gates(Probing):
    """The values that cells name, each with the node that made it."""

    each_step = True

    def __init__(self) -> None:
        outer = probing.get()
        super().__init__(outer.overrides if outer is not None else ())
        self._named: list[tuple[str, Node]] = []

    def visit(self, full: str, x: Tensor) -> Tensor:
        """A value has a name."""
        x = super().visit(full, x)
        if x._node is not None:
            self._named.append((full, x._node))
        return x

    def reached_from(self, node: Node) -> list[str]:
        """The names of values that a node's result goes into, with no other named one between."""
        named = {made for _, made in self._named}
        if node in named:
            return [full for full, made in self._named if made is node]
        return [full for full, made in self._named if _leads_to(node, made, named)]


def _leads_to(node: Node, made: Node, named: set[Node]) -> bool:
    """Whether `made` is the node, or is computed of it without the named ones between."""
    seen, ahead = set(), [made]
    while ahead:
        this = ahead.pop()
        if this is node:
            return True
        if this not in seen and this.birth > node.birth:  # inputs are older than outputs
            seen.add(this)
            ahead += [e for e in this.edges if e is not None and (e is node or e not in named)]
    return False


def _kind(arrays: Iterable[Any], backend: Any) -> str:
    """What some arrays hold besides numbers: "NaN", "inf" or nothing."""
    found = ""
    for x in arrays:
        if isinstance(x, float):
            x = np.asarray(x)
        elif getattr(x, "dtype", None) is None or np.dtype(x.dtype).kind != "f":
            continue
        else:
            x = backend.to_host(x)
        if not np.isfinite(x).all():
            if np.isnan(x).any():
                return "NaN"
            found = "inf"
    return found


def _range(x: Any, backend: Any) -> str:
    if not hasattr(x, "shape"):
        return repr(x)
    array = backend.to_host(x)
    if not array.size or array.dtype.kind not in "fiu":
        return f"{array.shape}"
    return f"{array.shape} from {array.min():.4g} to {array.max():.4g}"


_INSIDE = ("minigrad.models", "minigrad.nn.cells")  # of minigrad: code that a reader looks for


def _line() -> str:
    """The innermost code that isn't the library's own."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        module = frame.f_globals.get("__name__", "")
        ours = module == "minigrad" or module.startswith("minigrad.")
        inside = module.startswith(_INSIDE) and module != __name__
        if inside or not (ours or frame.f_code.co_filename.startswith("<minigrad")):
            break
        frame = frame.f_back
    code = frame.f_code
    return f"{code.co_name} in {os.path.basename(code.co_filename)}, line {frame.f_lineno}"
