"""ONNX files with what onnxruntime and PyTorch compute of them: made here, or read from a store.

`python tests/support/onnx_cases.py` writes the store, `tests/convert/onnx_cases.json`. It needs the
extra `oracle`.
"""

import base64
import io
import json
import warnings

import numpy as np
from places import ROOT

import minigrad as mg
from minigrad.models.convert import to_onnx

STORE = ROOT / "tests" / "convert" / "onnx_cases.json"

T, N, I, H = 6, 3, 2, 3
# Layers that onnxruntime runs.
LAYERS = {
    "RNN": lambda: mg.nn.RNN(I, H, bidirectional=True),
    "relu": lambda: mg.nn.RNN(I, H, nonlinearity="relu"),
    "LSTM": lambda: mg.nn.LSTM(I, H, num_layers=2, bidirectional=True),
    "GRU": lambda: mg.nn.GRU(I, H, batch_first=True),
    "GRU, reset before": lambda: mg.nn.GRU(I, H, reset_after=False, bidirectional=True),
}
# Networks that PyTorch writes.
WRITTEN = ("RNN", "LSTM", "GRU")


def layer_case(kind):
    """A layer's file, inputs of other sizes, and what onnxruntime gives."""
    import onnxruntime

    mg.manual_seed(3)
    layer = LAYERS[kind]()
    shape = (N, T, I) if layer.batch_first else (T, N, I)
    model = to_onnx(layer, {"x": mg.randn(*shape), "lengths": [T, 2, 1]})
    rng = np.random.default_rng(4)
    shape = (N + 1, T - 1, I) if layer.batch_first else (T - 1, N + 1, I)
    inputs = {"x": rng.normal(size=shape).astype("float32"), "lengths": np.array([0, 5, 3, 1])}
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    outputs = dict(
        zip(["y", *(f"{s}_n" for s in layer.states)], session.run(None, inputs), strict=True)
    )
    return {"file": content, "inputs": inputs, "outputs": outputs}


def pytorch_case(kind):
    """A network's file from PyTorch's exporter, in float64; what it gives there, and gradients."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(7, I)
            self.recurrent = getattr(torch.nn, kind)(I, H, num_layers=2, bidirectional=True)
            self.norm = torch.nn.LayerNorm(2 * H)
            self.head = torch.nn.Linear(2 * H, 2)

        def forward(self, tokens):
            y, _ = self.recurrent(self.words(tokens))
            return torch.log_softmax(self.head(torch.relu(self.norm(y[-1]))), dim=-1)

    torch.manual_seed(5)
    network = Network().double().eval()
    file = io.BytesIO()
    with warnings.catch_warnings():  # of a way to export that is old, and needs no other package
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.ones(T, N, dtype=torch.int64),),
            file,
            dynamo=False,
            input_names=["tokens"],
            output_names=["scores"],
            dynamic_axes={"tokens": {0: "time", 1: "batch"}, "scores": {0: "batch"}},
        )
    rng = np.random.default_rng(6)
    tokens, g = rng.integers(0, 7, (T - 2, N + 2)), rng.normal(size=(N + 2, 2))
    scores = network(torch.tensor(tokens))
    scores.backward(torch.tensor(g))
    return {
        "file": file.getvalue(),
        "inputs": {"tokens": tokens},
        "outputs": {"scores": scores.detach().numpy()},
        "cotangents": {"scores": g},
        "gradients": {
            _name_here(name, kind): p.grad.numpy() for name, p in network.named_parameters()
        },
    }


def _name_here(name, kind):
    """PyTorch's exporter has a node per layer, each with weights of layer 0."""
    name = name.replace("recurrent.", f"recurrent.{kind}.")
    second = name.replace("_l1", "_l0").replace(f"{kind}.", f"{kind}_1.")
    return second if "_l1" in name else name


def stored(case):
    """A case as JSON."""
    return {
        key: base64.b64encode(value).decode()
        if isinstance(value, bytes)
        else {name: {"dtype": str(x.dtype), "values": x.tolist()} for name, x in value.items()}
        for key, value in case.items()
    }


def restored(case):
    """A case from JSON."""
    return {
        key: base64.b64decode(value)
        if isinstance(value, str)
        else {name: np.array(x["values"], x["dtype"]) for name, x in value.items()}
        for key, value in case.items()
    }


def read_store():
    """All cases in the store, by name."""
    return {name: restored(case) for name, case in json.loads(STORE.read_text()).items()}


if __name__ == "__main__":
    cases = {f"layer {kind}": stored(layer_case(kind)) for kind in LAYERS}
    cases |= {f"PyTorch {kind}": stored(pytorch_case(kind)) for kind in WRITTEN}
    STORE.write_text(json.dumps(cases, indent=None, separators=(",", ":")) + "\n")
    print(f"{STORE}: {STORE.stat().st_size:,} bytes")
