"""Groups of parameters with their options, checked before an optimiser keeps them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..engine.tensor import Tensor
from ..utils.arguments import check_flag, check_positive, is_number

# Options by kind. A number is 0 or more, a whole one 1 or more; betas are two numbers from 0 to
# below 1.
_NUMBERS = {"lr", "eps", "alpha", "rho", "momentum", "dampening", "weight_decay", "lr_decay"}
_NUMBERS |= {"initial_accumulator_value", "tolerance_grad", "tolerance_change"}
_WHOLE = {"max_iter", "max_eval", "history_size"}
_FLAGS = {"nesterov", "amsgrad", "centered", "maximize"}
_UP_TO_ONE = {"rho"}

_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_NUMBERS, float),
    **dict.fromkeys(_WHOLE, int),
    "betas": lambda pair: tuple(map(float, pair)),
}

# Of a group, besides its options: its parameters, and the rate that schedules start from.
_NO_OPTIONS = ("params", "initial_lr")


def options_of(group: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a group; as Python numbers, since NumPy's change the dtype they meet."""
    options = {}
    for key, value in group.items():
        if key not in _NO_OPTIONS:
            convert = _CONVERSIONS.get(key)
            options[key] = value if convert is None else convert(value)
    return options


def groups_of(name: str, params: Any) -> list[dict[str, Any]]:
    """What an optimiser called `name` was given, as groups that are still unchecked."""
    if isinstance(params, (Tensor, Mapping)) or not isinstance(params, Iterable):
        hint = "; a group stands in a list, as in [group]" if isinstance(params, Mapping) else ""
        raise TypeError(
            f"{name} takes several parameters, such as model.parameters() or [w, b]; "
            f"got one {type(params).__name__}{hint}"
        )
    _refuse_set(name, params)
    groups = list(params)
    return groups if any(isinstance(group, dict) for group in groups) else [{"params": groups}]


def checked_group(name: str, given: Any, defaults: dict[str, Any]) -> dict[str, Any]:
    """A group of parameters as the optimiser called `name` keeps it, after all checks."""
    if not isinstance(given, dict) or "params" not in given:
        raise TypeError(
            f'{name}: a group is a dict such as {{"params": [w], "lr": 0.1}}; got '
            f"{type(given).__name__} {given!r:.60}"
        )
    unknown = sorted(map(str, given.keys() - defaults.keys() - {"params"}))
    if unknown:
        raise ValueError(
            f"{name}: unknown option {', '.join(unknown)}; there are {', '.join(defaults)}"
        )
    params = given["params"]
    _refuse_set(name, params)
    if not isinstance(params, Iterable):
        raise TypeError(
            f"{name}: a group's params are parameters, such as model.parameters(); got "
            f"{type(params).__name__}"
        )
    params = [params] if isinstance(params, Tensor) else list(params)
    for p in params:
        _check_parameter(name, p)
    options = {**defaults, **given}
    for key, value in options.items():
        _check_option(name, key, value)
    return {"params": params, **options_of(options)}


def _refuse_set(name: str, params: Any) -> None:
    if isinstance(params, (set, frozenset)):
        raise TypeError(
            f"{name}: parameters come in an order, by which they are saved and loaded; got a "
            f"{type(params).__name__}. Give a list"
        )


def _check_parameter(name: str, p: Any) -> None:
    if not isinstance(p, Tensor):
        kind = type(p).__name__
        named = isinstance(p, tuple) and len(p) == 2 and isinstance(p[1], Tensor)
        hint = ". named_parameters() gives pairs; take parameters()" if named else ""
        raise TypeError(f"{name} trains parameters, such as model.parameters(); got {kind}{hint}")
    if not p.is_leaf:
        raise TypeError(
            f"{name} trains parameters, and this tensor of shape {p.shape} is the result of "
            "an op; pass the leaf that it was computed from"
        )


def _check_option(name: str, key: str, value: Any) -> None:
    if key in _FLAGS:
        check_flag(name, key, value)
    elif key in _WHOLE:
        check_positive(name, key, value)
    elif key == "betas":
        if not isinstance(value, (list, tuple)) or not all(map(is_number, value)):
            raise TypeError(f"{name}: an option must be a number; got {key}={value!r:.40}")
        if not (len(value) == 2 and all(0 <= beta < 1 for beta in value)):
            raise ValueError(f"{name}: betas are two numbers from 0 to below 1; got {value}")
    elif key in _NUMBERS:
        if not is_number(value):
            raise TypeError(f"{name}: an option must be a number; got {key}={value!r:.40}")
        if not 0 <= float(value) < math.inf:
            raise ValueError(f"{name}: {key} must be a number of at least 0; got {float(value)}")
        if key in _UP_TO_ONE and value > 1:
            raise ValueError(f"{name}: {key} must be a number from 0 to 1; got {float(value)}")


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
