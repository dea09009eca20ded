# %% [markdown]
# # A cell of your making
#
# From an idea to a layer that is checked and compared takes some twenty lines. The idea here:
# does an LSTM need its output gate? Leave it out, and see.

# %%
import time

import numpy as np

import minigrad as mg
from minigrad.models.guide import claim, quick
from minigrad.nn import Recurrent

mg.manual_seed(15)

# %% [markdown]
# ## The idea


# %% tags=["open"]
def two_gates(p, x, state):
    h, c = state
    sums = mg.linear(x, p.w_ih, p.b_ih) + mg.linear(h, p.w_hh)
    i, f, g = mg.split(sums, 3, axis=-1)
    f = mg.probe("forget", mg.sigmoid(f))
    i = mg.probe("input", mg.sigmoid(i))
    c = mg.probe("cell", f * c + i * mg.tanh(g))
    h = mg.probe("hidden", mg.tanh(c))
    return h, (h, c)


class TwoGates(Recurrent):
    """An LSTM without an output gate."""

    cell = two_gates
    states = ("h", "c")

    def shapes(self, I, H):
        return {"w_ih": (3 * H, I), "b_ih": (3 * H,), "w_hh": (3 * H, H)}


layer = TwoGates(3, 4, num_layers=2, bidirectional=True)
y, state = layer(mg.randn((7, 2, 3)), lengths=[7, 5])
print("outputs", y.shape, "states", [part.shape for part in state])

# %% [markdown]
# ## The check

# %%
report = mg.gradcheck(TwoGates(2, 3), mg.randn((3, 2, 2)), order=1 if quick() else 2)
print(report)
claim(
    "The author of a cell writes no gradient: it follows from the cell, and it is right.",
    report.verdict == "PASS",
    {"verdict": report.verdict},
)

# %% [markdown]
# ## A look inside, without another line

# %%
with mg.record() as trace:
    TwoGates(3, 4)(mg.randn((7, 2, 3)))
print(*sorted(trace), sep="\n")

# %% [markdown]
# ## A kernel, without another line
#
# On the backend Numba, a cell that treats every text of a batch alike is compiled as the built-in
# ones are. minigrad counts what ran in which way, and why.

# %%
found = None
try:
    mg.get_backend("numba")
except mg.BackendError as error:
    print(f"There is no kernel here: {error}")
else:
    T, N, I, H = (20, 16, 32, 32) if quick() else (50, 32, 64, 128)
    x, seconds, ran = mg.randn((T, N, I), backend="numba"), {}, {}
    for kind in (mg.nn.LSTM, TwoGates):
        layer = kind(I, H).to("numba")
        mg.reset_dispatch_counts()
        times = []
        for _ in range(6):  # the first one compiles
            start = time.perf_counter()
            y, _ = layer(x)
            y.sum().backward()
            times.append(time.perf_counter() - start)
        seconds[kind.__name__] = min(times)
        ran[kind.__name__] = [way for _, _, way, _ in mg.dispatch_counts()]
    found = claim(
        "A new cell runs as a kernel, like the built-in ones.",
        ran["TwoGates"] == ran["LSTM"] == ["fused"],
        {
            "how the cell ran": ran["TwoGates"],
            "time of its training step by the LSTM's": seconds["TwoGates"] / seconds["LSTM"],
        },
    )
found

# %% [markdown]
# ## The comparison
#
# Both learn to tell the sign of the first of twenty numbers after reading all of them. The forget
# gates begin open, for both.

# %%
T, N, H = 20, 64, 16
steps = 60 if quick() else 250


def open_gates(layer, gate):
    """Start the forget gate, the one of this number, with a bias of 3."""
    bias = getattr(layer, "bias_ih_l0", None)
    with mg.no_grad():
        (layer.b_ih_l0 if bias is None else bias)[gate * H : (gate + 1) * H] += 3.0


def learn(make, seed):
    mg.manual_seed(seed)
    layer, head = make(1, H), mg.nn.Linear(H, 1)
    open_gates(layer, 1)
    optimizer = mg.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.01)
    for _ in range(steps):
        x = mg.randn((T, N, 1))
        wanted = (x[0] > 0).astype(np.float32)
        y, _ = layer(x)
        scores = head(y[-1])
        cost = mg.binary_cross_entropy_with_logits(scores, wanted)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
    return float(((scores > 0).astype(np.float32) == wanted).mean().item())


seeds = range(1 if quick() else 3)
right = {make.__name__: [learn(make, seed) for seed in seeds] for make in (mg.nn.LSTM, TwoGates)}
means = {name: float(np.mean(found)) for name, found in right.items()}
weights = {
    make.__name__: sum(p.size for p in make(1, H).parameters()) for make in (mg.nn.LSTM, TwoGates)
}
claim(
    "On this task an LSTM does without its output gate.",
    means["TwoGates"] > means["LSTM"] - 0.05,
    {
        **{f"right answers, {name}": found for name, found in right.items()},
        **{f"weights, {name}": size for name, size in weights.items()},
    },
)
