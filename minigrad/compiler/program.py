"""A traced step as a program of values, and its listing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from .ir import Value
from .sizes import Dim, Polynomial, form_of, form_text, substitute
from .symbolic_numbers import evaluator


@dataclass(repr=False)
class Program:
    """One time step of a cell, forwards and backwards, as values.

    `params`, `xs`, `state` are its inputs; `ys`, `new_state` its outputs; `g_ys`, `g_state` the
    cotangents of the outputs; `grads` maps each input that has a gradient to its value. A
    gradient of a parameter is that of this step alone; the sum over the steps is the scan's.

    >>> def cell(w, x, h):
    ...     h = mg.tanh(x @ w + h)
    ...     return h, h
    >>> program = mg.trace(cell, mg.ones((3, 4)), mg.ones((2, 3)), mg.ones((2, 4)))
    >>> [value.op for value in program.forward]
    ['input', 'input', 'matmul', 'input', 'add', 'tanh']
    """

    params: list[Value]
    xs: list[Value]
    state: list[Value]
    ys: list[Value]
    new_state: list[Value]
    g_ys: list[Value]
    g_state: list[Value]
    grads: dict[Value, Value]
    sources: list[set[Value]]  # of each part of ys and new_state: to what gradients flow from it
    ys_like: Any  # what the cell returned as its output
    names: dict[str, Polynomial]  # what the equations between sizes say of their names
    sizes: dict[str, int]  # those that were traced, by name; N stands for any number
    # Inputs, too: numbers that may be others at the next call; what stood for each of those in the
    # parameters, a `SymbolicNumber` or itself; and which of them had to be constants.
    numbers: list[Value] = field(default_factory=list)
    symbols: list[Any] = field(default_factory=list)
    pinned: frozenset[int] = frozenset()

    @property
    def forward(self) -> list[Value]:
        """The values of the forward step, its inputs among them, in order."""
        return self.order(*self.ys, *self.new_state)

    @property
    def step_inputs(self) -> list[Value]:
        """The inputs that are others at each step."""
        return [*self.xs, *self.state, *self.g_ys, *self.g_state]

    def of_one_step(self) -> Program:
        """The same for a loop that ends after its first step: nothing is carried.

        The state is an input like any other, and the new state is an output.
        """
        inputs, outputs = [*self.xs, *self.state], [*self.ys, *self.new_state]
        cotangents, none = [*self.g_ys, *self.g_state], list[Value]()
        return replace(
            self, xs=inputs, ys=outputs, g_ys=cotangents, state=none, new_state=none, g_state=none
        )

    def depends_on_carry(self, values: Sequence[Value]) -> set[Value]:
        """Those of the values, in order, that wait for the step before; the rest do not."""
        forward = set(self.forward)
        of_state = depends(values, self.state) & forward
        return of_state | depends(values, self.g_state) - forward

    def scalars(self, numbers: Sequence[float]) -> list[Any]:
        """The values of its `numbers`, as NumPy's, from the numbers in the parameters."""
        return self.as_scalars(self._evaluate(numbers)) if self.numbers else []

    def as_scalars(self, numbers: Sequence[float]) -> list[Any]:
        """The values of its `numbers` in their dtypes."""
        return [v.dtype.type(x) for v, x in zip(self.numbers, numbers, strict=True)]

    @cached_property
    def _evaluate(self) -> Callable[..., list[Any]]:
        return evaluator([value.settings["number"] for value in self.numbers])

    def size_text(self, size: int) -> str:
        """A size in the names that say most: H rather than the width of some weight by 4."""
        return form_text(self.form(size))

    def form(self, size: int) -> Polynomial:
        """A size as a polynomial in the base names."""
        return substitute(form_of(size), self.names)

    def differentiable(self, wanted: Iterable[Value]) -> list[bool]:
        """Which outputs of a scan, ys and final states, have a gradient if these inputs do."""
        found = set(wanted)
        while True:
            flags = [bool(sources & found) for sources in self.sources]
            more = {x for x, flag in zip(self.state, flags[len(self.ys) :], strict=True) if flag}
            if more <= found:
                return flags
            found |= more

    def order(self, *roots: Value) -> list[Value]:
        """All values that the roots need, each after what it is made from."""
        return topological_order(roots)

    def __repr__(self) -> str:
        return str(self)  # what a prompt shows

    def _repr_html_(self) -> str:
        """Forwards and backwards, each in a part that unfolds."""
        from ..utils.rich import folded, shown_text  # loaded when a notebook asks for it

        forward, backward = str(self).split("\nbackward:")
        return folded("forward", shown_text(forward), unfolded=True) + folded(
            "backward", shown_text(f"backward:{backward}")
        )

    def __str__(self) -> str:
        forward = self.forward
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
        return "   ".join(filter(None, (f"{text:52} ({shape})", value.line, value.label)))


def topological_order(roots: Iterable[Value]) -> list[Value]:
    """All values that the roots need, each after what it is made from."""
    seen: set[Value] = set()
    out: list[Value] = []
    stack: list[tuple[Value, bool]] = [(root, False) for root in reversed([*roots])]
    while stack:
        value, ready = stack.pop()
        if ready:
            out.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack.extend((x, False) for x in reversed(value.inputs))
    return out


def inputs_of(values: Iterable[Value]) -> set[Value]:
    """What the values are made from, one step back."""
    return {x for value in values for x in value.inputs}


def depends(values: Iterable[Value], on: Iterable[Value]) -> set[Value]:
    """Those of the values, in order, that are made from one of `on`, and `on` itself."""
    dependent = set(on)
    for value in values:
        if any(x in dependent for x in value.inputs):
            dependent.add(value)
    return dependent


def readers(values: Sequence[Value]) -> dict[Value, list[Value]]:
    """For each of the values, in order, those that are made from it; twice if it is so twice."""
    found: dict[Value, list[Value]] = {v: [] for v in values}
    for reader in values:
        for x in reader.inputs:
            found[x].append(reader)
    return found
