"""Stored cases: what PyTorch and Keras have computed, for where they are not installed.

`cases.json` has small layers of every kind with their weights, inputs, cotangents, outputs and
gradients. `tests/convert/make_cases.py` writes it, and names the releases that computed them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import numpy as np

from minigrad.nn import Module

from .certificate import FAIL, INCONCLUSIVE, PASS, Certificate, Difference, Run, compare, difference
from .description import build, describe, fill
from .keras_in import from_config
from .keras_out import KerasWeights, to_config
from .keras_run import as_keras_names
from .runs import run

__all__ = ["check_stored", "check_case", "features", "stored_cases"]

# The options that change what a layer computes, or how its weights lie.
_TELLING = [*("nonlinearity", "bias", "num_layers", "batch_first", "bidirectional", "proj_size")]
_TELLING += [*("reset_after", "elementwise_affine", "affine", "track_running_stats")]
_PLAIN: dict[str, Any] = {"nonlinearity": "tanh", "bias": True, "num_layers": 1}
_PLAIN |= {"batch_first": False, "bidirectional": False, "proj_size": 0, "reset_after": True}
_PLAIN |= {"elementwise_affine": True, "affine": True, "track_running_stats": True}


@functools.cache
def stored_cases() -> list[dict[str, Any]]:
    """All cases; each has the framework that computed it with its release.

    >>> sorted({case["framework"] for case in stored_cases()})
    ['keras', 'pytorch']
    """
    text = files("minigrad.models.convert").joinpath("cases.json").read_text("utf-8")
    found: list[dict[str, Any]] = json.loads(text)["cases"]
    return found


def features(description: Mapping[str, Any]) -> Iterator[str]:
    """What a case must have to stand for a module: kinds of layers, and options that matter.

    >>> import minigrad as mg
    >>> list(features(describe(mg.nn.LSTM(3, 4, bias=False))))
    ['LSTM', 'LSTM with bias=False']
    """
    for inner in description.get("items", {}).values():
        yield from features(inner)
    if "of" in description:
        options = description["options"]
        yield f"Outputs {options['which']}" + ", backwards" * options["go_backwards"]
        yield from features(description["of"])
    elif "function" in description:
        yield f"the function {description['function']}"
    elif "items" not in description:
        kind, options = description["layer"], description["options"]
        yield kind
        for name in _TELLING:
            if name in options and options[name] != _PLAIN[name]:
                exact = options[name] if isinstance(options[name], (bool, str)) else "more"
                yield f"{kind} with {name}={exact}"


def check_case(case: Mapping[str, Any], tolerance: float) -> Certificate:
    """The certificate of a stored case, converted and run here.

    >>> check_case(stored_cases()[0], 1e-10).verdict
    'PASS'
    """
    inputs, cotangents, outputs, gradients = (
        {name: np.asarray(array) for name, array in case[part].items()}
        for part in ("inputs", "cotangents", "outputs", "gradients")
    )
    if case["framework"] == "keras":
        weights = [np.asarray(array) for array in case["weights"]]
        module = from_config(case["config"], weights, False)
        own, _ = run(module, inputs, cotangents)
        own = Run(own.outputs, as_keras_names(module, own.gradients))
    else:
        state = {name: np.asarray(array) for name, array in case["weights"].items()}
        module = fill(build(case["ours"]), state)
        own, _ = run(module, inputs, cotangents, case["training"])
    return compare(case["name"], case["release"], own, Run(outputs, gradients), tolerance=tolerance)


def check_stored(
    model: str, ours: Module, framework: str, why: str, weights: Any, tolerance: float
) -> Certificate:
    """A certificate by the stored cases that have what a module has.

    `why` says why the framework itself can't be asked. Weights of the other side that are given
    are compared, too; they must be equal to the bit.
    """
    wanted = dict.fromkeys(features(describe(ours)))
    cases = [case for case in stored_cases() if case["framework"] == framework]
    covering: dict[str, dict[str, Any]] = {}
    lacking = []
    for feature in wanted:
        case = next((c for c in cases if feature in c["features"]), None)
        if case is None:
            lacking.append(f"no stored case has {feature}")
        else:
            covering[case["name"]] = case
    rows: list[Difference] = []
    verdicts = {PASS}
    for name, case in covering.items():
        certificate = check_case(case, tolerance)
        verdicts.add(certificate.verdict)
        worst = certificate.worst
        if worst is not None:
            rows.append(
                Difference(f"{name}: {worst.name}", worst.shape, worst.greatest, worst.scale)
            )
    same = list(_weights(ours, weights))
    rows += same
    release = next((case["release"] for case in cases), framework)
    if FAIL in verdicts or any(row.greatest > 0 for row in same):
        verdict = FAIL
    else:
        verdict = INCONCLUSIVE if lacking or not rows or INCONCLUSIVE in verdicts else PASS
    return Certificate(
        verdict,
        model,
        release,
        f"by {len(covering)} stored cases of such layers, with the greatest difference of each; "
        "not by this model's numbers",
        tolerance,
        tuple(rows),
        (why, *lacking),
    )


def _weights(ours: Module, weights: Any) -> Iterator[Difference]:
    """Whether our weights are the ones that were given."""
    if isinstance(weights, KerasWeights):
        found = dict(zip(weights.names, weights.weights, strict=True))
        _, arrays, names = to_config(ours)
        own = dict(zip(names, arrays, strict=True))
    elif weights is not None:
        found, own = dict(weights), ours.state_dict()
    else:
        return
    for name in dict.fromkeys([*own, *found]):
        absent = np.full((), np.nan)
        pair = (np.asarray(arrays.get(name, absent)) for arrays in (own, found))
        yield difference(f"value of {name}", *pair)
