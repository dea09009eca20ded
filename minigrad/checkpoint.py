"""Computations that are run again in the backward pass: checkpoints, and kernels at second order.

What runs again must be what ran before. A kernel's composition gets the arrays that its node
saved. A checkpoint's function finds things for itself (a module's weights, buffers, labels), so
what its ops read is noted, and compared with what they read the second time.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .engine import contents, deferred
from .engine.creation import dtype_again, get_default_dtype
from .engine.graph import (
    HandmadeOp,
    Node,
    Output,
    Outside,
    enable_grad,
    grad_enabled,
    is_tracing,
    on_call,
    on_index,
    probing,
    raw_backend,
    tick,
)
from .engine.registry import current_backend, use_backend
from .engine.rng import generator, generator_again, generator_at
from .engine.sweep import run_sweep
from .engine.tensor import Leaf, Tensor
from .engine.wrapping import wrap
from .fusion import why_composed
from .nested import parts_of
from .utils.scope import Scope

__all__ = ["checkpoint"]


def checkpoint(fn: Callable[..., Any], *inputs: Any) -> Any:
    """fn(*inputs), keeping only the inputs: the rest is computed again in the backward pass.

    Gradients also reach tensors that `fn` uses without taking them as arguments (the weights of
    a module). The second run draws the same random numbers of minigrad, on the same current backend
    and with the same default dtype.

    Parameters
    ----------
    fn : a function that returns a tensor or a tuple of tensors, always the same for the same
        inputs. Anything else that it does, it does twice.
    inputs : tensors, and whatever else `fn` takes.

    Raises
    ------
    TypeError : `fn` returns something else.
    RuntimeError : in the backward pass, if `fn` reads other numbers there than in the forward
        pass (weights after an optimiser's step, an edited buffer, your own random generator) or
        runs other ops (a module in another mode). The gradient would be wrong.

    Examples
    --------
    >>> import minigrad as mg
    >>> x = mg.ones(2, requires_grad=True)
    >>> mg.checkpoint(lambda x: x * x * x, x).sum().backward()
    >>> x.grad
    tensor([3., 3.])
    """
    if not grad_enabled.get() or is_tracing():  # a kernel keeps what pays
        return fn(*inputs)
    surroundings, reads, start = _Surroundings(), _Reads(), tick()
    with reads.noted():
        outputs = fn(*inputs)  # its graph is only there to be read, and is dropped
    ys = _tensors(outputs)
    edges = _older([y._node for y in ys if y._node is not None], start)
    if not edges:
        return outputs
    single = isinstance(outputs, Tensor)
    results = [(y._data, y.backend, y._node is not None) for y in ys]
    del outputs, ys
    arrays = [x._data for x in inputs if isinstance(x, Tensor)]
    record = _Record(reads, [data for data, _, _ in results], arrays)
    shapes = [data.shape for data, _, _ in results]
    first, backend, _ = results[0]
    settings = (fn, tuple(_place(x) for x in inputs), surroundings, record)
    saved = (*arrays, *record.kept)
    node = Node(CHECKPOINT, edges, saved, shapes, first.dtype, backend, settings)
    if on_call:  # the guard notes what the saved arrays are like
        on_call.tell(
            CHECKPOINT, node, node.saved, [data for data, _, _ in results], node.backend, ()
        )
    made = [
        Tensor(data, backend, Output(node, i, data) if differentiable else None)
        for i, (data, backend, differentiable) in enumerate(results)
    ]
    return made[0] if single else tuple(made)


def _tensors(outputs: Any) -> tuple[Tensor, ...]:
    ys = parts_of(outputs)
    for y in ys:
        if not isinstance(y, Tensor):
            raise TypeError(
                "checkpoint: the function must return a tensor or a tuple of tensors; it returned "
                f"{type(y).__name__} {y!r:.40}"
            )
    return ys


def _place(x: Any) -> tuple[bool, Any]:
    """Where to take an argument from when fn is run again: its node, or the value itself."""
    return (True, (x.backend, x._node)) if isinstance(x, Tensor) else (False, x)


def _older(roots: list[Node], start: int) -> tuple[Node, ...]:
    """The nodes born before `start` that the roots depend on directly."""
    seen, stack_, found = set(roots), list(roots), []
    while stack_:
        node = stack_.pop()
        if node.birth < start:
            found.append(node)
            continue
        for edge in node.edges:
            if edge is not None and edge not in seen:
                seen.add(edge)
                stack_.append(edge)
    return tuple(found)


def _run_again(node: Node, saved: Any, g: Any, sweep: Any) -> None:
    fn, places, surroundings, record = node.settings
    arrays = iter(saved)
    inputs = [wrap(next(arrays), *at) if is_tensor else at for is_tensor, at in places]

    def again() -> Any:
        reads, start = _Reads(), tick()
        with surroundings.found_again(), reads.noted():
            ys = _tensors(fn(*inputs))
        arrays = record.compare(reads, [y._data for y in ys], saved)
        _check_edges(node, _older([y._node for y in ys if y._node is not None], start))
        for pair in arrays:  # last: a device reports later, and no other error comes before
            _check_same(*pair)
        return ys

    replay(again, g, node, sweep)


def _check_edges(node: Node, found: Sequence[Node]) -> None:
    """Raise if the second run no longer depends on a tensor that needs its gradient."""
    for edge in node.edges:
        if edge in found or edge is None:
            continue
        leaf = edge.tensor() if isinstance(edge, Leaf) else None
        if isinstance(edge, Leaf) and (leaf is None or leaf._node is None):
            continue  # it is gone, or frozen, and gets no gradient
        raise _changed(f"the function no longer uses a tensor of shape {edge.shape}")


def replay(fn: Callable[[], Any], g: Any, node: Node, sweep: Any) -> None:
    """The backward step of `node` through the graph that `fn()` builds of the node's edges.

    For nodes that stand for a whole computation; `g` lists the cotangents of its outputs. Hooks of
    the edges are left to `sweep`, which sees their whole gradients.
    """
    token = raw_backend.set(None)  # the ops in fn are to make tensors
    try:
        with enable_grad(), Scope(probing, None):  # what has been recorded is, once
            outputs = fn()
        ys = parts_of(outputs)
        seeds = [
            (y._node, sweep.tensor(part, node))
            for y, part in zip(ys, g, strict=True)
            if part is not None and y._node is not None
        ]
        ends = [edge for edge in node.edges if edge is not None]
        wanted = [edge for edge in ends if edge in sweep.grads]
        graph = sweep.builds_graph
        options: dict[str, Any] = {"graph": graph, "retain": graph, "taken": sweep.taken}
        found = run_sweep(seeds, wanted, ends=ends, **options) if seeds else {}
    finally:
        raw_backend.reset(token)
    for edge, gradient in found.items():
        if gradient is not None:
            sweep.give(edge, sweep.array(gradient))


CHECKPOINT = HandmadeOp("checkpoint", _run_again)


# --- what is the same both times -------------------------------------------------------------


class _Surroundings:
    """Where a computation runs: its backend and dtype of new tensors, its random numbers."""

    def __init__(self) -> None:
        self._backend, self._dtype = current_backend(), get_default_dtype()
        self._random = generator().bit_generator.state
        self._probing = probing.get()

    @contextmanager
    def found_again(self) -> Iterator[None]:
        """Within this context all of it is as it was, and nothing changes for others."""
        random = Scope(generator_again, generator_at(self._random))
        asks = Scope(probing, None if self._probing is None else self._probing.muted())
        with use_backend(self._backend), Scope(dtype_again, self._dtype), random, asks:
            yield


class _Reads:
    """What the ops of a run read that none of them made: arrays from outside, numbers, settings."""

    def __init__(self) -> None:
        self.way: tuple[Any, ...] = ()  # what decides whether kernels run
        self.calls: list[tuple[str, list[Any]]] = []  # op, and what it read, see `_note`
        self.arrays: dict[int, tuple[Any, Any]] = {}  # by id: those from outside, and a backend
        self._made: dict[int, tuple[weakref.ref[Any], int]] = {}  # by id: the others, and by what
        self._indices: list[Any] = []  # arrays that the next op reads positions from

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Within this context what ops read is noted."""
        with on_call.within(self._note), on_index.within(self._indices.append):
            self.way = _way()
            yield

    def _note(
        self, op: Any, node: Any, inputs: Any, output: Any, backend: Any, settings: Any
    ) -> None:
        if op is CHECKPOINT:
            return  # it is no op, and those of its function have been noted
        read: list[Any] = []  # (number of a call,), id of an array, or something to compare
        for x in (*inputs, *self._indices):
            maker = self._maker(x)
            if maker is not None:
                read.append((maker,))
            elif hasattr(x, "shape"):
                self.arrays.setdefault(id(x), (x, backend))
                read.append(id(x))
            else:
                read.append(x if isinstance(x, Outside) else repr(x))
        self._indices.clear()
        read.extend(map(_setting, settings))
        for y in parts_of(output):
            self._made[id(y)] = weakref.ref(y), len(self.calls)
        self.calls.append((op.name, read))

    def _maker(self, x: Any) -> int | None:
        """The call that made x, if one did."""
        ref, call = self._made.get(id(x), (None, None))
        return call if ref is not None and ref() is x else None

    def needed_for(self, outputs: Sequence[Any]) -> list[tuple[str, list[Any]]]:
        """The calls that the outputs depend on, in order: no running means, no logging.

        Each with what it read: the id of an array from outside, or something to compare.
        """
        needed = {call for y in outputs if (call := self._maker(y)) is not None}
        for number in range(len(self.calls) - 1, -1, -1):
            if number in needed:
                needed.update(x[0] for x in self.calls[number][1] if isinstance(x, tuple))
        places = {number: place for place, number in enumerate(sorted(needed))}

        def text(x: Any) -> Any:
            return f"the result of op {places[x[0]]}" if isinstance(x, tuple) else x

        return [(name, list(map(text, read))) for name, read in map(self.calls.__getitem__, places)]


def _setting(value: Any) -> str:
    """A setting as a text to compare: an axis, bounds, an index without its arrays."""
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_setting, value))})"
    if isinstance(value, (int, float, str, slice, np.dtype, np.generic, type(None), type(...))):
        return repr(value)
    return type(value).__name__  # arrays of an index have been noted; of others there is no text


class _Record:
    """What the outputs of a run were computed from, to compare with that of a second run.

    Arrays that others hold are kept, and the guard sees edits of them. Of those that the run made
    for itself, such as masks of dropout, a checksum will do.
    """

    def __init__(self, reads: _Reads, outputs: Sequence[Any], given: Sequence[Any]) -> None:
        self.kept: list[Any] = []
        self._way = reads.way
        calls = reads.needed_for(outputs)
        places = {id(array): i for i, array in enumerate(given)}
        arrays: dict[int, int | tuple[Any, ...]] = {}  # where it is saved, or what it was like
        for key in {x for _, read in calls for x in read if isinstance(x, int)}:
            array, backend = reads.arrays[key]
            if key in places:
                arrays[key] = places[key]
            elif sys.getrefcount(array) > _OURS:
                arrays[key] = len(given) + len(self.kept)
                self.kept.append(array)
            else:
                arrays[key] = _like(array, backend)
        self._calls = [
            (name, [arrays[x] if isinstance(x, int) else x for x in read]) for name, read in calls
        ]

    def compare(
        self, reads: _Reads, outputs: Sequence[Any], saved: Sequence[Any]
    ) -> list[tuple[Any, ...]]:
        """Raise if a second run took another way; returns the pairs of arrays that must be alike.

        `saved` are the arrays given, and those kept.
        """
        calls = reads.needed_for(outputs)
        if self._way != reads.way:
            return self._compare_kept(reads, saved)
        for i, ((was, _), (name, _)) in enumerate(zip(self._calls, calls, strict=False)):
            if was != name:
                raise _changed(f"its op number {i} was {was}, and then {name}")
        if len(self._calls) != len(calls):
            raise _changed(f"it took {len(self._calls)} ops, and then {len(calls)}")
        arrays: list[tuple[Any, ...]] = []
        for (name, before), (_, now) in zip(self._calls, calls, strict=True):
            if len(before) != len(now):
                raise _changed(f"{name} read {len(before)} things, and then {len(now)}")
            for then, x in zip(before, now, strict=True):
                if isinstance(x, int) and isinstance(then, (int, tuple)):
                    then = saved[then] if isinstance(then, int) else then
                    arrays.append((then, *reads.arrays[x], f"{name} read"))
                elif isinstance(x, Outside) and isinstance(then, Outside):
                    if then.value != x.value:
                        raise _changed(f"{name} read another number or attribute from outside")
                elif then != x:
                    raise _changed(f"{name} read {_shown(then)}, and then {_shown(x)}")
        return arrays

    def _compare_kept(self, reads: _Reads, saved: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Only what is kept: one run was by kernels, the other one by ops, which read more."""
        given = len(saved) - len(self.kept)
        now = {id(array) for array, _ in reads.arrays.values()}
        for array in saved[given:]:
            if id(array) not in now:
                raise _changed(f"an array of shape {array.shape} is no longer read")
        return []


# References to an array that nothing but a `_Reads` holds: its own, a local one, an argument.
_OURS = 3


def _way() -> tuple[Any, ...]:
    """What decides whether kernels run, and so what ops there are."""
    return why_composed(), os.environ.get("MINIGRAD_FUSED")


def _like(array: Any, backend: Any) -> tuple[Any, ...]:
    return array.shape, array.dtype, contents.fingerprint(array, backend)


def _check_same(was: Any, array: Any, backend: Any, what: str) -> None:
    """Raise unless an array is the one of the first run, or like it; sooner or later."""
    if was is array:
        return
    *kind, before = was if isinstance(was, tuple) else _like(was, backend)
    if kind != [array.shape, array.dtype]:
        raise _changed(f"{what} {kind[1]} {kind[0]}, and then {array.dtype} {array.shape}")
    differs = contents.fingerprint(array, backend) != before
    text = f"{what} an array of shape {array.shape}, and then one of other numbers"
    deferred.defer(differs, backend, _changed(text))  # in no variable: see `deferred.defer`


def check_outside(name: str, was: Any, now: Any) -> None:
    """Raise if a kernel's function reads something else from outside when it is run again."""
    if was != now:
        raise RuntimeError(
            f"{name} is run again in the backward pass, and reads something else from outside (a "
            "number, an attribute) than it did in the forward pass. The gradient would be wrong. "
            "Change it before the forward pass or after backward(), or pass it as an argument."
        )


def _shown(x: Any) -> str:
    return x if isinstance(x, str) else "an array"


def _changed(what: str) -> RuntimeError:
    return RuntimeError(
        "a checkpoint runs its function again in the backward pass, and that was not the same "
        f"computation: {what}. The gradient would be wrong. Change weights, buffers, labels and "
        "modes that it uses before the forward pass or after backward(); draw numbers from a "
        "generator of your own outside, and pass them as an argument."
    )
