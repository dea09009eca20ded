"""Tensor: an array, the backend that computes with it, and its place in the graph.

Operators and methods are ops; `minigrad.ops` attaches them at import (see `methods.py` there),
so that each op has one definition.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Self

import numpy as np

from ..errors import Untraceable, refusals
from ..other_names.size import Size
from . import deferred, inplace
from .graph import HandmadeOp, Node
from .hooks import HookHandle
from .methods import Methods
from .registry import get_backend


class Tensor(Methods["Tensor"]):
    """An array that remembers how it was computed; made by `mg.tensor`, `mg.zeros` and so on.

    Attributes
    ----------
    data : the backend's own array. You may edit it unless a graph saved it; `backward()` raises if
        a saved array was edited.
    grad : Tensor or None, filled by `backward()`; of the shape and dtype of the tensor.
    backend : the backend that computes with it.
    requires_grad : whether gradients flow to it. Can be set on leaves of a float dtype; a leaf that
        is frozen (False) when a backward pass reaches it gets no `.grad`.
    shape, dtype, ndim, size : as NumPy has them.

    Within `no_grad()`, `x += y` edits x in place if x was made by hand: a parameter, a buffer, a
    gradient, or a tensor from `mg.zeros` and the like. A function should therefore write x = x + y
    for its arguments. In all other cases `x += y` makes a new tensor; with gradients on, it is an
    error for a leaf that requires one. `x[index] = y` edits a leaf. No edit changes arrays that a
    graph saved, or other tensors: `x.detach()` and `x[0]` keep their numbers. A view of x (`x[0]`,
    `x.T`, `x.reshape(...)`) can't be edited while x lives: write `x[0, 1] = y` in place of
    `x[0][1] = y`. In cells and fused functions `x += y` always makes a new tensor.

    Examples
    --------
    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("__weakref__", "_data", "_leaf", "_node", "_shared", "backend", "grad")

    _data: Any
    _node: Node | None
    _leaf: Leaf | None  # its node as a leaf, if it had one; unset for the results of ops
    _shared: bool  # set for results of ops that may be views of another tensor's memory
    backend: Any
    grad: Tensor | None

    __array_priority__ = 1000  # `array * tensor` is a tensor, for arrays of CuPy, too

    def __init__(self, data: Any = None, backend: Any = None, node: Node | None = None) -> None:
        """Wraps an array of `backend`; use `mg.tensor(...)` to make one from anything else."""
        if data.__class__ is not getattr(backend, "array_type", None):
            _check_array(data, backend)
        self._data = data
        self.backend = backend
        self.grad = None
        self._node = node

    # --- what it is ------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """The backend's own array, not a copy."""
        return inplace.lend(self)

    @data.setter
    def data(self, value: Any) -> None:
        array = value._data if isinstance(value, Tensor) else value
        if not isinstance(array, self.backend.array_type):
            array = self.backend.asarray(array, dtype=self.dtype)
        if array.shape != self._data.shape or array.dtype != self._data.dtype:
            raise ValueError(
                f"data of a tensor of shape {self.shape} and dtype {self.dtype} can't become an "
                f"array of shape {array.shape} and dtype {array.dtype}; make a new tensor instead"
            )
        # A tensor's array is minigrad's already; any other is the user's, who may write to it.
        self._data = array if isinstance(value, Tensor) else inplace.borrow(array, self.backend)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self._data.shape

    @property
    def dtype(self) -> Any:
        """The type of its elements, as a NumPy dtype."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """How many elements it has."""
        return Size(math.prod(self._data.shape))

    @property
    def device(self) -> str:
        """Where its array lives, such as "cpu"; the backend names it."""
        return self.backend.device

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to it."""
        _refuse_in_a_trace()
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(
                f"requires_grad is True or False; got {type(value).__name__} {value!r:.40}. A "
                "dtype is given by its name: dtype='float64'"
            )
        if value == self.requires_grad:
            return
        if not self.is_leaf:
            raise RuntimeError(
                "requires_grad can't be switched off on the result of an op; "
                "use x.detach() for a tensor without history"
            )
        if value and self.dtype.kind != "f":
            raise TypeError(
                f"only float tensors can require a gradient; this one is {self.dtype}. "
                "Convert it first: x.astype('float32')"
            )
        self._node = self._as_leaf() if value else None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad`, and return the tensor; False freezes it.

        >>> import minigrad as mg
        >>> w = mg.ones(2).requires_grad_()
        >>> loss = (w * 3).sum()
        >>> _ = w.requires_grad_(False)
        >>> loss.backward()
        >>> w.grad is None
        True
        """
        self.requires_grad = requires_grad
        return self

    def _as_made(self) -> Self:
        """Mark it as made by hand, not by an op, so that `x += y` may edit it."""
        if not hasattr(self, "_leaf"):
            self._leaf = None
        return self

    def _as_leaf(self) -> Leaf:
        """Its node as a leaf: the same one after it was frozen, since older graphs have it."""
        leaf: Leaf | None = getattr(self, "_leaf", None)
        if leaf is None or (leaf.dtype, leaf.backend) != (self.dtype, self.backend):
            hooks = None if leaf is None else leaf.hooks
            leaf = self._leaf = Leaf(self)
            leaf.hooks = hooks
        return leaf

    @property
    def is_leaf(self) -> bool:
        """Whether the user made it, rather than an op that the graph remembers."""
        _refuse_in_a_trace()
        return self._node is None or isinstance(self._node, Leaf)

    # --- differentiation -------------------------------------------------------------------

    def detach(self) -> Tensor:
        """The same numbers without history: gradients stop here.

        Both share one array until one of them is edited. An edit (`d += 1`, `d[0] = 1` and the
        like) gives the tensor that it is made of a new array; the other keeps its numbers, unlike
        in PyTorch. Only what is written into the array itself (`d.data[0] = 1`) reaches both.

        >>> import minigrad as mg
        >>> w = mg.ones(2, requires_grad=True)
        >>> d = w.detach()
        >>> d[0] = 5
        >>> w, d
        (tensor([1., 1.], requires_grad=True), tensor([5., 1.]))
        """
        return Tensor(self._data, self.backend)._as_made()

    def register_hook(self, hook: Callable[[Tensor], Any]) -> HookHandle:
        """Call `hook(gradient)` when this tensor's gradient is complete; it may change it.

        A hook returns the new gradient, a tensor of the same shape, dtype and backend, or edits
        the one that it gets (`g *= 2`, `g[0] = 0`) and returns nothing. It may keep that gradient.
        Hooks run in the order of their registration, each once per backward pass. The same function
        may be registered twice.

        Returns
        -------
        A handle: `handle.remove()` (or `handle()`) removes this registration, and so does the end
        of a `with` block of it.

        Raises
        ------
        RuntimeError : the tensor requires no gradient; in the backward pass, if the hook edits
            `g.numpy()`, a copy, and returns nothing.
        TypeError : in the backward pass, if the hook returns something else.

        >>> import minigrad as mg
        >>> x = mg.ones(2, requires_grad=True)
        >>> handle = x.register_hook(lambda g: g * 10)
        >>> (x * 3).sum().backward()
        >>> x.grad
        tensor([30., 30.])
        >>> handle.remove()
        """
        if self._node is None:
            raise RuntimeError("a hook needs a tensor that requires a gradient")
        return self._node.own_hooks().add(hook)

    def retain_grad(self) -> None:
        """Fill `.grad` of this tensor, too, though it is no leaf.

        It becomes a copy of the gradient after all hooks. Raises RuntimeError if the
        tensor requires no gradient.

        >>> import minigrad as mg
        >>> x = mg.ones(2, requires_grad=True)
        >>> y = x * 3
        >>> y.retain_grad()
        >>> (y * y).sum().backward()
        >>> y.grad
        tensor([6., 6.])
        """
        if self._node is None:
            raise RuntimeError("retain_grad() needs a tensor that requires a gradient")
        if not self.is_leaf:
            self._node.own_hooks().keep_in(self)

    def zero_grad(self) -> None:
        """Forget the gradient: `.grad` becomes None.

        >>> import minigrad as mg
        >>> x = mg.ones(2, requires_grad=True)
        >>> x.sum().backward()
        >>> x.zero_grad()
        >>> x.grad is None
        True
        """
        self.grad = None

    # --- out of minigrad -------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """A NumPy copy, from any backend; it is the caller's own to edit.

        On a device this waits until everything is computed, and raises what went wrong meanwhile.

        >>> import minigrad as mg
        >>> mg.ones(2).numpy()
        array([1., 1.], dtype=float32)
        """
        deferred.raise_pending(self.backend)
        return self.backend.to_host(self._data)

    def item(self) -> Any:
        """The value of a tensor of one element as a Python number.

        Raises ValueError if it has more elements, or none.

        >>> import minigrad as mg
        >>> mg.tensor([[2.5]]).item()
        2.5
        """
        if self.size != 1:
            raise ValueError(f"item() needs one element; this tensor has shape {self.shape}")
        return self.numpy().item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers, or a number if it has no axes.

        >>> import minigrad as mg
        >>> mg.tensor([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
        """
        return self.numpy().tolist()

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise BufferError("a tensor that requires a gradient can't be exported; detach() first")
        return inplace.lend(self).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._data.__dlpack_device__()

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            raise TypeError("only leaves can be copied or pickled; use x.detach()")
        return _rebuild, (type(self), self.numpy(), self.backend.name, self.requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        make, given = self.__reduce__()
        memo[id(self)] = twin = make(*given)
        twin.grad = None if self.grad is None else deepcopy(self.grad.detach(), memo)
        return twin

    # --- Python's protocols ----------------------------------------------------------------

    def __repr__(self) -> str:
        text = np.array2string(self.numpy(), separator=", ", prefix="tensor(", threshold=100)
        extras = f", shape={self.shape}" if self.ndim > 1 and not self.size else ""
        if self.dtype not in (np.float32, np.int64, np.bool_):
            extras += f", dtype={self.dtype}"
        if self.backend.name != "numpy":
            extras += f", backend={self.backend.name!r}"
        if isinstance(self._node, Leaf):
            extras += ", requires_grad=True"
        elif self._node is not None:
            extras += f", op={self._node.op.name}"
        return f"tensor({text}{extras})"

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("a tensor of no dimensions has no length")
        return self.shape[0]

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {self.shape} is ambiguous; use any() or all()"
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"only integer tensors can be an index; this one is {self.dtype}")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(repr(self), spec)

    __hash__ = object.__hash__  # by identity, though == compares elements


def _check_array(data: Any, backend: Any) -> None:
    """Raise unless a tensor can wrap `data`: it may be of a subclass of the backend's arrays."""
    kind = getattr(backend, "array_type", None)
    if kind is None or not isinstance(data, kind):
        raise TypeError(
            "mg.Tensor(array, backend) wraps a backend's own array. Use mg.tensor([3.0, 4.0]) for "
            "a tensor of given numbers, mg.zeros((3, 4)) for one of a given shape"
        )


def _rebuild(kind: type[Tensor], array: np.ndarray, backend: str, requires_grad: bool) -> Tensor:
    target = get_backend(backend)
    made = kind.__new__(kind)
    Tensor.__init__(made, target.from_host(array), target)
    made._as_made().requires_grad = requires_grad
    return made


def _refuse_in_a_trace() -> None:
    """One program serves arguments with and without a graph: what is traced must not ask."""
    if refusals.get() is not None:
        raise Untraceable("it asks whether gradients flow to a tensor, or what they are")


class Leaf(Node):
    """Stands in the graph for a tensor that the user asked a gradient for."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        super().__init__(_LEAF, (), (), tensor.shape, tensor.dtype, tensor.backend)
        self.tensor = weakref.ref(tensor)


_LEAF = HandmadeOp("leaf")
