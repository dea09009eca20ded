"""Is minigrad right and quick on this device? The work of `minigrad gpu-report`.

The report is made for readers without such a device: one JSON with everything, one short text,
neither of which names people or folders.
"""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.testing import check_backend

from ..registry import CELLS, LAYERS
from .fused_uses import FUNCTIONS, TOLERANCE, uses_of
from .gradient_checks import layer_checks, op_checks
from .timing import (
    CLOSE,
    disagreement,
    fusing,
    in_turns,
    layer_step,
    random_batch,
    torch_step,
    with_fusing,
)

__all__ = ["Part", "Report", "gpu_report"]

# T, N, I, H of what is compared: one, several and many columns; and of what is timed.
_COMPARED = [(6, 5, 3, 17), (3, 33, 5, 130), (1, 1, 1, 1)]
_TIMED = [(50, 32, 64, 128), (100, 64, 128, 256), (35, 20, 650, 650), (100, 128, 512, 512)]
_QUICK_COMPARED, _QUICK_TIMED = _COMPARED[:1], [(6, 5, 3, 17)]
_ROUNDS, _QUICK_ROUNDS = 15, 3
_QUICK_OPS = ("matmul", "tanh", "sum", "softmax")
_QUICK_LAYERS = ("LSTM", "GRU")
_QUICK_CELLS = ("GRU", "LayerNormLSTM")

# What a step of these costs at most: products and kernels, forwards and backwards.
_MOST = {"forward": (1, 1), "backward": (1, 2)}

Progress = Callable[[str, int, int], None]  # a part's name, how much of it is done, of how much


@dataclass
class Part:
    """One part of the report.

    Attributes
    ----------
    name : of the part.
    summary : what was done, in a few words.
    failures : a line for each failure.
    skipped : the reason why it was skipped; empty if it was not.
    notes : lines for the text, such as a table.
    details : all results.
    seconds : how long it took.
    """

    name: str
    summary: str = ""
    failures: list[str] = field(default_factory=list)
    skipped: str = ""
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """FAIL, ok or skipped."""
        return "FAIL" if self.failures else "skipped" if self.skipped else "ok"


@dataclass(repr=False)
class Report:
    """All parts, for a backend on a machine."""

    backend: str
    quick: bool
    environment: dict[str, str]
    parts: list[Part]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not any(part.failures for part in self.parts)

    def to_json(self) -> str:
        """Everything."""
        parts = [{"verdict": part.verdict, **asdict(part)} for part in self.parts]
        found = {
            "verdict": "PASS" if self.ok else "FAIL",
            "backend": self.backend,
            "quick": self.quick,
            "environment": self.environment,
            "parts": parts,
        }
        return json.dumps(_for_json(found), indent=1, allow_nan=False) + "\n"

    def __repr__(self) -> str:
        return str(self)  # what a prompt shows

    def __str__(self) -> str:
        failed = [part.name for part in self.parts if part.failures]
        where = self.environment.get("GPU", self.environment.get("device", ""))
        verdict = f"FAIL ({', '.join(failed)})" if failed else "PASS"
        lines = [f"{verdict}: minigrad {mg.__version__} on {self.backend}, {where}", ""]
        for part in self.parts:
            said = part.summary or part.skipped
            lines.append(f"{part.name:12}{part.verdict:9}{said}  ({part.seconds:.0f} s)")
            lines += [f"    {failure}" for failure in part.failures[:10]]
            if len(part.failures) > 10:
                lines.append(f"    and {len(part.failures) - 10} more")
        for part in self.parts:
            if part.notes:
                lines += ["", *part.notes]
        lines += ["", *(f"{key}: {value}" for key, value in self.environment.items())]
        return str(_for_json("\n".join(lines)))


def gpu_report(backend: Any, quick: bool = False, progress: Progress = lambda *_: None) -> Report:
    """Check and time a backend. The report lists what fails; a failure stops no other part.

    Parts: conformance, gradients, fused (against composed), launches, benchmark. If `quick`, each
    does a small part of its work.
    """
    parts = []
    for make in (_conformance, _gradients, _fused, _launches, _benchmark):
        part, start = Part(make.__name__.strip("_")), time.perf_counter()
        progress(part.name, 0, 1)
        try:
            make(part, backend, quick, progress)
            backend.synchronize()
        except Exception as error:  # errors of a backend are what the report looks for
            part.failures.append(f"it stopped: {_brief(error)}")
        part.seconds = time.perf_counter() - start
        parts.append(part)
    return Report(backend.name, quick, _environment(backend), parts)


# --- the parts -----------------------------------------------------------------------------------


def _conformance(part: Part, backend: Any, quick: bool, progress: Progress) -> None:
    """Every name of the backend's protocol against NumPy."""
    found = check_backend(backend, raise_exception=False)
    calls = sum(line.calls for line in found.lines)
    part.summary = f"{len(found.lines)} functions and checks, {calls} calls"
    part.failures = [f"{line.name}: {why}" for line in found.lines for why in line.failures]
    part.details = {line.name: line.calls for line in found.lines}


def _gradients(part: Part, backend: Any, quick: bool, progress: Progress) -> None:
    """Gradients of ops, layers and models against finite differences."""
    ops, layers = op_checks(), layer_checks()
    if quick:
        ops = {name: ops[name] for name in _QUICK_OPS}
        layers = {name: layers[name] for name in _QUICK_LAYERS}
    verdicts: dict[str, str] = {}
    reports = 0
    targets = ops | layers
    for i, (name, check) in enumerate(targets.items()):
        progress(part.name, i, len(targets))
        try:
            found = check(backend.name, 1, 0)
        except Exception as error:  # as above
            part.failures.append(f"{name}: {_brief(error)}")
            continue
        reports += len(found)
        wrong = [report for report in found if report.verdict == "FAIL"]
        part.failures += [f"{name}: {_first(str(report))}" for report in wrong]
        verdicts[name] = max((r.verdict for r in found), key=_SEVERITY.index, default="no gradient")
    of = f"{len(ops)} ops and {len(layers)} layers and models"
    part.summary = f"{reports} cases of {of}, in float64"
    part.details = verdicts
    unclear = [name for name, verdict in verdicts.items() if verdict == "INCONCLUSIVE"]
    if unclear:
        part.summary += f"; {len(unclear)} inconclusive"
        part.notes = [f"inconclusive gradient checks: {', '.join(unclear)}"]


_SEVERITY = ["no gradient", "PASS", "INCONCLUSIVE", "FAIL"]


def _fused(part: Part, backend: Any, quick: bool, progress: Progress) -> None:
    """Values and gradients of all cells and some functions by kernels, and by composed ops."""
    if getattr(backend, "compile_loop", None) is None:
        part.skipped = "the backend has no compiler"
        return
    cells = _QUICK_CELLS if quick else tuple(LAYERS)
    uses = list(uses_of(cells, _QUICK_COMPARED if quick else _COMPARED))
    for i, (name, dtype, run) in enumerate(uses):
        progress(part.name, i, len(uses))
        try:
            with fusing("require"):
                found = run(backend)
            with fusing("0"):
                right = run(backend)
            difference = disagreement(found, right)
        except Exception as error:  # as above
            part.failures.append(f"{name}: {_brief(error)}")
            continue
        part.details[name] = difference
        if not difference <= TOLERANCE[dtype]:
            part.failures.append(f"{name}: differs by {difference:.1g} of the largest number")
    part.summary = f"{len(uses)} uses of {len(cells)} cells and {len(FUNCTIONS)} functions"


def _launches(part: Part, backend: Any, quick: bool, progress: Progress) -> None:
    """Products and generated kernels per time step, as the backend counts them."""
    launched = getattr(backend, "launched", None)
    if launched is None:
        part.skipped = "the backend doesn't count them"
        return
    T, N, I, H = 10, 3, 4, 5
    part.notes = ["launches per time step: matrix products, generated kernels (others, such as"]
    part.notes += ["  those before and after the loop, are not counted)"]
    for i, (name, kind) in enumerate(LAYERS.items()):
        progress(part.name, i, len(LAYERS))
        layer = kind(I, H).to(backend)
        x = mg.ones((T, N, I), dtype="float32", requires_grad=True, backend=backend)
        costs: dict[str, tuple[float, float]] = {}
        with fusing("require"):
            launched.clear()
            y, _ = layer(x)
            costs["forward"] = (launched["products"] / T, launched["kernels"] / T)
            launched.clear()
            mg.grad(y.sum(), [x, *layer.parameters()])
            costs["backward"] = (launched["products"] / T, launched["kernels"] / T)
        part.details[name] = costs
        line = ", ".join(f"{way} {p:g} + {k:g}" for way, (p, k) in costs.items())
        part.notes.append(f"  {name:16}{line}")
        for way, most in _MOST.items():
            if kind in CELLS.values() and any(a > b for a, b in zip(costs[way], most, strict=True)):
                part.failures.append(f"{name}: {way} a step costs {costs[way]}, more than {most}")
    part.summary = f"{len(LAYERS)} cells"


def _benchmark(part: Part, backend: Any, quick: bool, progress: Progress) -> None:
    """A training step of all cells: fused, composed, and by torch.nn on the same device."""
    device, why_not = _torch_device(backend)
    part.notes = ["training step of one layer in float32: median milliseconds"]
    if why_not:
        part.notes.append(f"  torch.nn is not compared: {why_not}")
    shapes = _QUICK_TIMED if quick else _TIMED
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    has_kernels = getattr(backend, "compile_loop", None) is not None
    rows: list[tuple[str, dict[str, float]]] = []
    cases = [(name, shape) for shape in shapes for name in (_QUICK_CELLS if quick else LAYERS)]
    for i, (name, shape) in enumerate(cases):
        progress(part.name, i, len(cases))
        try:
            rows.append((f"{name} {shape}", _timed(name, shape, backend, device, rounds)))
        except Exception as error:  # as above
            part.failures.append(f"{name} {shape}: {_brief(error)}")
    part.details = {"seconds": dict(rows), "rounds": rounds}
    part.summary = f"{len(rows)} training steps" + ("" if has_kernels else ", composed only")
    columns = ["fused", "composed", "torch.nn"]
    part.notes.append(f"  {'cell (T, N, I, H)':38}" + "".join(f"{c:>12}" for c in columns))
    for label, seconds in rows:
        numbers = (f"{seconds[c] * 1e3:.3f}" if c in seconds else "-" for c in columns)
        part.notes.append(f"  {label:38}" + "".join(f"{text:>12}" for text in numbers))


def _timed(
    name: str, shape: tuple[int, int, int, int], backend: Any, device: str, rounds: int
) -> dict[str, float]:
    """Seconds per contender; each waits for its device before the clock is read."""
    *_, I, H = shape
    x, g = random_batch(*shape)
    mg.manual_seed(0)
    layer = LAYERS[name](I, H).astype("float32").to(backend)
    plain = layer_step(layer, x, g)

    steps = {"composed": with_fusing("0", plain)}
    if getattr(backend, "compile_loop", None) is not None:
        steps = {"fused": with_fusing("require", plain), **steps}
    if device and name.lower() in CELLS:
        weights = {key: p.numpy() for key, p in layer.named_parameters()}
        steps["torch.nn"] = torch_step(name.lower(), weights, x, g, device)
    mg.manual_seed(0)
    right = steps["composed"]()
    for contender, step in steps.items():  # which compiles what has to be compiled
        mg.manual_seed(0)  # of zoneout's masks
        difference = disagreement(step(), right)
        if not difference <= CLOSE:
            raise ArithmeticError(
                f"{contender} and composed differ by {difference:.1g} of the largest number"
            )
    return in_turns(steps, rounds)


def _torch_device(backend: Any) -> tuple[str, str]:
    """PyTorch's name for the backend's device; or an empty one, and why."""
    if find_spec("torch") is None:
        return "", "PyTorch is not installed"
    kind, _, index = backend.device.partition(":")
    if kind == "cpu":
        return "cpu", ""
    import torch

    if not torch.cuda.is_available():
        return "", f"PyTorch {torch.__version__} finds no GPU"
    return f"cuda:{index or backend.xp.cuda.Device().id}", ""


# --- what is said --------------------------------------------------------------------------------


def _environment(backend: Any) -> dict[str, str]:
    """Versions and the device; no names of people, machines or folders."""
    found = {
        "minigrad": mg.__version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": backend.device,
    }
    try:
        if hasattr(backend, "about"):
            found |= backend.about()
        if find_spec("torch") is not None:
            import torch

            found["PyTorch"] = str(torch.__version__)
            if torch.cuda.is_available():
                found["PyTorch's CUDA"] = str(torch.version.cuda)
                found["cuDNN"] = str(torch.backends.cudnn.version())
    except Exception as error:  # a broken driver
        found["not known"] = _brief(error)
    return found


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first(str(error))}"


def _first(text: str) -> str:
    """The first line that says something."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line), "")[:300]


_FOLDERS = re.compile(r"(?<![\w./~])(?:~?|[A-Za-z]:)[\\/](?:[\w.+@-][\w.+@ -]*[\\/])+|~[\\/]")


def _for_json(found: Any) -> Any:
    """The results as JSON takes them: without folders in texts; NaN and infinities as text."""
    if isinstance(found, dict):
        return {key: _for_json(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [_for_json(value) for value in found]
    if isinstance(found, str):
        return _FOLDERS.sub("", found.replace(str(Path.home()), "~"))
    if isinstance(found, float) and not np.isfinite(found):
        return str(found)
    return found
