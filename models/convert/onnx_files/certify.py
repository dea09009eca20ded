"""Certificates of ONNX models: the graph beside the module, at sizes that it wasn't written at."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module
from minigrad.utils.install import install_line

from ..certificate import Certificate, Run, compare
from .examples import Examples
from .from_onnx import from_onnx
from .library import onnx_or_error, runtime_or_none
from .recorder import flat
from .to_onnx import to_onnx

__all__ = ["certify_from_onnx", "certify_to_onnx"]


def certify_to_onnx(
    module: Module,
    inputs: Any,
    *,
    axes: Mapping[str, Sequence[str | None]] | None = None,
    model: Any = None,
    seed: int = 0,
) -> Certificate:
    """Compare what onnxruntime computes of a module's ONNX model with what the module computes.

    The inputs are drawn like the examples, at other sizes than those of the export: with all
    varying axes longer, and with each of them of size 1. Differences up to 1e-5 pass.

    Parameters
    ----------
    inputs, axes : as for `to_onnx`.
    model : an `onnx.ModelProto` or a path; by default what `to_onnx` gives.

    Without onnxruntime, and for dtypes that its recurrent nodes don't take, the graph is run by
    `from_onnx`, and the certificate says so.

    >>> import minigrad as mg
    >>> from minigrad.models.convert import certify_to_onnx
    >>> certificate = certify_to_onnx(
    ...     mg.nn.LSTM(3, 4), {"x": mg.ones((5, 2, 3)), "lengths": [5, 3]}
    ... )
    >>> certificate.verdict
    'PASS'
    """
    examples = Examples(module, inputs, axes)
    if model is None:
        model = to_onnx(module, inputs, axes=axes, check=False)  # which this does
    elif not hasattr(model, "graph"):
        model = onnx_or_error().load(model, load_external_data=False)
    names = [y.name for y in model.graph.output]
    runner: Any = None
    ours: dict[str, np.ndarray] = {}
    theirs: dict[str, np.ndarray] = {}
    for trial in examples.trials(seed):
        labels = [f"{name} ({trial.sizes})" if trial.sizes else name for name in names]
        ours |= {label: y.numpy() for label, y in zip(labels, trial.results, strict=True)}
        given = {name: _host(x) for name, x in trial.inputs.items()}
        runner = runner or _runner(model, given)
        theirs |= dict(zip(labels, runner[0](given), strict=True))
    dtype = next((p.dtype for p in module.parameters()), np.dtype("float32"))
    return compare(
        type(module).__name__,
        runner[1],
        Run(ours, {}),
        Run(theirs, {}),
        tolerance={2: 1e-2, 4: 1e-5}.get(dtype.itemsize, 1e-10),
        notes=runner[2],
    )


def _host(x: Any) -> np.ndarray:
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)


def _runner(model: Any, inputs: dict[str, np.ndarray]) -> tuple[Any, str, tuple[str, ...]]:
    """What runs a model: a function of arrays by name, its name, and why it isn't onnxruntime."""
    runtime = runtime_or_none()
    if runtime is None:
        note = f"onnxruntime is not installed; {install_line('oracle')}"
    else:
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what it can't do is an error, and not printed as well
        try:
            session = runtime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            session.run(None, inputs)
        except Exception as error:  # of its own kinds
            note = f"onnxruntime doesn't run this model: {str(error).strip()[-200:]}"
        else:
            return lambda given: session.run(None, given), f"onnxruntime {runtime.__version__}", ()
    again = from_onnx(model)

    def run(given: dict[str, np.ndarray]) -> list[np.ndarray]:
        with mg.no_grad():
            return [y.numpy() for y in flat(again(**given))]

    return run, "its ONNX model, read again", (note,)


def certify_from_onnx(
    module: Module,
    inputs: Any,
    *,
    axes: Mapping[str, Sequence[str | None]] | None = None,
    seed: int = 0,
) -> Certificate:
    """Compare the module that `from_onnx` makes of a module's ONNX model with that module.

    Outputs, and gradients of inputs and parameters for random cotangents, in float64, at other
    sizes than those of the export. Differences up to 1e-10 pass.

    >>> import minigrad as mg
    >>> from minigrad.models.convert import certify_from_onnx
    >>> bool(certify_from_onnx(mg.nn.GRU(3, 4), mg.ones((5, 2, 3))))
    True
    """
    module = copy.deepcopy(module).double().eval()
    inputs = _double(inputs)
    again = from_onnx(to_onnx(module, inputs, axes=axes, check=False))
    examples = Examples(module, inputs, axes)
    arguments = next(examples.trials(seed)).arguments
    mine = examples.rebuilt(arguments, map(_leaf, examples.by_name(arguments).values()))
    leaves = [examples.by_name(mine), {n: _leaf(x) for n, x in examples.by_name(mine).items()}]
    results = flat(examples.call(mine)), flat(again(**leaves[1]))
    rng = np.random.default_rng(seed)
    cotangents = [
        mg.tensor(rng.normal(size=y.shape), backend=y.backend) if y.requires_grad else None
        for y in results[0]
    ]
    there = {name for name, _ in again.named_parameters()}
    unread = [name for name, _ in module.named_parameters() if name not in there]
    return compare(
        type(module).__name__,
        "its ONNX model, read again",
        _run(module, leaves[0], results[0], again.output_names, cotangents, unread),
        _run(again, leaves[1], results[1], again.output_names, cotangents),
        notes=(f"not read, and not in the ONNX model: {', '.join(unread)}",) if unread else (),
    )


def _double(inputs: Any) -> Any:
    """Examples with their floats in float64."""
    if isinstance(inputs, Mapping):
        return {name: _double(value) for name, value in inputs.items()}
    if isinstance(inputs, (tuple, list)) and any(isinstance(x, Tensor) for x in flat(inputs)):
        return type(inputs)(map(_double, inputs))
    is_float = isinstance(inputs, (Tensor, np.ndarray)) and inputs.dtype.kind == "f"
    return inputs.astype("float64") if is_float else inputs


def _leaf(x: Any) -> Any:
    """A copy of an input whose gradient can be asked for."""
    if isinstance(x, Tensor) and x.dtype.kind == "f":
        return x.detach().requires_grad_()
    return x


def _run(
    module: Module,
    given: dict[str, Any],
    results: list[Tensor],
    names: list[str],
    cotangents: Any,
    unread: Sequence[str] = (),
) -> Run:
    """Outputs, and gradients of inputs and parameters; of those unread, if they have one."""
    wanted = {n: x for n, x in given.items() if isinstance(x, Tensor) and x.requires_grad}
    wanted |= {n: p for n, p in module.named_parameters() if p.requires_grad}
    pairs = [(y, g) for y, g in zip(results, cotangents, strict=True) if g is not None]
    ys, gs = zip(*pairs, strict=True) if pairs else ((), ())
    found = (
        mg.grad(ys, list(wanted.values()), gs, allow_unused=True) if pairs else [None] * len(wanted)
    )
    gradients = {
        name: np.zeros(x.shape) if g is None else g.numpy()
        for (name, x), g in zip(wanted.items(), found, strict=True)
        if g is not None or name not in unread
    }
    return Run({n: y.numpy() for n, y in zip(names, results, strict=True)}, gradients)
