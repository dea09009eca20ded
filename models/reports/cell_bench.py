"""What `minigrad bench cell` reports on a cell: its program, gradients, kernels and speed."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.compiler import Untraceable
from minigrad.mutation.kernel_mutants import collecting
from minigrad.nested import name_of
from minigrad.nn import LSTM, Recurrent

from .timing import (
    CLOSE,
    Step,
    disagreement,
    in_turns,
    layer_step,
    random_batch,
    torch_step,
    with_fusing,
)

__all__ = ["CellBench", "bench_cell"]

Sizes = tuple[int, int, int, int]  # T, N, I, H

_SMALL: Sizes = (3, 2, 3, 4)  # of gradient checks: those of second order take many evaluations


@dataclass
class CellBench:
    """The results.

    Attributes
    ----------
    cell, backend : their names.
    shape : T, N, I, H of what was timed.
    program : of one step, as `mg.trace` prints it; or why there is none.
    gradients : the check of first and second order, in float64 on small inputs.
    refusal : the reason why the cell is not fused; empty if it is.
    kernels : the files of its kernels; on NumPy there are none, see the layer's `source()`.
    disagreement : relative difference of its gradients in float32 from the composition on NumPy.
    seconds : of a training step, by contender; the first is the cell.
    """

    cell: str
    backend: str
    shape: Sizes
    program: str
    gradients: mg.Report
    refusal: str
    kernels: list[str]
    disagreement: float
    seconds: dict[str, float]

    @property
    def agrees(self) -> bool:
        """Whether the gradients in float32 are those of the composition."""
        return self.disagreement <= CLOSE

    @property
    def ratios(self) -> dict[str, float]:
        """The time of each contender, divided by that of the cell."""
        own = next(iter(self.seconds.values()))
        return {name: seconds / own for name, seconds in self.seconds.items()}

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain types; a disagreement that is NaN as None."""
        known = math.isfinite(self.disagreement)
        return {
            **vars(self),
            "gradients": self.gradients.to_dict(),
            "disagreement": self.disagreement if known else None,
            "ratios": self.ratios,
        }


def bench_cell(layer: type[Recurrent], backend: Any, shape: Sizes, rounds: int) -> CellBench:
    """Check a layer's cell on a backend, and time its training step in float32 beside others.

    The others are the same cell composed of NumPy's ops, the built-in LSTM on the backend and,
    where PyTorch is installed, that of torch.nn. Raises what the cell raises.
    """
    *_, I, H = shape
    x, g = random_batch(*shape)
    gradients = _checked(layer, backend)
    with _collecting(backend) as kernels:
        tried = layer(I, H).astype("float32").to(backend)
        definition = layer(I, H).astype("float32").to("numpy")
        definition.load_state_dict(_weights(tried))
        own, composed = layer_step(tried, x, g), with_fusing("0", layer_step(definition, x, g))
        refusal, found = _refusal(tried, own)
        files = [str(kernel.path) for kernel in kernels.values() if hasattr(kernel, "path")]
        mg.manual_seed(0)
        difference = disagreement(found, composed())

        steps = {_label(tried, refusal): own}
        steps[f"{layer.__name__}, composed on numpy"] = composed
        lstm = tried
        if layer is not LSTM:
            lstm = LSTM(I, H).astype("float32").to(backend)
            step = layer_step(lstm, x, g)
            steps[_label(lstm, _refusal(lstm, step)[0])] = step
        with contextlib.suppress(ImportError):
            steps["torch.nn.LSTM"] = torch_step("lstm", _weights(lstm), x, g)
            steps["torch.nn.LSTM"]()
        seconds = in_turns(steps, rounds)
    return CellBench(
        cell=name_of(tried.cell),
        backend=backend.name,
        shape=shape,
        program=_program(tried),
        gradients=gradients,
        refusal=refusal,
        kernels=files,
        disagreement=difference,
        seconds=seconds,
    )


def _checked(layer: type[Recurrent], backend: Any) -> mg.Report:
    """The gradient check, with random parameters, inputs and initial states."""
    T, N, I, H = _SMALL
    rng = np.random.default_rng(0)
    module = layer(I, H).double()
    values = {name: rng.standard_normal(p.shape) for name, p in module.named_parameters()}
    module.load_state_dict(values)
    state = module._packed([rng.standard_normal((1, N, H)) for _ in module.states])
    x = rng.standard_normal((T, N, I))
    with mg.use_backend(backend):
        return mg.gradcheck(module.to(backend), (x, state), order=2, raise_exception=False)


def _program(layer: Recurrent) -> str:
    try:
        return str(layer.trace())
    except Untraceable as refusal:
        return f"{name_of(layer.cell)} can't be traced: {refusal}"


def _refusal(layer: Recurrent, step: Step) -> tuple[str, list[Any]]:
    """Why the layer's cell is not fused, or "" if it is; and what the step gives."""
    mg.manual_seed(0)
    mg.reset_dispatch_counts()
    found = step()
    backend = next(layer.parameters()).backend.name
    cell = name_of(layer.cell)
    reasons = (key[3] for key in mg.dispatch_counts() if key[:2] == (cell, backend))
    return max(reasons, default="no scan of it ran"), found


def _label(layer: Recurrent, refusal: str) -> str:
    way = "composed" if refusal else "fused"
    return f"{type(layer).__name__}, {way} on {next(layer.parameters()).backend.name}"


def _weights(layer: Recurrent) -> dict[str, np.ndarray]:
    return {name: p.numpy() for name, p in layer.named_parameters()}


@contextlib.contextmanager
def _collecting(backend: Any) -> Iterator[dict[str, Any]]:
    """The kernels that the backend makes within."""
    kernels: dict[str, Any] = {}
    with collecting(backend, kernels) if hasattr(backend, "kernels") else contextlib.nullcontext():
        yield kernels
