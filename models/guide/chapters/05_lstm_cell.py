# %% [markdown]
# # The LSTM's cell in seven steps
#
# An LSTM has a second vector beside the hidden state: the cell state, a belt on which memories
# travel. Three gates decide what leaves the belt, what gets onto it, and what is shown of it.

# %%
import numpy as np

import minigrad as mg
from minigrad.models.guide import Frame, Frames, boxes, claim

mg.manual_seed(5)
T, I, H = 4, 3, 4
layer = mg.nn.LSTM(I, H).double()
x = mg.randn((T, 1, I), dtype=np.float64)

# %% [markdown]
# ## Look inside
#
# The values inside the cell have names, and `mg.record()` keeps them at each step. Here is the
# third step: go through it with the buttons, and watch which row is new.

# %%
with mg.record() as trace:
    y, (h, c) = layer(x)

t = 2
old = {"x": x[t, 0], "old h": trace["hidden"][t - 1, 0], "old cell": trace["cell"][t - 1, 0]}
steps = [
    ("1 combine", ["x", "old h"], "Each gate weighs the word and the old hidden state."),
    ("2 forget", ["forget"], "1: the memory stays. 0: it leaves the belt."),
    ("3 candidate", ["candidate"], "What could be put on the belt, between -1 and 1."),
    ("4 input", ["input"], "How much of the candidate is worth keeping."),
    ("5 new cell state", ["new cell"], "forget times old cell, plus input times candidate."),
    ("6 output", ["output"], "Which memories matter now."),
    ("7 new hidden state", ["new h"], "output times tanh of the new cell: what others see."),
]
values = {
    **old,
    "forget": trace["forget"][t, 0],
    "candidate": trace["candidate"][t, 0],
    "input": trace["input"][t, 0],
    "new cell": trace["cell"][t, 0],
    "output": trace["output"][t, 0],
    "new h": trace["hidden"][t, 0],
}
order, frames = list(values), []
for name, new, meaning in steps:
    last = max(order.index(row) for row in [*new, "old cell"])
    shown = {row: values[row] for row in order[: last + 1]}
    frames.append(Frame(name, boxes(shown, marked=new), meaning))
Frames("The third step of an LSTM with four units", frames)

# %% [markdown]
# ## The seven lines
#
# The same in seven lines of NumPy, with the layer's weights. The order of the gates in the
# matrices is input, forget, candidate, output, as in PyTorch.

# %%
w_ih, w_hh = layer.weight_ih_l0.numpy(), layer.weight_hh_l0.numpy()
bias = (layer.bias_ih_l0 + layer.bias_hh_l0).numpy()


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_step(x, h, c):
    i, f, g, o = np.split(w_ih @ x + w_hh @ h + bias, 4)  # 1 combine, four times
    f = sigmoid(f)  # 2 forget
    g = np.tanh(g)  # 3 candidate
    i = sigmoid(i)  # 4 input
    c = f * c + i * g  # 5 new cell state
    o = sigmoid(o)  # 6 output
    h = o * np.tanh(c)  # 7 new hidden state
    return h, c


state = np.zeros(H), np.zeros(H)
for step in x.numpy()[:, 0]:
    state = lstm_step(step, *state)
difference = max(
    float(np.abs(state[0] - h.numpy().ravel()).max()),
    float(np.abs(state[1] - c.numpy().ravel()).max()),
)
claim(
    "Seven lines are the whole cell.",
    difference < 1e-14,
    {"largest difference to the layer's h and c": difference},
)

# %% [markdown]
# ## Don't leave out the last tanh
#
# Short versions of the cell sometimes end with `h = o * c`. The cell state adds up, so it doesn't
# stay between -1 and 1. Hold the forget and input gates open, feed the same word for a while, and
# compare.

# %%
long = mg.tensor(np.repeat(x.numpy()[:1], 60, axis=0))  # (60, 1, I)
with mg.record() as trace, mg.override(forget=1.0, input=1.0):
    layer(long)
largest_c = float(np.abs(trace["cell"]).max())
with_tanh = float(np.abs(trace["hidden"]).max())
without = float(np.abs(trace["output"] * trace["cell"]).max())
claim(
    "The tanh in the last step is needed to keep the hidden state between -1 and 1.",
    with_tanh <= 1 < without,
    {
        "largest cell state after 60 steps": largest_c,
        "largest hidden state with tanh": with_tanh,
        "largest o * c, without it": without,
    },
)
