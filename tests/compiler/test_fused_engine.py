"""A fused scan within the engine: every order, hooks, checkpoints, graphs, long sequences."""

import os

import numpy as np
import pytest
from scans import assert_close, fusing

import minigrad as mg
from minigrad.models import GRU, LSTM, RNN, zoo

try:
    NUMBA = mg.get_backend("numba")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)

DEEP = os.environ.get("MINIGRAD_PROFILE") == "deep"
T, N, I, H = 4, 3, 2, 3
LAYERS = {layer.__name__: layer for layer in (RNN, LSTM, GRU)}
LAYERS |= {name: getattr(zoo, name) for name in zoo.__all__ if name[0].isupper()}


@pytest.fixture(autouse=True)
def always_fused():
    mg.set_default_dtype("float64")
    with fusing("require"), mg.use_backend(NUMBA):
        yield
    mg.set_default_dtype("float32")


def lstm(backend="numba", layer=LSTM, seed=0, **options):
    """A layer and its input, the same on every backend."""
    with mg.use_backend(backend):
        mg.manual_seed(seed)
        made = layer(I, H, **options)
        return made, mg.randn((T, N, I), requires_grad=True)


def numbers(*tensors):
    return [t.numpy() for t in tensors]


def both(what, **options):
    """`what(layer, x)` by kernels and by the definition."""
    found = what(*lstm(**options))
    with fusing("0"):
        right = what(*lstm("numpy", **options))
    assert found and len(found) == len(right)
    assert_close(found, right, 1e-10)


# --- orders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_by_finite_differences(name):
    """Of the definition; the next test compares what the kernels give with it."""
    where = "numba" if DEEP else "numpy"
    layer, x = lstm(where, LAYERS[name], seed=3)  # where no ReLU is near its kink
    layer.eval()  # no random masks

    def outputs(x, *weights):
        y, last = layer(x)
        return (y, *last) if isinstance(last, tuple) else (y, last)

    mg.reset_dispatch_counts()
    with fusing("require" if DEEP else "0"):
        # IndRNN's ReLU lets little through: each entry has to be looked at.
        budget = None if DEEP or name == "IndRNN" else 300
        # The second order checks the first, too.
        report = mg.gradcheck(outputs, [x, *layer.parameters()], order=2, budget=budget)
    assert report, report
    assert any(key[2] == "fused" for key in mg.dispatch_counts()) == DEEP


@pytest.mark.parametrize("name", LAYERS)
def test_both_orders(name):
    def gradients(layer, x):
        y, last = layer(x)
        outs = [y, *last] if isinstance(last, tuple) else [y, last]
        leaves, rng = [x, *layer.parameters()], np.random.default_rng(0)
        gs = [rng.normal(size=t.shape) for t in outs]
        plain = mg.grad(outs, leaves, gs, retain_graph=True)  # by a kernel
        first = mg.grad(outs, leaves, gs, create_graph=True)
        # A weight that nothing multiplies, as that of a state of zeros, has a constant gradient.
        smooth = [g for g in first if g.requires_grad]
        weights = [rng.normal(size=g.shape) for g in smooth]
        second = mg.grad(smooth, leaves, weights, allow_unused=True)
        return numbers(*outs, *plain, *first, *(g for g in second if g is not None))

    mg.reset_dispatch_counts()
    both(gradients, layer=LAYERS[name])
    assert any(key[2] == "fused" for key in mg.dispatch_counts())


def test_second_order_after_an_input_of_another_layout():
    def second(layer, x):
        y, _ = layer(mg.flip(mg.transpose(x, (1, 0, 2)), axis=0))
        (first,) = mg.grad((y * y).sum(), [x], create_graph=True)
        return numbers(first, *mg.grad((first * first).sum(), [x, *layer.parameters()]))

    both(second)


def test_vjp_jvp_hvp_and_jacobian():
    def derivatives(layer, x):
        x = x.detach()
        v = mg.ones_like(x) * 0.5
        y, pulled = mg.vjp(lambda x: layer(x)[0], x, mg.full((T, N, H), 0.5, backend=x.backend))
        _, pushed = mg.jvp(lambda x: layer(x)[0], x, v)
        value, curved = mg.hvp(lambda x: (layer(x)[0] ** 2).sum(), x, v)
        table = mg.jacobian(lambda x: layer(x)[1][0], x)
        return numbers(y, pulled, pushed, value, curved, table)

    both(derivatives)


# --- graphs ------------------------------------------------------------------------------------


def test_hooks_on_inputs_and_outputs():
    def hooked(layer, x):
        seen = []

        def hook(g):
            seen.append(g.numpy())
            return g * 2

        inputs = x * 1
        y, (_, c) = layer(inputs)
        for t in (inputs, y, c, layer.weight_hh_l0):
            t.register_hook(hook)
        c.retain_grad()
        (y.sum() + (c * c).sum()).backward()
        assert len(seen) == 4
        return [*seen, *numbers(x.grad, c.grad, layer.weight_hh_l0.grad)]

    both(hooked)


def test_checkpoint():
    def checked(layer, x):
        y, c = mg.checkpoint(lambda x: (layer(x)[0], layer(x)[1][1]), x)
        return numbers(y, c, *mg.grad((y * y).sum() + c.sum(), [x, *layer.parameters()]))

    both(checked)


def test_a_graph_kept_and_a_graph_freed():
    layer, x = lstm()
    y, _ = layer(x)
    (first,) = mg.grad(y.sum(), [x], retain_graph=True)
    (again,) = mg.grad(y.sum(), [x], retain_graph=True)
    np.testing.assert_array_equal(first.numpy(), again.numpy())
    (other,) = mg.grad((y * y).sum(), [x])
    assert not np.allclose(other.numpy(), first.numpy())
    with pytest.raises(RuntimeError, match="second backward through"):
        mg.grad(y.sum(), [x])


def test_only_the_state_or_only_the_output_is_used():
    def parts(layer, x):
        found = []
        for pick in (lambda y, h, c: y[1], lambda y, h, c: h, lambda y, h, c: c):
            y, (h, c) = layer(x)
            found += numbers(*mg.grad(pick(y, h, c).sum(), [x, *layer.parameters()]))
        return found

    both(parts)


def test_no_grad_gives_the_same_without_a_graph():
    layer, x = lstm()
    with mg.no_grad():
        y, (h, c) = layer(x)
    assert not (y.requires_grad or h.requires_grad or c.requires_grad)
    np.testing.assert_array_equal(y.numpy(), layer(x)[0].numpy())


@pytest.mark.parametrize("which", ["x", "weight_hh_l0", "output"])
def test_edits_in_place_are_noticed(which):
    layer, x = lstm()
    y, _ = layer(x)
    array = {"x": x, "weight_hh_l0": layer.weight_hh_l0, "output": y}[which].data
    array[0] += 1
    with pytest.raises(RuntimeError, match="edited in place after scan saved it"):
        y.sum().backward()


def test_an_edit_before_the_scan_is_none_of_its_business():
    layer, x = lstm()
    x.data[0] += 1
    y, _ = layer(x)
    y.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_training_gives_the_same_on_both_ways():
    def trained(layer, x):
        optimiser = mg.optim.Adam(layer.parameters(), lr=0.1)
        losses = []
        for _ in range(5):
            optimiser.zero_grad()
            loss = (layer(x)[0] ** 2).mean()
            loss.backward()
            optimiser.step()
            losses.append(loss.numpy())
        assert losses[-1] < losses[0]
        return losses

    both(trained)


# --- long sequences ----------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_parts_of_a_long_sequence_fit_together(reverse, monkeypatch):
    monkeypatch.setattr("minigrad.compiler.fused_scan._CHUNK", 3)

    def scanned(layer, x):
        x = mg.concatenate([x, x * 2, x[:2]])  # 10 steps: 3, 3, 3, 1
        state = mg.ones((N, H), backend=x.backend), mg.ones((N, H), backend=x.backend)
        p = layer._weights("_l0")
        found = []
        for lengths in (None, [10, 0, 4]):
            with mg.no_grad():
                ys, last = mg.scan(layer.cell, p, x, state, lengths, reverse)
            found += numbers(ys, *last)
        return found

    both(scanned)
