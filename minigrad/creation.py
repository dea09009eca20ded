"""Tensors from data, and from nothing: NumPy's names, on the current backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import guard
from .backend import BackendError, current_backend, get_backend
from .tensor import Tensor, wrap

__all__ = ["arange", "empty", "eye", "from_dlpack", "full", "full_like", "linspace", "ones"]
__all__ += ["ones_like", "set_default_dtype", "get_default_dtype", "tensor", "zeros", "zeros_like"]

_default_dtype = [np.dtype(np.float32)]


def get_default_dtype() -> np.dtype:
    """The dtype of new float tensors: float32 unless `set_default_dtype` said otherwise.

    >>> mg.get_default_dtype()
    dtype('float32')
    """
    return _default_dtype[0]


def set_default_dtype(dtype: Any) -> None:
    """Make a float dtype that of new float tensors; float64 is what gradient checks want.

    >>> mg.set_default_dtype("float64")
    >>> mg.tensor([0.5]).dtype
    dtype('float64')
    >>> mg.set_default_dtype("float32")
    """
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"the default dtype must be a float dtype; got {dtype}")
    _default_dtype[0] = dtype


def tensor(
    data: Any, requires_grad: bool = False, dtype: Any = None, backend: Any = None
) -> Tensor:
    """A tensor with a copy of `data`.

    Parameters
    ----------
    data : a number, nested lists of numbers, a NumPy array, an array of the backend, or a tensor.
    requires_grad : whether gradients are to flow to it (float dtypes only).
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
    if isinstance(data, Tensor):
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
            array = target.from_host(_host_array(data, dtype))
    if array.dtype.kind not in "fiub":
        raise TypeError(f"tensors are of float, integer or bool dtype; got {array.dtype}")
    out = wrap(array, target)
    if requires_grad:
        out.requires_grad = True
    return out


def _host_array(data: Any, dtype: Any) -> np.ndarray:
    typed = hasattr(data, "dtype")
    if not typed and isinstance(data, (list, tuple)) and any(isinstance(x, Tensor) for x in data):
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

    An array on a GPU, of CuPy, PyTorch, JAX and others, goes to backend "cupy", one in the host's
    memory to a host's backend; anything else raises BackendError, since it can't be shared.

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
    guard.expose(shared, target)  # its owner may write to it
    return wrap(shared, target)


def _shared(array: Any, target: Any) -> Any:
    """Another library's array as one of `target`, in the same memory."""
    on_device = _is_on_device(array)
    if on_device and target.is_host:
        raise BackendError(
            f"an array on a device is none that backend {target.name!r} can read; pass "
            f"backend='cupy', and the tensor's .to({target.name!r}) moves it to the host"
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


# --- by shape ------------------------------------------------------------------------------


def _shaped(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(shape)


def _finish(array: Any, backend: Any, requires_grad: bool) -> Tensor:
    out = wrap(array, backend)
    if requires_grad:
        out.requires_grad = True
    return out


def zeros(
    shape: Any, dtype: Any = None, requires_grad: bool = False, backend: Any = None
) -> Tensor:
    """A tensor of zeros; float32 unless told.

    >>> import minigrad as mg
    >>> mg.zeros((2, 2))
    tensor([[0., 0.],
            [0., 0.]])
    """
    return full(shape, 0, dtype or get_default_dtype(), requires_grad, backend)


def ones(shape: Any, dtype: Any = None, requires_grad: bool = False, backend: Any = None) -> Tensor:
    """A tensor of ones; float32 unless told.

    >>> mg.ones((2, 3))
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    return full(shape, 1, dtype or get_default_dtype(), requires_grad, backend)


def full(
    shape: Any,
    fill_value: float,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """A tensor of one value; its dtype is that of the value unless told.

    >>> mg.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    target = get_backend(backend) if backend is not None else current_backend()
    if dtype is None:
        dtype = _host_array(fill_value, None).dtype
    return _finish(target.full(_shaped(shape), fill_value, dtype=dtype), target, requires_grad)


def empty(
    shape: Any, dtype: Any = None, requires_grad: bool = False, backend: Any = None
) -> Tensor:
    """As `zeros`: a tensor whose values don't matter, and are defined all the same.

    >>> mg.empty((2, 3)).shape
    (2, 3)
    """
    return zeros(shape, dtype, requires_grad, backend)


def zeros_like(x: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape, dtype and backend of x.

    >>> mg.zeros_like(mg.ones(2))
    tensor([0., 0.])
    """
    return full(x.shape, 0, dtype or x.dtype, requires_grad, x.backend)


def ones_like(x: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape, dtype and backend of x.

    >>> mg.ones_like(mg.zeros(2))
    tensor([1., 1.])
    """
    return full(x.shape, 1, dtype or x.dtype, requires_grad, x.backend)


def full_like(
    x: Tensor, fill_value: float, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """One value in the shape, dtype and on the backend of x.

    >>> mg.full_like(mg.ones(2), 7)
    tensor([7., 7.])
    """
    return full(x.shape, fill_value, dtype or x.dtype, requires_grad, x.backend)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """Evenly spaced numbers from `start` (0 if only one is given) up to, without, `stop`.

    >>> import minigrad as mg
    >>> mg.arange(3)
    tensor([0, 1, 2])
    """
    if stop is None:
        start, stop = 0, start
    array = np.arange(start, stop, step)
    return tensor(_as_default(array, dtype), requires_grad, dtype, backend)


def linspace(
    start: float,
    stop: float,
    num: int = 50,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """`num` evenly spaced numbers from `start` to `stop`, both included.

    >>> mg.linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    array = np.linspace(start, stop, num)
    return tensor(_as_default(array, dtype), requires_grad, dtype, backend)


def eye(
    n: int,
    m: int | None = None,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix, zeros elsewhere; square if m is None.

    >>> mg.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    return tensor(np.eye(n, m), requires_grad, dtype or get_default_dtype(), backend)


def _as_default(array: np.ndarray, dtype: Any) -> np.ndarray:
    if dtype is None and array.dtype.kind == "f":
        return array.astype(get_default_dtype())
    return array
