"""Functions that are one expression, as text: an op's own text then has it in place of a call.

    lambda g, y: g * (1 - y * y)          "g * (1 - y * y)"
    def tanh(xp, x): return xp.tanh(x)    "tanh" of a backend, called with "x_data"

Such a function is called with terms in place of arrays; they note what it does with them. That is
all that it does if it has no branch and reads nothing but its arguments. Any other function is
called as it is, and so is what ops from outside of minigrad declare: its author may want to see the
calls.
"""

from __future__ import annotations

import opcode
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any

# Instructions by which a function may do another thing at the next call.
_OTHER_WAYS = {*opcode.hasjrel, *opcode.hasjabs, opcode.opmap["LOAD_GLOBAL"]}

_SUM, _PRODUCT, _SIGN, _ATOM = range(4)  # how tightly an expression holds together


def parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a function's positional parameters."""
    return function.__code__.co_varnames[: function.__code__.co_argcount]


def forward_texts(op: Any, data: Sequence[str]) -> tuple[str, str, str]:
    """The backend's method that an op's forward is, or nothing; and what gives the output.

    That is the call for tensors, whose arrays are `data`, and the one for inputs that are arrays.
    """
    if op.trusted and not op.variadic and op.keeps is None:
        names = {name: name for name in op.settings}
        call, raw = (
            method_call(op.forward, names | dict(zip(op.inputs, texts, strict=True)))
            for texts in (data, op.inputs)
        )
        if call and raw:
            return call[0], f"method({call[1]})", f"backend.{raw[0]}({raw[1]})"
    settings = [f"{name}={name}" for name in op.settings]
    forward = "forward" if op.keeps is None else "keeping"
    return (
        "",
        f"{forward}({', '.join(['backend', *data, *settings])})",
        f"forward({', '.join(['backend', *op.inputs, *settings])})",
    )


def derivative_text(op: Any, x: str, function: Callable[..., Any]) -> dict[str, str]:
    """What gives the gradient of an input, and what has its shape and dtype if it may not fit.

    The declared function is called, unless it is arithmetic: then numbers are calculated element by
    element, and the gradient is like that of the output.
    """
    texts = {name: f"{x}_node" if name == "like" else name for name in parameters(function)}
    text = expression(function, texts) if op.trusted else None
    if text is not None:
        return {"derivative": text, "part": "node"}
    return {"derivative": f"vjp_{x}({', '.join(texts.values())})", "part": "part"}


def joint_arguments(op: Any) -> str:
    """What is passed to a derivative of all inputs."""
    names = () if op.joint_vjp is None else parameters(op.joint_vjp)
    saved = {"shapes", *op.inputs} if op.variadic else ()
    return ", ".join("saved" if name in saved else name for name in names)


def expression(function: Callable[..., Any], texts: Mapping[str, str]) -> str | None:
    """What a function of these arguments returns: arithmetic, or one of them; else None."""
    result = _result(function, (), texts)
    return result.text if isinstance(result, _Term) else None


def method_call(function: Callable[..., Any], texts: Mapping[str, str]) -> tuple[str, str] | None:
    """The method of its first argument that a function calls, and with what; or None.

    That call must be all that it does, and return what it returns.
    """
    result = _result(function, (_Namespace(),), texts)
    return result if isinstance(result, tuple) else None


def _result(function: Callable[..., Any], before: tuple[Any, ...], texts: Mapping[str, str]) -> Any:
    """What it returns if it is called with terms; None if they don't show all that it does."""
    if not _is_straight(function.__code__):
        return None
    try:
        return function(*before, **{name: _Term(text) for name, text in texts.items()})
    except (TypeError, AttributeError):  # it does what no term can note
        return None


def _is_straight(code: CodeType) -> bool:
    """Whether it does the same at each call, and reads its arguments only."""
    return not code.co_freevars and _OTHER_WAYS.isdisjoint(code.co_code[::2])


class _Term:
    """An argument, or what was computed of some."""

    __slots__ = ("_is_used", "rank", "text")

    def __init__(self, text: str, rank: int = _ATOM) -> None:
        self.text, self.rank = text, rank
        self._is_used = False

    def within(self, rank: int) -> str:
        """Its text as an operand of what holds together as tightly as `rank`."""
        if self._is_used and not self.text.isidentifier():
            raise TypeError("written in two places, it would be computed twice")
        self._is_used = True
        return self.text if self.rank >= rank else f"({self.text})"

    def __iadd__(self, other: Any) -> _Term:
        raise TypeError("an array would be edited, which others may hold")

    __isub__ = __imul__ = __itruediv__ = __iadd__

    def __neg__(self) -> _Term:
        return _Term(f"-{self.within(_SIGN)}", _SIGN)

    def __add__(self, other: Any) -> _Term:
        return _binary(self, "+", other, _SUM)

    def __radd__(self, other: Any) -> _Term:
        return _binary(other, "+", self, _SUM)

    def __sub__(self, other: Any) -> _Term:
        return _binary(self, "-", other, _SUM)

    def __rsub__(self, other: Any) -> _Term:
        return _binary(other, "-", self, _SUM)

    def __mul__(self, other: Any) -> _Term:
        return _binary(self, "*", other, _PRODUCT)

    def __rmul__(self, other: Any) -> _Term:
        return _binary(other, "*", self, _PRODUCT)

    def __truediv__(self, other: Any) -> _Term:
        return _binary(self, "/", other, _PRODUCT)

    def __rtruediv__(self, other: Any) -> _Term:
        return _binary(other, "/", self, _PRODUCT)


def _binary(left: Any, symbol: str, right: Any, rank: int) -> _Term:
    """Operators of the same rank are carried out from left to right."""
    return _Term(f"{_term(left).within(rank)} {symbol} {_term(right).within(rank + 1)}", rank)


def _term(value: Any) -> _Term:
    """A number is a constant of the function."""
    if isinstance(value, _Term):
        return value
    if value.__class__ not in (int, float) or value - value != 0:  # NaN and inf have no literal
        raise TypeError
    return _Term(repr(value), _ATOM if value >= 0 else _SIGN)


class _Namespace:
    """A backend whose methods return how they were called, once one of them was."""

    _is_used = False

    def __getattr__(self, name: str) -> Callable[..., tuple[str, str]]:
        if self._is_used:
            raise TypeError("it calls more than one method")
        self._is_used = True

        def call(*args: Any, **settings: Any) -> tuple[str, str]:
            texts = [_term(x).text for x in args]
            texts += [f"{key}={_term(x).text}" for key, x in settings.items()]
            return name, ", ".join(texts)

        return call
