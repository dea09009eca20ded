"""The graph: nodes, grad mode, and who listens to op calls.

A `Node` is one op call that the graph remembers. It knows the nodes of its inputs (its edges)
and the few arrays its derivative asked for; it does not hold its output, so the graph is no
second copy of the activations.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

from ..errors import Untraceable
from ..utils.scope import BareScope, Scope
from .hooks import Hooks

# Whether op calls are remembered. Read through `.get` on every op call.
grad_enabled: ContextVar[bool] = ContextVar("minigrad_grad_enabled", default=True)

# During a sweep on raw arrays: the backend that ops called on raw arrays run on.
raw_backend: ContextVar[Any] = ContextVar("minigrad_raw_backend", default=None)

# In cells and fused functions `x += y` is x = x + y for every x, as kernels edit nothing.
only_values: ContextVar[bool] = ContextVar("minigrad_only_values", default=False)

# What asks for the values that `mg.probe` names, and may replace them; see recording/probes.py.
probing: ContextVar[Any] = ContextVar("minigrad_probing", default=None)

# What is called with a scan's arguments in its place, if anything: for records of whole scans.
scanning: ContextVar[Any] = ContextVar("minigrad_scanning", default=None)


class _Listener:
    """A function that is called on an occasion."""

    __slots__ = ("composed", "everywhere", "function")

    def __init__(self, function: Callable[..., Any], everywhere: bool, composed: str) -> None:
        self.function = function
        self.everywhere = everywhere  # rather than in the contexts that it was added in
        self.composed = composed  # why no kernel may run meanwhile, or nothing


class Occasion(list[_Listener]):
    """Functions to be called on one occasion: `if occasion:`, then `occasion.tell(...)`.

    It is a list since nothing is cheaper to ask than whether a list is empty. A listener is added
    for the whole process, or for a `with` block. What runs beside the block, in another thread or
    task, isn't listened to, but what is started in a copy of its context is, until the block ends.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._here: ContextVar[tuple[_Listener, ...]] = ContextVar(f"minigrad_{name}", default=())

    def add(self, function: Callable[..., Any]) -> None:
        """Call `function` in every thread, unless it is called already."""
        if not any(listener.function == function for listener in tuple(self)):
            self.append(_Listener(function, True, ""))

    def discard(self, function: Callable[..., Any]) -> None:
        """Call it no more."""
        for listener in tuple(self):
            if listener.function == function:
                self.remove(listener)

    @contextmanager
    def within(self, function: Callable[..., Any], composed: str = "") -> Iterator[None]:
        """Call `function` within the block; `composed` is why kernels can't run there, if so."""
        listener = _Listener(function, False, composed)
        self._here.set((*self._here.get(), listener))
        self.append(listener)
        try:
            yield
        finally:
            self.remove(listener)
            # Not reset by a token: a block in a generator may end after a later one begins.
            self._here.set(tuple(other for other in self._here.get() if other is not listener))

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Nothing within the block is listened to by what was added for a block around it."""
        token = self._here.set(())
        try:
            yield
        finally:
            self._here.reset(token)

    def tell(self, *what: Any) -> None:
        """Call all who listen to this context."""
        for listener in tuple(self):  # which may come and go at any time, in any thread
            if listener.everywhere or listener in self._here.get():
                listener.function(*what)

    def why_composed(self) -> str:
        """Why no kernel may run here, as it would pass over what is listened to; or nothing."""
        reasons = (listener.composed for listener in self._here.get() if listener in self)
        return next(filter(None, reasons), "")


on_call = Occasion("on_call")  # after each op call: op, node, inputs, output, backend, settings
on_index = Occasion("on_index")  # before an op call that reads positions: an array of them
on_gradients = Occasion("on_gradients")  # after a node's backward step: node, gradients by node


class Outside:
    """Among the inputs of a kernel's call: what its function read besides, to be compared."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


tick = itertools.count(1).__next__


class _TimeStep:
    """The time step that a scan is at, for messages: None outside of scans."""

    def __init__(self) -> None:
        self._step: ContextVar[int | None] = ContextVar("minigrad_time_step", default=None)
        self.set, self.reset = self._step.set, self._step.reset

    def get(self) -> int | None:
        """The step; whatever is being traced is for all of them, and may not know it."""
        step = self._step.get()
        if step == ALL_STEPS:
            raise Untraceable("it reads the time step; pass it as an argument")
        return step

    def is_for_all(self) -> bool:
        """Whether the step is `ALL_STEPS`."""
        return self._step.get() == ALL_STEPS


time_step = _TimeStep()
ALL_STEPS = -1  # what it is set to while a cell or a function is traced


def is_tracing() -> bool:
    """Whether this code runs to be traced: on values without numbers, for a kernel's text."""
    return time_step.is_for_all()


class Node:
    """One op call: its op, the nodes of its inputs, and what its derivative needs."""

    __slots__ = (
        "__weakref__",
        "backend",
        "birth",  # a running number: inputs are older than outputs
        "dtype",
        "edges",  # per array input its node, or None where no gradient flows
        "hooks",
        "label",  # what `mg.probe` calls its value; unset if it has no name
        "op",
        "saved",  # the arrays that the derivatives name, see `inplace.verify`; None once freed
        "settings",
        "shape",
        "spans",  # the calls whose result it is, see spans.py; unset if it is none's
    )

    op: Any
    birth: int
    edges: tuple[Node | None, ...]
    saved: tuple[Any, ...] | None
    settings: tuple[Any, ...]
    shape: Any  # of the output; a list of shapes for an op of several outputs
    dtype: Any
    backend: Any
    hooks: Hooks | None
    label: str
    spans: tuple[Any, ...]

    def __init__(
        self,
        op: Any,
        edges: tuple[Node | None, ...],
        saved: tuple[Any, ...],
        shape: Any,
        dtype: Any,
        backend: Any,
        settings: tuple[Any, ...] = (),
    ) -> None:
        """A node made by hand. The text of an op fills the slots directly, which is faster."""
        self.op, self.edges, self.saved, self.settings = op, edges, saved, settings
        self.shape, self.dtype, self.backend = shape, dtype, backend
        self.birth, self.hooks = tick(), None

    def own_hooks(self) -> Hooks:
        """Its hooks, to add some."""
        if self.hooks is None:
            self.hooks = Hooks()
        return self.hooks

    def __repr__(self) -> str:
        return f"<node {self.op.name} {self.shape}>"


class Output(Node):
    """One of several outputs of a node; its only edge is that node."""

    __slots__ = ("slot",)

    def __init__(self, node: Node, slot: int, data: Any) -> None:
        # Without `super().__init__`, whose call takes a quarter of a microsecond.
        self.op, self.edges, self.saved, self.settings = OUTPUT, (node,), (), ()
        self.shape, self.dtype, self.backend = data.shape, data.dtype, node.backend
        self.birth, self.hooks = tick(), None
        self.slot = slot
        node.shape[slot] = self.shape


def _deliver(node: Output, saved: Any, g: Any, sweep: Any) -> None:
    """The backward step of an `Output`: lay its cotangent in its slot of the node's list."""
    parent: Any = node.edges[0]
    parts = sweep.grads[parent]
    if parts is None:
        parts = sweep.grads[parent] = [None] * len(parent.shape)
    parts[node.slot] = g


class HandmadeOp:
    """The op of nodes that are built by hand: a backward step without a forward."""

    def __init__(
        self,
        name: str,
        backward: Callable[..., None] | None = None,
        inputs: Callable[[Node], tuple[int, Sequence[str]]] | None = None,
        inside: Callable[[Node], tuple[str, Any]] | None = None,
    ) -> None:
        self.name = name
        self.backward = backward
        self.inside = inside  # a function of a node: what it calls, and the program of that
        # A function of a node: where its inputs begin among its saved arrays, and their names.
        self.inputs_of = inputs

    def saved_name(self, node: Node, i: int) -> str | None:
        """What the user knows a saved array as: "input w_hh"; None for one of the op's own."""
        if self.inputs_of is None:
            return None
        first, names = self.inputs_of(node)
        return f"input {names[i - first]}" if first <= i < first + len(names) else None

    def saved_sources(self, node: Node) -> None:
        """Its backward step takes what was saved as it is, in every kind of sweep."""


OUTPUT = HandmadeOp("output", _deliver)


# --- grad mode -----------------------------------------------------------------------------


class _GradMode(BareScope):
    enabled: ClassVar[bool]

    def _prepare(self) -> None:
        Scope.__init__(self, grad_enabled, self.enabled)


class no_grad(_GradMode):
    """Ops inside build no graph; a context manager and a decorator.

    A decorated generator or async function builds none at any of its steps; between them the
    caller's mode holds.

    >>> import minigrad as mg
    >>> x = mg.ones(2, requires_grad=True)
    >>> with mg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    >>> @mg.no_grad
    ... def batches():
    ...     yield x * 2
    >>> next(batches()).requires_grad, (x * 2).requires_grad
    (False, True)
    """

    enabled = False


class enable_grad(_GradMode):
    """Ops inside build a graph, even within `no_grad`; a context manager and a decorator.

    >>> import minigrad as mg
    >>> x = mg.ones(2, requires_grad=True)
    >>> with mg.no_grad(), mg.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """

    enabled = True


def is_grad_enabled() -> bool:
    """Whether ops build a graph at this point, so that gradients can flow.

    >>> with mg.no_grad():
    ...     mg.is_grad_enabled()
    False
    """
    return grad_enabled.get()
