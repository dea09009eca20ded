"""Tensors from data, and the dtypes that they have."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import numpy as np

from ..errors import BackendError
from ..utils.spelling import nearest
from . import inplace
from .registry import current_backend, get_backend
from .tensor import Tensor
from .to_numpy import check_gradient
from .wrapping import wrap

__all__ = ["from_dlpack", "get_default_dtype", "set_default_dtype", "tensor"]

_default_dtype = [np.dtype(np.float32)]
# While a computation is run again: the default that it had.
dtype_again: ContextVar[np.dtype | None] = ContextVar("minigrad_dtype_again", default=None)


def get_default_dtype() -> np.dtype:
    """The dtype of new float tensors: float32, or what `set_default_dtype` set.

    >>> mg.get_default_dtype()
    dtype('float32')
    """
    again = dtype_again.get()
    return _default_dtype[0] if again is None else again


def set_default_dtype(dtype: Any) -> None:
    """Set the dtype of new float tensors; gradient checks need float64.

    Raises TypeError unless it is a float dtype.

    >>> mg.set_default_dtype("float64")
    >>> mg.tensor([0.5]).dtype
    dtype('float64')
    >>> mg.set_default_dtype("float32")
    """
    dtype = as_dtype("set_default_dtype", dtype)
    if dtype.kind != "f":
        raise TypeError(f"the default dtype must be a float dtype; got {dtype}")
    _default_dtype[0] = dtype


_DTYPES = ["bool", *(f"{kind}{n}" for kind in ("int", "uint", "float") for n in (8, 16, 32, 64))]
_DTYPES.remove("float8")


def as_dtype(asked_by: str, dtype: Any) -> np.dtype:
    """The NumPy dtype that a user means, by `mg.float32`, its name or a Python type.

    TypeError names the nearest one that tensors can have.
    """
    try:
        is_text = isinstance(dtype, str) and dtype.startswith("a")  # of old NumPys, which warn
        found = None if dtype is None or is_text else np.dtype(dtype)
    except TypeError:
        found = None
    if found is not None and found.kind in "fiub":
        return found
    if found is not None and found.itemsize:  # "a" would be text of no length
        raise TypeError(
            f"{asked_by}: {found} is not supported; use a float, integer or bool dtype, such as "
            "'float32'"
        )
    name = str(dtype).rpartition(".")[2]  # PyTorch's are called torch.float32
    near = nearest(name, _DTYPES)
    hint = f"did you mean {near!r}?" if near else "use 'float32', 'int64', 'bool' or the like"
    raise TypeError(f"{asked_by}: {dtype!r:.60} is no dtype; {hint}")


def tensor(
    data: Any, requires_grad: bool = False, dtype: Any = None, backend: Any = None
) -> Tensor:
    """A tensor with a copy of `data`.

    Parameters
    ----------
    data : a number, nested lists of numbers, a NumPy array, an array of the backend, or a tensor.
    requires_grad : whether gradients flow to it (float dtypes only).
    dtype : as NumPy has it. Without it, arrays keep theirs, Python floats become the default
        dtype (float32), integers int64, truth values bool.
    backend : a name or a backend; the tensor's own, else the current one, if None.

    Raises
    ------
    TypeError : data that is not numeric or is ragged, or a gradient asked of integers.

    Examples
    --------
    >>> import minigrad as mg
    >>> mg.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> mg.tensor([1.5], requires_grad=True).dtype
    dtype('float32')
    """
    if dtype is not None:
        dtype = as_dtype("tensor", dtype)
    if isinstance(data, Tensor):
        if requires_grad is False:  # else a new leaf is what is asked for
            check_gradient("tensor", data, "It makes a new one: use the given tensor itself")
        target = get_backend(backend) if backend is not None else data.backend
        array = data._data if target is data.backend else target.from_host(data.numpy())
        array = target.astype(array, dtype) if dtype is not None else target.copy(array)
    else:
        target = get_backend(backend) if backend is not None else current_backend()
        if isinstance(data, target.array_type):
            array = target.astype(data, dtype) if dtype is not None else target.copy(data)
        elif _is_on_device(data):
            array = target.copy(_shared(data, target))
            array = target.astype(array, dtype) if dtype is not None else array
        else:
            array = target.from_host(host_array(data, dtype))
    if array.dtype.kind not in "fiub":
        raise TypeError(f"tensors are of float, integer or bool dtype; got {array.dtype}")
    return finish(array, target, requires_grad)


def host_array(data: Any, dtype: Any) -> np.ndarray:
    """A NumPy array of what a user gave; TypeError if it holds no numbers."""
    if data is None:  # NumPy would make a NaN of it
        raise TypeError(
            "can't make a tensor of NoneType None: tensors hold numbers or truth values"
        )
    typed = hasattr(data, "dtype")
    if not typed and isinstance(data, (list, tuple)) and any(isinstance(x, Tensor) for x in data):
        for x in data:
            check_gradient("tensor", x, "It makes a new one: join tensors with mg.stack")
        data = [x.numpy() if isinstance(x, Tensor) else x for x in data]
        typed = True
    try:
        array = np.asarray(data, dtype=dtype)
    except (ValueError, TypeError) as error:
        raise TypeError(f"can't make a tensor of {type(data).__name__}: {error}") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"can't make a tensor of {type(data).__name__} {data!r:.60}: its elements are "
            f"{array.dtype}, and tensors hold numbers or truth values"
        )
    if dtype is None and not typed and array.dtype.kind == "f":
        array = array.astype(get_default_dtype())
    return array


def from_dlpack(array: Any, backend: Any = None) -> Tensor:
    """A tensor that shares memory with another library's array, through DLPack.

    An array of CuPy, PyTorch, JAX and others that lies on a GPU needs backend "cupy", one in the
    host's memory a backend of the host. Raises BackendError otherwise, as it can't be shared.

    >>> import minigrad as mg
    >>> import numpy as np
    >>> array = np.zeros(2)
    >>> x = mg.from_dlpack(array)
    >>> array[0] = 5
    >>> x
    tensor([5., 0.], dtype=float64)
    """
    target = get_backend(backend) if backend is not None else current_backend()
    shared = target.asarray(_shared(array, target))
    inplace.mark_editable(shared, target)  # its owner may write to it
    return wrap(shared, target)._as_made()


def _shared(array: Any, target: Any) -> Any:
    """Another library's array as one of `target`, in the same memory."""
    on_device = _is_on_device(array)
    if on_device and target.is_host:
        raise BackendError(
            f"backend {target.name!r} can't read an array on a device; pass backend='cupy', and "
            f"move the tensor with .to({target.name!r})"
        )
    if not on_device and not target.is_host:
        raise BackendError(
            f"an array in the host's memory can't be shared with backend {target.name!r}; copy it "
            f"there by mg.tensor(array, backend={target.name!r})"
        )
    return target.xp.from_dlpack(array)


def _is_on_device(data: Any) -> bool:
    """Whether data is an array that says it is not in the host's memory."""
    told = getattr(type(data), "__dlpack_device__", None)
    return told is not None and int(told(data)[0]) not in _HOST_KINDS


_HOST_KINDS = (1, 3)  # of DLPack: the CPU's memory, and what is pinned there for CUDA


def finish(array: Any, backend: Any, requires_grad: bool) -> Tensor:
    """The tensor of an array that was made for it."""
    out = wrap(array, backend)._as_made()
    if requires_grad is not False:
        out.requires_grad = requires_grad
    return out
