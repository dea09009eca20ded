"""Modules of PyTorch in and out.

Layers have PyTorch's names, weights and conventions here, so a conversion makes the same layer on
the other side and copies its state. What it has to know is which options have other names, and
which have no counterpart.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.nn import Module, Parameter
from minigrad.utils.install import install_line

from .description import CONTAINERS, at, fill, items_of, new, options_of
from .refusals import ConversionError
from .torch_layers import (
    FUNCTIONS,
    NEEDS,
    TWINS,
    as_array,
    refuse_for_pytorch,
    refuse_hooks,
    refuse_other_values,
)
from .torch_state import from_state

__all__ = ["from_pytorch", "pytorch_state", "state_in", "to_pytorch"]


# --- in ----------------------------------------------------------------------------------------


def from_pytorch(
    source: Any, layers: Mapping[str, Mapping[str, Any]] | None = None, **options: Any
) -> Any:
    """The module here that computes the same as one of PyTorch's, with its weights.

    Parameters
    ----------
    source : a module of `torch.nn`: recurrent layers and cells, `Linear`, `Embedding`, norms,
        dropout, activations, and containers of them. Its dtype, mode, frozen and tied parameters
        are taken over. Or a state dict, or the path of a file with one: safetensors, or `.pt`,
        which PyTorch itself must read.
    layers : for a state dict, what it doesn't say, by the names of layers in it:
        `{"encoder": {"batch_first": True}, "words": {"layer": "Embedding"}}`.
    options : the same for all layers that have such an option: `batch_first=True`. What changes
        outputs must be given: `batch_first` of layers, `nonlinearity` of an RNN, `eps` of norms.
        `dropout`, `padding_idx` and `momentum` act in training only; they have PyTorch's defaults.

    Returns
    -------
    The module. For a state dict with several layers, a `ModuleDict` of them, whose state dict has
    the same names.

    Raises
    ------
    ConversionError : names the part that can't be converted, and the reason.

    Examples
    --------
    >>> state = {"weight_ih": np.ones((12, 3)), "weight_hh": np.ones((12, 4))}
    >>> from_pytorch(state)
    GRUCell(3, 4, bias=False)
    >>> state = {"rnn.weight_ih_l0": np.ones((4, 3)), "rnn.weight_hh_l0": np.ones((4, 4))}
    >>> from_pytorch(state, batch_first=True, layers={"rnn": {"nonlinearity": "relu"}})
    ModuleDict(
      (rnn): RNN(3, 4, bias=False, batch_first=True, nonlinearity='relu')
    )
    """
    torch = sys.modules.get("torch")  # if it isn't loaded, nothing is of it
    if torch is not None and isinstance(source, torch.nn.Module):
        if layers or options:
            given = ", ".join([*(["layers"] if layers else []), *options])
            raise TypeError(f"from_pytorch: a module says all of its options itself; got {given}")
        return _Reader(torch).read(source)
    if isinstance(source, (str, os.PathLike)):
        source = state_in(source)
    if not isinstance(source, Mapping):
        raise TypeError(
            "from_pytorch takes a module of PyTorch, a state dict, or the path of a file with one; "
            f"got {type(source).__name__}"
        )
    return from_state(
        {name: as_array(name, x) for name, x in source.items()}, layers or {}, options
    )


class _Reader:
    """Reads one module of PyTorch with all within; what is in it twice is made once."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.modules: dict[int, Module] = {}
        self.parameters: dict[int, Parameter] = {}

    def read(self, theirs: Any, part: str = "") -> Module:
        """Our module for one of PyTorch's, at `part` of the whole."""
        if id(theirs) not in self.modules:
            self.modules[id(theirs)] = self._read(theirs, part).train(theirs.training)
        return self.modules[id(theirs)]

    def _read(self, theirs: Any, part: str) -> Module:
        torch, kind = self.torch, type(theirs).__name__
        for name, container in CONTAINERS.items():
            original = getattr(torch.nn, name)
            # A subclass that only has another constructor is the container that it was.
            if isinstance(theirs, original) and type(theirs).forward is original.forward:
                refuse_hooks(theirs, part)
                children = theirs.named_modules(remove_duplicate=False)
                items = {n: self.read(m, at(part, n)) for n, m in children if n and "." not in n}
                made: Module = container(items.values() if name == "ModuleList" else items)
                return made
        if kind not in TWINS or type(theirs) is not getattr(torch.nn, kind):
            raise ConversionError(part, kind, _no_twin(theirs, torch))
        refuse_hooks(theirs, part)
        refuse_other_values(NEEDS, kind, theirs, part)
        twin = TWINS[kind]
        options = {ours: _option(theirs, name, part) for ours, name in twin.options.items()}
        arrays = {name: as_array(at(part, name), x) for name, x in theirs.state_dict().items()}
        if kind == "LayerNorm" and len(arrays) == 1:
            raise ConversionError(part, kind, "a LayerNorm here has weight and bias, or neither")
        ours = fill(new(twin.ours, **options), arrays, part)
        for name, parameter in theirs.named_parameters(recurse=False):
            if id(parameter) in self.parameters:  # tied
                setattr(ours, name, self.parameters[id(parameter)])
                continue
            mine: Parameter = getattr(ours, name)
            mine.requires_grad = parameter.requires_grad
            self.parameters[id(parameter)] = mine
        return ours


def _no_twin(theirs: Any, torch: Any) -> str:
    kind = type(theirs)
    if kind.__module__.startswith("torch.") and kind.__module__ != "torch.nn.utils.parametrize":
        return f"minigrad has no such layer. It has {', '.join([*TWINS, *CONTAINERS])}"
    if kind.__name__.startswith("Parametrized"):
        return (
            "its weights are computed from others; make them plain first, by "
            "torch.nn.utils.parametrize.remove_parametrizations"
        )
    return (
        "it is a class that you wrote, and its forward() is code. Write the class here, too, with "
        "the same names, and take its weights: ours.load_state_dict(pytorch_state(theirs))"
    )


def _option(theirs: Any, name: str, part: str) -> Any:
    value = getattr(theirs, name)
    if name == "bias" and type(theirs).__name__ == "Linear":
        return value is not None
    if name == "dim" and value is None:
        raise ConversionError(part, type(theirs).__name__, "dim=None: name the axis")
    return tuple(value) if name == "normalized_shape" else value


def state_in(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """The state dict in a file."""
    name = os.fspath(path)
    if os.path.splitext(name)[1].lower() not in (".pt", ".pth", ".bin", ".ckpt"):
        return mg.load(path)
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{name} is a file of PyTorch's, which only PyTorch can read safely, and it is not "
            "installed here. Where it is, write another file: "
            "safetensors.torch.save_file(model.state_dict(), 'model.safetensors'). Or "
            f"install it; {install_line('oracle')}"
        ) from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # what a damaged pickle raises may be anything
        if "weights_only" not in str(error).lower():
            why = f"{type(error).__name__} {error}".partition("\n")[0]
            raise ValueError(f"{name} is damaged, or no file of PyTorch's: {why:.150}") from error
        raise ConversionError(
            "",
            name,
            "it holds more than tensors, such as a whole module, and reading that could run any "
            "code. Save model.state_dict() instead",
        ) from error
    if not isinstance(found, Mapping):
        raise ConversionError("", name, f"it holds no state dict, but {type(found).__name__}")
    nested = [str(key) for key, value in found.items() if isinstance(value, Mapping)]
    if nested:
        raise ConversionError(
            "",
            name,
            f"it is a dict of dicts ({', '.join(nested)}). Take the state dict in it: "
            f"from_pytorch(torch.load({name!r}, weights_only=True)[{nested[0]!r}])",
        )
    return found


# --- out ---------------------------------------------------------------------------------------


def to_pytorch(module: Any) -> Any:
    """The module of PyTorch that computes the same as ours, with its weights.

    Its dtype, mode, frozen and tied parameters are taken over. What sets only initial values here
    (`forget_bias`, `memory`, `orthogonal`) is left out. Needs PyTorch; without it, `pytorch_state`
    gives the arrays that PyTorch's module loads.

    Raises ConversionError for a part that has no counterpart; it names the part and the reason.

    >>> from minigrad.models.convert import to_pytorch
    >>> try:
    ...     to_pytorch(mg.nn.GRU(3, 4, reset_after=False))
    ... except ValueError as error:
    ...     print(error)
    GRU can't be converted: reset_after=False: ...
    """
    refuse_for_pytorch(module)
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "to_pytorch makes a module of PyTorch, which is not installed here; pytorch_state "
            f"gives its state dict without. To install it, {install_line('oracle')}"
        ) from error
    with torch.random.fork_rng(devices=[]):  # the new weights will be replaced
        return _Writer(torch).write(module)


def pytorch_state(module: Any) -> dict[str, np.ndarray]:
    """The state dict of a module as arrays: ours for PyTorch, or PyTorch's for ours.

    Of a module of ours, the state dict that PyTorch's module of the same layers loads, after
    `torch.from_numpy` of each array; raises ConversionError if there is none. Of a module of
    PyTorch, its state dict, which the same module of ours loads, a class that you wrote on both
    sides, too.

    >>> from minigrad.models.convert import pytorch_state
    >>> {name: array.shape for name, array in pytorch_state(mg.nn.Linear(3, 2)).items()}
    {'weight': (2, 3), 'bias': (2,)}
    """
    if isinstance(module, Module):
        refuse_for_pytorch(module)
        return module.state_dict()
    if not hasattr(module, "state_dict"):
        raise TypeError(f"pytorch_state takes a module; got {type(module).__name__}")
    return {name: as_array(name, x) for name, x in module.state_dict().items()}


class _Writer:
    """Makes PyTorch's module of ours, with all within; what is in it twice is made once."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.modules: dict[int, Any] = {}
        self.parameters: dict[int, Any] = {}

    def write(self, ours: Any) -> Any:
        """PyTorch's module for ours."""
        if not isinstance(ours, Module):
            ours = FUNCTIONS[ours]()
            return self._write(ours)
        if id(ours) not in self.modules:
            self.modules[id(ours)] = self._write(ours).train(ours.training)
        return self.modules[id(ours)]

    def _write(self, ours: Module) -> Any:
        torch, kind = self.torch, type(ours).__name__
        if kind in CONTAINERS:
            made = getattr(torch.nn, kind)()
            for name, item in items_of(ours):
                made.add_module(name, self.write(item))
            return made
        options, names = options_of(ours), TWINS[kind].options
        theirs = getattr(torch.nn, kind)(**{name: options[own] for own, name in names.items()})
        state = {name: torch.tensor(array) for name, array in ours.state_dict().items()}
        floats = [x.dtype for x in state.values() if x.is_floating_point()]
        theirs = theirs.to(floats[0]) if floats else theirs
        theirs.load_state_dict(state)
        for name, parameter in list(theirs.named_parameters(recurse=False)):
            mine = getattr(ours, name)
            if id(mine) in self.parameters:  # tied
                setattr(theirs, name, self.parameters[id(mine)])
                continue
            parameter.requires_grad = mine.requires_grad
            self.parameters[id(mine)] = parameter
        return theirs
