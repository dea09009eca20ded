"""`mg.optim`: optimisers, gradient clipping and learning-rate schedules.

Formulas and option names are those of `torch.optim`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, ClassVar

from ..engine.filled import zeros_like
from ..engine.graph import enable_grad
from ..engine.registry import active
from ..engine.tensor import Tensor
from ..fusion import compiles, dispatch, is_composed, why_no_kernel
from ..utils.arguments import check_flag
from ..utils.summation import HALF, SINGLE
from .groups import checked_group, groups_of, options_of, with_gradient
from .running import Misfit, are_of, from_host, to_host

__all__ = ["Optimizer"]


class Optimizer:
    """Base of all optimisers; a subclass names its rule and the options of the rule.

    Parameters
    ----------
    params : parameters, or dicts with parameters under "params" and options for them.
    options : default options of all groups.

    Attributes
    ----------
    param_groups : per group a dict of its "params" and options; changes take effect at the next
        step.
    state : per parameter the running values of the rule.

    Raises
    ------
    ValueError : no parameters, one given twice, an option that is unknown or out of range.
    TypeError : an item that is no parameter.

    >>> model = mg.nn.Linear(2, 1)
    >>> slow = {"params": [model.bias], "lr": 0.01}
    >>> optimizer = mg.optim.SGD([{"params": [model.weight]}, slow], lr=0.1)
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.1, 0.01]
    >>> mg.optim.Adagrad(model.parameters())
    <Adagrad of 2 parameters, lr=0.01, ...>
    """

    rule: ClassVar[Callable[..., Any]]

    def __init__(self, params: Iterable[Any], **options: Any) -> None:
        name = type(self).__name__
        self.defaults = options
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        self._made_for: dict[Tensor, Any] = {}  # the dtype that a parameter had at its first step
        for group in groups_of(name, params):
            self.param_groups.append(self._checked(group))
        if not self._params:
            raise ValueError(f"{name} got no parameters to train")

    def __repr__(self) -> str:
        groups = [
            f"{len(group['params'])} parameters, "
            + ", ".join(f"{name}={value!r}" for name, value in group.items() if name != "params")
            for group in self.param_groups
        ]
        return f"<{type(self).__name__} of {'; '.join(groups)}>"

    @property
    def _params(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Train more parameters from now on, with options of their own.

        `group` is a dict of "params" and options; what it does not name is as for the others at
        the start. Schedules go on with the group from the rate that it has then.

        Raises
        ------
        ValueError : no parameters, one that is trained already, an option that is unknown or out of
            range; TypeError : an item that is no parameter. No group is added then.

        >>> body, head = mg.nn.Linear(3, 2), mg.nn.Linear(2, 1)
        >>> optimizer = mg.optim.SGD(head.parameters(), lr=0.1)
        >>> optimizer.add_param_group({"params": body.parameters(), "lr": 0.01})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        checked = self._checked(group)
        if not checked["params"]:
            raise ValueError(f"{type(self).__name__}.add_param_group got no parameters to train")
        self.param_groups.append(checked)

    def _checked(self, given: Any) -> dict[str, Any]:
        """A group as it is kept, after all checks."""
        name = type(self).__name__
        group = checked_group(name, given, self.defaults)
        self._check_options(options_of(group))
        known = [*map(id, self._params), *map(id, group["params"])]
        if len(set(known)) < len(known):
            raise ValueError(f"{name} got the same parameter twice")
        return group

    def _check_options(self, options: dict[str, Any]) -> None:
        """Raise for options that do not go together."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with `set_to_none=False` make zeros of them.

        >>> w = mg.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = mg.optim.SGD([w])
        >>> w.sum().backward()
        >>> optimizer.zero_grad()
        >>> print(w.grad)
        None
        """
        forget = check_flag(f"{type(self).__name__}.zero_grad", "set_to_none", set_to_none)
        for p in self._params:
            p.grad = None if forget or p.grad is None else zeros_like(p.grad)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, frozen or not; the others stay as they are.

        `closure`, if there is one, is called first, with gradients on: it computes the loss and
        calls `backward()`. Returns what it returns.

        Raises RuntimeError if no parameter has a gradient (unless all are frozen), or if a gradient
        or the running values are of another shape, dtype or backend than their parameter; no
        parameter has changed then.

        >>> w = mg.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = mg.optim.SGD([w], lr=0.5)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w.tolist()
        [0.0, 0.0]
        """
        loss = None if closure is None else self._call(closure)
        if all(p.grad is None and not p.requires_grad for p in self._params):
            return loss
        self._check_gradients()
        for group in self.param_groups:
            options = options_of(group)
            trained = [p for p in group["params"] if p.grad is not None]
            for backend, params in groupby(trained, key=attrgetter("backend")):
                with active(backend):
                    self._update(list(params), backend, options)
        return loss

    def _update(self, params: list[Tensor], xp: Any, options: dict[str, Any]) -> None:
        """Update parameters of one backend, each in one pass if it has a compiler and that pays."""
        rule = type(self).rule
        name = getattr(rule, "__name__", type(rule).__name__)
        what = f"an update by {name}"
        largest = max(p.size for p in params) if compiles(xp) else 0
        composed = is_composed(name, largest, xp, len(params), what)
        for p in params:
            state = self.state.get(p)
            if state is None:
                state = self.state[p] = {}
                self._made_for.setdefault(p, p._data.dtype)
            data, g = p._data, p.grad._data  # type: ignore[union-attr]
            is_half = data.dtype == HALF
            if is_half:  # calculated in float32, and so are the running values
                data, g = xp.astype(data, SINGLE), xp.astype(g, SINGLE)
            new = None
            if not composed:
                attempt = partial(_attempt, rule, data, g, state, options, xp)
                new = dispatch(name, what, xp, attempt)
            if new is None:
                new = rule(xp, data, g, state, **options)
            if is_half:
                new = xp.astype(new, HALF)
            p._data = new if new.__class__ is xp.array_type else xp.asarray(new)

    def _call(self, closure: Callable[[], Any]) -> Any:
        """What a closure returns, called with gradients on."""
        if not callable(closure) or isinstance(closure, Tensor):
            raise TypeError(
                f"{type(self).__name__}.step(closure) takes a function that computes the loss, "
                f"calls backward() and returns the loss; got {type(closure).__name__} "
                f"{closure!r:.40}"
            )
        with enable_grad():
            return closure()

    def _check_gradients(self) -> None:
        params = self._params
        if all(p.grad is None for p in params):
            with_gradient(f"{type(self).__name__}.step()", params)  # an error
        for p in params:
            g = p.grad
            if g is None:
                continue
            if not isinstance(g, Tensor):
                raise RuntimeError(
                    f"{type(self).__name__}: a gradient must be a tensor; got {type(g).__name__}"
                )
            array, like = g._data, p._data
            if array.shape != like.shape or array.dtype != like.dtype or g.backend is not p.backend:
                raise RuntimeError(
                    f"{type(self).__name__}: {_describe(p)} has a gradient of shape {g.shape}, "
                    f"{g.dtype} on {g.backend.name!r}; compute the gradient again"
                )
            if state := self.state.get(p):
                self._check_state(p, state)

    def _check_state(self, p: Tensor, state: dict[str, Any]) -> None:
        for key, value in state.items():
            if not are_of(value, p, self._made_for.get(p)):
                raise RuntimeError(
                    f"{type(self).__name__}: {_describe(p)} was of another dtype or on another "
                    f"backend when its {key!r} was made. Convert a model before the first step(); "
                    "later, take optimizer.state_dict() before and load_state_dict() after"
                )

    # --- saving and resuming ---------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """NumPy copies of the running values, and the options: what `mg.save` takes.

        "state" lists the running values of each parameter; "param_groups" lists the options of
        each group, with the positions of its parameters in "params"; "parameters" lists what each
        parameter is like.

        >>> optimizer = mg.optim.RMSprop([mg.ones(2, requires_grad=True)], lr=0.1)
        >>> state = optimizer.state_dict()
        >>> state["param_groups"][0]["lr"], state["parameters"]
        (0.1, [{'shape': [2], 'dtype': 'float32'}])
        """
        params = self._params
        for p in params:
            self._check_state(p, self.state.get(p, {}))
        positions = iter(range(len(params)))
        return {
            "state": [to_host(self.state.get(p, {}), p) for p in params],
            "param_groups": [
                {"params": [next(positions) for _ in group["params"]], **_saved(group)}
                for group in self.param_groups
            ],
            "parameters": [{"shape": list(p.shape), "dtype": p.dtype.name} for p in params],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict()` returned, for the same parameters in the same order.

        The run then continues bit by bit as it would have. If anything doesn't fit, nothing
        changes, and a ValueError lists it all.

        >>> old = mg.optim.Adam([mg.ones(2, requires_grad=True)], lr=0.5)
        >>> new = mg.optim.Adam([mg.ones(2, requires_grad=True)])
        >>> new.load_state_dict(old.state_dict())
        >>> new.param_groups[0]["lr"]
        0.5
        """
        name = type(self).__name__
        if not isinstance(state, Mapping) or not {"state", "param_groups"} <= state.keys():
            raise ValueError(f"{name}.load_state_dict takes what its state_dict() returned")
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
            if options_of(group).keys() != options_of(saved).keys():
                problems.append(
                    f"options of group {i}: here {', '.join(options_of(group))}; in the state "
                    f"{', '.join(options_of(saved))}"
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
            group.update(_saved(saved))
        self.state = running
        self._made_for = {p: p.dtype for p in running}


def _attempt(rule: Any, p: Any, g: Any, state: Any, options: Any, xp: Any, required: bool) -> Any:
    """The new array of a parameter in one pass, or the reason why there is none."""
    if not required and (reason := why_no_kernel(math.prod(p.shape), xp)):
        return reason
    from ..compiler.fused_update import fused_update

    return fused_update(rule, p, g, state, options, xp, required)


def _describe(p: Tensor) -> str:
    return f"a parameter of shape {p.shape}, {p.dtype} on {p.backend.name!r}"


def _saved(group: Mapping[str, Any]) -> dict[str, Any]:
    """What is saved of a group: its options, and the rate that schedules start from."""
    start = {"initial_lr": float(group["initial_lr"])} if "initial_lr" in group else {}
    return options_of(group) | start
