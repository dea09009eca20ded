# %% [markdown]
# # Vanishing gradients: why a network forgets, and what forgetting costs
#
# A weight learns by its gradient. In a recurrent network the gradient comes from the end of a
# text and goes back step by step, and at each step it is multiplied. Here is what is left of it.

# %%
import numpy as np
import plotly.graph_objects as go

import minigrad as mg
from minigrad.models.guide import Picture, claim, moving, quick
from minigrad.models.plots import plot_flow
from minigrad.models.tasks.first import First, FirstSettings
from minigrad.models.training.loop import fit

mg.manual_seed(4)

# %% [markdown]
# ## The update rule, with numbers
#
# new weight = weight - learning rate × gradient. If the gradient is small, nothing happens: not
# because the weight is right, but because it isn't heard.

# %%
weight, rate = np.float32(2.1), np.float32(0.01)
print(f"{'gradient':>10} {'new weight':>12}")
for gradient in (1.0, 1e-3, 1e-6):
    print(f"{gradient:10.0e} {weight - rate * np.float32(gradient):12.7f}")
unheard = bool(weight - rate * np.float32(1e-6) == weight)

# %% [markdown]
# Each step of a text has its share in a weight's gradient, as the weight is used at each. Here are
# the shares in the gradient of one recurrent weight of an RNN that reads 40 steps, when the loss
# reads the last one; and the weight after an update by that share alone.

# %%
reader = mg.nn.RNN(16, 64)
text = mg.randn((40, 1, 16))
with mg.record(gradients=True) as trace:
    y, _ = reader(text)
    y[-1].sum().backward()
states = trace["hidden"][:, 0]  # (T, H)
before_squashing = trace.gradient["hidden"][:, 0] * (1 - states**2)
earlier = np.concatenate([np.zeros_like(states[:1]), states[:-1]])
shares = before_squashing[:, 0] * earlier[:, 1]  # (T,): of the weight from unit 1 to unit 0
whole = float(reader.weight_hh_l0.grad.numpy()[0, 1])
weight = np.float32(reader.weight_hh_l0.numpy()[0, 1])
print(f"the weight is {weight:.9f}; its gradient is {whole:.3e}, learning rate {rate:.2g}")
print(f"{'step':>4} {'share':>11} {'new weight':>13}")
for t in (39, 38, 36, 32, 24, 16, 8, 1):
    print(f"{t + 1:4} {shares[t]:11.1e} {weight - rate * np.float32(shares[t]):13.9f}")
moves = np.array([weight - rate * np.float32(share) != weight for share in shares])

# %%
claim(
    "Only the last steps of a text move a weight; the early ones leave it as it is.",
    bool(not moves[:8].any() and moves[-3:].any()),
    {
        "steps whose own update is not lost in float32": int(moves.sum()),
        "steps in all": len(moves),
        "share of the last step": float(shares[-1]),
        "share of the tenth": float(shares[9]),
        "sum of all shares by the gradient": float(shares.sum()) / whole,
    },
)

# %% [markdown]
# ## How much gradient arrives, by lag
#
# The loss reads the last output. How large is its gradient with respect to the state so many
# steps before? Untrained layers: with the initial weights that are usual in libraries, with
# orthogonal recurrent matrices, and with gates that begin more open.

# %%
T, N, I, H = 40, 8, 16, 64
x = mg.randn((T, N, I))
layers = {
    "RNN": mg.nn.RNN(I, H),
    "RNN, orthogonal": mg.nn.RNN(I, H, orthogonal=True),
    "GRU": mg.nn.GRU(I, H),
    "LSTM": mg.nn.LSTM(I, H),
    "LSTM, forget bias 1": mg.nn.LSTM(I, H, forget_bias=1.0),
    "LSTM, forget bias 3": mg.nn.LSTM(I, H, forget_bias=3.0),
    "LSTM, memory=40": mg.nn.LSTM(I, H, memory=40),
    "GRU, memory=40": mg.nn.GRU(I, H, memory=40),
}


def flow_of(layer, x):
    state = "cell" if isinstance(layer, mg.nn.LSTM) else "hidden"
    return mg.gradient_flow(layer, x, state)[f"l0.{state}"]  # (T, N)


flows = {name: flow_of(layer, x) for name, layer in layers.items()}
Picture(
    plot_flow(flows),
    "The norm of the gradient by how many steps back, on a logarithmic axis. The lines of RNN, GRU "
    "and LSTM as libraries initialise them fall steeply; those of cells whose gates begin open "
    "don't.",
)

# %%
left = {name: float((flow[20] / flow[0]).mean()) for name, flow in flows.items()}
claim(
    "The gradient of an RNN vanishes over the steps.",
    "its recurrent matrix begins as in most libraries; an orthogonal one keeps far more"
    if left["RNN"] < 1e-3 < left["RNN, orthogonal"]
    else left["RNN"] < 1e-3,
    {
        "left after 20 steps": left["RNN"],
        "left after 20 steps, orthogonal": left["RNN, orthogonal"],
        "is an update by 1e-6 lost in float32": str(unheard),
    },
)

# %%
claim(
    "LSTM and GRU keep the gradient.",
    "their gates begin open; with the usual initial weights it vanishes for them as well",
    {f"left after 20 steps, {name}": value for name, value in left.items()},
)

# %% [markdown]
# ## Which steps still learn
#
# The same numbers as a share of what the last step gets: a step that gets less than a thousandth
# of it learns next to nothing from this loss.

# %%
reached = {
    name: int((flow.mean(axis=1) > 1e-3 * flow[0].mean()).cumprod().sum())
    for name, flow in flows.items()
}
for name, steps in reached.items():
    print(f"{name:20} learns from the last {steps} of {T} steps")

# %% [markdown]
# How open must the forget gates be? Move the bias with which they begin.

# %%
figures, openness = {}, {}
for bias in (-2, -1, 0, 1, 2, 3, 4, 5):
    layer = mg.nn.LSTM(I, H, forget_bias=float(bias))
    with mg.record() as trace, mg.no_grad():
        layer(x)
    flow = flow_of(layer, x).mean(axis=1)
    openness[bias] = float(trace["forget"].mean()), float(flow[20] / flow[0])
    figure = go.Figure(go.Scatter(y=flow / flow[0], mode="lines+markers"))
    figure.update_yaxes(
        type="log", range=[-16, 1], title="share of the gradient", exponentformat="power"
    )
    figure.update_xaxes(title="steps before the one that the loss reads", range=[0, T])
    figures[bias] = figure
    print(f"bias {bias:2}: the gates are {openness[bias][0]:.2f} open on average; ", end="")
    print(f"{openness[bias][1]:.1e} of the gradient is left after 20 steps")
Picture(
    moving(figures, "forget bias", start=2),
    "The gradient of an untrained LSTM by how many steps back, as a share of the last step's. "
    "With each unit of bias the line is less steep; from about 3 on it hardly falls.",
)

# %% [markdown]
# ## Does training mend it?
#
# The task: read symbols, and say at the end which one came first. Between them lie some steps of
# noise. Look at the gradient before and after training, and at how many steps get a thousandth of
# the last one's.

# %%
lag, short = (30, 12) if quick() else (40, 12)
small = {"symbols": 2, "hidden": 16, "lr": 0.02, "epochs": 5, "batches": 60, "batch_size": 16}
sizes = small if quick() else {}
trained, found, before = {}, {}, {}
for cell, steps in (("rnn", lag), ("lstm", lag), ("gru", lag), ("rnn", short)):
    name = f"{cell.upper()} at lag {steps}"
    task = First(FirstSettings(cell=cell, lag=steps, **sizes))
    training = fit(task)
    found[name] = task.evaluate(training.model, "test")["accuracy"]
    symbols = mg.one_hot(mg.tensor(task.parts["test"][0][:, :32]), task.settings.symbols, "float32")
    fresh = flow_of(task.model().recurrent, symbols)
    before[name] = float(fresh[-1].mean() / fresh[0].mean())
    if steps == lag:
        trained[f"{cell.upper()}, untrained"] = fresh
        trained[f"{cell.upper()}, trained"] = flow_of(training.model.recurrent, symbols)
Picture(
    plot_flow(trained),
    f"Gradients by lag on the task at lag {lag}, before and after training.",
)

# %%
for name, flow in trained.items():
    mean = flow.mean(axis=1)
    print(f"{name:16} learns from the last {int((mean > 1e-3 * mean[0]).cumprod().sum())} steps")

# %%
chance = 1 / task.settings.symbols  # an answer without any memory
learned = {name: accuracy > 0.9 for name, accuracy in found.items()}
claim(
    "A cell that gets no gradient from the first step doesn't learn to remember it.",
    all(learned[name] == (before[name] > 1e-5) for name in found),
    {
        **{f"right answers, {name}": value for name, value in found.items()},
        **{f"gradient from the first step before, {name}": value for name, value in before.items()},
        "right by chance": chance,
    },
)
