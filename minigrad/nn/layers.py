"""Layers that most models begin with: products, tables, norms, dropout, other shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from .. import functional
from ..engine.filled import ones, zeros
from ..engine.op_calls import as_tensor
from ..engine.tensor import Tensor
from ..ops import reshape
from ..ops.positions import row_number
from ..utils.arguments import check_flag, check_positive, check_probability
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Dropout", "Embedding", "Flatten", "Identity", "LayerNorm", "Linear"]


class Linear(Module):
    """x @ weight.T + bias: x (..., in_features) to (..., out_features).

    weight (out_features, in_features) and bias (out_features,) start uniform between
    ±1/√in_features, as in PyTorch.

    >>> import minigrad as mg
    >>> layer = mg.nn.Linear(3, 2)
    >>> layer(mg.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.in_features = check_positive("Linear", "in_features", in_features)
        self.out_features = check_positive("Linear", "out_features", out_features)
        self.weight = Parameter(zeros((self.out_features, self.in_features)))
        bias = check_flag("Linear", "bias", bias)
        self.bias = Parameter(zeros(self.out_features)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values.

        >>> layer = mg.nn.Linear(1, 2)
        >>> mg.manual_seed(0)
        >>> layer.reset_parameters()
        >>> layer.weight.detach()
        tensor([[ 0.273...],
                [-0.460...]])
        """
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in_features) to (..., out_features)."""
        try:
            return functional.linear(x, self.weight, self.bias)
        except ValueError as error:  # looked at only now, so that what goes well pays nothing
            x = as_tensor(x, self.weight)
            if x.shape[-1:] == (self.in_features,):
                raise
            width = f"of width {x.shape[-1]}, " if x.ndim else "without axes, "
            raise ValueError(
                f"Linear(in_features={self.in_features}, out_features={self.out_features}) got x "
                f"{width}shape {x.shape}; its last axis must have size {self.in_features}"
            ) from error

    def extra_repr(self) -> str:
        """Its sizes."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Embedding(Module):
    """A table of vectors: integers (...) to (..., embedding_dim).

    weight (num_embeddings, embedding_dim) starts normal with variance 1. The row `padding_idx`
    (counted from the end if negative) starts as zeros and gets no gradient.

    >>> import minigrad as mg
    >>> table = mg.nn.Embedding(10, 4, padding_idx=0)
    >>> table([[3, 0]])[0, 1]
    tensor([0., 0., 0., 0.], op=getitem)
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None
    ) -> None:
        self._set_sizes(num_embeddings, embedding_dim, padding_idx)
        self.weight = Parameter(zeros((self.num_embeddings, self.embedding_dim)))
        self.reset_parameters()

    @classmethod
    def from_pretrained(
        cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None
    ) -> Self:
        """A table of given vectors (num_embeddings, embedding_dim), copied; frozen or trained.

        >>> table = mg.nn.Embedding.from_pretrained([[1.0, 2.0], [3.0, 4.0]])
        >>> table([1])
        tensor([[3., 4.]])
        """
        freeze = check_flag("Embedding.from_pretrained", "freeze", freeze)
        weight = Parameter(embeddings, requires_grad=False)
        if weight.ndim != 2 or weight.dtype.kind != "f":
            raise ValueError(
                "Embedding.from_pretrained: the table must be floats (V, D); got "
                f"{weight.dtype} of shape {weight.shape}"
            )
        count, size = weight.shape
        made = cls.__new__(cls)
        made._set_sizes(count, size, padding_idx)
        made.weight = weight.requires_grad_(not freeze)
        return made

    def _set_sizes(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None) -> None:
        self.num_embeddings = check_positive("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = check_positive("Embedding", "embedding_dim", embedding_dim)
        if padding_idx is not None:
            padding_idx = row_number("Embedding: padding_idx", padding_idx, self.num_embeddings)
        self.padding_idx = padding_idx

    def reset_parameters(self) -> None:
        """Draw new initial values.

        >>> table = mg.nn.Embedding(2, 2, padding_idx=0)
        >>> mg.manual_seed(0)
        >>> table.reset_parameters()
        >>> table.weight.detach()
        tensor([[0.        , 0.        ],
                [0.640..., 0.104...]])
        """
        init.normal_(self.weight)
        if self.padding_idx is not None:
            values = self.weight.numpy()
            values[self.padding_idx] = 0
            self.weight._data = self.weight.backend.from_host(values)

    def forward(self, indices: Any) -> Tensor:
        """Integers (...) to their rows (..., embedding_dim)."""
        return functional.embedding(indices, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """Its sizes."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Dropout(Module):
    """In training, zeroes each element with probability p and scales the others by 1 / (1 - p).

    >>> mg.nn.Dropout(p=0.5).eval()(mg.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5) -> None:
        check_probability("Dropout", "p", p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape to the same."""
        return functional.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        """Its probability."""
        return f"p={self.p}"


class LayerNorm(Module):
    """Mean 0 and variance 1 over the last axes, then scaled and shifted (Ba et al. 2016).

    `normalized_shape` is the shape of those axes, and of weight (ones at first) and bias (zeros);
    without `elementwise_affine` there are neither.

    >>> mg.nn.LayerNorm(2, eps=0)(mg.tensor([[1.0, 3.0]])).detach()
    tensor([[-1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
    ) -> None:
        listed = isinstance(normalized_shape, (list, tuple))
        sizes: Any = normalized_shape if listed else (normalized_shape,)
        self.normalized_shape = tuple(check_positive("LayerNorm", "each size", n) for n in sizes)
        self.eps = eps
        elementwise_affine = check_flag("LayerNorm", "elementwise_affine", elementwise_affine)
        self.weight = Parameter(ones(self.normalized_shape)) if elementwise_affine else None
        self.bias = Parameter(zeros(self.normalized_shape)) if elementwise_affine else None

    def forward(self, x: Tensor) -> Tensor:
        """x (..., *normalized_shape) to the same shape."""
        return functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Its shape."""
        return f"{self.normalized_shape}, eps={self.eps}"


class Identity(Module):
    """x as it is, in the place of a layer; arguments that such a layer takes are allowed.

    >>> mg.nn.Identity()(mg.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        """x itself."""
        return x


class Flatten(Module):
    """The axes from `start_axis` to `end_axis` as one: all but the first if none are given.

    >>> mg.nn.Flatten()(mg.ones((5, 2, 3))).shape
    (5, 6)
    >>> mg.nn.Flatten(0, 1)(mg.ones((5, 2, 3))).shape
    (10, 3)
    """

    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        for name, axis in (("start_axis", start_axis), ("end_axis", end_axis)):
            if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
                raise TypeError(f"Flatten: {name} is an integer; got {axis!r:.40}")
        self.start_axis, self.end_axis = int(start_axis), int(end_axis)

    def forward(self, x: Tensor) -> Tensor:
        """x with those axes as one."""
        x = as_tensor(x)
        first, last = (n + x.ndim if n < 0 else n for n in (self.start_axis, self.end_axis))
        if not 0 <= first <= last < x.ndim:
            raise ValueError(
                f"{self!r}: x of shape {x.shape} has no axes from {self.start_axis} to "
                f"{self.end_axis}"
            )
        size = math.prod(x.shape[first : last + 1])
        return reshape(x, (*x.shape[:first], size, *x.shape[last + 1 :]))

    def extra_repr(self) -> str:
        """Its axes."""
        return f"start_axis={self.start_axis}, end_axis={self.end_axis}"
