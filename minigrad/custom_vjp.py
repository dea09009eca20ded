"""Functions of tensors whose derivative the user writes: `custom_vjp`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .engine.graph import (
    HandmadeOp,
    Node,
    Output,
    enable_grad,
    grad_enabled,
    is_tracing,
    no_grad,
    on_call,
    raw_backend,
)
from .engine.op_calls import fit_gradient, fit_gradients, raise_no_derivative
from .engine.op_checks import check_one_each, check_parameters
from .engine.op_expressions import parameters
from .engine.sweep import note_taken
from .engine.tensor import Tensor
from .engine.wrapping import as_view, same_backend
from .errors import DeclarationError, Untraceable
from .nested import describe, leaves_of, map_leaves, parts_of, rebuild

__all__ = ["custom_vjp"]


def custom_vjp(function: Callable[..., Any] | None = None, *, keeps: str | None = None) -> Any:
    """A function of tensors whose derivative you write, in place of the one that follows from it.

    For gradients that differ from the derivative (an estimate that passes a step, a gradient that
    is clipped or reversed), and for derivatives that one knows without the way to the result (of a
    fixed point, of a solver). The derivative is declared as that of an op:
    one function per input, or by `vjp_all` one for all of them together, which returns a list of
    gradients. The *names* of its parameters say what it gets, as tensors:

        g        the gradient of the result; of several results a tuple, zeros for unused ones
        y        the result, if it is one tensor
        x, ...   an input (a parameter that may be given by position), by its name
        n, ...   a setting (a parameter that is given by keyword only), by its name

    It is written in minigrad's ops. As these have derivatives of their own, gradients of any order
    follow. What the function computed on the way may be kept for the derivative: with
    `keeps="slope"` it returns a pair, its result and what is kept, which may be anything; the
    derivative asks for `slope`. A kept float doesn't know how it was computed, so such a function
    has gradients of first order only, and an error at second order. Kept integers and truth values
    are constants.

    Parameters
    ----------
    function : takes tensors, and whatever else; returns a tensor or a tuple of them. It may
        calculate as it likes, with NumPy, too. It is called on tensors without history.
    keeps : the name of what it returns besides.

    Raises
    ------
    DeclarationError : an input has no derivative, or a derivative asks for what it can't have.
    RuntimeError : the result depends on a tensor that requires a gradient and is no input.
    TypeError, ValueError : in the backward pass, for a gradient of another number, kind or shape.

    A cell or function that calls it runs op by op, as a kernel would not know the derivative.

    Examples
    --------
    >>> import minigrad as mg
    >>> @mg.custom_vjp
    ... def binary(x):
    ...     return mg.sign(x)
    >>> _ = binary.vjp(x=lambda g, x: g * (mg.abs(x) < 1))  # as if it were x from -1 to 1
    >>> x = mg.tensor([-0.3, 0.5, 2.0], requires_grad=True)
    >>> binary(x).sum().backward()
    >>> x.grad
    tensor([1., 1., 0.])

    The square root by Newton's steps: its derivative needs the result alone, not the steps.

    >>> @mg.custom_vjp
    ... def newton_root(x, *, steps=20):
    ...     y = mg.ones_like(x)
    ...     for _ in range(steps):
    ...         y = (y + x / y) / 2
    ...     return y
    >>> _ = newton_root.vjp(x=lambda g, y: g / (2 * y))
    >>> mg.gradcheck(newton_root, mg.tensor([4.0, 9.0], dtype="float64"), order=2).verdict
    'PASS'
    """

    def declare(function: Callable[..., Any]) -> CustomFunction:
        return CustomFunction(function, keeps)

    return declare if function is None else declare(function)


@dataclass(slots=True)
class _Slot:
    """Where among the saved arrays one is, and the node that it came from."""

    place: int
    source: Any  # a node, None or _ITSELF


_ITSELF = "the node of the call, which is to hold no reference to itself"


class _Call(NamedTuple):
    """What the derivatives of one call read, with a `_Slot` for each array."""

    derivatives: dict[str, Callable[..., Any] | None]
    joint: Callable[..., Any] | None
    names: dict[str, Any]
    results: Any  # None for one; for several a tuple of their structure


class CustomFunction(HandmadeOp):
    """What `custom_vjp` makes of a function; the graph takes it for the op of its calls."""

    def __init__(self, function: Callable[..., Any], keeps: str | None) -> None:
        name = getattr(function, "__name__", type(function).__name__)
        super().__init__(name, self._backward_step)
        functools.update_wrapper(self, function)
        self._function, self._keeps = function, keeps
        self._signature = inspect.signature(function)
        kinds: dict[Any, list[str]] = {}
        for parameter in self._signature.parameters.values():
            kinds.setdefault(parameter.kind, []).append(parameter.name)
        kind = inspect.Parameter
        named = kinds.get(kind.POSITIONAL_ONLY, []) + kinds.get(kind.POSITIONAL_OR_KEYWORD, [])
        many = kinds.get(kind.VAR_POSITIONAL, [])
        self.variadic = bool(many)
        self.inputs = tuple(many or named)
        self.settings = tuple(kinds.get(kind.KEYWORD_ONLY, []))
        if not self.inputs or (many and named) or kind.VAR_KEYWORD in kinds:
            raise DeclarationError(
                f"custom_vjp {name}: the function takes inputs by position and settings by "
                f"keyword, as in def {name}(x, w, *, steps=3), or any number of inputs, as in "
                f"def {name}(*xs); got {name}{self._signature}"
            )
        for taken in {"g", "y"}.intersection((*self.inputs, *self.settings, keeps)):
            raise DeclarationError(
                f"custom_vjp {name}: {taken!r} has a meaning of its own in derivatives; choose "
                "another name"
            )
        if keeps in (*self.inputs, *self.settings):
            raise DeclarationError(f"custom_vjp {name}: {keeps!r} is the name of a parameter")
        self._derivatives: dict[str, Callable[..., Any] | None] = {}
        self._joint: Callable[..., Any] | None = None
        self._declared = False

    def __repr__(self) -> str:
        return f"<custom_vjp {self.name}>"

    # --- declaration -----------------------------------------------------------------------

    def vjp(self, **derivatives: Callable[..., Any] | None) -> CustomFunction:
        """Declare one derivative per input; None says that no gradient flows to it."""
        if self.variadic:
            raise DeclarationError(
                f"custom_vjp {self.name}: it takes any number of inputs, so one function gives all "
                "their gradients; declare it by vjp_all"
            )
        check_one_each(f"custom_vjp {self.name}", self.inputs, derivatives)
        for fn in derivatives.values():
            if fn is not None:
                self._check(fn)
        self._derivatives, self._joint, self._declared = dict(derivatives), None, True
        return self

    def vjp_all(self, derivative: Callable[..., Sequence[Any]]) -> CustomFunction:
        """Declare one function that returns a list of gradients, one per input."""
        self._check(derivative)
        self._derivatives, self._joint, self._declared = {}, derivative, True
        return self

    def _check(self, fn: Any) -> None:
        """Raise unless `fn` is a function whose parameters are all among what it can have."""
        known = {"g", "y", *self.inputs, *self.settings, *filter(None, [self._keeps])}
        check_parameters(f"custom_vjp {self.name}", fn, known, self.inputs[0])

    # --- a call ------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result, with the declared derivative."""
        if is_tracing():
            raise Untraceable(f"it calls {self.name}, whose derivative custom_vjp declares")
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None
        bound.apply_defaults()
        given = bound.args
        raw = raw_backend.get()
        if raw is not None:  # called in the derivative of an op, on raw arrays
            tensors = [Tensor(x, raw) if isinstance(x, raw.array_type) else x for x in given]
            with _tensors_again():
                return map_leaves(lambda y: y._data, self(*tensors, **bound.kwargs))
        inputs = [x.detach() if isinstance(x, Tensor) else x for x in given]
        result, kept = self._function(*inputs, **bound.kwargs), None
        if self._keeps is not None:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(
                    f"{self.name}: with keeps={self._keeps!r} the function returns a pair, its "
                    f"result and what is kept; it returned {describe(result)}"
                )
            result, kept = result
        ys = parts_of(result)
        self._check_results(ys)
        edges = self._edges(given)
        slopes = [y.dtype.kind == "f" for y in ys]
        if not (any(edge is not None for edge in edges) and any(slopes) and grad_enabled.get()):
            return rebuild(result, [Tensor(y._data, y.backend) for y in ys])
        given_tensors = (x for x in given if isinstance(x, Tensor))
        backend = same_backend(self.name, *given_tensors, *ys)
        node = self._node(given, edges, bound.kwargs, result, kept, backend)
        if on_call:
            arrays = [getattr(x, "_data", x) for x in given]
            on_call.tell(self, node, arrays, [y._data for y in ys], backend, ())
        if isinstance(result, Tensor):
            return Tensor(result._data, backend, node)
        nodes = [Output(node, i, y._data) if slopes[i] else None for i, y in enumerate(ys)]
        return rebuild(
            result, [Tensor(y._data, backend, at) for y, at in zip(ys, nodes, strict=True)]
        )

    def _edges(self, given: Sequence[Any]) -> tuple[Node | None, ...]:
        """The nodes of the inputs that gradients flow to."""
        edges = [x._node if isinstance(x, Tensor) else None for x in given]
        if not self._declared and grad_enabled.get() and any(edge is not None for edge in edges):
            raise_no_derivative(self)
        if self._derivatives:
            fns = map(self._derivatives.get, self.inputs)
            edges = [edge if fn else None for edge, fn in zip(edges, fns, strict=True)]
        return tuple(edges)

    def _check_results(self, ys: tuple[Any, ...]) -> None:
        """Raise unless they are tensors without history."""
        for y in ys:
            if not isinstance(y, Tensor):
                raise TypeError(
                    f"{self.name}: the function must return a tensor or a tuple of tensors; it "
                    f"returned {describe(y)}"
                )
            if y._node is not None:
                raise RuntimeError(
                    f"{self.name}: the result depends on a tensor that requires a gradient and is "
                    "no input, so no gradient would reach it. Inputs are given by position "
                    f"({', '.join(self.inputs)}): make it one, or use x.detach() of it"
                )

    def _node(
        self,
        given: Sequence[Any],
        edges: tuple[Node | None, ...],
        settings: dict[str, Any],
        result: Any,
        kept: Any,
        backend: Any,
    ) -> Node:
        """A call that the graph remembers, and the arrays that its derivatives ask for."""
        derivatives = (*self._derivatives.values(), self._joint)
        asked = {name for fn in derivatives if fn is not None for name in parameters(fn)}
        saved: list[Any] = []

        def slot(x: Any, source: Any = None) -> Any:
            if not isinstance(x, Tensor):
                return x
            saved.append(x._data)
            return _Slot(len(saved) - 1, source)

        single = isinstance(result, Tensor)
        if "y" in asked and not single:
            raise DeclarationError(
                f"custom_vjp {self.name}: a derivative asks for 'y', and there are several results"
            )
        ys = parts_of(result)
        shape: Any = ys[0].shape if single else [y.shape for y in ys]
        dtype = next(y.dtype for y in ys if y.dtype.kind == "f")
        node = Node(self, edges, (), shape, dtype, backend)
        names = dict(settings)
        if self.variadic:
            if self.inputs[0] in asked:
                names[self.inputs[0]] = tuple(map(slot, given, edges))
        else:
            for name, x, edge in zip(self.inputs, given, edges, strict=True):
                if name in asked:
                    names[name] = slot(x, edge)
        if "y" in asked:
            names["y"] = slot(result, _ITSELF)
        if self._keeps in asked:
            names[str(self._keeps)] = map_leaves(slot, kept)
        structure = None if single else rebuild(result, [None] * len(ys))
        node.saved = tuple(saved)
        node.settings = (_Call(self._derivatives, self._joint, names, structure),)
        return node

    # --- the backward step -------------------------------------------------------------------

    def _backward_step(self, node: Node, saved: Any, g: Any, sweep: Any) -> None:
        (call,) = node.settings
        graph = sweep.builds_graph
        if graph and self._keeps in call.names:
            self._refuse_kept_floats(saved, call.names[self._keeps])

        def value(x: Any) -> Any:
            if not isinstance(x, _Slot):
                return x
            source = node if x.source is _ITSELF else x.source
            return as_view(saved[x.place], node.backend, source if graph else None)

        def part(g: Any) -> Any:
            return g if graph else as_view(sweep.tensor(g, node)._data, node.backend)

        names = {name: map_leaves(value, x) for name, x in call.names.items()}
        if call.results is None:
            names["g"] = part(g)
        else:
            gs = map(part, sweep.zeros_for_unused(g, node))
            names["g"] = rebuild(call.results, gs)

        def run(fn: Callable[..., Any]) -> Any:
            with _tensors_again(), enable_grad() if graph else no_grad():
                found = fn(*(names[name] for name in parameters(fn)))
            for x in parts_of(found):
                if isinstance(x, Tensor):  # of a constant: a leaf gets a copy
                    note_taken(x._data, sweep.taken)
            return found

        if call.joint is not None:
            parts = fit_gradients(self, run(call.joint), node, sweep)
            for edge, found in zip(node.edges, parts, strict=True):
                sweep.give(edge, found)
            return
        for name, edge in zip(self.inputs, node.edges, strict=True):
            fn = call.derivatives[name]
            if fn is not None and edge is not None and edge in sweep.grads:
                sweep.give(edge, fit_gradient(self, run(fn), name, edge, sweep))

    def _refuse_kept_floats(self, saved: Any, kept: Any) -> None:
        for _, x in leaves_of(kept):
            dtype = getattr(saved[x.place] if isinstance(x, _Slot) else x, "dtype", None)
            if dtype is None:
                dtype = np.dtype(type(x)) if isinstance(x, (bool, int, float)) else None
            if not (x is None or isinstance(x, str) or (dtype is not None and dtype.kind in "iub")):
                raise RuntimeError(
                    f"{self.name}: its derivative uses {self._keeps!r}, which doesn't know how it "
                    "was computed, so its gradient can't be differentiated again (create_graph). "
                    "For second order, compute it in the derivative, from the inputs and the "
                    "result"
                )

    def saved_name(self, node: Node, i: int) -> str | None:
        """What the user knows a saved array as."""
        (call,) = node.settings
        for name, value in call.names.items():
            for _, x in leaves_of(value):
                if isinstance(x, _Slot) and x.place == i:
                    return {"y": "output", self._keeps: f"{name!r}"}.get(name, f"input {name}")
        return None


@contextmanager
def _tensors_again() -> Iterator[None]:
    """Within this context ops make tensors, in a sweep on raw arrays, too."""
    token = raw_backend.set(None)
    try:
        yield
    finally:
        raw_backend.reset(token)
