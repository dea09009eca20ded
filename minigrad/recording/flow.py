"""How far gradients reach: from a loss back to states, and from outputs back to inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.creation import tensor
from ..engine.gradients import backward, grad
from ..engine.graph import enable_grad, no_grad
from ..engine.tensor import Tensor
from ..nested import parts_of
from ..ops import astype, repeat, sum, swapaxes
from .record import record

__all__ = ["connectivity", "gradient_flow"]


def gradient_flow(
    layer: Callable[..., Any],
    x: Tensor,
    *names: str,
    loss: Callable[[Tensor], Tensor] | None = None,
    **options: Any,
) -> dict[str, np.ndarray]:
    """The norm of the gradient of a loss with respect to a layer's states, by lag.

    Parameters
    ----------
    layer : called as `layer(x, **options)`, it gives y or a tuple that begins with y (T, N, ...).
    x : (T, N, I), or as the layer takes it.
    names : of the values in its cells; by default the states, all named hidden and cell.
    loss : a function of y that gives a number. By default the sum of y at the last step (of
        each sequence, in a padded batch), so that lag 0 is the step that it reads.

    Returns
    -------
    By full name an array (T, N): at [k, n] the norm, over the units, of the gradient k steps
    before the end of sequence n; NaN before its beginning. For a scan that runs backwards the end
    is the first step.

    A gradient that has become small (it vanishes) can't teach the steps so far back; one that
    has grown makes learning unstable (Hochreiter 1991; Bengio et al. 1994).

    >>> import minigrad as mg
    >>> mg.manual_seed(0)
    >>> flow = mg.gradient_flow(mg.nn.RNN(3, 8), mg.randn((30, 1, 3)))
    >>> norms = flow["l0.hidden"][:, 0]
    >>> norms.shape, bool(norms[20] < 0.01 * norms[0])
    ((30,), True)
    """
    with enable_grad(), record(gradients=True) as trace:
        y = parts_of(layer(x, **options))[0]
        full = [trace.full(name) for name in names]
        full = full or [name for name in trace if name.rpartition(".")[2] in ("hidden", "cell")]
        if not full:
            raise KeyError(
                "gradient_flow: no state is named hidden or cell; give names, of "
                f"{', '.join(trace) or 'nothing'}"
            )
        if loss is not None:
            value = loss(y)
        else:
            if getattr(layer, "batch_first", False) and y.ndim == 3:
                y = swapaxes(y, 0, 1)
            value = sum(_last(y, trace.valid(full[0])))
    if not isinstance(value, Tensor) or value.size != 1:
        raise TypeError(
            f"gradient_flow: the loss must be a tensor of one number; got {value!r:.60}"
        )
    backward(value, inputs=trace.added)  # no parameter's `.grad` changes
    return {name: _by_lag(trace, name) for name in full}


def _last(y: Tensor, valid: np.ndarray | None) -> Tensor:
    """y at the last step of each sequence that has one."""
    if valid is None:
        return y[-1]
    last = valid.shape[0] - 1 - np.argmax(valid[::-1], axis=0)
    there = np.flatnonzero(valid.any(axis=0))
    return y[last[there], there]


def _by_lag(trace: Any, name: str) -> np.ndarray:
    norms = np.linalg.norm(trace.gradient[name], axis=-1)  # (T, N)
    valid = trace.valid(name)
    found = np.full(norms.shape, np.nan)
    for n in range(norms.shape[1]):
        steps = norms[:, n] if valid is None else norms[valid[:, n], n]
        found[: len(steps), n] = steps if trace.is_reverse(name) else steps[::-1]
    return found


def connectivity(model: Callable[..., Any], x: Tensor, **options: Any) -> np.ndarray:
    """How much each output depends on each input: norms of the Jacobians dy_t / dx_s.

    Parameters
    ----------
    model : called as `model(x, **options)`, it gives y or a tuple that begins with y (T, N, O).
        It must not mix sequences of a batch. It is called on x, then on
        O copies of it.
    x : floats (T, N, I); of a model with `batch_first`, x and y are (N, T, ...). Words have no
        derivative: give the vectors that they are embedded to.

    Returns
    -------
    (T, T, N): at [t, s, n] the Frobenius norm of dy_t / dx_s for sequence n.

    >>> import minigrad as mg
    >>> reach = mg.connectivity(mg.nn.LSTM(3, 4), mg.randn((6, 1, 3)))
    >>> reach.shape, bool(reach[2, 3, 0] == 0), bool(reach[3, 2, 0] > 0)
    ((6, 6, 1), True, True)
    """
    if not isinstance(x, Tensor) or x.dtype.kind != "f" or x.ndim != 3:
        got = f"{x.dtype} {x.shape}" if isinstance(x, Tensor) else f"{type(x).__name__}"
        raise TypeError(
            f"connectivity: x must be a tensor of floats (T, N, I); got {got}. For words, give "
            "their vectors and the model that reads them"
        )
    batch_first = bool(getattr(model, "batch_first", False))
    time_first = swapaxes(x, 0, 1) if batch_first else x
    T, N, I = time_first.shape
    with no_grad():
        size = _outputs(model, x, options, batch_first, T, N)
    with enable_grad():
        copies = repeat(time_first.detach(), size, axis=1)  # (T, N * O, I)
        copies = copies.detach().requires_grad_()
        given = swapaxes(copies, 0, 1) if batch_first else copies
        y = parts_of(model(given, **_repeated(options, N, size)))[0]
        y = swapaxes(y, 0, 1) if batch_first else y  # (T, N * O, O)
        one_each = np.tile(np.eye(size), (N, 1))  # copy n * O + o is asked for output o
        weights = astype(tensor(one_each, backend=x.backend), x.dtype)
        found = np.zeros((T, T, N))
        for t in range(T):
            part = grad(sum(y[t] * weights), copies, retain_graph=True, allow_unused=True)
            if part is not None:
                squares = np.square(part.numpy(), dtype=np.float64)
                found[t] = squares.reshape(T, N, size * I).sum(axis=-1)
    return np.sqrt(found)


def _outputs(
    model: Any, x: Tensor, options: dict[str, Any], batch_first: bool, T: int, N: int
) -> int:
    """O, the size of an output step."""
    y = parts_of(model(x, **options))[0]
    shape = y.shape[1::-1] + y.shape[2:] if batch_first else y.shape
    if len(shape) != 3 or shape[:2] != (T, N):
        raise ValueError(
            f"connectivity: the model must give an output per step, (T, N, O) with T = {T} and "
            f"N = {N}; got {y.shape}"
        )
    return int(shape[2])


def _repeated(options: dict[str, Any], N: int, size: int) -> dict[str, Any]:
    """The options for copies of each sequence: lengths have a number for each."""
    given = dict(options)
    if given.get("lengths") is not None:
        lengths = tensor(given["lengths"], backend="numpy").numpy()
        given["lengths"] = np.repeat(lengths, size)
    return given
