"""Recurrent layers and cells: each layer, direction and sequence against runs of it alone."""

import copy
import os

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scans import fusing

import minigrad as mg
from minigrad.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent, RecurrentCell, RNNCell
from minigrad.nn.cells import rnn_relu_cell

DEEP = os.environ.get("MINIGRAD_PROFILE") == "deep"
fewer = settings(max_examples=max(6, settings.default.max_examples // 4))  # these take long

LAYERS = {
    "tanh": (RNN, {}),
    "relu": (RNN, {"nonlinearity": "relu"}),
    "lstm": (LSTM, {}),
    "gru": (GRU, {}),
}


def mgu_cell(p, x, h):
    """The minimal gated unit (Zhou et al. 2016): a cell of one's own."""
    x_f, x_n = mg.split(mg.linear(x, p.w_ih, p.b_ih), 2, axis=-1)
    u_f, u_n = mg.split(p.w_hh, 2)
    f = mg.sigmoid(x_f + h @ u_f.T)
    h = (1 - f) * h + f * mg.tanh(x_n + (f * h) @ u_n.T)
    return h, h


class MGU(Recurrent):
    """A layer of one's own, declared by the number of its gates."""

    cell = mgu_cell
    gates = 2


LAYERS["own"] = (MGU, {})


def parts_of(state):
    return list(state) if isinstance(state, tuple) else [state]


def packed(parts):
    return tuple(parts) if len(parts) > 1 else parts[0]


@st.composite
def stacks(draw, max_T=5, max_size=3):
    """A layer in float64, an input (T, N, I) and the parts of an initial state."""
    kind, options = LAYERS[draw(st.sampled_from(sorted(LAYERS)))]
    T, L = draw(st.integers(0, max_T)), draw(st.integers(1, 2))
    N, I, H = (draw(st.integers(1, max_size)) for _ in "NIH")
    both, bias = draw(st.booleans()), draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    layer = kind(I, H, L, bias=bias, bidirectional=both, **options).double()
    layer.load_state_dict({n: rng.normal(size=a.shape) for n, a in layer.state_dict().items()})
    runs = L * (1 + both)
    state = [rng.normal(size=(runs, N, H)) for _ in layer.states]
    return layer, rng.normal(size=(T, N, I)), state


def ask(layer, x, state=None, lengths=None):
    """y and the parts of the final state, as arrays, for arrays."""
    given_state = None if state is None else packed([mg.tensor(part) for part in state])
    y, final = layer(mg.tensor(x), given_state, lengths=lengths)
    return y.numpy(), [part.numpy() for part in parts_of(final)]


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


# --- what a layer computes -------------------------------------------------------------------


@given(stacks())
def test_a_stack_is_its_cells_one_after_the_other(case):
    """Against loops over the single cells, layer by layer and direction by direction."""
    layer, x, state = case
    y, final = ask(layer, x, state)
    T, N, _ = x.shape
    weights = layer.state_dict()
    run = 0
    for level in range(layer.num_layers):
        outputs = []
        for direction in ("", "_reverse")[: 1 + layer.bidirectional]:
            suffix = f"_l{level}{direction}"
            cell = single(layer, x.shape[-1])
            cell.load_state_dict(
                {n.removesuffix(suffix): a for n, a in weights.items() if n.endswith(suffix)}
            )
            h = packed([mg.tensor(part[run]) for part in state])
            out = np.zeros((T, N, layer.hidden_size))
            for t in reversed(range(T)) if direction else range(T):
                h = cell(mg.tensor(x[t]), h)
                out[t] = parts_of(h)[0].numpy()
            outputs.append(out)
            for part, expected in zip(final, parts_of(h), strict=True):
                close(part[run], expected.numpy())
            run += 1
        x = np.concatenate(outputs, axis=-1)
    close(y, x)


def single(layer, input_size):
    """The cell of a layer as a module."""

    class Single(RecurrentCell):
        cell = layer.cell
        states = layer.states
        gates = layer.gates

    return Single(input_size, layer.hidden_size, layer.bias).double()


@given(stacks(), st.data())
def test_a_padded_batch_is_each_sequence_alone(case, data):
    """All layers and directions; the padding holds NaN; a sequence alone is unbatched."""
    layer, x, state = case
    T, N, _ = x.shape
    lengths = data.draw(st.lists(st.integers(0, T), min_size=N, max_size=N))
    padding = np.arange(T)[:, None] >= np.array(lengths)
    y, final = ask(layer, np.where(padding[:, :, None], np.nan, x), state, lengths)
    assert not y[padding].any()
    for n, length in enumerate(lengths):
        y_n, final_n = ask(layer, x[:length, n], [part[:, n] for part in state])
        close(y[:length, n], y_n)
        for part, expected in zip(final, final_n, strict=True):
            close(part[:, n], expected)


@given(stacks())
def test_batch_first_swaps_x_and_y_and_nothing_else(case):
    layer, x, state = case
    lengths = [x.shape[0] // 2] * x.shape[1]
    y, final = ask(layer, x, state, lengths)
    layer.batch_first = True
    y_swapped, final_again = ask(layer, x.swapaxes(0, 1), state, lengths)
    np.testing.assert_array_equal(y_swapped.swapaxes(0, 1), y)
    np.testing.assert_array_equal(final_again, final)
    # a single sequence has no batch that could come first
    np.testing.assert_array_equal(ask(layer, x[:, 0])[0].shape, (x.shape[0], y.shape[2]))


@given(stacks())
def test_no_state_is_a_state_of_zeros(case):
    layer, x, state = case
    with_zeros = ask(layer, x, [np.zeros_like(part) for part in state])
    without = ask(layer, x)
    np.testing.assert_array_equal(without[0], with_zeros[0])
    np.testing.assert_array_equal(without[1], with_zeros[1])


@pytest.mark.parametrize("where", ["numpy", pytest.param("numba", marks=pytest.mark.numba)])
@fewer
@given(case=stacks(max_T=3, max_size=2), data=st.data())
def test_gradients_of_both_orders(where, case, data):
    """By all parameters, the input and the initial state, with all options of a layer.

    By finite differences on NumPy; in the fast profile Numba is compared with it.
    """
    layer, x, state = case
    T, N, _ = x.shape
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=N, max_size=N))
    state = packed(state) if data.draw(st.booleans()) else None
    layer.batch_first = data.draw(st.booleans())
    if layer.num_layers > 1:
        layer.dropout = data.draw(st.sampled_from([0.0, 0.4]))
    if layer.batch_first:
        x = x.swapaxes(0, 1)
    with fusing("require" if where == "numba" and T else "1"):  # no steps need no kernel
        if where == "numba" and not DEEP:
            assert_as_on_numpy(where, layer, x, state, lengths)
            return
        report = mg.gradcheck(layer, (x, state, lengths), order=2, backend=where, budget=400)
    if state is None and not (T and (lengths is None or any(lengths))):
        assert "zero everywhere" in str(report)  # a constant
        return
    assume(report or layer.cell is not rnn_relu_cell)  # kinks, dead units: it may be undecided
    assert report, report


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_each_kind(name, backend):
    """One case of every kind, quick enough for a device: both directions, two lengths.

    By finite differences on NumPy; in the fast profile the other backends are compared with it.
    """
    kind, options = LAYERS[name]
    rng = np.random.default_rng(1)
    layer = kind(2, 2, bidirectional=True, **options).double()
    layer.load_state_dict({n: rng.normal(size=a.shape) for n, a in layer.state_dict().items()})
    x = rng.normal(size=(3, 2, 2))
    state = packed([rng.normal(size=(2, 2, 2)) for _ in layer.states])
    compiles = getattr(mg.get_backend(backend), "compile_loop", None) is not None
    with fusing("require" if compiles else "1"):
        if backend != "numpy" and not DEEP:
            assert_as_on_numpy(backend, layer, x, state, [3, 1])
            return
        report = mg.gradcheck(layer, (x, state, [3, 1]), order=2, backend=backend, budget=300)
    assert report, report


def assert_as_on_numpy(backend, *given_):
    """Gradients of both orders on a backend are NumPy's, by the ops alone."""
    found = both_orders(backend, *given_)
    with fusing("0"):
        right = both_orders("numpy", *given_)
    assert len(found) == len(right)
    for a, b in zip(found, right, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            close(a, b)


def both_orders(backend, layer, x, state, lengths):
    """Outputs, gradients with random cotangents, and those of their sum with random weights."""
    rng = np.random.default_rng(2)
    layer = copy.deepcopy(layer).to(backend)
    with mg.use_backend(backend):
        mg.manual_seed(0)  # of dropout
        parts = [] if state is None else parts_of(state)
        leaves = [mg.tensor(array, requires_grad=True) for array in (x, *parts)]
        y, last = layer(leaves[0], packed(leaves[1:]) if parts else None, lengths=lengths)
        leaves, outs = [*leaves, *layer.parameters()], [y, *parts_of(last)]
        outs = [out for out in outs if out.requires_grad]
        gs = [rng.normal(size=out.shape) for out in outs]
        plain = mg.grad(outs, leaves, gs, retain_graph=True, allow_unused=True)  # by a kernel
        first = mg.grad(outs, leaves, gs, create_graph=True, allow_unused=True)
        smooth = [g for g in first if g is not None and g.requires_grad]
        weights = [rng.normal(size=g.shape) for g in smooth]
        second = mg.grad(smooth, leaves, weights, allow_unused=True) if smooth else ()
        found = *outs, *plain, *first, *second
        return [None if g is None else g.numpy() for g in found]


# --- dropout ---------------------------------------------------------------------------------


def test_dropout_acts_between_layers_and_only_in_training():
    x = mg.randn((6, 4, 3))
    plain, dropping = LSTM(3, 5, 2), LSTM(3, 5, 2, dropout=1.0)
    dropping.load_state_dict(plain.state_dict())
    y, (h, _) = dropping(x)
    expected, (h_plain, _) = plain(x)
    # the first layer's own states are whole, and the second layer sees nothing of them
    np.testing.assert_array_equal(h.numpy()[0], h_plain.numpy()[0])
    second = LSTM(5, 5)
    second.load_state_dict(
        {n[:-1] + "0": a for n, a in plain.state_dict().items() if n.endswith("1")}
    )
    np.testing.assert_array_equal(y.numpy(), second(mg.zeros((6, 4, 5)))[0].numpy())
    np.testing.assert_array_equal(dropping.eval()(x)[0].numpy(), expected.numpy())


def test_dropout_is_random_and_follows_the_seed():
    layer = GRU(3, 5, 2, dropout=0.5)
    x = mg.ones((6, 4, 3))
    mg.manual_seed(1)
    first, second = layer(x)[0].numpy(), layer(x)[0].numpy()
    mg.manual_seed(1)
    assert (first != second).any()
    np.testing.assert_array_equal(layer(x)[0].numpy(), first)


# --- parameters ------------------------------------------------------------------------------


def test_parameters_are_named_and_shaped_as_in_pytorch():
    expected = {}
    for layer, I in ((0, 3), (1, 10)):
        for direction in ("", "_reverse"):
            expected |= {
                f"weight_ih_l{layer}{direction}": (20, I),
                f"weight_hh_l{layer}{direction}": (20, 5),
                f"bias_ih_l{layer}{direction}": (20,),
                f"bias_hh_l{layer}{direction}": (20,),
            }
    shapes = {n: p.shape for n, p in LSTM(3, 5, 2, bidirectional=True).named_parameters()}
    assert shapes == expected and list(shapes) == list(expected)
    shapes = {n: p.shape for n, p in GRUCell(3, 5).named_parameters()}
    assert shapes == {
        "weight_ih": (15, 3),
        "weight_hh": (15, 5),
        "bias_ih": (15,),
        "bias_hh": (15,),
    }
    assert [n for n, _ in RNN(3, 5, bias=False).named_parameters()] == [
        "weight_ih_l0",
        "weight_hh_l0",
    ]


def test_initial_values_are_uniform_and_follow_the_seed():
    mg.manual_seed(0)
    first = GRU(30, 25)
    values = np.concatenate([p.numpy().ravel() for p in first.parameters()])
    assert values.dtype == np.float32
    assert abs(values).max() <= 0.2 < abs(values).max() * 1.01  # ±1/√25
    assert abs(values.mean()) < 0.005 and values.std() == pytest.approx(0.2 / 3**0.5, rel=0.02)
    mg.manual_seed(0)
    again = GRU(30, 25)
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, again.state_dict()[name])
    again.reset_parameters()
    assert (first.weight_ih_l0.numpy() != again.weight_ih_l0.numpy()).all()


@pytest.mark.parametrize("make", [lambda **o: LSTM(3, 4, 2, **o), lambda **o: LSTMCell(3, 4, **o)])
def test_forget_bias_is_added_once_to_the_forget_gate_alone(make):
    mg.manual_seed(0)
    plain = make().state_dict()
    mg.manual_seed(0)
    for name, array in make(forget_bias=2.0).state_dict().items():
        difference = array - plain[name]
        expected = np.zeros_like(difference)
        if name.startswith("bias_ih"):
            expected[4:8] = 2  # i, f, g, o with 4 rows each
        np.testing.assert_allclose(difference, expected, atol=1e-6)


def test_an_own_layer_may_have_other_parameters_and_initial_values():
    def scaled_cell(p, x, h):
        h = mg.tanh(p.gain * mg.linear(x, p.w_ih, p.b_ih) + h)
        return h, h

    class Scaled(Recurrent):
        cell = scaled_cell

        def shapes(self, I, H):
            return {"w_ih": (H, I), "b_ih": (H,), "gain": (H,)}

        def initial(self, name, shape):
            return np.ones(shape) if name == "gain" else super().initial(name, shape)

    layer = Scaled(2, 3, bias=False, bidirectional=True)
    assert [n for n, _ in layer.named_parameters()] == [
        *("weight_ih_l0", "gain_l0", "weight_ih_l0_reverse", "gain_l0_reverse")
    ]
    assert layer.gain_l0.tolist() == [1, 1, 1]
    y, h = layer(mg.ones((4, 2, 2)), lengths=[4, 1])
    assert y.shape == (4, 2, 6) and h.shape == (2, 2, 3)


# --- cells -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "layer"), [(RNNCell, RNN), (LSTMCell, LSTM), (GRUCell, GRU)], ids=lambda c: c.__name__
)
def test_a_cell_is_one_step_of_its_layer(cell, layer):
    cell, layer = cell(3, 4), layer(3, 4)
    layer.load_state_dict({f"{n}_l0": a for n, a in cell.state_dict().items()})
    x = mg.randn((2, 3))
    state = cell(x, cell(x))
    _, expected = layer(mg.stack([x, x]))
    alone = cell(x[0], cell(x[0]))
    for a, b, c in zip(parts_of(state), parts_of(expected), parts_of(alone), strict=True):
        assert a.shape == (2, 4) and c.shape == (4,)
        np.testing.assert_allclose(a.numpy(), b.numpy()[0], rtol=1e-6)
        np.testing.assert_allclose(a.numpy()[0], c.numpy(), rtol=1e-5, atol=1e-7)


def test_repr_shows_sizes_and_what_is_special():
    assert repr(LSTM(3, 4)) == "LSTM(3, 4)"
    layer = GRU(3, 4, 2, bias=False, batch_first=True, dropout=0.5, bidirectional=True)
    assert repr(layer) == (
        "GRU(3, 4, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True)"
    )
    assert repr(RNNCell(3, 4, bias=False)) == "RNNCell(3, 4, bias=False)"


# --- wrong use -------------------------------------------------------------------------------

X = mg.zeros((5, 2, 3))
WRONG = {
    "nonlinearity": (
        lambda: RNN(3, 4, nonlinearity="gelu"),
        ValueError,
        "RNN: nonlinearity is 'tanh' or 'relu'; got 'gelu'",
    ),
    "nonlinearity by position": (
        lambda: RNN(3, 4, 2, "relu"),
        TypeError,
        "RNN: bias is True or False; got 'relu'",
    ),
    "forget bias without bias": (
        lambda: LSTM(3, 4, bias=False, forget_bias=1.0),
        ValueError,
        "LSTM: forget_bias=1.0 needs a bias; got bias=False",
    ),
    "dropout with one layer": (
        lambda: LSTM(3, 4, dropout=0.5),
        ValueError,
        "LSTM: dropout acts between layers, and there is one only. Take num_layers=2",
    ),
    "dropout is no probability": (
        lambda: LSTM(3, 4, 2, dropout=2),
        ValueError,
        "LSTM: dropout is a probability, from 0 to 1; got 2",
    ),
    "sizes": (lambda: GRU(3, 0), ValueError, "GRU: hidden_size is a positive integer; got 0"),
    "layers": (lambda: GRU(3, 4, 1.5), ValueError, "GRU: num_layers is a positive integer"),
    "no cell": (lambda: Recurrent(3, 4), TypeError, "Recurrent declares no cell: set cell ="),
    "shapes are no dict": (
        lambda: type("Odd", (GRU,), {"shapes": lambda self, I, H: "w"})(3, 4),
        TypeError,
        "Odd.shapes must return a dict of shapes by the names that the cell reads, as .*; got str",
    ),
    "a shape is no tuple": (
        lambda: type("Odd", (GRU,), {"shapes": lambda self, I, H: {"w": H}})(3, 4),
        TypeError,
        r"Odd.shapes: the shape of 'w' must be a tuple of sizes, as \(H, I\); got 4",
    ),
    "x is an array": (
        lambda: GRU(3, 4)(np.zeros((5, 2, 3))),
        TypeError,
        r"GRU: x must be a tensor \(T, I\) or \(T, N, I\) with I = 3; got ndarray",
    ),
    "features": (
        lambda: GRU(4, 4, batch_first=True)(X),
        ValueError,
        r"GRU: x must be \(T, I\) or \(N, T, I\) with I = 4; got shape \(5, 2, 3\)",
    ),
    "axes": (lambda: GRU(3, 4)(X[0, 0]), ValueError, r"GRU: x must be .*; got shape \(3,\)"),
    "dtype": (
        lambda: GRU(3, 4)(X.astype("float64")),
        TypeError,
        r"GRU: x is float64 and the parameters are float32; .*x.astype\('float32'\)",
    ),
    "lengths of a single sequence": (
        lambda: GRU(3, 4)(X[:, 0], lengths=[3]),
        ValueError,
        r"GRU: lengths belong to a batch, x \(T, N, I\)",
    ),
    "lengths": (
        lambda: GRU(3, 4)(X, lengths=[3, 6]),
        ValueError,
        "lengths must be from 0 to 5, the number of steps in xs; sequence 1 has 6",
    ),
    "a state of another shape": (
        lambda: GRU(3, 4)(X, mg.zeros((2, 4))),
        ValueError,
        r"GRU: the initial state must be a tensor h of shape \(1, 2, 4\) and dtype "
        r"float32; got float32 \(2, 4\)",
    ),
    "a state of another dtype": (
        lambda: GRU(3, 4)(X, mg.zeros((1, 2, 4), dtype="float64")),
        ValueError,
        r"GRU: the initial state must be .* and dtype float32; got float64 \(1, 2, 4\)",
    ),
    "an LSTM's state without c": (
        lambda: LSTM(3, 4, 2)(X, mg.zeros((2, 2, 4))),
        ValueError,
        r"LSTM: the initial state must be a tuple \(h, c\) of tensors of shape \(2, 2, 4\) "
        r"and dtype float32; got float32 \(2, 2, 4\)",
    ),
    "an LSTM's state for a GRU": (
        lambda: GRU(3, 4)(X, (mg.zeros((1, 2, 4)),) * 2),
        ValueError,
        r"GRU: the initial state must be a tensor h .*; got a tuple of \[float32 \(1, 2, 4\), ",
    ),
    "weights of another layer": (
        lambda: LSTM(3, 4).load_state_dict(GRU(3, 4).state_dict()),
        ValueError,
        r"wrong shape: weight_ih_l0 is \(16, 3\), and in the state \(12, 3\)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use(name):
    use, error, text = WRONG[name]
    with pytest.raises(error, match=text):
        use()


@pytest.mark.parametrize(
    ("base", "names", "full"),
    [
        (RecurrentCell, ["bias"], "bias"),
        (RecurrentCell, ["hidden_size"], "hidden_size"),
        (RecurrentCell, ["train"], "train"),
        (RecurrentCell, ["w_a", "weight_a"], "weight_a"),
        (Recurrent, ["b_a", "bias_a"], "bias_a_l0"),
    ],
)
def test_two_attributes_of_one_name_are_refused(base, names, full):
    class Odd(base):
        def cell(p, x, h):
            return h, h

        def shapes(self, I, H):
            return dict.fromkeys(names, (H,))

    with pytest.raises(ValueError, match=rf"Odd: the parameter {names[-1]} would .* {full}, which"):
        Odd(2, 3)
