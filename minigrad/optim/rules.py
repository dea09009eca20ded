"""Update rules: the formulas of the optimisers, on the raw arrays of one parameter.

`rule(xp, p, g, state, **options)` takes a backend's namespace, a parameter and its gradient, and
returns the parameter's new array. Its running values are in the dict `state`, empty at first;
those it may update in place. `p` it must not: a graph that is still alive may have saved it.

The same text runs on arrays and, to make a kernel of it, on symbols for them and for the numbers:
it may ask whether an option is zero or a running value is there, but not for other numbers.
"""

from __future__ import annotations

from typing import Any


def sgd(xp, p, g, state, *, lr, momentum, dampening, weight_decay, nesterov, maximize):
    """Gradient descent with momentum (Sutskever et al. 2013)."""
    g = _uphill(p, g, weight_decay, maximize)
    if momentum:
        first = "momentum_buffer" not in state
        buffer = _held(xp, state, "momentum_buffer", p)
        buffer *= momentum
        buffer += g if first or not dampening else (1 - dampening) * g
        state["momentum_buffer"] = buffer
        g = g + momentum * buffer if nesterov else buffer
    return p - lr * g


def adam(xp, p, g, state, *, lr, betas, eps, weight_decay, amsgrad, maximize):
    """Adam (Kingma and Ba 2015), with AMSGrad (Reddi et al. 2018) if asked for."""
    g = _uphill(p, g, weight_decay, maximize)
    beta1, beta2 = betas
    state["step"] = step = state.get("step", 0) + 1
    mean = _blend(xp, state, "exp_avg", g, beta1)
    square = _blend(xp, state, "exp_avg_sq", g * g, beta2)
    if amsgrad:
        square = xp.maximum(_held(xp, state, "max_exp_avg_sq", p), square)
        state["max_exp_avg_sq"] = square = xp.asarray(square)
    root = xp.sqrt(square) * (1 - beta2**step) ** -0.5
    return p - lr / (1 - beta1**step) * mean / (root + eps)


def adamw(xp, p, g, state, *, lr, weight_decay, **options):
    """Adam with a weight decay that bypasses the running means (Loshchilov and Hutter 2019)."""
    return adam(xp, (1 - lr * weight_decay) * p, g, state, lr=lr, weight_decay=0.0, **options)


def rmsprop(xp, p, g, state, *, lr, alpha, eps, weight_decay, momentum, centered, maximize):
    """RMSprop (Hinton 2012), with the centred variance of Graves (2013) if asked for."""
    g = _uphill(p, g, weight_decay, maximize)
    square = _blend(xp, state, "square_avg", g * g, alpha)
    if centered:
        mean = _blend(xp, state, "grad_avg", g, alpha)
        square = xp.maximum(square - mean * mean, 0.0)  # rounding may take it below
    g = g / (xp.sqrt(square) + eps)
    if momentum:
        buffer = _held(xp, state, "momentum_buffer", p)
        buffer *= momentum
        buffer += g
        state["momentum_buffer"] = g = buffer
    return p - lr * g


def adagrad(
    xp, p, g, state, *, lr, lr_decay, weight_decay, initial_accumulator_value, eps, maximize
):
    """Adagrad (Duchi, Hazan and Singer 2011): steps fall with the squares of all gradients."""
    g = _uphill(p, g, weight_decay, maximize)
    first = "sum" not in state
    total = _held(xp, state, "sum", p)
    total += g * g + initial_accumulator_value if first and initial_accumulator_value else g * g
    state["step"] = step = state.get("step", 0) + 1
    state["sum"] = total
    return p - lr / (1 + (step - 1) * lr_decay) * g / (xp.sqrt(total) + eps)


def adadelta(xp, p, g, state, *, lr, rho, eps, weight_decay, maximize):
    """Adadelta (Zeiler 2012): each step in the units of the steps before."""
    g = _uphill(p, g, weight_decay, maximize)
    square = _blend(xp, state, "square_avg", g * g, rho)
    delta = xp.sqrt(_held(xp, state, "acc_delta", p) + eps) / xp.sqrt(square + eps) * g
    _blend(xp, state, "acc_delta", delta * delta, rho)
    return p - lr * delta


def _uphill(p: Any, g: Any, weight_decay: Any, maximize: bool) -> Any:
    """The gradient of what is minimised: that of the loss, or of its negative, and the decay."""
    g = -g if maximize else g
    return g + weight_decay * p if weight_decay else g


def _held(xp: Any, state: dict[str, Any], name: str, like: Any) -> Any:
    """A running value of the state; zeros at first."""
    return state[name] if name in state else xp.zeros(like.shape, like.dtype)


def _blend(xp: Any, state: dict[str, Any], name: str, x: Any, beta: float) -> Any:
    """A running mean of the state, after x has come in with weight 1 - beta."""
    mean = _held(xp, state, name, x)
    mean *= beta
    mean += (1 - beta) * x
    state[name] = mean
    return mean
