"""What `@op`, `vjp` and `vjp_all` check when an op is declared."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ..errors import DeclarationError
from .op_expressions import parameters

# What derivatives and the written text call things; no input or setting may have such a name.
_TAKEN = {"g", "y", "like", "shapes", "op", "node", "backend", "data", "edge", "edges", "error"}
_TAKEN |= {"forward", "grads", "keeping", "more", "number", "out", "part", "parts", "saved"}
_TAKEN.add("sweep")


def check_forward(op: Any, scope: Collection[str]) -> None:
    """Raise unless the forward can be an op; `scope`: names that the text of ops uses."""
    code = op.__wrapped__.__code__
    if code.co_argcount < 1 or not op.inputs or code.co_flags & 0x08:
        raise DeclarationError(
            f"op {op.name}: the forward must take a namespace, at least one array, and "
            f"settings by name, as in def {op.name}(xp, x, *, axis=None)"
        )
    if not op.name.isidentifier():
        raise DeclarationError(f"op {op.name}: an op needs a name; declare it with def")
    if op.name in scope:
        raise DeclarationError(f"op {op.name}: the text of ops uses this name; choose another one")
    if op.keeps is not None:
        _check_keeps(op, *op.keeps)
    for name in {*_TAKEN, *scope}.intersection((*op.inputs, *op.settings, *op.kept)):
        raise DeclarationError(
            f"op {op.name}: an input or setting can't be called {name!r}, which has a "
            "meaning of its own in derivatives; choose another name"
        )


def check_vjp(op: Any, derivatives: dict[str, Callable[..., Any] | None]) -> None:
    """Raise unless there is one derivative per array input, and each asks for what it can have."""
    if op.variadic or op.joint_vjp is not None:
        raise DeclarationError(
            f"op {op.name}: its derivatives come from one function, declared by vjp_all"
            + (", as it takes any number of arrays" if op.variadic else "")
        )
    check_one_each(f"op {op.name}", op.inputs, derivatives)
    for fn in derivatives.values():
        if fn is not None:
            _check_derivative(op, fn, {"y", "like", *op.inputs, *op.kept})


def check_one_each(what: str, inputs: Collection[str], derivatives: Collection[str]) -> None:
    """Raise unless the derivatives are those of the inputs, by name; `what` declares them."""
    for name in derivatives:
        if name not in inputs:
            raise DeclarationError(
                f"{what}: a derivative is declared for {name!r}, but its array inputs are "
                f"{', '.join(inputs)}"
            )
    missing = [name for name in inputs if name not in derivatives]
    if missing:
        raise DeclarationError(
            f"{what}: no derivative is declared for {', '.join(missing)}; "
            f"declare {missing[0]}=None if no gradient flows there"
        )


def check_vjp_all(op: Any, derivative: Callable[..., Any] | None) -> None:
    """The same for one function that returns the gradients of all inputs."""
    if op.derivatives:
        raise DeclarationError(f"op {op.name}: vjp has declared its derivatives already")
    if derivative is None:
        return
    _check_derivative(op, derivative, {"shapes" if op.variadic else "y", *op.inputs})
    if op.variadic and {"shapes", *op.inputs} <= {*parameters(derivative)}:
        raise DeclarationError(
            f"op {op.name}: a derivative asks for the arrays or for their shapes, not both"
        )


def check_parameters(what: str, fn: Any, known: Collection[str], first: str) -> None:
    """Raise unless `fn` is a function whose parameters are all known; `first`: one, to show."""
    code = getattr(fn, "__code__", None)
    if code is None or code.co_flags & 0x0C or code.co_kwonlyargcount:
        raise DeclarationError(
            f"{what}: a derivative must be a function of named parameters, as in "
            f"lambda g, {first}: ...; got {fn!r}"
        )
    for name in parameters(fn):
        if name not in known:
            raise DeclarationError(
                f"{what}: a derivative asks for {name!r}; it can have {', '.join(sorted(known))}"
            )


def _check_derivative(op: Any, fn: Any, offered: set[str]) -> None:
    """Raise unless `fn` is a function of what a derivative of the op can have."""
    known = {"g", *offered, *op.settings} - ({"y"} if op.multi_output else set())
    check_parameters(f"op {op.name}", fn, known, op.inputs[0])


def _check_keeps(op: Any, name: str, source: Any, settings: dict[str, Any]) -> None:
    """Raise unless `name` can be kept, and the op `source` can stand for where it came from."""
    if op.multi_output or op.variadic or len(source.inputs) != len(op.inputs):
        raise DeclarationError(
            f"op {op.name}: to keep {name}, it must have one output and as many inputs as "
            f"{source.name}, {len(source.inputs)}"
        )
    known = source.settings
    if source.kept or not source.declared or settings.keys() - known.keys():
        raise DeclarationError(
            f"op {op.name}: {name} can't be the output of {source.name}, which must have "
            f"derivatives and keep nothing; its settings are {', '.join(known) or 'none'}"
        )
