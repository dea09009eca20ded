"""What recorded gates and gradients say: saturation, memory, matches, gradient flow, reach."""

import os

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.zoo import MGU
from minigrad.nn import GRU, LSTM, RNN

DEEP = os.environ.get("MINIGRAD_PROFILE") == "deep"
T, N, I, H = 6, 3, 2, 4


def inputs(seed=0, T=T, N=N):
    return mg.tensor(np.random.default_rng(seed).normal(size=(T, N, I)))


def made(make, **options):
    mg.manual_seed(2)
    return make(I, H, **options).double()


def recorded(layer, x, lengths=None):
    with mg.record() as trace:
        layer(x, lengths=lengths)
    return trace


LENGTHS = st.none() | st.lists(st.integers(0, T), min_size=N, max_size=N)


@given(LENGTHS, st.integers(0, 99))
def test_saturation_counts_the_steps_that_count(backend, lengths, seed):
    trace = recorded(made(LSTM), 9 * inputs(seed), lengths)
    ends = [T] * N if lengths is None else lengths
    if not sum(ends):
        return
    for full, found in trace.saturation().items():
        assert full.rpartition(".")[2] in ("forget", "input", "output")
        values = np.concatenate([trace[full][:end, n] for n, end in enumerate(ends)])
        np.testing.assert_allclose(found.shut, (values < 0.1).mean(axis=0))
        np.testing.assert_allclose(found.open, (values > 0.9).mean(axis=0))
    assert len(trace.saturation()) == 3
    loose = trace.saturation("forget", low=0.5, high=0.5)["l0.forget"]
    np.testing.assert_allclose(loose.shut + loose.open, 1)


@given(LENGTHS, st.sampled_from([LSTM, GRU]), st.booleans())
def test_memory_is_what_a_gate_leaves(backend, lengths, make, bidirectional):
    trace = recorded(made(make, bidirectional=bidirectional), inputs(), lengths)
    ends = [T] * N if lengths is None else lengths
    memories = trace.memory()
    last = "forget" if make is LSTM else "update"
    assert list(memories) == [f"l0.{last}", f"l0_reverse.{last}"][: 1 + bidirectional]
    for full, found in memories.items():
        gate = trace[full]
        for n, end in enumerate(ends):
            left = np.ones(H)
            steps = range(end) if "reverse" in full else reversed(range(end))
            for t in steps:
                np.testing.assert_allclose(found.left[t, n], left, rtol=1e-12)
                left = left * gate[t, n]
        if sum(ends):
            counted = np.concatenate([gate[:end, n] for n, end in enumerate(ends)])
            np.testing.assert_allclose(found.steps, -1 / np.log(counted).mean(axis=0), rtol=1e-12)


def test_memory_is_the_jacobian_of_the_cell_state_where_gates_are_held():
    """dc_T / dc_t is the product of the forget gates if h doesn't move them."""
    layer = made(LSTM)
    for name, parameter in layer.named_parameters():
        if name == "weight_hh_l0":
            parameter.data[...] = 0
    x = inputs()
    trace = recorded(layer, x)
    c = mg.zeros((1, N, H), dtype="float64", requires_grad=True)
    _, (_, last) = layer(x, (mg.zeros((1, N, H), dtype="float64"), c))
    slope = mg.grad(last.sum(), c).numpy()[0]
    right = trace.memory()["l0.forget"].left[0] * trace["forget"][0]
    np.testing.assert_allclose(slope, right, rtol=1e-12)


def test_memory_needs_a_gate_that_keeps():
    trace = recorded(made(MGU), inputs())
    with pytest.raises(KeyError, match=r"which value keeps\? .* give a name, of l0.forget, l0.can"):
        trace.memory()
    assert trace.memory("forget")["l0.forget"].left.shape == (T, N, H)
    with mg.override(forget=1.0):
        trace = recorded(made(LSTM), inputs())
    assert np.isinf(trace.memory()["l0.forget"].steps).all()
    with pytest.raises(KeyError, match=r"no gate was recorded \(forget, input, output, reset"):
        recorded(made(RNN), inputs()).saturation()


def test_matches_are_where_the_same_units_are_active():
    def cell(p, x, h):
        return x, mg.probe("hidden", x)

    x = np.zeros((10, 2, 3))
    x[2:4, 0, :2] = 1  # the span: units 0 and 1
    x[7:9, 0, :3] = 1  # both, and another one
    x[1:3, 1, :2] = 1  # both alone
    x[6:8, 1, 0] = 1  # one of them
    with mg.record() as trace:
        mg.scan(cell, None, mg.tensor(x), mg.zeros((2, 3), dtype="float64"))
    found = [(m.sequence, m.start, m.stop, m.units, m.others) for m in trace.match((2, 4))]
    assert found == [(1, 1, 3, 2, 0), (0, 7, 9, 2, 1), (1, 6, 8, 1, 0)]
    assert len(trace.match((2, 4), top=1)) == 1
    with mg.record() as trace:
        mg.scan(cell, None, mg.tensor(-x), mg.zeros((2, 3), dtype="float64"), lengths=[10, 2])
    found = [(m.sequence, m.start, m.units) for m in trace.match((2, 4), threshold=-0.5)]
    assert found == [(0, 7, 2)]


WRONG_MATCHES = [
    (lambda t: t.match((3, 3)), ValueError, "the span 3 to 3 is not within the 6 steps"),
    (lambda t: t.match((0, 7)), ValueError, "the span 0 to 7 is not within the 6 steps"),
    (lambda t: t.match(3), TypeError, r"a span is a pair of steps, as in span=\(3, 6\); got 3"),
    (lambda t: t.match((0, 2), sequence=3), ValueError, "there are 3 sequences, from 0 on; got 3"),
    (lambda t: t.match((0, 2), name="output"), KeyError, "nothing named 'output' was recorded"),
]


@pytest.mark.parametrize(("use", "kind", "text"), WRONG_MATCHES)
def test_wrong_matches(use, kind, text):
    with pytest.raises(kind, match=text):
        use(recorded(made(RNN), inputs()))


# --- gradients ---------------------------------------------------------------------------------


@given(st.integers(0, 99))
def test_gradient_flow_is_the_product_of_jacobians(backend, seed):
    layer, x = made(RNN), inputs(seed)
    p = {name: tensor.numpy() for name, tensor in layer.named_parameters()}
    with mg.record() as trace:
        layer(x)
    flow = mg.gradient_flow(layer, x)["l0.hidden"]
    for n in range(N):
        g = np.ones(H)
        for lag in range(T):
            np.testing.assert_allclose(flow[lag, n], np.linalg.norm(g), rtol=0, atol=1e-10)
            h = trace["hidden"][T - 1 - lag, n]
            g = (g * (1 - h * h)) @ p["weight_hh_l0"]


@given(LENGTHS, st.sampled_from([RNN, LSTM, GRU]), st.booleans())
def test_gradient_flow_by_lag(backend, lengths, make, batch_first):
    layer, x = made(make, batch_first=batch_first), inputs()
    given = mg.swapaxes(x, 0, 1) if batch_first else x
    flow = mg.gradient_flow(layer, given, lengths=lengths)
    assert set(flow) == {"l0.hidden", "l0.cell"} if make is LSTM else {"l0.hidden"}
    ends = [T] * N if lengths is None else lengths
    # A single step is a kernel of its own.
    assume(backend != "numba" or 1 not in ends or DEEP)
    for norms in flow.values():
        assert norms.shape == (T, N)
        for n, end in enumerate(ends):
            assert np.isnan(norms[end:, n]).all() and not np.isnan(norms[:end, n]).any()
            alone = mg.gradient_flow(made(make), x[:end, n : n + 1]) if end else {}
            for name in alone:
                np.testing.assert_allclose(flow[name][:end, n], alone[name][:, 0], atol=1e-12)
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_gradient_flow_with_a_mask(backend):
    layer, x = made(LSTM), inputs()
    mask = np.ones((T, N), bool)
    mask[[0, 2, 5], 1] = False
    flow = mg.gradient_flow(layer, x, mask=mask)["l0.hidden"]
    alone = mg.gradient_flow(layer, x[mask[:, 1], 1:2])["l0.hidden"]
    np.testing.assert_allclose(flow[:3, 1], alone[:, 0], rtol=0, atol=1e-12)
    assert np.isnan(flow[3:, 1]).all()


def test_gradient_flow_of_another_loss_and_of_gates(backend):
    layer, x = made(LSTM, bidirectional=True), inputs()
    flow = mg.gradient_flow(layer, x, "l0.forget", loss=lambda y: (y[2] * y[2]).sum())
    assert list(flow) == ["l0.forget"]
    assert not flow["l0.forget"][: T - 3].any() and flow["l0.forget"][T - 3 : T - 1].all()
    back = mg.gradient_flow(layer, x, loss=lambda y: y[0].sum())["l0_reverse.hidden"]
    assert back[0].all()  # lag 0 is the first step for what runs backwards
    with pytest.raises(TypeError, match="the loss must be a tensor of one number"):
        mg.gradient_flow(layer, x, loss=lambda y: y)
    with pytest.raises(KeyError, match="no state is named hidden or cell; give names, of nothing"):
        mg.gradient_flow(mg.nn.Linear(I, H).double(), x)


@pytest.mark.parametrize("make", [RNN, LSTM, GRU])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"batch_first": True}])
def test_connectivity_is_the_norm_of_each_jacobian(make, options, backend):
    layer, x = made(make, **options), inputs(T=4, N=2)
    given = mg.swapaxes(x, 0, 1) if "batch_first" in options else x
    found = mg.connectivity(layer, given)
    for n in range(2):

        def one(v, n=n):
            y, _ = layer(mg.reshape(v, (4, I)))
            return y

        jacobian = mg.jacobian(one, x[:, n]).numpy()  # (T, O, T, I)
        right = np.sqrt(np.square(jacobian).sum(axis=(1, 3)))
        np.testing.assert_allclose(found[:, :, n], right, rtol=0, atol=1e-12)
    if "bidirectional" not in options:
        assert not np.triu(found[:, :, 0], 1).any()


def test_connectivity_with_lengths(backend):
    layer, x = made(LSTM), inputs(T=4, N=2)
    found = mg.connectivity(layer, x, lengths=[4, 2])
    assert not found[2:, :, 1].any() and not found[:, 2:, 1].any()
    np.testing.assert_allclose(found[:2, :2, 1], mg.connectivity(layer, x[:2])[..., 1], atol=1e-12)
    with pytest.raises(TypeError, match=r"x must be a tensor of floats \(T, N, I\); got int64"):
        mg.connectivity(layer, mg.zeros((3, 2), dtype="int64"))
    with pytest.raises(ValueError, match=r"an output per step, \(T, N, O\) with T = 4 and N = 2;"):
        mg.connectivity(lambda x: x.sum(axis=0), x)
