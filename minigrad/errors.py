"""The errors that minigrad defines."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["BackendError", "DeclarationError", "FusionError", "GradientLost", "Untraceable"]


class GradientLost(TypeError):
    """A tensor that requires a gradient was about to become numbers, through which none flows.

    >>> import numpy as np
    >>> try:
    ...     np.exp(mg.ones(2, requires_grad=True))
    ... except mg.errors.GradientLost as error:
    ...     print(error)
    np.exp of a tensor that requires a gradient: none would flow through NumPy. Use mg.exp, or
    take x.detach() for the numbers alone
    """


class Untraceable(Exception):
    """A cell or a function does what can't be compiled; the text says what.

    >>> try:
    ...     mg.trace(lambda p, x, h: (h, h * x.numpy()), [], mg.ones((4, 3)), mg.ones((4, 3)))
    ... except mg.errors.Untraceable as error:
    ...     print(error)
    it reads ...
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        raised = refusals.get()
        if raised is not None:
            raised.append(self)


# The refusals raised since a trace began: code that is traced may catch them, and go on.
refusals: ContextVar[list[Untraceable] | None] = ContextVar("refusals", default=None)


class BackendError(RuntimeError):
    """A backend is unknown, can't start here, or doesn't do what was asked.

    >>> try:
    ...     mg.get_backend("nunpy")
    ... except mg.BackendError as error:
    ...     print(error)
    unknown backend 'nunpy'; known are ... Did you mean 'numpy'?
    """


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


class FusionError(RuntimeError):
    """MINIGRAD_FUSED=require, and something can't be fused; the text says why.

    >>> import os
    >>> os.environ["MINIGRAD_FUSED"] = "require"
    >>> try:
    ...     with mg.use_backend("numpy"):
    ...         mg.functional.gelu(mg.ones(()))
    ... except mg.errors.FusionError as error:
    ...     print(error)
    ... finally:
    ...     del os.environ["MINIGRAD_FUSED"]
    MINIGRAD_FUSED=require, but gelu on backend 'numpy' can't be fused: its tensors have no axes
    """
