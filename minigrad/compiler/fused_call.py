"""One call of a scan or a fused function by kernels, and its one node in the graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, ClassVar

from ..checkpoint import check_outside, replay
from ..engine.graph import HandmadeOp, Node, Output, Outside, grad_enabled, on_call
from ..engine.tensor import Tensor
from ..engine.wrapping import wrap
from ..fusion import why_composed
from .plan_cache import PlanCache

_data, _node = attrgetter("_data"), attrgetter("_node")


class FusedCall(ABC):
    """A call that may run by kernels: what it is given, and how a plan runs it.

    See `plan_cache.Call` for what its plan is made for.

    Attributes
    ----------
    plans : the cache of all plans for such calls.
    function, name, title : the user's function, what counts call it, and what errors say of it.
    tensors, arrays, edges : its inputs, their arrays, and their places in the graph.
    numbers : the floats among its arguments of which a kernel may take any value.
    """

    plans: ClassVar[PlanCache]

    function: Any
    name: str
    title: str
    backend: Any
    numbers: list[float]

    def take(self, tensors: list[Tensor]) -> None:
        """Note the inputs."""
        self.tensors = tensors
        self.arrays = list(map(_data, tensors))
        self.edges = tuple(map(_node, tensors))

    def attempt(self) -> Any:
        """The results by kernels, or the reason why there are none."""
        if reason := why_composed() or self.why_not():
            return reason
        plan = self.plans.plan_for(self)
        if plan.__class__ is str:
            return plan
        backend, flags = self.backend, plan.differentiable
        arrays = self.arrays
        numbers = plan.program.scalars(self.numbers)
        saves = grad_enabled.get() and True in flags
        results, saved = self.run(plan, arrays, numbers, saves)
        node = None
        if saves:
            # The second order reads the inputs themselves, which may be laid out in another way.
            kept, settings = (*arrays, *saved), (self, plan, numbers)
            shapes = [y.shape for y in results]
            shape: Any = shapes[0] if len(results) == 1 else shapes
            dtype = results[flags.index(True)].dtype
            node = Node(self.op, self.edges, kept, shape, dtype, backend, settings)
        if len(results) == 1:
            outs = [Tensor(results[0], backend, node)]
        elif node is not None:
            outs = [
                Tensor(y, backend, Output(node, i, y) if flag else None)
                for i, (y, flag) in enumerate(zip(results, flags, strict=True))
            ]
        else:
            outs = [Tensor(y, backend) for y in results]
        if on_call:
            besides = Outside((plan.reads, repr(self.numbers)))
            on_call.tell(self.op, node, (*arrays, besides), results, backend, ())
        found = self.results(plan, outs)
        if node is not None:
            self.release()  # the node has the arrays, as long as they are needed
        return found

    @property
    @abstractmethod
    def op(self) -> HandmadeOp:
        """What the graph calls it."""

    @property
    @abstractmethod
    def facts(self) -> Any:
        """All that its plan depends on besides `outside()` and `numbers`."""

    @abstractmethod
    def outside(self, again: bool = False) -> Any:
        """All that its function reads from outside, as something to compare."""

    @abstractmethod
    def why_not(self) -> str:
        """A reason to compose it in any case, or nothing."""

    @abstractmethod
    def build(self, pinned: Sequence[int]) -> Any:
        """A plan."""

    @abstractmethod
    def run(
        self, plan: Any, arrays: list[Any], numbers: list[Any], saves: bool
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """The arrays of its results; and, if it `saves`, what `gradients` needs of them."""

    @abstractmethod
    def gradients(
        self,
        plan: Any,
        arrays: Sequence[Any],
        saved: Sequence[Any],
        numbers: list[Any],
        gs: Sequence[Any],
        wanted: tuple[bool, ...],
    ) -> Sequence[Any]:
        """Of each input its gradient, from those of the results; or None, if it isn't wanted."""

    @abstractmethod
    def results(self, plan: Any, tensors: list[Tensor]) -> Any:
        """The results in the structure in which the user gets them."""

    @abstractmethod
    def with_inputs(self, tensors: Sequence[Tensor]) -> FusedCall:
        """The same call of other tensors."""

    @abstractmethod
    def compose(self) -> Any:
        """The results by ops: a tensor, or a list or tuple of them."""

    @abstractmethod
    def release(self) -> None:
        """Let the inputs go. `with_inputs` and `gradients` go on working."""


def backward(node: Node, saved: Any, g: Any, sweep: Any) -> None:
    """The backward step of a node that stands for a `FusedCall`."""
    call, plan, numbers = node.settings
    edges, count = node.edges, len(node.edges)
    gs = g if node.shape.__class__ is list else [g]
    if sweep.builds_graph:
        pairs = zip(saved[:count], edges, strict=True)
        inputs = [wrap(array, node.backend, edge) for array, edge in pairs]

        def again() -> Any:
            same = call.with_inputs(inputs)
            check_outside(call.title, plan.reads, same.outside())
            return same.compose()

        replay(again, gs, node, sweep)
        return
    wanted = tuple([edge in sweep.grads for edge in edges])
    parts = call.gradients(plan, saved[:count], saved[count:], numbers, gs, wanted)
    for edge, part in zip(edges, parts, strict=True):
        if part is not None:
            sweep.give(edge, part)
