"""Functions composed of ops: activations, and what layers compute; losses lie in files beside it.

Nothing here knows calculus: derivatives of every order follow from the ops. Those marked by
`@fuse` run as one kernel on a backend with a compiler.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .class_losses import cross_entropy, nll_loss
from .ctc import ctc_loss
from .engine.creation import tensor
from .engine.filled import arange, as_shape
from .engine.op_calls import as_tensor
from .engine.rng import generator
from .engine.tensor import Tensor
from .fuse import fuse
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from .ops import (
    astype,
    clip,
    equal,
    erf,
    expand_dims,
    expm1,
    reshape,
    sigmoid,
    square,
    tanh,
    where,
)
from .ops.axes import as_count
from .ops.convert import in_float32
from .ops.indexing import getitem
from .ops.positions import check_positions, row_number
from .ops.products import affine
from .ops.softmaxes import log_softmax_along, softmax_along
from .ops.standardizing import standardize
from .utils.arguments import check_probability

__all__ = ["dropout", "elu", "embedding", "gelu", "layer_norm", "leaky_relu", "linear"]
__all__ += ["log_softmax", "one_hot", "silu", "softmax"]
__all__ += ["binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy"]
__all__ += ["ctc_loss"]
__all__ += ["huber_loss", "kl_div", "l1_loss", "mse_loss", "nll_loss", "smooth_l1_loss"]


# To the left of this number, which all float dtypes have, activations that vanish there have.
_LOWEST = -1e4
# With this argument the tanh or erf in gelu is 1 in all dtypes, and powers of it overflow in none.
_SATURATED = 20.0

# --- activations ---------------------------------------------------------------------------


@fuse
def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`, accurate where a probability is tiny.

    >>> mg.log_softmax(mg.tensor([0.0, -1000.0]))
    tensor([    0., -1000.])
    """
    return in_float32(log_softmax_along, as_tensor(x), axis)


@fuse
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) scaled to sum to 1 along `axis`.

    >>> import minigrad as mg
    >>> mg.softmax(mg.tensor([0.0, 0.0]))
    tensor([0.5, 0.5])
    """
    return in_float32(softmax_along, as_tensor(x), axis)


def _not_infinite(x: Tensor) -> Tensor:
    """x, with what is multiplied by a zero in any case held finite: 0 times -inf is NaN."""
    return where(x < _LOWEST, _LOWEST, x)


@fuse
def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x), also called swish.

    >>> mg.silu(mg.tensor([0.0, 100.0]))
    tensor([  0., 100.])
    """
    x = as_tensor(x)
    return _not_infinite(x) * sigmoid(x)


@fuse
def gelu(x: Tensor, approximate: str = "tanh") -> Tensor:
    """The Gaussian error linear unit: x times the probability of a normal number up to x.

    `approximate` is "tanh", for the form by Hendrycks and Gimpel (2016), which differs by less than
    5e-4, or "none", for the error function itself; PyTorch takes "none" if not asked. Raises
    ValueError for anything else.

    >>> mg.gelu(mg.tensor([0.0, 100.0]))
    tensor([  0., 100.])
    >>> round(mg.gelu(mg.tensor(1.0), approximate="none").item(), 4)
    0.8413
    """
    if approximate not in ("tanh", "none"):
        raise ValueError(
            f"gelu: approximate is 'tanh' or 'none' (the exact form); got {approximate!r}"
        )
    x = _not_infinite(as_tensor(x))
    near = clip(x, -_SATURATED, _SATURATED)
    if approximate == "none":
        return 0.5 * x * (1 + erf(math.sqrt(0.5) * near))
    return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * near * (1 + 0.044715 * square(near))))


@fuse
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where it is positive, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2015).

    >>> mg.elu(mg.tensor([-100.0, 2.0]))
    tensor([-1.,  2.])
    """
    x = as_tensor(x)
    straight = x >= 0  # at 0 a line of slope alpha, which has no second derivative, as in PyTorch
    line = where(x > 0, x, alpha * x)
    return where(straight, line, alpha * expm1(where(straight, 0, x)))


@fuse
def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where it is positive, negative_slope * x elsewhere.

    >>> mg.leaky_relu(mg.tensor([-100.0, 2.0]))
    tensor([-1.,  2.])
    """
    x = as_tensor(x)
    return x * where(x > 0, 1, where(x <= 0, negative_slope, x.detach()))


# --- layers --------------------------------------------------------------------------------


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias: x (..., I), weight (O, I), bias (O,) to (..., O).

    Raises ValueError if x has another number of features than the weight takes.

    >>> mg.linear(mg.ones((5, 3)), mg.ones((2, 3)), mg.zeros(2)).shape
    (5, 2)
    """
    x, weight = as_tensor(x, weight), as_tensor(weight, x)
    sizes = weight.shape
    fits = len(sizes) == 2 and x.shape[-1:] == sizes[1:]
    if not fits and len(sizes) == 2 and x.shape:
        raise ValueError(
            f"linear: weight {sizes} takes x of {sizes[1]} features, (..., {sizes[1]}); "
            f"got {x.shape}"
        )
    if bias is None:
        return x @ weight.T
    bias = as_tensor(bias, x)
    if fits and bias.shape == sizes[:1]:
        return affine(x, weight, bias)
    return x @ weight.T + bias


def embedding(indices: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of a table: indices (...) of integers, weight (V, D) to (..., D).

    The row `padding_idx`, counted from the end if negative, gets no gradient. Raises IndexError
    for an index outside 0..V-1; if the indices are on a device, the error comes later, when results
    are read.

    >>> mg.embedding([2, 0], mg.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))
    tensor([[3., 3.],
            [1., 1.]])
    """
    weight = as_tensor(weight)
    if weight.ndim != 2:
        raise ValueError(
            f"embedding: the table must be (V, D); got shape {weight.shape}. The indices come "
            "first: embedding(indices, weight)"
        )
    indices, _ = check_positions(indices, weight, "embedding", weight.shape[0])
    if padding_idx is not None:
        padding_idx = row_number("embedding: padding_idx", padding_idx, weight.shape[0])
    rows = getitem(weight, index=weight.backend.copy(indices._data))
    if padding_idx is None:
        return rows
    return where(reshape(indices == padding_idx, (*indices.shape, 1)), rows.detach(), rows)


def one_hot(labels: Any, num_classes: int | None = None, dtype: Any = "int64") -> Tensor:
    """1 at the class of each label, 0 at the others: integers (...) to (..., C), of no gradient.

    C is `num_classes`, or one more than the largest label if that is None or -1. Raises IndexError
    for a label outside 0..C-1; if the labels are on a device, the error comes later, when results
    are read.

    >>> mg.one_hot([2, 0], 3)
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    labels = as_tensor(labels)
    if num_classes is None or num_classes == -1:
        if not labels.size:
            raise ValueError("one_hot: without labels, give the number of classes: num_classes=10")
        num_classes = int(labels.max()) + 1
    num_classes = as_count(num_classes, "num_classes")
    labels, _ = check_positions(labels, labels, "one_hot", num_classes)
    classes = arange(num_classes, backend=labels.backend)
    return astype(equal(expand_dims(labels, -1), classes), dtype)


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability p and scale the others by 1 / (1 - p), when training.

    >>> sorted(set(mg.dropout(mg.ones(100), p=0.5).tolist()))
    [0.0, 2.0]
    """
    x = as_tensor(x)
    check_probability("dropout", "p", p)
    if not training or p == 0:
        return x
    kept = tensor(generator().random(x.shape, dtype="float32") >= p, backend=x.backend)
    return _thinned(x, kept, 1 / (1 - p) if p < 1 else 0.0)


@fuse(name="dropout")
def _thinned(x: Tensor, kept: Tensor, scale: float) -> Tensor:
    return x * (astype(kept, x.dtype) * scale)


def layer_norm(
    x: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """x with mean 0 and variance 1 over its last axes, then scaled and shifted (Ba et al. 2016).

    `normalized_shape` is the shape of those axes, and of weight and bias.

    >>> mg.layer_norm(mg.tensor([[1.0, 3.0]]), 2, eps=0)
    tensor([[-1.,  1.]])
    """
    x = as_tensor(x)
    shape = as_shape("layer_norm", normalized_shape)
    if tuple(x.shape[x.ndim - len(shape) :]) != shape:
        raise ValueError(
            f"layer_norm: the last axes of x {x.shape} are not {shape}, the normalized shape"
        )
    if len(shape) == 1:
        return in_float32(_normalized, x, weight, bias, eps)
    size = math.prod(shape)
    weight, bias = (w if w is None else reshape(w, (size,)) for w in (weight, bias))
    rows = reshape(x, (*x.shape[: x.ndim - len(shape)], size))
    return reshape(in_float32(_normalized, rows, weight, bias, eps), x.shape)


@fuse(name="layer_norm")
def _normalized(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """`layer_norm` over the last axis."""
    y = standardize(x, eps=eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias
