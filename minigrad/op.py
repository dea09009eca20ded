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

A last setting called `shape` may be given as separate sizes, too: `x.reshape(2, 3)`.

At its first call an op writes two functions for its own arity and saved slots, the call and the
backward step, as a dataclass writes its `__init__`. They are short and worth reading:
`print(mg.multiply.source)`.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backend import get_backend
from .graph import Node, Output, grad_enabled, observers, raw_backend, tick
from .messages import explain
from .tensor import Tensor, same_backend, wrap

OPS: dict[str, Op] = {}
"""Every op by its name."""

# What derivatives and the written text call things; no input or setting may have such a name.
_TAKEN = {"g", "y", "like", "shapes", "op", "node", "backend", "data", "edge", "edges", "error"}
_TAKEN |= {"forward", "grads", "more", "number", "out", "part", "saved", "work"}

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

    backward: Callable[[Node, Any, Any, Any], None]
    """The written backward step: from the cotangent of the output to those of the inputs."""

    def __init__(self, forward: Callable[..., Any], many: bool) -> None:
        code = forward.__code__
        self.name = self.__name__ = forward.__name__
        self.__module__ = forward.__module__
        self.forward = forward
        self.many = many  # whether it has several outputs
        self.variadic = bool(code.co_flags & 0x04)
        names = code.co_varnames
        count = code.co_argcount
        if self.variadic:
            self.inputs: tuple[str, ...] = (names[count + code.co_kwonlyargcount],)
        else:
            self.inputs = names[1:count]
        settings = names[count : count + code.co_kwonlyargcount]
        defaults = forward.__kwdefaults__ or {}
        self.settings = {name: defaults.get(name, _REQUIRED) for name in settings}
        if count < 1 or not self.inputs or code.co_flags & 0x08:
            raise DeclarationError(
                f"op {self.name}: the forward must take a namespace, at least one array, and "
                f"settings by name, as in def {self.name}(xp, x, *, axis=None)"
            )
        if not self.name.isidentifier():
            raise DeclarationError(f"op {self.name}: an op needs a name; declare it with def")
        for name in _TAKEN.intersection((*self.inputs, *settings)):
            raise DeclarationError(
                f"op {self.name}: an input or setting can't be called {name!r}, which has a "
                "meaning of its own in derivatives; choose another name"
            )
        self.derivatives: dict[str, Callable[..., Any] | None] = {}
        self.shared: Callable[..., Any] | None = None
        self.saved_names: tuple[str, ...] = ()
        self._aliases: list[tuple[type, str]] = []
        self._postpone()

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """Run the op; each op's class gets the written function in this place."""
        return self.call(*args, **settings)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> str:
        return self.name  # copied and pickled by reference, as functions are

    # --- declaration -----------------------------------------------------------------------

    def vjp(self, **derivatives: Callable[..., Any] | None) -> Op:
        """Declare one derivative per array input; None says that no gradient flows to it."""
        if self.variadic or self.shared is not None:
            raise DeclarationError(
                f"op {self.name}: its derivatives come from one function, declared by vjp_all"
                + (", as it takes any number of arrays" if self.variadic else "")
            )
        for name in derivatives:
            if name not in self.inputs:
                raise DeclarationError(
                    f"op {self.name}: a derivative is declared for {name!r}, but its array "
                    f"inputs are {', '.join(self.inputs)}"
                )
        missing = [name for name in self.inputs if name not in derivatives]
        if missing:
            raise DeclarationError(
                f"op {self.name}: no derivative is declared for {', '.join(missing)}; "
                f"declare {missing[0]}=None if no gradient flows there"
            )
        for fn in derivatives.values():
            if fn is not None:
                self._check(fn, {"y", "like", *self.inputs})
        self.derivatives = dict(derivatives)
        return self._postpone()

    def vjp_all(self, derivative: Callable[..., Sequence[Any]]) -> Op:
        """Declare one function that returns the gradients of all inputs, where they share work."""
        if self.derivatives:
            raise DeclarationError(f"op {self.name}: vjp has declared its derivatives already")
        self._check(derivative, {"shapes" if self.variadic else "y", *self.inputs})
        if self.variadic and {"shapes", *self.inputs} <= {*_parameters(derivative)}:
            raise DeclarationError(
                f"op {self.name}: a derivative asks for the arrays or for their shapes, not both"
            )
        self.shared = derivative
        return self._postpone()

    def attach(self, cls: type, name: str) -> None:
        """Make the op a method (or an operator) of `cls`."""
        self._aliases.append((cls, name))
        setattr(cls, name, self.call)

    def _check(self, fn: Any, offered: set[str]) -> None:
        """Raise unless `fn` is a function whose parameters are all among what it can have."""
        known = {"g", *offered, *self.settings} - ({"y"} if self.many else set())
        code = getattr(fn, "__code__", None)
        if code is None or code.co_flags & 0x0C or code.co_kwonlyargcount:
            raise DeclarationError(
                f"op {self.name}: a derivative must be a function of named parameters, as in "
                f"lambda g, {self.inputs[0]}: ...; got {fn!r}"
            )
        for name in _parameters(fn):
            if name not in known:
                raise DeclarationError(
                    f"op {self.name}: a derivative asks for {name!r}; it can have "
                    f"{', '.join(sorted(known))}"
                )

    def saved_sources(self, node: Node) -> list[Node | None]:
        """Per saved slot the node that its array came from: what lifts it into a tensor."""
        if self.variadic:
            return list(node.edges) if node.saved else []
        return [
            node if name == "y" else node.edges[self.inputs.index(name)]
            for name in self.saved_names
        ]

    # --- specialisation --------------------------------------------------------------------

    def _postpone(self) -> Op:
        """Specialise at the first call, so that importing minigrad stays quick."""

        def call(*args: Any, **settings: Any) -> Any:
            self._specialise()
            return self.call(*args, **settings)

        self._install(call)
        return self

    def _install(self, call: Callable[..., Any]) -> None:
        self.call = call
        type(self).__call__ = staticmethod(call)  # type: ignore[method-assign]
        for cls, name in self._aliases:
            setattr(cls, name, call)

    @property
    def source(self) -> str:
        """The text of the two functions that run this op."""
        return _write(self)

    @property
    def __signature__(self) -> Any:
        import inspect

        if self.call.__name__ != self.name:
            self._specialise()
        return inspect.signature(self.call)

    def _specialise(self) -> None:
        readers = [fn for fn in (*self.derivatives.values(), self.shared) if fn is not None]
        slots = (name for fn in readers for name in _parameters(fn))
        arrays = ("y", "shapes", *self.inputs)
        self.saved_names = tuple(dict.fromkeys(name for name in slots if name in arrays))
        filename = f"<minigrad op {self.name}>"
        source = self.source
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        scope: dict[str, Any] = {
            "op": self,
            "forward": self.forward,
            "vjp_all": self.shared,
            **{f"vjp_{name}": fn for name, fn in self.derivatives.items()},
            **{f"{name}_default": value for name, value in self.settings.items()},
            **_SCOPE,
        }
        exec(compile(source, filename, "exec"), scope)
        call = scope[self.name]
        call.__doc__, call.__module__ = self.__doc__, self.__module__
        self.backward = scope[f"{self.name}_backward"]
        self._install(call)


class DeclarationError(TypeError):
    """An op is declared in a way that can't work.

    >>> @mg.op
    ... def cube(xp, x):
    ...     return x * x * x
    >>> try:
    ...     cube.vjp(z=lambda g: g)
    ... except mg.DeclarationError as error:
    ...     print(error)
    op cube: a derivative is declared for 'z', but its array inputs are x
    """


class _Required:
    def __repr__(self) -> str:
        return "<required>"


_REQUIRED = _Required()


def op(forward: Callable[..., Any] | None = None, *, many: bool = False) -> Any:
    """Declare an op from its forward; see the module's text. `many`: it returns several arrays.

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
        kind = type("Op", (Op,), {"__doc__": forward.__doc__})
        made = kind(forward, many)
        OPS[made.name] = made
        return made

    return declare if forward is None else declare(forward)


def _parameters(fn: Callable[..., Any]) -> tuple[str, ...]:
    return fn.__code__.co_varnames[: fn.__code__.co_argcount]


# --- the written text ----------------------------------------------------------------------


def _write(op: Op) -> str:
    return "\n".join([*_write_call(op), "", "", *_write_backward(op)]) + "\n"


def _write_call(op: Op) -> list[str]:
    inputs, settings = op.inputs, op.settings
    differentiable = bool(op.derivatives) or op.shared is not None
    signature = [*inputs]
    for name, default in settings.items():
        signature.append(name if default is _REQUIRED else f"{name}={name}_default")
    takes_sizes = [*settings][-1:] == ["shape"]  # x.reshape(2, 3) is x.reshape((2, 3))
    signature += ["*more"] if takes_sizes else []
    given = "".join(f", {name}={name}" for name in settings)
    text = [f"def {op.name}({', '.join(signature)}):"]
    if takes_sizes:
        text += [
            "    if more or shape.__class__ is list:",
            "        shape = (shape, *more) if more else tuple(shape)",
        ]
    if op.variadic:
        (xs,) = inputs
        text += [
            f"    {xs} = tuple({xs})",
            f"    backend, data, edges = operands(op, {xs})",
            "    if backend is None:",
            "        backend = raw_backend()",
            "        if backend is not None:",
            f"            return forward(backend, *{xs}{given})",
            f"        return op.call((lift({xs}[0]), *{xs}[1:]){given})",
        ]
        data, tracked = ["*data"], "any(edges)"
        edges = "edges"
    else:
        for i, x in enumerate(inputs):
            text += [
                f"    {'el' if i else ''}if isinstance({x}, Tensor):",
                f"        backend = {x}.backend",
            ]
        arguments = ", ".join(inputs)
        lifted = ", ".join([f"lift({inputs[0]})", *inputs[1:]])
        text += [
            "    else:",
            "        backend = raw_backend()",
            "        if backend is not None:  # within a sweep: raw arrays in, raw arrays out",
            f"            return forward(backend, {arguments}{given})",
            f"        return op.call({lifted}{given})",
        ]
        for i, x in enumerate(inputs):
            if len(inputs) == 1:
                text += [f"    {x}_data = {x}._data", f"    {x}_node = {x}._node"]
                break
            text += [
                f"    if isinstance({x}, Tensor):",
                *([f"        if {x}.backend is not backend:"] if i else []),
                *([f"            mixed(op.name, {arguments})"] if i else []),
                f"        {x}_data = {x}._data",
                f"        {x}_node = {x}._node",
                "    else:",
                f"        number = {x}.__class__ in NUMBERS",
                f"        {x}_data = {x} if number else operand(op, {x}, backend)",
                f"        {x}_node = None",
            ]
        data = [f"{x}_data" for x in inputs]
        tracked = " or ".join(
            f"{x}_node is not None"
            for x in inputs
            if op.shared is not None or op.derivatives.get(x) is not None
        )
        edges = "(" + "".join(f"{x}_node, " for x in inputs) + ")"
        edges = edges.replace(", )", ",)" if len(inputs) == 1 else ")")
    text += [
        "    try:",
        f"        y = forward(backend, {', '.join(data)}{given})",
        "    except Exception as error:",
        f"        explain(op, error, ({', '.join(data)},), dict({given[2:]}))",
    ]
    if not op.many:
        text += [
            "    if y.__class__ is not backend.array_type:",
            "        y = backend.asarray(y)",
        ]
    text += ["    node = None"]
    if differentiable:
        text += [
            f"    if ({tracked}) and grad_enabled():",
            "        node = new(Node)",
            "        node.op = op",
            "        node.birth = tick()",
            f"        node.edges = {edges}",
            f"        node.saved = {_write_saved(op)}",
            f"        node.settings = ({''.join(f'{name}, ' for name in settings)})",
            f"        node.shape = {'[part.shape for part in y]' if op.many else 'y.shape'}",
            f"        node.dtype = {'y[0].dtype if y else None' if op.many else 'y.dtype'}",
            "        node.backend = backend",
            "        node.hooks = None",
        ]
    text += [
        "    for observe in observers:",
        f"        observe(op, node, ({', '.join(data)},), y, backend)",
    ]
    if op.many:
        return [
            *text,
            "    if node is None:",
            "        return [Tensor(part, backend) for part in y]",
            "    return [Tensor(part, backend, Output(node, i, part)) for i, part in enumerate(y)]",
        ]
    return [
        *text,
        "    out = new(Tensor)",
        "    out._data = y",
        "    out.backend = backend",
        "    out.grad = None",
        "    out._node = node",
        "    return out",
    ]


def _write_saved(op: Op) -> str:
    """The saved slots; an array is kept only if a gradient that will be needed reads it."""
    if op.variadic:
        if "shapes" in op.saved_names:
            return "tuple(x.shape for x in data)"
        return "data" if op.saved_names else "()"
    parts = []
    derivatives = {x: fn for x, fn in op.derivatives.items() if fn is not None}
    for slot in op.saved_names:
        array = "y" if slot == "y" else f"{slot}_data"
        readers = [x for x, fn in derivatives.items() if slot in _parameters(fn)]
        if op.shared is None and len(readers) < len(derivatives):
            condition = " or ".join(f"{x}_node is not None" for x in readers)
            array = f"{array} if {condition} else None"
        parts.append(f"{array}, ")
    return f"({''.join(parts).rstrip() if len(parts) == 1 else ''.join(parts)[:-2]})"


def _write_backward(op: Op) -> list[str]:
    text = [f"def {op.name}_backward(node, saved, g, work):"]
    if op.many:
        text.append("    g = work.fill(g, node)")
    if op.settings:
        text.append(f"    {', '.join(op.settings)}, = node.settings")
    text.append("    grads = work.grads")
    if op.shared is not None:
        if op.saved_names and not op.variadic:
            text.append(f"    {', '.join(op.saved_names)}, = saved")
        values = {"shapes": "saved", op.inputs[0]: "saved"} if op.variadic else {}
        arguments = ", ".join(values.get(name, name) for name in _parameters(op.shared))
        return [
            *text,
            f"    for edge, part in zip(node.edges, vjp_all({arguments}), strict=True):",
            "        if edge in grads:",
            "            if part.shape != edge.shape or part.dtype is not edge.dtype:",
            "                part = work.fit(part, edge)",
            "            if grads[edge] is None:",
            "                grads[edge] = part",
            "            else:",
            "                work.add(edge, part)",
        ]
    nodes = ", ".join(f"{x}_node" for x in op.inputs)
    text.append(f"    {nodes}{',' if len(op.inputs) == 1 else ''} = node.edges")
    if op.saved_names:
        text.append(f"    {', '.join(op.saved_names)}, = saved")
    for x in op.inputs:
        fn = op.derivatives.get(x)
        if fn is None:
            continue
        arguments = ", ".join(f"{x}_node" if name == "like" else name for name in _parameters(fn))
        text += [
            f"    if {x}_node in grads:",
            f"        part = vjp_{x}({arguments})",
        ]
        if len(op.inputs) > 1:
            text += [
                f"        if part.shape != {x}_node.shape or part.dtype is not {x}_node.dtype:",
                f"            part = work.fit(part, {x}_node)",
            ]
        text += [
            f"        if grads[{x}_node] is None:",
            f"            grads[{x}_node] = part",
            "        else:",
            f"            work.add({x}_node, part)",
        ]
    return text


# --- what the written text calls off the fast path -------------------------------------------


def operand(op: Op, value: Any, backend: Any) -> Any:
    """A raw array (or a Python number) from what stands beside a tensor in an op call."""
    if isinstance(value, np.generic):
        return value.item()  # a NumPy scalar is a number, and must not upcast the tensor
    if isinstance(value, (int, float)):
        return value  # of a subclass, such as a size with a name
    if isinstance(value, backend.array_type):
        return backend.copy(value)  # the caller may edit it while the graph keeps it
    if isinstance(value, np.ndarray) and not backend.is_host:
        raise TypeError(
            f"{op.name}: a NumPy array meets a tensor on backend {backend.name!r}; say where it "
            "is to be: mg.tensor(array, backend=...)"
        )
    if isinstance(value, (list, tuple, np.ndarray)):
        from .creation import tensor

        return tensor(value, backend=backend)._data
    raise TypeError(
        f"{op.name}: takes tensors, arrays and numbers; got {type(value).__name__} {value!r:.60}"
    )


def operands(op: Op, values: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """Backend, raw arrays and nodes of an op's any number of inputs."""
    tensors = [x for x in values if isinstance(x, Tensor)]
    if not tensors:
        if not values:
            raise ValueError(f"{op.name}: needs at least one array")
        return None, (), ()
    backend = same_backend(op.name, *tensors)
    data = tuple(
        x._data if isinstance(x, Tensor) else backend.asarray(operand(op, x, backend))
        for x in values
    )
    return backend, data, tuple(x._node if isinstance(x, Tensor) else None for x in values)


def lift(value: Any) -> Tensor:
    """A tensor from what was passed to an op in its place."""
    from .creation import tensor

    return tensor(value)


_SCOPE: dict[str, Any] = {
    "NUMBERS": NUMBERS,
    "Node": Node,
    "Output": Output,
    "Tensor": Tensor,
    "explain": explain,
    "grad_enabled": grad_enabled.get,
    "lift": lift,
    "mixed": lambda name, *args: same_backend(name, *(x for x in args if isinstance(x, Tensor))),
    "new": object.__new__,
    "observers": observers,
    "operand": operand,
    "operands": operands,
    "raw_backend": raw_backend.get,
    "tick": tick,
    "wrap": wrap,
}

__all__ = ["OPS", "DeclarationError", "Op", "get_backend", "op"]
