"""Tensors from data, and from nothing: NumPy's names, on the current backend."""

from __future__ import annotations

from contextvars import ContextVar
from itertools import takewhile
from typing import Any

import numpy as np

from ..errors import BackendError
from . import inplace
from .explain import nearest
from .registry import current_backend, get_backend
from .tensor import Tensor, wrap
from .to_numpy import check_gradient

__all__ = ["arange", "empty", "eye", "from_dlpack", "full", "full_like", "linspace", "ones"]
__all__ += ["ones_like", "set_default_dtype", "get_default_dtype", "tensor", "zeros", "zeros_like"]

_default_dtype = [np.dtype(np.float32)]
# While a computation is run again: the default that it had.
dtype_again: ContextVar[np.dtype | None] = ContextVar("minigrad_dtype_again", default=None)


def get_default_dtype() -> np.dtype:
    """The dtype of new float tensors: float32 unless `set_default_dtype` said otherwise.

    >>> mg.get_default_dtype()
    dtype('float32')
    """
    again = dtype_again.get()
    return _default_dtype[0] if again is None else again


def set_default_dtype(dtype: Any) -> None:
    """Make a float dtype that of new float tensors; float64 is what gradient checks want.

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
    """The NumPy dtype that a user means; TypeError names the nearest one that tensors can have."""
    try:
        found = np.dtype(dtype) if dtype is not None else None
    except TypeError:
        found = None
    if found is not None and found.kind in "fiub":
        return found
    if found is not None:
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
            array = target.from_host(_host_array(data, dtype))
    if array.dtype.kind not in "fiub":
        raise TypeError(f"tensors are of float, integer or bool dtype; got {array.dtype}")
    return _finish(array, target, requires_grad)


def _host_array(data: Any, dtype: Any) -> np.ndarray:
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
    inplace.mark_editable(shared, target)  # its owner may write to it
    return wrap(shared, target)._as_made()


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


def _is_size(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


_EXAMPLES = {"eye": "eye(3)", "full": "full((2, 3), 7)"}
_EXAMPLES |= {"layer_norm": "layer_norm(x, 3)", "linspace": "linspace(0, 1, 5)"}


def as_shape(asked_by: str, shape: Any) -> tuple[int, ...]:
    """A shape that a user gave: an integer or a sequence of them, none below 0."""
    sizes = shape if isinstance(shape, (list, tuple, np.ndarray)) else (shape,)
    for n in sizes:
        if not _is_size(n):
            example = _EXAMPLES.get(asked_by, f"{asked_by}((2, 3))")
            given = f"{type(n).__name__} {n!r:.40}"
            if isinstance(n, Tensor):
                given = "a tensor; int(n) makes a size of one number"
            elif isinstance(n, (list, tuple, np.ndarray)):
                given += "; mg.tensor(...) makes a tensor of these numbers"
            raise TypeError(f"{asked_by}: a size is an integer, as in mg.{example}; got {given}")
        if n < 0:
            raise ValueError(f"{asked_by}: a size is 0 or more; got {n} in shape {tuple(sizes)}")
    return tuple(int(n) if isinstance(n, np.integer) else n for n in sizes)


def shape_and_options(
    asked_by: str, shape: Any, more: tuple[Any, ...], **options: Any
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """What was given to a function of a shape, such as `zeros(2, 3, dtype="float64")`.

    The sizes are one sequence or arguments of their own; `more` holds what follows the first by
    position: more sizes, then dtype, requires_grad and backend, as far as they are there.
    """
    sizes = list(takewhile(_is_size, more)) if _is_size(shape) else []
    others = more[len(sizes) :]
    if others and isinstance(others[0], float):
        as_shape(asked_by, (others[0],))  # raises: no size is a float
    if others and isinstance(others[0], (int, list, tuple, np.ndarray)):
        raise TypeError(
            f"{asked_by}: after {shape!r:.40} comes the dtype; got {others[0]!r:.40}. Write the "
            f"sizes in one tuple, and options by name: mg.{asked_by}((2, 3), requires_grad=True)"
        )
    if len(others) > len(options):
        raise TypeError(
            f"{asked_by} takes a shape, then {', '.join(options)}; got {len(others)} more arguments"
        )
    options.update(zip(options, others, strict=False))
    dtype = options["dtype"]
    options["dtype"] = get_default_dtype() if dtype is None else as_dtype(asked_by, dtype)
    return as_shape(asked_by, [shape, *sizes] if _is_size(shape) else shape), options


def _finish(array: Any, backend: Any, requires_grad: bool) -> Tensor:
    out = wrap(array, backend)._as_made()
    if requires_grad is not False:
        out.requires_grad = requires_grad
    return out


def zeros(
    shape: Any,
    *more: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """A tensor of zeros: `zeros(2, 3)` or `zeros((2, 3))`; of the default dtype if None is given.

    >>> import minigrad as mg
    >>> mg.zeros((2, 2))
    tensor([[0., 0.],
            [0., 0.]])
    >>> mg.zeros(2, 2, dtype="int64")
    tensor([[0, 0],
            [0, 0]])
    """
    return _all_equal("zeros", 0, shape, more, dtype, requires_grad, backend)


def ones(
    shape: Any,
    *more: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """A tensor of ones: `ones(2, 3)` or `ones((2, 3))`; of the default dtype if None is given.

    >>> mg.ones(2, 3)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    return _all_equal("ones", 1, shape, more, dtype, requires_grad, backend)


def empty(
    shape: Any,
    *more: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """As `zeros`: a tensor whose values don't matter, and are defined all the same.

    >>> mg.empty(2, 3).shape
    (2, 3)
    """
    return _all_equal("empty", 0, shape, more, dtype, requires_grad, backend)


def _all_equal(
    name: str,
    value: float,
    shape: Any,
    more: tuple[Any, ...],
    dtype: Any,
    requires_grad: bool,
    backend: Any,
) -> Tensor:
    shape, options = shape_and_options(
        name, shape, more, dtype=dtype, requires_grad=requires_grad, backend=backend
    )
    return full(shape, value, **options)


def full(
    shape: Any,
    fill_value: float,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: Any = None,
) -> Tensor:
    """A tensor of one value; its dtype is that of the value unless another is given.

    >>> mg.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    target = get_backend(backend) if backend is not None else current_backend()
    shape = as_shape("full", shape)
    if isinstance(fill_value, Tensor):
        raise TypeError(
            f"full: the value is a number; got a tensor of shape {fill_value.shape}. Spread it "
            f"with mg.broadcast_to(x, {shape}), through which gradients flow"
        )
    if dtype is None:
        dtype = _host_array(fill_value, None).dtype
    try:
        array = target.full(shape, fill_value, dtype=as_dtype("full", dtype))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"full: the value {fill_value!r:.60} doesn't fit shape {shape}; the shape comes first, "
            "as in mg.full((2, 3), 7)"
        ) from error
    return _finish(array, target, requires_grad)


def zeros_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape, dtype and backend of x.

    >>> mg.zeros_like(mg.ones(2))
    tensor([0., 0.])
    """
    return full_like(x, 0, dtype, requires_grad)


def ones_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape, dtype and backend of x.

    >>> mg.ones_like(mg.zeros(2))
    tensor([1., 1.])
    """
    return full_like(x, 1, dtype, requires_grad)


def full_like(x: Any, fill_value: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """One value in the shape, dtype and on the backend of x, a tensor or what `tensor` takes.

    >>> mg.full_like(mg.ones(2), 7)
    tensor([7., 7.])
    """
    x = x if isinstance(x, Tensor) else tensor(x)
    dtype = x.dtype if dtype is None else dtype
    return full(x.shape, fill_value, dtype, requires_grad, x.backend)


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
    if isinstance(step, (int, float)) and step == 0:
        raise ValueError(f"arange: the step must not be 0; got arange({start}, {stop}, {step})")
    array = _spaced("arange", "(0, 10, 2)", np.arange, start, stop, step)
    return tensor(_as_default(array, dtype), requires_grad, dtype, backend)


def _spaced(name: str, example: str, make: Any, *numbers: Any) -> np.ndarray:
    try:
        if any(number is None or isinstance(number, str) for number in numbers):
            raise TypeError("these are no numbers")
        return make(*numbers)
    except TypeError as error:
        given = ", ".join(f"{number!r:.40}" for number in numbers)
        raise TypeError(f"{name} takes numbers, as in mg.{name}{example}; got {given}") from error


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
    num = as_shape("linspace", num)[0]
    array = _spaced("linspace", "(0, 1, 5)", np.linspace, start, stop, num)
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
    rows, columns = as_shape("eye", (n, n if m is None else m))
    dtype = get_default_dtype() if dtype is None else dtype
    return tensor(np.eye(rows, columns), requires_grad, dtype, backend)


def _as_default(array: np.ndarray, dtype: Any) -> np.ndarray:
    if dtype is None and array.dtype.kind == "f":
        return array.astype(get_default_dtype())
    return array
