"""Conversions: between dtypes, and between backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine.creation import as_dtype
from ..engine.graph import HandmadeOp, Node, grad_enabled
from ..engine.op import op
from ..engine.registry import backend_at
from ..engine.tensor import Tensor
from ..engine.wrapping import wrap
from ..utils.summation import HALF, SINGLE

__all__ = ["astype", "transfer"]


@op
def cast(xp, x, *, dtype):
    """x in another float dtype.

    >>> cast(mg.ones(2), dtype=np.dtype("float64"))
    tensor([1., 1.], dtype=float64)
    """
    return xp.astype(x, dtype)


cast.vjp(x=lambda g, like: cast(g, dtype=like.dtype))


@op
def discretize(xp, x, *, dtype):
    """x as integers or truth values, which have no gradient.

    >>> discretize(mg.tensor([0.5, 2.9]), dtype=np.dtype("int64"))
    tensor([0, 2])
    """
    return xp.astype(x, dtype)


discretize.vjp(x=None)


def astype(x: Any, dtype: Any) -> Any:
    """x in another dtype. Gradients flow between float dtypes and stop at all others.

    `dtype` is a NumPy dtype or its name. Raises TypeError for one that tensors can't have.

    >>> import minigrad as mg
    >>> mg.astype(mg.tensor([1.5, 2.5]), "int64")
    tensor([1, 2])
    """
    target = as_dtype("astype", dtype)
    return cast(x, dtype=target) if target.kind == "f" else discretize(x, dtype=target)


def in_float32(f: Callable[..., Any], x: Tensor, *others: Any) -> Tensor:
    """f(x, *others), calculated in float32 if x is float16, which overflows and rounds early.

    The result is float16 again if all tensors are.
    """
    if x.dtype != HALF:
        return f(x, *others)
    kinds = {t.dtype for t in (x, *others) if isinstance(t, Tensor) and t.dtype.kind == "f"}
    y = f(*(cast(t, dtype=SINGLE) if _is_half(t) else t for t in (x, *others)))
    return cast(y, dtype=HALF) if kinds == {HALF} else y


def _is_half(x: Any) -> bool:
    return isinstance(x, Tensor) and x.dtype == HALF


def transfer(x: Tensor, target: Any) -> Tensor:
    """x on the backend object `target`; see `Tensor.to`.

    >>> mg.transfer(mg.ones(2), mg.get_backend("numpy"))
    tensor([1., 1.])
    """
    out = wrap(_moved(x._data, x.backend, target), target)
    if x._node is not None and grad_enabled.get():
        out._node = Node(TRANSFER, (x._node,), (), out.shape, out.dtype, target, (x.backend,))
    return out


def _moved(array: Any, source: Any, target: Any) -> Any:
    """A copy by way of the host, unless both backends have the same kind of arrays."""
    if source.array_type is target.array_type:
        return target.copy(array)
    return target.from_host(source.to_host(array))


def _transfer_back(node: Node, saved: Any, g: Any, sweep: Any) -> None:
    (edge,) = node.edges
    (source,) = node.settings
    is_tensor = isinstance(g, Tensor)
    sweep.give(edge, transfer(g, source) if is_tensor else _moved(g, node.backend, source))


TRANSFER = HandmadeOp("transfer", _transfer_back)


def to(self: Tensor, backend: Any) -> Tensor:
    """This tensor on another backend (a name or an object); gradients flow back.

    A device is understood where it can mean one backend only: the tensor's own device, and
    "cpu", which is the tensor's own backend if that is on the host, else NumPy. Raises BackendError
    if the backend is unknown or can't start here.

    >>> mg.ones(2).to("numpy").backend.name
    'numpy'
    """
    target = backend_at(backend, self.backend)
    if target is self.backend:
        return self
    return transfer(self, target)
