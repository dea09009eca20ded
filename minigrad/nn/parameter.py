"""The tensors of a module: parameters, which are trained, and buffers, which aren't."""

from __future__ import annotations

from typing import Any

from ..engine.creation import tensor
from ..engine.tensor import Tensor
from ..utils.arguments import check_flag
from .parts import Part

__all__ = ["Buffer", "Parameter"]


class Parameter(Part, Tensor):
    """A tensor that is trained: an attribute of a module, with gradients.

    Takes what `mg.tensor` takes and copies it; `requires_grad=False` freezes it.

    >>> import minigrad as mg
    >>> mg.nn.Parameter([1.0, 2.0])
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(
        self, data: Any, requires_grad: bool = True, dtype: Any = None, backend: Any = None
    ) -> None:
        numbers = data.detach() if isinstance(data, Tensor) else data
        made = tensor(numbers, dtype=dtype, backend=backend)
        super().__init__(made._data, made.backend)
        self._as_made()
        self.requires_grad = requires_grad


class Buffer(Part, Tensor):
    """A tensor that belongs to a module's state and isn't trained, such as a running mean.

    Takes what `mg.tensor` takes and copies it. A tensor assigned to an attribute that holds a
    buffer becomes the buffer's new value, without its history. With `persistent=False` it moves and
    converts with its module and isn't part of the state dict.

    >>> mg.nn.Buffer([1.0, 2.0])
    tensor([1., 2.])
    """

    __slots__ = ("persistent",)

    def __init__(
        self, data: Any, dtype: Any = None, backend: Any = None, persistent: bool = True
    ) -> None:
        numbers = data.detach() if isinstance(data, Tensor) else data
        made = tensor(numbers, dtype=dtype, backend=backend)
        super().__init__(made._data, made.backend)
        self._as_made()
        self.persistent = check_flag("Buffer", "persistent", persistent)

    def __reduce__(self) -> Any:
        return _buffer, (self.persistent, *super().__reduce__())


def _buffer(persistent: bool, rebuild: Any, given: tuple[Any, ...]) -> Buffer:
    """A copied or unpickled buffer."""
    made: Buffer = rebuild(*given)
    made.persistent = persistent
    return made
