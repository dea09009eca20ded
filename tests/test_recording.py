"""Values by their names: what `mg.record()` keeps of cells, layers and loops."""

import contextvars
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.fusion import dispatch_counts, reset_dispatch_counts
from minigrad.models import zoo
from minigrad.nn import GRU, LSTM, RNN, LSTMCell, Module, Recurrent
from minigrad.nn.cells import lstm_cell

LSTM_NAMES = {"forget", "input", "candidate", "cell", "output", "hidden"}
LAYERS = {
    "RNN": (RNN, {"hidden"}),
    "relu": (lambda I, H, **o: RNN(I, H, nonlinearity="relu", **o), {"hidden"}),
    "LSTM": (LSTM, LSTM_NAMES),
    "GRU": (GRU, {"reset", "update", "candidate", "hidden"}),
    "MGU": (zoo.MGU, {"forget", "candidate", "hidden"}),
    "Peephole": (zoo.PeepholeLSTM, LSTM_NAMES),
    "LayerNorm": (zoo.LayerNormLSTM, LSTM_NAMES),
    "Zoneout": (zoo.ZoneoutLSTM, LSTM_NAMES | {"zoneout_hidden", "zoneout_cell"}),
    "IndRNN": (zoo.IndRNN, {"hidden"}),
}


def other_way_round(p, x, state):
    """The LSTM, with its sums and its gates written in another order."""
    h, c = state
    i, f, g, o = mg.split(mg.linear(h, p.w_hh, p.b_hh) + mg.linear(x, p.w_ih, p.b_ih), 4, axis=-1)
    o = mg.probe("output", mg.sigmoid(o))
    i = mg.probe("input", mg.sigmoid(i))
    c = mg.probe(
        "cell", i * mg.probe("candidate", mg.tanh(g)) + mg.probe("forget", mg.sigmoid(f)) * c
    )
    h = mg.probe("hidden", o * mg.tanh(c))
    return h, (h, c)


class OtherWayRound(Recurrent):
    cell = other_way_round
    states = ("h", "c")
    gates = 4


def inputs(T=5, N=2, I=3, seed=0):
    return mg.tensor(np.random.default_rng(seed).normal(size=(T, N, I)))


def recorded(layer, x, **options):
    with mg.record() as trace:
        y, state = layer(x, **options)
    return trace, y.numpy(), state


@pytest.mark.parametrize("name", LAYERS)
def test_built_in_cells_name_their_gates(name, backend):
    make, names = LAYERS[name]
    layer = make(3, 4).double().eval()
    trace, y, _ = recorded(layer, inputs())
    assert set(trace) == {f"l0.{name}" for name in names}
    hidden = trace["zoneout_hidden" if name == "Zoneout" else "hidden"]
    np.testing.assert_array_equal(hidden, y)
    for values in trace.values():
        assert type(values) is np.ndarray and values.shape == (5, 2, 4)
    np.testing.assert_allclose(layer(inputs())[0].numpy(), y, rtol=0, atol=1e-12)  # by a kernel


@given(
    st.sampled_from([LSTM, OtherWayRound]),
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(0, 99),
    st.data(),
)
def test_the_cell_state_is_what_the_gates_say(backend, make, T, N, seed, data):
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=N, max_size=N))
    bidirectional = data.draw(st.booleans())
    layer = make(3, 4, bidirectional=bidirectional).double()
    x = inputs(T, N, seed=seed)
    if lengths is not None:
        padding = np.arange(T)[:, None] >= np.array(lengths)
        x = mg.tensor(np.where(padding[:, :, None], np.nan, x.numpy()))
    trace, y, state = recorded(layer, x, lengths=lengths)
    ends = np.full(N, T) if lengths is None else np.array(lengths)
    for d, place in enumerate(["l0", "l0_reverse"][: 1 + bidirectional]):
        at = {name: trace[f"{place}.{name}"] for name in LSTM_NAMES}
        np.testing.assert_array_equal(at["hidden"], y[:, :, 4 * d : 4 * d + 4])
        for n in range(N):
            steps = range(ends[n])
            c = np.zeros(4)
            for t in reversed(steps) if d else steps:
                right = at["forget"][t, n] * c + at["input"][t, n] * at["candidate"][t, n]
                c = at["cell"][t, n]
                assert np.abs(c - right).max() <= 1e-12
                h = at["output"][t, n] * np.tanh(c)
                assert np.abs(h - at["hidden"][t, n]).max() <= 1e-12
            np.testing.assert_array_equal(c, state[1].numpy()[d, n])
            for values in at.values():
                assert not values[ends[n] :, n].any()  # zeros, and no NaN


def test_the_same_names_however_the_sum_is_written():
    mg.manual_seed(1)
    one = LSTM(3, 4).double()
    other = OtherWayRound(3, 4).double()
    other.load_state_dict(one.state_dict())
    a, b = recorded(one, inputs())[0], recorded(other, inputs())[0]
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=1e-12)


def test_names_of_a_stack():
    layer = LSTM(3, 4, num_layers=2, bidirectional=True).double()
    trace, y, _ = recorded(layer, inputs())
    places = ["l0", "l0_reverse", "l1", "l1_reverse"]
    assert {full.partition(".")[0] for full in trace} == set(places) and len(trace) == 24
    both = [trace["l1.hidden"], trace["l1_reverse.hidden"]]
    np.testing.assert_array_equal(np.concatenate(both, axis=-1), y)
    with pytest.raises(KeyError, match=r"'forget' may be l0.forget or l0_reverse.forget or l1.fo"):
        trace["forget"]
    with pytest.raises(
        KeyError, match=r"nothing named 'forgot' was recorded; there is l0.forget, "
    ):
        trace["forgot"]
    assert "forgot" not in trace and "l0.forget" in trace


def test_batch_first_and_single_sequences():
    layer = GRU(3, 4, batch_first=True).double()
    x = inputs()
    trace, y, _ = recorded(layer, mg.swapaxes(x, 0, 1))
    np.testing.assert_array_equal(trace["hidden"], np.swapaxes(y, 0, 1))  # time first, as ever
    trace, y, _ = recorded(layer, x[:, 0])
    assert trace["hidden"].shape == (5, 1, 4)


def test_no_steps():
    trace, _, _ = recorded(LSTM(3, 4).double(), inputs(T=0))
    assert trace["forget"].shape == (0, 2, 4)


def test_loops_by_hand_and_values_outside_of_scans():
    with mg.record() as trace:
        x = mg.probe("twice", mg.ones(3) * 2)
        assert mg.probe("thrice", x) is x
        mg.probe("thrice", x)
        mg.probe("mixed", x)
        mg.probe("mixed", x[:1])
    assert trace["twice"].tolist() == [2, 2, 2]
    assert trace["thrice"].tolist() == [[2, 2, 2], [2, 2, 2]]
    text = r"'mixed' was recorded 2 times, with shapes \(1,\) and \(3,\)"
    with pytest.raises(ValueError, match=text):
        trace["mixed"]
    cell = LSTMCell(3, 4)
    with mg.record() as trace:
        state = cell(mg.ones((2, 3)))
    assert set(trace) == LSTM_NAMES and trace["cell"].shape == (2, 4)
    with mg.record() as trace:
        for _ in range(5):
            state = cell(mg.ones((2, 3)), state)
    assert trace["cell"].shape == (5, 2, 4)
    np.testing.assert_array_equal(trace["cell"][-1], state[1].numpy())
    with pytest.raises(TypeError, match=r"probe: 'a' names a tensor; got float 1.0"), mg.record():
        mg.probe("a", 1.0)
    assert mg.probe("a", 1.0) == 1.0


def test_two_calls_of_a_layer_need_a_block_each():
    layer = RNN(3, 4).double()
    with mg.record() as trace:
        layer(inputs())
        layer(inputs())
    with pytest.raises(ValueError, match=r"'l0.hidden' was recorded in several scans"):
        trace["hidden"]


def test_a_name_belongs_to_every_step_once():
    def now_and_then(p, x, h):
        if float(x.sum()) > 0:
            mg.probe("some", h)
        return h, h

    x = np.ones((4, 1, 2))
    x[2] = -1
    with mg.record() as trace:
        mg.scan(now_and_then, None, mg.tensor(x), mg.zeros((1, 2)))
    with pytest.raises(ValueError, match="'some' was named at 3 of 4 steps, not at each"):
        trace["some"]

    def twice(p, x, h):
        return mg.probe("h", mg.probe("h", h)), h

    with mg.record() as trace:
        mg.scan(twice, None, mg.tensor(x), mg.zeros((1, 2)))
    with pytest.raises(ValueError, match="'h' was recorded 2 times"):
        trace["h"]


def test_a_scan_within_a_scan():
    def inner(p, x, h):
        h = mg.probe("inner", h + x)
        return h, h

    def outer(p, x, h):
        _, h = mg.scan(inner, None, mg.stack([x, x, x]), h)
        return mg.probe("outer", h), h

    with mg.record() as trace:
        mg.scan(outer, None, mg.ones((2, 1, 4)), mg.zeros((1, 4)))
    assert trace["inner"].shape == (2, 3, 1, 4) and trace["outer"].shape == (2, 1, 4)
    assert trace["inner"][:, :, 0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_records_within_records():
    layer, x = RNN(3, 4).double(), inputs()
    with mg.record() as whole:
        layer(x)
        with mg.record() as part:
            mg.probe("there", x)
        mg.probe("after", x)
    assert list(part) == ["there"] and list(whole) == ["l0.hidden", "there", "after"]
    mg.probe("outside", x)
    assert "outside" not in whole and repr(part) == "<recording of there>"


def test_threads_do_not_meet():
    layer, x, both = GRU(3, 4).double(), inputs(), threading.Barrier(2)
    found = {}

    def run(name):
        both.wait(10)
        for _ in range(5):
            with mg.record() as trace:
                y, _ = layer(x)
            found.setdefault(name, []).append((trace["hidden"], y.numpy()))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    with mg.record() as mine:
        for thread in threads:
            thread.join()
    assert not mine
    for hidden, y in found[0] + found[1]:
        np.testing.assert_array_equal(hidden, y)
    with mg.record() as mine:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(layer, x))
        thread.start()
        thread.join()
    assert mine["hidden"].shape == (5, 2, 4)


def test_edits_and_updates_come_too_late(backend):
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    with mg.record() as trace:
        mg.probe("w", w)
    (w * w).sum().backward()
    mg.optim.SGD([w], lr=1.0).step()
    w.data += 1
    assert trace["w"].tolist() == [1.0, 2.0]


def test_gradients_flow_as_without(backend):
    layer, x = LSTM(3, 4).double(), inputs()
    right = mg.grad(layer(x)[0].sum(), list(layer.parameters()))
    with mg.record():
        found = mg.grad(layer(x)[0].sum(), list(layer.parameters()))
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=1e-12)


def test_a_checkpoint_is_recorded_once(backend):
    layer, x = LSTM(3, 4).double(), inputs()
    with mg.record() as trace:
        y = mg.checkpoint(lambda x: layer(x)[0], x)
        y.sum().backward()
    np.testing.assert_array_equal(trace["hidden"], y.numpy())


def test_scans_run_in_the_same_way_while_recorded(backend, monkeypatch):
    monkeypatch.delenv("MINIGRAD_FUSED", raising=False)
    layer = LSTM(3, 4)
    x = mg.ones((5, 2, 3))

    def counts():
        reset_dispatch_counts()
        layer(x)
        return dispatch_counts()

    before = counts()
    with mg.record(gradients=True), mg.override(forget=0.5):
        assert counts() == before
    with mg.override(forget=lambda f: f):
        ((key, _),) = counts().items()
    assert counts() == before
    if "fused" in next(iter(before)):
        reason = "a function replaces one of its values"
        assert key == ("lstm_cell", backend, "composed", reason)


def plain_cell(p, x, state):
    """lstm_cell without names."""
    h, c = state
    sums = mg.linear(x, p.w_ih, p.b_ih) + mg.linear(h, p.w_hh, p.b_hh)
    i, f, g, o = mg.split(sums, 4, axis=-1)
    f, g, i = mg.sigmoid(f), mg.tanh(g), mg.sigmoid(i)
    c = f * c + i * g
    h = mg.sigmoid(o) * mg.tanh(c)
    return h, (h, c)


def test_a_probe_is_no_part_of_a_program():
    layer = LSTM(3, 4)
    state = mg.zeros((2, 4)), mg.zeros((2, 4))

    def program(cell):
        text = str(mg.trace(cell, layer._weights("_l0"), mg.ones((2, 3)), state))
        return [
            line.partition(")  ")[0].partition(cell.__name__)[0].rstrip()
            for line in text.splitlines()
        ]

    assert program(lstm_cell) == program(plain_cell)
    with mg.record() as trace:
        assert program(lstm_cell) == program(plain_cell)
    assert not trace


class Doubled(Module):
    def __init__(self):
        self.first, self.second = LSTM(3, 4), LSTM(4, 5)

    def forward(self, x):
        return self.second(self.first(x)[0])


def test_the_layers_of_a_model_have_their_paths():
    model = Doubled()
    with mg.record() as trace:
        model(mg.ones((5, 2, 3)))
    assert trace["first.l0.forget"].shape == (5, 2, 4)
    assert trace["second.l0.forget"].shape == (5, 2, 5)
    with pytest.raises(KeyError, match=r"'forget' may be first.l0.forget or second.l0.forget"):
        trace["forget"]
    with mg.record() as trace:
        Nested(model)(mg.ones((5, 2, 3)))
    assert trace["parts.0.first.l0.hidden"].shape == (5, 2, 4)
    with mg.record() as trace:
        model.second(mg.ones((5, 2, 4)))
    assert set(trace) == {f"l0.{name}" for name in LSTM_NAMES}


class Nested(Module):
    def __init__(self, model):
        self.parts = mg.nn.ModuleList([model])

    def forward(self, x):
        return self.parts[0](x)
