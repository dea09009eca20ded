"""Runs of PyTorch's modules, beside ours."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.nn import Module

from .certificate import Run
from .runs import callable_parts, inputs_of, named_outputs

__all__ = ["run_pytorch", "torch_gradients", "torch_inputs"]


def run_pytorch(
    ours: Module,
    theirs: Any,
    inputs: Mapping[str, np.ndarray],
    cotangents: Mapping[str, np.ndarray],
    training: bool = False,
) -> tuple[str, Run]:
    """PyTorch's release, and what a copy of its module in float64 gives.

    `ours` is the module that it is compared with, whose names and kinds of outputs it shares;
    inputs and cotangents are as `minigrad.models.convert.runs.run` takes and gives them.
    """
    import torch

    theirs = copy.deepcopy(theirs).cpu().double().train(training).requires_grad_()
    given = torch_inputs(inputs)
    outputs: dict[str, Any] = {}
    for part, called in callable_parts(ours):
        x, state = inputs_of(part, given)
        packed = [state[0] if len(state) == 1 else tuple(state)] if state else []
        outputs |= named_outputs(part, called, theirs.get_submodule(part)(x, *packed))
    gradients = torch_gradients(given, dict(theirs.named_parameters()), outputs, cotangents)
    if training:
        outputs |= dict(theirs.named_buffers())
    release = f"PyTorch {torch.__version__.partition('+')[0]}"
    return release, Run({name: y.detach().numpy() for name, y in outputs.items()}, gradients)


def torch_inputs(inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Arrays as PyTorch's tensors, those of floats with gradients."""
    import torch

    return {
        name: torch.tensor(array, requires_grad=array.dtype.kind == "f")
        for name, array in inputs.items()
    }


def torch_gradients(
    given: Mapping[str, Any],
    parameters: Mapping[str, Any],
    outputs: Mapping[str, Any],
    cotangents: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """The gradients of inputs and parameters by name; zeros for those that no output depends on."""
    import torch

    wanted = {name: x for name, x in given.items() if x.requires_grad} | dict(parameters)
    reached = [name for name in cotangents if outputs[name].requires_grad]
    found = torch.autograd.grad(
        [outputs[name] for name in reached],
        list(wanted.values()),
        [torch.tensor(cotangents[name]) for name in reached],
        allow_unused=True,
    )
    return {
        name: np.zeros(tuple(x.shape)) if g is None else g.numpy()
        for (name, x), g in zip(wanted.items(), found, strict=True)
    }
