"""Other values in the place of those that cells name, and gradients with respect to them."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models import zoo
from minigrad.nn import GRU, LSTM, RNN, LSTMCell

T, N, I, H = 5, 2, 3, 4
LAYERS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU, "MGU": zoo.MGU, "Peephole": zoo.PeepholeLSTM}
NAMES = {
    **{"RNN": ["hidden"], "LSTM": ["forget", "input", "candidate", "cell", "output", "hidden"]},
    **{"GRU": ["reset", "update", "candidate", "hidden"], "MGU": ["forget", "candidate", "hidden"]},
    "Peephole": ["forget", "cell", "hidden"],
}


def inputs(seed=0, T=T, N=N):
    return mg.tensor(np.random.default_rng(seed).normal(size=(T, N, I)))


def made(name="LSTM", **options):
    mg.manual_seed(3)
    return LAYERS[name](I, H, **options).double()


def drawn(seed, shape):
    return mg.tensor(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("reverse", [False, True])
def test_kernels_record_what_ops_do(name, reverse, backend, monkeypatch):
    layer, x = made(name, bidirectional=reverse), inputs()
    found = []
    for way in ("1", "0"):
        monkeypatch.setenv("MINIGRAD_FUSED", way)
        with mg.record(gradients=True) as trace:
            y, _ = layer(x, lengths=[T, 3])
        weights = drawn(1, y.shape)
        (y * weights).sum().backward()
        found.append((dict(trace), dict(trace.gradient)))
    for fused, plain in zip(*found, strict=True):
        assert list(fused) == list(plain) and fused
        for full, values in fused.items():
            np.testing.assert_allclose(values, plain[full], rtol=0, atol=1e-12, err_msg=full)
            assert not values[3:, 1].any()


@given(data=st.data())
def test_a_gradient_is_that_of_what_is_added(backend, data):
    """The gradient of a recorded value is what flows to zeros that are added to it."""
    name = data.draw(st.sampled_from(list(NAMES)))
    value = data.draw(st.sampled_from(NAMES[name]))
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=N, max_size=N))
    layer, x = made(name), inputs(data.draw(st.integers(0, 99)))
    weights = drawn(2, (T, N, H))
    with mg.record(gradients=True) as trace:
        y, _ = layer(x, lengths=lengths)
    (y * weights).sum().backward()
    added = mg.zeros((T, N, H), dtype="float64", requires_grad=True)
    steps = iter(mg.unstack(added))
    with mg.override({f"l0.{value}": lambda v: v + next(steps)}):
        again, _ = layer(x, lengths=lengths)
    np.testing.assert_allclose(again.numpy(), y.numpy(), rtol=0, atol=1e-12)
    gradient = mg.grad((again * weights).sum(), added).numpy()
    np.testing.assert_allclose(trace.gradient[value], gradient, rtol=0, atol=1e-12)


def test_gradients_flow_to_what_is_put_in(backend):
    layer, x = made(), inputs()
    put = mg.tensor(ARRAY[0], requires_grad=True)
    weights = drawn(2, (T, N, H))
    with mg.override(forget=put):
        ours = mg.grad((layer(x)[0] * weights).sum(), put)
    theirs = mg.grad((by_hand(layer, x, lambda f, t: put) * weights).sum(), put)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-12)


def by_hand(layer, x, forget):
    """The LSTM with another forget gate."""
    p = dict(layer.named_parameters())
    h = c = mg.zeros((N, H), dtype="float64")
    ys = []
    for t in range(T):
        sums = x[t] @ p["weight_ih_l0"].T + p["bias_ih_l0"] + h @ p["weight_hh_l0"].T
        i, f, g, o = mg.split(sums + p["bias_hh_l0"], 4, axis=-1)
        c = forget(mg.sigmoid(f), t) * c + mg.sigmoid(i) * mg.tanh(g)
        h = mg.sigmoid(o) * mg.tanh(c)
        ys.append(h)
    return mg.stack(ys)


ARRAY = np.random.default_rng(5).uniform(size=(T, N, H))
REPLACED = {
    "open": (1.0, lambda f, t: mg.ones_like(f)),
    "shut": (0, lambda f, t: mg.zeros_like(f)),
    "per unit": (ARRAY[0, 0], lambda f, t: mg.tensor(ARRAY[0, 0])),
    "per step": (ARRAY[:, :1], lambda f, t: mg.tensor(ARRAY[t, :1])),
    "all": (ARRAY, lambda f, t: mg.tensor(ARRAY[t])),
    "float32": (ARRAY.astype(np.float32), lambda f, t: mg.tensor(ARRAY.astype("f")[t].astype("d"))),
    "function": (lambda f: mg.sqrt(f), lambda f, t: mg.sqrt(f)),
    "a number": (lambda f: 0.25, lambda f, t: 0.25 * mg.ones_like(f)),
}


@pytest.mark.parametrize("case", REPLACED)
def test_another_gate_is_the_cell_with_that_gate(case, backend):
    given_, right = REPLACED[case]
    layer, x = made(), inputs()
    with mg.override(forget=given_), mg.record() as trace:
        y, _ = layer(x)
    expected = by_hand(layer, x, right)
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(trace["hidden"], y.numpy(), rtol=0, atol=1e-12)
    if not callable(given_):
        shown = np.broadcast_to(np.asarray(given_), (T, N, H))
        np.testing.assert_allclose(trace["forget"], shown, rtol=0, atol=1e-7)
    weights = drawn(2, (T, N, H))
    parameters = list(layer.parameters())
    ours = mg.grad((y * weights).sum(), parameters)
    theirs = mg.grad((expected * weights).sum(), parameters)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=1e-11)


def test_second_order(backend):
    layer, x = made(), inputs()
    weights = list(layer.parameters())

    def twice(y):
        firsts = mg.grad((y * y).sum(), weights, create_graph=True)
        return mg.grad(sum((g * g).sum() for g in firsts), weights)

    with mg.override(forget=ARRAY), mg.record(gradients=True):
        ours = twice(layer(x)[0])
    theirs = twice(by_hand(layer, x, lambda f, t: mg.tensor(ARRAY[t])))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=1e-9)


def test_a_name_means_all_that_end_so_and_the_longest_wins(backend):
    layer = made(num_layers=2)
    with mg.override({"forget": 0.25, "l1.forget": 0.75}), mg.record() as trace:
        layer(inputs())
    assert (trace["l0.forget"] == 0.25).all() and (trace["l1.forget"] == 0.75).all()
    with mg.override(forget=0.25), mg.override(forget=lambda f: f * 2), mg.record() as trace:
        layer(inputs())
    assert (trace["l0.forget"] == 0.5).all()  # from the outermost to the innermost


def test_outside_of_scans_and_in_loops(backend):
    x = mg.ones(3)
    with mg.override(twice=[1.0, 2.0, 3.0]):
        assert mg.probe("twice", x * 2).tolist() == [1, 2, 3]
    cell = LSTMCell(I, H)
    with mg.override(forget=0.5), mg.record() as trace:
        state = cell(mg.ones((N, I)))
        cell(mg.ones((N, I)), state)
    assert trace["forget"].shape == (2, N, H) and (trace["forget"] == 0.5).all()


def test_a_scan_within_a_scan():
    def inner(p, x, h):
        h = mg.probe("inner", h + x)
        return h, h

    def outer(p, x, h):
        _, h = mg.scan(inner, None, mg.stack([x, x, x]), h)
        return mg.probe("outer", h), h

    put = np.arange(6.0).reshape(2, 3, 1, 1)
    with mg.override(inner=put), mg.record(gradients=True) as trace:
        ys, _ = mg.scan(outer, None, mg.ones((2, 1, 4)), mg.zeros((1, 4)))
    np.testing.assert_array_equal(trace["inner"], np.broadcast_to(put, (2, 3, 1, 4)))
    assert trace["outer"][:, 0, 0].tolist() == [2, 5]
    ys.sum().backward()
    assert trace.gradient["inner"].shape == (2, 3, 1, 4)
    assert trace.gradient["inner"][:, :, 0, 0].tolist() == [[0, 0, 1], [0, 0, 1]]


def test_names_that_come_and_go_run_op_by_op(backend):
    def now_and_then(p, x, h):
        if mg.is_grad_enabled() and float(x.sum()) > 0:
            h = mg.probe("some", h + 1)
        return h, h

    x = np.ones((4, 1, 2))
    x[2] = -1
    with mg.override(some=10.0):
        _, h = mg.scan(now_and_then, None, mg.tensor(x), mg.zeros((1, 2), dtype="float64"))
    assert h.tolist() == [[10, 10]]


def test_random_numbers_are_those_of_a_run_without():
    def noisy(p, x, h):
        h = mg.probe("hidden", h + x * mg.rand(x.shape))
        return h, h

    def run():
        mg.manual_seed(0)
        return mg.scan(noisy, None, mg.ones((3, 1, 2)), mg.zeros((1, 2)))[1].tolist()

    right = run()
    with mg.record() as trace:
        assert run() == right
    assert trace["hidden"][-1].tolist() == right


def test_checkpoints(backend):
    layer, x = made(), inputs()
    weights = list(layer.parameters())

    def gradients(call):
        with mg.override(forget=0.5), mg.record() as trace:
            y = call(x)
        return mg.grad((y * y).sum(), weights), trace

    theirs, _ = gradients(lambda x: layer(x)[0])
    ours, trace = gradients(lambda x: mg.checkpoint(lambda x: layer(x)[0], x))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=1e-12)
    assert trace["forget"].shape == (T, N, H)


def test_threads_see_nothing_of_it():
    layer, x = made(), inputs()
    right = layer(x)[0].numpy()
    found = []
    with mg.override(forget=0.0):
        thread = threading.Thread(target=lambda: found.append(layer(x)[0].numpy()))
        thread.start()
        thread.join()
        layer(x)
    np.testing.assert_array_equal(found[0], right)
    np.testing.assert_array_equal(layer(x)[0].numpy(), right)


def test_kernels_of_another_override_are_others(backend):
    layer, x = made(), inputs()
    plain = layer(x)[0].numpy()
    found = []
    for value in (0.0, 1.0, 0.0):
        with mg.override(forget=value):
            found.append(layer(x)[0].numpy())
    np.testing.assert_array_equal(found[0], found[2])
    assert np.abs(found[0] - found[1]).max() > 1e-3
    with mg.override(input=1.0):
        assert np.abs(layer(x)[0].numpy() - found[0]).max() > 1e-3
    np.testing.assert_array_equal(layer(x)[0].numpy(), plain)


def run(**values):
    with mg.override(**values):
        made()(inputs())


WRONG = {
    "no value named 'forgot' was met in the block; there was l0.forget, l0.candidate": (
        ValueError,
        lambda: run(forgot=1.0),
    ),
    r"'l0.forget' is \(5, 2, 4\), and its replacement has shape \(3,\)": (
        ValueError,
        lambda: run(forget=np.ones(3)),
    ),
    "'forget' is replaced by a number, an array or a function of the value; got str 'open'": (
        TypeError,
        lambda: run(forget="open"),
    ),
    r"the function for 'l0.forget' is given \(2, 4\) and returned \(2,\); it must keep the": (
        ValueError,
        lambda: run(forget=lambda f: f.sum(axis=1)),
    ),
    r"say what, as in mg.override\(forget=1.0\)": (ValueError, lambda: mg.override()),
    r"values are given by name, as in mg.override\(forget=1.0\)": (
        TypeError,
        lambda: mg.override(1.0),
    ),
    "record: gradients is True or False; got 'yes'": (
        TypeError,
        lambda: mg.record(gradients="yes"),
    ),
    "probe: a name is a string; got int 3": (TypeError, lambda: _probe_in_record(3)),
}


def _probe_in_record(name):
    with mg.record():
        mg.probe(name, mg.ones(2))


@pytest.mark.parametrize("text", WRONG)
def test_wrong_uses(text):
    kind, use = WRONG[text]
    with pytest.raises(kind, match=text):
        use()


def test_gradients_that_are_not_there():
    layer = made()
    with mg.record() as trace:
        layer(inputs())
    with pytest.raises(ValueError, match=r"gradients are kept by `with mg.record\(gradients=True"):
        trace.gradient["forget"]
    with mg.record(gradients=True) as trace:
        layer(inputs())
    with pytest.raises(ValueError, match=r"backward\(\) has not reached 'l0.forget'"):
        trace.gradient["forget"]
    with mg.no_grad(), mg.record(gradients=True) as trace:
        layer(inputs())
    with pytest.raises(KeyError, match="nothing named 'forget' was recorded; there is nothing"):
        trace.gradient["forget"]


def test_an_error_in_the_block_is_the_one_that_is_raised():
    with pytest.raises(ZeroDivisionError), mg.override(never=1.0):
        raise ZeroDivisionError
    with pytest.raises(ValueError, match="x must be"), mg.override(forget=1.0):
        made()(mg.ones((T, N, I + 1)))
