"""Writes models/convert/cases.json: layers of PyTorch and Keras, and what they compute.

python tests/convert/make_cases.py, with the extra `oracle`.
"""

import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np

import minigrad as mg
from minigrad.models import convert
from minigrad.models.convert.description import describe
from minigrad.models.convert.keras import rebuilt
from minigrad.models.convert.keras_run import run_keras
from minigrad.models.convert.runs import draw_inputs, run
from minigrad.models.convert.stored import features
from minigrad.models.convert.torch_run import run_pytorch

PATH = Path(__file__).resolve().parents[2] / "models" / "convert" / "cases.json"
nn = mg.nn

TORCH = {
    "RNN": lambda: nn.RNN(2, 3),
    "RNN, relu, two layers": lambda: nn.RNN(2, 2, num_layers=2, nonlinearity="relu"),
    "RNN, both directions": lambda: nn.RNN(2, 2, bidirectional=True, bias=False, batch_first=True),
    "LSTM": lambda: nn.LSTM(2, 3),
    "LSTM, two layers, both directions": lambda: nn.LSTM(2, 2, num_layers=2, bidirectional=True),
    "LSTM, projected": lambda: nn.LSTM(2, 3, proj_size=2, bias=False, batch_first=True),
    "GRU": lambda: nn.GRU(2, 3),
    "GRU, two layers, both directions": lambda: nn.GRU(2, 2, num_layers=2, bidirectional=True),
    "GRU, batch first": lambda: nn.GRU(2, 2, bias=False, batch_first=True),
    "RNNCell": lambda: nn.RNNCell(2, 3),
    "RNNCell, relu": lambda: nn.RNNCell(2, 3, bias=False, nonlinearity="relu"),
    "LSTMCell": lambda: nn.LSTMCell(2, 3),
    "LSTMCell, no bias": lambda: nn.LSTMCell(2, 3, bias=False),
    "GRUCell": lambda: nn.GRUCell(2, 3),
    "GRUCell, no bias": lambda: nn.GRUCell(2, 3, bias=False),
    "feedforward": lambda: nn.Sequential(
        *(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 3, bias=False)),
        *(nn.Sigmoid(), nn.BatchNorm1d(3), nn.Dropout(), nn.Identity(), nn.ReLU()),
    ),
    "embedding": lambda: nn.Sequential(
        *(nn.Embedding(5, 3, padding_idx=1), nn.GELU("none"), nn.LayerNorm(3)),
        *(nn.SiLU(), nn.Softplus(), nn.ELU(), nn.LeakyReLU(), nn.Flatten(), nn.LogSoftmax()),
    ),
    "norms without weights": lambda: nn.Sequential(
        *(nn.BatchNorm1d(3, affine=False, track_running_stats=False), nn.Softmax()),
        nn.LayerNorm(3, elementwise_affine=False),
    ),
}
FIRST = {"batch_first": True}
KERAS = {
    "SimpleRNN": lambda: nn.RNN(2, 3, **FIRST),
    "SimpleRNN, relu, both directions": lambda: nn.RNN(
        2, 2, nonlinearity="relu", bidirectional=True, bias=False, **FIRST
    ),
    "LSTM": lambda: nn.LSTM(2, 3, **FIRST),
    "LSTM, both directions": lambda: nn.LSTM(2, 2, bidirectional=True, bias=False, **FIRST),
    "GRU": lambda: nn.GRU(2, 3, **FIRST),
    "GRU, reset before": lambda: nn.GRU(2, 3, reset_after=False, **FIRST),
    "GRU, both directions": lambda: nn.GRU(2, 2, bidirectional=True, bias=False, **FIRST),
    "outputs": lambda: nn.Sequential(
        *(nn.Embedding(5, 2), convert.Outputs(nn.LSTM(2, 2, num_layers=2, **FIRST), "all")),
        *(nn.LayerNorm(2), convert.Outputs(nn.GRU(2, 2, num_layers=2, **FIRST), "last")),
        *(nn.Linear(2, 3), nn.Tanh(), nn.Softmax(-1), nn.GELU("none")),
    ),
    "outputs, backwards": lambda: nn.Sequential(
        convert.Outputs(nn.GRU(2, 2, **FIRST), "all", go_backwards=True),
        convert.Outputs(nn.RNN(2, 2, num_layers=2, **FIRST), "last", go_backwards=True),
        *(nn.Linear(2, 2, bias=False), nn.Sigmoid(), nn.SiLU(), nn.Softplus(), nn.ELU()),
        *(nn.LeakyReLU(0.2), nn.ReLU(), nn.LogSoftmax(-1), nn.Flatten(), nn.Identity()),
        nn.Dropout(),
    ),
}


def short(module, rng):
    """Give a module weights that are short to write."""
    module.double()
    state = {
        name: np.round(rng.normal(size=a.shape, scale=0.7) * 64) / 64 if a.dtype.kind == "f" else a
        for name, a in module.state_dict().items()
    }
    state |= {name: np.abs(a) + 0.5 for name, a in state.items() if "running_var" in name}
    module.load_state_dict(state)
    return module


def listed(arrays):
    return {name: np.asarray(array).tolist() for name, array in arrays.items()}


def cases():
    rng = np.random.default_rng(0)
    for framework, models in (("pytorch", TORCH), ("keras", KERAS)):
        for name, make in models.items():
            ours = short(make(), rng)
            inputs = {
                n: np.round(x * 64) / 64 if x.dtype.kind == "f" else x
                for n, x in draw_inputs(ours).items()
            }
            outputs = run(ours, inputs)[0].outputs
            cotangents = {
                n: np.round(rng.normal(size=y.shape) * 64) / 64 for n, y in outputs.items()
            }
            case = {"framework": framework, "name": name}
            if framework == "pytorch":
                case["ours"], case["weights"] = describe(ours), listed(ours.state_dict())
                theirs = convert.to_pytorch(ours)
                training = name == "norms without weights"
                case["training"] = training
                release, peer = run_pytorch(ours, theirs, inputs, cotangents, training)
                found = features(describe(ours))
            else:
                config, weights, _ = convert.keras_weights(ours)
                case["config"], case["weights"] = config, [a.tolist() for a in weights]
                theirs = rebuilt(config, weights, inputs["x"].shape)
                release, peer = run_keras(convert.from_keras(theirs), theirs, inputs, cotangents)
                found = [*features(describe(ours)), *features(describe(convert.from_keras(theirs)))]
            case |= {"release": release, "features": sorted(set(found))}
            case |= {"inputs": listed(inputs), "cotangents": listed(cotangents)}
            case |= {"outputs": listed(peer.outputs), "gradients": listed(peer.gradients)}
            yield case


def main():
    text = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases())
    PATH.write_text(f'{{"cases": [\n{text}\n]}}\n', encoding="utf-8")
    print(f"{PATH}: {PATH.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
