"""A scan run by a generated kernel: the products before and after the loop, and the loop itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .batch import Batch
from .schedule import Loop, schedule
from .symbolic import Untraceable, Value
from .trace import trace

# kernel(T, descending, keep, whole, once, steps, carries, kept); see `Fused._loop`.
Kernel = Callable[..., None]


class Plan:
    """A cell traced and scheduled for given shapes and dtypes, with its kernels.

    `xs` is one step's input. `wanted` says which tensors of params, xs and state, in order, need
    a gradient. Raises `Untraceable`.
    """

    def __init__(
        self,
        cell: Callable[..., Any],
        params: Any,
        xs: Any,
        state: Any,
        backend: Any,
        wanted: Sequence[bool],
    ) -> None:
        self.program = program = trace(cell, params, xs, state)
        self.inputs = [*program.params, *program.xs, *program.state]
        floats = {v.dtype.name for v in self.inputs if v.dtype.kind == "f"}
        if len(floats) != 1:
            names = ", ".join(sorted(floats))
            raise Untraceable(f"its tensors are of several float dtypes: {names}")
        asked = [value for value, want in zip(self.inputs, wanted, strict=True) if want]
        self.schedule = laid = schedule(program, asked)
        (dtype,) = floats
        self.xp = backend
        self.forward: Kernel = backend.compile_loop(laid.loop, dtype)
        self.backward: Kernel | None = (
            backend.compile_loop(laid.back_loop, dtype) if asked else None
        )
        self.once = Batch(laid.once, backend)
        self.before = Batch(laid.before, backend)
        self.after = Batch(laid.after, backend)
        self.back_before = Batch(laid.back_before, backend)
        self._back_after: dict[tuple[int, ...], Batch] = {}
        # Values of which every step's is needed outside of the loop.
        self.told = {x for v in laid.after for x in v.inputs} | set(program.ys)

    def back_after(self, wanted: tuple[int, ...]) -> Batch:
        """The work after the backward loop for the gradients of the inputs at these positions."""
        if wanted not in self._back_after:
            roots = [self.schedule.grads[self.inputs[i]] for i in wanted]
            needed = set(self.program.order(*roots))
            values = [v for v in self.schedule.back_after if v in needed]
            self._back_after[wanted] = Batch(values, self.xp)
        return self._back_after[wanted]


class Fused:
    """One fused scan: runs forwards when made, and backwards as often as asked.

    Attributes
    ----------
    ys : the outputs, (T, N, ...) each.
    last : the final state's parts, (N, ...) each.
    """

    def __init__(
        self, plan: Plan, arrays: Sequence[Any], T: int, reverse: bool, keep: bool
    ) -> None:
        self._plan, self._T, self._reverse = plan, T, reverse
        program, loop = plan.program, plan.schedule.loop
        given = dict(zip(plan.inputs, arrays, strict=True))
        self._once = {v: given[v] for v in program.params}
        plan.once.run(self._once, self._once, 1)
        self._steps = {v: given[v] for v in program.xs}  # (T, N, ...)
        plan.before.run(self._once, self._steps, T)

        keep = keep or any(v in plan.told for v in loop.kept)
        whole = [keep or new in plan.told for new in program.new_state]
        starts = [given[v] for v in program.state]
        carries, kept = self._loop(plan.forward, loop, starts, whole, keep, reverse, self._steps)
        self.last = [self._final(c, full, reverse) for c, full in zip(carries, whole, strict=True)]
        before, behind = slice(None, -1), slice(1, None)  # in time, of a carry of all steps
        if reverse:
            before, behind = behind, before
        for old, new, carry, full in zip(
            program.state, program.new_state, carries, whole, strict=True
        ):
            if full:
                self._steps[old] = carry[before]
                self._steps.setdefault(new, carry[behind])
        if keep:
            self._steps.update(zip(loop.kept, kept, strict=True))
        plan.after.run(self._once, self._steps, T)
        self.ys = [self._output(y) for y in program.ys]

    def arrays(self) -> list[Any]:
        """All that the backward pass reads."""
        return [*self._once.values(), *self._steps.values()]

    def backward(
        self, g_ys: Sequence[Any], g_last: Sequence[Any], wanted: Iterable[int]
    ) -> dict[int, Any]:
        """Gradients of the inputs at the wanted positions, from those of `ys` and `last`."""
        plan, T = self._plan, self._T
        program, loop, grads = plan.program, plan.schedule.back_loop, plan.schedule.grads
        steps = dict(self._steps)
        steps.update(zip(program.g_ys, g_ys, strict=True))
        plan.back_before.run(self._once, steps, T)
        whole = [False] * len(g_last)
        assert plan.backward is not None
        carries, kept = self._loop(
            plan.backward, loop, g_last, whole, True, not self._reverse, steps
        )
        steps.update(zip(loop.kept, kept, strict=True))
        asked = tuple(i for i in wanted if plan.inputs[i] in grads)
        plan.back_after(asked).run(self._once, steps, T)
        first = dict(
            zip(program.state, (self._final(c, False, False) for c in carries), strict=True)
        )
        found = {}
        for i in asked:
            value = plan.inputs[i]
            g = grads[value]
            found[i] = first[value] if value in first else steps.get(g, self._once.get(g))
        return found

    # --- the parts -------------------------------------------------------------------------

    def _loop(
        self,
        kernel: Kernel,
        loop: Loop,
        starts: Sequence[Any],
        whole: Sequence[bool],
        keep: bool,
        descending: bool,
        steps: dict[Value, Any],
    ) -> tuple[list[Any], list[Any]]:
        """Run a kernel; returns its carries and the values that it kept.

        A carry that is `whole` has room for every step's value and the first one's, (T + 1, N,
        ...), in the order of time, so that a step reads one row and writes the next, or the other
        way round if the loop is `descending`. Any other has two rows, used in turn.
        """
        xp, T = self._plan.xp, self._T
        carries = []
        for start, full in zip(starts, whole, strict=True):
            carry = xp.empty((T + 1 if full else 2, *start.shape), start.dtype)
            carry[T if full and descending else 0] = start
            carries.append(carry)
        rows = T if keep else 1
        kept = [xp.empty((rows, *(int(n) for n in v.shape)), v.dtype) for v in loop.kept]
        once = [self._once[v] for v in loop.once]
        kernel(T, descending, keep, whole, once, [steps[v] for v in loop.steps], carries, kept)
        return carries, kept

    def _final(self, carry: Any, full: bool, descending: bool) -> Any:
        """What the last step that ran left in a carry."""
        if full:
            return carry[0 if descending else self._T]
        return carry[self._T % 2]

    def _output(self, y: Value) -> Any:
        if y not in self._steps:
            raise Untraceable("one of its outputs is the same for all steps")
        return self._steps[y]
