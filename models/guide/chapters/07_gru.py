# %% [markdown]
# # The GRU: two gates and one state
#
# The GRU has no cell state. Its hidden state does both jobs, and two gates, update and reset, do
# the work of three.

# %%
import numpy as np

import minigrad as mg
from minigrad.models.guide import Frame, Frames, boxes, claim

mg.manual_seed(7)
T, I, H = 4, 3, 4
layer = mg.nn.GRU(I, H).double()
x = mg.randn((T, 1, I), dtype=np.float64)
with mg.record() as trace:
    y, h = layer(x)

# %% [markdown]
# ## A step

# %%
t = 2
values = {
    "x": x[t, 0],
    "old h": trace["hidden"][t - 1, 0],
    "reset": trace["reset"][t, 0],
    "update": trace["update"][t, 0],
    "candidate": trace["candidate"][t, 0],
    "new h": trace["hidden"][t, 0],
}
steps = [
    ("1 combine", "old h", "Both gates weigh the word and the old state."),
    ("2 reset", "reset", "How much of the old state the candidate may look at."),
    ("3 update", "update", "1: the old state stays as it is. 0: the candidate replaces it."),
    ("4 candidate", "candidate", "A new state, from the word and from what reset lets through."),
    ("5 new state", "new h", "update times old, plus (1 - update) times candidate."),
]
order = list(values)
frames = [
    Frame(
        name, boxes({row: values[row] for row in order[: order.index(new) + 1]}, marked=[new]), text
    )
    for name, new, text in steps
]
Frames("The third step of a GRU with four units", frames)

# %% [markdown]
# ## One gate in place of two
#
# An LSTM forgets with one gate and lets in with another. In a GRU both are the same gate: what it
# keeps of the old, it refuses of the new. Take the recorded gates, and write the step as an
# LSTM's.

# %%
before = np.concatenate([np.zeros((1, 1, H)), trace["hidden"][:-1]])
z, n = trace["update"], trace["candidate"]
as_lstm = z * before + (1 - z) * n  # forget = z, input = 1 - z
difference = float(np.abs(as_lstm - trace["hidden"]).max())
claim(
    "A GRU's update gate is an LSTM's forget gate, with an input gate that is 1 minus it.",
    difference < 1e-14,
    {"largest difference": difference},
)

# %%
largest = max(
    float(np.abs(trace["hidden"]).max()),
    float(np.abs(layer(10 * mg.randn((200, 1, I), dtype=np.float64))[0].numpy()).max()),
)
claim(
    "A GRU needs no tanh at its end: a mean of numbers between -1 and 1 stays there.",
    largest <= 1,
    {"largest state, large inputs and 200 steps included": largest},
)

# %% [markdown]
# ## Two variants
#
# There are two GRUs. In one, reset acts on the old state before the matrix (Cho et al. 2014); in
# the other after it, which is faster and what PyTorch has:
# $$n = \tanh(W x + b + U (r \odot h)) \qquad\text{or}\qquad
# n = \tanh(W x + b + r \odot (U h + b'))$$
# Give both the same numbers, and no $b'$. Do they compute the same?

# %%
other = mg.nn.GRU(I, H, reset_after=False).double()
with mg.no_grad():
    layer.bias_hh_l0[:] = 0.0
    other.weight_ih_l0[:] = layer.weight_ih_l0
    other.weight_hh_l0[:] = layer.weight_hh_l0[: 2 * H]
    other.weight_hn_l0[:] = layer.weight_hh_l0[2 * H :]
    other.bias_ih_l0[:] = layer.bias_ih_l0


def both():
    """The two variants' values of a text of 4 words."""
    with mg.record() as after:
        layer(x)
    with mg.record() as before:
        other(x)
    return {"reset before": before, "reset after": after}


rows = [("reset", "reset"), ("candidate", "candidate"), ("new h", "hidden")]
frames = [
    Frame(
        variant,
        boxes({name: trace[key][t, 0] for name, key in rows}, marked=["candidate"]),
        "The third step. Gates and states differ, too, as the state before it does.",
    )
    for variant, trace in both().items()
]
Frames("The same numbers as weights, two functions", frames)


# %%
def apart():
    """The largest difference of the states."""
    first, second = (trace["hidden"] for trace in both().values())
    return float(np.abs(first - second).max())


usual = apart()
with mg.override(reset=1.0):
    open_reset = apart()
claim(
    "Whether reset acts before or after the matrix makes no difference.",
    "the reset gate is open: then there is nothing to reset"
    if open_reset < 1e-14 < usual
    else usual < 1e-14,
    {
        "largest difference of the states": usual,
        "the same with the reset gate held at 1": open_reset,
    },
)

# %% [markdown]
# So the weights of one mean nothing to the other. minigrad refuses to load them.

# %%
try:
    other.load_state_dict(layer.state_dict())
    refused = "no error"
except ValueError as error:
    refused = str(error)
    print(refused)
counts = {
    "weights, reset after": sum(p.size for p in layer.parameters()),
    "weights, reset before": sum(p.size for p in other.parameters()),
}
claim(
    "The two variants of the GRU can exchange weights.",
    refused == "no error",
    {**counts, "what loading says": refused.splitlines()[0]},
)

# %% [markdown]
# ## Against the LSTM

# %%
lstm = mg.nn.LSTM(I, H).double()
sizes = {
    "GRU": sum(p.size for p in layer.parameters()),
    "LSTM": sum(p.size for p in lstm.parameters()),
    "RNN": sum(p.size for p in mg.nn.RNN(I, H).parameters()),
}
claim(
    "A GRU has three quarters of an LSTM's weights, and three times an RNN's.",
    sizes["GRU"] * 4 == sizes["LSTM"] * 3 and sizes["GRU"] == 3 * sizes["RNN"],
    {f"weights of the {name}": size for name, size in sizes.items()},
)
