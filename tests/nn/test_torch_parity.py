"""Layers and cells against PyTorch's: same weights, same outputs, same gradients, in float64."""

import itertools
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scans import fusing

import minigrad as mg
from minigrad import nn
from minigrad.utils.install import install_line

torch = pytest.importorskip(
    "torch", reason=f"PyTorch is not installed here; {install_line('oracle')}"
)

T, N, I, H = 6, 4, 3, 5
LENGTHS = [4, 6, 1, 3]
KINDS = {
    "tanh": ("RNN", {"nonlinearity": "tanh"}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
}


def pair(kind, *sizes, cell=False, **options):
    """PyTorch's module and ours, with PyTorch's weights."""
    name, extra = KINDS[kind]
    name += "Cell" if cell else ""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*sizes, **options, **extra, dtype=torch.float64)
    ours = getattr(nn, name)(*sizes, **options, **extra).double()
    ours.load_state_dict({n: a.numpy() for n, a in theirs.state_dict().items()})
    return theirs, ours


def listed(state):
    return list(state) if isinstance(state, tuple) else [state]


def packed(parts):
    return tuple(parts) if len(parts) > 1 else parts[0]


def same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-10)


def compare(theirs, ours, run_theirs, run_ours, arrays, order=1):
    """Outputs, and gradients by all arrays and parameters for random cotangents."""
    xs = [torch.tensor(a, requires_grad=True) for a in arrays]
    ys = run_theirs(*xs)
    us = [mg.tensor(a, requires_grad=True) for a in arrays]
    vs = run_ours(*us)
    same(vs, ys)
    rng = np.random.default_rng(1)
    theirs_wanted, ours_wanted = [*xs, *theirs.parameters()], [*us, *ours.parameters()]
    for last in range(1, order + 1):
        cotangents = [rng.normal(size=y.shape) for y in ys]
        graph = last < order
        ys = torch.autograd.grad(
            ys, theirs_wanted, [torch.tensor(g) for g in cotangents], create_graph=graph
        )
        # Some of the first gradients may be constants: that of a weight by a state of zeros.
        pairs = [(v, g) for v, g in zip(vs, cotangents, strict=True) if v.requires_grad]
        vs, cotangents = zip(*pairs, strict=True)
        vs = mg.grad(vs, ours_wanted, cotangents, create_graph=graph, allow_unused=last > 1)
        vs = [mg.zeros_like(u) if v is None else v for u, v in zip(ours_wanted, vs, strict=True)]
        same(vs, ys)


def layer_calls(theirs, ours, given_state, lengths, batch_first, T=T):
    """One call of each layer: from x and the parts of the state to y and the final parts."""

    def run_theirs(x, *state):
        if lengths is None:
            y, final = theirs(x, packed(state)) if given_state else theirs(x)
        else:
            x = torch.nn.utils.rnn.pack_padded_sequence(
                x, torch.tensor(lengths), batch_first, enforce_sorted=False
            )
            y, final = theirs(x, packed(state)) if given_state else theirs(x)
            y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first, total_length=T)
        return y, *listed(final)

    def run_ours(x, *state):
        y, final = ours(x, packed(state) if given_state else None, lengths=lengths)
        return y, *listed(final)

    return run_theirs, run_ours


def check_layer(
    kind,
    num_layers,
    bidirectional,
    bias,
    batch_first,
    lengths,
    given_state,
    order=1,
    sizes=(T, N, I, H),
):
    T, N, I, H = sizes
    theirs, ours = pair(
        *(kind, I, H, num_layers),
        bidirectional=bidirectional,
        bias=bias,
        batch_first=batch_first,
    )
    rng = np.random.default_rng(0)
    runs = num_layers * (1 + bidirectional)
    arrays = [rng.normal(size=(N, T, I) if batch_first else (T, N, I))]
    if given_state:
        arrays += [rng.normal(size=(runs, N, H)) for _ in ours.states]
    calls = layer_calls(theirs, ours, given_state, lengths, batch_first, T)
    compare(theirs, ours, *calls, arrays, order)


OPTIONS = list(itertools.product((1, 3), *[(False, True)] * 5))
if os.environ.get("MINIGRAD_PROFILE") != "deep":
    # A quarter of them, in which any three options are in all eight combinations.
    OPTIONS = [
        (n, a, b, c, d, e)
        for n, a, b, c, d, e in OPTIONS
        if (n == 3) ^ a ^ b ^ c == b ^ c ^ d ^ e == 0
    ]


def test_any_three_options_are_in_all_combinations():
    for columns in itertools.combinations(range(6), 3):
        assert len({tuple(each[i] for i in columns) for each in OPTIONS}) == 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("num_layers", "bidirectional", "bias", "batch_first", "padded", "given_state"),
    OPTIONS,
    ids=[
        "-".join([str(n), *(name for name, on in zip(names, flags, strict=True) if on)])
        for names in [("both", "bias", "batch_first", "padded", "state")]
        for n, *flags in OPTIONS
    ],
)
def test_layer(kind, num_layers, bidirectional, bias, batch_first, padded, given_state):
    lengths = LENGTHS if padded else None
    check_layer(kind, num_layers, bidirectional, bias, batch_first, lengths, given_state)


@pytest.mark.parametrize("where", ["numpy", "numba"])
@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_any_layer(kind, where, data):
    """All options, from one step of one sequence of one number on; PyTorch knows no empty ones."""
    sizes = [data.draw(st.integers(1, 4), name) for name in "TNIH"]
    T, N = sizes[:2]
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=N, max_size=N), "lengths")
    flags = data.draw(st.tuples(*[st.booleans()] * 4), "both, bias, batch first, state")
    layers, order = data.draw(st.integers(1, 3), "layers"), data.draw(st.integers(1, 2), "order")
    *options, state = flags
    with mg.use_backend(where), fusing("require" if where == "numba" else "1"):
        check_layer(kind, layers, *options, lengths, state, order, sizes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padded", [False, True])
def test_second_order(kind, padded):
    check_layer(kind, 2, True, True, False, LENGTHS if padded else None, True, order=2)


@pytest.mark.parametrize("kind", KINDS)
def test_single_sequence(kind):
    theirs, ours = pair(kind, I, H, 2, bidirectional=True)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(T, I)), *(rng.normal(size=(4, H)) for _ in ours.states)]
    calls = layer_calls(theirs, ours, True, None, False)
    compare(theirs, ours, *calls, arrays)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [(), (N,)], ids=["single", "batch"])
@pytest.mark.parametrize("bias", [False, True])
def test_cell(kind, batch, bias):
    theirs, ours = pair(kind, I, H, cell=True, bias=bias)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(*batch, I)), *(rng.normal(size=(*batch, H)) for _ in ours.states)]

    def calls(module):
        return lambda x, *state: listed(module(x, packed(state)))

    compare(theirs, ours, calls(theirs), calls(ours), arrays)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_go_back_to_pytorch(kind):
    theirs, ours = pair(kind, I, H, 2, bidirectional=True)
    ours.reset_parameters()
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.tensor(array) for name, array in state.items()})
    x = np.random.default_rng(0).normal(size=(T, N, I))
    same([ours(mg.tensor(x))[0]], [theirs(torch.tensor(x))[0]])


@pytest.mark.parametrize("kind", KINDS)
def test_initial_values_have_the_same_range(kind):
    theirs, ours = pair(kind, 40, 25)
    mg.manual_seed(0)
    ours.reset_parameters()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        bounds = [abs(values.detach().numpy()).max() for values in (a, b)]
        assert all(0.17 < bound <= 0.2 for bound in bounds), bounds  # ±1/√25
