"""Inputs of a module at any size of the axes that may vary, drawn like given examples."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module, Recurrent

from .recorder import Recording, evaluating, flat, record
from .sizes import Sizes, draw_sizes

__all__ = ["Examples", "Trial"]

_USUAL = inspect.Parameter.POSITIONAL_OR_KEYWORD


class Trial(NamedTuple):
    """A run of a module, to compare with: its arguments, its inputs by name, and its results."""

    sizes: str
    arguments: dict[str, Any]
    inputs: dict[str, Any]
    results: list[Any]


class Examples:
    """What a module is run on.

    Attributes
    ----------
    names : of the inputs, in their order; the parts of a tuple have a name each.
    runs : the sizes of the varying axes in each run that is recorded; `sizes` explains by them.
    places : for each varying axis an input and the place where that has it.
    backend : the one that the module runs on.
    """

    def __init__(
        self, module: Module, inputs: Any, axes: Mapping[str, Sequence[str | None]] | None
    ) -> None:
        self._module = module
        self._arguments, self._by_position = _by_name(module, inputs)
        self.names, self._parts = [], []
        for name, value in self._arguments.items():
            parts = [part for part in flat(value) if _is_array(part)]
            self.names += _part_names(module, name, value, len(parts))
            self._parts += [_checked(name, part) for part in parts]
        if not self._parts:
            raise ValueError("to_onnx: the module is given no input")
        if axes is None:
            axes = _usual_axes(module, self._arguments, self.names)
        self._axes = self._check_axes(axes)
        self._rng = np.random.default_rng(0)
        tensors = [*module.parameters(), *(x for x in self._parts if isinstance(x, Tensor))]
        self.backend = tensors[0].backend if tensors else mg.current_backend()
        least: dict[str, int] = {}
        self.places: dict[str, tuple[str, int]] = {}
        for name, part, named in zip(self.names, self._parts, self._axes, strict=True):
            for place, (axis, n) in enumerate(zip(named, part.shape, strict=True)):
                if axis is not None:
                    least[axis] = max(least.get(axis, 1), n)
                    self.places.setdefault(axis, (name, place))
        self.least = least
        self.runs = draw_sizes(least, self._rng) if least else [{}] * 3
        self.sizes = Sizes(self.runs)

    def at(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        """Arguments of the module at these sizes, by name."""
        drawn = iter(
            [
                self._draw(part, axes, sizes)
                for part, axes in zip(self._parts, self._axes, strict=True)
            ]
        )
        return self.rebuilt(self._arguments, drawn)

    def call(self, arguments: dict[str, Any]) -> Any:
        """What the module gives for arguments."""
        first = [arguments[name] for name in self._by_position]
        others = {n: value for n, value in arguments.items() if n not in self._by_position}
        return self._module(*first, **others)

    def record(self, sizes: Mapping[str, int]) -> Recording:
        """A run of the module at these sizes, recorded."""
        arguments = self.at(sizes)
        inputs = list(self.by_name(arguments).values())
        return record(self._module, lambda: self.call(arguments), inputs)

    def rebuilt(self, arguments: dict[str, Any], parts: Iterator[Any]) -> dict[str, Any]:
        """Arguments with other tensors and arrays in the places of those in them."""
        return {name: _rebuilt(value, parts) for name, value in arguments.items()}

    def trials(self, seed: int = 0) -> Iterator[Trial]:
        """What the module gives at other sizes than those recorded, in evaluation mode.

        First all varying axes are longer than in the example. Then each of them has size 1, unless
        the module can't do with that, as with lengths of more steps.
        """
        rng = np.random.default_rng(seed)
        longer = {axis: n + int(rng.integers(1, 5)) for axis, n in self.least.items()}
        for sizes in (longer, *({**longer, axis: 1} for axis in longer)):
            arguments = self.at(sizes)
            try:
                with evaluating(self._module), mg.no_grad():
                    results = flat(self.call(arguments))
            except Exception:
                if sizes is longer:
                    raise
                continue
            label = ", ".join(f"{axis} {n}" for axis, n in sizes.items())
            yield Trial(label, arguments, self.by_name(arguments), results)

    def by_name(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The tensors and arrays in arguments, by the names of the inputs."""
        parts = [part for part in flat(arguments) if _is_array(part)]
        return dict(zip(self.names, parts, strict=True))

    def _draw(self, part: Any, axes: Sequence[str | None], sizes: Mapping[str, int]) -> Any:
        """An input like an example: integers from its range; floats of its signs, no larger."""
        array = part.numpy() if isinstance(part, Tensor) else part
        shape = tuple(n if a is None else sizes[a] for a, n in zip(axes, array.shape, strict=True))
        drawn: np.ndarray
        if array.dtype.kind == "b":
            drawn = self._rng.random(shape) < 0.5
        elif array.dtype.kind in "iu":
            low = min(1, int(array.min(initial=1)))
            high = max(low, int(array.max(initial=low)))
            drawn = self._rng.integers(low, high, shape, endpoint=True)
        else:
            entries = array[np.isfinite(array)]
            if entries.any():
                drawn = self._rng.choice(entries, shape) * self._rng.uniform(0.5, 1.0, shape)
            else:
                drawn = self._rng.normal(size=shape)
        drawn = np.asarray(drawn).astype(array.dtype)
        return mg.tensor(drawn, backend=part.backend) if isinstance(part, Tensor) else drawn

    def _check_axes(self, axes: Mapping[str, Sequence[str | None]]) -> list[list[str | None]]:
        """The names of the axes of each input."""
        unknown = [name for name in axes if name not in self.names]
        if unknown:
            raise ValueError(
                f"to_onnx: axes are given for {unknown[0]!r}, and the inputs are "
                f"{', '.join(self.names)}"
            )
        checked = []
        for name, part in zip(self.names, self._parts, strict=True):
            named = axes.get(name, [None] * part.ndim)
            fits = not isinstance(named, str) and len(named) == part.ndim
            if not fits or not all(a is None or (isinstance(a, str) and a) for a in named):
                raise ValueError(
                    f"to_onnx: {name} has {part.ndim} axes, {tuple(part.shape)}; axes[{name!r}] is "
                    f"a name or None for each of them; got {named!r:.80}"
                )
            checked.append(list(named))
        return checked


def _by_name(module: Module, inputs: Any) -> tuple[dict[str, Any], list[str]]:
    """The arguments of a module by the names of its parameters; which are given by position."""
    signature = inspect.signature(module.forward)
    try:
        if isinstance(inputs, Mapping):
            bound = signature.bind(**inputs)
        else:
            positional = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
            bound = signature.bind(*positional)
    except TypeError as error:
        raise ValueError(
            f"to_onnx: {type(module).__name__} takes {signature}; the inputs don't fit: {error}. "
            "Give a tensor, a tuple of arguments, or a dict of them by name"
        ) from None
    arguments: dict[str, Any] = {}
    by_position = []
    # What stands before *args can't be given by name.
    kinds = [signature.parameters[name].kind for name in bound.arguments]
    several = inspect.Parameter.VAR_POSITIONAL in kinds
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            arguments |= value
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            names = ["x"] if len(value) == 1 else [f"x_{i}" for i in range(len(value))]
            arguments |= zip(names, value, strict=True)
            by_position += names
        else:
            arguments[name] = value
            if kind is inspect.Parameter.POSITIONAL_ONLY or (several and kind is _USUAL):
                by_position.append(name)
    return {name: _normal(value) for name, value in arguments.items()}, by_position


def _part_names(module: Module, name: str, value: Any, count: int) -> list[str]:
    """The names of the tensors in an argument."""
    if name == "state" and isinstance(module, Recurrent) and count == len(module.states):
        return [f"{state}_0" for state in module.states]
    if isinstance(value, (Tensor, np.ndarray)) or count == 1:
        return [name]
    return [f"{name}_{i}" for i in range(count)]


def _rebuilt(value: Any, drawn: Any) -> Any:
    """An argument with other tensors and arrays in the places of those in it."""
    if _is_array(value):
        return next(drawn)
    if isinstance(value, (tuple, list)):
        return type(value)(_rebuilt(part, drawn) for part in value)
    return value


def _is_array(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


def _normal(value: Any) -> Any:
    """An argument, with lists of numbers as arrays."""
    if isinstance(value, (tuple, list)) and value and not any(map(_is_array, flat(value))):
        array = np.asarray(value)
        return array if array.dtype.kind in "iufb" else value
    return value


def _checked(name: str, part: Any) -> Any:
    if part.dtype.kind not in "iufb":
        raise ValueError(f"to_onnx: {name} is an array of {part.dtype}; inputs are numbers")
    return part


def _usual_axes(
    module: Module, arguments: dict[str, Any], names: Sequence[str]
) -> Mapping[str, Sequence[str | None]]:
    """The axes that vary if none are named: time and batch of a recurrent layer."""
    if not isinstance(module, Recurrent) or not _is_array(arguments.get("x")):
        return {}
    axes: dict[str, Sequence[str | None]]
    if arguments["x"].ndim == 2:
        axes = {"x": ("time", None), "mask": ("time",)}
        return {name: named for name, named in axes.items() if name in names}
    both = ("batch", "time") if module.batch_first else ("time", "batch")
    axes = {"x": (*both, None), "lengths": ("batch",)}
    axes["mask"] = both
    axes |= {f"{state}_0": (None, "batch", None) for state in module.states}
    return {name: named for name, named in axes.items() if name in names}
