"""The optimisers that follow a rule: each names its rule and its options.

All of them take `maximize=True` to climb instead of descend.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Optimizer
from .rules import adadelta, adagrad, adam, adamw, rmsprop, sgd

__all__ = ["Adadelta", "Adagrad", "Adam", "AdamW", "RMSprop", "SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent: p - lr * g, or with momentum p - lr * b.

    Parameters
    ----------
    momentum : how much of b stays: b becomes momentum * b + (1 - dampening) * g; at first g.
    dampening : the share of a new gradient that does not enter b.
    weight_decay : this times p is added to g.
    nesterov : look ahead: g + momentum * b in place of b.

    Examples
    --------
    >>> import minigrad as mg
    >>> w = mg.tensor(1.0, requires_grad=True)
    >>> optimizer = mg.optim.SGD([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> w
    tensor(0.8, requires_grad=True)
    """

    rule = staticmethod(sgd)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        numbers = {"momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, lr=lr, **numbers, nesterov=nesterov, maximize=maximize)

    def _check_options(self, options: dict[str, Any]) -> None:
        if options["nesterov"] and (options["momentum"] == 0 or options["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov needs a momentum above 0 and no dampening; got "
                f"momentum={options['momentum']}, dampening={options['dampening']}"
            )


class Adam(Optimizer):
    """Adam: steps of m / (√v + eps), with m and v the running means of g and g * g.

    Parameters
    ----------
    betas : how much of the running means of g and of g * g stays at each step.
    eps : added to the root to avoid divisions by zero.
    weight_decay : this times p is added to g.
    amsgrad : divide by the largest root so far.

    >>> w = mg.tensor(1.0, requires_grad=True)
    >>> optimizer = mg.optim.Adam([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> round(w.item(), 4)
    0.9
    """

    rule = staticmethod(adam)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        numbers = {"betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, lr=lr, **numbers, amsgrad=amsgrad, maximize=maximize)


class AdamW(Adam):
    """Adam with decoupled weight decay: each step also subtracts lr * weight_decay * p.

    >>> w = mg.tensor(1.0, requires_grad=True)
    >>> optimizer = mg.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> round(w.item(), 4)
    0.85
    """

    rule = staticmethod(adamw)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class RMSprop(Optimizer):
    """RMSprop: steps of g / (√v + eps), with v the running mean of g * g.

    Parameters
    ----------
    alpha : how much of the running means stays at each step.
    eps : added to the root to avoid divisions by zero.
    weight_decay : this times p is added to g.
    momentum : if above 0, p goes by lr * b, and b becomes momentum * b + the step.
    centered : divide by the root of the variance instead.

    >>> w = mg.tensor(1.0, requires_grad=True)
    >>> optimizer = mg.optim.RMSprop([w], lr=0.1, alpha=0)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> round(w.item(), 4)
    0.9
    """

    rule = staticmethod(rmsprop)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        numbers = {"alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, lr=lr, **numbers, centered=centered, maximize=maximize)


class Adagrad(Optimizer):
    """Adagrad: steps of g / (√s + eps), with s the sum of g * g over all steps so far.

    Parameters
    ----------
    lr_decay : the rate of step t is lr / (1 + (t - 1) * lr_decay).
    weight_decay : this times p is added to g.
    initial_accumulator_value : what s begins with.
    eps : added to the root to avoid divisions by zero.

    >>> w = mg.tensor(1.0, requires_grad=True)
    >>> optimizer = mg.optim.Adagrad([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> round(w.item(), 4)
    0.9
    """

    rule = staticmethod(adagrad)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        numbers = {"lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps}
        numbers["initial_accumulator_value"] = initial_accumulator_value
        super().__init__(params, lr=lr, **numbers, maximize=maximize)


class Adadelta(Optimizer):
    """Adadelta: steps of g * √(d + eps) / √(v + eps), running means of earlier steps and of g.

    v is the running mean of g * g, and d that of the squares of the steps; `lr` times the step is
    subtracted.

    Parameters
    ----------
    rho : how much of the running means stays at each step.
    eps : what the first steps begin with.
    weight_decay : this times p is added to g.

    >>> w = mg.tensor(1.0, requires_grad=True)
    >>> optimizer = mg.optim.Adadelta([w], rho=0.5, eps=0.01)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> round(w.item(), 4)
    0.8589
    """

    rule = staticmethod(adadelta)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        numbers = {"rho": rho, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, lr=lr, **numbers, maximize=maximize)
