"""A scan plan: a cell traced, scheduled and compiled, ready to run forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from ..errors import Untraceable
from .accumulate import accumulate_products
from .determinism import Read
from .host_code import BackwardSource, ForwardSource
from .merge_products import merge_products
from .schedule import schedule
from .trace import trace


class ScanPlan:
    """A cell traced and scheduled for given shapes and dtypes, with its kernels.

    `xs` is one step's input. `wanted` says which tensors of params, xs and state, in order, need
    a gradient. `unread` has the places of the inputs that the forward pass doesn't look at. Raises
    `Untraceable`.
    """

    reads: Any = None  # what the cell read from outside, as something to compare

    def __init__(
        self,
        cell: Callable[..., Any],
        params: Any,
        xs: Any,
        state: Any,
        backend: Any,
        wanted: Sequence[bool],
        outside: Read | None = None,
        pinned: Collection[int] | None = None,
    ) -> None:
        self.program = program = trace(cell, params, xs, state, outside, pinned)
        self.pinned = sorted(program.pinned)
        self.inputs = [*program.params, *program.xs, *program.state]
        read = set(program.forward)
        self.unread = {i for i, value in enumerate(self.inputs) if value not in read}
        dtypes = sorted({v.dtype.name for v in self.inputs if v.dtype.kind == "f"})
        if len(dtypes) != 1:
            raise Untraceable(f"its tensors are of {' and '.join(dtypes) or 'no float dtype'}")
        if not all(v.dtype.isnative for v in self.inputs):
            raise Untraceable("its numbers are in another machine's byte order")
        asked = [value for value, want in zip(self.inputs, wanted, strict=True) if want]
        merge_products(program, asked)
        if getattr(backend, "product_starts", False):  # its products take a third argument
            accumulate_products(program)
        self.xp, self.schedule = backend, schedule(program, asked)
        self.differentiable = program.differentiable(asked)
        self._kernel = backend.compile_loop(self.schedule.forward.loop, dtypes[0])
        self._forward: dict[bool, Callable[..., Any]] = {}
        self._backward: dict[tuple[bool, ...], Callable[..., Any]] = {}
        if self.schedule.backward is not None:
            self._back_kernel = backend.compile_loop(self.schedule.backward.loop, dtypes[0])
            self._text = self._forward_text(store=True)
            self._saved = list(self._backward_text(wanted).saved)
            self._forward[True] = self._text.compile(self._saved)

    def forward(self, store: bool) -> Callable[..., Any]:
        """What runs it: (T, N, reverse, *inputs, *numbers) gives (ys, last, saved).

        See `ForwardSource`. Without `store` it saves nothing for a backward pass.
        """
        if store not in self._forward:
            self._forward[store] = self._forward_text(store).compile([])
        return self._forward[store]

    def backward(self, wanted: tuple[bool, ...]) -> Callable[..., Any]:
        """What gives the gradients of the inputs that are `wanted`; see `BackwardSource`.

        It is called with (T, N, not reverse, saved, numbers, *g).
        """
        if wanted not in self._backward:
            self._backward[wanted] = self._backward_text(wanted).compile(self._saved)
        return self._backward[wanted]

    def _forward_text(self, store: bool) -> ForwardSource:
        return ForwardSource(self.program, self.schedule, self._kernel, self.xp, store)

    def _backward_text(self, wanted: Sequence[bool]) -> BackwardSource:
        assert self.schedule.backward is not None
        asked = [value for value, want in zip(self.inputs, wanted, strict=True) if want]
        return BackwardSource(
            self.program, self.schedule.backward, self._back_kernel, self.xp, self._text, asked
        )
