"""Recurrent layers of all kinds, run fused or composed with any sizes and options."""

import numpy as np
from hypothesis import strategies as st
from scans import fusing

import minigrad as mg
from minigrad.models import GRU, LSTM, RNN, Recurrent, zoo


def relu_rnn(*sizes, **options):
    return RNN(*sizes, nonlinearity="relu", **options)


GATES = "ifgo"


def gate_by_gate(p, x, state):
    """An LSTM of eight matrices and eight biases, as in a textbook."""
    h, c = state
    i = mg.sigmoid(mg.linear(x, p.xi, p.bi) + mg.linear(h, p.hi, p.di))
    f = mg.sigmoid(mg.linear(x, p.xf, p.bf) + mg.linear(h, p.hf, p.df))
    g = mg.tanh(mg.linear(x, p.xg, p.bg) + mg.linear(h, p.hg, p.dg))
    o = mg.sigmoid(mg.linear(x, p.xo, p.bo) + mg.linear(h, p.ho, p.do))
    c = f * c + i * g
    h = o * mg.tanh(c)
    return h, (h, c)


class GateByGate(Recurrent):
    cell = gate_by_gate
    states = ("h", "c")

    def shapes(self, I, H):
        shapes = {"x": (H, I), "h": (H, H), "b": (H,), "d": (H,)}
        return {f"{kind}{gate}": shape for kind, shape in shapes.items() for gate in GATES}


def norm_rnn_cell(p, x, h):
    """The least that has sums over rows in its steps, which kernels take long to compile."""
    h = mg.tanh(mg.layer_norm(x @ p.w.T + h @ p.u.T, p.gain.shape, p.gain, p.shift))
    return h, h


class NormRNN(Recurrent):
    cell = norm_rnn_cell

    def shapes(self, I, H):
        return {"w": (H, I), "u": (H, H), "gain": (H,), "shift": (H,)}


LAYERS = {"RNN": RNN, "RNN relu": relu_rnn, "LSTM": LSTM, "GRU": GRU}
LAYERS |= {"LSTM gate by gate": GateByGate, "NormRNN": NormRNN}
LAYERS |= {name: getattr(zoo, name) for name in zoo.__all__ if name[0].isupper()}


def made(layer, *sizes, dtype="float64", seed=0, **options):
    """A layer with random weights of a dtype; the same on every backend."""
    mg.manual_seed(seed)
    layer = layer(*sizes, **options)
    for parameter in layer.parameters():
        parameter.data = mg.randn(parameter.shape, dtype=parameter.dtype).data / 2
    return layer.astype(dtype) if dtype != "float32" else layer


def definition(*args, **options):
    """The results on NumPy, op by op: those that kernels must have."""
    return results("numpy", *args, by_kernels=False, **options)


def results(
    backend, layer, sizes, dtype, seed, lengths=None, state=False, by_kernels=True, **options
):
    """Outputs, final states and all gradients, by random cotangents."""
    T, N, I, H = sizes
    compiles = getattr(mg.get_backend(backend), "compile_loop", None) is not None
    with mg.use_backend(backend), fusing("require" if compiles and by_kernels else "0"):
        layer = made(layer, I, H, dtype=dtype, seed=seed, **options)
        rng = np.random.default_rng(seed)
        shape = (N, T, I) if options.get("batch_first") else (T, N, I)
        x = mg.tensor(rng.normal(size=shape), requires_grad=True, dtype=dtype)
        start = None
        if state:
            runs = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
            start = tuple(
                mg.tensor(rng.normal(size=(runs, N, S)), requires_grad=True, dtype=dtype)
                for S in layer.state_sizes(H)
            )
        mg.manual_seed(seed)  # for masks
        y, last = layer(x, layer._packed(start) if state else None, lengths)
        outs = [y, *(last if isinstance(last, tuple) else (last,))]
        leaves = [x, *layer.parameters(), *(start or ())]
        gs = [rng.normal(size=out.shape) for out in outs]
        return [t.numpy() for t in (*outs, *mg.grad(outs, leaves, gs))]


@st.composite
def uses(draw, name):
    """Sizes and options of a layer."""
    # The norm over one feature is a kernel of its own, and slow to compile.
    widths = [3, 16, 17] if "Norm" in name else [1, 3, 16, 17]
    # So are those of a single step; test_one_step.py has them for any cell.
    # And those of few rows, on Numba: their products are outside of the loop.
    # RNN goes every way, LSTM and GRU that of few rows; test_products_in_loops.py has their other.
    steps, rows = [2, 5], [12, 13]
    if name == "RNN":
        steps, rows = [1, 2, 5], [1, 3, 7, 13]
    elif name in ("LSTM", "GRU"):
        rows = [1, 3, 7]
    sizes = tuple(draw(st.sampled_from(s)) for s in (steps, rows, [1, 2], widths))
    flags = {name: draw(st.booleans()) for name in ("state", "batch_first", "bidirectional")}
    return sizes, {"seed": draw(st.integers(0, 1000)), **flags}
