# %% [markdown]
# # The cell of an RNN: combine, then squash
#
# The cell is the part that runs at each step. It combines the input and the hidden state, and
# squashes the sum with tanh. That is all there is to it.

# %%
import inspect
import textwrap

import numpy as np

import minigrad as mg
from minigrad.models.guide import Frame, Frames, boxes, claim
from minigrad.nn.cells import rnn_tanh_cell

mg.manual_seed(2)
print(textwrap.dedent(inspect.getsource(rnn_tanh_cell).split('"""')[2]).strip())

# %% [markdown]
# $$h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})$$
#
# ## Combining is adding
#
# Pictures of the cell show the input and the state being joined to one longer vector, and one
# matrix that multiplies it. The formula has two matrices and a sum. Both are the same.

# %%
I, H = 3, 4
layer = mg.nn.RNN(I, H).double()
w_ih, w_hh = layer.weight_ih_l0, layer.weight_hh_l0
bias = layer.bias_ih_l0 + layer.bias_hh_l0
x, h = mg.randn(I, dtype=np.float64), mg.randn(H, dtype=np.float64)

two_products = w_ih @ x + w_hh @ h + bias
joined = mg.concatenate([x, h])  # (I + H,)
matrix = mg.concatenate([w_ih, w_hh], axis=1)  # (H, I + H)
one_product = matrix @ joined + bias
difference = float(np.abs(two_products.numpy() - one_product.numpy()).max())
claim(
    "Joining x and h to one vector and multiplying it by one matrix adds two products.",
    difference < 1e-14,
    {"largest difference": difference},
)

# %% [markdown]
# ## Step by step

# %%
squashed = mg.tanh(two_products)
steps = [
    ("the input", "x", "This step's word, as a vector."),
    ("the state", "h before", "What the cell knows so far."),
    ("combine", "sum", "Each unit weighs all of x and all of h, and adds its bias."),
    ("squash", "h after", "tanh brings each number between -1 and 1: the new state."),
]
values = {"x": x, "h before": h, "sum": two_products, "h after": squashed}
frames = []
for i, (name, new, meaning) in enumerate(steps):
    shown = {row: values[row] for row in list(values)[: i + 1]}
    frames.append(Frame(name, boxes(shown, marked=[new], largest=1.5), meaning))
Frames("A step of the cell", frames)

# %%
_, by_layer = layer(x.reshape(1, 1, I), h.reshape(1, 1, H))
difference = float(np.abs(by_layer.numpy().ravel() - squashed.numpy()).max())
claim(
    "The layer's numbers are those of the formula.",
    difference < 1e-14,
    {"largest difference": difference},
)

# %% [markdown]
# ## The same weights at each step
#
# A text of a hundred words uses the two matrices a hundred times. So the number of weights
# doesn't depend on how long the text is, and what the cell learns about a word holds wherever it
# stands.

# %%
parameters = sum(p.size for p in layer.parameters())
lengths = {T: layer(mg.zeros((T, 1, I), dtype=np.float64))[0].shape for T in (1, 10, 1000)}
claim(
    "The number of weights doesn't depend on the length of the text.",
    all(shape == (T, 1, H) for T, shape in lengths.items()),
    {"weights": parameters, "lengths read with them": [str(T) for T in lengths]},
)
