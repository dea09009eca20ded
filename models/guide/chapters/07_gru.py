# %% [markdown]
# # The GRU: two gates and one state
#
# The GRU has no cell state. Its hidden state does both jobs, and two gates, update and reset, do
# the work of three.

# %%
import numpy as np

import minigrad as mg
from minigrad.models.guide import Box, Frame, Frames, boxes, claim, diagram

mg.manual_seed(7)
T, I, H = 4, 3, 3
layer = mg.nn.GRU(I, H).double()
x = mg.randn((T, 1, I), dtype=np.float64)
with mg.record() as trace:
    y, h = layer(x)

# %% [markdown]
# ## A step

# %%
t = 2
places = {
    "x": Box(0, 0),
    "old h": Box(2, 0),
    "combine, for each gate": Box(0, 1, 3),
    "reset": Box(0, 2),
    "update": Box(2, 3),
    "candidate": Box(0, 3),
    "(1-update) × cand.": Box(0.75, 4),
    "update × old": Box(2, 4),
    "new h": Box(1.5, 5),
}
arrows = [
    *(("x", "combine, for each gate"), ("old h", "combine, for each gate")),
    *(("combine, for each gate", gate) for gate in ("reset", "update", "candidate")),
    *(("reset", "candidate"), ("candidate", "(1-update) × cand.")),
    *(("update", "(1-update) × cand."), ("update", "update × old")),
    ("old h", "update × old"),
    *(("(1-update) × cand.", "new h"), ("update × old", "new h")),
]
at = {name: trace[name][t, 0] for name in ("reset", "update", "candidate", "hidden")}
old = trace["hidden"][t - 1, 0]
values = {"x": x[t, 0], "old h": old}
steps = [
    (
        "1 combine",
        {"combine, for each gate": None},
        "Both gates and the candidate weigh the word and the old state.",
    ),
    ("2 reset", {"reset": at["reset"]}, "How much of the old state the candidate may look at."),
    (
        "3 update",
        {"update": at["update"], "update × old": at["update"] * old},
        "1: the old state stays as it is. 0: the candidate replaces it.",
    ),
    (
        "4 candidate",
        {
            "candidate": at["candidate"],
            "(1-update) × cand.": (1 - at["update"]) * at["candidate"],
        },
        "A new state, from the word and from what reset lets through.",
    ),
    ("5 new state", {"new h": at["hidden"]}, "What stayed of the old plus what came of the new."),
]
frames = []
for name, new, meaning in steps:
    values |= new
    frames.append(Frame(name, diagram(places, arrows, values, marked=[*new]), meaning))
Frames("The third step of a GRU with three units", frames)

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
