"""Ops: declared once, forward and derivatives, and specialised into plain Python text.

    @op
    def multiply(xp, a, b):
        return xp.multiply(a, b)

    multiply.vjp(a=lambda g, b: g * b, b=lambda g, a: g * a)

The forward takes a backend's namespace, then raw arrays by position, then settings by keyword.
There is one derivative per array input, written in operators and ops only, so that the same text
runs on raw arrays (fast) and on tensors (any order). The *names* of a derivative's parameters say
what it needs, and only that is saved:

    g         the cotangent of the output (a list of them for an op of several outputs)
    y         the output
    x, a, ... an input, by its name
    axis, ... a setting, by its name
    like      shape and dtype of the input that the gradient is for
    shapes    for an op of any number of inputs: their shapes

An input that no gradient flows to has None in place of a derivative. An op of which nothing is
declared can't be called with inputs that require a gradient.

What a forward computes on the way may be kept for the derivative, if another op of the same inputs
gives the same: `@op(keeps=("logs", log_softmax_along, {"axis": -1}))`. The forward then returns it
after the output, and derivatives ask for it by its name. That op's derivative may read its output
and its inputs, and settings that both ops have are the same.

A last setting called `shape` may be given as separate sizes, too: `x.reshape(2, 3)`.

At its first call an op writes two functions for its own arity and saved slots, the call and the
backward step, as a dataclass writes its `__init__`. They are short and worth reading:
`print(mg.multiply.source)`.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import DeclarationError
from . import op_calls, op_checks
from .explain import explain
from .graph import Node, Output, grad_enabled, on_call, raw_backend, tick
from .op_expressions import parameters
from .op_text import REQUIRED, write
from .registry import get_backend
from .tensor import Tensor
from .to_numpy import check_gradient
from .wrapping import as_view

OPS: dict[str, Op] = {}
"""Every op by its name."""

NUMBERS = frozenset({int, float, bool})  # stay Python numbers: they never change an array's dtype


class Op:
    """One operation on tensors; calling it runs it. Made by the decorator `op`.

    >>> mg.tanh
    <op tanh>
    >>> print(mg.negative.source)
    def negative(x):
    ...
    """

    call: Callable[..., Any]
    """The written function: tensors in, tensors out."""

    backward: Callable[[Node, Any, Any, Any], None] | None
    """The written backward step, if there is one: from the output's cotangent to the inputs'."""

    def __init__(
        self,
        forward: Callable[..., Any],
        many: bool,
        view: bool = False,
        keeps: tuple[str, Op, dict[str, Any]] | None = None,
        masked: Callable[..., Any] | None = None,
    ) -> None:
        code = forward.__code__
        self.keeps, self.masked = keeps, masked
        self.name = self.__name__ = self.__qualname__ = forward.__name__
        self.__doc__ = forward.__doc__
        self.__wrapped__ = forward  # `inspect.getsource` shows the declaration
        self.__module__ = forward.__module__
        self.keeping = self.forward = forward
        if keeps is not None:
            self.forward = lambda *args, **settings: forward(*args, **settings)[0]
        self.multi_output = many  # whether it has several outputs
        self.view = view  # whether its output may be a view of its input, as in PyTorch
        self.variadic = bool(code.co_flags & 0x04)
        names = code.co_varnames
        count = code.co_argcount
        if self.variadic:
            self.inputs: tuple[str, ...] = (names[count + code.co_kwonlyargcount],)
        else:
            self.inputs = names[1:count]
        settings = names[count : count + code.co_kwonlyargcount]
        defaults = forward.__kwdefaults__ or {}
        self.settings = {name: defaults.get(name, REQUIRED) for name in settings}
        self.trusted = (forward.__module__ or "").startswith("minigrad.")  # its tests prove it
        op_checks.check_forward(self, _SCOPE.keys())
        self._aliases: list[tuple[type, str]] = []
        self.declared = False  # whether its derivatives have been declared
        self.declare({})

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """Run the op; each op's class gets the written function in this place."""
        return self.call(*args, **settings)

    def __get__(self, instance: Any, owner: Any = None) -> Op:
        """An op in a class is no method; `help(op)` takes what has a `__get__` for a function."""
        return self

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> str:
        return self.name  # copied and pickled by reference, as functions are

    # --- declaration -----------------------------------------------------------------------

    def vjp(self, **derivatives: Callable[..., Any] | None) -> Op:
        """Declare one derivative per array input; None says that no gradient flows to it.

        Returns the op. Raises DeclarationError if an input has none, or if a derivative asks for
        what it can't have; see the module's text for what it can.

        >>> @mg.op
        ... def scaled(xp, x, *, by):
        ...     return x * by
        >>> scaled.vjp(x=lambda g, by: g * by)
        <op scaled>
        """
        op_checks.check_vjp(self, derivatives)
        self.declared = True
        return self.declare(dict(derivatives))

    def vjp_all(self, derivative: Callable[..., Sequence[Any]] | None) -> Op:
        """Declare one function that returns the gradients of all inputs, where they share work.

        None says that no gradient flows to any of them. Returns the op.

        >>> @mg.op
        ... def product(xp, a, b):
        ...     return a * b
        >>> product.vjp_all(lambda g, a, b: [g * b, g * a])
        <op product>
        """
        op_checks.check_vjp_all(self, derivative)
        self.declared = True
        return self.declare({}, derivative)

    def declare(
        self,
        derivatives: dict[str, Callable[..., Any] | None],
        shared: Callable[..., Any] | None = None,
    ) -> Op:
        """Take on derivatives that have been checked."""
        self.derivatives, self.joint_vjp = derivatives, shared
        readers = [fn for fn in (*derivatives.values(), shared) if fn is not None]
        slots = (name for fn in readers for name in self.needs(fn))
        arrays = ("y", "shapes", *self.inputs, *self.kept)
        self.saved_names = tuple(dict.fromkeys(name for name in slots if name in arrays))
        # Graphs from before have saved other arrays; this is how they are recognised.
        self.since = tick() if hasattr(self, "backward") else 0

        def call(*args: Any, **settings: Any) -> Any:  # so that importing minigrad stays quick
            self._specialise()
            return self.call(*args, **settings)

        self._is_written = False
        self._install(call)
        return self

    def attach(self, cls: type, name: str) -> None:
        """Make the op a method (or an operator) of `cls`, under a name.

        >>> @mg.op
        ... def twice(xp, x):
        ...     return 2 * x
        >>> class MyTensor(mg.Tensor):
        ...     pass
        >>> twice.attach(MyTensor, "twice")
        >>> MyTensor(np.ones(2), mg.get_backend("numpy")).twice()
        tensor([2., 2.], dtype=float64)
        """
        self._aliases.append((cls, name))
        setattr(cls, name, self.call)

    def saved_sources(self, node: Node) -> list[Node | None]:
        """Per saved slot the node that its array came from: what lifts it into a tensor."""
        if node.birth < self.since:
            op_calls.raise_outdated(self)
        if self.variadic:
            return list(node.edges) if node.saved else []
        return [
            node
            if name == "y"
            else self._source(node, i)
            if name in self.kept
            else node.edges[self.inputs.index(name)]
            for i, name in enumerate(self.saved_names)
        ]

    def needs(self, derivative: Callable[..., Any]) -> tuple[str, ...]:
        """The names of what a derivative asks for, and of what the source of what is kept does."""
        names = parameters(derivative)
        if self.keeps is not None and self.keeps[0] in names:
            by_source = dict(zip(self.keeps[1].inputs, self.inputs, strict=True))
            names += tuple(by_source[x] for x in self.keeps[1].saved_names if x != "y")
        return names

    @property
    def kept(self) -> tuple[str, ...]:
        """The name of what it keeps, if it does."""
        return () if self.keeps is None else self.keeps[:1]

    def _source(self, node: Node, slot: int) -> Node:
        """The node of the op that would have given what was kept."""
        assert self.keeps is not None and node.saved is not None
        _, op, settings = self.keeps
        if not op._is_written:  # not yet, or not since it was declared again
            op._specialise()
        array, arrays = node.saved[slot], dict(zip(self.saved_names, node.saved, strict=True))
        inputs = dict(zip(op.inputs, self.inputs, strict=True))
        saved = tuple(array if x == "y" else arrays[inputs[x]] for x in op.saved_names)
        settings = {**dict(zip(self.settings, node.settings, strict=True)), **settings}
        given = tuple(settings.get(name, default) for name, default in op.settings.items())
        return Node(op, node.edges, saved, array.shape, array.dtype, node.backend, given)

    def saved_name(self, node: Node, i: int) -> str:
        """What the user knows a saved array as: "output", "input x" or "input arrays[1]"."""
        if self.variadic:
            return f"input {self.inputs[0]}[{i}]"
        name = self.saved_names[i]
        return "output" if name == "y" or name in self.kept else f"input {name}"

    # --- specialisation --------------------------------------------------------------------

    def _install(self, call: Callable[..., Any]) -> None:
        call.__name__ = call.__qualname__ = self.name
        if self.trusted and not self.settings:  # Python's error for a wrong call begins with it
            call.__qualname__ = f"mg.{self.name}({', '.join(self.inputs)}): {self.name}"
        call.__doc__, call.__module__ = self.__doc__, self.__module__
        call.__wrapped__ = self  # type: ignore[attr-defined]  # its signature is the op's
        self.call = call
        type(self).__call__ = staticmethod(call)  # type: ignore[method-assign]
        for cls, name in self._aliases:
            setattr(cls, name, call)

    @property
    def source(self) -> str:
        """The text of the two functions that run this op.

        >>> print(mg.tanh.source)
        def tanh(x):
        ...
        def tanh_backward(node, saved, g, sweep):
        ...
        """
        return write(self)

    @property
    def __signature__(self) -> Any:
        import inspect

        if not self._is_written:
            self._specialise()
        signature = inspect.signature(self.call, follow_wrapped=False)
        refused = () if list(self.settings)[-1:] == ["shape"] else ("more", "others")
        given = [p for p in signature.parameters.values() if p.name not in refused]
        return signature.replace(parameters=given)

    def _specialise(self) -> None:
        filename = f"<minigrad op {self.name}>"
        source = self.source
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        scope = self._scope()
        exec(compile(source, filename, "exec"), scope)
        self.backward = scope.get(f"{self.name}_backward")
        self._is_written = True
        self._install(scope[self.name])

    def _scope(self) -> dict[str, Any]:
        """What the names in the text mean."""
        return {
            "op": self,
            "forward": self.forward,
            "keeping": self.keeping,
            "since": self.since,
            "vjp_all": self.joint_vjp,
            "masked": self.masked,
            **{f"vjp_{name}": fn for name, fn in self.derivatives.items()},
            **{f"{name}_default": value for name, value in self.settings.items()},
            **_SCOPE,
        }


def op(
    forward: Callable[..., Any] | None = None,
    *,
    many: bool = False,
    view: bool = False,
    keeps: tuple[str, Op, dict[str, Any]] | None = None,
    masked: Callable[..., Any] | None = None,
) -> Any:
    """Declare an op by its forward, `forward(xp, *arrays, **settings)`; see the module's text.

    Parameters
    ----------
    many : whether it returns a list of arrays.
    view : whether what it returns may share memory with its input.
    keeps : the name of a second result that only derivatives read, the op that computes the same
        result from the same inputs, and the settings of that op.
    masked : what is called in its place, `masked(x, where, **settings)`, if it is called with a
        last argument `where`.

    Raises
    ------
    DeclarationError : the forward can't be an op, or uses a name that has a meaning in derivatives.

    Examples
    --------

    >>> import minigrad as mg
    >>> @mg.op
    ... def cube(xp, x):
    ...     return x * x * x
    >>> _ = cube.vjp(x=lambda g, x: 3 * g * x * x)
    >>> x = mg.tensor(2.0, requires_grad=True)
    >>> mg.grad(cube(x), x).item()
    12.0
    """

    def declare(forward: Callable[..., Any]) -> Op:
        kind = type("Op", (Op,), {})  # a class for each, which gets the written call
        made = kind(forward, many, view, keeps, masked)
        OPS[made.name] = made
        return made

    return declare if forward is None else declare(forward)


_SCOPE: dict[str, Any] = {
    "NUMBERS": NUMBERS,
    "Node": Node,
    "Output": Output,
    "Tensor": Tensor,
    "check_gradient": check_gradient,
    "explain": explain,
    "grad_enabled": grad_enabled.get,
    "fit_gradient": op_calls.fit_gradient,
    "fit_gradients": op_calls.fit_gradients,
    "check_result": op_calls.check_result,
    "check_results": op_calls.check_results,
    "as_tensor": op_calls.as_tensor,
    "as_view": as_view,
    "instead": "A setting is no input: declare it as one",
    "raise_mixed": op_calls.raise_mixed,
    "new": object.__new__,
    "raise_no_derivative": op_calls.raise_no_derivative,
    "on_call": on_call,
    "operand": op_calls.operand,
    "operands": op_calls.operands,
    "raise_outdated": op_calls.raise_outdated,
    "refuse": op_calls.refuse,
    "raw_backend": raw_backend.get,
    "tell": on_call.tell,
    "tick": tick,
}

__all__ = ["OPS", "DeclarationError", "Op", "get_backend", "op"]
