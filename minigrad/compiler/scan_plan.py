"""A scan plan: a cell traced, scheduled and compiled, ready to run forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from ..errors import BackendError, Untraceable
from ..fusion import compiles
from ..nested import parts_of
from .accumulate import accumulate_products
from .determinism import Read
from .host_code import BackwardSource, ForwardSource
from .merge_products import merge_products
from .parameter_tree import ParameterTree
from .schedule import schedule
from .source import shown
from .trace import trace


class ScanPlan:
    """A cell traced and scheduled for given shapes and dtypes, with its kernels.

    `xs` is one step's input. `wanted` says which tensors of params, xs and state, in order, need
    a gradient. `unread` has the places of the inputs that the forward pass doesn't look at. Raises
    `Untraceable`.

    With `one_step` it is for loops of a single step, which carry nothing: states are (1, N, S) like
    inputs and outputs. No product waits for another step then, so none is in the loop, and no
    weights are packed that would be used once.
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
        one_step: bool = False,
    ) -> None:
        self.program = program = trace(cell, params, xs, state, outside, pinned)
        self._laid_out = program = program.of_one_step() if one_step else program
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
        in_loop = None if one_step else getattr(backend, "product_in_loop", None)
        self.xp, self.schedule = backend, schedule(program, asked, in_loop)
        self.differentiable = program.differentiable(asked)
        loops = [each.loop for each in (self.schedule.forward, self.schedule.backward) if each]
        self.work = sum(len(loop.body) for loop in loops)  # values that kernels compute
        self._kernel = backend.compile_loop(self.schedule.forward.loop, dtypes[0])
        self._forward: dict[bool, Callable[..., Any]] = {}
        self._backward: dict[tuple[bool, ...], Callable[..., Any]] = {}
        if self.schedule.backward is not None:
            self._back_kernel = backend.compile_loop(self.schedule.backward.loop, dtypes[0])
            self._text = self._forward_text(store=True)
            back = self._backward_source = self._backward_text(wanted)
            self._saved = list(back.saved)
            self._forward[True] = self._text.compile(self._saved)
            self._backward[tuple(wanted)] = back.compile(self._saved)

    def forward(self, store: bool) -> Callable[..., Any]:
        """What runs it: (T, N, reverse, *inputs, *numbers) gives (ys, last, saved).

        See `ForwardSource`. Without `store` it saves nothing for a backward pass.
        """
        if store not in self._forward:
            text = self._forward_text(store)
            self._forward[store] = text.compile([])
            if self.schedule.backward is None:
                self._text = text
        return self._forward[store]

    def backward(self, wanted: tuple[bool, ...]) -> Callable[..., Any]:
        """What gives the gradients of the inputs that are `wanted`; see `BackwardSource`.

        It is called with (T, N, not reverse, saved, numbers, *g).
        """
        if wanted not in self._backward:
            self._backward[wanted] = self._backward_text(wanted).compile(self._saved)
        return self._backward[wanted]

    @property
    def source(self) -> str:
        """All that runs: the loop's kernel and what is around it, forwards and backwards."""
        differentiates = self.schedule.backward is not None
        self.forward(store=differentiates)
        kernels, texts = [self._kernel], [self._text.text]
        if differentiates:
            kernels.append(self._back_kernel)
            texts.append(self._backward_source.text)
        parts = []
        for title, kernel, text in zip(("forwards", "backwards"), kernels, texts, strict=False):
            parts += shown(title, "the loop over time", kernel, text)
        return "\n\n\n".join(parts) + "\n"

    def _forward_text(self, store: bool) -> ForwardSource:
        return ForwardSource(self._laid_out, self.schedule, self._kernel, self.xp, store)

    def _backward_text(self, wanted: Sequence[bool]) -> BackwardSource:
        assert self.schedule.backward is not None
        asked = [value for value, want in zip(self.inputs, wanted, strict=True) if want]
        return BackwardSource(
            self._laid_out, self.schedule.backward, self._back_kernel, self.xp, self._text, asked
        )


def source(cell: Callable[..., Any], params: Any, xs: Any, state: Any) -> str:
    """What `scan` runs for a cell, as text: on NumPy plain NumPy, elsewhere the kernels.

    It is written for the shapes and dtypes of `params`, one step's input `xs` and `state`, and for
    the gradients of all of them: forwards, then backwards, each with the loop over time first.

    Raises `Untraceable` for a cell that can't be compiled, and `BackendError` on a backend without
    a compiler; `mg.trace` shows the cell's program there.

    >>> def leaky(w, x, h):
    ...     h = w * h + x
    ...     return h, h
    >>> w, x, h = mg.ones((2,), backend="numpy"), *mg.zeros((2, 3, 2), backend="numpy")
    >>> text = mg.source(leaky, w, x, h)
    >>> print(text[text.index("    tmp") : text.index("# forwards: what")].rstrip())
        tmp = np.empty((N, H), np.float32)
        for h_prev, x, h in zip(before(hs, full0), each(xs), after(hs, full0)):
            np.multiply(params, h_prev, out=tmp)
            np.add(tmp, x, out=h)
    """
    backend = parts_of(state)[0].backend
    if not compiles(backend):
        raise BackendError(
            f"source: backend {backend.name!r} has no compiler, so scans run op by op there; "
            "mg.trace shows a cell's program"
        )
    tensors = [*ParameterTree(params).tensors, *parts_of(xs), *parts_of(state)]
    wanted = [t.dtype.kind == "f" for t in tensors]
    return ScanPlan(cell, params, xs, state, backend, wanted).source
