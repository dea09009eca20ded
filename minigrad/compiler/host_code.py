"""What runs around a kernel, as Python text: products before and after the loop, and its arrays.

The forward function of a cell that computes `h = tanh(x @ p.w.T + h @ p.u.T)` is

    def forward(T, N, descending, w, u, xs, h0):
        rows = T * N
        u_T = transpose(u, (1, 0))  # cell:2
        w_T = transpose(w, (1, 0))  # cell:2
        xs_rows = xs.reshape(rows, 3)
        products = matmul(xs_rows, w_T)  # cell:2
        first, last = (T, 0) if descending else (0, T)
        hs = empty((T + 1, N, 4), float32)  # state
        hs[first] = h0
        products_steps = products.reshape(T, N, 4)
        kernel(T, N, descending, True, (True,), (u_T,), (products_steps,), (hs,), ())
        h_before, h_after = (hs[1:], hs[:-1]) if descending else (hs[:-1], hs[1:])
        return (h_after,), (copy(hs[last]),), (u, h_after, xs_rows, h_before, w)

The names are those of the cell and its parameters; an s at the end stands for all steps.
Outside of the loop the steps are rows, T*N of them; a kernel takes the same memory step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from .ir import Value
from .names import Names
from .program import Program
from .schedule import BackwardPass, Loop, Schedule
from .source import PythonSource, tuple_text

# kernel(T, N, descending, store, full_history, invariant, steps, carries, stored, *totals), as
# `HostSource.loop` says.
Kernel = Callable[..., Any]

# The forms that an array comes in: the same for all steps, (T, N, ...), and (T * N, ...). What has
# no row per sequence and is computed of things that have, as a weight's gradient, counts as ROWS.
INVARIANT, STEPS, ROWS = "invariant", "steps", "rows"

# Names in the texts besides those of values.
_GIVEN = ("rows", "kernel", "first", "last", "descending", "saved", "numbers")


class HostSource(PythonSource):
    """The text of one direction, and the names of the values in it, by their form."""

    def __init__(self, program: Program, xp: Any, taken: Iterable[str] = ()) -> None:
        super().__init__(xp)
        self.program = program
        self.names: dict[tuple[str, Value], str] = {}
        self.naming = Names(program, [*_GIVEN, *taken])
        self.lines.append("rows = T * N")

    # --- names -----------------------------------------------------------------------------

    def known(self, form: str, value: Value) -> str | None:
        """The name of a value in one of its forms, if it has one."""
        return self.names.get((form, value))

    def assign(self, form: str, value: Value, name: str, text: str, comment: str = "") -> str:
        """Write down what a name stands for."""
        self.names[form, value] = name
        self.lines.append(f"{name} = {text}" + (f"  # {comment}" if comment else ""))
        return name

    def invariant(self, value: Value) -> str:
        """A value that is the same for all steps."""
        name = self.known(INVARIANT, value)
        assert name is not None, value
        return name

    def steps(self, value: Value) -> str:
        """A value of all steps, (T, N, ...)."""
        name = self.known(STEPS, value)
        if name is not None:
            return name
        rows = self.known(ROWS, value)
        assert rows is not None, value
        return self.assign(STEPS, value, f"{rows}_steps", f"{rows}.reshape{_shape('T', value)}")

    def rows(self, value: Value) -> str:
        """A value as the ops outside of the loop take it: (T * N, ...) if it has rows."""
        name = self.known(ROWS, value)
        if name is not None:
            return name
        shape = tuple_text(["rows", *_widths(value)])
        name = self.known(STEPS, value)
        if name is not None:
            return self.assign(ROWS, value, f"{name}_rows", f"{name}.reshape{shape}")
        name = self.invariant(value)
        if value.has_rows:  # a parameter with a row per sequence
            made = f"{self.op('broadcast_to')}({name}, {_shape('T', value)}).reshape{shape}"
        elif value.counts_rows:  # transposed, of one step
            made = f"{self.op('concatenate')}([{name}] * T, axis=1)"
        else:
            return name
        return self.assign(ROWS, value, f"{name}_rows", made)

    # --- parts of the text -----------------------------------------------------------------

    def compute(self, form: str, values: Iterable[Value]) -> None:
        """Compute values once, or as rows of all steps."""
        find, rows = (self.invariant, "N") if form == INVARIANT else (self.rows, "rows")
        for value in values:
            text = self.call(value, [find(x) for x in value.inputs], rows)
            name = self.naming.of(value)
            if form == ROWS and value.has_rows:
                name = self.naming.all_of(name)
            self.assign(form, value, name, text, value.line)

    def loop(
        self,
        kernel: Kernel,
        loop: Loop,
        starts: Sequence[str],
        full_history: Sequence[bool],
        store: bool,
        wanted: Collection[Value] = (),
    ) -> list[str]:
        """Run a kernel; what the last step that ran leaves in each carry.

        A kernel takes T, N, and whether the loop is `descending`; whether to `store` every step's
        values of `loop.kept`; which carries have their `full_history`; then the arrays: those of
        `loop.invariant` and `loop.steps`, which it reads; the carries; those of `loop.kept`, which
        it writes. If there are `loop.totals`, one more argument says which of them are `wanted`,
        and the kernel returns them; others are None.

        A carry with its full history has room for every step's value and the first one's,
        (T + 1, N, ...) in the order of time, so that a step reads one row and writes the next, or
        the other way round if the loop is descending. Any other has two rows, used in turn.
        """
        self.scope["kernel"] = kernel
        if any(full_history):
            self.lines.append("first, last = (T, 0) if descending else (0, T)")
        carries: list[str] = []
        stored: list[str] = []
        for value, start, full in zip(loop.carry_in, starts, full_history, strict=True):
            name = self._empty("T + 1" if full else "2", value, self.naming.carry(value))
            self.lines.append(f"{name}[{'first' if full else 0}] = {start}")
            carries.append(name)
        for value in loop.kept:
            stored.append(self._empty("T" if store else "1", value, self.naming.of(value)))
        if loop.body or carries or loop.totals:
            invariant = tuple_text(self.invariant(v) for v in loop.invariant)
            steps = tuple_text(self.steps(v) for v in loop.steps)
            arrays = f"{invariant}, {steps}, {tuple_text(carries)}, {tuple_text(stored)}"
            given = f"T, N, descending, {store}, {tuple(full_history)}, {arrays}"
            if loop.totals:
                names = [self.naming.of(v) for v in loop.totals]
                self.names |= {(ROWS, v): x for v, x in zip(loop.totals, names, strict=True)}
                flags = tuple(v in wanted for v in loop.totals)
                self.lines.append(f"{tuple_text(names)} = kernel({given}, {flags})")
            else:
                self.lines.append(f"kernel({given})")
        if store:
            self.names |= {(STEPS, v): name for v, name in zip(loop.kept, stored, strict=True)}
        ends = ["last" if full else "T % 2" for full in full_history]
        return [f"{carry}[{end}]" for carry, end in zip(carries, ends, strict=True)]

    def _empty(self, count: str, value: Value, label: str) -> str:
        name, comment = self.naming.all_of(label), value.name or value.line or value.op
        made = f"{self.op('empty')}({_shape(count, value)}, {self.dtype(value)})"
        self.lines.append(f"{name} = {made}  # {comment}")
        return name


class ForwardSource(HostSource):
    """The function `forward(T, N, descending, *inputs, *numbers)`, which gives (ys, last, saved).

    ys : the outputs, (T, N, ...) each.
    last : the final state's parts, (N, ...) each.
    saved : what the backward function reads.
    """

    def __init__(
        self, program: Program, schedule: Schedule, kernel: Kernel, xp: Any, store: bool
    ) -> None:
        super().__init__(program, xp)
        layout = schedule.forward
        naming = self.naming
        self.names |= {(INVARIANT, v): naming.of(v) for v in program.params}
        self.names |= {(STEPS, v): naming.all_of(naming.wanted[v]) for v in program.xs}
        starts = [naming.new(f"{self.naming.carry(v)}0") for v in program.state]
        self._inputs = [*self.names.values(), *starts]
        self._inputs += [self.names.setdefault((INVARIANT, v), n) for v, n in _numbers(program)]

        self.compute(INVARIANT, layout.invariant)
        self.compute(ROWS, layout.hoisted)
        needed = set(layout.needed_outside)
        if store and schedule.backward is not None:
            needed |= schedule.backward.read
        pairs = list(zip(program.state, program.new_state, strict=True))
        full_history = [old in needed or new in needed for old, new in pairs]
        store = store or any(v in layout.needed_outside for v in layout.loop.kept)
        ends = self.loop(kernel, layout.loop, starts, full_history, store)
        for i, ((old, new), full) in enumerate(zip(pairs, full_history, strict=True)):
            if full:
                states = ends[i].partition("[")[0]
                halves = f"{states}[1:], {states}[:-1]", f"{states}[:-1], {states}[1:]"
                label = self.naming.carry(old)
                before, after = naming.new(f"{label}_before"), naming.new(f"{label}_after")
                self.lines.append(
                    f"{before}, {after} = ({halves[0]}) if descending else ({halves[1]})"
                )
                self.names[STEPS, old] = before
                self.names.setdefault((STEPS, new), after)
        self.compute(ROWS, layout.sunk)
        self._ys = [self._output(y, program.ys[:i]) for i, y in enumerate(program.ys)]
        # A carry with its history may be an output, too; an edit of one must not change the other.
        self._last = [f"{self.op('copy')}({end})" for end in ends]

    def _output(self, y: Value, others: Sequence[Value]) -> str:
        """An output, in memory of its own."""
        invariant = self.known(INVARIANT, y)
        if invariant is not None:
            return f"{self.op('copy')}({self.op('broadcast_to')}({invariant}, {_shape('T', y)}))"
        if y.op == "input" or y in others:
            return f"{self.op('copy')}({self.steps(y)})"
        return self.steps(y)

    def compile(self, saved: Iterable[str]) -> Callable[..., Any]:
        """The function; `saved` are the names that the backward function asks for."""
        parts = tuple_text(self._ys), tuple_text(self._last), tuple_text(saved)
        self.lines.append(f"return {', '.join(parts)}")
        return self.function("forward", ["T", "N", "descending", *self._inputs])


class BackwardSource(HostSource):
    """The function `backward(T, N, descending, saved, numbers, *g)`, of the inputs' gradients.

    g : the cotangents of the outputs and of the last state's parts; None stands for zeros.

    There is None for an input whose gradient isn't asked for, or doesn't exist. `saved` fills up
    with the names in the forward text that this one reads.
    """

    def __init__(
        self,
        program: Program,
        layout: BackwardPass,
        kernel: Kernel,
        xp: Any,
        forward: ForwardSource,
        asked: Collection[Value],
    ) -> None:
        super().__init__(program, xp, forward.names.values())
        self.saved: dict[str, None] = {}
        self._forward = forward
        self.names |= {(INVARIANT, v): name for v, name in _numbers(program)}
        naming, wanted = self.naming, self.naming.wanted
        self._g = [naming.all_of(wanted[v]) for v in program.g_ys]
        self._g += [naming.new(f"{wanted[v]}_last") for v in program.g_state]
        read = layout.read.union(layout.grads.values())
        for value, name in zip(program.g_ys, self._g, strict=False):
            if value not in read:
                continue
            zeros = f"{self.op('zeros')}({_shape('T', value)}, {self.dtype(value)})"
            given = f"{self.op('contiguous')}({name})"
            self.assign(STEPS, value, name, f"{zeros} if {name} is None else {given}")
        ends = dict(zip(program.g_state, self._g[len(program.g_ys) :], strict=True))

        self.compute(INVARIANT, layout.invariant)
        self.compute(ROWS, layout.hoisted)
        starts = [f"0 if {ends[g]} is None else {ends[g]}" for g in layout.loop.carry_in]
        full_history = [g in layout.needed_outside for g in layout.loop.carry_in]
        grads = {x: g for x, g in layout.grads.items() if x in asked}
        needed = set(program.order(*grads.values()))
        last = self.loop(kernel, layout.loop, starts, full_history, True, needed)
        for i, (g, full) in enumerate(zip(layout.loop.carry_in, full_history, strict=True)):
            if full:
                states = last[i].partition("[")[0]
                before = naming.new(f"{self.naming.carry(g)}_before")
                self.assign(STEPS, g, before, f"{states}[1:] if descending else {states}[:-1]")
        self.compute(ROWS, [v for v in layout.sunk if v in needed])
        found = dict(zip(layout.carried_states, last, strict=True))
        found |= {x: self._gradient(x, g) for x, g in grads.items() if x not in found}
        inputs = [*program.params, *program.xs, *program.state]
        self._grads = [found[x] if x in grads else "None" for x in inputs]

    def known(self, form: str, value: Value) -> str | None:
        """As above; what the forward function knows is known, too, but has to be saved."""
        name = super().known(form, value)
        if name is None:
            name = self._forward.known(form, value)
            if name is not None:
                self.saved[name] = None
        return name

    def _gradient(self, x: Value, g: Value) -> str:
        if not g.has_rows:
            return self.rows(g)
        if x in self.program.params:  # with a row per sequence
            return f"{self.op('sum')}({self.steps(g)}, axis=0)"
        return self.steps(g)

    def compile(self, saved: Iterable[str]) -> Callable[..., Any]:
        """The function; `saved` are the names of what it is given."""
        numbers = [name for _, name in _numbers(self.program)]
        if numbers:
            self.lines.insert(0, f"{tuple_text(numbers)} = numbers")
        self.lines.insert(0, f"{tuple_text(saved)} = saved")
        self.lines.append(f"return {tuple_text(self._grads)}")
        return self.function("backward", ["T", "N", "descending", "saved", "numbers", *self._g])


def _widths(value: Value) -> list[str]:
    """The sizes of a value's axes but the first, which is N."""
    return [str(int(n)) for n in value.shape[1:]]


def _shape(count: str, value: Value) -> str:
    """The shape of so many steps of a value."""
    return tuple_text([count, "N", *_widths(value)])


def _numbers(program: Program) -> list[tuple[Value, str]]:
    """The numbers that a program takes, with their names."""
    return [(value, f"n{i}") for i, value in enumerate(program.numbers)]
