# %% [markdown]
# # Vanishing gradients: why a network forgets, and what forgetting costs
#
# A weight learns by its gradient. In a recurrent network the gradient comes from the end of a
# text and goes back step by step, and at each step it is multiplied. Here is what is left of it.

# %%
import numpy as np

import minigrad as mg
from minigrad.models.guide import Picture, claim, quick
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
# ## How much gradient arrives, by lag
#
# The loss reads the last output. How large is its gradient with respect to the state so many
# steps before? Untrained layers, each with the initial weights that are usual in libraries, and
# LSTMs whose forget gates begin more open.

# %%
T, N, I, H = 40, 8, 16, 64
x = mg.randn((T, N, I))
layers = {
    "RNN": mg.nn.RNN(I, H),
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
    left["RNN"] < 1e-3,
    {"left after 20 steps": left["RNN"], "is an update by 1e-6 lost in float32": str(unheard)},
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
# ## Does training mend it?
#
# The task: read symbols, and say at the end which one came first. Between them lie some steps of
# noise. Look at the gradient before and after training, for the RNN and the LSTM.

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
