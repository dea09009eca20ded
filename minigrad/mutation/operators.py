"""Derivatives with one thing wrong, to see whether the checks notice.

A `Mutant` breaks one derivative while its `apply()` lasts. `of_op` gives the mutants of an op,
`through` those of a composition because of an op in it, and `in_time` those of single steps of a
scan. The kinds:

zero, sign, factor 1.001      the gradient times 0, -1, 1.001
cotangent of ones             the cotangent is ignored, as if a sum were differentiated
cotangent of its mean         each entry of the cotangent is replaced by their mean
cotangent edited              the backward pass leaves the cotangent doubled
captured a                    the array is a constant, and so is what depends on it: only second
                              derivatives are wrong; also for the cotangent
transposed a                  the last two axes of the array are exchanged
last sample, column dropped   the last entry along the first or last axis of the gradient is 0
last step dropped             of several inputs or outputs the last has no gradient; in a scan,
                              nothing comes back from the last step
stale state                   the arrays are those of a later call of the op, of the same shape
missing unbroadcast           what was broadcast is not summed
unbroadcast by the mean       what was broadcast is averaged in place of summed
dropped term, factor, call; transposed operand; missing mask; condition ignored; sign
                              a slip in the text of the derivative; see `slips.py`
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from ..engine.graph import HandmadeOp, Node, on_call, time_step
from ..engine.op import Op
from ..engine.tensor import Tensor
from ..ops import concatenate, mean, split, swapaxes
from .slips import slips_of

__all__ = ["Mutant", "in_time", "of_op", "of_handmade_op", "through"]

Function = Callable[..., Any]
Backward = Callable[[Node, Any, Any, Any], None]


@dataclass(frozen=True)
class Mutant:
    """One wrong derivative.

    Attributes
    ----------
    target : the line of the table that should notice: an op, a composition, a layer.
    place : which derivative is broken: the input, or the op and the input.
    kind : how it is broken; see the module's docstring.
    apply : a context manager; the derivative is wrong inside, and right again afterwards.
    text : for a slip in the text, the place before and after.
    reached : for a slip in the text, a list that grows when the slip runs; otherwise None.
    """

    target: str
    place: str
    kind: str
    apply: Callable[[], contextlib.AbstractContextManager[None]] = field(repr=False)
    text: str = ""
    reached: list[bool] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.target}, {self.place}: {self.kind}" + (f", {self.text}" if self.text else "")


# --- putting a wrong derivative in place ---------------------------------------------------------


@contextlib.contextmanager
def with_derivative(op: Op, name: str, fn: Function) -> Iterator[None]:
    """`fn` as the derivative by the input `name`, or as the shared one of all inputs."""
    derivatives, shared = op.derivatives, op.joint_vjp
    try:
        if shared is None:
            op.declare({**derivatives, name: fn})
        else:
            op.declare({}, fn)
        yield
    finally:
        op.declare(derivatives, shared)


@contextlib.contextmanager
def with_backward(op: Any, change: Callable[[Backward], Backward]) -> Iterator[None]:
    """A changed backward step, which adds the gradients of all inputs to what is there."""
    if isinstance(op, Op):
        op._specialise()  # if it has not been called yet, it has no backward step yet
    right = op.backward
    try:
        op.backward = change(right)
        yield
    finally:
        op.backward = right


# --- wrong arrays: all of this is written in ops, for raw arrays and for tensors -----------------


def _each(change: Function) -> Function:
    """The change of an array as one of a list of them too; None is no array."""

    def over(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [over(part) for part in value]
        return None if value is None else change(value)

    return over


def _scaled(factor: float) -> Function:
    return _each(lambda g: g * factor)


def _without_last(axis: int) -> Function:
    def drop(g: Any) -> Any:
        if g.ndim == 0 or g.shape[axis] == 0:
            return g
        head, tail = split(g, (g.shape[axis] - 1,), axis=axis)
        return concatenate([head, 0 * tail], axis=axis)

    return _each(drop)


def _without_last_part(parts: Any) -> Any:
    *head, last = parts
    return [*head, _scaled(0)(last)]


def _transposed(x: Any) -> Any:
    return swapaxes(x, -1, -2) if x.ndim > 1 else x


_ones = _each(lambda g: g * 0 + 1)
_averaged = _each(lambda g: g * 0 + mean(g) if math.prod(g.shape) else g)
_captured = _each(lambda x: x.detach() if isinstance(x, Tensor) else x)

_GRADIENTS = {
    "zero": _scaled(0),
    "sign": _scaled(-1),
    "factor 1.001": _scaled(1.001),
    "last sample dropped": _without_last(0),
    "last column dropped": _without_last(-1),
}
_COTANGENTS = {
    "cotangent of ones": _ones,
    "cotangent of its mean": _averaged,
    "captured cotangent": _captured,
}


# --- the mutants of an op ------------------------------------------------------------------------


def of_op(op: Op) -> Iterator[Mutant]:
    """All mutants of an op's derivatives."""
    shared = op.joint_vjp
    derivatives = {f"*{op.inputs[0]}": shared} if shared is not None else op.derivatives
    for name, fn in derivatives.items():
        if fn is None:
            continue
        for kind, wrong in _wrong_derivatives(op, fn):
            yield Mutant(op.name, name, kind, _put(with_derivative, op, name, wrong))
        for slip in slips_of(fn):
            apply = _put(with_derivative, op, name, slip.function)
            yield Mutant(op.name, name, slip.kind, apply, slip.text, slip.reached)
    if any(derivatives.values()) and len(op.inputs) > 1:
        for kind, fit in _UNBROADCASTS.items():
            yield Mutant(op.name, "inputs", kind, _put(with_backward, op, _unfitted(fit)))
    if any(_arrays(op, fn) for fn in derivatives.values() if fn is not None):
        yield Mutant(op.name, "saved arrays", "stale state", lambda: stale(op))


def of_handmade_op(op: HandmadeOp) -> Iterator[Mutant]:
    """All mutants of the backward step of nodes that are built by hand."""
    for kind, change in {**_GRADIENTS, **_COTANGENTS}.items():
        yield Mutant(op.name, "inputs", kind, _put(with_backward, op, _fed(change)))


def _put(manager: Function, *args: Any) -> Function:
    return lambda: manager(*args)


def _wrong_derivatives(op: Op, fn: Function) -> Iterator[tuple[str, Function]]:
    for kind, change in _GRADIENTS.items():
        yield kind, _with_result(fn, change)
    for kind, change in _COTANGENTS.items():
        yield kind, _with_argument(fn, "g", change)
    yield "cotangent edited", _editing(fn)
    for name in _arrays(op, fn):
        yield f"captured {name}", _with_argument(fn, name, _captured)
        yield f"transposed {name}", _with_argument(fn, name, _each(_transposed))
    if op.multi_output:
        yield "last step dropped", _with_argument(fn, "g", _without_last_part)
    elif op.joint_vjp is not None:
        yield "last step dropped", _with_result(fn, _without_last_part)


def _parameters(fn: Function) -> tuple[str, ...]:
    return fn.__code__.co_varnames[: fn.__code__.co_argcount]


def _arrays(op: Op, fn: Function) -> list[str]:
    """The arrays that a derivative reads."""
    return [name for name in _parameters(fn) if name in ("y", *op.inputs)]


def _named(fn: Function, run: Callable[[dict[str, Any]], Any]) -> Function:
    """A function with the parameters of `fn`, whose names tell the op what to save."""
    names = _parameters(fn)
    given = ", ".join(f"{name!r}: {name}" for name in names)
    return eval(f"lambda {', '.join(names)}: run({{{given}}})", {"run": run})


def _with_result(fn: Function, change: Function) -> Function:
    return _named(fn, lambda given: change(fn(**given)))


def _with_argument(fn: Function, name: str, change: Function) -> Function:
    return _named(fn, lambda given: fn(**{**given, name: change(given[name])}))


def _editing(fn: Function) -> Function:
    def double(g: Any) -> None:
        array = g._data if isinstance(g, Tensor) else g
        array *= 2.0

    def run(given: dict[str, Any]) -> Any:
        # A copy: a gradient that is the cotangent itself would be wrong, too.
        found = _scaled(1)(fn(**given))
        _each(double)(given["g"])
        return found

    return _named(fn, run)


# --- the backward step ---------------------------------------------------------------------------


class _Work:
    """A sweep that fits gradients to broadcast inputs in a way of its own."""

    def __init__(self, work: Any, fit: Function) -> None:
        self._work, self._fit = work, fit

    def unbroadcast(self, g: Any, like: Node) -> Any:
        if g.shape == like.shape:
            return self._work.unbroadcast(g, like)
        return self._fit(self._work, g, like)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)


def _mean_fit(work: Any, g: Any, like: Node) -> Any:
    size = max(1, math.prod(g.shape))
    return work.unbroadcast(g, like) * (math.prod(like.shape) / size)


_UNBROADCASTS: dict[str, Function] = {
    "missing unbroadcast": lambda work, g, like: g,
    "unbroadcast by the mean": _mean_fit,
}


def _unfitted(fit: Function) -> Callable[[Backward], Backward]:
    return lambda right: lambda node, saved, g, work: right(node, saved, g, _Work(work, fit))


def _fed(change: Function) -> Callable[[Backward], Backward]:
    """The backward step with another cotangent: it is linear in that."""
    return lambda right: lambda node, saved, g, work: right(node, saved, change(g), work)


@contextlib.contextmanager
def stale(op: Op) -> Iterator[None]:
    """The backward step of a node reads what the op's last call of these shapes has saved."""
    last: dict[Any, Node] = {}

    def key(node: Node) -> Any:
        shapes = [getattr(x, "shape", None) for x in node.saved or ()]
        return str(node.shape), str(shapes), node.dtype

    def observe(called: Any, node: Node | None, *_: Any) -> None:
        if called is op and node is not None:
            last[key(node)] = node

    def change(right: Backward) -> Backward:
        def backward(node: Node, saved: Any, g: Any, work: Any) -> None:
            other = last.get(key(node))
            if other is not None and other is not node and other.saved is not None:
                saved = work.saved(other)
            right(node, saved, g, work)

        return backward

    with on_call.within(observe), with_backward(op, change):
        yield


# --- compositions and scans ----------------------------------------------------------------------


def through(target: str, op: Op, inputs: set[str]) -> Iterator[Mutant]:
    """What a composition should notice of an op in it: a lost gradient, and a slight factor.

    `inputs` are those of the op that a gradient flows to in the composition.
    """
    for mutant in of_op(op):
        if mutant.kind in ("zero", "factor 1.001") and mutant.place.lstrip("*") in inputs:
            yield _moved(mutant, target)


def _moved(mutant: Mutant, target: str) -> Mutant:
    return replace(mutant, target=target, place=f"{mutant.target} by {mutant.place}")


def in_time(target: str, op: Op, inputs: set[str], in_steps: bool) -> Iterator[Mutant]:
    """What a recurrent layer should notice of an op in its scan, at single steps of time.

    `inputs` are those of the op that a gradient flows to in the layer, and `in_steps` says whether
    one flows through it within a step.
    """
    for kind, change in {
        "factor 1.001": _scaled(1.001),
        "last sample dropped": _without_last(0),
    }.items():
        yield Mutant(target, op.name, kind, _put(with_backward, op, _fed(change)))
    # Ops of many inputs or outputs take sequences apart and put them together.
    if in_steps and not (op.multi_output or op.variadic):
        for kind, pick in {"last step dropped": max, "first step dropped": min}.items():
            yield Mutant(target, op.name, kind, _put(_at_step, op, pick, _scaled(0)))
    if any(_arrays(op, fn) for fn in op.derivatives.values() if fn is not None):
        yield Mutant(target, op.name, "stale state", lambda: stale(op))
    for mutant in of_op(op):
        kinds = ("missing mask", "last step dropped")
        if mutant.kind in kinds and mutant.place.lstrip("*") in inputs:
            yield _moved(mutant, target)


@contextlib.contextmanager
def _at_step(op: Op, pick: Function, change: Function) -> Iterator[None]:
    """Another cotangent for the nodes of one time step, `pick`ed from all of them."""
    steps: WeakKeyDictionary[Node, int] = WeakKeyDictionary()
    seen: set[int] = set()

    def observe(called: Any, node: Node | None, *_: Any) -> None:
        t = time_step.get()
        if called is op and node is not None and t is not None:
            steps[node] = t
            seen.add(t)

    def broken(right: Backward) -> Backward:
        def backward(node: Node, saved: Any, g: Any, work: Any) -> None:
            here = node in steps and steps[node] == pick(seen)
            right(node, saved, change(g) if here else g, work)

        return backward

    with on_call.within(observe), with_backward(op, broken):
        yield
