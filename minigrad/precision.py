"""How exact the products of float32 matrices are, where a backend has faster ones."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar, Token
from typing import Any

from .utils.scope import Scope
from .utils.settings import Variable, why_not_among

__all__ = ["set_products"]

# By their names: into how many bf16 numbers a float32 number is split; 0 if it is not.
PARTS = {"float32": 0, "bf16x6": 3, "bf16x3": 2, "bf16": 1}

_why_not = why_not_among(PARTS)
_variable = Variable("MINIGRAD_PRODUCTS", _why_not)
_chosen: ContextVar[str | None] = ContextVar("minigrad_products", default=None)


def products() -> str:
    """What holds here: the innermost `set_products`, else MINIGRAD_PRODUCTS, else "float32"."""
    return _chosen.get() or _variable.get() or "float32"


class set_products(Scope):
    """Choose how exact products of float32 matrices are; also a context manager and a decorator.

    It holds in this thread or async task: from here on, or within the `with` block or the decorated
    function. The environment variable MINIGRAD_PRODUCTS holds wherever nothing is chosen.

    Parameters
    ----------
    mode : "float32", "bf16x6", "bf16x3" or "bf16".
        float32 is the default. bf16x6 takes six products of bf16 numbers for one of float32
        numbers, and is at least as exact as float32. bf16x3 takes three; its errors are at most
        1e-5 of the result's root mean square. bf16 takes one, of rounded operands, with errors of
        about 2e-3.
        Results are float32 in all of them, and so are sums.

    The faster ways are for the backend "numba" on processors with AMX (`minigrad doctor` says
    whether this is one). Elsewhere the products run in float32; there, the backend "numba" warns
    once. They are for large products and for products inside scans; small ones stay in float32, as
    do other dtypes, batches of matrices, and rows with infinity, NaN or extreme numbers, for
    which parts don't do.

    Source: Henry, Tang, Heinecke (2019), "Leveraging the bfloat16 Artificial Intelligence Datatype
    For Higher-Precision Computations".

    >>> with mg.set_products("bf16x3"):
    ...     y = mg.ones((2, 3)) @ mg.ones((3, 4))
    >>> mg.set_products("float32")
    set_products('float32')
    """

    def __init__(self, mode: str) -> None:
        if reason := _why_not(mode):
            raise ValueError(f"set_products: mode {reason}")
        super().__init__(_chosen, mode)
        self._here: Token[str | None] | None = _chosen.set(mode)

    def __enter__(self) -> None:
        self._undo()
        super().__enter__()

    def __call__(self, function: Any) -> Any:
        """The function, whose products are as exact as this says."""
        self._undo()
        return super().__call__(function)

    def _undo(self) -> None:
        """It is for a block or a function, and not from here on."""
        if self._here is not None:
            with contextlib.suppress(ValueError):  # made in another thread or task
                _chosen.reset(self._here)
            self._here = None

    def __repr__(self) -> str:
        return f"set_products({self._value!r})"
