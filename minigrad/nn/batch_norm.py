"""Batch normalisation: each feature by the batch in training, by running values afterwards."""

from __future__ import annotations

from typing import Any

from ..engine.filled import ones, zeros
from ..engine.graph import no_grad
from ..engine.op_calls import as_tensor
from ..engine.tensor import Tensor
from ..ops import astype, mean, reshape, square
from ..ops.convert import in_float32
from ..utils.arguments import check_flag, check_number, check_positive
from . import init
from .module import Module
from .parameter import Buffer, Parameter

__all__ = ["BatchNorm1d"]


class BatchNorm1d(Module):
    """Mean 0 and variance 1 of each feature over the batch (Ioffe and Szegedy 2015).

    In training the mean and the variance are the batch's, and `running_mean` and `running_var`
    take up a share `momentum` of them (of the variance by n - 1); if it is None, they are the
    averages of all batches so far. In evaluation these running values are used.

    x is (N, C) or (N, C, L): C is `num_features`. weight (C,), at first ones, and bias (C,), zeros,
    scale and shift; without `affine` there are neither. Without `track_running_stats` the batch's
    own values are used in evaluation, too. Names, state and results are PyTorch's.

    >>> import minigrad as mg
    >>> norm = mg.nn.BatchNorm1d(2, eps=0)
    >>> norm(mg.tensor([[1.0, 10.0], [3.0, 30.0]])).detach()
    tensor([[-1., -1.],
            [ 1.,  1.]])
    >>> norm.running_mean
    tensor([0.2, 2. ])
    >>> norm.eval()(mg.tensor([[0.2, 2.0]])).detach()
    tensor([[0., 0.]])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        size = check_positive("BatchNorm1d", "num_features", num_features)
        check_number("BatchNorm1d", "eps", eps)
        if momentum is not None:
            check_number("BatchNorm1d", "momentum", momentum)
        self.num_features, self.eps, self.momentum = size, eps, momentum
        self.affine = check_flag("BatchNorm1d", "affine", affine)
        tracks = check_flag("BatchNorm1d", "track_running_stats", track_running_stats)
        self.track_running_stats = tracks
        self.weight = Parameter(ones(size)) if affine else None
        self.bias = Parameter(zeros(size)) if affine else None
        self.running_mean = Buffer(zeros(size)) if tracks else None
        self.running_var = Buffer(ones(size)) if tracks else None
        self.num_batches_tracked = Buffer(0) if tracks else None

    @no_grad()
    def reset_running_stats(self) -> None:
        """Forget all batches.

        >>> norm = mg.nn.BatchNorm1d(2)
        >>> _ = norm(mg.tensor([[1.0, 2.0], [3.0, 6.0]]))
        >>> norm.running_mean.tolist(), norm.num_batches_tracked.item()
        ([0.2..., 0.4...], 1)
        >>> norm.reset_running_stats()
        >>> norm.running_mean.tolist(), norm.num_batches_tracked.item()
        ([0.0, 0.0], 0)
        """
        if self.running_mean is not None:
            init.zeros_(self.running_mean)
        if self.running_var is not None:
            init.ones_(self.running_var)
        if self.num_batches_tracked is not None:
            _renew(self.num_batches_tracked, 0 * self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Forget all batches; neither scale nor shift.

        >>> norm = mg.nn.BatchNorm1d(2)
        >>> _ = mg.nn.init.constant_(norm.weight, 5.0)
        >>> norm.reset_parameters()
        >>> norm.weight.tolist(), norm.bias.tolist()
        ([1.0, 1.0], [0.0, 0.0])
        """
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C) or (N, C, L) to the same."""
        x = as_tensor(x, self.weight)
        if x.ndim not in (2, 3) or x.shape[1] != self.num_features or x.dtype.kind != "f":
            raise self._wrong(x)
        shape = (1, self.num_features, 1)[: x.ndim]
        affine = [w if w is None else reshape(w, shape) for w in (self.weight, self.bias)]
        return in_float32(self._normalized, x, *affine)

    def _normalized(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        kept = self.running_mean, self.running_var
        centre, spread = (None if k is None else reshape(k, (1, -1, 1)[: x.ndim]) for k in kept)
        if self.training or centre is None or spread is None:
            count = x.size // self.num_features
            if count < 2:
                raise ValueError(
                    f"BatchNorm1d: a variance needs two values of each feature; got x {x.shape}. "
                    "For single examples call eval() first"
                )
            axes = (0, 2)[: x.ndim - 1]
            centre = mean(x, axis=axes, keepdims=True)
            spread = mean(square(x - centre), axis=axes, keepdims=True)
            if self.training:
                self._take_up(centre, spread * (count / (count - 1)))
        y = (x - centre) * (spread + self.eps) ** -0.5
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    @no_grad()
    def _take_up(self, centre: Tensor, spread: Tensor) -> None:
        """Make the running values follow a batch's."""
        share: Any = self.momentum
        if self.num_batches_tracked is not None:
            _renew(self.num_batches_tracked, self.num_batches_tracked + 1)
            if share is None:
                share = 1 / astype(self.num_batches_tracked, spread.dtype)
        for kept, new in ((self.running_mean, centre), (self.running_var, spread)):
            if kept is not None:
                _renew(kept, (1 - share) * kept + share * reshape(new, kept.shape))

    def _wrong(self, x: Tensor) -> Exception:
        """The error for an input that doesn't fit."""
        size = self.num_features
        what = f"BatchNorm1d({size}): x must be floats (N, {size}) or (N, {size}, L)"
        if x.dtype.kind != "f":
            return TypeError(f"{what}; got {x.dtype}")
        text = f"{what}; got {x.shape}"
        if x.ndim == 3 and x.shape[-1] == size:
            text += ". The features are the second axis, as in PyTorch; write x.swapaxes(1, 2)"
        return ValueError(text)

    def extra_repr(self) -> str:
        """Its settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


def _renew(kept: Buffer, value: Tensor) -> None:
    """Give a buffer a new value; a graph that needs the old one still has it."""
    kept.data = astype(value, kept.dtype)
