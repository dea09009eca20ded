"""The certificate of a conversion: what two frameworks computed from the same numbers.

A `Run` is what one of them gave for given inputs and cotangents: outputs, and gradients by the
names that the parameters have here. `compare` makes a `Certificate` of two runs. How another
framework runs a model is in the file of that framework.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad.nn import BatchNorm1d, Embedding, LayerNorm, Linear, Module, Recurrent, RecurrentCell

from .outputs import Outputs

__all__ = ["Certificate", "Difference", "Run", "compare", "draw_inputs", "run"]

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
TOLERANCE = 1e-10  # of float64
T, N = 5, 2  # steps and sequences of the inputs that are drawn


class Run(NamedTuple):
    """What a framework computed: outputs, and gradients with respect to inputs and parameters."""

    outputs: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """How far two frameworks are apart in one array.

    Attributes
    ----------
    name : "output y", "final state h", "gradient of weight_ih_l0".
    shape : of the array.
    greatest : the greatest absolute difference; inf where only one of them has a finite number.
    scale : the greatest absolute value of the other framework's array.
    """

    name: str
    shape: tuple[int, ...]
    greatest: float
    scale: float

    def within(self, tolerance: float) -> bool:
        """Whether it is small, measured by the values where these are greater than 1.

        >>> Difference("output y", (2,), greatest=1e-9, scale=100.0).within(1e-10)
        True
        """
        return self.greatest <= tolerance * max(1.0, self.scale)


@dataclass(frozen=True)
class Certificate:
    """Whether a converted model computes the same; true only if the verdict is PASS.

    Attributes
    ----------
    verdict : "PASS", "FAIL", or "INCONCLUSIVE" where something could not be compared.
    model : what was compared.
    framework : with what, and its release: "PyTorch 2.13.0".
    source : "computed here", or which stored cases were compared instead, and why.
    tolerance : the greatest allowed difference, relative to values greater than 1.
    differences : every array that was compared.
    notes : what was left out, and why.

    >>> y = np.ones(2)
    >>> same = compare("Linear(2, 2)", "PyTorch 2.13.0", Run({"y": y}, {}), Run({"y": y}, {}))
    >>> same.verdict, bool(same), same.worst.greatest
    ('PASS', True, 0.0)
    """

    verdict: str
    model: str
    framework: str
    source: str
    tolerance: float
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = field(default=())

    def __bool__(self) -> bool:
        return self.verdict == PASS

    @property
    def worst(self) -> Difference | None:
        """The greatest difference, measured as `Difference.within` does; None if there is none.

        >>> y = np.zeros(2)
        >>> compare("", "", Run({"y": y}, {}), Run({"y": y + 3}, {})).worst.greatest
        3.0
        """
        return max(self.differences, key=lambda d: d.greatest / max(1.0, d.scale), default=None)

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON.

        >>> compare("", "", Run({}, {}), Run({}, {})).to_dict()["verdict"]
        'INCONCLUSIVE'
        """
        rows = [
            {"name": d.name, "shape": list(d.shape), "greatest": d.greatest, "scale": d.scale}
            for d in self.differences
        ]
        named = ("verdict", "model", "framework", "source", "tolerance")
        return {name: getattr(self, name) for name in named} | {
            "differences": rows,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.model} here and in {self.framework}", f"  {self.source}"]
        head = ("", "shape", "difference", "greatest value")
        rows = [
            (d.name, str(d.shape), f"{d.greatest:.1e}", f"{d.scale:.1e}") for d in self.differences
        ]
        widths = [max(len(row[k]) for row in [head, *rows]) for k in range(4)]
        for row in [head, *rows] if rows else []:
            cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
            cells += [row[k].rjust(widths[k]) for k in (2, 3)]
            lines.append(f"  {'  '.join(cells)}")
        lines.append(f"  allowed: {self.tolerance:.0e} times the greatest value, or 1 if greater")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def compare(
    model: str,
    framework: str,
    ours: Run,
    theirs: Run,
    *,
    source: str = "computed here",
    tolerance: float = TOLERANCE,
    notes: tuple[str, ...] = (),
) -> Certificate:
    """The certificate of two runs. What only one of them has makes it INCONCLUSIVE.

    >>> ours = Run({"y": np.array([1.0])}, {"x": np.array([2.0])})
    >>> print(compare("Linear(1, 1)", "PyTorch 2.13.0", ours, ours))
    PASS: Linear(1, 1) here and in PyTorch 2.13.0
      computed here
                     shape  difference  greatest value
      output y       (1,)      0.0e+00         1.0e+00
      gradient of x  (1,)      0.0e+00         2.0e+00
      allowed: 1e-10 times the greatest value, or 1 if greater
    """
    rows, lacking = [], []
    for kind, mine, other in (
        ("output", ours.outputs, theirs.outputs),
        ("gradient of", ours.gradients, theirs.gradients),
    ):
        for name in dict.fromkeys([*mine, *other]):
            if name in mine and name in other:
                rows.append(difference(f"{kind} {name}", mine[name], other[name]))
            else:
                where = framework if name in mine else "the model here"
                lacking.append(f"{kind} {name} was not compared: {where} gave none")
    verdict = PASS if rows and not lacking else INCONCLUSIVE
    if not all(row.within(tolerance) for row in rows):
        verdict = FAIL
    if not rows:
        lacking.append("nothing was compared")
    return Certificate(
        verdict, model, framework, source, tolerance, tuple(rows), (*notes, *lacking)
    )


def difference(name: str, ours: np.ndarray, theirs: np.ndarray) -> Difference:
    """How far two arrays are apart; those of different shapes, infinitely.

    >>> difference("output y", np.array([1.0, np.nan]), np.array([1.0, np.nan])).greatest
    0.0
    """
    if ours.shape != theirs.shape:
        return Difference(f"{name}, there {theirs.shape}", ours.shape, np.inf, np.inf)
    if not ours.size:
        return Difference(name, ours.shape, 0.0, 0.0)
    with np.errstate(invalid="ignore"):
        apart = np.abs(ours.astype("float64") - theirs.astype("float64"))
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    apart = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    finite = np.abs(theirs[np.isfinite(theirs)])
    return Difference(name, ours.shape, float(apart.max()), float(finite.max(initial=0.0)))


# --- runs of models here ---------------------------------------------------------------------


def draw_inputs(module: Module, seed: int = 0, dtype: str = "float64") -> dict[str, np.ndarray]:
    """Random inputs of the shapes that a model takes: "x", and initial states of a recurrent one.

    Raises ValueError for a model that takes any shape; give x then.

    >>> {name: array.shape for name, array in draw_inputs(mg.nn.LSTM(3, 4)).items()}
    {'x': (5, 2, 3), 'initial h': (1, 2, 4), 'initial c': (1, 2, 4)}
    """
    rng = np.random.default_rng(seed)
    x = _first_input(module, rng)
    if x is None:
        raise ValueError(
            f"the shape of the input can't be read from {type(module).__name__}; give one, "
            "x=an array"
        )
    return (
        {"x": x, **draw_states(module, x, rng)}
        if x.dtype.kind == "i"
        else {
            name: array.astype(dtype)
            for name, array in {"x": x, **draw_states(module, x, rng)}.items()
        }
    )


def draw_states(module: Module, x: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random initial states of a recurrent layer or cell for x; nothing for other modules."""
    if not isinstance(module, (Recurrent, RecurrentCell)):
        return {}
    leading: tuple[int, ...] = x.shape[:-1]
    if isinstance(module, Recurrent):
        runs = module.num_layers * (2 if module.bidirectional else 1)
        sequences = x.shape[0 if module.batch_first else 1 : x.ndim - 1][:1] if x.ndim > 2 else ()
        leading = (runs, *sequences)
    sizes = module.state_sizes(module.hidden_size)
    return {
        f"initial {name}": rng.normal(size=(*leading, size))
        for name, size in zip(module.states, sizes, strict=True)
    }


def _first_input(module: Any, rng: np.random.Generator) -> np.ndarray | None:
    if isinstance(module, Outputs):
        return _first_input(module.layer, rng)
    if isinstance(module, mg.nn.Sequential):
        found = (_first_input(item, rng) for item in module)
        return next((x for x in found if x is not None), None)
    if isinstance(module, Embedding):
        return rng.integers(module.num_embeddings, size=(N, T))
    if isinstance(module, Recurrent):
        steps = (N, T) if module.batch_first else (T, N)
        return rng.normal(size=(*steps, module.input_size))
    shape: tuple[int, ...] | None = None
    if isinstance(module, RecurrentCell):
        shape = (N, module.input_size)
    elif isinstance(module, Linear):
        shape = (N, module.in_features)
    elif isinstance(module, LayerNorm):
        shape = (N, *module.normalized_shape)
    elif isinstance(module, BatchNorm1d):
        shape = (N, module.num_features)
    return None if shape is None else rng.normal(size=shape)


def run(
    module: Module,
    inputs: Mapping[str, np.ndarray],
    cotangents: Mapping[str, np.ndarray] | int = 0,
    training: bool = False,
) -> tuple[Run, dict[str, np.ndarray]]:
    """What a copy of a module gives for inputs as `draw_inputs` names them, and the cotangents.

    The cotangents are given by the names of the outputs, or drawn with a seed. The copy has the
    dtype of the inputs (float64 for integers) and is in evaluation mode unless `training`.

    >>> inputs = draw_inputs(mg.nn.GRU(3, 4))
    >>> ours, cotangents = run(mg.nn.GRU(3, 4), inputs)
    >>> list(ours.outputs), list(ours.gradients)[:3]
    (['y', 'final h'], ['x', 'initial h', 'weight_ih_l0'])
    """
    floats = next((a.dtype for a in inputs.values() if a.dtype.kind == "f"), np.dtype("float64"))
    module = copy.deepcopy(module).astype(floats).train(training).requires_grad_()
    given = {
        name: mg.tensor(array, requires_grad=array.dtype.kind == "f")
        for name, array in inputs.items()
    }
    outputs = named_outputs(module, _call(module, given))
    if isinstance(cotangents, int):
        rng = np.random.default_rng(cotangents + 1)
        cotangents = {name: rng.normal(size=y.shape).astype(floats) for name, y in outputs.items()}
    # Tied weights are one parameter, under its first name.
    wanted = {name: x for name, x in given.items() if x.requires_grad}
    wanted |= dict(module.named_parameters())
    found = mg.grad(
        [outputs[name] for name in cotangents],
        list(wanted.values()),
        [mg.tensor(g) for g in cotangents.values()],
        allow_unused=True,
    )
    gradients = {
        name: np.zeros(x.shape, floats) if g is None else g.numpy()
        for (name, x), g in zip(wanted.items(), found, strict=True)
    }
    return Run({name: y.numpy() for name, y in outputs.items()}, gradients), dict(cotangents)


def _call(module: Module, given: Mapping[str, mg.Tensor]) -> Any:
    state = [x for name, x in given.items() if name.startswith("initial ")]
    if not state:
        return module(given["x"])
    return module(given["x"], state[0] if len(state) == 1 else tuple(state))


def named_outputs(module: Module, result: Any) -> dict[str, Any]:
    """What a module of ours gives, or its counterpart, by names: "y", "final h".

    >>> lstm = mg.nn.LSTM(3, 4)
    >>> list(named_outputs(lstm, lstm(mg.ones((5, 2, 3)))))
    ['y', 'final h', 'final c']
    """
    if isinstance(module, mg.nn.Sequential) and len(module):
        return named_outputs(module[-1], result)
    if not isinstance(module, (Recurrent, RecurrentCell)):
        return {"y": result}
    y, state = ({}, result) if isinstance(module, RecurrentCell) else ({"y": result[0]}, result[1])
    parts = state if isinstance(state, (tuple, list)) else (state,)
    names = (f"final {name}" for name in module.states)
    return {**y, **dict(zip(names, parts, strict=True))}
