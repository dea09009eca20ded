"""Long sequences in parts: truncated backpropagation through time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..engine.creation import tensor
from ..engine.tensor import Tensor
from ..nested import map_leaves
from ..utils.arguments import check_positive

__all__ = ["tbptt"]


def tbptt(
    layer: Callable[..., tuple[Tensor, Any]],
    x: Tensor,
    k: int,
    state: Any = None,
    lengths: Any = None,
) -> Iterator[tuple[slice, Tensor, Any]]:
    """Run a layer over k steps at a time, each time from the state of the last time, detached.

    Truncated backpropagation through time (Williams and Peng 1990): outputs are those of the whole
    sequence, gradients reach back to the beginning of each part. With k of at least T they are
    the whole sequence's.

    Parameters
    ----------
    layer : called as `layer(x, state)`, it gives y and a state: an `LSTM`, or a model with one.
        Not bidirectional.
    x : (T, N, I), or (N, T, I) for a layer with `batch_first`.
    k : how many steps gradients go back at most.
    state : before the first step, such as the last state of an earlier call.
    lengths : for padded batches, how many steps of each sequence count.

    Yields
    ------
    The steps of the part as a slice, y of these steps, and the state after them.

    >>> import minigrad as mg
    >>> layer, x, target = mg.nn.RNN(3, 4), mg.randn((100, 2, 3)), mg.randn((100, 2, 4))
    >>> for steps, y, state in mg.nn.tbptt(layer, x, 35):
    ...     mg.mse_loss(y, target[steps]).backward()  # then a step of the optimiser
    >>> steps
    slice(70, 100, None)
    """
    k = check_positive("tbptt", "k", k)
    if getattr(layer, "bidirectional", False):
        raise ValueError("tbptt: a bidirectional layer has to see the end of each sequence")
    if not isinstance(x, Tensor) or x.ndim != 3:
        got = f"{x.shape}" if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"tbptt: x is a tensor of three axes, time and batch first; got {got}")
    return _parts(layer, x, k, state, lengths)


def _parts(layer: Any, x: Tensor, k: int, state: Any, lengths: Any) -> Iterator[Any]:
    time = 1 if getattr(layer, "batch_first", False) else 0
    ends = None if lengths is None else tensor(lengths, backend="numpy").numpy()
    T = x.shape[time]
    for start in range(0, T, k):
        steps = slice(start, min(start + k, T))
        part = x[:, steps] if time else x[steps]
        options = {}
        if ends is not None:
            options["lengths"] = np.clip(ends - start, 0, part.shape[time])
        if state is not None:
            state = map_leaves(lambda h: h.detach(), state)
        y, state = layer(part, state, **options)
        yield steps, y, state
