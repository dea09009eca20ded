"""Whole modules as safetensors files: the arrays by their names, and what the module is.

The arrays lie in the file under the names of the state dict, so other readers of safetensors find
them, PyTorch's among them. The description of the module is JSON in the metadata. A file that has
none, as PyTorch's users write them, is a bare state dict.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import minigrad as mg
from minigrad.nn import Buffer, Module, Parameter
from minigrad.nn.parts import all_names

from .description import at, build, describe, fill
from .pytorch import from_pytorch
from .refusals import ConversionError

__all__ = ["load_module", "save_module"]

KEY = "minigrad.module"
FORMAT = 1


def save_module(path: str | os.PathLike[str], module: Module) -> None:
    """Write a module to a safetensors file: its weights, and what it is made of.

    Its layers must be minigrad's: those of `mg.nn` and of the zoo, and functions of `mg` in a
    Sequential. Mode, dtypes, frozen and tied parameters are kept. Raises ConversionError for a
    class that you wrote, whose `forward()` is code, and OSError if the file can't be written.

    >>> import tempfile
    >>> from minigrad.models.convert import load_module, save_module
    >>> model = mg.nn.Sequential(mg.nn.Linear(3, 4), mg.tanh, mg.nn.Linear(4, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_module(f"{folder}/model.safetensors", model)
    ...     load_module(f"{folder}/model.safetensors")
    Sequential(
      (0): Linear(in_features=3, out_features=4, bias=True)
      (1): <op tanh>
      (2): Linear(in_features=4, out_features=2, bias=True)
    )
    """
    if not isinstance(module, Module):
        raise TypeError(f"save_module takes a module; got {type(module).__name__}")
    state = module.state_dict()
    record = {
        "format": FORMAT,
        "minigrad": mg.__version__,
        "module": describe(module),
        "training": [name for name, part in module.named_modules() if part.training],
        "frozen": [name for name, p in module.named_parameters() if not p.requires_grad],
        "tied": _tied(module),
    }
    if KEY in state:
        raise ConversionError("", type(module).__name__, f"its parameter {KEY} has a name in use")
    mg.save(path, {KEY: record, **state})


def _tied(module: Module) -> list[list[str]]:
    """The names of each parameter that has several: first the one that it is counted under."""
    names: dict[int, list[str]] = {}
    for name, part in all_names(module).items():
        if isinstance(part, (Parameter, Buffer)):
            names.setdefault(id(part), []).append(name)
            if isinstance(part, Buffer) and len(names[id(part)]) > 1:
                reason = f"its buffers have several names ({', '.join(names[id(part)])})"
                raise ConversionError("", type(module).__name__, reason)
    return [held for held in names.values() if len(held) > 1]


def load_module(
    path: str | os.PathLike[str],
    layers: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> Any:
    """Read the module that `save_module` wrote, or the layers of another safetensors file.

    Parameters
    ----------
    path : a safetensors file.
    layers, options : for a file without a description, as PyTorch's users write them: what names
        and shapes don't say, as `from_pytorch` takes it: `batch_first=True`.

    Raises
    ------
    ConversionError : the file describes a layer that this release lacks, or has arrays of no
        known layer, or options are missing.
    FileNotFoundError, ValueError : there is no such file, or it is damaged; see `mg.load`.

    >>> import tempfile
    >>> from minigrad.models.convert import load_module
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mg.save(f"{folder}/theirs.safetensors", mg.nn.GRU(3, 4).state_dict())
    ...     load_module(f"{folder}/theirs.safetensors", batch_first=False)
    GRU(3, 4)
    """
    state = mg.load(path)
    if KEY not in state:
        return from_pytorch(state, layers, **options)
    if layers or options:
        raise TypeError(f"load_module: {os.fspath(path)} says all options itself; give none")
    record = state.pop(KEY)
    if not isinstance(record, Mapping) or record.get("format") != FORMAT:
        found = record.get("format") if isinstance(record, Mapping) else record
        raise ConversionError(
            "",
            os.fspath(path),
            f"it is of format {found!r:.20}, and minigrad {mg.__version__} reads {FORMAT}",
        )
    module = build(record["module"])
    try:
        _fill_all(module, state)
        for first, *others in record["tied"]:
            for name in others:
                owner, _, own = name.rpartition(".")
                setattr(module.get_submodule(owner), own, module.get_parameter(first))
        for name, part in module.named_modules():
            part.training = name in record["training"]
        for name in record["frozen"]:
            module.get_parameter(name).requires_grad = False
    except (KeyError, TypeError, AttributeError) as error:
        what = f"its description and its arrays don't belong together: {error}"
        raise ConversionError("", os.fspath(path), what) from error
    return module


def _fill_all(module: Module, state: Mapping[str, Any]) -> None:
    """Give each layer its arrays, in their dtypes."""
    left = dict(state)
    for part, layer in module.named_modules():
        if not list(layer.children()):
            start = at(part, "")
            own = {name: array for name, array in left.items() if name.startswith(start)}
            fill(layer, {name.removeprefix(start): array for name, array in own.items()}, part)
            for name in own:
                del left[name]
    if left:
        raise ConversionError(
            "", type(module).__name__, f"its file has arrays of no layer: {', '.join(left)}"
        )
