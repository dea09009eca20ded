"""The program of one time step of a cell, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..engine import sweep
from ..graph import enable_grad
from ..tensor import Tensor
from .sizes import Dim, Polynomial, form_of, form_text, solve, substituted
from .structure import Structure
from .symbolic import SymbolicBackend, Untraceable, Value

__all__ = ["Program", "Untraceable", "trace"]


@dataclass
class Program:
    """One time step of a cell, forwards and backwards, as values.

    `params`, `xs`, `state` are its inputs; `ys`, `new_state` its outputs; `g_ys`, `g_state` the
    cotangents of the outputs; `grads` maps each input that has a gradient to its value. A
    gradient of a parameter is that of this step alone; the sum over the steps is the scan's.
    """

    params: list[Value]
    xs: list[Value]
    state: list[Value]
    ys: list[Value]
    new_state: list[Value]
    g_ys: list[Value]
    g_state: list[Value]
    grads: dict[Value, Value]
    ys_like: Structure  # of what the cell returns as its output
    names: dict[str, Polynomial] = field(default_factory=dict)  # sizes known by other names

    def size_text(self, size: int) -> str:
        """A size in the names that say most: H rather than the width of some weight by 4."""
        return form_text(self.form(size))

    def form(self, size: int) -> Polynomial:
        """A size as a polynomial in the base names."""
        return substituted(form_of(size), self.names)

    def order(self, *roots: Value) -> list[Value]:
        """All values that the roots need, each after what it is made from."""
        seen: set[Value] = set()
        out: list[Value] = []
        stack: list[tuple[Value, bool]] = [(root, False) for root in reversed(roots)]
        while stack:
            value, ready = stack.pop()
            if ready:
                out.append(value)
            elif value not in seen:
                seen.add(value)
                stack.append((value, True))
                stack.extend((x, False) for x in reversed(value.inputs))
        return out

    def __str__(self) -> str:
        forward = self.order(*self.ys, *self.new_state)
        backward = [v for v in self.order(*self.grads.values()) if v not in set(forward)]
        numbers: dict[Value, str] = {}
        lines = []
        for title, values in (("forward", forward), ("backward", backward)):
            lines.append(f"{title}:")
            for value in values:
                if value.op == "input":
                    numbers[value] = value.name
                    continue
                numbers[value] = f"v{len(numbers)}"
                lines.append("  " + self._line(value, numbers))
            if title == "forward":
                outputs = {"y": self.ys, "state": self.new_state}
            else:
                outputs = {f"d {x.name}": [g] for x, g in self.grads.items()}
            for name, found in outputs.items():
                lines.append(f"  -> {name}: {', '.join(numbers[value] for value in found)}")
        return "\n".join(lines)

    def _line(self, value: Value, numbers: dict[Value, str]) -> str:
        args = [numbers.get(a, "?") if isinstance(a, Value) else repr(a) for a in value.args]
        for key, setting in value.settings.items():
            if key != "shape":
                text = self.size_text(setting) if isinstance(setting, Dim) else repr(setting)
                args.append(f"{key}={text}")
        shape = ", ".join(self.size_text(n) for n in value.shape)
        text = f"{numbers[value]:4} = {value.op}({', '.join(args)})"
        return f"{text:52} ({shape}){'   ' + value.line if value.line else ''}"


def trace(
    cell: Callable[[Any, Any, Any], tuple[Any, Any]], params: Any, xs: Any, state: Any
) -> Program:
    """The program of one step of `cell`, forwards and backwards.

    Parameters
    ----------
    cell : `cell(params, x, state) -> (y, state)`, a function of ops.
    params : what the cell reads: a tensor, or containers or an object with tensors in them.
    xs : one step of input: a tensor (N, ...) or a (named) tuple of them.
    state : a tensor (N, ...) or a (named) tuple of them.

    Raises
    ------
    Untraceable : the cell looks at numbers, makes tensors of its own, or uses an op that has no
        place in a compiled step; the text says which.

    Examples
    --------
    >>> import minigrad as mg
    >>> def cell(w, x, h):
    ...     h = mg.tanh(x + h @ w)
    ...     return h, h
    >>> from minigrad.compiler import trace
    >>> print(trace(cell, mg.ones((3, 3)), mg.ones((2, 3)), mg.ones((2, 3))))
    forward:
      v3   = matmul(state, params)                         (N, H)   cell:2
      v4   = add(xs, v3)                                   (N, H)   cell:2
      v5   = tanh(v4)                                      (N, H)   cell:2
      -> y: v5
      -> state: v5
    backward:
      v6   = transpose(state, axes=(1, 0))                 (H, N)
      v9   = add(g_y, g_state)                             (N, H)
      v10  = multiply(v5, v5)                              (N, H)
      v11  = subtract(1, v10)                              (N, H)
      v12  = multiply(v9, v11)                             (N, H)
      v13  = matmul(v6, v12)                               (H, H)
      v14  = transpose(params, axes=(1, 0))                (H, H)
      v15  = matmul(v12, v14)                              (N, H)
      -> d params: v13
      -> d xs: v12
      -> d state: v15
    """
    backend = SymbolicBackend()
    p, x, s = Structure(params), Structure(xs), Structure(state)
    names: list[str] = ["N"]
    state_in = [_row_input(backend, name, t, "H", names) for name, t in s.named("state")]
    xs_in = [_row_input(backend, name, t, "I", names) for name, t in x.named("xs")]
    params_in = [_param_input(backend, name, t, names) for name, t in p.named("params")]
    leaves = {value: _leaf(value, backend) for value in (*params_in, *xs_in, *state_in)}
    with enable_grad():
        y, new = cell(
            p.rebuild([leaves[v] for v in params_in]),
            x.rebuild([leaves[v] for v in xs_in]),
            s.rebuild([leaves[v] for v in state_in]),
        )
    ys, new_state = Structure(y), Structure(new)
    for tensor in (*ys.tensors, *new_state.tensors):
        if tensor.backend is not backend:
            raise Untraceable("it returns a tensor that doesn't come from its inputs")
    for before, after in zip(state_in, new_state.tensors, strict=True):
        backend.equal_sizes += zip(before.shape, after.shape, strict=True)
    g_ys = [_cotangent(backend, f"g_{name}", t) for name, t in ys.named("y")]
    g_state = [_cotangent(backend, f"g_{name}", t) for name, t in new_state.named("state")]
    backend.in_cell = False
    grads = _backwards([*ys.tensors, *new_state.tensors], [*g_ys, *g_state], leaves)
    backend.close()
    return Program(
        params_in,
        xs_in,
        state_in,
        [t._data for t in ys.tensors],
        [t._data for t in new_state.tensors],
        g_ys,
        g_state,
        grads,
        ys,
        solve(backend.equal_sizes, names),
    )


def _row_input(
    backend: SymbolicBackend, name: str, t: Tensor, width: str, names: list[str]
) -> Value:
    """An input with a row per sequence: N, and a width of its own."""
    shape: list[int] = []
    for i, n in enumerate(t.shape):
        known = (
            "N" if i == 0 else width + (str(k) if (k := sum(w[0] == width for w in names)) else "")
        )
        if i:
            names.append(known)
        shape.append(Dim(n, known))
    return backend.input(name, shape, t.dtype)


def _param_input(backend: SymbolicBackend, name: str, t: Tensor, names: list[str]) -> Value:
    """An input that is the same for all steps. Its axes of size 1 are there to broadcast."""
    shape: list[int] = []
    for i, n in enumerate(t.shape):
        names.append(f"{name}.{i}")
        shape.append(n if n == 1 else Dim(n, names[-1]))
    return backend.input(name, shape, t.dtype)


def _leaf(value: Value, backend: SymbolicBackend) -> Tensor:
    tensor = Tensor(value, backend)
    if value.dtype.kind == "f":
        tensor.requires_grad = True
    return tensor


def _cotangent(backend: SymbolicBackend, name: str, t: Tensor) -> Value:
    return backend.input(name, t.shape, t.dtype)


def _backwards(
    outputs: list[Tensor], cotangents: list[Value], leaves: dict[Value, Tensor]
) -> dict[Value, Value]:
    """The engine's own sweep over the step that has just been traced."""
    seeds = [
        (t._node, Tensor(g, t.backend))
        for t, g in zip(outputs, cotangents, strict=True)
        if t._node is not None
    ]
    wanted = {t._node: value for value, t in leaves.items() if t._node is not None}
    found = sweep(seeds, list(wanted)) if seeds else {}
    return {wanted[node]: g._data for node, g in found.items() if g is not None}
