"""`mg.nn.init`: initial values of parameters, under PyTorch's names.

Each function gives a tensor new values and returns it. The numbers are drawn on the host in
float64, so that one seed gives the same weights on every backend, whatever the dtype.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.rng import generator
from ..engine.tensor import Tensor
from ..utils.arguments import check_number

__all__ = ["calculate_gain", "constant_", "normal_", "ones_", "orthogonal_", "uniform_", "zeros_"]
__all__ += ["kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_"]


def _tensor(name: str, value: Any) -> Tensor:
    """What to initialise, if it is a tensor."""
    if isinstance(value, Tensor):
        return value
    raise TypeError(
        f"{name} gives new values to a tensor, as in init.{name}(layer.weight); got "
        f"{type(value).__name__}"
        + (". Pass the parameter, not its .data" if isinstance(value, np.ndarray) else "")
    )


def _fill(name: str, tensor: Tensor, values: Any) -> Tensor:
    """Bind new values; the old array stays as it is, since a graph may still need it."""
    if not _tensor(name, tensor).is_leaf:
        raise RuntimeError(
            f"only a leaf can be initialised; this tensor of shape {tensor.shape} is the result "
            "of an op"
        )
    if tensor.dtype.kind != "f":
        raise TypeError(f"only float tensors can be initialised; this one is {tensor.dtype}")
    try:
        values = np.broadcast_to(np.asarray(values, dtype=tensor.dtype), tensor.shape)
    except (ValueError, TypeError) as error:
        raise type(error)(
            f"{name}: {values!r:.60} can't be the values of a tensor of shape {tensor.shape}"
        ) from error
    tensor._data = tensor.backend.from_host(np.array(values, order="C"))
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros.

    >>> mg.nn.init.zeros_(mg.ones(2))
    tensor([0., 0.])
    """
    return _fill("zeros_", tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones.

    >>> mg.nn.init.ones_(mg.zeros(2))
    tensor([1., 1.])
    """
    return _fill("ones_", tensor, 1)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere.

    >>> import minigrad as mg
    >>> mg.nn.init.constant_(mg.zeros(3), 0.5)
    tensor([0.5, 0.5, 0.5])
    """
    return _fill("constant_", tensor, val)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Uniformly distributed from a to b.

    >>> bool((mg.nn.init.uniform_(mg.zeros(100), 2, 3) >= 2).all())
    True
    """
    check_number("uniform_", "a", a)
    check_number("uniform_", "b", b)
    if not a <= b:
        raise ValueError(f"uniform_: the range goes from a to b, so a <= b; got a={a}, b={b}")
    return _fill("uniform_", tensor, generator().uniform(a, b, _tensor("uniform_", tensor).shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normally distributed with this mean and standard deviation.

    >>> mg.nn.init.normal_(mg.zeros(3), mean=5, std=0)
    tensor([5., 5., 5.])
    """
    check_number("normal_", "mean", mean)
    check_number("normal_", "std", std)
    if not std >= 0:
        raise ValueError(f"normal_: the standard deviation std is at least 0; got {std}")
    return _fill("normal_", tensor, generator().normal(mean, std, _tensor("normal_", tensor).shape))


# --- scaled by the sizes of a weight -------------------------------------------------------


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output of the weight (out, in, ...) sums, and outputs an input feeds."""
    if _tensor(name, tensor).ndim < 2:
        raise ValueError(
            f"{name} needs a weight of at least two axes, (out, in, ...); got shape {tensor.shape}"
        )
    outputs, inputs, *window = tensor.shape
    return inputs * math.prod(window), outputs * math.prod(window)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor for initial weights that keeps the variance after a nonlinearity.

    `nonlinearity` is "linear", "sigmoid", "tanh", "relu", "selu" or "leaky_relu"; `param` is the
    negative slope of the last (0.01 if None).

    >>> import minigrad as mg
    >>> round(mg.nn.init.calculate_gain("relu") ** 2, 6)
    2.0
    """
    slope = 0.01 if param is None else param
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "selu": 3 / 4,
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
    }
    if nonlinearity not in gains:
        raise ValueError(
            f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known are {', '.join(gains)}"
        )
    return gains[nonlinearity]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform, of variance 2 gain² / (fan_in + fan_out) (Glorot and Bengio 2010).

    >>> w = mg.nn.init.xavier_uniform_(mg.zeros((2, 4)))
    >>> bool((abs(w) <= 1).all())
    True
    """
    bound = gain * math.sqrt(6 / max(1, sum(_fans("xavier_uniform_", tensor))))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal, of variance 2 gain² / (fan_in + fan_out) (Glorot and Bengio 2010).

    >>> mg.nn.init.xavier_normal_(mg.zeros((2, 4))).shape
    (2, 4)
    """
    std = gain * math.sqrt(2 / max(1, sum(_fans("xavier_normal_", tensor))))
    return normal_(tensor, 0.0, std)


def _kaiming_std(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fans = dict(zip(("fan_in", "fan_out"), _fans(name, tensor), strict=True))
    if mode not in fans:
        raise ValueError(f"{name}: mode is 'fan_in' or 'fan_out'; got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(max(1, fans[mode]))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Uniform, of variance gain² / fan (He et al. 2015).

    `a` is the negative slope of "leaky_relu"; `mode` keeps the variance of the forward pass
    ("fan_in") or of the backward pass ("fan_out"). PyTorch's default for a Linear's weight is
    a = √5, which makes it uniform between ±1/√fan_in.

    >>> w = mg.nn.init.kaiming_uniform_(mg.zeros((2, 6)))
    >>> bool((abs(w) <= 1).all())
    True
    """
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Normal, of variance gain² / fan (He et al. 2015); arguments as for `kaiming_uniform_`.

    >>> mg.nn.init.kaiming_normal_(mg.zeros((2, 6))).shape
    (2, 6)
    """
    return normal_(tensor, 0.0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """A random orthogonal matrix times gain (Saxe et al. 2014).

    All axes but the first are flattened into one. The rows are orthonormal, or the columns if there
    are fewer of them.

    >>> import minigrad as mg
    >>> weight = mg.nn.init.orthogonal_(mg.zeros((2, 5), dtype="float64"))
    >>> bool((abs(weight @ weight.T - mg.eye(2)) < 1e-12).all())
    True
    """
    _fans("orthogonal_", tensor)
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    draws = generator().standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draws)
    # QR leaves the signs of the columns open; only this choice makes every matrix as likely
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    values = gain * (q if rows >= columns else q.T)
    return _fill("orthogonal_", tensor, values.reshape(tensor.shape))
