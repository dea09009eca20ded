"""What is the same for every layer, the zoo's as well, and any options: by parts, steps, layers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreted_backend import InterpretedBackend
from scans import fusing

import minigrad as mg
from minigrad.models import zoo
from minigrad.nn import GRU, LSTM, RNN

KINDS = {
    "RNN": (RNN, {}),
    "RNN relu": (RNN, {"nonlinearity": "relu"}),
    "LSTM": (LSTM, {}),
    "LSTM projected": (LSTM, {"proj_size": 1}),
    "GRU": (GRU, {}),
    "GRU before": (GRU, {"reset_after": False}),
    **{name: (getattr(zoo, name), {}) for name in zoo.__all__ if name[0].isupper()},
}


@pytest.fixture(params=["numpy", "strict", "interpreted"])
def quick(request):
    """Op by op, on a device, and by the text of kernels, which need not be compiled."""
    by_kernels = request.param == "interpreted"
    chosen = InterpretedBackend() if by_kernels else request.param
    with mg.use_backend(chosen), fusing("1"):
        yield request.param


class Case:
    """A layer in evaluation with drawn options and weights, inputs (T, N, I), initial states."""

    def __init__(self, data, name=None, both=None, max_T=4):
        name = name or data.draw(st.sampled_from(sorted(KINDS)), "layer")
        self.make, options = KINDS[name]
        self.L, self.T = data.draw(st.integers(1, 2), "layers"), data.draw(st.integers(0, max_T))
        self.N, self.I = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
        self.both = data.draw(st.booleans(), "both") if both is None else both
        self.H = data.draw(st.integers(2, 3))
        options = {**options, "bias": data.draw(st.booleans(), "bias")}
        if name not in ("SRU", "QRNN"):
            options["zoneout"] = data.draw(st.sampled_from([0.0, 0.3]), "zoneout")
        self.options = options
        self.residual = self.L > 1 and data.draw(st.booleans(), "residual")
        self.rng = np.random.default_rng(data.draw(st.integers(0, 999), "seed"))
        self.layer = self.new(self.I, self.L, residual=self.residual, bidirectional=self.both)
        self.x = self.rng.normal(size=(self.T, self.N, self.I))
        runs = self.L * (1 + self.both)
        sizes = self.layer.state_sizes(self.H)
        self.start = [self.rng.normal(size=(runs, self.N, size)) for size in sizes]

    def new(self, I, L, **more):
        layer = self.make(I, self.H, L, **self.options, **more).double().eval()
        drawn = {n: self.rng.normal(size=a.shape) / 2 for n, a in layer.state_dict().items()}
        layer.load_state_dict(drawn)
        return layer

    def run(self, layer, x, start, **which):
        """y and the parts of the state, as arrays."""
        y, last = layer(mg.tensor(x), self.packed(start), **which)
        return y.numpy(), unpacked(last)

    def packed(self, start):
        parts = [mg.tensor(part) for part in start]
        return tuple(parts) if len(parts) > 1 else parts[0]


def unpacked(state):
    return [part.numpy() for part in (state if isinstance(state, tuple) else (state,))]


def same(a, b):
    (y, ends), (right, right_ends) = a, b
    for found, expected in zip([y, *ends], [right, *right_ends], strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@given(data=st.data())
def test_padded_is_one_by_one(data, quick):
    """By lengths or a mask with holes; what doesn't count is NaN."""
    case = Case(data)
    T, N = case.T, case.N
    if data.draw(st.booleans(), "by lengths"):
        lengths = data.draw(st.lists(st.integers(0, T), min_size=N, max_size=N))
        counts, which = np.arange(T)[:, None] < np.array(lengths), {"lengths": lengths}
    else:
        flags = data.draw(st.lists(st.booleans(), min_size=T * N, max_size=T * N))
        counts = np.array(flags, bool).reshape(T, N)
        which = {"mask": counts}
    shown = np.where(counts[..., None], case.x, np.nan)
    y, ends = case.run(case.layer, shown, case.start, **which)
    assert not y[~counts].any()
    for n in range(N):
        alone = case.x[counts[:, n]][:, n]  # (steps, I)
        right = case.run(case.layer, alone, [part[:, n] for part in case.start])
        same((y[counts[:, n], n], [part[:, n] for part in ends]), right)


@given(data=st.data())
def test_a_sequence_is_its_steps(data, quick):
    case = Case(data, both=False)
    whole = case.run(case.layer, case.x, case.start)
    state, ys = case.packed(case.start), []
    for t in range(case.T):
        y, state = case.layer.step(mg.tensor(case.x[t]), state)
        ys.append(y.numpy())
    ys = np.stack(ys) if ys else whole[0]
    same((ys, unpacked(state)), whole)


@given(data=st.data())
def test_both_ways_is_two_runs(data, quick):
    case = Case(data, both=True)
    T, N = case.T, case.N
    lengths = data.draw(st.lists(st.integers(0, T), min_size=N, max_size=N))
    y, ends = case.run(case.layer, case.x, case.start, lengths=lengths)
    below, found = case.x, []
    for level in range(case.L):
        outputs = []
        for way, suffix in enumerate((f"_l{level}", f"_l{level}_reverse")):
            alone = part_of(case, below.shape[-1], suffix)
            start = [part[2 * level + way :][:1] for part in case.start]
            x = flipped(below, lengths) if way else below
            out, end = case.run(alone, x, start, lengths=lengths)
            outputs.append(flipped(out, lengths) if way else out)
            found.append(end)
        out = np.concatenate(outputs, axis=-1)
        below = out + below if level and case.residual else out
    ended = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    same((y, ends), (below, ended))


def part_of(case, I, suffix):
    """A layer of one run alone, with its weights."""
    alone = case.new(I, 1)
    weights = case.layer.state_dict()
    names = {name.removesuffix("_l0") for name in alone.state_dict()}
    alone.load_state_dict({f"{name}_l0": weights[name + suffix] for name in names})
    return alone


def flipped(x, lengths):
    """Each sequence from its last valid step to its first; the padding stays where it is."""
    x = x.copy()
    for n, length in enumerate(lengths):
        x[:length, n] = x[:length, n][::-1]
    return x


@given(data=st.data())
def test_a_stack_is_its_layers(data, quick):
    case = Case(data)
    y, ends = case.run(case.layer, case.x, case.start)
    below, found, weights, D = case.x, [], case.layer.state_dict(), 1 + case.both
    for level in range(case.L):
        alone = case.new(below.shape[-1], 1, bidirectional=case.both)
        mine = {n: a for n, a in weights.items() if f"_l{level}" in n}
        alone.load_state_dict({n.replace(f"_l{level}", "_l0"): a for n, a in mine.items()})
        start = [part[D * level : D * (level + 1)] for part in case.start]
        out, end = case.run(alone, below, start)
        below = out + below if level and case.residual else out
        found.append(end)
    same((y, ends), (below, [np.concatenate(parts) for parts in zip(*found, strict=True)]))


@given(data=st.data(), more=st.integers(0, 2))
def test_parts_of_at_least_all_steps_have_all_gradients(data, more, quick):
    case = Case(data, both=False)
    T, N = max(case.T, 1), case.N
    x, start = mg.tensor(case.rng.normal(size=(T, N, case.I))), case.packed(case.start)
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=N, max_size=N))
    y, _ = case.layer(x, start, lengths=lengths)
    g = mg.tensor(case.rng.normal(size=y.shape))
    wanted = list(case.layer.parameters())

    def gradients(out):
        found = mg.grad([out], wanted, [g], allow_unused=True)
        found = [mg.zeros_like(p) if a is None else a for p, a in zip(wanted, found, strict=True)]
        return [a.numpy() for a in found]

    ((steps, part, _),) = mg.nn.tbptt(case.layer, x, T + more, start, lengths)
    assert steps == slice(0, T)
    for a, b in zip(gradients(part), gradients(y), strict=True):
        np.testing.assert_array_equal(a, b)


@given(data=st.data(), k=st.integers(1, 3))
def test_a_stateful_layer_is_one_long_call(data, k, quick):
    """Parts, one after the other, without a word about states."""
    case = Case(data, both=False, max_T=6)
    layer = case.layer
    whole = case.run(layer, case.x, [np.zeros_like(part) for part in case.start])
    layer.stateful = True
    for _ in range(2):
        layer.reset_state()
        parts = [layer(mg.tensor(case.x[t : t + k])) for t in range(0, case.T, k)]
        if parts:
            same((np.concatenate([y.numpy() for y, _ in parts]), unpacked(parts[-1][1])), whole)


# --- compiled kernels ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MinGRU", "SRU"])
def test_all_of_it_by_compiled_kernels(name, compiling):
    """One case of each with both directions, for what an interpreted kernel may hide."""
    mg.manual_seed(0)
    make, options = KINDS[name]
    layer = make(2, 3, **options, bidirectional=True).double().eval()
    x = np.random.default_rng(0).normal(size=(4, 2, 2))
    lengths = [4, 2]
    with fusing("require"):
        y, last = layer(mg.tensor(x), lengths=lengths)
        for n, length in enumerate(lengths):
            right, end = layer(mg.tensor(x[:length, n]))
            np.testing.assert_allclose(y.numpy()[:length, n], right.numpy(), rtol=0, atol=1e-12)
            np.testing.assert_allclose(last.numpy()[:, n], end.numpy(), rtol=0, atol=1e-12)
