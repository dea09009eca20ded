"""A module as JSON: its layer's name, its options, its parts; and the module that JSON describes.

The options are the arguments of the constructor, which layers hold as attributes of these names.
Only layers of minigrad have a description. A module that you wrote has a `forward()`, which is
code, and a description holds none.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.engine.rng import generator_again
from minigrad.nn import Module, ModuleDict, ModuleList, Parameter, Recurrent, Sequential

from ..registry import LAYERS
from .outputs import Outputs
from .refusals import ConversionError

__all__ = ["at", "build", "describe", "fill", "items_of", "kinds_in", "new", "options_of"]

CONTAINERS: dict[str, Any] = {"Sequential": Sequential, "ModuleDict": ModuleDict}
CONTAINERS["ModuleList"] = ModuleList
_KNOWN: dict[str, type[Module]] = {
    name: value
    for name, value in vars(mg.nn).items()
    if isinstance(value, type) and issubclass(value, Module) and value not in (Module, Recurrent)
}
_KNOWN |= LAYERS


def describe(module: Any, part: str = "") -> dict[str, Any]:
    """What JSON says of a module, or of a function of minigrad as an item of a Sequential.

    Raises ConversionError for what has no description.

    >>> describe(mg.nn.Sequential(mg.nn.Linear(3, 2, bias=False), mg.tanh))["items"]["1"]
    {'function': 'tanh'}
    >>> describe(mg.nn.Linear(3, 2, bias=False))["options"]
    {'in_features': 3, 'out_features': 2, 'bias': False}
    """
    kind = type(module).__name__
    if type(module) is CONTAINERS.get(kind):
        return {"layer": kind, "items": {n: describe(m, at(part, n)) for n, m in items_of(module)}}
    if type(module) is Outputs:
        options = {"which": module.which, "go_backwards": module.go_backwards}
        inner = describe(module.layer, at(part, "layer"))
        return {"layer": kind, "of": inner, "options": options}
    if type(module) is _KNOWN.get(kind):
        try:
            return {"layer": kind, "options": json.loads(json.dumps(options_of(module)))}
        except (TypeError, ValueError) as error:
            raise ConversionError(part, kind, f"its options are no JSON: {error}") from error
        except AttributeError as error:
            raise ConversionError(part, kind, f"it doesn't say its options: {error}") from error
    for name, function in _functions().items():
        if function is module:
            return {"function": name}
    if not isinstance(module, Module):
        what = getattr(module, "__name__", kind)
        raise ConversionError(
            part, what, "it is a function that isn't one of minigrad's, as mg.tanh"
        )
    raise ConversionError(
        part,
        kind,
        "it is a class that you wrote, and its forward() is code. Write the class on the other "
        "side, too, and take its weights by state_dict() and load_state_dict()",
    )


def _functions() -> dict[str, Any]:
    """The functions and ops of `mg` by name."""
    return {
        name: value
        for name, value in vars(mg).items()
        if callable(value) and not isinstance(value, type) and not name.startswith("_")
    }


def build(description: Mapping[str, Any], part: str = "") -> Any:
    """The module that a description describes, with initial values; or the function.

    Raises ConversionError for an unknown layer or wrong options.

    >>> build({"layer": "Linear", "options": {"in_features": 3, "out_features": 2}})
    Linear(in_features=3, out_features=2, bias=True)
    """
    if not isinstance(description, Mapping) or not description.keys() & {"layer", "function"}:
        raise ConversionError(part, "a description", f"it names no layer: {description!r:.60}")
    if "function" in description:
        name = description["function"]
        if name not in _functions():
            raise ConversionError(part, repr(name), "minigrad has no function of this name")
        return _functions()[name]
    kind, options = description["layer"], description.get("options", {})
    try:
        options = {n: tuple(v) if isinstance(v, list) else v for n, v in options.items()}
        if kind in CONTAINERS:
            items = {n: build(d, at(part, n)) for n, d in description["items"].items()}
            return ModuleList(items.values()) if kind == "ModuleList" else CONTAINERS[kind](items)
        if kind == "Outputs":
            return Outputs(build(description["of"], at(part, "layer")), **options)
        if kind in _KNOWN:
            return new(_KNOWN[kind], **options)
    except ConversionError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ConversionError(part, str(kind), f"its description is wrong: {error}") from error
    raise ConversionError(part, repr(kind), f"minigrad {mg.__version__} has no layer of this name")


def new(kind: Any, *args: Any, **options: Any) -> Any:
    """A new module whose values will be replaced: minigrad's random numbers stay as they are.

    >>> new(mg.nn.Linear, 3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    """
    token = generator_again.set(np.random.default_rng(0))
    try:
        return kind(*args, **options)
    finally:
        generator_again.reset(token)


def options_of(module: Module) -> dict[str, Any]:
    """The arguments that make such a module, by name.

    >>> options_of(mg.nn.LSTM(3, 4, num_layers=2))["num_layers"]
    2
    """
    kind = type(module)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    signatures = [
        inspect.signature(vars(base)["__init__"])
        for base in reversed(kind.__mro__)
        if "__init__" in vars(base)
    ]
    names = [
        name
        for signature in [*signatures, inspect.signature(kind)]
        for name, parameter in list(signature.parameters.items())
        if parameter.kind in named and name != "self"
    ]
    options = {}
    for name in dict.fromkeys(names):
        if name == "elementwise_affine":
            options[name] = getattr(module, "weight", None) is not None
            continue
        value = getattr(module, name)
        is_part = isinstance(value, Parameter) or (name == "bias" and value is None)
        options[name] = value is not None if is_part else value
    return options


def fill(module: Module, arrays: Mapping[str, Any], part: str = "") -> Module:
    """Give a layer its arrays, and the float dtype that they have.

    Raises ConversionError if they don't fit.

    >>> fill(mg.nn.Linear(1, 1), {"weight": np.ones((1, 1)), "bias": np.zeros(1)}).weight.dtype
    dtype('float64')
    """
    kind = type(module).__name__
    dtypes = {np.asarray(array).dtype for array in arrays.values()}
    strange = [str(dtype) for dtype in dtypes if dtype.kind not in "fiu"]
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    if strange or len(floats) > 1:
        listed = ", ".join(sorted(map(str, dtypes)))
        raise ConversionError(part, kind, f"its arrays must be of one float dtype; got {listed}")
    if floats:
        module.astype(floats[0])
    try:
        module.load_state_dict(arrays)
    except (ValueError, TypeError) as error:
        raise ConversionError(part, kind, str(error)) from error
    return module


def items_of(module: Any) -> Iterator[tuple[str, Any]]:
    """The items of a container with their names; functions, too.

    >>> [name for name, _ in items_of(mg.nn.Sequential(mg.nn.Linear(3, 2), mg.tanh))]
    ['0', '1']
    """
    return ((name, item) for name, item in vars(module).items() if callable(item))


def kinds_in(description: Mapping[str, Any]) -> Iterator[str]:
    """The names of all layers that a description has.

    >>> list(kinds_in(describe(mg.nn.Sequential(mg.nn.Linear(3, 2)))))
    ['Sequential', 'Linear']
    """
    if "layer" in description:
        yield description["layer"]
        for inner in (
            *description.get("items", {}).values(),
            *filter(None, [description.get("of")]),
        ):
            yield from kinds_in(inner)


def at(part: str, name: str) -> str:
    """The place of a part within another one.

    >>> at("", "encoder"), at("encoder", "0")
    ('encoder', 'encoder.0')
    """
    return f"{part}.{name}" if part else name
