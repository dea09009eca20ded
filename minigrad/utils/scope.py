"""Scopes: something holds within a block, or within a function; a context variable says so.

A function that stops and goes on (a generator, an async function) has the value at each of its
steps. Between them the caller's value holds.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import ContextVar, Token
from typing import Any


class Scope:
    """Gives a context variable a value: a context manager, and a decorator of functions.

    One object may be entered many times: nested, and in several threads or tasks at once. What else
    holds within is `also()`, a context that is entered, too.
    """

    def __init__(
        self, variable: ContextVar[Any], value: Any, also: Callable[[], Any] | None = None
    ) -> None:
        self._variable, self._value, self._also = variable, value, also
        self._entered: list[tuple[Token[Any], Any]] = []

    def __enter__(self) -> Any:
        token = self._variable.set(self._value)
        also = None if self._also is None else _entered(self._also, token)
        self._entered.append((token, also))

    def __exit__(self, *error: object) -> None:
        for entry in self._entered[::-1]:
            token, also = entry
            try:
                self._variable.reset(token)
            except ValueError:
                continue  # entered in another thread or task, which is still within
            self._entered.remove(entry)
            if also is not None:
                also.__exit__(*error)
            return

    def __call__(self, function: Any) -> Any:
        """The function, within this scope whenever it is called."""
        if isinstance(function, (staticmethod, classmethod)):
            return type(function)(self(function.__func__))
        if isinstance(function, type) or not callable(function):
            raise TypeError(
                f"{type(self).__name__}() is a context manager, and a decorator of functions; got "
                f"{_described(function)}"
            )
        return _within(function, lambda: _Inside(self._variable, self._value, self._also))


class BareScope(Scope):
    """A scope without arguments, which is a decorator without brackets, too."""

    def __new__(cls, function: Any = None) -> Any:
        """A scope; or, as a decorator without brackets, the function within one."""
        made = super().__new__(cls)
        cls._prepare(made)
        return made if function is None else made(function)

    def __init__(self, function: Any = None) -> None:
        """All is done: this is not called for a decorated function."""

    def _prepare(self) -> None:
        """Calls `Scope.__init__`."""
        raise NotImplementedError


def _described(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}: decorate its methods instead"
    return f"{type(value).__name__} {value!r:.60}"


def _entered(make: Callable[[], Any], token: Token[Any]) -> Any:
    """The context that `make` gives, entered; if that fails, the variable is as it was."""
    try:
        also = make()
        also.__enter__()
    except BaseException:
        token.var.reset(token)
        raise
    return also


class _Inside:
    """The scope of one call. Where the call stops, the value of then waits for the next step."""

    def __init__(
        self, variable: ContextVar[Any], value: Any, also: Callable[[], Any] | None
    ) -> None:
        self._variable, self._value, self._make_also = variable, value, also

    def __enter__(self) -> None:
        self._token = self._variable.set(self._value)
        make = self._make_also
        self._also = None if make is None else _entered(make, self._token)

    def __exit__(self, *error: object) -> None:
        self._value = self._variable.get()
        self._variable.reset(self._token)
        if self._also is not None:
            self._also.__exit__(*error)


def _within(function: Callable[..., Any], scope: Callable[[], _Inside]) -> Callable[..., Any]:
    """A function of the same kind that runs each step of `function` inside `scope()`."""
    kinds = (function, type(function).__call__)  # of an object that is called, its method
    wrapped: Callable[..., Any]
    if any(map(inspect.isgeneratorfunction, kinds)):

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return (yield from _steps(scope(), function(*args, **kwargs)))

    elif any(map(inspect.iscoroutinefunction, kinds)):

        @functools.wraps(function)
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            return await _steps(scope(), function(*args, **kwargs))

    elif any(map(inspect.isasyncgenfunction, kinds)):
        wrapped = _async_within(function, scope)

    else:

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            inside = scope()
            with inside:
                result = function(*args, **kwargs)
            return _later_steps(inside, result)

    return wrapped


def _later_steps(inside: _Inside, result: Any) -> Any:
    """A function's result; if it is a generator or a coroutine, its steps are inside, too."""
    if isinstance(result, types.GeneratorType):
        fresh = inspect.getgeneratorstate(result) == inspect.GEN_CREATED
        return _steps(inside, result) if fresh else result
    if isinstance(result, types.CoroutineType):
        fresh = inspect.getcoroutinestate(result) == inspect.CORO_CREATED
        return _awaited(inside, result) if fresh else result
    if isinstance(result, types.AsyncGeneratorType):
        return _async_within(lambda: result, lambda: inside)()
    return result


@types.coroutine
def _steps(inside: _Inside, steps: Any) -> Generator[Any, Any, Any]:
    """Runs a generator or an awaitable: its steps inside, and what is between them outside."""
    resume, argument = steps.send, None
    while True:
        try:
            with inside:
                value = resume(argument)
        except StopIteration as end:
            return end.value
        finally:
            argument = None  # an error that is thrown in would keep this frame, and it the error
        try:
            argument = yield value
            resume = steps.send
        except BaseException as error:  # close() throws one, too
            resume, argument = steps.throw, error


async def _awaited(inside: _Inside, steps: Any) -> Any:
    return await _steps(inside, steps)


def _async_within(function: Any, scope: Callable[[], _Inside]) -> Callable[..., Any]:
    """An asynchronous generator function that runs the steps of another one inside."""

    @functools.wraps(function)
    async def wrapped(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inside, steps = scope(), function(*args, **kwargs)
        resume, argument = steps.asend, None
        while True:
            try:
                value = await _steps(inside, resume(argument))
            except StopAsyncIteration:
                return
            finally:
                argument = None
            try:
                argument = yield value
                resume = steps.asend
            except BaseException as error:  # aclose() throws one, too
                resume, argument = steps.athrow, error

    return wrapped
