"""`mg.optim`: optimisers, gradient clipping and learning-rate schedules.

Formulas and option names are those of `torch.optim`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from .arguments import check_number, is_number
from .backend import active
from .fuse import TOO_SMALL, compiles, dispatched, pays
from .running import Misfit, are_of, from_host, running_dtype, to_host
from .schedules import CosineAnnealingLR, LinearWarmup, Schedule, StepLR
from .summation import HALF, SINGLE
from .tensor import Tensor, same_backend, wrap
from .update_rules import adam, adamw, rmsprop, sgd

__all__ = ["Adam", "AdamW", "Optimizer", "RMSprop", "SGD"]
__all__ += ["CosineAnnealingLR", "LinearWarmup", "Schedule", "StepLR"]
__all__ += ["clip_grad_norm_", "clip_grad_value_"]

# The options that are numbers.
_NUMBERS = {"lr", "betas", "eps", "alpha", "momentum", "dampening", "weight_decay"}


class Optimizer:
    """What all optimisers share; a subclass names its rule and the rule's options.

    Parameters
    ----------
    params : parameters, or dicts with parameters under "params" and options of their own.
    options : the options of all groups that don't say otherwise.

    Attributes
    ----------
    param_groups : per group a dict of its "params" and options; a change counts from the next
        step on.
    state : per parameter the running values of the rule.

    Raises
    ------
    ValueError : no parameters, one given twice, an option that is unknown or out of range.
    TypeError : something else than parameters.

    >>> model = mg.nn.Linear(2, 1)
    >>> slow = {"params": [model.bias], "lr": 0.01}
    >>> optimizer = mg.optim.SGD([{"params": [model.weight]}, slow], lr=0.1)
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.1, 0.01]
    """

    rule: ClassVar[Callable[..., Any]]

    def __init__(self, params: Iterable[Any], **options: Any) -> None:
        name = type(self).__name__
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise TypeError(
                f"{name} takes several parameters, such as model.parameters() or [w, b]; "
                f"got one {type(params).__name__}"
            )
        groups = list(params)
        if not any(isinstance(group, dict) for group in groups):
            groups = [{"params": groups}]
        self.param_groups = [_group(name, group, options) for group in groups]
        self.state: dict[Tensor, dict[str, Any]] = {}
        self._made_for: dict[Tensor, Any] = {}  # the dtype that a parameter had at its first step
        if not self._params:
            raise ValueError(f"{name} got no parameters to train")
        if len({id(p) for p in self._params}) < len(self._params):
            raise ValueError(f"{name} got the same parameter twice")

    @property
    def _params(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self._params:
            p.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient, frozen or not; the others stay as they are.

        Raises RuntimeError if none has (unless all are frozen), or if a gradient or the running
        values are of another shape, dtype or backend than their parameter; no parameter has
        changed then.
        """
        if all(p.grad is None and not p.requires_grad for p in self._params):
            return
        for p, g in _with_gradient(f"{type(self).__name__}.step()", self._params):
            self._check_gradient(p, g)
            self._check_state(p)
        for group in self.param_groups:
            options = _options(group)
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state.setdefault(p, {})
                    self._made_for.setdefault(p, p.dtype)
                    with active(p.backend):
                        new = _updated(type(self).rule, p, p.grad._data, state, options)
                    p._data = p.backend.asarray(new)

    def _check_gradient(self, p: Tensor, g: Any) -> None:
        if not isinstance(g, Tensor):
            raise RuntimeError(
                f"{type(self).__name__}: a gradient must be a tensor; got {type(g).__name__}"
            )
        if (g.shape, g.dtype) != (p.shape, p.dtype) or g.backend is not p.backend:
            raise RuntimeError(
                f"{type(self).__name__}: {_described(p)} has a gradient of shape {g.shape}, "
                f"{g.dtype} on {g.backend.name!r}; compute the gradient anew"
            )

    def _check_state(self, p: Tensor) -> None:
        for key, value in self.state.get(p, {}).items():
            if not are_of(value, p, self._made_for.get(p)):
                raise RuntimeError(
                    f"{type(self).__name__}: {_described(p)} was of another dtype or on another "
                    f"backend when its {key!r} was made. Convert a model before the first step(); "
                    "later, take optimizer.state_dict() before and load_state_dict() after"
                )

    # --- saving and resuming ---------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """NumPy copies of the running values, and the options: what `mg.save` takes.

        "state" lists the running values of each parameter; "param_groups" lists the options of
        each group, with the positions of its parameters in "params"; "parameters" lists what each
        parameter is like.
        """
        params = self._params
        for p in params:
            self._check_state(p)
        positions = iter(range(len(params)))
        return {
            "state": [to_host(self.state.get(p, {}), p) for p in params],
            "param_groups": [
                {"params": [next(positions) for _ in group["params"]], **_options(group)}
                for group in self.param_groups
            ],
            "parameters": [{"shape": list(p.shape), "dtype": p.dtype.name} for p in params],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict()` gave, for the same parameters in the same order.

        The run goes on bit by bit as it would have. Nothing changes if anything is wrong: then a
        ValueError names everything that doesn't fit.
        """
        name = type(self).__name__
        if not isinstance(state, Mapping) or not {"state", "param_groups"} <= state.keys():
            raise ValueError(f"{name}.load_state_dict takes what its state_dict() gave")
        groups, values_by_position = state["param_groups"], state["state"]
        problems = []
        ours = [len(group["params"]) for group in self.param_groups]
        theirs = [len(group["params"]) for group in groups]
        if ours != theirs or sum(ours) != len(values_by_position):
            problems.append(
                f"parameters per group: here {ours}, in the state {theirs} "
                f"(with running values of {len(values_by_position)})"
            )
        for i, (group, saved) in enumerate(zip(self.param_groups, groups, strict=False)):
            if group.keys() != saved.keys():
                problems.append(
                    f"options of group {i}: here {', '.join(_options(group))}; in the state "
                    f"{', '.join(_options(saved))}"
                )
        running: dict[Tensor, dict[str, Any]] = {}
        like = state.get("parameters") or [{}] * len(values_by_position)
        for i, (p, values, saved) in enumerate(
            zip(self._params, values_by_position, like, strict=False)
        ):
            for key, value in values.items():
                try:
                    running.setdefault(p, {})[key] = from_host({key: value}, p, saved)[key]
                except Misfit as misfit:
                    problems.append(
                        f"{key!r} of parameter {i}: here {p.shape}, in the state {misfit.shape}"
                    )
        if problems:
            raise ValueError(
                f"this state does not fit {name}; nothing was loaded\n  " + "\n  ".join(problems)
            )
        for group, saved in zip(self.param_groups, groups, strict=True):
            group.update(_options(saved))
        self.state = running
        self._made_for = {p: p.dtype for p in running}


def _updated(
    rule: Callable[..., Any], p: Tensor, g: Any, state: dict[str, Any], options: dict[str, Any]
) -> Any:
    """The new array of a parameter by its rule, in one pass where the backend has a compiler.

    That of a float16 one is calculated in float32, and so are its running values.
    """
    xp, name = p.backend, getattr(rule, "__name__", type(rule).__name__)
    data, dtype = p._data, running_dtype(p.dtype)
    if dtype != p.dtype:
        data, g = xp.astype(data, dtype), xp.astype(g, dtype)

    def attempt(required: bool) -> Any:
        if not required and not pays(p.size, xp):
            return TOO_SMALL
        from .compiler.updates import fused_update

        return fused_update(rule, data, g, state, options, xp, required)

    new = dispatched(name, f"an update by {name}", xp, attempt if compiles(xp) else None)
    new = rule(xp, data, g, state, **options) if new is None else new
    return new if dtype == p.dtype else xp.astype(new, p.dtype)


def _described(p: Tensor) -> str:
    return f"a parameter of shape {p.shape}, {p.dtype} on {p.backend.name!r}"


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a group; as Python numbers, since NumPy's change the dtype they meet."""
    options = {key: value for key, value in group.items() if key != "params"}
    for key, value in options.items():
        if key in _NUMBERS:
            options[key] = tuple(map(float, value)) if key == "betas" else float(value)
    return options


def _group(name: str, given: Any, defaults: dict[str, Any]) -> dict[str, Any]:
    """A group of parameters as the optimiser called `name` keeps it, after all checks."""
    if not isinstance(given, dict) or "params" not in given:
        raise TypeError(
            f'{name}: a group is a dict such as {{"params": [w], "lr": 0.1}}; got '
            f"{type(given).__name__} {given!r:.60}"
        )
    unknown = sorted(given.keys() - defaults.keys() - {"params"})
    if unknown:
        raise ValueError(
            f"{name}: unknown option {', '.join(unknown)}; there are {', '.join(defaults)}"
        )
    params = given["params"]
    params = [params] if isinstance(params, Tensor) else list(params)
    for p in params:
        if not isinstance(p, Tensor):
            kind = type(p).__name__
            named = isinstance(p, tuple) and len(p) == 2 and isinstance(p[1], Tensor)
            hint = ". named_parameters() gives pairs; take parameters()" if named else ""
            raise TypeError(
                f"{name} trains parameters, such as model.parameters(); got {kind}{hint}"
            )
        if not p.is_leaf:
            raise TypeError(
                f"{name} trains parameters, and this tensor of shape {p.shape} is the result of "
                "an op; pass the leaf that it was computed from"
            )
    for key, value in {**defaults, **given}.items():
        listed = isinstance(value, (list, tuple))
        numbers = value if listed else (value,)
        if key in _NUMBERS and (listed != (key == "betas") or not all(map(is_number, numbers))):
            raise TypeError(f"{name}: an option is no number: {key}={value!r:.40}")
    options = _options({**defaults, **given})
    for key, value in options.items():
        if key == "betas":
            if not (len(value) == 2 and all(0 <= beta < 1 for beta in value)):
                raise ValueError(f"{name}: betas are two numbers from 0 to below 1; got {value}")
        elif key in _NUMBERS and not 0 <= value < math.inf:
            raise ValueError(f"{name}: {key} must be a number of at least 0; got {value}")
    return {"params": params, **options}


class SGD(Optimizer):
    """Stochastic gradient descent: p - lr * g, or with momentum p - lr * b.

    Parameters
    ----------
    momentum : how much of b stays: b becomes momentum * b + (1 - dampening) * g; at first g.
    dampening : how much of a new gradient is left out of b.
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
    ) -> None:
        options = {"momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, lr=lr, **options, nesterov=nesterov)
        for group in self.param_groups:
            if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
                raise ValueError(
                    "SGD: nesterov needs a momentum above 0 and no dampening; got "
                    f"momentum={group['momentum']}, dampening={group['dampening']}"
                )


class Adam(Optimizer):
    """Adam: steps of the gradient's running mean over the root of its square's.

    Parameters
    ----------
    betas : how much of the running means of g and of g * g stays at each step.
    eps : added to the root, so that nothing is divided by zero.
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
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: p shrinks by lr * weight_decay * p, besides the step.

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
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)


class RMSprop(Optimizer):
    """RMSprop: steps of the gradient over the root of its square's running mean.

    Parameters
    ----------
    alpha : how much of the running means stays at each step.
    eps : added to the root, so that nothing is divided by zero.
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
    ) -> None:
        options = {"eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, lr=lr, alpha=alpha, **options, centered=centered)


# --- clipping ------------------------------------------------------------------------------


def _with_gradient(what: str, params: Any) -> list[tuple[Tensor, Tensor]]:
    """The parameters that have a gradient, with it; an error if none has."""
    params = [params] if isinstance(params, Tensor) else params
    if not isinstance(params, Iterable):
        raise TypeError(
            f"{what} takes parameters, such as model.parameters(); got {type(params).__name__}"
        )
    params = list(params)
    for p in params:
        if not isinstance(p, Tensor):
            raise TypeError(f"{what} takes parameters; one of them is a {type(p).__name__}")
    found = [(p, p.grad) for p in params if p.grad is not None]
    if not found:
        raise RuntimeError(
            f"{what}: there is nothing to do, since all gradients are None ({len(params)} "
            "parameters). Call loss.backward() first; if you did, the loss does not depend on "
            "these parameters, or they are frozen"
        )
    return found


def clip_grad_norm_(params: Any, max_norm: float) -> Tensor:
    """Scale all gradients by one factor so that their common 2-norm is at most `max_norm`.

    Returns the norm before, a scalar tensor; of float16 gradients in float32. It is right for
    gradients whose squares overflow, too. Raises RuntimeError if all gradients are None.

    >>> import minigrad as mg
    >>> w = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> (w * mg.tensor([3.0, 4.0])).sum().backward()
    >>> mg.optim.clip_grad_norm_([w], max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.59999..., 0.79999...])
    """
    check_number("clip_grad_norm_", "max_norm", max_norm)
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be at least 0; got {max_norm}")
    found = _with_gradient("clip_grad_norm_", params)
    xp = same_backend("clip_grad_norm_", *(g for _, g in found))
    with active(xp):
        wide = [xp.astype(g._data, SINGLE) if g.dtype == HALF else g._data for _, g in found]
        # In units of the largest, so that no square overflows; of infinite ones as they are.
        unit = functools.reduce(
            xp.maximum, [xp.max(xp.abs(x)) for x in wide if 0 not in x.shape] or [0.0]
        )
        unit = xp.where(xp.logical_and(unit > 0, xp.isfinite(unit)), unit, 1)
        total = unit * xp.sqrt(sum(xp.sum(xp.square(x / unit)) for x in wide))
        factor = xp.minimum(float(max_norm) / (total + 1e-6), 1.0)
        for x, (p, g) in zip(wide, found, strict=True):
            scaled = x * xp.asarray(factor, dtype=x.dtype)
            scaled = scaled if x is g._data else xp.astype(scaled, g.dtype)
            p.grad = wrap(scaled, xp)._as_made()
    return wrap(total, xp)


def clip_grad_value_(params: Any, clip_value: float) -> None:
    """Hold every element of the gradients between -clip_value and clip_value.

    >>> w = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> (w * mg.tensor([3.0, -0.5])).sum().backward()
    >>> mg.optim.clip_grad_value_([w], 1.0)
    >>> w.grad
    tensor([ 1. , -0.5])
    """
    check_number("clip_grad_value_", "clip_value", clip_value)
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value must be at least 0; got {clip_value}")
    bound = float(clip_value)
    for p, g in _with_gradient("clip_grad_value_", params):
        p.grad = wrap(g.backend.clip(g._data, -bound, bound), g.backend)._as_made()
