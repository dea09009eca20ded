"""A scan run by a generated kernel: the products before and after the loop, and the loop itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..messages import Untraceable
from .batch import Batch
from .schedule import Loop, schedule
from .sums import regroup
from .trace import trace
from .values import Value

# kernel(T, N, descending, keep, whole, once, steps, carries, kept); see `Fused._loop`.
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
        dtypes = sorted({v.dtype.name for v in self.inputs if v.dtype.kind == "f"})
        if len(dtypes) != 1:
            raise Untraceable(f"its tensors are of {' and '.join(dtypes) or 'no float dtype'}")
        if not all(v.dtype.isnative for v in self.inputs):
            raise Untraceable("its numbers are in another machine's byte order")
        if getattr(backend, "product_starts", False):  # its products take a third argument
            regroup(program)
        asked = [value for value, want in zip(self.inputs, wanted, strict=True) if want]
        laid = schedule(program, asked)
        self.xp, self.loop, self.told, self.back = backend, laid.loop, laid.told, laid.back
        self.once = Batch(laid.once, backend)
        self.before = Batch(laid.before, backend)
        self.after = Batch(laid.after, backend)
        self.forward: Kernel = backend.compile_loop(laid.loop, dtypes[0])
        self.saved: set[Value] = set()  # what the backward pass reads
        if laid.back is not None:
            self.saved = laid.back.read
            self.back_once = Batch(laid.back.once, backend)
            self.back_before = Batch(laid.back.before, backend)
            self._back_after: dict[tuple[int, ...], Batch] = {}
            self.backward: Kernel = backend.compile_loop(laid.back.loop, dtypes[0])
        self.differentiable = program.differentiable(asked)

    def back_after(self, wanted: tuple[int, ...]) -> Batch:
        """The work after the backward loop for the gradients of the inputs at these positions."""
        assert self.back is not None
        if wanted not in self._back_after:
            roots = [self.back.grads[self.inputs[i]] for i in wanted]
            needed = set(self.program.order(*roots))
            values = [v for v in self.back.after if v in needed]
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
        xp, program, loop = plan.xp, plan.program, plan.loop
        given = dict(zip(plan.inputs, arrays, strict=True))
        starts = [given[v] for v in program.state]
        self._N = starts[0].shape[0]
        self._once = {v: given[v] for v in program.params}
        self._once.update(plan.once.run(self._once, self._N))
        self._steps = {v: given[v] for v in program.xs}  # (T, N, ...)
        self._run(plan.before, self._once, self._steps)

        carries = list(zip(program.state, program.new_state, strict=True))
        needed = plan.told | plan.saved if keep else plan.told
        whole = [old in needed or new in needed for old, new in carries]
        keep = keep or any(v in plan.told for v in loop.kept)
        held, kept = self._loop(plan.forward, loop, starts, whole, keep, reverse, self._steps)
        # A whole carry may be an output, too; what the user does to one must not change the other.
        self.last = [xp.copy(self._final(c, f, reverse)) for c, f in zip(held, whole, strict=True)]
        for (old, new), carry, full in zip(carries, held, whole, strict=True):
            if full:
                self._steps[old], after = _in_time(carry, reverse)
                self._steps.setdefault(new, after)
        if keep:
            self._steps.update(zip(loop.kept, kept, strict=True))
        self._run(plan.after, self._once, self._steps)
        self.ys = [self._output(y, program.ys[:i]) for i, y in enumerate(program.ys)]
        # The rest, such as x @ W for all steps, makes room for the backward pass.
        self._steps = {v: array for v, array in self._steps.items() if v in plan.saved}

    def arrays(self) -> list[Any]:
        """All that the backward pass reads."""
        return [*self._once.values(), *self._steps.values()]

    def backward(
        self, g_ys: Sequence[Any], g_last: Sequence[Any], wanted: Iterable[int]
    ) -> dict[int, Any]:
        """Gradients of the inputs at the wanted positions, from those of `ys` and `last`."""
        plan, program, back = self._plan, self._plan.program, self._plan.back
        assert back is not None
        reverse = not self._reverse
        once = {**self._once, **plan.back_once.run(self._once, self._N)}
        steps = {**self._steps, **dict(zip(program.g_ys, g_ys, strict=True))}
        self._run(plan.back_before, once, steps)
        ends = dict(zip(program.g_state, g_last, strict=True))
        starts = [ends[g] for g in back.loop.carry_in]
        whole = [g in back.told for g in back.loop.carry_in]
        held, kept = self._loop(plan.backward, back.loop, starts, whole, True, reverse, steps, once)
        for g, carry, full in zip(back.loop.carry_in, held, whole, strict=True):
            if full:
                steps[g], _ = _in_time(carry, reverse)
        steps.update(zip(back.loop.kept, kept, strict=True))
        asked = tuple(i for i in wanted if plan.inputs[i] in back.grads)
        self._run(plan.back_after(asked), once, steps)
        final = [self._final(c, full, reverse) for c, full in zip(held, whole, strict=True)]
        first = dict(zip(back.state, final, strict=True))
        found = {}
        for i in asked:
            value = plan.inputs[i]
            if value in first:
                found[i] = first[value]
                continue
            g = back.grads[value]
            found[i] = steps[g]
            if value in program.params and g.has_rows:  # a parameter with a row per sequence
                found[i] = plan.xp.sum(found[i], axis=0)
        return found

    # --- the parts -------------------------------------------------------------------------

    def _run(self, batch: Batch, once: dict[Value, Any], steps: dict[Value, Any]) -> None:
        """Compute values for all steps at once: their rows are T*N."""
        if not batch.values:
            return
        xp, T, N = self._plan.xp, self._T, self._N
        given = {}
        for x in batch.inputs:
            array = steps[x] if x in steps else once[x]
            if x.has_rows:
                if x not in steps:
                    array = xp.broadcast_to(array, (T, *array.shape))
                array = xp.reshape(array, (T * N, *array.shape[2:]))
            elif x not in steps and x.counts_rows:  # transposed, of one step
                array = xp.concatenate([array] * T, axis=1)
            given[x] = array
        for value, out in batch.run(given, T * N).items():
            steps[value] = xp.reshape(out, (T, N, *out.shape[1:])) if value.has_rows else out

    def _loop(
        self,
        kernel: Kernel,
        loop: Loop,
        starts: Sequence[Any],
        whole: Sequence[bool],
        keep: bool,
        descending: bool,
        steps: dict[Value, Any],
        once: dict[Value, Any] | None = None,
    ) -> tuple[list[Any], list[Any]]:
        """Run a kernel; returns its carries and the values that it kept.

        A carry that is `whole` has room for every step's value and the first one's, (T + 1, N, ...)
        in the order of time, so that a step reads one row and writes the next, or the other way
        round if the loop is `descending`. Any other has two rows, used in turn.
        """
        xp, T = self._plan.xp, self._T
        carries = []
        for start, full in zip(starts, whole, strict=True):
            carry = xp.empty((T + 1 if full else 2, *start.shape), start.dtype)
            carry[T if full and descending else 0] = start
            carries.append(carry)
        rows = (T if keep else 1, self._N)
        kept = [xp.empty((*rows, *(int(n) for n in v.shape[1:])), v.dtype) for v in loop.kept]
        shared = [(once or self._once)[v] for v in loop.once]
        if loop.body or carries:
            inputs = [steps[v] for v in loop.steps]
            kernel(T, self._N, descending, keep, whole, shared, inputs, carries, kept)
        return carries, kept

    def _final(self, carry: Any, full: bool, descending: bool) -> Any:
        """What the last step that ran left in a carry."""
        if full:
            return carry[0 if descending else self._T]
        return carry[self._T % 2]

    def _output(self, y: Value, others: Sequence[Value]) -> Any:
        """An output, in memory of its own."""
        xp = self._plan.xp
        if y in self._once:
            return xp.copy(xp.broadcast_to(self._once[y], (self._T, *self._once[y].shape)))
        return xp.copy(self._steps[y]) if y.op == "input" or y in others else self._steps[y]


def _in_time(carry: Any, descending: bool) -> tuple[Any, Any]:
    """What each step read from a whole carry, and what it wrote, in the order of time."""
    return (carry[1:], carry[:-1]) if descending else (carry[:-1], carry[1:])
