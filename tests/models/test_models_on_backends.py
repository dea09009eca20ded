"""Layers, losses and training on every backend: NumPy's numbers, and nothing moved unasked."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.models import GRU, LSTM, RNN

T, N, I, H = 5, 3, 2, 4

LAYERS = {
    "RNN": lambda: RNN(I, H),
    "RNN relu": lambda: RNN(I, H, nonlinearity="relu"),
    "LSTM": lambda: LSTM(I, H, forget_bias=1.0),
    "GRU": lambda: GRU(I, H),
    "two layers, both directions": lambda: LSTM(I, H, num_layers=2, bidirectional=True),
    "no bias, batch first": lambda: GRU(I, H, bias=False, batch_first=True),
    "dropout": lambda: LSTM(I, H, num_layers=2, dropout=0.4),
}


def parts(value):
    return [x for part in value for x in parts(part)] if isinstance(value, tuple) else [value]


def results(backend, make, lengths, order):
    """Outputs, and gradients of inputs and parameters by random cotangents, as NumPy arrays."""
    with mg.use_backend(backend):
        mg.set_default_dtype("float64")
        try:
            mg.manual_seed(0)
            layer = make()
            x = mg.randn((N, T, I) if getattr(layer, "batch_first", False) else (T, N, I))
            x.requires_grad = True
            leaves = [x, *layer.parameters()]
            ys = parts(layer(x, lengths=lengths))
            gs = [mg.randn(y.shape) for y in ys]
            first = mg.grad(ys, leaves, gs, create_graph=order == 2)
            found = [*ys, *first]
            if order == 2:
                total = sum((g * mg.randn(g.shape)).sum() for g in first)
                second = mg.grad(total, leaves, allow_unused=True)
                found += [g for g in second if g is not None]
        finally:
            mg.set_default_dtype("float32")
        assert all(t.backend.name == backend and t.dtype == np.float64 for t in found)
        return [t.numpy() for t in found]


@pytest.mark.parametrize("lengths", [None, [5, 1, 3]])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_agree_with_numpy(name, lengths, backend):
    found = results(backend, LAYERS[name], lengths, order=1)
    right = results("numpy", LAYERS[name], lengths, order=1)
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_second_order_agrees_with_numpy(name, backend):
    found = results(backend, LAYERS[name], [5, 1, 3], order=2)
    right = results("numpy", LAYERS[name], [5, 1, 3], order=2)
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


class Classifier(mg.nn.Module):
    """Words to classes: an embedding, a recurrent layer, dropout, a norm, a linear layer."""

    def __init__(self):
        self.embedding = mg.nn.Embedding(10, 6, padding_idx=0)
        self.layer = GRU(6, H)
        self.norm = mg.nn.LayerNorm(H)
        self.dropout = mg.nn.Dropout(0.2)
        self.linear = mg.nn.Linear(H, 2)

    def forward(self, words, lengths):
        _, h = self.layer(self.embedding(words), lengths=lengths)
        return self.linear(self.dropout(self.norm(h[0])))


WORDS = np.array([[1, 4, 9], [2, 0, 8], [3, 0, 7], [0, 0, 6]])  # (T, N): padded with zeros
LENGTHS, LABELS = [3, 1, 4], [0, 1, 1]


def train(backend, optimiser, steps=5):
    """The losses of a few steps of training."""
    with mg.use_backend(backend):
        mg.manual_seed(0)
        model = Classifier()
        optimizer = optimiser(model.parameters())
        losses = []
        for _ in range(steps):
            loss = mg.cross_entropy(model(mg.tensor(WORDS), LENGTHS), LABELS, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            mg.optim.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss)
        assert all(p.backend.name == backend for p in model.parameters())
        return [loss.item() for loss in losses]


@pytest.mark.parametrize(
    "optimiser",
    [
        lambda p: mg.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        lambda p: mg.optim.Adam(p, lr=0.01),
        lambda p: mg.optim.AdamW(p, lr=0.01),
        lambda p: mg.optim.RMSprop(p, lr=0.01),
    ],
)
def test_training_agrees_with_numpy(optimiser, backend):
    found = train(backend, optimiser)
    assert found == pytest.approx(train("numpy", optimiser), rel=1e-4)
    assert found[-1] < found[0]


def test_a_step_of_training_leaves_the_device_alone():
    """Forward, backward and update move no array to the host: only the data go in."""
    with mg.use_backend("strict") as device:
        layer = LSTM(I, H, num_layers=2, bidirectional=True)
        optimizer = mg.optim.Adam(layer.parameters(), lr=0.01)
        x, target = mg.randn((T, N, I)), mg.randn((T, N, 2 * H))
        moved = device.moved
        y, _ = layer(x)
        mg.mse_loss(y, target).backward()
        optimizer.step()
        optimizer.zero_grad()
        assert device.moved == moved
