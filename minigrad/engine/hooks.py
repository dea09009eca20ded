"""The hooks of a node: functions of its gradient, and tensors that keep it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Self


class HookHandle:
    """A registered hook, to be removed: by `remove()`, by a call, or at the end of a `with` block.

    >>> import minigrad as mg
    >>> x = mg.ones(2, requires_grad=True)
    >>> with x.register_hook(lambda g: g * 10) as handle:
    ...     (x * 3).sum().backward()
    >>> (x * 3).sum().backward()
    >>> x.grad
    tensor([33., 33.])
    """

    __slots__ = ("__weakref__", "_functions", "_key")

    def __init__(self, functions: dict[object, Callable[[Any], Any]], key: object) -> None:
        self._functions, self._key = functions, key

    def remove(self) -> None:
        """Call the hook no more; a second time this does nothing."""
        self._functions.pop(self._key, None)

    __call__ = remove

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class Hooks:
    """What is done with a node's gradient once it is complete: functions, then tensors keep it."""

    __slots__ = ("_functions", "_keepers")

    def __init__(self) -> None:
        self._functions: dict[object, Callable[[Any], Any]] = {}
        self._keepers: list[weakref.ref[Any]] = []

    def add(self, function: Callable[[Any], Any]) -> HookHandle:
        """Call `function` after those that are there; the handle takes it away again."""
        if not callable(function):
            raise TypeError(
                f"a hook is a function of the gradient; got {type(function).__name__} "
                f"{function!r:.40}"
            )
        key = object()  # not the handle, which refers to the functions: that would be a cycle
        self._functions[key] = function
        return HookHandle(self._functions, key)

    def keep_in(self, tensor: Any) -> None:
        """Let `tensor` keep the gradient in its `.grad`, as long as it lives."""
        if all(known is not tensor for known in self.keepers()):
            self._keepers.append(weakref.ref(tensor))

    def functions(self) -> list[Callable[[Any], Any]]:
        """The functions as of now: one that runs may add and remove some."""
        return list(self._functions.values())

    def keepers(self) -> list[Any]:
        """The tensors that keep the gradient."""
        return [tensor for keeper in self._keepers if (tensor := keeper()) is not None]

    def __len__(self) -> int:
        return len(self._functions) + len(self.keepers())
