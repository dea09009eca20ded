"""What runs around the kernels of a row plan, as Python text.

The forward function of `y = x * tanh(x)` for x of (..., 3) is

    def forward(lead, rows, arrays, numbers):
        (a0,) = arrays
        x0 = a0.reshape((1, rows, 3))
        y0 = empty((*lead, 3), float32)
        y0_rows = y0.reshape((1, rows, 3))
        kernel(1, rows, False, True, (), (), (x0,), (), (y0_rows,))
        return (y0,), ()

where `lead` are the leading axes. A kernel takes them as the rows of one step: (1, N, F).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .ir import Value
from .schedule import Loop
from .source import OpList, PythonSource, tuple_text


class _RowSource(PythonSource):
    """The text of one direction, and the names of the values in it.

    `names` are those of arrays as kernels take them; `outer` those of arrays as the user sees them.
    """

    def __init__(self, plan: Any) -> None:
        super().__init__(plan.xp)
        self.plan, self.program = plan, plan.program
        self.names: dict[Value, str] = {}
        self.outer: dict[Value, str] = {}

    def take(self, read: Iterable[Value]) -> None:
        """Name the arguments, and view those that are read as kernels take them."""
        plan, count = self.plan, len(self.plan.order)
        read = set(read)
        self.lines.append(f"{tuple_text(f'a{i}' for i in range(count))} = arrays")
        letters = dict.fromkeys(self.program.params, "w") | dict.fromkeys(self.program.xs, "x")
        for value, place in zip(plan.inputs, self.plan.order, strict=True):
            if value in read:
                self.view(value, f"{letters[value]}{place}", f"a{place}")
        numbers = self.program.numbers
        if numbers:
            self.names |= {v: f"n{i}" for i, v in enumerate(numbers)}
            self.lines.append(f"{tuple_text(self.names[v] for v in numbers)} = numbers")

    def view(self, value: Value, name: str, array: str) -> None:
        """An array as a kernel takes it, under a name of its own."""
        self.names[value] = name
        shape = tuple_text(["1", "rows", *_widths(value)]) if value.has_rows else _shared(value)
        self.lines.append(f"{name} = {array}.reshape({shape})")

    def shape(self, value: Value) -> str:
        """The shape of a value's array as the user sees it."""
        if not value.has_rows:
            return _shared(value)
        return "lead" if self.plan.is_cut else tuple_text(["*lead", *_widths(value)])

    def make_room(self, value: Value, name: str) -> None:
        """An array for a kernel to write to."""
        self.outer[value] = name
        self.lines.append(f"{name} = {self.op('empty')}({self.shape(value)}, {self.dtype(value)})")
        self.view(value, f"{name}_rows", name)

    def make_room_for_blocks(self, value: Value, name: str) -> None:
        """An array for the sums of blocks of rows."""
        count = f"-(-rows // {self.plan.rows_per_sum})"
        shape = tuple_text(["1", count, *_widths(value)])
        self.names[value] = name
        self.lines.append(f"{name} = {self.op('empty')}({shape}, {self.dtype(value)})")

    def compute(self, ops: OpList, name: str, letter: str, names: Sequence[str]) -> None:
        """Values by the backend's ops."""
        if ops.values:
            self.scope[name] = ops.compute
            found = [f"{letter}{i}" for i in range(len(ops.values))]
            arguments = ", ".join(["rows", *names])
            self.lines.append(f"{tuple_text(found)} = {name}({arguments})")
            self.names.update(zip(ops.values, found, strict=True))

    def run(self, kernel: Callable[..., None] | None, loop: Loop) -> None:
        """Run a kernel."""
        if kernel is not None:
            self.scope["kernel"] = kernel
            groups = [
                tuple_text(self.names[v] for v in values)
                for values in (loop.invariant, loop.steps, loop.kept)
            ]
            invariant, steps, kept = groups
            given = f"1, rows, False, True, (), {invariant}, {steps}, (), {kept}"
            self.lines.append(f"kernel({given})")


class ForwardRows(_RowSource):
    """`forward(lead, rows, arrays, numbers)` gives the results, and what backward reads of them."""

    def compile(self) -> Callable[..., Any]:
        """The function."""
        plan, program, layout = self.plan, self.program, self.plan.layout
        loop, invariant = layout.loop, plan.invariant
        self.take([*invariant.inputs, *loop.invariant, *loop.steps])
        self.compute(invariant, "invariant", "v", [self.names[x] for x in invariant.inputs])
        for i, value in enumerate(loop.kept):
            self.make_room(value, f"y{i}" if value in program.ys else f"kept{i}")
        self.run(plan.kernel, loop)
        ys = [self._result(y, y in program.ys[:i]) for i, y in enumerate(program.ys)]
        saved = [self.outer.get(v) or self.names[v] for v in plan.saved]
        self.lines.append(f"return {tuple_text(ys)}, {tuple_text(saved)}")
        return self.function("forward", ["lead", "rows", "arrays", "numbers"])

    def _result(self, y: Value, again: bool) -> str:
        """A result, in memory of its own."""
        if y in self.outer:
            return f"{self.op('copy')}({self.outer[y]})" if again else self.outer[y]
        if y in self.names:
            name = self.names[y]
        else:  # an input as it is, which nothing else reads
            name = f"a{self.plan.order[self.plan.inputs.index(y)]}"
        return f"{self.op('copy')}({name}.reshape({self.shape(y)}))"


class BackwardRows(_RowSource):
    """`backward(lead, rows, arrays, saved, numbers, gs)` gives the gradients of the arrays.

    There is None for those without. In `gs`, gradients of the results, it stands for zeros.
    """

    def compile(self) -> Callable[..., Any]:
        """The function."""
        plan, program, layout = self.plan, self.program, self.plan.layout
        loop, sums, invariant = layout.back, plan.sums, plan.back_invariant
        assert loop is not None
        read = {*loop.invariant, *loop.steps, *layout.grads.values()}
        read |= {*sums.inputs, *invariant.inputs}
        self.take(read)
        names = [f"saved{i}" for i in range(len(plan.saved))]
        if names:
            self.lines.append(f"{tuple_text(names)} = saved")
        count = len(plan.invariant.values)
        self.names.update(zip(plan.invariant.values, names[:count], strict=True))
        for value, name in zip(layout.saved, names[count:], strict=True):
            self.view(value, f"{name}_rows", name)
        gs = [f"g{i}" for i in range(len(program.g_ys))]
        self.lines.append(f"{tuple_text(gs)} = gs")
        for value, name in zip(program.g_ys, gs, strict=True):
            if value in read:
                zeros = f"{self.op('zeros')}({self.shape(value)}, {self.dtype(value)})"
                self.lines += [f"if {name} is None:", f"    {name} = {zeros}"]
                self.outer[value] = name
                self.view(value, f"{name}_rows", name)
        by_rows = {*self.names}  # (1, N, F); what ops compute from here on is (N, F)
        self.compute(invariant, "invariant", "v", [self.names[x] for x in invariant.inputs])
        for i, value in enumerate(loop.kept):
            if value.op == "block_sum":
                self.make_room_for_blocks(value, f"blocks{i}")
            else:
                self.make_room(value, f"kept{i}")
            by_rows.add(value)
        by_rows -= {*plan.invariant.values}
        self.run(plan.back_kernel, loop)
        given = [
            f"{self.names[x]}[0]" if x.has_rows and x in by_rows else self.names[x]
            for x in (layout.blocks.get(x, x) for x in sums.inputs)
        ]
        self.compute(sums, "sums", "s", given)
        grads = ["None"] * len(self.plan.order)
        for x, place in zip(plan.inputs, self.plan.order, strict=True):
            if x in layout.grads:
                g = layout.grads[x]
                grads[place] = self.outer.get(g) or self.names[g]
        self.lines.append(f"return {tuple_text(grads)}")
        return self.function("backward", ["lead", "rows", "arrays", "saved", "numbers", "gs"])


def _widths(value: Value) -> list[str]:
    """The sizes of a value's axes but the first, which is N."""
    return [str(int(n)) for n in value.shape[1:]]


def _shared(value: Value) -> str:
    """The shape of a value that all rows share."""
    return tuple_text(str(int(n)) for n in value.shape)
