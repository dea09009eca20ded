"""`mg.optim`: optimisers, gradient clipping and learning-rate schedules.

Formulas and option names are those of `torch.optim`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from ..engine.registry import active
from ..engine.tensor import Tensor
from ..fusion import TOO_SMALL, compiles, dispatch, is_worth_a_kernel
from ..utils.arguments import is_number
from .running import Misfit, are_of, from_host, running_dtype, to_host

__all__ = ["Optimizer"]


# The options that are numbers.
_NUMBERS = {"lr", "betas", "eps", "alpha", "momentum", "dampening", "weight_decay"}


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
        for p, g in with_gradient(f"{type(self).__name__}.step()", self._params):
            self._check_gradient(p, g)
            self._check_state(p)
        for group in self.param_groups:
            options = _options(group)
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state.setdefault(p, {})
                    self._made_for.setdefault(p, p.dtype)
                    with active(p.backend):
                        new = _update(type(self).rule, p, p.grad._data, state, options)
                    p._data = p.backend.asarray(new)

    def _check_gradient(self, p: Tensor, g: Any) -> None:
        if not isinstance(g, Tensor):
            raise RuntimeError(
                f"{type(self).__name__}: a gradient must be a tensor; got {type(g).__name__}"
            )
        if (g.shape, g.dtype) != (p.shape, p.dtype) or g.backend is not p.backend:
            raise RuntimeError(
                f"{type(self).__name__}: {_describe(p)} has a gradient of shape {g.shape}, "
                f"{g.dtype} on {g.backend.name!r}; compute the gradient again"
            )

    def _check_state(self, p: Tensor) -> None:
        for key, value in self.state.get(p, {}).items():
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
        """Restore what `state_dict()` returned, for the same parameters in the same order.

        The run then continues bit by bit as it would have. If anything doesn't fit, nothing
        changes, and a ValueError lists it all.
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


def _update(
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
        if not required and not is_worth_a_kernel(p.size, xp):
            return TOO_SMALL
        from ..compiler.fused_update import fused_update

        return fused_update(rule, data, g, state, options, xp, required)

    new = dispatch(name, f"an update by {name}", xp, attempt if compiles(xp) else None)
    new = rule(xp, data, g, state, **options) if new is None else new
    return new if dtype == p.dtype else xp.astype(new, p.dtype)


def _describe(p: Tensor) -> str:
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
            raise TypeError(f"{name}: an option must be a number; got {key}={value!r:.40}")
    options = _options({**defaults, **given})
    for key, value in options.items():
        if key == "betas":
            if not (len(value) == 2 and all(0 <= beta < 1 for beta in value)):
                raise ValueError(f"{name}: betas are two numbers from 0 to below 1; got {value}")
        elif key in _NUMBERS and not 0 <= value < math.inf:
            raise ValueError(f"{name}: {key} must be a number of at least 0; got {value}")
    return {"params": params, **options}


# --- clipping ------------------------------------------------------------------------------


def with_gradient(what: str, params: Any) -> list[tuple[Tensor, Tensor]]:
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
