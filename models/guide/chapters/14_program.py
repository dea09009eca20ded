# %% [markdown]
# # The program behind it
#
# The cell of an LSTM is ten lines of Python. What runs, forwards and backwards, follows from
# them: as a graph of ops, as a program of one step, and as compiled code.

# %%
import inspect

import numpy as np

import minigrad as mg
from minigrad.models.guide import claim
from minigrad.nn.cells import lstm_cell

mg.manual_seed(14)

# %% [markdown]
# ## What is written

# %%
lines = inspect.getsource(lstm_cell).split('"""')[2].strip().splitlines()
print("\n".join(line.removeprefix("    ") for line in lines))

# %% [markdown]
# ## What a step does, forwards and backwards
#
# The cell is called once with stand-ins for arrays, which note each op. The way back follows from
# the derivative of each op.

# %%
layer = mg.nn.LSTM(3, 4)
listing = str(layer.trace())
forward, backward = listing.split("backward:")
print(listing)

# %% [markdown]
# ## Is it the same function?
#
# The layer runs the program of a step in a loop, the compiled one on a backend that has
# compilers. Compare it with the plain function, called step by step, in its values and in its
# gradients.

# %%
layer = layer.double()
x = mg.randn((8, 2, 3), dtype=np.float64, requires_grad=True)
g = mg.randn((8, 2, 4), dtype=np.float64)
y, _ = layer(x)
by_layer = [y, *mg.grad((y * g).sum(), [x, layer.weight_hh_l0])]


class Weights:
    w_ih, w_hh = layer.weight_ih_l0, layer.weight_hh_l0
    b_ih, b_hh = layer.bias_ih_l0, layer.bias_hh_l0


state = mg.zeros((2, 4), dtype=np.float64), mg.zeros((2, 4), dtype=np.float64)
outputs = []
for x_t in x:
    h, state = lstm_cell(Weights, x_t, state)
    outputs.append(h)
y = mg.stack(outputs)
by_hand = [y, *mg.grad((y * g).sum(), [x, layer.weight_hh_l0])]
differences = [
    float(np.abs(a.numpy() - b.numpy()).max()) for a, b in zip(by_layer, by_hand, strict=True)
]
claim(
    "What runs is what is written.",
    max(differences) < 1e-12,
    dict(zip(["outputs", "gradient of x", "gradient of the weights"], differences, strict=True)),
)

# %%
count = {name: text.count(" = ") for name, text in {"fwd": forward, "back": backward}.items()}
claim(
    "The way back takes about as many ops as the way there, twice at most.",
    count["back"] <= 2 * count["fwd"],
    {"ops forwards": count["fwd"], "ops backwards": count["back"]},
)

# %% [markdown]
# ## The kernel
#
# With `MINIGRAD_BACKEND=numba` that program becomes a Python file with loops, which Numba
# compiles. You can read it: `minigrad bench cell minigrad.nn:LSTM` names the file.
