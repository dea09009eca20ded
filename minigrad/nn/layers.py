"""Layers with parameters, dropout, and modules one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .. import functional
from ..engine.filled import ones, zeros
from ..engine.op_calls import as_tensor
from ..engine.tensor import Tensor
from ..ops.positions import row_number
from ..utils.arguments import check_flag, check_positive, check_probability
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Dropout", "Embedding", "LayerNorm", "Linear", "Sequential"]


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
        """Draw new initial values."""
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
        self.num_embeddings = check_positive("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = check_positive("Embedding", "embedding_dim", embedding_dim)
        if padding_idx is not None:
            padding_idx = row_number("Embedding: padding_idx", padding_idx, self.num_embeddings)
        self.padding_idx = padding_idx
        self.weight = Parameter(zeros((self.num_embeddings, self.embedding_dim)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
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


class Sequential(Module):
    """Modules, or functions of one tensor, one after the other; named "0", "1" and so on.

    >>> import minigrad as mg
    >>> mg.nn.Sequential(mg.nn.Linear(2, 8), mg.tanh, mg.nn.Linear(8, 1))
    Sequential(
      (0): Linear(in_features=2, out_features=8, bias=True)
      (1): <op tanh>
      (2): Linear(in_features=8, out_features=1, bias=True)
    )
    """

    def __init__(self, *modules: Callable[..., Any]) -> None:
        for i, module in enumerate(modules):
            if isinstance(module, (list, tuple)):
                raise TypeError(
                    f"Sequential takes modules one by one; got a {type(module).__name__} of "
                    f"{len(module)}. Write Sequential(*modules)"
                )
            if isinstance(module, type) and issubclass(module, Module):
                name = module.__name__
                raise TypeError(f"Sequential: item {i} is the class {name}; write {name}(...)")
            if not callable(module):
                raise TypeError(
                    f"Sequential: item {i} is neither a module nor a function, but {module!r:.60}"
                )
            setattr(self, str(i), module)

    def __iter__(self) -> Iterator[Any]:
        return (vars(self)[str(i)] for i in range(len(self)))

    def __len__(self) -> int:
        return sum(name.isdigit() for name in vars(self))

    def __getitem__(self, index: int | slice) -> Any:
        picked = list(self)[index]
        return Sequential(*picked) if isinstance(index, slice) else picked

    def forward(self, x: Any) -> Any:
        """The last module's output."""
        for module in self:
            x = module(x)
        return x

    def _shown(self) -> Iterator[tuple[str, Any]]:
        return ((str(i), module) for i, module in enumerate(self))
