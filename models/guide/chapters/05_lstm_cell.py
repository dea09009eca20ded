# %% [markdown]
# # The LSTM's cell in seven steps
#
# An LSTM has a second vector beside the hidden state: the cell state, a belt on which memories
# travel. Three gates decide what leaves the belt, what gets onto it, and what is shown of it.

# %%
import numpy as np

import minigrad as mg
from minigrad.models.guide import Box, Frame, Frames, claim, diagram

mg.manual_seed(5)
T, I, H = 4, 3, 3
layer = mg.nn.LSTM(I, H).double()
x = mg.randn((T, 1, I), dtype=np.float64)

# %% [markdown]
# ## Look inside
#
# The values inside the cell have names, and `mg.record()` keeps them at each step. Here is the
# third step: go through it with the buttons, and watch how the numbers move from box to box.

# %%
with mg.record() as trace:
    y, (h, c) = layer(x)

t = 2
places = {
    "x": Box(0, 0),
    "old h": Box(1, 0),
    "old cell": Box(2, 0),
    "combine, for each gate": Box(0, 1, 3),
    "candidate": Box(0, 2),
    "input": Box(1, 2),
    "forget": Box(2, 2),
    "input × cand.": Box(0.5, 3),
    "forget × old": Box(2, 3),
    "new cell": Box(1.5, 4),
    "output": Box(0, 5),
    "tanh(new cell)": Box(1.5, 5),
    "new h": Box(1, 6),
}
arrows = [
    *(("x", "combine, for each gate"), ("old h", "combine, for each gate")),
    *(("combine, for each gate", gate) for gate in ("candidate", "input", "forget", "output")),
    *(("candidate", "input × cand."), ("input", "input × cand.")),
    *(("forget", "forget × old"), ("old cell", "forget × old")),
    *(("input × cand.", "new cell"), ("forget × old", "new cell")),
    *(("new cell", "tanh(new cell)"), ("tanh(new cell)", "new h"), ("output", "new h")),
]
at = {name: trace[name][t, 0] for name in ("forget", "candidate", "input", "cell", "output")}
old_cell = trace["cell"][t - 1, 0]
values = {"x": x[t, 0], "old h": trace["hidden"][t - 1, 0], "old cell": old_cell}
steps = [
    (
        "1 combine",
        {"combine, for each gate": None},
        "A sum for each gate and each unit: of the word and the old hidden state, with weights.",
    ),
    (
        "2 forget",
        {"forget": at["forget"], "forget × old": at["forget"] * old_cell},
        "1: the memory stays. 0: it leaves the belt.",
    ),
    ("3 candidate", {"candidate": at["candidate"]}, "What could go on the belt, from -1 to 1."),
    (
        "4 input",
        {"input": at["input"], "input × cand.": at["input"] * at["candidate"]},
        "How much of the candidate is worth keeping.",
    ),
    ("5 new cell state", {"new cell": at["cell"]}, "What stayed plus what came."),
    ("6 output", {"output": at["output"]}, "Which memories matter now."),
    (
        "7 new hidden state",
        {"tanh(new cell)": np.tanh(at["cell"]), "new h": trace["hidden"][t, 0]},
        "output times tanh of the new cell: what others see.",
    ),
]
frames = []
for name, new, meaning in steps:
    values |= new
    frames.append(Frame(name, diagram(places, arrows, values, marked=[*new]), meaning))
Frames("The third step of an LSTM with three units", frames)

# %% [markdown]
# ## The seven lines
#
# The same in seven lines of NumPy, with the layer's weights. The order of the gates in the
# matrices is input, forget, candidate, output, as in PyTorch.

# %% tags=["open"]
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
