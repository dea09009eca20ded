# %% [markdown]
# # What a cell costs
#
# An RNN has one weighted sum in each step, a GRU three, an LSTM four. Does that hold for the time
# as well?

# %%
import time

import numpy as np
import plotly.graph_objects as go

import minigrad as mg
from minigrad.doctor import report
from minigrad.models.guide import Picture, claim, quick

mg.manual_seed(10)
T, N, I, H = (30, 16, 32, 64) if quick() else (50, 32, 64, 128)
layers = {"RNN": mg.nn.RNN(I, H), "GRU": mg.nn.GRU(I, H), "LSTM": mg.nn.LSTM(I, H)}
x, g = mg.randn((T, N, I)), mg.randn((T, N, H))

# %% [markdown]
# ## Parameters and multiplications

# %%
parameters = {name: sum(p.size for p in layer.parameters()) for name, layer in layers.items()}
products = {
    name: layer.weight_ih_l0.size + layer.weight_hh_l0.size for name, layer in layers.items()
}
for name in layers:
    print(
        f"{name:5} {parameters[name]:8,} parameters, {products[name]:8,} multiplications per word"
    )

# %% [markdown]
# ## Time
#
# A training step is a pass forwards and one back. The three take turns, and the median counts, so
# that a busy moment of the computer hits none of them alone.


# %%
def training_step(layer):
    layer.zero_grad()
    y, _ = layer(x)
    (y * g).sum().backward()


backends = [row["name"] for row in report() if row["available"]]
rounds = 5 if quick() else 25
seconds = {}
for backend in backends:
    with mg.use_backend(backend):
        x, g = x.to(backend), g.to(backend)
        here = {name: layer.to(backend) for name, layer in layers.items()}
        times = {name: [] for name in here}
        for i in range(rounds + 1):
            for name, layer in here.items():
                start = time.perf_counter()
                training_step(layer)
                if i:  # the first round compiles
                    times[name].append(time.perf_counter() - start)
    seconds[backend] = {name: float(np.median(found)) for name, found in times.items()}

figure = go.Figure()
for backend, found in seconds.items():
    figure.add_bar(x=list(found), y=[1000 * value for value in found.values()], name=backend)
figure.update_yaxes(title="milliseconds for a training step")
Picture(
    figure,
    f"A training step with {T} words of {N} texts, {H} units, on each backend that works here.",
)

# %%
ratios = {
    backend: [found[name] / found["RNN"] for name in ("RNN", "GRU", "LSTM")]
    for backend, found in seconds.items()
}
ordered = all(found["RNN"] < found["GRU"] < found["LSTM"] for found in seconds.values())
claim(
    "RNN, GRU, LSTM: in this order they cost more, in parameters as 1 : 3 : 4.",
    ordered and [parameters[name] // parameters["RNN"] for name in layers] == [1, 3, 4],
    {
        **{f"parameters, {name}": value for name, value in parameters.items()},
        **{f"time on {backend}, RNN : GRU : LSTM": found for backend, found in ratios.items()},
    },
)

# %%
claim(
    "A GRU is a little faster than an LSTM.",
    all(found["GRU"] < found["LSTM"] for found in seconds.values()),
    {
        f"time of the GRU by the LSTM's on {backend}": found["GRU"] / found["LSTM"]
        for backend, found in seconds.items()
    },
)
