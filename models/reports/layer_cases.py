"""Every layer and model with small inputs, for gradient checks and the mutation score."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import nn
from minigrad.nested import parts_of
from minigrad.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from minigrad.testing.cases import Case, Values, real

from ..networks.classifier import SequenceClassifier
from ..zoo import (
    MGU,
    QRNN,
    SRU,
    IndRNN,
    LayerNormGRU,
    LayerNormLSTM,
    MinGRU,
    MinimalRNN,
    MinLSTM,
    PeepholeLSTM,
    ZoneoutLSTM,
)

__all__ = ["LAYERS", "RECURRENT", "as_case", "layer"]

T, N, I, H = 3, 3, 2, 2
LENGTHS = [3, 1, 2]  # so that sequences end at several steps
MASK = [[1, 0, 1], [0, 1, 1], [1, 1, 0]]  # (T, N), with a hole, and padding at both ends

Inputs = tuple[Any, ...]  # arrays, tuples of them, and what is no array


def _over_time(runs: int = 1, states: int = 1, lengths: Any = None) -> Callable[..., Inputs]:
    """x (T, N, I), an initial state (runs, N, H), or a tuple of them, and lengths."""

    def draw(rng: np.random.Generator) -> Inputs:
        state = tuple(rng.standard_normal((runs, N, H)) for _ in range(states))
        return _x(rng), state if states > 1 else state[0], lengths

    return draw


def _x(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((T, N, I))


def _one_step(states: int = 1) -> Callable[..., Inputs]:
    def draw(rng: np.random.Generator) -> Inputs:
        state = tuple(rng.standard_normal((N, H)) for _ in range(states))
        return rng.standard_normal((N, I)), state if states > 1 else state[0]

    return draw


def _batch_first(rng: np.random.Generator) -> Inputs:
    return rng.standard_normal((N, T, I)), None, LENGTHS


def _rows(*shape: int) -> Callable[..., Inputs]:
    return lambda rng: (rng.standard_normal(shape),)


def _losses(target: Any, low: float = -2.0, high: float = 2.0) -> Callable[..., Inputs]:
    """Numbers (3, 4) in a range, and a target: a list of classes, or what makes an array."""

    def draw(rng: np.random.Generator) -> Inputs:
        return rng.uniform(low, high, (3, 4)), target if isinstance(target, list) else target(rng)

    return draw


def _probabilities(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0.1, 0.9, (3, 4))


def _words(rng: np.random.Generator) -> Inputs:
    return np.array([[3, 4, 2], [2, 0, 3], [4, 0, 0]]), LENGTHS


ACTIVATIONS: list[type[nn.Module]] = [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU]
ACTIVATIONS += [nn.Sigmoid, nn.Softplus, nn.Tanh, nn.Softmax, nn.LogSoftmax]
# Those of two arrays of one shape, with a target between 0 and 1.
LOSSES = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCEWithLogitsLoss, nn.KLDivLoss)

# Cells of the zoo.
ONE_STATE = (MGU, IndRNN, LayerNormGRU, MinimalRNN, MinGRU, MinLSTM, SRU, QRNN)
TWO_STATES = (PeepholeLSTM, LayerNormLSTM, ZoneoutLSTM)
_DROPS: dict[str, Any] = {"variational_dropout": 0.2, "recurrent_dropout": 0.3}
_DROPS |= {"weight_drop": 0.2, "zoneout": 0.3}

LAYERS: dict[str, tuple[Callable[[], nn.Module], Callable[..., Inputs]]] = {
    "Linear": (lambda: nn.Linear(3, 2), _rows(4, 3)),
    "Embedding": (lambda: nn.Embedding(5, 2, padding_idx=0), lambda rng: ([[1, 3], [3, 2]],)),
    "LayerNorm": (lambda: nn.LayerNorm(4), _rows(3, 4)),
    "Dropout": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.3)), _rows(2, 3)),
    "Sequential": (lambda: nn.Sequential(nn.Linear(2, 3), mg.tanh, nn.Linear(3, 1)), _rows(4, 2)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(2), _rows(3, 2, 4)),
    "Identity": (lambda: nn.Sequential(nn.Identity(), nn.Flatten()), _rows(2, 3, 2)),
    **{kind.__name__: (kind, _rows(3, 4)) for kind in ACTIVATIONS},
    **{kind.__name__: (kind, _losses([1, 3, 0])) for kind in (nn.CrossEntropyLoss, nn.NLLLoss)},
    **{kind.__name__: (kind, _losses(_probabilities)) for kind in LOSSES},
    "BCELoss": (nn.BCELoss, _losses(_probabilities, 0.1, 0.9)),
    "CTCLoss": (nn.CTCLoss, lambda rng: (_x(rng), [[1], [], [1, 1]], None, None)),
    "RNN": (lambda: RNN(I, H), _over_time(lengths=LENGTHS)),
    "RNN relu": (lambda: RNN(I, H, nonlinearity="relu"), _over_time(lengths=LENGTHS)),
    "LSTM": (lambda: LSTM(I, H), _over_time(states=2, lengths=LENGTHS)),
    "GRU": (lambda: GRU(I, H), _over_time(lengths=LENGTHS)),
    "RNN both ways": (lambda: RNN(I, H, bidirectional=True), _over_time(2, lengths=LENGTHS)),
    "RNN of 2 layers": (lambda: RNN(I, H, 2, bias=False), _over_time(2)),
    "LSTM both ways": (lambda: LSTM(I, H, bidirectional=True), _over_time(2, 2, LENGTHS)),
    "GRU of 2 layers both ways": (lambda: GRU(I, H, 2, bidirectional=True), _over_time(4)),
    "GRU batch first": (lambda: GRU(I, H, batch_first=True), _batch_first),
    "GRU reset before": (lambda: GRU(I, H, reset_after=False), _over_time(lengths=LENGTHS)),
    "LSTM projected": (lambda: LSTM(I, H, proj_size=1), lambda rng: (_x(rng), None, LENGTHS)),
    "LSTM masked": (lambda: LSTM(I, H), lambda rng: (_x(rng), None, None, MASK)),
    "RNN weight drop": (lambda: RNN(I, H, weight_drop=0.3), _over_time(lengths=LENGTHS)),
    "LSTM dropping": (lambda: LSTM(I, H, 2, residual=True, **_DROPS), _over_time(2, 2, LENGTHS)),
    "GRU dropping": (lambda: GRU(I, H, reset_after=False, **_DROPS), _over_time(lengths=LENGTHS)),
    **{kind.__name__: (partial(kind, I, H), _over_time(lengths=LENGTHS)) for kind in ONE_STATE},
    **{kind.__name__: (partial(kind, I, H), _over_time(1, 2, LENGTHS)) for kind in TWO_STATES},
    "RNNCell": (lambda: RNNCell(I, H), _one_step()),
    "LSTMCell": (lambda: LSTMCell(I, H), _one_step(2)),
    "GRUCell": (lambda: GRUCell(I, H), _one_step()),
    **{
        f"SequenceClassifier {cell}": (partial(SequenceClassifier, cell, 5, I, H), _words)
        for cell in ("rnn", "lstm", "gru")
    },
}

# Those whose steps of time are broken one by one.
RECURRENT = ("RNN", "LSTM", "GRU", "RNN both ways")


def layer(name: str) -> tuple[nn.Module, Inputs]:
    """A layer in float64 with random parameters, and inputs for it; always the same."""
    make, draw = LAYERS[name]
    rng = np.random.default_rng(1)  # with 0, all units of the RNN with relu are dead
    module = make().double()
    values = {n: rng.standard_normal(p.shape) for n, p in module.named_parameters()}
    module.load_state_dict(values, strict=False)  # but for buffers, such as running means
    return module, draw(rng)


def as_case(name: str) -> Case:
    """A layer as a function of its parameters and its float inputs, for the checks of ops."""
    module, inputs = layer(name)
    parameters = {n: p.shape for n, p in module.named_parameters()}
    x, *rest = inputs
    state = rest[0] if rest else ()
    parts = parts_of(state)

    def f(*tensors: mg.Tensor) -> list[mg.Tensor]:
        called = layer(name)[0]
        for path, tensor in zip(parameters, tensors, strict=False):
            *way, last = path.split(".")
            holder: Any = called
            for step in way:
                holder = getattr(holder, step)
            vars(holder)[last] = tensor  # not a parameter any more, but where one is read
        given, *states = tensors[len(parameters) :]
        if not states:
            return _flat(called(given, *rest))
        return _flat(called(given, tuple(states) if len(states) > 1 else states[0], *rest[1:]))

    def reference(*arrays: np.ndarray) -> list[np.ndarray]:
        return [y.numpy() for y in f(*(mg.tensor(array) for array in arrays))]

    shapes = [*parameters.values(), x.shape, *(part.shape for part in parts)]
    return Case(f, reference, tuple(Values(real, shape) for shape in shapes))


def _flat(value: Any) -> list[mg.Tensor]:
    if isinstance(value, mg.Tensor):
        return [value]
    return [part for inner in value for part in _flat(inner)]
